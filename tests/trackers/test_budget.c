/* What a budget means: limits, thresholds, terms, restoring. test_budget_time.c has the times that calls may come with,
 * test_budget_reserve.c the requests. */
#include "tests/trackers/budget_fixture.h"

#include <limits.h>

/* semantics: budget.status */
Test(budget, check_tells_how_it_stands)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(settle(budgets, "a", "ann", "2.5", MONDAY + HOUR), 0);
    cr_assert_eq(reserve(budgets, "b", "ann", "3", MONDAY + 2 * HOUR), 0);
    tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 3 * HOUR);
    cr_assert(is_usd(status.limit, "10"));
    cr_assert(is_usd(status.used, "2.5"));
    cr_assert(is_usd(status.reserved, "3"));
    cr_assert(is_usd(status.remaining, "4.5"));
    cr_assert(is_usd(status.lifetime, "2.5"));
    cr_assert_not(status.over);
    cr_assert_eq(status.kind, TBUS_BUDGET_SOFT);
    cr_assert_eq(status.period_start_ns, MONDAY);
    cr_assert_eq(status.period_end_ns, MONDAY + DAY);
    cr_assert_eq(settle(budgets, "c", "ann", "7.5", MONDAY + 4 * HOUR), 0);
    status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 4 * HOUR);
    cr_assert_not(status.over, "exactly at the limit");
    cr_assert(is_usd(status.remaining, "0"), "and not below");
    cr_assert_eq(settle(budgets, "d", "ann", "0.000000000001", MONDAY + 4 * HOUR), 0);
    cr_assert(checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 4 * HOUR).over, "by the smallest amount there is");
    tbus_budgets_close(budgets);
}

Test(budget, a_limit_of_zero_is_not_a_missing_budget)
{
    tbus_budget_status_t status;
    tbus_budgets_t *budgets =
        opened_with((tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "nil", .kind = TBUS_BUDGET_HARD});
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_USER, "ann", MONDAY, &status), UV_ENOENT);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_PROJECT, "nil", MONDAY, &status), UV_ENOENT);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_ALL, NULL, MONDAY, &status), UV_ENOENT);
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "nil", MONDAY).limit, "0"));
    cr_assert_eq(reserve(budgets, "a", "ann", "1000000", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "b", "nil", "0.000000000001", MONDAY), UV_EACCES);
    cr_assert_eq(reserve(budgets, "c", "nil", "0", MONDAY), 0, "what costs nothing may be had");
    cr_assert_eq(settle(budgets, "c", "nil", "0", MONDAY), 0);
    finds(budgets, "exceeded user nil 0 0");
    finds(budgets, "nothing");
    cr_assert_eq(settle(budgets, "d", "nil", "0.000000000001", MONDAY), 0);
    finds(budgets, "alert user nil 0.8 0.000000000001 0");
    finds(budgets, "nothing");
    tbus_budgets_close(budgets);
}

Test(budget, a_period_begins_with_nothing_used_and_the_lifetime_total_goes_on)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(settle(budgets, "a", "ann", "3", MONDAY + DAY - 1), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + DAY - 1, "3", "0"));
    tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + DAY);
    cr_assert(is_usd(status.used, "0"));
    cr_assert(is_usd(status.lifetime, "3"));
    cr_assert_eq(status.period_start_ns, MONDAY + DAY);
    finds(budgets, "reset user ann 3 10");
    cr_assert_eq(settle(budgets, "b", "ann", "4", MONDAY + 9 * DAY), 0);
    status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 9 * DAY);
    cr_assert(is_usd(status.used, "4"));
    cr_assert(is_usd(status.lifetime, "7"));
    finds(budgets, "nothing"); /* nothing was used in the days between */
    tbus_budgets_close(budgets);
}

