#include <math.h>
#include <string.h>

#include "tools/host_client.h"
#include "tools/host_load.h"
#include "tools/host_server.h"

enum { TICK_MS = 5, ACTIVE_MAX = 2000, READ_BYTES = 65536 };

struct client {
    struct host_load *load;
    struct client *before, *after; /* in the list of those under way */
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    uint32_t hangs_up_at; /* pieces; 0 = it does not */
    bool is_over;
    struct host_answer answer;
    size_t request_length;
    char request[HOST_CLIENT_REQUEST_BYTES];
};

struct host_load {
    const struct host *host;
    struct host_load_options options;
    struct host_load_counts counts;
    struct sockaddr_storage address;
    uv_thread_t thread;
    _Atomic bool is_paused, is_stopped, is_closing;
    _Atomic uint64_t active;
    /* the thread's own */
    uv_loop_t loop;
    uv_timer_t timer;
    struct client *clients;
    uint64_t random;
    uint64_t due_hr; /* when the next one comes */
    char room[READ_BYTES];
};

/* --- One client --- */

static void count_answer(struct host_load *load, const struct client *client)
{
    struct host_load_counts *counts = &load->counts;
    const struct host_answer *answer = &client->answer;
    if (!answer->is_whole)
        atomic_fetch_add(answer->status == 200 && answer->is_stream ? &counts->streams_broken : &counts->lost, 1);
    else if (answer->status >= 500)
        atomic_fetch_add(&counts->failed, 1);
    else if (answer->status >= 400)
        atomic_fetch_add(&counts->refused, 1);
    else if (answer->is_stream && !answer->has_ended)
        atomic_fetch_add(&counts->streams_broken, 1);
    else
        atomic_fetch_add(answer->is_stream ? &counts->streams_done : &counts->done, 1);
    if (answer->status == 429)
        atomic_fetch_add(&counts->over_budget, 1);
    if (!answer->is_whole || answer->status != 200 || answer->is_stream != answer->has_ended)
        return;
    atomic_fetch_add(&counts->prompt_tokens, answer->prompt_tokens);
    atomic_fetch_add(&counts->completion_tokens, answer->completion_tokens);
    atomic_fetch_add(&counts->disagreed, answer->is_stream && answer->pieces != answer->completion_tokens);
}

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct host_load *load = client->load;
    if (client->before)
        client->before->after = client->after;
    else
        load->clients = client->after;
    if (client->after)
        client->after->before = client->before;
    tbus_mem_free(client);
    atomic_fetch_sub(&load->active, 1);
}

