/* The documents in JSON, and what their parameters mean. */
#include <string.h>

#include <tallybus/json.h>

#include "exporters/documents.h"
#include "exporters/web_documents.h"

/* --- Parameters --- */

#define LIMIT                                                                                                          \
    {                                                                                                                  \
        .name = "limit", .kind = WEB_INTEGER, .min = 1, .max = INT32_MAX                                               \
    }
#define NAME(parameter)                                                                                                \
    {                                                                                                                  \
        .name = parameter, .kind = WEB_TEXT, .min = 0, .max = TBUS_WEB_URL_MAX                                         \
    }
#define END                                                                                                            \
    {                                                                                                                  \
        .name = NULL                                                                                                   \
    }

/* The first is the limit wherever there is one. */
const struct web_parameter web_by_model[] = {LIMIT, NAME("model"), END};
const struct web_parameter web_by_endpoint[] = {LIMIT, NAME("endpoint"), END};
const struct web_parameter web_by_either[] = {LIMIT, NAME("model"), NAME("endpoint"), END};
const struct web_parameter web_costs[] = {
    LIMIT, NAME("model"), NAME("endpoint"), {.name = "hours", .kind = WEB_INTEGER, .min = 1, .max = 744}, END};

/* In the order of tbus_budget_scope_t. */
static const char *const scopes[] = {"all", "key", "user", "project", NULL};

const struct web_parameter web_budgets[] = {
    LIMIT, NAME("subject"), {.name = "scope", .kind = WEB_CHOICE, .choices = scopes, .absent = -1}, END};

/* In the order of tbus_burn_window_t. */
static const char *const windows[] = {"5m", "30m", "1h", "2h", "6h", "1d", "3d", NULL};

const struct web_parameter web_slos[] = {
    LIMIT, NAME("endpoint"), {.name = "window", .kind = WEB_CHOICE, .choices = windows, .absent = -1}, END};

#define AFTER(parameter)                                                                                               \
    {                                                                                                                  \
        .name = parameter, .kind = WEB_INTEGER, .min = INT64_MIN, .max = INT64_MAX                                     \
    }

const struct web_parameter web_pattern[] = {
    LIMIT, {.name = "count_min", .kind = WEB_INTEGER, .min = 0, .max = INT64_MAX}, AFTER("seen_after_ns"), END};

const struct web_parameter web_recent[] = {LIMIT, NAME("endpoint"), NAME("type"), AFTER("after_ns"), END};

#define COMPARED(parameter)                                                                                            \
    {                                                                                                                  \
        .name = parameter, .kind = WEB_TEXT, .min = 0, .max = TBUS_WEB_URL_MAX, .is_required = true                    \
    }

const struct web_parameter web_compared[] = {COMPARED("a"), COMPARED("b"), END};

/* In the order of tbus_model_figure_t. */
static const char *const figures[] = {"requests",
                                      "errors",
                                      "error_rate",
                                      "prompt_tokens",
                                      "completion_tokens",
                                      "total_tokens",
                                      "latency_avg_ms",
                                      "latency_p50_ms",
                                      "latency_p90_ms",
                                      "latency_p95_ms",
                                      "latency_p99_ms",
                                      "cost_usd",
                                      "endpoints",
                                      "users",
                                      "first_ns",
                                      "last_ns",
                                      NULL};

const struct web_parameter web_ranked[] = {
    LIMIT, {.name = "by", .kind = WEB_CHOICE, .choices = figures, .absent = TBUS_MODEL_REQUESTS}, END};

static size_t limit_of(const struct web_request *request)
{
    return (size_t)request->values[0].number;
}

/* --- Whole trackers --- */

/* Of a snapshot that has been made. */
#define WRITE(name, ...)                                                                                               \
    do {                                                                                                               \
        struct json json;                                                                                              \
        json_begin(&json, text);                                                                                       \
        json_put_##name(&json, NULL, __VA_ARGS__);                                                                     \
        json_end(&json);                                                                                               \
    } while (0)

#define DEFINE(name, kind, source, take, ...)                                                                          \
    int web_write_##name(const struct web_request *request, struct text *text)                                         \
    {                                                                                                                  \
        const struct json_filter filter = {.limit = limit_of(request), __VA_ARGS__};                                   \
        tbus_##kind##_snapshot_t *snapshot;                                                                            \
        const int error = take;                                                                                        \
        if (error)                                                                                                     \
            return error;                                                                                              \
        WRITE(source, snapshot, &filter);                                                                              \
        tbus_##kind##_snapshot_free(snapshot);                                                                         \
        return 0;                                                                                                      \
    }

#define NOW web_documents_now_ns(request->sources)
#define FROM(name) request->sources->name

DEFINE(streaming, streaming, streaming, tbus_streaming_snapshot(FROM(streaming), NOW, &snapshot),
       .model = request->values[1].text)
DEFINE(errors, errors, errors, tbus_errors_snapshot(FROM(errors), NOW, &snapshot), .model = request->values[1].text,
       .endpoint = request->values[2].text)
DEFINE(slo, errors, slo, tbus_errors_snapshot(FROM(errors), NOW, &snapshot), .endpoint = request->values[1].text,
       .window = (int)request->values[2].number + 1)
