/* What the error tracker knows, as JSON: the SLOs, the patterns, the recent errors. */
#include <tallybus/json.h>

#if TBUS_WITH_JSON

#include "exporters/json_value.h"

/* --- SLOs --- */

static json_t *burn_rates(const tbus_burn_t *burns)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < TBUS_BURN_WINDOWS; i++) {
        json_t *burn = json_pack("{so so so}", "requests", json_value_count(burns[i].requests), "errors",
                                 json_value_count(burns[i].errors), "burn_rate", json_value_double(burns[i].burn_rate));
        if (json_object_set_new(object, tbus_burn_window_name(i), burn) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *alert(unsigned number, const tbus_alert_status_t *status)
{
    tbus_alert_rule_t rule =
        tbus_alert_rule(number, 0); /* its factor is that of 30 days; the status has the tracker's */
    return json_pack("{ss ss ss so sb sb so so}", "severity", rule.severity, "long_window",
                     tbus_burn_window_name(rule.long_window), "short_window", tbus_burn_window_name(rule.short_window),
                     "factor", json_value_double(status->factor), "active", status->active, "unreachable",
                     status->unreachable, "since_ns", json_integer(status->since_ns), "entered",
                     json_value_count(status->entered));
}

static json_t *alerts(const tbus_alert_status_t *statuses)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        if (json_array_append_new(array, alert(i, &statuses[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *slo_value(const void *element)
{
    const tbus_slo_t *slo = element;
    const tbus_slo_status_t *status = &slo->status;
    return json_pack(
        "{so si so so so so so so sb so so so so so}", "endpoint", json_value_text(slo->endpoint), "target_ppm",
        (int)status->target_ppm, "requests", json_value_count(status->total_requests), "errors",
        json_value_count(status->errors), "budget_total", json_value_count(status->budget_total), "budget_consumed",
        json_value_count(status->budget_consumed), "budget_remaining", json_value_count(status->budget_remaining),
        "budget_percentage", json_value_double(status->budget_percentage), "violated", status->violated, "error_rate",
        json_value_double(status->error_rate), "success_rate", json_value_double(status->success_rate), "burn_rate",
        json_value_double(status->burn_rate), "burn", burn_rates(slo->burn), "alerts", alerts(slo->alerts));
}

int tbus_slo_to_json(const tbus_errors_snapshot_t *snapshot, char **ret_text)
{
    if (!snapshot || !ret_text)
        return UV_EINVAL;
    return json_value_print(
        json_pack("{so so so}", "time_ns", json_integer(snapshot->time_ns), "all", slo_value(&snapshot->slo_of_all),
                  "endpoints",
                  json_value_array(snapshot->slos, snapshot->slos_count, sizeof *snapshot->slos, slo_value)),
        ret_text);
}

/* --- Patterns --- */

static json_t *text_value(const void *element)
{
    return json_value_text(*(const char *const *)element);
}

static json_t *texts(const char *const *list, size_t count)
{
    return json_value_array(list, count, sizeof *list, text_value);
}

static json_t *pattern_value(const void *element)
{
    const tbus_error_pattern_t *pattern = element;
    return json_pack("{ss so so so so so so so sb so sb so}", "fingerprint", pattern->fingerprint, "type",
                     json_value_text(pattern->type), "endpoint", json_value_text(pattern->endpoint), "message",
                     json_value_text(pattern->normalized), "count", json_value_count(pattern->count), "first_seen_ns",
                     json_integer(pattern->first_seen_ns), "last_seen_ns", json_integer(pattern->last_seen_ns),
                     "models", texts(pattern->models, pattern->models_count), "has_more_models",
                     pattern->has_more_models, "users", json_value_count(pattern->users), "has_more_users",
                     pattern->has_more_users, "request_ids", texts(pattern->request_ids, pattern->request_ids_count));
}

int tbus_error_patterns_to_json(const tbus_error_patterns_t *patterns, char **ret_text)
{
    if (!patterns || !ret_text)
        return UV_EINVAL;
    return json_value_print(
        json_pack("{so}", "patterns",
                  json_value_array(patterns->patterns, patterns->count, sizeof *patterns->patterns, pattern_value)),
        ret_text);
}

/* --- Recent errors --- */

static json_t *recent_value(const void *element)
{
    const tbus_recent_error_t *error = element;
    return json_pack("{so so so so so so ss so so}", "type", json_value_text(error->type), "message",
                     json_value_text(error->message), "endpoint", json_value_text(error->endpoint), "model",
                     json_value_text(error->model), "request_id", json_value_text(error->request_id), "user_id",
                     json_value_text(error->user_id), "fingerprint", error->fingerprint, "status_code",
                     json_integer(error->status_code), "time_ns", json_integer(error->time_ns));
}

int tbus_recent_errors_to_json(const tbus_recent_errors_t *recent, char **ret_text)
{
    if (!recent || !ret_text)
        return UV_EINVAL;
    return json_value_print(
        json_pack("{so}", "errors",
                  json_value_array(recent->errors, recent->count, sizeof *recent->errors, recent_value)),
        ret_text);
}

#else

int tbus_slo_to_json(const tbus_errors_snapshot_t *snapshot, char **ret_text)
{
    (void)snapshot;
    (void)ret_text;
    return UV_ENOTSUP;
}

int tbus_error_patterns_to_json(const tbus_error_patterns_t *patterns, char **ret_text)
{
    (void)patterns;
    (void)ret_text;
    return UV_ENOTSUP;
}

int tbus_recent_errors_to_json(const tbus_recent_errors_t *recent, char **ret_text)
{
    (void)recent;
    (void)ret_text;
    return UV_ENOTSUP;
}

#endif
