/* Budgets that go on from a ledger stand as those that saw every record themselves. */
#include <tallybus/subscribers.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/ledger_fixture.h"
#include "trackers/digest.h"
#include "trackers/money.h"

#define DAY_NS (24 * HOUR_NS)
#define NOW_NS (BEGIN_NS + 40 * DAY_NS + 17 * 60 * INT64_C(1000000000))

enum { USERS = 12, KEYS = 5 };

static int64_t clock_now_ns;

static int64_t read_clock(void *user)
{
    (void)user;
    return clock_now_ns;
}

static void set(tbus_budgets_t *budgets, tbus_budget_t budget)
{
    budget.limit = tbus_money_units(INT64_MAX);
    cr_assert_eq(tbus_budget_set(budgets, &budget), 0);
}

static const char *key_name(unsigned number)
{
    static char names[KEYS][32];
    snprintf(names[number], sizeof names[number], "sk-proj-key-number-%u", number);
    return names[number];
}

/* Budgets of all scopes and kinds of periods; those of two users and a key have terms of their own. */
static tbus_budgets_t *opened(void)
{
    tbus_budgets_t *budgets;
    cr_assert_eq(tbus_budgets_open(&(tbus_budgets_options_t){.clock = read_clock}, &budgets), 0);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_ALL, .period = TBUS_BUDGET_MONTHLY});
    set(budgets, (tbus_budget_t){
                     .scope = TBUS_BUDGET_USER, .each = true, .period = TBUS_BUDGET_DAILY, .utc_offset_minutes = 345});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "user-3", .period = TBUS_BUDGET_NEVER});
    set(budgets,
        (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "user-4", .period = TBUS_BUDGET_WEEKLY, .rolling = true});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "nobody", .period = TBUS_BUDGET_WEEKLY});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_KEY,
                                 .each = true,
                                 .period = TBUS_BUDGET_DURATION,
                                 .duration_ns = 100 * HOUR_NS,
                                 .anchor_ns = 12345});
    set(budgets, (tbus_budget_t){
                     .scope = TBUS_BUDGET_KEY, .subject = key_name(2), .period = TBUS_BUDGET_DAILY, .rolling = true});
    return budgets;
}

/* The same usage for both. */
static void use(tbus_budgets_t *budgets, tbus_ledger_t *ledger, uint64_t number, int64_t time_ns, uint64_t *seed)
{
    char user[300];
    unsigned who = (unsigned)(oracle_random(seed) % USERS), key = (unsigned)(oracle_random(seed) % KEYS);
    tbus_usage_record_t record = ledger_record(number);
    char redacted[TBUS_REDACTED_BYTES];
    if (who == 0)
        snprintf(user, sizeof user, "%0230u", 7u); /* too long to be shown whole */
    else
        snprintf(user, sizeof user, "user-%u", who);
    record.time_ns = time_ns;
    record.user_id = who == 1 ? "" : user;
    record.api_key = tbus_redact_key(key_name(key), redacted);
    digest_bytes(key_name(key), strlen(key_name(key)), record.key_digest);
    record.cost = tbus_money_units((int64_t)(oracle_random(seed) % 1000000000000));
    cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    clock_now_ns = time_ns;
    cr_assert_eq(tbus_budget_settle(budgets, &(tbus_budget_request_t){.api_key = key_name(key),
                                                                      .user_id = record.user_id,
                                                                      .project_id = record.project_id,
                                                                      .amount = record.cost,
                                                                      .time_ns = time_ns}),
                 0);
}

static void expect_equal(tbus_budgets_t *lived, tbus_budgets_t *resumed)
{
    tbus_budgets_snapshot_t *expected, *found;
    int used = 0;
    cr_assert_eq(tbus_budgets_snapshot(lived, NOW_NS, &expected), 0);
    cr_assert_eq(tbus_budgets_snapshot(resumed, NOW_NS, &found), 0);
    cr_assert_eq(found->rows_count, expected->rows_count);
    cr_assert_eq(found->rows_count, 1 + USERS + 1 - 1 + KEYS);
    for (size_t i = 0; i < found->rows_count; i++) {
        const tbus_budget_row_t *a = &expected->rows[i], *b = &found->rows[i];
        cr_assert_str_eq(b->subject, a->subject);
        cr_assert_eq(b->status.period_start_ns, a->status.period_start_ns);
        cr_assert_eq(tbus_money_compare(b->status.used, a->status.used), 0, "%s used %g, not %g", a->subject,
                     tbus_money_to_usd(b->status.used), tbus_money_to_usd(a->status.used));
        cr_assert_eq(tbus_money_compare(b->status.lifetime, a->status.lifetime), 0, "%s", a->subject);
        used += money_value(b->status.used) > 0 && money_value(b->status.used) < money_value(b->status.lifetime);
    }
    cr_assert_gt(used, 10); /* the periods are neither empty nor all there is */
    tbus_budgets_snapshot_free(expected);
    tbus_budgets_snapshot_free(found);
}

