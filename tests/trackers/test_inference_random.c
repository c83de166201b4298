/* Random journeys of requests: every figure of the inference tracker beside a plain reckoning with lists. */
#include <tallybus/inference.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"

enum {
    EVENTS = 4000,
    IDS = 12,
    ACTIVE_MAX = 9,
    NAMES = 4,
    TOLD_APART = 2,
    OTHER = NAMES,
    ROWS = NAMES + 1,
    FIGURES = 7
};
enum { QUEUE, PREFILL, DECODE, TTFT, ITL, TPOT, TOTAL };

static const int64_t ms = 1000000, second = 1000000000, begin = 1767258000000000000;

/* Of models, of workers and of queues; the first two that come are told apart. */
static const char *const names[] = {"a", "b", "", "d", "other"};

struct plain_request {
    bool active, has_prefill, has_decode, has_first, worker_told;
    bool known[FIGURES];
    int64_t start, prefill, decode, first, decode_took;
    int64_t input, output;
    int model, worker, worker_name; /* worker -1 = none; its name is one of several that are "other" */
};

struct sums {
    uint64_t count;
    double sum, min, max;
};

struct row {
    uint64_t started, completed, failed, input, output, cached;
    struct sums figures[FIGURES];
};

struct worker {
    uint64_t requests, tokens, done;
    double latency;
};

struct plain {
    uint64_t seed;
    struct plain_request requests[IDS];
    struct row all, models[ROWS];
    struct worker workers[ROWS];
    bool seen[3][ROWS]; /* names of models, workers, queues that are told apart */
    int told_apart[3];
    int64_t depths[ROWS], depth, depth_max, depth_since;
    double depth_area, depth_span;
    uint64_t duplicates, refused, orphans, negatives;
    int64_t latest;
};

static uint64_t below(struct plain *p, uint64_t limit)
{
    return oracle_random(&p->seed) % limit;
}

static int kept_name(struct plain *p, int kind, int name)
{
    if (p->seen[kind][name])
        return name;
    if (p->told_apart[kind] == TOLD_APART)
        return OTHER;
    p->told_apart[kind]++;
    p->seen[kind][name] = true;
    return name;
}

static int64_t interval(struct plain *p, int64_t from, int64_t to)
{
    p->negatives += to < from;
    return to < from ? 0 : to - from;
}

static void add(struct sums *sums, int64_t took)
{
    const double took_ms = (double)took / 1e6;
    sums->min = sums->count == 0 || took_ms < sums->min ? took_ms : sums->min;
    sums->max = sums->count == 0 || took_ms > sums->max ? took_ms : sums->max;
    sums->sum += took_ms;
    sums->count++;
}

static void know(struct plain *p, struct plain_request *r, int figure, int64_t took)
{
    if (figure == DECODE)
        r->decode_took = took;
    r->known[figure] = true;
    add(&p->all.figures[figure], took);
    add(&p->models[r->model].figures[figure], took);
}

/* What the event tells, or the time since it began, where that is known; only the first time. */
static void know_told(struct plain *p, struct plain_request *r, int figure, double told, bool began, int64_t since,
                      int64_t time)
{
    if (r->known[figure] || !(told >= 0 || began))
        return;
    know(p, r, figure, told >= 0 ? llround(told * 1e6) : interval(p, since, time));
}

static void know_itl(struct plain *p, struct plain_request *r)
{
    if (r->known[DECODE] && !r->known[ITL] && r->output > 1)
        know(p, r, ITL, r->decode_took / (r->output - 1));
}

static void plain_step(struct plain *p, struct plain_request *r, tbus_inference_step_t step, double told,
                       int64_t tokens, int64_t time)
{
    switch (step) {
    case TBUS_STEP_DEQUEUED:
        know_told(p, r, QUEUE, told, false, 0, time);
        break;
    case TBUS_STEP_PREFILL_STARTED:
        if (r->input == 0 && tokens > 0)
            r->input = tokens;
        r->prefill = r->has_prefill ? r->prefill : time;
        r->has_prefill = true;
        know_told(p, r, QUEUE, NAN, true, r->start, time);
        break;
    case TBUS_STEP_PREFILL_COMPLETED:
        know_told(p, r, PREFILL, told, r->has_prefill, r->prefill, time);
        break;
    case TBUS_STEP_FIRST_TOKEN:
        if (!r->has_first)
            r->first = told >= 0 ? r->start + llround(told * 1e6) : time;
        know_told(p, r, TTFT, told, true, r->start, time);
        r->has_first = true;
        break;
    case TBUS_STEP_DECODE_STARTED:
        r->decode = r->has_decode ? r->decode : time;
        r->has_decode = true;
        break;
    case TBUS_STEP_DECODE_COMPLETED:
        if (r->output == 0 && tokens > 0)
            r->output = tokens;
        know_told(p, r, DECODE, told, r->has_decode, r->decode, time);
        know_itl(p, r);
        break;
    }
}

