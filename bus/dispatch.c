#include "bus/bus.h"

enum { EVENTS_BETWEEN_CLOCKS = 64 };

/* Whether a subscription is called for the first time in this batch, and wants to be told of its end. */
static void note_called(tbus_t *bus, struct subscription *subscription)
{
    subscription->batch = bus->batch;
    if (subscription->on_batch_end) {
        subscription->next_called = bus->called;
        bus->called = subscription;
    }
}

/* Hands an event to those of a row of the table. A handler may subscribe and unsubscribe: the table under this walk
 * stays until the end of the batch, and a subscription that ends is marked at once. Returns how many took it. */
static uint64_t walk(tbus_t *bus, uint32_t row, const struct bus_type *type, const tbus_event_t *event)
{
    const struct routing *routing = bus->routing;
    const struct routing_entry *entry = routing->entries + routing->start[row];
    const struct routing_entry *end = routing->entries + routing->start[row + 1];
    uint64_t taken = 0, calls = 0;

    for (; entry < end; entry++) {
        struct subscription *subscription = entry->subscription;
        if (subscription->ended)
            continue;
        taken++;
        if (subscription->isolated) {
            isolated_push(subscription->isolated, entry->handler, event, type);
            continue;
        }
        if (subscription->batch != bus->batch)
            note_called(bus, subscription);
        calls++;
        int result = bus_call(bus, subscription, entry->handler, event);
        if (result == TBUS_STOP) {
            bus_count(&bus->stops, 1);
            break;
        }
        if (result < 0)
            bus_count(&bus->handler_errors, 1);
    }
    bus_count(&bus->handler_calls, calls);
    return taken;
}

static void deliver(tbus_t *bus, tbus_event_t *event)
{
    struct bus_type *type = typetable_get(&bus->types, event->type);
    if ((uint32_t)++bus->last_id == 0) /* the block is used up */
        bus->last_id = bus_id_block() + 1;
    event->id = bus->last_id;
    if (atomic_load_explicit(&type->keeps_last, memory_order_relaxed))
        typetable_keep(type, event);
    if (walk(bus, event->type, type, event) == 0) {
        bus_count(&bus->unclaimed, 1);
        walk(bus, TBUS_TYPE_NONE, type, event); /* TBUS_UNDELIVERED */
    }
    bus_count(&type->delivered, 1);
    bus_count(&bus->delivered, 1);
}

/* One kept event for one route of a subscription that begins. True when its handler was called. */
static bool give_last(tbus_t *bus, struct subscription *subscription, const struct route *route,
                      const struct bus_type *type)
{
    if (subscription->isolated) {
        isolated_push(subscription->isolated, route->handler, type->last, type);
        return false;
    }
    int result = bus_call(bus, subscription, route->handler, type->last);
    bus_count(&bus->handler_calls, 1);
    bus_count(&bus->handler_errors, result < 0);
    bus_count(&bus->stops, result == TBUS_STOP);
    return true;
}

