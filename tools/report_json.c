/* The report as JSON: docs/report.schema.json tells each key. */
#include <math.h>
#include <string.h>

#include "tools/report.h"

#if TBUS_WITH_JSON

#include <jansson.h>

/* An object under construction. Without memory it becomes `failed`, which is looked at once, at the end. */
struct object {
    json_t *json;
    bool *failed;
};

/* Sets a key; takes `value`, where NULL means that there was no memory for it. Returns `value`, or NULL when it is not
 * there: jansson takes NULL for an object or a list and does nothing, so that the caller may go on. */
static json_t *put(struct object object, const char *key, json_t *value)
{
    if (value && !json_object_set_new(object.json, key, value))
        return value;
    *object.failed = true;
    return NULL;
}

static struct object new_object(bool *failed)
{
    struct object object = {.json = json_object(), .failed = failed};
    if (!object.json)
        *failed = true;
    return object;
}

static struct object put_object(struct object parent, const char *key)
{
    return (struct object){.json = put(parent, key, json_object()), .failed = parent.failed};
}

static void put_count(struct object object, const char *key, uint64_t value)
{
    put(object, key, json_integer((json_int_t)value));
}

/* What is not a number, or has no end, is null. */
static void put_double(struct object object, const char *key, double value)
{
    put(object, key, isfinite(value) ? json_real(value) : json_null());
}

/* Text that is UTF-8: where it is not, its bytes outside ASCII are '?'. Names from a tracker can be such where a long
 * one was cut, and the name of a file can be anything. */
static const char *utf8_of(const char *text, char *mended, size_t bytes)
{
    json_t *value = json_string(text);
    json_decref(value);
    if (value)
        return text;
    snprintf(mended, bytes, "%s", text);
    for (char *c = mended; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return mended;
}

#define NAME_BYTES 4096

static void put_text(struct object object, const char *key, const char *text)
{
    char mended[NAME_BYTES];
    put(object, key, json_string(utf8_of(text ? text : "", mended, sizeof mended)));
}

static void put_usd(struct object object, const char *key, tbus_money_t usd)
{
    char text[TBUS_MONEY_TEXT_MAX];
    put_text(object, key, tbus_money_format(usd, -1, text));
}

/* An object in a map by name. */
static struct object put_named(struct object map, const char *name)
{
    char mended[NAME_BYTES];
    return put_object(map, utf8_of(name, mended, sizeof mended));
}

static void put_distribution(struct object parent, const char *key, const tbus_distribution_t *figures)
{
    struct object object = put_object(parent, key);
    put_double(object, "avg", figures->avg);
    put_double(object, "p50", figures->p50);
    put_double(object, "p95", figures->p95);
    put_double(object, "p99", figures->p99);
    put_double(object, "min", figures->min);
    put_double(object, "max", figures->max);
    put_count(object, "count", figures->count);
}

static void put_events(struct object root, const struct report *report)
{
    struct object object = put_object(root, "events");
    put_count(object, "published", report->stats->published);
    put_count(object, "delivered", report->stats->delivered);
    put_count(object, "refused", report->lost);
    put_double(object, "per_second", report->per_second);
    put_double(object, "elapsed_s", report->elapsed_s);
}

static void put_streaming(struct object root, const tbus_streaming_snapshot_t *streaming)
{
    struct object object = put_object(root, "streaming");
    put_count(object, "total_streams", streaming->total_streams);
    put_count(object, "completed_streams", streaming->completed_streams);
    put_count(object, "failed_streams", streaming->failed_streams);
    put_count(object, "cancelled_streams", streaming->cancelled_streams);
    put_count(object, "active_streams", streaming->active_streams);
    put_count(object, "total_tokens", streaming->total_tokens);
    put_count(object, "shed_tokens", streaming->shed_tokens);
    put_count(object, "orphan_events", streaming->orphan_events);
    put_double(object, "success_rate", streaming->success_rate);
    put_distribution(object, "ttft_ms", &streaming->ttft_ms);
    put_distribution(object, "itl_ms", &streaming->itl_ms);
    put_distribution(object, "tpot_ms", &streaming->tpot_ms);
    put_distribution(object, "tokens_per_second", &streaming->tokens_per_second);
    put_distribution(object, "duration_ms", &streaming->duration_ms);
    struct object models = put_object(object, "by_model");
    for (size_t i = 0; i < streaming->models_count; i++) {
        struct object model = put_named(models, streaming->models[i].model);
        put_count(model, "streams", streaming->models[i].streams);
        put_count(model, "tokens", streaming->models[i].tokens);
    }
}

static void put_error_counts(struct object parent, const char *key, const tbus_error_count_t *counts, size_t count)
{
    struct object map = put_object(parent, key);
    char mended[NAME_BYTES];
    for (size_t i = 0; i < count; i++)
        put_count(map, utf8_of(counts[i].name, mended, sizeof mended), counts[i].errors);
}

static void put_patterns(struct object parent, const tbus_errors_snapshot_t *errors)
{
    json_t *list = put(parent, "patterns", json_array());
    for (size_t i = 0; i < errors->patterns_count; i++) {
        const tbus_error_pattern_t *pattern = &errors->patterns[i];
        struct object object = new_object(parent.failed);
        put_text(object, "fingerprint", pattern->fingerprint);
        put_text(object, "type", pattern->type);
        put_text(object, "endpoint", pattern->endpoint);
        put_text(object, "message", pattern->normalized);
        put_count(object, "count", pattern->count);
        if (json_array_append_new(list, object.json))
            *parent.failed = true;
    }
}

static void put_errors(struct object root, const tbus_errors_snapshot_t *errors)
{
    struct object object = put_object(root, "errors");
    put_count(object, "total_requests", errors->slo.total_requests);
    put_count(object, "total_errors", errors->slo.errors);
    put_double(object, "error_rate", errors->slo.error_rate);
    put_double(object, "success_rate", errors->slo.success_rate);
    put_count(object, "excluded", errors->excluded);
    put_error_counts(object, "by_type", errors->by_type, errors->by_type_count);
    put_error_counts(object, "by_endpoint", errors->by_endpoint, errors->by_endpoint_count);
    put_error_counts(object, "by_model", errors->by_model, errors->by_model_count);
    struct object statuses = put_object(object, "by_status");
    for (size_t i = 0; i < errors->by_status_count; i++) {
        char code[24];
        snprintf(code, sizeof code, "%lld", (long long)errors->by_status[i].status_code);
        put_count(statuses, code, errors->by_status[i].errors);
    }
    put_patterns(object, errors);
}

static void put_alerts(struct object parent, const tbus_slo_t *slo)
{
    json_t *list = put(parent, "alerts", json_array());
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        const tbus_alert_status_t *alert = &slo->alerts[i];
        const tbus_alert_rule_t rule = tbus_alert_rule(i, 0);
        struct object object = new_object(parent.failed);
        put_text(object, "severity", rule.severity);
        put_text(object, "window", tbus_burn_window_name(rule.long_window));
        put_double(object, "factor", alert->factor);
        put(object, "reachable", json_boolean(!alert->unreachable));
        put(object, "active", json_boolean(alert->active));
        if (json_array_append_new(list, object.json))
            *parent.failed = true;
    }
}

