#include "exporters/prometheus_columns.h"

static const struct column all[] = {
    {"model_negative_durations_total", "Durations below 0.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_models_snapshot_t, negative_durations)},
    {"model_refused_costs_total", "Costs that no sum had room for.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_models_snapshot_t, refused_costs)},
    {"model_times_ahead_total", "Times too far ahead of the clock to be believed.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_models_snapshot_t, ahead)},
    {"model_endpoints_full", "1 when endpoints are told apart no further.", METRIC_GAUGE, COLUMN_BOOL,
     offsetof(tbus_models_snapshot_t, endpoints_full)},
    {"model_users_full", "1 when users are told apart no further.", METRIC_GAUGE, COLUMN_BOOL,
     offsetof(tbus_models_snapshot_t, users_full)},
};

static const struct column by_model[] = {
    {"model_requests_total", "Requests that ended, by model.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_model_t, traffic.requests)},
    {"model_errors_total", "Requests that failed, or ended with a status of 500 or more, by model.", METRIC_COUNTER,
     COLUMN_UINT, offsetof(tbus_model_t, traffic.errors)},
    {"model_error_rate", "Errors / requests, by model.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_model_t, error_rate)},
    {"model_prompt_tokens_total", "Prompt tokens, by model.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_model_t, traffic.prompt_tokens)},
    {"model_completion_tokens_total", "Completion tokens, by model.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_model_t, traffic.completion_tokens)},
    {"model_tokens_total", "Prompt and completion tokens, by model.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_model_t, total_tokens)},
    {"model_latency_seconds", "Latency of the requests in the window, by model.", METRIC_SUMMARY, COLUMN_MS_QUANTILES,
     offsetof(tbus_model_t, traffic.latency_ms)},
    {"model_latency_average_seconds", "Mean latency of the requests in the window, by model.", METRIC_GAUGE, COLUMN_MS,
     offsetof(tbus_model_t, traffic.latency_ms.avg)},
    {"model_cost_usd", "Cost in USD, by model.", METRIC_GAUGE, COLUMN_MONEY, offsetof(tbus_model_t, cost)},
    {"model_first_use_timestamp_seconds", "The earliest use in seconds since 1970, by model.", METRIC_GAUGE,
     COLUMN_MOMENT, offsetof(tbus_model_t, first_ns)},
    {"model_last_use_timestamp_seconds", "The latest use in seconds since 1970, by model.", METRIC_GAUGE, COLUMN_MOMENT,
     offsetof(tbus_model_t, last_ns)},
    {"model_endpoints", "Different endpoints seen, by model.", METRIC_GAUGE, COLUMN_UINT,
     offsetof(tbus_model_t, endpoints)},
    {"model_users", "Different users seen, by model.", METRIC_GAUGE, COLUMN_UINT, offsetof(tbus_model_t, users)},
};

void prometheus_add_models(struct page *page, const tbus_models_snapshot_t *snapshot)
{
    prometheus_columns(page, all, sizeof all / sizeof *all, &(struct column_rows){.rows = snapshot, .count = 1});
    prometheus_columns(page, by_model, sizeof by_model / sizeof *by_model,
                       &(struct column_rows){snapshot->models, snapshot->models_count, sizeof(tbus_model_t), "model",
                                             offsetof(tbus_model_t, traffic.name)});
}
