/* A cost tracker that goes on from a ledger equals one that saw every record. */
#include <tallybus/subscribers.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/cost_fixture.h"
#include "tests/trackers/ledger_fixture.h"
#include "trackers/cost.h"

#define SECOND_NS INT64_C(1000000000)

enum { USAGES = 3000, OPEN_MAX = 64, LIVES = 4 };

/* Estimates of this life whose real figures may still come. */
struct traffic {
    uint64_t seed, number;
    int64_t now_ns;
    uint64_t open[OPEN_MAX];
    unsigned opened;
    unsigned replaced;
};

/* What the subscriber tells of a usage, from the tracker's own bill. */
static void enter(tbus_ledger_t *ledger, const tbus_usage_t *usage, const struct cost_bill *bill,
                  const struct cost_estimate *replaced)
{
    struct cost_key_id key;
    if (replaced)
        cr_assert_eq(tbus_ledger_append(ledger, &replaced->record), 0);
    cost_key_id_of(usage->api_key, &key);
    tbus_usage_record_t record = {.request_id = usage->request_id,
                                  .user_id = usage->user_id,
                                  .project_id = usage->project_id,
                                  .model = usage->model,
                                  .endpoint = usage->endpoint,
                                  .api_key = key.redacted};
    memcpy(record.key_digest, key.digest, sizeof record.key_digest);
    cost_fill_record(&record, usage, bill);
    cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
}

/* Records a usage in both trackers, and enters it. */
static void use(tbus_cost_t *lived, tbus_cost_t *resumed, tbus_ledger_t *ledger, const tbus_usage_t *usage,
                unsigned *replaced_count)
{
    struct cost_bill bill;
    struct cost_estimate *replaced;
    cr_assert_eq(tbus_cost_record_usage(lived, usage, NULL), 0);
    cr_assert_eq(cost_record(resumed, usage, &bill, &replaced), 0);
    enter(ledger, usage, &bill, replaced);
    *replaced_count += replaced != NULL;
    tbus_mem_free(replaced);
}

static unsigned below(struct traffic *traffic, unsigned limit)
{
    return (unsigned)(oracle_random(&traffic->seed) % limit);
}

static void use_random(struct traffic *traffic, tbus_cost_t *lived, tbus_cost_t *resumed, tbus_ledger_t *ledger)
{
    static const char *const models[] = {"gpt-4o", "gpt-4", "o1", "", "nobody-knows-it", "text-embedding-3-small"};
    char key[90], user[20], project[20], request[20];
    unsigned who = below(traffic, 12), opened = traffic->opened;
    bool late = below(traffic, 20) == 0, replaces = opened > 0 && below(traffic, 10) == 0;
    traffic->now_ns += below(traffic, 10) == 0 ? below(traffic, 7200) * SECOND_NS : below(traffic, 900) * SECOND_NS;
    snprintf(key, sizeof key, who == 1 ? "sk-%080u" : "sk-proj-key-%u", who); /* one is too long to be kept whole */
    snprintf(user, sizeof user, "user-%u", below(traffic, 9));
    snprintf(project, sizeof project, "project-%u", below(traffic, 4));
    uint64_t number = ++traffic->number;
    snprintf(request, sizeof request, "req-%llu", (unsigned long long)number);
    if (replaces)
        snprintf(request, sizeof request, "req-%llu", (unsigned long long)traffic->open[--traffic->opened]);
    tbus_usage_t usage = {.api_key = who == 0 ? NULL : key,
                          .user_id = below(traffic, 8) ? user : "",
                          .project_id = project,
                          .model = models[below(traffic, 6)],
                          .endpoint = below(traffic, 3) ? "/v1/chat" : "/v1/embeddings",
                          .prompt_tokens = below(traffic, 100000),
                          .cached_tokens = below(traffic, 2) ? below(traffic, 120000) : 0,
                          .completion_tokens = below(traffic, 9000),
                          .reasoning_tokens = below(traffic, 3000),
                          .batch = below(traffic, 5) == 0,
                          .estimated = !replaces && opened < OPEN_MAX && below(traffic, 6) == 0,
                          .request_id = request,
                          .event_id = number,
                          .time_ns = traffic->now_ns - (late ? below(traffic, 40 * 24) * HOUR_NS : 0)};
    use(lived, resumed, ledger, &usage, &traffic->replaced);
    if (usage.estimated)
        traffic->open[traffic->opened++] = number;
}

