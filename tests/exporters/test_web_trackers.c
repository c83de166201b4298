/* The documents of each tracker over HTTP, from a telemetry set: either form, filters, names, schemas, and what comes of
 * it without memory. */
#include <tallybus.h>

#include "exporters/web_routes.h"
#include "tests/exporters/schema.h"
#include "tests/exporters/web_json.h"
#include "tests/oom.h"

#define SECOND INT64_C(1000000000)

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
    json_t *json = web_get_json(port, url);
    const json_t *array = json_object_get(json, list);
    cr_assert(json_is_array(array), "%s %s", url, list);
    const size_t count = json_array_size(array);
    json_decref(json);
    return count;
}

Test(web_trackers, a_telemetry_set_stands_for_its_trackers_in_either_form)
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

Test(web_trackers, models_can_be_compared_and_ranked)
{
    struct set set;
    set_open(&set);
    json_t *json = web_get_json(set.port, "/metrics/models/compare?b=o1&a=gpt-4o");
    const json_t *figure = json_object_get(json_object_get(json, "figures"), "latency_avg_ms");
    cr_assert_str_eq(json_string_value(json_object_get(json, "a")), "gpt-4o");
    cr_assert_eq(json_real_value(json_object_get(figure, "delta")), 10.5);
    cr_assert_eq(json_real_value(json_object_get(figure, "per_cent")), 100);
    json_decref(json);
    json = web_get_json(set.port, "/metrics/models/ranking?by=latency_avg_ms&limit=1");
    cr_assert_eq(json_array_size(json_object_get(json, "models")), 1u);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(json, "models"), 0), "name")),
                     "o1");
    json_decref(json);
    web_expect(set.port, "/metrics/models/compare?a=o1", "", 400, "'b' is not given");
    web_expect(set.port, "/metrics/models/compare?a=o1&b=nobody", "", 404, "nothing by this name");
    web_expect(set.port, "/metrics/models/ranking?by=speed", "", 400, "'latency_p95_ms'");
    set_close(&set);
}

Test(web_trackers, a_key_is_found_by_its_redacted_form_alone)
{
    struct set set;
    char shown[TBUS_REDACTED_BYTES], url[128];
    set_open(&set);
    snprintf(url, sizeof url, "/metrics/costs/%s", tbus_redact_key(KEY, shown));
    json_t *json = web_get_json(set.port, url);
    cr_assert_str_eq(json_string_value(json_object_get(json, "name")), shown);
    cr_assert_eq(json_integer_value(json_object_get(json, "requests")), 2);
    json_decref(json);
    web_expect(set.port, "/metrics/costs/" KEY, "", 404, "nothing by this name");
    set_close(&set);
}

Test(web_trackers, filters_are_of_the_json_alone)
{
    struct set set;
    set_open(&set);
    web_expect(set.port, "/metrics/models?limit=1", "Accept: text/plain\r\n", 406,
               "with these parameters this is there only as application/json");
    web_expect(set.port, "/metrics/models?limit=1", "Accept: text/plain, */*;q=0.1\r\n", 200, "{\"time_ns\":");
    web_expect(set.port, "/metrics/models?", "Accept: text/plain\r\n", 200, "# HELP");
    set_close(&set);
}

