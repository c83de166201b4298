/* End to end: producers of their own, the bus's thread, until the last event has been handled. */
#include <stdlib.h>
#include <time.h>

#include <tallybus.h>

#include "bench/flow.h"
#include "bench/harness.h"

enum { MANY_HANDLERS = 16 };

struct e2e_bench {
    struct flow flow;
    tbus_t *bus;
    tbus_streaming_t *streaming;
    uint64_t target; /* events delivered when the run is over */
};

static uint64_t delivered(const tbus_t *bus)
{
    tbus_stats_t stats;
    bench_require(tbus_stats(bus, &stats) == 0, "tbus_stats");
    return stats.delivered;
}

/* Looks seldom: the statistics are the consumer's cache lines. */
static void wait_until_delivered(void *queue)
{
    struct e2e_bench *bench = queue;
    while (delivered(bench->bus) < bench->target)
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
}

static inline bool put(void *queue, const struct flat_event *event)
{
    const struct e2e_bench *bench = queue;
    const int error = tbus_publish_stream_token_generated(bench->bus, &event->token);
    if (error && error != UV_ENOBUFS)
        bench_require(false, "tbus_publish_stream_token_generated");
    return error == 0;
}

static void produce(void *producer)
{
    flow_produce(producer, put);
}

static int pin_loop_thread(const tbus_event_t *event, void *user)
{
    (void)event;
    cores_pin(0, flow_threads(user));
    return 0;
}

static struct e2e_bench *open_e2e(unsigned producers, bool on_one_core)
{
    struct e2e_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench != NULL, "calloc");
    events_init();
    bench->flow = (struct flow){.queue = bench,
                                .producers = producers,
                                .on_one_core = on_one_core,
                                .produce = produce,
                                .finish = wait_until_delivered};
    bench_require(tbus_open(NULL, &bench->bus) == 0, "tbus_open");
    bench_require(tbus_subscribe(bench->bus, "decode.started", 0, pin_loop_thread, &bench->flow) > 0, "tbus_subscribe");
    bench_require(tbus_publish_decode_started(bench->bus, &(tbus_decode_started_t){0}) == 0, "tbus_publish");
    bench->target = 1;
    wait_until_delivered(bench);
    return bench;
}

static int do_nothing(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    return 0;
}

static struct e2e_bench *open_no_op(unsigned producers, bool on_one_core, unsigned handlers)
{
    struct e2e_bench *bench = open_e2e(producers, on_one_core);
    for (unsigned i = 0; i < handlers; i++)
        bench_require(tbus_subscribe(bench->bus, "stream.token_generated", 0, do_nothing, NULL) > 0, "tbus_subscribe");
    return bench;
}

static void *open_1p(void)
{
    return open_no_op(1, false, 1);
}

static void *open_1p_stamped(void)
{
    struct e2e_bench *bench = open_no_op(1, false, 1);
    bench->flow.unstamped = true;
    return bench;
}

static void *open_2p(void)
{
    return open_no_op(2, false, 1);
}

static void *open_2p_on_one_core(void)
{
    return open_no_op(2, true, 1);
}

static void *open_16h(void)
{
    return open_no_op(1, false, MANY_HANDLERS);
}

static void *open_to_streaming(void)
{
    struct e2e_bench *bench = open_e2e(1, false);
    bench_require(tbus_streaming_open(NULL, &bench->streaming) == 0, "tbus_streaming_open");
    for (unsigned i = 0; i < STREAMS; i++)
        bench_require(tbus_streaming_record_start(bench->streaming, stream_ids[i],
                                                  &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = BEGIN_NS}) == 0,
                      "tbus_streaming_record_start");
    bench_require(tbus_streaming_attach(bench->streaming, bench->bus) > 0, "tbus_streaming_attach");
    return bench;
}

static double run_e2e(void *state, uint64_t operations)
{
    struct e2e_bench *bench = state;
    bench->target = delivered(bench->bus) + operations / bench->flow.producers * bench->flow.producers;
    return flow_run(&bench->flow, operations);
}

static void close_e2e(void *state)
{
    struct e2e_bench *bench = state;
    bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    tbus_streaming_close(bench->streaming);
    free(bench);
}

static const struct bench benches[] = {
    {"bus.e2e_1p", "M events/s", 1000000, open_1p, run_e2e, close_e2e},
    {"bus.e2e_1p_stamped", "M events/s", 1000000, open_1p_stamped, run_e2e, close_e2e},
    {"bus.e2e_2p", "M events/s", 1000000, open_2p, run_e2e, close_e2e},
    {"bus.e2e_2p_one_core", "M events/s", 1000000, open_2p_on_one_core, run_e2e, close_e2e},
    {"bus.e2e_16h", "M events/s", 600000, open_16h, run_e2e, close_e2e},
    {"bus.to_streaming", "M events/s", 600000, open_to_streaming, run_e2e, close_e2e},
};

const struct bench_list e2e_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = true};
