/* Counts within the window: errors by name and status, requests in all. */
#include <string.h>

#include "tests/oracle.h"
#include "tests/trackers/errors_fixture.h"

static void fail(tbus_errors_t *errors, const char *name, int64_t status_code, int64_t time_ns)
{
    tbus_error_t error = {
        .type = name, .message = "m", .endpoint = name, .model = name, .status_code = status_code, .time_ns = time_ns};
    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
}

Test(errors_window, what_is_older_counts_for_ever_alone)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    fail(errors, "a", 500, 1000 * SECOND);
    fail(errors, "a", 0, 1200 * SECOND);
    fail(errors, "b", 500, 1320 * SECOND);
    cr_assert_eq(tbus_errors_record_response(errors, "a", "m", 200, 1320 * SECOND), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_at(errors, 0);
    cr_assert_eq(snapshot->requests, 4);
    cr_assert_eq(snapshot->failed, 3);
    cr_assert_eq(snapshot->requests_in_window, 3);
    cr_assert_eq(snapshot->failed_in_window, 2);
    cr_assert_float_eq(snapshot->error_rate_in_window, 2 / 3.0, 1e-15);
    cr_assert_eq(snapshot->by_type[0].errors, 2);
    cr_assert_eq(snapshot->by_type[0].errors_in_window, 1);
    cr_assert_eq(snapshot->by_endpoint[1].errors_in_window, 1);
    cr_assert_eq(snapshot->by_model[0].errors_in_window, 1);
    cr_assert_eq(snapshot->by_status[0].status_code, 500);
    cr_assert_eq(snapshot->by_status[0].errors, 2);
    cr_assert_eq(snapshot->by_status[0].errors_in_window, 1);
    cr_assert_eq(snapshot->by_status[1].errors_in_window, 1);
    tbus_errors_snapshot_free(snapshot);

    snapshot = snapshot_at(errors, 10000 * SECOND);
    cr_assert_eq(snapshot->requests_in_window + snapshot->failed_in_window, 0, "as of later");
    cr_assert_eq(snapshot->error_rate_in_window, 0);
    cr_assert_eq(snapshot->by_type[0].errors_in_window, 0);
    tbus_errors_snapshot_free(snapshot);
    snapshot = snapshot_at(errors, 5 * SECOND);
    cr_assert_eq(snapshot->requests_in_window, 3, "an earlier moment means the latest");
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors_window, a_window_without_limit_holds_everything)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.window_ns = -1});

    fail(errors, "a", 500, INT64_MIN);
    fail(errors, "a", 500, 0);
    fail(errors, "a", 500, INT64_MAX);
    tbus_errors_snapshot_t *snapshot = snapshot_at(errors, 0);
    cr_assert_eq(snapshot->requests_in_window, 3);
    cr_assert_eq(snapshot->by_status[0].errors_in_window, 3);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* --- Against a list of everything --- */

enum { NAMES = 6, RECORDS = 4000 };

static const char *const names[NAMES] = {"", "a", "b", "c", "other", "d"};
static const int64_t statuses[NAMES] = {0, 500, 503, 404, 42, 599};

struct record {
    int64_t time;
    int name;
    bool failed;
};

struct model {
    struct record records[RECORDS];
    int count;
    int64_t latest, slice_ns;
};

static int64_t slice_of(const struct model *model, int64_t time)
{
    return time / model->slice_ns; /* no time here is negative */
}

/* Within the window that ends at `now`: not more than 30 slices before. `name` -1 = all, good ones too. */
static uint64_t model_count(const struct model *model, int name, bool failed, int64_t now)
{
    uint64_t count = 0;

    for (int i = 0; i < model->count; i++) {
        const struct record *record = &model->records[i];
        bool counts = (name < 0 || record->name == name) && (!failed || record->failed);
        count += counts && slice_of(model, now) - slice_of(model, record->time) <= 30;
    }
    return count;
}

static void compare_names(const struct model *model, const tbus_error_count_t *counts, size_t count, int64_t now)
{
    for (size_t i = 0; i < count; i++) {
        int name = 0;
        while (strcmp(names[name], counts[i].name) != 0)
            name++;
        cr_assert_eq(counts[i].errors_in_window, model_count(model, name, true, now), "%s", counts[i].name);
    }
}

