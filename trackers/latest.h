/* How far time has come by the events: the latest time that can be believed.
 *
 * Windows end there and idle things are measured from there, so one event with a wrong time far ahead would empty every
 * window and end every stream. So a time more than `jump_ns` ahead of the latest one is doubted. It is believed once
 * LATEST_ROW events in a row have been as far ahead; time then goes on at the earliest of these, and on to what is not too
 * far ahead of that. One event that is not ahead ends the row. So a pause of hours costs nothing but that for the next LATEST_ROW - 1 events, and a few
 * stray times do nothing, however far they lie.
 *
 * The very first events have nothing to be compared with: while fewer than LATEST_ROW were believed, one that lies more
 * than `jump_ns` behind takes time back to it. After that time never runs back. Times are within moment.h's bounds. */
#ifndef TRACKERS_LATEST_H
#define TRACKERS_LATEST_H

#include <stdbool.h>
#include <stdint.h>

enum { LATEST_ROW = 8 };

struct latest {
    int64_t jump_ns;
    int64_t now_ns;            /* the latest time believed; says nothing while `believed` is 0 */
    uint32_t believed;         /* events believed since the beginning, counted up to LATEST_ROW */
    uint32_t row;              /* doubted ones without one between that was believed */
    uint64_t doubted;          /* all of them */
    int64_t times[LATEST_ROW]; /* of the row */
};

enum latest_verdict {
    LATEST_BELIEVED,
    LATEST_DOUBTED,
    LATEST_REACHED,  /* a row was long enough: `now_ns` has come to times that were doubted before */
    LATEST_WENT_BACK /* what was believed at the beginning was wrong */
};

/* `jump_ns` negative: every time is believed. */
void latest_init(struct latest *latest, int64_t jump_ns);

enum latest_verdict latest_see_slowly(struct latest *latest, int64_t time_ns);

/* Whether a time is too far ahead to be believed by itself. */
static inline bool latest_doubts(const struct latest *latest, int64_t time_ns)
{
    return time_ns > latest->now_ns && time_ns - latest->now_ns > latest->jump_ns;
}

/* Tells the time of an event. */
static inline enum latest_verdict latest_see(struct latest *latest, int64_t time_ns)
{
    if (latest->row > 0 || latest->believed < LATEST_ROW || latest_doubts(latest, time_ns))
        return latest_see_slowly(latest, time_ns);
    if (time_ns > latest->now_ns)
        latest->now_ns = time_ns;
    return LATEST_BELIEVED;
}

#endif
