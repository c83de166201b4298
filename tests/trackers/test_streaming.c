#include <math.h>
#include <string.h>

#include "tests/trackers/streaming_fixture.h"

/* semantics: streaming.tps streaming.ttft streaming.tpot streaming.duration */
Test(streaming, the_figures_of_one_stream_are_those_of_the_definitions)
{
    tbus_streaming_t *streaming = open_with(NULL);
    int64_t begin = 1700000000 * SECOND;
    cr_assert_eq(
        tbus_streaming_record_start(streaming, "s", &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = begin}), 0);
    cr_assert_eq(token(streaming, "s", begin + 200 * MS), 0);
    cr_assert_eq(token(streaming, "s", begin + 210 * MS), 0);
    cr_assert_eq(token(streaming, "s", begin + 240 * MS), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s",
                                           &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_COMPLETED,
                                                                .token_count = 3,
                                                                .time_ns = begin + 250 * MS}),
                 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams, 1u);
    cr_assert_eq(s->completed_streams, 1u);
    cr_assert_eq(s->active_streams, 0u);
    cr_assert_eq(s->total_tokens, 3u);
    cr_assert_eq(s->shed_tokens, 0u);
    cr_assert_eq(s->time_ns, begin + 250 * MS);
    cr_assert(s->success_rate == 1);
    cr_assert_float_eq(s->ttft_ms.p50, 200, 1e-9);
    cr_assert_float_eq(s->duration_ms.max, 250, 1e-9);
    cr_assert_float_eq(s->tokens_per_second.avg, 3 / 0.25, 1e-9);
    cr_assert_float_eq(s->tpot_ms.min, (250 - 200) / 2.0, 1e-9);
    cr_assert_eq(s->itl_ms.count, 2u);
    cr_assert_float_eq(s->itl_ms.avg, 20, 1e-9);
    cr_assert_float_eq(s->itl_ms.max, 30, 1e-9);
    cr_assert_eq(s->models_count, 1u);
    cr_assert_str_eq(s->models[0].model, "gpt-4o");
    cr_assert_eq(s->models[0].tokens, 3u);
    cr_assert(isnan(s->goodput), "without limits there is none");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, nothing_recorded_is_not_zero)
{
    tbus_streaming_t *streaming = open_uncached();
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert(isnan(s->success_rate) && isnan(s->ttft_ms.p50) && isnan(s->itl_ms.avg));
    cr_assert_eq(s->ttft_ms.count, 0u);
    cr_assert_eq(s->models_count, 0u);
    tbus_streaming_snapshot_free(s);

    cr_assert_eq(tbus_streaming_record_start(streaming, "s", &(tbus_stream_start_t){.model = NULL, .time_ns = SECOND}),
                 0);
    cr_assert_eq(token(streaming, "s", SECOND), 0);
    cr_assert_eq(tbus_streaming_record_end(
                     streaming, "s", &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_FAILED, .time_ns = SECOND}),
                 0);
    s = snapshot_at(streaming, 0);
    cr_assert_eq(s->ttft_ms.count, 1u);
    cr_assert(s->ttft_ms.p50 == 0, "a TTFT of 0 ms is a figure");
    cr_assert_eq(s->tokens_per_second.count, 0u, "no time, no rate");
    cr_assert(s->success_rate == 0);
    cr_assert_str_eq(s->models[0].model, "");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, a_nanosecond_is_a_duration)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, "s", SECOND), 0);
    cr_assert_eq(token(streaming, "s", SECOND), 0);
    cr_assert_float_eq(found(streaming, "s").duration_ms, 0, 0);
    cr_assert_eq(complete(streaming, "s", SECOND + 1), 0);
    cr_assert_float_eq(found(streaming, "s").tokens_per_second, 1e9, 1);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->tokens_per_second.count, 1u);
    cr_assert_float_eq(s->tokens_per_second.max, 1e9, 1);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

