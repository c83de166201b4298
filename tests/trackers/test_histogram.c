#include "trackers/histogram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "trackers/distribution.h"

static const int64_t second = 1000000000;

static tbus_distribution_t read_at(struct histogram_window *window, int64_t now_ns)
{
    static struct histogram total, none;
    histogram_window_add_to(window, now_ns, &total);
    tbus_distribution_t figures = histogram_distribution_ms(&total);
    histogram_clear(&total);
    cr_assert_eq(memcmp(&total, &none, sizeof none), 0, "nothing is left of it");
    return figures;
}

static bool within(double a, double exact, double relative)
{
    return fabs(a - exact) <= relative * exact + 1e-12;
}

/* semantics: percentiles.histogram */
Test(histogram, percentiles_are_within_half_a_per_cent_of_the_exact_ones)
{
    enum { SAMPLES = 2000, ROUNDS = 200 };
    uint64_t seed = uv_hrtime();
    printf("seed %llu\n", (unsigned long long)seed);
    srand48((long)seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct histogram_window *window;
        size_t count = 1 + (size_t)(lrand48() % (round % 2 ? SAMPLES : 120));
        double exact_ms[SAMPLES], low = drand48() * 20, width = drand48() * 22 - low;
        cr_assert_eq(histogram_window_open(-1, HISTOGRAM_SLICES, &window), 0);
        for (size_t i = 0; i < count; i++) { /* from 1 us to 1 h */
            double value = 1e3 * exp(low + (width > 0 ? width : 0) * drand48());
            int64_t ns = value > 3.6e12 ? INT64_C(3600000000000) : (int64_t)value;
            exact_ms[i] = (double)ns / 1e6;
            histogram_window_record(window, 0, ns, 1, ns);
        }
        tbus_distribution_t exact = distribution_of(exact_ms, count), found = read_at(window, 0);
        cr_assert_eq(found.count, exact.count);
        cr_assert(within(found.p50, exact.p50, 0.005), "round %d: %g for %g", round, found.p50, exact.p50);
        cr_assert(within(found.p90, exact.p90, 0.005), "round %d: %g for %g", round, found.p90, exact.p90);
        cr_assert(within(found.p95, exact.p95, 0.005), "round %d: %g for %g", round, found.p95, exact.p95);
        cr_assert(within(found.p99, exact.p99, 0.005), "round %d: %g for %g", round, found.p99, exact.p99);
        cr_assert(within(found.avg, exact.avg, 1e-9) && found.min == exact.min && found.max == exact.max);
        histogram_window_close(window);
    }
}

Test(histogram, values_off_the_scale_are_kept_exactly_at_the_ends)
{
    struct histogram_window *window;
    cr_assert_eq(histogram_window_open(-1, HISTOGRAM_SLICES, &window), 0);
    histogram_window_record(window, 0, 0, 1, 0);
    histogram_window_record(window, 0, INT64_MAX, 1, INT64_MAX);
    tbus_distribution_t found = read_at(window, 0);
    cr_assert_eq(found.count, 2u);
    cr_assert(found.min == 0 && found.max == (double)INT64_MAX / 1e6 && found.p99 == found.max);
    histogram_window_close(window);
}

Test(histogram, the_window_covers_its_length_and_at_most_one_slice_more)
{
    struct histogram_window *window;
    cr_assert_eq(histogram_window_open(300 * second, HISTOGRAM_SLICES, &window), 0);
    int64_t start = 1700000000 * second;
    histogram_window_record(window, start, 5, 1, 5);
    cr_assert_eq(read_at(window, start).count, 1u);
    cr_assert_eq(read_at(window, start + 300 * second).count, 1u, "not a moment too early");
    cr_assert_eq(read_at(window, start + 310 * second).count, 0u);
    histogram_window_close(window);
}

Test(histogram, reading_moves_nothing_and_shows_the_moment_asked_for)
{
    struct histogram_window *window;
    cr_assert_eq(histogram_window_open(30 * second, HISTOGRAM_SLICES, &window), 0);
    for (int i = 0; i < 10; i++)
        histogram_window_record(window, i * second, i + 1, 1, i + 1);
    cr_assert_eq(read_at(window, 4 * second).count, 5u, "what came later is not there yet");
    cr_assert(read_at(window, 4 * second).max == 5e-6);
    cr_assert_eq(read_at(window, 1000 * second).count, 0u);
    cr_assert_eq(read_at(window, 35 * second).count, 5u);
    histogram_window_record(window, 9 * second, 1, 1, 1);
    cr_assert_eq(read_at(window, 9 * second).count, 11u, "a look ahead has lost nothing");
    histogram_window_close(window);
}

