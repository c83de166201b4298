#include <tallybus/streaming.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/statistics.h"

static const int64_t ms = 1000000, second = 1000000000;

static tbus_streaming_t *open_with(const tbus_streaming_options_t *options)
{
    tbus_streaming_t *streaming;
    cr_assert_eq(tbus_streaming_open(options, &streaming), 0);
    return streaming;
}

static tbus_streaming_snapshot_t *snapshot_at(tbus_streaming_t *streaming, int64_t now_ns)
{
    tbus_streaming_snapshot_t *snapshot;
    cr_assert_eq(tbus_streaming_snapshot(streaming, now_ns, &snapshot), 0);
    return snapshot;
}

static int token(tbus_streaming_t *streaming, const char *id, int64_t time_ns)
{
    return tbus_streaming_record_token(streaming, id, 1, 0, TBUS_TOKEN_CONTENT, time_ns);
}

Test(streaming, the_figures_of_one_stream_are_those_of_the_definitions)
{
    tbus_streaming_t *streaming = open_with(NULL);
    int64_t start = 1700000000 * second;
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "gpt-4o", start), 0);
    cr_assert_eq(token(streaming, "s", start + 200 * ms), 0);
    cr_assert_eq(token(streaming, "s", start + 210 * ms), 0);
    cr_assert_eq(token(streaming, "s", start + 240 * ms), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, 3, start + 250 * ms), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams, 1u);
    cr_assert_eq(s->completed_streams, 1u);
    cr_assert_eq(s->active_streams, 0u);
    cr_assert_eq(s->total_tokens, 3u);
    cr_assert_eq(s->shed_tokens, 0u);
    cr_assert_eq(s->time_ns, start + 250 * ms);
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
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, nothing_recorded_is_not_zero)
{
    tbus_streaming_t *streaming = open_with(NULL);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert(isnan(s->success_rate) && isnan(s->ttft_ms.p50) && isnan(s->itl_ms.avg));
    cr_assert_eq(s->ttft_ms.count, 0u);
    cr_assert_eq(s->models_count, 0u);
    tbus_streaming_snapshot_free(s);

    cr_assert_eq(tbus_streaming_record_start(streaming, "s", NULL, second), 0);
    cr_assert_eq(token(streaming, "s", second), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_FAILED, 0, second), 0);
    s = snapshot_at(streaming, 0);
    cr_assert_eq(s->ttft_ms.count, 1u);
    cr_assert(s->ttft_ms.p50 == 0, "a TTFT of 0 ms is a figure");
    cr_assert_eq(s->tokens_per_second.count, 0u, "no time, no rate");
    cr_assert(s->success_rate == 0);
    cr_assert_str_eq(s->models[0].model, "");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

static double ttft_of(tbus_first_token_t policy, const tbus_token_kind_t *kinds, size_t count)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.first_token = policy});
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", second), 0);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 1, 0, kinds[i], second + (int64_t)(i + 1) * ms), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, 0, 2 * second), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    double ttft = s->ttft_ms.p50;
    cr_assert_eq(s->total_tokens, count - 1, "a role frame is no token");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    return ttft;
}

Test(streaming, which_token_is_the_first_is_a_policy)
{
    static const tbus_token_kind_t kinds[] = {TBUS_TOKEN_ROLE, TBUS_TOKEN_REASONING, TBUS_TOKEN_TOOL,
                                              TBUS_TOKEN_CONTENT};
    cr_assert(ttft_of(TBUS_FIRST_TOKEN_ANY, kinds, 4) == 1);
    cr_assert(ttft_of(TBUS_FIRST_TOKEN_OUTPUT, kinds, 4) == 2);
    cr_assert(ttft_of(TBUS_FIRST_TOKEN_CONTENT, kinds, 4) == 4);
}

Test(streaming, a_measured_first_token_counts_unless_a_token_came_before)
{
    static const struct {
        double told, expected;
        bool token_before;
    } cases[] = {{123.5, 123.5, false}, {0, 0, false},         {NAN, 50, false},
                 {-1, 50, false},       {INFINITY, 50, false}, {123.5, 10, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tbus_streaming_t *streaming = open_with(NULL);
        cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", second), 0);
        if (cases[i].token_before)
            cr_assert_eq(token(streaming, "s", second + 10 * ms), 0);
        cr_assert_eq(tbus_streaming_record_first_token(streaming, "s", cases[i].told, second + 50 * ms), 0);
        cr_assert_eq(token(streaming, "s", second + 60 * ms), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, 0, 2 * second), 0);
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
        cr_assert(s->ttft_ms.p50 == cases[i].expected, "case %zu: %g", i, s->ttft_ms.p50);
        tbus_streaming_snapshot_free(s);
        tbus_streaming_close(streaming);
    }
}

