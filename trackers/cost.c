#include "trackers/cost.h"

#include <assert.h>
#include <string.h>

#include "trackers/digest.h"
#include "trackers/moment.h"

/* --- What others use --- */

void cost_key_id_of(const char *api_key, struct cost_key_id *ret)
{
    static_assert(DIGEST_BYTES == TBUS_KEY_DIGEST_BYTES, "one is kept as the other");
    memset(ret, 0, sizeof *ret);
    if (*tbus_redact_key(api_key, ret->redacted))
        digest_bytes(api_key, strlen(api_key), ret->digest);
}

const struct cost_row *cost_row_at(const tbus_cost_t *cost, uint32_t name)
{
    uint32_t group = COST_GROUP_OF(name), place = COST_PLACE_OF(name);
    if (group == COST_GROUPS)
        return &cost->total;
    return place == 0 ? &cost->unnamed[group].row : table_at(&cost->tables[group], place - 1);
}

/* --- Names, before the lock is taken --- */

enum { LONG_BYTES = 128 };

/* A usage's names as the tables keep them: what takes long to hash is hashed here. The user and the project mostly are
 * those that the key had last, and then need no hash; only long ones are fitted beforehand. */
struct names {
    struct table_name key, model, endpoint, user, project;
    bool has_user, has_project, has_key_id; /* these are filled in */
    struct cost_key_id key_id;
};

static bool is_long(const char *name)
{
    return name && strnlen(name, LONG_BYTES + 1) > LONG_BYTES;
}

static void fit_names(const tbus_cost_t *cost, const tbus_usage_t *usage, struct names *names)
{
    table_fit(&cost->tables[COST_BY_KEY], usage->api_key, &names->key);
    table_fit(&cost->tables[COST_BY_MODEL], usage->model, &names->model);
    table_fit(&cost->tables[COST_BY_ENDPOINT], usage->endpoint, &names->endpoint);
    names->has_user = is_long(usage->user_id);
    names->has_project = is_long(usage->project_id);
    names->has_key_id = is_long(usage->api_key);
    if (names->has_user)
        table_fit(&cost->tables[COST_BY_USER], usage->user_id, &names->user);
    if (names->has_project)
        table_fit(&cost->tables[COST_BY_PROJECT], usage->project_id, &names->project);
    if (names->has_key_id)
        cost_key_id_of(usage->api_key, &names->key_id);
}

/* --- Rows --- */

void *cost_row_add_locked(tbus_cost_t *cost, enum cost_group group, const struct table_name *name, int *error)
{
    int failed = 0;
    if (name->length == 0)
        return &cost->unnamed[group];
    struct cost_row *row = table_add_name_or_other(&cost->tables[group], name, &failed);
    assert(row);
    if (failed)
        *error = failed;
    if (row->hour == 0)
        row->name = COST_NAME(group, table_cell_of(&cost->tables[group], row) + 1);
    return row;
}

/* The same, by way of where the name was found last. `fitted` may be NULL. */
static struct cost_row *row_by_guess_locked(tbus_cost_t *cost, enum cost_group group, const char *name,
                                            const struct table_name *fitted, uint32_t *last, int *error)
{
    const struct table *table = &cost->tables[group];
    struct table_name fitted_here;

    if (!name || !*name)
        return &cost->unnamed[group].row;
    if (*last != 0) {
        struct cost_row *row = table_at(table, *last - 1); /* NULL, or another name's, after a reset */
        if (row && strcmp(table_key(table, row, NULL), fitted ? fitted->text : name) == 0)
            return row;
    }
    if (!fitted)
        table_fit(table, name, &fitted_here);
    struct cost_row *row = cost_row_add_locked(cost, group, fitted ? fitted : &fitted_here, error);
    *last = COST_PLACE_OF(row->name);
    return row;
}

