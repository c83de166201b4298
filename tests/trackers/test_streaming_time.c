/* The streaming tracker and time: the window, idle streams, the cache, times that are wrong. */
#include <math.h>
#include <string.h>

#include "tests/trackers/streaming_fixture.h"

/* semantics: streaming.abandoned */
Test(streaming_time, idle_streams_are_abandoned_and_make_room)
{
    tbus_streaming_t *streaming = open_with(
        &(tbus_streaming_options_t){.active_max = 2, .idle_ns = 10 * SECOND, .cache_ns = TBUS_STREAMING_NO_CACHE});
    cr_assert_eq(start(streaming, "ghost", 0), 0);
    cr_assert_eq(start(streaming, "alive", 0), 0);
    for (int i = 1; i <= 10; i++)
        cr_assert_eq(token(streaming, "alive", i * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->active_streams, 2u, "exactly at the limit it is not idle yet");
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(token(streaming, "alive", 10 * SECOND + 1), 0);
    cr_assert_eq(start(streaming, "next", 10 * SECOND + 1), 0);
    s = snapshot_at(streaming, 0);
    cr_assert_eq(s->abandoned_streams, 1u);
    cr_assert_eq(s->failed_streams, 1u);
    cr_assert_eq(s->active_streams, 2u);
    cr_assert_float_eq(s->duration_ms.p50, 10000, 1e-9, "it ended when the limit was over");
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, 60 * SECOND);
    cr_assert_eq(s->active_streams, 0u, "a snapshot looks for them too");
    cr_assert_eq(s->abandoned_streams, 3u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, finished_streams_leave_the_window_and_the_cap_keeps_the_latest)
{
    tbus_streaming_t *streaming = open_with(
        &(tbus_streaming_options_t){.finished_max = 5, .window_ns = 100 * SECOND, .cache_ns = TBUS_STREAMING_NO_CACHE});
    for (int i = 1; i <= 8; i++) {
        cr_assert_eq(start(streaming, "s", 0), 0);
        cr_assert_eq(complete(streaming, "s", i * 10 * SECOND), 0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duration_ms.count, 5u);
    cr_assert_float_eq(s->duration_ms.min, 40000, 1e-9);
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, 150 * SECOND);
    cr_assert_eq(s->duration_ms.count, 3u, "those that ended at 60, 70 and 80 s");
    cr_assert_eq(s->completed_streams, 8u, "counters are for ever");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, time_running_backwards_counts_as_none_and_is_counted)
{
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, "s", 10 * SECOND), 0);
    cr_assert_eq(token(streaming, "s", 9 * SECOND), 0); /* TTFT */
    cr_assert_eq(token(streaming, "s", 8 * SECOND), 0); /* ITL */
    cr_assert_eq(complete(streaming, "s", 7 * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 10 * SECOND);
    cr_assert_eq(s->negative_intervals, 4u, "TTFT, ITL, duration, and the decoding time of TPOT");
    cr_assert(s->ttft_ms.max == 0 && s->itl_ms.max == 0 && s->duration_ms.max == 0);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* --- Idle streams --- */

Test(streaming_time, a_stream_is_idle_at_its_limit_whenever_streams_were_looked_through_last)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.idle_ns = 64 * SECOND, .cache_ns = -1});
    cr_assert_eq(start(streaming, "s", 0), 0);
    cr_assert_eq(start(streaming, "other", 64 * SECOND), 0);
    cr_assert_eq(start(streaming, "s", 64 * SECOND), UV_EEXIST, "at the limit it still runs");
    cr_assert_eq(start(streaming, "other", 64 * SECOND + 1), UV_EEXIST);
    cr_assert_eq(token(streaming, "s", 64 * SECOND), UV_ENOENT, "past it, it does not, even for an earlier event");
    cr_assert_eq(start(streaming, "s", 64 * SECOND + 1), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->abandoned_streams, 1u);
    cr_assert_eq(s->active_streams, 2u);
    cr_assert_eq(s->orphan_events, 1u);
    cr_assert_eq(s->duplicate_starts, 2u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

/* semantics: streaming.abandoned */
Test(streaming_time, any_event_of_a_stream_is_a_sign_of_life)
{
    for (int kind = 0; kind < 4; kind++) {
        tbus_streaming_t *streaming = open_uncached();
        cr_assert_eq(start(streaming, "s", 0), 0);
        for (int64_t now = 600 * SECOND; now <= 6000 * SECOND; now += 600 * SECOND) {
            if (kind == 0)
                cr_assert_eq(token(streaming, "s", now), 0);
            else if (kind == 1)
                cr_assert_eq(tbus_streaming_record_first_token(streaming, "s", NAN, now), 0);
            else if (kind == 2)
                cr_assert_eq(tbus_streaming_record_backpressure(streaming, "s", now), 0);
            else
                cr_assert_eq(tbus_streaming_record_progress(streaming, "s", now), 0);
        }
        cr_assert_eq(found(streaming, "s").tokens, kind == 0 ? 10u : 0u);
        cr_assert_eq(isnan(found(streaming, "s").ttft_ms), kind > 1, "a sign of life alone is no token");
        cr_assert_eq(complete(streaming, "s", 6600 * SECOND), 0, "kind %d", kind);
        tbus_streaming_close(streaming);
    }
}

Test(streaming_time, a_search_for_idle_streams_leaves_those_that_are_at_their_limit)
{
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.idle_ns = 10 * SECOND, .cache_ns = TBUS_STREAMING_NO_CACHE});
    cr_assert_eq(start(streaming, "past", 0), 0);
    cr_assert_eq(start(streaming, "at", 2 * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 12 * SECOND);
    cr_assert_eq(s->abandoned_streams, 1u);
    cr_assert_eq(s->active_streams, 1u);
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(found(streaming, "at").status, TBUS_STREAM_STATUS_ACTIVE);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_look_up_ends_a_stream_that_nobody_has_looked_for_yet)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.idle_ns = 64 * SECOND});
    cr_assert_eq(start(streaming, "s", 0), 0);
    (void)token(streaming, "nobody", 64 * SECOND);
    cr_assert_eq(found(streaming, "s").status, TBUS_STREAM_STATUS_ACTIVE);
    (void)token(streaming, "nobody", 64 * SECOND + 1); /* too soon for another search */
    cr_assert_eq(found(streaming, "s").status, TBUS_STREAM_STATUS_FAILED);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_look_far_ahead_does_not_stop_the_search_for_idle_streams)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "s", 0), 0);
    tbus_streaming_snapshot_free(snapshot_at(streaming, INT64_MAX));
    cr_assert_eq(start(streaming, "s", SECOND), 0, "the look has ended it");
    for (int i = 0; i < 700; i++)
        (void)token(streaming, "nobody", i * SECOND);
    cr_assert_eq(found(streaming, "s").status, TBUS_STREAM_STATUS_FAILED);
    tbus_streaming_close(streaming);
}

