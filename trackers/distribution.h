/* The figures of a set of samples, exactly. */
#ifndef TRACKERS_DISTRIBUTION_H
#define TRACKERS_DISTRIBUTION_H

#include <tallybus/distribution.h>

/* One cut point of the exclusive method: (x[below] * (of - part) + x[below + 1] * part) / of, x sorted and counted from
 * 0. */
struct cut_point {
    uint64_t below;
    uint32_t part, of;
};

enum percentile { PERCENTILE_50, PERCENTILE_90, PERCENTILE_95, PERCENTILE_99, PERCENTILES };

/* Where a percentile of `count` (> 0) samples lies, by the rules of tallybus/distribution.h. */
struct cut_point distribution_cut(uint64_t count, enum percentile percentile);

double distribution_at(const struct cut_point *cut, double below, double above);

/* No samples: the count is 0, the figures are NaN. */
tbus_distribution_t distribution_none(void);

/* The figures of samples, none of them NaN; changes their order. */
tbus_distribution_t distribution_of(double *samples, size_t count);

#endif
