/* Times and intervals that hostile numbers can not overflow. */
#ifndef TRACKERS_MOMENT_H
#define TRACKERS_MOMENT_H

#include <stdint.h>

#define SECOND_NS INT64_C(1000000000)
#define MOMENT_MAX (INT64_C(1) << 62) /* 146 years from 1970 */
#define MOMENT_MIN (1 - MOMENT_MAX)   /* so that any difference fits */

/* A time within the bounds in which differences and slice numbers can not overflow. */
static inline int64_t moment_of(int64_t time_ns)
{
    return time_ns > MOMENT_MAX ? MOMENT_MAX : time_ns < MOMENT_MIN ? MOMENT_MIN : time_ns;
}

/* `moment` and `span_ns` (>= 0) later, within the bounds. */
static inline int64_t moment_after(int64_t moment, int64_t span_ns)
{
    return span_ns > MOMENT_MAX - moment ? MOMENT_MAX : moment + span_ns;
}

/* `moment` and `span_ns` (>= 0) earlier, within the bounds. */
static inline int64_t moment_before(int64_t moment, int64_t span_ns)
{
    return moment < MOMENT_MIN + span_ns ? MOMENT_MIN : moment - span_ns;
}

/* The time from one moment to another; 0 where that is negative, which is counted. */
static inline int64_t moment_interval(int64_t from, int64_t to, uint64_t *negatives)
{
    if (to >= from)
        return to - from;
    (*negatives)++;
    return 0;
}

#endif
