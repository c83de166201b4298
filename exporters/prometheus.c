#include "exporters/prometheus.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char total[] = "_total";
enum { TOTAL_LENGTH = sizeof total - 1, BOUND_BYTES = TEXT_DOUBLE_BYTES + 8 };

static bool is_open(const struct page *page)
{
    return page->format == TBUS_PROMETHEUS_OPENMETRICS;
}

void prometheus_since(struct page *page, int64_t since_ns)
{
    const int64_t second = 1000000000;
    page->created[0] = '\0';
    if (since_ns > 0)
        snprintf(page->created, sizeof page->created, "%lld.%09lld", (long long)(since_ns / second),
                 (long long)(since_ns % second));
}

/* --- Families --- */

static bool ends_with(const char *name, size_t length, const char *end)
{
    const size_t end_length = strlen(end);
    return length > end_length && memcmp(name + length - end_length, end, end_length) == 0;
}

/* The unit that a name ends in, or NULL. */
static const char *unit_of(const char *name, size_t length)
{
    static const char *const units[] = {"_milliseconds", "_seconds", "_bytes", "_ratio", "_usd"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ends_with(name, length, units[i]))
            return units[i] + 1;
    return NULL;
}

static void add_metadata(struct page *page, const char *keyword, const char *value)
{
    struct text *text = &page->text;
    text_add(text, "# ");
    text_add(text, keyword);
    text_add(text, " ");
    text_add_bytes(text, page->name, page->name_length);
    text_add(text, " ");
    text_add(text, value);
    text_add(text, "\n");
}

void prometheus_family(struct page *page, enum metric metric, const char *name, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "summary", "histogram"};
    page->metric = metric;
    page->name = name;
    page->name_length = strlen(name);
    if (!is_open(page)) {
        add_metadata(page, "HELP", help);
        add_metadata(page, "TYPE", types[metric]);
        return;
    }
    if (metric == METRIC_COUNTER && ends_with(name, page->name_length, total))
        page->name_length -= TOTAL_LENGTH;
    add_metadata(page, "TYPE", types[metric]);
    const char *unit = unit_of(name, page->name_length);
    if (unit)
        add_metadata(page, "UNIT", unit);
    add_metadata(page, "HELP", help);
}

/* --- Samples --- */

static void add_label(struct text *text, const struct prometheus_label *label, char before)
{
    text_add_bytes(text, &before, 1);
    text_add(text, label->name);
    text_add(text, "=\"");
    text_add_label(text, label->value);
    if (label->nth > 1) {
        text_add(text, "~");
        text_add_uint(text, label->nth);
    }
    text_add(text, "\"");
}

/* Up to the number; `extra` NULL = no further label. */
static void begin_sample(struct page *page, const char *suffix, const struct prometheus_label *labels, size_t count,
                         const struct prometheus_label *extra)
{
    struct text *text = &page->text;
    char before = '{';
    text_add_bytes(text, page->name, page->name_length);
    text_add(text, suffix);
    for (size_t i = 0; i < count; i++, before = ',')
        add_label(text, &labels[i], before);
    if (extra) {
        add_label(text, extra, before);
        before = ',';
    }
    text_add(text, before == ',' ? "} " : " ");
}

static const char *suffix_of(const struct page *page)
{
    return is_open(page) && page->metric == METRIC_COUNTER ? total : "";
}

/* Since when a counter or a histogram counts. */
static void add_created(struct page *page, const struct prometheus_label *labels, size_t count)
{
    if (!is_open(page) || !page->created[0] || (page->metric != METRIC_COUNTER && page->metric != METRIC_HISTOGRAM))
        return;
    begin_sample(page, "_created", labels, count, NULL);
    text_add(&page->text, page->created);
    text_add(&page->text, "\n");
}

/* A label, or none: as a list. */
#define ONE(label, value) &(const struct prometheus_label){label, value, 0}, (label) != NULL

void prometheus_uint(struct page *page, const char *label, const char *value, uint64_t number)
{
    begin_sample(page, suffix_of(page), ONE(label, value), NULL);
    text_add_uint(&page->text, number);
    text_add(&page->text, "\n");
    add_created(page, ONE(label, value));
}

