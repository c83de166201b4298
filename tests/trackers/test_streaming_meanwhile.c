/* What happens to the streaming tracker while a snapshot is taken. */
#include <string.h>

#include "tests/trackers/meanwhile.h"
#include "tests/trackers/streaming_fixture.h"

static void end_more(void *streaming)
{
    static int number;
    for (int i = 0; i < 300; i++) {
        char name[192]; /* as long as any: they take the room that was measured */
        snprintf(name, sizeof name, "%0191d", i % 50 == 0 ? number++ : number);
        const tbus_stream_start_t begin = {.model = name, .time_ns = SECOND};
        cr_assert_eq(tbus_streaming_record_start(streaming, name, &begin), 0);
        cr_assert_eq(complete(streaming, name, 2 * SECOND), 0);
    }
}

Test(streaming_meanwhile, streams_that_end_while_a_snapshot_is_taken_are_in_it)
{
    struct meanwhile meanwhile = {.happens = end_more};
    meanwhile_install(&meanwhile);
    for (int64_t cache_ns = -1; cache_ns <= 1; cache_ns += 2) {
        meanwhile.happened = 0;
        tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.cache_ns = cache_ns});
        meanwhile.tracker = streaming;
        meanwhile.times = 5;
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 3 * SECOND);
        const uint64_t happened = (uint64_t)meanwhile.happened;
        cr_assert_eq(happened, 5u);
        cr_assert_eq(s->completed_streams, 300 * happened);
        cr_assert_eq(s->duration_ms.count, 1000u, "the latest that are kept");
        uint64_t streams = 0;
        for (size_t i = 0; i < s->models_count; i++)
            streams += s->models[i].streams;
        cr_assert_eq(streams, 300 * happened);
        tbus_streaming_snapshot_free(s);
        tbus_streaming_close(streaming);
    }
    cr_assert_eq(meanwhile.live, 0);
    meanwhile_remove();
}

static void reset(void *streaming)
{
    tbus_streaming_reset(streaming);
    cr_assert_eq(start(streaming, "after", 2 * SECOND), 0);
}

Test(streaming_meanwhile, a_reset_while_a_snapshot_is_taken_leaves_nothing_of_before)
{
    struct meanwhile meanwhile = {.happens = reset};
    meanwhile_install(&meanwhile);
    tbus_streaming_t *streaming = open_with(NULL);
    meanwhile.tracker = streaming;
    for (int cached = 0; cached < 2; cached++) { /* the second finds the cache empty that it has seen full */
        cr_assert_eq(start(streaming, "s", SECOND), 0);
        cr_assert_eq(complete(streaming, "s", 2 * SECOND), 0);
        if (cached)
            tbus_streaming_snapshot_free(snapshot_at(streaming, 2 * SECOND));
        meanwhile.times = 1;
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 2 * SECOND);
        cr_assert(s->total_streams == 1 && s->active_streams == 1 && s->duration_ms.count == 0);
        tbus_streaming_snapshot_free(s);
        tbus_streaming_reset(streaming);
    }
    tbus_streaming_close(streaming);
    cr_assert_eq(meanwhile.live, 0);
    meanwhile_remove();
}

/* --- While figures are worked out --- */

static void (*while_sorting)(void *tracker);
static void *sorting_tracker;

/* In place of libc's, so that something can happen where the figures are worked out: outside the lock, between the copy
 * and the cache. */
void qsort(void *base, size_t count, size_t bytes, int (*order)(const void *a, const void *b))
{
    char kept[1024];
    void (*happens)(void *) = while_sorting;
    while_sorting = NULL;
    if (happens)
        happens(sorting_tracker);
    if (bytes > sizeof kept)
        abort();
    for (size_t i = 1; i < count; i++) {
        char *at = (char *)base + i * bytes;
        memcpy(kept, at, bytes);
        for (; at > (char *)base && order(at - bytes, kept) > 0; at -= bytes)
            memcpy(at, at - bytes, bytes);
        memcpy(at, kept, bytes);
    }
}

Test(streaming_meanwhile, what_was_worked_out_before_a_reset_is_not_in_the_cache_after_it)
{
    for (int resets = 0; resets < 2; resets++) {
        tbus_streaming_t *streaming = open_with(NULL);
        cr_assert_eq(start(streaming, "s", SECOND), 0);
        cr_assert_eq(complete(streaming, "s", 2 * SECOND), 0);
        sorting_tracker = streaming;
        while_sorting = resets ? reset : NULL;
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, 2 * SECOND);
        cr_assert_null(while_sorting, "it has happened");
        cr_assert_eq(s->duration_ms.count, 1u, "it is one of before");
        tbus_streaming_snapshot_free(s);
        cr_assert_eq(start(streaming, "more", 2 * SECOND), 0);
        cr_assert_eq(complete(streaming, "more", 2 * SECOND), 0);
        s = snapshot_at(streaming, 2 * SECOND);
        cr_assert_eq(s->completed_streams, resets ? 1u : 2u);
        cr_assert_eq(s->duration_ms.max, resets ? 0 : 1000, "without a reset it is the same aggregate");
        tbus_streaming_snapshot_free(s);
        tbus_streaming_close(streaming);
    }
}

static int64_t clock_ns;

static int64_t read_clock(void *unused)
{
    (void)unused;
    return clock_ns;
}

/* The clock was ahead and is right again. */
static void go_back(void *streaming)
{
    clock_ns = SECOND;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(token(streaming, "nobody", clock_ns), UV_ENOENT);
}

Test(streaming_meanwhile, what_was_worked_out_before_time_went_back_is_not_in_the_cache_after_it)
{
    for (int goes_back = 0; goes_back < 2; goes_back++) {
        const int64_t ahead_ns = 1000 * HOUR;
        clock_ns = ahead_ns;
        tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.clock = read_clock});
        cr_assert_eq(start(streaming, "s", ahead_ns - SECOND), 0);
        cr_assert_eq(complete(streaming, "s", ahead_ns), 0);
        sorting_tracker = streaming;
        while_sorting = goes_back ? go_back : NULL;
        tbus_streaming_snapshot_t *s = snapshot_at(streaming, ahead_ns);
        cr_assert_null(while_sorting, "it has happened");
        cr_assert_eq(s->duration_ms.count, 1u, "it is one of before");
        tbus_streaming_snapshot_free(s);
        s = snapshot_at(streaming, ahead_ns);
        cr_assert_eq(s->duration_ms.count, goes_back ? 0u : 1u, "there the stream ended 1,000 hours ago");
        tbus_streaming_snapshot_free(s);
        s = snapshot_at(streaming, 0);
        cr_assert_eq(s->time_ns, goes_back ? SECOND : ahead_ns);
        cr_assert_eq(s->duration_ms.count, 1u, "what was recent is recent still");
        tbus_streaming_snapshot_free(s);
        tbus_streaming_close(streaming);
    }
}
