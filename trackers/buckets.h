/* The one histogram with fixed bounds (tallybus/buckets.h): what it counts never falls.
 *
 * The bounds stand aside, one list for all histograms of a kind; a histogram is a sum and the counts behind it, in
 * buckets_bytes() of zeroed memory that may be part of something else. */
#ifndef TRACKERS_BUCKETS_H
#define TRACKERS_BUCKETS_H

#include <tallybus/buckets.h>

struct buckets_bounds {
    tbus_bounds_t bounds; /* its values are those below */
    double values[TBUS_BOUNDS_MAX];
};

struct buckets {
    double sum;
    uint64_t counts[]; /* bounds.count + 1 */
};

/* Copies bounds, or those of the preset where they are NULL; they must not move afterwards. Errors: UV_EINVAL (none,
 * too many, not finite, not rising). */
int buckets_set_bounds(struct buckets_bounds *own, const tbus_bounds_t *given, tbus_bounds_preset_t preset);

size_t buckets_bytes(const struct buckets_bounds *bounds);

/* Counts a sample; NaN is none. */
void buckets_add(struct buckets *buckets, const struct buckets_bounds *bounds, double sample);

#endif
