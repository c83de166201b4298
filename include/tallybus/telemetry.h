/* The whole telemetry set: one call that makes the trackers, subscribes them to a bus, and reads all of them.
 *
 *   tbus_telemetry_t *telemetry;
 *   int error = tbus_telemetry_open(bus, NULL, &telemetry);
 *   ...
 *   error = tbus_telemetry_prometheus(telemetry, 0, &page);
 *   ...
 *   tbus_telemetry_close(telemetry);
 *
 * An event is handed to the trackers by falling priority: errors and requests 10, inference 9, streaming 8 (tokens 5),
 * cost 7, budgets, models and KV cache 6, gauges (queue depth, batch size: of the inference tracker) 5. With budgets or a
 * model tracker usage.priced is enabled on the bus (see usage_event.h): what a request cost comes to its budgets and its
 * model with that event, which the cost tracker publishes, after the request's own.
 *
 * Budgets begin without any: set them by tbus_budget_set() on tbus_telemetry_budgets(), and ask them before each request
 * by tbus_budget_reserve() or tbus_budget_check(), from any thread, until the set is closed. Budgets that must outlive
 * it, or that resume from a ledger, are the host's own.
 *
 * Telemetry sets of different buses know nothing of each other. A bus has one cost tracker: each of two would tell of
 * every request by usage.priced, and it would come to models twice. Of two sets on one bus one is opened without
 * (`trackers` = TBUS_TELEMETRY_ALL & ~TBUS_TELEMETRY_COST); its budgets and models hear of what the other's prices. A
 * tracker of the host's own is in one set alone: each would feed it. */
#ifndef TALLYBUS_TELEMETRY_H
#define TALLYBUS_TELEMETRY_H

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

typedef struct tbus_telemetry tbus_telemetry_t;

/* Trackers, as bits. */
enum {
    TBUS_TELEMETRY_ERRORS = 1,
    TBUS_TELEMETRY_REQUESTS = 2,
    TBUS_TELEMETRY_INFERENCE = 4,
    TBUS_TELEMETRY_STREAMING = 8,
    TBUS_TELEMETRY_COST = 16,
    TBUS_TELEMETRY_MODELS = 32,
    TBUS_TELEMETRY_KVCACHE = 64,
    TBUS_TELEMETRY_BUDGETS = 128,
    TBUS_TELEMETRY_ALL = 255
};

typedef struct tbus_telemetry_options {
    uint32_t trackers; /* TBUS_TELEMETRY_...; 0 = all */
    /* How the trackers are made that the set makes itself (borrowed until tbus_telemetry_open() returns, but for what
     * the tracker's own options borrow for longer); NULL = their defaults. */
    const tbus_errors_options_t *errors_options;
    const tbus_requests_options_t *requests_options;
    const tbus_inference_options_t *inference_options;
    const tbus_streaming_options_t *streaming_options;
    const tbus_cost_options_t *cost_options;
    const tbus_models_options_t *models_options;
    const tbus_kvcache_options_t *kvcache_options;
    const tbus_budgets_options_t *budgets_options;
    /* Trackers of the host's own (borrowed until tbus_telemetry_close() has returned): used in place of one that the set
     * would make, whether its bit is set or not. */
    tbus_errors_t *errors;
    tbus_requests_t *requests;
    tbus_inference_t *inference;
    tbus_streaming_t *streaming;
    tbus_cost_t *cost;
    tbus_models_t *models;
    tbus_kvcache_t *kvcache;
    tbus_budgets_t *budgets;
    uint64_t reserved[8];
} tbus_telemetry_options_t;

/* Makes the trackers and subscribes them, all or nothing; `options` (copied) may be NULL. The bus is borrowed until the
 * set is closed. Errors: UV_EINVAL (bus or `ret` NULL, a bit that is no tracker's, a tracker's options), what opening a
 * tracker or subscribing returns. Then nothing is left behind; only where undoing finds no memory, too, do trackers that
 * are subscribed stay for as long as the process: do not close those of your own before the bus is freed then. [any thread but isolated subscribers'] */
TBUS_API TBUS_CHECKED int tbus_telemetry_open(tbus_t *bus, const tbus_telemetry_options_t *options,
                                              tbus_telemetry_t **ret);

/* Ends the subscriptions, waits until none is running, and then closes the trackers that the set has made; NULL is
 * allowed. What was published before is still recorded, in trackers of the host's own too; what a request of then cost
 * still comes to its budgets and its model (but not where it is called on the loop thread: what has not been delivered
 * by then is not recorded). Close the set before the bus is
 * freed; the bus may have been closed. On the loop thread it does not wait: subscriptions end at once there. Errors:
 * UV_ENOMEM (a subscription could not be ended: the set stays, to be closed again). [any thread but isolated
 * subscribers'] */
TBUS_API int tbus_telemetry_close(tbus_telemetry_t *telemetry);

/* The trackers (the host's own, too); NULL for those that the set does not have. Borrowed. [any thread] */
TBUS_API tbus_errors_t *tbus_telemetry_errors(const tbus_telemetry_t *telemetry);
TBUS_API tbus_requests_t *tbus_telemetry_requests(const tbus_telemetry_t *telemetry);
TBUS_API tbus_inference_t *tbus_telemetry_inference(const tbus_telemetry_t *telemetry);
TBUS_API tbus_streaming_t *tbus_telemetry_streaming(const tbus_telemetry_t *telemetry);
TBUS_API tbus_cost_t *tbus_telemetry_cost(const tbus_telemetry_t *telemetry);
TBUS_API tbus_models_t *tbus_telemetry_models(const tbus_telemetry_t *telemetry);
TBUS_API tbus_kvcache_t *tbus_telemetry_kvcache(const tbus_telemetry_t *telemetry);
TBUS_API tbus_budgets_t *tbus_telemetry_budgets(const tbus_telemetry_t *telemetry);

/* What all trackers know; NULL for those that the set does not have. */
typedef struct tbus_telemetry_snapshot {
    int64_t time_ns; /* the moment that all windows end at, and that of `cost` */
    tbus_errors_snapshot_t *errors;
    tbus_requests_snapshot_t *requests;
    tbus_inference_snapshot_t *inference;
    /* What is over its window may be older, by less than the tracker's `cache_ns`: it is of its `aggregate_ns`. */
    tbus_streaming_snapshot_t *streaming;
    tbus_cost_snapshot_t *cost;
    tbus_models_snapshot_t *models;
    tbus_kvcache_snapshot_t *kvcache;
    tbus_budgets_snapshot_t *budgets; /* where `now_ns` was 0: as at their own clock */
} tbus_telemetry_snapshot_t;

/* Takes snapshots of all trackers, with their windows ending at one moment; `now_ns` 0 = tbus_now(). The trackers are
 * read one after another: of an event that is delivered meanwhile some may know and others not; called in a handler,
 * nothing comes between. Free it with tbus_telemetry_snapshot_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_telemetry_snapshot(tbus_telemetry_t *telemetry, int64_t now_ns,
                                                  tbus_telemetry_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_telemetry_snapshot_free(tbus_telemetry_snapshot_t *snapshot);

/* A snapshot of all trackers as one page of Prometheus text: each tracker's as in prometheus.h, one after another. Free
 * the text with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_telemetry_prometheus(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text);

/* The same as one JSON object: "time_ns", and for each tracker the object of json.h (tbus_errors_to_json(), ...), under its
 * name. Schema: docs/telemetry.schema.json. Free the text with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any
 * thread] */
TBUS_API TBUS_CHECKED int tbus_telemetry_json(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text);

TBUS_END_DECLS

#endif
