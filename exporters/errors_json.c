/* What the error tracker knows: the figures, the SLOs, the patterns, the recent errors. */
#include "exporters/documents.h"

static const struct json_filter everything;

/* --- SLOs --- */

static const struct json_field slo_fields[] = {
    JSON_FIELD(tbus_slo_t, endpoint),
    JSON_FIELD_AS(tbus_slo_t, "target_ppm", status.target_ppm),
    JSON_FIELD_AS(tbus_slo_t, "requests", status.total_requests),
    JSON_FIELD_AS(tbus_slo_t, "errors", status.errors),
    JSON_FIELD_AS(tbus_slo_t, "budget_total", status.budget_total),
    JSON_FIELD_AS(tbus_slo_t, "budget_consumed", status.budget_consumed),
    JSON_FIELD_AS(tbus_slo_t, "budget_remaining", status.budget_remaining),
    JSON_FIELD_AS(tbus_slo_t, "budget_percentage", status.budget_percentage),
    JSON_FIELD_AS(tbus_slo_t, "violated", status.violated),
    JSON_FIELD_AS(tbus_slo_t, "error_rate", status.error_rate),
    JSON_FIELD_AS(tbus_slo_t, "success_rate", status.success_rate),
    JSON_FIELD_AS(tbus_slo_t, "burn_rate", status.burn_rate),
};

static const struct json_field burn[] = {
    JSON_FIELD(tbus_burn_t, requests),
    JSON_FIELD(tbus_burn_t, errors),
    JSON_FIELD(tbus_burn_t, burn_rate),
};

static const struct json_field alert[] = {
    JSON_FIELD(tbus_alert_status_t, factor),      JSON_FIELD(tbus_alert_status_t, active),
    JSON_FIELD(tbus_alert_status_t, unreachable), JSON_FIELD(tbus_alert_status_t, since_ns),
    JSON_FIELD(tbus_alert_status_t, entered),
};

static bool is_wanted(tbus_burn_window_t window, const struct json_filter *filter)
{
    return filter->window == 0 || (int)window + 1 == filter->window;
}

static void put_alert(struct json *json, tbus_alert_t number, const tbus_alert_status_t *status,
                      const struct json_filter *filter)
{
    /* its factor is that of 30 days; the status has the tracker's */
    const tbus_alert_rule_t rule = tbus_alert_rule(number, 0);
    if (!is_wanted(rule.long_window, filter) && !is_wanted(rule.short_window, filter))
        return;
    json_open_object(json, NULL);
    json_put_text(json, "severity", rule.severity);
    json_put_text(json, "long_window", tbus_burn_window_name(rule.long_window));
    json_put_text(json, "short_window", tbus_burn_window_name(rule.short_window));
    JSON_PUT_FIELDS(json, status, alert);
    json_close_object(json);
}

static void put_burns(struct json *json, const void *element, const struct json_filter *filter)
{
    const tbus_slo_t *slo = element;
    json_open_object(json, "burn");
    for (unsigned i = 0; i < TBUS_BURN_WINDOWS; i++)
        if (is_wanted(i, filter))
            JSON_PUT_OBJECT(json, tbus_burn_window_name(i), &slo->burn[i], burn);
    json_close_object(json);
    json_open_array(json, "alerts");
    for (unsigned i = 0; i < TBUS_ALERTS; i++)
        put_alert(json, i, &slo->alerts[i], filter);
    json_close_array(json);
}

/* What stands in a document of SLOs, behind its time. */
static void put_slos(struct json *json, const tbus_errors_snapshot_t *snapshot, const struct json_filter *filter)
{
    json_open_object(json, "all");
    JSON_PUT_FIELDS(json, &snapshot->slo_of_all, slo_fields);
    put_burns(json, &snapshot->slo_of_all, filter);
    json_close_object(json);
    json_put_list(json, "endpoints",
                  &(struct json_list){JSON_ROWS(snapshot->slos, snapshot->slos_count, slo_fields),
                                      .put_more = put_burns, .filter = filter, .only = filter->endpoint,
                                      .limit = filter->limit});
}

void json_put_slo(struct json *json, const char *key, const tbus_errors_snapshot_t *snapshot,
                  const struct json_filter *filter)
{
    json_open_object(json, key);
    json_put_int(json, "time_ns", snapshot->time_ns);
    json_put_int(json, "since_ns", snapshot->since_ns);
    put_slos(json, snapshot, filter ? filter : &everything);
    json_close_object(json);
}

/* --- Patterns --- */

static const struct json_field pattern_fields[] = {
    JSON_FIELD(tbus_error_pattern_t, endpoint),       JSON_FIELD(tbus_error_pattern_t, fingerprint),
    JSON_FIELD(tbus_error_pattern_t, type),           JSON_FIELD_AS(tbus_error_pattern_t, "message", normalized),
    JSON_FIELD(tbus_error_pattern_t, count),          JSON_FIELD(tbus_error_pattern_t, first_seen_ns),
    JSON_FIELD(tbus_error_pattern_t, last_seen_ns),   JSON_FIELD(tbus_error_pattern_t, users),
    JSON_FIELD(tbus_error_pattern_t, has_more_users), JSON_FIELD(tbus_error_pattern_t, has_more_models),
};

