/* What the outputs of the trackers must make of each member of their snapshots: plain tables, written from the public
 * headers and docs/metrics.md, in the order of the members. */
#ifndef TESTS_EXPORTERS_TRACKER_FIGURES_H
#define TESTS_EXPORTERS_TRACKER_FIGURES_H

#include <stddef.h>

#include <tallybus.h>

enum figure_kind {
    A_COUNT,             /* uint64_t */
    A_LEVEL,             /* int64_t */
    A_MOMENT,            /* int64_t of ns; on pages in s */
    A_FLAG,              /* bool; on pages 0 or 1 */
    A_NUMBER,            /* double, like those below */
    A_TIME,              /* in ms; on pages in s */
    A_PER_CENT,          /* on pages a ratio */
    MONEY,               /* tbus_money_t; in documents a string */
    A_SPREAD,            /* tbus_distribution_t in ms; on pages in s */
    A_SPREAD_OF_3,       /* without the quantile 0.9 */
    A_SPREAD_OF_3_AS_IS, /* in its own unit, too */
    A_HISTOGRAM,         /* tbus_buckets_t */
    A_NAME,              /* const char *, the name of a row */
    A_LABEL,             /* const char *, a label of all histograms */
    NO_FIGURE            /* a list, or how long it is */
};

/* A member of a struct: its key in the document (with those of the objects around it, by "/"), its family on the page, or
 * NULL. Of a spread the family of its quantiles, and those of the other figures. */
struct figure {
    enum figure_kind kind;
    size_t offset, bytes, alignment;
    const char *key, *family, *average, *least, *most;
    const char *label; /* its value, of A_LABEL; of a histogram the type of tokens */
};

#define FIGURE(type, member, figure_kind, ...)                                                                         \
    {                                                                                                                  \
        .kind = figure_kind, .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member),                   \
        .alignment = __alignof__(((type *)0)->member), __VA_ARGS__                                                     \
    }

/* --- Requests --- */

#define OF(member, kind, ...) FIGURE(tbus_requests_snapshot_t, member, kind, __VA_ARGS__)
static const struct figure requests_figures[] = {
    OF(time_ns, A_MOMENT, "time_ns", NULL),
    OF(since_ns, A_MOMENT, "since_ns", NULL),
    OF(all.name, A_NAME, "all/name", NULL),
    OF(all.requests, A_COUNT, "all/requests", "request_total"),
    OF(all.responses, A_COUNT, "all/responses", "request_responses_total"),
    OF(all.errors, A_COUNT, "all/errors", "request_errors_total"),
    OF(all.prompt_tokens, A_COUNT, "all/prompt_tokens", "request_prompt_tokens_total"),
    OF(all.completion_tokens, A_COUNT, "all/completion_tokens", "request_completion_tokens_total"),
    OF(all.in_flight, A_COUNT, "all/in_flight", "request_in_flight"),
    OF(all.requests_per_second, A_NUMBER, "all/requests_per_second", "request_per_second"),
    OF(all.responses_per_second, A_NUMBER, "all/responses_per_second", "request_responses_per_second"),
    OF(all.errors_per_second, A_NUMBER, "all/errors_per_second", "request_errors_per_second"),
    OF(all.tokens_per_second, A_NUMBER, "all/tokens_per_second", "request_tokens_per_second"),
    OF(all.latency_ms, A_SPREAD, "all/latency_ms", "request_latency_seconds", "request_latency_average_seconds",
       "request_latency_min_seconds", "request_latency_max_seconds"),
    OF(unmatched_responses, A_COUNT, "unmatched_responses", "request_unmatched_responses_total"),
    OF(negative_durations, A_COUNT, "negative_durations", "request_negative_durations_total"),
    OF(ahead, A_COUNT, "ahead", "request_times_ahead_total"),
    OF(endpoints_count, NO_FIGURE, NULL, NULL),
    OF(endpoints, NO_FIGURE, NULL, NULL),
};
#undef OF

