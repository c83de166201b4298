/* A telemetry set that has seen the requests of a trace, and all of its documents. */
#ifndef TESTS_EXPORTERS_TELEMETRY_FIXTURE_H
#define TESTS_EXPORTERS_TELEMETRY_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "tests/bus/fixture.h"
#include "tests/check.h"

enum { TRACE_ROWS_MAX = 64 };

#define TRACE_SECOND INT64_C(1000000000)
#define TRACE_KEY "sk-verysecret-0123456789"

struct trace_set {
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    int64_t now_ns;
};

/* Names that may stand in place of plain ones. */
struct trace_names {
    const char *models[2], *endpoints[2], *user, *text;
};

static const struct trace_names trace_plain = {{"gpt-4o", "o1-mini"}, {"/v1/chat", "/v1/embed"}, "ann", "timed out"};

#define TRACE_PUBLISH(event, ...)                                                                                      \
    cr_assert_eq(tbus_publish_##event(set->hosted.bus, &(tbus_##event##_t){__VA_ARGS__}), 0)

/* The events of one request: a stream of some tokens, the phases of its inference, its end; one in seven fails. */
static inline void trace_request(struct trace_set *set, const struct trace_names *names, int row, int64_t begin_ns,
                                 int64_t input, int64_t output)
{
    const char *model = names->models[row % 2], *endpoint = names->endpoints[row % 3 % 2];
    char id[32], worker[32];
    snprintf(id, sizeof id, "req-%d", row);
    snprintf(worker, sizeof worker, "w-%d", row % 3);
#define TRACE_BASE(ms)                                                                                                 \
    .base = {.time_ns = begin_ns + (ms)*1000000,                                                                       \
             .request_id = id,                                                                                         \
             .api_key = TRACE_KEY,                                                                                     \
             .user_id = names->user,                                                                                   \
             .project_id = names->text}
    TRACE_PUBLISH(request_started, TRACE_BASE(0), .endpoint = endpoint, .model = model, .input_tokens = input);
    TRACE_PUBLISH(request_queued, TRACE_BASE(0), .queue_name = names->text, .queue_depth = row % 5);
    TRACE_PUBLISH(worker_assigned, TRACE_BASE(2), .worker_id = worker);
    TRACE_PUBLISH(prefill_started, TRACE_BASE(3));
    TRACE_PUBLISH(prefill_completed, TRACE_BASE(33), .prefill_time_ms = 30 + row * 0.7);
    TRACE_PUBLISH(stream_started, TRACE_BASE(33), .stream_id = id, .model = model, .input_tokens = input);
    TRACE_PUBLISH(decode_started, TRACE_BASE(34));
    for (int token = 0; token < 8; token++)
        TRACE_PUBLISH(stream_token_generated, TRACE_BASE(40 + token * (9 + row % 3)), .stream_id = id);
    TRACE_PUBLISH(decode_completed, TRACE_BASE(140), .decode_time_ms = 100.1, .output_tokens = output);
    TRACE_PUBLISH(batch_size_changed, TRACE_BASE(141), .batch_size = row % 4);
    TRACE_PUBLISH(cache_lookup, TRACE_BASE(142), .endpoint = endpoint, .total_tokens = input, .matched_tokens = 3);
    TRACE_PUBLISH(cache_speedup_measured, TRACE_BASE(143), .endpoint = endpoint, .baseline_ttft_ms = 90.3,
                  .actual_ttft_ms = 31.7);
    if (row % 7 == 0) {
        TRACE_PUBLISH(stream_failed, TRACE_BASE(150), .stream_id = id, .error_message = names->text);
        TRACE_PUBLISH(request_failed, TRACE_BASE(151), .endpoint = endpoint, .model = model, .duration_ms = 151.3,
                      .error_type = names->text, .error_message = names->text, .status_code = 504);
    } else {
        TRACE_PUBLISH(stream_completed, TRACE_BASE(150), .stream_id = id);
        TRACE_PUBLISH(request_completed, TRACE_BASE(151), .endpoint = endpoint, .model = model, .duration_ms = 151.3,
                      .input_tokens = input, .output_tokens = output, .cached_tokens = 3, .status_code = 200);
    }
    hosted_deliver(&set->hosted);
#undef TRACE_BASE
}

/* Replays the first rows of the trace, all of a day. */
static inline void trace_open(struct trace_set *set, const struct trace_names *names, int rows)
{
    FILE *trace = fopen(TBUS_SOURCE_DIR "/tests/tools/sample_trace.csv", "r");
    char line[256];
    double seconds;
    long long input, output;
    int hour, minute, row = 0;
    cr_assert_not_null(trace);
    *set = (struct trace_set){.now_ns = 0};
    hosted_open(&set->hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(set->hosted.bus, NULL, &set->telemetry), 0);
    tbus_budgets_t *budgets = tbus_telemetry_budgets(set->telemetry);
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.limit = tbus_money_units(INT64_C(1000000000000)),
                                                           .kind = TBUS_BUDGET_HARD}),
                 0);
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_KEY,
                                                           .subject = TRACE_KEY,
                                                           .period = TBUS_BUDGET_DAILY,
                                                           .limit = tbus_money_units(INT64_C(50000000000))}),
                 0);
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_USER,
                                                           .each = true,
                                                           .period = TBUS_BUDGET_WEEKLY,
                                                           .rolling = true,
                                                           .limit = tbus_money_units(INT64_C(50000000000))}),
                 0);
    while (row < rows && fgets(line, sizeof line, trace)) {
        if (sscanf(line, "%*d-%*d-%*d %d:%d:%lf,%lld,%lld", &hour, &minute, &seconds, &input, &output) != 5)
            continue;
        const int64_t begin_ns = INT64_C(1709164800) * TRACE_SECOND +
                                 ((hour - 23) * 3600 + minute * 60) * TRACE_SECOND + (int64_t)(seconds * 1e9);
        trace_request(set, names, row++, begin_ns, input, output);
        set->now_ns = begin_ns + TRACE_SECOND;
    }
    cr_assert_eq(row, rows);
    fclose(trace);
}

