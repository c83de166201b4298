/* All trackers of a telemetry set as one object. What a snapshot has is listed once, in a table for each struct. */
#include <tallybus/telemetry.h>

#if TBUS_WITH_JSON

#include "exporters/json_value.h"

enum field_kind { FIELD_UINT, FIELD_INT, FIELD_DOUBLE, FIELD_MONEY, FIELD_STRING, FIELD_BOOL, FIELD_DISTRIBUTION };

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* --- What there is --- */

static const struct field distribution[] = {
    {"count", FIELD_UINT, offsetof(tbus_distribution_t, count)},
    {"avg", FIELD_DOUBLE, offsetof(tbus_distribution_t, avg)},
    {"min", FIELD_DOUBLE, offsetof(tbus_distribution_t, min)},
    {"max", FIELD_DOUBLE, offsetof(tbus_distribution_t, max)},
    {"p50", FIELD_DOUBLE, offsetof(tbus_distribution_t, p50)},
    {"p90", FIELD_DOUBLE, offsetof(tbus_distribution_t, p90)},
    {"p95", FIELD_DOUBLE, offsetof(tbus_distribution_t, p95)},
    {"p99", FIELD_DOUBLE, offsetof(tbus_distribution_t, p99)},
};

static const struct field traffic[] = {
    {"name", FIELD_STRING, offsetof(tbus_traffic_t, name)},
    {"requests", FIELD_UINT, offsetof(tbus_traffic_t, requests)},
    {"responses", FIELD_UINT, offsetof(tbus_traffic_t, responses)},
    {"errors", FIELD_UINT, offsetof(tbus_traffic_t, errors)},
    {"prompt_tokens", FIELD_UINT, offsetof(tbus_traffic_t, prompt_tokens)},
    {"completion_tokens", FIELD_UINT, offsetof(tbus_traffic_t, completion_tokens)},
    {"in_flight", FIELD_UINT, offsetof(tbus_traffic_t, in_flight)},
    {"requests_per_second", FIELD_DOUBLE, offsetof(tbus_traffic_t, requests_per_second)},
    {"responses_per_second", FIELD_DOUBLE, offsetof(tbus_traffic_t, responses_per_second)},
    {"errors_per_second", FIELD_DOUBLE, offsetof(tbus_traffic_t, errors_per_second)},
    {"tokens_per_second", FIELD_DOUBLE, offsetof(tbus_traffic_t, tokens_per_second)},
    {"latency_ms", FIELD_DISTRIBUTION, offsetof(tbus_traffic_t, latency_ms)},
};

static const struct field requests[] = {
    {"unmatched_responses", FIELD_UINT, offsetof(tbus_requests_snapshot_t, unmatched_responses)},
    {"negative_durations", FIELD_UINT, offsetof(tbus_requests_snapshot_t, negative_durations)},
    {"ahead", FIELD_UINT, offsetof(tbus_requests_snapshot_t, ahead)},
};

static const struct field model[] = {
    {"name", FIELD_STRING, offsetof(tbus_model_t, traffic.name)},
    {"requests", FIELD_UINT, offsetof(tbus_model_t, traffic.requests)},
    {"responses", FIELD_UINT, offsetof(tbus_model_t, traffic.responses)},
    {"errors", FIELD_UINT, offsetof(tbus_model_t, traffic.errors)},
    {"prompt_tokens", FIELD_UINT, offsetof(tbus_model_t, traffic.prompt_tokens)},
    {"completion_tokens", FIELD_UINT, offsetof(tbus_model_t, traffic.completion_tokens)},
    {"in_flight", FIELD_UINT, offsetof(tbus_model_t, traffic.in_flight)},
    {"requests_per_second", FIELD_DOUBLE, offsetof(tbus_model_t, traffic.requests_per_second)},
    {"responses_per_second", FIELD_DOUBLE, offsetof(tbus_model_t, traffic.responses_per_second)},
    {"errors_per_second", FIELD_DOUBLE, offsetof(tbus_model_t, traffic.errors_per_second)},
    {"tokens_per_second", FIELD_DOUBLE, offsetof(tbus_model_t, traffic.tokens_per_second)},
    {"latency_ms", FIELD_DISTRIBUTION, offsetof(tbus_model_t, traffic.latency_ms)},
    {"error_rate", FIELD_DOUBLE, offsetof(tbus_model_t, error_rate)},
    {"total_tokens", FIELD_UINT, offsetof(tbus_model_t, total_tokens)},
    {"cost_usd", FIELD_MONEY, offsetof(tbus_model_t, cost)},
    {"first_ns", FIELD_INT, offsetof(tbus_model_t, first_ns)},
    {"last_ns", FIELD_INT, offsetof(tbus_model_t, last_ns)},
    {"endpoints", FIELD_UINT, offsetof(tbus_model_t, endpoints)},
    {"users", FIELD_UINT, offsetof(tbus_model_t, users)},
};