static double ttft_of(tbus_first_token_t policy, const tbus_token_kind_t *kinds, size_t count)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.first_token = policy});
    cr_assert_eq(start(streaming, "s", SECOND), 0);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 1, 0, kinds[i], SECOND + (int64_t)(i + 1) * MS), 0);
    cr_assert_eq(complete(streaming, "s", 2 * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    double ttft = s->ttft_ms.p50;
    cr_assert_eq(s->total_tokens, count - 1, "a role frame is no token");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    return ttft;
}

/* semantics: streaming.ttft */
Test(streaming, which_token_is_the_first_is_a_policy)
{
    static const tbus_token_kind_t kinds[] = {TBUS_TOKEN_ROLE, TBUS_TOKEN_REASONING, TBUS_TOKEN_TOOL,
                                              TBUS_TOKEN_CONTENT};
    cr_assert(ttft_of(TBUS_FIRST_TOKEN_ANY, kinds, 4) == 1);
    cr_assert(ttft_of(TBUS_FIRST_TOKEN_OUTPUT, kinds, 4) == 2);
    cr_assert(ttft_of(TBUS_FIRST_TOKEN_CONTENT, kinds, 4) == 4);
}

/* semantics: streaming.first_token */
Test(streaming, a_measured_first_token_counts_unless_a_token_came_before)
{
    static const struct {
        double told, expected;
        bool token_before;
    } cases[] = {{123.5, 123.5, false}, {0, 0, false},         {NAN, 50, false},
                 {-1, 50, false},       {INFINITY, 50, false}, {123.5, 10, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tbus_streaming_t *streaming = open_with(NULL);
        cr_assert_eq(start(streaming, "s", SECOND), 0);
        if (cases[i].token_before)
            cr_assert_eq(token(streaming, "s", SECOND + 10 * MS), 0);
        cr_assert_eq(tbus_streaming_record_first_token(streaming, "s", cases[i].told, SECOND + 50 * MS), 0);
        cr_assert_eq(token(streaming, "s", SECOND + 60 * MS), 0);
        cr_assert_eq(complete(streaming, "s", 2 * SECOND), 0);
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
        cr_assert(s->ttft_ms.p50 == cases[i].expected, "case %zu: %g", i, s->ttft_ms.p50);
        tbus_streaming_snapshot_free(s);
        tbus_streaming_close(streaming);
    }
}

/* semantics: streaming.first_token */
Test(streaming, a_measured_first_token_counts_where_what_came_before_is_none_by_the_policy)
{
    static const struct {
        tbus_first_token_t policy;
        tbus_token_kind_t before;
        double expected;
    } cases[] = {{TBUS_FIRST_TOKEN_OUTPUT, TBUS_TOKEN_ROLE, 25},     {TBUS_FIRST_TOKEN_OUTPUT, TBUS_TOKEN_TOOL, 10},
                 {TBUS_FIRST_TOKEN_CONTENT, TBUS_TOKEN_TOOL, 25},    {TBUS_FIRST_TOKEN_CONTENT, TBUS_TOKEN_ROLE, 25},
                 {TBUS_FIRST_TOKEN_CONTENT, TBUS_TOKEN_CONTENT, 10}, {TBUS_FIRST_TOKEN_ANY, TBUS_TOKEN_ROLE, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.first_token = cases[i].policy});
        cr_assert_eq(start(streaming, "s", SECOND), 0);
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 1, 0, cases[i].before, SECOND + 10 * MS), 0);
        cr_assert_eq(tbus_streaming_record_first_token(streaming, "s", 25, SECOND + 30 * MS), 0);
        cr_assert(found(streaming, "s").ttft_ms == cases[i].expected, "case %zu", i);
        tbus_streaming_close(streaming);
    }
}

