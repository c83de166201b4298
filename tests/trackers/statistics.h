/* A distribution and the samples that it should be of, for statistics_oracle.py. */
#ifndef TESTS_TRACKERS_STATISTICS_H
#define TESTS_TRACKERS_STATISTICS_H

#include <tallybus/distribution.h>

#include "tests/oracle.h"

/* `relative`: how far percentiles may be off. */
static inline void oracle_distribution(struct oracle *oracle, double relative, const tbus_distribution_t *own,
                                       const double *samples, size_t count)
{
    fprintf(oracle->cases, "%a %a %a %a %a %a %a %a %a :", relative, (double)own->count, own->avg, own->min, own->max,
            own->p50, own->p90, own->p95, own->p99);
    for (size_t i = 0; i < count; i++)
        fprintf(oracle->cases, " %a", samples[i]);
    fprintf(oracle->cases, "\n");
    oracle->lines++;
}

#endif