/* The row of a key that has been seen, or of none; NULL = it is to be added. */
static struct cost_key_row *known_key_locked(tbus_cost_t *cost, const struct table_name *name)
{
    return name->length == 0 ? &cost->unnamed[COST_BY_KEY] : table_find_name(&cost->tables[COST_BY_KEY], name);
}

/* The restored row of a key, which is its own from now on; NULL when there is none. */
static struct cost_key_row *take_restored_key_locked(tbus_cost_t *cost, const struct names *names)
{
    struct table *keys = &cost->tables[COST_BY_KEY];
    struct cost_digest_name digest;
    if (cost->restored_keys == 0)
        return NULL;
    cost_digest_name_of(keys, &names->key_id, &digest);
    struct cost_key_row *key = table_find_name(keys, &digest.name);
    if (!key)
        return NULL;
    table_rename(keys, key, &names->key);
    key->id = names->key_id; /* whatever was shown of it */
    cost->restored_keys--;
    return key;
}

/* Whether the digest of a key that is not known is needed: there is room for a row, or one may be waiting for it. */
static bool wants_key_id_locked(const tbus_cost_t *cost)
{
    const struct table *keys = &cost->tables[COST_BY_KEY];
    return keys->count < keys->max || cost->restored_keys > 0;
}

static struct cost_key_row *add_key_locked(tbus_cost_t *cost, const struct names *names, int *error)
{
    struct cost_key_row *key = take_restored_key_locked(cost, names);
    if (key)
        return key;
    key = cost_row_add_locked(cost, COST_BY_KEY, &names->key, error);
    if (key->id.redacted[0] == '\0')
        key->id = names->key_id;
    return key;
}

/* The row of a model, and its price entry: kept with the row, except for models that share "other". */
static struct cost_row *model_row_locked(tbus_cost_t *cost, const char *model_name, const struct names *names,
                                         const struct price_entry **ret_entry, int *error)
{
    void *found = cost_row_add_locked(cost, COST_BY_MODEL, &names->model, error);
    struct cost_model_row *model = found;

    *ret_entry = NULL;
    if (found == &cost->unnamed[COST_BY_MODEL])
        return found;
    if (model->prices_number == cost->prices_number) {
        *ret_entry = model->entry;
        return found;
    }
    *ret_entry = prices_lookup(cost->prices.table, model_name);
    if (COST_PLACE_OF(model->row.name) != COST_PLACE_OF_OTHER) {
        model->entry = *ret_entry;
        model->prices_number = cost->prices_number;
    }
    return found;
}

static bool is_interactive(const char *endpoint)
{
    return strstr(endpoint, "chat") || strstr(endpoint, "messages") || strstr(endpoint, "responses") ||
           strstr(endpoint, "realtime");
}

static struct cost_row *endpoint_row_locked(tbus_cost_t *cost, const struct names *names, bool *ret_interactive,
                                            int *error)
{
    void *found = cost_row_add_locked(cost, COST_BY_ENDPOINT, &names->endpoint, error);
    struct cost_endpoint_row *endpoint = found;

    *ret_interactive = false;
    if (found == &cost->unnamed[COST_BY_ENDPOINT])
        return found;
    if (!endpoint->looked_at || COST_PLACE_OF(endpoint->row.name) == COST_PLACE_OF_OTHER) {
        endpoint->interactive = is_interactive(names->endpoint.text);
        endpoint->looked_at = true;
    }
    *ret_interactive = endpoint->interactive;
    return found;
}

/* By model too, in a table of its own: under the name that the model's table keeps. */
static struct cost_row *model_row_of_locked(tbus_cost_t *cost, enum cost_group group, const struct names *names,
                                            int *error)
{
    struct table_name name;
    table_fit(&cost->tables[group], names->model.text, &name);
    return cost_row_add_locked(cost, group, &name, error);
}

/* --- Recording --- */

