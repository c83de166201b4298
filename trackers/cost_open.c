/* Opening, closing, and what changes a tracker as a whole. */
#include "trackers/cost.h"

#include <assert.h>
#include <string.h>

#include "trackers/options.h"

enum {
    KEYS_DEFAULT = 10000,
    MODELS_DEFAULT = 1000,
    NAMES_MAX = 1 << 24,
    KEY_BYTES = 64, /* an API key is not shown: of a longer one a beginning and a hash tell it apart */
    NAME_BYTES = 128,
    HISTORY_DEFAULT = 500000,
    HISTORY_MAX = 1 << 28,
    RECORDS_DEFAULT = 1000,
    RECORDS_MAX = 1 << 20,
    ESTIMATES_DEFAULT = 10000
};

/* --- Opening and closing --- */

static void open_tables(tbus_cost_t *cost, uint32_t keys_max, uint32_t models_max)
{
    static const struct {
        uint32_t value_bytes, name_bytes;
        bool by_model; /* the cap that counts */
    } kinds[COST_GROUPS] = {
        [COST_BY_KEY] = {sizeof(struct cost_key_row), KEY_BYTES, false},
        [COST_BY_USER] = {sizeof(struct cost_row), NAME_BYTES, false},
        [COST_BY_PROJECT] = {sizeof(struct cost_row), NAME_BYTES, false},
        [COST_BY_MODEL] = {sizeof(struct cost_model_row), NAME_BYTES, true},
        [COST_BY_ENDPOINT] = {sizeof(struct cost_endpoint_row), NAME_BYTES, true},
        [COST_BATCHED] = {sizeof(struct cost_row), NAME_BYTES, true},
        [COST_BATCHABLE] = {sizeof(struct cost_row), NAME_BYTES, true},
    };
    for (int group = 0; group < COST_GROUPS; group++)
        table_init(&cost->tables[group], kinds[group].value_bytes, kinds[group].name_bytes,
                   (kinds[group].by_model ? models_max : keys_max) + 1 /* "other" */);
}

/* Numbers the rows that are there from the start, and tells what is shown of the keys that share one. */
static void name_rows(tbus_cost_t *cost)
{
    struct cost_key_row *other = table_find(&cost->tables[COST_BY_KEY], TABLE_OTHER);
    static_assert(sizeof TABLE_OTHER <= TBUS_REDACTED_BYTES, "it is shown as it is");
    memcpy(other->id.redacted, TABLE_OTHER, sizeof TABLE_OTHER);
    for (int group = 0; group < COST_GROUPS; group++) {
        struct cost_row *row = table_find(&cost->tables[group], TABLE_OTHER);
        assert(table_cell_of(&cost->tables[group], row) + 1 == COST_PLACE_OF_OTHER);
        row->name = COST_NAME(group, COST_PLACE_OF_OTHER);
        cost->unnamed[group].row.name = COST_NAME(group, 0);
    }
    cost->total.name = COST_TOTAL;
}

/* Makes "other" in each table, so that a usage always finds a row. */
static int open_others(tbus_cost_t *cost)
{
    int error = 0;
    for (int group = 0; !error && group < COST_GROUPS; group++)
        error = table_open_other(&cost->tables[group]);
    if (error)
        return error;
    name_rows(cost);
    return 0;
}

/* Holds a table with its fallback. Errors: UV_ENOENT. */
static int take_prices(const tbus_cost_t *cost, const tbus_prices_t *table, struct cost_prices *ret)
{
    struct cost_prices prices = {.table = table};
    if (cost->unknown_model == TBUS_UNKNOWN_FALLBACK) {
        prices.fallback = prices_lookup(table, cost->fallback_model);
        if (!prices.fallback)
            return UV_ENOENT;
    }
    prices_hold(table);
    *ret = prices;
    return 0;
}

void cost_prices_let_go(const struct cost_prices *prices)
{
    tbus_prices_close((tbus_prices_t *)(uintptr_t)prices->table); /* const to us; what is let go of is a hold */
}

static int open_prices(tbus_cost_t *cost, const tbus_cost_options_t *options)
{
    const char *fallback = options->fallback_model ? options->fallback_model : "gpt-3.5-turbo";
    tbus_prices_t *builtin = NULL;

    cost->unknown_model = options->unknown_model;
    cost->fallback_model = tbus_mem_alloc(strlen(fallback) + 1);
    if (!cost->fallback_model)
        return UV_ENOMEM;
    strcpy(cost->fallback_model, fallback);
    int error = options->prices ? 0 : tbus_prices_open(true, &builtin);
    if (error)
        return error;
    error = take_prices(cost, options->prices ? options->prices : builtin, &cost->prices);
    tbus_prices_close(builtin);
    cost->prices_number = 1;
    return error;
}

