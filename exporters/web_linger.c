/* Connections that the server ends, until the client has ended them as well. Closed while bytes of the client are not
 * read yet, or are still to come, a socket is reset, and a reset overtakes the reply: a client that sends a long body
 * would find its connection broken, and not the 405. So what still comes is read and thrown away, until the client
 * closes its side or its time is over.
 *
 * libmicrohttpd closes its socket in any case, so that a second descriptor of it is kept. Where there is none, it is
 * closed at once. */
#define _GNU_SOURCE 1 /* F_DUPFD_CLOEXEC */

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "exporters/web_server.h"

enum { AT_ONCE = 16, BYTES_AT_ONCE = 16384 };

int web_linger_open(tbus_web_t *web)
{
    web->lingering_epoll = epoll_create1(EPOLL_CLOEXEC);
    return web->lingering_epoll < 0 ? uv_translate_sys_error(errno) : 0;
}

/* Whether the client may send more; what there is stays. */
static bool may_send_more(int socket)
{
    char byte;
    ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool web_linger_begin(tbus_web_t *web, struct web_client *client)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (web->lingering_epoll < 0 || !may_send_more(client->socket))
        return false;
    int kept = fcntl(client->socket, F_DUPFD_CLOEXEC, 0);
    if (kept < 0)
        return false;
    if (epoll_ctl(web->lingering_epoll, EPOLL_CTL_ADD, kept, &event) != 0) {
        close(kept);
        return false;
    }
    (void)shutdown(kept, SHUT_WR);
    client->socket = kept;
    client->is_lingering = true;
    web_client_touch(web, client);
    return true;
}

void web_linger_end(tbus_web_t *web, struct web_client *client)
{
    struct epoll_event ignored = {0};
    /* Closing takes it out of the set only where no other process has it, too. */
    (void)epoll_ctl(web->lingering_epoll, EPOLL_CTL_DEL, client->socket, &ignored);
    close(client->socket);
    client->is_lingering = false;
    web_client_release(web, client);
}

/* One piece each, so that nobody takes all of the time. */
void web_linger_read(tbus_web_t *web)
{
    struct epoll_event events[AT_ONCE];
    char bytes[BYTES_AT_ONCE];
    int count = epoll_wait(web->lingering_epoll, events, AT_ONCE, 0);
    for (int i = 0; i < count; i++) {
        struct web_client *client = events[i].data.ptr;
        ssize_t got = recv(client->socket, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            web_linger_end(web, client);
    }
}

void web_linger_close(tbus_web_t *web)
{
    for (struct web_client *client = web->first, *next; client; client = next) {
        next = client->after;
        if (client->is_lingering)
            web_linger_end(web, client);
    }
    close(web->lingering_epoll);
    web->lingering_epoll = -1;
}
