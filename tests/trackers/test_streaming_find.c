/* One stream, looked up by its id. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/trackers/streaming_fixture.h"

/* semantics: streaming.find */
Test(streaming_find, an_active_stream_tells_how_far_it_is)
{
    tbus_streaming_t *streaming = open_with(NULL);
    const tbus_stream_start_t begin = {.model = "gpt-4o", .input_tokens = 150, .time_ns = 100 * SECOND};
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", &begin), 0);
    tbus_stream_info_t info = found(streaming, "s");
    cr_assert_eq(info.status, TBUS_STREAM_STATUS_ACTIVE);
    cr_assert(isnan(info.ttft_ms) && isnan(info.itl_avg_ms) && isnan(info.tokens_per_second), "not known is not 0");
    cr_assert(info.duration_ms == 0);

    cr_assert_eq(token(streaming, "s", 100 * SECOND + 200 * MS), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", 4, 0, TBUS_TOKEN_TOOL, 100 * SECOND + 240 * MS), 0);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "s", 100 * SECOND + 250 * MS), 0);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "s", 100 * SECOND + 500 * MS), 0);
    info = found(streaming, "s");
    cr_assert_eq(info.status, TBUS_STREAM_STATUS_ACTIVE);
    cr_assert_str_eq(info.model, "gpt-4o");
    cr_assert_str_eq(info.reason, "");
    cr_assert_eq(info.start_ns, 100 * SECOND);
    cr_assert_eq(info.end_ns, 100 * SECOND + 500 * MS, "so far");
    cr_assert_eq(info.tokens, 5u);
    cr_assert_eq(info.input_tokens, 150u);
    cr_assert_eq(info.backpressure_events, 2u);
    cr_assert_float_eq(info.duration_ms, 500, 1e-9);
    cr_assert_float_eq(info.ttft_ms, 200, 1e-9);
    cr_assert_float_eq(info.tokens_per_second, 10, 1e-9);
    cr_assert_float_eq(info.itl_avg_ms, 10, 1e-9);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.find */
Test(streaming_find, a_finished_stream_tells_how_it_ended_and_why)
{
    static const struct {
        tbus_outcome_t outcome;
        tbus_stream_status_t status;
        const char *reason;
    } ends[] = {{TBUS_STREAM_OUTCOME_COMPLETED, TBUS_STREAM_STATUS_COMPLETED, "stop"},
                {TBUS_STREAM_OUTCOME_FAILED, TBUS_STREAM_STATUS_FAILED, "upstream timed out"},
                {TBUS_STREAM_OUTCOME_CANCELLED, TBUS_STREAM_STATUS_CANCELLED, NULL}};
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(start(streaming, "s", i * SECOND), 0);
        cr_assert_eq(token(streaming, "s", i * SECOND + 10 * MS), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s",
                                               &(tbus_stream_end_t){.outcome = ends[i].outcome,
                                                                    .token_count = 50,
                                                                    .reason = ends[i].reason,
                                                                    .time_ns = i * SECOND + 500 * MS}),
                     0);
        (void)token(streaming, "nobody", 100 * SECOND);
        tbus_stream_info_t info = found(streaming, "s");
        cr_assert_eq(info.status, ends[i].status);
        cr_assert_str_eq(info.reason, ends[i].reason ? ends[i].reason : "");
        cr_assert_eq(info.tokens, 50u, "those that were shed too");
        cr_assert_eq(info.start_ns, i * SECOND);
        cr_assert_eq(info.end_ns, i * SECOND + 500 * MS);
        cr_assert_float_eq(info.tokens_per_second, 100, 1e-9);
    }
    tbus_streaming_close(streaming);
}

Test(streaming_find, an_abandoned_stream_says_so)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.idle_ns = SECOND});
    cr_assert_eq(start(streaming, "s", 0), 0);
    (void)token(streaming, "nobody", SECOND + 1);
    tbus_stream_info_t info = found(streaming, "s");
    cr_assert_eq(info.status, TBUS_STREAM_STATUS_FAILED);
    cr_assert_str_eq(info.reason, "abandoned");
    cr_assert_float_eq(info.duration_ms, 1000, 1e-9);
    tbus_streaming_close(streaming);
}

/* Streams with the ids "0", "1", ..., one after the other. */
static void run_numbered(tbus_streaming_t *streaming, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(start(streaming, id, i), 0);
        cr_assert_eq(complete(streaming, id, i + MS), 0);
    }
}

/* Of the ids "0" up to `count`, those from `from` up to `to` are found. */
static void expect_found(tbus_streaming_t *streaming, int count, int from, int to)
{
    for (int i = 0; i < count; i++) {
        tbus_stream_info_t info;
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(tbus_streaming_find(streaming, id, &info), i >= from && i < to ? 0 : UV_ENOENT, "%d", i);
    }
}