static void put_slo(struct object root, const tbus_slo_t *all)
{
    const tbus_slo_status_t *slo = &all->status;
    struct object object = put_object(root, "slo");
    put_double(object, "target", slo->target_ppm / 1e6);
    put_count(object, "target_ppm", slo->target_ppm);
    put_count(object, "budget_total", slo->budget_total);
    put_count(object, "budget_remaining", slo->budget_remaining);
    put_double(object, "budget_percentage", slo->budget_percentage);
    put(object, "violated", json_boolean(slo->violated));
    put_double(object, "burn_rate", slo->burn_rate);
    put_alerts(object, all);
}

static void put_sum(struct object object, const tbus_cost_sum_t *sum)
{
    put_usd(object, "usd", sum->usd);
    put_count(object, "requests", sum->requests);
    put_count(object, "prompt_tokens", sum->prompt_tokens);
    put_count(object, "completion_tokens", sum->completion_tokens);
    put_count(object, "cached_tokens", sum->cached_tokens);
    put_count(object, "unpriced_requests", sum->unpriced_requests);
}

static void put_cost(struct object root, const tbus_cost_snapshot_t *cost)
{
    struct object object = put_object(root, "cost");
    put_usd(object, "total_usd", cost->total.usd);
    put_count(object, "requests", cost->total.requests);
    put_count(object, "unpriced_requests", cost->total.unpriced_requests);
    put_usd(object, "cache_savings_usd", cost->cache_savings);
    put_usd(object, "batch_savings_usd", cost->batch_savings);
    struct object models = put_object(object, "by_model");
    for (size_t i = 0; i < cost->by_model_count; i++)
        put_sum(put_named(models, cost->by_model[i].name), &cost->by_model[i]);
    /* A list, since two keys may look the same once they are redacted. */
    json_t *keys = put(object, "by_key", json_array());
    for (size_t i = 0; i < cost->by_key_count; i++) {
        struct object key = new_object(root.failed);
        put_text(key, "key", cost->by_key[i].name);
        put_sum(key, &cost->by_key[i]);
        if (json_array_append_new(keys, key.json))
            *root.failed = true;
    }
}

static void put_input(struct object root, const struct report_input *input)
{
    struct object object = put_object(root, "input");
    put_text(object, "file", input->file);
    put_text(object, "format", input->format);
    put_count(object, "lines", input->lines);
    put_count(object, "rows", input->rows);
    put_count(object, "broken_lines", input->broken_lines);
}

int report_write_json(const struct report *report, FILE *out)
{
    bool failed = false;
    struct object root = new_object(&failed);
    put_input(root, &report->input);
    put_events(root, report);
    put_streaming(root, report->streaming);
    put_errors(root, report->errors);
    put_slo(root, &report->errors->slo_of_all);
    put_cost(root, report->cost);
    if (!failed) {
        json_dumpf(root.json, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17)); /* what fails is left in `out` */
        fputc('\n', out);
    }
    json_decref(root.json);
    return failed ? UV_ENOMEM : 0;
}

#else

int report_write_json(const struct report *report, FILE *out)
{
    (void)report;
    (void)out;
    return UV_ENOTSUP;
}

#endif
