#include "bus/bus.h"

static unsigned char *record_of(tbus_event_t *event)
{
    return (unsigned char *)event - RING_HEADER_BYTES;
}

int tbus_reserve(tbus_t *bus, uint32_t number, size_t room_bytes, tbus_event_t **ret_event, void **ret_room)
{
    unsigned char *record;
    struct bus_type *type = bus && ret_event ? typetable_get(&bus->types, number) : NULL;
    if (!type)
        return UV_EINVAL;
    uint64_t record_bytes = (uint64_t)bus->record_max * RING_GRANULE - RING_HEADER_BYTES;
    uint32_t struct_bytes = record_struct_bytes(type->layout.size_bytes);
    if (struct_bytes > record_bytes || room_bytes > record_bytes - struct_bytes)
        return publish_refuse(bus, type, TBUS_REASON_OVERSIZED, UV_EMSGSIZE);

    bool vital = type->layout.delivery == TBUS_CLASS_VITAL;
    int error = ring_reserve(&bus->ring, ring_granules_for(struct_bytes + room_bytes), publish_limit(bus, vital),
                             number, &record);
    if (error == UV_ESHUTDOWN)
        return publish_refuse(bus, type, TBUS_REASON_CLOSING, error);
    if (error)
        return publish_refuse(bus, type, vital ? TBUS_REASON_FULL : TBUS_REASON_SHED, error);
    *ret_event = (tbus_event_t *)(void *)(record + RING_HEADER_BYTES);
    (*ret_event)->type = number;
    if (ret_room)
        *ret_room = record + RING_HEADER_BYTES + struct_bytes;
    return 0;
}

int tbus_commit(tbus_t *bus, tbus_event_t *event)
{
    if (!bus || !event || !ring_is_reserved(record_of(event)))
        return UV_EINVAL;
    if (event->time_ns == 0)
        event->time_ns = bus_clock_now(&bus->clock);
    event->type = ring_type_of(record_of(event)); /* whatever its owner has written there */
    int error = ring_resolve(record_of(event), RING_EVENT);
    bus_wake(bus);
    return error;
}

int tbus_abort(tbus_t *bus, tbus_event_t *event)
{
    if (!bus || !event || !ring_is_reserved(record_of(event)))
        return UV_EINVAL;
    int error = ring_resolve(record_of(event), RING_ABORTED);
    bus_wake(bus);
    return error;
}
