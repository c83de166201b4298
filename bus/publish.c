#include "bus/bus.h"

#include <assert.h>

#include "bus/record_plain.h"
#include "bus/relax.h"

enum { TRIES_BEFORE_WAITING = 64, WAIT_SLICE_NS = 1000000 };

int publish_refuse(tbus_t *bus, struct bus_type *type, tbus_reason_t reason, int error)
{
    atomic_fetch_add_explicit(&bus->undelivered[reason], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&type->undelivered[reason], 1, memory_order_relaxed);
    return error;
}

/* For a vital event that found the queue full. Room is signalled, but what ends a wait in time is the slice: a signal
 * that is missed costs a millisecond, never an event. */
static int claim_waiting(tbus_t *bus, uint32_t granules, unsigned char **ret_record)
{
    int error = UV_ENOBUFS;
    uint64_t deadline = uv_hrtime() + bus->vital_wait_ms * UINT64_C(1000000);
    atomic_fetch_add_explicit(&bus->room_waiters, 1, memory_order_relaxed); /* sheddable events make way from now on */
    for (int i = 0; i < TRIES_BEFORE_WAITING && error == UV_ENOBUFS && uv_hrtime() < deadline; i++) {
        relax_yield();
        error = ring_claim(&bus->ring, granules, bus->ring.size, ret_record);
    }
    uv_mutex_lock(&bus->room_lock);
    while (error == UV_ENOBUFS && uv_hrtime() < deadline) {
        (void)uv_cond_timedwait(&bus->room, &bus->room_lock, WAIT_SLICE_NS);
        error = ring_claim(&bus->ring, granules, bus->ring.size, ret_record);
    }
    uv_mutex_unlock(&bus->room_lock);
    atomic_fetch_sub_explicit(&bus->room_waiters, 1, memory_order_relaxed);
    return error;
}

void publish_room_freed(tbus_t *bus)
{
    if (atomic_load_explicit(&bus->room_waiters, memory_order_relaxed) == 0)
        return;
    uv_mutex_lock(&bus->room_lock);
    uv_cond_broadcast(&bus->room);
    uv_mutex_unlock(&bus->room_lock);
}

/* A vital event of the loop thread that found the queue full goes aside. Whatever the queue has room for later stands
 * behind it: its place is the tail as it is now. */
static int publish_aside(tbus_t *bus, uint32_t number, struct bus_type *type, const struct record_plan *plan)
{
    if (atomic_load_explicit(&bus->overflow, memory_order_relaxed) >= bus->overflow_max)
        return publish_refuse(bus, type, TBUS_REASON_FULL, UV_ENOBUFS);
    struct aside_item *item = tbus_mem_alloc(sizeof *item + plan->bytes);
    if (!item)
        return publish_refuse(bus, type, TBUS_REASON_FULL, UV_ENOMEM);
    item->kind = ASIDE_EVENT;
    item->event = record_write(plan, (unsigned char *)(item + 1));
    item->event->type = number;
    if (item->event->time_ns == 0)
        item->event->time_ns = bus_clock_now(&bus->clock);
    bus_count(&bus->overflow, 1);
    bus_count(&bus->aside_events, 1);
    aside_add(&bus->aside, &bus->ring, item);
    bus_wake(bus); /* a ring that is only fragmented may be empty, and the loop asleep */
    return 0;
}

/* Whether a closing bus is at its last events, and one of their handlers, or on_batch_end, at work: what these find out
 * - usage priced, an alert - belongs to what is being drained. [loop thread] */
static bool is_draining(const tbus_t *bus)
{
    return bus->in_batch && !bus->ends_all;
}

static int publish(tbus_t *bus, uint32_t number, const tbus_event_t *event)
{
    struct record_plan plan;
    unsigned char *record;

    struct bus_type *type = bus && event ? typetable_get(&bus->types, number) : NULL;
    if (!type)
        return UV_EINVAL;
    bool vital = type->layout.delivery == TBUS_CLASS_VITAL;
    record_measure(&plan, &type->layout, event, bus->string_max);
    uint32_t granules = ring_granules_for(plan.bytes);
    if (plan.bytes > (uint64_t)bus->record_max * RING_GRANULE || granules > bus->record_max)
        return publish_refuse(bus, type, TBUS_REASON_OVERSIZED, UV_EMSGSIZE);

    int error = ring_claim(&bus->ring, granules, publish_limit(bus, vital), &record);
    if (error && vital) {
        bool on_loop_thread = bus_on_loop_thread(bus);
        if (on_loop_thread && (error == UV_ENOBUFS || is_draining(bus))) {
            ring_release(&bus->ring); /* what has been read is room */
            error = ring_claim_even_if_shut(&bus->ring, granules, &record);
            if (error == UV_ENOBUFS)
                return publish_aside(bus, number, type, &plan);
        } else if (error == UV_ENOBUFS) {
            error = claim_waiting(bus, granules, &record);
        }
    }
    if (error == UV_ESHUTDOWN)
        return publish_refuse(bus, type, TBUS_REASON_CLOSING, error);
    if (error)
        return publish_refuse(bus, type, vital ? TBUS_REASON_FULL : TBUS_REASON_SHED, error);

    tbus_event_t *copy = record_write(&plan, record + RING_HEADER_BYTES);
    copy->type = number;
    if (copy->time_ns == 0)
        copy->time_ns = bus_clock_now(&bus->clock);
    ring_commit(record, RING_EVENT, granules);
    if (plan.cuts)
        atomic_fetch_add_explicit(&bus->cut_strings, plan.cuts, memory_order_relaxed);
    bus_wake(bus);
    return 0;
}

