/* The trackers' JSON documents as the server gives them out: filters, names, and where windows end. */
#include <jansson.h>

#include <tallybus.h>

#include "tests/exporters/schema.h"
#include "tests/exporters/web_client.h"

#define SECOND INT64_C(1000000000)
#define BEGIN_NS (INT64_C(1767258000) * SECOND)

static int64_t read_clock(void *user)
{
    return *(const int64_t *)user;
}

struct host {
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_web_t *web;
    uint16_t port;
    int64_t now_ns; /* set before the server opens */
};

/* Ten errors at /a of one kind, the i-th at second i, and two at "/b c". */
static void host_open(struct host *host, bool with_clock)
{
    tbus_web_options_t options = {0};
    cr_assert_eq(tbus_streaming_open(NULL, &host->streaming), 0);
    cr_assert_eq(tbus_errors_open(NULL, &host->errors), 0);
    for (int i = 0; i < 12; i++) {
        const tbus_error_t error = {.type = i < 10 ? "timeout" : "crash",
                                    .message = "gone",
                                    .endpoint = i < 10 ? "/a" : "/b c",
                                    .time_ns = BEGIN_NS + i * SECOND};
        cr_assert_eq(tbus_errors_record_error(host->errors, &error), 0);
    }
    cr_assert_eq(tbus_streaming_record_start(host->streaming, "s/1 <&>",
                                             &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = BEGIN_NS}),
                 0);
    options.streaming = host->streaming;
    options.errors = host->errors;
    if (with_clock) {
        options.clock = read_clock;
        options.clock_user = &host->now_ns;
    }
    cr_assert_eq(tbus_web_open(&options, &host->web), 0);
    host->port = tbus_web_port(host->web);
}

static void host_close(struct host *host)
{
    tbus_web_close(host->web);
    tbus_streaming_close(host->streaming);
    tbus_errors_close(host->errors);
}

static json_t *get(uint16_t port, const char *url)
{
    struct web_got got = web_ask(port, "GET", url, "");
    cr_assert_eq(got.status, 200, "%s: %s", url, got.bytes);
    cr_assert_str_eq(web_header(&got, "Content-Type"), "application/json");
    json_t *json = json_loads(got.body, 0, NULL);
    cr_assert_not_null(json, "%s", got.body);
    free(got.bytes);
    return json;
}

static void expect_listed(uint16_t port, const char *url, const char *list, size_t count)
{
    json_t *json = get(port, url);
    cr_assert_eq(json_array_size(json_object_get(json, list)), count, "%s", url);
    json_decref(json);
}

Test(web_documents, recent_errors_can_be_filtered)
{
    struct host host = {.now_ns = 0};
    host_open(&host, false);
    expect_listed(host.port, "/metrics/errors/recent", "errors", 12);
    expect_listed(host.port, "/metrics/errors/recent?limit=5", "errors", 5);
    expect_listed(host.port, "/metrics/errors/recent?endpoint=%2Fb+c", "errors", 2);
    expect_listed(host.port, "/metrics/errors/recent?endpoint=/b%20c&type=timeout", "errors", 0);
    expect_listed(host.port, "/metrics/errors/recent?type=timeout&limit=2147483647", "errors", 10);
    expect_listed(host.port, "/metrics/errors/recent?type=", "errors", 0);
    web_expect(host.port, "/metrics/errors/recent?limit=0", "", 400,
               "'limit' wants a whole number from 1 to 2147483647");
    web_expect(host.port, "/metrics/errors/recent?limit=-1", "", 400, "and got '-1'");
    web_expect(host.port, "/metrics/errors/recent?type=%FF", "", 400, "UTF-8");
    web_expect(host.port, "/metrics/errors/recent?model=x", "", 400, "there is: limit, endpoint, type");
    host_close(&host);
}