static const struct field models[] = {
    {"negative_durations", FIELD_UINT, offsetof(tbus_models_snapshot_t, negative_durations)},
    {"refused_costs", FIELD_UINT, offsetof(tbus_models_snapshot_t, refused_costs)},
    {"ahead", FIELD_UINT, offsetof(tbus_models_snapshot_t, ahead)},
    {"endpoints_full", FIELD_BOOL, offsetof(tbus_models_snapshot_t, endpoints_full)},
    {"users_full", FIELD_BOOL, offsetof(tbus_models_snapshot_t, users_full)},
};

static const struct field inference_figures[] = {
    {"model", FIELD_STRING, offsetof(tbus_inference_figures_t, model)},
    {"started", FIELD_UINT, offsetof(tbus_inference_figures_t, started)},
    {"completed", FIELD_UINT, offsetof(tbus_inference_figures_t, completed)},
    {"failed", FIELD_UINT, offsetof(tbus_inference_figures_t, failed)},
    {"input_tokens", FIELD_UINT, offsetof(tbus_inference_figures_t, input_tokens)},
    {"output_tokens", FIELD_UINT, offsetof(tbus_inference_figures_t, output_tokens)},
    {"cached_tokens", FIELD_UINT, offsetof(tbus_inference_figures_t, cached_tokens)},
    {"cached_share", FIELD_DOUBLE, offsetof(tbus_inference_figures_t, cached_share)},
    {"requests_per_second", FIELD_DOUBLE, offsetof(tbus_inference_figures_t, requests_per_second)},
    {"input_tokens_per_second", FIELD_DOUBLE, offsetof(tbus_inference_figures_t, input_tokens_per_second)},
    {"output_tokens_per_second", FIELD_DOUBLE, offsetof(tbus_inference_figures_t, output_tokens_per_second)},
    {"queue_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, queue_ms)},
    {"prefill_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, prefill_ms)},
    {"decode_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, decode_ms)},
    {"ttft_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, ttft_ms)},
    {"itl_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, itl_ms)},
    {"tpot_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, tpot_ms)},
    {"total_ms", FIELD_DISTRIBUTION, offsetof(tbus_inference_figures_t, total_ms)},
};

static const struct field inference[] = {
    {"active", FIELD_UINT, offsetof(tbus_inference_snapshot_t, active)},
    {"queue_depth", FIELD_INT, offsetof(tbus_inference_snapshot_t, queue_depth.now)},
    {"queue_depth_max", FIELD_INT, offsetof(tbus_inference_snapshot_t, queue_depth.max)},
    {"queue_depth_mean", FIELD_DOUBLE, offsetof(tbus_inference_snapshot_t, queue_depth.mean)},
    {"batch_size", FIELD_INT, offsetof(tbus_inference_snapshot_t, batch_size.now)},
    {"batch_size_max", FIELD_INT, offsetof(tbus_inference_snapshot_t, batch_size.max)},
    {"batch_size_mean", FIELD_DOUBLE, offsetof(tbus_inference_snapshot_t, batch_size.mean)},
    {"duplicate_starts", FIELD_UINT, offsetof(tbus_inference_snapshot_t, duplicate_starts)},
    {"refused_starts", FIELD_UINT, offsetof(tbus_inference_snapshot_t, refused_starts)},
    {"orphan_events", FIELD_UINT, offsetof(tbus_inference_snapshot_t, orphan_events)},
    {"abandoned", FIELD_UINT, offsetof(tbus_inference_snapshot_t, abandoned)},
    {"negative_intervals", FIELD_UINT, offsetof(tbus_inference_snapshot_t, negative_intervals)},
    {"ahead", FIELD_UINT, offsetof(tbus_inference_snapshot_t, ahead)},
};

static const struct field worker[] = {
    {"worker", FIELD_STRING, offsetof(tbus_inference_worker_t, worker)},
    {"requests", FIELD_UINT, offsetof(tbus_inference_worker_t, requests)},
    {"tokens", FIELD_UINT, offsetof(tbus_inference_worker_t, tokens)},
    {"done", FIELD_UINT, offsetof(tbus_inference_worker_t, done)},
    {"latency_ms", FIELD_DOUBLE, offsetof(tbus_inference_worker_t, latency_ms)},
    {"share", FIELD_DOUBLE, offsetof(tbus_inference_worker_t, share)},
};

static const struct field kvcache_figures[] = {
    {"endpoint", FIELD_STRING, offsetof(tbus_kvcache_figures_t, endpoint)},
    {"lookups", FIELD_UINT, offsetof(tbus_kvcache_figures_t, lookups)},
    {"hits", FIELD_UINT, offsetof(tbus_kvcache_figures_t, hits)},
    {"hit_rate", FIELD_DOUBLE, offsetof(tbus_kvcache_figures_t, hit_rate)},
    {"tokens", FIELD_UINT, offsetof(tbus_kvcache_figures_t, tokens)},
    {"reused", FIELD_UINT, offsetof(tbus_kvcache_figures_t, reused)},
    {"token_reuse_rate", FIELD_DOUBLE, offsetof(tbus_kvcache_figures_t, token_reuse_rate)},
    {"speedups", FIELD_UINT, offsetof(tbus_kvcache_figures_t, speedups)},
    {"baseline_ttft_ms", FIELD_DOUBLE, offsetof(tbus_kvcache_figures_t, baseline_ttft_ms)},
    {"actual_ttft_ms", FIELD_DOUBLE, offsetof(tbus_kvcache_figures_t, actual_ttft_ms)},
    {"speedup_ratio", FIELD_DOUBLE, offsetof(tbus_kvcache_figures_t, speedup_ratio)},
    {"improvement", FIELD_DOUBLE, offsetof(tbus_kvcache_figures_t, improvement)},
};

static const struct field kvcache[] = {
    {"cut_matches", FIELD_UINT, offsetof(tbus_kvcache_snapshot_t, cut_matches)},
    {"refused_lookups", FIELD_UINT, offsetof(tbus_kvcache_snapshot_t, refused_lookups)},
    {"refused_speedups", FIELD_UINT, offsetof(tbus_kvcache_snapshot_t, refused_speedups)},
};

static const struct field streaming[] = {
    {"total_streams", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, total_streams)},
    {"completed_streams", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, completed_streams)},
    {"failed_streams", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, failed_streams)},
    {"cancelled_streams", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, cancelled_streams)},
    {"abandoned_streams", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, abandoned_streams)},
    {"active_streams", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, active_streams)},
    {"total_tokens", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, total_tokens)},
    {"shed_tokens", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, shed_tokens)},
    {"backpressure_events", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, backpressure_events)},
    {"duplicate_starts", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, duplicate_starts)},
    {"refused_starts", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, refused_starts)},
    {"orphan_events", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, orphan_events)},
    {"negative_intervals", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, negative_intervals)},
    {"sequence_jumps", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, sequence_jumps)},
    {"oversized_events", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, oversized_events)},
    {"ahead", FIELD_UINT, offsetof(tbus_streaming_snapshot_t, ahead)},
    {"aggregate_ns", FIELD_INT, offsetof(tbus_streaming_snapshot_t, aggregate_ns)},
    {"success_rate", FIELD_DOUBLE, offsetof(tbus_streaming_snapshot_t, success_rate)},
    {"goodput", FIELD_DOUBLE, offsetof(tbus_streaming_snapshot_t, goodput)},
    {"ttft_ms", FIELD_DISTRIBUTION, offsetof(tbus_streaming_snapshot_t, ttft_ms)},
    {"itl_ms", FIELD_DISTRIBUTION, offsetof(tbus_streaming_snapshot_t, itl_ms)},
    {"icl_ms", FIELD_DISTRIBUTION, offsetof(tbus_streaming_snapshot_t, icl_ms)},
    {"tpot_ms", FIELD_DISTRIBUTION, offsetof(tbus_streaming_snapshot_t, tpot_ms)},
    {"tokens_per_second", FIELD_DISTRIBUTION, offsetof(tbus_streaming_snapshot_t, tokens_per_second)},
    {"duration_ms", FIELD_DISTRIBUTION, offsetof(tbus_streaming_snapshot_t, duration_ms)},
};

