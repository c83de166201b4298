#include <tallybus/prometheus.h>
#include <tallybus/telemetry.h>

#include <stdlib.h>
#include <string.h>

#include "exporters/prometheus.h"
#include "tests/check.h"
#include "tests/oom.h"

/* What a sample's name has behind its family's: nothing, or a histogram's word. NULL = it is another's. */
static const char *behind_family(const char *sample, const char *family, const char *type)
{
    static const char *const words[] = {"_bucket", "_sum", "_count"};
    if (strncmp(sample, family, strlen(family)) != 0)
        return NULL;
    sample += strlen(family);
    for (size_t i = 0; strcmp(type, "histogram") == 0 && i < sizeof words / sizeof *words; i++)
        if (strncmp(sample, words[i], strlen(words[i])) == 0)
            return sample + strlen(words[i]);
    return strcmp(type, "histogram") == 0 ? NULL : sample;
}

/* Each family has its HELP and TYPE once, before its samples; each sample belongs to the family above it; no series
 * twice. */
static void check_form(const char *page)
{
    char *copy = strdup(page), family[128] = "", type[32] = "", *series[1024];
    size_t count = 0;
    cr_assert_not_null(copy);
    cr_assert_eq(page[strlen(page) - 1], '\n');
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        char name[128];
        if (sscanf(line, "# HELP %127s", name) == 1) {
            snprintf(family, sizeof family, "%s", name);
            for (size_t i = 0; i < count; i++)
                cr_assert(strncmp(series[i], name, strlen(name)) != 0 || strchr("{ ", series[i][strlen(name)]) == NULL,
                          "family %s twice", name);
            line = strtok(NULL, "\n");
            cr_assert_eq(sscanf(line, "# TYPE %127s %31s", name, type), 2);
            cr_assert_str_eq(name, family);
            continue;
        }
        char *value = strrchr(line, ' ');
        cr_assert_not_null(value);
        const char *behind = behind_family(line, family, type);
        cr_assert(behind && strchr("{ ", *behind), "%s below %s", line, family);
        *value = '\0';
        for (size_t i = 0; i < count; i++)
            cr_assert_str_neq(series[i], line, "twice");
        cr_assert_lt(count, sizeof series / sizeof series[0]);
        series[count++] = line;
    }
    free(copy);
}

static void has(const char *page, const char *sample)
{
    char line[256];
    snprintf(line, sizeof line, "\n%s\n", sample);
    cr_assert_not_null(strstr(page, line), "%s is not in\n%s", sample, page);
}

/* The page of a stream that completed and one that is running. */
static char *streaming_page(const char *model, const tbus_streaming_options_t *options)
{
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    char *page;
    const int64_t start = 1000000000, ms = 1000000;
    cr_assert_eq(tbus_streaming_open(options, &streaming), 0);
    const tbus_stream_start_t begin = {.model = model, .input_tokens = 150, .time_ns = start};
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", &begin), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 1, 0, TBUS_TOKEN_CONTENT, start + (100 + i) * ms), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s",
                                           &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_COMPLETED,
                                                                .token_count = 3,
                                                                .time_ns = start + 150 * ms}),
                 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "t", &begin), 0);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "t", start), 0);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(tbus_prometheus_streaming(s, &page), 0);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    return page;
}

Test(prometheus, the_streaming_page_has_every_specified_name)
{
    char *page = streaming_page("gpt-4o", NULL);
    check_form(page);
    has(page, "streaming_total_streams 2");
    has(page, "streaming_active_streams 1");
    has(page, "streaming_completed_streams 1");
    has(page, "streaming_failed_streams 0");
    has(page, "streaming_total_tokens 3");
    has(page, "streaming_ttft_milliseconds{quantile=\"0.5\"} 100");
    has(page, "streaming_ttft_milliseconds{quantile=\"0.99\"} 100");
    has(page, "streaming_itl_milliseconds{quantile=\"0.95\"} 1");
    has(page, "streaming_tokens_per_second{quantile=\"0.5\"} 20");
    has(page, "streaming_duration_milliseconds{quantile=\"0.5\"} 150");
    has(page, "streaming_success_rate 0.5");
    has(page, "streaming_backpressure_events 1");
    has(page, "streaming_streams_by_model{model=\"gpt-4o\"} 2");
    has(page, "streaming_tokens_by_model{model=\"gpt-4o\"} 3");
    has(page, "streaming_recent_streams_by_model{model=\"gpt-4o\"} 2");
    has(page, "streaming_recent_tokens_by_model{model=\"gpt-4o\"} 3");
    has(page, "streaming_tpot_seconds{quantile=\"0.5\"} 0.025");
    has(page, "streaming_icl_seconds{quantile=\"0.95\"} 0.001");
    cr_assert_null(strstr(page, "goodput"), "without limits there is none");
    tbus_mem_free(page);
}

