/* In which order the trackers of a set hear of an event, and in which they are let go. */
#include <tallybus/json.h>
#include <tallybus/subscribers.h>
#include <tallybus/telemetry.h>

#include <math.h>
#include <string.h>

#include "tests/bus/fixture.h"
#include "tests/check.h"

static const int64_t ms = 1000000, begin = 1767258000000000000;

/* --- Delivery ---
 *
 * Handlers of their own priorities stand between those of the set, and look at what each tracker tells. Where that is
 * not what it told before, the tracker has heard of the event at the priority that the handler stands behind. */

enum { TRACKERS = 8, FIRST = 11, LAST = 4 };

static const char *const names[TRACKERS] = {"errors", "requests", "inference", "streaming",
                                            "cost",   "budgets",  "models",    "kvcache"};

struct watch {
    tbus_telemetry_t *telemetry;
    char *told[TRACKERS];
    char log[4096];
};

struct probe {
    struct watch *watch;
    int priority;
};

static void add(struct watch *watch, const char *text)
{
    cr_assert_lt(strlen(watch->log) + strlen(text), sizeof watch->log);
    strcat(watch->log, text);
}

static void read_all(struct watch *watch, int64_t now_ns, char *ret[TRACKERS])
{
    tbus_telemetry_snapshot_t *s;
    cr_assert_eq(tbus_telemetry_snapshot(watch->telemetry, now_ns, &s), 0);
    cr_assert(tbus_errors_to_json(s->errors, &ret[0]) == 0 && tbus_requests_to_json(s->requests, &ret[1]) == 0 &&
              tbus_inference_to_json(s->inference, &ret[2]) == 0 &&
              tbus_streaming_to_json(s->streaming, &ret[3]) == 0 && tbus_cost_to_json(s->cost, &ret[4]) == 0 &&
              tbus_budgets_to_json(s->budgets, &ret[5]) == 0 && tbus_models_to_json(s->models, &ret[6]) == 0 &&
              tbus_kvcache_to_json(s->kvcache, &ret[7]) == 0);
    tbus_telemetry_snapshot_free(s);
}

static int on_probe(const tbus_event_t *event, void *user)
{
    const struct probe *probe = user;
    struct watch *watch = probe->watch;
    char *told[TRACKERS], text[64];
    read_all(watch, event->time_ns, told);
    if (probe->priority == FIRST)
        add(watch, tbus_type_of(NULL, event->type) ? tbus_type_of(NULL, event->type)->topic : TBUS_USAGE_PRICED);
    for (int i = 0; i < TRACKERS; i++) {
        if (probe->priority != FIRST && strcmp(told[i], watch->told[i]) != 0) {
            snprintf(text, sizeof text, " %s %d", names[i], probe->priority);
            add(watch, text);
        }
        tbus_mem_free(watch->told[i]);
        watch->told[i] = told[i];
    }
    if (probe->priority == LAST)
        add(watch, "\n");
    return 0;
}

static tbus_event_t next(const char *request_id)
{
    static int64_t number;
    return (tbus_event_t){.time_ns = begin + ++number * ms, .request_id = request_id, .api_key = "sk-0123456789abcdef"};
}

