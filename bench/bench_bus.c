/* The bus: what publishing costs the publisher, and how many events a second get through. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include <tallybus.h>

#include "bench/bare_ring.h"
#include "bench/harness.h"

enum { BURST = 8192, STREAMS = 100, PRODUCERS_MAX = 2, ID_BYTES = 37 };

#define BEGIN_NS INT64_C(1767258000000000000)
#define GAP_NS 10000

static char stream_ids[STREAMS][ID_BYTES];

static void make_ids(void)
{
    for (unsigned i = 0; i < STREAMS; i++)
        snprintf(stream_ids[i], ID_BYTES, "5f0c7a52-9d1e-4b0b-8a36-%012u", i);
}

static double millions_a_second(uint64_t begin_ns, uint64_t end_ns, uint64_t operations)
{
    return (double)operations * 1e3 / (double)(end_ns - begin_ns);
}

/* The event of all these benches: a token of a stream, its time given. The `i`-th of its producer. */
static tbus_stream_token_generated_t token_event(uint64_t i)
{
    return (tbus_stream_token_generated_t){.base = {.time_ns = BEGIN_NS + (int64_t)i * GAP_NS},
                                           .stream_id = stream_ids[i % STREAMS],
                                           .token = " token",
                                           .sequence_number = (int64_t)(i / STREAMS) + 1};
}

/* --- publish: bursts that fit the queue; the loop, which this thread runs itself, drains between them --- */

struct publish_bench {
    uv_loop_t loop;
    tbus_t *bus;
};

static void drain(struct publish_bench *bench)
{
    tbus_stats_t stats;
    do {
        uv_run(&bench->loop, UV_RUN_NOWAIT);
        bench_require(tbus_stats(bench->bus, &stats) == 0, "tbus_stats");
    } while (stats.queued_events);
}

static void *open_publish(void)
{
    static struct publish_bench bench;
    make_ids();
    bench_require(uv_loop_init(&bench.loop) == 0, "uv_loop_init");
    bench_require(tbus_open(&(tbus_options_t){.loop = &bench.loop}, &bench.bus) == 0, "tbus_open");
    return &bench;
}

static double run_publish(void *state, uint64_t operations)
{
    struct publish_bench *bench = state;
    const uint64_t bursts = operations / BURST + 1;
    uint64_t spent_ns = 0;
    for (uint64_t burst = 0; burst < bursts; burst++) {
        int failures = 0;
        const uint64_t begin_ns = uv_hrtime();
        for (uint64_t i = 0; i < BURST; i++) {
            const tbus_stream_token_generated_t event = token_event(i);
            failures += tbus_publish_stream_token_generated(bench->bus, &event) != 0;
        }
        spent_ns += uv_hrtime() - begin_ns;
        bench_require(failures == 0, "publishing a burst that fits the queue");
        drain(bench);
    }
    return (double)spent_ns / (double)(bursts * BURST);
}

static void when_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    (void)bus;
    (void)report;
    *(bool *)user = true;
}

static void close_publish(void *state)
{
    struct publish_bench *bench = state;
    bool closed = false;
    bench_require(tbus_close(bench->bus, 1000, when_closed, &closed) == 0, "tbus_close");
    while (!closed)
        uv_run(&bench->loop, UV_RUN_ONCE);
    bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    bench_require(uv_loop_close(&bench->loop) == 0, "uv_loop_close");
}

/* --- end to end: producers of their own, the bus's thread, until the last event has been handled --- */

struct e2e_bench {
    tbus_t *bus;
    tbus_streaming_t *streaming;
    unsigned producers;
};

struct producer {
    uv_thread_t thread;
    uv_barrier_t *start;
    const struct e2e_bench *bench;
    unsigned number;
    uint64_t events;
};

static int do_nothing(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    return 0;
}

static int pin_loop_thread(const tbus_event_t *event, void *user)
{
    const struct e2e_bench *bench = user;
    (void)event;
    bench_pin(0, bench->producers + 1);
    return 0;
}

static uint64_t delivered(const tbus_t *bus)
{
    tbus_stats_t stats;
    bench_require(tbus_stats(bus, &stats) == 0, "tbus_stats");
    return stats.delivered;
}

static struct e2e_bench *open_e2e(unsigned producers)
{
    static struct e2e_bench bench;
    make_ids();
    bench = (struct e2e_bench){.producers = producers};
    bench_require(tbus_open(NULL, &bench.bus) == 0, "tbus_open");
    bench_require(tbus_subscribe(bench.bus, "decode.started", 0, pin_loop_thread, &bench) > 0, "tbus_subscribe");
    bench_require(tbus_publish_decode_started(bench.bus, &(tbus_decode_started_t){0}) == 0, "tbus_publish");
    while (delivered(bench.bus) == 0)
        sched_yield();
    return &bench;
}

static void *open_e2e_noop(unsigned producers)
{
    struct e2e_bench *bench = open_e2e(producers);
    bench_require(tbus_subscribe(bench->bus, "stream.token_generated", 0, do_nothing, NULL) > 0, "tbus_subscribe");
    return bench;
}

static void *open_e2e_1p(void)
{
    return open_e2e_noop(1);
}

static void *open_e2e_2p(void)
{
    return open_e2e_noop(2);
}

