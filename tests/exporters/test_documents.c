/* The trackers' documents in JSON: against the trackers' own figures, their schemas, and strings that mean harm. */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include <tallybus.h>

#include "tests/check.h"
#include "tests/exporters/schema.h"
#include "tests/oom.h"

#define SECOND INT64_C(1000000000)
#define BEGIN_NS (INT64_C(1767258000) * SECOND)

/* Takes the text. */
static json_t *parse(char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    cr_assert_not_null(json, "%s: %s", error.text, text);
    tbus_mem_free(text);
    return json;
}

static int64_t integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_integer(value), "%s", key);
    return json_integer_value(value);
}

/* Also of an infinite one, which is null. */
static void expect_double(const json_t *object, const char *key, double expected)
{
    const json_t *value = json_object_get(object, key);
    if (isfinite(expected))
        cr_assert(json_is_real(value) && json_real_value(value) == expected, "%s", key);
    else
        cr_assert(json_is_null(value), "%s", key);
}

static void expect_text(const json_t *object, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, key));
    cr_assert_not_null(text, "%s", key);
    cr_assert_str_eq(text, expected, "%s", key);
}

/* An error tracker that has seen failures at two endpoints, one with a target that no failure keeps. */
static tbus_errors_t *used_errors(void)
{
    const tbus_endpoint_slo_t strict = {"/strict", 1000000};
    tbus_errors_t *errors;
    cr_assert_eq(
        tbus_errors_open(&(tbus_errors_options_t){.endpoint_slos = &strict, .endpoint_slos_count = 1}, &errors), 0);
    for (int i = 0; i < 300; i++) {
        const tbus_error_t error = {.type = "timeout",
                                    .message = "no token within 17 ms, key sk-verysecret0123456789",
                                    .endpoint = i % 3 ? "/v1/\"chat\"\n" : "/strict",
                                    .model = "gpt-4o\xFF",
                                    .request_id = i % 2 ? "r-1" : "r-2\xC3",
                                    .user_id = "amina",
                                    .status_code = 504,
                                    .time_ns = BEGIN_NS + i * SECOND};
        cr_assert_eq(tbus_errors_record_response(errors, error.endpoint, error.model, 200, error.time_ns), 0);
        if (i % 2)
            cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    }
    return errors;
}

static tbus_errors_snapshot_t *snapshot_of(tbus_errors_t *errors)
{
    tbus_errors_snapshot_t *snapshot;
    cr_assert_eq(tbus_errors_snapshot(errors, 0, &snapshot), 0);
    return snapshot;
}

/* --- SLOs --- */

static void expect_burns(const json_t *json, const tbus_slo_t *slo)
{
    const json_t *burns = json_object_get(json, "burn");
    cr_assert_eq(json_object_size(burns), (size_t)TBUS_BURN_WINDOWS);
    for (unsigned i = 0; i < TBUS_BURN_WINDOWS; i++) {
        const json_t *burn = json_object_get(burns, tbus_burn_window_name(i));
        cr_assert_eq(integer(burn, "requests"), (int64_t)slo->burn[i].requests);
        cr_assert_eq(integer(burn, "errors"), (int64_t)slo->burn[i].errors);
        expect_double(burn, "burn_rate", slo->burn[i].burn_rate);
    }
}

static void expect_alerts(const json_t *json, const tbus_slo_t *slo)
{
    const json_t *alerts = json_object_get(json, "alerts");
    cr_assert_eq(json_array_size(alerts), (size_t)TBUS_ALERTS);
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        const json_t *alert = json_array_get(alerts, i);
        tbus_alert_rule_t rule = tbus_alert_rule(i, 0);
        expect_text(alert, "severity", rule.severity);
        expect_text(alert, "long_window", tbus_burn_window_name(rule.long_window));
        expect_text(alert, "short_window", tbus_burn_window_name(rule.short_window));
        expect_double(alert, "factor", slo->alerts[i].factor);
        cr_assert_eq(json_is_true(json_object_get(alert, "active")), slo->alerts[i].active);
        cr_assert_eq(json_is_true(json_object_get(alert, "unreachable")), slo->alerts[i].unreachable);
        cr_assert_eq(integer(alert, "since_ns"), slo->alerts[i].since_ns);
        cr_assert_eq(integer(alert, "entered"), (int64_t)slo->alerts[i].entered);
    }
}

