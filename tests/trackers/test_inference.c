#include <tallybus/inference.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/trackers/statistics.h"

static const int64_t ms = 1000000, second = 1000000000, begin = 1767258000000000000;

static tbus_inference_snapshot_t *snapshot_at(tbus_inference_t *inference, int64_t now_ns)
{
    tbus_inference_snapshot_t *snapshot;
    cr_assert_eq(tbus_inference_snapshot(inference, now_ns, &snapshot), 0);
    return snapshot;
}

/* Random journeys; each figure is worked out beside the tracker and its percentiles by Python. */
/* semantics: inference.phases inference.rates */
Test(inference, equals_a_plain_reckoning_of_each_request)
{
    enum { REQUESTS = 600, FIGURES = 7 };
    static double lists[FIGURES][REQUESTS];
    uint64_t seed = oracle_seed("inference"), output = 0, input = 0, cached = 0;
    tbus_inference_t *inference;
    struct oracle oracle;
    oracle_open(&oracle);
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    for (int i = 0; i < REQUESTS; i++) {
        char id[16];
        int64_t t[7] = {begin + i * 100 * ms}; /* start, prefill, its end, first, decode, its end, end */
        for (int step = 1; step < 7; step++)
            t[step] = t[step - 1] + (int64_t)(1 + oracle_random(&seed) % 3000) * ms / 10;
        int64_t tokens = 2 + (int64_t)(oracle_random(&seed) % 500), prompt = (int64_t)(oracle_random(&seed) % 900);
        bool told = oracle_random(&seed) % 2;
        double prefill = told ? (double)(oracle_random(&seed) % 700) : (double)(t[2] - t[1]) / 1e6;
        double decode = told ? (double)(oracle_random(&seed) % 700) : (double)(t[5] - t[4]) / 1e6;
        snprintf(id, sizeof id, "r%d", i);
        cr_assert_eq(tbus_inference_record_start(inference, id, i % 2 ? "a" : "b", prompt, t[0]), 0);
        const struct {
            tbus_inference_step_t step;
            double ms;
            int64_t tokens;
        } steps[] = {{TBUS_STEP_PREFILL_STARTED, NAN, 0},
                     {TBUS_STEP_PREFILL_COMPLETED, told ? prefill : NAN, 0},
                     {TBUS_STEP_FIRST_TOKEN, NAN, 0},
                     {TBUS_STEP_DECODE_STARTED, NAN, 0},
                     {TBUS_STEP_DECODE_COMPLETED, told ? decode : NAN, tokens}};
        for (int step = 0; step < 5; step++)
            for (int again = 0; again < 2; again++) /* what is told again is ignored */
                cr_assert_eq(tbus_inference_record_step(inference, id, steps[step].step, steps[step].ms,
                                                        steps[step].tokens, t[step + 1] + again),
                             0);
        cr_assert_eq(tbus_inference_record_end(inference, id,
                                               &(tbus_inference_end_t){.cached_tokens = prompt / 2, .time_ns = t[6]}),
                     0);
        const double figures[FIGURES] = {(double)(t[1] - t[0]) / 1e6,
                                         prefill,
                                         decode,
                                         (double)(t[3] - t[0]) / 1e6,
                                         (double)(llround(decode * 1e6) / (tokens - 1)) / 1e6,
                                         (double)((t[6] - t[3]) / (tokens - 1)) / 1e6,
                                         (double)(t[6] - t[0]) / 1e6};
        for (int figure = 0; figure < FIGURES; figure++)
            lists[figure][i] = figures[figure];
        output += (uint64_t)tokens;
        input += (uint64_t)prompt;
        cached += (uint64_t)prompt / 2;
    }
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    const tbus_distribution_t *const own[FIGURES] = {&s->all.queue_ms, &s->all.prefill_ms, &s->all.decode_ms,
                                                     &s->all.ttft_ms,  &s->all.itl_ms,     &s->all.tpot_ms,
                                                     &s->all.total_ms};
    for (int figure = 0; figure < FIGURES; figure++)
        oracle_distribution(&oracle, 0.005, own[figure], lists[figure], REQUESTS);
    cr_assert(s->all.completed == REQUESTS && s->active == 0 && s->negative_intervals == 0 && s->models_count == 2);
    cr_assert(s->all.input_tokens == input && s->all.output_tokens == output && s->all.cached_tokens == cached);
    cr_assert_float_eq(s->all.cached_share, (double)cached / (double)input, 1e-12);
    const double span_s = 300 + (double)(s->time_ns % (10 * second)) / 1e9;
    cr_assert_float_eq(s->all.output_tokens_per_second, (double)output / span_s, 1e-6);
    cr_assert(s->models[0].completed == REQUESTS / 2 && s->models[0].total_ms.count == REQUESTS / 2);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
    oracle_check(&oracle, "tests/trackers/statistics_oracle.py", "");
}

