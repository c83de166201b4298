#include "bus/bus.h"

#include <stdlib.h>

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

const char *tbus_reason_name(tbus_reason_t reason)
{
    static const char *const names[TBUS_REASONS] = {"shed", "full", "oversized", "closing", "aborted", "overdue"};
    return (unsigned)reason < TBUS_REASONS ? names[reason] : NULL;
}

/* How many events ever had a place in the ring, and the ring's head and tail at that moment. The tail counts them modulo
 * 2^23, of which the ring holds at most half: how many had been taken before it was read tells the rest, if not too many
 * are taken meanwhile. */
static uint64_t placed_in_ring(const tbus_t *bus, uint64_t *ret_head, uint64_t *ret_tail)
{
    uint64_t taken;
    do {
        taken = atomic_load_explicit(&bus->taken, memory_order_acquire);
        *ret_head = atomic_load_explicit(&bus->ring.head, memory_order_acquire);
        *ret_tail = atomic_load_explicit(&bus->ring.tail, memory_order_acquire);
    } while (atomic_load_explicit(&bus->taken, memory_order_acquire) - taken > RING_EVENTS_MASK / 2);
    return taken + ((ring_events_of(*ret_tail) - taken) & RING_EVENTS_MASK);
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The nearest sample at or above each share of them. */
static void add_latencies(const tbus_t *bus, tbus_stats_t *stats)
{
    uint64_t samples[LATENCIES];
    size_t count = 0;
    for (size_t i = 0; i < LATENCIES; i++) {
        uint64_t sample = get(&bus->latencies[i]);
        if (sample)
            samples[count++] = sample;
    }
    stats->latency_samples = count;
    if (count == 0)
        return;
    qsort(samples, count, sizeof *samples, by_size);
    stats->latency_p50_ns = samples[(count - 1) * 50 / 100];
    stats->latency_p95_ns = samples[(count - 1) * 95 / 100];
    stats->latency_p99_ns = samples[(count - 1) * 99 / 100];
    stats->latency_max_ns = samples[count - 1];
}

int tbus_stats(const tbus_t *bus, tbus_stats_t *ret_stats)
{
    uint64_t head, tail;
    if (!bus || !ret_stats)
        return UV_EINVAL;
    /* What has left the queue is read before what came into it, which is never less. */
    uint64_t delivered = atomic_load_explicit(&bus->delivered, memory_order_acquire);
    uint64_t given_up = get(&bus->undelivered[TBUS_REASON_ABORTED]) + get(&bus->undelivered[TBUS_REASON_OVERDUE]);
    uint64_t gone = delivered + given_up, published = get(&bus->aside_events) + placed_in_ring(bus, &head, &tail);
    uint64_t used =
        ring_distance(ring_position_of(tail), head); /* of two moments: more than the ring, if it moved on */
    uint64_t stalled_since = get(&bus->stalled_since_ns), now = uv_hrtime();
    *ret_stats = (tbus_stats_t){
        .published = published,
        .delivered = delivered,
        .unclaimed = get(&bus->unclaimed),
        .cut_strings = get(&bus->cut_strings),
        .handler_calls = get(&bus->handler_calls),
        .handler_errors = get(&bus->handler_errors),
        .stops = get(&bus->stops),
        .queued_events = published > gone ? published - gone : 0,
        .queued_bytes = (used < bus->ring.size ? used : bus->ring.size) * RING_GRANULE,
        .queued_bytes_max = get(&bus->queued_max),
        .ring_bytes = (uint64_t)bus->ring.size * RING_GRANULE,
        .overflow_events = get(&bus->overflow),
        .batches = get(&bus->batches),
        .wakeups = get(&bus->wakeups),
        .loop_cpu_ns = home_cpu_ns(bus),
        .stalled_ns = stalled_since && now > stalled_since ? now - stalled_since : 0,
        .since_ns = bus->opened_ns,
        .stalled_type = stalled_since ? atomic_load_explicit(&bus->stalled_type, memory_order_relaxed) : 0,
    };
    for (int reason = 0; reason < TBUS_REASONS; reason++)
        ret_stats->undelivered[reason] = get(&bus->undelivered[reason]);
    add_latencies(bus, ret_stats);
    return 0;
}

int tbus_stats_of_type(const tbus_t *bus, uint32_t number, tbus_type_stats_t *ret_stats)
{
    const struct bus_type *type = bus && ret_stats ? typetable_get(&bus->types, number) : NULL;
    if (!type)
        return UV_EINVAL;
    ret_stats->delivered = get(&type->delivered);
    for (int reason = 0; reason < TBUS_REASONS; reason++)
        ret_stats->undelivered[reason] = get(&type->undelivered[reason]);
    return 0;
}