static bool usage_is_valid(const tbus_usage_t *usage)
{
    /* One sign bit for all of them. */
    return (usage->prompt_tokens | usage->completion_tokens | usage->cached_tokens | usage->cache_write_tokens |
            usage->reasoning_tokens | usage->audio_input_tokens | usage->audio_output_tokens | usage->images |
            usage->characters) >= 0;
}

static bool usage_is_absurd(const tbus_usage_t *usage)
{
    const int64_t most = TBUS_USAGE_COUNT_MAX;
    return usage->prompt_tokens > most || usage->completion_tokens > most || usage->cached_tokens > most ||
           usage->cache_write_tokens > most || usage->reasoning_tokens > most || usage->audio_input_tokens > most ||
           usage->audio_output_tokens > most || usage->images > most || usage->characters > most;
}

/* Errors: UV_EINVAL, UV_ERANGE. */
static int check_usage(const tbus_usage_t *usage)
{
    if (!usage || !usage_is_valid(usage))
        return UV_EINVAL;
    return usage_is_absurd(usage) ? UV_ERANGE : 0;
}

/* Prices by the model's own entry, or as the options say where it has none. */
static void price_by(const struct cost_prices *prices, const struct price_entry *entry, const tbus_usage_t *usage,
                     struct cost_bill *ret)
{
    static_assert(TBUS_USAGE_COUNT_MAX <= COST_COUNT_MAX, "any usage that is accepted can be priced");
    cost_price_usage(prices->table, entry ? entry : prices->fallback, usage, ret);
    ret->unpriced |= !entry;
}

struct cost_sums cost_sums_of(const struct cost_bill *bill)
{
    const struct cost_tokens *tokens = &bill->tokens;
    return (struct cost_sums){.usd = money_of(bill->total),
                              .figures = {[COST_REQUESTS] = 1,
                                          [COST_INPUT] = (uint64_t)tokens->input,
                                          [COST_CACHED] = (uint64_t)tokens->cached,
                                          [COST_WRITTEN] = (uint64_t)tokens->written,
                                          [COST_OUTPUT] = (uint64_t)tokens->output,
                                          [COST_REASONING] = (uint64_t)tokens->reasoning,
                                          [COST_UNPRICED] = bill->unpriced}};
}

/* Whether the total can take it. Every other sum holds a part of what the total holds, and no cost and no count is
 * below 0: where the total does not overflow, nothing does. Counts stop at half of what fits, far above what one usage
 * can add. */
static bool fits_total(const tbus_cost_t *cost, const struct cost_bill *bill)
{
    int128_t sum;
    uint64_t any = 0;
    for (int i = 0; i < COST_FIGURES; i++)
        any |= cost->total.sums.figures[i];
    return !__builtin_add_overflow(money_value(cost->total.sums.usd), bill->total, &sum) &&
           !__builtin_add_overflow(money_value(cost->cache_savings), bill->cache_savings, &sum) &&
           !__builtin_add_overflow(money_value(cost->batch_savings), bill->batch_savings, &sum) && any >> 63 == 0;
}

/* Enters the hour of a usage's time; gives the time that is believed: one far ahead would carry the 31 days off into the
 * future, and with them all that is in them. */
static int64_t enter_hour_locked(tbus_cost_t *cost, int64_t time_ns)
{
    time_ns = ahead_believe(&cost->ahead, moment_of(time_ns));
    if (cost->hour != 0 && (uint64_t)time_ns - (uint64_t)cost->hour_begin_ns < (uint64_t)COST_HOUR_NS)
        return time_ns;
    cost->hour = cost_hour_of(time_ns);
    cost->hour_begin_ns = cost_hour_begin(cost->hour);
    return time_ns;
}

static void find_rows_locked(tbus_cost_t *cost, const tbus_usage_t *usage, const struct names *names,
                             struct cost_key_row *key, struct cost_row *model, struct cost_rows *ret, int *error)
{
    bool interactive;

