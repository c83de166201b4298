/* Feeds the cost tracker from a bus, and tells the bus what each usage came to, where somebody wants to know.
 *
 * A stream that is cut off (cancelled, or its client gone) is recorded as an estimate: the prompt tokens of its start,
 * and the tokens delivered so far, which are the most of what the event says, of what stream.progress said, and, where
 * that is wanted, of the tokens that came by here. To look a stream up for each token would cost a quarter of what a
 * token costs in all, and the events that cut a stream off have a field for the number. The request.completed of the same
 * request replaces the estimate, before or after: before, by taking the stream out. */
#include <string.h>

#include <tallybus/subscribers.h>

#include "subscribers/cost_streams.h"
#include "subscribers/usage_event.h"
#include "trackers/cost.h"

enum { COST_PRIORITY = 7, TOKEN_PRIORITY = 5, STREAMS_MAX = 20000 };

struct cost_subscriber {
    tbus_cost_t *cost;
    struct usage_event told;     /* [loop thread] */
    struct cost_streams streams; /* [loop thread] */
};

/* What was recorded, with the usage's own strings and the key's shown form. */
static tbus_usage_record_t record_of(const tbus_usage_t *usage, const struct cost_bill *bill,
                                     const struct cost_key_id *key)
{
    tbus_usage_record_t record = {.request_id = usage->request_id,
                                  .user_id = usage->user_id,
                                  .project_id = usage->project_id,
                                  .model = usage->model,
                                  .endpoint = usage->endpoint,
                                  .api_key = key->redacted};
    memcpy(record.key_digest, key->digest, sizeof record.key_digest);
    cost_fill_record(&record, usage, bill);
    return record;
}

/* Tells what was recorded; an estimate that it replaces is taken back first. */
static int tell(const struct cost_subscriber *subscriber, const tbus_usage_t *usage, const struct cost_bill *bill,
                const struct cost_estimate *replaced)
{
    struct cost_key_id key;
    int taken_back = replaced ? usage_event_publish(&subscriber->told, &replaced->record, replaced->api_key) : 0;
    cost_key_id_of(usage->api_key, &key);
    const tbus_usage_record_t record = record_of(usage, bill, &key);
    int error = usage_event_publish(&subscriber->told, &record, usage->api_key);
    return error ? error : taken_back;
}

/* What the tracker refuses it counts itself: for the bus every event here has been handled. Only a record that could
 * not be told is an error of this handler. */
static int record_usage(struct cost_subscriber *subscriber, const tbus_usage_t *usage)
{
    struct cost_estimate *replaced;
    struct cost_bill bill;
    int error = cost_record(subscriber->cost, usage, &bill, &replaced);
    bool recorded = error == 0 || error == UV_ENOMEM;
    error = recorded && usage_event_is_wanted(&subscriber->told) ? tell(subscriber, usage, &bill, replaced) : 0;
    tbus_mem_free(replaced);
    return error;
}

/* A request that failed before it used anything comes with counts of 0, and so costs nothing. */
static int on_completed(const tbus_event_t *event, void *user)
{
    struct cost_subscriber *subscriber = user;
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
        .streamed = cost_streams_complete(&subscriber->streams, event->request_id),
        .time_ns = event->time_ns,
    };
    return record_usage(subscriber, &usage);
}

/* --- Streams --- */

static int on_started(const tbus_event_t *event, void *user)
{
    struct cost_subscriber *subscriber = user;
    if (!cost_streams_start(&subscriber->streams, tbus_as_stream_started(event)))
        cost_count_untracked(subscriber->cost);
    return 0;
}

static int on_token(const tbus_event_t *event, void *user)
{
    const struct cost_subscriber *subscriber = user;
    const tbus_stream_token_generated_t *token = tbus_as_stream_token_generated(event);
    struct cost_stream_place *place = cost_streams_find(&subscriber->streams, token->stream_id);
    int64_t tokens = token->tokens > 1 ? token->tokens : 1;
    if (place && !(token->kind && strcmp(token->kind, "role") == 0) && place->tokens <= INT64_MAX - tokens)
        place->tokens += tokens;
    return 0;
}

static int on_progress(const tbus_event_t *event, void *user)
{
    const struct cost_subscriber *subscriber = user;
    const tbus_stream_progress_t *progress = tbus_as_stream_progress(event);
    struct cost_stream_place *place = cost_streams_find(&subscriber->streams, progress->stream_id);
    if (place && progress->tokens_generated > place->tokens)
        place->tokens = progress->tokens_generated;
    return 0;
}

