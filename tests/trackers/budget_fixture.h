/* What the tests of budgets share. */
#ifndef TESTS_TRACKERS_BUDGET_FIXTURE_H
#define TESTS_TRACKERS_BUDGET_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include <tallybus/budget.h>

#include "tests/check.h"
#include "trackers/money.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define MONDAY (INT64_C(1704067200) * SECOND) /* 2024-01-01, a Monday and the first of a month, in UTC */

/* 10 USD a day. */
static const tbus_budget_t ann_daily = {
    .scope = TBUS_BUDGET_USER, .subject = "ann", .limit = {10 * TBUS_MONEY_PER_USD, 0}, .period = TBUS_BUDGET_DAILY};

static inline tbus_budgets_t *opened(const tbus_budgets_options_t *options)
{
    tbus_budgets_t *budgets;
    cr_assert_eq(tbus_budgets_open(options, &budgets), 0);
    return budgets;
}

static inline tbus_money_t usd(const char *text)
{
    tbus_money_t amount;
    cr_assert_eq(tbus_money_parse(text, &amount), 0);
    return amount;
}

static inline bool is_usd(tbus_money_t amount, const char *text)
{
    char found[TBUS_MONEY_TEXT_MAX];
    if (tbus_money_compare(amount, usd(text)) == 0)
        return true;
    fprintf(stderr, "%s instead of %s\n", tbus_money_format(amount, -1, found), text);
    return false;
}

static inline void set(tbus_budgets_t *budgets, tbus_budget_t budget)
{
    cr_assert_eq(tbus_budget_set(budgets, &budget), 0);
}

static inline tbus_budgets_t *opened_with(tbus_budget_t budget)
{
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, budget);
    return budgets;
}

/* A request of everybody's: what a test does not say is not there. */
static inline int reserve(tbus_budgets_t *budgets, const char *id, const char *user, const char *amount,
                          int64_t time_ns)
{
    return tbus_budget_reserve(
        budgets, &(tbus_budget_request_t){.request_id = id, .user_id = user, .amount = usd(amount), .time_ns = time_ns},
        NULL);
}

static inline int settle(tbus_budgets_t *budgets, const char *id, const char *user, const char *amount, int64_t time_ns)
{
    return tbus_budget_settle(
        budgets,
        &(tbus_budget_request_t){.request_id = id, .user_id = user, .amount = usd(amount), .time_ns = time_ns});
}

static inline tbus_budget_status_t checked(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *subject,
                                           int64_t time_ns)
{
    tbus_budget_status_t status;
    cr_assert_eq(tbus_budget_check(budgets, scope, subject, time_ns, &status), 0);
    return status;
}

static inline bool stands(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *subject, int64_t time_ns,
                          const char *used, const char *reserved)
{
    const tbus_budget_status_t status = checked(budgets, scope, subject, time_ns);
    return is_usd(status.used, used) && is_usd(status.reserved, reserved);
}

static inline tbus_budgets_snapshot_t *snapshot_of(tbus_budgets_t *budgets, int64_t time_ns)
{
    tbus_budgets_snapshot_t *snapshot;
    cr_assert_eq(tbus_budgets_snapshot(budgets, time_ns, &snapshot), 0);
    return snapshot;
}

static inline const tbus_budget_row_t *row_of(const tbus_budgets_snapshot_t *snapshot, tbus_budget_scope_t scope,
                                              const char *subject)
{
    for (size_t i = 0; i < snapshot->rows_count; i++)
        if (snapshot->rows[i].scope == scope && strcmp(snapshot->rows[i].subject, subject) == 0)
            return &snapshot->rows[i];
    return NULL;
}

/* Takes the next finding and compares: "alert user ann 0.8 8 10" (threshold, used, limit), "reset all  8 10". */
static inline void finds(tbus_budgets_t *budgets, const char *expected)
{
    static const char *const whats[] = {"", "alert", "exceeded", "reset"};
    tbus_budget_finding_t finding;
    char text[512], used[TBUS_MONEY_TEXT_MAX], limit[TBUS_MONEY_TEXT_MAX], threshold[32] = "";
    if (tbus_budgets_take_finding(budgets, &finding) == 0) {
        cr_assert_str_eq("nothing", expected);
        return;
    }
    if (finding.what == TBUS_BUDGET_FOUND_ALERT)
        snprintf(threshold, sizeof threshold, " %g", finding.threshold);
    snprintf(text, sizeof text, "%s %s %s%s %s %s", whats[finding.what], tbus_budget_scope_name(finding.scope),
             finding.subject, threshold, tbus_money_format(finding.used, -1, used),
             tbus_money_format(finding.limit, -1, limit));
    cr_assert_str_eq(text, expected);
}

#endif
