#include "bus/bus.h"

#include "bus/relax.h"

enum { TRIES_BEFORE_WAITING = 64, WAIT_SLICE_NS = 1000000 };

static int refuse(tbus_t *bus, uint32_t type, int error)
{
    struct bus_refusals *refusals = &bus->refusals;
    _Atomic uint64_t *counter = error == UV_EMSGSIZE                              ? &refusals->oversized
                                : error == UV_ESHUTDOWN                           ? &refusals->after_close
                                : bus->layouts[type].delivery == TBUS_CLASS_VITAL ? &refusals->refused
                                                                                  : &refusals->shed;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&refusals->by_type[type], 1, memory_order_relaxed);
    return error;
}

/* For a vital event that found the queue full. Room is signalled, but what ends a wait in time is the slice: a signal
 * that is missed costs a millisecond, never an event. */
static int claim_waiting(tbus_t *bus, uint32_t granules, unsigned char **ret_record)
{
    int error = UV_ENOBUFS;
    if (bus_on_loop_thread(bus))
        return error;
    uint64_t deadline = uv_hrtime() + bus->vital_wait_ms * UINT64_C(1000000);
    for (int i = 0; i < TRIES_BEFORE_WAITING && error == UV_ENOBUFS; i++) {
        relax_yield();
        error = ring_claim(&bus->ring, granules, bus->ring.size, ret_record);
    }
    if (error != UV_ENOBUFS)
        return error;

    atomic_fetch_add_explicit(&bus->room_waiters, 1, memory_order_relaxed);
    uv_mutex_lock(&bus->room_lock);
    while ((error = ring_claim(&bus->ring, granules, bus->ring.size, ret_record)) == UV_ENOBUFS &&
           uv_hrtime() < deadline)
        (void)uv_cond_timedwait(&bus->room, &bus->room_lock, WAIT_SLICE_NS);
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

static int publish(tbus_t *bus, uint32_t type, const tbus_event_t *event)
{
    struct record_plan plan;
    unsigned char *record;

    if (!bus || !event || type == TBUS_TYPE_NONE || type >= bus->types)
        return UV_EINVAL;
    const struct record_layout *layout = &bus->layouts[type];
    bool vital = layout->delivery == TBUS_CLASS_VITAL;
    record_measure(&plan, layout, event, bus->string_max);
    uint32_t granules = ring_granules_for(plan.bytes);
    if (plan.bytes > (uint64_t)bus->record_max * RING_GRANULE || granules > bus->record_max)
        return refuse(bus, type, UV_EMSGSIZE);

    int error = ring_claim(&bus->ring, granules, vital ? bus->ring.size : bus->sheddable_limit, &record);
    if (error == UV_ENOBUFS && vital)
        error = claim_waiting(bus, granules, &record);
    if (error)
        return refuse(bus, type, error);

    tbus_event_t *copy = record_write(&plan, record + RING_HEADER_BYTES);
    copy->type = type;
    if (copy->time_ns == 0)
        copy->time_ns = bus_clock_now(&bus->clock);
    ring_commit(record, RING_EVENT, granules);
    if (plan.cuts)
        atomic_fetch_add_explicit(&bus->refusals.cut_strings, plan.cuts, memory_order_relaxed);
    bus_wake(bus);
    return 0;
}

int tbus_publish(tbus_t *bus, const tbus_event_t *event)
{
    return publish(bus, event ? event->type : TBUS_TYPE_NONE, event);
}

#define TBUS_S(name)
#define TBUS_I(name)
#define TBUS_F(name)
#define TBUS_B(name)
#define TBUS_L(name)
#define TBUS_EVENT(NUMBER, ident, topic, CLASS, fields)                                                                \
    int tbus_publish_##ident(tbus_t *bus, const tbus_##ident##_t *event)                                               \
    {                                                                                                                  \
        return publish(bus, TBUS_##NUMBER, event ? &event->base : NULL);                                               \
    }
#include <tallybus/catalogue.def>
