/* A list of structs in the order in which they came: each is linked by a member of its own, nothing is allocated. */
#ifndef TRACKERS_ORDER_H
#define TRACKERS_ORDER_H

#include <stddef.h>

struct order_link {
    struct order_link *older, *newer;
};

struct order {
    struct order_link *oldest, *newest;
};

static inline void order_append(struct order *order, struct order_link *link)
{
    *link = (struct order_link){.older = order->newest};
    if (order->newest)
        order->newest->newer = link;
    else
        order->oldest = link;
    order->newest = link;
}

static inline void order_remove(struct order *order, struct order_link *link)
{
    if (link->older)
        link->older->newer = link->newer;
    else
        order->oldest = link->newer;
    if (link->newer)
        link->newer->older = link->older;
    else
        order->newest = link->older;
}

#endif
