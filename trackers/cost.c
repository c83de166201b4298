#include "trackers/cost.h"

#include <assert.h>
#include <string.h>

enum {
    KEYS_DEFAULT = 10000,
    MODELS_DEFAULT = 1000,
    NAMES_MAX = 1 << 24,
    KEY_BYTES = 64, /* an API key is not shown: of a longer one a beginning and a hash tell it apart */
    NAME_BYTES = 128
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
        [COST_BY_ENDPOINT] = {sizeof(struct cost_row), NAME_BYTES, true},
    };
    for (int group = 0; group < COST_GROUPS; group++)
        table_init(&cost->tables[group], kinds[group].value_bytes, kinds[group].name_bytes,
                   (kinds[group].by_model ? models_max : keys_max) + 1 /* "other" */);
}

/* What is shown of the keys that share a row. */
static void name_other_key(tbus_cost_t *cost)
{
    struct cost_key_row *other = table_find(&cost->tables[COST_BY_KEY], TABLE_OTHER);
    static_assert(sizeof TABLE_OTHER <= TBUS_REDACTED_BYTES, "it is shown as it is");
    for (size_t i = 0; i < sizeof TABLE_OTHER; i++)
        other->redacted[i] = TABLE_OTHER[i];
}

/* Makes "other" in each table, so that a usage always finds a row. */
static int open_others(tbus_cost_t *cost)
{
    int error = 0;
    for (int group = 0; !error && group < COST_GROUPS; group++)
        error = table_open_other(&cost->tables[group]);
    if (error)
        return error;
    name_other_key(cost);
    assert(table_cell_of(&cost->tables[COST_BY_MODEL], table_find(&cost->tables[COST_BY_MODEL], TABLE_OTHER)) == 0);
    return 0;
}

static int open_prices(tbus_cost_t *cost, const tbus_cost_options_t *options)
{
    if (!options->prices) {
        int error = tbus_prices_open(true, &cost->own_prices);
        if (error)
            return error;
    }
    cost->prices = options->prices ? options->prices : cost->own_prices;
    if (options->unknown_model == TBUS_UNKNOWN_UNPRICED)
        return 0;
    cost->fallback = prices_lookup(cost->prices, options->fallback_model ? options->fallback_model : "gpt-3.5-turbo");
    return cost->fallback ? 0 : UV_ENOENT;
}

int tbus_cost_open(const tbus_cost_options_t *options, tbus_cost_t **ret)
{
    static const tbus_cost_options_t defaults;

    options = options ? options : &defaults;
    if (!ret || options->keys_max > NAMES_MAX || options->models_max > NAMES_MAX ||
        (options->unknown_model != TBUS_UNKNOWN_FALLBACK && options->unknown_model != TBUS_UNKNOWN_UNPRICED))
        return UV_EINVAL;
    tbus_cost_t *cost = tbus_mem_alloc(sizeof *cost);
    if (!cost)
        return UV_ENOMEM;
    int error = uv_mutex_init(&cost->mu);
    if (error) {
        tbus_mem_free(cost);
        return error;
    }
    cost->time_ns = INT64_MIN;
    open_tables(cost, options->keys_max ? options->keys_max : KEYS_DEFAULT,
                options->models_max ? options->models_max : MODELS_DEFAULT);
    error = open_prices(cost, options);
    if (!error)
        error = open_others(cost);
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
    tbus_prices_close(cost->own_prices);
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
    name_other_key(cost);
    cost->total = (struct cost_row){0};
    cost->cache_savings = cost->batch_savings = money_of(0);
    cost->estimated_requests = cost->refused_usages = cost->cut_cached_tokens = 0;
    cost->time_ns = INT64_MIN;
    uv_mutex_unlock(&cost->mu);
}

/* --- Recording --- */

