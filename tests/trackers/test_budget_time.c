/* Which period an amount belongs to, whatever time its call comes with. */
#include "tests/trackers/budget_fixture.h"

#include "trackers/time_zone.h"

/* semantics: budget.period */
Test(budget_time, a_late_amount_belongs_to_the_period_of_its_time)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", MONDAY + DAY + HOUR), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "2", MONDAY + DAY - 1), 0, "the last one of Monday");
    cr_assert_eq(settle(budgets, NULL, "ann", "4", MONDAY - 1), 0, "the last one of Sunday");
    cr_assert_eq(settle(budgets, NULL, "ann", "8", MONDAY + DAY), 0, "the first one of Tuesday");
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY + DAY + HOUR);
    const tbus_budget_row_t *row = row_of(snapshot, TBUS_BUDGET_USER, "ann");
    cr_assert(is_usd(row->status.used, "9"));
    cr_assert(is_usd(row->previous_used, "2"), "also where the budget began on Tuesday");
    cr_assert(is_usd(row->status.lifetime, "15"));
    cr_assert_eq(snapshot->late, 2);
    tbus_budgets_snapshot_free(snapshot);

    cr_assert_eq(settle(budgets, NULL, "ann", "16", MONDAY + 2 * DAY), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "32", MONDAY + 2 * DAY - 1), 0);
    snapshot = snapshot_of(budgets, MONDAY + 2 * DAY);
    row = row_of(snapshot, TBUS_BUDGET_USER, "ann");
    cr_assert(is_usd(row->status.used, "16"));
    cr_assert(is_usd(row->previous_used, "41"));
    cr_assert(is_usd(row->status.lifetime, "63"));
    cr_assert_eq(snapshot->late, 3);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

struct fake_clock {
    int64_t now_ns;
};

static int64_t read_fake_clock(void *user)
{
    return ((const struct fake_clock *)user)->now_ns;
}

static tbus_budgets_t *opened_with_clock(struct fake_clock *clock)
{
    tbus_budgets_t *budgets =
        opened(&(tbus_budgets_options_t){.clock = read_fake_clock, .clock_user = clock, .ahead_max_ns = 300 * SECOND});
    set(budgets, ann_daily);
    return budgets;
}

static uint64_t ahead_times(tbus_budgets_t *budgets)
{
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, 0);
    const uint64_t ahead = snapshot->ahead;
    tbus_budgets_snapshot_free(snapshot);
    return ahead;
}

Test(budget_time, one_time_far_ahead_ends_no_period)
{
    struct fake_clock clock = {MONDAY + HOUR};
    tbus_budgets_t *budgets = opened_with_clock(&clock);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", MONDAY + HOUR), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "2", MONDAY + 365 * DAY), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "4", INT64_MAX), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "8", MONDAY + HOUR + 300 * SECOND + 1), 0);
    cr_assert_eq(ahead_times(budgets), 3);
    const tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 100 * DAY);
    cr_assert(is_usd(status.used, "15"), "a check far ahead ends none either");
    cr_assert_eq(status.period_start_ns, MONDAY);
    clock.now_ns += 60 * DAY; /* days without a request: then time does go on */
    cr_assert_eq(settle(budgets, NULL, "ann", "16", MONDAY + 60 * DAY), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 60 * DAY, "16", "0"));
    tbus_budgets_close(budgets);
}

Test(budget_time, the_first_time_of_all_may_not_be_far_ahead_either)
{
    struct fake_clock clock = {MONDAY};
    tbus_budgets_t *budgets = opened_with_clock(&clock);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", MONDAY + 700 * DAY), 0);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert(snapshot->time_ns == MONDAY && snapshot->ahead == 1 && snapshot->set_back == 0);
    tbus_budgets_snapshot_free(snapshot);
    cr_assert_eq(settle(budgets, NULL, "ann", "2", MONDAY), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "3", "0"));
    tbus_budgets_close(budgets);
}

Test(budget_time, any_time_is_believed_where_the_options_say_so)
{
    tbus_budgets_t *budgets = opened(&(tbus_budgets_options_t){.ahead_max_ns = -1});
    set(budgets, ann_daily);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", MONDAY), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "2", MONDAY + 30000 * DAY), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 30000 * DAY, "2", "0"));
    cr_assert_eq(settle(budgets, NULL, "ann", "4", INT64_MAX), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "8", INT64_MIN), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", INT64_MAX, "4", "0"));
    tbus_budgets_close(budgets);
}