/* Its bytes are in no document, and in no URL that is understood: a filter goes by what is shown in their place. */
Test(web_trackers, a_name_that_is_not_utf8_is_found_as_it_is_shown)
{
    static const struct {
        const char *query, *list;
    } documents[] = {{"errors?endpoint=a%3F%3F%3Fz", "by_endpoint"},
                     {"costs?endpoint=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "by_endpoint"},
                     {"costs?model=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "by_model"},
                     {"budgets?subject=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "budgets"},
                     {"requests?endpoint=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "endpoints"},
                     {"models?model=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "models"},
                     {"kv-cache?endpoint=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "endpoints"},
                     {"streaming?model=a%EF%BF%BD%EF%BF%BD%EF%BF%BDz", "models"}};
    static const char name[] = "a\xFF\xE2\x82z";
    struct set set;
    char url[128];
    set_open(&set);
    const int64_t time_ns = tbus_now(set.bus);
    const tbus_traffic_end_t end = {.duration_ms = 1, .time_ns = time_ns};
    const tbus_usage_t usage = {.model = name, .endpoint = name, .time_ns = time_ns};
    const tbus_stream_start_t start = {.model = name, .time_ns = time_ns};
    cr_assert_eq(tbus_requests_record_end(tbus_telemetry_requests(set.telemetry), name, &end), 0);
    cr_assert_eq(tbus_models_record_end(tbus_telemetry_models(set.telemetry), name, name, "u", &end), 0);
    cr_assert_eq(tbus_kvcache_record_lookup(tbus_telemetry_kvcache(set.telemetry), name, 1, 1), 0);
    cr_assert_eq(tbus_errors_record_response(tbus_telemetry_errors(set.telemetry), name, name, 500, time_ns), 0);
    cr_assert_eq(tbus_cost_record_usage(tbus_telemetry_cost(set.telemetry), &usage, NULL), 0);
    cr_assert_eq(tbus_streaming_record_start(tbus_telemetry_streaming(set.telemetry), "s", &start), 0);
    cr_assert_eq(tbus_budget_set(set.budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = name}), 0);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        snprintf(url, sizeof url, "/metrics/%s", documents[i].query);
        cr_assert_eq(rows(set.port, url, documents[i].list), 1u, "%s", url);
        url[strlen(url) - 1] = '\0'; /* but for the last letter */
        cr_assert_eq(rows(set.port, url, documents[i].list), 0u, "%s", url);
        strcat(url, "zz");
        cr_assert_eq(rows(set.port, url, documents[i].list), 0u, "%s", url);
    }
    set_close(&set);
}

Test(web_trackers, what_a_filter_can_not_be_is_refused_with_what_it_can)
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

Test(web_trackers, budgets_can_be_filtered_by_scope_and_subject)
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

Test(web_trackers, costs_of_some_hours_are_those_of_the_period)
{
    struct set set;
    set_open(&set);
    tbus_cost_t *cost = tbus_telemetry_cost(set.telemetry);
    const int64_t now_ns = tbus_now(set.bus), hour_ns = INT64_C(3600) * SECOND;
    const tbus_usage_t before = {.user_id = "ann", .model = "gpt-4", .time_ns = now_ns - 4 * hour_ns};
    cr_assert_eq(tbus_cost_record_usage(cost, &before, NULL), 0);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=744", "by_model"), 3u);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=6", "by_model"), 3u);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=3", "by_model"), 2u);
    cr_assert_eq(rows(set.port, "/metrics/costs?hours=3&model=o1", "by_model"), 1u);
    json_t *json = web_get_json(set.port, "/metrics/costs?hours=3");
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(json, "total"), "requests")), 2);
    cr_assert_eq(json_integer_value(json_object_get(json, "to_ns")) -
                     json_integer_value(json_object_get(json, "from_ns")),
                 3 * hour_ns);
    json_decref(json);
    set_close(&set);
}

static int64_t a_month_later(void *bus)
{
    return tbus_now(bus) + INT64_C(30) * 86400 * SECOND;
}

/* semantics: cost.forecast */
Test(web_trackers, a_forecast_is_of_the_servers_clock_in_either_form)
{
    struct set set;
    tbus_web_t *later;
    set_open(&set);
    const tbus_web_options_t options = {
        .bus = set.bus, .telemetry = set.telemetry, .clock = a_month_later, .clock_user = set.bus};
    cr_assert_eq(tbus_web_open(&options, &later), 0);
    for (int i = 0; i < 2; i++) {
        const uint16_t port = i ? tbus_web_port(later) : set.port;
        json_t *json = web_get_json(port, "/metrics/costs");
        const int64_t now_ns = i ? a_month_later(set.bus) : tbus_now(set.bus);
        cr_assert(json_integer_value(json_object_get(json, "time_ns")) <= now_ns);
        cr_assert(json_integer_value(json_object_get(json, "time_ns")) > now_ns - 3600 * SECOND);
        cr_assert_eq(strcmp(json_string_value(json_object_get(json, "projected_monthly_usd")), "0") == 0, i == 1);
        json_decref(json);
        struct web_got got = web_ask(port, "GET", "/metrics?only=costs", "");
        cr_assert_eq(strstr(got.body, "\ncost_projected_monthly_usd 0\n") != NULL, i == 1);
        free(got.bytes);
    }
    tbus_web_close(later);
    set_close(&set);
}

Test(web_trackers, models_are_ranked_by_each_figure_that_there_is)
{
    struct set set;
    char url[96];
    set_open(&set);
    for (int figure = 0; figure < TBUS_MODEL_FIGURES; figure++) {
        const char *name = tbus_model_figure_name((tbus_model_figure_t)figure);
        snprintf(url, sizeof url, "/metrics/models/ranking?by=%s", name);
        json_t *json = web_get_json(set.port, url);
        cr_assert_str_eq(json_string_value(json_object_get(json, "by")), name);
        json_decref(json);
    }
    set_close(&set);
}

