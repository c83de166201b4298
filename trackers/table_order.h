/* Values of a table in the order in which they came: as order.h, by cells, for values move when their table grows. A
 * value in an order begins with its link. */
#ifndef TRACKERS_TABLE_ORDER_H
#define TRACKERS_TABLE_ORDER_H

#include "trackers/table.h"

struct table_link {
    uint32_t older, newer; /* cells, or TABLE_NONE */
};

struct table_order {
    uint32_t oldest, newest; /* cells, or TABLE_NONE */
    uint32_t count;
};

static inline void table_order_init(struct table_order *order)
{
    *order = (struct table_order){.oldest = TABLE_NONE, .newest = TABLE_NONE};
}

static inline void table_order_append(struct table_order *order, const struct table *table, struct table_link *link)
{
    const uint32_t cell = table_cell_of(table, link);
    *link = (struct table_link){.older = order->newest, .newer = TABLE_NONE};
    if (order->newest == TABLE_NONE)
        order->oldest = cell;
    else
        ((struct table_link *)table_at(table, order->newest))->newer = cell;
    order->newest = cell;
    order->count++;
}

static inline void table_order_remove(struct table_order *order, const struct table *table,
                                      const struct table_link *link)
{
    if (link->older == TABLE_NONE)
        order->oldest = link->newer;
    else
        ((struct table_link *)table_at(table, link->older))->newer = link->newer;
    if (link->newer == TABLE_NONE)
        order->newest = link->older;
    else
        ((struct table_link *)table_at(table, link->newer))->older = link->older;
    order->count--;
}

#endif