/* semantics: inference.ghosts */
Test(inference, ghosts_duplicates_orphans_and_time_running_backwards_are_counted)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(&(tbus_inference_options_t){.active_max = 2}, &inference), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin), UV_EEXIST);
    cr_assert_eq(tbus_inference_record_start(inference, NULL, NULL, 5, begin), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "c", "m", 5, begin), UV_ENOSPC);
    cr_assert_eq(tbus_inference_record_step(inference, "c", TBUS_STEP_DECODE_STARTED, NAN, 0, begin), UV_ENOENT);
    cr_assert_eq(tbus_inference_record_step(inference, "a", (tbus_inference_step_t)6, NAN, 0, begin), UV_EINVAL);
    cr_assert_eq(tbus_inference_record_step(inference, "a", TBUS_STEP_FIRST_TOKEN, NAN, 0, begin - second), 0);
    cr_assert_eq(tbus_inference_record_end(inference, "a", &(tbus_inference_end_t){.time_ns = INT64_MIN}), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, begin);
    cr_assert(s->duplicate_starts == 1 && s->refused_starts == 1 && s->orphan_events == 1 && s->active == 1);
    cr_assert_eq(s->negative_intervals, 2u);
    cr_assert(s->all.ttft_ms.max == 0);
    tbus_inference_snapshot_free(s);
    cr_assert_eq(tbus_inference_record_start(inference, "d", "m", 5, begin + 601 * second), 0);
    cr_assert_eq(tbus_inference_record_end(inference, "", &(tbus_inference_end_t){.time_ns = begin + 601 * second}),
                 UV_ENOENT);
    s = snapshot_at(inference, begin);
    cr_assert(s->abandoned == 1 && s->active == 1);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

/* semantics: inference.workers */
Test(inference, workers_have_their_requests_tokens_latency_and_share)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    static const char *const workers[] = {"w1", "w1", "w2"};
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        cr_assert_eq(tbus_inference_record_start(inference, id, "m", 5, begin), 0);
        for (int again = 0; again < 2; again++) /* routed and assigned */
            cr_assert_eq(tbus_inference_record_worker(inference, id, workers[i], begin), 0);
        if (i == 0)
            cr_assert_eq(tbus_inference_record_worker_done(inference, id, workers[i], 10, begin + ms), 0);
        cr_assert_eq(tbus_inference_record_end(inference, id,
                                               &(tbus_inference_end_t){.output_tokens = 8, .time_ns = begin + 20 * ms}),
                     0);
    }
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert_eq(s->workers_count, 2u);
    cr_assert_str_eq(s->workers[0].worker, "w1");
    cr_assert(s->workers[0].requests == 2 && s->workers[0].tokens == 16 && s->workers[0].latency_ms == 15);
    cr_assert_float_eq(s->workers[0].share, 2.0 / 3, 1e-12);
    cr_assert(s->workers[1].requests == 1 && s->workers[1].latency_ms == 20);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

static const tbus_inference_worker_t *worker_of(const tbus_inference_snapshot_t *s, const char *name)
{
    for (size_t i = 0; i < s->workers_count; i++)
        if (strcmp(s->workers[i].worker, name) == 0)
            return &s->workers[i];
    cr_assert_fail("no worker %s", name);
    return NULL;
}

