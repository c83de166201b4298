/* The bare ring between threads, as the bus is measured. */
#include <stdlib.h>
#include <string.h>

#include "bench/bare_ring.h"
#include "bench/flow.h"
#include "bench/harness.h"

enum { PAYLOAD_BYTES = 120 }; /* with the sequence number: a slot of 128 bytes */

static inline bool put(void *ring, const struct flat_event *event)
{
    return bare_ring_put(ring, event, PAYLOAD_BYTES);
}

static inline bool take(void *ring)
{
    unsigned char payload[PAYLOAD_BYTES];
    if (!bare_ring_take(ring, payload, sizeof payload))
        return false;
    __asm__ volatile("" : : "r"(payload) : "memory"); /* or the compiler leaves the copy out, since nobody reads it */
    return true;
}

static void produce(void *producer)
{
    flow_produce(producer, put);
}

static void consume(void *flow)
{
    flow_consume(flow, take);
}

static void *open_limit(unsigned producers, bool on_one_core)
{
    struct flow *flow = calloc(1, sizeof *flow);
    struct bare_ring *ring = aligned_alloc(128, bare_ring_bytes(PAYLOAD_BYTES));
    bench_require(flow && ring, "aligned_alloc");
    bare_ring_init(ring, PAYLOAD_BYTES);
    events_init();
    *flow = (struct flow){
        .queue = ring, .producers = producers, .on_one_core = on_one_core, .produce = produce, .consume = consume};
    return flow;
}

static void *open_1p(void)
{
    return open_limit(1, false);
}

static void *open_2p(void)
{
    return open_limit(2, false);
}

static void *open_2p_on_one_core(void)
{
    return open_limit(2, true);
}

static double run_limit(void *state, uint64_t operations)
{
    return flow_run(state, operations);
}

static void close_limit(void *state)
{
    struct flow *flow = state;
    free(flow->queue);
    free(flow);
}

static const struct bench benches[] = {
    {"limit.ring_1p", "M events/s", 2000000, open_1p, run_limit, close_limit},
    {"limit.ring_2p", "M events/s", 2000000, open_2p, run_limit, close_limit},
    {"limit.ring_2p_one_core", "M events/s", 2000000, open_2p_on_one_core, run_limit, close_limit},
};

const struct bench_list limit_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = true};
