/* Feeds the request tracker from a bus. */
#include <tallybus/subscribers.h>

#include "subscribers/traffic_end.h"

enum { PRIORITY = 10 };

/* A name that could not be kept for want of memory has been counted all the same: no handler here fails. */

static int on_started(const tbus_event_t *event, void *requests)
{
    (void)tbus_requests_record_start(requests, tbus_as_request_started(event)->endpoint, event->time_ns);
    return 0;
}

static int on_completed(const tbus_event_t *event, void *requests)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    const tbus_traffic_end_t end = traffic_end_of_completed(completed);
    (void)tbus_requests_record_end(requests, completed->endpoint, &end);
    return 0;
}

static int on_failed(const tbus_event_t *event, void *requests)
{
    const tbus_request_failed_t *failed = tbus_as_request_failed(event);
    const tbus_traffic_end_t end = traffic_end_of_failed(failed);
    (void)tbus_requests_record_end(requests, failed->endpoint, &end);
    return 0;
}

int64_t tbus_requests_attach(tbus_requests_t *requests, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{"request.started", PRIORITY, on_started},
                                          {"request.completed", PRIORITY, on_completed},
                                          {"request.failed", PRIORITY, on_failed}};
    if (!requests)
        return UV_EINVAL;
    return tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "requests",
                                                         .routes = routes,
                                                         .routes_count = sizeof routes / sizeof *routes,
                                                         .user = requests});
}
