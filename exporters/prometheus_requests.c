#include "exporters/prometheus_columns.h"

static const struct column all[] = {
    {"request_total", "Requests begun.", METRIC_COUNTER, COLUMN_UINT, offsetof(tbus_requests_snapshot_t, all.requests)},
    {"request_responses_total", "Requests that ended.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, all.responses)},
    {"request_errors_total", "Requests that failed, or ended with a status of 500 or more.", METRIC_COUNTER,
     COLUMN_UINT, offsetof(tbus_requests_snapshot_t, all.errors)},
    {"request_prompt_tokens_total", "Prompt tokens.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, all.prompt_tokens)},
    {"request_completion_tokens_total", "Completion tokens.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, all.completion_tokens)},
    {"request_in_flight", "Requests begun and not ended.", METRIC_GAUGE, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, all.in_flight)},
    {"request_per_second", "Requests begun per second, over the window.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_requests_snapshot_t, all.requests_per_second)},
    {"request_responses_per_second", "Requests ended per second, over the window.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_requests_snapshot_t, all.responses_per_second)},
    {"request_errors_per_second", "Errors per second, over the window.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_requests_snapshot_t, all.errors_per_second)},
    {"request_tokens_per_second", "Tokens per second, over the window.", METRIC_GAUGE, COLUMN_DOUBLE,
     offsetof(tbus_requests_snapshot_t, all.tokens_per_second)},
    {"request_latency_seconds", "Latency of the requests in the window.", METRIC_SUMMARY, COLUMN_MS_QUANTILES,
     offsetof(tbus_requests_snapshot_t, all.latency_ms)},
    {"request_unmatched_responses_total", "Ends of requests of which none was in flight.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, unmatched_responses)},
    {"request_negative_durations_total", "Durations below 0.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, negative_durations)},
    {"request_times_ahead_total", "Times too far ahead of the clock to be believed.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_requests_snapshot_t, ahead)},
};

static const struct column by_endpoint[] = {
    {"request_by_endpoint_total", "Requests begun, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_traffic_t, requests)},
    {"request_responses_by_endpoint_total", "Requests that ended, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_traffic_t, responses)},
    {"request_errors_by_endpoint_total", "Requests that failed, or ended with a status of 500 or more, by endpoint.",
     METRIC_COUNTER, COLUMN_UINT, offsetof(tbus_traffic_t, errors)},
    {"request_prompt_tokens_by_endpoint_total", "Prompt tokens, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_traffic_t, prompt_tokens)},
    {"request_completion_tokens_by_endpoint_total", "Completion tokens, by endpoint.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_traffic_t, completion_tokens)},
    {"request_in_flight_by_endpoint", "Requests begun and not ended, by endpoint.", METRIC_GAUGE, COLUMN_UINT,
     offsetof(tbus_traffic_t, in_flight)},
    {"request_per_second_by_endpoint", "Requests begun per second, over the window, by endpoint.", METRIC_GAUGE,
     COLUMN_DOUBLE, offsetof(tbus_traffic_t, requests_per_second)},
    {"request_responses_per_second_by_endpoint", "Requests ended per second, over the window, by endpoint.",
     METRIC_GAUGE, COLUMN_DOUBLE, offsetof(tbus_traffic_t, responses_per_second)},
    {"request_errors_per_second_by_endpoint", "Errors per second, over the window, by endpoint.", METRIC_GAUGE,
     COLUMN_DOUBLE, offsetof(tbus_traffic_t, errors_per_second)},
    {"request_tokens_per_second_by_endpoint", "Tokens per second, over the window, by endpoint.", METRIC_GAUGE,
     COLUMN_DOUBLE, offsetof(tbus_traffic_t, tokens_per_second)},
    {"request_latency_by_endpoint_seconds", "Latency of the requests in the window, by endpoint.", METRIC_SUMMARY,
     COLUMN_MS_QUANTILES, offsetof(tbus_traffic_t, latency_ms)},
};

void prometheus_add_requests(struct page *page, const tbus_requests_snapshot_t *snapshot)
{
    prometheus_columns(page, all, sizeof all / sizeof *all, &(struct column_rows){.rows = snapshot, .count = 1});
    prometheus_columns(page, by_endpoint, sizeof by_endpoint / sizeof *by_endpoint,
                       &(struct column_rows){snapshot->endpoints, snapshot->endpoints_count, sizeof(tbus_traffic_t),
                                             "endpoint", offsetof(tbus_traffic_t, name)});
}
