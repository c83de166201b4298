/* Requests and errors over time against a plain list of all of them. */
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/errors_series.h"

#define SECOND INT64_C(1000000000)

struct request {
    int64_t time;
    bool failed;
};

struct model {
    struct request *requests;
    size_t count;
};

static void open_series(struct series *series, struct tally *places, bool rolling, uint32_t compliance_s)
{
    memset(places, 0x5a, series_places(rolling) * sizeof *places);
    series_init(series, places, rolling, compliance_s);
}

static int64_t slice_of(int64_t time, int64_t slice_ns)
{
    int64_t number = time / slice_ns;
    return number * slice_ns > time ? number - 1 : number;
}

/* All in the slice of `now` and so many before it, looked at one by one. */
static struct tally model_sum(const struct model *model, int64_t slice_s, int64_t slices, int64_t now)
{
    struct tally sum = {0};
    int64_t last = slice_of(now, slice_s * SECOND);

    for (size_t i = 0; i < model->count; i++) {
        int64_t number = slice_of(model->requests[i].time, slice_s * SECOND);
        if (number > last || last - number > slices)
            continue;
        sum.requests++;
        sum.errors += model->requests[i].failed;
    }
    return sum;
}

static const struct {
    int64_t slice_s, slices;
} windows[] = {{10, 30}, {60, 30}, {60, 60}, {60, 120}, {900, 24}, {900, 96}, {900, 288}};

static void compare(struct series *series, const struct model *model, int64_t period_slice_s, int64_t period_slices,
                    int64_t now)
{
    for (unsigned i = 0; i < TBUS_BURN_WINDOWS; i++) {
        struct tally is = series_burn(series, i, now);
        struct tally expected = model_sum(model, windows[i].slice_s, windows[i].slices, now);
        cr_assert_eq(is.requests, expected.requests, "%s", tbus_burn_window_name(i));
        cr_assert_eq(is.errors, expected.errors, "%s", tbus_burn_window_name(i));
    }
    struct tally is = series_period(series, now), expected = model_sum(model, period_slice_s, period_slices, now);
    cr_assert_eq(is.requests, expected.requests);
    cr_assert_eq(is.errors, expected.errors);
    cr_assert_eq(series_ever(series).requests, model->count);
}

/* How far time goes on: mostly within a slice, at times over hours or days. */
static int64_t random_step(uint64_t *random)
{
    static const int64_t most_s[] = {1, 1, 1, 15, 15, 90, 90, 1200, 30000, 400000};
    return (int64_t)(oracle_random(random) % (uint64_t)(most_s[oracle_random(random) % 10] * SECOND));
}

/* semantics: errors.burn */
Test(errors_series, it_agrees_with_a_list_of_all_requests)
{
    enum { ROUNDS = 30, REQUESTS = 2000 };
    uint64_t random = oracle_seed("errors_series");
    struct model model = {.requests = calloc(REQUESTS, sizeof *model.requests)};
    struct tally *places = calloc(series_places(true), sizeof *places);

    cr_assert(model.requests && places);
    for (int round = 0; round < ROUNDS; round++) {
        struct series series;
        int64_t latest = round % 3 ? INT64_C(1700000000) * SECOND : -3 * SECOND, now;
        open_series(&series, places, true, 86400);
        model.count = 0;
        for (int i = 0; i < REQUESTS; i++) {
            int64_t time = latest + random_step(&random);
            if (oracle_random(&random) % 4 == 0)
                time = latest - random_step(&random);
            bool failed = oracle_random(&random) % 3 == 0;
            series_add(&series, time, failed);
            model.requests[model.count++] = (struct request){time, failed};
            latest = time > latest ? time : latest;
            now = latest + (i % 2 ? random_step(&random) : 0);
            if (i % 37 == 0)
                compare(&series, &model, 720, 120, now);
        }
        compare(&series, &model, 720, 120, latest);
    }
    free(places);
    free(model.requests);
}

/* A period that no 120 slices of whole tens of seconds make up is kept in fewer of them, and is not shorter. */
Test(errors_series, a_period_of_any_length_is_covered)
{
    static const uint32_t periods_s[] = {3600, 3601, 3610, 86399, 100000, 2592000, 31622400};
    struct tally *places = calloc(series_places(true), sizeof *places);

    cr_assert_not_null(places);
    for (size_t i = 0; i < sizeof periods_s / sizeof *periods_s; i++) {
        struct series series;
        int64_t period = periods_s[i] * SECOND, begin = INT64_C(1700000000) * SECOND;
        open_series(&series, places, true, periods_s[i]);
        series_add(&series, begin, true);
        cr_assert_eq(series_period(&series, begin + period).requests, 1, "%u", periods_s[i]);
        int64_t slice = series.windows[SERIES_PERIOD].slice_ns;
        cr_assert_eq(slice % SERIES_SLICE_NS, 0, "%u", periods_s[i]);
        cr_assert_leq(slice, period / 120 + 10 * SECOND, "%u", periods_s[i]);
        cr_assert_eq(series_period(&series, begin + period + 2 * slice).requests, 0, "%u", periods_s[i]);
    }
    free(places);
}

Test(errors_series, without_rolling_the_period_is_for_ever)
{
    struct tally *places = calloc(series_places(false), sizeof *places);
    struct series series;

    cr_assert_not_null(places);
    open_series(&series, places, false, 3600);
    for (int i = 0; i < 100; i++)
        series_add(&series, i * 86400 * SECOND, i % 2);
    cr_assert_eq(series_period(&series, 100 * 86400 * SECOND).requests, 100);
    cr_assert_eq(series_period(&series, 100 * 86400 * SECOND).errors, 50);
    series_reset(&series);
    cr_assert_eq(series_period(&series, 100 * 86400 * SECOND).requests, 0);
    cr_assert_eq(series_burn(&series, TBUS_BURN_3D, 99 * 86400 * SECOND).requests, 0);
    series_add(&series, SECOND, false);
    cr_assert_eq(series_burn(&series, TBUS_BURN_5M, SECOND).requests, 1);
    free(places);
}

Test(errors_series, the_ends_of_time_do_no_harm)
{
    static const int64_t ends[] = {INT64_C(1) << 62, 1 - (INT64_C(1) << 62), 0, -1};
    struct tally *places = calloc(series_places(true), sizeof *places);

    cr_assert_not_null(places);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            struct series series;
            int64_t later = ends[i] > ends[j] ? ends[i] : ends[j];
            open_series(&series, places, true, 3600);
            series_add(&series, ends[i], true);
            series_add(&series, ends[j], true);
            cr_assert_eq(series_ever(&series).errors, 2);
            bool near = ends[i] / 4 - ends[j] / 4 < SECOND && ends[j] / 4 - ends[i] / 4 < SECOND;
            cr_assert_eq(series_burn(&series, TBUS_BURN_3D, later).errors, near ? 2 : 1);
        }
    }
    free(places);
}