static void put_texts(struct json *json, const char *key, const char *const *list, size_t count)
{
    json_open_array(json, key);
    for (size_t i = 0; i < count; i++)
        json_put_text(json, NULL, list[i]);
    json_close_array(json);
}

static void put_names(struct json *json, const void *element, const struct json_filter *filter)
{
    const tbus_error_pattern_t *pattern = element;
    (void)filter;
    put_texts(json, "models", pattern->models, pattern->models_count);
    put_texts(json, "request_ids", pattern->request_ids, pattern->request_ids_count);
}

static void put_patterns(struct json *json, const tbus_error_pattern_t *patterns, size_t count,
                         const struct json_filter *filter)
{
    json_put_list(json, "patterns",
                  &(struct json_list){JSON_ROWS(patterns, count, pattern_fields), .put_more = put_names,
                                      .only = filter->endpoint, .limit = filter->limit});
}

int tbus_error_patterns_to_json(const tbus_error_patterns_t *patterns, char **ret_text)
{
    struct text text = {0};
    struct json json;
    if (!patterns || !ret_text)
        return UV_EINVAL;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    put_patterns(&json, patterns->patterns, patterns->count, &everything);
    json_close_object(&json);
    return json_take(&json, ret_text);
}

/* --- Recent errors --- */

static const struct json_field recent_fields[] = {
    JSON_FIELD(tbus_recent_error_t, type),        JSON_FIELD(tbus_recent_error_t, message),
    JSON_FIELD(tbus_recent_error_t, endpoint),    JSON_FIELD(tbus_recent_error_t, model),
    JSON_FIELD(tbus_recent_error_t, request_id),  JSON_FIELD(tbus_recent_error_t, user_id),
    JSON_FIELD(tbus_recent_error_t, fingerprint), JSON_FIELD(tbus_recent_error_t, status_code),
    JSON_FIELD(tbus_recent_error_t, time_ns),
};

int tbus_recent_errors_to_json(const tbus_recent_errors_t *recent, char **ret_text)
{
    struct text text = {0};
    struct json json;
    if (!recent || !ret_text)
        return UV_EINVAL;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    json_put_list(&json, "errors", &(struct json_list){JSON_ROWS(recent->errors, recent->count, recent_fields)});
    json_close_object(&json);
    return json_take(&json, ret_text);
}

/* --- All of it --- */

static const struct json_field errors_fields[] = {
    JSON_FIELD(tbus_errors_snapshot_t, time_ns),
    JSON_FIELD(tbus_errors_snapshot_t, since_ns),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "total_requests", slo.total_requests),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "errors", slo.errors),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "error_rate", slo.error_rate),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "success_rate", slo.success_rate),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "violated", slo.violated),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "budget_remaining", slo.budget_remaining),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "budget_percentage", slo.budget_percentage),
    JSON_FIELD_AS(tbus_errors_snapshot_t, "burn_rate", slo.burn_rate),
    JSON_FIELD(tbus_errors_snapshot_t, requests),
    JSON_FIELD(tbus_errors_snapshot_t, failed),
    JSON_FIELD(tbus_errors_snapshot_t, excluded),
    JSON_FIELD(tbus_errors_snapshot_t, ahead),
    JSON_FIELD(tbus_errors_snapshot_t, requests_in_window),
    JSON_FIELD(tbus_errors_snapshot_t, failed_in_window),
    JSON_FIELD(tbus_errors_snapshot_t, error_rate_in_window),
    JSON_FIELD(tbus_errors_snapshot_t, patterns_dropped),
    JSON_FIELD(tbus_errors_snapshot_t, findings_waiting),
    JSON_FIELD(tbus_errors_snapshot_t, findings_delayed),
};

static const struct json_field count_fields[] = {
    JSON_FIELD(tbus_error_count_t, name),
    JSON_FIELD(tbus_error_count_t, errors),
    JSON_FIELD(tbus_error_count_t, errors_in_window),
};

static const struct json_field status_fields[] = {
    JSON_FIELD(tbus_error_status_count_t, status_code),
    JSON_FIELD(tbus_error_status_count_t, errors),
    JSON_FIELD(tbus_error_status_count_t, errors_in_window),
};

static void put_counts(struct json *json, const char *key, const tbus_error_count_t *counts, size_t count,
                       const char *only, size_t limit)
{
    json_put_list(json, key, &(struct json_list){JSON_ROWS(counts, count, count_fields), .only = only, .limit = limit});
}

void json_put_errors(struct json *json, const char *key, const tbus_errors_snapshot_t *snapshot,
                     const struct json_filter *filter)
{
    filter = filter ? filter : &everything;
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, errors_fields);
    put_counts(json, "by_endpoint", snapshot->by_endpoint, snapshot->by_endpoint_count, filter->endpoint,
               filter->limit);
    put_counts(json, "by_type", snapshot->by_type, snapshot->by_type_count, NULL, filter->limit);
    put_counts(json, "by_model", snapshot->by_model, snapshot->by_model_count, filter->model, filter->limit);
    json_put_list(json, "by_status",
                  &(struct json_list){JSON_ROWS(snapshot->by_status, snapshot->by_status_count, status_fields),
                                      .limit = filter->limit});
    json_open_object(json, "slo");
    put_slos(json, snapshot, filter);
    json_close_object(json);
    put_patterns(json, snapshot->patterns, snapshot->patterns_count, filter);
    json_close_object(json);
}