#define OF(member, kind, ...) FIGURE(tbus_traffic_t, member, kind, __VA_ARGS__)
static const struct figure requests_endpoint_figures[] = {
    OF(name, A_NAME, "name", NULL),
    OF(requests, A_COUNT, "requests", "request_by_endpoint_total"),
    OF(responses, A_COUNT, "responses", "request_responses_by_endpoint_total"),
    OF(errors, A_COUNT, "errors", "request_errors_by_endpoint_total"),
    OF(prompt_tokens, A_COUNT, "prompt_tokens", "request_prompt_tokens_by_endpoint_total"),
    OF(completion_tokens, A_COUNT, "completion_tokens", "request_completion_tokens_by_endpoint_total"),
    OF(in_flight, A_COUNT, "in_flight", "request_in_flight_by_endpoint"),
    OF(requests_per_second, A_NUMBER, "requests_per_second", "request_per_second_by_endpoint"),
    OF(responses_per_second, A_NUMBER, "responses_per_second", "request_responses_per_second_by_endpoint"),
    OF(errors_per_second, A_NUMBER, "errors_per_second", "request_errors_per_second_by_endpoint"),
    OF(tokens_per_second, A_NUMBER, "tokens_per_second", "request_tokens_per_second_by_endpoint"),
    OF(latency_ms, A_SPREAD, "latency_ms", "request_latency_by_endpoint_seconds",
       "request_latency_average_by_endpoint_seconds", "request_latency_min_by_endpoint_seconds",
       "request_latency_max_by_endpoint_seconds"),
};
#undef OF

/* --- Models --- */

#define OF(member, kind, ...) FIGURE(tbus_models_snapshot_t, member, kind, __VA_ARGS__)
static const struct figure models_figures[] = {
    OF(time_ns, A_MOMENT, "time_ns", NULL),
    OF(since_ns, A_MOMENT, "since_ns", NULL),
    OF(negative_durations, A_COUNT, "negative_durations", "model_negative_durations_total"),
    OF(refused_costs, A_COUNT, "refused_costs", "model_refused_costs_total"),
    OF(ahead, A_COUNT, "ahead", "model_times_ahead_total"),
    OF(endpoints_full, A_FLAG, "endpoints_full", "model_endpoints_full"),
    OF(users_full, A_FLAG, "users_full", "model_users_full"),
    OF(models_count, NO_FIGURE, NULL, NULL),
    OF(models, NO_FIGURE, NULL, NULL),
};
#undef OF

#define OF(member, kind, ...) FIGURE(tbus_model_t, member, kind, __VA_ARGS__)
static const struct figure models_model_figures[] = {
    OF(traffic.name, A_NAME, "name", NULL),
    OF(traffic.requests, A_COUNT, "requests", "model_requests_total"),
    OF(traffic.responses, A_COUNT, "responses", NULL),
    OF(traffic.errors, A_COUNT, "errors", "model_errors_total"),
    OF(traffic.prompt_tokens, A_COUNT, "prompt_tokens", "model_prompt_tokens_total"),
    OF(traffic.completion_tokens, A_COUNT, "completion_tokens", "model_completion_tokens_total"),
    OF(traffic.in_flight, A_COUNT, "in_flight", NULL),
    OF(traffic.requests_per_second, A_NUMBER, "requests_per_second", NULL),
    OF(traffic.responses_per_second, A_NUMBER, "responses_per_second", NULL),
    OF(traffic.errors_per_second, A_NUMBER, "errors_per_second", NULL),
    OF(traffic.tokens_per_second, A_NUMBER, "tokens_per_second", NULL),
    OF(traffic.latency_ms, A_SPREAD, "latency_ms", "model_latency_seconds", "model_latency_average_seconds"),
    OF(error_rate, A_NUMBER, "error_rate", "model_error_rate"),
    OF(total_tokens, A_COUNT, "total_tokens", "model_tokens_total"),
    OF(cost, MONEY, "cost_usd", "model_cost_usd"),
    OF(first_ns, A_MOMENT, "first_ns", "model_first_use_timestamp_seconds"),
    OF(last_ns, A_MOMENT, "last_ns", "model_last_use_timestamp_seconds"),
    OF(endpoints, A_COUNT, "endpoints", "model_endpoints"),
    OF(users, A_COUNT, "users", "model_users"),
};
#undef OF

