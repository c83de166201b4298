#include <string.h>

#include "exporters/prometheus.h"

static bool are_alike(const tbus_budget_row_t *a, const tbus_budget_row_t *b)
{
    return a->scope == b->scope && strcmp(a->subject, b->subject) == 0;
}

/* An amount of each budget; rows that are alike stand side by side. */
static void add_family(struct page *page, const char *name, const char *help, const tbus_budgets_snapshot_t *snapshot,
                       tbus_money_t (*amount_of)(const tbus_budget_row_t *row))
{
    uint64_t nth = 1;
    prometheus_family(page, METRIC_GAUGE, name, help);
    for (size_t i = 0; i < snapshot->rows_count; i++) {
        const tbus_budget_row_t *row = &snapshot->rows[i];
        nth = i > 0 && are_alike(row - 1, row) ? nth + 1 : 1;
        const struct prometheus_label labels[] = {{"scope", tbus_budget_scope_name(row->scope), 0},
                                                  {"subject", row->subject, nth}};
        prometheus_labelled_money(page, labels, 2, amount_of(row));
    }
}

static tbus_money_t used_of(const tbus_budget_row_t *row)
{
    return row->status.used;
}

static tbus_money_t limit_of(const tbus_budget_row_t *row)
{
    return row->status.limit;
}

static tbus_money_t remaining_of(const tbus_budget_row_t *row)
{
    return row->status.remaining;
}

static tbus_money_t reserved_of(const tbus_budget_row_t *row)
{
    return row->status.reserved;
}

void prometheus_add_budgets(struct page *page, const tbus_budgets_snapshot_t *snapshot)
{
    add_family(page, "cost_budget_used_usd", "What is used of a budget in its period, in USD.", snapshot, used_of);
    add_family(page, "cost_budget_limit_usd", "A budget's limit in USD.", snapshot, limit_of);
    add_family(page, "cost_budget_remaining_usd", "What a reservation can still get of a budget, in USD.", snapshot,
               remaining_of);
    add_family(page, "cost_budget_reserved_usd", "What is set aside of a budget, in USD.", snapshot, reserved_of);
    prometheus_one_uint(page, METRIC_GAUGE, "cost_budget_reservations", "Reservations that are open.",
                        snapshot->reservations);
    prometheus_one_uint(page, METRIC_COUNTER, "cost_budget_denied_requests", "Reservations that a budget refused.",
                        snapshot->denied);
    prometheus_one_uint(page, METRIC_COUNTER, "cost_budget_expired_reservations",
                        "Reservations that the time limit ended.", snapshot->expired);
}
