/* One request: who asks, for what, in which form; and the answer. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "exporters/web_reply.h"
#include "exporters/web_server.h"

enum { HOST_BYTES = 64 }; /* an address with a port has fewer */

/* What the headers say, values of one name joined by commas. */
struct headers {
    size_t bytes; /* of all of them, and of the line before them */
    unsigned count, hosts;
    bool too_large; /* one of those below did not fit */
    bool has_body;
    bool malformed;   /* a name is none */
    bool url_has_nul; /* so that it is not known beyond it */
    const char *authorization, *host;
    char accept[2048], accept_encoding[512];
};

/* --- Reading --- */

/* libmicrohttpd takes the parameters apart itself, as soon as this returns: an entry of 56 bytes in the connection's
 * memory for each of them, of which a URL in its limit can have 2,000. Where they do not fit it neither answers nor goes
 * on. So it gets none: behind its '?', in memory that is the connection's own, the URL ends. */
static void hide_parameters(const char *url)
{
    char *query = strchr(url, '?');
    if (query)
        query[1] = '\0';
}

void *web_request_on_url(void *web, const char *url, struct MHD_Connection *connection)
{
    struct web_client *client = web_client_of(connection);
    (void)web;
    if (client) {
        size_t length = strnlen(url, TBUS_WEB_URL_MAX + 1);
        client->was_announced = client->wants_body = false;
        client->answered = 0;
        client->is_asking = true;
        client->url_is_too_long = length > TBUS_WEB_URL_MAX;
        client->url_end = url + length;
        memcpy(client->url, url, client->url_is_too_long ? 0 : length);
        client->url[client->url_is_too_long ? 0 : length] = '\0';
    }
    hide_parameters(url);
    return client;
}

static void join(struct headers *headers, char *joined, size_t room, const char *value)
{
    size_t length = strlen(joined);
    int added = snprintf(joined + length, room - length, "%s%s", length ? "," : "", value);
    headers->too_large |= added < 0 || (size_t)added >= room - length;
}

/* Of a header: blanks behind its value are not of it, and libmicrohttpd leaves them. */
static size_t value_length(const char *value)
{
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    return length;
}

/* RFC 9110, 5.6.2. */
static bool is_token_char(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static bool begins_with(const char *text, const char *begin)
{
    return strncasecmp(text, begin, strlen(begin)) == 0;
}

/* What a server before this one could have read otherwise, so that one request here would be two there (RFC 9112, 11.2):
 * a name with a blank, as before the colon, and what libmicrohttpd makes of a folded header, whose second line it adds
 * to the name: "Transfer-Encodingchunked". What it hides remains: a line that begins with a colon ends the headers, and
 * a NUL ends a value. */
static bool is_ambiguous(const char *name)
{
    size_t length = 0;
    while (is_token_char(name[length]))
        length++;
    return length == 0 || name[length] ||
           (begins_with(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) &&
            strlen(MHD_HTTP_HEADER_TRANSFER_ENCODING) < length) ||
           (begins_with(name, MHD_HTTP_HEADER_CONTENT_LENGTH) && strlen(MHD_HTTP_HEADER_CONTENT_LENGTH) < length);
}

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct headers *headers = user;
    (void)kind;
    value = value ? value : "";
    headers->count++;
    headers->malformed |= is_ambiguous(name);
    if (strcasecmp(name, MHD_HTTP_HEADER_ACCEPT) == 0) {
        join(headers, headers->accept, sizeof headers->accept, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_ACCEPT_ENCODING) == 0) {
        join(headers, headers->accept_encoding, sizeof headers->accept_encoding, value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0) {
        headers->authorization = value;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) {
        headers->host = value;
        headers->hosts++;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        headers->has_body = true;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        headers->has_body |= strcmp(value, "0") != 0;
    }
    return MHD_YES;
}

static struct headers read_headers(struct MHD_Connection *connection)
{
    struct headers headers = {0};
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    headers.bytes = info ? info->header_size : 0;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, &headers);
    return headers;
}

/* --- Who asks --- */

/* Takes as long whatever the token is, and whatever is given, but for what the client knows itself: how long that is.
 */
