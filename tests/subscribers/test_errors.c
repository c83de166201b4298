#include <stdatomic.h>

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
    cr_assert_eq(tbus_close(hosted.bus, 60000, hosted_on_closed, &hosted), 0);
    cr_assert_eq(tbus_errors_attach(errors, hosted.bus), UV_ESHUTDOWN);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    cr_assert(hosted.closed);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
    tbus_errors_close(errors);
}

static int attach_to_a_bus(struct oom *oom)
{
    struct hosted hosted;
    tbus_errors_t *errors;

    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    oom_arm(oom);
    int64_t subscription = tbus_errors_attach(errors, hosted.bus);
    oom_disarm(oom);
    hosted_close(&hosted);
    tbus_errors_close(errors);
    return subscription > 0 ? 0 : (int)subscription;
}

Test(errors_subscriber, attaching_may_find_no_memory)
{
    cr_assert_gt(oom_try_each(attach_to_a_bus), 0);
}

/* --- What it finds out --- */

#define SECOND INT64_C(1000000000)
#define BEGIN_NS (1767225600 * SECOND)

/* The events that came out of the tracker, as text. */
struct hearing {
    char text[4096];
    size_t length;
};

static const char *or_all(const char *endpoint)
{
    return endpoint ? endpoint : "all";
}

static int hear(const tbus_event_t *event, void *user)
{
    struct hearing *hearing = user;
    char *to = hearing->text + hearing->length;
    size_t room = sizeof hearing->text - hearing->length;
    const tbus_slo_violation_t *violation = tbus_as_slo_violation(event);
    const tbus_slo_recovered_t *recovered = tbus_as_slo_recovered(event);
    const tbus_error_pattern_detected_t *pattern = tbus_as_error_pattern_detected(event);
    int second = (int)((event->time_ns - BEGIN_NS) / SECOND), written = 0;

    if (violation)
        written =
            snprintf(to, room, "%d:+%s,%s,%s,%s,%.1f,%.0f ", second, or_all(violation->endpoint), violation->slo_type,
                     violation->severity, violation->window, violation->threshold_value, violation->actual_value);
    else if (recovered)
        written = snprintf(to, room, "%d:-%s,%s,%s ", second, or_all(recovered->endpoint), recovered->slo_type,
                           recovered->window);
    else if (pattern)
        written = snprintf(to, room, "%d:%s,%s,%d,%s/%d ", second, pattern->error_signature, pattern->error_type,
                           (int)pattern->count, pattern->affected_endpoints[0], (int)pattern->affected_endpoints_count);
    cr_assert(written > 0 && (size_t)written < room);
    hearing->length += (size_t)written;
    return 0;
}

struct newsroom {
    struct hosted hosted;
    struct hearing hearing;
    tbus_errors_t *errors;
};

static void newsroom_open(struct newsroom *room, tbus_errors_options_t options)
{
    memset(room, 0, sizeof *room);
    hosted_open(&room->hosted, NULL);
    cr_assert_eq(tbus_errors_open(&options, &room->errors), 0);
    cr_assert_gt(tbus_errors_attach(room->errors, room->hosted.bus), 0);
    cr_assert_gt(tbus_subscribe(room->hosted.bus, "slo.*", 0, hear, &room->hearing), 0);
    cr_assert_gt(tbus_subscribe(room->hosted.bus, "error.pattern_detected", 0, hear, &room->hearing), 0);
}

static void newsroom_close(struct newsroom *room)
{
    hosted_close(&room->hosted);
    tbus_errors_close(room->errors);
}

static void heard(struct newsroom *room, const char *expected)
{
    hosted_deliver(&room->hosted);
    cr_assert_str_eq(room->hearing.text, expected, "%s", room->hearing.text);
    room->hearing.text[0] = '\0';
    room->hearing.length = 0;
}

static void end_request(struct newsroom *room, int second, int64_t status_code)
{
    tbus_request_completed_t completed = {
        .base = {.time_ns = BEGIN_NS + second * SECOND}, .endpoint = "/chat", .status_code = status_code};
    cr_assert_eq(tbus_publish_request_completed(room->hosted.bus, &completed), 0);
}

Test(errors_subscriber, a_pattern_is_published_once)
{
    struct newsroom room;
    char fingerprint[TBUS_FINGERPRINT_BYTES], expected[64];

    newsroom_open(&room, (tbus_errors_options_t){0});
    cr_assert_eq(tbus_error_fingerprint("timeout", "/chat", "after <NUM> s", fingerprint), 0);
    for (int i = 1; i <= 9; i++) {
        char message[32];
        snprintf(message, sizeof message, "after %d s", i);
        tbus_request_failed_t failed = {.base = {.time_ns = BEGIN_NS + i * SECOND},
                                        .endpoint = "/chat",
                                        .error_type = "timeout",
                                        .error_message = message};
        cr_assert_eq(tbus_publish_request_failed(room.hosted.bus, &failed), 0);
    }
    snprintf(expected, sizeof expected, "3:%s,timeout,3,/chat/1 ", fingerprint);
    heard(&room, expected);
    newsroom_close(&room);
}

