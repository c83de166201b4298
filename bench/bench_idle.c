/* What clients of the web server that do nothing cost the bus: the time from publishing to the handler. */
#include <arpa/inet.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tallybus.h>

#include "bench/harness.h"

enum { IDLE = 1000, SPARE_DESCRIPTORS = 100, SETTLE_NS = 100000, EVENTS_MAX = 2000 };

struct idle_bench {
    tbus_t *bus;
    tbus_web_t *web;
    int clients[IDLE];
    _Atomic uint64_t handled_ns; /* 0 = not yet */
};

/* --- Clients --- */

/* Both ends of each connection are this process's. */
static void raise_limit(void)
{
    struct rlimit limit;
    const rlim_t wanted = 2 * IDLE + SPARE_DESCRIPTORS;
    bench_require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    if (limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    bench_require(setrlimit(RLIMIT_NOFILE, &limit) == 0, "2,100 descriptors (ulimit -n)");
}

static int connect_client(const struct idle_bench *bench)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(tbus_web_port(bench->web)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    bench_require(client >= 0 && connect(client, (const struct sockaddr *)&to, sizeof to) == 0, "connect");
    return client;
}

/* A whole exchange: whoever connected, or closed, before it is known to the server behind it. */
static void exchange(const struct idle_bench *bench)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char reply[4096];
    const int client = connect_client(bench);
    bench_require(send(client, request, sizeof request - 1, 0) == sizeof request - 1, "send");
    bench_require(recv(client, reply, sizeof reply, 0) > 12 && memcmp(reply, "HTTP/1.1 200", 12) == 0, "an exchange");
    close(client);
}

/* Half of them say nothing, half of them begin a request. */
static void connect_idle(struct idle_bench *bench)
{
    for (int i = 0; i < IDLE; i++) {
        bench->clients[i] = connect_client(bench);
        bench_require(i % 2 == 0 || send(bench->clients[i], "GET /hea", 8, 0) == 8, "send");
    }
    exchange(bench);
}

static void close_idle(const struct idle_bench *bench)
{
    for (int i = 0; i < IDLE; i++)
        close(bench->clients[i]);
    exchange(bench);
}

/* --- Events --- */

static int note_time(const tbus_event_t *event, void *user)
{
    struct idle_bench *bench = user;
    (void)event;
    atomic_store_explicit(&bench->handled_ns, uv_hrtime(), memory_order_release);
    return 0;
}

static double publish(struct idle_bench *bench)
{
    uint64_t handled_ns;
    const uint64_t settled_ns = uv_hrtime() + SETTLE_NS; /* the bus's loop has gone to sleep by then */
    while (uv_hrtime() < settled_ns)
        sched_yield();
    atomic_store(&bench->handled_ns, 0);
    const uint64_t begin_ns = uv_hrtime();
    bench_require(tbus_publish_decode_started(bench->bus, &(tbus_decode_started_t){.base.time_ns = 1}) == 0,
                  "tbus_publish_decode_started");
    while ((handled_ns = atomic_load_explicit(&bench->handled_ns, memory_order_acquire)) == 0)
        sched_yield();
    return (double)(handled_ns - begin_ns) / 1e3;
}

/* The median, in microseconds. */
static double latency(struct idle_bench *bench, uint64_t events)
{
    static double took_us[EVENTS_MAX];
    bench_require(events <= EVENTS_MAX, "room for the events");
    for (uint64_t i = 0; i < events; i++)
        took_us[i] = publish(bench);
    return bench_median(took_us, events);
}

/* --- Benches --- */

static void *open_idle(void)
{
    struct idle_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench != NULL, "calloc");
    raise_limit();
    bench_require(tbus_open(NULL, &bench->bus) == 0, "tbus_open");
    bench_require(tbus_subscribe(bench->bus, "decode.started", 0, note_time, bench) > 0, "tbus_subscribe");
    const tbus_web_options_t options = {.bus = bench->bus,
                                        .connections_max = IDLE + SPARE_DESCRIPTORS,
                                        .connections_per_address_max = IDLE + SPARE_DESCRIPTORS,
                                        .wait_max_ms = 600000};
    bench_require(tbus_web_open(&options, &bench->web) == 0, "tbus_web_open");
    return bench;
}

static double run_latency(void *state, uint64_t operations)
{
    struct idle_bench *bench = state;
    connect_idle(bench);
    const double us = latency(bench, operations);
    close_idle(bench);
    return us;
}

/* Half of those without before the others and half behind, as for web.scrape_cost. */
static double run_cost(void *state, uint64_t operations)
{
    const double before = latency(state, operations / 2);
    const double with_idle = run_latency(state, operations);
    const double after = latency(state, operations / 2);
    return 2 * with_idle / (before + after);
}

static void close_bench(void *state)
{
    struct idle_bench *bench = state;
    tbus_web_close(bench->web);
    bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    free(bench);
}

static const struct bench benches[] = {
    {"web.idle_latency", "us", EVENTS_MAX, open_idle, run_latency, close_bench},
    {"web.idle_cost", "of alone", EVENTS_MAX, open_idle, run_cost, close_bench},
};

/* Built without HTTP there is nothing to measure. */
const struct bench_list idle_benches = {benches, BENCH_WITH_HTTP ? sizeof benches / sizeof *benches : 0,
                                        .takes_turns = false};