static bool token_equals(const tbus_web_t *web, const char *given)
{
    char padded[TBUS_WEB_TOKEN_MAX] = {0};
    size_t length = value_length(given); /* which the limit on a request's headers bounds */
    memcpy(padded, given, length < sizeof padded ? length : sizeof padded);
    volatile size_t difference = length ^ web->token_length;
    for (size_t i = 0; i < sizeof padded; i++)
        difference |= (size_t)(unsigned char)(padded[i] ^ web->token[i]);
    return difference == 0;
}

static bool may_see(const tbus_web_t *web, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (web->token_length == 0)
        return true;
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    return token_equals(web, authorization + strspn(authorization, " "));
}

/* The authority of "http://authority/path", as a client of a proxy says it, which every server has to understand and to
 * take for Host (RFC 9112, 3.2.2). NULL where the URL is none of these. */
static const char *authority_of(const char *url, size_t *ret_length)
{
    static const char scheme[] = "http://";
    if (!begins_with(url, scheme))
        return NULL;
    *ret_length = strcspn(url + sizeof scheme - 1, "/?");
    return url + sizeof scheme - 1;
}

/* The URL without its authority, in place: an empty path is "/". */
static char *path_of(char *url)
{
    size_t length;
    const char *authority = authority_of(url, &length);
    if (!authority)
        return url;
    url += (size_t)(authority - url) + length;
    if (*url != '/')
        *--url = '/';
    return url;
}

/* "localhost" or an address, with or without a port: no name that somebody else's DNS could have pointed here. */
static bool is_own_host(const char *host_begin, size_t host_length)
{
    char copy[HOST_BYTES], name[INET6_ADDRSTRLEN + 1];
    unsigned char address[sizeof(struct in6_addr)];
    const char *host = copy;
    if (host_length >= sizeof copy)
        return false;
    memcpy(copy, host_begin, host_length);
    copy[host_length] = '\0';
    bool bracketed = *host == '[';
    host += bracketed;
    size_t length = strcspn(host, bracketed ? "]" : ":");
    const char *port = host + length;
    if (length >= sizeof name || (bracketed && *port++ != ']') || (*port && *port++ != ':') ||
        port[strspn(port, "0123456789")])
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    if (bracketed)
        return uv_inet_pton(AF_INET6, name, address) == 0;
    return strcasecmp(name, "localhost") == 0 || uv_inet_pton(AF_INET, name, address) == 0;
}

/* --- The answer --- */

/* Whose server the client thinks this is. */
static int check_host(const tbus_web_t *web, const struct web_client *client, const struct headers *headers,
                      struct web_fault *fault)
{
    size_t length = 0;
    const char *host = authority_of(client->url, &length);
    if (headers->hosts > 1) /* two servers in a row could go by different ones */
        return web_fault_set(fault, MHD_HTTP_BAD_REQUEST, "there is more than one Host");
    if (host && (length == 0 || *host == ':' || memchr(host, '@', length)))
        return web_fault_set(fault, MHD_HTTP_BAD_REQUEST, "the URL names no host, or a user");
    if (!host && headers->host) {
        host = headers->host;
        length = value_length(host);
    }
    if (web->checks_host && host && !is_own_host(host, length))
        return web_fault_set(fault, MHD_HTTP_MISDIRECTED_REQUEST,
                             "this server is reached as localhost or by an address");
    return 0;
}

/* What can be said before the URL is looked at. Returns 0 or the status. */
static int check(const tbus_web_t *web, const struct web_client *client, const struct headers *headers,
                 struct web_fault *fault)
{
    if (client->url_is_too_long)
        return web_fault_set(fault, MHD_HTTP_URI_TOO_LONG, "the URL is longer than %d bytes", TBUS_WEB_URL_MAX);
    if (headers->bytes > TBUS_WEB_REQUEST_MAX)
        return web_fault_set(fault, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "the request has more than %d bytes",
                             TBUS_WEB_REQUEST_MAX);
    if (headers->count > TBUS_WEB_HEADERS_MAX)
        return web_fault_set(fault, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "there are more than %d headers",
                             TBUS_WEB_HEADERS_MAX);
    if (headers->too_large)
        return web_fault_set(fault, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                             "Accept may have 2047 bytes and Accept-Encoding 511");
    if (headers->url_has_nul)
        return web_fault_set(fault, MHD_HTTP_BAD_REQUEST, "the URL has a byte that it can not have");
    if (headers->malformed)
        return web_fault_set(fault, MHD_HTTP_BAD_REQUEST, "a header's name has a byte that it can not have");
    return check_host(web, client, headers, fault);
}