/* A clock that was years ahead and is set right: budgets must not wait for those years. */
/* semantics: budget.period */
Test(budget_time, a_clock_that_is_set_back_takes_the_periods_with_it)
{
    struct fake_clock clock = {MONDAY + 3000 * DAY};
    tbus_budgets_t *budgets = opened_with_clock(&clock);
    set(budgets,
        (tbus_budget_t){.scope = TBUS_BUDGET_ALL, .limit = usd("100"), .period = TBUS_BUDGET_DAILY, .rolling = true});
    cr_assert_eq(settle(budgets, NULL, "ann", "1", 0), 0);
    cr_assert_eq(reserve(budgets, "r", "ann", "2", 0), 0);
    clock.now_ns = MONDAY;
    cr_assert_eq(settle(budgets, NULL, "ann", "4", 0), 0);
    const tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", 0);
    cr_assert(is_usd(status.used, "5"), "nobody gets a new limit by it");
    cr_assert(is_usd(status.reserved, "2"));
    cr_assert_eq(status.period_start_ns, MONDAY);
    cr_assert(stands(budgets, TBUS_BUDGET_ALL, NULL, 0, "5", "2"));
    clock.now_ns = MONDAY + 600 * SECOND;
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", 0, "5", "2"), "the reservation is looked at with the next call");
    tbus_budgets_advance(budgets, 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", 0, "5", "0"), "and ends in its time");
    clock.now_ns = MONDAY + DAY;
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", 0, "0", "0"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, 0);
    cr_assert_eq(snapshot->set_back, 1);
    cr_assert_eq(snapshot->expired, 1);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_time, what_the_clock_allowed_before_it_was_set_back_is_allowed_no_more)
{
    struct fake_clock clock = {MONDAY + 3000 * DAY};
    tbus_budgets_t *budgets = opened_with_clock(&clock);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", 0), 0);
    clock.now_ns = MONDAY;
    cr_assert_eq(settle(budgets, NULL, "ann", "2", 0), 0);
    cr_assert_eq(settle(budgets, NULL, "ann", "4", MONDAY + 2000 * DAY), 0);
    cr_assert_eq(ahead_times(budgets), 1);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "7", "0"));
    tbus_budgets_close(budgets);
}

Test(budget_time, a_time_that_is_a_little_late_does_not_go_back_to_the_clock)
{
    struct fake_clock clock = {MONDAY + 1000 * SECOND};
    tbus_budgets_t *budgets = opened_with_clock(&clock);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", MONDAY + 1000 * SECOND), 0);
    clock.now_ns = MONDAY + 600 * SECOND;
    for (int late = 300; late <= 301; late++) {
        cr_assert_eq(settle(budgets, NULL, "ann", "1", MONDAY + (1000 - late) * SECOND), 0);
        tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY + 700 * SECOND);
        cr_assert_eq(snapshot->set_back, late > 300);
        tbus_budgets_snapshot_free(snapshot);
    }
    tbus_budgets_close(budgets);
}

/* More budgets than one call brings to its time. */
enum { MANY = 40 };

static tbus_budgets_t *opened_with_many(const tbus_budgets_options_t *options)
{
    tbus_budgets_t *budgets = opened(options);
    for (int number = 0; number < MANY; number++) {
        tbus_budget_t budget = ann_daily;
        char name[16];
        snprintf(name, sizeof name, "user-%d", number);
        budget.subject = name;
        set(budgets, budget);
        cr_assert_eq(settle(budgets, NULL, name, "4", MONDAY), 0);
    }
    return budgets;
}

Test(budget_time, a_clock_that_is_set_back_amid_the_end_of_a_period_takes_all_budgets_with_it)
{
    struct fake_clock clock = {MONDAY};
    tbus_budgets_t *budgets =
        opened_with_many(&(tbus_budgets_options_t){.clock = read_fake_clock, .clock_user = &clock});
    clock.now_ns = MONDAY + 10 * DAY;
    cr_assert_eq(settle(budgets, NULL, "nobody", "0", 0), 0); /* some budgets are in a period of then now */
    clock.now_ns = MONDAY;
    tbus_budgets_advance(budgets, MONDAY);
    cr_assert_eq(checked(budgets, TBUS_BUDGET_USER, "user-0", MONDAY).period_start_ns, MONDAY);
    cr_assert_eq(checked(budgets, TBUS_BUDGET_USER, "user-39", MONDAY).period_start_ns, MONDAY);
    tbus_budgets_close(budgets);
}

