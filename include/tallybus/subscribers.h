/* Subscribers that feed the trackers from a bus. Each call returns a subscription's number, for tbus_unsubscribe(), or
 * an error as tbus_subscriber_add(). The tracker is borrowed: close it after the subscription has ended
 * (tbus_unsubscribe_wait(), or the bus is freed). What a tracker refuses (an orphan, a duplicate) it counts itself; the
 * bus sees no error of it. */
#ifndef TALLYBUS_SUBSCRIBERS_H
#define TALLYBUS_SUBSCRIBERS_H

#include <tallybus/budget.h>
#include <tallybus/bus.h>
#include <tallybus/cost.h>
#include <tallybus/errors.h>
#include <tallybus/inference.h>
#include <tallybus/kvcache.h>
#include <tallybus/ledger.h>
#include <tallybus/models.h>
#include <tallybus/requests.h>
#include <tallybus/streaming.h>
#include <tallybus/usage_event.h>

TBUS_BEGIN_DECLS

/* stream.* and network.backpressure, client.disconnected; lifecycle at priority 8; tokens, stream.progress and
 * back-pressure at 5. stream.progress says that a stream lives: its tokens_generated is not counted. [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_streaming_attach(tbus_streaming_t *streaming, tbus_t *bus);

/* request.completed, request.failed, error.occurred; priority 10. What the tracker finds out it publishes at the end of
 * a batch: slo.violation and slo.recovered (slo_type "burn_rate", the alert's long window, no endpoint = all requests),
 * error.pattern_detected. What the bus does not take is offered again later. [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_errors_attach(tbus_errors_t *errors, tbus_t *bus);

/* tbus_errors_evaluate(), and publishes what has been found out. Alerts are left when traffic stops only if somebody
 * looks: call this from a timer, each 10 s or so, with tbus_now(). Errors: UV_EINVAL, and what publishing returns: then
 * what is left is offered again later. [any thread] */
TBUS_API int tbus_errors_publish_findings(tbus_errors_t *errors, tbus_t *bus, int64_t now_ns);

