/* The streaming tracker's cache, beside what figures are of any moment. */
#include "tests/oracle.h"
#include "tests/trackers/streaming_fixture.h"

static void run_for(tbus_streaming_t *streaming, int64_t begin_ns, int64_t duration_ns)
{
    cr_assert_eq(start(streaming, "s", begin_ns), 0);
    cr_assert_eq(complete(streaming, "s", begin_ns + duration_ns), 0);
}

/* Streams end each second, and are looked at from any moment: the figures are those of the moment that they are said to
 * be of, which is the one asked for, or one less than ten seconds before, where they were worked out last. */
Test(streaming_cache, whatever_moments_are_asked_for_figures_are_as_of_the_moment_that_they_say)
{
    enum { STREAMS = 100, LOOKS = 3000 };
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.window_ns = 25 * SECOND, .idle_ns = -1});
    uint64_t seed = oracle_seed("streaming_cache"), taken_over = 0;
    for (int64_t i = 1; i <= STREAMS; i++)
        run_for(streaming, i * SECOND - i * MS, i * MS); /* the one that ended at i seconds took i milliseconds */
    int64_t as_of = INT64_MIN;
    for (int look = 0; look < LOOKS; look++) {
        int64_t now = 1 + (int64_t)(oracle_random(&seed) % (150 * SECOND));
        if (as_of > 0 && oracle_random(&seed) % 2)
            now = as_of + (int64_t)(oracle_random(&seed) % (12 * SECOND)) - SECOND;
        now = now < 1 ? 1 : now;
        if (now >= as_of && as_of > 0 && now - as_of < 10 * SECOND)
            taken_over++;
        else
            as_of = now;
        const int64_t last = as_of / SECOND < STREAMS ? as_of / SECOND : STREAMS, gone = (as_of - 25 * SECOND) / SECOND;
        const int64_t first = as_of < 25 * SECOND ? 1 : gone + 1;
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, now);
        cr_assert_eq(s->time_ns, now);
        cr_assert_eq(s->aggregate_ns, as_of);
        cr_assert_eq(s->duration_ms.count, last < first ? 0u : (uint64_t)(last - first + 1), "as of %lld",
                     (long long)as_of);
        cr_assert(last < first || (s->duration_ms.min == (double)first && s->duration_ms.max == (double)last));
        cr_assert_eq(s->completed_streams, (uint64_t)STREAMS);
        tbus_streaming_snapshot_free(s);
    }
    cr_assert_gt(taken_over, 100u);
    tbus_streaming_close(streaming);
}

Test(streaming_cache, moments_past_the_ends_of_time_are_at_them_for_the_cache_too)
{
    const int64_t last = INT64_C(1) << 62;
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.window_ns = -1, .idle_ns = -1});
    run_for(streaming, 0, SECOND);
    for (int again = 0; again < 2; again++) {
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, INT64_MIN);
        cr_assert(s->time_ns == 1 - last && s->aggregate_ns == 1 - last);
        tbus_streaming_snapshot_free(s);
        s = snapshot_at(streaming, INT64_MAX);
        cr_assert(s->time_ns == last && s->aggregate_ns == last);
        tbus_streaming_snapshot_free(s);
    }
    tbus_streaming_close(streaming);
}
