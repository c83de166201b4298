#include <tallybus/subscribers.h>
#include <tallybus/telemetry.h>

#include <math.h>
#include <string.h>

#include "tests/bus/fixture.h"
#include "tests/check.h"
#include "tests/oom.h"

static const int64_t ms = 1000000, begin = 1767258000000000000;

static tbus_event_t at(int64_t time_ms)
{
    return (tbus_event_t){
        .time_ns = begin + time_ms * ms, .request_id = "r", .user_id = "ann", .api_key = "sk-0123456789"};
}

/* One request that goes through everything, and one that fails. */
static void publish_requests(tbus_t *bus)
{
    cr_assert_eq(tbus_publish_request_started(
                     bus, &(tbus_request_started_t){.base = at(0), .endpoint = "/chat", .model = "gpt-4o"}),
                 0);
    cr_assert_eq(tbus_publish_worker_assigned(bus, &(tbus_worker_assigned_t){.base = at(1), .worker_id = "w"}), 0);
    cr_assert_eq(tbus_publish_prefill_started(bus, &(tbus_prefill_started_t){.base = at(10)}), 0);
    cr_assert_eq(
        tbus_publish_prefill_completed(bus, &(tbus_prefill_completed_t){.base = at(30), .prefill_time_ms = NAN}), 0);
    cr_assert_eq(
        tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = at(30), .stream_id = "s", .model = "gpt-4o"}),
        0);
    cr_assert_eq(tbus_publish_stream_first_token(
                     bus, &(tbus_stream_first_token_t){.base = at(40), .stream_id = "s", .ttft_ms = NAN}),
                 0);
    cr_assert_eq(tbus_publish_decode_started(bus, &(tbus_decode_started_t){.base = at(40)}), 0);
    cr_assert_eq(tbus_publish_decode_completed(
                     bus, &(tbus_decode_completed_t){.base = at(90), .decode_time_ms = NAN, .output_tokens = 11}),
                 0);
    cr_assert_eq(
        tbus_publish_cache_lookup(
            bus,
            &(tbus_cache_lookup_t){.base = at(91), .endpoint = "/chat", .total_tokens = 100, .matched_tokens = 50}),
        0);
    cr_assert_eq(tbus_publish_queue_depth_changed(bus, &(tbus_queue_depth_changed_t){.base = at(92), .depth = 3}), 0);
    cr_assert_eq(tbus_publish_stream_completed(bus, &(tbus_stream_completed_t){.base = at(99), .stream_id = "s"}), 0);
    cr_assert_eq(tbus_publish_request_completed(bus, &(tbus_request_completed_t){.base = at(100),
                                                                                 .endpoint = "/chat",
                                                                                 .model = "gpt-4o",
                                                                                 .duration_ms = 100,
                                                                                 .status_code = 200,
                                                                                 .input_tokens = 100,
                                                                                 .output_tokens = 11,
                                                                                 .cached_tokens = 50}),
                 0);
    cr_assert_eq(tbus_publish_request_started(
                     bus, &(tbus_request_started_t){.base = at(200), .endpoint = "/chat", .model = "gpt-4o"}),
                 0);
    cr_assert_eq(tbus_publish_request_failed(bus, &(tbus_request_failed_t){.base = at(210),
                                                                           .endpoint = "/chat",
                                                                           .model = "gpt-4o",
                                                                           .duration_ms = 10,
                                                                           .error_type = "t"}),
                 0);
}