static void expect_sum(const tbus_cost_sum_t *found, const tbus_cost_sum_t *expected)
{
    cr_assert_str_eq(found->name, expected->name);
    cr_assert_eq(tbus_money_compare(found->usd, expected->usd), 0, "%s: %g, not %g", expected->name,
                 tbus_money_to_usd(found->usd), tbus_money_to_usd(expected->usd));
    cr_assert_eq(found->requests, expected->requests);
    cr_assert_eq(found->prompt_tokens, expected->prompt_tokens);
    cr_assert_eq(found->completion_tokens, expected->completion_tokens);
    cr_assert_eq(found->cached_tokens, expected->cached_tokens);
    cr_assert_eq(found->cache_write_tokens, expected->cache_write_tokens);
    cr_assert_eq(found->reasoning_tokens, expected->reasoning_tokens);
    cr_assert_eq(found->unpriced_requests, expected->unpriced_requests);
}

#define EXPECT_LIST(found, expected, list)                                                                             \
    do {                                                                                                               \
        cr_assert_eq((found)->list##_count, (expected)->list##_count, #list);                                          \
        for (size_t place = 0; place < (expected)->list##_count; place++)                                              \
            expect_sum(&(found)->list[place], &(expected)->list[place]);                                               \
    } while (0)

#define EXPECT_SUMS(found, expected)                                                                                   \
    do {                                                                                                               \
        expect_sum(&(found)->total, &(expected)->total);                                                               \
        EXPECT_LIST(found, expected, by_key);                                                                          \
        EXPECT_LIST(found, expected, by_user);                                                                         \
        EXPECT_LIST(found, expected, by_project);                                                                      \
        EXPECT_LIST(found, expected, by_model);                                                                        \
        EXPECT_LIST(found, expected, by_endpoint);                                                                     \
    } while (0)

static void expect_equal_snapshots(tbus_cost_t *resumed, tbus_cost_t *lived, uint64_t restored_estimates)
{
    tbus_cost_snapshot_t *found = snapshot_of(resumed), *expected = snapshot_of(lived);
    cr_assert_eq(found->time_ns, expected->time_ns);
    cr_assert_eq(found->history_from_ns, expected->history_from_ns);
    cr_assert_eq(tbus_money_compare(found->cache_savings, expected->cache_savings), 0);
    cr_assert_eq(tbus_money_compare(found->batch_savings, expected->batch_savings), 0);
    cr_assert_eq(tbus_money_compare(found->projected_monthly, expected->projected_monthly), 0);
    cr_assert_eq(found->estimated_requests, expected->estimated_requests);
    cr_assert_eq(found->retracted_estimates, expected->retracted_estimates);
    cr_assert_eq(found->forgotten_estimates, expected->forgotten_estimates + restored_estimates);
    cr_assert_eq(found->dropped_sums, expected->dropped_sums);
    EXPECT_SUMS(found, expected);
    tbus_cost_snapshot_free(found);
    tbus_cost_snapshot_free(expected);
}

static void expect_equal_hours(tbus_cost_t *resumed, tbus_cost_t *lived, int64_t now_ns)
{
    int used = 0;
    for (int64_t hour = 0; hour < 800; hour++) {
        tbus_cost_period_t *found, *expected;
        int64_t to_ns = now_ns - hour * HOUR_NS;
        cr_assert_eq(tbus_cost_period(resumed, to_ns - 1, to_ns, &found), 0);
        cr_assert_eq(tbus_cost_period(lived, to_ns - 1, to_ns, &expected), 0);
        cr_assert_eq(found->is_whole, expected->is_whole);
        EXPECT_SUMS(found, expected);
        used += expected->total.requests > 0;
        tbus_cost_period_free(found);
        tbus_cost_period_free(expected);
    }
    cr_assert_gt(used, 100);
}

Test(cost_resume, a_tracker_equals_one_that_saw_every_record)
{
    struct traffic traffic = {.seed = oracle_seed("a_tracker_equals_one_that_saw_every_record"), .now_ns = BEGIN_NS};
    tbus_cost_t *lived = opened(NULL);
    ledger_prepare();
    for (int life = 0; life < LIVES; life++) {
        tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
        tbus_cost_t *resumed = opened(NULL);
        cr_assert_eq(tbus_cost_resume(resumed, ledger, traffic.now_ns), 0);
        tbus_cost_snapshot_t *snapshot = snapshot_of(resumed);
        uint64_t restored = snapshot->estimated_requests;
        tbus_cost_snapshot_free(snapshot);
        if (life > 0) {
            cr_assert_gt(restored, 0);
            expect_equal_snapshots(resumed, lived, restored);
            expect_equal_hours(resumed, lived, traffic.now_ns);
            cr_assert_eq(tbus_cost_resume(resumed, ledger, traffic.now_ns), UV_EALREADY);
        }
        traffic.opened = 0; /* nobody is left who could tell their real figures */
        for (int i = 0; i < USAGES / LIVES; i++)
            use_random(&traffic, lived, resumed, ledger);
        expect_equal_snapshots(resumed, lived, restored);
        expect_equal_hours(resumed, lived, traffic.now_ns);
        cr_assert_eq(tbus_cost_resume(resumed, ledger, traffic.now_ns), UV_EALREADY);
        tbus_cost_close(resumed);
        cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    }
    cr_assert_gt(traffic.replaced, 50);
    tbus_cost_close(lived);
}

static void enter_some(tbus_ledger_t *ledger, unsigned count)
{
    struct traffic traffic = {.seed = 7, .now_ns = BEGIN_NS};
    tbus_cost_t *lived = opened(NULL), *other = opened(NULL);
    for (unsigned i = 0; i < count; i++)
        use_random(&traffic, lived, other, ledger);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    tbus_cost_close(lived);
    tbus_cost_close(other);
}

Test(cost_resume, every_allocation_may_fail)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    enter_some(ledger, 60);
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = -1};
        oom_install(&oom);
        tbus_cost_t *cost = opened(NULL);
        oom.fail_at = oom.calls + at;
        int error = tbus_cost_resume(cost, ledger, BEGIN_NS);
        long failed = oom.failed;
        oom.fail_at = -1;
        tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
        uint64_t requests = snapshot->total.requests, dropped = snapshot->dropped_sums;
        tbus_cost_snapshot_free(snapshot);
        tbus_cost_close(cost);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        if (error)
            cr_assert_eq(error, UV_ENOMEM, "%s", uv_err_name(error));
        cr_assert_eq(requests > 0, error == 0); /* all, or nothing */
        if (!failed) {
            cr_assert_eq(error, 0);
            cr_assert_gt(at, 10);
            break;
        }
        cr_assert(error == UV_ENOMEM || dropped > 0);
    }
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(cost_resume, hours_that_are_gone_are_not_called_whole)
{
    tbus_cost_period_t *period;
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.keep_hours_days = 32, .keep_days = 1});
    for (uint64_t number = 1; number <= 100; number++) {
        tbus_usage_record_t record = ledger_record(number);
        record.time_ns = BEGIN_NS + (int64_t)number * HOUR_NS;
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    }
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    cr_assert_eq(tbus_ledger_prune(ledger, BEGIN_NS + (32 * 24 + 40) * HOUR_NS, NULL), 0);
    tbus_cost_t *cost = opened(NULL);
    cr_assert_eq(tbus_cost_resume(cost, ledger, BEGIN_NS + 200 * HOUR_NS), 0);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->history_from_ns, BEGIN_NS + 40 * HOUR_NS);
    cr_assert_eq(snapshot->total.requests, 100);
    tbus_cost_snapshot_free(snapshot);
    cr_assert_eq(tbus_cost_period(cost, BEGIN_NS, BEGIN_NS + 200 * HOUR_NS, &period), 0);
    cr_assert_not(period->is_whole);
    cr_assert_eq(period->total.requests, 61);
    tbus_cost_period_free(period);
    tbus_cost_close(cost);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(cost_resume, a_time_far_ahead_does_not_carry_the_history_off)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 5);
    tbus_usage_record_t record = ledger_record(6);
    record.time_ns = BEGIN_NS + 9000 * HOUR_NS;
    cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    tbus_cost_t *cost;
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    cr_assert_eq(tbus_cost_resume(cost, ledger, BEGIN_NS + HOUR_NS), 0);
    tbus_cost_period_t *period;
    cr_assert_eq(tbus_cost_period(cost, BEGIN_NS, BEGIN_NS + 1, &period), 0);
    cr_assert_eq(period->total.requests, 5);
    tbus_cost_period_free(period);
    cr_assert_eq(tbus_cost_period(cost, BEGIN_NS, BEGIN_NS + 2 * HOUR_NS, &period), 0);
    cr_assert_eq(period->total.requests, 6);
    tbus_cost_period_free(period);
    tbus_cost_close(cost);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(cost_resume, what_can_not_be_resumed_is_an_error)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_cost_t *cost = opened(NULL);
    cr_assert_eq(tbus_cost_resume(NULL, ledger, BEGIN_NS), UV_EINVAL);
    cr_assert_eq(tbus_cost_resume(cost, NULL, BEGIN_NS), UV_EINVAL);
    cr_assert_eq(tbus_cost_resume(cost, ledger, BEGIN_NS), 0); /* an empty one has nothing to tell */
    ledger_enter(ledger, 1, 3);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    (void)recorded(cost, (tbus_usage_t){.model = "gpt-4o", .prompt_tokens = 5, .time_ns = BEGIN_NS});
    cr_assert_eq(tbus_cost_resume(cost, ledger, BEGIN_NS), UV_EALREADY);
    tbus_cost_reset(cost);
    cr_assert_eq(tbus_cost_resume(cost, ledger, BEGIN_NS), 0);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 3, "%llu", (unsigned long long)snapshot->total.requests);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}
