/* What the sums lead to: a forecast, and suggestions.
 *
 * A suggestion prices the tokens of a model's last 24 hours twice, as they were used and the other way, both times by
 * the price table of now and by the same code that bills. Tokens of many requests together would fall into tiers that
 * none of them reached, so tiers are left out on both sides; so is what is not tokens. */
#include <stdlib.h>

#include "trackers/cost_lists.h"
#include "trackers/moment.h"

/* --- Forecast --- */

enum { WEEK_HOURS = 7 * 24 };

#define WEEK_NS (WEEK_HOURS * COST_HOUR_NS)
#define MONTH_NS (30 * 24 * COST_HOUR_NS)

/* amount * MONTH_NS / span_ns to the nearest unit, without a product that overflows where the result does not. */
static int128_t per_month(int128_t amount, int64_t span_ns)
{
    int128_t whole = amount / span_ns, rest = amount % span_ns, result;
    if (__builtin_mul_overflow(whole, (int128_t)MONTH_NS, &result) ||
        __builtin_add_overflow(result, (rest * MONTH_NS + span_ns / 2) / span_ns, &result))
        return MONEY_MAX;
    return result;
}

tbus_cost_forecast_t cost_forecast_locked(const tbus_cost_t *cost, int64_t now_ns)
{
    tbus_cost_forecast_t forecast = {.observed_ns = 0};
    if (cost->ahead.latest_ns == AHEAD_NOTHING_YET)
        return forecast;
    const int64_t now = moment_of(now_ns), first = moment_of(cost->first_time_ns);
    const int64_t known = cost_history_from(&cost->history), since = first > known ? first : known;
    const uint32_t hour = cost_hour_of(now), week = hour >= WEEK_HOURS ? hour - WEEK_HOURS + 1 : 1;
    const uint32_t from = since >= cost_hour_begin(week) ? cost_hour_of(since) : week;
    const struct cost_sums sums = cost_row_within(&cost->history, &cost->total, from, hour);
    forecast.observed = sums.usd;
    forecast.observed_ns = WEEK_NS;
    if (since >= cost_hour_begin(week))
        forecast.observed_ns = now - since > COST_HOUR_NS ? now - since : COST_HOUR_NS;
    forecast.projected_monthly = money_of(per_month(money_value(forecast.observed), forecast.observed_ns));
    return forecast;
}

int tbus_cost_forecast(tbus_cost_t *cost, int64_t now_ns, tbus_cost_forecast_t *ret)
{
    if (!cost || !ret)
        return UV_EINVAL;
    uv_mutex_lock(&cost->mu);
    *ret = cost_forecast_locked(cost, now_ns ? now_ns : cost->ahead.latest_ns);
    uv_mutex_unlock(&cost->mu);
    return 0;
}

/* --- Suggestions --- */

enum { DAY_HOURS = 24, MANY_REQUESTS = 50, FEW_CACHED = 10 /* less than a tenth */ };

/* Models, without prefix and date, and a cheaper one of their family. */
static const struct {
    const char *model, *cheaper;
} families[] = {
    {"gpt-4", "gpt-4o"},
    {"gpt-4-32k", "gpt-4o"},
    {"gpt-4-turbo", "gpt-4o"},
    {"gpt-4o", "gpt-4o-mini"},
    {"gpt-4.1", "gpt-4.1-mini"},
    {"gpt-4.1-mini", "gpt-4.1-nano"},
    {"o1", "o1-mini"},
    {"o3", "o3-mini"},
    {"gemini-1.5-pro", "gemini-1.5-flash"},
    {"gemini-2.5-pro", "gemini-2.5-flash"},
    {"claude-3-opus", "claude-3-5-sonnet-latest"},
    {"claude-3-5-sonnet", "claude-3-5-haiku-latest"},
    {"text-embedding-ada-002", "text-embedding-3-small"},
    {"text-embedding-3-large", "text-embedding-3-small"},
};

/* One model's last 24 hours. */
struct day {
    const tbus_prices_t *prices;
    const char *model;
    const struct price_entry *entry;
    struct cost_sums regular, batched, batchable;
};

static int64_t count_of(const struct cost_sums *sums, int figure)
{
    const uint64_t most = COST_COUNT_MAX;
    return (int64_t)(sums->figures[figure] < most ? sums->figures[figure] : most);
}