Test(inference, a_request_that_moves_on_to_another_worker_has_its_latency_there_too)
{
    tbus_inference_t *inference;
    const tbus_inference_end_t end = {.output_tokens = 8, .time_ns = begin + 20 * ms};
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    for (int moves = 0; moves < 2; moves++) {
        cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin), 0);
        cr_assert_eq(tbus_inference_record_worker(inference, "a", "w1", begin), 0);
        cr_assert_eq(tbus_inference_record_worker_done(inference, "a", "w1", 10, begin + ms), 0);
        cr_assert_eq(tbus_inference_record_worker(inference, "a", moves ? "w2" : "w1", begin + 2 * ms), 0);
        cr_assert_eq(tbus_inference_record_end(inference, "a", &end), 0);
    }
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert(worker_of(s, "w1")->done == 2 && worker_of(s, "w1")->latency_ms == 10, "what it told, once for each");
    cr_assert(worker_of(s, "w1")->requests == 2 && worker_of(s, "w1")->tokens == 8);
    cr_assert(worker_of(s, "w2")->done == 1 && worker_of(s, "w2")->latency_ms == 20);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

/* semantics: inference.workers */
Test(inference, workers_past_the_limit_are_other_and_a_request_counts_for_each)
{
    static const char *const route[] = {"w1", "w2", "w2", "w3", "w2", "w1", "w1"};
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(&(tbus_inference_options_t){.workers_max = 1}, &inference), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "r", "m", 5, begin), 0);
    for (int i = 0; i < 7; i++)
        cr_assert_eq(tbus_inference_record_worker(inference, "r", route[i], begin), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert_eq(s->workers_count, 2u);
    cr_assert(strcmp(s->workers[0].worker, "other") == 0 && s->workers[0].requests == 3);
    cr_assert(strcmp(s->workers[1].worker, "w1") == 0 && s->workers[1].requests == 2);
    tbus_inference_snapshot_free(s);
    /* The last two are "other", and it is the last that has told nothing. */
    for (int i = 1; i < 4; i += 2)
        cr_assert_eq(tbus_inference_record_worker(inference, "r", route[i], begin), 0);
    cr_assert_eq(tbus_inference_record_worker_done(inference, "r", "w2", 30, begin), 0);
    cr_assert_eq(tbus_inference_record_end(inference, "r", &(tbus_inference_end_t){.time_ns = begin + 50 * ms}), 0);
    s = snapshot_at(inference, 0);
    cr_assert(s->workers[0].requests == 5 && s->workers[0].done == 2 && s->workers[0].latency_ms == 40);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

/* semantics: inference.phases inference.rates */
Test(inference, of_a_failed_request_its_steps_count_and_nothing_of_its_end)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    for (int failed = 0; failed < 2; failed++) {
        cr_assert_eq(tbus_inference_record_start(inference, "r", "m", 10, begin), 0);
        for (int step = TBUS_STEP_DEQUEUED; step <= TBUS_STEP_DECODE_COMPLETED; step++)
            cr_assert_eq(tbus_inference_record_step(inference, "r", (tbus_inference_step_t)step, 5 + failed, 3,
                                                    begin + step * ms),
                         0);
        cr_assert_eq(tbus_inference_record_end(
                         inference, "r",
                         &(tbus_inference_end_t){
                             .failed = failed, .input_tokens = 7, .output_tokens = 3, .time_ns = begin + 100 * ms}),
                     0);
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        const uint64_t told = (uint64_t)failed + 1;
        const tbus_inference_figures_t *const figures[] = {&s->all, &s->models[0]};
        for (int i = 0; i < 2; i++) {
            const tbus_inference_figures_t *f = figures[i];
            cr_assert(f->completed == 1 && f->failed == (uint64_t)failed && f->started == told);
            cr_assert(f->queue_ms.count == told && f->queue_ms.max == 5 + failed && f->prefill_ms.count == told);
            cr_assert(f->ttft_ms.count == told && f->decode_ms.count == told && f->itl_ms.count == told);
            cr_assert(f->tpot_ms.count == 1 && f->total_ms.count == 1);
            cr_assert(f->input_tokens == 7 && f->output_tokens == 3);
            cr_assert_float_eq(f->output_tokens_per_second, 3 * f->requests_per_second, 1e-12);
        }
        tbus_inference_snapshot_free(s);
    }
    tbus_inference_close(inference);
}

