/* What was used before there was this tracker, told as sums.
 *
 * A name's sum in all comes to its row as usage of no known hour: the row's base grows with it. Its hours are then taken
 * out of the base and placed. A key's row goes by the key's digest, until the key itself comes (cost.c). */
#include <string.h>

#include "trackers/cost.h"
#include "trackers/moment.h"

void cost_digest_name_of(const struct table *keys, const struct cost_key_id *id, struct cost_digest_name *ret)
{
    ret->bytes[0] = '\0';
    memcpy(ret->bytes + 1, id->digest, sizeof id->digest);
    table_fit_bytes(keys, ret->bytes, sizeof ret->bytes, &ret->name);
}

bool cost_is_new(tbus_cost_t *cost)
{
    uv_mutex_lock(&cost->mu);
    bool is_new =
        cost->hour == 0 && cost->ahead.latest_ns == AHEAD_NOTHING_YET && cost->total.sums.figures[COST_REQUESTS] == 0;
    uv_mutex_unlock(&cost->mu);
    return is_new;
}

int64_t cost_believed_until(const tbus_cost_t *cost, int64_t now_ns)
{
    return cost->ahead.max_ns < 0 ? INT64_MAX : moment_after(moment_of(now_ns), cost->ahead.max_ns);
}

/* --- Sums --- */

static bool is_count(uint64_t count)
{
    return count <= INT64_MAX;
}

static bool is_sound(const tbus_cost_past_t *past)
{
    const tbus_cost_sum_t *sum = &past->sum;
    return past->group >= TBUS_COST_ALL && past->group <= TBUS_COST_ENDPOINT && money_value(sum->usd) >= 0 &&
           is_count(sum->requests) && is_count(sum->prompt_tokens) && is_count(sum->completion_tokens) &&
           is_count(sum->unpriced_requests) && is_count(past->estimated_requests) &&
           is_count(past->retracted_estimates) && sum->cached_tokens <= sum->prompt_tokens &&
           sum->cache_write_tokens <= sum->prompt_tokens - sum->cached_tokens &&
           sum->reasoning_tokens <= sum->completion_tokens;
}

static struct cost_sums sums_of(const tbus_cost_sum_t *sum)
{
    return (struct cost_sums){
        .usd = sum->usd,
        .figures = {[COST_REQUESTS] = sum->requests,
                    [COST_INPUT] = sum->prompt_tokens - sum->cached_tokens - sum->cache_write_tokens,
                    [COST_CACHED] = sum->cached_tokens,
                    [COST_WRITTEN] = sum->cache_write_tokens,
                    [COST_OUTPUT] = sum->completion_tokens,
                    [COST_REASONING] = sum->reasoning_tokens,
                    [COST_UNPRICED] = sum->unpriced_requests}};
}

/* Adds up, where that stays below what a usage on top could carry over the end. */
static bool add_up(const struct cost_sums *sums, const struct cost_sums *more, struct cost_sums *ret)
{
    int128_t usd;
    bool fits = !__builtin_add_overflow(money_value(sums->usd), money_value(more->usd), &usd);
    *ret = *sums;
    cost_sums_add(ret, more); /* neither number has more than 63 bits */
    for (int i = 0; i < COST_FIGURES; i++)
        fits = fits && is_count(ret->figures[i]);
    return fits;
}

static bool is_within(const struct cost_sums *part, const struct cost_sums *whole)
{
    bool all = money_value(part->usd) <= money_value(whole->usd);
    for (int i = 0; i < COST_FIGURES; i++)
        all = all && part->figures[i] <= whole->figures[i];
    return all;
}

/* --- Rows --- */

/* A row, and where it is; its key's name is made before the lock is taken. */
struct place {
    enum cost_group group;
    struct cost_key_id key_id;
    struct cost_digest_name digest;
    struct table_name name;
};

static void find_place(const tbus_cost_t *cost, const tbus_cost_past_t *past, struct place *ret)
{
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];
    ret->group = (enum cost_group)((int)past->group - TBUS_COST_KEY);
    table_fit(&cost->tables[ret->group], past->sum.name, &ret->name);
    if (ret->group != COST_BY_KEY)
        return;
    cost_key_id_of(past->sum.name, &ret->key_id);
    if (past->key_digest && memcmp(past->key_digest, none, sizeof none) != 0)
        memcpy(ret->key_id.digest, past->key_digest, sizeof ret->key_id.digest);
    if (memcmp(ret->key_id.digest, none, sizeof none) == 0)
        return; /* no key at all */
    cost_digest_name_of(&cost->tables[COST_BY_KEY], &ret->key_id, &ret->digest);
    ret->name = ret->digest.name;
}