/* semantics: budget.threshold */
Test(budget, each_threshold_is_told_once_for_each_period_however_many_requests)
{
    tbus_budget_t budget = ann_daily;
    budget.thresholds_ppm[0] = 500000;
    budget.thresholds_ppm[1] = 900000;
    budget.thresholds_ppm[2] = 1000000;
    tbus_budgets_t *budgets = opened_with(budget);
    for (int day = 0; day < 3; day++) {
        for (int i = 0; i < 120; i++)
            cr_assert_eq(settle(budgets, NULL, "ann", "0.1", MONDAY + day * DAY + i), 0);
        if (day > 0)
            finds(budgets, "reset user ann 12 10");
        finds(budgets, "alert user ann 0.5 12 10");
        finds(budgets, "alert user ann 0.9 12 10");
        finds(budgets, "alert user ann 1 12 10");
        finds(budgets, "exceeded user ann 12 10");
        finds(budgets, "nothing");
    }
    tbus_budgets_close(budgets);
}

/* semantics: budget.threshold */
Test(budget, a_threshold_is_told_when_it_is_reached_and_not_before)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(settle(budgets, NULL, "ann", "7.999999999999", MONDAY), 0);
    finds(budgets, "nothing");
    cr_assert_eq(settle(budgets, NULL, "ann", "0.000000000001", MONDAY), 0);
    finds(budgets, "alert user ann 0.8 8 10");
    cr_assert_eq(settle(budgets, NULL, "ann", "2", MONDAY), 0);
    finds(budgets, "nothing");
    cr_assert_eq(settle(budgets, NULL, "ann", "0.000000000001", MONDAY), 0);
    finds(budgets, "exceeded user ann 10.000000000001 10");
    finds(budgets, "nothing");
    tbus_budgets_close(budgets);
}

/* semantics: budget.threshold */
Test(budget, findings_that_nobody_takes_keep_their_order_and_are_merged_by_period)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    for (int day = 0; day < 4; day++)
        cr_assert_eq(settle(budgets, NULL, "ann", "9", MONDAY + day * DAY), 0);
    finds(budgets, "alert user ann 0.8 9 10");
    finds(budgets, "reset user ann 9 10");
    finds(budgets, "alert user ann 0.8 9 10");
    finds(budgets, "nothing");
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY + 3 * DAY);
    cr_assert_eq(snapshot->merged_findings, 4); /* two days' alert and reset */
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget, a_hard_budget_tells_once_that_it_refuses)
{
    tbus_budget_t budget = ann_daily;
    budget.kind = TBUS_BUDGET_HARD;
    tbus_budgets_t *budgets = opened_with(budget);
    for (int i = 0; i < 5; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        cr_assert_eq(reserve(budgets, id, "ann", "4", MONDAY + i), i < 2 ? 0 : UV_EACCES);
    }
    finds(budgets, "exceeded user ann 0 10");
    finds(budgets, "nothing");
    tbus_budgets_close(budgets);
}

Test(budget, other_terms_keep_what_is_used)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    tbus_budget_t budget = ann_daily;
    cr_assert_eq(settle(budgets, NULL, "ann", "9", MONDAY), 0);
    finds(budgets, "alert user ann 0.8 9 10");
    set(budgets, ann_daily); /* the same again, as a host does that reads its settings every minute */
    cr_assert_eq(settle(budgets, NULL, "ann", "0.1", MONDAY), 0);
    finds(budgets, "nothing");
    budget.limit = usd("11");
    set(budgets, budget);
    cr_assert_eq(settle(budgets, NULL, "ann", "0.1", MONDAY), 0);
    finds(budgets, "alert user ann 0.8 9.2 11"); /* of another limit */
    budget.period = TBUS_BUDGET_MONTHLY;
    set(budgets, budget);
    tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY);
    cr_assert(is_usd(status.used, "9.2"));
    cr_assert_eq(status.period_end_ns, MONDAY + 31 * DAY);
    budget.rolling = true;
    set(budgets, budget);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 30 * DAY - 1, "9.2", "0"));
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 31 * DAY, "0", "0"));
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 31 * DAY).lifetime, "9.2"));
    tbus_budgets_close(budgets);
}

