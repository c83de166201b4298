#include "exporters/prometheus_columns.h"

#include <math.h>
#include <string.h>

static void add_quantiles(struct page *page, struct prometheus_labels labels, const tbus_distribution_t *figures_ms)
{
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.5\""), labels, figures_ms->p50 / 1e3);
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.9\""), labels, figures_ms->p90 / 1e3);
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.95\""), labels, figures_ms->p95 / 1e3);
    prometheus_quantile(page, PROMETHEUS_LABELS("quantile=\"0.99\""), labels, figures_ms->p99 / 1e3);
}

static void add_figure(struct page *page, const struct column *column, struct prometheus_labels labels, const char *at)
{
    uint64_t number;
    int64_t moment_ns;
    bool is_set;
    double figure;
    tbus_money_t amount;
    tbus_distribution_t figures;
    switch (column->kind) {
    case COLUMN_UINT:
        memcpy(&number, at, sizeof number);
        prometheus_uint(page, labels, number);
        break;
    case COLUMN_BOOL:
        memcpy(&is_set, at, sizeof is_set);
        prometheus_uint(page, labels, is_set);
        break;
    case COLUMN_DOUBLE:
        memcpy(&figure, at, sizeof figure);
        prometheus_double(page, labels, figure);
        break;
    case COLUMN_PERCENT:
        memcpy(&figure, at, sizeof figure);
        prometheus_double(page, labels, figure / 100);
        break;
    case COLUMN_MS:
        memcpy(&figure, at, sizeof figure);
        prometheus_double(page, labels, figure / 1e3);
        break;
    case COLUMN_MOMENT:
        memcpy(&moment_ns, at, sizeof moment_ns);
        prometheus_double(page, labels, moment_ns ? (double)moment_ns / 1e9 : (double)NAN);
        break;
    case COLUMN_MONEY:
        memcpy(&amount, at, sizeof amount);
        prometheus_money(page, labels, amount);
        break;
    case COLUMN_MS_QUANTILES:
        memcpy(&figures, at, sizeof figures);
        add_quantiles(page, labels, &figures);
        break;
    }
}

static size_t add_rows(struct page *page, const struct column_rows *rows)
{
    prometheus_begin_rows(page);
    for (size_t i = 0; i < rows->count; i++) {
        struct prometheus_label label = {rows->label, NULL, 0};
        if (rows->label)
            memcpy(&label.value, (const char *)rows->rows + i * rows->bytes + rows->name_offset, sizeof label.value);
        prometheus_add_row(page, &label, rows->label != NULL);
    }
    return prometheus_end_rows(page, rows->count);
}

void prometheus_columns(struct page *page, const struct column *columns, size_t count, const struct column_rows *rows)
{
    const size_t rows_count = add_rows(page, rows);
    for (size_t i = 0; i < count; i++) {
        const char *at = page->labels.bytes;
        prometheus_family(page, columns[i].metric, columns[i].name, columns[i].help);
        for (size_t row = 0; row < rows_count; row++)
            add_figure(page, &columns[i], prometheus_next_row(&at),
                       (const char *)rows->rows + row * rows->bytes + columns[i].offset);
    }
}