static void on_end(struct cost_subscriber *subscriber, const char *stream_id)
{
    const struct cost_stream_place *place = cost_streams_find(&subscriber->streams, stream_id);
    if (place && !place->stream->is_over)
        cost_streams_end(&subscriber->streams, place->stream);
}

static int on_stream_completed(const tbus_event_t *event, void *user)
{
    on_end(user, tbus_as_stream_completed(event)->stream_id);
    return 0;
}

static int on_stream_failed(const tbus_event_t *event, void *user)
{
    on_end(user, tbus_as_stream_failed(event)->stream_id);
    return 0;
}

static int on_cut_off(struct cost_subscriber *subscriber, const tbus_event_t *event, const char *stream_id,
                      int64_t tokens)
{
    const struct cost_stream_place *place = cost_streams_find(&subscriber->streams, stream_id);
    if (!place || place->stream->is_over)
        return 0;
    struct cost_stream *stream = place->stream;
    tbus_usage_t usage = {
        .event_id = event->id,
        .request_id = stream->request_id,
        .api_key = stream->api_key,
        .user_id = stream->user_id,
        .project_id = stream->project_id,
        .model = stream->model,
        .endpoint = stream->endpoint,
        .prompt_tokens = stream->input_tokens,
        .completion_tokens = tokens > place->tokens ? tokens : place->tokens,
        .estimated = true,
        .streamed = true,
        .time_ns = event->time_ns,
    };
    int error = record_usage(subscriber, &usage);
    cost_streams_end(&subscriber->streams, stream);
    return error;
}

static int on_cancelled(const tbus_event_t *event, void *user)
{
    const tbus_stream_cancelled_t *cancelled = tbus_as_stream_cancelled(event);
    return on_cut_off(user, event, cancelled->stream_id, cancelled->token_count);
}

static int on_disconnected(const tbus_event_t *event, void *user)
{
    const tbus_client_disconnected_t *gone = tbus_as_client_disconnected(event);
    return on_cut_off(user, event, gone->stream_id, gone->tokens_sent);
}

/* --- Attaching --- */

static void close_subscriber(void *user)
{
    struct cost_subscriber *subscriber = user;
    cost_streams_clear(&subscriber->streams);
    tbus_mem_free(subscriber);
}

static int64_t attach(tbus_cost_t *cost, tbus_t *bus, bool counting)
{
    static const tbus_route_t routes[] = {
        {"request.completed", COST_PRIORITY, on_completed},
        {"stream.started", COST_PRIORITY, on_started},
        {"stream.completed", COST_PRIORITY, on_stream_completed},
        {"stream.failed", COST_PRIORITY, on_stream_failed},
        {"stream.cancelled", COST_PRIORITY, on_cancelled},
        {"client.disconnected", COST_PRIORITY, on_disconnected},
        {"stream.progress", TOKEN_PRIORITY, on_progress},
        {"stream.token_generated", TOKEN_PRIORITY, on_token}, /* the last: left out where tokens are not counted */
    };
    enum { ROUTES = sizeof routes / sizeof *routes };

    if (!cost || !bus)
        return UV_EINVAL;
    struct cost_subscriber *subscriber = tbus_mem_alloc(sizeof *subscriber);
    if (!subscriber)
        return UV_ENOMEM;
    subscriber->cost = cost;
    usage_event_init(&subscriber->told, bus);
    cost_streams_init(&subscriber->streams, STREAMS_MAX);
    int64_t subscription =
        tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "cost",
                                                      .routes = routes,
                                                      .routes_count = counting ? ROUTES : ROUTES - 1,
                                                      .user = subscriber,
                                                      /* Usage goes on being recorded where telling it fails. */
                                                      .breaker_errors = UINT32_MAX,
                                                      .on_close = close_subscriber});
    if (subscription < 0)
        close_subscriber(subscriber);
    return subscription;
}

int64_t tbus_cost_attach(tbus_cost_t *cost, tbus_t *bus)
{
    return attach(cost, bus, false);
}

int64_t tbus_cost_attach_counting(tbus_cost_t *cost, tbus_t *bus)
{
    return attach(cost, bus, true);
}
