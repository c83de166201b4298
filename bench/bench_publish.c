/* What publishing costs the publisher: bursts that fit the queue, which is drained between them. The same for the bare
 * ring. */
#include <sched.h>
#include <stdlib.h>

#include <tallybus.h>

#include "bench/bare_ring.h"
#include "bench/cores.h"
#include "bench/events.h"
#include "bench/harness.h"

enum { BURST = 8192, NARROW_BYTES = 120, WIDE_BYTES = sizeof(struct flat_event) };

struct publish_bench {
    unsigned producers; /* of a burst: this thread, and maybe another */
    void (*burst)(struct publish_bench *bench, struct event_source *source, uint64_t events);
    void (*drain)(struct publish_bench *bench);
    uv_loop_t loop;
    tbus_t *bus;
    struct bare_ring *ring;
    _Atomic uint64_t started, ended; /* by the other thread: bursts */
    _Atomic uint64_t wanted;
    uint64_t bursts;
    uint64_t others_ns;
    struct event_source sources[2];
};

/* --- Bursts --- */

static void burst_bus(struct publish_bench *bench, struct event_source *source, uint64_t events)
{
    int failures = 0;
    for (uint64_t i = 0; i < events; i++) {
        failures += tbus_publish_stream_token_generated(bench->bus, &event_source_get(source)->token) != 0;
        event_source_advance(source);
    }
    bench_require(failures == 0, "publishing a burst that fits the queue");
}

static inline void burst_bare(struct publish_bench *bench, struct event_source *source, uint64_t events, size_t bytes)
{
    int failures = 0;
    for (uint64_t i = 0; i < events; i++) {
        failures += !bare_ring_put(bench->ring, event_source_get(source), bytes);
        event_source_advance(source);
    }
    bench_require(failures == 0, "a burst that fits the bare ring");
}

static void burst_narrow(struct publish_bench *bench, struct event_source *source, uint64_t events)
{
    burst_bare(bench, source, events, NARROW_BYTES);
}

static void burst_wide(struct publish_bench *bench, struct event_source *source, uint64_t events)
{
    burst_bare(bench, source, events, WIDE_BYTES);
}

static void drain_bus(struct publish_bench *bench)
{
    tbus_stats_t stats;
    do {
        uv_run(&bench->loop, UV_RUN_NOWAIT);
        bench_require(tbus_stats(bench->bus, &stats) == 0, "tbus_stats");
    } while (stats.queued_events);
}

static inline void drain_bare(struct publish_bench *bench, size_t bytes)
{
    unsigned char payload[WIDE_BYTES];
    while (bare_ring_take(bench->ring, payload, bytes))
        __asm__ volatile("" : : "r"(payload) : "memory");
}

static void drain_narrow(struct publish_bench *bench)
{
    drain_bare(bench, NARROW_BYTES);
}

static void drain_wide(struct publish_bench *bench)
{
    drain_bare(bench, WIDE_BYTES);
}

/* --- Opening and closing --- */

static int do_nothing(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    return 0;
}

static struct publish_bench *open_any(unsigned producers)
{
    struct publish_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench != NULL, "calloc");
    events_init();
    bench->producers = producers;
    for (unsigned i = 0; i < producers; i++)
        event_source_init(&bench->sources[i], true);
    return bench;
}

static void *open_bus(unsigned producers)
{
    struct publish_bench *bench = open_any(producers);
    bench->burst = burst_bus;
    bench->drain = drain_bus;
    bench_require(uv_loop_init(&bench->loop) == 0, "uv_loop_init");
    bench_require(tbus_open(&(tbus_options_t){.loop = &bench->loop}, &bench->bus) == 0, "tbus_open");
    bench_require(tbus_subscribe(bench->bus, "stream.token_generated", 0, do_nothing, NULL) > 0, "tbus_subscribe");
    drain_bus(bench);
    return bench;
}

static void *open_bare(unsigned producers, size_t payload_bytes)
{
    struct publish_bench *bench = open_any(producers);
    bench->burst = payload_bytes == NARROW_BYTES ? burst_narrow : burst_wide;
    bench->drain = payload_bytes == NARROW_BYTES ? drain_narrow : drain_wide;
    bench->ring = aligned_alloc(128, bare_ring_bytes(payload_bytes));
    bench_require(bench->ring != NULL, "aligned_alloc");
    bare_ring_init(bench->ring, payload_bytes);
    return bench;
}