Test(budget, a_restart_begins_anew_and_keeps_the_lifetime_total)
{
    const tbus_budget_name_t ann = {.scope = TBUS_BUDGET_USER, .subject = "ann"};
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(settle(budgets, NULL, "ann", "9", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "r", "ann", "1", MONDAY), 0);
    cr_assert_eq(tbus_budget_restart(budgets, &ann, MONDAY), 0);
    const tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY);
    cr_assert(is_usd(status.used, "0") && is_usd(status.lifetime, "9") && is_usd(status.reserved, "1"));
    finds(budgets, "alert user ann 0.8 9 10");
    finds(budgets, "reset user ann 9 10");
    cr_assert_eq(settle(budgets, NULL, "ann", "8", MONDAY), 0);
    finds(budgets, "alert user ann 0.8 8 10");
    cr_assert_eq(
        tbus_budget_restart(budgets, &(tbus_budget_name_t){.scope = TBUS_BUDGET_USER, .subject = "bob"}, MONDAY),
        UV_ENOENT);
    tbus_budgets_close(budgets);
}

Test(budget, what_is_restored_counts_and_is_not_told_again)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    tbus_budget_past_t past = {.name = {.scope = TBUS_BUDGET_USER, .subject = "ann"},
                               .time_ns = MONDAY,
                               .used = usd("9"),
                               .lifetime = usd("50")};
    cr_assert_eq(tbus_budget_restore(budgets, &past), 0);
    tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY);
    cr_assert(is_usd(status.used, "9") && is_usd(status.lifetime, "50"));
    finds(budgets, "nothing");
    cr_assert_eq(settle(budgets, NULL, "ann", "0.5", MONDAY), 0);
    finds(budgets, "nothing"); /* it was told before */
    cr_assert_eq(settle(budgets, NULL, "ann", "0.6", MONDAY), 0);
    finds(budgets, "exceeded user ann 10.1 10");
    past.time_ns = MONDAY - 5 * DAY; /* of a period that is over */
    cr_assert_eq(tbus_budget_restore(budgets, &past), 0);
    status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY);
    cr_assert(is_usd(status.used, "10.1") && is_usd(status.lifetime, "101.1"));

    past.name.subject = "bob";
    cr_assert_eq(tbus_budget_restore(budgets, &past), UV_ENOENT);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .each = true, .limit = usd("1")});
    cr_assert_eq(tbus_budget_restore(budgets, &past), 0);
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "bob", MONDAY).used, "9"), "NEVER: one period");
    past.used = usd("51");
    cr_assert_eq(tbus_budget_restore(budgets, &past), UV_EINVAL, "more than in all");
    past.used = usd("-1");
    cr_assert_eq(tbus_budget_restore(budgets, &past), UV_EINVAL);
    past.used = usd("0");
    past.lifetime = (tbus_money_t){UINT64_MAX, INT64_MAX};
    cr_assert_eq(tbus_budget_restore(budgets, &past), UV_EOVERFLOW);
    tbus_budgets_close(budgets);
}

Test(budget, a_rolling_budget_is_restored_part_by_part)
{
    tbus_budget_t budget = ann_daily;
    budget.rolling = true;
    tbus_budgets_t *budgets = opened_with(budget);
    for (int hour = 23; hour >= 0; hour--) {
        const tbus_budget_past_t past = {.name = {.scope = TBUS_BUDGET_USER, .subject = "ann"},
                                         .time_ns = MONDAY - hour * HOUR,
                                         .used = usd("0.1"),
                                         .lifetime = usd("0.1")};
        cr_assert_eq(tbus_budget_restore(budgets, &past), 0);
    }
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "2.4", "0"));
    const tbus_money_t half = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 12 * HOUR).used;
    cr_assert(tbus_money_compare(half, usd("1.1")) >= 0 && tbus_money_compare(half, usd("1.4")) <= 0);
    tbus_budgets_close(budgets);
}

