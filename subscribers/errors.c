/* Feeds the error tracker from a bus. */
#include <tallybus/subscribers.h>

enum { PRIORITY = 10 };

static int on_request_completed(const tbus_event_t *event, void *user)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);

    (void)tbus_errors_record_response(user, completed->endpoint, completed->model, completed->status_code,
                                      event->time_ns);
    return 0; /* a name that could not be kept for want of memory has been counted all the same */
}

static int on_request_failed(const tbus_event_t *event, void *user)
{
    const tbus_request_failed_t *failed = tbus_as_request_failed(event);

    (void)tbus_errors_record_error(user, &(tbus_error_t){.type = failed->error_type,
                                                         .message = failed->error_message,
                                                         .endpoint = failed->endpoint,
                                                         .model = failed->model,
                                                         .status_code = failed->status_code,
                                                         .time_ns = event->time_ns});
    return 0;
}

static int on_error_occurred(const tbus_event_t *event, void *user)
{
    const tbus_error_occurred_t *occurred = tbus_as_error_occurred(event);

    (void)tbus_errors_record_error(user, &(tbus_error_t){.type = occurred->error_type,
                                                         .message = occurred->error_message,
                                                         .endpoint = occurred->endpoint,
                                                         .model = occurred->model,
                                                         .status_code = occurred->status_code,
                                                         .time_ns = event->time_ns});
    return 0;
}

int64_t tbus_errors_attach(tbus_errors_t *errors, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{"request.completed", PRIORITY, on_request_completed},
                                          {"request.failed", PRIORITY, on_request_failed},
                                          {"error.occurred", PRIORITY, on_error_occurred}};

    if (!errors || !bus)
        return UV_EINVAL;
    return tbus_subscriber_add(
        bus, &(tbus_subscriber_t){
                 .name = "errors", .routes = routes, .routes_count = sizeof routes / sizeof *routes, .user = errors});
}
