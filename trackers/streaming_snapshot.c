#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/distribution.h"
#include "trackers/snapshot.h"
#include "trackers/streaming_window.h"

/* What is copied under the lock and worked on outside it. */
struct copied {
    struct histogram itl, icl;
    bool one_for_both; /* nothing but gaps that one token ended: `itl` is `icl` too */
    uint64_t resets;
    double *samples; /* finished_room of them */
    uint32_t finished_count, finished_room;
    struct finished finished[];
};

/* --- Models --- */

static const int bounds_of[MODEL_HISTOGRAMS] = {BOUNDS_TTFT, BOUNDS_TPOT, BOUNDS_DURATION, BOUNDS_USAGE, BOUNDS_USAGE};

static size_t models_bytes_locked(const tbus_streaming_t *streaming)
{
    const struct table *models = &streaming->models;
    size_t one = snapshot_rounded(models->key_max + 1), bytes = 0;
    for (int i = 0; i < MODEL_HISTOGRAMS; i++)
        one += (streaming->bounds[bounds_of[i]].bounds.count + 1) * sizeof(uint64_t);
    for (int i = 0; i < BOUNDS_LISTS; i++)
        bytes += sizeof(tbus_bounds_t) + streaming->bounds[i].bounds.count * sizeof(double);
    return bytes + snapshot_rounded(models->count * sizeof(tbus_streaming_model_t)) + models->count * one;
}

static const tbus_bounds_t *copy_bounds(const struct buckets_bounds *bounds, struct snapshot_block *block)
{
    tbus_bounds_t *copy = snapshot_take(block, sizeof *copy);
    double *values = snapshot_take(block, bounds->bounds.count * sizeof *values);
    if (!copy || !values)
        return NULL;
    memcpy(values, bounds->values, bounds->bounds.count * sizeof *values);
    *copy = (tbus_bounds_t){bounds->bounds.count, values};
    return copy;
}

static tbus_buckets_t copy_buckets(const struct buckets *buckets, const tbus_bounds_t *bounds,
                                   struct snapshot_block *block)
{
    tbus_buckets_t copy = {.bounds = bounds, .sum = buckets->sum};
    uint64_t *counts = snapshot_take(block, (bounds->count + 1) * sizeof *counts);
    if (!counts)
        return copy;
    for (size_t i = 0; i <= bounds->count; i++) {
        counts[i] = buckets->counts[i];
        copy.count += counts[i];
    }
    copy.counts = counts;
    return copy;
}

static void copy_model_locked(const tbus_streaming_t *streaming, const struct model *model, int64_t now_ns,
                              const tbus_bounds_t *const bounds[BOUNDS_LISTS], struct snapshot_block *block,
                              tbus_streaming_model_t *copy)
{
    uint32_t length;
    const char *name = table_key(&streaming->models, model, &length);
    tbus_buckets_t *const histograms[MODEL_HISTOGRAMS] = {&copy->ttft_s, &copy->tpot_s, &copy->duration_s,
                                                          &copy->input_tokens, &copy->output_tokens};
    copy->model = snapshot_text(block, name, length);
    copy->streams = model->streams;
    copy->tokens = model->tokens;
    copy->recent_streams = window_sum_at(&model->recent_streams, now_ns);
    copy->recent_tokens = window_sum_at(&model->recent_tokens, now_ns);
    for (int i = 0; i < MODEL_HISTOGRAMS; i++)
        *histograms[i] = copy_buckets(histogram_of(streaming, model, i), bounds[bounds_of[i]], block);
}

static void copy_models_locked(const tbus_streaming_t *streaming, struct snapshot_block *block,
                               tbus_streaming_snapshot_t *snapshot)
{
    const struct table *models = &streaming->models;
    const struct model *other = table_find(models, TABLE_OTHER);
    const tbus_bounds_t *bounds[BOUNDS_LISTS];
    for (int i = 0; i < BOUNDS_LISTS; i++)
        bounds[i] = copy_bounds(&streaming->bounds[i], block);
    tbus_streaming_model_t *list = snapshot_take(block, models->count * sizeof *list);
    for (uint32_t i = 0; i < models->used && !block->overflowed; i++) {
        const struct model *model = table_at(models, i);
        if (model && (model != other || model->streams > 0))
            copy_model_locked(streaming, model, snapshot->time_ns, bounds, block, &list[snapshot->models_count++]);
    }
    snapshot->models = list;
}