/* Prices sums of tokens by an entry; false where something has no price. */
static bool price_sums(const tbus_prices_t *prices, const struct price_entry *entry, const struct cost_sums *sums,
                       bool batch, int128_t *ret)
{
    struct price_entry plain = *entry;
    struct cost_bill bill;
    tbus_usage_t usage = {.prompt_tokens = count_of(sums, COST_INPUT),
                          .cached_tokens = count_of(sums, COST_CACHED),
                          .cache_write_tokens = count_of(sums, COST_WRITTEN),
                          .completion_tokens = count_of(sums, COST_OUTPUT),
                          .reasoning_tokens = count_of(sums, COST_REASONING),
                          .batch = batch};
    plain.price.request = TBUS_PRICE_NONE;
    plain.price.input_excludes_cached = true; /* so are the sums: each token in one place */
    for (int i = 0; i < TBUS_PRICE_TIERS; i++)
        plain.price.tiers[i].above_tokens = 0;
    cost_price_usage(prices, &plain, &usage, &bill);
    if (bill.unpriced)
        return false;
    *ret = bill.total;
    return true;
}

/* What a model's tokens cost, those in batches and the others. */
static bool price_day(const struct day *day, const struct price_entry *entry, int128_t *ret)
{
    int128_t regular, batched;
    if (!price_sums(day->prices, entry, &day->regular, false, &regular) ||
        !price_sums(day->prices, entry, &day->batched, true, &batched))
        return false;
    *ret = regular + batched;
    return true;
}

static void add_suggestion(tbus_suggestions_t *to, tbus_suggestion_kind_t kind, const struct day *day,
                           const char *cheaper, uint64_t requests, int128_t saving)
{
    tbus_suggestion_t *list = (tbus_suggestion_t *)(uintptr_t)to->suggestions;
    if (saving > 0)
        list[to->count++] = (tbus_suggestion_t){.kind = kind,
                                                .model = day->model,
                                                .cheaper_model = cheaper,
                                                .requests = requests,
                                                .saving = money_of(saving)};
}

static void suggest_model(const struct day *day, tbus_suggestions_t *to)
{
    int128_t now, then;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (!prices_is_named(day->model, families[i].model))
            continue;
        const struct price_entry *other = prices_lookup(day->prices, families[i].cheaper);
        if (other && other != day->entry && price_day(day, day->entry, &now) && price_day(day, other, &then))
            add_suggestion(to, TBUS_SUGGEST_MODEL, day, families[i].cheaper,
                           day->regular.figures[COST_REQUESTS] + day->batched.figures[COST_REQUESTS], now - then);
        return;
    }
}

static void suggest_cache(const struct day *day, tbus_suggestions_t *to)
{
    const tbus_price_t *price = &day->entry->price;
    const struct cost_sums *sums = &day->regular;
    const int64_t input = count_of(sums, COST_INPUT), cached = count_of(sums, COST_CACHED);
    int128_t now, then;

    if (price->cached_input == TBUS_PRICE_NONE || price->cached_input >= price->input ||
        sums->figures[COST_REQUESTS] <= MANY_REQUESTS ||
        (int128_t)cached * FEW_CACHED >= (int128_t)input + cached + count_of(sums, COST_WRITTEN))
        return;
    struct cost_sums all_cached = *sums;
    all_cached.figures[COST_CACHED] += all_cached.figures[COST_INPUT];
    all_cached.figures[COST_INPUT] = 0;
    if (price_sums(day->prices, day->entry, sums, false, &now) &&
        price_sums(day->prices, day->entry, &all_cached, false, &then))
        add_suggestion(to, TBUS_SUGGEST_CACHE, day, "", sums->figures[COST_REQUESTS], now - then);
}

static void suggest_batch(const struct day *day, tbus_suggestions_t *to)
{
    const struct cost_sums *sums = &day->batchable;
    int128_t now, then;
    if (sums->figures[COST_REQUESTS] > MANY_REQUESTS && price_sums(day->prices, day->entry, sums, false, &now) &&
        price_sums(day->prices, day->entry, sums, true, &then))
        add_suggestion(to, TBUS_SUGGEST_BATCH, day, "", sums->figures[COST_REQUESTS], now - then);
}

