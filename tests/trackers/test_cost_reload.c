/* New prices while others price: each usage is priced by one table or the other, never by parts of both. */
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/oom.h"
#include "tests/trackers/cost_fixture.h"

/* Input and output cost the same in a table: a charge that mixes two is seen. */
static tbus_prices_t *table_of(int64_t units)
{
    tbus_price_t price = tbus_price_none();
    price.input = price.output = units;
    return prices_with(price);
}

static const tbus_usage_t usage = {.model = "m", .prompt_tokens = 10, .completion_tokens = 10};

Test(cost_reload, what_is_recorded_keeps_its_price_and_what_comes_has_the_new_one)
{
    tbus_prices_t *old = table_of(5), *new = table_of(7);
    tbus_cost_t *cost = opened_with(old);
    tbus_prices_close(old); /* the tracker holds on to it */
    cr_assert(money_value(recorded(cost, usage).total) == 100);
    cr_assert_eq(tbus_cost_set_prices(cost, new), 0);
    tbus_prices_close(new);
    cr_assert(money_value(recorded(cost, usage).total) == 140);
    tbus_usage_t unknown = usage;
    unknown.model = "another";
    cr_assert(money_value(recorded(cost, unknown).total) == 140, "the fallback is looked for in the new table");
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert(money_value(snapshot->total.usd) == 380);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_reload, models_appear_and_vanish_with_a_table)
{
    tbus_prices_t *empty, *full = table_of(3);
    cr_assert_eq(tbus_prices_open(false, &empty), 0);
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.prices = empty, .unknown_model = TBUS_UNKNOWN_UNPRICED});
    cr_assert(recorded(cost, usage).unknown_model);
    cr_assert_eq(tbus_cost_set_prices(cost, full), 0);
    cr_assert_not(recorded(cost, usage).unknown_model);
    cr_assert_eq(tbus_cost_set_prices(cost, empty), 0);
    cr_assert(recorded(cost, usage).unknown_model);
    tbus_cost_close(cost);
    tbus_prices_close(empty);
    tbus_prices_close(full);
}

Test(cost_reload, a_table_without_the_fallback_is_refused_and_the_old_prices_stay)
{
    tbus_prices_t *old = table_of(5), *empty;
    tbus_cost_t *cost = opened_with(old);
    cr_assert_eq(tbus_prices_open(false, &empty), 0);
    cr_assert_eq(tbus_cost_set_prices(cost, empty), UV_ENOENT);
    cr_assert_eq(tbus_cost_set_prices(cost, NULL), UV_EINVAL);
    cr_assert_eq(tbus_cost_set_prices(NULL, empty), UV_EINVAL);
    cr_assert_eq(tbus_prices_set(empty, "m", &(tbus_price_t){0}), 0, "nobody holds it");
    cr_assert(money_value(recorded(cost, usage).total) == 100);
    tbus_cost_close(cost);
    tbus_prices_close(old);
    tbus_prices_close(empty);
}

Test(cost_reload, an_unknown_model_is_rejected_before_it_runs_and_recorded_if_it_ran)
{
    tbus_prices_t *prices = table_of(5);
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.prices = prices, .unknown_model = TBUS_UNKNOWN_REJECT});
    tbus_usage_t unknown = usage;
    tbus_charge_t charge = {.total = {42, 0}};
    unknown.model = "another";
    cr_assert_eq(tbus_cost_price(cost, &unknown, &charge), UV_ENOENT);
    cr_assert_eq(charge.total.low, 42);
    cr_assert_eq(tbus_cost_record_usage(cost, &unknown, &charge), 0);
    cr_assert(is_usd(charge.total, "0") && charge.unknown_model);
    cr_assert_eq(tbus_cost_price(cost, &usage, &charge), 0);
    cr_assert_eq(charge.total.low, 100);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(row_of(snapshot->by_model, snapshot->by_model_count, "another")->unpriced_requests, 1);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

/* --- Threads --- */

enum { THREADS = 3, RELOADS = 300 };

struct market {
    tbus_cost_t *cost;
    atomic_bool over;
    atomic_int mixed;
};

static void trade(void *user)
{
    struct market *market = user;
    for (int i = 0; !atomic_load(&market->over); i++) {
        tbus_charge_t charge;
        int error = i % 2 ? tbus_cost_price(market->cost, &usage, &charge)
                          : tbus_cost_record_usage(market->cost, &usage, &charge);
        if (error != 0 || tbus_money_compare(charge.input, charge.output) != 0 || charge.total.low % 20 != 0)
            atomic_fetch_add(&market->mixed, 1);
    }
}

Test(cost_reload, prices_change_while_threads_price)
{
    struct oom oom = {.fail_at = -1};
    uv_thread_t threads[THREADS];
    oom_install(&oom);
    tbus_prices_t *prices = table_of(1);
    struct market market = {.cost = opened_with(prices)};
    tbus_prices_close(prices);

    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(uv_thread_create(&threads[i], trade, &market), 0);
    for (int i = 0; i < RELOADS; i++) {
        prices = table_of(i + 2);
        cr_assert_eq(tbus_cost_set_prices(market.cost, prices), 0);
        tbus_prices_close(prices);
    }
    atomic_store(&market.over, true);
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    cr_assert_eq(atomic_load(&market.mixed), 0);
    cr_assert(money_value(recorded(market.cost, usage).total) == 20 * (RELOADS + 1));
    tbus_cost_close(market.cost);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}