/* --- Inference --- */

#define OF(member, kind, ...) FIGURE(tbus_inference_snapshot_t, member, kind, __VA_ARGS__)
static const struct figure inference_figures[] = {
    OF(time_ns, A_MOMENT, "time_ns", NULL),
    OF(since_ns, A_MOMENT, "since_ns", NULL),
    OF(all.model, A_NAME, "all/model", NULL),
    OF(all.started, A_COUNT, "all/started", "inference_started_total"),
    OF(all.completed, A_COUNT, "all/completed", "inference_completed_total"),
    OF(all.failed, A_COUNT, "all/failed", "inference_failed_total"),
    OF(all.input_tokens, A_COUNT, "all/input_tokens", "inference_input_tokens_total"),
    OF(all.output_tokens, A_COUNT, "all/output_tokens", "inference_output_tokens_total"),
    OF(all.cached_tokens, A_COUNT, "all/cached_tokens", "inference_cached_tokens_total"),
    OF(all.cached_share, A_NUMBER, "all/cached_share", "inference_cached_share"),
    OF(all.requests_per_second, A_NUMBER, "all/requests_per_second", "inference_requests_per_second"),
    OF(all.input_tokens_per_second, A_NUMBER, "all/input_tokens_per_second", "inference_input_tokens_per_second"),
    OF(all.output_tokens_per_second, A_NUMBER, "all/output_tokens_per_second", "inference_output_tokens_per_second"),
    OF(all.queue_ms, A_SPREAD, "all/queue_ms", "inference_queue_seconds", "inference_queue_average_seconds"),
    OF(all.prefill_ms, A_SPREAD, "all/prefill_ms", "inference_prefill_seconds", "inference_prefill_average_seconds"),
    OF(all.decode_ms, A_SPREAD, "all/decode_ms", "inference_decode_seconds", "inference_decode_average_seconds"),
    OF(all.ttft_ms, A_SPREAD, "all/ttft_ms", "inference_ttft_seconds", "inference_ttft_average_seconds"),
    OF(all.itl_ms, A_SPREAD, "all/itl_ms", "inference_itl_seconds", "inference_itl_average_seconds"),
    OF(all.tpot_ms, A_SPREAD, "all/tpot_ms", "inference_tpot_seconds", "inference_tpot_average_seconds"),
    OF(all.total_ms, A_SPREAD, "all/total_ms", "inference_total_seconds", "inference_total_average_seconds"),
    OF(active, A_COUNT, "active", "inference_active"),
    OF(queue_depth.now, A_LEVEL, "queue_depth", "inference_queue_depth"),
    OF(queue_depth.max, A_LEVEL, "queue_depth_max", "inference_queue_depth_max"),
    OF(queue_depth.mean, A_NUMBER, "queue_depth_mean", "inference_queue_depth_mean"),
    OF(batch_size.now, A_LEVEL, "batch_size", "inference_batch_size"),
    OF(batch_size.max, A_LEVEL, "batch_size_max", "inference_batch_size_max"),
    OF(batch_size.mean, A_NUMBER, "batch_size_mean", "inference_batch_size_mean"),
    OF(duplicate_starts, A_COUNT, "duplicate_starts", "inference_duplicate_starts_total"),
    OF(refused_starts, A_COUNT, "refused_starts", "inference_refused_starts_total"),
    OF(orphan_events, A_COUNT, "orphan_events", "inference_orphan_events_total"),
    OF(abandoned, A_COUNT, "abandoned", "inference_abandoned_total"),
    OF(negative_intervals, A_COUNT, "negative_intervals", "inference_negative_intervals_total"),
    OF(ahead, A_COUNT, "ahead", "inference_times_ahead_total"),
    OF(models_count, NO_FIGURE, NULL, NULL),
    OF(workers_count, NO_FIGURE, NULL, NULL),
    OF(models, NO_FIGURE, NULL, NULL),
    OF(workers, NO_FIGURE, NULL, NULL),
};
#undef OF

