/* Requests. One table holds those with an open reservation and those that were settled, each kind in a list of its own,
 * oldest first: the first open one is the first whose time is over, the first settled one is the first to be forgotten.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trackers/budget.h"
#include "trackers/moment.h"

enum { NO_CELL = UINT32_MAX };

/* The order in which budgets are asked. */
static const tbus_budget_scope_t scopes[TBUS_BUDGET_SCOPES] = {TBUS_BUDGET_ALL, TBUS_BUDGET_PROJECT, TBUS_BUDGET_USER,
                                                               TBUS_BUDGET_KEY};

/* A budget as a request remembers it: by its number, for as long as it is the same one. */
struct budget_ref {
    uint32_t number, generation;
};

struct request {
    tbus_money_t amount; /* set aside, or settled */
    int64_t moment;      /* open: when its time is over; settled: when it counted */
    struct budget_ref refs[TBUS_BUDGET_SCOPES];
    uint32_t before, after; /* cells in its list */
    bool is_settled;
};

/* The budgets of a request by scope; NULL = none applies. */
struct touched {
    struct budget *of[TBUS_BUDGET_SCOPES];
};

/* A request id that fits the table: a long one is told by two hashes. */
struct request_id {
    const char *text;
    char room[BUDGET_REQUEST_ID_MAX + 1];
};

void budget_requests_open(tbus_budgets_t *budgets)
{
    table_init(&budgets->requests, sizeof(struct request), BUDGET_REQUEST_ID_MAX,
               budgets->options.reservations_max + budgets->options.settled_max);
    budgets->open = budgets->settled = (struct request_list){NO_CELL, NO_CELL, 0};
}

static bool has_id(const char *request_id)
{
    return request_id && *request_id;
}

static void fit_id(const tbus_budgets_t *budgets, const char *given, struct request_id *id)
{
    const size_t length = has_id(given) ? strlen(given) : 0;
    id->text = given;
    if (length <= BUDGET_REQUEST_ID_MAX)
        return;
    snprintf(id->room, sizeof id->room, "~%016llx%016llx",
             (unsigned long long)table_hash(given, length, &budgets->secrets[0]),
             (unsigned long long)table_hash(given, length, &budgets->secrets[1]));
    id->text = id->room;
}

/* --- Lists --- */

static struct request *request_at(const tbus_budgets_t *budgets, uint32_t cell)
{
    return table_at(&budgets->requests, cell);
}

static void append(tbus_budgets_t *budgets, struct request_list *list, struct request *request)
{
    const uint32_t cell = table_cell_of(&budgets->requests, request);
    request->before = list->last;
    request->after = NO_CELL;
    if (list->last == NO_CELL)
        list->first = cell;
    else
        request_at(budgets, list->last)->after = cell;
    list->last = cell;
    list->count++;
}

static void unlink_from(tbus_budgets_t *budgets, struct request_list *list, const struct request *request)
{
    if (request->before == NO_CELL)
        list->first = request->after;
    else
        request_at(budgets, request->before)->after = request->after;
    if (request->after == NO_CELL)
        list->last = request->before;
    else
        request_at(budgets, request->after)->before = request->before;
    list->count--;
}

static void forget(tbus_budgets_t *budgets, struct request *request)
{
    unlink_from(budgets, request->is_settled ? &budgets->settled : &budgets->open, request);
    table_remove(&budgets->requests, request);
}

/* --- Budgets of a request --- */

static struct budget *budget_of_ref(const tbus_budgets_t *budgets, struct budget_ref ref)
{
    if (ref.number == BUDGET_NONE)
        return NULL;
    struct budget *budget = budget_at(budgets, ref.number);
    return budget->generation == ref.generation ? budget : NULL;
}

static void remember(struct request *request, const struct touched *touched)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        const struct budget *budget = touched->of[i];
        request->refs[i] =
            budget ? (struct budget_ref){budget->number, budget->generation} : (struct budget_ref){BUDGET_NONE, 0};
    }
}