Test(streaming_time, streams_before_1970_are_idle_in_time_too)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "s", -1000 * SECOND), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, -400 * SECOND);
    cr_assert_eq(s->active_streams, 1u);
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, -400 * SECOND + 1);
    cr_assert_eq(s->abandoned_streams, 1u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, idle_streams_are_looked_for_as_time_goes_on_and_end_before_those_that_end_later)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.idle_ns = 64 * SECOND, .findable_max = 1});
    cr_assert_eq(start(streaming, "ghost", 0), 0);
    cr_assert_eq(start(streaming, "s", 0), 0);
    for (int i = 1; i <= 66; i++)
        cr_assert_eq(token(streaming, "s", i * SECOND), 0);
    cr_assert_eq(complete(streaming, "s", 66 * SECOND), 0);
    tbus_streaming_snapshot_free(snapshot_at(streaming, 0));
    cr_assert_eq(found(streaming, "s").status, TBUS_STREAM_STATUS_COMPLETED, "the latest to end is kept");
    tbus_streaming_close(streaming);
}

/* --- The cache --- */

static double p50_at(tbus_streaming_t *streaming, int64_t now_ns, uint64_t expected_streams, int64_t expected_as_of_ns)
{
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, now_ns);
    double p50 = s->duration_ms.p50;
    cr_assert_eq(s->completed_streams, expected_streams, "counters are always of now");
    cr_assert_eq(s->aggregate_ns, expected_as_of_ns);
    cr_assert_eq(s->time_ns, now_ns);
    tbus_streaming_snapshot_free(s);
    return p50;
}

