/* The streaming tracker against what nobody sane would send it, and without memory. */
#include <stdlib.h>
#include <string.h>

#include "tests/oom.h"
#include "tests/trackers/streaming_fixture.h"

Test(streaming_hostile, hostile_numbers_and_strings_do_no_harm)
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
        (void)tbus_streaming_record_start(streaming, string, &(tbus_stream_start_t){.model = string, .time_ns = one});
        (void)tbus_streaming_record_token(streaming, string, two, one, (tbus_token_kind_t)(i % 4), one);
        (void)tbus_streaming_record_token(streaming, string, one, two, (tbus_token_kind_t)(i % 3), two);
        (void)tbus_streaming_record_first_token(streaming, string, (double)one, two);
        if (i % 7 == 0)
            (void)tbus_streaming_record_end(
                streaming, string,
                &(tbus_stream_end_t){.outcome = (tbus_outcome_t)(i % 3), .token_count = two, .time_ns = one});
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->completed_streams + s->failed_streams + s->cancelled_streams + s->active_streams, s->total_streams);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    free(huge);
}

Test(streaming_hostile, no_number_of_an_event_overflows_however_events_are_numbered)
{
    static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    for (int numbering = 0; numbering <= TBUS_NUMBERING_LAST_TOKEN; numbering++) {
        tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.numbering = (tbus_numbering_t)numbering});
        cr_assert_eq(start(streaming, "s", 0), 0);
        for (int i = 0; i < NUMBERS * NUMBERS * 2; i++)
            cr_assert_eq(tbus_streaming_record_token(streaming, "s", numbers[i / NUMBERS % NUMBERS],
                                                     numbers[i % NUMBERS], TBUS_TOKEN_CONTENT, 0),
                         0);
        cr_assert_eq(found(streaming, "s").tokens, UINT64_MAX, "they stay at the end of the range");
        tbus_streaming_close(streaming);
    }
}

/* What streaming.h states, for the default options. */
static size_t stated_bytes(void)
{
    const size_t active = 10000, finished = 1000, models = 201;
    return (active + finished) * 700 + finished * (48 + 132) + models * 3000 + (2 << 20);
}

Test(streaming_hostile, ten_million_ids_and_a_million_models_stay_within_the_stated_memory)
{
    enum { IDS = 10000000, MODELS = 1000000 };
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < IDS; i++) { /* nothing ends: what does not fit is refused */
        char id[32], model[32];
        snprintf(id, sizeof id, "stream-%d", i);
        snprintf(model, sizeof model, "model-%d", i % MODELS);
        (void)tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = model, .time_ns = i});
    }
    cr_assert_lt(atomic_load(&oom.bytes_peak), stated_bytes(), "%zu", atomic_load(&oom.bytes_peak));
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams, 10000u);
    cr_assert_eq(s->refused_starts, IDS - 10000u);
    cr_assert_eq(s->models_count, 201u);
    cr_assert_str_eq(s->models[0].model, "other");
    cr_assert_eq(s->models[0].streams, 9800u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(streaming_hostile, streams_that_come_and_go_stay_within_the_stated_memory)
{
    enum { IDS = 2000000, MODELS = 1000000, ACTIVE = 10000 };
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_streaming_t *streaming = open_with(NULL);
    for (int i = 0; i < IDS + ACTIVE; i++) {
        char id[256], model[32];
        memset(id, 'i', sizeof id); /* as long as ids that are kept can be, and longer */
        if (i >= ACTIVE) {
            snprintf(id + 200, sizeof id - 200, "stream-%d", i - ACTIVE);
            cr_assert_eq(complete(streaming, id, i), 0);
        }
        if (i < IDS) {
            snprintf(id + 200, sizeof id - 200, "stream-%d", i);
            snprintf(model, sizeof model, "model-%d", i % MODELS);
            cr_assert_eq(
                tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = model, .time_ns = i}), 0);
        }
    }
    cr_assert_lt(atomic_load(&oom.bytes_peak), stated_bytes(), "%zu", atomic_load(&oom.bytes_peak));
    tbus_streaming_close(streaming);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(streaming_hostile, the_stated_memory_holds_for_other_sizes_and_longer_bounds_too)
{
    enum { ACTIVE = 4097, FINISHED = 4096, MODELS = 1024 };
    double values[TBUS_BOUNDS_MAX];
    struct oom oom = {.fail_at = -1};
    for (int i = 0; i < TBUS_BOUNDS_MAX; i++)
        values[i] = i;
    const tbus_bounds_t bounds = {TBUS_BOUNDS_MAX, values};
    oom_install(&oom);
    tbus_streaming_t *streaming = open_with(&(tbus_streaming_options_t){.active_max = ACTIVE,
                                                                        .finished_max = FINISHED,
                                                                        .models_max = MODELS,
                                                                        .ttft_bounds = &bounds,
                                                                        .tpot_bounds = &bounds,
                                                                        .duration_bounds = &bounds,
                                                                        .usage_bounds = &bounds});
    for (int i = 0; i < ACTIVE + FINISHED; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = id, .time_ns = i}), 0);
        if (i < FINISHED)
            cr_assert_eq(complete(streaming, id, i), 0);
    }
    const size_t more_bounds = 4 * TBUS_BOUNDS_MAX - (16 + 13 + 14 + 14);
    const size_t stated =
        (ACTIVE + FINISHED) * 700 + FINISHED * (48 + 132) + (MODELS + 1) * (3000 + 40 * more_bounds) + (2 << 20);
    cr_assert_lt(atomic_load(&oom.bytes_peak), stated, "%zu of %zu", atomic_load(&oom.bytes_peak), stated);
    tbus_streaming_close(streaming);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(streaming_hostile, a_token_takes_not_a_byte)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, "s", 0), 0);
    const long calls = atomic_load(&oom.calls);
    const size_t live = atomic_load(&oom.bytes_live);
    for (int64_t i = 0; i < 1000000; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 1 + i % 7, i, (tbus_token_kind_t)(i % 4), i * MS), 0);
    cr_assert_eq(atomic_load(&oom.calls), calls);
    cr_assert_eq(atomic_load(&oom.bytes_live), live);
    tbus_streaming_close(streaming);
    oom_remove();
}