static void expect_level(tbus_inference_t *inference, int64_t now_ns, int64_t now, int64_t max, double mean)
{
    tbus_inference_snapshot_t *s = snapshot_at(inference, now_ns);
    cr_assert(s->batch_size.now == now && s->batch_size.max == max);
    cr_assert(isnan(mean) ? isnan(s->batch_size.mean) : s->batch_size.mean == mean);
    tbus_inference_snapshot_free(s);
}

/* semantics: inference.levels */
Test(inference, the_mean_of_a_level_is_not_known_before_time_has_gone_by_and_always_afterwards)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    expect_level(inference, begin, 0, 0, NAN);
    cr_assert_eq(tbus_inference_record_batch_size(inference, 5, begin), 0);
    expect_level(inference, begin, 5, 5, NAN);
    expect_level(inference, begin + 1, 5, 5, 5);
    expect_level(inference, begin + 86400 * second, 5, 5, 5);
    tbus_inference_close(inference);
}

Test(inference, a_first_token_counts_from_when_its_event_says_it_came)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin), 0);
    cr_assert_eq(tbus_inference_record_step(inference, "a", TBUS_STEP_FIRST_TOKEN, 100, 0, begin + 300 * ms), 0);
    cr_assert_eq(tbus_inference_record_end(
                     inference, "a",
                     &(tbus_inference_end_t){
                         .input_tokens = 10, .cached_tokens = 50, .output_tokens = 11, .time_ns = begin + 1100 * ms}),
                 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert_float_eq(s->all.ttft_ms.max, 100, 1e-9);
    cr_assert_float_eq(s->all.tpot_ms.max, (1100 - 100) / 10.0, 1e-9);
    cr_assert(s->all.cached_tokens == 10 && s->all.cached_share == 1, "no more than there were");
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

/* The limit is 640 s, and idle requests are looked for every 10 s of it. */
static tbus_inference_t *open_idle(uint32_t active_max)
{
    tbus_inference_t *inference;
    const tbus_inference_options_t options = {.active_max = active_max, .idle_ns = 640 * second};
    cr_assert_eq(tbus_inference_open(&options, &inference), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin), 0);
    return inference;
}

static int step(tbus_inference_t *inference, const char *id, int64_t time_ns)
{
    return tbus_inference_record_step(inference, id, TBUS_STEP_DECODE_STARTED, NAN, 0, time_ns);
}

/* semantics: inference.ghosts */
Test(inference, a_request_at_its_idle_limit_is_active_and_past_it_is_not)
{
    for (int past = 0; past < 2; past++) {
        tbus_inference_t *inference = open_idle(0);
        cr_assert_eq(step(inference, "a", begin + 640 * second + past), past ? UV_ENOENT : 0);
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        cr_assert(s->abandoned == (uint64_t)past && s->active == (uint64_t)!past);
        tbus_inference_snapshot_free(s);
        tbus_inference_close(inference);
    }
}

Test(inference, each_event_of_a_request_keeps_it_active)
{
    tbus_inference_t *inference = open_idle(0);
    cr_assert_eq(step(inference, "a", begin + 600 * second), 0);
    cr_assert_eq(tbus_inference_record_worker(inference, "a", "w", begin + 1200 * second), 0);
    cr_assert_eq(tbus_inference_record_worker_done(inference, "a", "w", 1, begin + 1800 * second), 0);
    cr_assert_eq(step(inference, "a", begin + 2400 * second), 0);
    cr_assert_eq(step(inference, "a", begin), 0, "a late one takes nothing off");
    cr_assert_eq(step(inference, "a", begin + 3040 * second), 0);
    tbus_inference_close(inference);
}