Test(telemetry, every_tracker_hears_of_its_events)
{
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    tbus_telemetry_snapshot_t *s;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &telemetry), 0);
    publish_requests(hosted.bus);
    hosted_deliver(&hosted);
    cr_assert_eq(tbus_telemetry_snapshot(telemetry, begin + 1000 * ms, &s), 0);
    cr_assert_eq(s->time_ns, begin + 1000 * ms);
    cr_assert(s->errors->slo.total_requests == 2 && s->errors->slo.errors == 1);
    cr_assert(s->requests->all.requests == 2 && s->requests->all.responses == 2 && s->requests->all.errors == 1);
    cr_assert(s->requests->all.in_flight == 0 && s->requests->all.latency_ms.max == 100);
    cr_assert(s->requests->all.latency_ms.min == 10 && s->requests->all.latency_ms.count == 2);
    cr_assert(s->requests->all.prompt_tokens == 100 && s->requests->all.completion_tokens == 11);
    cr_assert(s->models->models[0].traffic.prompt_tokens == 100 && s->models->models[0].total_tokens == 111);
    cr_assert(s->inference->all.input_tokens == 100 && s->inference->all.output_tokens == 11);
    cr_assert_eq(s->inference->all.cached_tokens, 50u);
    cr_assert(s->requests->time_ns == s->time_ns && s->models->time_ns == s->time_ns);
    cr_assert(s->inference->all.completed == 1 && s->inference->all.failed == 1 && s->inference->active == 0);
    cr_assert(s->inference->all.queue_ms.max == 10 && s->inference->all.prefill_ms.max == 20);
    cr_assert(s->inference->all.ttft_ms.max == 40 && s->inference->all.decode_ms.max == 50);
    cr_assert(s->inference->all.itl_ms.max == 5 && s->inference->all.tpot_ms.max == 6);
    cr_assert(s->inference->all.total_ms.max == 100 && s->inference->all.cached_share == 0.5);
    cr_assert(s->inference->queue_depth.now == 3 && s->inference->queue_depth.mean == 3);
    cr_assert(s->inference->workers_count == 1 && s->inference->workers[0].share == 1);
    cr_assert(s->inference->workers[0].tokens == 11 && s->inference->workers[0].latency_ms == 100);
    cr_assert_eq(s->streaming->completed_streams, 1u);
    cr_assert_eq(s->cost->total.requests, 1u);
    cr_assert(s->models->models_count == 1 && s->models->models[0].traffic.requests == 2);
    cr_assert(s->models->models[0].error_rate == 0.5 && s->models->models[0].users == 1);
    cr_assert(s->kvcache->all.hits == 1 && s->kvcache->all.token_reuse_rate == 50);
    tbus_telemetry_snapshot_free(s);
    char *page;
    cr_assert_eq(tbus_telemetry_prometheus(telemetry, 0, &page), 0);
    static const char *const samples[] = {
        "\nerror_total_requests 2\n",        "\nrequest_total 2\n", "\ninference_completed_total 1\n",
        "\nstreaming_completed_streams 1\n", "\ncost_total_usd ",   "\nmodel_requests_total{model=\"gpt-4o\"} 2\n",
        "\nkvcache_hits_total 1\n"};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        cr_assert_not_null(strstr(page, samples[i]), "%s", samples[i]);
    tbus_mem_free(page);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    hosted_close(&hosted);
}

/* What the trackers know when an event comes by between two priorities tells who has had it. */
struct probe {
    tbus_telemetry_t *telemetry;
    char text[256];
};

static void look(struct probe *probe)
{
    tbus_telemetry_snapshot_t *s;
    size_t length = strlen(probe->text);
    cr_assert_eq(tbus_telemetry_snapshot(probe->telemetry, begin, &s), 0);
    snprintf(probe->text + length, sizeof probe->text - length, "%d%d%d%d%d ", (int)s->errors->slo.total_requests,
             (int)s->requests->all.responses, (int)s->inference->all.completed, (int)s->cost->total.requests,
             (int)s->models->models_count);
    tbus_telemetry_snapshot_free(s);
}

static int on_probe(const tbus_event_t *event, void *user)
{
    (void)event;
    look(user);
    return 0;
}

Test(telemetry, a_completed_request_reaches_errors_and_requests_then_inference_then_cost_then_models)
{
    struct hosted hosted;
    struct probe probe = {0};
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, "request.completed", 10, on_probe, &probe), 0);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &probe.telemetry), 0);
    static const int priorities[] = {10, 9, 8, 7, 6};
    for (int i = 0; i < 5; i++) /* each behind the set's own of the same priority */
        cr_assert_gt(tbus_subscribe(hosted.bus, "request.completed", priorities[i], on_probe, &probe), 0);
    cr_assert_eq(tbus_publish_request_started(hosted.bus, &(tbus_request_started_t){.base = at(0)}), 0);
    cr_assert_eq(
        tbus_publish_request_completed(hosted.bus, &(tbus_request_completed_t){.base = at(1), .model = "gpt-4o"}), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(probe.text, "00000 11000 11100 11100 11110 11111 ");
    cr_assert_eq(tbus_telemetry_close(probe.telemetry), 0);
    hosted_close(&hosted);
}

