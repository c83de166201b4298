/* What is added up of usages: for a name, for ever; for a name and an hour; or of one usage, before it is added. */
#ifndef TRACKERS_COST_SUMS_H
#define TRACKERS_COST_SUMS_H

#include "trackers/money.h"

/* Figures beside the money, in an array so that they are added in one loop. */
enum {
    COST_REQUESTS,
    COST_INPUT, /* tokens, as in struct cost_tokens */
    COST_CACHED,
    COST_WRITTEN,
    COST_OUTPUT,
    COST_REASONING,
    COST_UNPRICED, /* requests */
    COST_FIGURES
};

struct cost_sums {
    tbus_money_t usd;
    uint64_t figures[COST_FIGURES];
};

static inline void cost_sums_add(struct cost_sums *to, const struct cost_sums *more)
{
    to->usd = money_of((int128_t)((uint128_t)money_value(to->usd) + (uint128_t)money_value(more->usd)));
    for (int i = 0; i < COST_FIGURES; i++)
        to->figures[i] += more->figures[i];
}

/* Whether all of a part can be taken off. */
static inline bool cost_sums_hold(const struct cost_sums *sums, const struct cost_sums *part)
{
    bool all = money_value(sums->usd) >= money_value(part->usd);
    for (int i = 0; i < COST_FIGURES; i++)
        all = all && sums->figures[i] >= part->figures[i];
    return all;
}

/* Takes off what was added. */
static inline void cost_sums_take(struct cost_sums *from, const struct cost_sums *less)
{
    from->usd = money_of((int128_t)((uint128_t)money_value(from->usd) - (uint128_t)money_value(less->usd)));
    for (int i = 0; i < COST_FIGURES; i++)
        from->figures[i] -= less->figures[i];
}

#endif