Test(streaming, a_measured_first_token_past_the_end_of_time_is_at_it)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, "s", SECOND), 0);
    cr_assert_eq(tbus_streaming_record_first_token(streaming, "s", 1e300, 2 * SECOND), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", 2, 0, TBUS_TOKEN_CONTENT, 3 * SECOND), 0);
    cr_assert_eq(complete(streaming, "s", 4 * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_float_eq(s->ttft_ms.max, ldexp(1, 62) / 1e6, 1);
    cr_assert(s->tpot_ms.max == 0);
    cr_assert_eq(s->negative_intervals, 1u, "the end lies before it");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.itl streaming.icl */
Test(streaming, a_chunk_of_n_tokens_gives_n_itl_samples_and_one_icl_sample)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, "s", 0), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", 3, 0, TBUS_TOKEN_CONTENT, 100 * MS), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", 4, 0, TBUS_TOKEN_CONTENT, 180 * MS), 0);
    cr_assert_eq(token(streaming, "s", 200 * MS), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_tokens, 8u);
    cr_assert_eq(s->itl_ms.count, 5u);
    cr_assert_float_eq(s->itl_ms.avg, 20, 1e-9);
    cr_assert_eq(s->icl_ms.count, 2u);
    cr_assert_float_eq(s->icl_ms.avg, 50, 1e-9);
    cr_assert_float_eq(s->icl_ms.max, 80, 1e-9);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

struct numbered {
    int64_t number, tokens; /* tokens 0: a role frame */
};

/* How many gaps of a stream are samples, and how many events told that tokens were shed. */
static void follow(tbus_numbering_t numbering, const struct numbered *events, size_t count, uint64_t expected_gaps,
                   uint64_t expected_jumps)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.numbering = numbering});
    cr_assert_eq(start(streaming, "s", 0), 0);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", events[i].tokens, events[i].number,
                                                 events[i].tokens ? TBUS_TOKEN_CONTENT : TBUS_TOKEN_ROLE,
                                                 (int64_t)i * MS),
                     0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->icl_ms.count, expected_gaps, "numbering %d: %d gaps, not %d", (int)numbering, (int)s->icl_ms.count,
                 (int)expected_gaps);
    cr_assert_eq(s->sequence_jumps, expected_jumps, "numbering %d: %d jumps", (int)numbering, (int)s->sequence_jumps);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

#define FOLLOW(numbering, gaps, jumps, ...)                                                                            \
    do {                                                                                                               \
        const struct numbered events[] = {__VA_ARGS__};                                                                \
        follow(numbering, events, sizeof events / sizeof *events, gaps, jumps);                                        \
    } while (0)

/* semantics: streaming.icl */
Test(streaming, a_gap_over_shed_tokens_gives_no_sample)
{
    FOLLOW(TBUS_NUMBERING_EVENTS, 2, 1, {1, 1}, {2, 1}, {5, 1}, {6, 1});
    FOLLOW(TBUS_NUMBERING_EVENTS, 3, 0, {1, 4}, {2, 4}, {3, 1}, {4, 7}); /* chunks count as one each */
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 2, 1, {1, 4}, {5, 4}, {9, 2}, {20, 2});
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 1, 1, {1, 4}, {6, 1}, {7, 1}); /* one token is missing */
    FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 2, 1, {4, 4}, {8, 4}, {10, 2}, {20, 2});
    FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 1, 1, {4, 4}, {6, 1}, {7, 1});
}

Test(streaming, numbers_may_begin_with_zero_and_may_be_left_out)
{
    FOLLOW(TBUS_NUMBERING_EVENTS, 2, 0, {0, 1}, {1, 1}, {2, 1});
    FOLLOW(TBUS_NUMBERING_EVENTS, 1, 1, {0, 1}, {1, 1}, {3, 1});
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 2, 0, {0, 3}, {3, 2}, {5, 1});
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 1, 1, {0, 3}, {3, 2}, {6, 1});
    FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 2, 0, {2, 3}, {4, 2}, {5, 1});
    FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 1, 1, {2, 3}, {4, 2}, {6, 1});
    FOLLOW(TBUS_NUMBERING_EVENTS, 2, 0, {0, 1}, {0, 1}, {0, 1}); /* never numbered */
    FOLLOW(TBUS_NUMBERING_EVENTS, 4, 0, {1, 1}, {0, 1}, {-5, 1}, {4, 1}, {5, 1});
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 2, 0, {1, 3}, {0, 2}, {6, 1});
}

