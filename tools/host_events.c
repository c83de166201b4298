/* What the host publishes: one function for each step in the life of a request. */
#include <math.h>

#include "tools/host_call.h"

static double ms_since(uint64_t start_hr)
{
    return (double)(uv_hrtime() - start_hr) / 1e6;
}

/* A key that is not known is not told: it could be anything. */
static tbus_event_t base_of(const struct host_call *call, int64_t time_ns)
{
    const struct host_key *key = call->key;
    return (tbus_event_t){.time_ns = time_ns,
                          .request_id = call->id,
                          .api_key = key ? key->key : NULL,
                          .user_id = key ? key->user : NULL,
                          .project_id = key ? key->project : NULL};
}

static const char *model_of(const struct host_call *call)
{
    return call->model ? call->model->name : NULL;
}

#define PUBLISH_AT(time_ns, event, ...)                                                                                \
    host_published(call->host, tbus_publish_##event(call->host->bus,                                                   \
                                                    &(tbus_##event##_t){.base = base_of(call, time_ns), __VA_ARGS__}))

#define PUBLISH(event, ...) PUBLISH_AT(0, event, __VA_ARGS__)

/* A request begins when it arrives, and its stream with it: TTFT and duration have the same start, and hold what it
 * waited. */
void host_tell_started(struct host_call *call)
{
    call->is_told = true;
    PUBLISH_AT(call->arrived_ns, request_started, .endpoint = call->endpoint, .method = "POST", .model = model_of(call),
               .streaming = call->streams, .input_tokens = call->prompt_tokens);
}

void host_tell_assigned(struct host_call *call)
{
    PUBLISH(request_routed, .worker_id = call->worker, .routing_cost_ms = ms_since(call->arrived_hr));
    if (call->streams) {
        atomic_fetch_add(&call->host->counts.streams, 1);
        PUBLISH_AT(call->arrived_ns, stream_started, .stream_id = call->id, .endpoint = call->endpoint,
                   .model = model_of(call), .input_tokens = call->prompt_tokens, .temperature = NAN,
                   .max_tokens = call->answer_tokens);
    }
    PUBLISH(prefill_started, .input_tokens = call->prompt_tokens);
    call->prefill_hr = uv_hrtime(); /* after the event's time, with which the wait ends: so phases never overlap */
    if (call->prefix_tokens > 0)
        PUBLISH(cache_lookup, .cache_type = "prefix", .endpoint = call->endpoint, .total_tokens = call->prompt_tokens,
                .matched_tokens = call->cached_tokens, .hit_ratio = (double)call->cached_tokens / call->prompt_tokens);
}

void host_tell_prefilled(struct host_call *call)
{
    PUBLISH(prefill_completed, .prefill_time_ms = ms_since(call->prefill_hr));
    PUBLISH(decode_started, );
    call->decode_hr = uv_hrtime();
}

void host_tell_token(struct host_call *call)
{
    atomic_fetch_add(&call->host->counts.stream_tokens, 1);
    if (call->told == 1)
        PUBLISH(stream_first_token, .stream_id = call->id, .ttft_ms = ms_since(call->arrived_hr));
    PUBLISH(stream_token_generated, .stream_id = call->id, .token = host_token(call->hash, call->told - 1),
            .sequence_number = call->told, .tokens = 1);
}

void host_tell_pressure(struct host_call *call, size_t pending)
{
    PUBLISH(network_backpressure, .stream_id = call->id, .buffer_size = (int64_t)pending);
}

static void tell_usage(struct host_call *call, int status, const char *finish_reason)
{
    atomic_fetch_add(&call->host->counts.prompt_tokens, call->prompt_tokens);
    atomic_fetch_add(&call->host->counts.completion_tokens, call->told);
    if (call->is_decoding)
        PUBLISH(decode_completed, .decode_time_ms = ms_since(call->decode_hr), .output_tokens = call->told);
    PUBLISH(request_completed, .endpoint = call->endpoint, .model = model_of(call),
            .duration_ms = ms_since(call->arrived_hr), .status_code = status, .input_tokens = call->prompt_tokens,
            .output_tokens = call->told, .cached_tokens = call->cached_tokens, .finish_reason = finish_reason);
}

void host_tell_completed(struct host_call *call)
{
    const char *reason = call->model->embeds ? NULL : call->is_cut ? "length" : "stop";
    atomic_fetch_add(&call->host->counts.completed, 1);
    if (call->streams)
        PUBLISH(stream_completed, .stream_id = call->id, .endpoint = call->endpoint,
                .duration_ms = ms_since(call->arrived_hr), .token_count = call->told, .finish_reason = reason);
    tell_usage(call, MHD_HTTP_OK, reason);
}

/* The host knows exactly what was used, so the estimate that the cancelled stream leads to does not stay. */
void host_tell_cancelled(struct host_call *call)
{
    atomic_fetch_add(&call->host->counts.cancelled, 1);
    if (call->streams) {
        atomic_fetch_add(&call->host->counts.cancelled_streams, 1);
        PUBLISH(stream_cancelled, .stream_id = call->id, .cancellation_point = call->is_decoding ? "decode" : "prefill",
                .reason = "client_disconnected", .token_count = call->told);
    }
    tell_usage(call, 499, "cancelled");
}

/* That a client asked for what it can not have is no failure of the service's: its SLO counts it as served. */
void host_tell_refused(struct host_call *call, const struct host_failure *failure)
{
    atomic_fetch_add(&call->host->counts.refused, 1);
    PUBLISH(request_completed, .endpoint = call->endpoint, .model = model_of(call),
            .duration_ms = ms_since(call->arrived_hr), .status_code = failure->status, .finish_reason = failure->code);
}

void host_tell_failed(struct host_call *call, const struct host_failure *failure, const char *message)
{
    atomic_fetch_add(&call->host->counts.failed, 1);
    if (call->streams && call->is_begun)
        PUBLISH(stream_failed, .stream_id = call->id, .endpoint = call->endpoint,
                .duration_ms = ms_since(call->arrived_hr), .error_message = message, .token_count = call->told);
    PUBLISH(request_failed, .endpoint = call->endpoint, .model = model_of(call),
            .duration_ms = ms_since(call->arrived_hr), .error_type = failure->code ? failure->code : failure->type,
            .error_message = message, .status_code = failure->status);
}