static void expect_slo(const json_t *json, const tbus_slo_t *slo)
{
    const tbus_slo_status_t *status = &slo->status;
    if (slo->endpoint)
        expect_text(json, "endpoint", slo->endpoint);
    else
        cr_assert(json_is_null(json_object_get(json, "endpoint")));
    cr_assert_eq(integer(json, "target_ppm"), status->target_ppm);
    cr_assert_eq(integer(json, "requests"), (int64_t)status->total_requests);
    cr_assert_eq(integer(json, "errors"), (int64_t)status->errors);
    cr_assert_eq(integer(json, "budget_total"), (int64_t)status->budget_total);
    cr_assert_eq(integer(json, "budget_consumed"), (int64_t)status->budget_consumed);
    cr_assert_eq(integer(json, "budget_remaining"), (int64_t)status->budget_remaining);
    expect_double(json, "budget_percentage", status->budget_percentage);
    cr_assert_eq(json_is_true(json_object_get(json, "violated")), status->violated);
    expect_double(json, "error_rate", status->error_rate);
    expect_double(json, "success_rate", status->success_rate);
    expect_double(json, "burn_rate", status->burn_rate);
    expect_burns(json, slo);
    expect_alerts(json, slo);
}

Test(documents, the_slos_are_those_of_the_snapshot)
{
    tbus_errors_t *errors = used_errors();
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    char *text;
    cr_assert_eq(tbus_slo_to_json(snapshot, &text), 0);
    json_t *json = parse(text);
    const json_t *endpoints = json_object_get(json, "endpoints");
    cr_assert_eq(integer(json, "time_ns"), snapshot->time_ns);
    expect_slo(json_object_get(json, "all"), &snapshot->slo_of_all);
    cr_assert_eq(snapshot->slos_count, 2u);
    cr_assert_eq(json_array_size(endpoints), 2u);
    cr_assert(isinf(snapshot->slos[0].status.burn_rate), "the strict one burns without end");
    for (size_t i = 0; i < 2; i++)
        expect_slo(json_array_get(endpoints, i), &snapshot->slos[i]);
    json_decref(json);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* --- Errors --- */

Test(documents, patterns_are_those_of_the_list)
{
    tbus_errors_t *errors = used_errors();
    tbus_error_patterns_t *patterns;
    char *text;
    cr_assert_eq(tbus_errors_patterns(errors, NULL, &patterns), 0);
    cr_assert_eq(patterns->count, 2u);
    cr_assert_eq(tbus_error_patterns_to_json(patterns, &text), 0);
    cr_assert_null(strstr(text, "verysecret"));
    json_t *json = parse(text);
    const json_t *list = json_object_get(json, "patterns");
    cr_assert_eq(json_array_size(list), 2u);
    for (size_t i = 0; i < 2; i++) {
        const json_t *is = json_array_get(list, i);
        const tbus_error_pattern_t *pattern = &patterns->patterns[i];
        expect_text(is, "fingerprint", pattern->fingerprint);
        expect_text(is, "type", "timeout");
        expect_text(is, "endpoint", pattern->endpoint);
        expect_text(is, "message", pattern->normalized);
        cr_assert_eq(integer(is, "count"), (int64_t)pattern->count);
        cr_assert_eq(integer(is, "first_seen_ns"), pattern->first_seen_ns);
        cr_assert_eq(integer(is, "last_seen_ns"), pattern->last_seen_ns);
        cr_assert_eq(integer(is, "users"), 1);
        cr_assert(json_is_false(json_object_get(is, "has_more_users")));
        cr_assert(json_is_false(json_object_get(is, "has_more_models")));
        cr_assert_eq(json_array_size(json_object_get(is, "models")), 1u);
        cr_assert_str_eq(json_string_value(json_array_get(json_object_get(is, "models"), 0)), "gpt-4o?");
        cr_assert_eq(json_array_size(json_object_get(is, "request_ids")), pattern->request_ids_count);
        cr_assert_str_eq(json_string_value(json_array_get(json_object_get(is, "request_ids"), 0)),
                         pattern->request_ids[0]);
    }
    json_decref(json);
    tbus_mem_free(patterns);
    tbus_errors_close(errors);
}

Test(documents, recent_errors_are_those_of_the_list)
{
    tbus_errors_t *errors = used_errors();
    tbus_recent_errors_t *recent;
    char *text;
    cr_assert_eq(tbus_errors_recent(errors, &(tbus_recent_filter_t){.limit = 3}, &recent), 0);
    cr_assert_eq(recent->count, 3u);
    cr_assert_eq(tbus_recent_errors_to_json(recent, &text), 0);
    json_t *json = parse(text);
    cr_assert_eq(json_array_size(json_object_get(json, "errors")), 3u);
    for (size_t i = 0; i < 3; i++) {
        const json_t *is = json_array_get(json_object_get(json, "errors"), i);
        expect_text(is, "type", "timeout");
        expect_text(is, "message", recent->errors[i].message);
        expect_text(is, "endpoint", recent->errors[i].endpoint);
        expect_text(is, "model", "gpt-4o?");
        expect_text(is, "request_id", recent->errors[i].request_id);
        expect_text(is, "user_id", "amina");
        expect_text(is, "fingerprint", recent->errors[i].fingerprint);
        cr_assert_eq(integer(is, "status_code"), 504);
        cr_assert_eq(integer(is, "time_ns"), BEGIN_NS + (299 - 2 * (int64_t)i) * SECOND);
    }
    json_decref(json);
    tbus_mem_free(recent);
    tbus_errors_close(errors);
}

/* Whatever bytes stand in a string, the document is JSON in UTF-8 and says the same, but for what is not UTF-8. */
Test(documents, strings_that_mean_harm_survive_the_round_trip)
{
    enum { LARGE = 10 << 20 };
    char *large = malloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
    const struct {
        const char *given, *expected;
    } cases[] = {{"<script>alert(\"'\\\")</script>", NULL},
                 {"\x01\t\n\r\x1F\x7F", NULL},
                 {"\xE2\x82\xAC \xF0\x9F\x98\x80", NULL},
                 {"", NULL},
                 {large, NULL},
                 {"a\xFFz", "a\xEF\xBF\xBDz"},
                 {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
                 {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
                 {"cut\xE2\x82", "cut\xEF\xBF\xBD\xEF\xBF\xBD"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *given = cases[i].given;
        const tbus_recent_error_t error = {given, given, given, given, given, given, "0123abcd", INT64_MIN, INT64_MAX};
        const tbus_recent_errors_t recent = {1, &error};
        char *text;
        cr_assert_eq(tbus_recent_errors_to_json(&recent, &text), 0);
        json_t *json = parse(text);
        const json_t *is = json_array_get(json_object_get(json, "errors"), 0);
        expect_text(is, "message", cases[i].expected ? cases[i].expected : given);
        cr_assert_eq(integer(is, "status_code"), INT64_MIN);
        cr_assert_eq(integer(is, "time_ns"), INT64_MAX);
        json_decref(json);
    }
    free(large);
}

/* --- Streams --- */

Test(documents, a_stream_is_what_the_tracker_finds)
{
    tbus_streaming_t *streaming;
    tbus_stream_info_t info;
    char *text;
    cr_assert_eq(tbus_streaming_open(NULL, &streaming), 0);
    cr_assert_eq(
        tbus_streaming_record_start(streaming, "s\xFF", &(tbus_stream_start_t){.model = "m", .time_ns = BEGIN_NS}), 0);
    cr_assert_eq(tbus_streaming_find(streaming, "s\xFF", &info), 0);
    cr_assert_eq(tbus_stream_to_json("s\xFF", &info, &text), 0);
    json_t *json = parse(text);
    expect_text(json, "id", "s\xEF\xBF\xBD");
    expect_text(json, "status", "active");
    cr_assert(json_is_null(json_object_get(json, "end_ns")));
    cr_assert(json_is_null(json_object_get(json, "reason")));
    expect_double(json, "ttft_ms", NAN);
    json_decref(json);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s\xFF", 1, 0, TBUS_TOKEN_CONTENT, BEGIN_NS + SECOND / 4), 0);
    cr_assert_eq(tbus_streaming_record_token(streaming, "s\xFF", 1, 0, TBUS_TOKEN_CONTENT, BEGIN_NS + SECOND / 2), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s\xFF",
                                           &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_CANCELLED,
                                                                .reason = "gone",
                                                                .time_ns = BEGIN_NS + SECOND}),
                 0);
    cr_assert_eq(tbus_streaming_find(streaming, "s\xFF", &info), 0);
    cr_assert_eq(tbus_stream_to_json("s\xFF", &info, &text), 0);
    json = parse(text);
    expect_text(json, "status", "cancelled");
    expect_text(json, "reason", "gone");
    expect_text(json, "model", "m");
    cr_assert_eq(integer(json, "start_ns"), BEGIN_NS);
    cr_assert_eq(integer(json, "end_ns"), BEGIN_NS + SECOND);
    cr_assert_eq(integer(json, "tokens"), 2);
    cr_assert_eq(integer(json, "input_tokens"), 0);
    cr_assert_eq(integer(json, "backpressure_events"), 0);
    expect_double(json, "duration_ms", 1000);
    expect_double(json, "ttft_ms", 250);
    expect_double(json, "itl_avg_ms", 250);
    expect_double(json, "tokens_per_second", 2);
    json_decref(json);
    tbus_streaming_close(streaming);
}

Test(documents, numbers_without_bounds_are_still_json)
{
    const tbus_stream_info_t info = {.status = TBUS_STREAM_STATUS_FAILED,
                                     .tokens = UINT64_MAX,
                                     .duration_ms = INFINITY,
                                     .ttft_ms = -INFINITY,
                                     .tokens_per_second = NAN,
                                     .itl_avg_ms = 1.7976931348623157e308};
    char *text;
    cr_assert_eq(tbus_stream_to_json("", &info, &text), 0);
    json_t *json = parse(text);
    cr_assert_eq(integer(json, "tokens"), INT64_MAX);
    expect_double(json, "duration_ms", INFINITY);
    expect_double(json, "ttft_ms", -INFINITY);
    expect_double(json, "tokens_per_second", NAN);
    expect_double(json, "itl_avg_ms", 1.7976931348623157e308);
    json_decref(json);
}

/* --- All of them --- */

/* Each document in turn, of a tracker of its kind; NULL is refused. */
enum { DOCUMENTS = 4 };

struct sources {
    tbus_errors_snapshot_t *snapshot;
    tbus_error_patterns_t *patterns;
    tbus_recent_errors_t *recent;
    tbus_stream_info_t stream;
};

static int make(const struct sources *from, int document, char **ret_text)
{
    switch (document) {
    case 0:
        return tbus_slo_to_json(from->snapshot, ret_text);
    case 1:
        return tbus_error_patterns_to_json(from->patterns, ret_text);
    case 2:
        return tbus_recent_errors_to_json(from->recent, ret_text);
    default:
        return tbus_stream_to_json("s\xFF", &from->stream, ret_text);
    }
}

static struct sources take_sources(tbus_errors_t *errors)
{
    struct sources sources = {.snapshot = snapshot_of(errors), .stream = {.ttft_ms = NAN}};
    cr_assert_eq(tbus_errors_patterns(errors, NULL, &sources.patterns), 0);
    cr_assert_eq(tbus_errors_recent(errors, NULL, &sources.recent), 0);
    return sources;
}

static void free_sources(struct sources *sources)
{
    tbus_errors_snapshot_free(sources->snapshot);
    tbus_mem_free(sources->patterns);
    tbus_mem_free(sources->recent);
}

Test(documents, each_keeps_to_its_schema)
{
    static const char *const schemas[DOCUMENTS] = {"slo.schema.json", "error-patterns.schema.json",
                                                   "recent-errors.schema.json", "stream.schema.json"};
    tbus_errors_t *errors = used_errors();
    schema_need();
    for (int round = 0; round < 2; round++) { /* full, then empty */
        struct sources sources = take_sources(errors);
        for (int i = 0; i < DOCUMENTS; i++) {
            char *text;
            cr_assert_eq(make(&sources, i, &text), 0);
            schema_check(schemas[i], text);
            tbus_mem_free(text);
        }
        free_sources(&sources);
        tbus_errors_reset(errors);
    }
    tbus_errors_close(errors);
}

Test(documents, null_is_refused)
{
    char *text = NULL;
    const tbus_stream_info_t info = {.status = TBUS_STREAM_STATUS_ACTIVE}, wrong = {.status = 4};
    tbus_errors_t *errors = used_errors();
    struct sources sources = take_sources(errors);
    for (int i = 0; i < DOCUMENTS; i++)
        cr_assert_eq(make(&sources, i, NULL), UV_EINVAL);
    for (int i = 0; i < DOCUMENTS - 1; i++)
        cr_assert_eq(make(&(struct sources){0}, i, &text), UV_EINVAL);
    cr_assert_eq(tbus_stream_to_json(NULL, &info, &text), UV_EINVAL);
    cr_assert_eq(tbus_stream_to_json("", NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_stream_to_json("", &wrong, &text), UV_EINVAL);
    cr_assert_null(text);
    free_sources(&sources);
    tbus_errors_close(errors);
}

/* jansson allocates as the library does here, so that each allocation of either fails in turn. */
Test(documents, without_memory_there_is_no_document)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    json_set_alloc_funcs(tbus_mem_alloc, tbus_mem_free);
    tbus_errors_t *errors;
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(
            tbus_errors_record_error(
                errors, &(tbus_error_t){.type = i ? "a" : "b", .message = "\xFF", .model = "\xFF", .request_id = "r"}),
            0);
    struct sources sources = take_sources(errors);
    long live = atomic_load(&oom.live);
    for (int document = 0; document < DOCUMENTS; document++) {
        for (int at = 0;; at++) {
            char *text = NULL;
            oom.fail_at = atomic_load(&oom.calls) + at;
            int error = make(&sources, document, &text);
            bool refused = oom.fail_at < atomic_load(&oom.calls);
            oom.fail_at = -1;
            tbus_mem_free(text);
            cr_assert_eq(error, refused ? UV_ENOMEM : 0, "document %d, allocation %d", document, at);
            cr_assert_eq(atomic_load(&oom.live), live, "document %d, allocation %d", document, at);
            if (!refused)
                break;
            cr_assert_null(text);
        }
    }
    free_sources(&sources);
    tbus_errors_close(errors);
    cr_assert_eq(atomic_load(&oom.live), 0);
    json_set_alloc_funcs(malloc, free);
    oom_remove();
}