Test(streaming_hostile, ids_of_no_bytes_and_of_ten_million_are_ids)
{
    size_t length = 10 << 20;
    char *huge = malloc(length + 1);
    cr_assert_not_null(huge);
    memset(huge, 'h', length);
    huge[length] = '\0';
    tbus_streaming_t *streaming = open_with(NULL);
    cr_assert_eq(start(streaming, NULL, 0), 0);
    cr_assert_eq(start(streaming, "", 0), UV_EEXIST, "NULL counts as \"\"");
    cr_assert_eq(tbus_streaming_record_start(streaming, huge, &(tbus_stream_start_t){.model = huge}), 0);
    huge[length - 1] = 'x';
    cr_assert_eq(tbus_streaming_record_start(streaming, huge, &(tbus_stream_start_t){.model = huge}), 0,
                 "another one, though they differ at the very end");
    cr_assert_eq(token(streaming, huge, MS), 0);
    cr_assert_eq(found(streaming, huge).tokens, 1u);
    cr_assert_eq(strlen(found(streaming, huge).model), 191u);
    huge[length - 1] = 'h';
    cr_assert_eq(found(streaming, huge).tokens, 0u);
    cr_assert_eq(tbus_streaming_record_end(streaming, huge, &(tbus_stream_end_t){.reason = huge}), 0);
    cr_assert_eq(token(streaming, huge, 2 * MS), UV_ENOENT, "a token after the end");
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->models_count, 3u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    free(huge);
}

static void use_all(tbus_streaming_t *streaming)
{
    for (int i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        int error = tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = id, .time_ns = i});
        cr_assert(error == 0 || error == UV_ENOMEM);
        (void)token(streaming, id, i);
        if (i % 2)
            (void)complete(streaming, id, i);
    }
}

Test(streaming_hostile, without_memory_the_error_is_clear_and_nothing_leaks)
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
            if (snapshot) {
                cr_assert_eq(snapshot->total_streams + snapshot->refused_starts, 40u);
                cr_assert_eq(snapshot->total_streams - snapshot->completed_streams, snapshot->active_streams);
            }
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

/* --- Threads --- */

enum { THREADS = 4, ROUNDS = 3000 };

struct worker {
    tbus_streaming_t *streaming;
    int number;
    uv_thread_t thread;
};

static void work(void *data)
{
    struct worker *worker = data;
    char id[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(id, sizeof id, "%d-%d", worker->number, i % 50);
        int64_t time = i * MS;
        (void)tbus_streaming_record_start(worker->streaming, id,
                                          &(tbus_stream_start_t){.model = id, .input_tokens = 1, .time_ns = time});
        (void)tbus_streaming_record_token(worker->streaming, id, 2, 0, TBUS_TOKEN_CONTENT, time + 1);
        if (i % 3)
            (void)tbus_streaming_record_end(worker->streaming, id, &(tbus_stream_end_t){.reason = id, .time_ns = time});
        if (i % 100 == 0) {
            tbus_stream_info_t info;
            int error = tbus_streaming_find(worker->streaming, id, &info);
            cr_assert(error == 0 || error == UV_ENOENT, "others may have pushed it out");
            tbus_streaming_snapshot_t *s = snapshot_at(worker->streaming, 0);
            cr_assert_leq(s->duration_ms.count, 30u);
            cr_assert_eq(s->completed_streams + s->active_streams, s->total_streams);
            tbus_streaming_snapshot_free(s);
        }
    }
}

Test(streaming_hostile, threads_record_and_read_at_once)
{
    static struct worker workers[THREADS];
    tbus_streaming_t *streaming = open_with(
        &(tbus_streaming_options_t){.finished_max = 30, .models_max = 20, .cache_ns = 20 * MS, .idle_ns = -1});
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.streaming = streaming, .number = i};
        cr_assert_eq(uv_thread_create(&workers[i].thread, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&workers[i].thread);
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    cr_assert_eq(s->total_streams + s->duplicate_starts, (uint64_t)THREADS * ROUNDS);
    cr_assert_eq(s->total_tokens, (uint64_t)THREADS * ROUNDS * 2);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}
