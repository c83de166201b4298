/* Prometheus pages: text (format 0.0.4) and OpenMetrics (1.0), of snapshots, the bus and the process.
 *
 *   char *page;
 *   int error = tbus_prometheus_page(&(tbus_prometheus_sources_t){.bus = bus, .streaming = snapshot, .process = true},
 *                                    TBUS_PROMETHEUS_TEXT, &page);
 *
 * Both formats have the same families, listed in docs/metrics.md, and the same numbers. Names follow Prometheus'
 * conventions: counters end in "_total", times are in seconds. A few are older than that and stay as they are; where such
 * a counter lacks "_total", OpenMetrics, which demands it of all samples of counters, adds it. There each counter and
 * histogram tells since when it counts, too ("_created"). A scrape tells which of the formats it wants in its Accept
 * header, and wants to be told which it got: see tbus_prometheus_content_type(). */
#ifndef TALLYBUS_PROMETHEUS_H
#define TALLYBUS_PROMETHEUS_H

#include <tallybus/budget.h>
#include <tallybus/bus.h>
#include <tallybus/cost.h>
#include <tallybus/errors.h>
#include <tallybus/inference.h>
#include <tallybus/kvcache.h>
#include <tallybus/models.h>
#include <tallybus/requests.h>
#include <tallybus/streaming.h>

TBUS_BEGIN_DECLS

typedef enum tbus_prometheus_format {
    TBUS_PROMETHEUS_TEXT = 0,   /* text/plain; version=0.0.4 */
    TBUS_PROMETHEUS_OPENMETRICS /* application/openmetrics-text; version=1.0.0 */
} tbus_prometheus_format_t;

/* What a page is made of, in this order; NULL = left out. */
typedef struct tbus_prometheus_sources {
    const tbus_t *bus; /* read now */
    const tbus_streaming_snapshot_t *streaming;
    const tbus_errors_snapshot_t *errors;
    const tbus_cost_snapshot_t *cost;
    const tbus_budgets_snapshot_t *budgets;
    const tbus_requests_snapshot_t *requests;
    const tbus_models_snapshot_t *models;
    const tbus_inference_snapshot_t *inference;
    const tbus_kvcache_snapshot_t *kvcache;
    bool process; /* process_cpu_seconds_total, process_resident_memory_bytes, ..., of now: what the system tells */
    uint64_t reserved[8];
} tbus_prometheus_sources_t;

/* Makes a page; free it with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_prometheus_page(const tbus_prometheus_sources_t *sources,
                                               tbus_prometheus_format_t format, char **ret_text);

/* The Content-Type to send a page with; Prometheus refuses a page without. [any thread] */
TBUS_API const char *tbus_prometheus_content_type(tbus_prometheus_format_t format);

/* Each makes a page of one source as text; free it with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_prometheus_streaming(const tbus_streaming_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_prometheus_errors(const tbus_errors_snapshot_t *snapshot, char **ret_text);

/* All of it is gauges, `cost_total_usd` and `cost_tokens_total` too: they fall when real figures replace a larger
 * estimate (so use delta(), not rate() or increase()). Names that are shown alike (keys with the same redacted form,
 * bytes that are not UTF-8) are one series, with the sum of what they cost. */
TBUS_API TBUS_CHECKED int tbus_prometheus_cost(const tbus_cost_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_prometheus_requests(const tbus_requests_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_prometheus_models(const tbus_models_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_prometheus_inference(const tbus_inference_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_prometheus_kvcache(const tbus_kvcache_snapshot_t *snapshot, char **ret_text);

/* A series for each budget, with the labels `scope` and `subject`; of two that would be labelled alike (keys with the
 * same redacted form, bytes that are not UTF-8) the second says so: "sk-a..01234567~2". */
TBUS_API TBUS_CHECKED int tbus_prometheus_budgets(const tbus_budgets_snapshot_t *snapshot, char **ret_text);

/* The bus's own page, of now: tallybus_bus_*, with a label for each type of which there were events and for each
 * subscriber (its number and name). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_prometheus_bus(const tbus_t *bus, char **ret_text);

TBUS_END_DECLS

#endif
