/* Errors by name (endpoint, type, model, status code): for ever and within the tracker's window. The window is shared
 * by all counts of a tracker: its owner enters it and tells each table of the slots that have become stale. Not locked:
 * the tracker's lock covers it. */
#ifndef TRACKERS_ERRORS_COUNTS_H
#define TRACKERS_ERRORS_COUNTS_H

#include "trackers/errors_name.h"
#include "trackers/window.h"

enum { COUNT_SLICES = 30, COUNT_SLOTS = COUNT_SLICES + 1 };

/* A value of the table; its key is the name. */
struct count {
    uint64_t ever;
    uint64_t within[COUNT_SLOTS]; /* by the window's slots */
};

/* A table for `max` names and "other", which is always there; see names_init(). Errors: UV_ENOMEM. */
int counts_open(struct table *counts, uint32_t max, const struct table_secret *secret);

/* Counts one error in a slot (WINDOW_PAST: for ever only). `*ret_cell` is where its name lives, until the table is
 * emptied. Errors: UV_ENOMEM, where a new name counts as "other" instead. */
int counts_add(struct table *counts, struct name *name, uint32_t slot, uint32_t *ret_cell);

/* Empties a slot of the window for all names. */
void counts_expire(struct table *counts, uint32_t slot);

/* Which slots are within the window at a moment. */
struct covered {
    bool slots[COUNT_SLOTS];
};

struct covered counts_covered(const struct window *window, int64_t now_ns);

uint64_t counts_within(const struct count *count, const struct covered *covered);

#endif
