/* Budgets on a bus: what the cost tracker prices is settled, and what budgets find out is told. */
#include <stdio.h>
#include <string.h>

#include <tallybus/subscribers.h>

#include "tests/check.h"
#include "tests/oom.h"

#define SECOND INT64_C(1000000000)
#define MONDAY (INT64_C(1704067200) * SECOND) /* 2024-01-01 */
#define DAY (86400 * SECOND)

static const char key[] = "sk-proj-0123456789";

struct office {
    tbus_t *bus;
    tbus_cost_t *cost;
    tbus_budgets_t *budgets;
    int64_t attached;
    char told[4096]; /* a line for each budget event */
};

static int on_alert(const tbus_event_t *event, void *user)
{
    const tbus_budget_alert_t *alert = tbus_as_budget_alert(event);
    char *told = ((struct office *)user)->told;
    snprintf(told + strlen(told), 4096 - strlen(told), "alert %s %s %g %g %g\n", alert->scope, alert->subject,
             alert->threshold, alert->used_usd, alert->limit_usd);
    return 0;
}

static int on_exceeded(const tbus_event_t *event, void *user)
{
    const tbus_budget_exceeded_t *exceeded = tbus_as_budget_exceeded(event);
    char *told = ((struct office *)user)->told;
    snprintf(told + strlen(told), 4096 - strlen(told), "exceeded %s %s %s %g %g\n", exceeded->scope, exceeded->subject,
             exceeded->limit_type, exceeded->used_usd, exceeded->limit_usd);
    return 0;
}

static int on_reset(const tbus_event_t *event, void *user)
{
    const tbus_budget_reset_t *reset = tbus_as_budget_reset(event);
    char *told = ((struct office *)user)->told;
    snprintf(told + strlen(told), 4096 - strlen(told), "reset %s %s %g\n", reset->scope, reset->subject,
             reset->used_usd);
    return 0;
}

static void office_open(struct office *office, const tbus_options_t *options)
{
    memset(office, 0, sizeof *office);
    cr_assert_eq(tbus_open(options, &office->bus), 0);
    cr_assert_eq(tbus_cost_open(NULL, &office->cost), 0);
    cr_assert_eq(tbus_budgets_open(NULL, &office->budgets), 0);
    cr_assert_gt(tbus_cost_attach(office->cost, office->bus), 0);
    office->attached = tbus_budgets_attach(office->budgets, office->bus);
    cr_assert_gt(office->attached, 0);
    cr_assert_gt(tbus_subscribe(office->bus, "budget.alert", 0, on_alert, office), 0);
    cr_assert_gt(tbus_subscribe(office->bus, "budget.exceeded", 0, on_exceeded, office), 0);
    cr_assert_gt(tbus_subscribe(office->bus, "budget.reset", 0, on_reset, office), 0);
}

/* Waits until all is delivered that was published, and what handlers published then, and so on. */
static void deliver(struct office *office)
{
    for (int hop = 0; hop < 4; hop++) {
        const int64_t subscription = tbus_subscribe(office->bus, "request.routed", 0, on_alert, office);
        cr_assert_eq(tbus_unsubscribe_wait(office->bus, subscription), 0);
    }
}

static void office_close(struct office *office)
{
    cr_assert_eq(tbus_free(office->bus), 0);
    tbus_budgets_close(office->budgets);
    tbus_cost_close(office->cost);
}

static tbus_money_t usd(const char *text)
{
    tbus_money_t amount;
    cr_assert_eq(tbus_money_parse(text, &amount), 0);
    return amount;
}

static void set(struct office *office, tbus_budget_scope_t scope, const char *subject, const char *limit)
{
    const tbus_budget_t budget = {
        .scope = scope, .subject = subject, .limit = usd(limit), .kind = TBUS_BUDGET_HARD, .period = TBUS_BUDGET_DAILY};
    cr_assert_eq(tbus_budget_set(office->budgets, &budget), 0);
}

static void stands(struct office *office, tbus_budget_scope_t scope, const char *subject, int64_t time_ns,
                   const char *used, const char *reserved)
{
    tbus_budget_status_t status;
    char text[TBUS_MONEY_TEXT_MAX];
    cr_assert_eq(tbus_budget_check(office->budgets, scope, subject, time_ns, &status), 0);
    cr_assert_str_eq(tbus_money_format(status.used, -1, text), used);
    cr_assert_str_eq(tbus_money_format(status.reserved, -1, text), reserved);
}

static int reserve(struct office *office, const char *id, const char *amount, int64_t time_ns)
{
    const tbus_budget_request_t request = {
        .request_id = id, .api_key = key, .user_id = "ann", .amount = usd(amount), .time_ns = time_ns};
    return tbus_budget_reserve(office->budgets, &request, NULL);
}

