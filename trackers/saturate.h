/* Counters that stop at the end of their range instead of starting anew. */
#ifndef TRACKERS_SATURATE_H
#define TRACKERS_SATURATE_H

#include <stdint.h>

static inline uint64_t sum_up_to_max(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
