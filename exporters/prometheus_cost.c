/* All of it is gauges: what was added for an estimate is taken off when the real figures come, and a counter that falls
 * would be read as one that began anew, with all of its value for new. */
#include <stdlib.h>
#include <string.h>

#include "exporters/prometheus.h"

/* A list with one row for each label that is shown. Rows can be shown alike: names in bytes that are no text, and keys,
 * of which a client may also send the redacted form of another's. Each series must stand once on a page, and a number
 * behind its name would change from one page to the next. */
struct series {
    tbus_cost_sum_t *rows;
    size_t count;
};

static int by_label(const void *left, const void *right)
{
    const tbus_cost_sum_t *a = left, *b = right;
    return text_compare_labels(a->name, b->name);
}

static void merge(tbus_cost_sum_t *to, const tbus_cost_sum_t *more)
{
    tbus_money_t sum;
    if (tbus_money_add(to->usd, more->usd, &sum) == 0) /* a part of the total, which fits */
        to->usd = sum;
    to->unpriced_requests += more->unpriced_requests;
}

/* Without memory the text fails. */
static struct series series_of(struct page *page, const tbus_cost_sum_t *sums, size_t count)
{
    struct series series = {.rows = count ? tbus_mem_alloc(count * sizeof *sums) : NULL};
    if (!series.rows) {
        page->text.failed |= count > 0;
        return series;
    }
    memcpy(series.rows, sums, count * sizeof *sums);
    qsort(series.rows, count, sizeof *series.rows, by_label);
    for (size_t i = 0; i < count; i++) {
        if (series.count > 0 && by_label(&series.rows[series.count - 1], &series.rows[i]) == 0)
            merge(&series.rows[series.count - 1], &series.rows[i]);
        else
            series.rows[series.count++] = series.rows[i];
    }
    return series;
}

static void add_sums(struct page *page, const char *name, const char *help, const char *label,
                     const struct series *series)
{
    prometheus_family(page, METRIC_GAUGE, name, help);
    for (size_t i = 0; i < series->count; i++)
        prometheus_money(page, prometheus_label(page, label, series->rows[i].name), series->rows[i].usd);
}

static void add_unpriced(struct page *page, const struct series *models)
{
    prometheus_family(page, METRIC_GAUGE, "cost_unpriced_requests",
                      "Requests that used something for which their model has no price, by model.");
    for (size_t i = 0; i < models->count; i++)
        if (models->rows[i].unpriced_requests > 0)
            prometheus_uint(page, prometheus_label(page, "model", models->rows[i].name),
                            models->rows[i].unpriced_requests);
}

static void add_tokens(struct page *page, const tbus_cost_sum_t *total)
{
    prometheus_family(page, METRIC_GAUGE, "cost_tokens_total",
                      "Tokens by kind, each token in one, but for reasoning, which is part of the output.");
    prometheus_uint(page, PROMETHEUS_LABELS("kind=\"input\""),
                    total->prompt_tokens - total->cached_tokens - total->cache_write_tokens);
    prometheus_uint(page, PROMETHEUS_LABELS("kind=\"cache_read\""), total->cached_tokens);
    prometheus_uint(page, PROMETHEUS_LABELS("kind=\"cache_write\""), total->cache_write_tokens);
    prometheus_uint(page, PROMETHEUS_LABELS("kind=\"output\""), total->completion_tokens);
    prometheus_uint(page, PROMETHEUS_LABELS("kind=\"reasoning\""), total->reasoning_tokens);
}

void prometheus_add_cost(struct page *page, const tbus_cost_snapshot_t *snapshot)
{
    struct series models = series_of(page, snapshot->by_model, snapshot->by_model_count);
    struct series endpoints = series_of(page, snapshot->by_endpoint, snapshot->by_endpoint_count);
    struct series keys = series_of(page, snapshot->by_key, snapshot->by_key_count);
    prometheus_one_money(page, METRIC_GAUGE, "cost_total_usd", "Cost of all requests in USD.", snapshot->total.usd);
    add_sums(page, "cost_by_model_usd", "Cost in USD, by model.", "model", &models);
    add_sums(page, "cost_by_endpoint_usd", "Cost in USD, by endpoint.", "endpoint", &endpoints);
    add_sums(page, "cost_by_key_usd", "Cost in USD, by API key (redacted).", "key", &keys);
    prometheus_one_money(page, METRIC_GAUGE, "cost_projected_monthly_usd",
                         "Cost of 30 days at the pace of the last 7, in USD.", snapshot->projected_monthly);
    prometheus_one_money(page, METRIC_GAUGE, "cost_cache_savings_usd", "What cached tokens saved, in USD.",
                         snapshot->cache_savings);
    prometheus_one_money(page, METRIC_GAUGE, "cost_batch_savings_usd", "What batch requests saved, in USD.",
                         snapshot->batch_savings);
    add_unpriced(page, &models);
    add_tokens(page, &snapshot->total);
    tbus_mem_free(models.rows);
    tbus_mem_free(endpoints.rows);
    tbus_mem_free(keys.rows);
}