Test(inference, idle_requests_make_room_when_nobody_has_looked_for_them_yet)
{
    tbus_inference_t *inference = open_idle(1);
    cr_assert_eq(step(inference, "nobody", begin + 635 * second), UV_ENOENT, "looks, and not again before 645 s");
    cr_assert_eq(tbus_inference_record_start(inference, "b", "m", 5, begin + 640 * second), UV_ENOSPC);
    cr_assert_eq(tbus_inference_record_start(inference, "b", "m", 5, begin + 641 * second), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert(s->abandoned == 1 && s->active == 1 && s->refused_starts == 1);
    tbus_inference_snapshot_free(s);
    cr_assert_eq(step(inference, "nobody", begin + 1300 * second), UV_ENOENT);
    s = snapshot_at(inference, 0);
    cr_assert(s->abandoned == 2 && s->active == 0, "looked for by time, too");
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

static void reset_often(void *user)
{
    for (int i = 0; i < 4000; i++) {
        char model[] = {(char)('a' + i % 8), '\0'};
        (void)tbus_inference_record_start(user, model, model, 5, begin + i);
        if (i % 16 == 15)
            tbus_inference_reset(user);
    }
    (void)tbus_inference_record_start(user, "last", "last", 5, begin);
}

Test(inference, snapshots_while_another_thread_resets_are_of_one_moment)
{
    tbus_inference_t *inference;
    uv_thread_t thread;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    cr_assert_eq(uv_thread_create(&thread, reset_often, inference), 0);
    for (bool ended = false; !ended;) {
        uint64_t sum = 0;
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        for (size_t i = 0; i < s->models_count; i++) {
            sum += s->models[i].started;
            ended |= strcmp(s->models[i].model, "last") == 0;
        }
        cr_assert_eq(sum, s->all.started);
        tbus_inference_snapshot_free(s);
    }
    uv_thread_join(&thread);
    tbus_inference_close(inference);
}

/* semantics: inference.levels */
Test(inference, the_depth_is_of_all_queues_and_its_mean_is_weighted_by_time)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, "a", 4, begin), 0);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, "b", 6, begin + second), 0);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, "a", -1, begin + 3 * second), 0);
    cr_assert_eq(tbus_inference_record_batch_size(inference, 8, begin + 3 * second), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, begin + 4 * second);
    cr_assert(s->queue_depth.now == 6 && s->queue_depth.max == 10);
    cr_assert_float_eq(s->queue_depth.mean, (4 + 2 * 10 + 6) / 4.0, 1e-12);
    cr_assert(s->batch_size.now == 8 && s->batch_size.max == 8 && s->batch_size.mean == 8);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

Test(inference, without_memory_nothing_leaks_and_totals_hold)
{
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        tbus_inference_t *inference = NULL;
        tbus_inference_snapshot_t *s = NULL;
        uint64_t started = 0;
        oom_install(&oom);
        int error = tbus_inference_open(NULL, &inference);
        for (int i = 0; i < 20 && inference; i++) {
            char id[8];
            snprintf(id, sizeof id, "%d", i);
            started += tbus_inference_record_start(inference, id, i % 3 ? "a" : "b", 1, begin) == 0;
            (void)tbus_inference_record_worker(inference, id, id, begin);
        }
        if (inference && tbus_inference_snapshot(inference, 0, &s) == 0) {
            cr_assert_eq(s->all.started, started);
            cr_assert_eq(s->all.started + s->refused_starts, 20u);
        }
        tbus_inference_snapshot_free(s);
        tbus_inference_close(inference);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        cr_assert(error == 0 || (error == UV_ENOMEM && oom.failed));
        if (!oom.failed)
            break;
    }
}

