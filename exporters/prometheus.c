#include "exporters/prometheus.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exporters/digits.h"

static const char total[] = "_total";
enum {
    TOTAL_LENGTH = sizeof total - 1,
    BOUND_BYTES = DIGITS_BYTES + 16, /* as a label */
    NUMBER_BYTES = 64                /* and what stands around it and the labels */
};

static_assert(DIGITS_BYTES + 8 < NUMBER_BYTES && TBUS_MONEY_TEXT_MAX + 8 < NUMBER_BYTES, "any number fits");
static_assert(sizeof((struct page *)0)->created + 8 < NUMBER_BYTES, "a time fits");

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

static void add_metadata(struct page *page, const char *keyword, const char *value,
                         void (*add)(struct text *text, const char *value))
{
    struct text *text = &page->text;
    text_add(text, "# ");
    text_add(text, keyword);
    text_add(text, " ");
    text_add_bytes(text, page->name, page->name_length);
    text_add(text, " ");
    add(text, value);
    text_add(text, "\n");
}

void prometheus_family(struct page *page, enum metric metric, const char *name, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "summary", "histogram"};
    page->metric = metric;
    page->name = name;
    page->name_length = strlen(name);
    if (!is_open(page)) {
        add_metadata(page, "HELP", help, text_add_help);
        add_metadata(page, "TYPE", types[metric], text_add);
        return;
    }
    if (metric == METRIC_COUNTER && ends_with(name, page->name_length, total))
        page->name_length -= TOTAL_LENGTH;
    add_metadata(page, "TYPE", types[metric], text_add);
    const char *unit = unit_of(name, page->name_length);
    if (unit)
        add_metadata(page, "UNIT", unit, text_add);
    add_metadata(page, "HELP", help, text_add_label);
}

/* --- Labels --- */

void prometheus_begin_rows(struct page *page)
{
    page->labels.length = 0;
}

void prometheus_add_row(struct page *page, const struct prometheus_label *labels, size_t count)
{
    struct text *text = &page->labels;
    for (size_t i = 0; i < count; i++) {
        text_add(text, i > 0 ? "," : "");
        text_add(text, labels[i].name);
        text_add(text, "=\"");
        text_add_label(text, labels[i].value);
        if (labels[i].nth > 1) {
            char digits[DIGITS_BYTES];
            text_add(text, "~");
            text_add_bytes(text, digits, digits_of_uint(labels[i].nth, digits));
        }
        text_add(text, "\"");
    }
    text_add_bytes(text, "", 1);
}

size_t prometheus_end_rows(struct page *page, size_t count)
{
    page->text.failed |= page->labels.failed;
    return page->labels.failed ? 0 : count;
}

struct prometheus_labels prometheus_labels(struct page *page, const struct prometheus_label *labels, size_t count)
{
    prometheus_begin_rows(page);
    prometheus_add_row(page, labels, count);
    const char *at = prometheus_end_rows(page, 1) ? page->labels.bytes : "";
    return prometheus_next_row(&at);
}

struct prometheus_labels prometheus_label(struct page *page, const char *name, const char *value)
{
    return prometheus_labels(page, &(const struct prometheus_label){name, value, 0}, 1);
}

/* --- Samples --- */

