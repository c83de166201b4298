/* Estimates: real figures take their place exactly, wherever they were added. */
#include <stdlib.h>

#include "tests/oom.h"
#include "tests/trackers/cost_model.h"
#include "trackers/cost.h"

#define NOW INT64_C(1767258000000000000)

static const tbus_usage_t estimate = {.api_key = "sk-proj-0123456789",
                                      .user_id = "ann",
                                      .project_id = "red",
                                      .model = "gpt-4o",
                                      .endpoint = "/v1/chat",
                                      .request_id = "req-1",
                                      .prompt_tokens = 1000,
                                      .completion_tokens = 10,
                                      .cached_tokens = 200,
                                      .estimated = true,
                                      .time_ns = NOW};

static tbus_usage_t real_of(const tbus_usage_t *usage)
{
    tbus_usage_t real = *usage;
    real.estimated = false;
    real.completion_tokens = 500;
    return real;
}

/* semantics: cost.estimates */
Test(cost_estimates, real_figures_take_the_place_of_an_estimate)
{
    tbus_cost_t *cost = opened(NULL), *alone = opened(NULL);
    tbus_usage_t real = real_of(&estimate);
    real.user_id = "bob"; /* and an hour later, in another project, with another model */
    real.project_id = NULL;
    real.model = "gpt-4";
    real.cached_tokens = 0;
    real.time_ns += MODEL_HOUR_NS;

    recorded(cost, estimate);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->estimated_requests, 1);
    cr_assert_eq(snapshot->retracted_estimates, 0);
    tbus_cost_snapshot_free(snapshot);
    recorded(cost, real);
    recorded(alone, real);

    tbus_cost_snapshot_t *other = snapshot_of(alone);
    snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->estimated_requests, 0);
    cr_assert_eq(snapshot->retracted_estimates, 1);
    cr_assert_eq(snapshot->total.requests, 1);
    cr_assert_eq(tbus_money_compare(snapshot->total.usd, other->total.usd), 0);
    cr_assert(is_usd(snapshot->cache_savings, "0"));
    cr_assert_eq(snapshot->by_user_count, 1);
    cr_assert_str_eq(snapshot->by_user[0].name, "bob");
    cr_assert_eq(snapshot->by_model_count, 1);
    cr_assert_eq(snapshot->by_project_count, 1);
    cr_assert_str_eq(snapshot->by_project[0].name, "");
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_snapshot_free(other);

    tbus_cost_period_t *period;
    cr_assert_eq(tbus_cost_period(cost, NOW, NOW + 1, &period), 0);
    cr_assert_eq(period->total.requests, 0);
    cr_assert(is_usd(period->total.usd, "0"));
    tbus_cost_period_free(period);
    tbus_cost_records_t *records;
    cr_assert_eq(tbus_cost_records(cost, 0, &records), 0);
    cr_assert_eq(records->count, 1);
    cr_assert_not(records->records[0].estimated);
    cr_assert_str_eq(records->records[0].user_id, "bob");
    tbus_cost_records_free(records);
    tbus_cost_close(cost);
    tbus_cost_close(alone);
}

static int64_t clock_of(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

/* One that told a time too far ahead counts in the latest hour, and leaves it again. */
Test(cost_estimates, it_leaves_the_hour_that_it_counted_in_and_its_savings)
{
    int64_t now = NOW;
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.clock = clock_of, .clock_user = &now});
    tbus_usage_t ahead = estimate, real = real_of(&estimate);
    ahead.batch = true;
    ahead.time_ns = NOW + 10 * MODEL_HOUR_NS;
    recorded(cost, ahead);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_gt(snapshot->batch_savings.low, 0);
    cr_assert_eq(snapshot->ahead_usages, 1);
    tbus_cost_snapshot_free(snapshot);

    now += 2 * MODEL_HOUR_NS;
    real.time_ns = now;
    recorded(cost, real);
    snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 1);
    cr_assert(is_usd(snapshot->batch_savings, "0"));
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_period_t *period;
    cr_assert_eq(tbus_cost_period(cost, NOW, now, &period), 0);
    cr_assert_eq(period->total.requests, 0);
    tbus_cost_period_free(period);
    cr_assert_eq(tbus_cost_period(cost, NOW, now + 1, &period), 0);
    cr_assert_eq(period->total.requests, 1);
    tbus_cost_period_free(period);
    tbus_cost_close(cost);
}

