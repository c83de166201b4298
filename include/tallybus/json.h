/* JSON: events as text, price files, documents of what the bus and the trackers know. Built without JSON
 * (-Djson=disabled) the calls for events and prices return UV_ENOTSUP; documents need no JSON library. */
#ifndef TALLYBUS_JSON_H
#define TALLYBUS_JSON_H

#include <tallybus/budget.h>
#include <tallybus/bus.h>
#include <tallybus/cost.h>
#include <tallybus/errors.h>
#include <tallybus/inference.h>
#include <tallybus/kvcache.h>
#include <tallybus/models.h>
#include <tallybus/prices.h>
#include <tallybus/requests.h>
#include <tallybus/streaming.h>

TBUS_BEGIN_DECLS

/* An event of a type that `bus` knows (NULL: a built-in one) as one line of JSON without a newline: "type" (the topic),
 * "id", "time_ns", then the fields by name; absent strings, empty lists and NaN are left out. Bytes that are not UTF-8
 * become U+FFFD. Free the text with tbus_mem_free(). Errors: UV_EINVAL (NULL, or a type that is not known), UV_ENOMEM.
 * [any thread] */
TBUS_API TBUS_CHECKED int tbus_event_to_json(const tbus_t *bus, const tbus_event_t *event, char **ret_text);

/* Publishes the event that an object of JSON tells: "type", "time_ns", the fields by name. Fields left out are absent
 * (a double: NaN); "id" is ignored; names that the type does not have are ignored. `length` bytes, no NUL needed. On an
 * error that lies in the text, `why` (may be NULL) says what was wrong, in at most `why_bytes` bytes. Errors: UV_EINVAL
 * (malformed, no or an unknown type, a field of a wrong kind or out of range), UV_ENOMEM, and those of tbus_publish().
 * [any thread] */
TBUS_API int tbus_publish_json(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes);

/* The same for texts that are written for this library, where a name that it does not know is a slip of the pen: a
 * field that the type does not have is refused (UV_EINVAL), and so is a name that comes twice in an object. "id" is
 * ignored here too, so that what tbus_subscribe_json() told can be published again. [any thread] */
TBUS_API int tbus_publish_json_strict(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes);

/* Handles one event, told as tbus_event_to_json() does, API keys as they are: `length` bytes and a NUL behind them.
 * `topic` and `text` are valid until it returns; its result is that of a tbus_handler. [loop thread; of an isolated
 * subscriber: that one's] */
typedef int (*tbus_json_handler)(const char *topic, const char *text, size_t length, void *user);

/* Subscribes like tbus_subscribe() for languages that can not read the structs. `options` (copied; NULL = the defaults)
 * gives the rest as for tbus_subscriber_add() - name, owner, on_batch_end and on_close, mode, queue, circuit breaker,
 * wants_last; its routes and its user must be absent. Each text is written into memory that the subscription keeps,
 * 4 KiB at first, doubled until the longest event fits: an event for which there is none is not told, and counted as an
 * error of the handler. Errors: UV_EINVAL (no handler, or options with routes or a user), UV_ENOMEM, and those of
 * tbus_subscriber_add(). [any thread, handlers too] */
TBUS_API TBUS_CHECKED int64_t tbus_subscribe_json(tbus_t *bus, const char *pattern, int32_t priority,
                                                  tbus_json_handler handler, void *user,
                                                  const tbus_subscriber_t *options);

/* The bus's statistics as one object: the figures of tbus_stats_t by their names, "latency_ns", "types" (those of which
 * there were events) and "subscribers". Counters begin at "since_ns", here as in the trackers' documents, with 0 or what
 * was restored (cost, budgets): where it has moved they have begun anew. Schema: docs/bus-stats.schema.json. Free the text with tbus_mem_free(). Errors:
 * UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_stats_to_json(const tbus_t *bus, char **ret_text);

/* --- Documents of the trackers ---
 *
 * One object each, its keys in a fixed order and by the names of the snapshot's fields; times are nanoseconds since the
 * epoch, money is decimal text in USD, exact. What is not a number, or has no end (a burn rate where the target is
 * 100 %), is null, counts past 2^63 - 1 are that, and bytes that are not UTF-8 become U+FFFD. Keys are there in their
 * redacted form alone. Free the text with tbus_mem_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */

