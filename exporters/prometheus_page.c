/* Pages as a whole: of all that is there, or of one part. */
#include "exporters/prometheus.h"

#include <tallybus/telemetry.h>

const char *tbus_prometheus_content_type(tbus_prometheus_format_t format)
{
    return format == TBUS_PROMETHEUS_OPENMETRICS ? PROMETHEUS_OPENMETRICS_TYPE : PROMETHEUS_TEXT_TYPE;
}

int tbus_prometheus_page(const tbus_prometheus_sources_t *sources, tbus_prometheus_format_t format, char **ret_text)
{
    struct page page = {.format = format};
    if (!sources || !ret_text || (unsigned)format > TBUS_PROMETHEUS_OPENMETRICS)
        return UV_EINVAL;
    for (size_t i = 0; i < sizeof sources->reserved / sizeof sources->reserved[0]; i++)
        if (sources->reserved[i] != 0)
            return UV_EINVAL;
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
    return text_take(&page.text, ret_text);
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