Test(web_trackers, with_filters_and_without_each_keeps_to_its_schema)
{
    static const struct {
        const char *url, *schema;
    } documents[] = {{"/metrics/bus", "bus-stats"},
                     {"/metrics/streaming?model=o1", "streaming"},
                     {"/metrics/errors?endpoint=/a&model=nobody", "errors"},
                     {"/metrics/slo?endpoint=/a", "slo"},
                     {"/metrics/costs?limit=1", "cost"},
                     {"/metrics/costs?hours=24", "cost-period"},
                     {"/metrics/costs/sk-v..e87dc85b", "cost-name"},
                     {"/metrics/budgets?scope=key", "budgets"},
                     {"/metrics/requests?limit=1", "requests"},
                     {"/metrics/models?model=nobody", "models"},
                     {"/metrics/models/compare?a=o1&b=o1", "models-comparison"},
                     {"/metrics/models/ranking", "models-ranking"},
                     {"/metrics/inference?limit=1", "inference"},
                     {"/metrics/kv-cache", "kvcache"}};
    struct set set;
    schema_need();
    set_open(&set);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct web_got got = web_ask(set.port, "GET", documents[i].url, "");
        struct web_got head = web_ask(set.port, "HEAD", documents[i].url, "");
        cr_assert_eq(got.status, 200, "%s: %s", documents[i].url, got.body);
        cr_assert_eq(head.status, 200, "%s", documents[i].url);
        cr_assert_str_eq(web_header(&head, "Content-Type"), "application/json");
        cr_assert_null(strstr(got.body, "verysecret"), "%s", documents[i].url);
        schema_check(documents[i].schema, got.body);
        free(got.bytes);
        free(head.bytes);
    }
    set_close(&set);
}

/* Each writer by itself, in each of its forms: it says so, or the text does, and leaves nothing behind. */
static void write_without_memory(const struct web_route *route, int form, const struct web_request *request,
                                 struct oom *oom)
{
    for (long at = 0;; at++) {
        struct text text = {0};
        char *document = NULL;
        const long live = oom->live;
        oom->fail_at = oom->calls + at;
        int error = route->forms[form].write(request, &text);
        const int taken = text_take(&text, &document);
        const bool failed = oom->fail_at < oom->calls;
        oom->fail_at = -1;
        error = error ? error : taken;
        cr_assert_eq(error, failed ? UV_ENOMEM : 0, "%s, form %d, allocation %ld", route->pattern, form, at);
        tbus_mem_free(document);
        cr_assert_eq(oom->live, live, "%s, form %d, allocation %ld", route->pattern, form, at);
        if (!failed)
            break;
    }
}

Test(web_trackers, without_memory_no_document_is_written_and_nothing_is_left_behind)
{
    static const struct {
        const char *pattern, *segment, *query;
    } asked[] = {{"/metrics/streaming/{id}", "o1", ""},
                 {"/metrics/costs/{key}", "sk-v..e87dc85b", ""},
                 {"/metrics/costs", NULL, "hours=3"},
                 {"/metrics/models/compare", NULL, "a=o1&b=gpt-4o"}};
    struct oom oom = {.fail_at = -1};
    struct set set;
    oom_install(&oom);
    set_open(&set);
    tbus_web_close(set.web); /* a thread of its own would allocate, too */
    set.web = NULL;
    const struct web_sources sources = {.bus = set.bus,
                                        .errors = tbus_telemetry_errors(set.telemetry),
                                        .requests = tbus_telemetry_requests(set.telemetry),
                                        .inference = tbus_telemetry_inference(set.telemetry),
                                        .streaming = tbus_telemetry_streaming(set.telemetry),
                                        .cost = tbus_telemetry_cost(set.telemetry),
                                        .budgets = set.budgets,
                                        .models = tbus_telemetry_models(set.telemetry),
                                        .kvcache = tbus_telemetry_kvcache(set.telemetry)};
    for (const struct web_route *route = web_documents; route->pattern; route++) {
        struct web_request request = {.sources = &sources};
        struct web_fault fault;
        char query[64] = "";
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            if (strcmp(asked[i].pattern, route->pattern) != 0)
                continue;
            request.segment = asked[i].segment;
            strcpy(query, asked[i].query);
        }
        cr_assert_eq(web_query_read(query, route->parameters, request.values, &fault), 0);
        for (int form = 0; form < WEB_FORMS_MAX && route->forms[form].write; form++)
            write_without_memory(route, form, &request, &oom);
    }
    set_close(&set);
    cr_assert_eq(oom.live, 0);
    oom_remove();
}
