/* Prometheus pages, in both formats (text 0.0.4 and OpenMetrics 1.0): families with their metadata, and samples below them.
 *
 * A family is told once, with prometheus_family(); its samples follow. What the formats call things differently is known
 * here alone: a counter's samples end in "_total" in OpenMetrics, and its family does not; metadata comes in another
 * order, with the unit that the name ends in; bounds have a point; counters and histograms tell since when they count. */
#ifndef EXPORTERS_PROMETHEUS_H
#define EXPORTERS_PROMETHEUS_H

#include <tallybus/buckets.h>
#include <tallybus/distribution.h>
#include <tallybus/money.h>
#include <tallybus/prometheus.h>

#include "exporters/text.h"

#define PROMETHEUS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PROMETHEUS_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum metric { METRIC_COUNTER, METRIC_GAUGE, METRIC_SUMMARY, METRIC_HISTOGRAM };

/* Labels as they stand on a page, without their braces; "" = none. */
struct prometheus_labels {
    const char *bytes;
    size_t length;
};

#define PROMETHEUS_LABELS(string) ((const struct prometheus_labels){string, sizeof(string) - 1})
#define PROMETHEUS_NO_LABELS PROMETHEUS_LABELS("")

struct page {
    struct text text;
    struct text labels; /* as they were made last, and its memory kept for the next */
    tbus_prometheus_format_t format;
    char created[32]; /* since when what follows counts, in seconds; "" = not known */
    /* Of the family that was begun last. */
    enum metric metric;
    const char *name;
    size_t name_length; /* without a "_total" that OpenMetrics has in samples alone */
};

/* Writes a page behind what is in the text, which knows whether memory failed. Errors: UV_EINVAL. */
int prometheus_write(const tbus_prometheus_sources_t *sources, tbus_prometheus_format_t format, struct text *text);

/* Since when the families that follow count, in nanoseconds since 1970; 0 = not known. */
void prometheus_since(struct page *page, int64_t since_ns);

/* Begins a family. Once for each on a page. */
void prometheus_family(struct page *page, enum metric metric, const char *name, const char *help);

struct prometheus_label {
    const char *name, *value;
    uint64_t nth; /* of the series that would be labelled alike: from 2 on the value gets "~2", ... */
};

/* The labels of a sample. They hold until the next are made, or rows. */
struct prometheus_labels prometheus_labels(struct page *page, const struct prometheus_label *labels, size_t count);
struct prometheus_labels prometheus_label(struct page *page, const char *name, const char *value);

/* The labels of a list's rows, escaped once for all families that tell them:
 *
 *     prometheus_begin_rows(page);
 *     for each row: prometheus_add_row(page, labels, count);
 *     const size_t rows = prometheus_end_rows(page, count);
 *     for each family: const char *at = page->labels.bytes; for each of `rows`: ... prometheus_next_row(&at) ...
 *
 * Without memory no row is told, and the text fails. */
void prometheus_begin_rows(struct page *page);
void prometheus_add_row(struct page *page, const struct prometheus_label *labels, size_t count);
size_t prometheus_end_rows(struct page *page, size_t count);

/* The row that stands at `*at`, which goes on to the next. */
static inline struct prometheus_labels prometheus_next_row(const char **at)
{
    const struct prometheus_labels labels = {*at, strlen(*at)};
    *at += labels.length + 1;
    return labels;
}

/* One sample of the family. */
void prometheus_uint(struct page *page, struct prometheus_labels labels, uint64_t number);
void prometheus_double(struct page *page, struct prometheus_labels labels, double number);
void prometheus_money(struct page *page, struct prometheus_labels labels, tbus_money_t amount);

/* One quantile of a summary, `quantile` being its label. */
void prometheus_quantile(struct page *page, struct prometheus_labels quantile, struct prometheus_labels labels,
                         double number);

/* One histogram of the family: a sample for each bucket, their sum and their count. */
void prometheus_histogram(struct page *page, struct prometheus_labels labels, const tbus_buckets_t *buckets);

/* A family of one sample without labels. */
void prometheus_one_uint(struct page *page, enum metric metric, const char *name, const char *help, uint64_t number);
void prometheus_one_double(struct page *page, enum metric metric, const char *name, const char *help, double number);
void prometheus_one_money(struct page *page, enum metric metric, const char *name, const char *help,
                          tbus_money_t amount);

/* A family of quantiles 0.5, 0.95 and 0.99. They are over a window, so there is no sum and no count, which would fall.
 */
void prometheus_quantiles(struct page *page, const char *name, const char *help,
                          const tbus_distribution_t *distribution);

/* The parts of a page. Without memory the text fails. */
void prometheus_add_bus(struct page *page, const tbus_t *bus);
void prometheus_add_process(struct page *page);
void prometheus_add_streaming(struct page *page, const tbus_streaming_snapshot_t *snapshot);
void prometheus_add_errors(struct page *page, const tbus_errors_snapshot_t *snapshot);
void prometheus_add_cost(struct page *page, const tbus_cost_snapshot_t *snapshot);
void prometheus_add_budgets(struct page *page, const tbus_budgets_snapshot_t *snapshot);
void prometheus_add_requests(struct page *page, const tbus_requests_snapshot_t *snapshot);
void prometheus_add_models(struct page *page, const tbus_models_snapshot_t *snapshot);
void prometheus_add_inference(struct page *page, const tbus_inference_snapshot_t *snapshot);
void prometheus_add_kvcache(struct page *page, const tbus_kvcache_snapshot_t *snapshot);

#endif
