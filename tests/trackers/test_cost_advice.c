/* The forecast, and suggestions: each saving is worked out again here from the prices and the tokens. */
#include <stdlib.h>

#include "tests/oom.h"
#include "tests/trackers/cost_model.h"

#define NOW INT64_C(1767258000000000000)

/* --- Forecast --- */

static tbus_cost_forecast_t forecast_of(tbus_cost_t *cost, int64_t now_ns)
{
    tbus_cost_forecast_t forecast;
    cr_assert_eq(tbus_cost_forecast(cost, now_ns, &forecast), 0);
    return forecast;
}

static void use(tbus_cost_t *cost, int64_t time_ns, int64_t tokens)
{
    recorded(cost,
             (tbus_usage_t){.model = "gpt-4", .prompt_tokens = tokens, .time_ns = time_ns}); /* 30 USD a million */
}

/* semantics: cost.forecast */
Test(cost_advice, a_week_of_usage_is_projected_by_its_seven_days)
{
    tbus_cost_t *cost = opened(NULL);
    for (int hour = -400; hour <= 0; hour++)
        use(cost, NOW + hour * MODEL_HOUR_NS, 1000);
    tbus_cost_forecast_t forecast = forecast_of(cost, NOW);
    cr_assert_eq(forecast.observed_ns, 7 * 24 * MODEL_HOUR_NS);
    cr_assert(is_usd(forecast.observed, "5.04")); /* 168 * 0.03 */
    cr_assert(is_usd(forecast.projected_monthly, "21.6"));
    cr_assert(is_usd(forecast_of(cost, 0).projected_monthly, "21.6"), "0 = the latest time");
    cr_assert(is_usd(forecast_of(cost, NOW + 168 * MODEL_HOUR_NS).projected_monthly, "0"));
    cr_assert(is_usd(forecast_of(cost, NOW + 100 * MODEL_HOUR_NS).observed, "2.04")); /* 68 hours of it are left */
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert(is_usd(snapshot->projected_monthly, "21.6"));
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* semantics: cost.forecast */
Test(cost_advice, a_snapshot_of_a_moment_has_the_forecast_of_it_and_all_that_is_known)
{
    static const int64_t moments[] = {
        1, NOW - 500 * MODEL_HOUR_NS, NOW, NOW + 100 * MODEL_HOUR_NS, NOW + 720 * MODEL_HOUR_NS, INT64_MIN, INT64_MAX};
    tbus_cost_t *cost = opened(NULL);
    tbus_cost_snapshot_t *snapshot;
    cr_assert_eq(tbus_cost_snapshot_at(cost, NOW, &snapshot), 0);
    cr_assert(snapshot->time_ns == NOW && snapshot->observed_ns == 0 && is_usd(snapshot->projected_monthly, "0"));
    tbus_cost_snapshot_free(snapshot);
    for (int hour = -400; hour <= 0; hour++)
        use(cost, NOW + hour * MODEL_HOUR_NS, 1000);
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        const tbus_cost_forecast_t forecast = forecast_of(cost, moments[i]);
        cr_assert_eq(tbus_cost_snapshot_at(cost, moments[i], &snapshot), 0);
        cr_assert(i > 4 || snapshot->time_ns == moments[i]);
        cr_assert_eq(tbus_money_compare(snapshot->projected_monthly, forecast.projected_monthly), 0, "%zu", i);
        cr_assert_eq(tbus_money_compare(snapshot->observed, forecast.observed), 0, "%zu", i);
        cr_assert_eq(snapshot->observed_ns, forecast.observed_ns, "%zu", i);
        cr_assert(is_usd(snapshot->total.usd, "12.03") && snapshot->course.hours_count == 24);
        tbus_cost_snapshot_free(snapshot);
    }
    cr_assert(is_usd(forecast_of(cost, moments[2]).projected_monthly, "21.6"));
    cr_assert(is_usd(forecast_of(cost, moments[4]).projected_monthly, "0"), "a month without traffic");
    cr_assert_eq(tbus_cost_snapshot_at(cost, 0, &snapshot), 0);
    cr_assert(snapshot->time_ns == NOW && is_usd(snapshot->projected_monthly, "21.6"), "0 = the latest time");
    tbus_cost_snapshot_free(snapshot);
    cr_assert_eq(tbus_cost_snapshot_at(NULL, NOW, &snapshot), UV_EINVAL);
    cr_assert_eq(tbus_cost_snapshot_at(cost, NOW, NULL), UV_EINVAL);
    tbus_cost_close(cost);
}

