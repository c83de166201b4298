#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    bool sorted = true; /* as bytes are, which is nearly always how their texts are */
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct series){&snapshot->rows[i], 1};
        sorted = sorted && (i == 0 || by_label(&all[i - 1], &all[i]) <= 0);
    }
    if (!sorted)
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

static size_t add_rows(struct page *page, const struct series *all, size_t count)
{
    prometheus_begin_rows(page);
    for (size_t i = 0; i < count; i++) {
        const struct prometheus_label both[] = {{"scope", tbus_budget_scope_name(all[i].row->scope), 0},
                                                {"subject", all[i].row->subject, all[i].nth}};
        prometheus_add_row(page, both, 2);
    }
    return prometheus_end_rows(page, count);
}

/* What is told of each budget, and where it stands in its row. */
static const struct {
    const char *name, *help;
    size_t offset;
} amounts[] = {
    {"cost_budget_used_usd", "What is used of a budget in its period, in USD.",
     offsetof(tbus_budget_row_t, status.used)},
    {"cost_budget_limit_usd", "A budget's limit in USD.", offsetof(tbus_budget_row_t, status.limit)},
    {"cost_budget_remaining_usd", "What a reservation can still get of a budget, in USD.",
     offsetof(tbus_budget_row_t, status.remaining)},
    {"cost_budget_reserved_usd", "What is set aside of a budget, in USD.",
     offsetof(tbus_budget_row_t, status.reserved)},
};

static void add_amounts(struct page *page, const tbus_budgets_snapshot_t *snapshot)
{
    struct series *all = series_of(page, snapshot);
    const size_t count = add_rows(page, all, all ? snapshot->rows_count : 0);
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        const char *at = page->labels.bytes;
        prometheus_family(page, METRIC_GAUGE, amounts[i].name, amounts[i].help);
        for (size_t row = 0; row < count; row++) {
            tbus_money_t amount;
            memcpy(&amount, (const char *)all[row].row + amounts[i].offset, sizeof amount);
            prometheus_money(page, prometheus_next_row(&at), amount);
        }
    }
    tbus_mem_free(all);
}

void prometheus_add_budgets(struct page *page, const tbus_budgets_snapshot_t *snapshot)
{
    add_amounts(page, snapshot);
    prometheus_one_uint(page, METRIC_GAUGE, "cost_budget_reservations", "Reservations that are open.",
                        snapshot->reservations);
    prometheus_one_uint(page, METRIC_COUNTER, "cost_budget_denied_requests_total",
                        "Reservations that a budget refused.", snapshot->denied);
    prometheus_one_uint(page, METRIC_COUNTER, "cost_budget_expired_reservations_total",
                        "Reservations that the time limit ended.", snapshot->expired);
}
