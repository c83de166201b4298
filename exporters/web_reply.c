#include "exporters/web_reply.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

#include "exporters/json_line.h"
#include "exporters/span.h"

enum { PACKED_MIN_BYTES = 1024, GZIP_WINDOW = 15 + 16, GZIP_LEVEL = 1, GZIP_MEMORY = 8 };

/* A message's bytes become at most six each ("\u001F"). */
enum { FAULT_BYTES = 6 * WEB_MESSAGE_BYTES + 64, BARE_HEAD_BYTES = 512 };

static const char nothing[] = "default-src 'none'; frame-ancestors 'none'";

/* --- Packing --- */

static void *zlib_alloc(void *user, unsigned items, unsigned size)
{
    (void)user;
    return tbus_mem_alloc((size_t)items * size);
}

static void zlib_free(void *user, void *memory)
{
    (void)user;
    tbus_mem_free(memory);
}

/* What is given out by text_take() and its kind in gzip's format: level 1, since a page that is asked for every few
 * seconds is not worth more. Errors: UV_ENOMEM. */
static int pack(const char *bytes, size_t length, char **ret_packed, size_t *ret_length)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (length > UINT_MAX / 2 ||
        deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return UV_ENOMEM;
    size_t room = deflateBound(&stream, (uLong)length);
    char *packed = tbus_mem_alloc(room);
    stream.next_in = (z_const Bytef *)bytes;
    stream.avail_in = (uInt)length;
    stream.next_out = (Bytef *)packed;
    stream.avail_out = (uInt)room;
    bool done = packed && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    *ret_length = stream.total_out;
    (void)deflateEnd(&stream);
    if (!done) {
        tbus_mem_free(packed);
        return UV_ENOMEM;
    }
    *ret_packed = packed;
    return 0;
}

/* --- Sending --- */

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return !value || MHD_add_response_header(response, name, value) == MHD_YES;
}

/* Queues it with what every reply says, and lets it go. */
static enum MHD_Result queue(struct MHD_Connection *connection, int status, struct MHD_Response *response,
                             const struct web_media *media)
{
    if (!response)
        return MHD_NO;
    bool whole =
        add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, media->content_type) &&
        add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") &&
        add_header(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding") &&
        add_header(response, "X-Content-Type-Options", "nosniff") &&
        add_header(response, "Content-Security-Policy", media->policy ? media->policy : nothing) &&
        add_header(response, "Cross-Origin-Resource-Policy", "same-origin") &&
        add_header(response, "Referrer-Policy", "no-referrer") &&
        add_header(response, MHD_HTTP_HEADER_ALLOW, status == MHD_HTTP_METHOD_NOT_ALLOWED ? "GET, HEAD" : NULL) &&
        add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, status == MHD_HTTP_UNAUTHORIZED ? "Bearer" : NULL);
    enum MHD_Result queued = whole ? MHD_queue_response(connection, (unsigned)status, response) : MHD_NO;
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result reply_no_memory(struct MHD_Connection *connection)
{
    struct web_fault fault;
    web_fault_set(&fault, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no memory for this reply");
    return web_reply_fault(connection, &fault, false);
}

enum MHD_Result web_reply_document(struct MHD_Connection *connection, const struct web_media *media, struct text *text,
                                   struct web_codings codings)
{
    char *bytes, *packed;
    size_t length = text->length;
    if (text_take(text, &bytes) != 0)
        return reply_no_memory(connection);
    bool wanted = codings.gzip > 0 && codings.gzip >= codings.identity && length >= PACKED_MIN_BYTES;
    bool is_packed = (wanted || codings.identity == 0) && pack(bytes, length, &packed, &length) == 0;
    if (is_packed) {
        tbus_mem_free(bytes);
        bytes = packed;
    } else if (codings.identity == 0) {
        tbus_mem_free(bytes);
        return reply_no_memory(connection);
    }
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(length, bytes, tbus_mem_free);
    if (!response) {
        tbus_mem_free(bytes);
        return MHD_NO;
    }
    if (!add_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, is_packed ? "gzip" : NULL)) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return queue(connection, MHD_HTTP_OK, response, media);
}

/* The body, into FAULT_BYTES. Returns how many there are. */
static size_t write_fault(char *bytes, const struct web_fault *fault)
{
    struct span body = {.bytes = bytes, .room = FAULT_BYTES};
    span_add_text(&body, "{\"error\":{\"status\":");
    span_add_int(&body, fault->status);
    span_add_text(&body, ",\"message\":");
    json_add_string(&body, fault->message);
    span_add_text(&body, "}}");
    return body.length;
}

enum MHD_Result web_reply_fault(struct MHD_Connection *connection, const struct web_fault *fault, bool is_last)
{
    static const struct web_media json = {.content_type = "application/json"};
    char bytes[FAULT_BYTES];
    size_t length = write_fault(bytes, fault);
    struct MHD_Response *response = MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_COPY);
    if (response && !add_header(response, MHD_HTTP_HEADER_CONNECTION, is_last ? "close" : NULL)) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    return queue(connection, fault->status, response, &json);
}

void web_reply_bare(int socket, const struct web_fault *fault, const char *reason, bool wants_body)
{
    char body[FAULT_BYTES], size[32] = "", reply[BARE_HEAD_BYTES + FAULT_BYTES];
    size_t length = wants_body ? write_fault(body, fault) : 0;
    if (wants_body)
        snprintf(size, sizeof size, "Content-Length: %zu\r\n", length);
    int head = snprintf(reply, BARE_HEAD_BYTES,
                        "HTTP/1.1 %d %s\r\nConnection: close\r\n%s"
                        "Content-Type: application/json\r\nCache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: %s\r\n\r\n",
                        fault->status, reason, size, nothing);
    assert(head > 0 && head < BARE_HEAD_BYTES);
    memcpy(reply + head, body, length);
    (void)!send(socket, reply, (size_t)head + length, MSG_NOSIGNAL | MSG_DONTWAIT);
}
