#include "trackers/budget.h"

/* --- What the figures come to --- */

static tbus_budget_status_t status_of(tbus_money_t limit, tbus_money_t used, tbus_money_t reserved)
{
    tbus_budget_status_t status = {.limit = limit, .used = used, .reserved = reserved};
    const int128_t left = money_value(limit) - money_value(used); /* neither is below 0 */
    status.over = left < 0;
    if (left > money_value(reserved))
        status.remaining = money_of(left - money_value(reserved));
    return status;
}

tbus_budget_status_t budget_status_locked(const struct budget *budget)
{
    tbus_budget_status_t status = status_of(budget->terms->limit, budget->used, budget->reserved);
    status.lifetime = budget->lifetime;
    status.kind = budget->terms->kind;
    status.period_start_ns = budget->period.from_ns;
    status.period_end_ns = budget->period.until_ns;
    return status;
}

/* --- Without the lock --- */

static uint64_t load(const struct budget_shown *shown, enum shown word)
{
    return atomic_load_explicit(&shown->words[word], memory_order_acquire);
}

static tbus_money_t load_money(const struct budget_shown *shown, enum shown word)
{
    return (tbus_money_t){.low = load(shown, word), .high = (int64_t)load(shown, word + 1)};
}

/* False: it was changed or removed meanwhile, or its period is over. */
static bool read_shown(const tbus_budgets_t *budgets, uint64_t index_version, uint32_t number, int64_t moment,
                       tbus_budget_status_t *ret)
{
    const struct budget_shown *shown = &budget_at(budgets, number)->shown;
    const uint64_t version = atomic_load_explicit(&shown->version, memory_order_acquire);
    const int64_t until_ns = (int64_t)load(shown, SHOWN_UNTIL);
    if (version % 2 != 0 || moment >= until_ns)
        return false;
    tbus_budget_status_t status =
        status_of(load_money(shown, SHOWN_LIMIT), load_money(shown, SHOWN_USED), load_money(shown, SHOWN_RESERVED));
    status.lifetime = load_money(shown, SHOWN_LIFETIME);
    status.kind = (tbus_budget_kind_t)load(shown, SHOWN_KIND);
    status.period_start_ns = (int64_t)load(shown, SHOWN_FROM);
    status.period_end_ns = until_ns;
    if (atomic_load_explicit(&shown->version, memory_order_relaxed) != version ||
        !budget_index_holds(&budgets->by_name, index_version))
        return false;
    *ret = status;
    return true;
}

enum answer { KNOWN, UNKNOWN, UNCLEAR };

static enum answer look(const tbus_budgets_t *budgets, struct budget_id id, int64_t moment, tbus_budget_status_t *ret)
{
    const uint64_t version = budget_index_version(&budgets->by_name);
    const uint32_t number = budget_index_find(&budgets->by_name, id);
    if (number != BUDGET_NONE)
        return read_shown(budgets, version, number, moment, ret) ? KNOWN : UNCLEAR;
    return budget_index_holds(&budgets->by_name, version) ? UNKNOWN : UNCLEAR;
}

/* Whether a subject that the index does not know may have a budget all the same. */
static bool may_have_one(const tbus_budgets_t *budgets, tbus_budget_scope_t scope)
{
    return (atomic_load_explicit(&budgets->defaults, memory_order_relaxed) & 1u << scope) ||
           (scope == TBUS_BUDGET_KEY && atomic_load_explicit(&budgets->nameless, memory_order_relaxed) > 0);
}

/* --- With it --- */

/* What the first request of a subject would find. */
static tbus_budget_status_t fresh_status_locked(const tbus_budgets_t *budgets, const struct budget_terms *terms)
{
    struct budget fresh = {.terms = terms, .period = {INT64_MIN, INT64_MAX}};
    if (!terms->rolling)
        fresh.period = period_at(&terms->rule, budgets->now_ns);
    return budget_status_locked(&fresh);
}

static int check_locked(tbus_budgets_t *budgets, struct budget_subject *subject, tbus_budget_status_t *ret)
{
    struct budget *budget = budget_find_locked(budgets, subject);
    const struct budget_terms *each = budgets->each[subject->scope];
    if (!budget && each && budgets->defaulted >= budgets->options.defaulted_max)
        budget = budget_at(budgets, budgets->shared[subject->scope]);
    if (!budget && !each)
        return UV_ENOENT;
    if (!budget) {
        *ret = fresh_status_locked(budgets, each);
        return 0;
    }
    budget_advance_locked(budgets, budget);
    *ret = budget_status_locked(budget);
    return 0;
}

int tbus_budget_check(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *text, int64_t time_ns,
                      tbus_budget_status_t *ret_status)
{
    if (!budgets || !ret_status || (unsigned)scope >= TBUS_BUDGET_SCOPES)
        return UV_EINVAL;
    if (scope != TBUS_BUDGET_ALL && (!text || !*text))
        return UV_ENOENT;
    const struct budget_id id = scope == TBUS_BUDGET_ALL ? budgets->all_id : budget_id_of(budgets, scope, text);
    const int64_t moment = budget_moment_of(budgets, time_ns);
    const enum answer answer = look(budgets, id, moment, ret_status);
    if (answer == KNOWN)
        return 0;
    if (answer == UNKNOWN && !may_have_one(budgets, scope))
        return UV_ENOENT;
    struct budget_subject subject;
    budget_subject_fill(budgets, scope, text, NULL, &subject);
    uv_mutex_lock(&budgets->mu);
    budget_believe_locked(budgets, moment);
    const int error = check_locked(budgets, &subject, ret_status);
    uv_mutex_unlock(&budgets->mu);
    return error;
}
