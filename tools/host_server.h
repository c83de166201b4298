/* The HTTP side of the demonstration host. */
#ifndef TOOLS_HOST_SERVER_H
#define TOOLS_HOST_SERVER_H

#include "tools/host.h"

/* Listens at an address (no name) and a port (0 = a free one), until it is closed. Once the host is closing, new
 * connections are closed at once, and requests of those that are there refused. Errors: UV_EINVAL, UV_ENOMEM, the
 * system's. */
int host_server_open(struct host *host, const char *address, uint16_t port, struct host_server **ret);
uint16_t host_server_port(const struct host_server *server);
uint64_t host_server_calls(struct host_server *server); /* whole requests whose answers are not sent yet */
void host_server_close(struct host_server *server);     /* the engine must have nothing under way; NULL is allowed */

#endif