Test(budget_resume, budgets_stand_as_if_they_had_seen_it_all)
{
    uint64_t seed = oracle_seed("budgets_stand_as_if_they_had_seen_it_all");
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_budgets_t *lived = opened();
    for (uint64_t number = 1; number <= 4000; number++)
        use(lived, ledger, number, BEGIN_NS + (NOW_NS - BEGIN_NS) / 4000 * (int64_t)number, &seed);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);

    clock_now_ns = NOW_NS;
    ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_budgets_t *resumed = opened();
    cr_assert_eq(tbus_budgets_resume(resumed, ledger, NOW_NS), 0);
    expect_equal(lived, resumed);
    tbus_budget_finding_t finding;
    cr_assert_eq(tbus_budgets_take_finding(resumed, &finding), 0);
    tbus_budgets_close(resumed);
    tbus_budgets_close(lived);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

/* A host that enters records itself may show a key in more than one way. */
Test(budget_resume, a_key_is_one_under_whatever_names)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    static const char *const names[] = {"sk-p..88fd2d4d", "", "team red"};
    tbus_usage_record_t record = ledger_record(1);
    digest_bytes(key_name(2), strlen(key_name(2)), record.key_digest);
    record.cost = tbus_money_units(1000);
    for (size_t i = 0; i < 3; i++) {
        record.event_id = i + 1;
        record.api_key = names[i];
        record.time_ns = NOW_NS - (int64_t)i * HOUR_NS;
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    }
    record.event_id = 4;
    record.time_ns = NOW_NS - 3 * DAY_NS;
    cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);

    clock_now_ns = NOW_NS;
    tbus_budgets_t *budgets = opened();
    tbus_budget_status_t status;
    cr_assert_eq(tbus_budgets_resume(budgets, ledger, NOW_NS), 0);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_KEY, key_name(2), NOW_NS, &status), 0);
    cr_assert_eq(status.used.low, 3000);
    cr_assert_eq(status.lifetime.low, 4000);
    tbus_budgets_close(budgets);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(budget_resume, every_allocation_may_fail)
{
    uint64_t seed = 5;
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_budgets_t *lived = opened();
    for (uint64_t number = 1; number <= 200; number++)
        use(lived, ledger, number, BEGIN_NS + (NOW_NS - BEGIN_NS) / 200 * (int64_t)number, &seed);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    tbus_budgets_close(lived);
    clock_now_ns = NOW_NS;
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = -1};
        oom_install(&oom);
        tbus_budgets_t *budgets = opened();
        oom.fail_at = oom.calls + at;
        int error = tbus_budgets_resume(budgets, ledger, NOW_NS);
        long failed = oom.failed;
        oom.fail_at = -1;
        tbus_budgets_close(budgets);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        cr_assert(error == 0 || error == UV_ENOMEM, "%s", uv_err_name(error));
        if (!failed) {
            cr_assert_eq(error, 0);
            cr_assert_gt(at, 5);
            break;
        }
    }
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(budget_resume, what_can_not_be_read_back_is_an_error)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.keep_hours_days = 32, .keep_days = 1});
    tbus_budgets_t *budgets = opened();
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    cr_assert_eq(tbus_budgets_resume(NULL, ledger, NOW_NS), UV_EINVAL);
    cr_assert_eq(tbus_budgets_resume(budgets, NULL, NOW_NS), UV_EINVAL);
    tbus_usage_record_t record = ledger_record(11);
    record.time_ns = NOW_NS;
    cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    cr_assert_eq(tbus_ledger_prune(ledger, NOW_NS + 60 * DAY_NS, NULL), 0);
    clock_now_ns = NOW_NS;
    cr_assert_eq(tbus_budgets_resume(budgets, ledger, NOW_NS), UV_ERANGE);
    tbus_budgets_close(budgets);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}