static int by_streams_then_name(const void *a, const void *b)
{
    const tbus_streaming_model_t *left = a, *right = b;
    if (left->streams != right->streams)
        return left->streams < right->streams ? 1 : -1;
    return strcmp(left->model, right->model);
}

/* --- Counters --- */

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
    snapshot->sequence_jumps = counters->sequence_jumps;
    snapshot->oversized_events = counters->oversized;
    snapshot->ahead = streaming->ahead.count;
    snapshot->since_ns = streaming->ahead.since_ns;
    snapshot->active_streams = streaming->active_count;
    snapshot->success_rate =
        counters->total_streams ? (double)counters->completed / (double)counters->total_streams : (double)NAN;
}

/* --- The aggregate --- */

static bool is_cached_locked(const tbus_streaming_t *streaming, int64_t now_ns)
{
    return streaming->has_cached && now_ns >= streaming->cached.time_ns &&
           now_ns - streaming->cached.time_ns < streaming->options.cache_ns;
}

static void copy_window_locked(const tbus_streaming_t *streaming, int64_t now_ns, struct copied *copied)
{
    const int64_t window_ns = streaming->options.window_ns;
    for (uint32_t i = 0; i < streaming->finished_count; i++) {
        const struct finished *finished = &streaming->finished[i];
        if (window_ns < 0 || (finished->end_ns <= now_ns && now_ns - finished->end_ns < window_ns))
            copied->finished[copied->finished_count++] = *finished;
    }
    histogram_window_add_to(streaming->gaps, now_ns, &copied->itl);
    copied->one_for_both = histogram_window_is_empty(streaming->icl); /* each event in `itl` is in `icl` too */
    if (!copied->one_for_both) {
        histogram_add(&copied->icl, &copied->itl);
        histogram_window_add_to(streaming->itl, now_ns, &copied->itl);
        histogram_window_add_to(streaming->icl, now_ns, &copied->icl);
    }
    copied->resets = streaming->resets;
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

static double goodput_of(const tbus_streaming_options_t *options, const struct copied *copied)
{
    uint32_t good = 0;
    if (options->ttft_max_ms <= 0 && options->tpot_max_ms <= 0 && options->duration_max_ms <= 0)
        return NAN;
    for (uint32_t i = 0; i < copied->finished_count; i++)
        good += copied->finished[i].good;
    return copied->finished_count ? (double)good / (double)copied->finished_count : (double)NAN;
}

static struct aggregate work_out(const tbus_streaming_options_t *options, const struct copied *copied, int64_t now_ns)
{
    struct aggregate aggregate = {.time_ns = now_ns,
                                  .ttft_ms = column(copied, offsetof(struct finished, ttft_ms)),
                                  .tpot_ms = column(copied, offsetof(struct finished, tpot_ms)),
                                  .tokens_per_second = column(copied, offsetof(struct finished, tokens_per_second)),
                                  .duration_ms = column(copied, offsetof(struct finished, duration_ms)),
                                  .itl_ms = histogram_distribution_ms(&copied->itl),
                                  .goodput = goodput_of(options, copied)};
    aggregate.icl_ms = copied->one_for_both ? aggregate.itl_ms : histogram_distribution_ms(&copied->icl);
    return aggregate;
}

static void put_aggregate(tbus_streaming_snapshot_t *snapshot, const struct aggregate *aggregate)
{
    snapshot->aggregate_ns = aggregate->time_ns;
    snapshot->ttft_ms = aggregate->ttft_ms;
    snapshot->tpot_ms = aggregate->tpot_ms;
    snapshot->tokens_per_second = aggregate->tokens_per_second;
    snapshot->duration_ms = aggregate->duration_ms;
    snapshot->goodput = aggregate->goodput;
    snapshot->itl_ms = aggregate->itl_ms;
    snapshot->icl_ms = aggregate->icl_ms;
}

static void cache(tbus_streaming_t *streaming, const struct aggregate *aggregate, uint64_t resets)
{
    if (streaming->options.cache_ns < 0)
        return;
    uv_mutex_lock(&streaming->mu);
    if (streaming->resets == resets && streaming->ahead.latest_ns != AHEAD_NOTHING_YET) {
        streaming->cached = *aggregate;
        streaming->has_cached = true;
    }
    uv_mutex_unlock(&streaming->mu);
}

/* --- The snapshot --- */

/* `copied` NULL: the aggregate is to come from the cache; marks the block as overflowed when it is not there any more,
 * or when what is there has outgrown what was measured. */
static void fill_locked(tbus_streaming_t *streaming, int64_t now_ns, struct snapshot_block *block,
                        struct copied *copied)
{
    tbus_streaming_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    if (!snapshot ||
        (copied ? streaming->finished_count > copied->finished_room : !is_cached_locked(streaming, now_ns))) {
        block->overflowed = true;
        return;
    }
    snapshot->time_ns = now_ns;
    copy_models_locked(streaming, block, snapshot);
    copy_counters_locked(streaming, snapshot);
    snapshot->operation_name = snapshot_text(block, streaming->operation_name, strlen(streaming->operation_name));
    snapshot->provider_name = snapshot_text(block, streaming->provider_name, strlen(streaming->provider_name));
    if (copied)
        copy_window_locked(streaming, now_ns, copied);
    else
        put_aggregate(snapshot, &streaming->cached);
}

static struct copied *open_copied(uint32_t finished)
{
    size_t bytes = sizeof(struct copied) + (size_t)finished * (sizeof(struct finished) + sizeof(double));
    struct copied *copied = tbus_mem_alloc(bytes);
    if (!copied)
        return NULL;
    copied->finished_room = finished;
    copied->samples = (double *)(void *)(copied->finished + finished);
    return copied;
}

struct measured {
    int64_t now_ns;
    size_t bytes;
    uint32_t finished;
    bool cached;
};

static struct measured measure_locked(tbus_streaming_t *streaming, int64_t now_ns)
{
    struct measured measured = {.now_ns = now_ns ? moment_of(now_ns) : ahead_latest(&streaming->ahead)};
    streaming_sweep_locked(streaming, measured.now_ns);
    measured.cached = is_cached_locked(streaming, measured.now_ns);
    measured.bytes = snapshot_rounded(sizeof(tbus_streaming_snapshot_t)) + models_bytes_locked(streaming) +
                     2 * snapshot_rounded(LABEL_BYTES);
    measured.finished = streaming->finished_count + streaming->finished_count / 8 + 64; /* more may end meanwhile */
    return measured;
}

int tbus_streaming_snapshot(tbus_streaming_t *streaming, int64_t now_ns, tbus_streaming_snapshot_t **ret)
{
    struct snapshot_block block;
    if (!streaming || !ret)
        return UV_EINVAL;
    for (;;) { /* until what is there fits into what was measured */
        uv_mutex_lock(&streaming->mu);
        struct measured measured = measure_locked(streaming, now_ns);
        uv_mutex_unlock(&streaming->mu);

        struct copied *copied = measured.cached ? NULL : open_copied(measured.finished);
        if ((!measured.cached && !copied) || snapshot_block_open(&block, measured.bytes) != 0) {
            tbus_mem_free(copied);
            return UV_ENOMEM;
        }
        uv_mutex_lock(&streaming->mu);
        fill_locked(streaming, measured.now_ns, &block, copied);
        uv_mutex_unlock(&streaming->mu);
        tbus_streaming_snapshot_t *snapshot = (tbus_streaming_snapshot_t *)(void *)block.memory;
        if (!block.overflowed && copied) {
            struct aggregate aggregate = work_out(&streaming->options, copied, measured.now_ns);
            put_aggregate(snapshot, &aggregate);
            cache(streaming, &aggregate, copied->resets);
        }
        tbus_mem_free(copied);
        if (!block.overflowed) {
            qsort((void *)(uintptr_t)snapshot->models, snapshot->models_count, sizeof *snapshot->models,
                  by_streams_then_name);
            *ret = snapshot;
            return 0;
        }
        tbus_mem_free(block.memory);
    }
}

void tbus_streaming_snapshot_free(tbus_streaming_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
