#include "trackers/level.h"
#include "trackers/moment.h"

#include <math.h>

#include "tests/check.h"
#include "tests/oracle.h"

static const int64_t second = 1000000000;

Test(level, its_mean_is_weighted_by_the_time_that_a_value_was_held)
{
    struct level level;
    level_init(&level, 30 * second);
    level_set(&level, 100 * second, 4);
    level_set(&level, 101 * second, 10); /* 4 for a second, 10 for 3 */
    struct level_figures figures = level_at(&level, 104 * second);
    cr_assert_eq(figures.now, 10);
    cr_assert_eq(figures.max, 10);
    cr_assert_float_eq(figures.mean, 34.0 / 4, 1e-12);
}

Test(level, before_any_time_has_gone_by_there_is_no_mean)
{
    struct level level;
    level_init(&level, 30 * second);
    cr_assert(isnan(level_at(&level, 5).mean));
    level_set(&level, 5, 7);
    cr_assert(isnan(level_at(&level, 5).mean));
    cr_assert_eq(level_at(&level, 5).max, 7);
}

/* A value for each nanosecond, kept in a list, is the plain model; slices are 1 ns .. 3 ns long. */
Test(level, equals_a_list_of_every_moment)
{
    enum { MOMENTS = 400, ROUNDS = 300 };
    uint64_t seed = oracle_seed("level");
    for (int round = 0; round < ROUNDS; round++) {
        struct level level;
        const int64_t slice = 1 + round % 3;
        int64_t held[MOMENTS], set[MOMENTS], value = 0, from = -1;
        level_init(&level, LEVEL_SLICES * slice);
        for (int64_t now = 0; now < MOMENTS; now++) {
            set[now] = 0;
            if (oracle_random(&seed) % (round % 50 + 1) == 0) {
                value = set[now] = (int64_t)(oracle_random(&seed) % 1000);
                level_set(&level, now, value);
                from = from < 0 ? now : from;
            }
            held[now] = value;
            int64_t first = (now / slice - LEVEL_SLICES) * slice, sum = 0, count = 0, max = 0;
            for (int64_t at = first < 0 ? 0 : first; at <= now && from >= 0; at++) {
                if (at >= from && at < now) {
                    sum += held[at];
                    count++;
                }
                if (at >= from && at < now && held[at] > max)
                    max = held[at];
                max = set[at] > max ? set[at] : max;
            }
            struct level_figures figures = level_at(&level, now);
            cr_assert_eq(figures.now, value);
            cr_assert_eq(figures.max, max, "round %d at %d", round, (int)now);
            cr_assert(count ? fabs(figures.mean - (double)sum / (double)count) < 1e-9 : isnan(figures.mean),
                      "round %d at %d: %g", round, (int)now, figures.mean);
        }
    }
}

Test(level, far_times_and_huge_values_do_not_overflow)
{
    struct level level;
    level_init(&level, INT64_C(1) << 62);
    level_set(&level, 1 - (INT64_C(1) << 62), INT64_MAX);
    level_set(&level, INT64_C(1) << 62, 0);
    level_set(&level, 0, 3); /* behind the last: as of then */
    struct level_figures figures = level_at(&level, INT64_C(1) << 62);
    cr_assert_eq(figures.now, 3);
    cr_assert_eq(figures.max, INT64_MAX);
    cr_assert_float_eq(figures.mean / 9223372036854775807.0, 1, 1e-9);
}

Test(level, a_value_is_held_on_where_time_goes_back)
{
    struct level level;
    level_init(&level, 30 * second);
    level_go_back(&level, 0, 7 * second);
    level_set(&level, 1000 * second, 4);
    level_set(&level, 1002 * second, 10);
    level_go_back(&level, 102 * second, 900 * second);
    cr_assert_float_eq(level_at(&level, 104 * second).mean, (2 * 4 + 2 * 10) / 4.0, 1e-12);
    level_set(&level, 103 * second, 1);
    struct level_figures figures = level_at(&level, 104 * second);
    cr_assert_float_eq(figures.mean, (2 * 4 + 10 + 1) / 4.0, 1e-12);
    cr_assert(figures.now == 1 && figures.max == 10);
    level_go_back(&level, MOMENT_MIN, INT64_MAX);
    level_set(&level, 0, 2);
    cr_assert_eq(level_at(&level, 0).now, 2);
}

Test(level, what_was_told_of_a_time_that_was_right_stays)
{
    struct level level;
    level_init(&level, 30 * second);
    level_set(&level, 80 * second, 0);
    level_set(&level, 100 * second, 10);
    level_go_back(&level, 103 * second, 3597 * second);
    cr_assert_float_eq(level_at(&level, 105 * second).mean, 10 * 5 / 25.0, 1e-12);
}