static int open_parts(tbus_cost_t *cost, const tbus_cost_options_t *options)
{
    uint32_t records = or_default(options->records_max, RECORDS_DEFAULT);
    int error = cost_records_open(&cost->records, records == UINT32_MAX ? 0 : records);
    if (!error)
        error = open_prices(cost, options);
    return error ? error : open_others(cost);
}

static bool options_are_valid(const tbus_cost_options_t *options)
{
    return options->keys_max <= NAMES_MAX && options->models_max <= NAMES_MAX && options->estimates_max <= NAMES_MAX &&
           options->history_max <= HISTORY_MAX &&
           (options->records_max <= RECORDS_MAX || options->records_max == UINT32_MAX) &&
           options->unknown_model >= TBUS_UNKNOWN_FALLBACK && options->unknown_model <= TBUS_UNKNOWN_REJECT &&
           are_zero(options->reserved, sizeof options->reserved);
}

static void forget_times(tbus_cost_t *cost)
{
    ahead_reset(&cost->ahead);
    cost->first_time_ns = INT64_MAX;
    cost->hour = cost->restored_hour = 0;
}

int tbus_cost_open(const tbus_cost_options_t *options, tbus_cost_t **ret)
{
    static const tbus_cost_options_t defaults;

    options = options ? options : &defaults;
    if (!ret || !options_are_valid(options))
        return UV_EINVAL;
    tbus_cost_t *cost = tbus_mem_alloc(sizeof *cost);
    if (!cost)
        return UV_ENOMEM;
    int error = uv_mutex_init(&cost->mu);
    if (error) {
        tbus_mem_free(cost);
        return error;
    }
    ahead_init(&cost->ahead, options->ahead_max_ns, options->clock, options->clock_user);
    forget_times(cost);
    open_tables(cost, or_default(options->keys_max, KEYS_DEFAULT), or_default(options->models_max, MODELS_DEFAULT));
    cost_history_init(&cost->history, or_default(options->history_max, HISTORY_DEFAULT));
    cost_estimates_init(&cost->estimates, or_default(options->estimates_max, ESTIMATES_DEFAULT));
    error = open_parts(cost, options);
    if (error) {
        tbus_cost_close(cost);
        return error;
    }
    *ret = cost;
    return 0;
}

void tbus_cost_close(tbus_cost_t *cost)
{
    if (!cost)
        return;
    for (int group = 0; group < COST_GROUPS; group++)
        table_clear(&cost->tables[group]);
    cost_history_clear(&cost->history);
    cost_records_close(&cost->records);
    cost_estimates_clear(&cost->estimates);
    cost_prices_let_go(&cost->prices);
    tbus_mem_free(cost->fallback_model);
    uv_mutex_destroy(&cost->mu);
    tbus_mem_free(cost);
}

void tbus_cost_reset(tbus_cost_t *cost)
{
    if (!cost)
        return;
    uv_mutex_lock(&cost->mu);
    for (int group = 0; group < COST_GROUPS; group++) {
        table_empty_but_other(&cost->tables[group]);
        cost->unnamed[group] = (struct cost_key_row){0};
    }
    cost->total = (struct cost_row){0};
    name_rows(cost);
    cost_history_clear(&cost->history);
    cost->records.taken = 0;
    cost_estimates_clear(&cost->estimates);
    cost->cache_savings = cost->batch_savings = money_of(0);
    cost->estimated_requests = cost->retracted_estimates = cost->refused_usages = cost->absurd_usages =
        cost->cut_cached_tokens = cost->untracked_streams = 0;
    cost->restored_keys = 0;
    forget_times(cost);
    uv_mutex_unlock(&cost->mu);
}

int tbus_cost_set_prices(tbus_cost_t *cost, const tbus_prices_t *prices)
{
    struct cost_prices next, last;
    if (!cost || !prices)
        return UV_EINVAL;
    int error = take_prices(cost, prices, &next);
    if (error)
        return error;
    uv_mutex_lock(&cost->mu);
    last = cost->prices;
    cost->prices = next;
    cost->prices_number++; /* what models have resolved to is not believed any more */
    uv_mutex_unlock(&cost->mu);
    cost_prices_let_go(&last);
    return 0;
}