/* The client resets its connection, having read all that it wants: so none lingers. */
static void end_client(struct client *client, bool hangs_up)
{
    if (client->is_over)
        return;
    client->is_over = true;
    if (hangs_up)
        atomic_fetch_add(&client->load->counts.hung_up, 1);
    else
        count_answer(client->load, client);
    if (uv_tcp_close_reset(&client->socket, on_closed) != 0)
        uv_close((uv_handle_t *)&client->socket, on_closed);
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    struct client *client = handle->data;
    (void)wanted;
    *ret = uv_buf_init(client->load->room, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct client *client = stream->data;
    if (length < 0) {
        end_client(client, false);
        return;
    }
    if (!host_answer_read(&client->answer, buffer->base, (size_t)length) || client->answer.is_whole)
        end_client(client, false);
    else if (client->hangs_up_at > 0 && client->answer.pieces >= client->hangs_up_at)
        end_client(client, true);
}

static void on_written(uv_write_t *write, int status)
{
    struct client *client = write->handle->data;
    if (status != 0 && status != UV_ECANCELED)
        end_client(client, false);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct client *client = connect->handle->data;
    uv_stream_t *stream = (uv_stream_t *)&client->socket;
    const uv_buf_t request = uv_buf_init(client->request, (unsigned)client->request_length);
    if (status == UV_ECANCELED)
        return;
    if (status == 0)
        status = uv_write(&client->write, stream, &request, 1, on_written);
    if (status == 0)
        status = uv_read_start(stream, on_room, on_read);
    if (status != 0)
        end_client(client, false);
}

/* --- The stream of clients --- */

static uint64_t next_random(struct host_load *load)
{
    return load->random = host_mix(load->random);
}

static enum host_client_fault next_fault(struct host_load *load)
{
    const struct host_load_options *options = &load->options;
    uint64_t dice = next_random(load) % 1000;
    if (dice < options->hang_ups)
        return HOST_CLIENT_HANGS_UP;
    dice -= options->hang_ups;
    if (dice < options->broken)
        return HOST_CLIENT_BROKEN;
    return dice - options->broken < options->strangers ? HOST_CLIENT_STRANGER : HOST_CLIENT_GOOD;
}

static void send_one(struct host_load *load)
{
    struct client *client = atomic_load(&load->active) < ACTIVE_MAX ? tbus_mem_alloc(sizeof *client) : NULL;
    if (!client || uv_tcp_init(&load->loop, &client->socket) != 0) {
        tbus_mem_free(client);
        atomic_fetch_add(&load->counts.skipped, 1);
        return;
    }
    enum host_client_fault fault = next_fault(load);
    client->load = load;
    client->socket.data = client;
    client->hangs_up_at = fault == HOST_CLIENT_HANGS_UP ? 1 + (uint32_t)(next_random(load) % 5) : 0;
    client->request_length = host_client_request(client->request, &load->host->keys, fault, next_random(load));
    client->after = load->clients;
    if (client->after)
        client->after->before = client;
    load->clients = client;
    atomic_fetch_add(&load->active, 1);
    atomic_fetch_add(&load->counts.sent, 1);
    if (uv_tcp_connect(&client->connect, &client->socket, (const struct sockaddr *)&load->address, on_connected) != 0)
        end_client(client, false);
}

static void cut_off(struct host_load *load)
{
    for (struct client *client = load->clients; client; client = client->after)
        end_client(client, true);
    uv_timer_stop(&load->timer);
    if (!uv_is_closing((uv_handle_t *)&load->timer))
        uv_close((uv_handle_t *)&load->timer, NULL);
}

static void on_tick(uv_timer_t *timer)
{
    struct host_load *load = timer->data;
    uint64_t now = uv_hrtime();
    if (atomic_load(&load->is_closing)) {
        cut_off(load);
        return;
    }
    if (atomic_load(&load->is_paused) || atomic_load(&load->is_stopped)) {
        load->due_hr = now;
        return;
    }
    while (load->due_hr <= now) {
        double unit = (double)((next_random(load) >> 11) + 1) * 0x1p-53;
        send_one(load);
        load->due_hr += (uint64_t)(-log(unit) / load->options.rps * 1e9);
    }
}

static void run(void *user)
{
    struct host_load *load = user;
    uv_run(&load->loop, UV_RUN_DEFAULT);
}

/* --- Opening --- */

static int find_address(struct host_load *load)
{
    const char *address = load->host->options->listen.address;
    uint16_t port = host_server_port(load->host->server);
    if (!*address || strcmp(address, "0.0.0.0") == 0)
        address = "127.0.0.1";
    else if (strcmp(address, "::") == 0)
        address = "::1"; /* the server listens there for IPv6 alone */
    return uv_ip4_addr(address, port, (struct sockaddr_in *)&load->address) == 0
               ? 0
               : uv_ip6_addr(address, port, (struct sockaddr_in6 *)&load->address);
}

static int start(struct host_load *load)
{
    int error = find_address(load);
    if (!error)
        error = uv_loop_init(&load->loop);
    if (error)
        return error;
    error = uv_timer_init(&load->loop, &load->timer);
    load->timer.data = load;
    if (!error)
        error = uv_timer_start(&load->timer, on_tick, TICK_MS, TICK_MS);
    if (!error)
        error = uv_thread_create(&load->thread, run, load);
    if (error) {
        uv_close((uv_handle_t *)&load->timer, NULL);
        uv_run(&load->loop, UV_RUN_DEFAULT);
        uv_loop_close(&load->loop);
    }
    return error;
}

int host_load_open(const struct host *host, const struct host_load_options *options, struct host_load **ret)
{
    struct host_load *load = tbus_mem_alloc(sizeof *load);
    if (!load)
        return UV_ENOMEM;
    load->host = host;
    load->options = *options;
    load->random = host->opened_hr;
    load->due_hr = uv_hrtime();
    int error = start(load);
    if (error)
        tbus_mem_free(load);
    else
        *ret = load;
    return error;
}

const struct host_load_counts *host_load_counts(const struct host_load *load)
{
    return &load->counts;
}

uint64_t host_load_active(const struct host_load *load)
{
    return atomic_load(&load->active);
}

void host_load_pause(struct host_load *load, bool is_paused)
{
    atomic_store(&load->is_paused, is_paused);
}

void host_load_stop(struct host_load *load)
{
    if (load)
        atomic_store(&load->is_stopped, true);
}

void host_load_close(struct host_load *load)
{
    if (!load)
        return;
    atomic_store(&load->is_closing, true);
    uv_thread_join(&load->thread);
    uv_loop_close(&load->loop);
    tbus_mem_free(load);
}
