#include <inttypes.h>
#include <stdio.h>

#include "exporters/prometheus.h"

static void add_counts(struct page *page, const char *name, const char *help, const char *label,
                       const tbus_error_count_t *counts, size_t count)
{
    prometheus_family(page, METRIC_COUNTER, name, help);
    for (size_t i = 0; i < count; i++)
        prometheus_uint(page, prometheus_label(page, label, counts[i].name), counts[i].errors);
}

/* Codes outside 100 .. 599 share one series, and errors without a code another. */
static void add_statuses(struct page *page, const tbus_errors_snapshot_t *snapshot)
{
    prometheus_family(page, METRIC_COUNTER, "error_by_status", "Errors by HTTP status code.");
    for (size_t i = 0; i < snapshot->by_status_count; i++) {
        const tbus_error_status_count_t *status = &snapshot->by_status[i];
        char code[24];
        if (status->status_code > 0)
            snprintf(code, sizeof code, "%" PRId64, status->status_code);
        else
            snprintf(code, sizeof code, "%s", status->status_code == 0 ? "none" : "other");
        prometheus_uint(page, prometheus_label(page, "status_code", code), status->errors);
    }
}

/* On the SLO's basis without a label, then over each window. */
static void add_burn_rates(struct page *page, const tbus_slo_t *slo)
{
    static const char name[] = "error_burn_rate";

    prometheus_family(page, METRIC_GAUGE, name,
                      "Error rate / error rate that the SLO allows: above 1 the budget will not last.");
    prometheus_double(page, PROMETHEUS_NO_LABELS, slo->status.burn_rate);
    for (unsigned i = 0; i < TBUS_BURN_WINDOWS; i++)
        prometheus_double(page, prometheus_label(page, "window", tbus_burn_window_name(i)), slo->burn[i].burn_rate);
}

void prometheus_add_errors(struct page *page, const tbus_errors_snapshot_t *snapshot)
{
    const tbus_slo_status_t *slo = &snapshot->slo;
    prometheus_one_uint(page, METRIC_COUNTER, "error_total_requests", "Requests and errors that count for the SLO.",
                        snapshot->requests);
    prometheus_one_uint(page, METRIC_COUNTER, "error_total_errors",
                        "Requests that failed, and errors outside of requests.", snapshot->failed);
    prometheus_one_double(page, METRIC_GAUGE, "error_rate", "Errors / requests.", slo->error_rate);
    prometheus_one_double(page, METRIC_GAUGE, "error_success_rate", "1 - error rate.", slo->success_rate);
    prometheus_one_double(page, METRIC_GAUGE, "error_slo_target_ratio", "Share of requests that must succeed.",
                          snapshot->slo_of_all.status.target_ppm / 1e6);
    prometheus_one_uint(page, METRIC_GAUGE, "error_slo_violated", "1 when more failed than the SLO allows.",
                        slo->violated);
    prometheus_one_uint(page, METRIC_GAUGE, "error_budget_remaining", "Errors that the SLO still allows.",
                        slo->budget_remaining);
    prometheus_one_double(page, METRIC_GAUGE, "error_budget_percentage", "Per cent of the error budget that is left.",
                          slo->budget_percentage);
    add_burn_rates(page, &snapshot->slo_of_all);
    add_counts(page, "error_by_endpoint", "Errors by endpoint.", "endpoint", snapshot->by_endpoint,
               snapshot->by_endpoint_count);
    add_counts(page, "error_by_type", "Errors by type.", "type", snapshot->by_type, snapshot->by_type_count);
    add_counts(page, "error_by_model_total", "Errors by model.", "model", snapshot->by_model, snapshot->by_model_count);
    add_statuses(page, snapshot);
    prometheus_one_uint(page, METRIC_GAUGE, "error_pattern_count", "Error patterns kept.", snapshot->patterns_count);
}