#define GEN_AI "{gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"\",gen_ai_request_model=\"gpt-4o\""

/* The buckets of one histogram add up, end with all, and are as many as its bounds and one. */
static void check_buckets(const char *page, const char *name, const char *labels, int expected_buckets,
                          const char *expected_sum, unsigned long long expected_count)
{
    char wanted[256], sample[512];
    unsigned long long before = 0, samples = 0;
    int buckets = 0;
    snprintf(wanted, sizeof wanted, "\n%s_bucket%s,le=\"", name, labels);
    for (const char *at = strstr(page, wanted); at; at = strstr(at + 1, wanted), buckets++) {
        cr_assert_eq(sscanf(at + strlen(wanted), "%*[^}]} %llu", &samples), 1);
        cr_assert_geq(samples, before);
        before = samples;
    }
    cr_assert_eq(buckets, expected_buckets, "%s: %d buckets", name, buckets);
    snprintf(sample, sizeof sample, "%s_bucket%s,le=\"+Inf\"} %llu", name, labels, expected_count);
    has(page, sample);
    snprintf(sample, sizeof sample, "%s_count%s} %llu", name, labels, expected_count);
    has(page, sample);
    snprintf(sample, sizeof sample, "%s_sum%s} %s", name, labels, expected_sum);
    has(page, sample);
}

Test(prometheus, the_streaming_page_has_opentelemetrys_histograms)
{
    char *page = streaming_page("gpt-4o", NULL);
    check_buckets(page, "gen_ai_server_time_to_first_token_seconds", GEN_AI, 17, "0.1", 1);
    check_buckets(page, "gen_ai_server_time_per_output_token_seconds", GEN_AI, 14, "0.025", 1);
    check_buckets(page, "gen_ai_server_request_duration_seconds", GEN_AI, 15, "0.15", 1);
    check_buckets(page, "gen_ai_client_token_usage", GEN_AI ",gen_ai_token_type=\"input\"", 15, "150", 1);
    check_buckets(page, "gen_ai_client_token_usage", GEN_AI ",gen_ai_token_type=\"output\"", 15, "3", 1);
    has(page, "gen_ai_server_time_to_first_token_seconds_bucket" GEN_AI ",le=\"0.08\"} 0");
    has(page, "gen_ai_server_time_to_first_token_seconds_bucket" GEN_AI ",le=\"0.1\"} 1");
    has(page, "# TYPE gen_ai_client_token_usage histogram");
    tbus_mem_free(page);
}

Test(prometheus, labels_and_goodput_are_the_hosts)
{
    char *page = streaming_page("gpt-4o", &(tbus_streaming_options_t){.operation_name = "text_completion",
                                                                      .provider_name = "openai",
                                                                      .duration_max_ms = 150});
    check_form(page);
    has(page, "streaming_goodput_ratio 1");
    has(page, "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"text_completion\","
              "gen_ai_provider_name=\"openai\",gen_ai_request_model=\"gpt-4o\"} 1");
    tbus_mem_free(page);
}

Test(prometheus, hostile_labels_are_escaped)
{
    char *page = streaming_page("evil\"} 1\nx{a=\"\\", NULL);
    check_form(page);
    has(page, "streaming_streams_by_model{model=\"evil\\\"} 1\\nx{a=\\\"\\\\\"} 2");
    tbus_mem_free(page);
}

