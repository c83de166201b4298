/* The documents: one line of the table and one writer for each. */
#include <string.h>
#include <time.h>

#include <tallybus/json.h>
#include <tallybus/prometheus.h>

#include "exporters/dashboard/page.h"
#include "exporters/web_documents.h"

static const struct web_media json = {"application/json", NULL, "application/json", NULL};
static const struct web_media prometheus = {"text/plain", "0.0.4", "text/plain; version=0.0.4; charset=utf-8", NULL};
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
    struct timespec now;
    if (sources->clock)
        return sources->clock(sources->clock_user);
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- Prometheus --- */

static int write_bus(const struct web_request *request, struct text *text)
{
    char *page = NULL;
    int error = tbus_prometheus_bus(request->sources->bus, &page);
    return web_documents_add(text, error, page);
}

/* A tracker's page, of a snapshot that `take` makes. */
#define DEFINE(name, take)                                                                                             \
    static int write_##name(const struct web_request *request, struct text *text)                                      \
    {                                                                                                                  \
        tbus_##name##_snapshot_t *snapshot;                                                                            \
        char *page = NULL;                                                                                             \
        int error = take;                                                                                              \
        if (error)                                                                                                     \
            return error;                                                                                              \
        error = tbus_prometheus_##name(snapshot, &page);                                                               \
        tbus_##name##_snapshot_free(snapshot);                                                                         \
        return web_documents_add(text, error, page);                                                                   \
    }

#define NOW web_documents_now_ns(request->sources)
DEFINE(streaming, tbus_streaming_snapshot(request->sources->streaming, NOW, &snapshot))
DEFINE(errors, tbus_errors_snapshot(request->sources->errors, NOW, &snapshot))
DEFINE(cost, tbus_cost_snapshot(request->sources->cost, &snapshot))
DEFINE(budgets, tbus_budgets_snapshot(request->sources->budgets, 0, &snapshot))
DEFINE(requests, tbus_requests_snapshot(request->sources->requests, NOW, &snapshot))
DEFINE(models, tbus_models_snapshot(request->sources->models, NOW, &snapshot))
DEFINE(inference, tbus_inference_snapshot(request->sources->inference, NOW, &snapshot))
DEFINE(kvcache, tbus_kvcache_snapshot(request->sources->kvcache, &snapshot))
#undef DEFINE

/* In the order of write_all()'s parts. */
static const char *const part_names[] = {"bus",      "streaming", "errors",    "costs",    "budgets",
                                         "requests", "models",    "inference", "kv-cache", NULL};
enum { PARTS = sizeof part_names / sizeof *part_names - 1, PART_ANY = -1 };

static const struct web_parameter part_parameters[] = {
    {.name = "only", .kind = WEB_CHOICE, .choices = part_names, .absent = PART_ANY}, {.name = NULL}};

/* All that was handed in; to ask for a part that was not is to ask for what is not there. */
static int write_all(const struct web_request *request, struct text *text)
{
    const struct web_sources *from = request->sources;
    const struct {
        bool is_there;
        web_writer write;
    } parts[PARTS] = {
        {from->bus, write_bus},       {from->streaming, write_streaming}, {from->errors, write_errors},
        {from->cost, write_cost},     {from->budgets, write_budgets},     {from->requests, write_requests},
        {from->models, write_models}, {from->inference, write_inference}, {from->kvcache, write_kvcache}};
    int64_t only = request->values[0].number;
    int error = only == PART_ANY || parts[only].is_there ? 0 : UV_ENOENT;
    for (int i = 0; i < PARTS && error == 0; i++)
        if (parts[i].is_there && (only == PART_ANY || only == i))
            error = parts[i].write(request, text);
    return error;
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

/* JSON, or Prometheus text where the client likes that better. */
#define BOTH(write_json, write_prometheus) .forms = {{&json, write_json}, {&prometheus, write_prometheus}}

const struct web_route web_documents[] = {
    {"/", .forms = {{&html, write_dashboard}}, .is_open = true},
    {"/metrics", .parameters = part_parameters, .forms = {{&prometheus, write_all}}},
    {"/metrics/prometheus", .parameters = part_parameters, .forms = {{&prometheus, write_all}}},
    {"/metrics/streaming", SOURCE(streaming, "a streaming tracker"), .parameters = web_by_model,
     BOTH(web_write_streaming, write_streaming)},
    {"/metrics/streaming/{id}", SOURCE(streaming, "a streaming tracker"), .forms = {{&json, web_write_stream}}},
    {"/metrics/errors", SOURCE(errors, "an error tracker"), .parameters = web_by_either,
     BOTH(web_write_errors, write_errors)},
    {"/metrics/errors/recent", SOURCE(errors, "an error tracker"), .parameters = web_recent,
     .forms = {{&json, web_write_recent}}},
    {"/metrics/error-patterns", SOURCE(errors, "an error tracker"), .parameters = web_pattern,
     .forms = {{&json, web_write_patterns}}},
    {"/metrics/slo", SOURCE(errors, "an error tracker"), .parameters = web_by_endpoint,
     .forms = {{&json, web_write_slo}}},
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
