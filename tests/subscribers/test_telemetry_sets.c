/* What a telemetry set is made of, what it shares with another one, and of which moment its figures are. */
#include <tallybus/subscribers.h>
#include <tallybus/telemetry.h>

#include "tests/bus/fixture.h"
#include "tests/check.h"
#include "tests/oom.h"

static const int64_t second = 1000000000, begin = 1767258000000000000;

/* A request that each tracker hears of. */
static void publish(struct hosted *hosted, const char *id, const char *name, const char *model)
{
    tbus_t *bus = hosted->bus;
    const tbus_event_t base = {.time_ns = begin, .request_id = id};
    cr_assert_eq(
        tbus_publish_request_started(bus, &(tbus_request_started_t){.base = base, .endpoint = name, .model = model}),
        0);
    cr_assert_eq(
        tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = base, .stream_id = id, .model = model}), 0);
    cr_assert_eq(
        tbus_publish_stream_first_token(bus, &(tbus_stream_first_token_t){.base = base, .stream_id = id, .ttft_ms = 5}),
        0);
    cr_assert_eq(tbus_publish_cache_lookup(bus, &(tbus_cache_lookup_t){.base = base, .endpoint = name}), 0);
    hosted_deliver(hosted);
}

static void finish(struct hosted *hosted, const char *id, const char *name, const char *model)
{
    tbus_t *bus = hosted->bus;
    const tbus_event_t base = {.time_ns = begin, .request_id = id};
    cr_assert_eq(tbus_publish_stream_completed(bus, &(tbus_stream_completed_t){.base = base, .stream_id = id}), 0);
    cr_assert_eq(tbus_publish_request_completed(
                     bus,
                     &(tbus_request_completed_t){
                         .base = base, .endpoint = name, .model = model, .input_tokens = 1000, .status_code = 200}),
                 0);
    hosted_deliver(hosted);
}

static tbus_telemetry_snapshot_t *snapshot_at(tbus_telemetry_t *telemetry, int64_t now_ns)
{
    tbus_telemetry_snapshot_t *snapshot;
    cr_assert_eq(tbus_telemetry_snapshot(telemetry, now_ns, &snapshot), 0);
    return snapshot;
}

/* --- Its trackers --- */

Test(telemetry_sets, each_tracker_is_made_with_the_options_given_for_it)
{
    const tbus_telemetry_options_t options = {
        .errors_options = &(tbus_errors_options_t){.slo_target_ppm = 500000},
        .requests_options = &(tbus_requests_options_t){.endpoints_max = 1},
        .inference_options = &(tbus_inference_options_t){.active_max = 1},
        .streaming_options = &(tbus_streaming_options_t){.active_max = 1},
        .cost_options = &(tbus_cost_options_t){.models_max = 1},
        .models_options = &(tbus_models_options_t){.models_max = 1},
        .kvcache_options = &(tbus_kvcache_options_t){.endpoints_max = 1},
        .budgets_options = &(tbus_budgets_options_t){.budgets_max = 1},
    };
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, &options, &telemetry), 0);
    publish(&hosted, "1", "/a", "gpt-4o");
    for (int i = 2; i < 4; i++) /* one more than there is room for, and again */
        publish(&hosted, i == 2 ? "2" : "3", i == 2 ? "/b" : "/c", "o1");
    finish(&hosted, "1", "/a", "gpt-4o");
    finish(&hosted, "2", "/b", "o1");
    tbus_telemetry_snapshot_t *s = snapshot_at(telemetry, begin);
    cr_assert_eq(s->errors->slo.target_ppm, 500000u);
    cr_assert(s->requests->endpoints_count == 2 && s->inference->refused_starts == 2);
    cr_assert(s->streaming->refused_starts == 2 && s->cost->by_model_count == 2);
    cr_assert(s->models->models_count == 2 && s->kvcache->endpoints_count == 2);
    cr_assert_str_eq(s->requests->endpoints[0].name, "other"); /* more began there */
    cr_assert_str_eq(s->cost->by_model[0].name, "other");      /* o1 costs more */
    cr_assert_not_null(tbus_models_find(s->models, "other"));
    cr_assert_str_eq(s->kvcache->endpoints[0].endpoint, "other");
    for (int i = 0; i < 2; i++)
        cr_assert_eq(tbus_budget_set(tbus_telemetry_budgets(telemetry),
                                     &(tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = i ? "bob" : "ann"}),
                     i ? UV_ENOSPC : 0);
    tbus_telemetry_snapshot_free(s);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    hosted_close(&hosted);
}

