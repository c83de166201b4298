/* The cost tracker goes on where a ledger says that it was: totals first, then the hours of the 31 days. */
#include <tallybus/subscribers.h>

#include "trackers/cost.h"
#include "trackers/money.h"

struct resume {
    tbus_cost_t *cost;
    int64_t now_ns, until_ns; /* times after the second are not believed, and count as now */
    uint32_t last_hour;       /* 0 = the ledger has no records */
    int64_t from_ns;          /* where the first hour that is restored begins */
    int64_t history_from_ns;  /* the same where the ledger lacks hours before it; else 0 */
};

/* --- Sums --- */

static int64_t believed(const struct resume *resume, int64_t time_ns)
{
    return time_ns <= resume->until_ns ? time_ns : resume->now_ns;
}

static tbus_cost_group_t group_of(tbus_ledger_kind_t kind)
{
    static const tbus_cost_group_t groups[TBUS_LEDGER_KINDS] = {
        [TBUS_LEDGER_ALL] = TBUS_COST_ALL,     [TBUS_LEDGER_KEY] = TBUS_COST_KEY,
        [TBUS_LEDGER_USER] = TBUS_COST_USER,   [TBUS_LEDGER_PROJECT] = TBUS_COST_PROJECT,
        [TBUS_LEDGER_MODEL] = TBUS_COST_MODEL, [TBUS_LEDGER_ENDPOINT] = TBUS_COST_ENDPOINT};
    return groups[kind];
}

/* What a ledger's sum is to the tracker. False where nothing of it counts: all was taken back, or more than all, as where
 * an estimate was entered under a longer name than it was taken back under. */
static bool past_of(const tbus_ledger_sum_t *sum, tbus_cost_past_t *ret)
{
    *ret = (tbus_cost_past_t){.group = group_of(sum->kind),
                              .sum = {.name = sum->name,
                                      .usd = sum->cost,
                                      .requests = (uint64_t)sum->requests,
                                      .prompt_tokens = (uint64_t)sum->input_tokens + (uint64_t)sum->cache_read_tokens +
                                                       (uint64_t)sum->cache_write_tokens,
                                      .completion_tokens = (uint64_t)sum->output_tokens,
                                      .cached_tokens = (uint64_t)sum->cache_read_tokens,
                                      .cache_write_tokens = (uint64_t)sum->cache_write_tokens,
                                      .reasoning_tokens = (uint64_t)sum->reasoning_tokens,
                                      .unpriced_requests = (uint64_t)sum->unpriced_requests},
                              .key_digest = sum->key_digest,
                              .cache_savings = sum->cache_savings,
                              .batch_savings = sum->batch_savings,
                              .estimated_requests = (uint64_t)sum->estimated_requests,
                              .retracted_estimates = (uint64_t)sum->retracted_requests};
    return sum->requests > 0 && money_value(sum->cost) >= 0;
}

/* The total, which is told first, has the times too. */
static int restore_total(const tbus_ledger_sum_t *sum, void *user)
{
    const struct resume *resume = user;
    tbus_cost_past_t past;
    bool counts = past_of(sum, &past);
    past.first_time_ns = believed(resume, sum->first_ns);
    past.last_time_ns = believed(resume, sum->last_ns);
    past.history_from_ns = resume->history_from_ns;
    return counts || sum->kind == TBUS_LEDGER_ALL ? tbus_cost_restore(resume->cost, &past) : 0;
}

static int restore_hour(const tbus_ledger_sum_t *sum, void *user)
{
    const struct resume *resume = user;
    tbus_cost_past_t past;
    if (!past_of(sum, &past))
        return 0;
    past.of_hour = true;
    past.hour_ns = believed(resume, sum->hour_ns);
    return tbus_cost_restore(resume->cost, &past);
}

/* --- The 31 days --- */

static int ignore(const tbus_ledger_sum_t *sum, void *user)
{
    (void)sum;
    (void)user;
    return 0;
}

/* The first of the 744 hours that end with `last` from which on the ledger has all: hours may have been deleted for
 * their age. */
static int find_first_hour(struct resume *resume, tbus_ledger_t *ledger)
{
    const uint32_t last = resume->last_hour, first = last > COST_HOURS ? last - COST_HOURS + 1 : 1;
    uint32_t low = first, high = last + 1;
    while (low < high) {
        uint32_t middle = low == first ? first : low + (high - low) / 2; /* mostly nothing is missing */
        int error = tbus_ledger_since(ledger, TBUS_LEDGER_ALL, cost_hour_begin(middle), ignore, NULL);
        if (error && error != UV_ERANGE)
            return error;
        if (error)
            low = middle + 1;
        else
            high = middle;
    }
    resume->from_ns = cost_hour_begin(low);
    resume->history_from_ns = low > first ? resume->from_ns : 0;
    return 0;
}

static int note_last_hour(const tbus_ledger_sum_t *sum, void *user)
{
    struct resume *resume = user;
    if (sum->kind == TBUS_LEDGER_ALL)
        resume->last_hour = cost_hour_of(believed(resume, sum->last_ns));
    return 0;
}

static int restore(struct resume *resume, tbus_ledger_t *ledger)
{
    int error = find_first_hour(resume, ledger);
    if (!error)
        error = tbus_ledger_totals(ledger, restore_total, resume);
    return error ? error : tbus_ledger_hours(ledger, resume->from_ns, restore_hour, resume);
}

int tbus_cost_resume(tbus_cost_t *cost, tbus_ledger_t *ledger, int64_t now_ns)
{
    struct resume resume = {.cost = cost, .now_ns = now_ns};
    if (!cost)
        return UV_EINVAL;
    resume.until_ns = cost_believed_until(cost, now_ns);
    int error = tbus_ledger_totals(ledger, note_last_hour, &resume);
    if (error)
        return error;
    if (!cost_is_new(cost))
        return UV_EALREADY;
    if (resume.last_hour == 0)
        return 0;
    error = restore(&resume, ledger);
    if (error && error != UV_EALREADY)
        tbus_cost_reset(cost); /* half of it would look like all */
    return error;
}
