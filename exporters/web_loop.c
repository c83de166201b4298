/* The server's thread: connections, their deadlines, and how it starts and ends.
 *
 * Every client has as long for its part as any other, so that the list by deadline is a queue: whoever has done its
 * part goes to its end. A connection past its deadline is shut down, upon which libmicrohttpd finds it closed by its
 * peer and lets go of it. libmicrohttpd's own timeout would not do: it begins anew with every byte. */
#define _GNU_SOURCE 1 /* accept4() */

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "bus/thread.h"
#include "exporters/web_server.h"

#define NS_PER_MS UINT64_C(1000000)
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS) /* when the system has no descriptor left */

enum { ACCEPTED_AT_ONCE = 64 };

/* What a connection has for a request, for libmicrohttpd's entries of its headers and cookies (56 bytes each), and for
 * the head of the reply. */
enum { HEADER_ENTRY_BYTES = 64, SPARE_BYTES = 4096 };
enum { CONNECTION_BYTES = TBUS_WEB_REQUEST_MAX + TBUS_WEB_HEADERS_MAX * HEADER_ENTRY_BYTES + SPARE_BYTES };

/* --- Clients --- */

struct web_client *web_client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void unlist(tbus_web_t *web, struct web_client *client)
{
    *(client->before ? &client->before->after : &web->first) = client->after;
    *(client->after ? &client->after->before : &web->last) = client->before;
    client->before = client->after = NULL;
}

static void enlist(tbus_web_t *web, struct web_client *client)
{
    client->deadline_ns = uv_hrtime() + web->wait_max_ns;
    client->before = web->last;
    client->after = NULL;
    *(web->last ? &web->last->after : &web->first) = client;
    web->last = client;
}

void web_client_touch(tbus_web_t *web, struct web_client *client)
{
    if (client->is_cut)
        return;
    unlist(web, client);
    enlist(web, client);
}

void web_client_release(tbus_web_t *web, struct web_client *client)
{
    if (!client->is_cut)
        unlist(web, client);
    client->socket = -1;
    client->after = web->free_clients;
    web->free_clients = client;
}

static void cut_overdue(tbus_web_t *web)
{
    uint64_t now = uv_hrtime();
    while (web->first && web->first->deadline_ns <= now) {
        struct web_client *client = web->first;
        if (client->is_lingering) {
            web_linger_end(web, client);
            continue;
        }
        unlist(web, client);
        client->is_cut = true;
        (void)shutdown(client->socket, SHUT_RDWR);
    }
}

/* The address that connections are counted by. */
static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

/* Connections that are cut and not yet closed do not count: they are gone within this turn of the loop. */
static uint32_t clients_from(const tbus_web_t *web, const struct sockaddr_storage *address)
{
    uint32_t count = 0;
    for (const struct web_client *client = web->first; client; client = client->after)
        count += same_address(&client->address, address);
    return count;
}

/* --- Accepting --- */

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    tbus_web_t *web = cls;
    (void)connection; /* looked at by the assertion alone */
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = web->last; /* hand_over() has just put it there */
        assert(web->last &&
               web->last->socket == MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    } else if (*context) {
        struct web_client *client = *context;
        *context = NULL;
        /* It ends requests of too many cookies so: its own refusal found no place, and no callback told of the end. */
        if (client->is_asking && !client->is_cut)
            web_request_answer_bare(client);
        if (client->is_cut || !web_linger_begin(web, client))
            web_client_release(web, client);
    }
}

/* Gives the connection to libmicrohttpd, which closes it in any case. */
static void hand_over(tbus_web_t *web, int socket, const struct sockaddr_storage *address, socklen_t bytes)
{
    struct web_client *client = web->free_clients;
    web->free_clients = client->after;
    client->socket = socket;
    client->address = *address;
    client->is_cut = client->is_asking = false;
    enlist(web, client);
    if (MHD_add_connection(web->daemon, socket, (const struct sockaddr *)address, bytes) != MHD_YES &&
        client->socket == socket) /* where it got as far as to tell us, it has told of the end, too */
        web_client_release(web, client);
}

static void accept_one(tbus_web_t *web, int socket, const struct sockaddr_storage *address, socklen_t bytes)
{
    if (clients_from(web, address) >= web->clients_per_address_max)
        close(socket);
    else
        hand_over(web, socket, address, bytes);
}

