/* The documents of a telemetry set that has seen a trace: against their schemas, with names of harm, without memory. */
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "tests/exporters/schema.h"
#include "tests/exporters/telemetry_fixture.h"
#include "tests/oom.h"

static char *document_of(struct trace_set *set, const struct trace_document *document)
{
    char *text = NULL;
    const int error = document->write(set, &text);
    cr_assert_eq(error, 0, "%s: %s", document->name, uv_strerror(error));
    return text;
}

Test(telemetry_documents, each_keeps_to_its_schema_and_no_schema_lets_anything_else_through)
{
    struct trace_set set;
    schema_need();
    trace_open(&set, &trace_plain, 24);
    for (int i = 0; i < TRACE_DOCUMENTS; i++) {
        const struct trace_document *document = &trace_documents[i];
        char *text = document_of(&set, document);
        if (document->write == trace_bus)
            schema_check(document->name, text); /* its types are keys that nobody can list */
        else
            schema_check_harm(document->name, text);
        tbus_mem_free(text);
    }
    trace_close(&set);
}

Test(telemetry_documents, of_a_set_that_has_seen_nothing_keep_to_their_schemas_too)
{
    struct trace_set set = {.now_ns = 1};
    schema_need();
    hosted_open(&set.hosted, NULL);
    cr_assert_eq(tbus_telemetry_open(set.hosted.bus, NULL, &set.telemetry), 0);
    for (int i = 0; i < TRACE_DOCUMENTS; i++) {
        if (trace_documents[i].needs_requests)
            continue;
        char *text = document_of(&set, &trace_documents[i]);
        schema_check(trace_documents[i].name, text);
        tbus_mem_free(text);
    }
    trace_close(&set);
}

Test(telemetry_documents, a_set_of_some_trackers_tells_those_alone)
{
    struct trace_set set = {.now_ns = 1};
    hosted_open(&set.hosted, NULL);
    const tbus_telemetry_options_t options = {.trackers = TBUS_TELEMETRY_KVCACHE | TBUS_TELEMETRY_MODELS};
    cr_assert_eq(tbus_telemetry_open(set.hosted.bus, &options, &set.telemetry), 0);
    char *text = NULL;
    cr_assert_eq(trace_telemetry(&set, &text), 0);
    json_t *json = json_loads(text, 0, NULL);
    cr_assert(json && json_object_size(json) == 3 && json_object_get(json, "time_ns") &&
              json_object_get(json, "kvcache") && json_object_get(json, "models"));
    json_decref(json);
    tbus_mem_free(text);
    trace_close(&set);
}

static int64_t clock_of(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

/* A reader sees by it that a tracker has been reset, and counts from 0 again. */
Test(telemetry_documents, each_tells_since_when_its_counters_count)
{
    static const char *const names[] = {"errors", "slo",     "requests", "inference", "streaming",
                                        "cost",   "budgets", "models",   "kvcache",   "bus-stats"};
    struct trace_set set;
    size_t told = 0;
    const int64_t before = (int64_t)time(NULL) * TRACE_SECOND;
    trace_open(&set, &trace_plain, 2);
    const int64_t after = (int64_t)(time(NULL) + 1) * TRACE_SECOND;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int at = 0; at < TRACE_DOCUMENTS; at++) {
            if (strcmp(trace_documents[at].name, names[i]) != 0)
                continue;
            char *text = document_of(&set, &trace_documents[at]);
            json_t *json = json_loads(text, 0, NULL);
            const int64_t since_ns = json_integer_value(json_object_get(json, "since_ns"));
            cr_assert(since_ns >= before && since_ns <= after, "%s: %lld", names[i], (long long)since_ns);
            json_decref(json);
            tbus_mem_free(text);
            told++;
        }
    cr_assert_eq(told, sizeof names / sizeof *names);
    trace_close(&set);
}

Test(telemetry_documents, a_reset_moves_it)
{
    tbus_requests_t *requests;
    int64_t now = TRACE_SECOND;
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.clock = clock_of, .clock_user = &now}, &requests), 0);
    for (int i = 1; i <= 2; i++) {
        tbus_requests_snapshot_t *snapshot;
        char *text;
        cr_assert_eq(tbus_requests_snapshot(requests, 0, &snapshot), 0);
        cr_assert_eq(tbus_requests_to_json(snapshot, &text), 0);
        json_t *json = json_loads(text, 0, NULL);
        cr_assert_eq(json_integer_value(json_object_get(json, "since_ns")), i * TRACE_SECOND);
        json_decref(json);
        tbus_mem_free(text);
        tbus_requests_snapshot_free(snapshot);
        now = 2 * TRACE_SECOND;
        tbus_requests_reset(requests);
    }
    tbus_requests_close(requests);
}

/* --- Names that mean harm --- */

static const char *const hostile[] = {"<script>alert('\"')</script>",
                                      "\x01\x02\t\n\r\x1F\x7F",
                                      "\xFF\xC3(\xE2\x82",
                                      "\"\\\",\"x\":[{",
                                      "\xE2\x80\xA8\xF0\x9F\x98\x80",
                                      NULL,
                                      ""};