#define OF(member, kind, ...) FIGURE(tbus_inference_figures_t, member, kind, __VA_ARGS__)
static const struct figure inference_model_figures[] = {
    OF(model, A_NAME, "model", NULL),
    OF(started, A_COUNT, "started", "inference_started_by_model_total"),
    OF(completed, A_COUNT, "completed", "inference_completed_by_model_total"),
    OF(failed, A_COUNT, "failed", "inference_failed_by_model_total"),
    OF(input_tokens, A_COUNT, "input_tokens", "inference_input_tokens_by_model_total"),
    OF(output_tokens, A_COUNT, "output_tokens", "inference_output_tokens_by_model_total"),
    OF(cached_tokens, A_COUNT, "cached_tokens", "inference_cached_tokens_by_model_total"),
    OF(cached_share, A_NUMBER, "cached_share", "inference_cached_share_by_model"),
    OF(requests_per_second, A_NUMBER, "requests_per_second", "inference_requests_per_second_by_model"),
    OF(input_tokens_per_second, A_NUMBER, "input_tokens_per_second", "inference_input_tokens_per_second_by_model"),
    OF(output_tokens_per_second, A_NUMBER, "output_tokens_per_second", "inference_output_tokens_per_second_by_model"),
    OF(queue_ms, A_SPREAD, "queue_ms", "inference_queue_by_model_seconds", "inference_queue_average_by_model_seconds"),
    OF(prefill_ms, A_SPREAD, "prefill_ms", "inference_prefill_by_model_seconds",
       "inference_prefill_average_by_model_seconds"),
    OF(decode_ms, A_SPREAD, "decode_ms", "inference_decode_by_model_seconds",
       "inference_decode_average_by_model_seconds"),
    OF(ttft_ms, A_SPREAD, "ttft_ms", "inference_ttft_by_model_seconds", "inference_ttft_average_by_model_seconds"),
    OF(itl_ms, A_SPREAD, "itl_ms", "inference_itl_by_model_seconds", "inference_itl_average_by_model_seconds"),
    OF(tpot_ms, A_SPREAD, "tpot_ms", "inference_tpot_by_model_seconds", "inference_tpot_average_by_model_seconds"),
    OF(total_ms, A_SPREAD, "total_ms", "inference_total_by_model_seconds", "inference_total_average_by_model_seconds"),
};
#undef OF

#define OF(member, kind, ...) FIGURE(tbus_inference_worker_t, member, kind, __VA_ARGS__)
static const struct figure inference_worker_figures[] = {
    OF(worker, A_NAME, "worker", NULL),
    OF(requests, A_COUNT, "requests", "inference_worker_requests_total"),
    OF(tokens, A_COUNT, "tokens", "inference_worker_tokens_total"),
    OF(done, A_COUNT, "done", NULL),
    OF(latency_ms, A_TIME, "latency_ms", "inference_worker_latency_seconds"),
    OF(share, A_NUMBER, "share", "inference_worker_share"),
};
#undef OF

/* --- KV cache --- */