static bool usage_is_valid(const tbus_usage_t *usage)
{
    const uint64_t most = TBUS_USAGE_COUNT_MAX; /* a negative count is above it too */
    return (uint64_t)usage->prompt_tokens <= most && (uint64_t)usage->completion_tokens <= most &&
           (uint64_t)usage->cached_tokens <= most && (uint64_t)usage->cache_write_tokens <= most &&
           (uint64_t)usage->reasoning_tokens <= most && (uint64_t)usage->audio_input_tokens <= most &&
           (uint64_t)usage->audio_output_tokens <= most && (uint64_t)usage->images <= most &&
           (uint64_t)usage->characters <= most;
}

/* The row of a name; it may be "other". `*error` becomes UV_ENOMEM when the name could not be kept. */
static void *row_locked(tbus_cost_t *cost, enum cost_group group, const char *name, int *error)
{
    int failed = 0;
    if (!name || !*name)
        return &cost->unnamed[group];
    void *row = table_add_or_other(&cost->tables[group], name, &failed);
    assert(row);
    if (failed)
        *error = failed;
    return row;
}

/* The same, by way of where the name was found last. */
static void *row_by_guess_locked(tbus_cost_t *cost, enum cost_group group, const char *name, uint32_t *last, int *error)
{
    const struct table *table = &cost->tables[group];
    if (!name || !*name)
        return &cost->unnamed[group];
    if (*last != 0) {
        void *row = table_at(table, *last - 1); /* NULL, or another name's, after a reset */
        if (row && strcmp(table_key(table, row, NULL), name) == 0)
            return row;
    }
    void *row = row_locked(cost, group, name, error);
    *last = table_cell_of(table, row) + 1;
    return row;
}

static struct cost_key_row *key_row_locked(tbus_cost_t *cost, const char *api_key, int *error)
{
    if (!api_key || !*api_key)
        return &cost->unnamed[COST_BY_KEY];
    struct cost_key_row *key = row_locked(cost, COST_BY_KEY, api_key, error);
    if (key->redacted[0] == '\0')
        tbus_redact_key(api_key, key->redacted);
    return key;
}

/* The row of a model, and its price entry: kept with the row, except for models that share "other". */
static struct cost_row *model_row_locked(tbus_cost_t *cost, const char *name, const struct price_entry **ret_entry,
                                         int *error)
{
    const struct table *table = &cost->tables[COST_BY_MODEL];
    void *found = row_locked(cost, COST_BY_MODEL, name, error);
    struct cost_model_row *model = found;

    *ret_entry = NULL;
    if (found == &cost->unnamed[COST_BY_MODEL])
        return found;
    if (model->resolved) {
        *ret_entry = model->entry;
        return found;
    }
    *ret_entry = prices_lookup(cost->prices, name);
    if (table_cell_of(table, found) != 0 /* "other" was the first to be added */) {
        model->entry = *ret_entry;
        model->resolved = true;
    }
    return found;
}

/* Prices by the model's own entry, or as the options say where it has none. */
static int bill_of(const tbus_cost_t *cost, const struct price_entry *entry, const tbus_usage_t *usage,
                   struct cost_bill *ret)
{
    int error = cost_price_usage(cost->prices, entry ? entry : cost->fallback, usage, ret);
    if (!entry)
        ret->unpriced = true;
    return error;
}

static void add_to_row(struct cost_row *row, const tbus_usage_t *usage, const struct cost_bill *bill)
{
    row->usd = money_of(money_value(row->usd) + bill->total);
    row->requests++;
    row->prompt_tokens += (uint64_t)usage->prompt_tokens;
    row->completion_tokens += (uint64_t)usage->completion_tokens;
    row->cached_tokens += (uint64_t)bill->tokens.cached;
    row->unpriced_requests += bill->unpriced;
}

/* Adds to the total, or to nothing at all. Every other row holds a part of what the total holds, and no cost and no
 * count is below 0: where the total does not overflow, no row does. Errors: UV_EOVERFLOW. */