static const struct field streaming_model[] = {
    {"model", FIELD_STRING, offsetof(tbus_streaming_model_t, model)},
    {"streams", FIELD_UINT, offsetof(tbus_streaming_model_t, streams)},
    {"tokens", FIELD_UINT, offsetof(tbus_streaming_model_t, tokens)},
    {"recent_streams", FIELD_UINT, offsetof(tbus_streaming_model_t, recent_streams)},
    {"recent_tokens", FIELD_UINT, offsetof(tbus_streaming_model_t, recent_tokens)},
};

static const struct field errors[] = {
    {"total_requests", FIELD_UINT, offsetof(tbus_errors_snapshot_t, slo.total_requests)},
    {"errors", FIELD_UINT, offsetof(tbus_errors_snapshot_t, slo.errors)},
    {"error_rate", FIELD_DOUBLE, offsetof(tbus_errors_snapshot_t, slo.error_rate)},
    {"success_rate", FIELD_DOUBLE, offsetof(tbus_errors_snapshot_t, slo.success_rate)},
    {"violated", FIELD_BOOL, offsetof(tbus_errors_snapshot_t, slo.violated)},
    {"budget_remaining", FIELD_UINT, offsetof(tbus_errors_snapshot_t, slo.budget_remaining)},
    {"budget_percentage", FIELD_DOUBLE, offsetof(tbus_errors_snapshot_t, slo.budget_percentage)},
    {"burn_rate", FIELD_DOUBLE, offsetof(tbus_errors_snapshot_t, slo.burn_rate)},
    {"requests", FIELD_UINT, offsetof(tbus_errors_snapshot_t, requests)},
    {"failed", FIELD_UINT, offsetof(tbus_errors_snapshot_t, failed)},
    {"excluded", FIELD_UINT, offsetof(tbus_errors_snapshot_t, excluded)},
    {"ahead", FIELD_UINT, offsetof(tbus_errors_snapshot_t, ahead)},
    {"requests_in_window", FIELD_UINT, offsetof(tbus_errors_snapshot_t, requests_in_window)},
    {"failed_in_window", FIELD_UINT, offsetof(tbus_errors_snapshot_t, failed_in_window)},
    {"error_rate_in_window", FIELD_DOUBLE, offsetof(tbus_errors_snapshot_t, error_rate_in_window)},
    {"patterns_dropped", FIELD_UINT, offsetof(tbus_errors_snapshot_t, patterns_dropped)},
    {"findings_waiting", FIELD_UINT, offsetof(tbus_errors_snapshot_t, findings_waiting)},
    {"findings_delayed", FIELD_UINT, offsetof(tbus_errors_snapshot_t, findings_delayed)},
};