static void run_for(tbus_streaming_t *streaming, int64_t begin_ns, int64_t duration_ns)
{
    cr_assert_eq(start(streaming, "s", begin_ns), 0);
    cr_assert_eq(complete(streaming, "s", begin_ns + duration_ns), 0);
}

/* semantics: streaming.aggregate */
Test(streaming_time, percentiles_are_cached_for_ten_seconds_and_counters_are_not)
{
    tbus_streaming_t *streaming = open_with(NULL);
    run_for(streaming, 0, SECOND);
    cr_assert(p50_at(streaming, SECOND, 1, SECOND) == 1000);
    run_for(streaming, SECOND, 3 * SECOND);
    cr_assert(p50_at(streaming, 4 * SECOND, 2, SECOND) == 1000);
    cr_assert(p50_at(streaming, 11 * SECOND - 1, 2, SECOND) == 1000);
    cr_assert(p50_at(streaming, 11 * SECOND, 2, 11 * SECOND) == 2000, "after ten seconds they are worked out anew");
    cr_assert(p50_at(streaming, 3 * SECOND, 2, 3 * SECOND) == 1000, "an earlier moment has its own figures");
    tbus_streaming_reset(streaming);
    cr_assert(isnan(p50_at(streaming, 4 * SECOND, 0, 4 * SECOND)), "reset empties the cache too");
    run_for(streaming, 0, SECOND);
    cr_assert(p50_at(streaming, 5 * SECOND, 1, 5 * SECOND) == 1000, "nothing at all is not kept");
    tbus_streaming_close(streaming);
}

Test(streaming_time, two_looks_at_one_moment_see_the_same_figures)
{
    tbus_streaming_t *streaming = open_with(NULL);
    run_for(streaming, 0, SECOND);
    cr_assert(p50_at(streaming, 5 * SECOND, 1, 5 * SECOND) == 1000);
    run_for(streaming, SECOND, 3 * SECOND);
    cr_assert(p50_at(streaming, 5 * SECOND, 2, 5 * SECOND) == 1000);
    tbus_streaming_close(streaming);
}

Test(streaming_time, without_a_cache_each_snapshot_has_its_own_figures)
{
    tbus_streaming_t *streaming = open_uncached();
    run_for(streaming, 0, SECOND);
    cr_assert(p50_at(streaming, SECOND, 1, SECOND) == 1000);
    run_for(streaming, SECOND - 3, 3);
    cr_assert(p50_at(streaming, SECOND, 2, SECOND) < 1000);
    tbus_streaming_close(streaming);
}

/* --- Times that are wrong --- */

/* Two streams with a token each second. */
static void run_steadily(tbus_streaming_t *streaming, int64_t from_s, int64_t to_s)
{
    for (int64_t s = from_s; s < to_s; s++) {
        cr_assert_eq(token(streaming, "a", s * SECOND), 0, "at %d s", (int)s);
        cr_assert_eq(token(streaming, "b", s * SECOND), 0, "at %d s", (int)s);
    }
}

static void expect(tbus_streaming_t *streaming, int64_t time_ns, uint64_t active, uint64_t gaps, uint64_t ahead)
{
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->time_ns, time_ns, "%lld s", (long long)(s->time_ns / SECOND));
    cr_assert_eq(s->active_streams, active, "%d active", (int)s->active_streams);
    cr_assert_eq(s->itl_ms.count, gaps, "%d gaps", (int)s->itl_ms.count);
    cr_assert_eq(s->ahead, ahead, "%d ahead", (int)s->ahead);
    tbus_streaming_snapshot_free(s);
}