static struct cost_sums day_of(const tbus_cost_t *cost, enum cost_group group, const char *model, uint32_t hour)
{
    const struct cost_row *row = table_find(&cost->tables[group], model);
    if (!row)
        return (struct cost_sums){0};
    /* Of what was restored it is not known how much was in batches. */
    const uint32_t from = hour >= DAY_HOURS ? hour - DAY_HOURS + 1 : 1, known_from = cost->restored_hour + 1;
    return cost_row_within(&cost->history, row, from > known_from ? from : known_from, hour);
}

static void suggest_for_locked(const tbus_cost_t *cost, const char *model, uint32_t hour, struct snapshot_block *block,
                               tbus_suggestions_t *to)
{
    struct day day = {.prices = cost->prices.table,
                      .model = model,
                      .entry = prices_lookup(cost->prices.table, model),
                      .regular = day_of(cost, COST_BY_MODEL, model, hour)};
    if (!day.entry || day.regular.figures[COST_REQUESTS] == 0)
        return;
    day.batched = day_of(cost, COST_BATCHED, model, hour);
    day.batchable = day_of(cost, COST_BATCHABLE, model, hour);
    if (!cost_sums_hold(&day.regular, &day.batched))
        return; /* an hour of the whole is missing, for want of memory, and not that of the part */
    cost_sums_take(&day.regular, &day.batched);
    day.model = snapshot_text(block, model, strlen(model));
    if (!day.model)
        return;
    suggest_model(&day, to);
    suggest_cache(&day, to);
    suggest_batch(&day, to);
}

static tbus_suggestions_t *suggest_locked(const tbus_cost_t *cost, int64_t now_ns, struct snapshot_block *block)
{
    const struct table *models = &cost->tables[COST_BY_MODEL];
    tbus_suggestions_t *suggestions = snapshot_take(block, sizeof *suggestions);
    tbus_suggestion_t *list = snapshot_take(block, (size_t)models->count * 3 * sizeof *list);
    if (!suggestions || !list)
        return NULL;
    suggestions->suggestions = list;
    for (uint32_t cell = COST_PLACE_OF_OTHER;
         cost->ahead.latest_ns != AHEAD_NOTHING_YET && cell < models->used && !block->overflowed; cell++) {
        const void *row = table_at(models, cell);
        if (row)
            suggest_for_locked(cost, table_key(models, row, NULL),
                               cost_hour_of(now_ns ? now_ns : cost->ahead.latest_ns), block, suggestions);
    }
    return block->overflowed ? NULL : suggestions;
}

static int by_falling_saving(const void *left, const void *right)
{
    const tbus_suggestion_t *a = left, *b = right;
    int order = tbus_money_compare(b->saving, a->saving);
    if (order)
        return order;
    order = strcmp(a->model, b->model);
    return order ? order : (int)a->kind - (int)b->kind;
}

int tbus_cost_suggestions(tbus_cost_t *cost, int64_t now_ns, tbus_suggestions_t **ret)
{
    struct snapshot_block block;
    tbus_suggestions_t *suggestions = NULL;

    if (!cost || !ret)
        return UV_EINVAL;
    while (!suggestions) {
        uv_mutex_lock(&cost->mu);
        const struct table *models = &cost->tables[COST_BY_MODEL];
        size_t bytes = sizeof *suggestions + ((size_t)models->count + 1) * (3 * sizeof(tbus_suggestion_t) +
                                                                            snapshot_rounded(models->key_max + 1));
        uv_mutex_unlock(&cost->mu);
        int error = snapshot_block_open(&block, bytes);
        if (error)
            return error;
        uv_mutex_lock(&cost->mu);
        suggestions = suggest_locked(cost, now_ns, &block);
        uv_mutex_unlock(&cost->mu);
        if (!suggestions)
            tbus_mem_free(block.memory);
    }
    qsort((void *)(uintptr_t)suggestions->suggestions, suggestions->count, sizeof(tbus_suggestion_t),
          by_falling_saving); /* our own block: const is for the reader */
    *ret = suggestions;
    return 0;
}

void tbus_suggestions_free(tbus_suggestions_t *suggestions)
{
    tbus_mem_free(suggestions);
}