static inline void trace_close(struct trace_set *set)
{
    cr_assert_eq(tbus_telemetry_close(set->telemetry), 0);
    hosted_close(&set->hosted);
}

/* --- Documents --- */

/* Of a snapshot `s` of the whole set. */
#define TRACE_OF_SNAPSHOT(name, call)                                                                                  \
    static inline int trace_##name(struct trace_set *set, char **ret)                                                  \
    {                                                                                                                  \
        tbus_telemetry_snapshot_t *s;                                                                                  \
        int error = tbus_telemetry_snapshot(set->telemetry, set->now_ns, &s);                                          \
        if (error)                                                                                                     \
            return error;                                                                                              \
        error = call;                                                                                                  \
        tbus_telemetry_snapshot_free(s);                                                                               \
        return error;                                                                                                  \
    }
TRACE_OF_SNAPSHOT(errors, tbus_errors_to_json(s->errors, ret))
TRACE_OF_SNAPSHOT(slo, tbus_slo_to_json(s->errors, ret))
TRACE_OF_SNAPSHOT(requests, tbus_requests_to_json(s->requests, ret))
TRACE_OF_SNAPSHOT(inference, tbus_inference_to_json(s->inference, ret))
TRACE_OF_SNAPSHOT(streaming, tbus_streaming_to_json(s->streaming, ret))
TRACE_OF_SNAPSHOT(cost, tbus_cost_to_json(s->cost, ret))
TRACE_OF_SNAPSHOT(budgets, tbus_budgets_to_json(s->budgets, ret))
TRACE_OF_SNAPSHOT(models, tbus_models_to_json(s->models, ret))
TRACE_OF_SNAPSHOT(kvcache, tbus_kvcache_to_json(s->kvcache, ret))
TRACE_OF_SNAPSHOT(ranking, tbus_models_ranking_to_json(s->models, TBUS_MODEL_LATENCY_P95, 0, ret))
TRACE_OF_SNAPSHOT(comparison, tbus_models_comparison_to_json(&s->models->models[0], &s->models->models[1], ret))
#undef TRACE_OF_SNAPSHOT