Test(streaming, numbers_that_come_late_or_twice_are_no_jump)
{
    FOLLOW(TBUS_NUMBERING_EVENTS, 3, 1, {1, 1}, {3, 1}, {2, 1}, {3, 1}, {4, 1});
}

Test(streaming, tokens_shed_before_a_role_frame_spoil_the_next_tokens_gap)
{
    FOLLOW(TBUS_NUMBERING_EVENTS, 1, 1, {1, 1}, {4, 0}, {5, 1}, {6, 1});
    FOLLOW(TBUS_NUMBERING_EVENTS, 1, 0, {1, 0}, {2, 1}, {3, 1});
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 1, 0, {1, 0}, {1, 1}, {2, 1});
    FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 1, 0, {0, 0}, {1, 1}, {2, 1});
}

Test(streaming, a_role_frame_without_a_number_leaves_open_where_the_tokens_numbers_begin)
{
    for (int64_t first = 0; first <= 1; first++) {
        FOLLOW(TBUS_NUMBERING_EVENTS, 1, 0, {0, 0}, {first, 1}, {first + 1, 1});
        FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 1, 0, {0, 0}, {first, 1}, {first + 1, 1});
        FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 1, 0, {0, 0}, {first, 1}, {first + 1, 1});
        FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 1, 0, {0, 0}, {0, 0}, {first, 3}, {first + 3, 1});
        FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 1, 0, {0, 0}, {0, 0}, {first + 2, 3}, {first + 3, 1});
    }
    FOLLOW(TBUS_NUMBERING_FIRST_TOKEN, 0, 1, {0, 0}, {1, 1}, {3, 1});
    FOLLOW(TBUS_NUMBERING_LAST_TOKEN, 0, 1, {0, 0}, {1, 1}, {3, 1});
}

Test(streaming, tokens_shed_before_the_first_that_came_are_told_too)
{
    FOLLOW(TBUS_NUMBERING_EVENTS, 1, 1, {3, 1}, {4, 1});
}

/* semantics: streaming.oversized */
Test(streaming, one_huge_event_does_not_outweigh_the_others)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "s", 0), 0);
    for (int i = 1; i <= 3; i++)
        cr_assert_eq(token(streaming, "s", i * MS), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", TBUS_EVENT_TOKENS_MAX, 0, TBUS_TOKEN_CONTENT, 4 * MS), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->itl_ms.count, 2u + TBUS_EVENT_TOKENS_MAX);
    cr_assert_eq(s->oversized_events, 0u);
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", TBUS_EVENT_TOKENS_MAX + 1, 0, TBUS_TOKEN_CONTENT, 5 * MS),
                 0);
    s = snapshot_at(streaming, 0);
    cr_assert_eq(s->itl_ms.count, 2u + TBUS_EVENT_TOKENS_MAX, "it gives no sample");
    cr_assert_eq(s->icl_ms.count, 4u, "but the gap was one between events");
    cr_assert_eq(s->oversized_events, 1u);
    cr_assert_eq(s->total_tokens, 3u + TBUS_EVENT_TOKENS_MAX + TBUS_EVENT_TOKENS_MAX + 1, "its tokens count");
    cr_assert_float_eq(found(streaming, "s").itl_avg_ms, 3.0 / (2 + TBUS_EVENT_TOKENS_MAX), 1e-9);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* A stream that starts at 0: TTFT 100 ms, TPOT (`end` - 100) / (tokens - 1). */
