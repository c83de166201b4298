#include "trackers/buckets.h"

#include <math.h>
#include <stdlib.h>

#include "tests/check.h"
#include "tests/oracle.h"

Test(buckets, a_sample_belongs_to_the_first_bound_that_it_does_not_pass)
{
    struct buckets_bounds bounds;
    const double values[] = {-1, 0, 2.5};
    cr_assert_eq(buckets_set_bounds(&bounds, &(tbus_bounds_t){3, values}, TBUS_BOUNDS_TOKEN_USAGE), 0);
    struct buckets *buckets = calloc(1, buckets_bytes(&bounds));
    cr_assert_not_null(buckets);
    const double samples[] = {-INFINITY, -1, -0.5, 0, 0.1, 2.5, 2.6, 1e300, NAN};
    for (size_t i = 1; i < sizeof samples / sizeof *samples; i++)
        buckets_add(buckets, &bounds, samples[i]);
    cr_assert_eq(buckets->counts[0], 1u);
    cr_assert_eq(buckets->counts[1], 2u);
    cr_assert_eq(buckets->counts[2], 2u);
    cr_assert_eq(buckets->counts[3], 2u, "above all; and NaN is no sample");
    free(buckets);
}

Test(buckets, agree_with_a_search_from_the_front)
{
    uint64_t seed = oracle_seed("buckets");
    for (int round = 0; round < 200; round++) {
        double values[TBUS_BOUNDS_MAX], sum = 0, at = -10;
        uint64_t expected[TBUS_BOUNDS_MAX + 1] = {0};
        size_t count = 1 + oracle_random(&seed) % TBUS_BOUNDS_MAX;
        for (size_t i = 0; i < count; i++)
            values[i] = at += 1 + (double)(oracle_random(&seed) % 8);
        struct buckets_bounds bounds;
        cr_assert_eq(buckets_set_bounds(&bounds, &(tbus_bounds_t){count, values}, TBUS_BOUNDS_TOKEN_USAGE), 0);
        struct buckets *buckets = calloc(1, buckets_bytes(&bounds));
        cr_assert_not_null(buckets);
        for (int i = 0; i < 300; i++) {
            double sample = (double)(oracle_random(&seed) % 600) - 20;
            size_t bucket = 0;
            while (bucket < count && sample > values[bucket])
                bucket++;
            expected[bucket]++;
            sum += sample;
            buckets_add(buckets, &bounds, sample);
        }
        for (size_t i = 0; i <= count; i++)
            cr_assert_eq(buckets->counts[i], expected[i]);
        cr_assert(buckets->sum == sum, "whole numbers add up exactly");
        free(buckets);
    }
}

Test(buckets, bounds_that_are_none_are_refused)
{
    static const double rising[TBUS_BOUNDS_MAX + 1] = {1}, equal[] = {1, 1}, falling[] = {2, 1},
                                                 endless[] = {1, INFINITY};
    const tbus_bounds_t wrong[] = {{0, rising}, {TBUS_BOUNDS_MAX + 1, rising}, {2, equal}, {2, falling}, {2, endless},
                                   {1, NULL}};
    struct buckets_bounds bounds;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(buckets_set_bounds(&bounds, &wrong[i], TBUS_BOUNDS_TOKEN_USAGE), UV_EINVAL, "%zu", i);
    cr_assert_null(tbus_bounds_preset((tbus_bounds_preset_t)-1));
    cr_assert_null(tbus_bounds_preset((tbus_bounds_preset_t)(TBUS_BOUNDS_SGLANG_INTER_TOKEN_LATENCY + 1)));
}

static void expect_preset(tbus_bounds_preset_t preset, size_t count, double first, double last)
{
    const tbus_bounds_t *bounds = tbus_bounds_preset(preset);
    struct buckets_bounds own;
    cr_assert_not_null(bounds);
    cr_assert_eq(bounds->count, count);
    cr_assert(bounds->values[0] == first && bounds->values[count - 1] == last);
    cr_assert_eq(buckets_set_bounds(&own, bounds, preset), 0);
    cr_assert_eq(buckets_set_bounds(&own, NULL, preset), 0);
    cr_assert_eq(own.bounds.count, count);
}

Test(buckets, presets_are_usable_bounds)
{
    expect_preset(TBUS_BOUNDS_TIME_TO_FIRST_TOKEN, 16, 0.001, 10);
    expect_preset(TBUS_BOUNDS_TIME_PER_OUTPUT_TOKEN, 13, 0.01, 2.5);
    expect_preset(TBUS_BOUNDS_REQUEST_DURATION, 14, 0.01, 81.92);
    expect_preset(TBUS_BOUNDS_TOKEN_USAGE, 14, 1, 67108864);
    expect_preset(TBUS_BOUNDS_VLLM_TIME_TO_FIRST_TOKEN, 22, 0.001, 2560);
    expect_preset(TBUS_BOUNDS_SGLANG_INTER_TOKEN_LATENCY, 23, 0.002, 8);
    for (int i = 0; i < 14; i++) { /* powers of four; and each twice the one before */
        cr_assert(tbus_bounds_preset(TBUS_BOUNDS_TOKEN_USAGE)->values[i] == ldexp(1, 2 * i));
        cr_assert(tbus_bounds_preset(TBUS_BOUNDS_REQUEST_DURATION)->values[i] == ldexp(0.01, i));
    }
    for (int i = 0; i < 16; i++)
        cr_assert(tbus_bounds_preset(TBUS_BOUNDS_VLLM_TIME_TO_FIRST_TOKEN)->values[i] ==
                  tbus_bounds_preset(TBUS_BOUNDS_TIME_TO_FIRST_TOKEN)->values[i]);
}
