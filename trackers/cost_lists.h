/* The lists of sums that snapshots and periods tell: one for each group, copied into a block of memory. */
#ifndef TRACKERS_COST_LISTS_H
#define TRACKERS_COST_LISTS_H

#include "trackers/cost.h"
#include "trackers/snapshot.h"

struct cost_lists {
    size_t counts[COST_GROUPS_SHOWN];
    tbus_cost_sum_t *sums[COST_GROUPS_SHOWN];
};

/* Sums to be listed instead of those for ever, by place: `rooms[group]` of them. */
struct cost_picked {
    struct cost_sums *sums[COST_GROUPS_SHOWN];
    size_t rooms[COST_GROUPS_SHOWN];
};

/* No more than what the lists take. From the counts alone: looking at each row would hold the lock as long as the copy
 * does. */
size_t cost_lists_bytes_locked(const tbus_cost_t *cost);

/* Copies them; `picked` NULL = the sums for ever. The block may overflow. */
void cost_lists_fill_locked(const tbus_cost_t *cost, const struct cost_picked *picked, struct snapshot_block *block,
                            struct cost_lists *ret);

/* By falling cost, then by name. */
void cost_lists_sort(struct cost_lists *lists);

/* Puts them into a struct that tells lists of sums by these names. */
#define COST_LISTS_PLACE(to, lists)                                                                                    \
    do {                                                                                                               \
        (to)->by_key = (lists)->sums[COST_BY_KEY];                                                                     \
        (to)->by_key_count = (lists)->counts[COST_BY_KEY];                                                             \
        (to)->by_user = (lists)->sums[COST_BY_USER];                                                                   \
        (to)->by_user_count = (lists)->counts[COST_BY_USER];                                                           \
        (to)->by_project = (lists)->sums[COST_BY_PROJECT];                                                             \
        (to)->by_project_count = (lists)->counts[COST_BY_PROJECT];                                                     \
        (to)->by_model = (lists)->sums[COST_BY_MODEL];                                                                 \
        (to)->by_model_count = (lists)->counts[COST_BY_MODEL];                                                         \
        (to)->by_endpoint = (lists)->sums[COST_BY_ENDPOINT];                                                           \
        (to)->by_endpoint_count = (lists)->counts[COST_BY_ENDPOINT];                                                   \
    } while (0)

/* The shown name of a row: its text, of a key the redacted one. */
const char *cost_name_shown(const tbus_cost_t *cost, const struct cost_row *row, size_t *ret_length);

/* No more than what a course takes in a block. */
#define COST_COURSE_BYTES ((24 + 32) * sizeof(tbus_cost_span_t))

/* cost_course.c: what a row has used when. The block may overflow. [lock: mu] */
void cost_course_fill_locked(const tbus_cost_t *cost, const struct cost_row *row, struct snapshot_block *block,
                             tbus_cost_course_t *ret);

tbus_cost_sum_t cost_sum_of(const struct cost_sums *sums, const char *name);

#endif