#define OF(member, kind, ...) FIGURE(tbus_kvcache_snapshot_t, member, kind, __VA_ARGS__)
static const struct figure kvcache_figures[] = {
    OF(since_ns, A_MOMENT, "since_ns", NULL),
    OF(all.endpoint, A_NAME, "all/endpoint", NULL),
    OF(all.lookups, A_COUNT, "all/lookups", "kvcache_lookups_total"),
    OF(all.hits, A_COUNT, "all/hits", "kvcache_hits_total"),
    OF(all.hit_rate, A_PER_CENT, "all/hit_rate", "kvcache_hit_ratio"),
    OF(all.tokens, A_COUNT, "all/tokens", "kvcache_tokens_total"),
    OF(all.reused, A_COUNT, "all/reused", "kvcache_reused_tokens_total"),
    OF(all.token_reuse_rate, A_PER_CENT, "all/token_reuse_rate", "kvcache_token_reuse_ratio"),
    OF(all.speedups, A_COUNT, "all/speedups", "kvcache_speedups_total"),
    OF(all.baseline_ttft_ms, A_TIME, "all/baseline_ttft_ms", "kvcache_baseline_ttft_seconds"),
    OF(all.actual_ttft_ms, A_TIME, "all/actual_ttft_ms", "kvcache_actual_ttft_seconds"),
    OF(all.speedup_ratio, A_NUMBER, "all/speedup_ratio", "kvcache_speedup_ratio"),
    OF(all.improvement, A_PER_CENT, "all/improvement", "kvcache_improvement_ratio"),
    OF(cut_matches, A_COUNT, "cut_matches", "kvcache_cut_matches_total"),
    OF(refused_lookups, A_COUNT, "refused_lookups", "kvcache_refused_lookups_total"),
    OF(refused_speedups, A_COUNT, "refused_speedups", "kvcache_refused_speedups_total"),
    OF(endpoints_count, NO_FIGURE, NULL, NULL),
    OF(endpoints, NO_FIGURE, NULL, NULL),
};
#undef OF

#define OF(member, kind, ...) FIGURE(tbus_kvcache_figures_t, member, kind, __VA_ARGS__)
static const struct figure kvcache_endpoint_figures[] = {
    OF(endpoint, A_NAME, "endpoint", NULL),
    OF(lookups, A_COUNT, "lookups", "kvcache_lookups_by_endpoint_total"),
    OF(hits, A_COUNT, "hits", "kvcache_hits_by_endpoint_total"),
    OF(hit_rate, A_PER_CENT, "hit_rate", "kvcache_hit_by_endpoint_ratio"),
    OF(tokens, A_COUNT, "tokens", "kvcache_tokens_by_endpoint_total"),
    OF(reused, A_COUNT, "reused", "kvcache_reused_tokens_by_endpoint_total"),
    OF(token_reuse_rate, A_PER_CENT, "token_reuse_rate", "kvcache_token_reuse_by_endpoint_ratio"),
    OF(speedups, A_COUNT, "speedups", "kvcache_speedups_by_endpoint_total"),
    OF(baseline_ttft_ms, A_TIME, "baseline_ttft_ms", "kvcache_baseline_ttft_by_endpoint_seconds"),
    OF(actual_ttft_ms, A_TIME, "actual_ttft_ms", "kvcache_actual_ttft_by_endpoint_seconds"),
    OF(speedup_ratio, A_NUMBER, "speedup_ratio", "kvcache_speedup_by_endpoint_ratio"),
    OF(improvement, A_PER_CENT, "improvement", "kvcache_improvement_by_endpoint_ratio"),
};
#undef OF

/* --- Streaming --- */

