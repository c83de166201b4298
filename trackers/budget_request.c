#include "trackers/budget_request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trackers/moment.h"

void budget_requests_open(tbus_budgets_t *budgets)
{
    table_init(&budgets->requests, sizeof(struct request), BUDGET_REQUEST_ID_MAX,
               budgets->options.reservations_max + budgets->options.settled_max);
    table_order_init(&budgets->open);
    table_order_init(&budgets->settled);
}

/* --- Ids and places --- */

void request_id_fit(const tbus_budgets_t *budgets, const char *given, struct request_id *id)
{
    const size_t length = given ? strlen(given) : 0;
    if (length > BUDGET_REQUEST_ID_MAX) {
        snprintf(id->room, sizeof id->room, "~%016llx%016llx",
                 (unsigned long long)table_hash(given, length, &budgets->secrets[0]),
                 (unsigned long long)table_hash(given, length, &budgets->secrets[1]));
        given = id->room;
    }
    table_fit(&budgets->requests, given, &id->name);
}

struct request *request_find(const tbus_budgets_t *budgets, const struct request_id *id)
{
    return table_find_name(&budgets->requests, &id->name);
}

static struct request *request_at(const tbus_budgets_t *budgets, uint32_t cell)
{
    return table_at(&budgets->requests, cell);
}

void request_forget_locked(tbus_budgets_t *budgets, struct request *request)
{
    table_order_remove(request->is_settled ? &budgets->settled : &budgets->open, &budgets->requests, &request->link);
    table_remove(&budgets->requests, request);
}

/* --- Budgets --- */

static struct budget *budget_of_ref(const tbus_budgets_t *budgets, struct budget_ref ref)
{
    if (ref.number == BUDGET_NONE)
        return NULL;
    struct budget *budget = budget_at(budgets, ref.number);
    return budget->generation == ref.generation ? budget : NULL;
}

static void remember(struct request *request, const struct request_budgets *of)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        const struct budget *budget = of->of[i];
        request->refs[i] =
            budget ? (struct budget_ref){budget->number, budget->generation} : (struct budget_ref){BUDGET_NONE, 0};
    }
}

void request_names_fill(tbus_budgets_t *budgets, const tbus_budget_request_t *request, struct request_names *names)
{
    budget_subject_fill(budgets, TBUS_BUDGET_ALL, NULL, NULL, &names->of[TBUS_BUDGET_ALL]);
    budget_subject_fill(budgets, TBUS_BUDGET_KEY, request->api_key, request->key_digest, &names->of[TBUS_BUDGET_KEY]);
    budget_subject_fill(budgets, TBUS_BUDGET_USER, request->user_id, NULL, &names->of[TBUS_BUDGET_USER]);
    budget_subject_fill(budgets, TBUS_BUDGET_PROJECT, request->project_id, NULL, &names->of[TBUS_BUDGET_PROJECT]);
}

struct request_budgets request_budgets_locked(tbus_budgets_t *budgets, struct request_names *names,
                                              const struct request *remembered)
{
    struct request_budgets of = {{0}};
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        if (names && budget_subject_is_some(&names->of[i]))
            of.of[i] = budget_find_or_make_locked(budgets, &names->of[i]);
        else if (remembered)
            of.of[i] = budget_of_ref(budgets, remembered->refs[i]);
        if (of.of[i])
            budget_advance_locked(budgets, of.of[i]);
    }
    return of;
}

/* --- Open ones --- */

static void change_reserved(tbus_budgets_t *budgets, const struct request *request, int128_t by)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        struct budget *budget = budget_of_ref(budgets, request->refs[i]);
        if (!budget)
            continue;
        budget->reserved = money_of(money_value(budget->reserved) + by);
        assert(budget->reserved.high >= 0);
    }
}

int request_open_locked(tbus_budgets_t *budgets, const struct request_id *id, const struct request_budgets *of,
                        tbus_money_t amount)
{
    const int64_t limit_ns = budgets->options.reservation_ns;
    int error;
    struct request *request = table_add_name(&budgets->requests, &id->name, NULL, &error);
    if (!request)
        return error;
    request->amount = amount;
    request->moment = limit_ns < 0 ? INT64_MAX : moment_after(budgets->now_ns, limit_ns);
    remember(request, of);
    table_order_append(&budgets->open, &budgets->requests, &request->link);
    change_reserved(budgets, request, money_value(amount));
    request_show_locked(budgets, request);
    return 0;
}

void request_give_back_locked(tbus_budgets_t *budgets, const struct request *request)
{
    change_reserved(budgets, request, -money_value(request->amount));
}

void request_show_locked(const tbus_budgets_t *budgets, const struct request *request)
{
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        struct budget *budget = budget_of_ref(budgets, request->refs[i]);
        if (budget)
            budget_show_locked(budget);
    }
}

static void release(tbus_budgets_t *budgets, struct request *request)
{
    request_give_back_locked(budgets, request);
    request_show_locked(budgets, request);
    request_forget_locked(budgets, request);
}

void budget_expire_locked(tbus_budgets_t *budgets)
{
    while (budgets->open.count > 0) {
        struct request *request = request_at(budgets, budgets->open.oldest);
        if (request->moment > budgets->now_ns)
            break;
        release(budgets, request);
        budgets->counters.expired++;
    }
}

void budget_shorten_reservations_locked(tbus_budgets_t *budgets)
{
    if (budgets->options.reservation_ns < 0)
        return;
    const int64_t latest = moment_after(budgets->now_ns, budgets->options.reservation_ns);
    for (uint32_t cell = budgets->open.oldest; cell != TABLE_NONE; cell = request_at(budgets, cell)->link.newer) {
        struct request *request = request_at(budgets, cell);
        if (request->moment > latest)
            request->moment = latest;
    }
}

int tbus_budget_release(tbus_budgets_t *budgets, const char *request_id, int64_t time_ns)
{
    struct request_id id;

    if (!budgets || !request_id || !*request_id)
        return UV_EINVAL;
    const int64_t moment = budget_moment_of(budgets, time_ns);
    request_id_fit(budgets, request_id, &id);
    uv_mutex_lock(&budgets->mu);
    struct request *request = request_find(budgets, &id);
    const bool is_open = request && !request->is_settled;
    if (is_open) {
        release(budgets, request);
        budgets->counters.released++;
    }
    budget_believe_locked(budgets, moment); /* only now: else a late release would find its reservation ended */
    uv_mutex_unlock(&budgets->mu);
    return is_open ? 0 : UV_ENOENT;
}

/* --- Settled ones --- */

int request_settle_locked(tbus_budgets_t *budgets, const struct request_id *id, struct request *request,
                          const struct request_budgets *of, int64_t moment, tbus_money_t amount)
{
    int error = 0;
    if (budgets->settled.count >= budgets->options.settled_max)
        request_forget_locked(budgets, request_at(budgets, budgets->settled.oldest));
    if (request)
        table_order_remove(&budgets->open, &budgets->requests, &request->link);
    else
        request = table_add_name(&budgets->requests, &id->name, NULL, &error);
    if (!request)
        return error;
    request->is_settled = true;
    request->amount = amount;
    request->moment = moment;
    remember(request, of);
    table_order_append(&budgets->settled, &budgets->requests, &request->link);
    return 0;
}
