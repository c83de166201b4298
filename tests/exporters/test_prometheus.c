#include <tallybus/prometheus.h>

#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"

/* Each family has its HELP and TYPE once, before its samples; each sample belongs to the family above it; no series
 * twice. */
static void check_form(const char *page)
{
    char *copy = strdup(page), family[128] = "", *series[512];
    size_t count = 0;
    cr_assert_not_null(copy);
    cr_assert_eq(page[strlen(page) - 1], '\n');
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
        char name[128], type[32];
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
        cr_assert_eq(strncmp(line, family, strlen(family)), 0, "%s below %s", line, family);
        cr_assert(strchr("{ ", line[strlen(family)]), "%s below %s", line, family);
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

static char *streaming_page(const char *model)
{
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *s;
    char *page;
    const int64_t start = 1000000000, ms = 1000000;
    cr_assert_eq(tbus_streaming_open(NULL, &streaming), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "s", model, start), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_streaming_record_token(streaming, "s", 1, 0, TBUS_TOKEN_CONTENT, start + (100 + i) * ms), 0);
    cr_assert_eq(tbus_streaming_record_end(streaming, "s", TBUS_STREAM_OUTCOME_COMPLETED, 3, start + 150 * ms), 0);
    cr_assert_eq(tbus_streaming_record_start(streaming, "t", model, start), 0);
    cr_assert_eq(tbus_streaming_record_backpressure(streaming, "t", start), 0);
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    cr_assert_eq(tbus_prometheus_streaming(s, &page), 0);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    return page;
}

Test(prometheus, the_streaming_page_has_every_specified_name)
{
    char *page = streaming_page("gpt-4o");
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
    tbus_mem_free(page);
}

Test(prometheus, hostile_labels_are_escaped)
{
    char *page = streaming_page("evil\"} 1\nx{a=\"\\");
    check_form(page);
    has(page, "streaming_streams_by_model{model=\"evil\\\"} 1\\nx{a=\\\"\\\\\"} 2");
    tbus_mem_free(page);
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
    cr_assert_eq(tbus_errors_snapshot(errors, &s), 0);
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
    cr_assert_not_null(strstr(page, "\nerror_burn_rate "));
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
    oom.fail_at = atomic_load(&oom.calls) + 1;
    cr_assert_eq(tbus_prometheus_streaming(s, &page), UV_ENOMEM);
    cr_assert_null(page);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}