static int64_t read_clock(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

Test(inference, after_a_pause_gauges_and_phases_count_at_once)
{
    int64_t now = begin;
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(&(tbus_inference_options_t){.clock = read_clock, .clock_user = &now}, &inference),
                 0);
    for (int i = 1; i <= 20; i++) {
        now += 3600 * second;
        cr_assert_eq(tbus_inference_record_queue_depth(inference, "q", i, now), 0);
        cr_assert_eq(tbus_inference_record_batch_size(inference, 2 * i, now), 0);
        cr_assert_eq(tbus_inference_record_start(inference, "r", "m", 5, now), 0);
        cr_assert_eq(tbus_inference_record_end(inference, "r", &(tbus_inference_end_t){.time_ns = now + i}), 0);
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        cr_assert(s->queue_depth.now == i && s->batch_size.now == 2 * i);
        cr_assert(s->all.total_ms.count == 1 && s->all.requests_per_second > 0);
        cr_assert_eq(s->ahead, 0u);
        tbus_inference_snapshot_free(s);
    }
    cr_assert_eq(tbus_inference_record_start(inference, "stray", "m", 5, INT64_MAX), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert(s->time_ns == now + 20 && s->ahead == 1 && s->active == 1 && s->queue_depth.now == 20);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

/* semantics: times.back. Two wrong times, each believed for its distance to the one before, and two that are late. */
Test(inference, what_the_right_clock_told_stays_though_it_is_later_than_the_two_that_agree_with_it)
{
    int64_t now = begin + 6 * second;
    tbus_inference_t *inference;
    const tbus_inference_options_t options = {.clock = read_clock, .clock_user = &now};
    cr_assert_eq(tbus_inference_open(&options, &inference), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "mine", "m", 1, begin + 5 * second), 0);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, "q", 5, begin + 5 * second), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "wrong", "m", 1, begin + 304 * second), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "wronger", "m", 1, begin + 603 * second), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "late", "m", 1, begin + 3 * second), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "later", "m", 1, begin + 4 * second), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, now);
    cr_assert(s->active == 5 && s->abandoned == 0);
    cr_assert(s->queue_depth.now == 5 && s->queue_depth.mean == 5);
    tbus_inference_snapshot_free(s);
    now = begin + 10 * second;
    cr_assert_eq(step(inference, "mine", now), 0, "it has been idle for 5 s");
    tbus_inference_close(inference);
}

/* semantics: times.back */
Test(inference, when_a_clock_that_was_ahead_is_right_again_requests_and_levels_go_on)
{
    int64_t now = begin + 86400 * second;
    tbus_inference_t *inference;
    const tbus_inference_options_t options = {.clock = read_clock, .clock_user = &now};
    const tbus_inference_end_t end = {.input_tokens = 7, .output_tokens = 5, .time_ns = now + second};
    cr_assert_eq(tbus_inference_open(&options, &inference), 0);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, "q", 4, now), 0);
    cr_assert_eq(tbus_inference_record_batch_size(inference, 8, now), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "ended", "m", 7, now), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "idle", "m", 7, now), 0);
    cr_assert_eq(tbus_inference_record_start(inference, "runs", "m", 7, now + second), 0);
    cr_assert_eq(tbus_inference_record_end(inference, "ended", &end), 0);
    now = begin;
    cr_assert_eq(step(inference, "runs", begin), 0, "late, as far as anybody knows");
    cr_assert_eq(step(inference, "runs", begin), 0);
    tbus_inference_snapshot_t *s = snapshot_at(inference, begin + 3 * second);
    cr_assert_eq(s->active, 2u);
    cr_assert(s->queue_depth.now == 4 && s->queue_depth.max == 4 && s->queue_depth.mean == 4);
    tbus_inference_snapshot_free(s);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, "q", 10, begin + 3 * second), 0);
    cr_assert_eq(tbus_inference_record_batch_size(inference, 2, begin + 3 * second), 0);
    for (int i = 0; i < 3; i++) {
        const int64_t at = begin + (4 + i) * second;
        cr_assert_eq(tbus_inference_record_start(inference, "r", "m", 7, at), 0);
        cr_assert_eq(
            tbus_inference_record_end(
                inference, "r", &(tbus_inference_end_t){.input_tokens = 7, .output_tokens = 5, .time_ns = at + second}),
            0);
    }
    s = snapshot_at(inference, begin + 8 * second); /* four seconds of each, one of these by the other clock */
    cr_assert_float_eq(s->queue_depth.mean, (4 * 4 + 5 * 10) / 9.0, 1e-9);
    cr_assert_float_eq(s->batch_size.mean, (4 * 8 + 5 * 2) / 9.0, 1e-9);
    const double span_s = 300 + (double)(s->time_ns % (10 * second)) / 1e9;
    const tbus_inference_figures_t *const figures[] = {&s->all, &s->models[0]};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(figures[i]->total_ms.count, 4u);
        cr_assert_float_eq(figures[i]->requests_per_second, 4 / span_s, 1e-9);
        cr_assert_float_eq(figures[i]->input_tokens_per_second, 4 * 7 / span_s, 1e-9);
        cr_assert_float_eq(figures[i]->output_tokens_per_second, 4 * 5 / span_s, 1e-9);
    }
    tbus_inference_snapshot_free(s);
    now = begin + 700 * second;
    cr_assert_eq(step(inference, "runs", begin + 599 * second), 0, "the other has had nothing for a second longer");
    s = snapshot_at(inference, 0);
    cr_assert(s->active == 2 && s->abandoned == 0);
    tbus_inference_snapshot_free(s);
    cr_assert_eq(step(inference, "runs", begin + 599 * second + 1), 0);
    cr_assert_eq(step(inference, "idle", begin + 599 * second + 1), UV_ENOENT);
    tbus_inference_close(inference);
}