Test(cost_estimates, one_is_replaced_once_and_by_its_own_request_alone)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t other = real_of(&estimate), nameless = estimate;
    other.request_id = "req-2";
    nameless.request_id = NULL;

    recorded(cost, estimate);
    recorded(cost, nameless);
    recorded(cost, other);
    nameless.estimated = false;
    recorded(cost, nameless);
    nameless.request_id = "";
    recorded(cost, nameless);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 5);
    cr_assert_eq(snapshot->estimated_requests, 2);
    tbus_cost_snapshot_free(snapshot);
    recorded(cost, real_of(&estimate));
    recorded(cost, real_of(&estimate)); /* a second request with this id is a usage of its own */
    snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 6);
    cr_assert_eq(snapshot->estimated_requests, 1);
    cr_assert_eq(snapshot->retracted_estimates, 1);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_estimates, a_later_estimate_replaces_an_earlier_one)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t later = estimate;
    later.completion_tokens = 77;
    recorded(cost, estimate);
    recorded(cost, later);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 1);
    cr_assert_eq(snapshot->total.completion_tokens, 77);
    cr_assert_eq(snapshot->estimated_requests, 1);
    tbus_cost_snapshot_free(snapshot);
    recorded(cost, real_of(&estimate));
    snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.completion_tokens, 500);
    cr_assert_eq(snapshot->estimated_requests, 0);
    cr_assert_eq(snapshot->retracted_estimates, 2);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_estimates, figures_that_are_refused_replace_nothing)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t wrong = real_of(&estimate);
    wrong.completion_tokens = -1;
    recorded(cost, estimate);
    cr_assert_eq(tbus_cost_record_usage(cost, &wrong, NULL), UV_EINVAL);
    wrong.completion_tokens = TBUS_USAGE_COUNT_MAX + 1;
    cr_assert_eq(tbus_cost_record_usage(cost, &wrong, NULL), UV_ERANGE);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 1);
    cr_assert_eq(snapshot->estimated_requests, 1);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* semantics: cost.estimates */
Test(cost_estimates, past_their_cap_the_oldest_stay_as_they_are)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.estimates_max = 3});
    tbus_usage_t usage = estimate;
    char id[2000];

    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "req-%d", i);
        usage.request_id = id;
        recorded(cost, usage);
    }
    usage.estimated = false;
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof id, "req-%d", i);
        recorded(cost, usage);
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->forgotten_estimates, 2);
    cr_assert_eq(snapshot->retracted_estimates, 3);
    cr_assert_eq(snapshot->estimated_requests, 2);
    cr_assert_eq(snapshot->total.requests, 7);
    tbus_cost_snapshot_free(snapshot);

    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0'; /* too long to be remembered */
    usage.estimated = true;
    recorded(cost, usage);
    usage.estimated = false;
    recorded(cost, usage);
    snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 9);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_estimates, one_of_a_key_past_the_cap_is_taken_back_from_that_key)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = 1});
    const tbus_usage_t real = real_of(&estimate);
    struct cost_estimate *replaced;
    struct cost_bill bill;
    struct cost_key_id id;

    recorded(cost, (tbus_usage_t){.api_key = "the only key told apart", .model = "gpt-4"});
    recorded(cost, estimate);
    cr_assert_eq(cost_record(cost, &real, &bill, &replaced), 0);
    cr_assert_not_null(replaced);
    cost_key_id_of(estimate.api_key, &id);
    cr_assert_arr_eq(replaced->record.key_digest, id.digest, sizeof id.digest);
    cr_assert_str_eq(replaced->record.api_key, id.redacted);
    cr_assert_str_eq(replaced->api_key, estimate.api_key);
    cr_assert(replaced->record.retracted);
    tbus_mem_free(replaced);
    tbus_cost_close(cost);
}