Test(cost_advice, less_than_a_week_is_projected_by_the_time_since_the_first_usage)
{
    tbus_cost_t *cost = opened(NULL);
    cr_assert_eq(forecast_of(cost, NOW).observed_ns, 0);
    cr_assert(is_usd(forecast_of(cost, NOW).projected_monthly, "0"));
    use(cost, NOW, 100000);
    cr_assert_eq(forecast_of(cost, NOW).observed_ns, MODEL_HOUR_NS, "at least an hour");
    cr_assert(is_usd(forecast_of(cost, NOW).projected_monthly, "2160")); /* 3 * 24 * 30 */
    cr_assert(is_usd(forecast_of(cost, NOW + 10 * MODEL_HOUR_NS).projected_monthly, "216"));
    use(cost, NOW + 20 * MODEL_HOUR_NS, 100000);
    cr_assert_eq(forecast_of(cost, 0).observed_ns, 20 * MODEL_HOUR_NS);
    cr_assert(is_usd(forecast_of(cost, 0).projected_monthly, "216"));
    use(cost, NOW - 10 * MODEL_HOUR_NS, 100000);
    cr_assert_eq(forecast_of(cost, 0).observed_ns, 30 * MODEL_HOUR_NS, "the first usage may be told last");
    /* 3 hours: 6 * 720 / 3 does not come out even in units: 7 units of 1e-12 over 3 hours */
    tbus_cost_close(cost);

    tbus_price_t price = tbus_price_none();
    price.input = 1;
    tbus_prices_t *prices = prices_with(price);
    cost = opened_with(prices);
    recorded(cost, (tbus_usage_t){.model = "m", .prompt_tokens = 1, .time_ns = NOW});
    /* 720 hours / 7 hours = 102.857... */
    cr_assert_eq(forecast_of(cost, NOW + 7 * MODEL_HOUR_NS).projected_monthly.low, 103);
    tbus_cost_close(cost);
    tbus_prices_close(prices);
    tbus_cost_forecast_t forecast;
    cr_assert_eq(tbus_cost_forecast(NULL, 0, &forecast), UV_EINVAL);
}