static const struct field error_count[] = {
    {"name", FIELD_STRING, offsetof(tbus_error_count_t, name)},
    {"errors", FIELD_UINT, offsetof(tbus_error_count_t, errors)},
};

static const struct field error_status[] = {
    {"status_code", FIELD_INT, offsetof(tbus_error_status_count_t, status_code)},
    {"errors", FIELD_UINT, offsetof(tbus_error_status_count_t, errors)},
};

static const struct field cost[] = {
    {"total_usd", FIELD_MONEY, offsetof(tbus_cost_snapshot_t, total.usd)},
    {"requests", FIELD_UINT, offsetof(tbus_cost_snapshot_t, total.requests)},
    {"prompt_tokens", FIELD_UINT, offsetof(tbus_cost_snapshot_t, total.prompt_tokens)},
    {"completion_tokens", FIELD_UINT, offsetof(tbus_cost_snapshot_t, total.completion_tokens)},
    {"cached_tokens", FIELD_UINT, offsetof(tbus_cost_snapshot_t, total.cached_tokens)},
    {"cache_savings_usd", FIELD_MONEY, offsetof(tbus_cost_snapshot_t, cache_savings)},
    {"batch_savings_usd", FIELD_MONEY, offsetof(tbus_cost_snapshot_t, batch_savings)},
    {"projected_monthly_usd", FIELD_MONEY, offsetof(tbus_cost_snapshot_t, projected_monthly)},
    {"estimated_requests", FIELD_UINT, offsetof(tbus_cost_snapshot_t, estimated_requests)},
    {"retracted_estimates", FIELD_UINT, offsetof(tbus_cost_snapshot_t, retracted_estimates)},
    {"forgotten_estimates", FIELD_UINT, offsetof(tbus_cost_snapshot_t, forgotten_estimates)},
    {"untracked_streams", FIELD_UINT, offsetof(tbus_cost_snapshot_t, untracked_streams)},
    {"ahead_usages", FIELD_UINT, offsetof(tbus_cost_snapshot_t, ahead_usages)},
    {"refused_usages", FIELD_UINT, offsetof(tbus_cost_snapshot_t, refused_usages)},
    {"absurd_usages", FIELD_UINT, offsetof(tbus_cost_snapshot_t, absurd_usages)},
    {"cut_cached_tokens", FIELD_UINT, offsetof(tbus_cost_snapshot_t, cut_cached_tokens)},
    {"dropped_sums", FIELD_UINT, offsetof(tbus_cost_snapshot_t, dropped_sums)},
    {"history_from_ns", FIELD_INT, offsetof(tbus_cost_snapshot_t, history_from_ns)},
};