Test(errors_subscriber, alerts_are_published_as_they_are_entered_and_left)
{
    struct newsroom room;

    newsroom_open(&room, (tbus_errors_options_t){.pattern_threshold = UINT32_MAX});
    for (int second = 0; second < 50; second++) {
        end_request(&room, second, 200);
        end_request(&room, second, 503);
    }
    heard(&room, "");
    end_request(&room, 60, 200); /* 51 good ones and 50 bad: 495 times what is allowed */
    heard(&room, "60:+all,burn_rate,page,1h,14.4,495 60:+all,burn_rate,page,6h,6.0,495 "
                 "60:+all,burn_rate,ticket,1d,3.0,495 60:+all,burn_rate,ticket,3d,1.0,495 "
                 "60:+/chat,burn_rate,page,1h,14.4,495 60:+/chat,burn_rate,page,6h,6.0,495 "
                 "60:+/chat,burn_rate,ticket,1d,3.0,495 60:+/chat,burn_rate,ticket,3d,1.0,495 ");
    for (int second = 70; second < 7000; second += 10)
        end_request(&room, second, 200);
    heard(&room, "350:-all,burn_rate,1h 350:-/chat,burn_rate,1h 1860:-all,burn_rate,6h 1860:-/chat,burn_rate,6h ");
    newsroom_close(&room);
}

/* The traffic stops: a timer of the host's looks, and what it finds is published. */
Test(errors_subscriber, alerts_are_left_by_a_timer_without_traffic)
{
    struct newsroom room;

    newsroom_open(&room, (tbus_errors_options_t){.pattern_threshold = UINT32_MAX, .alert_requests_min = 2});
    end_request(&room, 0, 503);
    end_request(&room, 0, 503);
    heard(&room, "");
    cr_assert_eq(tbus_errors_publish_findings(room.errors, room.hosted.bus, BEGIN_NS + 5 * SECOND), 0);
    hosted_deliver(&room.hosted);
    cr_assert_eq(strncmp(room.hearing.text, "5:+all,burn_rate,page,1h,14.4,1000 ", 35), 0, "%s", room.hearing.text);
    room.hearing.length = 0;
    cr_assert_eq(tbus_errors_publish_findings(room.errors, room.hosted.bus, BEGIN_NS + 400 * SECOND), 0);
    heard(&room, "400:-all,burn_rate,1h 400:-/chat,burn_rate,1h ");
    cr_assert_eq(tbus_errors_publish_findings(room.errors, room.hosted.bus, BEGIN_NS + 400 * SECOND), 0);
    cr_assert_eq(tbus_errors_publish_findings(NULL, room.hosted.bus, 0), UV_EINVAL);
    cr_assert_eq(tbus_errors_publish_findings(room.errors, NULL, 0), UV_EINVAL);
    heard(&room, "");
    newsroom_close(&room);
}

/* A bus that is closing takes nothing: the tracker has it all still. */
Test(errors_subscriber, what_the_bus_does_not_take_stays_in_the_tracker)
{
    struct newsroom room;
    tbus_finding_t finding;

    newsroom_open(&room, (tbus_errors_options_t){.pattern_threshold = 1, .alert_requests_min = 1});
    cr_assert_eq(tbus_errors_record_response(room.errors, "/chat", NULL, 500, BEGIN_NS), 0);
    cr_assert_eq(tbus_errors_record_response(room.errors, "/chat", NULL, 501, BEGIN_NS), 0);
    cr_assert_eq(tbus_close(room.hosted.bus, 60000, hosted_on_closed, &room.hosted), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_errors_publish_findings(room.errors, room.hosted.bus, BEGIN_NS), UV_ESHUTDOWN);
    uv_run(&room.hosted.loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&room.hosted.loop), 0);
    int seen[4] = {0};
    while (tbus_errors_take_finding(room.errors, &finding) > 0)
        seen[finding.kind]++;
    cr_assert_eq(seen[TBUS_FINDING_PATTERN], 2);
    cr_assert_eq(seen[TBUS_FINDING_ALERT_ENTERED], 8);
    cr_assert_eq(seen[TBUS_FINDING_ALERT_LEFT], 0);
    tbus_errors_close(room.errors);
}

