/* The documents: one line of the table and one writer for each. */
#include <string.h>

#include <tallybus/json.h>

#include "exporters/dashboard/page.h"
#include "exporters/prometheus.h"
#include "exporters/web_documents.h"
#include "trackers/ahead.h"

static const struct web_media json = {"application/json", NULL, "application/json", NULL};
static const struct web_media prometheus = {"text/plain", "0.0.4", PROMETHEUS_TEXT_TYPE, NULL};
static const struct web_media openmetrics = {"application/openmetrics-text", "1.0.0", PROMETHEUS_OPENMETRICS_TYPE,
                                             NULL};
static const struct web_media html = {"text/html", NULL, "text/html; charset=utf-8", dashboard_policy};

int web_documents_add(struct text *text, int error, char *page)
{
    if (error)
        return error;
    text_add(text, page);
    tbus_mem_free(page);
    return 0;
}

int64_t web_documents_now_ns(const struct web_sources *sources)
{
    return sources->clock ? sources->clock(sources->clock_user) : ahead_system_clock();
}

/* --- Prometheus --- */

/* What a page is made of; part_names[] is in the same order. */
enum {
    PART_ANY = -1,
    PART_BUS,
    PART_STREAMING,
    PART_ERRORS,
    PART_COST,
    PART_BUDGETS,
    PART_REQUESTS,
    PART_MODELS,
    PART_INFERENCE,
    PART_KVCACHE,
    PART_PROCESS,
    PARTS
};

static const char *const part_names[PARTS + 1] = {"bus",      "streaming", "errors",    "costs",    "budgets",
                                                  "requests", "models",    "inference", "kv-cache", "process"};

static int write_page(const struct web_request *request, const tbus_prometheus_sources_t *sources, struct text *text)
{
    return prometheus_write(sources,
                            request->media == &openmetrics ? TBUS_PROMETHEUS_OPENMETRICS : TBUS_PROMETHEUS_TEXT, text);
}

/* Snapshots of what was handed in, to be freed. */
struct snapshots {
    tbus_streaming_snapshot_t *streaming;
    tbus_errors_snapshot_t *errors;
    tbus_cost_snapshot_t *cost;
    tbus_budgets_snapshot_t *budgets;
    tbus_requests_snapshot_t *requests;
    tbus_models_snapshot_t *models;
    tbus_inference_snapshot_t *inference;
    tbus_kvcache_snapshot_t *kvcache;
};

/* `parts`: bits, 1 << PART_...; those that were not handed in are left out. */
static int take_snapshots(const struct web_sources *from, unsigned parts, struct snapshots *ret)
{
    const int64_t now_ns = web_documents_now_ns(from);
    int error = 0;
#define TAKE(part, name, take)                                                                                         \
    if (!error && from->name && (parts & 1u << (part)))                                                                \
        error = take;
    TAKE(PART_STREAMING, streaming, tbus_streaming_snapshot(from->streaming, now_ns, &ret->streaming))
    TAKE(PART_ERRORS, errors, tbus_errors_snapshot(from->errors, now_ns, &ret->errors))
    TAKE(PART_COST, cost, tbus_cost_snapshot_at(from->cost, now_ns, &ret->cost))
    TAKE(PART_BUDGETS, budgets, tbus_budgets_snapshot(from->budgets, 0, &ret->budgets))
    TAKE(PART_REQUESTS, requests, tbus_requests_snapshot(from->requests, now_ns, &ret->requests))
    TAKE(PART_MODELS, models, tbus_models_snapshot(from->models, now_ns, &ret->models))
    TAKE(PART_INFERENCE, inference, tbus_inference_snapshot(from->inference, now_ns, &ret->inference))
    TAKE(PART_KVCACHE, kvcache, tbus_kvcache_snapshot(from->kvcache, &ret->kvcache))
#undef TAKE
    return error;
}

static void free_snapshots(struct snapshots *snapshots)
{
    tbus_streaming_snapshot_free(snapshots->streaming);
    tbus_errors_snapshot_free(snapshots->errors);
    tbus_cost_snapshot_free(snapshots->cost);
    tbus_budgets_snapshot_free(snapshots->budgets);
    tbus_requests_snapshot_free(snapshots->requests);
    tbus_models_snapshot_free(snapshots->models);
    tbus_inference_snapshot_free(snapshots->inference);
    tbus_kvcache_snapshot_free(snapshots->kvcache);
}

static int write_parts(const struct web_request *request, unsigned parts, struct text *text)
{
    struct snapshots of = {0};
    int error = take_snapshots(request->sources, parts, &of);
    if (!error)
        error = write_page(request,
                           &(tbus_prometheus_sources_t){.bus = parts & 1u << PART_BUS ? request->sources->bus : NULL,
                                                        .streaming = of.streaming,
                                                        .errors = of.errors,
                                                        .cost = of.cost,
                                                        .budgets = of.budgets,
                                                        .requests = of.requests,
                                                        .models = of.models,
                                                        .inference = of.inference,
                                                        .kvcache = of.kvcache,
                                                        .process = parts & 1u << PART_PROCESS},
                           text);
    free_snapshots(&of);
    return error;
}

#define DEFINE(name, part)                                                                                             \
    static int write_##name(const struct web_request *request, struct text *text)                                      \
    {                                                                                                                  \
        return write_parts(request, 1u << (part), text);                                                               \
    }
