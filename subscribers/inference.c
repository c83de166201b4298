/* Feeds the inference tracker from a bus. */
#include <math.h>

#include <tallybus/subscribers.h>

enum { PRIORITY = 9, GAUGE_PRIORITY = 5 };

/* What the tracker refuses it counts itself: for the bus every event here has been handled. */

static int on_started(const tbus_event_t *event, void *inference)
{
    const tbus_request_started_t *started = tbus_as_request_started(event);
    (void)tbus_inference_record_start(inference, event->request_id, started->model, started->input_tokens,
                                      event->time_ns);
    return 0;
}

static int step(tbus_inference_t *inference, const tbus_event_t *event, tbus_inference_step_t which, double duration_ms,
                int64_t tokens)
{
    (void)tbus_inference_record_step(inference, event->request_id, which, duration_ms, tokens, event->time_ns);
    return 0;
}

static int on_dequeued(const tbus_event_t *event, void *inference)
{
    return step(inference, event, TBUS_STEP_DEQUEUED, tbus_as_request_dequeued(event)->wait_time_ms, 0);
}

static int on_prefill_started(const tbus_event_t *event, void *inference)
{
    return step(inference, event, TBUS_STEP_PREFILL_STARTED, NAN, tbus_as_prefill_started(event)->input_tokens);
}

static int on_prefill_completed(const tbus_event_t *event, void *inference)
{
    return step(inference, event, TBUS_STEP_PREFILL_COMPLETED, tbus_as_prefill_completed(event)->prefill_time_ms, 0);
}

/* A stream's events may name the stream alone, whose id then is the request's. */
static int on_first_token(const tbus_event_t *event, void *inference)
{
    const tbus_stream_first_token_t *first = tbus_as_stream_first_token(event);
    (void)tbus_inference_record_step(inference, event->request_id ? event->request_id : first->stream_id,
                                     TBUS_STEP_FIRST_TOKEN, first->ttft_ms, 0, event->time_ns);
    return 0;
}

static int on_decode_started(const tbus_event_t *event, void *inference)
{
    return step(inference, event, TBUS_STEP_DECODE_STARTED, NAN, 0);
}

static int on_decode_completed(const tbus_event_t *event, void *inference)
{
    const tbus_decode_completed_t *completed = tbus_as_decode_completed(event);
    return step(inference, event, TBUS_STEP_DECODE_COMPLETED, completed->decode_time_ms, completed->output_tokens);
}

static int on_routed(const tbus_event_t *event, void *inference)
{
    (void)tbus_inference_record_worker(inference, event->request_id, tbus_as_request_routed(event)->worker_id,
                                       event->time_ns);
    return 0;
}

static int on_assigned(const tbus_event_t *event, void *inference)
{
    (void)tbus_inference_record_worker(inference, event->request_id, tbus_as_worker_assigned(event)->worker_id,
                                       event->time_ns);
    return 0;
}

static int on_worker_completed(const tbus_event_t *event, void *inference)
{
    const tbus_worker_completed_t *completed = tbus_as_worker_completed(event);
    (void)tbus_inference_record_worker_done(inference, event->request_id, completed->worker_id, completed->duration_ms,
                                            event->time_ns);
    return 0;
}

static int on_completed(const tbus_event_t *event, void *inference)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    (void)tbus_inference_record_end(inference, event->request_id,
                                    &(tbus_inference_end_t){.failed = completed->status_code >= 500,
                                                            .input_tokens = completed->input_tokens,
                                                            .output_tokens = completed->output_tokens,
                                                            .cached_tokens = completed->cached_tokens,
                                                            .time_ns = event->time_ns});
    return 0;
}

static int on_failed(const tbus_event_t *event, void *inference)
{
    (void)tbus_inference_record_end(inference, event->request_id,
                                    &(tbus_inference_end_t){.failed = true, .time_ns = event->time_ns});
    return 0;
}

/* --- Gauges --- */

static int on_queued(const tbus_event_t *event, void *inference)
{
    const tbus_request_queued_t *queued = tbus_as_request_queued(event);
    (void)tbus_inference_record_queue_depth(inference, queued->queue_name, queued->queue_depth, event->time_ns);
    return 0;
}

static int on_depth(const tbus_event_t *event, void *inference)
{
    const tbus_queue_depth_changed_t *changed = tbus_as_queue_depth_changed(event);
    (void)tbus_inference_record_queue_depth(inference, changed->queue_name, changed->depth, event->time_ns);
    return 0;
}

static int on_batch(const tbus_event_t *event, void *inference)
{
    (void)tbus_inference_record_batch_size(inference, tbus_as_batch_size_changed(event)->batch_size, event->time_ns);
    return 0;
}

int64_t tbus_inference_attach(tbus_inference_t *inference, tbus_t *bus)
{
    static const tbus_route_t routes[] = {
        {"request.started", PRIORITY, on_started},
        {"request.dequeued", PRIORITY, on_dequeued},
        {"request.routed", PRIORITY, on_routed},
        {"worker.assigned", PRIORITY, on_assigned},
        {"prefill.started", PRIORITY, on_prefill_started},
        {"prefill.completed", PRIORITY, on_prefill_completed},
        {"stream.first_token", PRIORITY, on_first_token},
        {"decode.started", PRIORITY, on_decode_started},
        {"decode.completed", PRIORITY, on_decode_completed},
        {"worker.completed", PRIORITY, on_worker_completed},
        {"request.completed", PRIORITY, on_completed},
        {"request.failed", PRIORITY, on_failed},
        {"request.queued", GAUGE_PRIORITY, on_queued},
        {"queue.depth_changed", GAUGE_PRIORITY, on_depth},
        {"batch.size_changed", GAUGE_PRIORITY, on_batch},
    };
    if (!inference)
        return UV_EINVAL;
    return tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "inference",
                                                         .routes = routes,
                                                         .routes_count = sizeof routes / sizeof *routes,
                                                         .user = inference});
}
