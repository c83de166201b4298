#include <tallybus/subscribers.h>

#include "tests/bus/fixture.h"
#include "tests/oom.h"

static tbus_errors_snapshot_t *snapshot_of(tbus_errors_t *errors)
{
    tbus_errors_snapshot_t *snapshot = NULL;

    cr_assert_eq(tbus_errors_snapshot(errors, 0, &snapshot), 0);
    return snapshot;
}

Test(errors_subscriber, three_events_feed_the_tracker)
{
    struct hosted hosted;
    tbus_errors_t *errors;

    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_gt(tbus_errors_attach(errors, hosted.bus), 0);
    tbus_request_completed_t completed = {
        .base = {.time_ns = 100}, .endpoint = "/chat", .model = "gpt-4o", .status_code = 200};
    cr_assert_eq(tbus_publish_request_completed(hosted.bus, &completed), 0);
    completed.status_code = 503;
    completed.base.time_ns = 200;
    cr_assert_eq(tbus_publish_request_completed(hosted.bus, &completed), 0);
    completed.status_code = 499;
    cr_assert_eq(tbus_publish_request_completed(hosted.bus, &completed), 0);
    tbus_request_failed_t failed = {.base = {.time_ns = 300},
                                    .endpoint = "/chat",
                                    .model = "gpt-4o",
                                    .error_type = "timeout",
                                    .error_message = "no answer in 30 s",
                                    .status_code = 504};
    cr_assert_eq(tbus_publish_request_failed(hosted.bus, &failed), 0);
    tbus_error_occurred_t occurred = {.base = {.time_ns = 250},
                                      .endpoint = "/embed",
                                      .model = "ada",
                                      .error_type = "oom",
                                      .error_message = "at 0xdead",
                                      .stack_trace = "not looked at",
                                      .status_code = 0};
    cr_assert_eq(tbus_publish_error_occurred(hosted.bus, &occurred), 0);
    cr_assert_eq(tbus_publish_error_occurred(hosted.bus, &(tbus_error_occurred_t){.base = {.time_ns = 1}}), 0);
    hosted_deliver(&hosted);

    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->time_ns, 300);
    cr_assert_eq(snapshot->excluded, 1);
    cr_assert_eq(snapshot->slo.total_requests, 5);
    cr_assert_eq(snapshot->slo.errors, 4);
    cr_assert_eq(snapshot->by_endpoint_count, 3);
    cr_assert_str_eq(snapshot->by_endpoint[0].name, "/chat");
    cr_assert_eq(snapshot->by_endpoint[0].errors, 2);
    cr_assert_eq(snapshot->by_model_count, 3);
    cr_assert_str_eq(snapshot->by_model[0].name, "gpt-4o");
    cr_assert_eq(snapshot->by_status_count, 3);
    cr_assert_eq(snapshot->by_status[0].status_code, 0);
    cr_assert_eq(snapshot->by_status[1].status_code, 503);
    cr_assert_eq(snapshot->by_status[2].status_code, 504);
    cr_assert_eq(snapshot->patterns_count, 4);
    cr_assert_str_eq(snapshot->patterns[0].type, "");
    cr_assert_str_eq(snapshot->patterns[1].type, "http_503");
    cr_assert_eq(snapshot->patterns[1].first_seen_ns, 200);
    cr_assert_str_eq(snapshot->patterns[2].type, "oom");
    cr_assert_str_eq(snapshot->patterns[2].endpoint, "/embed");
    cr_assert_str_eq(snapshot->patterns[2].normalized, "at <ADDR>");
    cr_assert_str_eq(snapshot->patterns[3].type, "timeout");
    cr_assert_str_eq(snapshot->patterns[3].normalized, "no answer in <NUM> s");
    tbus_errors_snapshot_free(snapshot);
    hosted_close(&hosted);
    tbus_errors_close(errors);
}

Test(errors_subscriber, other_events_do_not_reach_it)
{
    struct hosted hosted;
    tbus_errors_t *errors;

    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_gt(tbus_errors_attach(errors, hosted.bus), 0);
    cr_assert_eq(tbus_publish_request_started(hosted.bus, &(tbus_request_started_t){.endpoint = "/chat"}), 0);
    cr_assert_eq(tbus_publish_stream_failed(hosted.bus, &(tbus_stream_failed_t){.endpoint = "/chat"}), 0);
    hosted_deliver(&hosted);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo.total_requests, 0);
    tbus_errors_snapshot_free(snapshot);
    hosted_close(&hosted);
    tbus_errors_close(errors);
}

/* Looks at how much the tracker has counted by the time that an event gets here. */
struct probe {
    tbus_errors_t *errors;
    uint64_t seen;
};

static int look(const tbus_event_t *event, void *user)
{
    struct probe *probe = user;
    tbus_errors_snapshot_t *snapshot = snapshot_of(probe->errors);

    (void)event;
    probe->seen = snapshot->slo.total_requests;
    tbus_errors_snapshot_free(snapshot);
    return 0;
}

Test(errors_subscriber, it_comes_at_priority_10)
{
    struct hosted hosted;
    tbus_errors_t *errors;

    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    struct probe above = {errors, 99}, below = {errors, 99};
    cr_assert_gt(tbus_subscribe(hosted.bus, "request.*", 9, look, &below), 0);
    cr_assert_gt(tbus_errors_attach(errors, hosted.bus), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "request.*", 11, look, &above), 0);
    cr_assert_eq(tbus_publish_request_failed(hosted.bus, &(tbus_request_failed_t){.status_code = 500}), 0);
    hosted_deliver(&hosted);
    cr_assert_eq(above.seen, 0);
    cr_assert_eq(below.seen, 1);
    hosted_close(&hosted);
    tbus_errors_close(errors);
}

Test(errors_subscriber, it_can_be_taken_off)
{
    struct hosted hosted;
    tbus_errors_t *errors;

    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    int64_t subscription = tbus_errors_attach(errors, hosted.bus);
    cr_assert_gt(subscription, 0);
    cr_assert_eq(tbus_unsubscribe(hosted.bus, subscription), 0);
    tbus_errors_close(errors);
    cr_assert_eq(tbus_publish_request_failed(hosted.bus, &(tbus_request_failed_t){.status_code = 500}), 0);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
}

Test(errors_subscriber, bad_arguments_and_closing)
{
    struct hosted hosted;
    tbus_errors_t *errors;

    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_eq(tbus_errors_attach(NULL, hosted.bus), UV_EINVAL);
    cr_assert_eq(tbus_errors_attach(errors, NULL), UV_EINVAL);
    cr_assert_eq(tbus_close(hosted.bus, 1000, hosted_on_closed, &hosted), 0);
    cr_assert_eq(tbus_errors_attach(errors, hosted.bus), UV_ESHUTDOWN);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    cr_assert(hosted.closed);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
    tbus_errors_close(errors);
}

Test(errors_subscriber, attaching_may_find_no_memory)
{
    for (long at = 0;; at++) {
        struct hosted hosted;
        struct oom oom = {.fail_at = -1};
        tbus_errors_t *errors;

        oom_install(&oom);
        hosted_open(&hosted, NULL);
        cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
        oom.fail_at = atomic_load(&oom.calls) + at;
        int64_t subscription = tbus_errors_attach(errors, hosted.bus);
        bool failed = oom.failed;
        oom.fail_at = -1;
        hosted_close(&hosted);
        tbus_errors_close(errors);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        if (!failed) {
            cr_assert_gt(subscription, 0);
            break;
        }
        cr_assert_eq(subscription, UV_ENOMEM);
    }
}
