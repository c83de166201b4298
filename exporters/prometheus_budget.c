#include <string.h>

#include <tallybus/prometheus.h>

#include "exporters/prometheus.h"

static bool are_alike(const tbus_budget_row_t *a, const tbus_budget_row_t *b)
{
    return a->scope == b->scope && strcmp(a->subject, b->subject) == 0;
}

/* `nth`: of the rows that are labelled alike, from 1. */
static void add_sample(struct text *text, const char *name, const tbus_budget_row_t *row, uint64_t nth,
                       tbus_money_t amount)
{
    char digits[TBUS_MONEY_TEXT_MAX];
    text_add(text, name);
    text_add(text, "{scope=\"");
    text_add(text, tbus_budget_scope_name(row->scope));
    text_add(text, "\",subject=\"");
    text_add_label(text, row->subject);
    if (nth > 1) {
        text_add(text, "~");
        text_add_uint(text, nth);
    }
    text_add(text, "\"} ");
    text_add(text, tbus_money_format(amount, -1, digits));
    text_add(text, "\n");
}

/* An amount of each budget; rows that are alike stand side by side. */
static void add_family(struct text *text, const char *name, const char *help, const tbus_budgets_snapshot_t *snapshot,
                       tbus_money_t (*amount_of)(const tbus_budget_row_t *row))
{
    uint64_t nth = 1;
    prometheus_family(text, METRIC_GAUGE, name, help);
    for (size_t i = 0; i < snapshot->rows_count; i++) {
        const tbus_budget_row_t *row = &snapshot->rows[i];
        nth = i > 0 && are_alike(row - 1, row) ? nth + 1 : 1;
        add_sample(text, name, row, nth, amount_of(row));
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

int tbus_prometheus_budgets(const tbus_budgets_snapshot_t *snapshot, char **ret_text)
{
    struct text text = {0};
    if (!snapshot || !ret_text)
        return UV_EINVAL;
    add_family(&text, "cost_budget_used_usd", "What is used of a budget in its period, in USD.", snapshot, used_of);
    add_family(&text, "cost_budget_limit_usd", "A budget's limit in USD.", snapshot, limit_of);
    add_family(&text, "cost_budget_remaining_usd", "What a reservation can still get of a budget, in USD.", snapshot,
               remaining_of);
    add_family(&text, "cost_budget_reserved_usd", "What is set aside of a budget, in USD.", snapshot, reserved_of);
    prometheus_one_uint(&text, METRIC_GAUGE, "cost_budget_reservations", "Reservations that are open.",
                        snapshot->reservations);
    prometheus_one_uint(&text, METRIC_COUNTER, "cost_budget_denied_requests", "Reservations that a budget refused.",
                        snapshot->denied);
    prometheus_one_uint(&text, METRIC_COUNTER, "cost_budget_expired_reservations",
                        "Reservations that the time limit ended.", snapshot->expired);
    return text_take(&text, ret_text);
}
