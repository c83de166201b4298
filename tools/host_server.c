/* HTTP: a few threads of libmicrohttpd take requests and send answers. A connection whose answer is not there yet is
 * suspended, and costs nothing until the engine has something for it. */
#include <stdlib.h>
#include <string.h>

#include "tools/host_call.h"
#include "tools/host_server.h"

enum { THREADS = 2, CONNECTIONS_MAX = 4096, IDLE_MAX_S = 30, BLOCK_BYTES = 16384 };

struct host_server {
    struct host *host;
    struct MHD_Daemon *daemon;
    _Atomic uint64_t calls;
    _Atomic uint64_t body_bytes; /* of all that are there */
    uint16_t port;
};

/* --- Answering --- */

/* Hands out what there is of a stream, or waits for more. */
static ssize_t read_stream(void *user, uint64_t at, char *to, size_t room)
{
    struct host_call *call = user;
    ssize_t result = 0;
    (void)at;
    uv_mutex_lock(&call->mu);
    size_t there = call->is_cut_off ? 0 : call->out.length - call->sent;
    if (there > 0) {
        size_t length = there < room ? there : room;
        memcpy(to, call->out.bytes + call->sent, length);
        call->sent += length;
        if (call->sent == call->out.length)
            call->sent = call->out.length = 0;
        result = (ssize_t)length;
    } else if (call->is_over) {
        result =
            call->out.failed || call->is_cut_off ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        call->is_suspended = true;
        MHD_suspend_connection(call->connection);
    }
    uv_mutex_unlock(&call->mu);
    return result;
}

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return !value || MHD_add_response_header(response, name, value) == MHD_YES;
}

/* False without memory. */
static bool add_headers(struct MHD_Response *response, const struct host_call *call, int status, bool is_stream)
{
    char seconds[24] = "";
    const char *allowed = call->endpoint ? "POST" : "GET, HEAD";
    const bool waits = call->retry_after_s > 0;
    if (waits)
        snprintf(seconds, sizeof seconds, "%d", call->retry_after_s);
    return add_header(response, "Content-Type", is_stream ? "text/event-stream" : "application/json") &&
           add_header(response, "X-Request-Id", call->id) &&
           add_header(response, "Cache-Control", is_stream ? "no-cache" : NULL) &&
           add_header(response, "Retry-After", waits ? seconds : NULL) &&
           add_header(response, "X-Should-Retry", waits ? "false" : NULL) && /* its patience does not reach there */
           add_header(response, "WWW-Authenticate", status == MHD_HTTP_UNAUTHORIZED ? "Bearer" : NULL) &&
           add_header(response, "Allow", status == MHD_HTTP_METHOD_NOT_ALLOWED ? allowed : NULL);
}

/* The whole of an answer. Where there was no memory for it, an error that needs none. */
static struct MHD_Response *make_whole(const struct host_call *call)
{
    static char no_details[] = "{\"error\":{\"message\":\"the server ran out of memory\",\"type\":\"server_error\","
                               "\"param\":null,\"code\":\"out_of_memory\"}}";
    return call->out.failed || !call->out.bytes
               ? MHD_create_response_from_buffer(sizeof no_details - 1, no_details, MHD_RESPMEM_PERSISTENT)
               : MHD_create_response_from_buffer(call->out.length, call->out.bytes, MHD_RESPMEM_PERSISTENT);
}

/* Sends the answer; the call lives until libmicrohttpd is done with the request. Not with `mu` held: libmicrohttpd locks
 * a response here, and holds that lock when it reads a stream. What is no stream is over, and changes no more. */
static enum MHD_Result send_answer(struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    int status = call->status;
    bool is_cut_off = call->is_cut_off, is_stream = call->streams && status == MHD_HTTP_OK;
    if (!is_stream && call->out.failed && status < MHD_HTTP_BAD_REQUEST)
        status = MHD_HTTP_INTERNAL_SERVER_ERROR; /* a list of models, of which nothing is told */
    uv_mutex_unlock(&call->mu);
    if (is_cut_off)
        return MHD_NO;
    if (!is_stream)
        host_call_widen(call);
    struct MHD_Response *response =
        is_stream ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, call, NULL)
                  : make_whole(call);
    if (!response)
        return MHD_NO;
    enum MHD_Result result = add_headers(response, call, status, is_stream)
                                 ? MHD_queue_response(call->connection, (unsigned)status, response)
                                 : MHD_NO;
    MHD_destroy_response(response);
    return result;
}

/* Hands the call to the engine, and lets the connection wait for it; false without memory. */
static bool submit(struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    bool is_taken = host_engine_submit(call->host->engine, call);
    if (is_taken) {
        call->is_suspended = true;
        MHD_suspend_connection(call->connection);
    }
    uv_mutex_unlock(&call->mu);
    return is_taken;
}

/* What was read is not kept while the answer is made, nor counted. */
static void forget_body(struct host_server *server, struct host_call *call)
{
    host_text_free(&call->body);
    atomic_fetch_sub(&server->body_bytes, call->kept);
    call->kept = 0;
}