void prometheus_labelled(struct page *page, const struct prometheus_label *labels, size_t count, double number)
{
    begin_sample(page, suffix_of(page), labels, count, NULL);
    text_add_double(&page->text, number);
    text_add(&page->text, "\n");
    add_created(page, labels, count);
}

void prometheus_double(struct page *page, const char *label, const char *value, double number)
{
    prometheus_labelled(page, ONE(label, value), number);
}

void prometheus_labelled_money(struct page *page, const struct prometheus_label *labels, size_t count,
                               tbus_money_t amount)
{
    char digits[TBUS_MONEY_TEXT_MAX];
    begin_sample(page, suffix_of(page), labels, count, NULL);
    text_add(&page->text, tbus_money_format(amount, -1, digits));
    text_add(&page->text, "\n");
    add_created(page, labels, count);
}

void prometheus_money(struct page *page, const char *label, const char *value, tbus_money_t amount)
{
    prometheus_labelled_money(page, ONE(label, value), amount);
}

/* Digits without an exponent, of a number from 10 on, to those with one: "1234567.5" to "1.2345675e+06". */
static void add_exponent(char *digits)
{
    char *point = strchr(digits, '.');
    const size_t whole = point ? (size_t)(point - digits) : strlen(digits);
    if (point)
        memmove(point, point + 1, strlen(point));
    size_t length = strlen(digits);
    while (length > 1 && digits[length - 1] == '0')
        length--;
    if (length > 1) {
        memmove(digits + 2, digits + 1, length++ - 1);
        digits[1] = '.';
    }
    snprintf(digits + length, 8, "e+%02zu", whole - 1);
}

/* A bound as OpenMetrics wants it, so that all who write it write the same: "1.0" and "1e+06", where text has "1" and
 * "1000000". */
static void write_bound(const struct page *page, double bound, char digits[BOUND_BYTES])
{
    size_t length = text_double(bound, digits);
    digits[length] = '\0';
    if (!is_open(page) || !isfinite(bound) || strchr(digits, 'e'))
        return;
    if (fabs(bound) >= 1e6)
        add_exponent(digits + (digits[0] == '-'));
    else if (!strchr(digits, '.'))
        strcpy(digits + length, ".0");
}

void prometheus_histogram(struct page *page, const struct prometheus_label *labels, size_t count,
                          const tbus_buckets_t *buckets)
{
    uint64_t samples = 0; /* in this bucket and those below it */
    for (size_t i = 0; i <= buckets->bounds->count; i++) {
        char bound[BOUND_BYTES];
        samples += buckets->counts[i];
        write_bound(page, i < buckets->bounds->count ? buckets->bounds->values[i] : (double)INFINITY, bound);
        begin_sample(page, "_bucket", labels, count, &(struct prometheus_label){"le", bound, 0});
        text_add_uint(&page->text, samples);
        text_add(&page->text, "\n");
    }
    begin_sample(page, "_sum", labels, count, NULL);
    text_add_double(&page->text, buckets->sum);
    text_add(&page->text, "\n");
    begin_sample(page, "_count", labels, count, NULL);
    text_add_uint(&page->text, buckets->count);
    text_add(&page->text, "\n");
    add_created(page, labels, count);
}

/* --- Families of one series --- */

void prometheus_one_uint(struct page *page, enum metric metric, const char *name, const char *help, uint64_t number)
{
    prometheus_family(page, metric, name, help);
    prometheus_uint(page, NULL, NULL, number);
}

void prometheus_one_double(struct page *page, enum metric metric, const char *name, const char *help, double number)
{
    prometheus_family(page, metric, name, help);
    prometheus_double(page, NULL, NULL, number);
}

void prometheus_one_money(struct page *page, enum metric metric, const char *name, const char *help,
                          tbus_money_t amount)
{
    prometheus_family(page, metric, name, help);
    prometheus_money(page, NULL, NULL, amount);
}

void prometheus_quantiles(struct page *page, const char *name, const char *help,
                          const tbus_distribution_t *distribution)
{
    const struct {
        const char *quantile;
        double figure;
    } all[] = {{"0.5", distribution->p50}, {"0.95", distribution->p95}, {"0.99", distribution->p99}};
    prometheus_family(page, METRIC_SUMMARY, name, help);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        prometheus_double(page, "quantile", all[i].quantile, all[i].figure);
}
