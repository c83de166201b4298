/* Requests: reserving, settling, releasing, retracting, and which budgets apply. */
#include "tests/trackers/budget_fixture.h"

#include <tallybus/cost.h>

#include "trackers/digest.h"

#define KEY "sk-proj-0123456789"

static void set_hard(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *subject, const char *limit)
{
    set(budgets, (tbus_budget_t){.scope = scope, .subject = subject, .limit = usd(limit), .kind = TBUS_BUDGET_HARD});
}

static tbus_budgets_t *opened_with_four(void)
{
    tbus_budgets_t *budgets = opened(NULL);
    set_hard(budgets, TBUS_BUDGET_KEY, KEY, "4");
    set_hard(budgets, TBUS_BUDGET_USER, "ann", "3");
    set_hard(budgets, TBUS_BUDGET_PROJECT, "red", "2");
    set_hard(budgets, TBUS_BUDGET_ALL, NULL, "10");
    return budgets;
}

static tbus_budget_request_t of_ann(const char *id, const char *amount)
{
    return (tbus_budget_request_t){.request_id = id,
                                   .api_key = KEY,
                                   .user_id = "ann",
                                   .project_id = "red",
                                   .amount = usd(amount),
                                   .time_ns = MONDAY};
}

static bool all_stand(tbus_budgets_t *budgets, const char *used, const char *reserved)
{
    return stands(budgets, TBUS_BUDGET_KEY, KEY, MONDAY, used, reserved) &&
           stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, used, reserved) &&
           stands(budgets, TBUS_BUDGET_PROJECT, "red", MONDAY, used, reserved) &&
           stands(budgets, TBUS_BUDGET_ALL, NULL, MONDAY, used, reserved);
}

/* semantics: budget.reserve */
Test(budget_reserve, an_estimate_is_set_aside_in_all_budgets_or_in_none)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "2");
    tbus_budget_refusal_t refusal;
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), 0);
    cr_assert(all_stand(budgets, "0", "2"));
    request = of_ann("b", "0.000000000001");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), UV_EACCES);
    cr_assert(all_stand(budgets, "0", "2"));
    cr_assert_eq(refusal.reason, TBUS_BUDGET_OVER_LIMIT);
    cr_assert_eq(refusal.scope, TBUS_BUDGET_PROJECT);
    cr_assert_str_eq(refusal.subject, "red");
    cr_assert(is_usd(refusal.limit, "2") && is_usd(refusal.used, "0") && is_usd(refusal.reserved, "2"));
    cr_assert_eq(refusal.period_end_ns, INT64_MAX);
    request.project_id = NULL;
    request.amount = usd("1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.request_id = "c";
    request.user_id = NULL;
    request.amount = usd("1.5");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), UV_EACCES);
    cr_assert_eq(refusal.scope, TBUS_BUDGET_KEY);
    cr_assert_not_null(strstr(refusal.subject, ".."));
    cr_assert_null(strstr(refusal.subject, "0123456789"), "a key is redacted");
    request.amount = usd("9");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), UV_EACCES);
    cr_assert_eq(refusal.scope, TBUS_BUDGET_ALL, "asked first");
    tbus_budgets_close(budgets);
}

/* semantics: budget.reserve */
Test(budget_reserve, settling_puts_the_cost_in_the_place_of_the_estimate)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "2");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.amount = usd("0.5");
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(all_stand(budgets, "0.5", "0"));
    cr_assert_eq(tbus_budget_settle(budgets, &request), UV_EALREADY);
    cr_assert(all_stand(budgets, "0.5", "0"), "twice counts once");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EEXIST,
                 "an id that was settled pays for nothing more");
    cr_assert_eq(tbus_budget_release(budgets, "a", MONDAY), UV_ENOENT);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->settles, 1);
    cr_assert_eq(snapshot->settled_again, 1);
    cr_assert_eq(snapshot->refused, 1);
    cr_assert_eq(snapshot->admitted, 1);
    cr_assert_eq(snapshot->settled_without_reservation, 0);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, releasing_gives_back_and_the_id_may_try_again)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "2");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EEXIST);
    cr_assert_eq(tbus_budget_release(budgets, "a", MONDAY), 0);
    cr_assert(all_stand(budgets, "0", "0"));
    cr_assert_eq(tbus_budget_release(budgets, "a", MONDAY), UV_ENOENT);
    cr_assert_eq(tbus_budget_release(budgets, "never", MONDAY), UV_ENOENT);
    cr_assert_eq(tbus_budget_release(budgets, "", MONDAY), UV_EINVAL);
    cr_assert_eq(tbus_budget_release(budgets, NULL, MONDAY), UV_EINVAL);
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    cr_assert(all_stand(budgets, "0", "2"));
    tbus_budgets_close(budgets);
}

