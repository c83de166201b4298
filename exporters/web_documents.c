/* The documents: one line of the table and one writer for each. */
#include <string.h>
#include <time.h>

#include <tallybus/json.h>
#include <tallybus/prometheus.h>

#include "exporters/dashboard/page.h"
#include "exporters/web_routes.h"

static const struct web_media json = {"application/json", NULL, "application/json", NULL};
static const struct web_media prometheus = {"text/plain", "0.0.4", "text/plain; version=0.0.4; charset=utf-8", NULL};
#if TBUS_WITH_JSON
static const struct web_media html = {"text/html", NULL, "text/html; charset=utf-8", dashboard_policy};
#endif

/* Adds a text that one of the exporters made, and frees it. */
static int add_page(struct text *text, int error, char *page)
{
    if (error)
        return error;
    text_add(text, page);
    tbus_mem_free(page);
    return 0;
}

/* Where windows end. */
static int64_t now_ns(const struct web_sources *sources)
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
    return add_page(text, error, page);
}

static int write_streaming(const struct web_request *request, struct text *text)
{
    tbus_streaming_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_streaming_snapshot(request->sources->streaming, now_ns(request->sources), &snapshot);
    if (error)
        return error;
    error = tbus_prometheus_streaming(snapshot, &page);
    tbus_streaming_snapshot_free(snapshot);
    return add_page(text, error, page);
}

static int write_errors(const struct web_request *request, struct text *text)
{
    tbus_errors_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_errors_snapshot(request->sources->errors, now_ns(request->sources), &snapshot);
    if (error)
        return error;
    error = tbus_prometheus_errors(snapshot, &page);
    tbus_errors_snapshot_free(snapshot);
    return add_page(text, error, page);
}

static int write_costs(const struct web_request *request, struct text *text)
{
    tbus_cost_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_cost_snapshot(request->sources->cost, &snapshot);
    if (error)
        return error;
    error = tbus_prometheus_cost(snapshot, &page);
    tbus_cost_snapshot_free(snapshot);
    return add_page(text, error, page);
}

static int write_budgets(const struct web_request *request, struct text *text)
{
    tbus_budgets_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_budgets_snapshot(request->sources->budgets, 0, &snapshot);
    if (error)
        return error;
    error = tbus_prometheus_budgets(snapshot, &page);
    tbus_budgets_snapshot_free(snapshot);
    return add_page(text, error, page);
}

/* In the order of write_all()'s parts. */
static const char *const part_names[] = {"bus", "streaming", "errors", "costs", "budgets", NULL};
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
    } parts[PARTS] = {{from->bus, write_bus},
                      {from->streaming, write_streaming},
                      {from->errors, write_errors},
                      {from->cost, write_costs},
                      {from->budgets, write_budgets}};
    int64_t only = request->values[0].number;
    int error = only == PART_ANY || parts[only].is_there ? 0 : UV_ENOENT;
    for (int i = 0; i < PARTS && error == 0; i++)
        if (parts[i].is_there && (only == PART_ANY || only == i))
            error = parts[i].write(request, text);
    return error;
}

/* --- JSON --- */

#if TBUS_WITH_JSON
static int write_bus_json(const struct web_request *request, struct text *text)
{
    char *page = NULL;
    int error = tbus_stats_to_json(request->sources->bus, &page);
    return add_page(text, error, page);
}

static int write_slo(const struct web_request *request, struct text *text)
{
    tbus_errors_snapshot_t *snapshot;
    char *page = NULL;
    int error = tbus_errors_snapshot(request->sources->errors, now_ns(request->sources), &snapshot);
    if (error)
        return error;
    error = tbus_slo_to_json(snapshot, &page);
    tbus_errors_snapshot_free(snapshot);
    return add_page(text, error, page);
}

static const struct web_parameter pattern_parameters[] = {
    {.name = "limit", .kind = WEB_INTEGER, .min = 1, .max = INT32_MAX},
    {.name = "count_min", .kind = WEB_INTEGER, .min = 0, .max = INT64_MAX},
    {.name = "seen_after_ns", .kind = WEB_INTEGER, .min = INT64_MIN, .max = INT64_MAX},
    {.name = NULL}};