static const struct field cost_sum[] = {
    {"name", FIELD_STRING, offsetof(tbus_cost_sum_t, name)},
    {"usd", FIELD_MONEY, offsetof(tbus_cost_sum_t, usd)},
    {"requests", FIELD_UINT, offsetof(tbus_cost_sum_t, requests)},
    {"prompt_tokens", FIELD_UINT, offsetof(tbus_cost_sum_t, prompt_tokens)},
    {"completion_tokens", FIELD_UINT, offsetof(tbus_cost_sum_t, completion_tokens)},
    {"cached_tokens", FIELD_UINT, offsetof(tbus_cost_sum_t, cached_tokens)},
    {"unpriced_requests", FIELD_UINT, offsetof(tbus_cost_sum_t, unpriced_requests)},
};

/* --- Objects --- */

static json_t *object_of(const void *figures, const struct field *fields, size_t count);

static json_t *value_of(enum field_kind kind, const void *at)
{
    char text[TBUS_MONEY_TEXT_MAX];
    switch (kind) {
    case FIELD_UINT:
        return json_value_count(*(const uint64_t *)at);
    case FIELD_INT:
        return json_integer(*(const json_int_t *)at);
    case FIELD_DOUBLE:
        return json_value_double(*(const double *)at);
    case FIELD_MONEY:
        return json_string(tbus_money_format(*(const tbus_money_t *)at, -1, text));
    case FIELD_STRING:
        return json_value_text(*(const char *const *)at);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_DISTRIBUTION:
        return object_of(at, distribution, COUNT(distribution));
    }
    return NULL;
}

/* NULL on want of memory. */
static json_t *object_of(const void *figures, const struct field *fields, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        if (json_object_set_new(object, fields[i].name,
                                value_of(fields[i].kind, (const char *)figures + fields[i].offset)) != 0) {
            json_decref(object);
            return NULL;
        }
    return object;
}

/* Puts a value into an object that may be NULL already. Returns the object, or NULL. */
static json_t *put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *put_list(json_t *object, const char *name, const void *rows, size_t count, size_t bytes,
                        const struct field *fields, size_t fields_count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, object_of((const char *)rows + i * bytes, fields, fields_count)) != 0) {
            json_decref(list);
            json_decref(object);
            return NULL;
        }
    return put(object, name, list);
}

