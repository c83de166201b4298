#include "exporters/documents.h"

static const struct json_field figures[] = {
    JSON_FIELD(tbus_kvcache_figures_t, endpoint),
    JSON_FIELD(tbus_kvcache_figures_t, lookups),
    JSON_FIELD(tbus_kvcache_figures_t, hits),
    JSON_FIELD(tbus_kvcache_figures_t, hit_rate),
    JSON_FIELD(tbus_kvcache_figures_t, tokens),
    JSON_FIELD(tbus_kvcache_figures_t, reused),
    JSON_FIELD(tbus_kvcache_figures_t, token_reuse_rate),
    JSON_FIELD(tbus_kvcache_figures_t, speedups),
    JSON_FIELD(tbus_kvcache_figures_t, baseline_ttft_ms),
    JSON_FIELD(tbus_kvcache_figures_t, actual_ttft_ms),
    JSON_FIELD(tbus_kvcache_figures_t, speedup_ratio),
    JSON_FIELD(tbus_kvcache_figures_t, improvement),
};

static const struct json_field kvcache[] = {
    JSON_FIELD(tbus_kvcache_snapshot_t, since_ns),
    JSON_FIELD(tbus_kvcache_snapshot_t, cut_matches),
    JSON_FIELD(tbus_kvcache_snapshot_t, refused_lookups),
    JSON_FIELD(tbus_kvcache_snapshot_t, refused_speedups),
};

void json_put_kvcache(struct json *json, const char *key, const tbus_kvcache_snapshot_t *snapshot,
                      const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, kvcache);
    JSON_PUT_OBJECT(json, "all", &snapshot->all, figures);
    json_put_list(json, "endpoints",
                  &(struct json_list){JSON_ROWS(snapshot->endpoints, snapshot->endpoints_count, figures),
                                      .only = filter->endpoint, .limit = filter->limit});
    json_close_object(json);
}