struct names {
    struct budget_subject of[TBUS_BUDGET_SCOPES];
};

static struct names names_of(tbus_budgets_t *budgets, const tbus_budget_request_t *request)
{
    return (struct names){{
        [TBUS_BUDGET_ALL] = budget_subject_of(budgets, TBUS_BUDGET_ALL, "", NULL),
        [TBUS_BUDGET_KEY] = budget_subject_of(budgets, TBUS_BUDGET_KEY, request->api_key, request->key_digest),
        [TBUS_BUDGET_USER] = budget_subject_of(budgets, TBUS_BUDGET_USER, request->user_id, NULL),
        [TBUS_BUDGET_PROJECT] = budget_subject_of(budgets, TBUS_BUDGET_PROJECT, request->project_id, NULL),
    }};
}

/* What the names stand for; where there is none, what `remembered` (may be NULL) has. All are brought to now. */
static struct touched touch_locked(tbus_budgets_t *budgets, struct names *names, const struct request *remembered)
{
    struct touched touched = {{0}};
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        if (budget_subject_is_some(&names->of[i]))
            touched.of[i] = budget_find_or_make_locked(budgets, &names->of[i]);
        else if (remembered)
            touched.of[i] = budget_of_ref(budgets, remembered->refs[i]);
        if (touched.of[i])
            budget_advance_locked(budgets, touched.of[i]);
    }
    return touched;
}

/* --- Reserving --- */

/* Changes what is reserved, and does not show it yet. */
static void set_aside(tbus_budgets_t *budgets, const struct request *request, int128_t amount)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        struct budget *budget = budget_of_ref(budgets, request->refs[i]);
        if (!budget)
            continue;
        budget->reserved = money_of(money_value(budget->reserved) + amount);
        assert(budget->reserved.high >= 0);
    }
}

static void show(tbus_budgets_t *budgets, const struct request *request)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        struct budget *budget = budget_of_ref(budgets, request->refs[i]);
        if (budget)
            budget_show_locked(budget);
    }
}

/* An open reservation ends with nothing used. */
static void give_back(tbus_budgets_t *budgets, struct request *request)
{
    set_aside(budgets, request, -money_value(request->amount));
    show(budgets, request);
    forget(budgets, request);
}

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

static void refuse_locked(tbus_budgets_t *budgets, struct budget *budget, int reason, tbus_budget_refusal_t *ret)
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

/* Looks, and changes nothing: 0, UV_EACCES or UV_EOVERFLOW. */
static int judge_locked(tbus_budgets_t *budgets, const struct touched *touched, const tbus_budget_request_t *request,
                        tbus_budget_refusal_t *ret_refusal)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        struct budget *budget = touched->of[scopes[i]];
        const int reason = budget ? reason_against(budget, request) : 0;
        if (reason) {
            refuse_locked(budgets, budget, reason, ret_refusal);
            return UV_EACCES;
        }
    }
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        const struct budget *budget = touched->of[i];
        int128_t sum;
        if (budget && __builtin_add_overflow(money_value(budget->reserved), money_value(request->amount), &sum))
            return UV_EOVERFLOW;
    }
    return 0;
}

static int reserve_locked(tbus_budgets_t *budgets, const char *id, struct names *names,
                          const tbus_budget_request_t *request, tbus_budget_refusal_t *ret_refusal)
{
    if (table_find(&budgets->requests, id))
        return UV_EEXIST;
    if (budgets->open.count >= budgets->options.reservations_max)
        return UV_ENOBUFS;
    const struct touched touched = touch_locked(budgets, names, NULL);
    int error = judge_locked(budgets, &touched, request, ret_refusal);
    if (error)
        return error;
    struct request *added = table_add(&budgets->requests, id, NULL, &error);
    if (!added)
        return error;
    added->amount = request->amount;
    added->moment = budgets->options.reservation_ns < 0
                        ? INT64_MAX
                        : moment_after(budgets->now_ns, budgets->options.reservation_ns);
    remember(added, &touched);
    append(budgets, &budgets->open, added);
    set_aside(budgets, added, money_value(request->amount));
    show(budgets, added);
    budgets->counters.admitted++;
    return 0;
}

