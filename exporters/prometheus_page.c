/* Pages as a whole: of all that is there, or of one part. */
#include "exporters/prometheus.h"

#include <tallybus/telemetry.h>

#include "trackers/options.h"

const char *tbus_prometheus_content_type(tbus_prometheus_format_t format)
{
    return format == TBUS_PROMETHEUS_OPENMETRICS ? PROMETHEUS_OPENMETRICS_TYPE : PROMETHEUS_TEXT_TYPE;
}

/* About what a page takes. Reserved in one piece, its text is not moved as it grows past what is allocated meanwhile;
 * and an allocator that has seen one page has room for the next, without asking the system for fresh memory again. */
static size_t bytes_of(const tbus_prometheus_sources_t *from)
{
    enum { SAMPLE_BYTES = 96, SAMPLES_OF_NO_ROW = 300 };
    size_t samples = SAMPLES_OF_NO_ROW;
    if (from->streaming)
        samples += 84 * from->streaming->models_count;
    if (from->errors)
        samples += from->errors->by_endpoint_count + from->errors->by_type_count + from->errors->by_model_count;
    if (from->cost)
        samples += from->cost->by_model_count + from->cost->by_endpoint_count + from->cost->by_key_count;
    if (from->budgets)
        samples += 4 * from->budgets->rows_count;
    if (from->requests)
        samples += 17 * from->requests->endpoints_count;
    if (from->models)
        samples += 16 * from->models->models_count;
    if (from->inference)
        samples += 45 * from->inference->models_count + 4 * from->inference->workers_count;
    if (from->kvcache)
        samples += 11 * from->kvcache->endpoints_count;
    return samples * SAMPLE_BYTES;
}

int prometheus_write(const tbus_prometheus_sources_t *sources, tbus_prometheus_format_t format, struct text *text)
{
    struct page page = {.text = *text, .format = format};
    if (!sources || (unsigned)format > TBUS_PROMETHEUS_OPENMETRICS ||
        !are_zero(sources->reserved, sizeof sources->reserved))
        return UV_EINVAL;
    (void)text_reserve(&page.text, bytes_of(sources));
    if (sources->bus)
        prometheus_add_bus(&page, sources->bus);
#define ADD(part)                                                                                                      \
    if (sources->part) {                                                                                               \
        prometheus_since(&page, sources->part->since_ns);                                                              \
        prometheus_add_##part(&page, sources->part);                                                                   \
    }
    ADD(streaming)
    ADD(errors)
    ADD(cost)
    ADD(budgets)
    ADD(requests)
    ADD(models)
    ADD(inference)
    ADD(kvcache)
#undef ADD
    if (sources->process)
        prometheus_add_process(&page);
    if (format == TBUS_PROMETHEUS_OPENMETRICS)
        text_add(&page.text, "# EOF\n");
    tbus_mem_free(page.labels.bytes);
    *text = page.text;
    return 0;
}

int tbus_prometheus_page(const tbus_prometheus_sources_t *sources, tbus_prometheus_format_t format, char **ret_text)
{
    struct text text = {0};
    const int error = ret_text ? prometheus_write(sources, format, &text) : UV_EINVAL;
    return error ? error : text_take(&text, ret_text);
}

#define DEFINE(part, type)                                                                                             \
    int tbus_prometheus_##part(const type *source, char **ret_text)                                                    \
    {                                                                                                                  \
        return source ? tbus_prometheus_page(&(tbus_prometheus_sources_t){.part = source}, TBUS_PROMETHEUS_TEXT,       \
                                             ret_text)                                                                 \
                      : UV_EINVAL;                                                                                     \
    }
DEFINE(bus, tbus_t)
DEFINE(streaming, tbus_streaming_snapshot_t)
DEFINE(errors, tbus_errors_snapshot_t)
DEFINE(cost, tbus_cost_snapshot_t)
DEFINE(budgets, tbus_budgets_snapshot_t)
DEFINE(requests, tbus_requests_snapshot_t)
DEFINE(models, tbus_models_snapshot_t)
DEFINE(inference, tbus_inference_snapshot_t)
DEFINE(kvcache, tbus_kvcache_snapshot_t)
#undef DEFINE

int tbus_telemetry_prometheus(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text)
{
    tbus_telemetry_snapshot_t *snapshot;
    if (!telemetry || !ret_text)
        return UV_EINVAL;
    int error = tbus_telemetry_snapshot(telemetry, now_ns, &snapshot);
    if (error)
        return error;
    const tbus_prometheus_sources_t sources = {.streaming = snapshot->streaming,
                                               .errors = snapshot->errors,
                                               .cost = snapshot->cost,
                                               .budgets = snapshot->budgets,
                                               .requests = snapshot->requests,
                                               .models = snapshot->models,
                                               .inference = snapshot->inference,
                                               .kvcache = snapshot->kvcache};
    error = tbus_prometheus_page(&sources, TBUS_PROMETHEUS_TEXT, ret_text);
    tbus_telemetry_snapshot_free(snapshot);
    return error;
}