static char *put(char *at, const char *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

/* Up to the number, for which there is room then; `first` stands before the other labels. NULL = the text has failed. */
static char *begin_sample(struct page *page, const char *suffix, struct prometheus_labels first,
                          struct prometheus_labels labels)
{
    const size_t suffix_length = strlen(suffix);
    if (!text_reserve(&page->text, page->name_length + suffix_length + first.length + labels.length + NUMBER_BYTES))
        return NULL;
    char *at = put(page->text.bytes + page->text.length, page->name, page->name_length);
    if (suffix_length > 0)
        at = put(at, suffix, suffix_length);
    if (first.length > 0) {
        *at++ = '{';
        at = put(at, first.bytes, first.length);
    }
    if (labels.length > 0) {
        *at++ = first.length > 0 ? ',' : '{';
        at = put(at, labels.bytes, labels.length);
    }
    if (first.length + labels.length > 0)
        *at++ = '}';
    *at++ = ' ';
    return at;
}

/* `at`: behind the number. */
static void end_sample(struct page *page, char *at)
{
    *at++ = '\n';
    page->text.length = (size_t)(at - page->text.bytes);
}

static const char *suffix_of(const struct page *page)
{
    return is_open(page) && page->metric == METRIC_COUNTER ? total : "";
}

/* Since when a counter or a histogram counts. */
static void add_created(struct page *page, struct prometheus_labels labels)
{
    if (!is_open(page) || !page->created[0] || (page->metric != METRIC_COUNTER && page->metric != METRIC_HISTOGRAM))
        return;
    char *at = begin_sample(page, "_created", PROMETHEUS_NO_LABELS, labels);
    if (at)
        end_sample(page, put(at, page->created, strlen(page->created)));
}

static void add_uint(struct page *page, const char *suffix, struct prometheus_labels first,
                     struct prometheus_labels labels, uint64_t number)
{
    char *at = begin_sample(page, suffix, first, labels);
    if (at)
        end_sample(page, at + digits_of_uint(number, at));
}

static void add_double(struct page *page, const char *suffix, struct prometheus_labels first,
                       struct prometheus_labels labels, double number)
{
    char *at = begin_sample(page, suffix, first, labels);
    if (at)
        end_sample(page, at + digits_of_double(number, at));
}

void prometheus_uint(struct page *page, struct prometheus_labels labels, uint64_t number)
{
    add_uint(page, suffix_of(page), PROMETHEUS_NO_LABELS, labels, number);
    add_created(page, labels);
}

void prometheus_double(struct page *page, struct prometheus_labels labels, double number)
{
    add_double(page, suffix_of(page), PROMETHEUS_NO_LABELS, labels, number);
    add_created(page, labels);
}

void prometheus_money(struct page *page, struct prometheus_labels labels, tbus_money_t amount)
{
    char *at = begin_sample(page, suffix_of(page), PROMETHEUS_NO_LABELS, labels);
    if (at)
        end_sample(page, at + strlen(tbus_money_format(amount, -1, at)));
    add_created(page, labels);
}

void prometheus_quantile(struct page *page, struct prometheus_labels quantile, struct prometheus_labels labels,
                         double number)
{
    add_double(page, "", quantile, labels, number);
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
static void write_bound(const struct page *page, double bound, char *digits)
{
    size_t length = digits_of_double(bound, digits);
    digits[length] = '\0';
    if (!is_open(page) || !isfinite(bound) || strchr(digits, 'e'))
        return;
    if (fabs(bound) >= 1e6)
        add_exponent(digits + (digits[0] == '-'));
    else if (!strchr(digits, '.'))
        strcpy(digits + length, ".0");
}

void prometheus_histogram(struct page *page, struct prometheus_labels labels, const tbus_buckets_t *buckets)
{
    uint64_t samples = 0; /* in this bucket and those below it */
    char le[BOUND_BYTES] = "le=\"";
    for (size_t i = 0; i <= buckets->bounds->count; i++) {
        samples += buckets->counts[i];
        write_bound(page, i < buckets->bounds->count ? buckets->bounds->values[i] : (double)INFINITY, le + 4);
        strcat(le, "\"");
        add_uint(page, "_bucket", labels, (struct prometheus_labels){le, strlen(le)}, samples);
    }
    add_double(page, "_sum", PROMETHEUS_NO_LABELS, labels, buckets->sum);
    add_uint(page, "_count", PROMETHEUS_NO_LABELS, labels, buckets->count);
    add_created(page, labels);
}

/* --- Families of one series --- */

void prometheus_one_uint(struct page *page, enum metric metric, const char *name, const char *help, uint64_t number)
{
    prometheus_family(page, metric, name, help);
    prometheus_uint(page, PROMETHEUS_NO_LABELS, number);
}

void prometheus_one_double(struct page *page, enum metric metric, const char *name, const char *help, double number)
{
    prometheus_family(page, metric, name, help);
    prometheus_double(page, PROMETHEUS_NO_LABELS, number);
}

void prometheus_one_money(struct page *page, enum metric metric, const char *name, const char *help,
                          tbus_money_t amount)
{
    prometheus_family(page, metric, name, help);
    prometheus_money(page, PROMETHEUS_NO_LABELS, amount);
}

void prometheus_quantiles(struct page *page, const char *name, const char *help,
                          const tbus_distribution_t *distribution)
{
    prometheus_family(page, METRIC_SUMMARY, name, help);
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.5\""), PROMETHEUS_NO_LABELS, distribution->p50);
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.95\""), PROMETHEUS_NO_LABELS, distribution->p95);
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.99\""), PROMETHEUS_NO_LABELS, distribution->p99);
}