Test(web_documents, patterns_can_be_filtered)
{
    struct host host = {.now_ns = 0};
    char url[128];
    host_open(&host, false);
    expect_listed(host.port, "/metrics/error-patterns", "patterns", 2);
    expect_listed(host.port, "/metrics/error-patterns?limit=1", "patterns", 1);
    expect_listed(host.port, "/metrics/error-patterns?count_min=3", "patterns", 1);
    snprintf(url, sizeof url, "/metrics/error-patterns?seen_after_ns=%lld", (long long)(BEGIN_NS + 10 * SECOND));
    expect_listed(host.port, url, "patterns", 1);
    snprintf(url, sizeof url, "/metrics/error-patterns?seen_after_ns=%lld", (long long)(BEGIN_NS + 11 * SECOND));
    expect_listed(host.port, url, "patterns", 0);
    web_expect(host.port, "/metrics/error-patterns?count_min=9223372036854775808", "", 400, "whole number");
    host_close(&host);
}

Test(web_documents, a_stream_is_found_by_its_name)
{
    struct host host = {.now_ns = 0};
    host_open(&host, false);
    json_t *json = get(host.port, "/metrics/streaming/s%2F1%20%3C&%3E");
    cr_assert_str_eq(json_string_value(json_object_get(json, "id")), "s/1 <&>");
    cr_assert_str_eq(json_string_value(json_object_get(json, "status")), "active");
    json_decref(json);
    web_expect(host.port, "/metrics/streaming/s", "", 404, "there is nothing by this name");
    web_expect(host.port, "/metrics/streaming/", "", 404, "nothing at this path");
    web_expect(host.port, "/metrics/streaming/%FF", "", 404, "nothing by this name");
    host_close(&host);
}

static int64_t recent_requests(uint16_t port)
{
    json_t *json = get(port, "/metrics/slo");
    const json_t *burn = json_object_get(json_object_get(json_object_get(json, "all"), "burn"), "5m");
    int64_t requests = json_integer_value(json_object_get(burn, "requests"));
    json_decref(json);
    return requests;
}

Test(web_documents, windows_end_by_the_clock)
{
    const struct {
        bool with_clock;
        int64_t now_ns, requests;
    } cases[] = {{true, 0, 12}, {true, BEGIN_NS + 60 * SECOND, 12}, {true, BEGIN_NS + 600 * SECOND, 0}, {false, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) { /* the last: the system's, which is past that time */
        struct host host = {.now_ns = cases[i].now_ns};
        host_open(&host, cases[i].with_clock);
        cr_assert_eq(recent_requests(host.port), cases[i].requests, "%zu", i);
        host_close(&host);
    }
}

Test(web_documents, each_keeps_to_its_schema)
{
    static const struct {
        const char *url, *schema;
    } documents[] = {{"/metrics/slo", "slo.schema.json"},
                     {"/metrics/error-patterns", "error-patterns.schema.json"},
                     {"/metrics/errors/recent", "recent-errors.schema.json"},
                     {"/metrics/streaming/s%2F1%20%3C&%3E", "stream.schema.json"}};
    struct host host = {.now_ns = 0};
    schema_need();
    host_open(&host, true);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct web_got got = web_ask(host.port, "GET", documents[i].url, "");
        schema_check(documents[i].schema, got.body);
        free(got.bytes);
    }
    host_close(&host);
}

/* --- A telemetry set --- */

struct set {
    tbus_t *bus;
    tbus_telemetry_t *telemetry;
    tbus_budgets_t *budgets;
    tbus_web_t *web;
    uint16_t port;
};

#define KEY "sk-verysecret-0123456789"