Test(budget, bad_terms_are_refused)
{
    tbus_budgets_t *budgets = opened(NULL);
    static const unsigned char digest[TBUS_KEY_DIGEST_BYTES] = {1}, none[TBUS_KEY_DIGEST_BYTES];
    const tbus_budget_t bad[] = {
        {.scope = TBUS_BUDGET_USER},
        {.scope = TBUS_BUDGET_USER, .subject = ""},
        {.scope = TBUS_BUDGET_ALL, .subject = "x"},
        {.scope = TBUS_BUDGET_ALL, .each = true},
        {.scope = TBUS_BUDGET_SCOPES, .subject = "x"},
        {.scope = (tbus_budget_scope_t)-1, .subject = "x"},
        {.scope = TBUS_BUDGET_USER, .subject = "x", .each = true},
        {.scope = TBUS_BUDGET_USER, .subject = "x", .key_digest = digest},
        {.scope = TBUS_BUDGET_KEY, .key_digest = none},
        {.scope = TBUS_BUDGET_KEY, .key_digest = digest, .each = true},
        {.scope = TBUS_BUDGET_ALL, .limit = {0, -1}},
        {.scope = TBUS_BUDGET_ALL, .kind = (tbus_budget_kind_t)2},
        {.scope = TBUS_BUDGET_ALL, .period = (tbus_budget_period_t)5},
        {.scope = TBUS_BUDGET_ALL, .period = (tbus_budget_period_t)-1},
        {.scope = TBUS_BUDGET_ALL, .rolling = true},
        {.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_DURATION},
        {.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_DURATION, .duration_ns = SECOND - 1},
        {.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_DURATION, .duration_ns = INT64_MAX},
        {.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_DURATION, .duration_ns = INT64_MIN},
        {.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_DAILY, .utc_offset_minutes = 1441},
        {.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_DAILY, .utc_offset_minutes = INT_MIN},
        {.scope = TBUS_BUDGET_ALL, .thresholds_ppm = {1000001}},
        {.scope = TBUS_BUDGET_ALL, .thresholds_ppm = {1, 2, 3, 4, 5, 6, 7, UINT32_MAX}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(tbus_budget_set(budgets, &bad[i]), UV_EINVAL, "number %zu", i);
    cr_assert_eq(tbus_budget_set(NULL, &ann_daily), UV_EINVAL);
    cr_assert_eq(tbus_budget_set(budgets, NULL), UV_EINVAL);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->rows_count, 0);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget, thresholds_can_be_none)
{
    tbus_budget_t budget = ann_daily;
    budget.thresholds_ppm[0] = UINT32_MAX;
    tbus_budgets_t *budgets = opened_with(budget);
    cr_assert_eq(settle(budgets, NULL, "ann", "10", MONDAY), 0);
    finds(budgets, "nothing");
    tbus_budgets_close(budgets);
}

Test(budget, removing_takes_it_away_or_puts_the_default_in_its_place)
{
    const tbus_budget_name_t ann = {.scope = TBUS_BUDGET_USER, .subject = "ann"},
                             every = {.scope = TBUS_BUDGET_USER, .each = true};
    tbus_budget_status_t status;
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(reserve(budgets, "r", "ann", "1", MONDAY), 0);
    cr_assert_eq(tbus_budget_remove(budgets, &ann), 0);
    cr_assert_eq(tbus_budget_remove(budgets, &ann), UV_ENOENT);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_USER, "ann", MONDAY, &status), UV_ENOENT);
    set(budgets, ann_daily);
    cr_assert_eq(settle(budgets, "r", "ann", "2", MONDAY), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "2", "0"), "the reservation was another budget's");

    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .each = true, .limit = usd("3")});
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY).limit, "10"));
    cr_assert_eq(tbus_budget_remove(budgets, &ann), 0);
    status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY);
    cr_assert(is_usd(status.limit, "3") && is_usd(status.used, "2"));
    cr_assert_eq(tbus_budget_remove(budgets, &ann), UV_ENOENT, "it has none of its own any more");
    cr_assert_eq(tbus_budget_remove(budgets, &every), 0);
    cr_assert_eq(tbus_budget_remove(budgets, &every), UV_ENOENT);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_USER, "ann", MONDAY, &status), UV_ENOENT);
    tbus_budgets_close(budgets);
}

Test(budget, scopes_have_names)
{
    cr_assert_str_eq(tbus_budget_scope_name(TBUS_BUDGET_ALL), "all");
    cr_assert_str_eq(tbus_budget_scope_name(TBUS_BUDGET_KEY), "key");
    cr_assert_str_eq(tbus_budget_scope_name(TBUS_BUDGET_USER), "user");
    cr_assert_str_eq(tbus_budget_scope_name(TBUS_BUDGET_PROJECT), "project");
    cr_assert_null(tbus_budget_scope_name(TBUS_BUDGET_SCOPES));
    cr_assert_null(tbus_budget_scope_name((tbus_budget_scope_t)-1));
}
