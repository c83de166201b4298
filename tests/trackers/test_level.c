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

/* What lies in the slice of the boundary stays, and so does what is held on from within it. */
Test(level, goes_on_where_the_time_that_is_right_lies_in_its_newest_slice)
{
    struct level level;
    level_init(&level, 300 * second);
    level_set(&level, 101 * second, 4);
    level_set(&level, 105 * second, 8);
    level_go_back(&level, 104 * second, 3600 * second);
    cr_assert_float_eq(level_at(&level, 109 * second).mean, (4 * 4 + 4 * 8) / 8.0, 1e-12);
    level_set(&level, 104 * second, 2); /* behind the last: as of then */
    cr_assert_float_eq(level_at(&level, 109 * second).mean, (4 * 4 + 4 * 2) / 8.0, 1e-12);
    cr_assert_eq(level_at(&level, 109 * second).max, 8);
}

/* By slice, for all time; all moments are above 0. */
struct plain_level {
    int64_t area[20000], span_ns[20000], max[20000];
    int64_t slice_ns, newest, value, since_ns;
    bool known;
};

static void plain_touch(struct plain_level *p, int64_t moment, int64_t span_ns)
{
    const int64_t slice = moment / p->slice_ns;
    p->newest = slice > p->newest ? slice : p->newest;
    p->area[slice] += p->value * span_ns;
    p->span_ns[slice] += span_ns;
    p->max[slice] = p->value > p->max[slice] ? p->value : p->max[slice];
}

static void plain_set(struct plain_level *p, int64_t time_ns, int64_t value)
{
    for (; p->known && p->since_ns < time_ns; p->since_ns++)
        plain_touch(p, p->since_ns, 1);
    p->since_ns = p->known ? p->since_ns : time_ns;
    p->known = true;
    p->value = value;
    plain_touch(p, p->since_ns, 0);
}

static void plain_go_back(struct plain_level *p, int64_t now_ns, int64_t span_ns)
{
    const int64_t slices = (span_ns + p->slice_ns - 1) / p->slice_ns;
    if (!p->known || p->newest * p->slice_ns <= now_ns)
        return;
    for (int64_t slice = 0; slice <= p->newest; slice++) {
        const bool is_there = slice + slices <= p->newest;
        p->area[slice] = is_there ? p->area[slice + slices] : 0;
        p->span_ns[slice] = is_there ? p->span_ns[slice + slices] : 0;
        p->max[slice] = is_there ? p->max[slice + slices] : 0;
    }
    p->newest -= slices;
    p->since_ns -= span_ns;
}

static struct level_figures plain_at(const struct plain_level *p, int64_t now_ns)
{
    struct level_figures figures = {p->value, 0, NAN};
    const int64_t now = now_ns / p->slice_ns, held_to = (now_ns - 1) / p->slice_ns;
    const int64_t newest = p->known && now_ns > p->since_ns && held_to > p->newest ? held_to : p->newest;
    int64_t sum = 0, span_ns = 0;
    for (int64_t slice = newest - LEVEL_SLICES; slice <= now; slice++) {
        if (now - slice > LEVEL_SLICES || slice > newest)
            continue;
        sum += p->area[slice];
        span_ns += p->span_ns[slice];
        figures.max = p->max[slice] > figures.max ? p->max[slice] : figures.max;
        for (int64_t at = slice * p->slice_ns; at < (slice + 1) * p->slice_ns && at < now_ns; at++)
            if (p->known && at >= p->since_ns) {
                sum += p->value;
                span_ns++;
                figures.max = p->value > figures.max ? p->value : figures.max;
            }
    }
    if (span_ns > 0)
        figures.mean = (double)sum / (double)span_ns;
    return figures;
}

Test(level, equals_its_plain_reckoning_where_time_goes_back_now_and_then)
{
    enum { ROUNDS = 300, EVENTS = 200 };
    static struct plain_level plain;
    uint64_t seed = oracle_seed("level"), backs = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct level level;
        int64_t now = 9000;
        plain = (struct plain_level){.slice_ns = 1 + (int64_t)(oracle_random(&seed) % 9)};
        level_init(&level, LEVEL_SLICES * plain.slice_ns);
        for (int event = 0; event < EVENTS; event++) {
            const int64_t value = (int64_t)(oracle_random(&seed) % 100);
            if (oracle_random(&seed) % 10 == 0) {
                const int64_t right = now + (int64_t)(oracle_random(&seed) % 40) - 30;
                const int64_t span_ns = (int64_t)(oracle_random(&seed) % 60);
                const int64_t before = level.window.newest;
                level_go_back(&level, right, span_ns);
                plain_go_back(&plain, right, span_ns);
                backs += level.window.newest != before;
                now -= span_ns;
            }
            now += (int64_t)(oracle_random(&seed) % 20) - 5;
            level_set(&level, now, value);
            plain_set(&plain, now, value);
            const int64_t looked_at = now + (int64_t)(oracle_random(&seed) % 50) - 10;
            const struct level_figures got = level_at(&level, looked_at), expected = plain_at(&plain, looked_at);
            cr_assert_eq(got.now, expected.now);
            cr_assert_eq(got.max, expected.max, "round %d, event %d", round, event);
            cr_assert(isnan(expected.mean) ? isnan(got.mean) : fabs(got.mean - expected.mean) < 1e-9,
                      "round %d, event %d: %g, not %g", round, event, got.mean, expected.mean);
        }
    }
    cr_assert_gt(backs, (uint64_t)ROUNDS, "time went back");
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