/* Records at random moments, going forward and back; compares with the slices told by hand. */
Test(histogram, what_leaves_the_window_is_taken_off_exactly)
{
    enum { STEPS = 3000 };
    struct histogram_window *window;
    static struct {
        int64_t slice, value;
    } all[STEPS];
    static double exact_ms[STEPS];
    uint64_t seed = uv_hrtime();
    int64_t now = 0, newest = INT64_MIN;
    printf("seed %llu\n", (unsigned long long)seed);
    srand48((long)seed);
    cr_assert_eq(histogram_window_open(30 * second, HISTOGRAM_SLICES, &window), 0); /* slices of 1 s */
    for (int i = 0; i < STEPS; i++) {
        now += lrand48() % (i % 100 == 0 ? 60 * second : second);
        int64_t time = now - (lrand48() % 4 == 0 ? lrand48() % (40 * second) : 0);
        all[i].slice = time < 0 ? (time - second + 1) / second : time / second;
        all[i].value = lrand48() % 1000000 >> lrand48() % 20; /* of all orders of magnitude */
        newest = all[i].slice > newest ? all[i].slice : newest;
        if (newest - all[i].slice > 30)
            all[i].slice = INT64_MIN; /* too late to count */
        histogram_window_record(window, time, all[i].value, 1, all[i].value);
        if (i % 10 != 0)
            continue;
        uint64_t count = 0;
        double sum = 0, min = INFINITY, max = 0;
        for (int j = 0; j <= i; j++)
            if (all[j].slice != INT64_MIN && newest - all[j].slice <= 30) {
                exact_ms[count++] = (double)all[j].value / 1e6;
                sum += (double)all[j].value;
                min = fmin(min, (double)all[j].value);
                max = fmax(max, (double)all[j].value);
            }
        tbus_distribution_t found = read_at(window, newest * second);
        cr_assert_eq(found.count, count, "step %d", i);
        cr_assert(within(found.avg, sum / (double)count / 1e6, 1e-9), "step %d", i);
        cr_assert(found.min == min / 1e6 && found.max == max / 1e6, "step %d", i);
        const tbus_distribution_t exact = distribution_of(exact_ms, count);
        cr_assert(fabs(found.p50 - exact.p50) <= 0.005 * exact.p50 + 8e-6, "step %d", i);
        cr_assert(fabs(found.p99 - exact.p99) <= 0.005 * exact.p99 + 8e-6, "step %d", i);
    }
    histogram_window_close(window);
}

Test(histogram, many_samples_at_once_are_counted_and_the_counts_saturate)
{
    struct histogram_window *window;
    cr_assert_eq(histogram_window_open(30 * second, HISTOGRAM_SLICES, &window), 0);
    histogram_window_record(window, 0, 10, 5, 50);
    cr_assert_eq(read_at(window, 0).count, 5u);
    histogram_window_record(window, 0, 10, UINT32_MAX - 5, 10 * ((int64_t)UINT32_MAX - 5));
    histogram_window_record(window, 0, 10, UINT64_MAX, INT64_MAX);
    cr_assert_eq(read_at(window, 0).count, (uint64_t)UINT32_MAX);
    cr_assert_eq(read_at(window, 60 * second).count, 0u, "and are taken off whole");
    histogram_window_reset(window);
    cr_assert_eq(read_at(window, 0).count, 0u);
    histogram_window_close(window);
}

Test(histogram, what_is_not_counted_does_not_move_the_mean)
{
    struct histogram_window *window;
    cr_assert_eq(histogram_window_open(30 * second, HISTOGRAM_SLICES, &window), 0);
    histogram_window_record(window, 0, 10, UINT32_MAX - 1, 10 * (int64_t)(UINT32_MAX - 1));
    for (int i = 0; i < 1000; i++)
        histogram_window_record(window, 0, 10, 4096, 10 * 4096);
    cr_assert_float_eq(read_at(window, 0).avg, 1e-5, 1e-14);
    cr_assert_float_eq(read_at(window, 0).max, 1e-5, 1e-14);
    histogram_window_close(window);
}

Test(histogram, a_window_without_limit_counts_on_for_ever)
{
    struct histogram_window *window;
    const int64_t many = UINT32_MAX;
    cr_assert_eq(histogram_window_open(-1, HISTOGRAM_SLICES, &window), 0);
    for (int i = 0; i < 100; i++)
        histogram_window_record(window, 0, 10, (uint64_t)many, 10 * many);
    for (int i = 0; i < 10; i++)
        histogram_window_record(window, 0, 2000, (uint64_t)many, 2000 * many);
    const tbus_distribution_t found = read_at(window, 0);
    cr_assert_eq(found.count, 110 * (uint64_t)many);
    cr_assert(within(found.avg, (100 * 10 + 10 * 2000) / 110.0 / 1e6, 1e-9), "%g", found.avg);
    cr_assert_lt(found.p50, 2e-5);
    cr_assert(within(found.p95, 2e-3, 0.005));
    histogram_window_close(window);
}

Test(histogram, moments_before_1970_and_far_away_are_moments_too)
{
    struct histogram_window *window;
    cr_assert_eq(histogram_window_open(7, HISTOGRAM_SLICES, &window), 0); /* slices of 1 ns */
    histogram_window_record(window, -(INT64_C(1) << 62), 1, 1, 1);
    histogram_window_record(window, -1, 1, 1, 1);
    cr_assert_eq(read_at(window, -1).count, 1u);
    histogram_window_record(window, INT64_C(1) << 62, 1, 1, 1);
    cr_assert_eq(read_at(window, 0).count, 0u);
    cr_assert_eq(read_at(window, INT64_C(1) << 62).count, 1u);
    histogram_window_close(window);
}