    key = key ? key : add_key_locked(cost, names, error);
    *ret = (struct cost_rows){.key = key};
    ret->of[COST_BY_KEY] = &key->row;
    ret->of[COST_BY_USER] = row_by_guess_locked(cost, COST_BY_USER, usage->user_id,
                                                names->has_user ? &names->user : NULL, &key->last_user, error);
    ret->of[COST_BY_PROJECT] =
        row_by_guess_locked(cost, COST_BY_PROJECT, usage->project_id, names->has_project ? &names->project : NULL,
                            &key->last_project, error);
    ret->of[COST_BY_MODEL] = model;
    ret->of[COST_BY_ENDPOINT] = endpoint_row_locked(cost, names, &interactive, error);
    if (usage->batch)
        ret->of[COST_BATCHED] = model_row_of_locked(cost, COST_BATCHED, names, error);
    else if (!usage->streamed && !usage->estimated && !interactive)
        ret->of[COST_BATCHABLE] = model_row_of_locked(cost, COST_BATCHABLE, names, error);
}

static void add_to_rows_locked(tbus_cost_t *cost, const struct cost_rows *rows, uint32_t hour,
                               const struct cost_sums *sums)
{
    cost_history_add(&cost->history, &cost->total, hour, sums);
    for (int group = 0; group < COST_GROUPS; group++) {
        if (rows->of[group])
            cost_history_add(&cost->history, rows->of[group], hour, sums);
    }
}

void cost_fill_record(tbus_usage_record_t *record, const tbus_usage_t *usage, const struct cost_bill *bill)
{
    record->event_id = usage->event_id;
    record->time_ns = usage->time_ns;
    record->input_tokens = bill->tokens.input;
    record->cache_read_tokens = bill->tokens.cached;
    record->cache_write_tokens = bill->tokens.written;
    record->output_tokens = bill->tokens.output;
    record->reasoning_tokens = bill->tokens.reasoning;
    record->images = usage->images;
    record->characters = usage->characters;
    record->cost = money_of(bill->total);
    record->cache_savings = money_of(bill->cache_savings);
    record->batch_savings = money_of(bill->batch_savings);
    record->batch = usage->batch;
    record->estimated = usage->estimated;
    record->unpriced = bill->unpriced;
    record->retracted = false;
}

static void keep_record_locked(tbus_cost_t *cost, const tbus_usage_t *usage, const struct cost_bill *bill,
                               const struct cost_rows *rows, uint64_t *ret_number)
{
    struct cost_record *record = cost_records_next(&cost->records, ret_number);
    if (!record)
        return;
    cost_fill_record(&record->usage, usage, bill);
    for (int group = 0; group < COST_GROUPS_SHOWN; group++)
        record->places[group] = COST_PLACE_OF(rows->of[group]->name);
    size_t length = usage->request_id ? strnlen(usage->request_id, COST_REQUEST_ID_BYTES - 1) : 0;
    if (length > 0)
        memcpy(record->request_id, usage->request_id, length);
    record->request_id[length] = '\0';
}

/* --- One usage --- */

static int record_locked(tbus_cost_t *cost, const tbus_usage_t *usage, const struct names *names,
                         struct cost_key_row *key, struct cost_bill *ret_bill, struct cost_estimate **ret_replaced)
{
    const struct price_entry *entry;
    struct cost_rows rows;
    uint64_t record_number;
    int no_memory = 0;

