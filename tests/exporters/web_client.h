/* A small HTTP client for tests: it sends bytes as they are given, and waits for the reply without sleeping. */
#ifndef TESTS_EXPORTERS_WEB_CLIENT_H
#define TESTS_EXPORTERS_WEB_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/check.h"

enum { WEB_PATIENCE_MS = 60000, WEB_REPLY_ROOM = 1 << 22 };

/* A reply: its bytes, NUL behind them, taken apart. */
struct web_got {
    char *bytes;
    size_t length; /* of head and body */
    int status;
    const char *body;
    size_t body_length;
};

/* A socket that is not connected yet, and comes from 127.0.0.`last`. */
static inline int web_socket(uint8_t last)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last)};
    int client = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(client, 0, "%s", strerror(errno));
    cr_assert_eq(bind(client, (struct sockaddr *)&from, sizeof from), 0, "%s", strerror(errno));
    return client;
}

static inline int web_connect_socket(int client, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return connect(client, (struct sockaddr *)&to, sizeof to);
}

static inline int web_connect(uint16_t port)
{
    int client = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(client, 0, "%s", strerror(errno));
    cr_assert_eq(web_connect_socket(client, port), 0, "%s", strerror(errno));
    return client;
}

static inline void web_send(int client, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(client, bytes, length, MSG_NOSIGNAL);
        cr_assert_gt(sent, 0, "%s", strerror(errno));
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* Reads what there is, waiting for it. 0 = the other side has closed (or cut) the connection. */
static inline size_t web_read_some(int client, char *to, size_t room)
{
    struct pollfd wait = {.fd = client, .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, WEB_PATIENCE_MS), 1, "no reply in a minute");
    ssize_t got = recv(client, to, room, 0);
    cr_assert(got >= 0 || errno == ECONNRESET || errno == EPIPE, "%s", strerror(errno));
    return got > 0 ? (size_t)got : 0;
}

static inline bool web_is_closed(int client)
{
    char byte;
    return web_read_some(client, &byte, 1) == 0;
}

/* The value of a header of a reply, in static memory; NULL where there is none. */
static inline const char *web_header(const struct web_got *got, const char *name)
{
    static char value[1024];
    for (const char *line = strstr(got->bytes, "\r\n"); line && line + 2 < got->body - 2; line = strstr(line, "\r\n")) {
        line += 2;
        size_t length = strlen(name);
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        line += length + 1 + strspn(line + length + 1, " ");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
        return value;
    }
    return NULL;
}

/* Reads one reply, to its Content-Length; bytes behind it are an error. */
static inline struct web_got web_receive(int client, bool is_head)
{
    struct web_got got = {.bytes = malloc(WEB_REPLY_ROOM)};
    cr_assert_not_null(got.bytes);
    while (!got.body) {
        size_t more = web_read_some(client, got.bytes + got.length, 1);
        cr_assert_gt(more, 0, "closed within a head");
        got.length += more;
        got.bytes[got.length] = '\0';
        if (got.length >= 4 && memcmp(got.bytes + got.length - 4, "\r\n\r\n", 4) == 0)
            got.body = got.bytes + got.length;
    }
    cr_assert_eq(sscanf(got.bytes, "HTTP/1.%*d %d", &got.status), 1, "%s", got.bytes);
    const char *length = web_header(&got, "Content-Length");
    cr_assert(length || (got.status == 431 && web_is_closed(client)), "%s", got.bytes); /* without a body: see web.h */
    size_t wanted = is_head || !length ? 0 : strtoul(length, NULL, 10);
    cr_assert_lt(got.length + wanted, (size_t)WEB_REPLY_ROOM);
    while (got.body_length < wanted) {
        size_t more = web_read_some(client, got.bytes + got.length, wanted - got.body_length);
        cr_assert_gt(more, 0, "closed within a body");
        got.length += more;
        got.body_length += more;
    }
    got.bytes[got.length] = '\0';
    return got;
}

/* A whole exchange on a connection of its own. `headers`: lines that end in \r\n, behind that of the host. */
static inline struct web_got web_ask(uint16_t port, const char *method, const char *url, const char *headers)
{
    char request[16384];
    int length = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, url, headers);
    cr_assert_lt((size_t)length, sizeof request);
    int client = web_connect(port);
    web_send(client, request, (size_t)length);
    struct web_got got = web_receive(client, strcmp(method, "HEAD") == 0);
    close(client);
    return got;
}

/* Asks, and checks the status and a part of the body. */
static inline void web_expect(uint16_t port, const char *url, const char *headers, int status, const char *part)
{
    struct web_got got = web_ask(port, "GET", url, headers);
    cr_assert_eq(got.status, status, "%s %s: %s", url, headers, got.bytes);
    cr_assert_not_null(strstr(got.body, part), "%s %s: '%s' is not in %s", url, headers, part, got.body);
    free(got.bytes);
}

#endif