static struct cost_row *row_locked(tbus_cost_t *cost, const struct place *place, int *error)
{
    const uint32_t before = cost->tables[place->group].count;
    void *row = cost_row_add_locked(cost, place->group, &place->name, error);
    if (place->group == COST_BY_KEY && cost->tables[COST_BY_KEY].count > before) {
        ((struct cost_key_row *)row)->id = place->key_id;
        cost->restored_keys++;
    }
    return row;
}

/* What a row would have, if it were there. */
static const struct cost_sums *sums_locked(const tbus_cost_t *cost, const struct place *place)
{
    static const struct cost_sums nothing;
    if (place->name.length == 0)
        return &cost->unnamed[place->group].row.sums;
    const struct cost_row *row = table_find_name(&cost->tables[place->group], &place->name);
    if (!row && cost->tables[place->group].count == cost->tables[place->group].max)
        row = table_find(&cost->tables[place->group], TABLE_OTHER);
    return row ? &row->sums : &nothing;
}

/* --- Restoring --- */

/* An hour, and the times that are known with the total: so that the 31 days end where they ended. */
static void see_time_locked(tbus_cost_t *cost, int64_t told_ns)
{
    const int64_t time_ns = moment_of(told_ns);
    const uint32_t hour = cost_hour_of(time_ns);
    if (hour > cost->history.newest)
        cost->history.newest = hour;
    if (hour > cost->restored_hour)
        cost->restored_hour = hour;
    if (time_ns > cost->ahead.latest_ns)
        cost->ahead.latest_ns = time_ns;
    if (time_ns < cost->first_time_ns)
        cost->first_time_ns = time_ns;
}

static int restore_total_locked(tbus_cost_t *cost, const tbus_cost_past_t *past, const struct cost_sums *sums)
{
    struct cost_sums sum;
    int128_t cached, batched;
    if (!add_up(&cost->total.sums, sums, &sum) ||
        __builtin_add_overflow(money_value(cost->cache_savings), money_value(past->cache_savings), &cached) ||
        __builtin_add_overflow(money_value(cost->batch_savings), money_value(past->batch_savings), &batched) ||
        !is_count(cost->estimated_requests + past->estimated_requests) ||
        !is_count(cost->retracted_estimates + past->retracted_estimates))
        return UV_EOVERFLOW;
    cost_history_add_past(&cost->total, sums);
    cost->cache_savings = money_of(cached);
    cost->batch_savings = money_of(batched);
    cost->estimated_requests += past->estimated_requests;
    cost->retracted_estimates += past->retracted_estimates;
    cost->estimates.forgotten += past->estimated_requests;
    see_time_locked(cost, past->first_time_ns);
    see_time_locked(cost, past->last_time_ns);
    if (past->history_from_ns != 0 && cost_hour_of(past->history_from_ns) > cost->history.whole_from)
        cost->history.whole_from = cost_hour_of(past->history_from_ns);
    return 0;
}

static int restore_name_locked(tbus_cost_t *cost, const struct place *place, const struct cost_sums *sums)
{
    struct cost_sums sum;
    int no_memory = 0;
    if (!add_up(sums_locked(cost, place), sums, &sum))
        return UV_EOVERFLOW;
    if (!is_within(&sum, &cost->total.sums))
        return UV_EINVAL;
    cost_history_add_past(row_locked(cost, place, &no_memory), sums);
    return no_memory;
}

static int restore_hour_locked(tbus_cost_t *cost, const tbus_cost_past_t *past, const struct place *place,
                               const struct cost_sums *sums)
{
    const uint32_t hour = cost_hour_of(past->hour_ns);
    int no_memory = 0;
    struct cost_row *row = past->group == TBUS_COST_ALL ? &cost->total : row_locked(cost, place, &no_memory);
    cost_history_place(&cost->history, row, hour, sums);
    if (hour > cost->restored_hour)
        cost->restored_hour = hour;
    return no_memory;
}

static int restore_locked(tbus_cost_t *cost, const tbus_cost_past_t *past, const struct place *place)
{
    const struct cost_sums sums = sums_of(&past->sum);
    if (cost->hour != 0)
        return UV_EALREADY;
    if (past->of_hour)
        return restore_hour_locked(cost, past, place, &sums);
    return past->group == TBUS_COST_ALL ? restore_total_locked(cost, past, &sums)
                                        : restore_name_locked(cost, place, &sums);
}

int tbus_cost_restore(tbus_cost_t *cost, const tbus_cost_past_t *past)
{
    struct place place;
    if (!cost || !past || !is_sound(past))
        return UV_EINVAL;
    if (past->group != TBUS_COST_ALL)
        find_place(cost, past, &place);
    uv_mutex_lock(&cost->mu);
    int error = restore_locked(cost, past, &place);
    uv_mutex_unlock(&cost->mu);
    return error;
}