static void check_all(struct trace_set *set)
{
    for (int i = 0; i < TRACE_DOCUMENTS; i++) {
        const char *name = trace_documents[i].name;
        char *text = document_of(set, &trace_documents[i]);
        cr_assert_null(strstr(text, "verysecret"), "%s tells a key", name);
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(json, "%s: %s", name, text);
        json_decref(json);
        schema_check(name, text);
        tbus_mem_free(text);
    }
}

Test(telemetry_documents, names_that_mean_harm_change_no_documents_form)
{
    enum { LARGE = 10 << 20 };
    char *large = malloc(LARGE + 1);
    schema_need();
    memset(large, '"', LARGE);
    large[LARGE] = '\0';
    for (size_t i = 0; i <= sizeof hostile / sizeof *hostile; i++) {
        const char *name = i < sizeof hostile / sizeof *hostile ? hostile[i] : large;
        struct trace_set set;
        trace_open(&set, &(struct trace_names){{name, "o1"}, {name, "/b"}, name, name}, 8);
        check_all(&set);
        trace_close(&set);
    }
    free(large);
}

/* What is UTF-8 comes back as it was, through each table of names. */
Test(telemetry_documents, names_come_back_as_they_were)
{
    struct trace_set set;
    const char *name = "<b>\"\\/\n\x01\xE2\x82\xAC\xF0\x9F\x98\x80</b>";
    trace_open(&set, &(struct trace_names){{name, name}, {name, name}, name, name}, 8);
    static const struct {
        const char *part, *list, *key;
    } names[] = {
        {"errors", "by_endpoint", "name"}, {"errors", "by_model", "name"},      {"errors", "by_type", "name"},
        {"requests", "endpoints", "name"}, {"inference", "models", "model"},    {"streaming", "models", "model"},
        {"cost", "by_user", "name"},       {"cost", "by_project", "name"},      {"cost", "by_endpoint", "name"},
        {"models", "models", "name"},      {"kvcache", "endpoints", "endpoint"}};
    char *text = NULL;
    cr_assert_eq(trace_telemetry(&set, &text), 0);
    json_t *json = json_loads(text, 0, NULL);
    cr_assert_not_null(json);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *list = json_object_get(json_object_get(json, names[i].part), names[i].list);
        const char *is = json_string_value(json_object_get(json_array_get(list, 0), names[i].key));
        cr_assert(is && strcmp(is, name) == 0, "%s %s: %s", names[i].part, names[i].list, is ? is : "none");
    }
    json_decref(json);
    tbus_mem_free(text);
    trace_close(&set);
}

/* --- Without memory --- */

Test(telemetry_documents, without_memory_there_is_none_and_nothing_is_left_behind)
{
    struct oom oom = {.fail_at = -1};
    struct trace_set set;
    oom_install(&oom);
    trace_open(&set, &trace_plain, 8);
    for (int i = 0; i < TRACE_DOCUMENTS; i++) {
        const long live = oom.live;
        for (long at = 0;; at++) {
            char *text = NULL;
            oom.fail_at = oom.calls + at;
            const int error = trace_documents[i].write(&set, &text);
            const bool failed = oom.fail_at < oom.calls;
            oom.fail_at = -1;
            cr_assert_eq(error, failed ? UV_ENOMEM : 0, "%s, allocation %ld", trace_documents[i].name, at);
            cr_assert_eq(text != NULL, !failed);
            tbus_mem_free(text);
            cr_assert_eq(oom.live, live, "%s, allocation %ld", trace_documents[i].name, at);
            if (!failed) {
                cr_assert_gt(at, 0);
                break;
            }
        }
    }
    trace_close(&set);
    cr_assert_eq(oom.live, 0);
    oom_remove();
}

Test(telemetry_documents, null_is_refused)
{
    char *text = NULL;
    cr_assert_eq(tbus_errors_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_requests_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_inference_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_streaming_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_cost_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_cost_period_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_cost_name_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_budgets_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_models_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_models_ranking_to_json(NULL, TBUS_MODEL_COST, 0, &text), UV_EINVAL);
    cr_assert_eq(tbus_telemetry_json(NULL, 0, &text), UV_EINVAL);
    cr_assert_null(text);
    const tbus_models_snapshot_t models = {0};
    const tbus_model_t model = {.traffic.name = "m"};
    cr_assert_eq(tbus_models_to_json(&models, NULL), UV_EINVAL);
    cr_assert_eq(tbus_models_ranking_to_json(&models, TBUS_MODEL_FIGURES, 0, &text), UV_EINVAL);
    cr_assert_eq(tbus_models_ranking_to_json(&models, TBUS_MODEL_COST, 0, NULL), UV_EINVAL);
    cr_assert_eq(tbus_models_comparison_to_json(NULL, &model, &text), UV_EINVAL);
    cr_assert_eq(tbus_models_comparison_to_json(&model, NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_models_comparison_to_json(&model, &model, NULL), UV_EINVAL);
    const tbus_model_t far = {.traffic.name = "f", .cost = {.low = 0, .high = INT64_MIN}},
                       other = {.traffic.name = "o", .cost = {.low = UINT64_MAX, .high = INT64_MAX}};
    cr_assert_eq(tbus_models_comparison_to_json(&far, &other, &text), UV_EOVERFLOW);
    cr_assert_null(text);
}
