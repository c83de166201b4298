/* The one guard against times that are ahead of the clock.
 *
 * Windows end at the latest time recorded, so one record with a wrong time far ahead would make them pass over all that
 * comes behind it. So a time more than `max_ns` ahead of the clock is not to be believed. The clock is looked at only
 * when a time is beyond all that it has allowed: once in `max_ns` where times are those of now, and never where they are
 * of the past. Other than latest.h it needs no neighbours to compare with, so that a single request after a long pause
 * counts at once. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_AHEAD_H
#define TRACKERS_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#define AHEAD_DEFAULT_NS INT64_C(300000000000)

struct ahead {
    int64_t max_ns;
    int64_t (*clock)(void *user); /* NULL = the system's */
    void *clock_user;
    int64_t ceiling_ns; /* times up to it need no look at the clock */
    uint64_t count;     /* times not believed */
};

/* `max_ns` 0 = AHEAD_DEFAULT_NS; negative: every time is believed. */
void ahead_init(struct ahead *ahead, int64_t max_ns, int64_t (*clock)(void *user), void *clock_user);

/* The clock's time, within moment.h's bounds. */
int64_t ahead_clock(const struct ahead *ahead);

/* What ahead_is_too_far() does for a time beyond the ceiling. */
bool ahead_is_too_far_slowly(struct ahead *ahead, int64_t moment);

/* Whether a moment is too far ahead to be believed, which is counted. */
static inline bool ahead_is_too_far(struct ahead *ahead, int64_t moment)
{
    return moment > ahead->ceiling_ns && ahead_is_too_far_slowly(ahead, moment);
}

#endif