Test(streaming, a_chunk_of_n_tokens_gives_n_itl_samples_and_one_icl_sample)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", 0), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", 3, 0, TBUS_TOKEN_CONTENT, 100 * ms), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s", 4, 0, TBUS_TOKEN_CONTENT, 180 * ms), 0);
    cr_assert_eq(token(streaming, "s", 200 * ms), 0);
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

static uint64_t gaps_of(const int64_t (*events)[2], size_t count)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", 0), 0);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", events[i][1], events[i][0], TBUS_TOKEN_CONTENT,
                                                 (int64_t)i * ms),
                     0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    uint64_t gaps = s->icl_ms.count;
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    return gaps;
}

Test(streaming, a_gap_over_shed_tokens_gives_no_sample)
{
    static const int64_t by_event[][2] = {{1, 1}, {2, 1}, {5, 1}, {6, 1}}, from_zero[][2] = {{0, 1}, {1, 1}, {2, 1}},
                         by_tokens[][2] = {{1, 4}, {5, 4}, {9, 2}, {20, 2}}, unnumbered[][2] = {{0, 1}, {0, 1}, {0, 1}};
    cr_assert_eq(gaps_of(by_event, 4), 2u);
    cr_assert_eq(gaps_of(from_zero, 3), 2u);
    cr_assert_eq(gaps_of(by_tokens, 4), 2u);
    cr_assert_eq(gaps_of(unnumbered, 3), 2u);
}

Test(streaming, tokens_are_the_larger_of_those_seen_and_those_told)
{
    tbus_streaming_t *streaming = open_with(NULL);
    for (int64_t told = 0; told <= 4; told += 4) {
        cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", 0), 0);
        cr_assert_eq(token(streaming, "s", ms), 0);
        cr_assert_eq(token(streaming, "s", ms), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, told, second), 0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_tokens, 6u);
    cr_assert_eq(s->shed_tokens, 2u);
    cr_assert_eq(s->models[0].tokens, 6u);
    cr_assert(s->tokens_per_second.max == 4);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, what_does_not_fit_a_stream_is_refused_and_counted)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.active_max = 2});
    cr_assert_eq(tbus_streaming_record_start(streaming, "a", "m", 0), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "a", "m", 0), UV_EEXIST);
    cr_assert_eq(tbus_streaming_record_start(streaming, "b", "m", 0), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "c", "m", 0), UV_ENOSPC);
    cr_assert_eq(token(streaming, "c", 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_first_token(streaming, "c", 1, 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_end(streaming, "c", TBUS_STREAM_OUTCOME_FAILED, 0, 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "c", 0), UV_ENOENT);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "a", 0), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "a", (tbus_outcome_t)3, 0, 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_end(streaming, "a", TBUS_STREAM_OUTCOME_CANCELLED, 0, 0), 0);
    cr_assert_eq(token(streaming, "a", 0), UV_ENOENT, "a token after the end");
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duplicate_starts, 1u);
    cr_assert_eq(s->refused_starts, 1u);
    cr_assert_eq(s->orphan_events, 5u);
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
    cr_assert_eq(tbus_streaming_record_start(NULL, "s", "m", 0), UV_EINVAL);
    cr_assert_eq(token(NULL, "s", 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_first_token(NULL, "s", 0, 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_end(NULL, "s", TBUS_STREAM_OUTCOME_FAILED, 0, 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_record_backpressure(NULL, "s", 0), UV_EINVAL);
    cr_assert_eq(tbus_streaming_snapshot(NULL, 0, &s), UV_EINVAL);
    streaming = open_with(NULL);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, NULL), UV_EINVAL);
    tbus_streaming_close(streaming);
    tbus_streaming_close(NULL);
    tbus_streaming_reset(NULL);
    tbus_streaming_snapshot_free(NULL);
}

