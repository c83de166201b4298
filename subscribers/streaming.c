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
    (void)tbus_streaming_record_start(streaming, started->stream_id, started->model, event->time_ns);
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

static int on_completed(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_completed_t *end = tbus_as_stream_completed(event);
    (void)tbus_streaming_record_end(streaming, end->stream_id, TBUS_STREAM_OUTCOME_COMPLETED, end->token_count,
                                    event->time_ns);
    return 0;
}

static int on_failed(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_failed_t *end = tbus_as_stream_failed(event);
    (void)tbus_streaming_record_end(streaming, end->stream_id, TBUS_STREAM_OUTCOME_FAILED, end->token_count,
                                    event->time_ns);
    return 0;
}

static int on_cancelled(const tbus_event_t *event, void *streaming)
{
    const tbus_stream_cancelled_t *end = tbus_as_stream_cancelled(event);
    (void)tbus_streaming_record_end(streaming, end->stream_id, TBUS_STREAM_OUTCOME_CANCELLED, end->token_count,
                                    event->time_ns);
    return 0;
}

static int on_disconnected(const tbus_event_t *event, void *streaming)
{
    const tbus_client_disconnected_t *end = tbus_as_client_disconnected(event);
    (void)tbus_streaming_record_end(streaming, end->stream_id, TBUS_STREAM_OUTCOME_CANCELLED, end->tokens_sent,
                                    event->time_ns);
    return 0;
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
        {"network.backpressure", TOKEN_PRIORITY, on_backpressure},
    };
    if (!streaming)
        return UV_EINVAL;
    tbus_subscriber_t subscriber = {
        .name = "streaming", .routes = routes, .routes_count = sizeof routes / sizeof routes[0], .user = streaming};
    return tbus_subscriber_add(bus, &subscriber);
}