/* semantics: budget.reserve */
Test(budget_reserve, what_was_spent_counts_even_where_it_is_more_than_was_set_aside)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.amount = usd("2.5");
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(all_stand(budgets, "2.5", "0"));
    cr_assert(checked(budgets, TBUS_BUDGET_PROJECT, "red", MONDAY).over);
    request = of_ann("b", "0");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EACCES, "nothing at all, once it is over");
    request = of_ann("c", "0.25"); /* nobody asked before */
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(all_stand(budgets, "2.75", "0"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->settled_without_reservation, 1);
    cr_assert(is_usd(snapshot->settled, "2.75"));
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, a_settle_that_names_nobody_counts_where_it_was_reserved)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    cr_assert_eq(tbus_budget_settle(
                     budgets, &(tbus_budget_request_t){.request_id = "a", .amount = usd("0.5"), .time_ns = MONDAY}),
                 0);
    cr_assert(all_stand(budgets, "0.5", "0"));
    tbus_budgets_close(budgets);
}

Test(budget_reserve, a_settle_that_names_another_counts_there_and_gives_back_here)
{
    tbus_budgets_t *budgets = opened_with_four();
    set_hard(budgets, TBUS_BUDGET_USER, "bob", "3");
    tbus_budget_request_t request = of_ann("a", "1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.user_id = "bob";
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "0", "0"));
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "bob", MONDAY, "1", "0"));
    cr_assert(stands(budgets, TBUS_BUDGET_ALL, NULL, MONDAY, "1", "0"));
    tbus_budgets_close(budgets);
}

/* semantics: budget.reserve */
Test(budget_reserve, what_was_forgotten_is_released_by_the_time_limit)
{
    tbus_budgets_t *budgets = opened(&(tbus_budgets_options_t){.reservation_ns = 10 * SECOND});
    set_hard(budgets, TBUS_BUDGET_USER, "ann", "3");
    cr_assert_eq(reserve(budgets, "a", "ann", "2", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "b", "ann", "1", MONDAY + 5 * SECOND), 0);
    cr_assert_eq(reserve(budgets, "c", "ann", "1", MONDAY + 10 * SECOND - 1), UV_EACCES);
    cr_assert_eq(reserve(budgets, "c", "ann", "1", MONDAY + 10 * SECOND), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "0", "2"));
    cr_assert_eq(settle(budgets, "a", "ann", "1.5", MONDAY + 11 * SECOND), 0, "it was only slow");
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "1.5", "2"));
    tbus_budgets_advance(budgets, MONDAY + 100 * SECOND);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "1.5", "0"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY + 100 * SECOND);
    cr_assert_eq(snapshot->expired, 3);
    cr_assert_eq(snapshot->reservations, 0);
    cr_assert_eq(snapshot->settled_without_reservation, 1);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, a_reservation_goes_on_into_the_next_period)
{
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER,
                                 .subject = "ann",
                                 .limit = usd("10"),
                                 .kind = TBUS_BUDGET_HARD,
                                 .period = TBUS_BUDGET_DAILY});
    cr_assert_eq(reserve(budgets, "a", "ann", "6", MONDAY + DAY - SECOND), 0);
    cr_assert_eq(reserve(budgets, "b", "ann", "6", MONDAY + DAY), UV_EACCES, "it may end on Tuesday");
    cr_assert_eq(settle(budgets, "a", "ann", "5", MONDAY + DAY - 1), 0, "but it ended on Monday");
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + DAY, "0", "0"));
    cr_assert_eq(reserve(budgets, "b", "ann", "10", MONDAY + DAY), 0);
    cr_assert_eq(settle(budgets, "b", "ann", "10", MONDAY + DAY), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + DAY, "10", "0"));
    tbus_budgets_close(budgets);
}

