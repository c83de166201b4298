/* Feeds the model tracker from a bus. */
#include <tallybus/subscribers.h>

#include "subscribers/traffic_end.h"

enum { PRIORITY = 6 };

struct models_subscriber {
    tbus_models_t *models;
    tbus_t *bus;
};

/* What the tracker refuses it counts itself: for the bus every event here has been handled. */

static int on_completed(const tbus_event_t *event, void *user)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    const struct models_subscriber *subscriber = user;
    const tbus_traffic_end_t end = traffic_end_of_completed(completed);
    (void)tbus_models_record_end(subscriber->models, completed->model, completed->endpoint, event->user_id, &end);
    return 0;
}

static int on_failed(const tbus_event_t *event, void *user)
{
    const tbus_request_failed_t *failed = tbus_as_request_failed(event);
    const struct models_subscriber *subscriber = user;
    const tbus_traffic_end_t end = traffic_end_of_failed(failed);
    (void)tbus_models_record_end(subscriber->models, failed->model, failed->endpoint, event->user_id, &end);
    return 0;
}

static int on_priced(const tbus_event_t *event, void *user)
{
    const struct models_subscriber *subscriber = user;
    tbus_usage_record_t record;
    int error = tbus_usage_of_event(subscriber->bus, event, &record);
    if (!error && record.retracted)
        error = tbus_money_subtract(tbus_money_units(0), record.cost, &record.cost);
    if (!error)
        (void)tbus_models_record_cost(subscriber->models, record.model, record.cost);
    return error;
}

int64_t tbus_models_attach(tbus_models_t *models, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{"request.completed", PRIORITY, on_completed},
                                          {"request.failed", PRIORITY, on_failed},
                                          {TBUS_USAGE_PRICED, PRIORITY, on_priced}};
    if (!models || !bus)
        return UV_EINVAL;
    const int error = tbus_usage_events_enable(bus, NULL);
    if (error)
        return error;
    struct models_subscriber *subscriber = tbus_mem_alloc(sizeof *subscriber);
    if (!subscriber)
        return UV_ENOMEM;
    subscriber->models = models;
    subscriber->bus = bus;
    const int64_t subscription =
        tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "models",
                                                      .routes = routes,
                                                      .routes_count = sizeof routes / sizeof *routes,
                                                      .user = subscriber,
                                                      .on_close = tbus_mem_free});
    if (subscription < 0)
        tbus_mem_free(subscriber);
    return subscription;
}
