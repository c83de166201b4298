#include <math.h>

#include <tallybus/subscribers.h>

#include "tests/check.h"

static const int64_t ms = 1000000;

static tbus_event_t at(int64_t time_ms)
{
    return (tbus_event_t){.time_ns = 1000000000 + time_ms * ms};
}

static tbus_t *open_bus(const tbus_streaming_options_t *options, tbus_streaming_t **ret_streaming)
{
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_eq(tbus_streaming_open(options, ret_streaming), 0);
    cr_assert_gt(tbus_streaming_attach(*ret_streaming, bus), 0);
    return bus;
}

/* Of `expected`, what is not of time but for the TTFT. */
static void expect_info(tbus_streaming_t *streaming, const char *id, const tbus_stream_info_t *expected)
{
    tbus_stream_info_t info;
    cr_assert_eq(tbus_streaming_find(streaming, id, &info), 0, "%s", id);
    cr_assert_str_eq(info.model, expected->model);
    cr_assert_eq(info.tokens, expected->tokens, "%s: %d", id, (int)info.tokens);
    cr_assert_eq(info.backpressure_events, expected->backpressure_events, "%s", id);
    cr_assert(isnan(expected->ttft_ms) ? isnan(info.ttft_ms) : info.ttft_ms == expected->ttft_ms, "%s: %g", id,
              info.ttft_ms);
}

Test(streaming_subscriber, each_event_reaches_the_trackers_call)
{
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    tbus_t *bus = open_bus(NULL, &streaming);
    static const char *const ids[] = {"completes", "fails", "cancelled", "gone", "runs"};
    for (int i = 0; i < 5; i++)
        cr_assert_eq(tbus_publish_stream_started(
                         bus, &(tbus_stream_started_t){.base = at(0), .stream_id = ids[i], .model = "m"}),
                     0);
    cr_assert_eq(tbus_publish_stream_first_token(
                     bus, &(tbus_stream_first_token_t){.base = at(30), .stream_id = "runs", .ttft_ms = 25}),
                 0);
    static const char *const kinds[] = {"role", "reasoning", "tool", "content", NULL, "something new"};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(tbus_publish_stream_token_generated(bus, &(tbus_stream_token_generated_t){.base = at(10 + i),
                                                                                               .stream_id = "completes",
                                                                                               .sequence_number = i + 1,
                                                                                               .kind = kinds[i]}),
                     0);
    cr_assert_eq(tbus_publish_stream_token_generated(
                     bus, &(tbus_stream_token_generated_t){.base = at(40), .stream_id = "completes", .tokens = 4}),
                 0);
    cr_assert_eq(tbus_publish_network_backpressure(
                     bus, &(tbus_network_backpressure_t){.base = at(40), .stream_id = "completes"}),
                 0);
    cr_assert_eq(tbus_publish_stream_completed(
                     bus, &(tbus_stream_completed_t){.base = at(50), .stream_id = "completes", .token_count = 10}),
                 0);
    cr_assert_eq(tbus_publish_stream_failed(
                     bus, &(tbus_stream_failed_t){.base = at(60), .stream_id = "fails", .token_count = 7}),
                 0);
    cr_assert_eq(tbus_publish_stream_cancelled(
                     bus, &(tbus_stream_cancelled_t){.base = at(70), .stream_id = "cancelled", .token_count = 8}),
                 0);
    cr_assert_eq(tbus_publish_client_disconnected(
                     bus, &(tbus_client_disconnected_t){.base = at(80), .stream_id = "gone", .tokens_sent = 3}),
                 0);
    cr_assert_eq(tbus_publish_stream_failed(bus, &(tbus_stream_failed_t){.base = at(90), .stream_id = "unknown"}), 0);
    cr_assert_eq(tbus_free(bus), 0);

    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(s->total_streams, 5u);
    cr_assert_eq(s->completed_streams, 1u);
    cr_assert_eq(s->failed_streams, 1u);
    cr_assert_eq(s->cancelled_streams, 2u, "a client that went away counts as cancelled");
    cr_assert_eq(s->active_streams, 1u);
    cr_assert_eq(s->total_tokens, 5u + 4 + 1 + 7 + 8 + 3, "five and a chunk of four; one shed; others told at the end");
    cr_assert_eq(s->shed_tokens, 1u + 7 + 8 + 3);
    cr_assert_eq(s->backpressure_events, 1u);
    cr_assert_eq(s->orphan_events, 1u);
    cr_assert_eq(s->ttft_ms.count, 1u);
    cr_assert(s->ttft_ms.p50 == 11, "the role frame is not the first token");
    tbus_streaming_snapshot_free(s);
    expect_info(streaming, "runs", &(tbus_stream_info_t){.model = "m", .ttft_ms = 25});
    expect_info(streaming, "completes",
                &(tbus_stream_info_t){.model = "m", .tokens = 10, .ttft_ms = 11, .backpressure_events = 1});
    expect_info(streaming, "fails", &(tbus_stream_info_t){.model = "m", .tokens = 7, .ttft_ms = NAN});
    expect_info(streaming, "cancelled", &(tbus_stream_info_t){.model = "m", .tokens = 8, .ttft_ms = NAN});
    expect_info(streaming, "gone", &(tbus_stream_info_t){.model = "m", .tokens = 3, .ttft_ms = NAN});
    tbus_streaming_close(streaming);
}