/* Of something that `take` makes and `let_go` frees. */
#define TRACE_OF(name, type, take, put, let_go)                                                                        \
    static inline int trace_##name(struct trace_set *set, char **ret)                                                  \
    {                                                                                                                  \
        type *made;                                                                                                    \
        char key[TBUS_REDACTED_BYTES];                                                                                 \
        tbus_redact_key(TRACE_KEY, key);                                                                               \
        int error = take;                                                                                              \
        if (error)                                                                                                     \
            return error;                                                                                              \
        error = put(made, ret);                                                                                        \
        let_go(made);                                                                                                  \
        return error;                                                                                                  \
    }
TRACE_OF(cost_period, tbus_cost_period_t,
         tbus_cost_period(tbus_telemetry_cost(set->telemetry), set->now_ns - 3600 * TRACE_SECOND, set->now_ns, &made),
         tbus_cost_period_to_json, tbus_cost_period_free)
TRACE_OF(cost_name, tbus_cost_name_t, tbus_cost_find(tbus_telemetry_cost(set->telemetry), TBUS_COST_KEY, key, &made),
         tbus_cost_name_to_json, tbus_cost_name_free)
TRACE_OF(patterns, tbus_error_patterns_t, tbus_errors_patterns(tbus_telemetry_errors(set->telemetry), NULL, &made),
         tbus_error_patterns_to_json, tbus_mem_free)
TRACE_OF(recent, tbus_recent_errors_t, tbus_errors_recent(tbus_telemetry_errors(set->telemetry), NULL, &made),
         tbus_recent_errors_to_json, tbus_mem_free)
#undef TRACE_OF

static inline int trace_stream(struct trace_set *set, char **ret)
{
    tbus_stream_info_t stream;
    const int error = tbus_streaming_find(tbus_telemetry_streaming(set->telemetry), "req-1", &stream);
    return error ? error : tbus_stream_to_json("req-1", &stream, ret);
}

static inline int trace_bus(struct trace_set *set, char **ret)
{
    return tbus_stats_to_json(set->hosted.bus, ret);
}

static inline int trace_telemetry(struct trace_set *set, char **ret)
{
    return tbus_telemetry_json(set->telemetry, set->now_ns, ret);
}

/* What a page tells of the set. */
static inline tbus_prometheus_sources_t trace_sources(const struct trace_set *set, const tbus_telemetry_snapshot_t *s)
{
    return (tbus_prometheus_sources_t){.bus = set->hosted.bus,
                                       .streaming = s->streaming,
                                       .errors = s->errors,
                                       .cost = s->cost,
                                       .budgets = s->budgets,
                                       .requests = s->requests,
                                       .models = s->models,
                                       .inference = s->inference,
                                       .kvcache = s->kvcache};
}

static const struct trace_document {
    const char *name; /* of its schema */
    int (*write)(struct trace_set *set, char **ret);
    bool needs_requests; /* is not there for a set that has seen none */
} trace_documents[] = {{"errors", trace_errors, false},
                       {"slo", trace_slo, false},
                       {"requests", trace_requests, false},
                       {"inference", trace_inference, false},
                       {"streaming", trace_streaming, false},
                       {"cost", trace_cost, false},
                       {"budgets", trace_budgets, false},
                       {"models", trace_models, false},
                       {"kvcache", trace_kvcache, false},
                       {"models-ranking", trace_ranking, false},
                       {"models-comparison", trace_comparison, true},
                       {"cost-period", trace_cost_period, false},
                       {"cost-name", trace_cost_name, true},
                       {"error-patterns", trace_patterns, false},
                       {"recent-errors", trace_recent, false},
                       {"stream", trace_stream, true},
                       {"bus-stats", trace_bus, false},
                       {"telemetry", trace_telemetry, false}};

enum { TRACE_DOCUMENTS = sizeof trace_documents / sizeof *trace_documents };

#endif