Test(prometheus, help_is_escaped_as_each_format_wants_it)
{
    static const char help[] = "A \"b\"\\c\nd";
    static const struct {
        tbus_prometheus_format_t format;
        const char *page;
    } cases[] = {{TBUS_PROMETHEUS_TEXT, "# HELP a_seconds A \"b\"\\\\c\\nd\n# TYPE a_seconds gauge\n"},
                 {TBUS_PROMETHEUS_OPENMETRICS,
                  "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds A \\\"b\\\"\\\\c\\nd\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page page = {.format = cases[i].format};
        char *text;
        prometheus_family(&page, METRIC_GAUGE, "a_seconds", help);
        cr_assert_eq(text_take(&page.text, &text), 0);
        cr_assert_str_eq(text, cases[i].page);
        tbus_mem_free(text);
    }
}

Test(prometheus, models_whose_names_are_broken_alike_are_one_series)
{
    char full[2][TBUS_STREAM_MODEL_BYTES];
    const char *const names[] = {"m\xFF", "m\xFE", "m\xC3", "m\xEF\xBF\xBD", full[0], full[1]};
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    char *page;
    for (int i = 0; i < 2; i++) {
        memset(full[i], i ? '\x80' : '\xFF', sizeof full[i] - 1);
        full[i][sizeof full[i] - 1] = '\0';
    }
    cr_assert_eq(tbus_streaming_open(NULL, &streaming), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char id[] = {(char)('a' + i), '\0'};
        cr_assert_eq(tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = names[i]}), 0);
    }
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(s->models_count, 2u);
    cr_assert_eq(tbus_prometheus_streaming(s, &page), 0);
    check_form(page);
    has(page, "streaming_streams_by_model{model=\"m\xEF\xBF\xBD\"} 4");
    tbus_mem_free(page);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(prometheus, the_errors_page_has_every_specified_name)
{
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *s;
    char *page;
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    for (int i = 0; i < 999; i++)
        cr_assert_eq(tbus_errors_record_response(errors, "/v1/chat", "m", 200, i), 0);
    tbus_error_t error = {
        .type = "Timeout", .message = "after 30 s", .endpoint = "/v1/chat", .model = "m", .status_code = 504};
    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    cr_assert_eq(tbus_errors_snapshot(errors, 0, &s), 0);
    cr_assert_eq(tbus_prometheus_errors(s, &page), 0);
    check_form(page);
    has(page, "error_total_requests 1000");
    has(page, "error_total_errors 1");
    has(page, "error_rate 0.001");
    has(page, "error_success_rate 0.999");
    has(page, "error_slo_violated 0");
    has(page, "error_budget_remaining 0");
    has(page, "error_budget_percentage 0");
    has(page, "error_by_endpoint{endpoint=\"/v1/chat\"} 1");
    has(page, "error_by_type{type=\"Timeout\"} 1");
    has(page, "error_by_status{status_code=\"504\"} 1");
    has(page, "error_pattern_count 1");
    has(page, "error_burn_rate 1");
    static const char *const windows[] = {"5m", "30m", "1h", "2h", "6h", "1d", "3d"};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        char sample[64];
        snprintf(sample, sizeof sample, "error_burn_rate{window=\"%s\"} 1", windows[i]);
        has(page, sample);
    }
    tbus_mem_free(page);
    tbus_errors_snapshot_free(s);
    tbus_errors_close(errors);
}

Test(prometheus, names_that_are_no_utf8_make_no_series_twice)
{
    static const char *const names[] = {"a\xff", "a\xfe", "a\xc3", "a?", "\xe2\x82", "b"};
    char *page = NULL;
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *s;

    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tbus_error_t error = {.type = names[i], .endpoint = names[i], .model = names[i]};
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    }
    cr_assert_eq(tbus_errors_snapshot(errors, 0, &s), 0);
    cr_assert_eq(tbus_prometheus_errors(s, &page), 0);
    check_form(page);
    has(page, "error_by_endpoint{endpoint=\"a?\"} 8");
    has(page, "error_by_type{type=\"??\"} 2");
    has(page, "error_by_model_total{model=\"b\"} 2");
    tbus_mem_free(page);
    tbus_errors_snapshot_free(s);
    tbus_errors_close(errors);
}

/* Burn rates are of their windows, counters for ever, whatever the SLO is over; a label shows no key. */
/* The page of all trackers, each having heard of each name. */
static char *page_of_names(const char *const *names, size_t count)
{
    tbus_t *bus;
    tbus_telemetry_t *set;
    char *page;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_eq(tbus_telemetry_open(bus, NULL, &set), 0);
    for (size_t i = 0; i < count; i++) {
        const char id[] = {(char)('a' + i), '\0'};
        const tbus_traffic_end_t end = {.duration_ms = 1};
        cr_assert_eq(tbus_requests_record_start(tbus_telemetry_requests(set), names[i], 0), 0);
        cr_assert_eq(tbus_requests_record_end(tbus_telemetry_requests(set), names[i], &end), 0);
        cr_assert_eq(tbus_models_record_end(tbus_telemetry_models(set), names[i], names[i], NULL, &end), 0);
        cr_assert_eq(tbus_models_record_cost(tbus_telemetry_models(set), names[i], tbus_money_units(1000000000)), 0);
        cr_assert_eq(tbus_kvcache_record_lookup(tbus_telemetry_kvcache(set), names[i], 10, 5), 0);
        cr_assert_eq(tbus_kvcache_record_speedup(tbus_telemetry_kvcache(set), names[i], 2, 1), 0);
        cr_assert_eq(tbus_inference_record_start(tbus_telemetry_inference(set), id, names[i], 1, 0), 0);
        cr_assert_eq(tbus_inference_record_worker(tbus_telemetry_inference(set), id, names[i], 0), 0);
        cr_assert_eq(tbus_inference_record_worker_done(tbus_telemetry_inference(set), id, names[i], 1, 0), 0);
    }
    cr_assert_eq(tbus_telemetry_prometheus(set, 0, &page), 0);
    cr_assert_eq(tbus_telemetry_close(set), 0);
    cr_assert_eq(tbus_free(bus), 0);
    return page;
}

