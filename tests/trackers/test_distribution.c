#include "trackers/distribution.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"
#include "tests/trackers/statistics.h"

static bool close_enough(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

Test(distribution, without_samples_nothing_is_known)
{
    tbus_distribution_t none = distribution_of(NULL, 0);
    cr_assert_eq(none.count, 0u);
    cr_assert(isnan(none.avg) && isnan(none.min) && isnan(none.max) && isnan(none.p50) && isnan(none.p90) &&
              isnan(none.p95) && isnan(none.p99));
}

Test(distribution, of_one_sample_every_figure_is_it)
{
    double sample = 7.5;
    tbus_distribution_t one = distribution_of(&sample, 1);
    cr_assert(one.avg == 7.5 && one.min == 7.5 && one.max == 7.5 && one.p50 == 7.5 && one.p90 == 7.5 &&
              one.p95 == 7.5 && one.p99 == 7.5);
}

Test(distribution, below_twenty_samples_the_tails_are_the_maximum)
{
    double samples[20];
    for (int i = 0; i < 20; i++)
        samples[i] = 20 - i;
    tbus_distribution_t nineteen = distribution_of(samples, 19); /* 2 .. 20 */
    cr_assert(nineteen.p50 == 11 && nineteen.p90 == 20 && nineteen.p95 == 20 && nineteen.p99 == 20);
    for (int i = 0; i < 20; i++)
        samples[i] = 20 - i;
    tbus_distribution_t twenty = distribution_of(samples, 20);
    cr_assert(twenty.p50 == 10.5);
    cr_assert(close_enough(twenty.p90, 18.9), "%g", twenty.p90);
    cr_assert(close_enough(twenty.p95, 19.95), "%g", twenty.p95);
    cr_assert(close_enough(twenty.p99, 20.79), "%g: the exclusive method goes on past the maximum", twenty.p99);
}

Test(distribution, cut_points_of_huge_counts_do_not_overflow)
{
    struct cut_point cut = distribution_cut(UINT64_MAX - 1, PERCENTILE_99);
    cr_assert_gt(cut.below, UINT64_MAX / 100 * 98);
    cr_assert_lt(cut.below, UINT64_MAX - 1);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Orders that make a careless selection slow or wrong: sorted, falling, all equal, few values, organ pipes, saws. */
Test(distribution, selects_what_sorting_would_find_whatever_the_order)
{
    enum { SHAPES = 7, MOST = 3000 };
    static double samples[MOST], sorted[MOST];
    uint64_t seed = oracle_seed("distribution");
    for (int round = 0; round < 700; round++) {
        size_t count = 20 + oracle_random(&seed) % (MOST - 20);
        for (size_t i = 0; i < count; i++) {
            const double shapes[SHAPES] = {(double)i,
                                           (double)(count - i),
                                           7,
                                           (double)(oracle_random(&seed) % 3),
                                           (double)(i < count / 2 ? i : count - i),
                                           (double)(i % 17),
                                           (double)(oracle_random(&seed) % 100000)};
            samples[i] = sorted[i] = shapes[round % SHAPES];
        }
        qsort(sorted, count, sizeof *sorted, by_value);
        tbus_distribution_t own = distribution_of(samples, count);
        const double *const told[PERCENTILES] = {&own.p50, &own.p90, &own.p95, &own.p99};
        for (int p = 0; p < PERCENTILES; p++) {
            struct cut_point cut = distribution_cut(count, (enum percentile)p);
            cr_assert(*told[p] == distribution_at(&cut, sorted[cut.below], sorted[cut.below + 1]), "round %d", round);
        }
        cr_assert(own.min == sorted[0] && own.max == sorted[count - 1]);
    }
}

/* Lists of all lengths up to 130 and longer ones: integers, ties, wide ranges. */
/* semantics: percentiles.exact */
Test(distribution, equals_pythons_statistics)
{
    enum { LISTS = 300, LONGEST = 2000 };
    static double samples[LONGEST];
    uint64_t seed = oracle_seed("distribution");
    struct oracle oracle;
    oracle_open(&oracle);
    for (size_t list = 0; list < LISTS; list++) {
        size_t count = list < 130 ? list : 1 + oracle_random(&seed) % LONGEST;
        for (size_t i = 0; i < count; i++)
            samples[i] = list % 3 == 0 ? (double)(oracle_random(&seed) % 10)
                                       : exp((double)(oracle_random(&seed) % 20000) / 1000 - 5);
        static double sorted[LONGEST];
        memcpy(sorted, samples, sizeof samples);
        tbus_distribution_t own = distribution_of(sorted, count);
        oracle_distribution(&oracle, 0, &own, samples, count);
    }
    oracle_check(&oracle, "tests/trackers/statistics_oracle.py", "");
}