DEFINE(bus, PART_BUS)
DEFINE(streaming, PART_STREAMING)
DEFINE(errors, PART_ERRORS)
DEFINE(cost, PART_COST)
DEFINE(budgets, PART_BUDGETS)
DEFINE(requests, PART_REQUESTS)
DEFINE(models, PART_MODELS)
DEFINE(inference, PART_INFERENCE)
DEFINE(kvcache, PART_KVCACHE)
#undef DEFINE

static const struct web_parameter part_parameters[] = {
    {.name = "only", .kind = WEB_CHOICE, .choices = part_names, .absent = PART_ANY}, {.name = NULL}};

/* All that was handed in; to ask for a part that was not is to ask for what is not there. */
static int write_all(const struct web_request *request, struct text *text)
{
    const struct web_sources *from = request->sources;
    const bool is_there[PARTS] = {from->bus,      from->streaming, from->errors,    from->cost,    from->budgets,
                                  from->requests, from->models,    from->inference, from->kvcache, true};
    const int64_t only = request->values[0].number;
    if (only == PART_ANY)
        return write_parts(request, (1u << PARTS) - 1, text);
    return is_there[only] ? write_parts(request, 1u << only, text) : UV_ENOENT;
}

/* --- JSON --- */

static int write_bus_json(const struct web_request *request, struct text *text)
{
    char *page = NULL;
    int error = tbus_stats_to_json(request->sources->bus, &page);
    return web_documents_add(text, error, page);
}

/* The same for everybody: what it shows it asks for itself. */
static int write_dashboard(const struct web_request *request, struct text *text)
{
    (void)request;
    text_add_bytes(text, (const char *)dashboard_page, dashboard_page_bytes);
    return 0;
}

static int write_health(const struct web_request *request, struct text *text)
{
    (void)request;
    text_add(text, "{\"status\":\"ok\"}");
    return 0;
}

/* --- The table --- */

#define SOURCE(field, name) .source_offset = offsetof(struct web_sources, field), .source_name = name

/* JSON, or a Prometheus page where the client likes that better. */
#define PROMETHEUS(write)                                                                                              \
    {&prometheus, write},                                                                                              \
    {                                                                                                                  \
        &openmetrics, write                                                                                            \
    }
#define BOTH(write_json, write_prometheus) .forms = {{&json, write_json}, PROMETHEUS(write_prometheus)}

const struct web_route web_documents[] = {
    {"/", .forms = {{&html, write_dashboard}}, .is_open = true},
    {"/metrics", .parameters = part_parameters, .forms = {PROMETHEUS(write_all)}},
    {"/metrics/prometheus", .parameters = part_parameters, .forms = {PROMETHEUS(write_all)}},
    {"/metrics/streaming", SOURCE(streaming, "a streaming tracker"), .parameters = web_by_model,
     BOTH(web_write_streaming, write_streaming)},
    {"/metrics/streaming/{id}", SOURCE(streaming, "a streaming tracker"), .forms = {{&json, web_write_stream}}},
    {"/metrics/errors", SOURCE(errors, "an error tracker"), .parameters = web_by_either,
     BOTH(web_write_errors, write_errors)},
    {"/metrics/errors/recent", SOURCE(errors, "an error tracker"), .parameters = web_recent,
     .forms = {{&json, web_write_recent}}},
    {"/metrics/error-patterns", SOURCE(errors, "an error tracker"), .parameters = web_pattern,
     .forms = {{&json, web_write_patterns}}},
    {"/metrics/slo", SOURCE(errors, "an error tracker"), .parameters = web_slos, .forms = {{&json, web_write_slo}}},
    {"/metrics/costs", SOURCE(cost, "a cost tracker"), .parameters = web_costs, BOTH(web_write_costs, write_cost)},
    {"/metrics/costs/{key}", SOURCE(cost, "a cost tracker"), .forms = {{&json, web_write_cost_of_key}}},
    {"/metrics/budgets", SOURCE(budgets, "budgets"), .parameters = web_budgets, BOTH(web_write_budgets, write_budgets)},
    {"/metrics/requests", SOURCE(requests, "a request tracker"), .parameters = web_by_endpoint,
     BOTH(web_write_requests, write_requests)},
    {"/metrics/models", SOURCE(models, "a model tracker"), .parameters = web_by_model,
     BOTH(web_write_models, write_models)},
    {"/metrics/models/compare", SOURCE(models, "a model tracker"), .parameters = web_compared,
     .forms = {{&json, web_write_comparison}}},
    {"/metrics/models/ranking", SOURCE(models, "a model tracker"), .parameters = web_ranked,
     .forms = {{&json, web_write_ranking}}},
    {"/metrics/inference", SOURCE(inference, "an inference tracker"), .parameters = web_by_model,
     BOTH(web_write_inference, write_inference)},
    {"/metrics/kv-cache", SOURCE(kvcache, "a KV-cache tracker"), .parameters = web_by_endpoint,
     BOTH(web_write_kvcache, write_kvcache)},
    {"/metrics/bus", SOURCE(bus, "a bus"), BOTH(write_bus_json, write_bus)},
    {"/health", .forms = {{&json, write_health}}, .is_open = true},
    {0},
};
