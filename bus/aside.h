/* What takes its place in the order of the events without being in the ring: subscriptions that begin or end, types
 * that are added, and vital events that the loop thread published into a full ring.
 *
 * An item is tagged with the ring's tail at the moment it was made. The loop thread takes it when it has read the ring
 * up to that position: after every event published before the call, before every event published after it. */
#ifndef BUS_ASIDE_H
#define BUS_ASIDE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tallybus/events.h>

struct ring;
struct routing;
struct subscription;

enum aside_kind { ASIDE_BEGIN, ASIDE_END, ASIDE_TYPE, ASIDE_EVENT };

struct aside_item {
    struct aside_item *next;
    uint64_t position;
    enum aside_kind kind;
    struct subscription *subscriptions; /* BEGIN: one; END: chained by `next_ending` */
    /* BEGIN, END, TYPE: memory for the table that this makes necessary; NULL where the next item has the same position
     * and so a table for both. Many subscriptions made in a row then need one table, not one each. */
    struct routing *routing;
    bool by_loop_thread; /* its turn is now */
    uint32_t type;       /* TYPE: its number */
    tbus_event_t *event; /* EVENT: in the memory behind the item */
};

struct aside {
    uv_mutex_t lock;
    struct aside_item *first, *last; /* [lock: lock] */
    _Atomic uint64_t due;            /* position of the first, or ASIDE_NONE; written under `lock` */
};

#define ASIDE_NONE UINT64_MAX

int aside_open(struct aside *aside);
void aside_close(struct aside *aside);

/* Adds an item (takes it) behind everything published so far. The caller wakes the loop. [any thread] */
void aside_add(struct aside *aside, const struct ring *ring, struct aside_item *item);

/* Makes room for `more` entries in all tables that wait here. Errors: UV_ENOMEM. [loop thread, lock: registry] */
int aside_make_room(struct aside *aside, uint32_t more);

/* Whether the first item's turn has come when the ring has been read up to `position`. */
bool aside_is_due(struct aside *aside, uint64_t position);

/* Whether the first item is an event. [loop thread] */
bool aside_first_is_event(struct aside *aside);

/* Takes the first item; NULL when there is none. [loop thread] */
struct aside_item *aside_take(struct aside *aside);

#endif
