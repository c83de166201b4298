#include "exporters/prometheus_columns.h"

static const struct column all[] = {
    {"kvcache_lookups_total", "Look-ups in the KV cache.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, all.lookups)},
    {"kvcache_hits_total", "Look-ups that found something.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, all.hits)},
    {"kvcache_hit_ratio", "Hits / look-ups.", METRIC_GAUGE, COLUMN_PERCENT,
     offsetof(tbus_kvcache_snapshot_t, all.hit_rate)},
    {"kvcache_tokens_total", "Tokens looked up.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, all.tokens)},
    {"kvcache_reused_tokens_total", "Tokens found.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, all.reused)},
    {"kvcache_token_reuse_ratio", "Tokens found / looked up.", METRIC_GAUGE, COLUMN_PERCENT,
     offsetof(tbus_kvcache_snapshot_t, all.token_reuse_rate)},
    {"kvcache_speedups_total", "Speed-ups measured.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, all.speedups)},
    {"kvcache_baseline_ttft_seconds", "Mean time to first token without the cache.", METRIC_GAUGE, COLUMN_MS,
     offsetof(tbus_kvcache_snapshot_t, all.baseline_ttft_ms)},
    {"kvcache_actual_ttft_seconds", "Mean time to first token with the cache.", METRIC_GAUGE, COLUMN_MS,
     offsetof(tbus_kvcache_snapshot_t, all.actual_ttft_ms)},
    {"kvcache_speedup_ratio", "Mean of baseline / actual.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_kvcache_snapshot_t, all.speedup_ratio)},
    {"kvcache_improvement_ratio", "Mean improvement / baseline.", METRIC_GAUGE, COLUMN_PERCENT,
     offsetof(tbus_kvcache_snapshot_t, all.improvement)},
    {"kvcache_cut_matches_total", "Look-ups with more tokens found than looked up.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, cut_matches)},
    {"kvcache_refused_lookups_total", "Look-ups with counts below 0.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, refused_lookups)},
    {"kvcache_refused_speedups_total", "Speed-ups that were no latencies.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_snapshot_t, refused_speedups)},
};

static const struct column by_endpoint[] = {
    {"kvcache_lookups_by_endpoint_total", "Look-ups in the KV cache, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_figures_t, lookups)},
    {"kvcache_hits_by_endpoint_total", "Look-ups that found something, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_figures_t, hits)},
    {"kvcache_hit_by_endpoint_ratio", "Hits / look-ups, by endpoint.", METRIC_GAUGE, COLUMN_PERCENT,
     offsetof(tbus_kvcache_figures_t, hit_rate)},
    {"kvcache_tokens_by_endpoint_total", "Tokens looked up, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_figures_t, tokens)},
    {"kvcache_reused_tokens_by_endpoint_total", "Tokens found, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_figures_t, reused)},
    {"kvcache_token_reuse_by_endpoint_ratio", "Tokens found / looked up, by endpoint.", METRIC_GAUGE, COLUMN_PERCENT,
     offsetof(tbus_kvcache_figures_t, token_reuse_rate)},
    {"kvcache_speedups_by_endpoint_total", "Speed-ups measured, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_kvcache_figures_t, speedups)},
    {"kvcache_baseline_ttft_by_endpoint_seconds", "Mean time to first token without the cache, by endpoint.",
     METRIC_GAUGE, COLUMN_MS, offsetof(tbus_kvcache_figures_t, baseline_ttft_ms)},
    {"kvcache_actual_ttft_by_endpoint_seconds", "Mean time to first token with the cache, by endpoint.", METRIC_GAUGE,
     COLUMN_MS, offsetof(tbus_kvcache_figures_t, actual_ttft_ms)},
    {"kvcache_speedup_by_endpoint_ratio", "Mean of baseline / actual, by endpoint.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_kvcache_figures_t, speedup_ratio)},
    {"kvcache_improvement_by_endpoint_ratio", "Mean improvement / baseline, by endpoint.", METRIC_GAUGE, COLUMN_PERCENT,
     offsetof(tbus_kvcache_figures_t, improvement)},
};

void prometheus_add_kvcache(struct page *page, const tbus_kvcache_snapshot_t *snapshot)
{
    prometheus_columns(page, all, sizeof all / sizeof *all, &(struct column_rows){.rows = snapshot, .count = 1});
    prometheus_columns(page, by_endpoint, sizeof by_endpoint / sizeof *by_endpoint,
                       &(struct column_rows){snapshot->endpoints, snapshot->endpoints_count,
                                             sizeof(tbus_kvcache_figures_t), "endpoint",
                                             offsetof(tbus_kvcache_figures_t, endpoint)});
}