Test(telemetry_sets, wrong_options_of_any_tracker_are_told_and_leave_nothing_behind){
#define WRONG(name, member)                                                                                            \
    {                                                                                                                  \
        const tbus_##name##_options_t wrong = {member};                                                                \
        struct oom oom = {.fail_at = -1};                                                                              \
        struct hosted hosted;                                                                                          \
        tbus_telemetry_t *telemetry;                                                                                   \
        oom_install(&oom);                                                                                             \
        hosted_open(&hosted, NULL);                                                                                    \
        cr_assert_eq(                                                                                                  \
            tbus_telemetry_open(hosted.bus, &(tbus_telemetry_options_t){.name##_options = &wrong}, &telemetry),        \
            UV_EINVAL, #name);                                                                                         \
        hosted_close(&hosted);                                                                                         \
        oom_remove();                                                                                                  \
        cr_assert_eq(oom.live, 0, #name);                                                                              \
    }
    WRONG(errors, .slo_target_ppm = 1000001) WRONG(requests, .window_ns = -1) WRONG(inference, .window_ns = -1)
        WRONG(streaming, .active_max = UINT32_MAX) WRONG(cost, .history_max = UINT32_MAX) WRONG(models, .window_ns = -1)
            WRONG(kvcache, .endpoints_max = UINT32_MAX) WRONG(budgets, .budgets_max = UINT32_MAX)
#undef WRONG
}

/* X(tracker, what one request adds to a snapshot `s` of it) */
#define EACH_TRACKER(X)                                                                                                \
    X(errors, s->slo.total_requests)                                                                                   \
    X(requests, s->all.responses)                                                                                      \
    X(inference, s->all.completed)                                                                                     \
    X(streaming, s->completed_streams)                                                                                 \
    X(cost, s->total.requests)                                                                                         \
    X(models, s->models[0].traffic.responses)                                                                          \
    X(kvcache, s->all.lookups)                                                                                         \
    X(budgets, s->settles)

Test(telemetry_sets, trackers_of_the_hosts_own_hear_of_what_comes_until_the_set_is_closed)
{
    tbus_telemetry_options_t own = {.trackers = 0};
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    hosted_open(&hosted, NULL);
#define OPEN(name, count) cr_assert_eq(tbus_##name##_open(NULL, &own.name), 0);
    EACH_TRACKER(OPEN)
#undef OPEN
    cr_assert_eq(tbus_telemetry_open(hosted.bus, &own, &telemetry), 0);
    publish(&hosted, "1", "/a", "gpt-4o");
    finish(&hosted, "1", "/a", "gpt-4o");
    tbus_telemetry_snapshot_t *all = snapshot_at(telemetry, begin);
#define SAME(tracker, count)                                                                                           \
    {                                                                                                                  \
        const tbus_##tracker##_snapshot_t *s = all->tracker;                                                           \
        cr_assert_eq(tbus_telemetry_##tracker(telemetry), own.tracker);                                                \
        cr_assert_eq(count, 1u, #tracker);                                                                             \
    }
    EACH_TRACKER(SAME)
    tbus_telemetry_snapshot_free(all);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    publish(&hosted, "2", "/a", "gpt-4o");
    finish(&hosted, "2", "/a", "gpt-4o");
    /* A second set takes them over as they are. */
    cr_assert_eq(tbus_telemetry_open(hosted.bus, &own, &telemetry), 0);
    all = snapshot_at(telemetry, begin);
    EACH_TRACKER(SAME)
#undef SAME
    tbus_telemetry_snapshot_free(all);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    hosted_close(&hosted);
#define CLOSE(name, count) tbus_##name##_close(own.name);
    EACH_TRACKER(CLOSE)
#undef CLOSE
}

/* --- Two on one bus --- */

static bool is_usd(tbus_money_t amount, const char *usd)
{
    tbus_money_t expected;
    cr_assert_eq(tbus_money_parse(usd, &expected), 0);
    return tbus_money_compare(amount, expected) == 0;
}

Test(telemetry_sets, a_second_set_without_a_cost_tracker_hears_of_what_the_first_ones_prices)
{
    struct hosted hosted;
    tbus_telemetry_t *sets[2];
    hosted_open(&hosted, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        const tbus_telemetry_options_t options = {.trackers =
                                                      i ? TBUS_TELEMETRY_ALL & ~(uint32_t)TBUS_TELEMETRY_COST : 0};
        cr_assert_eq(tbus_telemetry_open(hosted.bus, &options, &sets[i]), 0);
    }
    for (int i = 0; i < 3;
         i++) /* the last two without an id, by which budgets could tell that they heard of it twice */
        finish(&hosted, i ? NULL : "1", "/a", "gpt-4o");
    for (int i = 0; i < 2; i++) {
        tbus_telemetry_snapshot_t *s = snapshot_at(sets[i], begin);
        cr_assert(i ? !s->cost : is_usd(s->cost->total.usd, "0.015"));
        cr_assert(is_usd(s->models->models[0].cost, "0.015"), "3,000 tokens at 5 USD for a million");
        cr_assert(is_usd(s->budgets->settled, "0.015") && s->budgets->settles == 3);
        cr_assert_eq(s->requests->all.responses, 3u);
        tbus_telemetry_snapshot_free(s);
    }
    for (int i = 0; i < 2; i++)
        cr_assert_eq(tbus_telemetry_close(sets[i]), 0);
    hosted_close(&hosted);
}

/* --- The moment --- */

static void expect_projected(tbus_telemetry_t *telemetry, int64_t now_ns, const char *usd)
{
    char line[64], member[64], *page;
    tbus_cost_forecast_t forecast;
    tbus_telemetry_snapshot_t *s = snapshot_at(telemetry, now_ns);
    cr_assert_eq(tbus_cost_forecast(tbus_telemetry_cost(telemetry), now_ns, &forecast), 0);
    cr_assert(is_usd(forecast.projected_monthly, usd));
    cr_assert(s->time_ns == now_ns && s->cost->time_ns == now_ns);
    cr_assert(is_usd(s->cost->projected_monthly, usd));
    cr_assert_eq(s->cost->total.requests, 1u);
    tbus_telemetry_snapshot_free(s);
    cr_assert_eq(tbus_telemetry_prometheus(telemetry, now_ns, &page), 0);
    snprintf(line, sizeof line, "\ncost_projected_monthly_usd %s\n", usd);
    cr_assert_not_null(strstr(page, line), "%s", line);
    tbus_mem_free(page);
    cr_assert_eq(tbus_telemetry_json(telemetry, now_ns, &page), 0);
    snprintf(member, sizeof member, "\"projected_monthly_usd\":\"%s\"", usd);
    cr_assert_not_null(strstr(page, member), "%s", member);
    tbus_mem_free(page);
}

/* semantics: cost.forecast */
Test(telemetry_sets, what_a_month_will_cost_falls_to_nothing_when_traffic_stops)
{
    const int64_t hour = 3600 * second;
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &telemetry), 0);
    finish(&hosted, "1", "/a", "gpt-4o");
    expect_projected(telemetry, begin + 1, "3.6"); /* 0.005 USD in an hour */
    expect_projected(telemetry, begin + 10 * hour, "0.36");
    expect_projected(telemetry, begin + 720 * hour, "0");
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    hosted_close(&hosted);
}

/* semantics: streaming.aggregate */
Test(telemetry_sets, percentiles_of_streams_may_be_older_than_the_rest_and_say_so)
{
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &telemetry), 0);
    static const struct {
        int64_t at_s, aggregate_s;
        uint64_t streams; /* in the percentiles */
    } looks[] = {{1, 1, 1}, {10, 1, 1}, {11, 11, 3}, {12, 11, 3}};
    for (int i = 0; i < 4; i++) {
        const char *const id = (const char *const[]){"1", "2", "3", "4"}[i];
        publish(&hosted, id, "/a", "gpt-4o");
        finish(&hosted, id, "/a", "gpt-4o");
        tbus_telemetry_snapshot_t *s = snapshot_at(telemetry, begin + looks[i].at_s * second);
        cr_assert(s->streaming->time_ns == s->time_ns && s->time_ns == begin + looks[i].at_s * second);
        cr_assert_eq(s->streaming->aggregate_ns, begin + looks[i].aggregate_s * second);
        cr_assert_eq(s->streaming->ttft_ms.count, looks[i].streams);
        cr_assert_eq(s->streaming->completed_streams, (uint64_t)i + 1, "counters never are");
        tbus_telemetry_snapshot_free(s);
    }
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    hosted_close(&hosted);
}