/* semantics: inference.phases */
Test(inference, one_token_has_no_gaps_and_a_time_of_zero_is_a_time)
{
    tbus_inference_t *inference;
    cr_assert_eq(tbus_inference_open(NULL, &inference), 0);
    for (int64_t tokens = 1; tokens <= 2; tokens++) {
        cr_assert_eq(tbus_inference_record_start(inference, "r", "m", 5, begin), 0);
        cr_assert_eq(tbus_inference_record_step(inference, "r", TBUS_STEP_FIRST_TOKEN, 0, 0, begin + 300 * ms), 0);
        cr_assert_eq(
            tbus_inference_record_step(inference, "r", TBUS_STEP_DECODE_COMPLETED, 0, tokens, begin + 300 * ms), 0);
        cr_assert_eq(tbus_inference_record_end(inference, "r", &(tbus_inference_end_t){.time_ns = begin + 400 * ms}),
                     0);
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        cr_assert(s->all.ttft_ms.max == 0 && s->all.decode_ms.max == 0 && s->all.decode_ms.count == (uint64_t)tokens);
        cr_assert(s->all.itl_ms.count == (uint64_t)tokens - 1 && s->all.tpot_ms.count == (uint64_t)tokens - 1);
        cr_assert(tokens == 1 || (s->all.itl_ms.max == 0 && s->all.tpot_ms.max == 400), "from the start");
        tbus_inference_snapshot_free(s);
    }
    tbus_inference_close(inference);
}

Test(inference, one_that_began_later_hides_none_that_is_idle)
{
    tbus_inference_t *inference = open_idle(0);
    cr_assert_eq(tbus_inference_record_start(inference, "b", "m", 5, begin + 100 * second), 0);
    cr_assert_eq(step(inference, "nobody", begin + 700 * second), UV_ENOENT);
    tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
    cr_assert(s->abandoned == 1 && s->active == 1);
    tbus_inference_snapshot_free(s);
    tbus_inference_close(inference);
}

Test(inference, a_request_is_idle_at_its_limit_whenever_requests_were_looked_through_last)
{
    for (int64_t idle = -1; idle <= 640; idle += 641) {
        tbus_inference_t *inference;
        const tbus_inference_options_t options = {.idle_ns = idle * second};
        cr_assert_eq(tbus_inference_open(&options, &inference), 0);
        cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin), 0);
        cr_assert_eq(step(inference, "nobody", begin + 635 * second), UV_ENOENT, "looks, and not again before 645 s");
        cr_assert_eq(step(inference, "a", begin + 641 * second), idle < 0 ? 0 : UV_ENOENT);
        cr_assert_eq(tbus_inference_record_start(inference, "a", "m", 5, begin + 641 * second),
                     idle < 0 ? UV_EEXIST : 0);
        tbus_inference_snapshot_t *s = snapshot_at(inference, 0);
        cr_assert(s->abandoned == (uint64_t)(idle > 0) && s->active == 1);
        tbus_inference_snapshot_free(s);
        cr_assert_eq(step(inference, "a", begin + 9999 * second), idle < 0 ? 0 : UV_ENOENT);
        tbus_inference_close(inference);
    }
}
