/* Who gets an event: for each type one array of handlers, priority descending, then order of subscription.
 *
 * The table is never changed, only replaced, on the loop thread. A subscription made on another thread must take effect
 * in the order of the events, and by then nothing may fail any more; so the caller matches its patterns and allocates
 * the next table, and the loop thread only fills it in (routing_rebuild()). A table is large enough for every
 * subscription known when it was allocated; one that is made on the loop thread overtakes the tables that still wait,
 * and makes room in them first. */
#ifndef BUS_ROUTING_H
#define BUS_ROUTING_H

#include <stdatomic.h>

#include <tallybus/bus.h>

#include "bus/guard.h"
#include "bus/typetable.h"

struct subscription;

struct route {
    struct route *next; /* [loop thread] in the order of calls */
    struct subscription *subscription;
    tbus_handler handler;
    int32_t priority;
    const char *pattern;                 /* in the subscription's memory */
    uint64_t types[TBUS_TYPES_MAX / 64]; /* bit = matches this type */
};

struct subscription {
    int64_t id;
    char *name;
    const void *owner;
    void *user;
    void (*on_batch_end)(void *user);
    void (*on_close)(void *user);
    uint32_t routes_count;
    uint32_t entries;          /* how many table entries its routes make */
    bool wants_last;           /* [const after open] */
    bool ending;               /* [lock: bus->registry] an unsubscribe is on its way */
    bool live;                 /* [loop thread] its routes are in the list */
    bool in_ending;            /* [loop thread] in bus->ending */
    bool ended;                /* [loop thread] no handler of it may be called any more */
    struct isolated *isolated; /* [const after open] NULL = inline */
    struct guard guard;
    uint64_t batch;                   /* [loop thread] the batch in which it was last called */
    struct subscription *next_called; /* [loop thread] in bus->called */
    struct subscription *next_ending; /* in the aside that ends it, then [loop thread] in bus->ending */
    struct route routes[];
};

struct routing_entry {
    tbus_handler handler;
    struct subscription *subscription;
};

struct routing {
    struct routing *next_stale; /* [loop thread] in bus->stale */
    uint32_t types;             /* numbers up to here have a range */
    uint32_t capacity;
    uint32_t start[TBUS_TYPES_MAX + 1]; /* entries of type t: start[t] .. start[t + 1] - 1 */
    struct routing_entry entries[];
};

/* A subscription copied from what a host handed in, not yet matched. Errors: UV_EINVAL, UV_ENOMEM. */
int subscription_open(const tbus_subscriber_t *subscriber, struct subscription **ret);

/* Matches its routes against all types. Errors: UV_ENOENT (an exact pattern that names no type). [lock: registry] */
int subscription_match(struct subscription *subscription, const struct typetable *types);

/* How many of its routes a topic matches. [lock: registry] */
uint32_t subscription_matches(const struct subscription *subscription, const char *topic);

/* Frees it; an isolated one's thread is stopped and waited for. */
void subscription_close(struct subscription *subscription);

/* An empty table with room for `capacity` entries, or NULL. */
struct routing *routing_alloc(uint32_t capacity);

/* Room for `more` entries beside those that it has. Errors: UV_ENOMEM (it stays as it is). */
int routing_grow(struct routing **routing, uint32_t more);

/* Puts the routes of a subscription into the list of routes / takes them out. [loop thread] */
void routing_link(struct route **list, struct subscription *subscription);
void routing_unlink(struct route **list, struct subscription *subscription);

/* Adds a type to the routes in the list whose patterns match it. [loop thread] */
void routing_add_type(struct route *list, uint32_t number, const char *topic);

static inline bool routing_has_type(const struct route *route, uint32_t type)
{
    return route->types[type / 64] >> (type % 64) & 1;
}

/* Fills a table for the types below `types` from the list. [loop thread] */
void routing_rebuild(struct routing *routing, const struct route *list, uint32_t types);

#endif