Test(streaming, idle_streams_are_abandoned_and_make_room)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.active_max = 2, .idle_ns = 10 * second});
    cr_assert_eq(tbus_streaming_record_start(streaming, "ghost", "m", 0), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "alive", "m", 0), 0);
    for (int i = 1; i <= 10; i++)
        cr_assert_eq(token(streaming, "alive", i * second), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->active_streams, 2u, "exactly at the limit it is not idle yet");
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(token(streaming, "alive", 10 * second + 1), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "next", "m", 10 * second + 1), 0);
    s = snapshot_at(streaming, 0);
    cr_assert_eq(s->abandoned_streams, 1u);
    cr_assert_eq(s->failed_streams, 1u);
    cr_assert_eq(s->active_streams, 2u);
    cr_assert_float_eq(s->duration_ms.p50, 10000, 1e-9, "it ended when the limit was over");
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, 60 * second);
    cr_assert_eq(s->active_streams, 0u, "a snapshot looks for them too");
    cr_assert_eq(s->abandoned_streams, 3u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, finished_streams_leave_the_window_and_the_cap_keeps_the_latest)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.finished_max = 5, .window_ns = 100 * second});
    for (int i = 1; i <= 8; i++) {
        cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", 0), 0);
        cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, 0, i * 10 * second), 0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duration_ms.count, 5u);
    cr_assert_float_eq(s->duration_ms.min, 40000, 1e-9);
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, 150 * second);
    cr_assert_eq(s->duration_ms.count, 3u, "those that ended at 60, 70 and 80 s");
    cr_assert_eq(s->completed_streams, 8u, "counters are for ever");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, time_running_backwards_counts_as_none_and_is_counted)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", 10 * second), 0);
    cr_assert_eq(token(streaming, "s", 9 * second), 0); /* TTFT */
    cr_assert_eq(token(streaming, "s", 8 * second), 0); /* ITL */
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, 0, 7 * second), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 10 * second);
    cr_assert_eq(s->negative_intervals, 4u, "TTFT, ITL, duration, and the decoding time of TPOT");
    cr_assert(s->ttft_ms.max == 0 && s->itl_ms.max == 0 && s->duration_ms.max == 0);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming, hostile_numbers_and_strings_do_no_harm)
{
    static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    size_t length = 10 << 20;
    char *huge = malloc(length + 1);
    cr_assert_not_null(huge);
    memset(huge, '\xFF', length);
    huge[length] = '\0';
    const char *strings[] = {NULL, "", huge, "\xC3\x28", "a\nb\"\\"};
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < 3000; i++) {
        const char *string = strings[i % 5];
        int64_t one = numbers[(i / 5) % NUMBERS], two = numbers[(i / 35) % NUMBERS];
        (void)tbus_streaming_record_start(streaming, string, string, one);
        (void)tbus_streaming_record_token(streaming, string, two, one, (tbus_token_kind_t)(i % 4), one);
        (void)tbus_streaming_record_token(streaming, string, one, two, (tbus_token_kind_t)(i % 3), two);
        (void)tbus_streaming_record_first_token(streaming, string, (double)one, two);
        if (i % 7 == 0)
            (void)tbus_streaming_record_end(streaming, string, (tbus_outcome_t)(i % 3), two, one);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->completed_streams + s->failed_streams + s->cancelled_streams + s->active_streams, s->total_streams);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    free(huge);
}

Test(streaming, a_flood_of_ids_and_models_stays_within_the_stated_memory)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < 300000; i++) {
        char id[32], model[32];
        snprintf(id, sizeof id, "stream-%d", i);
        snprintf(model, sizeof model, "model-%d", i);
        (void)tbus_streaming_record_start(streaming, id, model, i);
        (void)token(streaming, id, i);
    }
    size_t stated = 10000 * 800 + 1000 * 40 + 200 * 400 + (2 << 20);
    cr_assert_lt(atomic_load(&oom.bytes_peak), stated, "%zu", atomic_load(&oom.bytes_peak));
    size_t before = atomic_load(&oom.bytes_live);
    for (int i = 0; i < 100000; i++)
        cr_assert_eq(token(streaming, "stream-7", 300000 + i), 0);
    cr_assert_eq(atomic_load(&oom.bytes_live), before, "not a byte for a token");
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams, 10000u);
    cr_assert_eq(s->refused_starts, 290000u);
    cr_assert_eq(s->models_count, 201u);
    cr_assert_str_eq(s->models[0].model, "other");
    cr_assert_eq(s->models[0].streams, 9800u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(streaming, reset_forgets_everything)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", 5 * second), 0);
    cr_assert_eq(token(streaming, "s", 6 * second), 0);
    cr_assert_eq(token(streaming, "s", 6 * second), 0);
    tbus_streaming_reset(streaming);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams + s->total_tokens + s->active_streams + s->itl_ms.count + s->models_count, 0u);
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", "m", second), 0, "and starts anew, earlier too");
    tbus_streaming_close(streaming);
}