/* --- What the tracker is told --- */

static void publish_token(tbus_t *bus, const char *id, int64_t number, const char *kind, int64_t time_ms)
{
    cr_assert_eq(tbus_publish_stream_token_generated(bus, &(tbus_stream_token_generated_t){.base = at(time_ms),
                                                                                           .stream_id = id,
                                                                                           .sequence_number = number,
                                                                                           .kind = kind}),
                 0);
}

Test(streaming_subscriber, the_kind_of_a_token_reaches_the_tracker)
{
    static const struct {
        const char *kind;
        double ttft_ms; /* where only content is a first token */
        uint64_t tokens;
    } cases[] = {{"role", 50, 1},    {"reasoning", 50, 2},     {"tool", 50, 2},
                 {"content", 10, 2}, {"something new", 10, 2}, {NULL, 10, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tbus_streaming_t *streaming;
        tbus_t *bus = open_bus(&(tbus_streaming_options_t){.first_token = TBUS_FIRST_TOKEN_CONTENT}, &streaming);
        cr_assert_eq(tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = at(0), .stream_id = "s"}), 0);
        publish_token(bus, "s", 0, cases[i].kind, 10);
        publish_token(bus, "s", 0, "content", 50);
        cr_assert_eq(tbus_free(bus), 0);
        expect_info(streaming, "s", &(tbus_stream_info_t){.tokens = cases[i].tokens, .ttft_ms = cases[i].ttft_ms});
        tbus_streaming_close(streaming);
    }
}

Test(streaming_subscriber, the_number_of_a_token_reaches_the_tracker)
{
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    tbus_t *bus = open_bus(NULL, &streaming);
    cr_assert_eq(tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = at(0), .stream_id = "s"}), 0);
    static const int64_t numbers[] = {1, 2, 5, 6};
    for (int i = 0; i < 4; i++)
        publish_token(bus, "s", numbers[i], NULL, i);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(s->sequence_jumps, 1u);
    cr_assert_eq(s->icl_ms.count, 2u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

enum { FIRST_TOKEN, TOKEN, PROGRESS, BACKPRESSURE, COMPLETED, FAILED, CANCELLED, DISCONNECTED, KINDS };

static int publish(tbus_t *bus, int kind, tbus_event_t base)
{
    switch (kind) {
    case FIRST_TOKEN:
        return tbus_publish_stream_first_token(
            bus, &(tbus_stream_first_token_t){.base = base, .stream_id = "s", .ttft_ms = NAN});
    case TOKEN:
        return tbus_publish_stream_token_generated(bus,
                                                   &(tbus_stream_token_generated_t){.base = base, .stream_id = "s"});
    case PROGRESS:
        return tbus_publish_stream_progress(bus, &(tbus_stream_progress_t){.base = base, .stream_id = "s"});
    case BACKPRESSURE:
        return tbus_publish_network_backpressure(bus, &(tbus_network_backpressure_t){.base = base, .stream_id = "s"});
    case COMPLETED:
        return tbus_publish_stream_completed(bus, &(tbus_stream_completed_t){.base = base, .stream_id = "s"});
    case FAILED:
        return tbus_publish_stream_failed(bus, &(tbus_stream_failed_t){.base = base, .stream_id = "s"});
    case CANCELLED:
        return tbus_publish_stream_cancelled(bus, &(tbus_stream_cancelled_t){.base = base, .stream_id = "s"});
    default:
        return tbus_publish_client_disconnected(bus, &(tbus_client_disconnected_t){.base = base, .stream_id = "s"});
    }
}

Test(streaming_subscriber, the_time_of_each_event_reaches_the_tracker)
{
    for (int kind = 0; kind < KINDS; kind++) {
        tbus_streaming_t *streaming;
        tbus_stream_info_t info;
        tbus_t *bus = open_bus(NULL, &streaming);
        cr_assert_eq(tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = at(10), .stream_id = "s"}), 0);
        cr_assert_eq(publish(bus, kind, at(50)), 0);
        cr_assert_eq(tbus_free(bus), 0);
        cr_assert_eq(tbus_streaming_find(streaming, "s", &info), 0);
        cr_assert_eq(info.status == TBUS_STREAM_STATUS_ACTIVE, kind < COMPLETED);
        cr_assert_eq(info.start_ns, at(10).time_ns);
        cr_assert_eq(info.end_ns, at(50).time_ns, "kind %d: its end, or the latest time", kind);
        cr_assert(kind <= TOKEN ? info.ttft_ms == 40 : isnan(info.ttft_ms), "kind %d", kind);
        tbus_streaming_close(streaming);
    }
}