/* 100 keys, of 0.003 USD an hour each, are more than the history holds for 7 days. */
Test(cost_advice, what_the_history_gave_up_is_not_taken_for_days_without_cost)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.history_max = 3000});
    for (int hour = -200; hour <= 0; hour++) {
        for (int key = 0; key < 100; key++) {
            char name[16];
            snprintf(name, sizeof name, "key %d", key);
            recorded(cost, (tbus_usage_t){.api_key = name,
                                          .model = "gpt-4",
                                          .prompt_tokens = 100,
                                          .time_ns = NOW + hour * MODEL_HOUR_NS + key});
        }
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_gt(snapshot->dropped_sums, 0);
    cr_assert_gt(snapshot->history_from_ns, NOW - 7 * 24 * MODEL_HOUR_NS);
    cr_assert_lt(snapshot->history_from_ns, NOW - 10 * MODEL_HOUR_NS);
    const int64_t now = NOW + MODEL_HOUR_NS - 1, hours = (now + 1 - snapshot->history_from_ns) / MODEL_HOUR_NS;
    tbus_cost_forecast_t forecast = forecast_of(cost, now);
    cr_assert_eq(forecast.observed_ns, now - snapshot->history_from_ns);
    cr_assert(money_value(forecast.observed) == (int128_t)hours * 300000000000, "0.3 USD an hour");
    /* 0.3 USD an hour are 216 USD in 30 days; the hour at hand lacks 1 ns */
    char text[TBUS_MONEY_TEXT_MAX];
    cr_assert_str_eq(tbus_money_format(forecast.projected_monthly, 6, text), "216.000000");
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* semantics: cost.forecast */
Test(cost_advice, a_forecast_is_the_sum_of_a_plain_list_over_its_time)
{
    uint64_t seed = oracle_seed("forecast");
    for (int round = 0; round < 100; round++) {
        tbus_cost_t *cost = opened(NULL);
        struct model model;
        int64_t first = INT64_MAX, now = NOW;
        model_open(&model);
        int64_t step = (int64_t)(oracle_random(&seed) % (10 * MODEL_HOUR_NS)) + 1;
        for (int i = 0; i < 100; i++) {
            now += (int64_t)(oracle_random(&seed) % (uint64_t)step);
            int64_t tokens = (int64_t)(oracle_random(&seed) % 1000);
            use(cost, now, tokens);
            model_add(&model, (struct model_usage){
                                  .time_ns = now, .user = -1, .project = -1, .usd = (int128_t)tokens * 30000000});
            first = now < first ? now : first;
        }
        const int64_t from = model_hour(now) - 167;
        int64_t observed = first >= from * MODEL_HOUR_NS ? now - first : 168 * MODEL_HOUR_NS;
        observed = observed < MODEL_HOUR_NS         ? MODEL_HOUR_NS
                   : observed > 168 * MODEL_HOUR_NS ? 168 * MODEL_HOUR_NS
                                                    : observed;
        struct model_sum sum = model_sum_of(&model, -2, -2, from, model_hour(now));
        tbus_cost_forecast_t forecast = forecast_of(cost, 0);
        cr_assert_eq(forecast.observed_ns, observed);
        cr_assert(money_value(forecast.observed) == sum.usd);
        /* small enough here for one product */
        cr_assert(money_value(forecast.projected_monthly) ==
                  (sum.usd * (720 * MODEL_HOUR_NS) + observed / 2) / observed);
        free(model.usages);
        tbus_cost_close(cost);
    }
}

/* --- Suggestions --- */

static tbus_suggestions_t *suggestions_of(tbus_cost_t *cost, int64_t now_ns)
{
    tbus_suggestions_t *suggestions;
    cr_assert_eq(tbus_cost_suggestions(cost, now_ns, &suggestions), 0);
    return suggestions;
}

static const tbus_suggestion_t *suggestion_of(const tbus_suggestions_t *list, tbus_suggestion_kind_t kind,
                                              const char *model)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->suggestions[i].kind == kind && strcmp(list->suggestions[i].model, model) == 0)
            return &list->suggestions[i];
    return NULL;
}

Test(cost_advice, a_cheaper_model_of_the_family_is_suggested_with_what_it_saves)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t usage = {.model = "openai/gpt-4-0613",
                          .endpoint = "/v1/chat",
                          .prompt_tokens = 1000,
                          .completion_tokens = 500,
                          .cached_tokens = 100,
                          .time_ns = NOW};
    recorded(cost, usage);
    usage.batch = true;
    recorded(cost, usage);
    usage.model = "gpt-4o-mini"; /* the cheapest of its family */
    recorded(cost, usage);
    usage.model = "no such model";
    recorded(cost, usage);
    usage.time_ns = NOW - 24 * MODEL_HOUR_NS; /* not in the last 24 hours */
    usage.model = "o1";
    recorded(cost, usage);

    tbus_suggestions_t *list = suggestions_of(cost, 0);
    cr_assert_eq(list->count, 1);
    const tbus_suggestion_t *suggestion = suggestion_of(list, TBUS_SUGGEST_MODEL, "openai/gpt-4-0613");
    cr_assert_not_null(suggestion);
    cr_assert_str_eq(suggestion->cheaper_model, "gpt-4o");
    cr_assert_eq(suggestion->requests, 2);
    /* as gpt-4: 1000 * 30 + 500 * 60; as gpt-4o: 900 * 5 + 100 * 2.5 + 500 * 15; and half of it again, per million */
    cr_assert(is_usd(suggestion->saving, "0.071625"));
    tbus_suggestions_free(list);
    list = suggestions_of(cost, NOW + 24 * MODEL_HOUR_NS);
    cr_assert_eq(list->count, 0);
    tbus_suggestions_free(list);
    tbus_cost_close(cost);
}

