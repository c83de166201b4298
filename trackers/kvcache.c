#include <tallybus/kvcache.h>

#include <math.h>
#include <stdlib.h>

#include "trackers/ahead.h"
#include "trackers/options.h"
#include "trackers/saturate.h"
#include "trackers/shown.h"
#include "trackers/snapshot.h"
#include "trackers/table.h"

enum { DEFAULT_ENDPOINTS = 500, LIMIT_MAX = 1 << 24, ENDPOINT_MAX = TABLE_SHORT_MAX };

struct row {
    uint64_t lookups, hits, tokens, reused, speedups;
    double baseline_ms, actual_ms, ratios, improvements; /* sums of the speed-ups; an improvement is a share */
};

struct tbus_kvcache {
    uv_mutex_t mu;
    /* [lock: mu] */
    struct row all;
    struct table endpoints; /* struct row; "other" is always there */
    uint64_t cut_matches, refused_lookups, refused_speedups;
    int64_t since_ns; /* [lock: mu] */
};

int tbus_kvcache_open(const tbus_kvcache_options_t *options, tbus_kvcache_t **ret)
{
    uint32_t max = options && options->endpoints_max ? options->endpoints_max : DEFAULT_ENDPOINTS;
    if (!ret || max > LIMIT_MAX || (options && !are_zero(options->reserved, sizeof options->reserved)))
        return UV_EINVAL;
    tbus_kvcache_t *kvcache = tbus_mem_alloc(sizeof *kvcache);
    if (!kvcache)
        return UV_ENOMEM;
    kvcache->since_ns = ahead_system_clock();
    table_init(&kvcache->endpoints, sizeof(struct row), ENDPOINT_MAX, max + 1 /* and "other" */);
    int error = table_open_other(&kvcache->endpoints);
    if (!error)
        error = uv_mutex_init(&kvcache->mu);
    if (error) {
        table_clear(&kvcache->endpoints);
        tbus_mem_free(kvcache);
        return error;
    }
    *ret = kvcache;
    return 0;
}

void tbus_kvcache_close(tbus_kvcache_t *kvcache)
{
    if (!kvcache)
        return;
    uv_mutex_destroy(&kvcache->mu);
    table_clear(&kvcache->endpoints);
    tbus_mem_free(kvcache);
}

void tbus_kvcache_reset(tbus_kvcache_t *kvcache)
{
    if (!kvcache)
        return;
    uv_mutex_lock(&kvcache->mu);
    table_empty_but_other(&kvcache->endpoints);
    kvcache->all = (struct row){0};
    kvcache->cut_matches = kvcache->refused_lookups = kvcache->refused_speedups = 0;
    kvcache->since_ns = ahead_system_clock();
    uv_mutex_unlock(&kvcache->mu);
}

/* --- Recording --- */

static void add_lookup(struct row *row, uint64_t total, uint64_t matched)
{
    row->lookups++;
    row->hits += matched > 0;
    row->tokens = sum_up_to_max(row->tokens, total);
    row->reused = sum_up_to_max(row->reused, matched);
}

int tbus_kvcache_record_lookup(tbus_kvcache_t *kvcache, const char *endpoint, int64_t total_tokens,
                               int64_t matched_tokens)
{
    struct shown_name name;
    int error = UV_EINVAL;
    if (!kvcache)
        return UV_EINVAL;
    shown_fit(&kvcache->endpoints, endpoint, &name);
    uv_mutex_lock(&kvcache->mu);
    if (total_tokens < 0 || matched_tokens < 0) {
        kvcache->refused_lookups++;
    } else {
        const int64_t matched = matched_tokens > total_tokens ? total_tokens : matched_tokens;
        kvcache->cut_matches += matched < matched_tokens;
        add_lookup(&kvcache->all, (uint64_t)total_tokens, (uint64_t)matched);
        add_lookup(table_add_name_or_other(&kvcache->endpoints, &name.fitted, &error), (uint64_t)total_tokens,
                   (uint64_t)matched);
    }
    uv_mutex_unlock(&kvcache->mu);
    return error;
}

static void add_speedup(struct row *row, double baseline_ms, double actual_ms)
{
    row->speedups++;
    row->baseline_ms += baseline_ms;
    row->actual_ms += actual_ms;
    row->ratios += baseline_ms / actual_ms;
    row->improvements += (baseline_ms - actual_ms) / baseline_ms;
}

/* From a nanosecond to 30 years: so that no quotient or sum of them leaves the range of a double. */
static bool is_latency(double ms)
{
    return ms >= 1e-6 && ms <= 1e12;
}

