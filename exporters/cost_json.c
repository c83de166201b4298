#include "exporters/documents.h"

static const struct json_field cost[] = {
    JSON_FIELD(tbus_cost_snapshot_t, time_ns),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "total_usd", total.usd),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "requests", total.requests),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "prompt_tokens", total.prompt_tokens),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "completion_tokens", total.completion_tokens),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "cached_tokens", total.cached_tokens),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "cache_savings_usd", cache_savings),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "batch_savings_usd", batch_savings),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "projected_monthly_usd", projected_monthly),
    JSON_FIELD(tbus_cost_snapshot_t, estimated_requests),
    JSON_FIELD(tbus_cost_snapshot_t, retracted_estimates),
    JSON_FIELD(tbus_cost_snapshot_t, forgotten_estimates),
    JSON_FIELD(tbus_cost_snapshot_t, untracked_streams),
    JSON_FIELD(tbus_cost_snapshot_t, ahead_usages),
    JSON_FIELD(tbus_cost_snapshot_t, refused_usages),
    JSON_FIELD(tbus_cost_snapshot_t, absurd_usages),
    JSON_FIELD(tbus_cost_snapshot_t, cut_cached_tokens),
    JSON_FIELD(tbus_cost_snapshot_t, dropped_sums),
    JSON_FIELD(tbus_cost_snapshot_t, history_from_ns),
};

static const struct json_field sum[] = {
    JSON_FIELD(tbus_cost_sum_t, name),
    JSON_FIELD(tbus_cost_sum_t, usd),
    JSON_FIELD(tbus_cost_sum_t, requests),
    JSON_FIELD(tbus_cost_sum_t, prompt_tokens),
    JSON_FIELD(tbus_cost_sum_t, completion_tokens),
    JSON_FIELD(tbus_cost_sum_t, cached_tokens),
    JSON_FIELD(tbus_cost_sum_t, unpriced_requests),
};

void json_put_cost_sum(struct json *json, const char *key, const tbus_cost_sum_t *figures)
{
    JSON_PUT_OBJECT(json, key, figures, sum);
}

void json_put_cost(struct json *json, const char *key, const tbus_cost_snapshot_t *snapshot,
                   const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    const struct {
        const char *key;
        const tbus_cost_sum_t *rows;
        size_t count;
        const char *only;
    } lists[] = {{"by_key", snapshot->by_key, snapshot->by_key_count, NULL},
                 {"by_user", snapshot->by_user, snapshot->by_user_count, NULL},
                 {"by_project", snapshot->by_project, snapshot->by_project_count, NULL},
                 {"by_model", snapshot->by_model, snapshot->by_model_count, filter->model},
                 {"by_endpoint", snapshot->by_endpoint, snapshot->by_endpoint_count, filter->endpoint}};
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, cost);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        json_put_list(json, lists[i].key,
                      &(struct json_list){JSON_ROWS(lists[i].rows, lists[i].count, sum), .only = lists[i].only,
                                          .limit = filter->limit});
    json_close_object(json);
}
