#include "bus/bus.h"

#include <string.h>

enum { EVENTS_BETWEEN_CLOCKS = 64 };

/* Hands an event to everyone who should have it. A handler may subscribe and unsubscribe: the table under this walk
 * stays until the end of the batch, and a subscription that ends is marked at once. */
static void deliver(tbus_t *bus, tbus_event_t *event)
{
    const struct routing *routing = bus->routing;
    const struct routing_entry *entry = routing->entries + routing->start[event->type];
    const struct routing_entry *end = routing->entries + routing->start[event->type + 1];
    uint64_t calls = 0;

    if ((uint32_t)++bus->last_id == 0) /* the block is used up */
        bus->last_id = bus_id_block() + 1;
    event->id = bus->last_id;
    for (; entry < end; entry++) {
        struct subscription *subscription = entry->subscription;
        if (subscription->ended)
            continue;
        if (subscription->batch != bus->batch) {
            subscription->batch = bus->batch;
            if (subscription->on_batch_end) {
                subscription->next_called = bus->called;
                bus->called = subscription;
            }
        }
        calls++;
        int result = entry->handler(event, entry->user);
        if (result == TBUS_STOP) {
            bus_count(&bus->stops, 1);
            break;
        }
        if (result < 0)
            bus_count(&bus->handler_errors, 1);
    }
    if (calls == 0)
        bus_count(&bus->unclaimed, 1);
    else
        bus_count(&bus->handler_calls, calls);
    bus_count(&typetable_get(&bus->types, event->type)->delivered, 1);
    bus_count(&bus->delivered, 1);
}

/* Frees what has been read: an eighth of the ring at a time, or at once where a publisher waits for room. */
static void release_some(tbus_t *bus)
{
    struct ring *ring = &bus->ring;
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t passed = ring_distance(ring->read, head);
    bool wanted = atomic_load_explicit(&bus->room_waiters, memory_order_relaxed) > 0;
    if (passed >= ring->size / 8 || (wanted && passed > 0)) {
        ring_release(ring);
        publish_room_freed(bus);
    }
}

static void begin_batch(tbus_t *bus)
{
    uint64_t tail = atomic_load_explicit(&bus->ring.tail, memory_order_relaxed);
    uint64_t queued = ring_distance(ring_position_of(tail), bus->ring.read) * RING_GRANULE;
    if (queued > atomic_load_explicit(&bus->queued_max, memory_order_relaxed))
        atomic_store_explicit(&bus->queued_max, queued, memory_order_relaxed);
    bus->batch++;
    bus->in_batch = true;
}

static void end_batch(tbus_t *bus, bool any)
{
    ring_release(&bus->ring);
    publish_room_freed(bus);
    if (any)
        bus_count(&bus->batches, 1);
    while (bus->called) {
        struct subscription *subscription = bus->called;
        bus->called = subscription->next_called;
        if (!subscription->ended)
            subscription->on_batch_end(subscription->user);
    }
    bus->in_batch = false;
    dispatch_settle(bus);
}

/* --- What stands at the front --- */

static void count_aborted(tbus_t *bus, const unsigned char *record)
{
    uint32_t number;
    memcpy(&number, record + RING_HEADER_BYTES, sizeof number);
    struct bus_type *type = typetable_get(&bus->types, number);
    if (type) /* its owner may have written anything */
        (void)publish_refuse(bus, type, TBUS_REASON_ABORTED, 0);
}

/* A reservation that is not committed. Passed over once it has been waited for too long; true then. What comes behind
 * waits until then, for the order's sake. */
static bool pass_over_if_overdue(tbus_t *bus, unsigned char *record, uint32_t granules)
{
    uint64_t now = uv_hrtime(), since = atomic_load_explicit(&bus->stalled_since_ns, memory_order_relaxed);
    uint32_t number;
    if (since == 0 || bus->stalled_at != bus->ring.read) {
        memcpy(&number, record + RING_HEADER_BYTES, sizeof number);
        atomic_store_explicit(&bus->stalled_type, number, memory_order_relaxed);
        atomic_store_explicit(&bus->stalled_since_ns, now, memory_order_relaxed);
        bus->stalled_at = bus->ring.read;
        return false;
    }
    if (now - since < bus->reserve_max_ms * UINT64_C(1000000) || !ring_pass_over(&bus->ring, record, granules))
        return false;
    number = atomic_load_explicit(&bus->stalled_type, memory_order_relaxed);
    (void)publish_refuse(bus, typetable_get(&bus->types, number), TBUS_REASON_OVERDUE, 0);
    bus_count(&bus->taken, 1);
    return true;
}

/* Does what has its turn before the record at the front, where there is anything. */
static bool take_aside(tbus_t *bus)
{
    if (!aside_is_due(&bus->aside, bus->ring.read))
        return false;
    struct aside_item *item = aside_take(&bus->aside);
    if (item->kind != ASIDE_EVENT) {
        subscribe_apply(bus, item);
        return true;
    }
    deliver(bus, item->event);
    atomic_store_explicit(&bus->overflow, atomic_load_explicit(&bus->overflow, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    tbus_mem_free(item);
    return true;
}

bool dispatch_batch(tbus_t *bus, uint32_t *budget, uint64_t deadline_ns)
{
    struct ring *ring = &bus->ring;
    enum ring_kind kind;
    uint32_t granules, events = 0;
    unsigned char *record;
    bool limited = false, stalled = false;

    begin_batch(bus);
    for (;;) {
        record = ring_peek(ring, &kind, &granules);
        /* After the peek: an event published after a subscription was made must find it in effect. */
        if (take_aside(bus))
            continue;
        if (!record)
            break;
        if (kind == RING_RESERVED) {
            stalled = !pass_over_if_overdue(bus, record, granules);
            if (stalled)
                break;
            continue;
        }
        if (kind == RING_EVENT) {
            limited = *budget == 0 ||
                      (events % EVENTS_BETWEEN_CLOCKS == EVENTS_BETWEEN_CLOCKS - 1 && uv_hrtime() >= deadline_ns);
            if (limited && events)
                break;
            limited = false;
            deliver(bus, (tbus_event_t *)(void *)(record + RING_HEADER_BYTES));
            events++;
            *budget -= *budget > 0;
        }
        if (kind == RING_ABORTED)
            count_aborted(bus, record);
        if (kind != RING_PADDING)
            bus_count(&bus->taken, 1);
        ring_pass(ring, record, granules);
        release_some(bus);
    }
    if (!stalled)
        atomic_store_explicit(&bus->stalled_since_ns, 0, memory_order_relaxed);
    end_batch(bus, events > 0);
    return limited;
}

void dispatch_set_routing(tbus_t *bus, struct routing *routing)
{
    bus->routing->next_stale = bus->stale;
    bus->stale = bus->routing;
    bus->routing = routing;
}

void dispatch_settle(tbus_t *bus)
{
    while (bus->ending) {
        struct subscription *subscription = bus->ending;
        bus->ending = subscription->next_ending;
        subscribe_finish(bus, subscription);
    }
    while (bus->stale) {
        struct routing *routing = bus->stale;
        bus->stale = routing->next_stale;
        tbus_mem_free(routing);
    }
}