static int add_to_total_locked(tbus_cost_t *cost, const tbus_usage_t *usage, const struct cost_bill *bill)
{
    int128_t usd, cache_savings, batch_savings;
    uint64_t tokens;
    if (__builtin_add_overflow(money_value(cost->total.usd), bill->total, &usd) ||
        __builtin_add_overflow(money_value(cost->cache_savings), bill->cache_savings, &cache_savings) ||
        __builtin_add_overflow(money_value(cost->batch_savings), bill->batch_savings, &batch_savings) ||
        __builtin_add_overflow(cost->total.prompt_tokens, (uint64_t)usage->prompt_tokens, &tokens) ||
        __builtin_add_overflow(cost->total.completion_tokens, (uint64_t)usage->completion_tokens, &tokens) ||
        __builtin_add_overflow(cost->total.cached_tokens, (uint64_t)bill->tokens.cached, &tokens))
        return UV_EOVERFLOW;
    add_to_row(&cost->total, usage, bill);
    cost->cache_savings = money_of(cache_savings);
    cost->batch_savings = money_of(batch_savings);
    cost->estimated_requests += usage->estimated;
    cost->cut_cached_tokens += bill->tokens.cut;
    if (usage->time_ns > cost->time_ns)
        cost->time_ns = usage->time_ns;
    return 0;
}

static int record_locked(tbus_cost_t *cost, const tbus_usage_t *usage, struct cost_bill *ret_bill)
{
    const struct price_entry *entry;
    int no_memory = 0;

    struct cost_row *model = model_row_locked(cost, usage->model, &entry, &no_memory);
    int error = bill_of(cost, entry, usage, ret_bill);
    if (!error)
        error = add_to_total_locked(cost, usage, ret_bill);
    if (error) {
        cost->refused_usages++;
        return error;
    }
    add_to_row(model, usage, ret_bill);
    struct cost_key_row *key = key_row_locked(cost, usage->api_key, &no_memory);
    add_to_row(&key->row, usage, ret_bill);
    add_to_row(row_by_guess_locked(cost, COST_BY_USER, usage->user_id, &key->last_user, &no_memory), usage, ret_bill);
    add_to_row(row_by_guess_locked(cost, COST_BY_PROJECT, usage->project_id, &key->last_project, &no_memory), usage,
               ret_bill);
    add_to_row(row_locked(cost, COST_BY_ENDPOINT, usage->endpoint, &no_memory), usage, ret_bill);
    return no_memory;
}

static tbus_charge_t charge_of(const struct cost_bill *bill)
{
    return (tbus_charge_t){.input = money_of(bill->input),
                           .output = money_of(bill->output),
                           .total = money_of(bill->total),
                           .cache_savings = money_of(bill->cache_savings),
                           .batch_savings = money_of(bill->batch_savings),
                           .input_tokens = bill->tokens.input,
                           .cache_read_tokens = bill->tokens.cached,
                           .cache_write_tokens = bill->tokens.written,
                           .output_tokens = bill->tokens.output,
                           .reasoning_tokens = bill->tokens.reasoning,
                           .unknown_model = bill->unpriced};
}

int tbus_cost_record_usage(tbus_cost_t *cost, const tbus_usage_t *usage, tbus_charge_t *ret_charge)
{
    struct cost_bill bill;
    int error = UV_EINVAL;

    if (!cost)
        return UV_EINVAL;
    uv_mutex_lock(&cost->mu);
    if (usage && usage_is_valid(usage))
        error = record_locked(cost, usage, &bill);
    else
        cost->refused_usages++;
    uv_mutex_unlock(&cost->mu);
    if (ret_charge && (error == 0 || error == UV_ENOMEM))
        *ret_charge = charge_of(&bill);
    return error;
}

int tbus_cost_price(const tbus_cost_t *cost, const tbus_usage_t *usage, tbus_charge_t *ret_charge)
{
    struct cost_bill bill;

    if (!cost || !usage || !ret_charge || !usage_is_valid(usage))
        return UV_EINVAL;
    int error = bill_of(cost, prices_lookup(cost->prices, usage->model), usage, &bill);
    if (!error)
        *ret_charge = charge_of(&bill);
    return error;
}