static void expect_end(tbus_streaming_t *streaming, const char *id, tbus_stream_status_t status, const char *reason)
{
    tbus_stream_info_t info;
    cr_assert_eq(tbus_streaming_find(streaming, id, &info), 0, "%s", id);
    cr_assert_eq(info.status, status, "%s", id);
    cr_assert_str_eq(info.reason, reason);
    cr_assert_eq(info.input_tokens, 150u);
}

Test(streaming_subscriber, why_a_stream_ended_reaches_the_tracker)
{
    tbus_streaming_t *streaming;
    tbus_t *bus = open_bus(NULL, &streaming);
    static const char *const ids[] = {"completed", "failed", "cancelled", "stopped", "gone", "left"};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(tbus_publish_stream_started(
                         bus, &(tbus_stream_started_t){.base = at(0), .stream_id = ids[i], .input_tokens = 150}),
                     0);
    cr_assert_eq(
        tbus_publish_stream_completed(
            bus, &(tbus_stream_completed_t){.base = at(1), .stream_id = "completed", .finish_reason = "length"}),
        0);
    cr_assert_eq(tbus_publish_stream_failed(
                     bus, &(tbus_stream_failed_t){.base = at(1), .stream_id = "failed", .error_message = "no GPU"}),
                 0);
    cr_assert_eq(tbus_publish_stream_cancelled(bus, &(tbus_stream_cancelled_t){.base = at(1),
                                                                               .stream_id = "cancelled",
                                                                               .cancellation_point = "decode",
                                                                               .reason = "by the user"}),
                 0);
    cr_assert_eq(
        tbus_publish_stream_cancelled(
            bus, &(tbus_stream_cancelled_t){.base = at(1), .stream_id = "stopped", .cancellation_point = "decode"}),
        0);
    cr_assert_eq(tbus_publish_client_disconnected(
                     bus, &(tbus_client_disconnected_t){.base = at(1), .stream_id = "gone", .reason = "reset by peer"}),
                 0);
    cr_assert_eq(
        tbus_publish_client_disconnected(bus, &(tbus_client_disconnected_t){.base = at(1), .stream_id = "left"}), 0);
    cr_assert_eq(tbus_free(bus), 0);
    expect_end(streaming, "completed", TBUS_STREAM_STATUS_COMPLETED, "length");
    expect_end(streaming, "failed", TBUS_STREAM_STATUS_FAILED, "no GPU");
    expect_end(streaming, "cancelled", TBUS_STREAM_STATUS_CANCELLED, "by the user");
    expect_end(streaming, "stopped", TBUS_STREAM_STATUS_CANCELLED, "decode");
    expect_end(streaming, "gone", TBUS_STREAM_STATUS_CANCELLED, "reset by peer");
    expect_end(streaming, "left", TBUS_STREAM_STATUS_CANCELLED, "client disconnected");
    tbus_streaming_close(streaming);
}

Test(streaming_subscriber, a_stream_of_which_only_progress_is_told_is_not_abandoned)
{
    enum { MINUTES = 20 };
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    tbus_t *bus = open_bus(NULL, &streaming);
    cr_assert_eq(tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = at(0), .stream_id = "s"}), 0);
    for (int i = 1; i <= MINUTES; i++)
        cr_assert_eq(
            tbus_publish_stream_progress(
                bus, &(tbus_stream_progress_t){.base = at(i * 60000), .stream_id = "s", .tokens_generated = i * 100}),
            0);
    cr_assert_eq(tbus_publish_stream_completed(bus, &(tbus_stream_completed_t){.base = at(MINUTES * 60000 + 1),
                                                                               .stream_id = "s",
                                                                               .token_count = MINUTES * 100}),
                 0);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(s->completed_streams, 1u);
    cr_assert_eq(s->abandoned_streams + s->failed_streams + s->orphan_events, 0u);
    cr_assert_eq(s->total_tokens, 2000u, "as its end tells");
    cr_assert_eq(s->shed_tokens, 2000u, "what is told on the way is not counted");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

static int see_models(const tbus_event_t *event, void *user)
{
    tbus_streaming_snapshot_t *s;
    (void)event;
    cr_assert_eq(tbus_streaming_snapshot(user, 0, &s), 0);
    cr_assert_eq(s->total_streams, 1u, "what came before in the order is in the tracker");
    tbus_streaming_snapshot_free(s);
    return 0;
}

Test(streaming_subscriber, a_handler_of_lower_priority_may_take_a_snapshot)
{
    tbus_streaming_t *streaming;
    tbus_t *bus = open_bus(NULL, &streaming);
    cr_assert_gt(tbus_subscribe(bus, "stream.started", 1, see_models, streaming), 0);
    cr_assert_eq(tbus_publish_stream_started(bus, &(tbus_stream_started_t){.stream_id = "s"}), 0);
    cr_assert_eq(tbus_free(bus), 0);
    tbus_streaming_close(streaming);
}

Test(streaming_subscriber, null_is_refused)
{
    tbus_streaming_t *streaming;
    cr_assert_eq(tbus_streaming_attach(NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_streaming_open(NULL, &streaming), 0);
    cr_assert_eq(tbus_streaming_attach(streaming, NULL), UV_EINVAL);
    tbus_streaming_close(streaming);
}
