#include "exporters/prometheus_columns.h"

#include <string.h>

static void add_quantiles(struct text *text, const char *name, const struct prometheus_label *row,
                          const tbus_distribution_t *figures)
{
    const struct {
        const char *quantile;
        double figure;
    } all[] = {{"0.5", figures->p50}, {"0.9", figures->p90}, {"0.95", figures->p95}, {"0.99", figures->p99}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct prometheus_label labels[] = {{"quantile", all[i].quantile}, *row};
        prometheus_labelled(text, name, labels, row->name ? 2 : 1, all[i].figure);
    }
}

static void add_figure(struct text *text, const struct column *column, const struct prometheus_label *row,
                       const char *at)
{
    uint64_t number;
    double figure;
    tbus_money_t amount;
    tbus_distribution_t figures;
    switch (column->kind) {
    case COLUMN_UINT:
        memcpy(&number, at, sizeof number);
        prometheus_uint(text, column->name, row->name, row->value, number);
        break;
    case COLUMN_DOUBLE:
        memcpy(&figure, at, sizeof figure);
        prometheus_double(text, column->name, row->name, row->value, figure);
        break;
    case COLUMN_MONEY:
        memcpy(&amount, at, sizeof amount);
        prometheus_money(text, column->name, row->name, row->value, amount);
        break;
    case COLUMN_QUANTILES:
        memcpy(&figures, at, sizeof figures);
        add_quantiles(text, column->name, row, &figures);
        break;
    }
}

void prometheus_columns(struct text *text, const struct column *columns, size_t count, const struct column_rows *rows)
{
    for (size_t i = 0; i < count; i++) {
        prometheus_family(text, columns[i].metric, columns[i].name, columns[i].help);
        for (size_t at = 0; at < rows->count; at++) {
            const char *row = (const char *)rows->rows + at * rows->bytes;
            struct prometheus_label label = {rows->label, NULL};
            if (rows->label)
                memcpy(&label.value, row + rows->name_offset, sizeof label.value);
            add_figure(text, &columns[i], &label, row + columns[i].offset);
        }
    }
}
