/* Prometheus text, format 0.0.4: families with their HELP and TYPE, and samples below them. */
#ifndef EXPORTERS_PROMETHEUS_H
#define EXPORTERS_PROMETHEUS_H

#include <tallybus/buckets.h>
#include <tallybus/distribution.h>
#include <tallybus/money.h>

#include "exporters/text.h"

enum metric { METRIC_COUNTER, METRIC_GAUGE, METRIC_SUMMARY, METRIC_HISTOGRAM };

/* Begins a family: its HELP and TYPE. Once for each. */
void prometheus_family(struct text *text, enum metric metric, const char *name, const char *help);

/* One sample of the family `name`: `label` NULL = without labels. */
void prometheus_uint(struct text *text, const char *name, const char *label, const char *value, uint64_t number);
void prometheus_double(struct text *text, const char *name, const char *label, const char *value, double number);
void prometheus_money(struct text *text, const char *name, const char *label, const char *value, tbus_money_t amount);

struct prometheus_label {
    const char *name, *value;
};

/* One sample with several labels. */
void prometheus_labelled(struct text *text, const char *name, const struct prometheus_label *labels, size_t count,
                         double number);

/* One histogram of the family `name`: a sample for each bucket, their sum and their count. */
void prometheus_histogram(struct text *text, const char *name, const struct prometheus_label *labels, size_t count,
                          const tbus_buckets_t *buckets);

/* A family of one sample without labels. */
void prometheus_one_uint(struct text *text, enum metric metric, const char *name, const char *help, uint64_t number);
void prometheus_one_double(struct text *text, enum metric metric, const char *name, const char *help, double number);
void prometheus_one_money(struct text *text, enum metric metric, const char *name, const char *help,
                          tbus_money_t amount);

/* A family of quantiles 0.5, 0.95 and 0.99. They are over a window, so there is no sum and no count, which would fall.
 */
void prometheus_quantiles(struct text *text, const char *name, const char *help,
                          const tbus_distribution_t *distribution);

#endif
