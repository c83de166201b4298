/* Models: all of them, two beside each other, and in the order of a figure. */
#include <assert.h>

#include "exporters/documents.h"
#include "exporters/traffic_json.h"

/* --- All of them --- */

static const struct json_field model[] = {
    JSON_FIELD(tbus_model_t, error_rate),
    JSON_FIELD(tbus_model_t, total_tokens),
    JSON_FIELD_AS(tbus_model_t, "cost_usd", cost),
    JSON_FIELD(tbus_model_t, first_ns),
    JSON_FIELD(tbus_model_t, last_ns),
    JSON_FIELD(tbus_model_t, endpoints),
    JSON_FIELD(tbus_model_t, users),
};

static const struct json_field models[] = {
    JSON_FIELD(tbus_models_snapshot_t, time_ns),
    JSON_FIELD(tbus_models_snapshot_t, since_ns),
    JSON_FIELD(tbus_models_snapshot_t, negative_durations),
    JSON_FIELD(tbus_models_snapshot_t, refused_costs),
    JSON_FIELD(tbus_models_snapshot_t, ahead),
    JSON_FIELD(tbus_models_snapshot_t, endpoints_full),
    JSON_FIELD(tbus_models_snapshot_t, users_full),
};

static_assert(offsetof(tbus_model_t, traffic) == 0, "a model is its traffic, and more");

static void put_model(struct json *json, const void *row, const struct json_filter *filter)
{
    (void)filter;
    JSON_PUT_FIELDS(json, row, model);
}

void json_put_models(struct json *json, const char *key, const tbus_models_snapshot_t *snapshot,
                     const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, models);
    json_put_list(json, "models",
                  &(struct json_list){.rows = snapshot->models,
                                      .count = snapshot->models_count,
                                      .bytes = sizeof *snapshot->models,
                                      .fields = json_traffic,
                                      .fields_count = JSON_TRAFFIC_FIELDS,
                                      .put_more = put_model,
                                      .only = filter->model,
                                      .limit = filter->limit});
    json_close_object(json);
}

/* --- Two --- */

static const struct json_field difference[] = {
    JSON_FIELD(tbus_model_difference_t, a),
    JSON_FIELD(tbus_model_difference_t, b),
    JSON_FIELD(tbus_model_difference_t, delta),
    JSON_FIELD(tbus_model_difference_t, per_cent),
};

int tbus_models_comparison_to_json(const tbus_model_t *a, const tbus_model_t *b, char **ret_text)
{
    struct text text = {0};
    struct json json;
    tbus_models_comparison_t comparison;
    int error = ret_text ? tbus_models_compare(a, b, &comparison) : UV_EINVAL;
    if (error)
        return error;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    json_put_text(&json, "a", a->traffic.name);
    json_put_text(&json, "b", b->traffic.name);
    json_put_money(&json, "cost_delta_usd", comparison.cost_delta);
    json_open_object(&json, "figures");
    for (int i = 0; i < TBUS_MODEL_FIGURES; i++)
        JSON_PUT_OBJECT(&json, tbus_model_figure_name((tbus_model_figure_t)i), &comparison.figures[i], difference);
    json_close_object(&json);
    json_close_object(&json);
    return json_take(&json, ret_text);
}

/* --- In order --- */

int tbus_models_ranking_to_json(const tbus_models_snapshot_t *snapshot, tbus_model_figure_t by, size_t limit,
                                char **ret_text)
{
    struct text text = {0};
    struct json json;
    if (!snapshot || !ret_text || (unsigned)by >= TBUS_MODEL_FIGURES)
        return UV_EINVAL;
    const tbus_model_t **list = tbus_mem_alloc((snapshot->models_count + 1) * sizeof *list);
    int error = list ? tbus_models_rank(snapshot, by, list) : UV_ENOMEM;
    if (error)
        return error;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    json_put_text(&json, "by", tbus_model_figure_name(by));
    json_open_array(&json, "models");
    for (size_t i = 0; i < snapshot->models_count && (limit == 0 || i < limit); i++) {
        json_open_object(&json, NULL);
        json_put_uint(&json, "rank", i + 1);
        json_put_text(&json, "name", list[i]->traffic.name);
        json_put_double(&json, "value", tbus_model_figure(list[i], by));
        json_close_object(&json);
    }
    json_close_array(&json);
    json_close_object(&json);
    tbus_mem_free(list);
    return json_take(&json, ret_text);
}