DEFINE(budgets, budgets, budgets, tbus_budgets_snapshot(FROM(budgets), 0, &snapshot),
       .subject = request->values[1].text, .scope = (int)request->values[2].number + 1)
DEFINE(requests, requests, requests, tbus_requests_snapshot(FROM(requests), NOW, &snapshot),
       .endpoint = request->values[1].text)
DEFINE(models, models, models, tbus_models_snapshot(FROM(models), NOW, &snapshot), .model = request->values[1].text)
DEFINE(inference, inference, inference, tbus_inference_snapshot(FROM(inference), NOW, &snapshot),
       .model = request->values[1].text)
DEFINE(kvcache, kvcache, kvcache, tbus_kvcache_snapshot(FROM(kvcache), &snapshot), .endpoint = request->values[1].text)

/* --- Costs --- */

/* The hour that a snapshot's moment lies in, and those before it. */
static int write_hours(const struct web_request *request, int64_t now_ns, const struct json_filter *filter,
                       struct text *text)
{
    const int64_t hour_ns = INT64_C(3600000000000);
    tbus_cost_period_t *period;
    const int error =
        tbus_cost_period(FROM(cost), now_ns - (request->values[3].number - 1) * hour_ns, now_ns + 1, &period);
    if (error)
        return error;
    WRITE(cost_period, period, filter);
    tbus_cost_period_free(period);
    return 0;
}

int web_write_costs(const struct web_request *request, struct text *text)
{
    const struct json_filter filter = {
        .limit = limit_of(request), .model = request->values[1].text, .endpoint = request->values[2].text};
    tbus_cost_snapshot_t *snapshot;
    int error = tbus_cost_snapshot_at(FROM(cost), NOW, &snapshot);
    if (error)
        return error;
    if (request->values[3].is_given)
        error = write_hours(request, snapshot->time_ns, &filter, text);
    else
        WRITE(cost, snapshot, &filter);
    tbus_cost_snapshot_free(snapshot);
    return error;
}

/* --- Errors --- */

int web_write_patterns(const struct web_request *request, struct text *text)
{
    const tbus_pattern_filter_t filter = {.limit = limit_of(request),
                                          .count_min = (uint64_t)request->values[1].number,
                                          .seen_after_ns = request->values[2].number};
    tbus_error_patterns_t *patterns;
    char *page = NULL;
    int error = tbus_errors_patterns(request->sources->errors, &filter, &patterns);
    if (error)
        return error;
    error = tbus_error_patterns_to_json(patterns, &page);
    tbus_mem_free(patterns);
    return web_documents_add(text, error, page);
}

int web_write_recent(const struct web_request *request, struct text *text)
{
    const tbus_recent_filter_t filter = {.limit = limit_of(request),
                                         .endpoint = request->values[1].text,
                                         .type = request->values[2].text,
                                         .after_ns = request->values[3].number};
    tbus_recent_errors_t *recent;
    char *page = NULL;
    int error = tbus_errors_recent(request->sources->errors, &filter, &recent);
    if (error)
        return error;
    error = tbus_recent_errors_to_json(recent, &page);
    tbus_mem_free(recent);
    return web_documents_add(text, error, page);
}

/* --- One of many --- */

int web_write_stream(const struct web_request *request, struct text *text)
{
    tbus_stream_info_t stream;
    char *page = NULL;
    int error = tbus_streaming_find(request->sources->streaming, request->segment, &stream);
    if (error)
        return error;
    error = tbus_stream_to_json(request->segment, &stream, &page);
    return web_documents_add(text, error, page);
}

/* A key goes by its redacted form: whole, it has no place in a URL. */
int web_write_cost_of_key(const struct web_request *request, struct text *text)
{
    tbus_cost_name_t *key;
    char *page = NULL;
    int error = tbus_cost_find(request->sources->cost, TBUS_COST_KEY, request->segment, &key);
    if (error)
        return error;
    error = tbus_cost_name_to_json(key, &page);
    tbus_cost_name_free(key);
    return web_documents_add(text, error, page);
}

/* --- Models beside each other --- */

int web_write_comparison(const struct web_request *request, struct text *text)
{
    tbus_models_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_models_snapshot(request->sources->models, NOW, &snapshot);
    if (error)
        return error;
    const tbus_model_t *a = tbus_models_find(snapshot, request->values[0].text);
    const tbus_model_t *b = tbus_models_find(snapshot, request->values[1].text);
    error = a && b ? tbus_models_comparison_to_json(a, b, &page) : UV_ENOENT;
    tbus_models_snapshot_free(snapshot);
    return web_documents_add(text, error, page);
}

int web_write_ranking(const struct web_request *request, struct text *text)
{
    tbus_models_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_models_snapshot(request->sources->models, NOW, &snapshot);
    if (error)
        return error;
    const tbus_model_figure_t by = (tbus_model_figure_t)request->values[1].number;
    error = tbus_models_ranking_to_json(snapshot, by, limit_of(request), &page);
    tbus_models_snapshot_free(snapshot);
    return web_documents_add(text, error, page);
}