Test(budget_time, other_terms_are_of_the_period_that_time_has_come_to)
{
    tbus_budgets_t *budgets = opened_with_many(&(tbus_budgets_options_t){.ahead_max_ns = -1});
    tbus_budget_t budget = ann_daily;
    budget.subject = "user-39";
    budget.utc_offset_minutes = 60;
    cr_assert_eq(settle(budgets, NULL, "nobody", "0", MONDAY + DAY), 0); /* its day is over, and it does not know yet */
    set(budgets, budget);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "user-39", MONDAY + DAY, "0", "0"));
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "user-39", MONDAY + DAY).lifetime, "4"));
    for (int number = 0; number < 32; number++) {
        char expected[64];
        snprintf(expected, sizeof expected, "reset user user-%d 4 10", number);
        finds(budgets, expected);
    }
    finds(budgets, "reset user user-39 4 10");
    tbus_budgets_close(budgets);
}

Test(budget_time, time_zero_is_the_clock)
{
    struct fake_clock clock = {MONDAY + DAY - 1};
    tbus_budgets_t *budgets = opened_with_clock(&clock);
    cr_assert_eq(settle(budgets, NULL, "ann", "1", 0), 0);
    cr_assert_eq(checked(budgets, TBUS_BUDGET_USER, "ann", 0).period_start_ns, MONDAY);
    clock.now_ns++;
    cr_assert_eq(checked(budgets, TBUS_BUDGET_USER, "ann", 0).period_start_ns, MONDAY + DAY);
    tbus_budgets_close(budgets);
}

/* semantics: budget.period */
Test(budget_time, a_rolling_budget_counts_its_length_and_a_thirtieth_at_most)
{
    tbus_budget_t budget = ann_daily;
    budget.period = TBUS_BUDGET_DURATION;
    budget.duration_ns = 30 * HOUR;
    budget.rolling = true;
    tbus_budgets_t *budgets = opened_with(budget);
    for (int hour = 0; hour < 100; hour++) {
        cr_assert_eq(settle(budgets, NULL, "ann", "0.01", MONDAY + hour * HOUR + HOUR / 2), 0);
        tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + hour * HOUR + HOUR - 1);
        char expected[16];
        const int counted = hour + 1 < 31 ? hour + 1 : 31;
        snprintf(expected, sizeof expected, "%d.%02d", counted / 100, counted % 100);
        cr_assert(is_usd(status.used, expected), "after hour %d", hour);
        cr_assert_eq(status.period_end_ns, MONDAY + (hour + 1) * HOUR);
        cr_assert_eq(status.period_start_ns, MONDAY + (hour - 30) * HOUR);
    }
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 130 * HOUR, "0", "0"), "a thirtieth after the last");
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 130 * HOUR).lifetime, "1"));
    finds(budgets, "nothing");
    tbus_budgets_close(budgets);
}

Test(budget_time, a_rolling_budget_tells_again_only_after_its_length)
{
    tbus_budget_t budget = ann_daily;
    budget.rolling = true;
    tbus_budgets_t *budgets = opened_with(budget);
    int told = 0;
    for (int hour = 0; hour < 24 * 10; hour++) { /* a peak every 36 hours */
        tbus_budget_finding_t finding;
        cr_assert_eq(settle(budgets, NULL, "ann", hour % 36 == 0 ? "8" : "0.001", MONDAY + hour * HOUR), 0);
        while (tbus_budgets_take_finding(budgets, &finding) == 1) {
            cr_assert_eq(finding.what, TBUS_BUDGET_FOUND_ALERT);
            told++;
        }
    }
    cr_assert_eq(told, 7, "with each of the peaks, %d", told);
    tbus_budgets_close(budgets);
}

Test(budget_time, days_begin_at_the_midnight_of_their_time_zone)
{
    struct time_zone *zone;
    tbus_budget_t budget = ann_daily;
    if (time_zone_load("America/New_York", &zone) != 0)
        cr_skip_test("there are no time zone files");
    time_zone_free(zone);
    budget.time_zone = "America/New_York";
    tbus_budgets_t *budgets = opened_with(budget);
    const int64_t march_10 = (INT64_C(1710028800) + 5 * 3600) * SECOND; /* 2024-03-10, of 23 hours there */
    tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", march_10);
    cr_assert_eq(status.period_start_ns, march_10);
    cr_assert_eq(status.period_end_ns, march_10 + 23 * HOUR);
    budget.time_zone = NULL;
    budget.utc_offset_minutes = 330;
    set(budgets, budget);
    status = checked(budgets, TBUS_BUDGET_USER, "ann", march_10);
    cr_assert_eq(status.period_start_ns, (INT64_C(1710028800) - 330 * 60) * SECOND);
    budget.time_zone = "Mars/Olympus_Mons";
    cr_assert_eq(tbus_budget_set(budgets, &budget), UV_ENOENT);
    budget.time_zone = "../../etc/passwd";
    cr_assert_eq(tbus_budget_set(budgets, &budget), UV_EINVAL);
    tbus_budgets_close(budgets);
}