static void count_end(struct row *row, const struct plain_request *r, int64_t cached)
{
    row->completed++;
    row->input += (uint64_t)r->input;
    row->output += (uint64_t)r->output;
    row->cached += (uint64_t)cached;
}

static void plain_end(struct plain *p, struct plain_request *r, const tbus_inference_end_t *end)
{
    r->active = false;
    if (end->failed) {
        p->all.failed++;
        p->models[r->model].failed++;
        return;
    }
    r->input = end->input_tokens > 0 ? end->input_tokens : r->input;
    r->output = end->output_tokens > 0 ? end->output_tokens : r->output;
    const int64_t cached = end->cached_tokens < 0 ? 0 : end->cached_tokens;
    const int64_t total = interval(p, r->start, end->time_ns);
    know(p, r, TOTAL, total);
    know_itl(p, r);
    if (r->has_first && r->output > 1)
        know(p, r, TPOT, interval(p, r->first, end->time_ns) / (r->output - 1));
    count_end(&p->all, r, cached < r->input ? cached : r->input);
    count_end(&p->models[r->model], r, cached < r->input ? cached : r->input);
    if (r->worker < 0)
        return;
    p->workers[r->worker].tokens += (uint64_t)r->output;
    if (r->worker_told)
        return;
    p->workers[r->worker].done++;
    p->workers[r->worker].latency += (double)total / 1e6;
}

static void plain_hold(struct plain *p, int64_t until)
{
    if (until <= p->depth_since)
        return;
    p->depth_area += (double)p->depth * (double)(until - p->depth_since);
    p->depth_span += p->depth_since ? (double)(until - p->depth_since) : 0;
    p->depth_since = until;
}

/* --- Living --- */

static double some_duration(struct plain *p)
{
    static const double odd[] = {NAN, -1, 0, NAN};
    return below(p, 3) ? (double)below(p, 5000000) / 1e3 : odd[below(p, 4)];
}

static int64_t some_tokens(struct plain *p)
{
    return below(p, 3) ? (int64_t)below(p, 300) : (int64_t)below(p, 4) - 1;
}

static void record_start(struct plain *p, tbus_inference_t *inference, int id, int64_t time)
{
    struct plain_request *r = &p->requests[id];
    const char text[] = {(char)('A' + id), '\0'};
    const int model = (int)below(p, NAMES);
    const int64_t tokens = some_tokens(p);
    int expected = 0, active = 0;
    for (int i = 0; i < IDS; i++)
        active += p->requests[i].active;
    if (r->active) {
        p->duplicates++;
        expected = UV_EEXIST;
    } else if (active == ACTIVE_MAX) {
        p->refused++;
        expected = UV_ENOSPC;
    } else {
        *r = (struct plain_request){.active = true, .start = time, .worker = -1, .input = tokens > 0 ? tokens : 0};
        r->model = kept_name(p, 0, model);
        p->all.started++;
        p->models[r->model].started++;
    }
    cr_assert_eq(tbus_inference_record_start(inference, text, names[model], tokens, time), expected);
}

static void record_worker(struct plain *p, tbus_inference_t *inference, int id, int64_t time)
{
    struct plain_request *r = &p->requests[id];
    const char text[] = {(char)('A' + id), '\0'};
    const int name = (int)below(p, NAMES);
    const bool done = below(p, 2);
    const double told = some_duration(p);
    if (!done) {
        cr_assert_eq(tbus_inference_record_worker(inference, text, names[name], time), r->active ? 0 : UV_ENOENT);
        p->orphans += !r->active;
        if (!r->active)
            return;
        const int worker = kept_name(p, 1, name);
        if (r->worker < 0 || name != r->worker_name) {
            p->workers[worker].requests++;
            r->worker_told = false;
        }
        r->worker = worker;
        r->worker_name = name;
        return;
    }
    const int worker = kept_name(p, 1, name);
    cr_assert_eq(tbus_inference_record_worker_done(inference, text, names[name], told, time), 0);
    if (!(told >= 0))
        return;
    p->workers[worker].done++;
    p->workers[worker].latency += (double)llround(told * 1e6) / 1e6;
    r->worker_told |= r->active && r->worker >= 0 && r->worker_name == name;
}