static void *open_publish(void)
{
    return open_bus(1);
}

static void *open_publish_2p(void)
{
    return open_bus(2);
}

static void *open_narrow(void)
{
    return open_bare(1, NARROW_BYTES);
}

static void *open_narrow_2p(void)
{
    return open_bare(2, NARROW_BYTES);
}

static void *open_wide(void)
{
    return open_bare(1, WIDE_BYTES);
}

static void *open_wide_2p(void)
{
    return open_bare(2, WIDE_BYTES);
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
    if (bench->bus) {
        bench_require(tbus_close(bench->bus, 1000, when_closed, &closed) == 0, "tbus_close");
        while (!closed)
            uv_run(&bench->loop, UV_RUN_ONCE);
        bench_require(tbus_free(bench->bus) == 0, "tbus_free");
        uv_run(&bench->loop, UV_RUN_DEFAULT);
        bench_require(uv_loop_close(&bench->loop) == 0, "uv_loop_close");
    }
    free(bench->ring);
    free(bench);
}

/* --- Runs --- */

static uint64_t timed_burst(struct publish_bench *bench, unsigned producer)
{
    const uint64_t begin_ns = uv_hrtime();
    bench->burst(bench, &bench->sources[producer], BURST / bench->producers);
    return uv_hrtime() - begin_ns;
}

static void wait_for(const _Atomic uint64_t *counter, uint64_t value)
{
    while (atomic_load_explicit(counter, memory_order_acquire) < value)
        sched_yield();
}

/* The other producer. A burst takes a tenth of a millisecond, so both must start within a microsecond: a barrier that
 * sleeps would not do. */
static void produce_along(void *argument)
{
    struct publish_bench *bench = argument;
    cores_pin(1, 2);
    for (uint64_t burst = 1; burst <= bench->bursts; burst++) {
        atomic_store_explicit(&bench->started, burst, memory_order_release);
        wait_for(&bench->wanted, burst);
        bench->others_ns += timed_burst(bench, 1);
        atomic_store_explicit(&bench->ended, burst, memory_order_release);
    }
}

static double run_publish(void *state, uint64_t operations)
{
    struct publish_bench *bench = state;
    const bool contended = bench->producers > 1;
    uint64_t spent_ns = 0;
    uv_thread_t other;
    bench->bursts = operations / BURST + 1;
    bench->others_ns = 0;
    atomic_store(&bench->started, 0);
    atomic_store(&bench->wanted, 0);
    atomic_store(&bench->ended, 0);
    if (contended)
        bench_require(uv_thread_create(&other, produce_along, bench) == 0, "uv_thread_create");
    cores_pin(0, 2);
    for (uint64_t burst = 1; burst <= bench->bursts; burst++) {
        if (contended)
            wait_for(&bench->started, burst);
        atomic_store_explicit(&bench->wanted, burst, memory_order_release);
        spent_ns += timed_burst(bench, 0);
        if (contended)
            wait_for(&bench->ended, burst);
        bench->drain(bench);
    }
    cores_unpin();
    if (contended)
        uv_thread_join(&other);
    return (double)(spent_ns + bench->others_ns) /
           (double)(bench->bursts * (BURST / bench->producers * bench->producers));
}

static const struct bench benches[] = {
    {"bus.publish", "ns", 400000, open_publish, run_publish, close_publish},
    {"bus.publish_2p", "ns", 400000, open_publish_2p, run_publish, close_publish},
    {"limit.ring_enqueue", "ns", 800000, open_narrow, run_publish, close_publish},
    {"limit.ring_enqueue_2p", "ns", 800000, open_narrow_2p, run_publish, close_publish},
    {"limit.ring_enqueue_wide", "ns", 800000, open_wide, run_publish, close_publish},
    {"limit.ring_enqueue_wide_2p", "ns", 800000, open_wide_2p, run_publish, close_publish},
};

const struct bench_list publish_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = true};
