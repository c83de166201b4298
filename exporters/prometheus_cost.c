#include <tallybus/prometheus.h>

#include "exporters/prometheus.h"

static void add_sums(struct text *text, const char *name, const char *help, const char *label,
                     const tbus_cost_sum_t *sums, size_t count)
{
    prometheus_family(text, METRIC_COUNTER, name, help);
    for (size_t i = 0; i < count; i++)
        prometheus_money(text, name, label, sums[i].name, sums[i].usd);
}

static void add_unpriced(struct text *text, const tbus_cost_snapshot_t *snapshot)
{
    prometheus_family(text, METRIC_COUNTER, "cost_unpriced_requests",
                      "Requests that used something for which their model has no price, by model.");
    for (size_t i = 0; i < snapshot->by_model_count; i++)
        if (snapshot->by_model[i].unpriced_requests > 0)
            prometheus_uint(text, "cost_unpriced_requests", "model", snapshot->by_model[i].name,
                            snapshot->by_model[i].unpriced_requests);
}

static void add_tokens(struct text *text, const tbus_cost_sum_t *total)
{
    prometheus_family(text, METRIC_COUNTER, "cost_tokens_total",
                      "Tokens by kind, each token in one, but for reasoning, which is part of the output.");
    prometheus_uint(text, "cost_tokens_total", "kind", "input",
                    total->prompt_tokens - total->cached_tokens - total->cache_write_tokens);
    prometheus_uint(text, "cost_tokens_total", "kind", "cache_read", total->cached_tokens);
    prometheus_uint(text, "cost_tokens_total", "kind", "cache_write", total->cache_write_tokens);
    prometheus_uint(text, "cost_tokens_total", "kind", "output", total->completion_tokens);
    prometheus_uint(text, "cost_tokens_total", "kind", "reasoning", total->reasoning_tokens);
}

int tbus_prometheus_cost(const tbus_cost_snapshot_t *snapshot, char **ret_text)
{
    struct text text = {0};
    if (!snapshot || !ret_text)
        return UV_EINVAL;
    prometheus_one_money(&text, METRIC_COUNTER, "cost_total_usd", "Cost of all requests in USD.", snapshot->total.usd);
    add_sums(&text, "cost_by_model_usd", "Cost in USD, by model.", "model", snapshot->by_model,
             snapshot->by_model_count);
    add_sums(&text, "cost_by_endpoint_usd", "Cost in USD, by endpoint.", "endpoint", snapshot->by_endpoint,
             snapshot->by_endpoint_count);
    add_sums(&text, "cost_by_key_usd", "Cost in USD, by API key (redacted).", "key", snapshot->by_key,
             snapshot->by_key_count);
    prometheus_one_money(&text, METRIC_GAUGE, "cost_projected_monthly_usd",
                         "Cost of 30 days at the pace of the last 7, in USD.", snapshot->projected_monthly);
    prometheus_one_money(&text, METRIC_GAUGE, "cost_cache_savings_usd", "What cached tokens saved, in USD.",
                         snapshot->cache_savings);
    prometheus_one_money(&text, METRIC_GAUGE, "cost_batch_savings_usd", "What batch requests saved, in USD.",
                         snapshot->batch_savings);
    add_unpriced(&text, snapshot);
    add_tokens(&text, &snapshot->total);
    return text_take(&text, ret_text);
}