Test(cost_advice, caching_is_suggested_where_many_requests_cache_little)
{
    static const struct {
        int requests;
        int64_t cached;
        const char *model;
        const char *saving; /* NULL = not suggested */
    } cases[] = {
        {51, 0, "gpt-4o", "0.1275"},     /* 51 * 1000 * (5 - 2.50) per million */
        {51, 99, "gpt-4o", "0.1148775"}, /* 51 * 901 */
        {51, 100, "gpt-4o", NULL},       {50, 0, "gpt-4o", NULL}, {51, 0, "gpt-4", NULL}, /* no cached price */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tbus_cost_t *cost = opened(NULL);
        for (int request = 0; request < cases[i].requests; request++)
            recorded(cost, (tbus_usage_t){.model = cases[i].model,
                                          .endpoint = "/v1/chat",
                                          .prompt_tokens = 1000,
                                          .cached_tokens = cases[i].cached,
                                          .time_ns = NOW - request * MODEL_HOUR_NS / 60});
        tbus_suggestions_t *list = suggestions_of(cost, 0);
        const tbus_suggestion_t *suggestion = suggestion_of(list, TBUS_SUGGEST_CACHE, cases[i].model);
        cr_assert_eq(suggestion != NULL, cases[i].saving != NULL, "case %zu", i);
        if (suggestion) {
            cr_assert(is_usd(suggestion->saving, cases[i].saving), "case %zu", i);
            cr_assert_eq(suggestion->requests, 51);
        }
        tbus_suggestions_free(list);
        tbus_cost_close(cost);
    }
}

Test(cost_advice, batches_are_suggested_for_what_nobody_waits_for)
{
    static const struct {
        const char *endpoint;
        bool streamed, batch, estimated, suggested;
    } cases[] = {
        {"/v1/embeddings", false, false, false, true},        {"/v1/embeddings", true, false, false, false},
        {"/v1/embeddings", false, true, false, false},        {"/v1/embeddings", false, false, true, false},
        {"/v1/chat/completions", false, false, false, false}, {"/v1/messages", false, false, false, false},
        {"/v1/responses", false, false, false, false},        {NULL, false, false, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tbus_cost_t *cost = opened(NULL);
        for (int request = 0; request < 51; request++)
            recorded(cost, (tbus_usage_t){.model = "gpt-4",
                                          .endpoint = cases[i].endpoint,
                                          .streamed = cases[i].streamed,
                                          .batch = cases[i].batch,
                                          .estimated = cases[i].estimated,
                                          .prompt_tokens = 1000,
                                          .time_ns = NOW});
        tbus_suggestions_t *list = suggestions_of(cost, 0);
        const tbus_suggestion_t *suggestion = suggestion_of(list, TBUS_SUGGEST_BATCH, "gpt-4");
        cr_assert_eq(suggestion != NULL, cases[i].suggested, "case %zu", i);
        if (suggestion)
            cr_assert(is_usd(suggestion->saving, "0.765"), "half of 51 * 0.03");
        for (size_t j = 1; j < list->count; j++)
            cr_assert_geq(tbus_money_compare(list->suggestions[j - 1].saving, list->suggestions[j].saving), 0);
        tbus_suggestions_free(list);
        tbus_cost_close(cost);
    }
}

/* A thousand small requests are in no tier, however many tokens they have together. */
Test(cost_advice, endpoints_past_the_cap_are_looked_at_one_by_one)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.models_max = 1});
    tbus_usage_t usage = {.model = "gpt-4o", .prompt_tokens = 1000000, .time_ns = NOW};
    static const char *const endpoints[] = {"/v1/embeddings", "/v1/chat", "/v1/files"};
    for (int i = 0; i < 60; i++) {
        usage.endpoint = endpoints[i < 2 ? i : 2];
        recorded(cost, usage);
    }
    tbus_suggestions_t *suggestions;
    bool found = false;
    cr_assert_eq(tbus_cost_suggestions(cost, 0, &suggestions), 0);
    for (size_t i = 0; i < suggestions->count; i++) {
        if (suggestions->suggestions[i].kind != TBUS_SUGGEST_BATCH)
            continue;
        found = true;
        cr_assert_eq(suggestions->suggestions[i].requests, 59);
        cr_assert(is_usd(suggestions->suggestions[i].saving, "147.5"));
    }
    cr_assert(found);
    tbus_suggestions_free(suggestions);
    tbus_cost_close(cost);
}