static int64_t read_clock(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

static tbus_streaming_t *open_with_clock(int64_t *now_ns)
{
    return open_with(
        &(tbus_streaming_options_t){.clock = read_clock, .clock_user = now_ns, .cache_ns = TBUS_STREAMING_NO_CACHE});
}

static tbus_streaming_t *open_steady(int64_t *now_ns)
{
    tbus_streaming_t *streaming = open_with_clock(now_ns);
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(start(streaming, "b", 0), 0);
    run_steadily(streaming, 0, 10);
    return streaming;
}

Test(streaming_time, one_time_far_ahead_neither_moves_the_window_nor_ends_the_streams)
{
    static const int64_t wrong[] = {INT64_MAX, 10 * HOUR, 310 * SECOND};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t now = 9 * SECOND;
        tbus_streaming_t *streaming = open_steady(&now);
        expect(streaming, 9 * SECOND, 2, 18, 0);
        cr_assert_eq(token(streaming, "a", wrong[i]), 0);
        expect(streaming, 9 * SECOND, 2, 19, 1); /* a gap of 0: it counts at 9 s */
        cr_assert_eq(start(streaming, "stray", wrong[i]), 0);
        cr_assert_eq(found(streaming, "stray").start_ns, 9 * SECOND);
        expect(streaming, 9 * SECOND, 3, 19, 2);
        now = 20 * SECOND;
        run_steadily(streaming, 10, 20);
        expect(streaming, 19 * SECOND, 3, 19 + 20, 2);
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
        cr_assert_eq(s->negative_intervals, 0u);
        cr_assert_eq(s->total_tokens, 41u);
        cr_assert_eq(s->models[0].recent_tokens, 41u, "nothing is left out of the window");
        cr_assert_eq(s->models[0].recent_streams, 3u);
        tbus_streaming_snapshot_free(s);
        now = 700 * SECOND;
        run_steadily(streaming, 20, 700);
        cr_assert_eq(found(streaming, "stray").status, TBUS_STREAM_STATUS_FAILED, "it is no ghost for ever");
        cr_assert_eq(found(streaming, "a").status, TBUS_STREAM_STATUS_ACTIVE);
        tbus_streaming_close(streaming);
    }
}

Test(streaming_time, an_end_with_a_wrong_time_ends_its_stream_at_the_latest_time)
{
    int64_t now = 9 * SECOND;
    tbus_streaming_t *streaming = open_steady(&now);
    cr_assert_eq(complete(streaming, "a", INT64_MAX), 0);
    cr_assert_eq(found(streaming, "a").status, TBUS_STREAM_STATUS_COMPLETED);
    cr_assert_eq(found(streaming, "a").end_ns, 9 * SECOND);
    expect(streaming, 9 * SECOND, 1, 18, 1);
    tbus_streaming_close(streaming);
}

Test(streaming_time, after_a_pause_of_hours_each_event_counts_at_once)
{
    int64_t now = 9 * SECOND, later = 5 * HOUR;
    tbus_streaming_t *streaming = open_steady(&now);
    now = later;
    cr_assert_eq(start(streaming, "c", later), 0);
    expect(streaming, later, 1, 0, 0); /* the old streams were idle */
    for (int i = 1; i <= 7; i++)
        cr_assert_eq(token(streaming, "c", later + i * MS), 0);
    expect(streaming, later + 7 * MS, 1, 6, 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_float_eq(s->itl_ms.avg, 1, 1e-9);
    cr_assert_eq(s->models[0].recent_tokens, 7u);
    cr_assert_eq(s->models[0].recent_streams, 1u);
    cr_assert_eq(s->abandoned_streams, 2u);
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(found(streaming, "a").end_ns, 609 * SECOND, "as of the moment it passed the limit");
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_trace_of_the_past_whose_requests_are_hours_apart_needs_no_clock)
{
    tbus_streaming_t *streaming = open_uncached();
    for (int64_t i = 0; i < 100; i++) {
        cr_assert_eq(start(streaming, "s", i * 2 * HOUR), 0);
        cr_assert_eq(complete(streaming, "s", i * 2 * HOUR + SECOND), 0);
        expect(streaming, i * 2 * HOUR + SECOND, 0, 0, 0);
    }
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_clock_that_is_set_back_does_not_stop_time)
{
    int64_t now = HOUR;
    tbus_streaming_t *streaming = open_with_clock(&now);
    cr_assert_eq(start(streaming, "a", now), 0);
    cr_assert_eq(start(streaming, "b", now), 0);
    now = 0;
    run_steadily(streaming, 3600, 3600 + 700);
    expect(streaming, HOUR + 699 * SECOND, 2, 2 * 310, 0);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_first_time_far_ahead_counts_as_the_clocks)
{
    int64_t now = SECOND;
    tbus_streaming_t *streaming = open_with_clock(&now);
    cr_assert_eq(start(streaming, "stray", INT64_MAX), 0);
    expect(streaming, SECOND, 1, 0, 1);
    cr_assert_eq(start(streaming, "a", SECOND), 0);
    cr_assert_eq(start(streaming, "b", SECOND), 0);
    now = 700 * SECOND;
    run_steadily(streaming, 1, 700);
    cr_assert_eq(found(streaming, "stray").status, TBUS_STREAM_STATUS_FAILED);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_first_time_far_back_is_left_behind)
{
    int64_t now = HOUR;
    tbus_streaming_t *streaming = open_with_clock(&now);
    cr_assert_eq(start(streaming, "stray", INT64_MIN), 0);
    cr_assert_eq(start(streaming, "a", HOUR), 0);
    expect(streaming, HOUR, 1, 0, 0);
    cr_assert_eq(found(streaming, "stray").status, TBUS_STREAM_STATUS_FAILED);
    tbus_streaming_close(streaming);
}

Test(streaming_time, reset_forgets_the_latest_time)
{
    int64_t now = 9 * SECOND;
    tbus_streaming_t *streaming = open_steady(&now);
    cr_assert_eq(token(streaming, "a", HOUR), 0);
    tbus_streaming_reset(streaming);
    expect(streaming, 0, 0, 0, 0);
    cr_assert_eq(start(streaming, "a", 0), 0);
    expect(streaming, 0, 1, 0, 0);
    tbus_streaming_close(streaming);
}

Test(streaming_time, any_time_is_believed_where_the_host_says_so)
{
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.ahead_max_ns = -1, .cache_ns = TBUS_STREAMING_NO_CACHE});
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(token(streaming, "nobody", 10 * HOUR), UV_ENOENT);
    expect(streaming, 10 * HOUR, 0, 0, 0);
    cr_assert_eq(start(streaming, "b", INT64_MAX), 0);
    expect(streaming, INT64_C(1) << 62, 1, 0, 0);
    tbus_streaming_close(streaming);
}