Test(cost_estimates, sums_equal_those_of_a_plain_list)
{
    enum { ROUNDS = 10, USAGES = 3000, USERS = 8, PROJECTS = 3, REQUESTS = 400 };
    uint64_t seed = oracle_seed("cost estimates");

    for (int round = 0; round < ROUNDS; round++) {
        tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = 5}); /* users past the cap share "other" */
        long of_request[REQUESTS];                                         /* the estimate that there is */
        struct model model;
        int64_t now = NOW;
        model_open(&model);
        for (int i = 0; i < REQUESTS; i++)
            of_request[i] = -1;
        for (int i = 0; i < USAGES; i++) {
            char user[32], project[32], id[32];
            int request = (int)(oracle_random(&seed) % REQUESTS);
            struct model_usage counted = {.user = -1, .project = (int)(oracle_random(&seed) % (PROJECTS + 1)) - 1};
            snprintf(user, sizeof user, "somebody-%d", (int)(oracle_random(&seed) % USERS));
            snprintf(project, sizeof project, "project-%d", counted.project);
            snprintf(id, sizeof id, "req-%d", request);
            now += (int64_t)(oracle_random(&seed) % (MODEL_HOUR_NS / 2));
            counted.time_ns = now - (int64_t)(oracle_random(&seed) % 3) * MODEL_HOUR_NS;
            const tbus_usage_t usage = {.user_id = user,
                                        .api_key = user,
                                        .project_id = counted.project < 0 ? NULL : project,
                                        .model = i % 3 ? "gpt-4o" : "o1",
                                        .endpoint = i % 5 ? "/v1/chat" : "/v1/embeddings",
                                        .request_id = id,
                                        .estimated = oracle_random(&seed) % 2 == 0,
                                        .batch = oracle_random(&seed) % 5 == 0,
                                        .prompt_tokens = (int64_t)(oracle_random(&seed) % 10000),
                                        .cached_tokens = (int64_t)(oracle_random(&seed) % 12000),
                                        .time_ns = counted.time_ns};
            tbus_charge_t charge = recorded(cost, usage);
            counted.usd = money_value(charge.total);
            counted.prompt = (uint64_t)usage.prompt_tokens;
            counted.cached = (uint64_t)charge.cache_read_tokens;
            if (of_request[request] >= 0)
                model.usages[of_request[request]].gone = true;
            size_t place = model_add(&model, counted);
            of_request[request] = usage.estimated ? (long)place : -1;
            if (i % 500 == 0) {
                tbus_cost_period_t *period;
                int64_t from = model.newest_hour - (int64_t)(oracle_random(&seed) % 900);
                cr_assert_eq(tbus_cost_period(cost, from * MODEL_HOUR_NS, INT64_MAX, &period), 0);
                int64_t first = model.newest_hour - MODEL_HOURS + 1;
                struct model_sum sum = model_sum_of(&model, -2, -2, from > first ? from : first, INT64_MAX);
                model_check_sum(&sum, &period->total, "period");
                model_check_list(&model, period->by_project, period->by_project_count, false, PROJECTS,
                                 from > first ? from : first, INT64_MAX);
                tbus_cost_period_free(period);
            }
        }
        tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
        struct model_sum sum = model_sum_of(&model, -2, -2, INT64_MIN, INT64_MAX);
        model_check_sum(&sum, &snapshot->total, "for ever");
        uint64_t requests = 0;
        int128_t usd = 0;
        for (size_t i = 0; i < snapshot->by_user_count; i++) {
            requests += snapshot->by_user[i].requests;
            usd += money_value(snapshot->by_user[i].usd);
        }
        cr_assert_eq(requests, sum.requests);
        cr_assert(usd == sum.usd);
        tbus_cost_snapshot_free(snapshot);
        free(model.usages);
        tbus_cost_close(cost);
    }
}

static int record_an_estimate(struct oom *oom)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t known = real_of(&estimate);
    known.request_id = NULL;
    recorded(cost, known); /* so that names are there */
    oom_arm(oom);
    int error = tbus_cost_record_usage(cost, &estimate, NULL);
    const tbus_usage_t real = real_of(&estimate);
    cr_assert_eq(tbus_cost_record_usage(cost, &real, NULL), 0);
    oom_disarm(oom);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, error ? 3 : 2, "one that could not be remembered stays");
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    return error;
}

Test(cost_estimates, every_allocation_may_fail)
{
    cr_assert_gt(oom_try_each(record_an_estimate), 1);
}
