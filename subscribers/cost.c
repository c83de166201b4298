/* Feeds the cost tracker from a bus, and tells the bus what each usage came to, where somebody wants to know. */
#include <assert.h>
#include <string.h>

#include <tallybus/subscribers.h>

#include "subscribers/usage_event.h"
#include "trackers/digest.h"

enum { COST_PRIORITY = 7 };

struct cost_subscriber {
    tbus_cost_t *cost;
    struct usage_event told; /* [loop thread] */
};

/* What was recorded, with the usage's own strings; `redacted` holds the key's. */
static tbus_usage_record_t record_of(const tbus_usage_t *usage, const tbus_charge_t *charge,
                                     char redacted[TBUS_REDACTED_BYTES])
{
    static_assert(DIGEST_BYTES == TBUS_KEY_DIGEST_BYTES, "one is kept as the other");
    tbus_usage_record_t record = {.event_id = usage->event_id,
                                  .time_ns = usage->time_ns,
                                  .request_id = usage->request_id,
                                  .user_id = usage->user_id,
                                  .project_id = usage->project_id,
                                  .model = usage->model,
                                  .endpoint = usage->endpoint,
                                  .api_key = tbus_redact_key(usage->api_key, redacted),
                                  .input_tokens = charge->input_tokens,
                                  .cache_read_tokens = charge->cache_read_tokens,
                                  .cache_write_tokens = charge->cache_write_tokens,
                                  .output_tokens = charge->output_tokens,
                                  .reasoning_tokens = charge->reasoning_tokens,
                                  .images = usage->images,
                                  .characters = usage->characters,
                                  .cost = charge->total,
                                  .cache_savings = charge->cache_savings,
                                  .batch_savings = charge->batch_savings,
                                  .batch = usage->batch,
                                  .estimated = usage->estimated,
                                  .unpriced = charge->unknown_model};
    if (*record.api_key)
        digest_bytes(usage->api_key, strlen(usage->api_key), record.key_digest);
    return record;
}

/* What the tracker refuses it counts itself: for the bus every event here has been handled. Only a record that could
 * not be told is an error of this handler. */
static int record_usage(struct cost_subscriber *subscriber, const tbus_usage_t *usage)
{
    char redacted[TBUS_REDACTED_BYTES];
    tbus_charge_t charge;
    int error = tbus_cost_record_usage(subscriber->cost, usage, &charge);
    if ((error && error != UV_ENOMEM) || !usage_event_is_wanted(&subscriber->told))
        return 0;
    tbus_usage_record_t record = record_of(usage, &charge, redacted);
    return usage_event_publish(&subscriber->told, &record, usage->api_key);
}

/* A request that failed before it used anything comes with counts of 0, and so costs nothing. */
static int on_completed(const tbus_event_t *event, void *subscriber)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    tbus_usage_t usage = {
        .event_id = event->id,
        .request_id = event->request_id,
        .api_key = event->api_key,
        .user_id = event->user_id,
        .project_id = event->project_id,
        .model = completed->model,
        .endpoint = completed->endpoint,
        .prompt_tokens = completed->input_tokens,
        .completion_tokens = completed->output_tokens,
        .cached_tokens = completed->cached_tokens,
        .cache_write_tokens = completed->cache_write_tokens,
        .reasoning_tokens = completed->reasoning_tokens,
        .images = completed->images,
        .image_size = completed->image_size,
        .image_quality = completed->image_quality,
        .characters = completed->characters,
        .batch = completed->batch,
        .estimated = completed->estimated,
        .time_ns = event->time_ns,
    };
    return record_usage(subscriber, &usage);
}

static void on_close(void *subscriber)
{
    tbus_mem_free(subscriber);
}

int64_t tbus_cost_attach(tbus_cost_t *cost, tbus_t *bus)
{
    static const tbus_route_t route = {"request.completed", COST_PRIORITY, on_completed};

    if (!cost || !bus)
        return UV_EINVAL;
    struct cost_subscriber *subscriber = tbus_mem_alloc(sizeof *subscriber);
    if (!subscriber)
        return UV_ENOMEM;
    subscriber->cost = cost;
    usage_event_init(&subscriber->told, bus);
    int64_t subscription =
        tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "cost",
                                                      .routes = &route,
                                                      .routes_count = 1,
                                                      .user = subscriber,
                                                      /* Usage goes on being recorded where telling it fails. */
                                                      .breaker_errors = UINT32_MAX,
                                                      .on_close = on_close});
    if (subscription < 0)
        tbus_mem_free(subscriber);
    return subscription;
}