Test(prometheus, names_that_are_broken_alike_are_one_series_on_the_page_of_all)
{
    static const char *const names[] = {"m\xFF", "m\xFE", "m\xC3", "m\xEF\xBF\xBD", "m"};
    char *page = page_of_names(names, sizeof names / sizeof *names);
    check_form(page);
    has(page, "request_by_endpoint_total{endpoint=\"m\xEF\xBF\xBD\"} 4");
    has(page, "model_requests_total{model=\"m\xEF\xBF\xBD\"} 4");
    has(page, "model_cost_usd{model=\"m\xEF\xBF\xBD\"} 0.004");
    has(page, "kvcache_hits_by_endpoint_total{endpoint=\"m\xEF\xBF\xBD\"} 4");
    has(page, "inference_worker_requests_total{worker=\"m\xEF\xBF\xBD\"} 4");
    tbus_mem_free(page);
}

Test(prometheus, the_errors_page_tells_windows_apart)
{
    const int64_t hour = INT64_C(3600) * 1000000000;
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *s;
    char *page;
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.rolling = true, .compliance_s = 86400}, &errors), 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(tbus_errors_record_response(errors, "/v1?api_key=aB3dE6gH9", "m", i < 2 ? 503 : 200, 0), 0);
    cr_assert_eq(tbus_errors_snapshot(errors, 4 * hour, &s), 0);
    cr_assert_eq(tbus_prometheus_errors(s, &page), 0);
    has(page, "error_burn_rate 2");
    has(page, "error_burn_rate{window=\"2h\"} 0");
    has(page, "error_burn_rate{window=\"6h\"} 2");
    has(page, "error_by_endpoint{endpoint=\"/v1?api_key=*\"} 2");
    tbus_mem_free(page);
    tbus_errors_snapshot_free(s);
    cr_assert_eq(tbus_errors_snapshot(errors, 48 * hour, &s), 0);
    cr_assert_eq(tbus_prometheus_errors(s, &page), 0);
    check_form(page);
    has(page, "error_total_requests 1000");
    has(page, "error_total_errors 2");
    has(page, "error_burn_rate 0");
    has(page, "error_slo_violated 0");
    has(page, "error_burn_rate{window=\"3d\"} 2");
    tbus_mem_free(page);
    tbus_errors_snapshot_free(s);
    tbus_errors_close(errors);
}

Test(prometheus, the_cost_page_has_exact_amounts_and_no_whole_key)
{
    tbus_cost_t *cost;
    tbus_cost_snapshot_t *s;
    char *page;
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    tbus_usage_t usage = {.api_key = "sk-proj-abcdefghijklmnop",
                          .model = "gpt-4o-mini",
                          .endpoint = "/v1/chat",
                          .prompt_tokens = 1,
                          .completion_tokens = 1};
    cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    usage.model = "no such model";
    cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    cr_assert_eq(tbus_cost_snapshot(cost, &s), 0);
    cr_assert_eq(tbus_prometheus_cost(s, &page), 0);
    check_form(page);
    has(page, "cost_by_model_usd{model=\"gpt-4o-mini\"} 0.00000075");
    has(page, "cost_total_usd 0.00000275");
    has(page, "cost_by_endpoint_usd{endpoint=\"/v1/chat\"} 0.00000275");
    has(page, "cost_unpriced_requests{model=\"no such model\"} 1");
    has(page, "cost_tokens_total{kind=\"input\"} 2");
    has(page, "cost_tokens_total{kind=\"cache_read\"} 0");
    has(page, "cost_tokens_total{kind=\"cache_write\"} 0");
    has(page, "cost_tokens_total{kind=\"output\"} 2");
    has(page, "cost_tokens_total{kind=\"reasoning\"} 0");
    has(page, "cost_projected_monthly_usd 0.00198"); /* 0.00000275 in an hour: 720 times that in 30 days */
    has(page, "cost_cache_savings_usd 0");
    cr_assert_null(strstr(page, "abcdefghijklmnop"));
    cr_assert_not_null(strstr(page, "cost_by_key_usd{key=\"sk-p.."));
    tbus_mem_free(page);
    tbus_cost_snapshot_free(s);
    tbus_cost_close(cost);
}

