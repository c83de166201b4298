#include <math.h>
#include <stdlib.h>

#include <tallybus/base.h>

#include "trackers/inference_internal.h"
#include "trackers/snapshot.h"

static const size_t phase_at[PHASES] = {
    [PHASE_QUEUE] = offsetof(tbus_inference_figures_t, queue_ms),
    [PHASE_PREFILL] = offsetof(tbus_inference_figures_t, prefill_ms),
    [PHASE_DECODE] = offsetof(tbus_inference_figures_t, decode_ms),
    [PHASE_TTFT] = offsetof(tbus_inference_figures_t, ttft_ms),
    [PHASE_ITL] = offsetof(tbus_inference_figures_t, itl_ms),
    [PHASE_TPOT] = offsetof(tbus_inference_figures_t, tpot_ms),
    [PHASE_TOTAL] = offsetof(tbus_inference_figures_t, total_ms),
};

/* What is worked on outside the lock. */
struct work {
    struct snapshot_block block;
    tbus_inference_snapshot_t *snapshot;
    tbus_inference_figures_t *models;
    tbus_inference_worker_t *workers;
    uint32_t *cells; /* of the models */
    int64_t now_ns;
    uint64_t resets;
    struct histogram histogram;
};

static double rate_of(const struct window_sum *sum, int64_t now_ns)
{
    return (double)window_sum_at(sum, now_ns) / ((double)window_span_ns(&sum->window, now_ns) / 1e9);
}

static tbus_inference_figures_t counts_of(const struct inference_row *row, const char *model, int64_t now_ns)
{
    return (tbus_inference_figures_t){
        .model = model,
        .started = row->started,
        .completed = row->completed,
        .failed = row->failed,
        .input_tokens = row->input_tokens,
        .output_tokens = row->output_tokens,
        .cached_tokens = row->cached_tokens,
        .cached_share = row->input_tokens ? (double)row->cached_tokens / (double)row->input_tokens : (double)NAN,
        .requests_per_second = rate_of(&row->recent_completed, now_ns),
        .input_tokens_per_second = rate_of(&row->recent_input, now_ns),
        .output_tokens_per_second = rate_of(&row->recent_output, now_ns),
    };
}

static tbus_inference_level_t level_of(const struct level *level, int64_t now_ns)
{
    const struct level_figures figures = level_at(level, now_ns);
    return (tbus_inference_level_t){figures.now, figures.max, figures.mean};
}

static void copy_counters_locked(const tbus_inference_t *inference, struct work *work)
{
    const struct inference_counters *counters = &inference->counters;
    tbus_inference_snapshot_t *snapshot = work->snapshot;
    snapshot->time_ns = work->now_ns;
    snapshot->all = counts_of(&inference->all, "", work->now_ns);
    snapshot->active = inference->requests.count;
    snapshot->queue_depth = level_of(&inference->depth, work->now_ns);
    snapshot->batch_size = level_of(&inference->batch, work->now_ns);
    snapshot->duplicate_starts = counters->duplicate_starts;
    snapshot->refused_starts = counters->refused_starts;
    snapshot->orphan_events = counters->orphans;
    snapshot->abandoned = counters->abandoned;
    snapshot->negative_intervals = counters->negative_intervals;
    snapshot->ahead = inference->ahead.count;
    snapshot->since_ns = inference->ahead.since_ns;
}

static void copy_models_locked(const tbus_inference_t *inference, struct work *work)
{
    const struct table *table = &inference->models;
    for (uint32_t cell = 0; cell < table->used && !work->block.overflowed; cell++) {
        const struct inference_row *row = table_at(table, cell);
        uint32_t length;
        if (!row || row->started == 0)
            continue;
        const char *key = table_key(table, row, &length);
        work->models[work->snapshot->models_count] =
            counts_of(row, snapshot_text(&work->block, key, length), work->now_ns);
        work->cells[work->snapshot->models_count++] = cell;
    }
}

static void copy_workers_locked(const tbus_inference_t *inference, struct work *work)
{
    const struct table *table = &inference->workers;
    for (uint32_t cell = 0; cell < table->used && !work->block.overflowed; cell++) {
        const struct worker *worker = table_at(table, cell);
        uint32_t length;
        if (!worker || worker->requests + worker->done == 0)
            continue;
        const char *key = table_key(table, worker, &length);
        work->workers[work->snapshot->workers_count++] = (tbus_inference_worker_t){
            .worker = snapshot_text(&work->block, key, length),
            .requests = worker->requests,
            .tokens = worker->tokens,
            .done = worker->done,
            .latency_ms = worker->done ? worker->latency_ns / (double)worker->done / 1e6 : (double)NAN};
    }
}