/* request.completed, the lifecycle of streams, client.disconnected; priority 7, stream.progress at 5. Publishes
 * usage.priced where that is wanted: see usage_event.h. There it must be the one cost tracker of its bus: of two, each
 * tells of every request, and models count both.
 *
 * A stream that is cancelled, or whose client disconnects, is recorded as an estimate: with the input_tokens of its
 * stream.started, and of the tokens delivered the larger of the cancelling event's own number (token_count, tokens_sent)
 * and of what stream.progress said last. A request.completed with the same request_id (the stream's own id where its
 * start came without one) replaces the estimate; where it came first, nothing is estimated. 20,000 streams are known at
 * a time; past that, and without memory, streams are counted as untracked: not billed if they are cut off.
 * [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_cost_attach(tbus_cost_t *cost, tbus_t *bus);

/* The same for hosts whose cancelling events tell no number: stream.token_generated is counted too, and the most of the
 * three counts. That costs 15 to 30 ns for each token; tokens that were shed are missing. [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_cost_attach_counting(tbus_cost_t *cost, tbus_t *bus);

/* usage.priced (which it enables, see usage_event.h) settles and retracts, request.failed releases, request.started and
 * request.completed let time pass; priority 6. Reserving stays the host's. What the tracker finds out is published as
 * budget.alert, budget.exceeded (`limit_type`: "soft" or "hard") and budget.reset; `scope` is "all", "key", "user" or
 * "project", and a key is redacted. It is published with the next of these events, also where a call on another thread
 * found it; what the queue has no room for is tried again. More errors: as tbus_usage_events_enable(). [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_budgets_attach(tbus_budgets_t *budgets, tbus_t *bus);

/* usage.priced, which this enables, at priority 5, on a thread of its own (TBUS_ISOLATED); a second thread commits, at
 * the latest `commit_ms` after a record came. Also UV_ENOTSUP (built without SQLite) and what starting a thread met.
 *
 * When a commit fails, error.occurred says so (error_type "ledger_write_failed"), and again when records begin to be
 * lost ("ledger_records_lost"); each once, until a commit has gone well, which recovery.succeeded tells. Tries go on by
 * themselves: see `retry_min_ms`. What is still not written when the subscription ends waits for tbus_ledger_close().
 * What is too old is deleted (tbus_ledger_prune()) once a minute by the bus's clock.
 *
 * Closing the bus loses nothing: what the cost tracker prices while the bus drains is drained, too.
 * [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_ledger_attach(tbus_ledger_t *ledger, tbus_t *bus);

/* Lets a cost tracker go on where a ledger says that it was: what each key, user, project, model and endpoint used in all
 * and, in the 31 days that end with the latest record, by hour; savings, estimated and unpriced requests; exactly. What
 * is not restored: see tbus_cost_restore(). A name that the ledger keeps otherwise (longer than 255 bytes, not UTF-8) gets
 * a row under the ledger's form; past the tracker's caps other names may be "other" than before. Records whose time is too
 * far ahead of `now_ns` to be believed count in its hour. Hours that the ledger has deleted are missing: see
 * `history_from_ns` of the snapshot.
 *
 * A gateway starts in this order: tbus_ledger_open(), tbus_cost_open(), this; tbus_budgets_open(), the budgets are set,
 * tbus_budgets_resume(); then tbus_ledger_attach(), tbus_budgets_attach(), tbus_cost_attach(), and the first request.
 * Nobody else writes to the ledger meanwhile.
 *
 * Errors, with nothing restored: UV_EINVAL, UV_EALREADY (something has been recorded or restored: so it is never counted
 * twice), UV_EOVERFLOW, UV_ENOMEM, UV_ENOTSUP (built without SQLite), and what reading the ledger met; but where usage is
 * recorded meanwhile, UV_EALREADY with a part restored. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_resume(tbus_cost_t *cost, tbus_ledger_t *ledger, int64_t now_ns);

/* Lets budgets go on where a ledger says that they were at `now_ns`: what each has used in its period and in all, with
 * usage from before the budget was first set; tells nothing of it. Call it once, when the budgets are set and before
 * anything is counted in them or entered in the ledger: tbus_ledger_open(), this, tbus_ledger_attach() and
 * tbus_budgets_attach(). Usage leaves a rolling budget up to a 60th of its length later than it would have. Subjects
 * that share a budget for want of room (`defaulted_max`) get back their lifetime totals only.
 * Errors, some budgets being restored then and others not: UV_EINVAL, UV_ERANGE (a period began before the ledger's
 * sums by hour do: see its `keep_hours_days`), UV_ENOMEM, UV_EOVERFLOW, UV_ENOTSUP (built without SQLite), and what
 * reading the ledger met. [any thread] */
TBUS_API TBUS_CHECKED int tbus_budgets_resume(tbus_budgets_t *budgets, tbus_ledger_t *ledger, int64_t now_ns);

/* request.started, request.completed, request.failed; priority 10. Tokens are those of request.completed. [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_requests_attach(tbus_requests_t *requests, tbus_t *bus);

/* request.started, .dequeued, .routed, .completed, .failed, prefill.*, decode.*, stream.first_token (its request_id; where
 * that is absent, its stream_id), worker.*; priority 9. Gauges at 5: request.queued, queue.depth_changed,
 * batch.size_changed. A completed request with a status of 500 or more has failed. [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_inference_attach(tbus_inference_t *inference, tbus_t *bus);

/* request.completed, request.failed, and usage.priced, which it enables (see usage_event.h) and whose cost it counts, or
 * takes back where it is retracted; priority 6. Without a cost tracker on the bus, or a host that publishes usage.priced,
 * models cost nothing. More errors: as tbus_usage_events_enable(). [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_models_attach(tbus_models_t *models, tbus_t *bus);

/* cache.lookup, cache.speedup_measured; priority 6. cache.hit and cache.miss are not read: they tell of look-ups that
 * cache.lookup tells already. [any thread] */
TBUS_API TBUS_CHECKED int64_t tbus_kvcache_attach(tbus_kvcache_t *kvcache, tbus_t *bus);

TBUS_END_DECLS

#endif