Test(budget_reserve, soft_budgets_admit_everything)
{
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "ann", .limit = usd("1")});
    cr_assert_eq(reserve(budgets, "a", "ann", "100", MONDAY), 0);
    cr_assert_eq(settle(budgets, "a", "ann", "100", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "b", "ann", "100", MONDAY), 0);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, what_has_no_price_is_refused_where_the_budget_says_so)
{
    tbus_budgets_t *budgets = opened(NULL);
    tbus_budget_refusal_t refusal;
    tbus_budget_t budget = {.scope = TBUS_BUDGET_USER,
                            .subject = "ann",
                            .limit = usd("10"),
                            .kind = TBUS_BUDGET_HARD,
                            .refuse_unpriced = true};
    tbus_budget_request_t request = {.request_id = "a", .user_id = "ann", .time_ns = MONDAY, .unpriced = true};
    set(budgets, budget);
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), UV_EACCES);
    cr_assert_eq(refusal.reason, TBUS_BUDGET_UNPRICED);
    finds(budgets, "nothing");
    budget.refuse_unpriced = false;
    set(budgets, budget);
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), 0);
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->unpriced, 1);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, an_estimate_is_retracted_for_the_real_cost)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "2");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.amount = usd("1.5");
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert_eq(tbus_budget_retract(budgets, &request), 0);
    cr_assert(all_stand(budgets, "0", "0"));
    request.amount = usd("1.25");
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(all_stand(budgets, "1.25", "0"));
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY).lifetime, "1.25"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert(is_usd(snapshot->settled, "1.25"));
    cr_assert_eq(snapshot->retracted, 1);
    tbus_budgets_snapshot_free(snapshot);
    request.request_id = "unknown";
    request.amount = usd("100"); /* more than there is */
    cr_assert_eq(tbus_budget_retract(budgets, &request), 0);
    cr_assert(all_stand(budgets, "0", "0"), "no sum falls below 0");
    tbus_budgets_close(budgets);
}

Test(budget_reserve, a_retraction_is_taken_from_the_period_that_counted)
{
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets,
        (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "ann", .limit = usd("10"), .period = TBUS_BUDGET_DAILY});
    set(budgets,
        (tbus_budget_t){.scope = TBUS_BUDGET_ALL, .limit = usd("10"), .period = TBUS_BUDGET_DAILY, .rolling = true});
    cr_assert_eq(settle(budgets, "a", "ann", "3", MONDAY + 23 * HOUR), 0);
    cr_assert_eq(settle(budgets, "b", "ann", "2", MONDAY + DAY), 0);
    const tbus_budget_request_t request = {
        .request_id = "a", .user_id = "ann", .amount = usd("3"), .time_ns = MONDAY + DAY + HOUR};
    cr_assert_eq(tbus_budget_retract(budgets, &request), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY + DAY + HOUR, "2", "0"));
    cr_assert(stands(budgets, TBUS_BUDGET_ALL, NULL, MONDAY + DAY + HOUR, "2", "0"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY + DAY + HOUR);
    cr_assert(is_usd(row_of(snapshot, TBUS_BUDGET_USER, "ann")->previous_used, "0"));
    cr_assert(is_usd(row_of(snapshot, TBUS_BUDGET_USER, "ann")->status.lifetime, "2"));
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, a_retraction_of_what_a_restart_took_away_takes_off_nothing_more)
{
    tbus_budgets_t *budgets = opened_with(ann_daily);
    cr_assert_eq(settle(budgets, "a", "ann", "3", MONDAY), 0);
    cr_assert_eq(
        tbus_budget_restart(budgets, &(tbus_budget_name_t){.scope = TBUS_BUDGET_USER, .subject = "ann"}, MONDAY + HOUR),
        0);
    cr_assert_eq(settle(budgets, "b", "ann", "2", MONDAY + 2 * HOUR), 0);
    const tbus_budget_request_t request = {
        .request_id = "a", .user_id = "ann", .amount = usd("3"), .time_ns = MONDAY + 3 * HOUR};
    cr_assert_eq(tbus_budget_retract(budgets, &request), 0);
    const tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY + 3 * HOUR);
    cr_assert(is_usd(status.used, "2") && is_usd(status.lifetime, "2"));
    tbus_budgets_close(budgets);
}

