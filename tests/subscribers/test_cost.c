#include <stdio.h>
#include <string.h>

#include <tallybus/subscribers.h>

#include "tests/check.h"

static tbus_t *opened_bus(void)
{
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    return bus;
}

static tbus_cost_t *opened_cost(void)
{
    tbus_cost_t *cost;
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    return cost;
}

static void publish(tbus_t *bus, tbus_request_completed_t completed)
{
    cr_assert_eq(tbus_publish_request_completed(bus, &completed), 0);
}

static bool is_usd(tbus_money_t amount, const char *usd)
{
    tbus_money_t expected;
    cr_assert_eq(tbus_money_parse(usd, &expected), 0);
    return tbus_money_compare(amount, expected) == 0;
}

static const tbus_cost_sum_t *row_of(const tbus_cost_sum_t *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

static tbus_cost_snapshot_t *snapshot_of(tbus_cost_t *cost)
{
    tbus_cost_snapshot_t *snapshot;
    cr_assert_eq(tbus_cost_snapshot(cost, &snapshot), 0);
    return snapshot;
}

Test(cost_subscriber, completed_requests_become_costs)
{
    tbus_t *bus = opened_bus();
    tbus_cost_t *cost = opened_cost();
    char redacted[TBUS_REDACTED_BYTES];

    cr_assert_gt(tbus_cost_attach(cost, bus), 0);
    publish(bus, (tbus_request_completed_t){
                     .base = {.time_ns = 70, .api_key = "sk-proj-0123456789", .user_id = "ann", .project_id = "red"},
                     .endpoint = "/v1/chat",
                     .model = "gpt-4o",
                     .status_code = 200,
                     .input_tokens = 1000,
                     .output_tokens = 200,
                     .cached_tokens = 400});
    publish(bus, (tbus_request_completed_t){
                     .base = {.time_ns = 50}, .model = "gpt-4", .input_tokens = 100, .batch = true, .estimated = true});
    publish(bus, (tbus_request_completed_t){.base = {.time_ns = 60},
                                            .endpoint = "/v1/images",
                                            .model = "dall-e-3",
                                            .images = 2,
                                            .image_size = "1024x1792",
                                            .image_quality = "hd"});
    publish(bus, (tbus_request_completed_t){.base = {.time_ns = 60}, .model = "tts-1", .characters = 1000});
    publish(bus, (tbus_request_completed_t){.base = {.time_ns = 60}, .model = "gpt-4o", .status_code = 500});
    publish(bus, (tbus_request_completed_t){.base = {.time_ns = 60}, .model = "gpt-4o", .input_tokens = -1});
    publish(bus, (tbus_request_completed_t){
                     .base = {.time_ns = 60}, .model = "gpt-4o", .input_tokens = 1, .cache_write_tokens = 2});
    cr_assert_eq(tbus_publish_request_failed(bus, &(tbus_request_failed_t){.model = "gpt-4o"}), 0);
    cr_assert_eq(tbus_free(bus), 0); /* delivers what is queued */

    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->time_ns, 70);
    cr_assert_eq(snapshot->total.requests, 6);
    cr_assert_eq(snapshot->refused_usages, 1);
    cr_assert_eq(snapshot->estimated_requests, 1);
    cr_assert_eq(snapshot->cut_cached_tokens, 1);
    cr_assert_eq(snapshot->total.prompt_tokens, 1101);
    cr_assert_eq(snapshot->total.completion_tokens, 200);
    cr_assert_eq(snapshot->total.cached_tokens, 400);
    cr_assert_eq(snapshot->total.unpriced_requests, 0);
    cr_assert(is_usd(snapshot->total.usd, "0.263505")); /* 0.007 + 0.0015 + 0.24 + 0.015 + 0 + 0.000005 */
    cr_assert(is_usd(snapshot->cache_savings, "0.001"));
    cr_assert(is_usd(snapshot->batch_savings, "0.0015"));

    cr_assert(
        is_usd(row_of(snapshot->by_key, snapshot->by_key_count, tbus_redact_key("sk-proj-0123456789", redacted))->usd,
               "0.007"));
    cr_assert(is_usd(row_of(snapshot->by_user, snapshot->by_user_count, "ann")->usd, "0.007"));
    cr_assert(is_usd(row_of(snapshot->by_project, snapshot->by_project_count, "red")->usd, "0.007"));
    cr_assert(is_usd(row_of(snapshot->by_endpoint, snapshot->by_endpoint_count, "/v1/images")->usd, "0.24"));
    cr_assert(is_usd(row_of(snapshot->by_model, snapshot->by_model_count, "tts-1")->usd, "0.015"));
    cr_assert_eq(row_of(snapshot->by_model, snapshot->by_model_count, "gpt-4o")->requests, 3);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_subscriber, many_events_lose_nothing)
{
    enum { EVENTS = 20000 };
    tbus_t *bus = opened_bus();
    tbus_cost_t *cost = opened_cost();

    cr_assert_gt(tbus_cost_attach(cost, bus), 0);
    for (int i = 0; i < EVENTS; i++) {
        char user[32];
        snprintf(user, sizeof user, "user-%d", i % 10);
        publish(bus, (tbus_request_completed_t){.base = {.user_id = user}, .model = "gpt-4o-mini", .input_tokens = 10});
    }
    cr_assert_eq(tbus_free(bus), 0);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, EVENTS);
    cr_assert(is_usd(snapshot->total.usd, "0.03"));
    cr_assert_eq(snapshot->by_user_count, 10);
    for (int i = 0; i < 10; i++)
        cr_assert(is_usd(snapshot->by_user[i].usd, "0.003"));
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* Of the same event: 8 is called before the tracker, 6 after it. */
struct seen {
    tbus_cost_t *cost;
    uint64_t before, after;
};