static void compare(const struct model *model, tbus_errors_t *errors, int64_t now)
{
    tbus_errors_snapshot_t *snapshot = snapshot_at(errors, now);

    cr_assert_eq(snapshot->requests_in_window, model_count(model, -1, false, now));
    cr_assert_eq(snapshot->failed_in_window, model_count(model, -1, true, now));
    compare_names(model, snapshot->by_type, snapshot->by_type_count, now);
    compare_names(model, snapshot->by_endpoint, snapshot->by_endpoint_count, now);
    compare_names(model, snapshot->by_model, snapshot->by_model_count, now);
    for (size_t i = 0; i < snapshot->by_status_count; i++) {
        int64_t code = snapshot->by_status[i].status_code == -1 ? 42 : snapshot->by_status[i].status_code;
        int name = 0;
        while (statuses[name] != code)
            name++;
        cr_assert_eq(snapshot->by_status[i].errors_in_window, model_count(model, name, true, now));
    }
    tbus_errors_snapshot_free(snapshot);
}

/* semantics: errors.rate errors.counts */
Test(errors_window, it_agrees_with_a_list_of_all_records)
{
    static const int64_t windows[] = {300 * SECOND, 3600 * SECOND, 7, 86400 * SECOND};
    static struct model model;
    uint64_t random = oracle_seed("errors_window");

    for (int round = 0; round < 4; round++) {
        int64_t window = windows[round];
        tbus_errors_t *errors = open_with((tbus_errors_options_t){.window_ns = window});
        model = (struct model){.latest = 1700000000 * SECOND, .slice_ns = (window + 29) / 30};
        while (model.count < RECORDS) {
            uint64_t dice = oracle_random(&random), span = (uint64_t)window / (dice % 64 ? 50 + 1 : 1) + 1;
            int64_t step = (int64_t)(oracle_random(&random) % (span * (dice % 512 ? 1 : 3)));
            struct record record = {.time = dice % 8 ? model.latest + step : model.latest - step,
                                    .name = (int)((dice >> 32) % NAMES),
                                    .failed = (dice >> 40) % 3 > 0};
            if (record.failed)
                fail(errors, names[record.name], statuses[record.name], record.time);
            else
                cr_assert_eq(tbus_errors_record_response(errors, names[record.name], "m", 200, record.time), 0);
            model.records[model.count++] = record;
            model.latest = record.time > model.latest ? record.time : model.latest;
            if (model.count % 41 == 0)
                compare(&model, errors, model.latest + (model.count % 2 ? step : 0));
        }
        tbus_errors_close(errors);
    }
}

/* --- Times that are ahead of the clock --- */

static int64_t clock_of(void *user)
{
    return *(const int64_t *)user;
}

static tbus_errors_t *open_with_clock(int64_t *now_ns)
{
    return open_with((tbus_errors_options_t){.ahead_max_ns = 300 * SECOND, .clock = clock_of, .clock_user = now_ns});
}

/* semantics: times.ahead */
Test(errors_window, one_time_far_ahead_hides_nothing_that_comes_behind_it)
{
    static const int64_t wrong[] = {INT64_MAX, 1000000 * SECOND, 1301 * SECOND};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t now = 1000 * SECOND;
        tbus_errors_t *errors = open_with_clock(&now);
        fail(errors, "a", 500, now);
        fail(errors, "a", 500, wrong[i]);
        cr_assert_eq(tbus_errors_record_response(errors, "a", "m", 200, wrong[i]), 0);
        cr_assert_eq(tbus_errors_record_response(errors, "a", "m", 499, wrong[i]), 0);
        for (int more = 0; more < 200; more++)
            fail(errors, "a", 500, now + SECOND);
        cr_assert_eq(tbus_errors_evaluate(errors, now + SECOND), 0);
        tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
        cr_assert_eq(snapshot->time_ns, now + SECOND);
        cr_assert_eq(snapshot->ahead, 3);
        cr_assert_eq(snapshot->requests, 203);
        cr_assert_eq(snapshot->requests_in_window, 203);
        cr_assert_eq(snapshot->failed_in_window, 202);
        cr_assert_eq(snapshot->by_type[0].errors_in_window, 202);
        cr_assert_eq(snapshot->slo_of_all.burn[TBUS_BURN_5M].errors, 202);
        cr_assert_eq(snapshot->patterns[0].last_seen_ns, now + SECOND, "it can be forgotten by age");
        cr_assert(snapshot->slo_of_all.alerts[TBUS_ALERT_PAGE_1H].active);
        tbus_errors_snapshot_free(snapshot);
        tbus_errors_close(errors);
    }
}