int tbus_publish(tbus_t *bus, const tbus_event_t *event)
{
    return publish(bus, event ? event->type : TBUS_TYPE_NONE, event);
}

static int publish_waking(tbus_t *bus)
{
    bus_wake(bus);
    return 0;
}

/* Commits an event that a clock has to be read for: one reading serves for its stamp and for its time. */
static int publish_clocked(tbus_t *bus, unsigned char *record, uint32_t granules, bool stamped)
{
    tbus_event_t *copy = (tbus_event_t *)(void *)(record + RING_HEADER_BYTES);
    uint64_t now = stamped || !bus->clock.read ? uv_hrtime() : 0;
    if (stamped)
        ring_stamp(record, now);
    if (copy->time_ns == 0)
        copy->time_ns = bus_clock_at(&bus->clock, now);
    ring_commit(record, RING_EVENT, granules);
    bus_wake(bus);
    return 0;
}

/* Publishes a plain sheddable event into a ring that has room: the usual case of a flood. Anything else, publish() does
 * from the start. No call but in the last place, so that nothing need be kept across one. */
PLAIN_INLINE int publish_plain(tbus_t *bus, uint32_t number, const struct plain_shape *shape, const tbus_event_t *event)
{
    struct plain_strings strings;
    unsigned char *record;
    uint32_t bytes;
    bool stamped;

    if (!bus || !event || !plain_is_bare(event) || bus->string_max < PLAIN_LENGTH_MAX ||
        !plain_measure(&strings, shape, event, &bytes))
        return publish(bus, number, event);
    uint32_t granules = ring_granules_for(record_struct_bytes(shape->size_bytes) + bytes);
    if (!ring_claim_plainly(&bus->ring, granules, publish_limit(bus, false), &record, &stamped))
        return publish(bus, number, event);
    plain_write(&strings, shape, event, number, record + RING_HEADER_BYTES);
    if (stamped || event->time_ns == 0)
        return publish_clocked(bus, record, granules, stamped);
    ring_commit(record, RING_EVENT, granules);
    if (atomic_load_explicit(&bus->asleep, memory_order_seq_cst))
        return publish_waking(bus);
    return 0;
}

/* Whether events of a type may be plain: sheddable ones come in floods, and lists are never plain. */
#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name) +1
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    enum { MAY_BE_PLAIN_##NUMBER = TBUS_CLASS_##CLASS == TBUS_CLASS_SHEDDABLE && (0 fields) == 0 };
#include <tallybus/catalogue.def>

/* Two ways for a plain event: one that names no request need not be searched for it. */
#define TBUS_S(name) (uint32_t) offsetof(self, name),
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    PLAIN_APART int publish_named_##ident(tbus_t *bus, const tbus_event_t *event)                                      \
    {                                                                                                                  \
        typedef tbus_##ident##_t self;                                                                                 \
        static const uint32_t strings[] = {offsetof(self, base.request_id), fields};                                   \
        enum { COUNT = sizeof strings / sizeof strings[0] };                                                           \
        static_assert(COUNT <= PLAIN_STRINGS_MAX, "room for its strings");                                             \
        return publish_plain(bus, TBUS_##NUMBER, &(const struct plain_shape){sizeof(self), COUNT, strings}, event);    \
    }                                                                                                                  \
    int tbus_publish_##ident(tbus_t *bus, const tbus_##ident##_t *of_its_type)                                         \
    {                                                                                                                  \
        typedef tbus_##ident##_t self;                                                                                 \
        static const uint32_t strings[] = {fields UINT32_MAX};                                                         \
        enum { COUNT = sizeof strings / sizeof strings[0] - 1 };                                                       \
        const tbus_event_t *event = of_its_type ? &of_its_type->base : NULL;                                           \
        if (!MAY_BE_PLAIN_##NUMBER)                                                                                    \
            return publish(bus, TBUS_##NUMBER, event);                                                                 \
        if (event && event->request_id)                                                                                \
            return publish_named_##ident(bus, event);                                                                  \
        return publish_plain(bus, TBUS_##NUMBER, &(const struct plain_shape){sizeof(self), COUNT, strings}, event);    \
    }
#include <tallybus/catalogue.def>