static int write_patterns(const struct web_request *request, struct text *text)
{
    const tbus_pattern_filter_t filter = {.limit = (size_t)request->values[0].number,
                                          .count_min = (uint64_t)request->values[1].number,
                                          .seen_after_ns = request->values[2].number};
    tbus_error_patterns_t *patterns;
    char *page = NULL;
    int error = tbus_errors_patterns(request->sources->errors, &filter, &patterns);
    if (error)
        return error;
    error = tbus_error_patterns_to_json(patterns, &page);
    tbus_mem_free(patterns);
    return add_page(text, error, page);
}

static const struct web_parameter recent_parameters[] = {
    {.name = "limit", .kind = WEB_INTEGER, .min = 1, .max = INT32_MAX},
    {.name = "endpoint", .kind = WEB_TEXT, .min = 0, .max = TBUS_WEB_URL_MAX},
    {.name = "type", .kind = WEB_TEXT, .min = 0, .max = TBUS_WEB_URL_MAX},
    {.name = NULL}};

static int write_recent(const struct web_request *request, struct text *text)
{
    const tbus_recent_filter_t filter = {.limit = (size_t)request->values[0].number,
                                         .endpoint = request->values[1].text,
                                         .type = request->values[2].text};
    tbus_recent_errors_t *recent;
    char *page = NULL;
    int error = tbus_errors_recent(request->sources->errors, &filter, &recent);
    if (error)
        return error;
    error = tbus_recent_errors_to_json(recent, &page);
    tbus_mem_free(recent);
    return add_page(text, error, page);
}

static int write_stream(const struct web_request *request, struct text *text)
{
    tbus_stream_info_t stream;
    char *page = NULL;
    int error = tbus_streaming_find(request->sources->streaming, request->segment, &stream);
    if (error)
        return error;
    error = tbus_stream_to_json(request->segment, &stream, &page);
    return add_page(text, error, page);
}

/* The same for everybody: what it shows it asks for itself. */
static int write_dashboard(const struct web_request *request, struct text *text)
{
    (void)request;
    text_add_bytes(text, (const char *)dashboard_page, dashboard_page_bytes);
    return 0;
}
#endif

static int write_health(const struct web_request *request, struct text *text)
{
    (void)request;
    text_add(text, "{\"status\":\"ok\"}");
    return 0;
}

/* --- The table --- */

#define SOURCE(field, name) .source_offset = offsetof(struct web_sources, field), .source_name = name

const struct web_route web_documents[] = {
    {"/metrics", .parameters = part_parameters, .forms = {{&prometheus, write_all}}},
    {"/metrics/prometheus", .parameters = part_parameters, .forms = {{&prometheus, write_all}}},
    {"/metrics/streaming", SOURCE(streaming, "a streaming tracker"), .forms = {{&prometheus, write_streaming}}},
    {"/metrics/errors", SOURCE(errors, "an error tracker"), .forms = {{&prometheus, write_errors}}},
    {"/metrics/costs", SOURCE(cost, "a cost tracker"), .forms = {{&prometheus, write_costs}}},
    {"/metrics/budgets", SOURCE(budgets, "budgets"), .forms = {{&prometheus, write_budgets}}},
#if TBUS_WITH_JSON
    {"/", .forms = {{&html, write_dashboard}}, .is_open = true},
    {"/metrics/streaming/{id}", SOURCE(streaming, "a streaming tracker"), .forms = {{&json, write_stream}}},
    {"/metrics/errors/recent", SOURCE(errors, "an error tracker"), .parameters = recent_parameters,
     .forms = {{&json, write_recent}}},
    {"/metrics/error-patterns", SOURCE(errors, "an error tracker"), .parameters = pattern_parameters,
     .forms = {{&json, write_patterns}}},
    {"/metrics/slo", SOURCE(errors, "an error tracker"), .forms = {{&json, write_slo}}},
#endif
    {"/metrics/bus", SOURCE(bus, "a bus"),
     .forms =
         {
#if TBUS_WITH_JSON
             {&json, write_bus_json},
#endif
             {&prometheus, write_bus},
         }},
    {"/health", .forms = {{&json, write_health}}, .is_open = true},
    {0},
};