static void run_stream(tbus_streaming_t *streaming, int64_t tokens, int64_t end_ms)
{
    cr_assert_eq(start(streaming, "s", 0), 0);
    if (tokens > 0)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", tokens, 0, TBUS_TOKEN_CONTENT, 100 * MS), 0);
    cr_assert_eq(complete(streaming, "s", end_ms * MS), 0);
}

static double goodput_with(double ttft_max_ms, double tpot_max_ms, double duration_max_ms)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){
        .ttft_max_ms = ttft_max_ms, .tpot_max_ms = tpot_max_ms, .duration_max_ms = duration_max_ms});
    run_stream(streaming, 11, 200); /* TPOT 10 */
    run_stream(streaming, 11, 300); /* TPOT 20 */
    run_stream(streaming, 1, 200);
    run_stream(streaming, 0, 200);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    double goodput = s->goodput;
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    return goodput;
}

/* semantics: streaming.goodput */
Test(streaming, goodput_is_the_share_within_all_limits_that_are_set)
{
    cr_assert(isnan(goodput_with(0, 0, 0)), "no limits, no figure");
    cr_assert(goodput_with(100, 0, 0) == 0.75, "at the limit is within; without a first token is not");
    cr_assert(goodput_with(99.9, 0, 0) == 0);
    cr_assert(goodput_with(0, 10, 0) == 0.75, "one token has nothing to wait for");
    cr_assert(goodput_with(0, 0, 200) == 0.75);
    cr_assert(goodput_with(100, 10, 200) == 0.5);
    cr_assert(goodput_with(0.5, 0, 0) == 0 && goodput_with(0, 0, 0.5) == 0, "a limit may be below a millisecond");
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.ttft_max_ms = 1});
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert(isnan(s->goodput), "no streams, no figure");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.models */
Test(streaming, models_are_counted_for_ever_and_within_the_window)
{
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.window_ns = 30 * SECOND, .cache_ns = TBUS_STREAMING_NO_CACHE});
    for (int i = 0; i < 4; i++) {
        const tbus_stream_start_t begin = {.model = i % 2 ? "b" : "a", .time_ns = i * 20 * SECOND};
        cr_assert_eq(tbus_streaming_record_start(streaming, "s", &begin), 0);
        cr_assert_eq(token(streaming, "s", begin.time_ns), 0);
        cr_assert_eq(tbus_streaming_record_end(
                         streaming, "s", &(tbus_stream_end_t){.token_count = 5, .time_ns = begin.time_ns + SECOND}),
                     0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0); /* at 61 s */
    cr_assert_eq(s->models_count, 2u);
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(s->models[i].model, i ? "b" : "a");
        cr_assert_eq(s->models[i].streams, 2u);
        cr_assert_eq(s->models[i].tokens, 10u);
        cr_assert_eq(s->models[i].recent_streams, i ? 1u : 1u);
        cr_assert_eq(s->models[i].recent_tokens, 5u);
    }
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, 75 * SECOND);
    cr_assert_eq(s->models[0].recent_streams + s->models[0].recent_tokens, 0u, "40 s has left");
    cr_assert_eq(s->models[1].recent_tokens, 5u);
    cr_assert_eq(s->models[0].tokens, 10u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.models */
Test(streaming, models_are_listed_by_their_streams_and_those_of_as_many_by_name)
{
    static const char *const started[] = {"c", "a", "often", "d", "b", "often"}, *const listed[] = {"often", "a", "b",
                                                                                                    "c", "d"};
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < 6; i++) {
        char id[2] = {(char)('0' + i)};
        cr_assert_eq(tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = started[i]}), 0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->models_count, 5u);
    for (int i = 0; i < 5; i++)
        cr_assert_str_eq(s->models[i].model, listed[i]);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.histograms */