/* gpt-4o: 5 USD for a million tokens of input. */
static void complete(struct office *office, const char *id, int64_t tokens, int64_t time_ns)
{
    const tbus_request_completed_t completed = {
        .base = {.time_ns = time_ns, .request_id = id, .api_key = key, .user_id = "ann", .project_id = "red"},
        .model = "gpt-4o",
        .status_code = 200,
        .input_tokens = tokens};
    cr_assert_eq(tbus_publish_request_completed(office->bus, &completed), 0);
    deliver(office);
}

Test(budget_subscriber, what_was_priced_is_settled_in_every_budget)
{
    struct office office;
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_KEY, key, "100");
    set(&office, TBUS_BUDGET_USER, "ann", "100");
    set(&office, TBUS_BUDGET_PROJECT, "red", "100");
    set(&office, TBUS_BUDGET_ALL, NULL, "100");
    cr_assert_eq(reserve(&office, "a", "7", MONDAY), 0);
    complete(&office, "a", 1000000, MONDAY);
    complete(&office, "a", 1000000, MONDAY); /* the same once more */
    stands(&office, TBUS_BUDGET_KEY, key, MONDAY, "5", "0");
    stands(&office, TBUS_BUDGET_USER, "ann", MONDAY, "5", "0");
    stands(&office, TBUS_BUDGET_PROJECT, "red", MONDAY, "5", "0");
    stands(&office, TBUS_BUDGET_ALL, NULL, MONDAY, "5", "0");
    cr_assert_str_eq(office.told, "");
    office_close(&office);
}

Test(budget_subscriber, what_is_found_out_is_told_once_and_in_order)
{
    struct office office;
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_USER, "ann", "10");
    complete(&office, "a", 1600000, MONDAY);
    complete(&office, "b", 100000, MONDAY);
    complete(&office, "c", 400000, MONDAY);
    complete(&office, "d", 200000, MONDAY + DAY);
    cr_assert_str_eq(office.told, "alert user ann 0.8 8 10\n"
                                  "exceeded user ann hard 10.5 10\n"
                                  "reset user ann 10.5\n");
    office_close(&office);
}

Test(budget_subscriber, a_key_is_told_redacted)
{
    struct office office;
    char expected[128], redacted[TBUS_REDACTED_BYTES];
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_KEY, key, "10");
    complete(&office, "a", 1600000, MONDAY);
    snprintf(expected, sizeof expected, "alert key %s 0.8 8 10\n", tbus_redact_key(key, redacted));
    cr_assert_str_eq(office.told, expected);
    office_close(&office);
}

Test(budget_subscriber, a_request_that_failed_gives_its_reservation_back)
{
    struct office office;
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_USER, "ann", "10");
    cr_assert_eq(reserve(&office, "a", "7", MONDAY), 0);
    cr_assert_eq(reserve(&office, "b", "7", MONDAY), UV_EACCES);
    cr_assert_eq(tbus_publish_request_failed(office.bus,
                                             &(tbus_request_failed_t){.base = {.request_id = "a", .time_ns = MONDAY}}),
                 0);
    deliver(&office);
    stands(&office, TBUS_BUDGET_USER, "ann", MONDAY, "0", "0");
    cr_assert_str_eq(office.told, "exceeded user ann hard 0 10\n"); /* what reserve() found on this thread */
    cr_assert_eq(reserve(&office, "b", "7", MONDAY), 0);
    office_close(&office);
}

Test(budget_subscriber, what_another_thread_found_is_told_with_the_next_request)
{
    struct office office;
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_USER, "ann", "10");
    const tbus_budget_request_t request = {.user_id = "ann", .amount = usd("9"), .time_ns = MONDAY};
    cr_assert_eq(tbus_budget_settle(office.budgets, &request), 0);
    deliver(&office);
    cr_assert_str_eq(office.told, "");
    const tbus_request_started_t started = {.base = {.time_ns = MONDAY + DAY}, .model = "gpt-4o"};
    cr_assert_eq(tbus_publish_request_started(office.bus, &started), 0);
    deliver(&office);
    cr_assert_str_eq(office.told, "alert user ann 0.8 9 10\nreset user ann 9\n");
    office_close(&office);
}

static void publish_priced(struct office *office, const char *id, const char *cost, bool estimated, bool retracted)
{
    tbus_usage_priced_t priced = {.base = {.time_ns = MONDAY, .request_id = id, .user_id = "ann"},
                                  .cost = usd(cost),
                                  .estimated = estimated,
                                  .retracted = retracted};
    priced.base.type = tbus_type_number(office->bus, TBUS_USAGE_PRICED);
    cr_assert_eq(tbus_publish(office->bus, &priced.base), 0);
    deliver(office);
}