static size_t bytes_locked(const tbus_inference_t *inference)
{
    enum { NEW_NAMES = 16 /* that may come before the next look */ };
    const size_t name = snapshot_rounded(INFERENCE_NAME_MAX + 1), models = inference->models.count + NEW_NAMES,
                 workers = inference->workers.count + NEW_NAMES;
    return snapshot_rounded(sizeof(tbus_inference_snapshot_t)) +
           models * (sizeof(tbus_inference_figures_t) + sizeof(uint64_t) + name) +
           workers * (sizeof(tbus_inference_worker_t) + name);
}

static void copy_locked(const tbus_inference_t *inference, struct work *work)
{
    struct snapshot_block *block = &work->block;
    work->resets = inference->resets;
    work->snapshot = snapshot_take(block, sizeof *work->snapshot);
    work->models = snapshot_take(block, inference->models.count * sizeof *work->models);
    work->cells = snapshot_take(block, inference->models.count * sizeof *work->cells);
    work->workers = snapshot_take(block, inference->workers.count * sizeof *work->workers);
    if (block->overflowed)
        return;
    work->snapshot->models = work->models;
    work->snapshot->workers = work->workers;
    copy_counters_locked(inference, work);
    copy_models_locked(inference, work);
    copy_workers_locked(inference, work);
}

/* The latencies of a model, or of all requests for `cell` TABLE_NONE. The lock is held for one figure at a time. Returns
 * false when the cells have new names. */
static bool work_out_phases(tbus_inference_t *inference, struct work *work, uint32_t cell,
                            tbus_inference_figures_t *figures)
{
    for (int phase = 0; phase < PHASES; phase++) {
        histogram_clear(&work->histogram);
        uv_mutex_lock(&inference->mu);
        const bool holds = work->resets == inference->resets;
        if (holds) {
            const struct inference_row *row = cell == TABLE_NONE ? &inference->all : table_at(&inference->models, cell);
            histogram_window_add_to(row->phases[phase], work->now_ns, &work->histogram);
        }
        uv_mutex_unlock(&inference->mu);
        if (!holds)
            return false;
        *(tbus_distribution_t *)(void *)((char *)figures + phase_at[phase]) =
            histogram_distribution_ms(&work->histogram);
    }
    return true;
}

static bool work_out_all_phases(tbus_inference_t *inference, struct work *work)
{
    bool holds = work_out_phases(inference, work, TABLE_NONE, &work->snapshot->all);
    for (size_t i = 0; holds && i < work->snapshot->models_count; i++)
        holds = work_out_phases(inference, work, work->cells[i], &work->models[i]);
    return holds;
}

static int by_starts(const void *left, const void *right)
{
    const tbus_inference_figures_t *a = left, *b = right;
    if (a->started != b->started)
        return a->started < b->started ? 1 : -1;
    return strcmp(a->model, b->model);
}

static int by_requests(const void *left, const void *right)
{
    const tbus_inference_worker_t *a = left, *b = right;
    if (a->requests != b->requests)
        return a->requests < b->requests ? 1 : -1;
    return strcmp(a->worker, b->worker);
}

static void finish(struct work *work)
{
    const size_t workers = work->snapshot->workers_count;
    double requests = 0;
    for (size_t i = 0; i < workers; i++)
        requests += (double)work->workers[i].requests;
    for (size_t i = 0; i < workers; i++)
        work->workers[i].share = requests > 0 ? (double)work->workers[i].requests / requests : (double)NAN;
    qsort(work->models, work->snapshot->models_count, sizeof *work->models, by_starts);
    qsort(work->workers, workers, sizeof *work->workers, by_requests);
}

int tbus_inference_snapshot(tbus_inference_t *inference, int64_t now_ns, tbus_inference_snapshot_t **ret)
{
    if (!inference || !ret)
        return UV_EINVAL;
    struct work *work = tbus_mem_alloc(sizeof *work);
    if (!work)
        return UV_ENOMEM;
    for (;;) { /* until what is there fits into what was measured, and nothing was reset meanwhile */
        *work = (struct work){.now_ns = moment_of(now_ns)};
        uv_mutex_lock(&inference->mu);
        if (now_ns == 0)
            work->now_ns = ahead_latest(&inference->ahead);
        const size_t bytes = bytes_locked(inference);
        uv_mutex_unlock(&inference->mu);
        if (snapshot_block_open(&work->block, bytes) != 0) {
            tbus_mem_free(work);
            return UV_ENOMEM;
        }
        uv_mutex_lock(&inference->mu);
        copy_locked(inference, work);
        uv_mutex_unlock(&inference->mu);
        if (!work->block.overflowed && work_out_all_phases(inference, work))
            break;
        tbus_mem_free(work->block.memory);
    }
    finish(work);
    *ret = work->snapshot;
    tbus_mem_free(work);
    return 0;
}

void tbus_inference_snapshot_free(tbus_inference_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
