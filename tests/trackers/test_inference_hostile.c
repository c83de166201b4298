/* The inference tracker against what nobody sane would send it: limits, resets, and names that come at a bad moment. */
#include <tallybus/inference.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/trackers/meanwhile.h"

static const int64_t second = 1000000000, begin = 1767258000000000000;

static tbus_inference_snapshot_t *snapshot_at(tbus_inference_t *inference, int64_t now_ns)
{
    tbus_inference_snapshot_t *snapshot;
    cr_assert_eq(tbus_inference_snapshot(inference, now_ns, &snapshot), 0);
    return snapshot;
}

static int step(tbus_inference_t *inference, const char *id, int64_t time_ns)
{
    return tbus_inference_record_step(inference, id, TBUS_STEP_DECODE_STARTED, NAN, 0, time_ns);
}

static int64_t read_clock(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

Test(inference_hostile, after_a_reset_nothing_of_before_is_left_in_any_row)
{
    static const char *const names[] = {"m", "n"};
    int64_t now = begin;
    tbus_inference_t *inference;
    const tbus_inference_options_t options = {
        .models_max = 1, .workers_max = 1, .queues_max = 1, .clock = read_clock, .clock_user = &now};
    cr_assert_eq(tbus_inference_open(&options, &inference), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) { /* the second counts as "other", whose row stays */
            cr_assert_eq(tbus_inference_record_start(inference, names[i], names[i], 3, now), 0);
            cr_assert_eq(tbus_inference_record_worker(inference, names[i], names[i], now), 0);
            cr_assert_eq(tbus_inference_record_queue_depth(inference, names[i], 4, now), 0);
            cr_assert_eq(tbus_inference_record_end(
                             inference, names[i],
                             &(tbus_inference_end_t){.output_tokens = 5, .cached_tokens = 2, .time_ns = now + second}),
                         0);
        }
        cr_assert_eq(tbus_inference_record_batch_size(inference, 6, now), 0);
        cr_assert_eq(step(inference, "nobody", INT64_MAX), UV_ENOENT);
        cr_assert_eq(tbus_inference_record_start(inference, "stays", "n", 3, now), 0);
        cr_assert_eq(tbus_inference_record_start(inference, "stays", "n", 3, now), UV_EEXIST);
        cr_assert_eq(tbus_inference_record_end(inference, "stays", &(tbus_inference_end_t){.failed = true}), 0);
        cr_assert_eq(tbus_inference_record_start(inference, "stays", "n", 3, now), 0);
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        cr_assert(s->since_ns == now && s->time_ns == now + second && s->ahead == 1 && s->active == 1);
        cr_assert(s->duplicate_starts == 1 && s->refused_starts == 0 && s->orphan_events == 1 && s->abandoned == 0);
        cr_assert(s->queue_depth.now == 8 && s->queue_depth.max == 8 && s->batch_size.now == 6);
        cr_assert(s->models_count == 2 && s->workers_count == 2);
        const double span_s = 300 + (double)(s->time_ns % (10 * second)) / 1e9;
        static const uint64_t starts[] = {4, 1, 3};
        const tbus_inference_figures_t *const figures[] = {&s->all, &s->models[1], &s->models[0]};
        for (int i = 0; i < 3; i++) {
            const uint64_t all = i ? 1 : 2;
            cr_assert(figures[i]->completed == all && figures[i]->failed == (i != 1) &&
                      figures[i]->total_ms.count == all);
            cr_assert(figures[i]->input_tokens == 3 * all && figures[i]->output_tokens == 5 * all);
            cr_assert(figures[i]->cached_tokens == 2 * all && figures[i]->started == starts[i]);
            cr_assert_float_eq(figures[i]->requests_per_second, (double)all / span_s, 1e-9);
            cr_assert_float_eq(figures[i]->input_tokens_per_second, (double)(3 * all) / span_s, 1e-9);
            cr_assert_float_eq(figures[i]->output_tokens_per_second, (double)(5 * all) / span_s, 1e-9);
        }
        for (int i = 0; i < 2; i++)
            cr_assert(s->workers[i].requests == 1 && s->workers[i].tokens == 5 && s->workers[i].done == 1);
        tbus_inference_snapshot_free(s);
        now += round * 1000 * second;
        tbus_inference_reset(inference);
        s = snapshot_at(inference, 0);
        cr_assert(s->since_ns == now && s->active == 0 && s->models_count == 0 && s->workers_count == 0);
        cr_assert(s->queue_depth.now == 0 && s->queue_depth.max == 0 && isnan(s->queue_depth.mean));
        cr_assert(s->batch_size.now == 0 && s->duplicate_starts + s->orphan_events + s->ahead == 0);
        tbus_inference_snapshot_free(s);
    }
    tbus_inference_close(inference);
}

