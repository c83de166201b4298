#define _GNU_SOURCE 1 /* SOCK_CLOEXEC, SOCK_NONBLOCK */

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "exporters/web_server.h"

enum { BACKLOG = 128 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int read_address(const char *text, uint16_t port, union address *ret, socklen_t *ret_bytes)
{
    *ret_bytes = sizeof ret->v4;
    if (uv_ip4_addr(text, port, &ret->v4) == 0)
        return 0;
    *ret_bytes = sizeof ret->v6;
    return uv_ip6_addr(text, port, &ret->v6) == 0 ? 0 : UV_EINVAL;
}

static bool is_loopback(const union address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *v6 = &address->v6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static int listen_at(int listener, const union address *address, socklen_t bytes, uint16_t *ret_port)
{
    const int on = 1;
    union address bound;
    socklen_t bound_bytes = sizeof bound;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, &address->any, bytes) != 0 || listen(listener, BACKLOG) != 0 ||
        getsockname(listener, &bound.any, &bound_bytes) != 0)
        return uv_translate_sys_error(errno);
    *ret_port = ntohs(bound.any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
    return 0;
}

int web_listen(const char *address, uint16_t port, int *ret_socket, uint16_t *ret_port, bool *ret_is_loopback)
{
    union address wanted;
    socklen_t bytes;
    int error = read_address(address, port, &wanted, &bytes);
    if (error)
        return error;
    int listener = socket(wanted.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return uv_translate_sys_error(errno);
    error = listen_at(listener, &wanted, bytes, ret_port);
    if (error) {
        close(listener);
        return error;
    }
    *ret_socket = listener;
    *ret_is_loopback = is_loopback(&wanted);
    return 0;
}