int tbus_budget_reserve(tbus_budgets_t *budgets, const tbus_budget_request_t *request,
                        tbus_budget_refusal_t *ret_refusal)
{
    struct request_id id;
    int error = UV_EINVAL;

    if (!budgets)
        return UV_EINVAL;
    if (!request || !has_id(request->request_id) || money_value(request->amount) < 0) {
        uv_mutex_lock(&budgets->mu);
    } else {
        struct names names = names_of(budgets, request);
        const int64_t moment = budget_moment_of(budgets, request->time_ns);
        fit_id(budgets, request->request_id, &id);
        uv_mutex_lock(&budgets->mu);
        budget_believe_locked(budgets, moment);
        error = reserve_locked(budgets, id.text, &names, request, ret_refusal);
    }
    budgets->counters.refused += error != 0 && error != UV_EACCES;
    uv_mutex_unlock(&budgets->mu);
    return error;
}

void budget_expire_locked(tbus_budgets_t *budgets)
{
    while (budgets->open.first != NO_CELL) {
        struct request *request = request_at(budgets, budgets->open.first);
        if (request->moment > budgets->now_ns)
            break;
        give_back(budgets, request);
        budgets->counters.expired++;
    }
}

void budget_shorten_reservations_locked(tbus_budgets_t *budgets)
{
    if (budgets->options.reservation_ns < 0)
        return;
    const int64_t latest = moment_after(budgets->now_ns, budgets->options.reservation_ns);
    for (uint32_t cell = budgets->open.first; cell != NO_CELL; cell = request_at(budgets, cell)->after) {
        struct request *request = request_at(budgets, cell);
        if (request->moment > latest)
            request->moment = latest;
    }
}

int tbus_budget_release(tbus_budgets_t *budgets, const char *request_id, int64_t time_ns)
{
    struct request_id id;
    int error = UV_ENOENT;

    if (!budgets || !has_id(request_id))
        return UV_EINVAL;
    const int64_t moment = budget_moment_of(budgets, time_ns);
    fit_id(budgets, request_id, &id);
    uv_mutex_lock(&budgets->mu);
    struct request *request = table_find(&budgets->requests, id.text);
    if (request && !request->is_settled) {
        give_back(budgets, request);
        budgets->counters.released++;
        error = 0;
    }
    budget_believe_locked(budgets, moment); /* only now: else a late release would be counted as forgotten */
    uv_mutex_unlock(&budgets->mu);
    return error;
}

/* --- Settling --- */

static bool would_overflow(const tbus_budgets_t *budgets, const struct touched *touched, int128_t amount)
{
    int128_t sum;
    bool overflows = __builtin_add_overflow(money_value(budgets->settled_sum), amount, &sum);
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++)
        if (touched->of[i])
            overflows |= __builtin_add_overflow(money_value(touched->of[i]->lifetime), amount, &sum);
    return overflows;
}

static void spend_locked(tbus_budgets_t *budgets, const struct touched *touched, int64_t moment, int128_t amount)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++)
        if (touched->of[i])
            budget_spend_locked(budgets, touched->of[i], moment, amount);
    budgets->settled_sum = money_of(money_value(budgets->settled_sum) + amount);
}