Test(budget_subscriber, real_figures_take_the_place_of_an_estimate)
{
    struct office office;
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_USER, "ann", "10");
    publish_priced(&office, "a", "3", true, false);
    stands(&office, TBUS_BUDGET_USER, "ann", MONDAY, "3", "0");
    publish_priced(&office, "a", "3", true, true);
    publish_priced(&office, "a", "2.5", false, false);
    stands(&office, TBUS_BUDGET_USER, "ann", MONDAY, "2.5", "0");
    office_close(&office);
}

/* --- A queue without room --- */

struct gate {
    uv_sem_t reached, opened;
};

static int wait_at_gate(const tbus_event_t *event, void *user)
{
    struct gate *gate = user;
    (void)event;
    uv_sem_post(&gate->reached);
    uv_sem_wait(&gate->opened);
    return 0;
}

static void start(struct office *office)
{
    const tbus_request_started_t started = {.base = {.time_ns = MONDAY}, .model = "gpt-4o"};
    cr_assert_eq(tbus_publish_request_started(office->bus, &started), 0);
    deliver(office);
}

Test(budget_subscriber, what_the_queue_has_no_room_for_is_told_later)
{
    struct office office;
    struct gate gate;
    office_open(&office, &(tbus_options_t){.ring_bytes = 64 * 1024, .overflow_max = 1, .vital_wait_ms = UINT32_MAX});
    cr_assert_eq(uv_sem_init(&gate.reached, 0), 0);
    cr_assert_eq(uv_sem_init(&gate.opened, 0), 0);
    const tbus_budget_t budget = {.scope = TBUS_BUDGET_USER,
                                  .subject = "ann",
                                  .limit = usd("10"),
                                  .thresholds_ppm = {100000, 200000, 300000, 400000, 500000, 600000}};
    cr_assert_eq(tbus_budget_set(office.budgets, &budget), 0);
    cr_assert_gt(tbus_subscribe(office.bus, "request.started", 9, wait_at_gate, &gate), 0);
    const tbus_budget_request_t request = {.user_id = "ann", .amount = usd("11"), .time_ns = MONDAY};
    cr_assert_eq(tbus_budget_settle(office.budgets, &request), 0);
    cr_assert_eq(
        tbus_publish_request_started(office.bus, &(tbus_request_started_t){.base = {.time_ns = MONDAY}, .model = "m"}),
        0);
    uv_sem_wait(&gate.reached);
    while (tbus_publish_request_queued(office.bus, &(tbus_request_queued_t){.queue_name = "q"}) == 0)
        ;
    uv_sem_post(&gate.opened);
    deliver(&office);
    uv_sem_post(&gate.opened);
    start(&office); /* the next event, with room behind it */
    cr_assert_str_eq(office.told, "alert user ann 0.1 11 10\nalert user ann 0.2 11 10\nalert user ann 0.3 11 10\n"
                                  "alert user ann 0.4 11 10\nalert user ann 0.5 11 10\nalert user ann 0.6 11 10\n"
                                  "exceeded user ann soft 11 10\n");
    tbus_type_stats_t stats;
    cr_assert_eq(tbus_stats_of_type(office.bus, TBUS_BUDGET_ALERT, &stats), 0);
    cr_assert_gt(stats.undelivered[TBUS_REASON_FULL], 0, "the test is about one that was refused");
    office_close(&office);
    uv_sem_destroy(&gate.reached);
    uv_sem_destroy(&gate.opened);
}

Test(budget_subscriber, it_ends_when_it_is_unsubscribed)
{
    struct office office;
    office_open(&office, NULL);
    set(&office, TBUS_BUDGET_USER, "ann", "10");
    complete(&office, "a", 100000, MONDAY);
    cr_assert_eq(tbus_unsubscribe_wait(office.bus, office.attached), 0);
    complete(&office, "b", 100000, MONDAY);
    stands(&office, TBUS_BUDGET_USER, "ann", MONDAY, "0.5", "0");
    office_close(&office);
}

Test(budget_subscriber, bad_arguments_are_refused)
{
    struct office office;
    office_open(&office, NULL);
    cr_assert_eq(tbus_budgets_attach(NULL, office.bus), UV_EINVAL);
    cr_assert_eq(tbus_budgets_attach(office.budgets, NULL), UV_EINVAL);
    office_close(&office);
}

static int attach_to_a_bus(struct oom *oom)
{
    struct office office;
    office_open(&office, NULL);
    oom_arm(oom);
    const int64_t attached = tbus_budgets_attach(office.budgets, office.bus);
    oom_disarm(oom);
    office_close(&office);
    return attached > 0 ? 0 : (int)attached;
}

Test(budget_subscriber, failing_allocations_leave_nothing)
{
    cr_assert_gt(oom_try_each(attach_to_a_bus), 0);
}