static void use_all(tbus_streaming_t *streaming)
{
    for (int i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        int error = tbus_streaming_record_start(streaming, id, id, i);
        cr_assert(error == 0 || error == UV_ENOMEM);
        (void)token(streaming, id, i);
    }
}

Test(streaming, without_memory_the_error_is_clear_and_nothing_leaks)
{
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        tbus_streaming_t *streaming = NULL;
        tbus_streaming_snapshot_t *snapshot = NULL;
        oom_install(&oom);
        int error = tbus_streaming_open(NULL, &streaming), snapshot_error = 0;
        if (error == 0) {
            use_all(streaming);
            snapshot_error = tbus_streaming_snapshot(streaming, 0, &snapshot);
            cr_assert(snapshot_error == 0 || (snapshot_error == UV_ENOMEM && !snapshot));
            if (snapshot)
                cr_assert_eq(snapshot->total_streams + snapshot->refused_starts, 40u);
            tbus_streaming_snapshot_free(snapshot);
        } else {
            cr_assert_eq(error, UV_ENOMEM);
            cr_assert_null(streaming);
        }
        tbus_streaming_close(streaming);
        cr_assert_eq(atomic_load(&oom.live), 0, "allocation %ld", at);
        bool failed = atomic_load(&oom.failed) > 0;
        oom_remove();
        if (!failed) {
            cr_assert(error == 0 && snapshot_error == 0);
            cr_assert_geq(at, 10);
            break;
        }
    }
}

/* --- Random lifecycles against a plain, slow model --- */

enum { STREAMS = 400, SLOTS = 12, STEPS = 20000, SAMPLES_MAX = 40000 };

struct plain_stream {
    bool active, has_first, has_token;
    int64_t start, last_token, first_token, last_sequence, last_tokens;
    uint64_t tokens;
};

struct plain {
    struct plain_stream slots[SLOTS];
    double ttft[STEPS], tpot[STEPS], tps[STEPS], duration[STEPS], itl[SAMPLES_MAX], icl[SAMPLES_MAX];
    size_t ttfts, tpots, rates, durations, itls, icls;
    uint64_t started, ended[3], tokens, shed, duplicates, orphans;
};

static void plain_token(struct plain *plain, struct plain_stream *stream, int64_t tokens, int64_t sequence, int64_t now)
{
    int64_t step = sequence - stream->last_sequence;
    bool jump = step > 1 && step != tokens && step != stream->last_tokens;
    if (!stream->has_first) {
        stream->has_first = true;
        stream->first_token = now;
    }
    if (stream->has_token && !jump) {
        double gap = (double)(now - stream->last_token) / 1e6;
        for (int64_t i = 0; i < tokens; i++)
            plain->itl[plain->itls++] = gap / (double)tokens;
        plain->icl[plain->icls++] = gap;
    }
    stream->has_token = true;
    stream->last_token = now;
    stream->last_sequence = sequence;
    stream->last_tokens = tokens;
    stream->tokens += (uint64_t)tokens;
    plain->tokens += (uint64_t)tokens;
}

static void plain_end(struct plain *plain, struct plain_stream *stream, int outcome, uint64_t told, int64_t now)
{
    if (told > stream->tokens) {
        plain->shed += told - stream->tokens;
        plain->tokens += told - stream->tokens;
        stream->tokens = told;
    }
    plain->ended[outcome]++;
    plain->duration[plain->durations++] = (double)(now - stream->start) / 1e6;
    if (stream->has_first)
        plain->ttft[plain->ttfts++] = (double)(stream->first_token - stream->start) / 1e6;
    if (stream->has_first && stream->tokens > 1)
        plain->tpot[plain->tpots++] = (double)(now - stream->first_token) / 1e6 / (double)(stream->tokens - 1);
    if (now > stream->start)
        plain->tps[plain->rates++] = (double)stream->tokens * 1e9 / (double)(now - stream->start);
    stream->active = false;
}