static char *cost_page_of(tbus_cost_t *cost)
{
    tbus_cost_snapshot_t *s;
    char *page;
    cr_assert_eq(tbus_cost_snapshot(cost, &s), 0);
    cr_assert_eq(tbus_prometheus_cost(s, &page), 0);
    tbus_cost_snapshot_free(s);
    check_form(page);
    return page;
}

Test(prometheus, costs_whose_labels_are_shown_alike_are_one_series)
{
    static const char key[] = "sk-proj-abcdefghijklmnop";
    static const char *const broken[] = {"m\xFF", "m\xFE", "m\xEF\xBF\xBD", "m\xC3", "m"};
    char shown[TBUS_REDACTED_BYTES], sample[128];
    tbus_cost_t *cost;
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        tbus_usage_t usage = {.model = broken[i], .endpoint = broken[i], .prompt_tokens = 1000000};
        usage.api_key = i % 2 ? key : tbus_redact_key(key, shown); /* a client may send what the other is shown as */
        cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    }
    char *page = cost_page_of(cost);
    snprintf(sample, sizeof sample, "cost_by_key_usd{key=\"%s\"} 2.5", shown);
    has(page, sample);
    has(page, "cost_by_model_usd{model=\"m\xEF\xBF\xBD\"} 2");
    has(page, "cost_by_model_usd{model=\"m\"} 0.5");
    has(page, "cost_by_endpoint_usd{endpoint=\"m\xEF\xBF\xBD\"} 2");
    has(page, "cost_unpriced_requests{model=\"m\xEF\xBF\xBD\"} 4");
    has(page, "cost_unpriced_requests{model=\"m\"} 1");
    tbus_mem_free(page);
    tbus_cost_close(cost);
}

Test(prometheus, a_cost_that_can_fall_is_no_counter)
{
    tbus_cost_t *cost;
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    tbus_usage_t usage = {.api_key = "key", .model = "gone", .endpoint = "/v1/chat", .request_id = "r"};
    usage.prompt_tokens = 1000000;
    usage.estimated = true;
    cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    char *before = cost_page_of(cost);
    usage.model = "gpt-3.5-turbo";
    usage.prompt_tokens = 1;
    usage.estimated = false;
    cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    char *after = cost_page_of(cost), name[128];
    has(before, "cost_total_usd 0.5");
    has(after, "cost_total_usd 0.0000005");
    int families = 0;
    for (const char *at = after; (at = strstr(at, "# TYPE ")); at++, families++) {
        cr_assert_eq(sscanf(at, "# TYPE %127s", name), 1);
        cr_assert(strncmp(at + strlen("# TYPE ") + strlen(name), " gauge\n", 7) == 0, "%s", name);
    }
    cr_assert_geq(families, 9);
    tbus_mem_free(before);
    tbus_mem_free(after);
    tbus_cost_close(cost);
}

Test(prometheus, the_cost_page_may_lack_memory_anywhere)
{
    struct oom oom = {.fail_at = -1};
    tbus_cost_snapshot_t *s;
    tbus_cost_t *cost;
    char *page = NULL;
    oom_install(&oom);
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    cr_assert_eq(tbus_cost_record_usage(cost, &(tbus_usage_t){.api_key = "key", .model = "gpt-4o"}, NULL), 0);
    cr_assert_eq(tbus_cost_snapshot(cost, &s), 0);
    int failures = 0, error;
    do {
        oom.fail_at = atomic_load(&oom.calls) + failures;
        error = tbus_prometheus_cost(s, &page);
        cr_assert(error == 0 || (error == UV_ENOMEM && !page));
        failures += error != 0;
    } while (error);
    cr_assert_gt(failures, 1);
    tbus_mem_free(page);
    tbus_cost_snapshot_free(s);
    tbus_cost_close(cost);
    cr_assert_eq(atomic_load(&oom.live), 0);
}

Test(prometheus, null_and_missing_memory_are_refused)
{
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    char *page = NULL;
    cr_assert_eq(tbus_prometheus_streaming(NULL, &page), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_errors(NULL, &page), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_cost(NULL, &page), UV_EINVAL);
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    cr_assert_eq(tbus_streaming_open(NULL, &streaming), 0);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(tbus_prometheus_streaming(s, NULL), UV_EINVAL);
    oom.fail_at = atomic_load(&oom.calls);
    cr_assert_eq(tbus_prometheus_streaming(s, &page), UV_ENOMEM);
    cr_assert_null(page);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}