Test(streaming_find, the_latest_finished_streams_are_kept_and_no_more)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.finished_max = 10, .findable_max = 3});
    run_numbered(streaming, 8);
    expect_found(streaming, 8, 5, 8);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duration_ms.count, 8u, "for the percentiles more are kept");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_find, no_more_can_be_looked_up_than_are_kept)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.finished_max = 2, .findable_max = 5});
    run_numbered(streaming, 4);
    expect_found(streaming, 4, 2, 4);
    tbus_streaming_close(streaming);
}

Test(streaming_find, after_a_reset_as_many_are_kept_as_before_and_none_of_the_earlier_ones)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.finished_max = 10, .findable_max = 3});
    for (int streams = 9; streams > 0; streams--) {
        run_numbered(streaming, streams);
        expect_found(streaming, 9, streams < 3 ? 0 : streams - 3, streams);
        tbus_streaming_reset(streaming);
        expect_found(streaming, 9, 0, 0);
    }
    tbus_streaming_close(streaming);
}

Test(streaming_find, of_several_streams_with_one_id_the_latest_is_found)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.finished_max = 3});
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(start(streaming, "s", i * SECOND), 0);
        cr_assert_eq(found(streaming, "s").status, TBUS_STREAM_STATUS_ACTIVE);
        cr_assert_eq(found(streaming, "s").tokens, 0u);
        cr_assert_eq(token(streaming, "s", i * SECOND), 0);
        cr_assert_eq(complete(streaming, "s", i * SECOND + MS), 0);
        cr_assert_eq(found(streaming, "s").start_ns, i * SECOND);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duration_ms.count, 3u, "the figures of the earlier ones are kept all the same");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_find, a_reason_is_cut_between_code_points_and_keys_in_it_are_masked)
{
    tbus_streaming_t *streaming = open_with(NULL);
    char reason[300];
    memset(reason, 'r', sizeof reason);
    memcpy(reason + TBUS_STREAM_REASON_BYTES - 2, "\xC3\xA9", 3);
    cr_assert_eq(start(streaming, "long", 0), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "long", &(tbus_stream_end_t){.reason = reason}), 0);
    cr_assert_eq(strlen(found(streaming, "long").reason), (size_t)TBUS_STREAM_REASON_BYTES - 2);

    for (size_t length = TBUS_STREAM_REASON_BYTES - 1; length <= TBUS_STREAM_REASON_BYTES; length++) {
        memset(reason, 'r', sizeof reason);
        reason[length] = '\0';
        cr_assert_eq(start(streaming, "fits", 0), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "fits", &(tbus_stream_end_t){.reason = reason}), 0);
        cr_assert_eq(strlen(found(streaming, "fits").reason), (size_t)TBUS_STREAM_REASON_BYTES - 1);
    }

    cr_assert_eq(start(streaming, "key", 0), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "key",
                                           &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_FAILED,
                                                                .reason = "bad key sk-proj-abcdef0123456789abcdef"}),
                 0);
    cr_assert_null(strstr(found(streaming, "key").reason, "abcdef"), "%s", found(streaming, "key").reason);
    cr_assert_not_null(strstr(found(streaming, "key").reason, "bad key sk-*"));
    tbus_streaming_close(streaming);
}

Test(streaming_find, a_key_that_the_cut_shortens_is_masked_too)
{
    static const char *const begins[] = {"api_key=abc", "eyJhbGciOiJI", "password: secre", "hf_abcdefgh", "AKIA12"};
    tbus_streaming_t *streaming = open_with(NULL);
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        const size_t length = strlen(begins[i]), kept = TBUS_STREAM_REASON_BYTES - 1;
        char reason[300];
        memset(reason, ' ', sizeof reason);
        memcpy(reason + kept - length, begins[i], length);
        memset(reason + kept, 'X', 40); /* what makes it a key is behind the cut */
        reason[kept + 40] = '\0';
        cr_assert_eq(start(streaming, "s", 0), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s", &(tbus_stream_end_t){.reason = reason}), 0);
        const tbus_stream_info_t info = found(streaming, "s");
        cr_assert_eq(info.reason[strlen(info.reason) - 1], '*', "%s", info.reason);
        cr_assert_null(strstr(info.reason, begins[i]));
    }
    cr_assert_eq(start(streaming, "s", 0), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", &(tbus_stream_end_t){.reason = "hf_abcdefgh"}), 0);
    cr_assert_str_eq(found(streaming, "s").reason, "hf_abcdefgh", "whole, it is none");
    tbus_streaming_close(streaming);
}

Test(streaming_find, models_past_the_cap_are_shown_as_they_are_counted)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.models_max = 1});
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "b", &(tbus_stream_start_t){.model = "second"}), 0);
    cr_assert_str_eq(found(streaming, "a").model, "m");
    cr_assert_str_eq(found(streaming, "b").model, "other");
    tbus_streaming_close(streaming);
}