Test(streaming, histograms_have_each_finished_stream_once)
{
    tbus_streaming_t *streaming = open_uncached();
    static const tbus_outcome_t outcomes[] = {TBUS_STREAM_OUTCOME_COMPLETED, TBUS_STREAM_OUTCOME_FAILED,
                                              TBUS_STREAM_OUTCOME_CANCELLED};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tbus_streaming_record_start(streaming, "s",
                                                 &(tbus_stream_start_t){.model = "m", .input_tokens = i ? 0 : 4}),
                     0);
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 11, 0, TBUS_TOKEN_CONTENT, 100 * MS), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s",
                                               &(tbus_stream_end_t){.outcome = outcomes[i], .time_ns = 1280 * MS}),
                     0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    const tbus_streaming_model_t *m = &s->models[0];
    cr_assert_eq(m->ttft_s.bounds->count, 16u);
    cr_assert_eq(m->ttft_s.count, 1u, "of completed ones");
    cr_assert_eq(m->ttft_s.counts[7], 1u, "0.1 s is within the bound 0.1");
    cr_assert(m->ttft_s.sum == 0.1);
    cr_assert_eq(m->tpot_s.bounds->count, 13u);
    cr_assert_eq(m->tpot_s.counts[5], 1u, "0.118 s");
    cr_assert_eq(m->duration_s.bounds->count, 14u);
    cr_assert_eq(m->duration_s.count, 3u);
    cr_assert_eq(m->duration_s.counts[7], 3u, "1.28 s is within the bound 1.28");
    cr_assert_eq(m->input_tokens.count, 1u, "told once");
    cr_assert_eq(m->input_tokens.counts[1], 1u);
    cr_assert_eq(m->output_tokens.count, 3u);
    cr_assert_eq(m->output_tokens.counts[2], 3u);
    cr_assert(m->output_tokens.sum == 33);
    cr_assert_str_eq(s->operation_name, "chat");
    cr_assert_str_eq(s->provider_name, "");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, the_host_sets_bounds_and_labels_and_may_forget_them)
{
    double values[] = {1, 2};
    char provider[200];
    memset(provider, 'p', sizeof provider - 1);
    provider[sizeof provider - 1] = '\0';
    tbus_bounds_t bounds = {2, values};
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.ttft_bounds = tbus_bounds_preset(TBUS_BOUNDS_VLLM_TIME_TO_FIRST_TOKEN),
                                              .tpot_bounds = tbus_bounds_preset(TBUS_BOUNDS_SGLANG_INTER_TOKEN_LATENCY),
                                              .duration_bounds = &bounds,
                                              .operation_name = "text_completion",
                                              .provider_name = provider});
    bounds.count = 0;
    values[0] = values[1] = 7;
    memset(provider, 'x', 10);
    cr_assert_eq(start(streaming, "s", 0), 0);
    cr_assert_eq(complete(streaming, "s", 3 * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    tbus_streaming_close(streaming);
    cr_assert_eq(s->models[0].ttft_s.bounds->count, 22u);
    cr_assert_eq(s->models[0].tpot_s.bounds->count, 23u);
    cr_assert_eq(s->models[0].duration_s.bounds->count, 2u);
    cr_assert_eq(s->models[0].duration_s.counts[2], 1u, "above both");
    cr_assert_str_eq(s->operation_name, "text_completion");
    cr_assert_eq(strlen(s->provider_name), 63u);
    cr_assert_eq(strspn(s->provider_name, "p"), 63u);
    tbus_streaming_snapshot_free(s);
}

Test(streaming, an_event_with_less_than_a_token_has_one)
{
    static const int64_t tokens[] = {0, -1, -5, INT64_MIN};
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, "s", 0), 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", tokens[i], 0, TBUS_TOKEN_CONTENT, i * MS), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_tokens, 4u);
    cr_assert_eq(s->models[0].recent_tokens, 4u);
    cr_assert_eq(s->itl_ms.count, 3u);
    cr_assert(s->itl_ms.min == 1 && s->itl_ms.max == 1);
    cr_assert_eq(s->oversized_events, 0u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.tokens */
Test(streaming, tokens_are_the_larger_of_those_seen_and_those_told)
{
    tbus_streaming_t *streaming = open_with(NULL);
    for (int64_t told = 0; told <= 4; told += 4) {
        cr_assert_eq(start(streaming, "s", 0), 0);
        cr_assert_eq(token(streaming, "s", MS), 0);
        cr_assert_eq(token(streaming, "s", MS), 0);
        cr_assert_eq(
            tbus_streaming_record_end(
                streaming, "s",
                &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_COMPLETED, .token_count = told, .time_ns = SECOND}),
            0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_tokens, 6u);
    cr_assert_eq(s->shed_tokens, 2u);
    cr_assert_eq(s->models[0].tokens, 6u);
    cr_assert(s->tokens_per_second.max == 4);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.refused streaming.backpressure */
Test(streaming, what_does_not_fit_a_stream_is_refused_and_counted)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.active_max = 2});
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(start(streaming, "a", 0), UV_EEXIST);
    cr_assert_eq(start(streaming, "b", 0), 0);
    cr_assert_eq(start(streaming, "c", 0), UV_ENOSPC);
    cr_assert_eq(token(streaming, "c", 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_first_token(streaming, "c", 1, 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_end(streaming, "c", &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_FAILED}),
                 UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_progress(streaming, "c", 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "c", 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "a", 0), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "a", &(tbus_stream_end_t){.outcome = (tbus_outcome_t)3}),
                 UV_EINVAL);
    cr_assert_eq(
        tbus_streaming_record_end(streaming, "a", &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_CANCELLED}), 0);
    cr_assert_eq(token(streaming, "a", 0), UV_ENOENT, "a token after the end");
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duplicate_starts, 1u);
    cr_assert_eq(s->refused_starts, 1u);
    cr_assert_eq(s->orphan_events, 6u);
    cr_assert_eq(s->backpressure_events, 2u);
    cr_assert_eq(s->cancelled_streams, 1u);
    cr_assert_eq(s->active_streams, 1u);
    cr_assert_eq(s->total_streams, 2u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, null_and_wrong_options_are_refused)
{
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    cr_assert_eq(tbus_streaming_open(NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_streaming_open(&(tbus_streaming_options_t){.active_max = (1 << 24) + 1}, &streaming), UV_EINVAL);
    cr_assert_eq(tbus_streaming_open(&(tbus_streaming_options_t){.reserved = {1}}, &streaming), UV_EINVAL);
    cr_assert_eq(tbus_streaming_open(&(tbus_streaming_options_t){.first_token = (tbus_first_token_t)3}, &streaming),
                 UV_EINVAL);
    static const double nan_bound[] = {1, NAN}, falling[] = {2, 1};
    const tbus_streaming_options_t wrong[] = {
        {.finished_max = (1 << 24) + 1},
        {.findable_max = (1 << 24) + 1},
        {.models_max = (1 << 24) + 1},
        {.numbering = (tbus_numbering_t)3},
        {.ttft_max_ms = -1},
        {.tpot_max_ms = NAN},
        {.duration_max_ms = INFINITY},
        {.ttft_bounds = &(tbus_bounds_t){0, falling}},
        {.tpot_bounds = &(tbus_bounds_t){2, falling}},
        {.duration_bounds = &(tbus_bounds_t){2, nan_bound}},
        {.usage_bounds = &(tbus_bounds_t){TBUS_BOUNDS_MAX + 1, falling}},
        {.usage_bounds = &(tbus_bounds_t){1, NULL}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(tbus_streaming_open(&wrong[i], &streaming), UV_EINVAL, "options %zu", i);
    cr_assert_eq(tbus_streaming_record_start(NULL, "s", &(tbus_stream_start_t){.model = "m"}), UV_EINVAL);
    cr_assert_eq(token(NULL, "s", 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_first_token(NULL, "s", 0, 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_end(NULL, "s", &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_FAILED}),
                 UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_progress(NULL, "s", 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_backpressure(NULL, "s", 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_snapshot(NULL, 0, &s), UV_EINVAL);
    tbus_stream_info_t info;
    cr_assert_eq(tbus_streaming_find(NULL, "s", &info), UV_EINVAL);
    streaming = open_with(NULL);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", NULL), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", NULL), UV_EINVAL);
    cr_assert_eq(tbus_streaming_find(streaming, "s", NULL), UV_EINVAL);
    cr_assert_eq(tbus_streaming_find(streaming, "s", &info), UV_ENOENT);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, NULL), UV_EINVAL);
    tbus_streaming_close(streaming);
    tbus_streaming_close(NULL);
    tbus_streaming_reset(NULL);
    tbus_streaming_snapshot_free(NULL);
}

Test(streaming, numbers_at_the_end_of_what_there_is_overflow_nothing)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "s", 0), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", INT64_MAX, INT64_MAX, TBUS_TOKEN_CONTENT, SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->sequence_jumps, 1u, "to there");
    cr_assert(s->total_tokens == UINT64_MAX && s->models[0].tokens == UINT64_MAX);
    cr_assert_eq(s->models[0].recent_tokens, UINT64_MAX);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, shed_tokens_stay_at_the_end_of_what_there_is)
{
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(start(streaming, "s", 0), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s", &(tbus_stream_end_t){.token_count = INT64_MAX}), 0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert(s->shed_tokens == UINT64_MAX && s->total_tokens == UINT64_MAX);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* One model has a row of its own, the other counts as "other", whose row stays. */
static void run_chunks(tbus_streaming_t *streaming)
{
    static const char *const ids[] = {"m", "n"};
    for (int i = 0; i < 2; i++) {
        const tbus_stream_start_t begins = {.model = ids[i], .time_ns = 5 * SECOND};
        cr_assert_eq(tbus_streaming_record_start(streaming, ids[i], &begins), 0);
        for (int chunk = 0; chunk < 3; chunk++)
            cr_assert_eq(tbus_streaming_record_token(streaming, ids[i], 4, 0, TBUS_TOKEN_CONTENT, (6 + chunk) * SECOND),
                         0);
    }
}

Test(streaming, after_a_reset_windows_hold_only_what_came_since)
{
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.models_max = 1, .cache_ns = TBUS_STREAMING_NO_CACHE});
    for (int again = 0; again < 3; again++) {
        run_chunks(streaming);
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
        cr_assert(s->icl_ms.count == 4 && s->itl_ms.count == 16);
        cr_assert_eq(s->models_count, 2u);
        for (int i = 0; i < 2; i++)
            cr_assert(s->models[i].recent_streams == 1 && s->models[i].recent_tokens == 12, "%s", s->models[i].model);
        tbus_streaming_snapshot_free(s);
        tbus_streaming_reset(streaming);
    }
    tbus_streaming_close(streaming);
}

Test(streaming, reset_forgets_everything)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "s", 5 * SECOND), 0);
    cr_assert_eq(token(streaming, "s", 6 * SECOND), 0);
    cr_assert_eq(token(streaming, "s", 6 * SECOND), 0);
    cr_assert_eq(start(streaming, "t", 6 * SECOND), 0);
    cr_assert_eq(complete(streaming, "t", 6 * SECOND), 0);
    tbus_streaming_reset(streaming);
    tbus_stream_info_t info;
    cr_assert_eq(tbus_streaming_find(streaming, "t", &info), UV_ENOENT);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams + s->total_tokens + s->active_streams + s->itl_ms.count + s->models_count +
                     s->duration_ms.count,
                 0u);
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(start(streaming, "s", SECOND), 0, "and starts anew, earlier too");
    tbus_streaming_close(streaming);
}