static void random_step(tbus_streaming_t *streaming, struct plain *plain, uint64_t *seed, int64_t now)
{
    char id[16];
    uint32_t slot = (uint32_t)(oracle_random(seed) % SLOTS), what = (uint32_t)(oracle_random(seed) % 20);
    struct plain_stream *stream = &plain->slots[slot];
    snprintf(id, sizeof id, "slot-%u", slot);
    if (what < 4) {
        cr_assert_eq(tbus_streaming_record_start(streaming, id, "m", now), stream->active ? UV_EEXIST : 0);
        if (stream->active) {
            plain->duplicates++;
        } else {
            *stream = (struct plain_stream){.active = true, .start = now};
            plain->started++;
        }
    } else if (what < 18) {
        int64_t tokens = what < 14 ? 1 : 1 + (int64_t)(oracle_random(seed) % 5);
        int64_t sequence = stream->last_sequence + 1 + (oracle_random(seed) % 10 == 0 ? 7 : 0);
        cr_assert_eq(tbus_streaming_record_token(streaming, id, tokens, sequence, TBUS_TOKEN_CONTENT, now),
                     stream->active ? 0 : UV_ENOENT);
        if (stream->active)
            plain_token(plain, stream, tokens, sequence, now);
        else
            plain->orphans++;
    } else {
        int outcome = (int)(oracle_random(seed) % 3);
        uint64_t told = oracle_random(seed) % 40;
        cr_assert_eq(tbus_streaming_record_end(streaming, id, (tbus_outcome_t)outcome, (int64_t)told, now),
                     stream->active ? 0 : UV_ENOENT);
        if (stream->active)
            plain_end(plain, stream, outcome, told, now);
        else
            plain->orphans++;
    }
}

Test(streaming, random_lifecycles_agree_with_a_plain_model_and_pythons_statistics)
{
    static struct plain plain;
    uint64_t seed = oracle_seed("streaming");
    struct oracle oracle;
    int64_t now = 1700000000 * second;
    oracle_open(&oracle);
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.finished_max = STEPS, .window_ns = -1, .idle_ns = -1});
    for (int step = 0; step < STEPS; step++) {
        now += (int64_t)(oracle_random(&seed) % 40000000);
        random_step(streaming, &plain, &seed, now);
        if (step % 4000 != 3999)
            continue;
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
        cr_assert_eq(s->total_streams, plain.started);
        cr_assert_eq(s->completed_streams, plain.ended[0]);
        cr_assert_eq(s->failed_streams, plain.ended[1]);
        cr_assert_eq(s->cancelled_streams, plain.ended[2]);
        cr_assert_eq(s->total_tokens, plain.tokens);
        cr_assert_eq(s->shed_tokens, plain.shed);
        cr_assert_eq(s->duplicate_starts, plain.duplicates);
        cr_assert_eq(s->orphan_events, plain.orphans);
        oracle_distribution(&oracle, 0, &s->ttft_ms, plain.ttft, plain.ttfts);
        oracle_distribution(&oracle, 0, &s->tpot_ms, plain.tpot, plain.tpots);
        oracle_distribution(&oracle, 0, &s->tokens_per_second, plain.tps, plain.rates);
        oracle_distribution(&oracle, 0, &s->duration_ms, plain.duration, plain.durations);
        oracle_distribution(&oracle, 0.005, &s->icl_ms, plain.icl, plain.icls);
        /* A sample of gap / n is kept in whole nanoseconds, which min and max show. */
        tbus_distribution_t itl = s->itl_ms;
        double min = INFINITY, max = 0;
        for (size_t i = 0; i < plain.itls; i++) {
            min = fmin(min, plain.itl[i]);
            max = fmax(max, plain.itl[i]);
        }
        cr_assert(fabs(itl.min - min) <= 1e-6 && fabs(itl.max - max) <= 1e-6);
        itl.min = min;
        itl.max = max;
        oracle_distribution(&oracle, 0.005, &itl, plain.itl, plain.itls);
        tbus_streaming_snapshot_free(s);
    }
    oracle_check(&oracle, "tests/trackers/statistics_oracle.py", "");
    tbus_streaming_close(streaming);
}