/* More than fit into the queue, most of which the bus does not take at first: nothing is told twice or never. */
Test(errors_subscriber, a_bus_without_room_is_offered_everything_again)
{
    enum { PATTERNS = 600 };
    const tbus_options_t narrow = {.ring_bytes = 64 * 1024, .overflow_max = 1};
    struct newsroom room = {.hearing = {.length = 0}};
    char message[8];

    hosted_open(&room.hosted, &narrow);
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.pattern_threshold = 1}, &room.errors), 0);
    for (int i = 0; i < PATTERNS; i++) {
        snprintf(message, sizeof message, "%c%c%c", 'g' + i / 100, 'g' + i / 10 % 10, 'g' + i % 10);
        cr_assert_eq(tbus_errors_record_error(room.errors, &(tbus_error_t){.message = message, .time_ns = BEGIN_NS}),
                     0);
    }
    int rounds = 0;
    tbus_stats_t stats;
    while (tbus_errors_publish_findings(room.errors, room.hosted.bus, BEGIN_NS) != 0) {
        hosted_deliver(&room.hosted);
        cr_assert_lt(++rounds, PATTERNS);
    }
    hosted_deliver(&room.hosted);
    cr_assert_eq(tbus_stats(room.hosted.bus, &stats), 0);
    cr_assert_gt(rounds, 0, "there was a time without room");
    cr_assert_eq(stats.delivered, PATTERNS + 8, "and 8 alerts");
    newsroom_close(&room);
}

/* --- Order --- */

enum { CROWD_THREADS = 3, CROWD_OUTAGES = 40 };

struct crowd {
    tbus_t *bus;
    tbus_errors_t *errors;
    atomic_bool done;
    uv_sem_t recorded; /* a request */
    bool on[2][4];     /* [loop thread] of all and of "/chat", by window */
    int entered, out_of_order;
};

static int keep_books(const tbus_event_t *event, void *user)
{
    static const char *const windows[] = {"1h", "6h", "1d", "3d"};
    struct crowd *crowd = user;
    const tbus_slo_violation_t *violation = tbus_as_slo_violation(event);
    const tbus_slo_recovered_t *recovered = tbus_as_slo_recovered(event);
    const char *window = violation ? violation->window : recovered->window;
    const char *endpoint = violation ? violation->endpoint : recovered->endpoint;
    int which = 0;

    while (strcmp(windows[which], window) != 0)
        which++;
    bool *on = &crowd->on[endpoint != NULL][which];
    crowd->out_of_order += *on == (violation != NULL);
    *on = violation != NULL;
    crowd->entered += violation != NULL;
    return 0;
}

static int say_recorded(const tbus_event_t *event, void *user)
{
    struct crowd *crowd = user;

    (void)event;
    uv_sem_post(&crowd->recorded);
    return 0;
}

static void publish_on(void *user)
{
    struct crowd *crowd = user;

    while (!atomic_load(&crowd->done))
        cr_assert_eq(tbus_errors_publish_findings(crowd->errors, crowd->bus, 0), 0);
}

/* Several threads publish what one outage after the other makes, and the loop does: entered and left take turns. */
Test(errors_subscriber, threads_that_publish_do_not_swap_entered_and_left)
{
    struct crowd crowd = {.bus = NULL};
    uv_thread_t threads[CROWD_THREADS];

    cr_assert_eq(tbus_open(NULL, &crowd.bus), 0);
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.alert_requests_min = 1}, &crowd.errors), 0);
    cr_assert_gt(tbus_errors_attach(crowd.errors, crowd.bus), 0);
    cr_assert_gt(tbus_subscribe(crowd.bus, "slo.*", 0, keep_books, &crowd), 0);
    cr_assert_eq(uv_sem_init(&crowd.recorded, 0), 0);
    cr_assert_gt(tbus_subscribe(crowd.bus, "request.completed", 0, say_recorded, &crowd), 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        cr_assert_eq(uv_thread_create(&threads[i], publish_on, &crowd), 0);
    for (int i = 0; i < 2 * CROWD_OUTAGES; i++) {
        tbus_request_completed_t completed = {
            .base = {.time_ns = BEGIN_NS + i * 86400 * SECOND}, .endpoint = "/chat", .status_code = i % 2 ? 200 : 503};
        cr_assert_eq(tbus_publish_request_completed(crowd.bus, &completed), 0);
        uv_sem_wait(&crowd.recorded); /* else there would be more findings than can wait */
    }
    atomic_store(&crowd.done, true);
    for (int i = 0; i < CROWD_THREADS; i++)
        cr_assert_eq(uv_thread_join(&threads[i]), 0);
    cr_assert_eq(tbus_free(crowd.bus), 0);
    uv_sem_destroy(&crowd.recorded);
    cr_assert_eq(crowd.out_of_order, 0);
    cr_assert_gt(crowd.entered, CROWD_OUTAGES);
    tbus_errors_close(crowd.errors);
}
