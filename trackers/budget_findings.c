/* What was found waits with its budget, as bits; the queue holds the budgets that have some. So there is always room,
 * and what is found twice before anybody takes it is one finding. */
#include <string.h>

#include "trackers/budget.h"

/* Fills in what a bit stands for; `is_before`: of a period that has ended. */
static void describe(const struct budget *budget, uint32_t bit, bool is_before, tbus_budget_finding_t *ret)
{
    const struct budget_terms *terms = budget->terms;
    *ret = (tbus_budget_finding_t){.what = bit == TOLD_RESET      ? TBUS_BUDGET_FOUND_RESET
                                           : bit == TOLD_EXCEEDED ? TBUS_BUDGET_FOUND_EXCEEDED
                                                                  : TBUS_BUDGET_FOUND_ALERT,
                                   .scope = (tbus_budget_scope_t)budget->scope,
                                   .kind = terms->kind,
                                   .used = is_before ? budget->ended_used : budget->used,
                                   .limit = terms->limit,
                                   .time_ns = is_before ? budget->found_before_ns : budget->found_ns};
    if (ret->what == TBUS_BUDGET_FOUND_ALERT)
        ret->threshold = terms->thresholds_ppm[__builtin_ctz(bit)] / 1e6;
    memcpy(ret->subject, budget->subject, strlen(budget->subject) + 1);
}

/* The bits stand in the order in which they are told: thresholds, the limit, the end. */
static bool take_from(struct budget *budget, tbus_budget_finding_t *ret)
{
    const bool is_before = budget->found_before != 0;
    uint32_t *found = is_before ? &budget->found_before : &budget->found;
    const uint32_t bit = *found & -*found;
    if (bit == 0)
        return false;
    describe(budget, bit, is_before, ret);
    *found &= ~bit;
    return true;
}

static void dequeue(tbus_budgets_t *budgets, struct budget *budget)
{
    budgets->found_first = budget->next_found;
    if (budgets->found_first == BUDGET_NONE)
        budgets->found_last = BUDGET_NONE;
    budget->queued = false;
    atomic_fetch_sub_explicit(&budgets->waiting, 1, memory_order_relaxed);
}

static int take_locked(tbus_budgets_t *budgets, tbus_budget_finding_t *ret)
{
    while (budgets->found_first != BUDGET_NONE) {
        struct budget *budget = budget_at(budgets, budgets->found_first);
        const bool taken = take_from(budget, ret);
        if ((budget->found | budget->found_before) == 0)
            dequeue(budgets, budget);
        if (taken)
            return 1;
    }
    return 0;
}

int tbus_budgets_take_finding(tbus_budgets_t *budgets, tbus_budget_finding_t *ret_finding)
{
    if (!budgets || !ret_finding)
        return UV_EINVAL;
    if (atomic_load_explicit(&budgets->waiting, memory_order_relaxed) == 0)
        return 0;
    uv_mutex_lock(&budgets->mu);
    const int taken = take_locked(budgets, ret_finding);
    uv_mutex_unlock(&budgets->mu);
    return taken;
}
