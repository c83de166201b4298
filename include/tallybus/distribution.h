/* What a set of samples looks like: the figures that every tracker gives of a latency. */
#ifndef TALLYBUS_DISTRIBUTION_H
#define TALLYBUS_DISTRIBUTION_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

/* Without a sample (`count` 0) the figures are NaN: "not known" is not 0. p50 is the median; p90, p95 and p99 are the
 * cut points of the exclusive method (as Python's statistics.quantiles) from 20 samples on, the maximum below. */
typedef struct tbus_distribution {
    uint64_t count;
    double avg, min, max, p50, p90, p95, p99;
} tbus_distribution_t;

TBUS_END_DECLS

#endif
