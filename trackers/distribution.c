#include "trackers/distribution.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { SAMPLES_FOR_TAILS = 20 };

struct cut_point distribution_cut(uint64_t count, enum percentile percentile)
{
    static const struct {
        uint32_t part, of;
    } cuts[PERCENTILES] = {{1, 2}, {9, 10}, {19, 20}, {99, 100}};
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
    return (tbus_distribution_t){0, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median_of_three(double a, double b, double c)
{
    double low = a < b ? a : b, high = a < b ? b : a;
    return c < low ? low : c > high ? high : c;
}

static void swap(double *a, double *b)
{
    double kept = *a;
    *a = *b;
    *b = kept;
}

/* Splits [first, last], of two samples or more, around a pivot: none of the lower part is above one of the upper part,
 * neither is empty. Returns the end of the lower part. */
static size_t split(double *samples, size_t first, size_t last)
{
    double pivot = median_of_three(samples[first], samples[first + (last - first) / 2], samples[last]);
    for (size_t left = first, right = last;; left++, right--) {
        while (samples[left] < pivot)
            left++;
        while (samples[right] > pivot)
            right--;
        if (left >= right)
            return right; /* never `last`: an earlier sample is as high as the pivot, and stopped `left` */
        swap(&samples[left], &samples[right]);
    }
}

/* Puts the sample of a rank in its place within [first, last]: none above it before it, none below it behind it. To
 * select a few ranks takes a few passes where sorting takes a dozen. Samples that someone has arranged so that the
 * passes are many are sorted instead. */
static void select_rank(double *samples, size_t first, size_t last, size_t rank)
{
    enum { FEW = 16, PASSES_MAX = 64 };
    for (int pass = 0; last - first > FEW && pass < PASSES_MAX; pass++) {
        size_t end = split(samples, first, last);
        if (rank <= end)
            last = end;
        else
            first = end + 1;
    }
    qsort(samples + first, last - first + 1, sizeof *samples, by_value);
}

/* The lowest of those behind a rank, put next to it. */
static double next_above(double *samples, size_t count, size_t rank)
{
    for (size_t i = rank + 2; i < count; i++)
        if (samples[i] < samples[rank + 1])
            swap(&samples[i], &samples[rank + 1]);
    return samples[rank + 1];
}

tbus_distribution_t distribution_of(double *samples, size_t count)
{
    double found[PERCENTILES], sum = 0, carry = 0, min = INFINITY, max = -INFINITY;

    if (count == 0)
        return distribution_none();
    for (size_t i = 0; i < count; i++) { /* compensated, so that a long list loses no digits */
        double more = samples[i] - carry, next = sum + more;
        carry = (next - sum) - more;
        sum = next;
        min = samples[i] < min ? samples[i] : min;
        max = samples[i] > max ? samples[i] : max;
    }
    for (size_t p = 0, from = 0; p < PERCENTILES; p++) { /* ranks rise: what lies before the last one stays there */
        struct cut_point cut = distribution_cut(count, (enum percentile)p);
        assert(cut.below >= from);
        select_rank(samples, from, count - 1, cut.below);
        double below = samples[cut.below];
        found[p] = distribution_at(&cut, below, count > 1 ? next_above(samples, count, cut.below) : below);
        from = cut.below;
    }
    return (tbus_distribution_t){count,
                                 sum / (double)count,
                                 min,
                                 max,
                                 found[PERCENTILE_50],
                                 found[PERCENTILE_90],
                                 found[PERCENTILE_95],
                                 found[PERCENTILE_99]};
}
