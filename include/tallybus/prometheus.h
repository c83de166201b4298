/* Prometheus text (format 0.0.4) of a snapshot. */
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

/* Each makes a text; free it with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
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
 * same redacted form) the second says so: "sk-a..01234567~2". */
TBUS_API TBUS_CHECKED int tbus_prometheus_budgets(const tbus_budgets_snapshot_t *snapshot, char **ret_text);

/* The bus's own page, of now: tallybus_bus_*, with a label for each type of which there were events and for each
 * subscriber (its number and name). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_prometheus_bus(const tbus_t *bus, char **ret_text);

TBUS_END_DECLS

#endif
