#include "exporters/documents.h"

static const struct json_field cost[] = {
    JSON_FIELD(tbus_cost_snapshot_t, time_ns),
    JSON_FIELD(tbus_cost_snapshot_t, since_ns),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "total_usd", total.usd),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "requests", total.requests),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "prompt_tokens", total.prompt_tokens),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "completion_tokens", total.completion_tokens),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "cached_tokens", total.cached_tokens),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "cache_savings_usd", cache_savings),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "batch_savings_usd", batch_savings),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "projected_monthly_usd", projected_monthly),
    JSON_FIELD(tbus_cost_snapshot_t, observed_ns),
    JSON_FIELD_AS(tbus_cost_snapshot_t, "observed_usd", observed),
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
    JSON_FIELD(tbus_cost_sum_t, cache_write_tokens),
    JSON_FIELD(tbus_cost_sum_t, reasoning_tokens),
    JSON_FIELD(tbus_cost_sum_t, unpriced_requests),
};

/* Of a span: without the name, which is none. */
static const struct json_field span[] = {
    JSON_FIELD(tbus_cost_span_t, from_ns),
    JSON_FIELD_AS(tbus_cost_span_t, "usd", sum.usd),
    JSON_FIELD_AS(tbus_cost_span_t, "requests", sum.requests),
    JSON_FIELD_AS(tbus_cost_span_t, "prompt_tokens", sum.prompt_tokens),
    JSON_FIELD_AS(tbus_cost_span_t, "completion_tokens", sum.completion_tokens),
    JSON_FIELD_AS(tbus_cost_span_t, "cached_tokens", sum.cached_tokens),
    JSON_FIELD_AS(tbus_cost_span_t, "cache_write_tokens", sum.cache_write_tokens),
    JSON_FIELD_AS(tbus_cost_span_t, "reasoning_tokens", sum.reasoning_tokens),
    JSON_FIELD_AS(tbus_cost_span_t, "unpriced_requests", sum.unpriced_requests),
};

static void put_course(struct json *json, const tbus_cost_course_t *course)
{
    json_put_list(json, "hours", &(struct json_list){JSON_ROWS(course->hours, course->hours_count, span)});
    json_put_list(json, "days", &(struct json_list){JSON_ROWS(course->days, course->days_count, span)});
}

int tbus_cost_name_to_json(const tbus_cost_name_t *name, char **ret_text)
{
    struct text text = {0};
    struct json json;
    if (!name || !ret_text)
        return UV_EINVAL;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    JSON_PUT_FIELDS(&json, &name->sum, sum);
    json_put_int(&json, "history_from_ns", name->history_from_ns);
    put_course(&json, &name->course);
    json_close_object(&json);
    return json_take(&json, ret_text);
}

struct lists {
    const tbus_cost_sum_t *rows[5];
    size_t counts[5];
};

/* Of a struct that tells lists of sums by these names. */
#define LISTS_OF(from)                                                                                                 \
    {                                                                                                                  \
        {(from)->by_key, (from)->by_user, (from)->by_project, (from)->by_model, (from)->by_endpoint},                  \
        {                                                                                                              \
            (from)->by_key_count, (from)->by_user_count, (from)->by_project_count, (from)->by_model_count,             \
                (from)->by_endpoint_count                                                                              \
        }                                                                                                              \
    }

static void put_lists(struct json *json, const struct lists *lists, const struct json_filter *filter)
{
    static const char *const keys[] = {"by_key", "by_user", "by_project", "by_model", "by_endpoint"};
    for (int i = 0; i < 5; i++)
        json_put_list(json, keys[i],
                      &(struct json_list){JSON_ROWS(lists->rows[i], lists->counts[i], sum),
                                          .only = i == 3   ? filter->model
                                                  : i == 4 ? filter->endpoint
                                                           : NULL,
                                          .limit = filter->limit});
}

static const struct json_filter everything;

void json_put_cost(struct json *json, const char *key, const tbus_cost_snapshot_t *snapshot,
                   const struct json_filter *filter)
{
    const struct lists lists = LISTS_OF(snapshot);
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, cost);
    put_course(json, &snapshot->course);
    put_lists(json, &lists, filter ? filter : &everything);
    json_close_object(json);
}

static const struct json_field period_fields[] = {
    JSON_FIELD(tbus_cost_period_t, from_ns),
    JSON_FIELD(tbus_cost_period_t, to_ns),
    JSON_FIELD(tbus_cost_period_t, is_whole),
    JSON_FIELD(tbus_cost_period_t, history_from_ns),
};

void json_put_cost_period(struct json *json, const char *key, const tbus_cost_period_t *period,
                          const struct json_filter *filter)
{
    const struct lists lists = LISTS_OF(period);
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, period, period_fields);
    JSON_PUT_OBJECT(json, "total", &period->total, sum);
    put_lists(json, &lists, filter ? filter : &everything);
    json_close_object(json);
}
