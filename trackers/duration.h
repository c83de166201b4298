/* Durations as events tell them: milliseconds in a double, which may be any. */
#ifndef TRACKERS_DURATION_H
#define TRACKERS_DURATION_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "trackers/moment.h"

/* In nanoseconds, to the nearest. A negative one is 0, and counted; one too large is the largest. False: NaN, not told. */
static inline bool duration_of_ms(double ms, int64_t *ret_ns, uint64_t *negatives)
{
    const double ns_per_ms = 1e6;
    if (isnan(ms))
        return false;
    if (ms < 0) {
        ++*negatives;
        ms = 0;
    }
    *ret_ns = ms < (double)MOMENT_MAX / ns_per_ms ? (int64_t)llround(ms * ns_per_ms) : MOMENT_MAX;
    return true;
}

#endif
