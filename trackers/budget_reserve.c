/* Whether a request may run: every budget that applies is asked, and then the estimate is set aside in all of them. */
#include <string.h>

#include "trackers/budget_request.h"

/* The limit less what is used and reserved; MONEY_MIN where even that does not fit. */
static int128_t left_in(const struct budget *budget)
{
    const int128_t left = money_value(budget->terms->limit) - money_value(budget->used); /* neither is below 0 */
    int128_t rest;
    return __builtin_sub_overflow(left, money_value(budget->reserved), &rest) ? MONEY_MIN : rest;
}

/* 0 = it admits. */
static int reason_against(const struct budget *budget, const tbus_budget_request_t *request)
{
    if (budget->terms->kind != TBUS_BUDGET_HARD)
        return 0;
    if (request->unpriced && budget->terms->refuse_unpriced)
        return TBUS_BUDGET_UNPRICED;
    return money_value(request->amount) > left_in(budget) ? TBUS_BUDGET_OVER_LIMIT : 0;
}

static void deny_locked(tbus_budgets_t *budgets, struct budget *budget, int reason, tbus_budget_refusal_t *ret)
{
    budgets->counters.denied++;
    if (reason == TBUS_BUDGET_OVER_LIMIT)
        budget_tell_locked(budgets, budget, true);
    if (!ret)
        return;
    *ret = (tbus_budget_refusal_t){.reason = (tbus_budget_reason_t)reason,
                                   .scope = (tbus_budget_scope_t)budget->scope,
                                   .limit = budget->terms->limit,
                                   .used = budget->used,
                                   .reserved = budget->reserved,
                                   .period_end_ns = budget->period.until_ns};
    memcpy(ret->subject, budget->subject, strlen(budget->subject) + 1);
}

/* 0, UV_EACCES or UV_EOVERFLOW; sets nothing aside. */
static int judge_locked(tbus_budgets_t *budgets, const struct request_budgets *of, const tbus_budget_request_t *request,
                        tbus_budget_refusal_t *ret_refusal)
{
    static const tbus_budget_scope_t order[TBUS_BUDGET_SCOPES] = {TBUS_BUDGET_ALL, TBUS_BUDGET_PROJECT,
                                                                  TBUS_BUDGET_USER, TBUS_BUDGET_KEY};
    bool overflows = false;
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        struct budget *budget = of->of[order[i]];
        int128_t sum;
        if (!budget)
            continue;
        const int reason = reason_against(budget, request);
        if (reason) {
            deny_locked(budgets, budget, reason, ret_refusal);
            return UV_EACCES;
        }
        overflows |= __builtin_add_overflow(money_value(budget->reserved), money_value(request->amount), &sum);
    }
    return overflows ? UV_EOVERFLOW : 0;
}

static int reserve_locked(tbus_budgets_t *budgets, const struct request_id *id, struct request_names *names,
                          const tbus_budget_request_t *request, tbus_budget_refusal_t *ret_refusal)
{
    if (request_find(budgets, id))
        return UV_EEXIST;
    if (budgets->open.count >= budgets->options.reservations_max)
        return UV_ENOBUFS;
    const struct request_budgets of = request_budgets_locked(budgets, names, NULL);
    int error = judge_locked(budgets, &of, request, ret_refusal);
    if (!error)
        error = request_open_locked(budgets, id, &of, request->amount);
    budgets->counters.admitted += !error;
    return error;
}

static bool is_sound(const tbus_budget_request_t *request)
{
    return request && request->request_id && *request->request_id && money_value(request->amount) >= 0;
}

int tbus_budget_reserve(tbus_budgets_t *budgets, const tbus_budget_request_t *request,
                        tbus_budget_refusal_t *ret_refusal)
{
    struct request_names names;
    struct request_id id;
    int64_t moment = 0;
    int error = UV_EINVAL;

    if (!budgets)
        return UV_EINVAL;
    const bool sound = is_sound(request);
    if (sound) { /* all that can be done while nobody waits */
        request_names_fill(budgets, request, &names);
        request_id_fit(budgets, request->request_id, &id);
        moment = budget_moment_of(budgets, request->time_ns);
    }
    uv_mutex_lock(&budgets->mu);
    if (sound) {
        budget_believe_locked(budgets, moment);
        error = reserve_locked(budgets, &id, &names, request, ret_refusal);
    }
    budgets->counters.refused += error != 0 && error != UV_EACCES;
    uv_mutex_unlock(&budgets->mu);
    return error;
}