static void *open_to_streaming(void)
{
    struct e2e_bench *bench = open_e2e(1);
    bench_require(tbus_streaming_open(NULL, &bench->streaming) == 0, "tbus_streaming_open");
    for (unsigned i = 0; i < STREAMS; i++)
        bench_require(tbus_streaming_record_start(bench->streaming, stream_ids[i], "gpt-4o", BEGIN_NS) == 0,
                      "tbus_streaming_record_start");
    bench_require(tbus_streaming_attach(bench->streaming, bench->bus) > 0, "tbus_streaming_attach");
    return bench;
}

static void produce(void *argument)
{
    struct producer *producer = argument;
    tbus_t *bus = producer->bench->bus;
    bench_pin(producer->number + 1, producer->bench->producers + 1);
    uv_barrier_wait(producer->start);
    for (uint64_t i = 0; i < producer->events; i++) {
        const tbus_stream_token_generated_t event = token_event(i);
        int error;
        while ((error = tbus_publish_stream_token_generated(bus, &event)) == UV_ENOBUFS)
            sched_yield();
        if (error)
            bench_require(false, "tbus_publish_stream_token_generated");
    }
}

static double run_e2e(void *state, uint64_t operations)
{
    const struct e2e_bench *bench = state;
    struct producer producers[PRODUCERS_MAX];
    uv_barrier_t start;
    const uint64_t events = operations / bench->producers;
    const uint64_t target = delivered(bench->bus) + events * bench->producers;

    bench_require(uv_barrier_init(&start, bench->producers + 1) == 0, "uv_barrier_init");
    for (unsigned i = 0; i < bench->producers; i++) {
        producers[i] = (struct producer){.start = &start, .bench = bench, .number = i, .events = events};
        bench_require(uv_thread_create(&producers[i].thread, produce, &producers[i]) == 0, "uv_thread_create");
    }
    const uint64_t begin_ns = uv_hrtime(); /* before the barrier: a producer may get to work before this thread does */
    uv_barrier_wait(&start);
    for (unsigned i = 0; i < bench->producers; i++)
        uv_thread_join(&producers[i].thread);
    while (delivered(bench->bus) < target)
        sched_yield();
    const uint64_t end_ns = uv_hrtime();
    uv_barrier_destroy(&start);
    return millions_a_second(begin_ns, end_ns, events * bench->producers);
}

static void close_e2e(void *state)
{
    struct e2e_bench *bench = state;
    bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    tbus_streaming_close(bench->streaming);
}

/* --- the limit --- */

struct bare_bench {
    struct bare_ring ring;
    uint64_t events;
    uv_barrier_t start;
};

static void produce_bare(void *argument)
{
    struct bare_bench *bench = argument;
    unsigned char payload[BARE_RING_PAYLOAD] = {0};
    bench_pin(1, 2);
    uv_barrier_wait(&bench->start);
    for (uint64_t i = 0; i < bench->events; i++) {
        memcpy(payload, &i, sizeof i);
        while (!bare_ring_put(&bench->ring, payload))
            sched_yield();
    }
}

static void *open_bare(void)
{
    struct bare_bench *bench = aligned_alloc(128, sizeof *bench);
    if (bench)
        bare_ring_init(&bench->ring);
    return bench;
}

struct bare_consumer {
    struct bare_bench *bench;
    uint64_t begin_ns, end_ns;
};

static void consume_bare(void *argument)
{
    struct bare_consumer *consumer = argument;
    struct bare_bench *bench = consumer->bench;
    unsigned char payload[BARE_RING_PAYLOAD];
    bench_pin(0, 2);
    consumer->begin_ns = uv_hrtime();
    uv_barrier_wait(&bench->start);
    for (uint64_t i = 0; i < bench->events; i++) {
        uint64_t number;
        while (!bare_ring_take(&bench->ring, payload))
            sched_yield();
        memcpy(&number, payload, sizeof number);
        if (number != i)
            bench_require(false, "the bare ring's order");
    }
    consumer->end_ns = uv_hrtime();
}

static double run_bare(void *state, uint64_t operations)
{
    struct bare_bench *bench = state;
    struct bare_consumer consumer = {.bench = bench};
    uv_thread_t threads[2];
    bench->events = operations;
    bench_require(uv_barrier_init(&bench->start, 2) == 0, "uv_barrier_init");
    bench_require(uv_thread_create(&threads[0], produce_bare, bench) == 0, "uv_thread_create");
    bench_require(uv_thread_create(&threads[1], consume_bare, &consumer) == 0, "uv_thread_create");
    uv_thread_join(&threads[0]);
    uv_thread_join(&threads[1]);
    uv_barrier_destroy(&bench->start);
    return millions_a_second(consumer.begin_ns, consumer.end_ns, operations);
}

static const struct bench benches[] = {
    {"bus.publish", "ns", 800000, open_publish, run_publish, close_publish},
    {"bus.e2e_1p", "M events/s", 4000000, open_e2e_1p, run_e2e, close_e2e},
    {"bus.e2e_2p", "M events/s", 4000000, open_e2e_2p, run_e2e, close_e2e},
    {"bus.to_streaming", "M events/s", 2000000, open_to_streaming, run_e2e, close_e2e},
    {"limit.ring_1p", "M events/s", 8000000, open_bare, run_bare, free},
};

const struct bench_list bus_benches = {benches, sizeof benches / sizeof *benches};
