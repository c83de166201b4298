#include "bus/bus.h"

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

int tbus_stats(const tbus_t *bus, tbus_stats_t *ret_stats)
{
    if (!bus || !ret_stats)
        return UV_EINVAL;
    const struct bus_refusals *refusals = &bus->refusals;
    uint64_t delivered, head, tail, delivered_after;
    /* The tail counts events modulo 2^23, of which the ring holds at most half. What has been delivered before the tail
     * is read tells which event it is, if not too many have gone by meanwhile. */
    do {
        delivered = atomic_load_explicit(&bus->delivered, memory_order_acquire);
        head = atomic_load_explicit(&bus->ring.head, memory_order_acquire);
        tail = atomic_load_explicit(&bus->ring.tail, memory_order_acquire);
        delivered_after = atomic_load_explicit(&bus->delivered, memory_order_acquire);
    } while (delivered_after - delivered > RING_EVENTS_MASK / 2);
    uint64_t queued = (ring_events_of(tail) - delivered) & RING_EVENTS_MASK;
    *ret_stats = (tbus_stats_t){
        .published = delivered + queued,
        .delivered = delivered,
        .unclaimed = get(&bus->unclaimed),
        .shed = get(&refusals->shed),
        .refused = get(&refusals->refused),
        .oversized = get(&refusals->oversized),
        .after_close = get(&refusals->after_close),
        .cut_strings = get(&refusals->cut_strings),
        .handler_calls = get(&bus->handler_calls),
        .handler_errors = get(&bus->handler_errors),
        .stops = get(&bus->stops),
        .queued_events = queued,
        .queued_bytes = ring_distance(ring_position_of(tail), head) * RING_GRANULE,
        .queued_bytes_max = get(&bus->queued_max),
        .ring_bytes = (uint64_t)bus->ring.size * RING_GRANULE,
        .batches = get(&bus->batches),
        .wakeups = get(&bus->wakeups),
    };
    return 0;
}

int tbus_stats_of_type(const tbus_t *bus, uint32_t type, tbus_type_stats_t *ret_stats)
{
    if (!bus || !ret_stats || type == TBUS_TYPE_NONE || type >= bus->types)
        return UV_EINVAL;
    *ret_stats = (tbus_type_stats_t){get(&bus->delivered_by_type[type]), get(&bus->refusals.by_type[type])};
    return 0;
}