/* Two requests, to two models at two endpoints, recorded by hand. */
static void set_open(struct set *set)
{
    static const char *const models[] = {"gpt-4o", "o1"}, *const endpoints[] = {"/a", "/b"};
    cr_assert_eq(tbus_open(NULL, &set->bus), 0);
    cr_assert_eq(tbus_telemetry_open(set->bus, NULL, &set->telemetry), 0);
    cr_assert_eq(tbus_budgets_open(NULL, &set->budgets), 0);
    cr_assert_eq(tbus_budget_set(set->budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_KEY, .subject = KEY}), 0);
    for (int i = 0; i < 2; i++) {
        const char *model = models[i], *endpoint = endpoints[i];
        const int64_t time_ns = tbus_now(set->bus);
        const tbus_traffic_end_t end = {.duration_ms = 10.5 * (i + 1), .time_ns = time_ns, .prompt_tokens = 100};
        cr_assert_eq(tbus_requests_record_end(tbus_telemetry_requests(set->telemetry), endpoint, &end), 0);
        cr_assert_eq(tbus_models_record_end(tbus_telemetry_models(set->telemetry), model, endpoint, "u", &end), 0);
        cr_assert_eq(tbus_inference_record_start(tbus_telemetry_inference(set->telemetry), model, model, 9, time_ns),
                     0);
        cr_assert_eq(tbus_kvcache_record_lookup(tbus_telemetry_kvcache(set->telemetry), endpoint, 10, 5), 0);
        cr_assert_eq(tbus_errors_record_response(tbus_telemetry_errors(set->telemetry), endpoint, model, 500, time_ns),
                     0);
        cr_assert_eq(
            tbus_cost_record_usage(
                tbus_telemetry_cost(set->telemetry),
                &(tbus_usage_t){
                    .api_key = KEY, .model = model, .endpoint = endpoint, .prompt_tokens = 100, .time_ns = time_ns},
                NULL),
            0);
        cr_assert_eq(tbus_streaming_record_start(tbus_telemetry_streaming(set->telemetry), model,
                                                 &(tbus_stream_start_t){.model = model, .time_ns = time_ns}),
                     0);
    }
    const tbus_web_options_t options = {.bus = set->bus, .telemetry = set->telemetry, .budgets = set->budgets};
    cr_assert_eq(tbus_web_open(&options, &set->web), 0);
    set->port = tbus_web_port(set->web);
}

static void set_close(struct set *set)
{
    tbus_web_close(set->web);
    cr_assert_eq(tbus_telemetry_close(set->telemetry), 0);
    tbus_budgets_close(set->budgets);
    cr_assert_eq(tbus_free(set->bus), 0);
}

static size_t rows(uint16_t port, const char *url, const char *list)
{
    json_t *json = get(port, url);
    const json_t *array = json_object_get(json, list);
    cr_assert(json_is_array(array), "%s %s", url, list);
    const size_t count = json_array_size(array);
    json_decref(json);
    return count;
}

Test(web_documents, a_telemetry_set_stands_for_its_trackers_in_either_form)
{
    static const struct {
        const char *path, *list, *filter, *sample; /* a list of two names, and what leaves one of them */
    } documents[] = {
        {"/metrics/streaming", "models", "model=o1", "\nstreaming_"},
        {"/metrics/errors", "by_endpoint", "endpoint=/b", "\nerror_"},
        {"/metrics/errors", "by_model", "model=o1", "\nerror_"},
        {"/metrics/costs", "by_model", "model=o1", "\ncost_"},
        {"/metrics/costs", "by_endpoint", "endpoint=%2Fb", "\ncost_"},
        {"/metrics/requests", "endpoints", "endpoint=/a", "\nrequest_"},
        {"/metrics/models", "models", "model=o1", "\nmodel_"},
        {"/metrics/inference", "models", "model=o1", "\ninference_"},
        {"/metrics/kv-cache", "endpoints", "endpoint=/a", "\nkvcache_"},
    };
    struct set set;
    char url[128];
    set_open(&set);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        cr_assert_eq(rows(set.port, documents[i].path, documents[i].list), 2u, "%s", documents[i].path);
        snprintf(url, sizeof url, "%s?limit=1", documents[i].path);
        cr_assert_eq(rows(set.port, url, documents[i].list), 1u, "%s", url);
        snprintf(url, sizeof url, "%s?%s", documents[i].path, documents[i].filter);
        cr_assert_eq(rows(set.port, url, documents[i].list), 1u, "%s", url);
        web_expect(set.port, documents[i].path, "Accept: text/plain\r\n", 200, documents[i].sample);
    }
    cr_assert_eq(rows(set.port, "/metrics/budgets", "budgets"), 1u);
    web_expect(set.port, "/metrics/budgets", "Accept: text/plain\r\n", 200, "\ncost_budget_");
    web_expect(set.port, "/metrics", "", 200, "\nkvcache_");
    web_expect(set.port, "/metrics?only=models", "", 200, "\nmodel_");
    set_close(&set);
}