static int write_status(int error, struct web_fault *fault)
{
    if (error == UV_ENOENT)
        return web_fault_set(fault, MHD_HTTP_NOT_FOUND, "there is nothing by this name");
    if (error == UV_ENOMEM)
        return web_fault_set(fault, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no memory for this reply");
    return web_fault_set(fault, MHD_HTTP_INTERNAL_SERVER_ERROR, "this can not be shown: %s", uv_strerror(error));
}

/* Finds what is asked for and writes it. Returns 0 with the text and its kind, or the status. */
static int find_and_write(const tbus_web_t *web, char *url, const char *method, const struct headers *headers,
                          struct text *text, const struct web_media **ret_media, struct web_fault *fault)
{
    struct web_request request = {.sources = &web->sources};
    char *query = strchr(url, '?');
    if (query)
        *query++ = '\0';
    bool is_of_server = strcmp(url, "*") == 0 && strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0; /* of no path */
    const struct web_route *route = web_routes_find(web->routes, url, &request.segment, fault);
    if (!(route && route->is_open) && !may_see(web, headers->authorization))
        return web_fault_set(fault, MHD_HTTP_UNAUTHORIZED, "the token of this server is asked for");
    if (!route && !is_of_server)
        return fault->status;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return web_fault_set(fault, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are understood");
    if (headers->has_body)
        return web_fault_set(fault, MHD_HTTP_CONTENT_TOO_LARGE, "a request has no body here");
    if (web_query_read(query, route->parameters, request.values, fault) != 0 ||
        !web_routes_has_source(route, &web->sources, fault))
        return fault->status;
    int form = web_routes_choose(route, request.values, headers->accept, fault);
    if (form < 0)
        return fault->status;
    request.media = route->forms[form].media;
    *ret_media = request.media;
    int error = route->forms[form].write(&request, text);
    return error ? write_status(error, fault) : 0;
}

enum MHD_Result web_request_answer(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_bytes, void **ret_client)
{
    tbus_web_t *web = cls;
    struct web_client *client = *ret_client;
    struct web_fault fault = {0};
    struct text text = {0};
    const struct web_media *media = NULL;
    (void)url; /* as libmicrohttpd reads it */
    (void)upload;
    (void)upload_bytes;
    if (!client)
        return MHD_NO;
    web_client_touch(web, client);
    client->wants_body = strcmp(method, MHD_HTTP_METHOD_HEAD) != 0;
    struct headers headers = read_headers(connection);
    headers.url_has_nul = !client->url_is_too_long && version != client->url_end + 1;
    struct web_codings codings = web_accept_codings(headers.accept_encoding);
    int status = check(web, client, &headers, &fault);
    if (status == 0 && !client->was_announced && !headers.has_body) {
        /* The first call is before a body would come: who is answered now is not listened to any more. So are those
         * who send one, which is refused unread. */
        client->was_announced = true;
        return MHD_YES;
    }
    if (status == 0)
        status = find_and_write(web, path_of(client->url), method, &headers, &text, &media, &fault);
    if (status == 0 && codings.identity == 0 && codings.gzip == 0)
        status = web_fault_set(&fault, MHD_HTTP_NOT_ACCEPTABLE, "replies are sent plainly or as gzip");
    enum MHD_Result queued;
    if (status == 0) {
        queued = web_reply_document(connection, media, &text, codings);
    } else {
        tbus_mem_free(text.bytes);
        queued = web_reply_fault(connection, &fault, headers.has_body || headers.malformed || headers.url_has_nul);
    }
    client->answered = queued == MHD_YES ? web->turns : 0;
    return queued;
}

void web_request_answer_bare(const struct web_client *client)
{
    struct web_fault fault;
    if (client->url_is_too_long) {
        web_fault_set(&fault, MHD_HTTP_URI_TOO_LONG, "the URL is longer than %d bytes", TBUS_WEB_URL_MAX);
        web_reply_bare(client->socket, &fault, "URI Too Long", client->wants_body);
    } else {
        web_fault_set(&fault, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                      "the headers and cookies of the request take more memory than a connection has");
        web_reply_bare(client->socket, &fault, "Request Header Fields Too Large", client->wants_body);
    }
}