    struct cost_row *model = model_row_locked(cost, usage->model, names, &entry, &no_memory);
    price_by(&cost->prices, entry, usage, ret_bill);
    if (!fits_total(cost, ret_bill))
        return UV_EOVERFLOW;
    if (cost->estimates.table.count > 0 && cost_estimate_can_be_told(usage)) {
        *ret_replaced = cost_estimates_take(&cost->estimates, usage->request_id);
        if (*ret_replaced)
            cost_estimate_retract(cost, *ret_replaced);
    }
    const struct cost_sums sums = cost_sums_of(ret_bill);
    find_rows_locked(cost, usage, names, key, model, &rows, &no_memory);
    const int64_t time_ns = enter_hour_locked(cost, usage->time_ns);
    add_to_rows_locked(cost, &rows, cost->hour, &sums);
    cost->cache_savings = money_of(money_value(cost->cache_savings) + ret_bill->cache_savings);
    cost->batch_savings = money_of(money_value(cost->batch_savings) + ret_bill->batch_savings);
    cost->estimated_requests += usage->estimated;
    cost->cut_cached_tokens += ret_bill->tokens.cut;
    if (time_ns < cost->first_time_ns)
        cost->first_time_ns = time_ns;
    keep_record_locked(cost, usage, ret_bill, &rows, &record_number);
    if (usage->estimated && cost_estimate_can_be_told(usage) &&
        cost_estimate_keep(cost, usage, ret_bill, &rows, record_number) != 0)
        no_memory = UV_ENOMEM;
    return no_memory;
}

/* The row of a usage's key. One that is new is hashed first, with the lock let go: NULL then, and `names` has what adds
 * it. */
static struct cost_key_row *find_key_locked(tbus_cost_t *cost, const tbus_usage_t *usage, struct names *names)
{
    struct cost_key_row *key = known_key_locked(cost, &names->key);
    if (key || names->has_key_id || !wants_key_id_locked(cost))
        return key;
    uv_mutex_unlock(&cost->mu);
    cost_key_id_of(usage->api_key, &names->key_id);
    names->has_key_id = true;
    uv_mutex_lock(&cost->mu);
    return known_key_locked(cost, &names->key);
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

int cost_record(tbus_cost_t *cost, const tbus_usage_t *usage, struct cost_bill *ret_bill,
                struct cost_estimate **ret_replaced)
{
    struct names names;

    *ret_replaced = NULL;
    if (!cost)
        return UV_EINVAL;
    int error = check_usage(usage);
    if (!error)
        fit_names(cost, usage, &names);
    uv_mutex_lock(&cost->mu);
    if (error == UV_ERANGE)
        cost->absurd_usages++;
    else if (!error)
        error = record_locked(cost, usage, &names, find_key_locked(cost, usage, &names), ret_bill, ret_replaced);
    if (error && error != UV_ENOMEM)
        cost->refused_usages++;
    uv_mutex_unlock(&cost->mu);
    return error;
}

int tbus_cost_record_usage(tbus_cost_t *cost, const tbus_usage_t *usage, tbus_charge_t *ret_charge)
{
    struct cost_estimate *replaced;
    struct cost_bill bill;
    int error = cost_record(cost, usage, &bill, &replaced);
    tbus_mem_free(replaced);
    if (ret_charge && (error == 0 || error == UV_ENOMEM))
        *ret_charge = charge_of(&bill);
    return error;
}

void cost_count_untracked(tbus_cost_t *cost)
{
    uv_mutex_lock(&cost->mu);
    cost->untracked_streams++;
    uv_mutex_unlock(&cost->mu);
}

/* --- Pricing alone --- */

int tbus_cost_price(const tbus_cost_t *cost, const tbus_usage_t *usage, tbus_charge_t *ret_charge)
{
    struct cost_bill bill;
    int error = cost && ret_charge ? check_usage(usage) : UV_EINVAL;
    if (error)
        return error;
    uv_mutex_t *mu = (uv_mutex_t *)(uintptr_t)&cost->mu;
    uv_mutex_lock(mu); /* for the hold alone: searching and pricing need no lock */
    struct cost_prices prices = cost->prices;
    prices_hold(prices.table);
    uv_mutex_unlock(mu);
    const struct price_entry *entry = prices_lookup(prices.table, usage->model);
    if (!entry && cost->unknown_model == TBUS_UNKNOWN_REJECT)
        error = UV_ENOENT;
    else
        price_by(&prices, entry, usage, &bill);
    cost_prices_let_go(&prices);
    if (!error)
        *ret_charge = charge_of(&bill);
    return error;
}
