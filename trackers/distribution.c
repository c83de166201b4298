#include "trackers/distribution.h"

#include <math.h>
#include <stdlib.h>

enum { SAMPLES_FOR_TAILS = 20 };

struct cut_point distribution_cut(uint64_t count, enum percentile percentile)
{
    static const struct {
        uint32_t part, of;
    } cuts[PERCENTILES] = {{1, 2}, {19, 20}, {99, 100}};
    uint32_t part = cuts[percentile].part, of = cuts[percentile].of;

    if (count == 1)
        return (struct cut_point){0, 0, 1};
    if (percentile != PERCENTILE_50 && count < SAMPLES_FOR_TAILS)
        return (struct cut_point){count - 2, 1, 1};
    /* part * (count + 1) / of, without overflow for any count. */
    uint64_t whole = (count + 1) / of, rest = (count + 1) % of;
    uint64_t rank = whole * part + rest * part / of;
    uint32_t over = (uint32_t)(rest * part % of);
    if (rank < 1)
        return (struct cut_point){0, 0, 1};
    if (rank > count - 1) {
        over += (uint32_t)(rank - (count - 1)) * of;
        rank = count - 1;
    }
    return (struct cut_point){rank - 1, over, of};
}

double distribution_at(const struct cut_point *cut, double below, double above)
{
    if (cut->part == 0)
        return below;
    if (cut->part == cut->of || below == above)
        return above;
    return (below * ((double)cut->of - cut->part) + above * cut->part) / cut->of;
}

tbus_distribution_t distribution_none(void)
{
    return (tbus_distribution_t){0, NAN, NAN, NAN, NAN, NAN, NAN};
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

tbus_distribution_t distribution_of(double *samples, size_t count)
{
    double found[PERCENTILES], sum = 0, carry = 0;

    if (count == 0)
        return distribution_none();
    qsort(samples, count, sizeof *samples, by_value);
    for (size_t i = 0; i < count; i++) { /* compensated, so that a long list loses no digits */
        double more = samples[i] - carry, next = sum + more;
        carry = (next - sum) - more;
        sum = next;
    }
    for (int p = 0; p < PERCENTILES; p++) {
        struct cut_point cut = distribution_cut(count, (enum percentile)p);
        double below = samples[cut.below];
        found[p] = distribution_at(&cut, below, count > 1 ? samples[cut.below + 1] : below);
    }
    return (tbus_distribution_t){count,
                                 sum / (double)count,
                                 samples[0],
                                 samples[count - 1],
                                 found[PERCENTILE_50],
                                 found[PERCENTILE_95],
                                 found[PERCENTILE_99]};
}
