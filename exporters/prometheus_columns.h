/* Families of a figure for each of a list of structs: endpoints, models, workers. */
#ifndef EXPORTERS_PROMETHEUS_COLUMNS_H
#define EXPORTERS_PROMETHEUS_COLUMNS_H

#include "exporters/prometheus.h"

/* Times are shown in seconds, what is in per cent as a ratio: the base units of Prometheus. A moment is one since 1970, NaN
 * where it is 0: not known. */
enum column_kind {
    COLUMN_UINT,
    COLUMN_BOOL,
    COLUMN_DOUBLE,
    COLUMN_PERCENT,
    COLUMN_MS,
    COLUMN_MOMENT,       /* an int64_t of nanoseconds */
    COLUMN_MS_QUANTILES, /* a tbus_distribution_t */
    COLUMN_MONEY
};

struct column {
    const char *name, *help;
    enum metric metric;
    enum column_kind kind;
    size_t offset; /* of the figure in the struct */
};

/* What the structs are called: a label, and where its value, a string, stands in one. */
struct column_rows {
    const void *rows;
    size_t count, bytes;
    const char *label; /* NULL = one struct, without a label */
    size_t name_offset;
};

void prometheus_columns(struct page *page, const struct column *columns, size_t count, const struct column_rows *rows);

#endif