Test(budget_reserve, amounts_below_zero_are_refused)
{
    tbus_budgets_t *budgets = opened_with_four();
    tbus_budget_request_t request = of_ann("a", "-1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_settle(budgets, &request), UV_EINVAL);
    cr_assert_eq(tbus_budget_retract(budgets, &request), UV_EINVAL);
    request = of_ann(NULL, "1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EINVAL, "who could settle it?");
    request.request_id = "";
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_reserve(budgets, NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_settle(budgets, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_reserve(NULL, &request, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_settle(NULL, &request), UV_EINVAL);
    cr_assert_eq(tbus_budget_retract(NULL, &request), UV_EINVAL);
    cr_assert_eq(tbus_budget_release(NULL, "a", MONDAY), UV_EINVAL);
    cr_assert(all_stand(budgets, "0", "0"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->refused, 7);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, sums_that_do_not_fit_are_refused_and_change_nothing)
{
    static const tbus_money_t most = {UINT64_MAX, INT64_MAX};
    tbus_budgets_t *budgets = opened(NULL);
    tbus_budget_request_t request = {.request_id = "a", .user_id = "ann", .amount = most, .time_ns = MONDAY};
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "ann", .limit = usd("1")});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_ALL, .limit = most, .kind = TBUS_BUDGET_HARD});
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.request_id = "b";
    request.amount = tbus_money_units(1);
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EACCES, "of all, which is hard");
    request.request_id = "a";
    request.amount = most;
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    request.request_id = "b";
    cr_assert_eq(tbus_budget_settle(budgets, &request), UV_EOVERFLOW);
    const tbus_budget_status_t status = checked(budgets, TBUS_BUDGET_USER, "ann", MONDAY);
    cr_assert_eq(tbus_money_compare(status.lifetime, most), 0);
    cr_assert_eq(tbus_money_compare(status.used, most), 0);
    request.request_id = "c";
    request.user_id = "bob"; /* whose budgets are none but that of all */
    cr_assert_eq(tbus_budget_settle(budgets, &request), UV_EOVERFLOW);

    cr_assert_eq(tbus_budget_remove(budgets, &(tbus_budget_name_t){.scope = TBUS_BUDGET_ALL}), 0);
    request.user_id = "ann";
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request.request_id = "d";
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EOVERFLOW, "what is reserved would not fit");
    tbus_budgets_close(budgets);
}

/* --- Keys --- */

static tbus_budget_request_t by_key(const char *id, const char *key, const unsigned char *digest, const char *amount)
{
    return (tbus_budget_request_t){
        .request_id = id, .api_key = key, .key_digest = digest, .amount = usd(amount), .time_ns = MONDAY};
}