#define PUT_LIST(object, name, rows, rows_count, fields)                                                               \
    put_list(object, name, rows, rows_count, sizeof *(rows), fields, COUNT(fields))

static json_t *errors_of(const tbus_errors_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, errors, COUNT(errors));
    object = PUT_LIST(object, "by_endpoint", snapshot->by_endpoint, snapshot->by_endpoint_count, error_count);
    object = PUT_LIST(object, "by_type", snapshot->by_type, snapshot->by_type_count, error_count);
    object = PUT_LIST(object, "by_model", snapshot->by_model, snapshot->by_model_count, error_count);
    return PUT_LIST(object, "by_status", snapshot->by_status, snapshot->by_status_count, error_status);
}

static json_t *requests_of(const tbus_requests_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, requests, COUNT(requests));
    object = put(object, "all", object_of(&snapshot->all, traffic, COUNT(traffic)));
    return PUT_LIST(object, "endpoints", snapshot->endpoints, snapshot->endpoints_count, traffic);
}

static json_t *inference_of(const tbus_inference_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, inference, COUNT(inference));
    object = put(object, "all", object_of(&snapshot->all, inference_figures, COUNT(inference_figures)));
    object = PUT_LIST(object, "models", snapshot->models, snapshot->models_count, inference_figures);
    return PUT_LIST(object, "workers", snapshot->workers, snapshot->workers_count, worker);
}

static json_t *streaming_of(const tbus_streaming_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, streaming, COUNT(streaming));
    return PUT_LIST(object, "models", snapshot->models, snapshot->models_count, streaming_model);
}

static json_t *cost_of(const tbus_cost_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, cost, COUNT(cost));
    object = PUT_LIST(object, "by_key", snapshot->by_key, snapshot->by_key_count, cost_sum);
    object = PUT_LIST(object, "by_user", snapshot->by_user, snapshot->by_user_count, cost_sum);
    object = PUT_LIST(object, "by_project", snapshot->by_project, snapshot->by_project_count, cost_sum);
    object = PUT_LIST(object, "by_model", snapshot->by_model, snapshot->by_model_count, cost_sum);
    return PUT_LIST(object, "by_endpoint", snapshot->by_endpoint, snapshot->by_endpoint_count, cost_sum);
}

static json_t *models_of(const tbus_models_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, models, COUNT(models));
    return PUT_LIST(object, "models", snapshot->models, snapshot->models_count, model);
}

static json_t *kvcache_of(const tbus_kvcache_snapshot_t *snapshot)
{
    json_t *object = object_of(snapshot, kvcache, COUNT(kvcache));
    object = put(object, "all", object_of(&snapshot->all, kvcache_figures, COUNT(kvcache_figures)));
    return PUT_LIST(object, "endpoints", snapshot->endpoints, snapshot->endpoints_count, kvcache_figures);
}

static json_t *document(const tbus_telemetry_snapshot_t *snapshot)
{
    json_t *object = put(json_object(), "time_ns", json_integer((json_int_t)snapshot->time_ns));
#define PUT(name)                                                                                                      \
    if (snapshot->name)                                                                                                \
        object = put(object, #name, name##_of(snapshot->name));
    PUT(errors)
    PUT(requests)
    PUT(inference)
    PUT(streaming)
    PUT(cost)
    PUT(models)
    PUT(kvcache)
#undef PUT
    return object;
}

int tbus_telemetry_json(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text)
{
    tbus_telemetry_snapshot_t *snapshot;
    if (!telemetry || !ret_text)
        return UV_EINVAL;
    int error = tbus_telemetry_snapshot(telemetry, now_ns, &snapshot);
    if (error)
        return error;
    json_t *object = document(snapshot);
    tbus_telemetry_snapshot_free(snapshot);
    return json_value_print(object, ret_text);
}

#else

int tbus_telemetry_json(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text)
{
    (void)telemetry;
    (void)now_ns;
    (void)ret_text;
    return UV_ENOTSUP;
}

#endif