Test(inference_hostile, numbers_at_the_end_of_what_there_is_overflow_nothing)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(&(tbus_inference_options_t){.ahead_max_ns = -1, .idle_ns = -1}, &inference), 0);
    const tbus_inference_end_t end = {
        .input_tokens = INT64_MAX, .output_tokens = INT64_MAX, .cached_tokens = INT64_MAX, .time_ns = INT64_MAX};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tbus_inference_record_start(inference, "r", "m", INT64_MAX, INT64_MIN), 0);
        cr_assert_eq(tbus_inference_record_worker(inference, "r", "w", INT64_MIN), 0);
        cr_assert_eq(tbus_inference_record_worker_done(inference, "r", "w", 1e300, INT64_MIN), 0);
        for (int what = 0; what <= TBUS_STEP_DECODE_COMPLETED; what++)
            cr_assert_eq(tbus_inference_record_step(inference, "r", (tbus_inference_step_t)what, i ? 1e300 : NAN,
                                                    INT64_MAX, i == 1 ? INT64_MAX : INT64_MIN),
                         0);
        cr_assert_eq(tbus_inference_record_end(inference, "r", &end), 0);
        cr_assert_eq(tbus_inference_record_queue_depth(inference, i ? "a" : "b", INT64_MAX, INT64_MAX), 0);
        cr_assert_eq(tbus_inference_record_batch_size(inference, INT64_MAX, INT64_MAX), 0);
    }
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    const tbus_inference_figures_t *const figures[] = {&s->all, &s->models[0]};
    for (int i = 0; i < 2; i++) {
        cr_assert(figures[i]->input_tokens == UINT64_MAX && figures[i]->output_tokens == UINT64_MAX);
        cr_assert(figures[i]->cached_tokens == UINT64_MAX && figures[i]->completed == 3);
        cr_assert_float_eq(figures[i]->total_ms.max, ldexp(1, 63) / 1e6, 1);
        cr_assert_float_eq(figures[i]->ttft_ms.max, ldexp(1, 62) / 1e6, 1);
        cr_assert(figures[i]->itl_ms.max >= 0 && figures[i]->tpot_ms.max >= 0);
    }
    cr_assert(s->workers[0].tokens == UINT64_MAX && s->workers[0].done == 3);
    cr_assert(s->queue_depth.now == INT64_MAX && s->batch_size.max == INT64_MAX);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

