/* Feeds the model tracker from a bus. */
#include <tallybus/subscribers.h>

enum { PRIORITY = 6 };

/* What the tracker refuses it counts itself: for the bus every event here has been handled. */

static int on_completed(const tbus_event_t *event, void *models)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    (void)tbus_models_record_end(models, completed->model, completed->endpoint, event->user_id,
                                 &(tbus_traffic_end_t){.status_code = completed->status_code,
                                                       .duration_ms = completed->duration_ms,
                                                       .prompt_tokens = completed->input_tokens,
                                                       .completion_tokens = completed->output_tokens,
                                                       .time_ns = event->time_ns});
    return 0;
}

static int on_failed(const tbus_event_t *event, void *models)
{
    const tbus_request_failed_t *failed = tbus_as_request_failed(event);
    (void)tbus_models_record_end(models, failed->model, failed->endpoint, event->user_id,
                                 &(tbus_traffic_end_t){.failed = true,
                                                       .status_code = failed->status_code,
                                                       .duration_ms = failed->duration_ms,
                                                       .time_ns = event->time_ns});
    return 0;
}

int64_t tbus_models_attach(tbus_models_t *models, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{"request.completed", PRIORITY, on_completed},
                                          {"request.failed", PRIORITY, on_failed}};
    if (!models)
        return UV_EINVAL;
    return tbus_subscriber_add(
        bus, &(tbus_subscriber_t){
                 .name = "models", .routes = routes, .routes_count = sizeof routes / sizeof *routes, .user = models});
}