static void record_depth(struct plain *p, tbus_inference_t *inference, int64_t time)
{
    const int name = (int)below(p, NAMES);
    const int64_t depth = (int64_t)below(p, 30) - 3;
    const int queue = kept_name(p, 2, name);
    cr_assert_eq(tbus_inference_record_queue_depth(inference, names[name], depth, time), 0);
    plain_hold(p, time);
    p->depth += (depth > 0 ? depth : 0) - p->depths[queue];
    p->depths[queue] = depth > 0 ? depth : 0;
    p->depth_max = p->depth > p->depth_max ? p->depth : p->depth_max;
    p->depth_since = p->depth_since ? p->depth_since : time;
}

static void record_something(struct plain *p, tbus_inference_t *inference, int64_t time)
{
    const int id = (int)below(p, IDS);
    const char text[] = {(char)('A' + id), '\0'};
    struct plain_request *r = &p->requests[id];
    const uint64_t what = below(p, 12);
    p->latest = time > p->latest ? time : p->latest;
    if (what < 2) {
        record_start(p, inference, id, time);
    } else if (what < 4) {
        record_worker(p, inference, id, time);
    } else if (what == 4) {
        record_depth(p, inference, time);
    } else if (what == 5) {
        const tbus_inference_end_t end = {.failed = below(p, 4) == 0,
                                          .input_tokens = some_tokens(p),
                                          .output_tokens = some_tokens(p),
                                          .cached_tokens = some_tokens(p),
                                          .time_ns = time};
        cr_assert_eq(tbus_inference_record_end(inference, text, &end), r->active ? 0 : UV_ENOENT);
        p->orphans += !r->active;
        if (r->active)
            plain_end(p, r, &end);
    } else {
        const tbus_inference_step_t step = (tbus_inference_step_t)below(p, 6);
        const double told = some_duration(p);
        const int64_t tokens = some_tokens(p);
        cr_assert_eq(tbus_inference_record_step(inference, text, step, told, tokens, time), r->active ? 0 : UV_ENOENT);
        p->orphans += !r->active;
        if (r->active)
            plain_step(p, r, step, told, tokens, time);
    }
}

/* --- Comparing --- */

static bool is_near(double own, double expected)
{
    return (isnan(own) && isnan(expected)) || fabs(own - expected) <= 1e-9 * fmax(1, fabs(expected));
}

static void compare_row(const struct row *row, const tbus_inference_figures_t *own, double span_s)
{
    const tbus_distribution_t *const figures[FIGURES] = {
        &own->queue_ms, &own->prefill_ms, &own->decode_ms, &own->ttft_ms, &own->itl_ms, &own->tpot_ms, &own->total_ms};
    cr_assert(own->started == row->started && own->completed == row->completed && own->failed == row->failed);
    cr_assert(own->input_tokens == row->input && own->output_tokens == row->output &&
              own->cached_tokens == row->cached);
    cr_assert(is_near(own->cached_share, row->input ? (double)row->cached / (double)row->input : (double)NAN));
    cr_assert(is_near(own->requests_per_second, (double)row->completed / span_s));
    cr_assert(is_near(own->input_tokens_per_second, (double)row->input / span_s));
    cr_assert(is_near(own->output_tokens_per_second, (double)row->output / span_s));
    for (int i = 0; i < FIGURES; i++) {
        const struct sums *sums = &row->figures[i];
        cr_assert_eq(figures[i]->count, sums->count, "figure %d of %s: %d, not %d", i, own->model,
                     (int)figures[i]->count, (int)sums->count);
        cr_assert(is_near(figures[i]->avg, sums->count ? sums->sum / (double)sums->count : (double)NAN), "figure %d",
                  i);
        cr_assert(is_near(figures[i]->min, sums->count ? sums->min : (double)NAN), "figure %d", i);
        cr_assert(is_near(figures[i]->max, sums->count ? sums->max : (double)NAN), "figure %d", i);
    }
}