Test(cost_advice, tokens_of_many_requests_fall_into_no_tier)
{
    tbus_price_t price = tbus_price_none();
    price.input = 100;
    price.cached_input = 40;
    price.request = 7;
    price.tiers[0] = (tbus_price_tier_t){200, 1000, 1000, 1000, 1000, 1000, 1000};
    tbus_prices_t *prices = prices_with(price);
    tbus_cost_t *cost = opened_with(prices);
    for (int i = 0; i < 60; i++)
        recorded(cost, (tbus_usage_t){.model = "m", .endpoint = "/chat", .prompt_tokens = 100, .time_ns = NOW});
    tbus_suggestions_t *list = suggestions_of(cost, 0);
    cr_assert_eq(list->count, 1);
    cr_assert_eq(list->suggestions[0].kind, TBUS_SUGGEST_CACHE);
    cr_assert_eq(list->suggestions[0].saving.low, 60 * 100 * 60);
    tbus_suggestions_free(list);
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

/* The hour of the batches is given up while the model's batches are still in it, and all that it had beside is not. */
Test(cost_advice, hours_that_were_given_up_suggest_nothing)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.history_max = 64});
    tbus_usage_t usage = {.model = "gpt-4o", .endpoint = "/v1/files", .prompt_tokens = 1000, .time_ns = NOW};
    usage.batch = true;
    for (int i = 0; i < 60; i++)
        recorded(cost, usage);
    for (int hour = 0; hour < 4; hour++) {
        for (int key = 0; key < 30; key++) {
            char name[16];
            snprintf(name, sizeof name, "key %d", key);
            recorded(cost, (tbus_usage_t){.api_key = name,
                                          .model = "o1-mini",
                                          .endpoint = "/v1/chat",
                                          .time_ns = NOW + hour * MODEL_HOUR_NS});
        }
    }
    usage.batch = false;
    usage.time_ns = NOW + 3 * MODEL_HOUR_NS;
    recorded(cost, usage);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_gt(snapshot->history_from_ns, NOW);
    tbus_cost_snapshot_free(snapshot);

    tbus_suggestions_t *suggestions;
    cr_assert_eq(tbus_cost_suggestions(cost, 0, &suggestions), 0);
    cr_assert_eq(suggestions->count, 1);
    cr_assert_eq(suggestions->suggestions[0].kind, TBUS_SUGGEST_MODEL);
    cr_assert_eq(suggestions->suggestions[0].requests, 1);
    cr_assert(
        is_usd(suggestions->suggestions[0].saving, "0.00485")); /* 1,000 tokens for 0.15 instead of 5 USD a million */
    tbus_suggestions_free(suggestions);
    tbus_cost_close(cost);
}

Test(cost_advice, bad_arguments_are_refused_and_memory_may_fail)
{
    tbus_suggestions_t *list = NULL;
    tbus_cost_t *cost = opened(NULL);
    cr_assert_eq(tbus_cost_suggestions(NULL, 0, &list), UV_EINVAL);
    cr_assert_eq(tbus_cost_suggestions(cost, 0, NULL), UV_EINVAL);
    struct oom oom = {.fail_at = 0};
    oom_install(&oom);
    cr_assert_eq(tbus_cost_suggestions(cost, 0, &list), UV_ENOMEM);
    cr_assert_null(list);
    oom_remove();
    list = suggestions_of(cost, 0);
    cr_assert_eq(list->count, 0);
    tbus_suggestions_free(list);
    tbus_suggestions_free(NULL);
    tbus_cost_close(cost);
}