Test(telemetry, two_buses_with_two_sets_know_nothing_of_each_other)
{
    tbus_t *buses[2];
    tbus_telemetry_t *sets[2];
    tbus_telemetry_snapshot_t *s[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tbus_open(NULL, &buses[i]), 0);
        cr_assert_eq(tbus_telemetry_open(buses[i], NULL, &sets[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_publish_request_started(buses[i == 2], &(tbus_request_started_t){.base = at(i)}), 0);
    for (int i = 0; i < 2; i++) { /* a subscription that has ended has had all that was published before */
        int64_t last = tbus_subscribe(buses[i], "request.started", -1, on_probe, NULL);
        cr_assert_eq(tbus_unsubscribe_wait(buses[i], last), 0);
        cr_assert_eq(tbus_telemetry_snapshot(sets[i], begin, &s[i]), 0);
        cr_assert_eq(s[i]->requests->all.requests, i ? 1u : 2u);
        tbus_telemetry_snapshot_free(s[i]);
        cr_assert_eq(tbus_telemetry_close(sets[i]), 0);
        cr_assert_eq(tbus_free(buses[i]), 0);
    }
}

Test(telemetry, only_what_is_asked_for_is_made_and_a_hosts_own_tracker_stays_open)
{
    struct hosted hosted;
    tbus_requests_t *own;
    tbus_requests_snapshot_t *s;
    tbus_telemetry_t *telemetry;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_requests_open(NULL, &own), 0);
    cr_assert_eq(tbus_telemetry_open(hosted.bus,
                                     &(tbus_telemetry_options_t){.trackers = TBUS_TELEMETRY_KVCACHE, .requests = own},
                                     &telemetry),
                 0);
    cr_assert(tbus_telemetry_requests(telemetry) == own && tbus_telemetry_kvcache(telemetry));
    cr_assert(!tbus_telemetry_errors(telemetry) && !tbus_telemetry_models(telemetry));
    publish_requests(hosted.bus);
    hosted_deliver(&hosted);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    cr_assert_eq(tbus_requests_snapshot(own, 0, &s), 0);
    cr_assert_eq(s->all.requests, 2u);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(own);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, &(tbus_telemetry_options_t){.trackers = 256}, &telemetry), UV_EINVAL);
    cr_assert_eq(tbus_telemetry_open(NULL, NULL, &telemetry), UV_EINVAL);
    hosted_close(&hosted);
}

Test(telemetry, json_tells_each_tracker)
{
    struct hosted hosted;
    tbus_telemetry_t *telemetry;
    char *text = NULL;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(hosted.bus, NULL, &telemetry), 0);
    publish_requests(hosted.bus);
    hosted_deliver(&hosted);
    cr_assert_eq(tbus_requests_record_start(tbus_telemetry_requests(telemetry), "/\xff", begin), 0);
    cr_assert_eq(tbus_telemetry_json(telemetry, begin, &text), 0);
    static const char *const parts[] = {"\"errors\":{",
                                        "\"requests\":{",
                                        "\"inference\":{",
                                        "\"streaming\":{",
                                        "\"cost\":{",
                                        "\"models\":{",
                                        "\"kvcache\":{",
                                        "\"budgets\":{",
                                        "\"token_reuse_rate\":50.0",
                                        "\"unmatched_responses\":0",
                                        "\"name\":\"/\xef\xbf\xbd\"",
                                        "\"projected_monthly_usd\":\"",
                                        "\"requests_in_window\":2"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_assert_not_null(strstr(text, parts[i]), "%s", parts[i]);
    cr_assert_null(strstr(text, "sk-0123456789"), "a key is never told whole");
    tbus_mem_free(text);
    cr_assert_eq(tbus_telemetry_close(telemetry), 0);
    hosted_close(&hosted);
}

Test(telemetry, an_error_part_way_undoes_everything)
{
    for (long fail = 0;; fail++) {
        struct oom oom = {.fail_at = -1};
        struct hosted hosted;
        tbus_telemetry_t *telemetry = NULL;
        char *page = NULL, *text = NULL;
        oom_install(&oom);
        hosted_open(&hosted, NULL);
        oom.fail_at = oom.calls + fail;
        int error = tbus_telemetry_open(hosted.bus, NULL, &telemetry);
        if (!error)
            error = tbus_telemetry_prometheus(telemetry, 0, &page);
        if (!error)
            error = tbus_telemetry_json(telemetry, 0, &text);
        const bool failed = oom.failed > 0; /* ending a subscription wants memory, too */
        tbus_mem_free(page);
        tbus_mem_free(text);
        if (telemetry)
            cr_assert(tbus_telemetry_close(telemetry) == 0 || tbus_telemetry_close(telemetry) == 0,
                      "can be closed again");
        hosted_close(&hosted);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        cr_assert(error == 0 ? !failed : error == UV_ENOMEM && failed, "%d", error);
        if (!oom.failed)
            break;
    }
}
