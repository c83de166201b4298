/* The server inside. Everything but opening and closing happens on its thread, which runs a libuv loop: it accepts
 * connections itself, so that limits are ours to keep, and hands them to libmicrohttpd, whose epoll set it watches. */
#ifndef EXPORTERS_WEB_SERVER_H
#define EXPORTERS_WEB_SERVER_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "exporters/web_routes.h"

/* A connection. Its place is one of an array made at open, so that none ever needs memory that is not there. */
struct web_client {
    struct web_client *before, *after; /* in the list by deadline, or, `after` alone, in that of the free ones */
    uint64_t deadline_ns;
    int socket;
    bool is_cut;                     /* not in the list any more: the socket is shut down, and will be closed */
    bool is_lingering;               /* libmicrohttpd has let go of it: the socket is ours alone */
    struct sockaddr_storage address; /* whence */
    char url[TBUS_WEB_URL_MAX + 1];  /* of the request at hand */
    bool url_is_too_long;
    const char *url_end; /* where it ends in the connection's memory: the version stands behind it */
    bool was_announced;  /* its headers have been looked at */
    bool is_asking;      /* a request of its own is under way: libmicrohttpd has told of its URL and not of its end */
    uint64_t answered; /* the turn in which a reply to it was queued: its head is built in the same one; 0 = none was */
    bool wants_body;   /* false: HEAD, or its method is not known yet */
};

struct tbus_web {
    /* [const after open] */
    const struct web_route *routes;
    struct web_sources sources;
    uint64_t wait_max_ns;
    uint32_t clients_max, clients_per_address_max;
    bool checks_host;
    size_t token_length; /* 0 = none is asked for */
    char token[TBUS_WEB_TOKEN_MAX];
    uint16_t port;
    int listener_socket;
    uv_thread_t thread;
    struct MHD_Daemon *daemon; /* [server's thread], and so is all below */
    uv_loop_t loop;
    uv_async_t stop;     /* [any thread] to send */
    int lingering_epoll; /* of clients that linger; -1 = none may any more */
    uv_poll_t listener, traffic, lingering;
    uv_timer_t timer;
    uint64_t turns;           /* of the loop, from 1 on */
    uint64_t accept_again_ns; /* when to accept again after the system had no more descriptors; 0 = it has */
    struct web_client *clients, *free_clients;
    struct web_client *first, *last; /* by deadline */
};

/* web.c: tbus_web_open() with a table of routes of one's own, which must outlive the server. */
TBUS_CHECKED int web_open(const tbus_web_options_t *options, const struct web_route *routes, tbus_web_t **ret_web);

/* web_listen.c: a socket that listens. Errors: UV_EINVAL (the address is none), the system's. */
int web_listen(const char *address, uint16_t port, int *ret_socket, uint16_t *ret_port, bool *ret_is_loopback);

/* web_loop.c: takes the socket and serves, on a thread of its own, until web_loop_close(), which waits for it. Errors:
 * UV_ENOMEM, UV_ENOTSUP, the system's; the socket is closed then. */
int web_loop_open(tbus_web_t *web);
void web_loop_close(tbus_web_t *web);

/* web_request.c: libmicrohttpd's callbacks for a request. */
void *web_request_on_url(void *web, const char *url, struct MHD_Connection *connection);
enum MHD_Result web_request_answer(void *web, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_bytes, void **client);

/* web_request.c: libmicrohttpd ends the connection without a byte of a reply to the request at hand: sends one. */
void web_request_answer_bare(const struct web_client *client);

/* web_loop.c: the client of a connection; NULL where there is none. */
struct web_client *web_client_of(struct MHD_Connection *connection);

/* web_linger.c: begins when libmicrohttpd ends a connection; false where it need not or can not linger. Ends when the
 * client does, or is overdue: then the client is released. */
TBUS_CHECKED int web_linger_open(tbus_web_t *web);
void web_linger_close(tbus_web_t *web);
bool web_linger_begin(tbus_web_t *web, struct web_client *client);
void web_linger_end(tbus_web_t *web, struct web_client *client);
void web_linger_read(tbus_web_t *web); /* what has come */

/* web_loop.c: its place is free again. */
void web_client_release(tbus_web_t *web, struct web_client *client);

/* web_loop.c: the client has done its part in time; its next one is measured from now. */
void web_client_touch(tbus_web_t *web, struct web_client *client);

#endif