/* Remembers that an id was settled, and with what; the oldest one is forgotten for it where there are enough. */
static int remember_settled(tbus_budgets_t *budgets, const char *id, struct request *request,
                            const struct touched *touched, int64_t moment, tbus_money_t amount)
{
    int error = 0;
    if (request)
        unlink_from(budgets, &budgets->open, request);
    else if (budgets->settled.count >= budgets->options.settled_max)
        forget(budgets, request_at(budgets, budgets->settled.first));
    if (!request)
        request = table_add(&budgets->requests, id, NULL, &error);
    if (!request)
        return error;
    request->is_settled = true;
    request->amount = amount;
    request->moment = moment;
    remember(request, touched);
    append(budgets, &budgets->settled, request);
    if (budgets->settled.count > budgets->options.settled_max)
        forget(budgets, request_at(budgets, budgets->settled.first));
    return 0;
}

/* What was set aside and what it has become are shown as one change: nobody sees the cost twice, or not at all. */
static int settle_locked(tbus_budgets_t *budgets, const char *id, struct names *names,
                         const tbus_budget_request_t *request, int64_t moment)
{
    struct request *known = id ? table_find(&budgets->requests, id) : NULL;
    if (known && known->is_settled) {
        budgets->counters.again++;
        return UV_EALREADY;
    }
    const struct touched touched = touch_locked(budgets, names, known);
    const int128_t amount = money_value(request->amount);
    if (would_overflow(budgets, &touched, amount)) {
        budgets->counters.refused++;
        return UV_EOVERFLOW;
    }
    if (known)
        set_aside(budgets, known, -money_value(known->amount));
    spend_locked(budgets, &touched, moment, amount);
    if (known)
        show(budgets, known); /* those that the settle does not name */
    budgets->counters.settles++;
    budgets->counters.without_reservation += !known;
    budgets->counters.unpriced += request->unpriced;
    return id ? remember_settled(budgets, id, known, &touched, moment, request->amount) : 0;
}

int tbus_budget_settle(tbus_budgets_t *budgets, const tbus_budget_request_t *request)
{
    struct request_id id = {0};

    if (!budgets)
        return UV_EINVAL;
    if (!request || money_value(request->amount) < 0) {
        uv_mutex_lock(&budgets->mu);
        budgets->counters.refused++;
        uv_mutex_unlock(&budgets->mu);
        return UV_EINVAL;
    }
    struct names names = names_of(budgets, request);
    int64_t moment = budget_moment_of(budgets, request->time_ns);
    if (has_id(request->request_id))
        fit_id(budgets, request->request_id, &id);
    uv_mutex_lock(&budgets->mu);
    moment = budget_believe_locked(budgets, moment);
    const int error = settle_locked(budgets, id.text, &names, request, moment);
    uv_mutex_unlock(&budgets->mu);
    return error;
}

static void retract_locked(tbus_budgets_t *budgets, const char *id, struct names *names,
                           const tbus_budget_request_t *request, int64_t moment)
{
    struct request *known = id ? table_find(&budgets->requests, id) : NULL;
    const bool settled = known && known->is_settled;
    struct names none = {{{0}}};
    const struct touched touched = touch_locked(budgets, settled ? &none : names, settled ? known : NULL);
    int128_t amount = money_value(settled ? known->amount : request->amount);
    const int128_t sum = money_value(budgets->settled_sum);
    spend_locked(budgets, &touched, settled && known->moment <= budgets->now_ns ? known->moment : moment, -amount);
    if (amount > sum) /* of what was not settled here */
        budgets->settled_sum = money_of(0);
    if (settled)
        forget(budgets, known);
    budgets->counters.retracted++;
}

int tbus_budget_retract(tbus_budgets_t *budgets, const tbus_budget_request_t *request)
{
    struct request_id id = {0};

    if (!budgets || !request || money_value(request->amount) < 0)
        return UV_EINVAL;
    struct names names = names_of(budgets, request);
    int64_t moment = budget_moment_of(budgets, request->time_ns);
    if (has_id(request->request_id))
        fit_id(budgets, request->request_id, &id);
    uv_mutex_lock(&budgets->mu);
    moment = budget_believe_locked(budgets, moment);
    retract_locked(budgets, id.text, &names, request, moment);
    uv_mutex_unlock(&budgets->mu);
    return 0;
}