static bool no_descriptor_left(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void accept_waiting(tbus_web_t *web)
{
    for (int i = 0; i < ACCEPTED_AT_ONCE && web->free_clients; i++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t bytes = sizeof address;
        int socket = accept4(web->listener_socket, (struct sockaddr *)&address, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            accept_one(web, socket, &address, bytes);
        } else if (no_descriptor_left(errno)) {
            web->accept_again_ns = uv_hrtime() + ACCEPT_PAUSE_NS;
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* --- The loop --- */

static void on_listener(uv_poll_t *listener, int status, int events);
static void on_timer(uv_timer_t *timer);

/* Accepts while there is a place, and while the system has descriptors. */
static void watch_listener(tbus_web_t *web)
{
    bool wanted = web->free_clients && web->accept_again_ns == 0;
    if (wanted && !uv_is_active((uv_handle_t *)&web->listener))
        uv_poll_start(&web->listener, UV_READABLE, on_listener);
    else if (!wanted)
        uv_poll_stop(&web->listener);
}

static void watch_time(tbus_web_t *web)
{
    MHD_UNSIGNED_LONG_LONG ms;
    uint64_t now = uv_hrtime(), next = web->first ? web->first->deadline_ns : UINT64_MAX;
    if (web->accept_again_ns && web->accept_again_ns < next)
        next = web->accept_again_ns;
    if (MHD_get_timeout(web->daemon, &ms) == MHD_YES && ms * NS_PER_MS < next - (now < next ? now : next))
        next = now + ms * NS_PER_MS;
    if (next == UINT64_MAX) {
        uv_timer_stop(&web->timer);
        return;
    }
    uv_update_time(&web->loop);
    uv_timer_start(&web->timer, on_timer, next > now ? (next - now + NS_PER_MS - 1) / NS_PER_MS : 0, 0);
}

static void take_turn(tbus_web_t *web)
{
    web->turns++;
    cut_overdue(web);
    (void)MHD_run(web->daemon);
    if (web->accept_again_ns && web->accept_again_ns <= uv_hrtime())
        web->accept_again_ns = 0;
    watch_listener(web);
    watch_time(web);
}

static void on_listener(uv_poll_t *listener, int status, int events)
{
    tbus_web_t *web = listener->data;
    (void)status;
    (void)events;
    accept_waiting(web);
    take_turn(web);
}

static void on_traffic(uv_poll_t *traffic, int status, int events)
{
    (void)status;
    (void)events;
    take_turn(traffic->data);
}

static void on_lingering(uv_poll_t *lingering, int status, int events)
{
    (void)status;
    (void)events;
    web_linger_read(lingering->data);
    take_turn(lingering->data);
}

static void on_timer(uv_timer_t *timer)
{
    take_turn(timer->data);
}

static void close_handles(tbus_web_t *web)
{
    uv_close((uv_handle_t *)&web->stop, NULL);
    uv_close((uv_handle_t *)&web->listener, NULL);
    uv_close((uv_handle_t *)&web->traffic, NULL);
    uv_close((uv_handle_t *)&web->lingering, NULL);
    uv_close((uv_handle_t *)&web->timer, NULL);
}

static void on_stop(uv_async_t *stop)
{
    close_handles(stop->data);
}

/* --- Its life --- */

static void on_completed(void *cls, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct web_client *client = web_client_of(connection);
    (void)request;
    if (!client)
        return;
    client->is_asking = false;
    /* Its head was to be built in this turn, and did not fit into what the request left of the connection's memory. (Or
     * the client is gone already, and sending fails.) Later ones have begun to be sent. */
    if (code == MHD_REQUEST_TERMINATED_WITH_ERROR && client->answered == ((tbus_web_t *)cls)->turns)
        web_request_answer_bare(client);
    web_client_touch(cls, client);
}

/* It decodes nothing: that is ours to do, from the URL as it came. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(tbus_web_t *web)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, web_request_answer, web,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)web->clients_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            (size_t)CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
                            web_request_on_url, web, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, web, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
                            web, MHD_OPTION_END);
}

static void run(void *argument)
{
    tbus_web_t *web = argument;
    uv_run(&web->loop, UV_RUN_DEFAULT);
    web_linger_close(web);
    MHD_stop_daemon(web->daemon); /* every client is released meanwhile */
}

/* Errors: UV_ENOTSUP, libuv's; what has been opened by then is closing. */
static int open_handles(tbus_web_t *web)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return UV_ENOTSUP;
    const struct {
        uv_poll_t *poll;
        int descriptor;
        uv_poll_cb on_readable;
    } polls[] = {{&web->listener, web->listener_socket, on_listener},
                 {&web->traffic, info->epoll_fd, on_traffic},
                 {&web->lingering, web->lingering_epoll, on_lingering}};
    size_t opened = 0;
    int error = uv_async_init(&web->loop, &web->stop, on_stop);
    if (error)
        return error;
    for (; opened < sizeof polls / sizeof *polls && error == 0; opened += error == 0)
        error = uv_poll_init(&web->loop, polls[opened].poll, polls[opened].descriptor);
    if (error) {
        uv_close((uv_handle_t *)&web->stop, NULL);
        while (opened-- > 0)
            uv_close((uv_handle_t *)polls[opened].poll, NULL);
        return error;
    }
    uv_timer_init(&web->loop, &web->timer);
    web->stop.data = web->timer.data = web;
    for (size_t i = 0; i < opened; i++) {
        polls[i].poll->data = web;
        uv_poll_start(polls[i].poll, UV_READABLE, polls[i].on_readable);
    }
    return 0;
}

static int open_loop(tbus_web_t *web)
{
    int error = uv_loop_init(&web->loop);
    if (error)
        return error;
    error = open_handles(web);
    if (error == 0) {
        error = thread_create(&web->thread, run, web);
        if (error == 0)
            return 0;
        close_handles(web);
    }
    uv_run(&web->loop, UV_RUN_DEFAULT); /* once, so that the handles get closed */
    uv_loop_close(&web->loop);
    return error;
}

int web_loop_open(tbus_web_t *web)
{
    int error = MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES ? web_linger_open(web) : UV_ENOTSUP;
    if (error == 0) {
        web->daemon = start_daemon(web);
        error = web->daemon ? open_loop(web) : UV_ENOMEM;
        if (error)
            web_linger_close(web);
    }
    if (error && web->daemon)
        MHD_stop_daemon(web->daemon);
    if (error)
        close(web->listener_socket);
    return error;
}

void web_loop_close(tbus_web_t *web)
{
    uv_async_send(&web->stop);
    uv_thread_join(&web->thread);
    int error = uv_loop_close(&web->loop);
    assert(error == 0);
    (void)error;
    close(web->listener_socket);
}