void dispatch_last(tbus_t *bus, struct subscription *subscription)
{
    bool called = false;
    for (uint32_t number = TBUS_TYPE_NONE + 1; number < bus->types_routed; number++) {
        const struct bus_type *type = typetable_get(&bus->types, number);
        for (uint32_t i = 0; type->last && i < subscription->routes_count && !subscription->ended; i++)
            if (routing_has_type(&subscription->routes[i], number))
                called = give_last(bus, subscription, &subscription->routes[i], type) || called;
    }
    if (called && subscription->on_batch_end && !subscription->ended)
        subscription->on_batch_end(subscription->user);
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

/* Looks at the clock, every EVENTS_BETWEEN_CLOCKS events and at the end of a batch. Where it has been longer than a
 * slow handler takes, all calls are timed for a while: the next one that is slow gets caught. */
static uint64_t look_at_clock(tbus_t *bus)
{
    uint64_t now = uv_hrtime();
    if (now - bus->clock_seen_ns >= bus->slow_handler_ns)
        for (struct route *route = bus->routes; route; route = route->next)
            if (!route->subscription->isolated)
                guard_watch(&route->subscription->guard);
    bus->clock_seen_ns = now;
    return now;
}

static uint64_t begin_batch(tbus_t *bus)
{
    uint64_t tail = atomic_load_explicit(&bus->ring.tail, memory_order_relaxed);
    uint64_t queued = ring_distance(ring_position_of(tail), bus->ring.read) * RING_GRANULE;
    if (queued > atomic_load_explicit(&bus->queued_max, memory_order_relaxed))
        atomic_store_explicit(&bus->queued_max, queued, memory_order_relaxed);
    bus->batch++;
    bus->clock_seen_ns = uv_hrtime();
    bus->in_batch = true;
    return ring_position_of(tail);
}

static void end_batch(tbus_t *bus, bool any)
{
    ring_release(&bus->ring);
    publish_room_freed(bus);
    if (any) {
        bus_count(&bus->batches, 1);
        (void)look_at_clock(bus);
    }
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
    (void)publish_refuse(bus, typetable_get(&bus->types, ring_type_of(record)), TBUS_REASON_ABORTED, 0);
}

/* A reservation that is not committed. Passed over once it has been waited for too long; true then. What comes behind
 * waits until then, for the order's sake. */
static bool pass_over_if_overdue(tbus_t *bus, unsigned char *record, uint32_t granules)
{
    uint64_t now = uv_hrtime(), since = atomic_load_explicit(&bus->stalled_since_ns, memory_order_relaxed);
    if (since == 0 || bus->stalled_at != bus->ring.read) {
        atomic_store_explicit(&bus->stalled_type, ring_type_of(record), memory_order_relaxed);
        atomic_store_explicit(&bus->stalled_since_ns, now, memory_order_relaxed);
        bus->stalled_at = bus->ring.read;
        return false;
    }
    if (now - since < bus->reserve_max_ms * UINT64_C(1000000))
        return false;
    uint32_t number = atomic_load_explicit(&bus->stalled_type, memory_order_relaxed);
    struct bus_type *type = typetable_get(&bus->types, number);
    bool passed = ring_pass_over(&bus->ring, record, granules);
    bus_log(bus, TBUS_LOG_ERROR, "a reservation of '%s' is overdue: %s", type->description.topic,
            passed ? "it is passed over" : "it holds everything up, for there are too many like it to pass over");
    if (!passed)
        return false;
    (void)publish_refuse(bus, type, TBUS_REASON_OVERDUE, 0);
    bus_count(&bus->taken, 1);
    return true;
}

static void note_latency(tbus_t *bus, uint64_t stamp)
{
    uint64_t now = uv_hrtime(), waited = now > stamp ? now - stamp : 1;
    atomic_store_explicit(&bus->latencies[bus->latencies_count++ % LATENCIES], waited, memory_order_relaxed);
}

/* --- A batch --- */

struct batch {
    tbus_t *bus;
    uint32_t *budget;
    uint64_t deadline_ns, end; /* `end`: the tail that it began with */
    uint32_t events;
    bool limited, stalled;
};

/* Whether one more event may be delivered; the first always may. */
static bool may_deliver(struct batch *batch)
{
    bool look = batch->events % EVENTS_BETWEEN_CLOCKS == EVENTS_BETWEEN_CLOCKS - 1;
    batch->limited =
        batch->events > 0 && (*batch->budget == 0 || (look && look_at_clock(batch->bus) >= batch->deadline_ns));
    return !batch->limited;
}

static void deliver_one(struct batch *batch, tbus_event_t *event)
{
    deliver(batch->bus, event);
    batch->events++;
    *batch->budget -= *batch->budget > 0;
}

/* Does what has its turn before the record at the front. False when the batch must end first. */
static bool take_aside(struct batch *batch)
{
    tbus_t *bus = batch->bus;
    if (aside_first_is_event(&bus->aside) && !may_deliver(batch))
        return false;
    struct aside_item *item = aside_take(&bus->aside);
    if (item->kind != ASIDE_EVENT) {
        subscribe_apply(bus, item);
        return true;
    }
    deliver_one(batch, item->event);
    uint64_t left = atomic_load_explicit(&bus->overflow, memory_order_relaxed) - 1;
    atomic_store_explicit(&bus->overflow, left, memory_order_relaxed);
    tbus_mem_free(item);
    return true;
}

/* The record at the front, with nothing due before it. False when the batch must end first. */
static bool take_record(struct batch *batch, unsigned char *record, enum ring_kind kind, uint32_t granules)
{
    tbus_t *bus = batch->bus;
    struct ring *ring = &bus->ring;
    if (kind == RING_RESERVED) {
        batch->stalled = !pass_over_if_overdue(bus, record, granules);
        return !batch->stalled;
    }
    if (kind == RING_EVENT) {
        if (ring_distance(batch->end, ring->read) >= RING_AHEAD + RING_AHEAD_GRANULES)
            ring_fetch_ahead(ring, ring->read); /* but not what is still being written */
        if (!may_deliver(batch))
            return false;
        if (ring_is_stamped(atomic_load_explicit(&bus->taken, memory_order_relaxed) + 1))
            note_latency(bus, ring_stamp_of(record));
        deliver_one(batch, (tbus_event_t *)(void *)(record + RING_HEADER_BYTES));
    }
    if (kind == RING_ABORTED)
        count_aborted(bus, record);
    if (kind != RING_PADDING)
        bus_count(&bus->taken, 1);
    ring_pass(ring, record, granules);
    release_some(bus);
    return true;
}

/* With nothing to read, the way over runs that have been resolved. */
static bool step_over(struct ring *ring)
{
    if (ring->runs == 0)
        return false;
    ring_release(ring);
    return ring_step_over(ring);
}

bool dispatch_batch(tbus_t *bus, uint32_t *budget, uint64_t deadline_ns)
{
    struct ring *ring = &bus->ring;
    struct batch batch = {.bus = bus, .budget = budget, .deadline_ns = deadline_ns, .end = begin_batch(bus)};
    enum ring_kind kind;
    uint32_t granules;
    bool more = true;

    while (more) {
        bool within = ring_distance(batch.end, ring->read) - 1 < RING_POSITION_MASK / 2;
        unsigned char *record = within ? ring_peek(ring, &kind, &granules) : NULL;
        /* After the peek: an event published after a subscription was made must find it in effect. */
        if (aside_is_due(&bus->aside, ring->read))
            more = take_aside(&batch);
        else if (record)
            more = take_record(&batch, record, kind, granules);
        else
            more = step_over(ring);
    }
    if (!batch.stalled)
        atomic_store_explicit(&bus->stalled_since_ns, 0, memory_order_relaxed);
    end_batch(bus, batch.events > 0);
    return batch.limited;
}

void dispatch_set_routing(tbus_t *bus, struct routing *routing)
{
    bus->routing->next_stale = bus->stale;
    bus->stale = bus->routing;
    bus->routing = routing;
}

void dispatch_settle(tbus_t *bus)
{
    struct subscription **at = &bus->ending;
    while (*at) {
        struct subscription *subscription = *at;
        if (subscription->isolated) {
            isolated_stop(subscription->isolated, bus->ends_all ? bus->close_deadline_ns : UINT64_MAX);
            if (!isolated_is_done(subscription->isolated)) {
                at = &subscription->next_ending;
                continue;
            }
        }
        *at = subscription->next_ending;
        subscribe_finish(bus, subscription); /* on_close may end others, which then stand at the list's beginning */
        at = &bus->ending;
    }
    while (bus->stale) {
        struct routing *routing = bus->stale;
        bus->stale = routing->next_stale;
        tbus_mem_free(routing);
    }
}