/* --- A clock that was ahead --- */

enum { AHEAD_H = 24 * 365 };

/* Two streams that ran while the clock was a year ahead, and one that ended then. */
static tbus_streaming_t *open_ahead(int64_t *now_ns)
{
    *now_ns = AHEAD_H * HOUR;
    tbus_streaming_t *streaming = open_with_clock(now_ns);
    cr_assert_eq(start(streaming, "a", *now_ns), 0);
    cr_assert_eq(start(streaming, "b", *now_ns), 0);
    run_for(streaming, *now_ns, 2 * SECOND);
    cr_assert_eq(token(streaming, "a", *now_ns + 3 * SECOND), 0);
    cr_assert_eq(token(streaming, "a", *now_ns + 4 * SECOND), 0);
    *now_ns = 0;
    return streaming;
}

/* semantics: times.back */
Test(streaming_time, when_a_clock_that_was_ahead_is_right_again_events_count_at_once)
{
    int64_t now;
    tbus_streaming_t *streaming = open_ahead(&now);
    expect(streaming, AHEAD_H * HOUR + 4 * SECOND, 2, 1, 0);
    cr_assert_eq(token(streaming, "b", now), 0, "late, as far as anybody knows");
    run_steadily(streaming, 1, 11);
    expect(streaming, 10 * SECOND, 2, 1 + 10 + 10, 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->negative_intervals, 2u, "the TTFT of b, and a gap of a");
    cr_assert_eq(s->models[0].recent_streams, 3u, "what was recent is recent still");
    cr_assert_eq(s->duration_ms.count, 1u);
    cr_assert_eq(s->duration_ms.max, 2000);
    tbus_streaming_snapshot_free(s);
    now = 700 * SECOND;
    run_steadily(streaming, 11, 700);
    expect(streaming, 699 * SECOND, 2, 2 * 310, 0);
    s = snapshot_at(streaming, 0);
    cr_assert_eq(s->duration_ms.count, 0u, "and leaves in time");
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_stream_of_the_right_clock_stays_though_its_start_comes_before_an_earlier_event)
{
    int64_t now;
    tbus_streaming_t *streaming = open_ahead(&now);
    cr_assert_eq(start(streaming, "new", 2), 0);
    cr_assert_eq(token(streaming, "a", 1), 0);
    expect(streaming, 2, 3, 2, 0);
    cr_assert_eq(token(streaming, "new", SECOND), 0);
    tbus_streaming_close(streaming);
}