/* A tracker's snapshot: what /metrics/... of web.h shows, and what stands in tbus_telemetry_json(). Schemas:
 * docs/errors.schema.json, and so on. */
TBUS_API TBUS_CHECKED int tbus_errors_to_json(const tbus_errors_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_requests_to_json(const tbus_requests_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_inference_to_json(const tbus_inference_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_streaming_to_json(const tbus_streaming_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_cost_to_json(const tbus_cost_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_budgets_to_json(const tbus_budgets_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_models_to_json(const tbus_models_snapshot_t *snapshot, char **ret_text);
TBUS_API TBUS_CHECKED int tbus_kvcache_to_json(const tbus_kvcache_snapshot_t *snapshot, char **ret_text);

/* What was used in a period, and by whom. Schema: docs/cost-period.schema.json. */
TBUS_API TBUS_CHECKED int tbus_cost_period_to_json(const tbus_cost_period_t *period, char **ret_text);

/* One name's cost. Schema: docs/cost-name.schema.json. */
TBUS_API TBUS_CHECKED int tbus_cost_name_to_json(const tbus_cost_name_t *name, char **ret_text);

/* Two models beside each other, as tbus_models_compare() does. Schema: docs/models-comparison.schema.json. Errors:
 * UV_EOVERFLOW, too (the costs lie too far apart). */
TBUS_API TBUS_CHECKED int tbus_models_comparison_to_json(const tbus_model_t *a, const tbus_model_t *b, char **ret_text);

/* Models by a figure, the highest first, as tbus_models_rank() does; at most `limit` (0 = all). Schema:
 * docs/models-ranking.schema.json. */
TBUS_API TBUS_CHECKED int tbus_models_ranking_to_json(const tbus_models_snapshot_t *snapshot, tbus_model_figure_t by,
                                                      size_t limit, char **ret_text);

/* The SLO in all and of each endpoint, with burn rates and alerts. Schema: docs/slo.schema.json. */
TBUS_API TBUS_CHECKED int tbus_slo_to_json(const tbus_errors_snapshot_t *snapshot, char **ret_text);

/* A list of patterns, in its order. Schema: docs/error-patterns.schema.json. */
TBUS_API TBUS_CHECKED int tbus_error_patterns_to_json(const tbus_error_patterns_t *patterns, char **ret_text);

/* A list of recent errors, in its order. Schema: docs/recent-errors.schema.json. */
TBUS_API TBUS_CHECKED int tbus_recent_errors_to_json(const tbus_recent_errors_t *recent, char **ret_text);

/* One stream; "reason" and "end_ns" are null while it is active. Schema: docs/stream.schema.json. */
TBUS_API TBUS_CHECKED int tbus_stream_to_json(const char *stream_id, const tbus_stream_info_t *stream, char **ret_text);

/* What came of a price file. */
typedef struct tbus_prices_report {
    uint32_t loaded;  /* models whose prices are in the table now */
    uint32_t skipped; /* entries that have no price that can be used */
} tbus_prices_report_t;

typedef void (*tbus_prices_skipped_cb)(const char *model, const char *why, void *user);

/* Loads a price file in the common community form (an object by model name) over a table, all or nothing. Prices are
 * read as their decimal text, never through a double. `skipped` (may be NULL) is told each entry that can not be priced
 * and why. What a usage does not count (seconds, pixels, queries, frames) has no price here: an entry priced by these
 * alone can not be priced. On a malformed file `why` (may be NULL) says what is wrong and where, and the table stays as it was. Errors:
 * UV_EINVAL (malformed), UV_EBUSY (a tracker holds the table), UV_EFBIG (over 64 MiB), UV_E2BIG (over 100,000 models), UV_ENOMEM, or what reading the file
 * met. [any thread, the table alone] */
TBUS_API int tbus_prices_load(tbus_prices_t *prices, const char *path, tbus_prices_skipped_cb skipped, void *user,
                              tbus_prices_report_t *ret_report, char *why, size_t why_bytes);

TBUS_END_DECLS

#endif
