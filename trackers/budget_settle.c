/* What a request has cost, and what it has not after all. */
#include "trackers/budget_request.h"

/* A call that has named a request, up to the lock; unlock the tracker when it is done. */
struct call {
    struct request_names names;
    struct request_id id;
    int64_t moment;
    struct request *known; /* NULL = the id is not known */
};

/* Errors: UV_EINVAL, without the lock. */
static int begin_call(tbus_budgets_t *budgets, const tbus_budget_request_t *request, struct call *call)
{
    if (!budgets)
        return UV_EINVAL;
    if (!request || money_value(request->amount) < 0) {
        uv_mutex_lock(&budgets->mu);
        budgets->counters.refused++;
        uv_mutex_unlock(&budgets->mu);
        return UV_EINVAL;
    }
    request_names_fill(budgets, request, &call->names);
    request_id_fit(budgets, request->request_id, &call->id);
    call->moment = budget_moment_of(budgets, request->time_ns);
    uv_mutex_lock(&budgets->mu);
    call->moment = budget_believe_locked(budgets, call->moment);
    call->known = request_find(budgets, &call->id);
    return 0;
}

/* Adds to the budgets, or (an amount below 0) takes off. */
static void spend_locked(tbus_budgets_t *budgets, const struct request_budgets *of, int64_t moment, int128_t amount)
{
    const int128_t sum = money_value(budgets->settled_sum) + amount;
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++)
        if (of->of[i])
            budget_spend_locked(budgets, of->of[i], moment, amount);
    budgets->settled_sum = money_of(sum > 0 ? sum : 0); /* what was not settled here may be retracted */
}

static bool would_overflow(const tbus_budgets_t *budgets, const struct request_budgets *of, int128_t amount)
{
    int128_t sum;
    bool overflows = __builtin_add_overflow(money_value(budgets->settled_sum), amount, &sum);
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++)
        overflows |= of->of[i] && !budget_has_room(of->of[i], amount);
    return overflows;
}

/* What was set aside and what it has become are shown as one change: nobody sees the cost twice, or not at all. */
static int settle_locked(tbus_budgets_t *budgets, struct call *call, const tbus_budget_request_t *request)
{
    struct request *known = call->known;
    if (known && known->is_settled) {
        budgets->counters.again++;
        return UV_EALREADY;
    }
    const struct request_budgets of = request_budgets_locked(budgets, &call->names, known);
    const int128_t amount = money_value(request->amount);
    if (would_overflow(budgets, &of, amount)) {
        budgets->counters.refused++;
        return UV_EOVERFLOW;
    }
    if (known)
        request_give_back_locked(budgets, known);
    spend_locked(budgets, &of, call->moment, amount);
    if (known)
        request_show_locked(budgets, known); /* those that the settle does not name */
    budgets->counters.settles++;
    budgets->counters.without_reservation += !known;
    budgets->counters.unpriced += request->unpriced;
    return call->id.name.length > 0
               ? request_settle_locked(budgets, &call->id, known, &of, call->moment, request->amount)
               : 0;
}

int tbus_budget_settle(tbus_budgets_t *budgets, const tbus_budget_request_t *request)
{
    struct call call;
    int error = begin_call(budgets, request, &call);
    if (error)
        return error;
    error = settle_locked(budgets, &call, request);
    uv_mutex_unlock(&budgets->mu);
    return error;
}

/* From where it was counted, where that is known; now may have been set back before that. */
static void retract_locked(tbus_budgets_t *budgets, struct call *call, const tbus_budget_request_t *request)
{
    struct request *known = call->known && call->known->is_settled ? call->known : NULL;
    const struct request_budgets of = request_budgets_locked(budgets, known ? NULL : &call->names, known);
    const int64_t moment = known && known->moment <= budgets->now_ns ? known->moment : call->moment;
    spend_locked(budgets, &of, moment, -money_value(known ? known->amount : request->amount));
    if (known)
        request_forget_locked(budgets, known);
    budgets->counters.retracted++;
}

int tbus_budget_retract(tbus_budgets_t *budgets, const tbus_budget_request_t *request)
{
    struct call call;
    const int error = begin_call(budgets, request, &call);
    if (error)
        return error;
    retract_locked(budgets, &call, request);
    uv_mutex_unlock(&budgets->mu);
    return 0;
}
