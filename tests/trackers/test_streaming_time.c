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
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.idle_ns = 64 * SECOND, .jump_ns = -1, .cache_ns = -1});
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
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.idle_ns = 64 * SECOND, .jump_ns = -1});
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

static void expect(tbus_streaming_t *streaming, int64_t time_ns, uint64_t active, uint64_t gaps, uint64_t doubted)
{
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->time_ns, time_ns, "%lld s", (long long)(s->time_ns / SECOND));
    cr_assert_eq(s->active_streams, active, "%d active", (int)s->active_streams);
    cr_assert_eq(s->itl_ms.count, gaps, "%d gaps", (int)s->itl_ms.count);
    cr_assert_eq(s->doubted_events, doubted, "%d doubted", (int)s->doubted_events);
    tbus_streaming_snapshot_free(s);
}

static tbus_streaming_t *open_steady(void)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(start(streaming, "b", 0), 0);
    run_steadily(streaming, 0, 10);
    return streaming;
}

Test(streaming_time, one_time_far_ahead_neither_moves_the_window_nor_ends_the_streams)
{
    static const int64_t wrong[] = {INT64_MAX, 10 * HOUR, 70 * SECOND};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tbus_streaming_t *streaming = open_steady();
        expect(streaming, 9 * SECOND, 2, 18, 0);
        cr_assert_eq(token(streaming, "a", wrong[i]), 0);
        expect(streaming, 9 * SECOND, 2, 18, 1);
        cr_assert_eq(start(streaming, "stray", wrong[i]), 0);
        expect(streaming, 9 * SECOND, 3, 18, 2);
        run_steadily(streaming, 10, 20);
        expect(streaming, 19 * SECOND, 3, 18 + 20, 2); /* the gap back to 10 s is negative: a sample of 0 */
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
        cr_assert_eq(s->negative_intervals, 1u);
        cr_assert_eq(s->total_tokens, 41u, "for ever it counts");
        cr_assert_eq(s->models[0].recent_tokens, 40u);
        cr_assert_eq(s->models[0].recent_streams, 2u);
        tbus_streaming_snapshot_free(s);
        run_steadily(streaming, 20, 700);
        cr_assert_eq(found(streaming, "stray").status, TBUS_STREAM_STATUS_FAILED, "it is no ghost for ever");
        cr_assert_eq(found(streaming, "a").status, TBUS_STREAM_STATUS_ACTIVE);
        tbus_streaming_close(streaming);
    }
}

Test(streaming_time, after_a_pause_of_hours_nothing_is_lost)
{
    tbus_streaming_t *streaming = open_steady();
    int64_t later = 5 * HOUR;
    cr_assert_eq(start(streaming, "c", later), 0);
    for (int i = 1; i <= 6; i++)
        cr_assert_eq(token(streaming, "c", later + i * MS), 0);
    expect(streaming, 9 * SECOND, 3, 18, 7); /* doubted still */
    cr_assert_eq(found(streaming, "c").tokens, 6u);
    cr_assert_eq(token(streaming, "c", later + 7 * MS), 0);
    expect(streaming, later + 7 * MS, 1, 6, 8); /* the old streams were idle, the new one is not */
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_float_eq(s->itl_ms.avg, 1, 1e-9);
    cr_assert_eq(s->models[0].recent_tokens, 7u);
    cr_assert_eq(s->models[0].recent_streams, 1u);
    cr_assert_eq(s->abandoned_streams, 2u);
    tbus_streaming_snapshot_free(s);
    cr_assert_eq(found(streaming, "a").end_ns, 609 * SECOND, "as of the moment it passed the limit");
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_trace_whose_requests_are_hours_apart_lags_by_a_few_events_only)
{
    tbus_streaming_t *streaming = open_uncached();
    for (int64_t i = 0; i < 100; i++) {
        cr_assert_eq(start(streaming, "s", i * 2 * HOUR), 0);
        cr_assert_eq(complete(streaming, "s", i * 2 * HOUR + SECOND), 0);
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->completed_streams, 100u);
    cr_assert_geq(s->time_ns, 95 * 2 * HOUR);
    cr_assert_eq(s->duration_ms.count, 1u);
    tbus_streaming_snapshot_free(s);
    s = snapshot_at(streaming, 99 * 2 * HOUR + SECOND);
    cr_assert_eq(s->duration_ms.count, 1u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, the_hosts_own_moment_shows_what_is_doubted)
{
    tbus_streaming_t *streaming = open_steady();
    cr_assert_eq(start(streaming, "c", HOUR), 0);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, HOUR + SECOND);
    cr_assert_eq(s->active_streams, 1u, "the new stream is not taken for idle");
    cr_assert_eq(s->abandoned_streams, 2u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_stream_that_ends_while_in_doubt_keeps_no_other_alive)
{
    tbus_streaming_t *streaming = open_with(
        &(tbus_streaming_options_t){.cache_ns = TBUS_STREAMING_NO_CACHE, .finished_max = 1, .idle_ns = 100 * SECOND});
    cr_assert_eq(start(streaming, "a", 0), 0);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(token(streaming, "a", 0), 0);
    cr_assert_eq(start(streaming, "b", 2 * HOUR), 0);
    cr_assert_eq(complete(streaming, "b", 2 * HOUR), 0);
    cr_assert_eq(start(streaming, "c", 2 * HOUR), 0);
    cr_assert_eq(complete(streaming, "c", 2 * HOUR), 0); /* takes the one place for finished streams from "b" */
    cr_assert_eq(start(streaming, "d", HOUR), 0);        /* and this one its cell, while all are doubted */
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 2 * HOUR + 50 * SECOND);
    cr_assert_eq(s->active_streams, 0u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_wrong_time_at_the_very_beginning_is_left_behind)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "stray", INT64_MAX), 0);
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(start(streaming, "b", 0), 0);
    run_steadily(streaming, 0, 10);
    expect(streaming, 9 * SECOND, 3, 18, 0);
    run_steadily(streaming, 10, 700);
    cr_assert_eq(found(streaming, "stray").status, TBUS_STREAM_STATUS_FAILED);
    tbus_streaming_close(streaming);
}

Test(streaming_time, a_stream_with_a_wrong_time_at_the_very_beginning_is_found_idle)
{
    tbus_streaming_t *streaming = open_uncached();
    cr_assert_eq(start(streaming, "stray", INT64_MAX), 0);
    for (int i = 0; i < 700; i++)
        (void)token(streaming, "nobody", i * SECOND);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->active_streams, 0u);
    cr_assert_eq(s->abandoned_streams, 1u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_time, reset_forgets_what_is_doubted)
{
    tbus_streaming_t *streaming = open_steady();
    for (int i = 0; i < 7; i++)
        cr_assert_eq(token(streaming, "a", HOUR), 0);
    tbus_streaming_reset(streaming);
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(token(streaming, "a", 0), 0);
    for (int i = 1; i <= 8; i++)
        cr_assert_eq(token(streaming, "a", HOUR + i * MS), 0);
    expect(streaming, HOUR + 8 * MS, 1, 8, 8);
    tbus_streaming_close(streaming);
}

Test(streaming_time, any_time_is_believed_where_the_host_says_so)
{
    tbus_streaming_t *streaming =
        open_with(&(tbus_streaming_options_t){.jump_ns = -1, .cache_ns = TBUS_STREAMING_NO_CACHE});
    cr_assert_eq(start(streaming, "a", 0), 0);
    cr_assert_eq(token(streaming, "nobody", 10 * HOUR), UV_ENOENT);
    expect(streaming, 10 * HOUR, 0, 0, 0);
    tbus_streaming_close(streaming);
}
