#include <tallybus/subscribers.h>

enum { COST_PRIORITY = 7 };

/* A request that failed before it used anything comes with counts of 0, and so costs nothing. What the tracker refuses
 * it counts itself: for the bus every event here has been handled. */
static int on_completed(const tbus_event_t *event, void *cost)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    tbus_usage_t usage = {
        .api_key = event->api_key,
        .user_id = event->user_id,
        .project_id = event->project_id,
        .model = completed->model,
        .endpoint = completed->endpoint,
        .prompt_tokens = completed->input_tokens,
        .completion_tokens = completed->output_tokens,
        .cached_tokens = completed->cached_tokens,
        .cache_write_tokens = completed->cache_write_tokens,
        .images = completed->images,
        .image_size = completed->image_size,
        .image_quality = completed->image_quality,
        .characters = completed->characters,
        .batch = completed->batch,
        .estimated = completed->estimated,
        .time_ns = event->time_ns,
    };
    (void)tbus_cost_record_usage(cost, &usage, NULL);
    return 0;
}

int64_t tbus_cost_attach(tbus_cost_t *cost, tbus_t *bus)
{
    static const tbus_route_t route = {"request.completed", COST_PRIORITY, on_completed};

    if (!cost)
        return UV_EINVAL;
    return tbus_subscriber_add(bus,
                               &(tbus_subscriber_t){.name = "cost", .routes = &route, .routes_count = 1, .user = cost});
}
