#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporters/prometheus.h"

/* The budgets as they are labelled, each once: keys may share their redacted form, and subjects that are no text are shown
 * alike. What stands behind the name of the second holds as long as the same budgets are there. */
struct series {
    const tbus_budget_row_t *row;
    uint64_t nth; /* of those that are shown alike */
};

static int by_label(const void *left, const void *right)
{
    const tbus_budget_row_t *a = ((const struct series *)left)->row, *b = ((const struct series *)right)->row;
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    return text_compare_labels(a->subject, b->subject);
}

static int by_label_then_place(const void *left, const void *right)
{
    const tbus_budget_row_t *a = ((const struct series *)left)->row, *b = ((const struct series *)right)->row;
    const int order = by_label(left, right);
    return order ? order : (a > b) - (a < b);
}

/* Whether a budget is called by itself as another one would be with a number behind its name. */
static bool is_taken(const struct series *all, size_t count, const tbus_budget_row_t *row, uint64_t nth)
{
    char subject[TBUS_BUDGET_SUBJECT_BYTES + 24];
    snprintf(subject, sizeof subject, "%s~%" PRIu64, row->subject, nth);
    const tbus_budget_row_t numbered = {.scope = row->scope, .subject = subject};
    return bsearch(&(struct series){&numbered, 0}, all, count, sizeof *all, by_label) != NULL;
}

/* NULL: there are none, or the text fails for want of memory. */
static struct series *series_of(struct page *page, const tbus_budgets_snapshot_t *snapshot)
{
    const size_t count = snapshot->rows_count;
    struct series *all = count ? tbus_mem_alloc(count * sizeof *all) : NULL;
    if (!all) {
        page->text.failed |= count > 0;
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        all[i] = (struct series){&snapshot->rows[i], 1};
    qsort(all, count, sizeof *all, by_label_then_place);
    for (size_t i = 1; i < count; i++) {
        if (by_label(&all[i - 1], &all[i]) != 0)
            continue;
        all[i].nth = all[i - 1].nth + 1;
        while (is_taken(all, count, all[i].row, all[i].nth))
            all[i].nth++;
    }
    return all;
}

/* An amount of each budget. */
static void add_family(struct page *page, const char *name, const char *help, const struct series *all, size_t count,
                       tbus_money_t (*amount_of)(const tbus_budget_row_t *row))
{
    prometheus_family(page, METRIC_GAUGE, name, help);
    for (size_t i = 0; i < count; i++) {
        const struct prometheus_label labels[] = {{"scope", tbus_budget_scope_name(all[i].row->scope), 0},
                                                  {"subject", all[i].row->subject, all[i].nth}};
        prometheus_labelled_money(page, labels, 2, amount_of(all[i].row));
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
    struct series *all = series_of(page, snapshot);
    const size_t count = all ? snapshot->rows_count : 0;
    add_family(page, "cost_budget_used_usd", "What is used of a budget in its period, in USD.", all, count, used_of);
    add_family(page, "cost_budget_limit_usd", "A budget's limit in USD.", all, count, limit_of);
    add_family(page, "cost_budget_remaining_usd", "What a reservation can still get of a budget, in USD.", all, count,
               remaining_of);
    add_family(page, "cost_budget_reserved_usd", "What is set aside of a budget, in USD.", all, count, reserved_of);
    prometheus_one_uint(page, METRIC_GAUGE, "cost_budget_reservations", "Reservations that are open.",
                        snapshot->reservations);
    prometheus_one_uint(page, METRIC_COUNTER, "cost_budget_denied_requests", "Reservations that a budget refused.",
                        snapshot->denied);
    prometheus_one_uint(page, METRIC_COUNTER, "cost_budget_expired_reservations",
                        "Reservations that the time limit ended.", snapshot->expired);
    tbus_mem_free(all);
}