static uint64_t requests_of(tbus_cost_t *cost)
{
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    uint64_t requests = snapshot->total.requests;
    tbus_cost_snapshot_free(snapshot);
    return requests;
}

static int on_before(const tbus_event_t *event, void *user)
{
    struct seen *seen = user;
    (void)event;
    seen->before = requests_of(seen->cost);
    return 0;
}

static int on_after(const tbus_event_t *event, void *user)
{
    struct seen *seen = user;
    (void)event;
    seen->after = requests_of(seen->cost);
    return 0;
}

Test(cost_subscriber, it_has_priority_seven)
{
    tbus_t *bus = opened_bus();
    struct seen seen = {.cost = opened_cost(), .before = 77, .after = 77};

    cr_assert_gt(tbus_subscribe(bus, "request.completed", 6, on_after, &seen), 0);
    cr_assert_gt(tbus_cost_attach(seen.cost, bus), 0);
    cr_assert_gt(tbus_subscribe(bus, "request.completed", 8, on_before, &seen), 0);
    publish(bus, (tbus_request_completed_t){.model = "gpt-4"});
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(seen.before, 0);
    cr_assert_eq(seen.after, 1);
    tbus_cost_close(seen.cost);
}

Test(cost_subscriber, it_ends_when_it_is_unsubscribed)
{
    tbus_t *bus = opened_bus();
    tbus_cost_t *cost = opened_cost();
    int64_t subscription = tbus_cost_attach(cost, bus);

    cr_assert_gt(subscription, 0);
    publish(bus, (tbus_request_completed_t){.model = "gpt-4"});
    cr_assert_eq(tbus_unsubscribe_wait(bus, subscription), 0);
    cr_assert_eq(requests_of(cost), 1);
    tbus_cost_close(cost); /* allowed now: the bus has let go of it */
    publish(bus, (tbus_request_completed_t){.model = "gpt-4"});
    cr_assert_eq(tbus_free(bus), 0);
}

Test(cost_subscriber, bad_arguments_are_refused)
{
    tbus_t *bus = opened_bus();
    tbus_cost_t *cost = opened_cost();
    cr_assert_eq(tbus_cost_attach(NULL, bus), UV_EINVAL);
    cr_assert_eq(tbus_cost_attach(cost, NULL), UV_EINVAL);
    cr_assert_eq(tbus_free(bus), 0);
    tbus_cost_close(cost);
}
