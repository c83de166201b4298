/* Requests as budgets remember them: those with an open reservation, and those that were settled. One table holds both,
 * and a list for each kind has them oldest first: the first open one is the first whose time is over, the first settled
 * one the first to be forgotten. */
#ifndef TRACKERS_BUDGET_REQUEST_H
#define TRACKERS_BUDGET_REQUEST_H

#include "trackers/budget.h"

/* A budget as a request remembers it: by its number, for as long as it is the same one. */
struct budget_ref {
    uint32_t number, generation;
};

struct request {
    struct table_link link;
    tbus_money_t amount; /* set aside, or settled */
    int64_t moment;      /* open: when its time is over; settled: when it counted */
    struct budget_ref refs[TBUS_BUDGET_SCOPES];
    bool is_settled;
};

/* A request id that fits the table: a long one is told by two hashes. */
struct request_id {
    struct table_name name; /* "" = none */
    char room[BUDGET_REQUEST_ID_MAX + 1];
};

void request_id_fit(const tbus_budgets_t *budgets, const char *given, struct request_id *id);

/* NULL = not known, or no id. */
struct request *request_find(const tbus_budgets_t *budgets, const struct request_id *id);

/* The budgets of a request by scope; NULL = none applies. */
struct request_budgets {
    struct budget *of[TBUS_BUDGET_SCOPES];
};

/* What a call names, made before the lock is taken. */
struct request_names {
    struct budget_subject of[TBUS_BUDGET_SCOPES];
};

void request_names_fill(tbus_budgets_t *budgets, const tbus_budget_request_t *request, struct request_names *names);

/* The budgets that the names (may be NULL) stand for; of a scope without a name the one that `remembered` (may be NULL)
 * has. All are brought to now. */
struct request_budgets request_budgets_locked(tbus_budgets_t *budgets, struct request_names *names,
                                              const struct request *remembered);

/* Adds an open request, and sets its amount aside. Errors: UV_ENOMEM. */
int request_open_locked(tbus_budgets_t *budgets, const struct request_id *id, const struct request_budgets *of,
                        tbus_money_t amount);

/* Takes what an open request has set aside off its budgets, and shows nothing yet. */
void request_give_back_locked(tbus_budgets_t *budgets, const struct request *request);

/* Shows what has changed in its budgets. */
void request_show_locked(const tbus_budgets_t *budgets, const struct request *request);

/* Remembers that an id was settled: a new one, or one that was open and has given back. The oldest one is forgotten for
 * it where there are enough. Errors: UV_ENOMEM, of a new one. */
int request_settle_locked(tbus_budgets_t *budgets, const struct request_id *id, struct request *request,
                          const struct request_budgets *of, int64_t moment, tbus_money_t amount);

void request_forget_locked(tbus_budgets_t *budgets, struct request *request);

#endif