#define PUBLISH(event, ...)                                                                                            \
    do {                                                                                                               \
        cr_assert_eq(tbus_publish_##event(hosted->bus, &(tbus_##event##_t){__VA_ARGS__}), 0);                          \
        hosted_deliver(hosted);                                                                                        \
    } while (0)

static void publish_all(struct hosted *hosted)
{
    PUBLISH(request_started, .base = next("r"), .endpoint = "/chat", .model = "gpt-4o");
    PUBLISH(request_queued, .base = next("r"), .queue_name = "q", .queue_depth = 2);
    PUBLISH(request_dequeued, .base = next("r"), .queue_name = "q", .wait_time_ms = 3);
    PUBLISH(worker_assigned, .base = next("r"), .worker_id = "w");
    PUBLISH(prefill_started, .base = next("r"));
    PUBLISH(prefill_completed, .base = next("r"), .prefill_time_ms = 5);
    PUBLISH(stream_started, .base = next("r"), .stream_id = "s", .model = "gpt-4o", .input_tokens = 9);
    PUBLISH(stream_first_token, .base = next("r"), .stream_id = "s", .ttft_ms = 7);
    PUBLISH(stream_token_generated, .base = next("r"), .stream_id = "s");
    PUBLISH(stream_progress, .base = next("r"),
            .stream_id = "nobody's"); /* of a stream that runs it changes no figure */
    PUBLISH(network_backpressure, .base = next("r"), .stream_id = "s");
    PUBLISH(decode_started, .base = next("r"));
    PUBLISH(decode_completed, .base = next("r"), .decode_time_ms = 11, .output_tokens = 4);
    PUBLISH(worker_completed, .base = next("r"), .worker_id = "w", .duration_ms = 13);
    PUBLISH(stream_cancelled, .base = next("r"), .stream_id = "s");
    PUBLISH(request_completed, .base = next("r"), .endpoint = "/chat", .model = "gpt-4o", .input_tokens = 9,
            .output_tokens = 4, .status_code = 200);
    PUBLISH(request_failed, .base = next("f"), .endpoint = "/chat", .model = "gpt-4o", .error_type = "t");
    PUBLISH(error_occurred, .base = next("e"), .error_type = "t");
    PUBLISH(stream_started, .base = next("d"), .stream_id = "d", .model = "gpt-4o", .input_tokens = 9);
    PUBLISH(client_disconnected, .base = next("d"), .stream_id = "d");
    PUBLISH(stream_started, .base = next("c"), .stream_id = "c", .model = "gpt-4o");
    PUBLISH(stream_completed, .base = next("c"), .stream_id = "c");
    PUBLISH(stream_started, .base = next("x"), .stream_id = "x", .model = "gpt-4o");
    PUBLISH(stream_failed, .base = next("x"), .stream_id = "x");
    PUBLISH(cache_lookup, .base = next("r"), .endpoint = "/chat", .total_tokens = 9, .matched_tokens = 4);
    PUBLISH(cache_speedup_measured, .base = next("r"), .baseline_ttft_ms = 9, .actual_ttft_ms = 4);
    PUBLISH(queue_depth_changed, .base = next(NULL), .queue_name = "q", .depth = 5);
    PUBLISH(batch_size_changed, .base = next(NULL), .batch_size = 6);
}

/* Where a tracker is not told of, the event changes no figure of its: the cost tracker's subscriber remembers streams,
 * the inference tracker when a phase began. The cancelled stream's cost is an estimate, which is taken back when the
 * request's own comes. */
static const char expected[] = "request.started requests 10 inference 9\n"
                               "request.queued inference 5\n"
                               "request.dequeued inference 9\n"
                               "worker.assigned inference 9\n"
                               "prefill.started\n"
                               "prefill.completed inference 9\n"
                               "stream.started streaming 8\n"
                               "stream.first_token inference 9\n"
                               "stream.token_generated streaming 5\n"
                               "stream.progress streaming 5\n"
                               "network.backpressure streaming 5\n"
                               "decode.started\n"
                               "decode.completed inference 9\n"
                               "worker.completed inference 9\n"
                               "stream.cancelled streaming 8 cost 7\n"
                               "usage.priced budgets 6 models 6\n"
                               "request.completed errors 10 requests 10 inference 9 cost 7 models 6\n"
                               "usage.priced budgets 6 models 6\n"
                               "usage.priced budgets 6 models 6\n"
                               "request.failed errors 10 requests 10 inference 9 budgets 6 models 6\n"
                               "error.occurred errors 10\n"
                               "stream.started streaming 8\n"
                               "client.disconnected streaming 8 cost 7\n"
                               "usage.priced budgets 6 models 6\n"
                               "stream.started streaming 8\n"
                               "stream.completed streaming 8\n"
                               "stream.started streaming 8\n"
                               "stream.failed streaming 8\n"
                               "cache.lookup kvcache 6\n"
                               "cache.speedup_measured kvcache 6\n"
                               "queue.depth_changed inference 5\n"
                               "batch.size_changed inference 5\n";

Test(telemetry_order, each_event_comes_to_the_trackers_by_the_priorities_of_the_specification)
{
    struct hosted hosted;
    struct watch watch = {0};
    struct probe probes[FIRST + 1];
    const tbus_budget_request_t reserved = {
        .request_id = "f", .api_key = "sk-0123456789abcdef", .amount = {.low = 1}, .time_ns = begin};
    hosted_open(&hosted, NULL);
    for (int priority = FIRST; priority >= LAST; priority--)
        probes[priority] = (struct probe){&watch, priority};
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", FIRST, on_probe, &probes[FIRST]), 0);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &watch.telemetry), 0);
    cr_assert_eq(tbus_budget_reserve(tbus_telemetry_budgets(watch.telemetry), &reserved, NULL), 0);
    for (int priority = FIRST - 1; priority >= LAST; priority--) /* each behind the set's own of its priority */
        cr_assert_gt(tbus_subscribe(hosted.bus, ">", priority, on_probe, &probes[priority]), 0);
    publish_all(&hosted);
    cr_assert_str_eq(watch.log, expected);
    for (int i = 0; i < TRACKERS; i++)
        tbus_mem_free(watch.told[i]);
    cr_assert_eq(tbus_telemetry_close(watch.telemetry), 0);
    hosted_close(&hosted);
}

/* --- Closing --- */

enum { REQUESTS = 400, ROUNDS = 30 };

static int64_t usd_of(tbus_cost_t *cost)
{
    tbus_cost_snapshot_t *snapshot;
    cr_assert_eq(tbus_cost_snapshot(cost, &snapshot), 0);
    const int64_t units = (int64_t)snapshot->total.usd.low;
    cr_assert_eq(snapshot->total.requests, (uint64_t)REQUESTS);
    tbus_cost_snapshot_free(snapshot);
    return units;
}

/* The set is closed while events of requests are still in the queue, and so what they cost has not been published yet. */
Test(telemetry_order, what_was_published_before_the_set_closes_comes_to_the_hosts_trackers_with_its_cost)
{
    for (int round = 0; round < ROUNDS; round++) {
        tbus_telemetry_options_t options = {.trackers = TBUS_TELEMETRY_COST};
        tbus_t *bus;
        tbus_telemetry_t *telemetry;
        tbus_budgets_snapshot_t *budgets;
        tbus_models_snapshot_t *models;
        cr_assert_eq(tbus_open(NULL, &bus), 0);
        cr_assert_eq(tbus_cost_open(NULL, &options.cost), 0);
        cr_assert_eq(tbus_budgets_open(NULL, &options.budgets), 0);
        cr_assert_eq(tbus_models_open(NULL, &options.models), 0);
        cr_assert_eq(tbus_telemetry_open(bus, &options, &telemetry), 0);
        for (int i = 0; i < REQUESTS; i++)
            cr_assert_eq(
                tbus_publish_request_completed(
                    bus, &(tbus_request_completed_t){.model = "gpt-4o", .input_tokens = 9, .status_code = 200}),
                0);
        cr_assert_eq(tbus_telemetry_close(telemetry), 0);
        cr_assert_eq(tbus_budgets_snapshot(options.budgets, 0, &budgets), 0);
        cr_assert_eq(tbus_models_snapshot(options.models, 0, &models), 0);
        const int64_t usd = usd_of(options.cost);
        cr_assert_gt(usd, 0);
        cr_assert_eq((int64_t)budgets->settled.low, usd);
        cr_assert_eq(budgets->settles, (uint64_t)REQUESTS);
        cr_assert_eq((int64_t)models->models[0].cost.low, usd);
        tbus_budgets_snapshot_free(budgets);
        tbus_models_snapshot_free(models);
        /* They are open, and the bus feeds none of them any more. */
        cr_assert_eq(tbus_publish_request_completed(bus, &(tbus_request_completed_t){.model = "gpt-4o"}), 0);
        cr_assert_eq(tbus_free(bus), 0);
        cr_assert_eq(usd_of(options.cost), usd);
        tbus_cost_close(options.cost);
        tbus_budgets_close(options.budgets);
        tbus_models_close(options.models);
    }
}

/* Closing in a handler: nothing else of the set can be running, and what is left of the event goes to nobody of it. */
static int close_on(const tbus_event_t *event, void *user)
{
    tbus_telemetry_t **telemetry = user;
    (void)event;
    if (*telemetry)
        cr_assert_eq(tbus_telemetry_close(*telemetry), 0);
    *telemetry = NULL;
    return 0;
}

Test(telemetry_order, a_set_can_be_closed_in_a_handler_of_any_priority)
{
    for (int priority = FIRST; priority >= LAST; priority--) {
        struct hosted hosted;
        tbus_telemetry_t *telemetry;
        hosted_open(&hosted, NULL);
        cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &telemetry), 0);
        cr_assert_gt(tbus_subscribe(hosted.bus, "request.completed", priority, close_on, &telemetry), 0);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(tbus_publish_request_completed(hosted.bus, &(tbus_request_completed_t){.model = "gpt-4o"}), 0);
        hosted_deliver(&hosted);
        cr_assert_null(telemetry);
        hosted_close(&hosted);
    }
}