Test(web_documents, models_can_be_compared_and_ranked)
{
    struct set set;
    set_open(&set);
    json_t *json = get(set.port, "/metrics/models/compare?b=o1&a=gpt-4o");
    const json_t *figure = json_object_get(json_object_get(json, "figures"), "latency_avg_ms");
    cr_assert_str_eq(json_string_value(json_object_get(json, "a")), "gpt-4o");
    cr_assert_eq(json_real_value(json_object_get(figure, "delta")), 10.5);
    cr_assert_eq(json_real_value(json_object_get(figure, "per_cent")), 100);
    json_decref(json);
    json = get(set.port, "/metrics/models/ranking?by=latency_avg_ms&limit=1");
    cr_assert_eq(json_array_size(json_object_get(json, "models")), 1u);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(json, "models"), 0), "name")),
                     "o1");
    json_decref(json);
    web_expect(set.port, "/metrics/models/compare?a=o1", "", 400, "'b' is not given");
    web_expect(set.port, "/metrics/models/compare?a=o1&b=nobody", "", 404, "nothing by this name");
    web_expect(set.port, "/metrics/models/ranking?by=speed", "", 400, "'latency_p95_ms'");
    set_close(&set);
}

Test(web_documents, a_key_is_found_by_its_redacted_form_alone)
{
    struct set set;
    char shown[TBUS_REDACTED_BYTES], url[128];
    set_open(&set);
    snprintf(url, sizeof url, "/metrics/costs/%s", tbus_redact_key(KEY, shown));
    json_t *json = get(set.port, url);
    cr_assert_str_eq(json_string_value(json_object_get(json, "name")), shown);
    cr_assert_eq(json_integer_value(json_object_get(json, "requests")), 2);
    json_decref(json);
    web_expect(set.port, "/metrics/costs/" KEY, "", 404, "nothing by this name");
    set_close(&set);
}

Test(web_documents, filters_are_of_the_json_alone)
{
    struct set set;
    set_open(&set);
    web_expect(set.port, "/metrics/models?limit=1", "Accept: text/plain\r\n", 406,
               "with these parameters this is there only as application/json");
    web_expect(set.port, "/metrics/models?limit=1", "Accept: text/plain, */*;q=0.1\r\n", 200, "{\"time_ns\":");
    web_expect(set.port, "/metrics/models?", "Accept: text/plain\r\n", 200, "# HELP");
    set_close(&set);
}