Test(errors_window, a_first_time_far_ahead_counts_as_now)
{
    int64_t now = 1000 * SECOND;
    tbus_errors_t *errors = open_with_clock(&now);

    fail(errors, "a", 500, 9000 * SECOND);
    fail(errors, "a", 500, 999 * SECOND);
    now = 9000 * SECOND;
    fail(errors, "a", 500, 9300 * SECOND);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->ahead, 1, "the clock has come there since");
    cr_assert_eq(snapshot->time_ns, 9300 * SECOND);
    cr_assert_eq(snapshot->slo_of_all.burn[TBUS_BURN_3D].errors, 3);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_reset(errors);
    snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->ahead, 0);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors_window, a_look_far_ahead_does_not_end_all_later_alerts)
{
    int64_t now = 1000 * SECOND;
    tbus_errors_t *errors = open_with_clock(&now);

    cr_assert_eq(tbus_errors_evaluate(errors, INT64_MAX), 0);
    for (int i = 0; i < 200; i++)
        fail(errors, "a", 500, now);
    cr_assert_eq(tbus_errors_evaluate(errors, now), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert(snapshot->slo_of_all.alerts[TBUS_ALERT_PAGE_1H].active);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors_window, a_look_before_the_latest_time_is_one_as_of_it)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (int i = 0; i < 200; i++)
        fail(errors, "a", 500, (i == 0 ? 1000 : 1009) * SECOND);
    cr_assert_eq(tbus_errors_evaluate(errors, 5 * SECOND), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo_of_all.alerts[TBUS_ALERT_PAGE_1H].since_ns, 1009 * SECOND);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* --- A clock that was ahead --- */

static void expect_same_slo(const tbus_slo_t *own, const tbus_slo_t *other, int64_t at)
{
    cr_assert_eq(own->status.total_requests, other->status.total_requests, "at %lld", (long long)at);
    cr_assert_eq(own->status.errors, other->status.errors);
    for (int i = 0; i < TBUS_BURN_WINDOWS; i++) {
        cr_assert_eq(own->burn[i].requests, other->burn[i].requests, "window %d at %lld", i, (long long)at);
        cr_assert_eq(own->burn[i].errors, other->burn[i].errors);
    }
    for (int i = 0; i < TBUS_ALERTS; i++) {
        cr_assert_eq(own->alerts[i].active, other->alerts[i].active, "alert %d at %lld", i, (long long)at);
        cr_assert_eq(own->alerts[i].entered, other->alerts[i].entered);
    }
}

static void expect_same(tbus_errors_t *one, tbus_errors_t *two, int64_t at)
{
    tbus_errors_snapshot_t *own = snapshot_of(one), *other = snapshot_of(two);
    cr_assert(own->time_ns == at && other->time_ns == at);
    cr_assert(own->requests == other->requests && own->ahead == 0);
    cr_assert(own->requests_in_window == other->requests_in_window && own->failed_in_window == other->failed_in_window);
    cr_assert(own->by_type_count == other->by_type_count && own->slos_count == other->slos_count);
    for (size_t i = 0; i < own->by_type_count; i++)
        cr_assert_eq(own->by_type[i].errors_in_window, other->by_type[i].errors_in_window, "at %lld", (long long)at);
    expect_same_slo(&own->slo_of_all, &other->slo_of_all, at);
    for (size_t i = 0; i < own->slos_count; i++)
        expect_same_slo(&own->slos[i], &other->slos[i], at);
    tbus_errors_snapshot_free(own);
    tbus_errors_snapshot_free(other);
}

/* Of two trackers one has a clock that is a year ahead, whole slices of all windows, until it is set right. From then on
 * both tell the same. */
/* semantics: times.back */
Test(errors_window, when_a_clock_that_was_ahead_is_right_again_all_windows_go_on)
{
    enum { STEPS = 1500, YEAR_S = 31536000, STEP_S = 60 };
    uint64_t random = oracle_seed("errors_window");
    for (int rolling = 0; rolling < 2; rolling++) {
        int64_t now[2] = {0};
        const int64_t set_right = (int64_t)(STEPS / 4 + oracle_random(&random) % (STEPS / 4));
        tbus_errors_t *errors[2];
        int failing = 0;
        for (int i = 0; i < 2; i++)
            errors[i] = open_with((tbus_errors_options_t){
                .clock = clock_of, .clock_user = &now[i], .ahead_max_ns = 300 * SECOND, .rolling = rolling});
        for (int64_t step = 0; step < STEPS; step++) {
            const int64_t at = step * STEP_S * SECOND;
            now[0] = at + (step <= set_right ? YEAR_S * SECOND : 0);
            now[1] = at;
            if (oracle_random(&random) % 100 == 0)
                failing = (int)(oracle_random(&random) % 20);
            for (int i = 0; i < 5; i++) {
                const char *const name = oracle_random(&random) % 2 ? "a" : "b";
                const bool fails = oracle_random(&random) % 100 < (unsigned)failing;
                for (int which = 0; which < 2; which++)
                    cr_assert_eq(tbus_errors_record_response(errors[which], name, "m", fails ? 500 : 200, now[which]),
                                 0);
            }
            if (step == set_right) /* two of no class, by the right clock */
                for (int which = 0; which < 4; which++)
                    cr_assert_eq(tbus_errors_record_response(errors[which % 2], "a", "m", 499, now[0] = at), 0);
            for (int which = 0; which < 2; which++)
                cr_assert_eq(tbus_errors_evaluate(errors[which], now[which]), 0);
            if (step >= set_right)
                expect_same(errors[0], errors[1], at);
        }
        for (int i = 0; i < 2; i++)
            tbus_errors_close(errors[i]);
    }
}

/* What nobody told by the wrong clock stays where it is. */
Test(errors_window, an_endpoint_that_a_wrong_clock_never_touched_keeps_its_windows)
{
    int64_t now = 1000000 * SECOND;
    tbus_errors_t *errors = open_with_clock(&now);
    for (int i = 0; i < 100; i++)
        fail(errors, "/a", 500, now);
    now += 3600 * SECOND;
    fail(errors, "/b", 500, now);
    now -= 3600 * SECOND;
    for (int i = 2; i <= 3; i++)
        fail(errors, "/b", 500, now + i * SECOND);
    tbus_errors_snapshot_t *s = snapshot_of(errors);
    cr_assert_eq(s->slos_count, 2u);
    for (size_t i = 0; i < s->slos_count; i++)
        cr_assert_eq(s->slos[i].burn[0].errors, strcmp(s->slos[i].endpoint, "/a") == 0 ? 100u : 2u, "%s",
                     s->slos[i].endpoint);
    tbus_errors_snapshot_free(s);
    tbus_errors_close(errors);
}

Test(errors_window, what_is_late_after_going_back_counts_where_it_belongs)
{
    int64_t now = 1000000 * SECOND;
    tbus_errors_t *errors = open_with_clock(&now);
    cr_assert_eq(tbus_errors_record_response(errors, "/a", "m", 200, now), 0);
    now -= 3600 * SECOND;
    for (int i = 0; i < 2; i++) /* of no class */
        cr_assert_eq(tbus_errors_record_response(errors, "/a", "m", 499, now), 0);
    fail(errors, "/a", 500, now - 7200 * SECOND);
    tbus_errors_snapshot_t *s = snapshot_of(errors);
    cr_assert_eq(s->slo_of_all.burn[0].requests, 1u);
    cr_assert_eq(s->slo_of_all.burn[0].errors, 0u);
    cr_assert_eq(s->slo_of_all.burn[4].errors, 1u, "six hours");
    tbus_errors_snapshot_free(s);
    tbus_errors_close(errors);
}