Test(streaming_time, streams_of_a_clock_that_was_ahead_are_idle_in_time)
{
    int64_t now;
    tbus_streaming_t *streaming = open_ahead(&now);
    (void)token(streaming, "nobody", 0);
    (void)token(streaming, "nobody", 4 * SECOND); /* now, where the latest event of `a` was */
    now = 700 * SECOND;
    (void)token(streaming, "nobody", 600 * SECOND);
    expect(streaming, 600 * SECOND, 2, 0, 0);
    (void)token(streaming, "nobody", 600 * SECOND + 1); /* `b` has had nothing for four seconds longer */
    expect(streaming, 600 * SECOND + 1, 1, 0, 0);
    (void)token(streaming, "nobody", 604 * SECOND);
    expect(streaming, 604 * SECOND, 1, 0, 0);
    (void)token(streaming, "nobody", 604 * SECOND + 1);
    expect(streaming, 604 * SECOND + 1, 0, 0, 0);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_stream_that_was_idle_by_the_clock_that_was_ahead_ended_by_it)
{
    int64_t now;
    tbus_streaming_t *streaming = open_ahead(&now);
    cr_assert_eq(start(streaming, "late", (AHEAD_H - 1) * HOUR), 0);
    (void)token(streaming, "nobody", 0);
    (void)token(streaming, "nobody", 0);
    cr_assert_eq(found(streaming, "late").status, TBUS_STREAM_STATUS_FAILED);
    cr_assert_eq(found(streaming, "late").end_ns, (AHEAD_H - 1) * HOUR + 600 * SECOND);
    tbus_streaming_close(streaming);
}

Test(streaming_time, figures_that_were_cached_by_a_clock_that_was_ahead_are_forgotten)
{
    int64_t now = AHEAD_H * HOUR;
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.clock = read_clock, .clock_user = &now, .cache_ns = INT64_MAX});
    run_for(streaming, now, SECOND);
    cr_assert(p50_at(streaming, now + SECOND, 1, now + SECOND) == 1000);
    now = 0;
    run_for(streaming, 0, 3 * SECOND);
    cr_assert(p50_at(streaming, AHEAD_H * HOUR + SECOND, 2, AHEAD_H * HOUR + SECOND) != 1000);
    tbus_streaming_close(streaming);
}

Test(streaming_time, times_past_the_ends_of_time_are_at_them_whatever_event_tells_them)
{
    const int64_t last = INT64_C(1) << 62;
    for (int kind = 0; kind < 5; kind++) {
        tbus_streaming_t *streaming = open_with(
            &(tbus_streaming_options_t){.ahead_max_ns = -1, .idle_ns = -1, .cache_ns = TBUS_STREAMING_NO_CACHE});
        cr_assert_eq(start(streaming, "s", INT64_MIN), 0);
        cr_assert_eq(found(streaming, "s").start_ns, 1 - last);
        if (kind == 0)
            cr_assert_eq(token(streaming, "s", INT64_MAX), 0);
        else if (kind == 1)
            cr_assert_eq(tbus_streaming_record_first_token(streaming, "s", NAN, INT64_MAX), 0);
        else if (kind == 2)
            cr_assert_eq(tbus_streaming_record_backpressure(streaming, "s", INT64_MAX), 0);
        else if (kind == 3)
            cr_assert_eq(tbus_streaming_record_progress(streaming, "s", INT64_MAX), 0);
        else
            cr_assert_eq(complete(streaming, "s", INT64_MAX), 0);
        const tbus_stream_info_t info = found(streaming, "s");
        cr_assert_eq(info.end_ns, last);
        cr_assert_float_eq(info.duration_ms, ldexp(1, 63) / 1e6, 1);
        if (kind < 2)
            cr_assert_float_eq(info.ttft_ms, ldexp(1, 63) / 1e6, 1);
        tbus_streaming_close(streaming);
    }
}

Test(streaming_time, gaps_of_all_of_time_do_not_overflow_their_mean)
{
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.ahead_max_ns = -1, .idle_ns = -1});
    cr_assert_eq(start(streaming, "s", INT64_MIN), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(token(streaming, "s", INT64_MIN), 0);
        cr_assert_eq(token(streaming, "s", INT64_MAX), 0);
    }
    cr_assert_float_eq(found(streaming, "s").itl_avg_ms, ldexp(1, 64) / 5 / 1e6, 1, "the sum stays at its end");
    tbus_streaming_close(streaming);
}