Test(web_documents, what_a_filter_can_not_be_is_refused_with_what_it_can)
{
    static const struct {
        const char *url, *message;
    } refused[] = {
        {"/metrics/requests?model=x", "there is no parameter 'model' here; there is: limit, endpoint"},
        {"/metrics/requests?limit=0", "'limit' wants a whole number from 1 to 2147483647, and got '0'"},
        {"/metrics/requests?endpoint=%C3", "'endpoint' wants a text of 0 to 2048 bytes of UTF-8"},
        {"/metrics/models?model=a&model=b", "'model' is given twice"},
        {"/metrics/models/compare", "'a' is not given"},
        {"/metrics/models/ranking?by=", "'by' wants 'requests', 'errors', 'error_rate'"},
        {"/metrics/costs?hours=745", "'hours' wants a whole number from 1 to 744, and got '745'"},
        {"/metrics/budgets?scope=house", "'scope' wants 'all', 'key', 'user' or 'project', and got 'house'"},
        {"/metrics/errors/recent?after_ns=now", "'after_ns' wants a whole number from -9223372036854775808 to "},
        {"/metrics/slo?limit=1e3", "'limit' wants a whole number"},
        {"/metrics/costs/sk..01234567?limit=1", "there is no parameter 'limit' here; there is none"},
    };
    struct set set;
    set_open(&set);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        web_expect(set.port, refused[i].url, "", 400, refused[i].message);
    web_expect(set.port, "/metrics/models/", "", 404, "nothing at this path");
    web_expect(set.port, "/metrics/models/other", "", 404, "nothing at this path");
    struct web_got got = web_ask(set.port, "DELETE", "/metrics/models", "");
    cr_assert_eq(got.status, 405);
    cr_assert_str_eq(web_header(&got, "Allow"), "GET, HEAD");
    free(got.bytes);
    set_close(&set);
}

Test(web_documents, budgets_can_be_filtered_by_scope_and_subject)
{
    struct set set;
    set_open(&set);
    tbus_budgets_t *budgets = set.budgets;
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_ALL}), 0);
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_PROJECT, .subject = "ann"}), 0);
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "ann"}), 0);
    cr_assert_eq(tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "bob"}), 0);
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {{"", 5},
                 {"?scope=all", 1},
                 {"?scope=key", 1},
                 {"?scope=user", 2},
                 {"?scope=project", 1},
                 {"?subject=ann", 2},
                 {"?limit=3", 3},
                 {"?scope=user&subject=bob", 1},
                 {"?scope=project&subject=bob", 0},
                 {"?subject=", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char url[64];
        snprintf(url, sizeof url, "/metrics/budgets%s", cases[i].query);
        cr_assert_eq(rows(set.port, url, "budgets"), cases[i].count, "%s", url);
    }
    set_close(&set);
}

Test(web_documents, costs_of_some_hours_are_those_of_the_period)
{
    struct set set;
    set_open(&set);
    tbus_cost_t *cost = tbus_telemetry_cost(set.telemetry);
    const int64_t now_ns = tbus_now(set.bus), hour_ns = INT64_C(3600) * SECOND;
    const tbus_usage_t before = {.user_id = "ann", .model = "gpt-4", .time_ns = now_ns - 5 * hour_ns};
    cr_assert_eq(tbus_cost_record_usage(cost, &before, NULL), 0);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=744", "by_model"), 3u);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=6", "by_model"), 3u);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=4", "by_model"), 2u);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=4&model=o1", "by_model"), 1u);
    json_t *json = get(set.port, "/metrics/costs?hours=4");
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(json, "total"), "requests")), 2);
    cr_assert_eq(json_integer_value(json_object_get(json, "to_ns")) -
                     json_integer_value(json_object_get(json, "from_ns")),
                 4 * hour_ns);
    json_decref(json);
    set_close(&set);
}

Test(web_documents, recent_errors_can_be_asked_for_from_a_moment_on)
{
    struct host host = {.now_ns = 0};
    char url[96];
    host_open(&host, false);
    for (int i = 0; i <= 12; i += 4) {
        snprintf(url, sizeof url, "/metrics/errors/recent?after_ns=%lld", (long long)(BEGIN_NS + i * SECOND - 1));
        expect_listed(host.port, url, "errors", (size_t)(12 - i));
        snprintf(url, sizeof url, "/metrics/errors/recent?after_ns=%lld", (long long)(BEGIN_NS + i * SECOND));
        expect_listed(host.port, url, "errors", i < 12 ? (size_t)(11 - i) : 0);
    }
    host_close(&host);
}
