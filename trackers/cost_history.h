/* Sums by name and hour, for 31 days: only hours in which a name had usage take memory.
 *
 * A name's sums of the hour that it is in are not kept at all: they are what its sums for ever have grown by since that
 * hour began (struct cost_row's `base`). When a usage of a later hour comes, the difference becomes a cell in the slab
 * of the hour that is over. So recording costs one comparison, and an hour that ends costs an append for each name.
 *
 * Cells of a slab lie one behind the other: a period is read by walking slabs, and the oldest hour is forgotten by
 * freeing one. Cells of a name are linked from the newest to the oldest, through the slabs, so that a usage that comes
 * late finds its hour. A link into a slab that is gone ends the list: whatever is older is gone too.
 *
 * Hours are numbered from long before 1970, so that 0 is none. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_COST_HISTORY_H
#define TRACKERS_COST_HISTORY_H

#include <stddef.h>

#include "trackers/cost_sums.h"

#define COST_HOUR_NS (INT64_C(3600) * 1000000000)

enum { COST_HOURS = 31 * 24 };

/* Where a name's cell of an hour is; hour 0 = nowhere. */
struct cost_cell_ref {
    uint32_t hour, index;
};

struct cost_cell {
    struct cost_sums sums;
    uint32_t name; /* its row's */
    struct cost_cell_ref older;
};

struct cost_slab {
    uint32_t hour; /* 0 = free */
    uint32_t count, capacity;
    struct cost_cell *cells;
};

struct cost_history {
    struct cost_slab slabs[COST_HOURS]; /* by hour, modulo their number */
    uint32_t newest;                    /* the latest hour with a usage; 0 = none yet */
    uint32_t first_kept;                /* hours before this one have been given up for want of room */
    uint32_t whole_from;                /* before this one a cell may be missing, for want of room or memory */
    uint32_t cells, cells_max;          /* room allocated, and its cap */
    uint64_t dropped;                   /* cells given up, or not made, for want of room or memory */
};

/* A name's sums: for ever, and what they were when its current hour began. */
struct cost_row {
    struct cost_sums sums;
    uint32_t hour; /* 0 = no usage yet */
    uint32_t name; /* the owner's number for it */
    struct cost_cell_ref newest;
    struct cost_sums base;
};

void cost_history_init(struct cost_history *history, uint32_t cells_max);

/* Forgets everything and gives the memory back. */
void cost_history_clear(struct cost_history *history);

/* The number of the hour of a time, and back to its first moment. */
uint32_t cost_hour_of(int64_t time_ns);
int64_t cost_hour_begin(uint32_t hour);

/* What cost_history_add() does when the usage is not of the row's current hour. */
void cost_history_add_slowly(struct cost_history *history, struct cost_row *row, uint32_t hour,
                             const struct cost_sums *usage);

/* Adds a usage to a name's sums. */
static inline void cost_history_add(struct cost_history *history, struct cost_row *row, uint32_t hour,
                                    const struct cost_sums *usage)
{
    if (row->hour != hour)
        cost_history_add_slowly(history, row, hour, usage);
    cost_sums_add(&row->sums, usage);
}

/* Tells which part of what a name has in all was used in an hour. In order of hours it costs the same as adding. */
void cost_history_place(struct cost_history *history, struct cost_row *row, uint32_t hour,
                        const struct cost_sums *part);

/* Adds to what a name has in all, of no hour that is known. */
static inline void cost_history_add_past(struct cost_row *row, const struct cost_sums *past)
{
    cost_sums_add(&row->sums, past);
    cost_sums_add(&row->base, past);
}

/* Takes off again what was added for this hour. */
void cost_history_take(struct cost_history *history, struct cost_row *row, uint32_t hour,
                       const struct cost_sums *usage);

/* Whether an hour lies in the 31 days and has not been given up. */
bool cost_history_covers(const struct cost_history *history, uint32_t hour);

/* The slab of an hour, or NULL: nobody's hour ended with usage in it. */
const struct cost_slab *cost_history_slab(const struct cost_history *history, uint32_t hour);

/* The first moment from which on nothing is missing. */
int64_t cost_history_from(const struct cost_history *history);

/* What a row has of the hours `from` .. `to`. */
struct cost_sums cost_row_within(const struct cost_history *history, const struct cost_row *row, uint32_t from,
                                 uint32_t to);

/* What a row has of its current hour. */
struct cost_sums cost_row_of_hour(const struct cost_row *row);

#endif
