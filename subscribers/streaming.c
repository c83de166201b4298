#include <string.h>

#include <tallybus/subscribers.h>

enum { LIFECYCLE_PRIORITY = 8, TOKEN_PRIORITY = 5 };

static tbus_token_kind_t kind_of(const char *kind)
{
    if (!kind)
        return TBUS_TOKEN_CONTENT;
    if (strcmp(kind, "reasoning") == 0)
        return TBUS_TOKEN_REASONING;
    if (strcmp(kind, "tool") == 0)
        return TBUS_TOKEN_TOOL;
    if (strcmp(kind, "role") == 0)
        return TBUS_TOKEN_ROLE;
    return TBUS_TOKEN_CONTENT;
}

/* What the tracker refuses it counts itself: for the bus every event here has been handled. */

static int on_started(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_started_t *started = tbus_as_stream_started(event);
    (void)tbus_streaming_record_start(streaming, started->stream_id,
                                      &(tbus_stream_start_t){.model = started->model,
                                                             .input_tokens = started->input_tokens,
                                                             .time_ns = event->time_ns});
    return 0;
}

static int on_first_token(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_first_token_t *first = tbus_as_stream_first_token(event);
    (void)tbus_streaming_record_first_token(streaming, first->stream_id, first->ttft_ms, event->time_ns);
    return 0;
}

static int on_token(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_token_generated_t *token = tbus_as_stream_token_generated(event);
    (void)tbus_streaming_record_token(streaming, token->stream_id, token->tokens, token->sequence_number,
                                      kind_of(token->kind), event->time_ns);
    return 0;
}

static int on_progress(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_progress_t *progress = tbus_as_stream_progress(event);
    (void)tbus_streaming_record_progress(streaming, progress->stream_id, event->time_ns);
    return 0;
}

static int end_stream(tbus_streaming_t *streaming, const char *stream_id, const tbus_stream_end_t *end)
{
    (void)tbus_streaming_record_end(streaming, stream_id, end);
    return 0;
}

static int on_completed(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_completed_t *completed = tbus_as_stream_completed(event);
    return end_stream(streaming, completed->stream_id,
                      &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_COMPLETED,
                                           .token_count = completed->token_count,
                                           .reason = completed->finish_reason,
                                           .time_ns = event->time_ns});
}

static int on_failed(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_failed_t *failed = tbus_as_stream_failed(event);
    return end_stream(streaming, failed->stream_id,
                      &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_FAILED,
                                           .token_count = failed->token_count,
                                           .reason = failed->error_message,
                                           .time_ns = event->time_ns});
}

static int on_cancelled(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_cancelled_t *cancelled = tbus_as_stream_cancelled(event);
    return end_stream(
        streaming, cancelled->stream_id,
        &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_CANCELLED,
                             .token_count = cancelled->token_count,
                             .reason = cancelled->reason ? cancelled->reason : cancelled->cancellation_point,
                             .time_ns = event->time_ns});
}

static int on_disconnected(const tbus_event_t *event, void *streaming)
{
    const tbus_client_disconnected_t *gone = tbus_as_client_disconnected(event);
    return end_stream(streaming, gone->stream_id,
                      &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_CANCELLED,
                                           .token_count = gone->tokens_sent,
                                           .reason = gone->reason ? gone->reason : "client disconnected",
                                           .time_ns = event->time_ns});
}

static int on_backpressure(const tbus_event_t *event, void *streaming)
{
    const tbus_network_backpressure_t *pressure = tbus_as_network_backpressure(event);
    (void)tbus_streaming_record_backpressure(streaming, pressure->stream_id, event->time_ns);
    return 0;
}

int64_t tbus_streaming_attach(tbus_streaming_t *streaming, tbus_t *bus)
{
    static const tbus_route_t routes[] = {
        {"stream.started", LIFECYCLE_PRIORITY, on_started},
        {"stream.first_token", LIFECYCLE_PRIORITY, on_first_token},
        {"stream.completed", LIFECYCLE_PRIORITY, on_completed},
        {"stream.failed", LIFECYCLE_PRIORITY, on_failed},
        {"stream.cancelled", LIFECYCLE_PRIORITY, on_cancelled},
        {"client.disconnected", LIFECYCLE_PRIORITY, on_disconnected},
        {"stream.token_generated", TOKEN_PRIORITY, on_token},
        {"stream.progress", TOKEN_PRIORITY, on_progress},
        {"network.backpressure", TOKEN_PRIORITY, on_backpressure},
    };
    if (!streaming)
        return UV_EINVAL;
    tbus_subscriber_t subscriber = {
        .name = "streaming", .routes = routes, .routes_count = sizeof routes / sizeof routes[0], .user = streaming};
    return tbus_subscriber_add(bus, &subscriber);
}
