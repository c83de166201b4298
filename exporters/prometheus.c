#include "exporters/prometheus.h"

#include <math.h>

void prometheus_family(struct text *text, enum metric metric, const char *name, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "summary", "histogram"};
    text_add(text, "# HELP ");
    text_add(text, name);
    text_add(text, " ");
    text_add(text, help);
    text_add(text, "\n# TYPE ");
    text_add(text, name);
    text_add(text, " ");
    text_add(text, types[metric]);
    text_add(text, "\n");
}

static void begin_sample(struct text *text, const char *name, const char *label, const char *value)
{
    text_add(text, name);
    if (label) {
        text_add(text, "{");
        text_add(text, label);
        text_add(text, "=\"");
        text_add_label(text, value);
        text_add(text, "\"}");
    }
    text_add(text, " ");
}

void prometheus_uint(struct text *text, const char *name, const char *label, const char *value, uint64_t number)
{
    begin_sample(text, name, label, value);
    text_add_uint(text, number);
    text_add(text, "\n");
}

void prometheus_double(struct text *text, const char *name, const char *label, const char *value, double number)
{
    begin_sample(text, name, label, value);
    text_add_double(text, number);
    text_add(text, "\n");
}

void prometheus_money(struct text *text, const char *name, const char *label, const char *value, tbus_money_t amount)
{
    char digits[TBUS_MONEY_TEXT_MAX];
    begin_sample(text, name, label, value);
    text_add(text, tbus_money_format(amount, -1, digits));
    text_add(text, "\n");
}

/* Up to where the next label may stand. */
static void begin_labels(struct text *text, const char *name, const char *suffix, const struct prometheus_label *labels,
                         size_t count)
{
    text_add(text, name);
    text_add(text, suffix);
    text_add(text, "{");
    for (size_t i = 0; i < count; i++) {
        text_add(text, i ? "," : "");
        text_add(text, labels[i].name);
        text_add(text, "=\"");
        text_add_label(text, labels[i].value);
        text_add(text, "\"");
    }
}

void prometheus_labelled(struct text *text, const char *name, const struct prometheus_label *labels, size_t count,
                         double number)
{
    begin_labels(text, name, "", labels, count);
    text_add(text, "} ");
    text_add_double(text, number);
    text_add(text, "\n");
}

static void add_bucket(struct text *text, const char *name, const struct prometheus_label *labels, size_t count,
                       double bound, uint64_t samples)
{
    begin_labels(text, name, "_bucket", labels, count);
    text_add(text, count ? ",le=\"" : "le=\"");
    text_add_double(text, bound);
    text_add(text, "\"} ");
    text_add_uint(text, samples);
    text_add(text, "\n");
}

void prometheus_histogram(struct text *text, const char *name, const struct prometheus_label *labels, size_t count,
                          const tbus_buckets_t *buckets)
{
    uint64_t samples = 0; /* in this bucket and those below it */
    for (size_t i = 0; i <= buckets->bounds->count; i++) {
        samples += buckets->counts[i];
        add_bucket(text, name, labels, count,
                   i < buckets->bounds->count ? buckets->bounds->values[i] : (double)INFINITY, samples);
    }
    begin_labels(text, name, "_sum", labels, count);
    text_add(text, "} ");
    text_add_double(text, buckets->sum);
    text_add(text, "\n");
    begin_labels(text, name, "_count", labels, count);
    text_add(text, "} ");
    text_add_uint(text, buckets->count);
    text_add(text, "\n");
}

void prometheus_one_uint(struct text *text, enum metric metric, const char *name, const char *help, uint64_t number)
{
    prometheus_family(text, metric, name, help);
    prometheus_uint(text, name, NULL, NULL, number);
}

void prometheus_one_double(struct text *text, enum metric metric, const char *name, const char *help, double number)
{
    prometheus_family(text, metric, name, help);
    prometheus_double(text, name, NULL, NULL, number);
}

void prometheus_one_money(struct text *text, enum metric metric, const char *name, const char *help,
                          tbus_money_t amount)
{
    prometheus_family(text, metric, name, help);
    prometheus_money(text, name, NULL, NULL, amount);
}

void prometheus_quantiles(struct text *text, const char *name, const char *help,
                          const tbus_distribution_t *distribution)
{
    prometheus_family(text, METRIC_SUMMARY, name, help);
    prometheus_double(text, name, "quantile", "0.5", distribution->p50);
    prometheus_double(text, name, "quantile", "0.95", distribution->p95);
    prometheus_double(text, name, "quantile", "0.99", distribution->p99);
}