Test(budget_reserve, a_key_and_its_digest_name_the_same_budget)
{
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
    char redacted[TBUS_REDACTED_BYTES];
    tbus_budgets_t *budgets = opened(NULL);
    digest_bytes(KEY, strlen(KEY), digest);
    set_hard(budgets, TBUS_BUDGET_KEY, KEY, "4");
    tbus_budget_request_t request = by_key("a", KEY, NULL, "3");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request = by_key("a", tbus_redact_key(KEY, redacted), digest, "2");
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_KEY, KEY, MONDAY, "2", "0"));
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->rows_count, 1);
    cr_assert_str_eq(snapshot->rows[0].subject, redacted);
    cr_assert_arr_eq(snapshot->rows[0].key_digest, digest, sizeof digest);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_reserve, a_budget_set_by_digest_is_found_when_its_key_comes)
{
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
    char redacted[TBUS_REDACTED_BYTES];
    tbus_budgets_t *budgets = opened(NULL);
    digest_bytes(KEY, strlen(KEY), digest);
    set(budgets,
        (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .key_digest = digest, .limit = usd("4"), .kind = TBUS_BUDGET_HARD});
    const tbus_budget_past_t past = {.name = {.scope = TBUS_BUDGET_KEY, .key_digest = digest},
                                     .time_ns = MONDAY,
                                     .used = usd("3"),
                                     .lifetime = usd("7")};
    cr_assert_eq(tbus_budget_restore(budgets, &past), 0);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    tbus_redact_key(KEY, redacted);
    cr_assert_str_eq(snapshot->rows[0].subject, redacted + 4, "nothing else is known");
    tbus_budgets_snapshot_free(snapshot);

    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_KEY, KEY, MONDAY).used, "3"));
    tbus_budget_request_t request = by_key("a", KEY, NULL, "1.5");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EACCES);
    request.amount = usd("1");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_str_eq(snapshot->rows[0].subject, redacted);
    tbus_budgets_snapshot_free(snapshot);
    cr_assert_eq(tbus_budget_remove(budgets, &past.name), 0);
    tbus_budget_status_t status;
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_KEY, KEY, MONDAY, &status), UV_ENOENT);
    tbus_budgets_close(budgets);
}

/* --- Defaults --- */

Test(budget_reserve, each_subject_gets_a_budget_by_its_scopes_default)
{
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .each = true, .limit = usd("10"), .kind = TBUS_BUDGET_HARD});
    set_hard(budgets, TBUS_BUDGET_KEY, "sk-own-000000000", "20");
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_KEY, KEY, MONDAY).remaining, "10"), "before the first request");
    tbus_budget_request_t request = by_key("a", KEY, NULL, "7");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request = by_key("b", KEY, NULL, "7");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EACCES);
    request.api_key = "sk-another-00000";
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    request = by_key("c", "sk-own-000000000", NULL, "17");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    digest_bytes(KEY, strlen(KEY), digest);
    request = by_key("a", NULL, digest, "6");
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    cr_assert(stands(budgets, TBUS_BUDGET_KEY, KEY, MONDAY, "6", "0"));
    request = by_key("d", NULL, NULL, "1000");
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0, "without a key no key's budget applies");

    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .each = true, .limit = usd("5"), .kind = TBUS_BUDGET_HARD});
    cr_assert(checked(budgets, TBUS_BUDGET_KEY, KEY, MONDAY).over, "they follow their default");
    cr_assert(is_usd(checked(budgets, TBUS_BUDGET_KEY, "sk-own-000000000", MONDAY).limit, "20"));
    set_hard(budgets, TBUS_BUDGET_KEY, KEY, "30");
    cr_assert(stands(budgets, TBUS_BUDGET_KEY, KEY, MONDAY, "6", "0"), "its own keeps what it has used");
    tbus_budgets_close(budgets);
}

Test(budget_reserve, subjects_past_the_cap_share_one_budget)
{
    tbus_budgets_t *budgets = opened(&(tbus_budgets_options_t){.defaulted_max = 3});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .each = true, .limit = usd("2"), .kind = TBUS_BUDGET_HARD});
    for (int i = 0; i < 6; i++) {
        char id[8], user[8];
        snprintf(id, sizeof id, "r%d", i);
        snprintf(user, sizeof user, "u%d", i);
        cr_assert_eq(reserve(budgets, id, user, "1", MONDAY), i < 5 ? 0 : UV_EACCES, "%d", i);
    }
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "u0", MONDAY, "0", "1"));
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "u3", MONDAY, "0", "2"), "u3 and u4");
    cr_assert_eq(settle(budgets, "r3", "u3", "0.5", MONDAY), 0);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->rows_count, 4);
    const tbus_budget_row_t *other = row_of(snapshot, TBUS_BUDGET_USER, "other");
    cr_assert(other->shared && !other->defaulted);
    cr_assert(is_usd(other->status.used, "0.5") && is_usd(other->status.reserved, "1"));
    cr_assert_eq(snapshot->shared_requests, 4);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}
