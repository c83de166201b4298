/* What the tests of the cost tracker share. */
#ifndef TESTS_TRACKERS_COST_FIXTURE_H
#define TESTS_TRACKERS_COST_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include <tallybus/cost.h>

#include "tests/check.h"
#include "trackers/money.h"

/* Times are the test's own: whatever the clock of the machine says, they are believed, unless a clock is given. */
static inline tbus_cost_t *opened(const tbus_cost_options_t *options)
{
    tbus_cost_t *cost;
    tbus_cost_options_t timeless = options ? *options : (tbus_cost_options_t){0};
    if (!timeless.clock)
        timeless.ahead_max_ns = -1;
    cr_assert_eq(tbus_cost_open(&timeless, &cost), 0);
    return cost;
}

static inline tbus_cost_snapshot_t *snapshot_of(tbus_cost_t *cost)
{
    tbus_cost_snapshot_t *snapshot;
    cr_assert_eq(tbus_cost_snapshot(cost, &snapshot), 0);
    return snapshot;
}

static inline tbus_charge_t recorded(tbus_cost_t *cost, tbus_usage_t usage)
{
    tbus_charge_t charge, priced;
    cr_assert_eq(tbus_cost_price(cost, &usage, &priced), 0);
    cr_assert_eq(tbus_cost_record_usage(cost, &usage, &charge), 0);
    cr_assert_eq(tbus_money_compare(charge.total, priced.total), 0);
    cr_assert_eq(charge.unknown_model, priced.unknown_model);
    cr_assert(money_value(charge.input) + money_value(charge.output) == money_value(charge.total));
    return charge;
}

static inline bool is_usd(tbus_money_t amount, const char *usd)
{
    tbus_money_t expected;
    cr_assert_eq(tbus_money_parse(usd, &expected), 0);
    if (tbus_money_compare(amount, expected) == 0)
        return true;
    char text[TBUS_MONEY_TEXT_MAX];
    fprintf(stderr, "%s instead of %s\n", tbus_money_format(amount, -1, text), usd);
    return false;
}

static inline const tbus_cost_sum_t *row_of(const tbus_cost_sum_t *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

/* A table with one model, "m", which has these prices. */
static inline tbus_prices_t *prices_with(tbus_price_t price)
{
    tbus_prices_t *prices;
    cr_assert_eq(tbus_prices_open(false, &prices), 0);
    cr_assert_eq(tbus_prices_set(prices, "m", &price), 0);
    return prices;
}

static inline tbus_cost_t *opened_with(const tbus_prices_t *prices)
{
    return opened(&(tbus_cost_options_t){.prices = prices, .fallback_model = "m"});
}

#endif
