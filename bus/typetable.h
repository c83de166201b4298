/* The types that a bus knows: the built-in ones and those its host has registered. A type is never taken back, so a
 * number that has been seen stays good. */
#ifndef BUS_TYPETABLE_H
#define BUS_TYPETABLE_H

#include <stdatomic.h>

#include <tallybus/bus.h>

#include "bus/record.h"

struct bus_type {
    tbus_type_t description;     /* [const] */
    struct record_layout layout; /* [const] */
    _Atomic uint32_t keeps_last;
    tbus_event_t *last;         /* [loop thread] the last event, where it is kept; in memory of its own */
    uint64_t last_room;         /* [loop thread] of that memory */
    _Atomic uint64_t delivered; /* [loop thread writes] */
    _Atomic uint64_t undelivered[TBUS_REASONS];
};

struct typetable {
    _Atomic(struct bus_type *) types[TBUS_TYPES_MAX]; /* by number; a place is filled once, with release */
    struct bus_type *builtin;
    uint32_t count; /* [lock: registry] numbers given out */
};

/* Errors: UV_ENOMEM. */
int typetable_open(struct typetable *table);
void typetable_close(struct typetable *table);

/* A type by its number, or NULL. [any thread] */
static inline struct bus_type *typetable_get(const struct typetable *table, uint32_t number)
{
    return number < TBUS_TYPES_MAX ? atomic_load_explicit(&table->types[number], memory_order_acquire) : NULL;
}

/* A copy of a description, checked. Errors: UV_EINVAL, UV_ENOMEM. */
int typetable_copy(const tbus_type_t *type, struct bus_type **ret);

/* Keeps a copy of an event as the type's last; without memory none is kept. [loop thread] */
void typetable_keep(struct bus_type *type, const tbus_event_t *event);

/* Gives a type the next number (takes it). The caller has looked that there is one and that the topic is new. [lock:
 * registry] */
uint32_t typetable_add(struct typetable *table, struct bus_type *type);

#endif