static void compare_models(const struct plain *p, const tbus_inference_snapshot_t *s, double span_s)
{
    size_t expected = 0;
    for (int i = 0; i < ROWS; i++)
        expected += p->models[i].started > 0;
    cr_assert_eq(s->models_count, expected);
    for (size_t i = 0; i < s->models_count; i++) {
        int row = 0;
        while (strcmp(names[row], s->models[i].model) != 0)
            row++;
        compare_row(&p->models[row], &s->models[i], span_s);
        cr_assert(i == 0 || s->models[i - 1].started > s->models[i].started ||
                  (s->models[i - 1].started == s->models[i].started &&
                   strcmp(s->models[i - 1].model, s->models[i].model) < 0));
    }
}

static void compare_workers(const struct plain *p, const tbus_inference_snapshot_t *s)
{
    uint64_t requests = 0;
    size_t expected = 0;
    for (int i = 0; i < ROWS; i++) {
        requests += p->workers[i].requests;
        expected += p->workers[i].requests + p->workers[i].done > 0;
    }
    cr_assert_eq(s->workers_count, expected);
    for (size_t i = 0; i < s->workers_count; i++) {
        const tbus_inference_worker_t *own = &s->workers[i];
        int row = 0;
        while (strcmp(names[row], own->worker) != 0)
            row++;
        const struct worker *worker = &p->workers[row];
        cr_assert(own->requests == worker->requests && own->tokens == worker->tokens && own->done == worker->done,
                  "worker %s", own->worker);
        cr_assert(is_near(own->latency_ms, worker->done ? worker->latency / (double)worker->done : (double)NAN));
        cr_assert(is_near(own->share, requests ? (double)own->requests / (double)requests : (double)NAN));
        cr_assert(i == 0 || own[-1].requests > own->requests ||
                  (own[-1].requests == own->requests && strcmp(own[-1].worker, own->worker) < 0));
    }
}

static void compare(const struct plain *p, tbus_inference_t *inference)
{
    struct plain held = *p;
    tbus_inference_snapshot_t *s;
    uint64_t active = 0;
    cr_assert_eq(tbus_inference_snapshot(inference, 0, &s), 0);
    cr_assert_eq(s->time_ns, p->latest);
    for (int i = 0; i < IDS; i++)
        active += p->requests[i].active;
    cr_assert(s->active == active && s->duplicate_starts == p->duplicates && s->refused_starts == p->refused);
    cr_assert(s->orphan_events == p->orphans && s->negative_intervals == p->negatives && s->abandoned == 0);
    plain_hold(&held, p->latest);
    cr_assert(s->queue_depth.now == p->depth && s->queue_depth.max == p->depth_max);
    cr_assert(is_near(s->queue_depth.mean, held.depth_span > 0 ? held.depth_area / held.depth_span : (double)NAN));
    /* the window is 3000 s long: in slices of 100 s, or of 750 s for a model; nothing has left it */
    compare_row(&p->all, &s->all, 3000 + (double)(p->latest % (100 * second)) / 1e9);
    compare_models(p, s, 3000 + (double)(p->latest % (100 * second)) / 1e9);
    compare_workers(p, s);
    tbus_inference_snapshot_free(s);
}

/* semantics: inference.phases inference.workers inference.levels */
Test(inference_random, journeys_agree_with_a_plain_reckoning)
{
    enum { ROUNDS = 60 };
    uint64_t seed = oracle_seed("inference_random");
    for (int round = 0; round < ROUNDS; round++) {
        struct plain plain = {.seed = oracle_random(&seed)};
        const tbus_inference_options_t options = {.active_max = ACTIVE_MAX,
                                                  .models_max = TOLD_APART,
                                                  .workers_max = TOLD_APART,
                                                  .queues_max = TOLD_APART,
                                                  .window_ns = 3000 * second,
                                                  .idle_ns = -1};
        tbus_inference_t *inference;
        int64_t time = begin + round;
        cr_assert_eq(tbus_inference_open(&options, &inference), 0);
        for (int i = 0; i < EVENTS; i++) {
            time += (int64_t)below(&plain, 600) * ms;
            record_something(&plain, inference, below(&plain, 10) ? time : time - (int64_t)below(&plain, 4000) * ms);
            if (i % 500 == 499)
                compare(&plain, inference);
        }
        tbus_inference_close(inference);
    }
}