int tbus_kvcache_record_speedup(tbus_kvcache_t *kvcache, const char *endpoint, double baseline_ttft_ms,
                                double actual_ttft_ms)
{
    struct shown_name name;
    int error = UV_EINVAL;
    if (!kvcache)
        return UV_EINVAL;
    shown_fit(&kvcache->endpoints, endpoint, &name);
    uv_mutex_lock(&kvcache->mu);
    if (!is_latency(baseline_ttft_ms) || !is_latency(actual_ttft_ms)) {
        kvcache->refused_speedups++;
    } else {
        add_speedup(&kvcache->all, baseline_ttft_ms, actual_ttft_ms);
        add_speedup(table_add_name_or_other(&kvcache->endpoints, &name.fitted, &error), baseline_ttft_ms,
                    actual_ttft_ms);
    }
    uv_mutex_unlock(&kvcache->mu);
    return error;
}

/* --- Snapshots --- */

static double per_cent(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole * 100 : (double)NAN;
}

static double mean(double sum, uint64_t count)
{
    return count ? sum / (double)count : (double)NAN;
}

static tbus_kvcache_figures_t figures_of(const struct row *row, const char *endpoint)
{
    return (tbus_kvcache_figures_t){.endpoint = endpoint,
                                    .lookups = row->lookups,
                                    .hits = row->hits,
                                    .hit_rate = per_cent(row->hits, row->lookups),
                                    .tokens = row->tokens,
                                    .reused = row->reused,
                                    .token_reuse_rate = per_cent(row->reused, row->tokens),
                                    .speedups = row->speedups,
                                    .baseline_ttft_ms = mean(row->baseline_ms, row->speedups),
                                    .actual_ttft_ms = mean(row->actual_ms, row->speedups),
                                    .speedup_ratio = mean(row->ratios, row->speedups),
                                    .improvement = mean(row->improvements, row->speedups) * 100};
}

static tbus_kvcache_snapshot_t *fill_locked(const tbus_kvcache_t *kvcache, struct snapshot_block *block)
{
    const struct table *table = &kvcache->endpoints;
    tbus_kvcache_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    tbus_kvcache_figures_t *list = snapshot_take(block, table->count * sizeof *list);
    for (uint32_t cell = 0; cell < table->used && !block->overflowed; cell++) {
        const struct row *row = table_at(table, cell);
        uint32_t length;
        if (!row || row->lookups + row->speedups == 0)
            continue;
        const char *key = table_key(table, row, &length);
        list[snapshot->endpoints_count++] = figures_of(row, snapshot_text(block, key, length));
    }
    if (block->overflowed)
        return NULL;
    snapshot->all = figures_of(&kvcache->all, "");
    snapshot->since_ns = kvcache->since_ns;
    snapshot->cut_matches = kvcache->cut_matches;
    snapshot->refused_lookups = kvcache->refused_lookups;
    snapshot->refused_speedups = kvcache->refused_speedups;
    snapshot->endpoints = list;
    return snapshot;
}

static int by_lookups(const void *left, const void *right)
{
    const tbus_kvcache_figures_t *a = left, *b = right;
    if (a->lookups != b->lookups)
        return a->lookups < b->lookups ? 1 : -1;
    if (a->speedups != b->speedups)
        return a->speedups < b->speedups ? 1 : -1;
    return strcmp(a->endpoint, b->endpoint);
}

int tbus_kvcache_snapshot(tbus_kvcache_t *kvcache, tbus_kvcache_snapshot_t **ret)
{
    enum { NEW_NAMES = 64 /* that may come between the two looks, before a third one is needed */ };
    tbus_kvcache_snapshot_t *snapshot;
    if (!kvcache || !ret)
        return UV_EINVAL;
    for (;;) {
        struct snapshot_block block;
        uv_mutex_lock(&kvcache->mu);
        size_t names = (size_t)kvcache->endpoints.count + NEW_NAMES;
        uv_mutex_unlock(&kvcache->mu);
        if (snapshot_block_open(&block,
                                snapshot_rounded(sizeof *snapshot) +
                                    names * (sizeof(tbus_kvcache_figures_t) + snapshot_rounded(ENDPOINT_MAX + 1))))
            return UV_ENOMEM;
        uv_mutex_lock(&kvcache->mu);
        snapshot = fill_locked(kvcache, &block);
        uv_mutex_unlock(&kvcache->mu);
        if (snapshot)
            break;
        tbus_mem_free(block.memory);
    }
    qsort((void *)(uintptr_t)snapshot->endpoints, snapshot->endpoints_count, sizeof *snapshot->endpoints, by_lookups);
    *ret = snapshot;
    return 0;
}

void tbus_kvcache_snapshot_free(tbus_kvcache_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