#define OF(member, kind, ...) FIGURE(tbus_streaming_snapshot_t, member, kind, __VA_ARGS__)
static const struct figure streaming_figures[] = {
    OF(time_ns, A_MOMENT, "time_ns", NULL),
    OF(since_ns, A_MOMENT, "since_ns", NULL),
    OF(total_streams, A_COUNT, "total_streams", "streaming_total_streams"),
    OF(completed_streams, A_COUNT, "completed_streams", "streaming_completed_streams"),
    OF(failed_streams, A_COUNT, "failed_streams", "streaming_failed_streams"),
    OF(cancelled_streams, A_COUNT, "cancelled_streams", "streaming_cancelled_streams_total"),
    OF(abandoned_streams, A_COUNT, "abandoned_streams", "streaming_abandoned_streams_total"),
    OF(total_tokens, A_COUNT, "total_tokens", "streaming_total_tokens"),
    OF(shed_tokens, A_COUNT, "shed_tokens", "streaming_shed_tokens_total"),
    OF(backpressure_events, A_COUNT, "backpressure_events", "streaming_backpressure_events"),
    OF(duplicate_starts, A_COUNT, "duplicate_starts", "streaming_duplicate_starts_total"),
    OF(refused_starts, A_COUNT, "refused_starts", "streaming_refused_starts_total"),
    OF(orphan_events, A_COUNT, "orphan_events", "streaming_orphan_events_total"),
    OF(negative_intervals, A_COUNT, "negative_intervals", "streaming_negative_intervals_total"),
    OF(sequence_jumps, A_COUNT, "sequence_jumps", "streaming_sequence_jumps_total"),
    OF(oversized_events, A_COUNT, "oversized_events", "streaming_oversized_events_total"),
    OF(ahead, A_COUNT, "ahead", "streaming_times_ahead_total"),
    OF(active_streams, A_COUNT, "active_streams", "streaming_active_streams"),
    OF(success_rate, A_NUMBER, "success_rate", "streaming_success_rate"),
    OF(aggregate_ns, A_MOMENT, "aggregate_ns", NULL),
    OF(ttft_ms, A_SPREAD_OF_3_AS_IS, "ttft_ms", "streaming_ttft_milliseconds"),
    OF(tpot_ms, A_SPREAD_OF_3, "tpot_ms", "streaming_tpot_seconds"),
    OF(tokens_per_second, A_SPREAD_OF_3_AS_IS, "tokens_per_second", "streaming_tokens_per_second"),
    OF(duration_ms, A_SPREAD_OF_3_AS_IS, "duration_ms", "streaming_duration_milliseconds"),
    OF(goodput, A_NUMBER, "goodput", "streaming_goodput_ratio"),
    OF(itl_ms, A_SPREAD_OF_3_AS_IS, "itl_ms", "streaming_itl_milliseconds"),
    OF(icl_ms, A_SPREAD_OF_3, "icl_ms", "streaming_icl_seconds"),
    OF(operation_name, A_LABEL, NULL, NULL, .label = "the operation"),
    OF(provider_name, A_LABEL, NULL, NULL, .label = "the provider"),
    OF(models_count, NO_FIGURE, NULL, NULL),
    OF(models, NO_FIGURE, NULL, NULL),
};
#undef OF

#define OF(member, kind, ...) FIGURE(tbus_streaming_model_t, member, kind, __VA_ARGS__)
static const struct figure streaming_model_figures[] = {
    OF(model, A_NAME, "model", NULL),
    OF(streams, A_COUNT, "streams", "streaming_streams_by_model"),
    OF(tokens, A_COUNT, "tokens", "streaming_tokens_by_model"),
    OF(recent_streams, A_COUNT, "recent_streams", "streaming_recent_streams_by_model"),
    OF(recent_tokens, A_COUNT, "recent_tokens", "streaming_recent_tokens_by_model"),
    OF(ttft_s, A_HISTOGRAM, NULL, "gen_ai_server_time_to_first_token_seconds"),
    OF(tpot_s, A_HISTOGRAM, NULL, "gen_ai_server_time_per_output_token_seconds"),
    OF(duration_s, A_HISTOGRAM, NULL, "gen_ai_server_request_duration_seconds"),
    OF(input_tokens, A_HISTOGRAM, NULL, "gen_ai_client_token_usage", .label = "input"),
    OF(output_tokens, A_HISTOGRAM, NULL, "gen_ai_client_token_usage", .label = "output"),
};
#undef OF

#endif
