#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/distribution.h"
#include "trackers/moment.h"
#include "trackers/snapshot.h"
#include "trackers/streaming_internal.h"

/* What is copied under the lock and worked on outside it. */
struct copied {
    struct finished *finished;
    uint32_t finished_count, finished_room;
    double *samples; /* finished_room of them */
    struct histogram itl, icl;
};

static size_t models_bytes_locked(const struct table *models)
{
    size_t bytes = snapshot_rounded(models->count * sizeof(tbus_streaming_model_t));
    return bytes + models->count * snapshot_rounded(models->key_max + 1);
}

static void copy_models_locked(tbus_streaming_t *streaming, struct snapshot_block *block,
                               tbus_streaming_snapshot_t *snapshot)
{
    const struct table *models = &streaming->models;
    const struct model *other = table_find(models, TABLE_OTHER);
    tbus_streaming_model_t *list = snapshot_take(block, models->count * sizeof *list);
    if (!list)
        return;
    for (uint32_t i = 0; i < models->used; i++) {
        const struct model *model = table_at(models, i);
        uint32_t length;
        if (!model || (model == other && model->streams == 0))
            continue;
        const char *name = table_key(models, model, &length);
        list[snapshot->models_count++] =
            (tbus_streaming_model_t){snapshot_text(block, name, length), model->streams, model->tokens};
    }
    snapshot->models = list;
}

static void copy_counters_locked(const tbus_streaming_t *streaming, tbus_streaming_snapshot_t *snapshot)
{
    const struct streaming_counters *counters = &streaming->counters;
    snapshot->total_streams = counters->total_streams;
    snapshot->completed_streams = counters->completed;
    snapshot->failed_streams = counters->failed;
    snapshot->cancelled_streams = counters->cancelled;
    snapshot->abandoned_streams = counters->abandoned;
    snapshot->total_tokens = counters->total_tokens;
    snapshot->shed_tokens = counters->shed_tokens;
    snapshot->backpressure_events = counters->backpressure;
    snapshot->duplicate_starts = counters->duplicate_starts;
    snapshot->refused_starts = counters->refused_starts;
    snapshot->orphan_events = counters->orphans;
    snapshot->negative_intervals = counters->negative_intervals;
    snapshot->active_streams = streaming->active.count;
    snapshot->success_rate =
        counters->total_streams ? (double)counters->completed / (double)counters->total_streams : (double)NAN;
}

static void copy_finished_locked(const tbus_streaming_t *streaming, int64_t now_ns, struct copied *copied)
{
    int64_t window_ns = streaming->options.window_ns;
    for (uint32_t i = 0; i < streaming->finished_count; i++) {
        const struct finished *finished = &streaming->finished[i];
        bool in_window = window_ns < 0 || (finished->end_ns <= now_ns && now_ns - finished->end_ns < window_ns);
        if (in_window)
            copied->finished[copied->finished_count++] = *finished;
    }
}

/* The figures of one column of the finished streams; NaN = a stream without it. */
static tbus_distribution_t column(const struct copied *copied, size_t offset)
{
    size_t count = 0;
    for (uint32_t i = 0; i < copied->finished_count; i++) {
        double value;
        memcpy(&value, (const char *)&copied->finished[i] + offset, sizeof value);
        if (!isnan(value))
            copied->samples[count++] = value;
    }
    return distribution_of(copied->samples, count);
}

static int by_streams_then_name(const void *a, const void *b)
{
    const tbus_streaming_model_t *left = a, *right = b;
    if (left->streams != right->streams)
        return left->streams < right->streams ? 1 : -1;
    return strcmp(left->model, right->model);
}

static void work_out(struct copied *copied, tbus_streaming_snapshot_t *snapshot)
{
    snapshot->ttft_ms = column(copied, offsetof(struct finished, ttft_ms));
    snapshot->tpot_ms = column(copied, offsetof(struct finished, tpot_ms));
    snapshot->tokens_per_second = column(copied, offsetof(struct finished, tokens_per_second));
    snapshot->duration_ms = column(copied, offsetof(struct finished, duration_ms));
    snapshot->itl_ms = histogram_distribution_ms(&copied->itl);
    snapshot->icl_ms = histogram_distribution_ms(&copied->icl);
    qsort((void *)(uintptr_t)snapshot->models, snapshot->models_count, sizeof *snapshot->models, by_streams_then_name);
}

static void fill_locked(tbus_streaming_t *streaming, int64_t now_ns, struct snapshot_block *block,
                        struct copied *copied)
{
    tbus_streaming_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    if (!snapshot || streaming->finished_count > copied->finished_room) {
        block->overflowed = true;
        return;
    }
    snapshot->time_ns = now_ns;
    copy_models_locked(streaming, block, snapshot);
    copy_counters_locked(streaming, snapshot);
    copy_finished_locked(streaming, now_ns, copied);
    histogram_window_add_to(streaming->gaps, now_ns, &copied->itl);
    histogram_window_add_to(streaming->gaps, now_ns, &copied->icl);
    histogram_window_add_to(streaming->itl, now_ns, &copied->itl);
    histogram_window_add_to(streaming->icl, now_ns, &copied->icl);
}

static void free_copied(struct copied *copied)
{
    if (!copied)
        return;
    tbus_mem_free(copied->finished);
    tbus_mem_free(copied->samples);
    tbus_mem_free(copied);
}

static struct copied *open_copied(uint32_t finished)
{
    struct copied *copied = tbus_mem_alloc(sizeof *copied);
    if (!copied)
        return NULL;
    copied->finished = tbus_mem_alloc(finished * sizeof *copied->finished);
    copied->samples = tbus_mem_alloc(finished * sizeof *copied->samples);
    copied->finished_room = finished;
    if (copied->finished && copied->samples)
        return copied;
    free_copied(copied);
    return NULL;
}

int tbus_streaming_snapshot(tbus_streaming_t *streaming, int64_t now_ns, tbus_streaming_snapshot_t **ret)
{
    struct snapshot_block block;
    if (!streaming || !ret)
        return UV_EINVAL;
    for (;;) { /* until what is there fits into what was measured */
        uv_mutex_lock(&streaming->mu);
        int64_t now = now_ns ? moment_of(now_ns) : streaming->now_ns;
        if (streaming->has_now)
            streaming_sweep_locked(streaming, now);
        size_t bytes = snapshot_rounded(sizeof(tbus_streaming_snapshot_t)) + models_bytes_locked(&streaming->models);
        uint32_t finished = streaming->finished_count + streaming->finished_count / 8 + 64; /* more may end meanwhile */
        uv_mutex_unlock(&streaming->mu);

        struct copied *copied = open_copied(finished);
        if (!copied || snapshot_block_open(&block, bytes) != 0) {
            free_copied(copied);
            return UV_ENOMEM;
        }
        uv_mutex_lock(&streaming->mu);
        fill_locked(streaming, now, &block, copied);
        uv_mutex_unlock(&streaming->mu);
        if (!block.overflowed) {
            *ret = (tbus_streaming_snapshot_t *)(void *)block.memory;
            work_out(copied, *ret);
            free_copied(copied);
            return 0;
        }
        tbus_mem_free(block.memory);
        free_copied(copied);
    }
}

void tbus_streaming_snapshot_free(tbus_streaming_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