/* The body is there, or is not wanted. */
static enum MHD_Result begin(struct host_server *server, struct host_call *call, const char *method, const char *path)
{
    static const struct host_failure not_taken = {503, "server_error", "overloaded"};
    static const char message[] = "the server has no room for this, or is shutting down";
    call->is_whole = true;
    atomic_fetch_add(&server->calls, 1);
    bool is_admitted = host_route(call, method, path);
    forget_body(server, call);
    if (is_admitted) {
        if (submit(call))
            return MHD_YES;
        host_tell_failed(call, &not_taken, message);
        host_reply_error(call, &not_taken, message);
    }
    return send_answer(call);
}

/* --- What libmicrohttpd calls --- */

static enum MHD_Result on_begin(struct host_server *server, struct MHD_Connection *connection, const char *method,
                                const char *path, void **ret_call)
{
    struct host_call *call = host_call_new(server->host, connection);
    if (!call)
        return MHD_NO;
    *ret_call = call;
    const char *told = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long length = told ? strtoull(told, NULL, 10) : 0;
    bool asks_first = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) != NULL;
    call->key = host_keys_find(&server->host->keys,
                               MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION));
    call->is_too_large = length > HOST_BODY_MAX;
    bool is_wanted = call->key && !call->is_too_large;
    return length > HOST_BODY_READ_MAX || (asks_first && !is_wanted) ? begin(server, call, method, path) : MHD_YES;
}

/* A body that is not wanted is read to its end all the same, and dropped: a connection that is closed with bytes unread
 * is reset, and then a client that sends before it reads never sees the answer. A body without a length that goes on
 * and on is not waited for. */
static enum MHD_Result take_body(struct host_server *server, struct host_call *call, const char *bytes, size_t length)
{
    call->received += length;
    call->is_too_large |= call->received > HOST_BODY_MAX;
    if (call->received > HOST_BODY_READ_MAX)
        return MHD_NO;
    if (!call->key || call->is_too_large || call->has_no_room) {
        forget_body(server, call);
    } else {
        call->kept += length;
        call->has_no_room = atomic_fetch_add(&server->body_bytes, length) + length > HOST_BODIES_MAX;
        host_text_add(&call->body, bytes, length);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_bytes, void **ret_call)
{
    struct host_server *server = user;
    struct host_call *call = *ret_call;
    (void)version;
    if (!call)
        return on_begin(server, connection, method, path, ret_call);
    if (*upload_bytes > 0) {
        size_t length = *upload_bytes;
        *upload_bytes = 0;
        return take_body(server, call, upload, length);
    }
    uv_mutex_lock(&call->mu);
    bool is_resumed = call->is_submitted;
    uv_mutex_unlock(&call->mu);
    return is_resumed ? send_answer(call) : begin(server, call, method, path);
}

static void on_end(void *user, struct MHD_Connection *connection, void **ret_call, enum MHD_RequestTerminationCode code)
{
    struct host_server *server = user;
    struct host_call *call = *ret_call;
    (void)connection;
    (void)code;
    if (!call)
        return;
    *ret_call = NULL;
    forget_body(server, call);
    uv_mutex_lock(&call->mu);
    call->is_gone = true;
    uv_mutex_unlock(&call->mu);
    if (call->is_whole)
        atomic_fetch_sub(&server->calls, 1);
    host_call_release(call);
}

/* --- Opening --- */

/* The address stays the host's until its last answer is sent; who comes meanwhile is turned away. The listener itself is
 * not given up before the daemon ends: MHD_quiesce_daemon() races with the threads of a pool that wait for it, and the
 * one that is too late aborts the process. */
static enum MHD_Result on_connection(void *user, const struct sockaddr *address, socklen_t bytes)
{
    const struct host_server *server = user;
    (void)address;
    (void)bytes;
    return atomic_load(&server->host->is_closing) ? MHD_NO : MHD_YES;
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int start(struct host_server *server, const union address *address)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     (address->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    errno = 0;
    server->daemon =
        MHD_start_daemon(flags, 0, on_connection, server, on_request, server, MHD_OPTION_SOCK_ADDR, &address->any,
                         MHD_OPTION_NOTIFY_COMPLETED, on_end, server, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)IDLE_MAX_S, MHD_OPTION_END);
    if (!server->daemon)
        return errno ? uv_translate_sys_error(errno) : UV_EADDRINUSE;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info ? info->port : 0;
    return 0;
}

int host_server_open(struct host *host, const char *address, uint16_t port, struct host_server **ret)
{
    union address where;
    memset(&where, 0, sizeof where);
    if (uv_ip4_addr(address, port, &where.v4) != 0 && uv_ip6_addr(address, port, &where.v6) != 0)
        return UV_EINVAL;
    struct host_server *server = tbus_mem_alloc(sizeof *server);
    if (!server)
        return UV_ENOMEM;
    server->host = host;
    int error = start(server, &where);
    if (error)
        tbus_mem_free(server);
    else
        *ret = server;
    return error;
}

uint16_t host_server_port(const struct host_server *server)
{
    return server->port;
}

uint64_t host_server_calls(struct host_server *server)
{
    return atomic_load(&server->calls);
}

void host_server_close(struct host_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    tbus_mem_free(server);
}
