#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "tools/host_call.h"

/* What a client does not take waits here, where it is seen, and not in the system's buffers, which would take whole
 * answers. But each piece that a small buffer takes waits for the network, and of those a large answer has thousands. */
enum { BUFFER_BYTES = 8192, WIDE_BUFFER_BYTES = 65536 };

static void limit_buffer(int socket, int bytes)
{
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

void host_call_widen(const struct host_call *call)
{
    if (call->out.length > WIDE_BUFFER_BYTES)
        limit_buffer(call->socket, WIDE_BUFFER_BYTES);
}

struct host_call *host_call_new(struct host *host, struct MHD_Connection *connection)
{
    struct host_call *call = tbus_mem_alloc(sizeof *call);
    if (!call)
        return NULL;
    if (uv_mutex_init(&call->mu)) {
        tbus_mem_free(call);
        return NULL;
    }
    call->host = host;
    call->connection = connection;
    call->socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    limit_buffer(call->socket, BUFFER_BYTES);
    call->references = 1;
    call->arrived_ns = tbus_now(host->bus); /* first, so that no token comes before its TTFT */
    call->arrived_hr = uv_hrtime();
    /* Ids are the host's own, never a client's: budgets tell requests apart by them. */
    snprintf(call->id, sizeof call->id, "chatcmpl-%016llx%08llx", (unsigned long long)host->opened_hr,
             (unsigned long long)atomic_fetch_add(&host->next_id, 1));
    return call;
}

void host_call_release(struct host_call *call)
{
    uv_mutex_lock(&call->mu);
    bool is_last = --call->references == 0;
    uv_mutex_unlock(&call->mu);
    if (!is_last)
        return;
    uv_mutex_destroy(&call->mu);
    host_text_free(&call->body);
    host_text_free(&call->out);
    tbus_mem_free(call->input_hashes);
    host_call_give_back(call);
    tbus_mem_free(call);
}

bool host_call_set_aside(struct host_call *call, uint64_t bytes)
{
    call->answer_bytes = bytes;
    return bytes == 0 || atomic_fetch_add(&call->host->answer_bytes, bytes) + bytes <= HOST_BODIES_MAX;
}

void host_call_give_back(struct host_call *call)
{
    atomic_fetch_sub(&call->host->answer_bytes, call->answer_bytes);
    call->answer_bytes = 0;
}

void host_call_wake(struct host_call *call)
{
    if (!call->is_suspended)
        return;
    call->is_suspended = false;
    MHD_resume_connection(call->connection);
}

bool host_call_is_gone(const struct host_call *call)
{
    char byte;
    if (call->is_gone)
        return true;
    ssize_t length = recv(call->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return length == 0 || (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}
