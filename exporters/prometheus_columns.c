#include "exporters/prometheus_columns.h"

#include <string.h>

static void add_quantiles(struct page *page, const struct prometheus_label *row, const tbus_distribution_t *figures)
{
    const struct {
        const char *quantile;
        double figure;
    } all[] = {{"0.5", figures->p50}, {"0.9", figures->p90}, {"0.95", figures->p95}, {"0.99", figures->p99}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct prometheus_label labels[] = {{"quantile", all[i].quantile, 0}, *row};
        prometheus_labelled(page, labels, row->name ? 2 : 1, all[i].figure);
    }
}

static void add_figure(struct page *page, const struct column *column, const struct prometheus_label *row,
                       const char *at)
{
    uint64_t number;
    double figure;
    tbus_money_t amount;
    tbus_distribution_t figures;
    switch (column->kind) {
    case COLUMN_UINT:
        memcpy(&number, at, sizeof number);
        prometheus_uint(page, row->name, row->value, number);
        break;
    case COLUMN_DOUBLE:
        memcpy(&figure, at, sizeof figure);
        prometheus_double(page, row->name, row->value, figure);
        break;
    case COLUMN_MONEY:
        memcpy(&amount, at, sizeof amount);
        prometheus_money(page, row->name, row->value, amount);
        break;
    case COLUMN_QUANTILES:
        memcpy(&figures, at, sizeof figures);
        add_quantiles(page, row, &figures);
        break;
    }
}

void prometheus_columns(struct page *page, const struct column *columns, size_t count, const struct column_rows *rows)
{
    for (size_t i = 0; i < count; i++) {
        prometheus_family(page, columns[i].metric, columns[i].name, columns[i].help);
        for (size_t at = 0; at < rows->count; at++) {
            const char *row = (const char *)rows->rows + at * rows->bytes;
            struct prometheus_label label = {rows->label, NULL, 0};
            if (rows->label)
                memcpy(&label.value, row + rows->name_offset, sizeof label.value);
            add_figure(page, &columns[i], &label, row + columns[i].offset);
        }
    }
}
