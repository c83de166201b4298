/* The one guard against times that are ahead of the clock.
 *
 * Trackers know time from what is recorded. Windows end at the latest time, and idle things are measured from there, so one
 * record with a wrong time far ahead would make windows pass over all that comes behind it. A time is believed that is at
 * most `max_ns` ahead of the clock, or of the latest time believed; any other is taken for the latest time believed. The
 * clock alone would do, but for one that is set back while the process runs: what is recorded then may be ahead of it for
 * as long as it was set back by, and near the latest time.
 *
 * The other way round the clock may have been ahead, and the times with it, and both are right again now: all that is
 * recorded lies behind the latest time. So this is given up where the clock says that it lies more than `max_ns` ahead,
 * and two times, both late by more than that, agree with the clock, without a later one between them. A single late one
 * would do, but for a clock that is wrong by about as much as it is late by. The later of the two is the latest time then,
 * and what the tracker has from beyond it and beyond the clock goes back by the same span (`go_back`): of windows, what
 * they hold stays, for the span was no time that went by. What lies before the clock is of one that was right, and stays,
 * also where it is later than the two, which may be late themselves; and so do times that are shown.
 *
 * The clock is looked at only when a time is beyond all that it has allowed, once in `max_ns` where times are those of now,
 * or late by more than `max_ns`; never where times of the past come in turn. No neighbours are needed to go on, so that a
 * single event after a long pause counts at once. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_AHEAD_H
#define TRACKERS_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#define AHEAD_DEFAULT_NS INT64_C(300000000000)
#define AHEAD_NOTHING_YET INT64_MIN

struct ahead {
    int64_t max_ns;
    int64_t (*clock)(void *user); /* NULL = the system's */
    void *clock_user;
    int64_t ceiling_ns; /* times up to it need no look at the clock */
    int64_t latest_ns;  /* believed; AHEAD_NOTHING_YET */
    int64_t since_ns;   /* when this began, by the clock */
    uint64_t count;     /* times not believed */
    int64_t doubted_ns; /* the latest time when one last agreed with the clock against it */
    int64_t doubter_ns; /* that one */
    void (*go_back)(void *tracker, int64_t now_ns, int64_t span_ns); /* may be NULL */
    void *tracker;
};

/* `max_ns` 0 = AHEAD_DEFAULT_NS; negative: every time is believed, and none is given up. */
void ahead_init(struct ahead *ahead, int64_t max_ns, int64_t (*clock)(void *user), void *clock_user);

/* Calls `go_back` when the latest time is given up for one that is `span_ns` earlier: what lies beyond `now_ns`, the
 * clock or that one where it is later, goes back by that. Holds over resets. */
void ahead_on_going_back(struct ahead *ahead, void (*go_back)(void *tracker, int64_t now_ns, int64_t span_ns),
                         void *tracker);

/* Begins anew: nothing was recorded yet. */
void ahead_reset(struct ahead *ahead);

/* The system's clock: nanoseconds since 1970. */
int64_t ahead_system_clock(void);

/* The clock's time, within moment.h's bounds. */
int64_t ahead_clock(const struct ahead *ahead);

/* Whether a moment is more than `max_ns` ahead of the clock. Neither counts nor is remembered. */
bool ahead_is_beyond_slowly(struct ahead *ahead, int64_t moment);
static inline bool ahead_is_beyond(struct ahead *ahead, int64_t moment)
{
    return moment > ahead->ceiling_ns && ahead_is_beyond_slowly(ahead, moment);
}

/* The moment that a record counts at, given the one that it tells: the same, or the latest believed - the clock's where
 * there is none -, which is counted. */
int64_t ahead_believe_slowly(struct ahead *ahead, int64_t moment);
int64_t ahead_believe_late(struct ahead *ahead, int64_t moment);
static inline int64_t ahead_believe(struct ahead *ahead, int64_t moment)
{
    if (moment > ahead->latest_ns) {
        if (moment > ahead->ceiling_ns)
            return ahead_believe_slowly(ahead, moment);
        ahead->latest_ns = moment;
    } else if ((uint64_t)(ahead->latest_ns - moment) > (uint64_t)ahead->max_ns) { /* never where that is negative */
        return ahead_believe_late(ahead, moment);
    }
    return moment;
}

/* The latest time believed; 0 where there is none. */
static inline int64_t ahead_latest(const struct ahead *ahead)
{
    return ahead->latest_ns == AHEAD_NOTHING_YET ? 0 : ahead->latest_ns;
}

#endif