Test(telemetry_order, a_set_can_be_closed_behind_its_bus)
{
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &telemetry), 0);
    cr_assert_eq(tbus_publish_request_completed(hosted.bus, &(tbus_request_completed_t){.model = "gpt-4o"}), 0);
    cr_assert_eq(tbus_close(hosted.bus, 60000, NULL, NULL), 0);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    tbus_cost_snapshot_t *snapshot;
    cr_assert_eq(tbus_cost_snapshot(tbus_telemetry_cost(telemetry), &snapshot), 0);
    cr_assert_eq(snapshot->total.requests, 1u);
    tbus_cost_snapshot_free(snapshot);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    cr_assert_eq(tbus_free(hosted.bus), 0);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
}

/* --- Several --- */

/* The same event on both, from two threads, with budgets in each: each counts its own. */
struct side {
    tbus_t *bus;
    tbus_telemetry_t *telemetry;
    int requests;
};

static void publish_side(void *user)
{
    const struct side *side = user;
    for (int i = 0; i < side->requests; i++)
        cr_assert_eq(
            tbus_publish_request_completed(
                side->bus, &(tbus_request_completed_t){.model = "gpt-4o", .input_tokens = 9, .status_code = 500}),
            0);
}

Test(telemetry_order, sets_of_two_buses_count_what_is_theirs_whatever_threads_do)
{
    struct side sides[2] = {{.requests = 300}, {.requests = 700}};
    uv_thread_t threads[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tbus_open(NULL, &sides[i].bus), 0);
        cr_assert_eq(tbus_telemetry_open(sides[i].bus, NULL, &sides[i].telemetry), 0);
    }
    for (int i = 0; i < 2; i++)
        cr_assert_eq(uv_thread_create(&threads[i], publish_side, &sides[i]), 0);
    for (int i = 0; i < 2; i++) {
        tbus_telemetry_snapshot_t *s;
        const uint64_t requests = (uint64_t)sides[i].requests;
        uv_thread_join(&threads[i]);
        for (int behind = 0; behind < 2; behind++) { /* the second is behind what the first events have published */
            const int64_t last = tbus_subscribe(sides[i].bus, "request.completed", -1, close_on, NULL);
            cr_assert_eq(tbus_unsubscribe_wait(sides[i].bus, last), 0);
        }
        cr_assert_eq(tbus_telemetry_snapshot(sides[i].telemetry, 0, &s), 0);
        cr_assert_eq(s->errors->failed, requests);
        cr_assert_eq(s->requests->all.responses, requests);
        cr_assert_eq(s->cost->total.requests, requests);
        cr_assert_eq(s->budgets->settles, requests);
        cr_assert_eq(tbus_money_compare(s->budgets->settled, s->models->models[0].cost), 0);
        tbus_telemetry_snapshot_free(s);
        cr_assert_eq(tbus_telemetry_close(sides[i].telemetry), 0);
        cr_assert_eq(tbus_free(sides[i].bus), 0);
    }
}