Test(inference_hostile, it_takes_as_many_names_as_it_says_and_no_wrong_options)
{
    tbus_inference_t *inference;
    tbus_inference_snapshot_t *s;
    const tbus_inference_options_t wrong[] = {{.active_max = (1 << 24) + 1},
                                              {.models_max = (1 << 12) + 1},
                                              {.workers_max = (1 << 24) + 1},
                                              {.queues_max = (1 << 24) + 1},
                                              {.window_ns = -1},
                                              {.window_ns = INT64_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(tbus_inference_open(&wrong[i], &inference), UV_EINVAL, "options %zu", i);
    for (int i = 0; i < 8; i++) {
        tbus_inference_options_t options = {0};
        options.reserved[i] = 1;
        cr_assert_eq(tbus_inference_open(&options, &inference), UV_EINVAL);
    }
    cr_assert_eq(tbus_inference_open(NULL, NULL), UV_EINVAL);
    const tbus_inference_options_t most = {.active_max = 1 << 24,
                                           .models_max = 1 << 12,
                                           .workers_max = 1 << 24,
                                           .queues_max = 1 << 24,
                                           .window_ns = INT64_C(1) << 62};
    cr_assert_eq(tbus_inference_open(&most, &inference), 0);
    tbus_inference_close(inference);
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    for (int i = 0; i < 10001; i++) { /* by default 10,000 requests, 50 models, 500 workers, 100 queues */
        char name[8], model[8], worker[8], queue[8];
        snprintf(name, sizeof name, "%d", i);
        snprintf(model, sizeof model, "%d", i % 51);
        snprintf(worker, sizeof worker, "%d", i % 501);
        snprintf(queue, sizeof queue, "%d", i % 101);
        cr_assert_eq(tbus_inference_record_start(inference, name, model, 5, begin), i < 10000 ? 0 : UV_ENOSPC);
        if (i < 501)
            cr_assert_eq(tbus_inference_record_worker(inference, name, worker, begin), 0);
        cr_assert_eq(tbus_inference_record_queue_depth(inference, queue, 1, begin), 0);
    }
    s = snapshot_at(inference, 0);
    cr_assert(s->active == 10000 && s->refused_starts == 1 && s->models_count == 51 && s->workers_count == 501);
    cr_assert_eq(s->queue_depth.now, 101);
    tbus_inference_snapshot_free(s);
    cr_assert_eq(tbus_inference_snapshot(NULL, 0, &s), UV_EINVAL);
    cr_assert_eq(tbus_inference_snapshot(inference, 0, NULL), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_start(NULL, "r", "m", 0, 0), UV_EINVAL);
    cr_assert_eq(step(NULL, "r", 0), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_worker(NULL, "r", "w", 0), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_worker_done(NULL, "r", "w", 0, 0), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_end(NULL, "r", &(tbus_inference_end_t){.failed = true}), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_end(inference, "0", NULL), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_queue_depth(NULL, "q", 0, 0), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_batch_size(NULL, 0, 0), UV_EINVAL);
    tbus_inference_close(inference);
    tbus_inference_close(NULL);
    tbus_inference_reset(NULL);
    tbus_inference_snapshot_free(NULL);
}

static void add_names(void *inference)
{
    static int number;
    for (int i = 0; i < 30; i++) {
        char name[192]; /* as long as any: they take the room that was measured */
        snprintf(name, sizeof name, "%0191d", number++);
        (void)tbus_inference_record_start(inference, name, name, 5, begin);
        (void)tbus_inference_record_worker(inference, name, name, begin);
    }
}

Test(inference_hostile, names_that_come_while_a_snapshot_is_taken_are_in_it)
{
    struct meanwhile meanwhile = {.happens = add_names};
    tbus_inference_t *inference;
    meanwhile_install(&meanwhile);
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    meanwhile.tracker = inference;
    meanwhile.times = 3;
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert(meanwhile.happened == 3 && s->all.started == 90 && s->models_count == 51 && s->workers_count == 90);
    tbus_inference_snapshot_free(s);
    tbus_inference_reset(inference);
    tbus_inference_close(inference);
    cr_assert_eq(meanwhile.live, 0);
    meanwhile_remove();
}

Test(inference_hostile, requests_before_1970_are_idle_in_time_too)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "r", "m", 5, -10000 * second), 0);
    cr_assert_eq(step(inference, "nobody", -9400 * second), UV_ENOENT);
    cr_assert_eq(step(inference, "nobody", -9300 * second), UV_ENOENT);
    tbus_inference_snapshot_t *s = snapshot_at(inference, -9300 * second);
    cr_assert(s->active == 0 && s->abandoned == 1);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}
