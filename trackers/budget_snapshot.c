#include <stdlib.h>
#include <string.h>

#include "trackers/budget.h"
#include "trackers/snapshot.h"

enum { NEW_BUDGETS = 64 /* that may come between the two looks at the table, before a third one is needed */ };

/* No more than what a copy takes, from the counts alone. */
static size_t bytes_locked(const tbus_budgets_t *budgets)
{
    const size_t rows = (size_t)budgets->own + budgets->defaulted + TBUS_BUDGET_SCOPES + NEW_BUDGETS;
    return snapshot_rounded(sizeof(tbus_budgets_snapshot_t)) +
           rows * (sizeof(tbus_budget_row_t) + snapshot_rounded(TBUS_BUDGET_SUBJECT_BYTES));
}

/* "other" is a row once something has gone to it. */
static bool is_shown(const struct budget *budget)
{
    return budget->state != BUDGET_FREE &&
           (budget->state != BUDGET_SHARED || money_value(budget->lifetime) > 0 || money_value(budget->reserved) > 0);
}

static void fill_row_locked(const struct budget *budget, struct snapshot_block *block, tbus_budget_row_t *row)
{
    row->scope = (tbus_budget_scope_t)budget->scope;
    row->subject = snapshot_text(block, budget->subject, strlen(budget->subject));
    row->defaulted = budget->state == BUDGET_DEFAULTED;
    row->shared = budget->state == BUDGET_SHARED;
    memcpy(row->key_digest, budget->digest, sizeof row->key_digest);
    row->status = budget_status_locked(budget);
    row->previous_used = budget->previous_used;
    row->period = budget->terms->rule.period;
    row->rolling = budget->terms->rolling;
}

static void fill_rows_locked(tbus_budgets_t *budgets, struct snapshot_block *block, tbus_budgets_snapshot_t *snapshot)
{
    const size_t room = (size_t)budgets->own + budgets->defaulted + TBUS_BUDGET_SCOPES;
    tbus_budget_row_t *rows = snapshot_take(block, room * sizeof *rows);
    for (uint32_t number = 0; number < budgets->records && !block->overflowed; number++) {
        struct budget *budget = budget_at(budgets, number);
        if (!is_shown(budget))
            continue;
        budget_advance_locked(budgets, budget);
        fill_row_locked(budget, block, &rows[snapshot->rows_count++]);
    }
    snapshot->rows = rows;
}

static void fill_counters_locked(const tbus_budgets_t *budgets, tbus_budgets_snapshot_t *snapshot)
{
    const struct budget_counters *counters = &budgets->counters;
    snapshot->time_ns = budgets->has_now ? budgets->now_ns : 0;
    snapshot->since_ns = budgets->ahead.since_ns;
    snapshot->reservations = budgets->open.count;
    snapshot->settled = budgets->settled_sum;
    snapshot->admitted = counters->admitted;
    snapshot->denied = counters->denied;
    snapshot->refused = counters->refused;
    snapshot->settles = counters->settles;
    snapshot->settled_without_reservation = counters->without_reservation;
    snapshot->settled_again = counters->again;
    snapshot->released = counters->released;
    snapshot->expired = counters->expired;
    snapshot->retracted = counters->retracted;
    snapshot->unpriced = counters->unpriced;
    snapshot->late = counters->late;
    snapshot->ahead = budgets->ahead.count;
    snapshot->set_back = counters->set_back;
    snapshot->shared_requests = counters->shared;
    snapshot->merged_findings = counters->merged;
}

static tbus_budgets_snapshot_t *fill_locked(tbus_budgets_t *budgets, struct snapshot_block *block)
{
    tbus_budgets_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    if (!snapshot)
        return NULL;
    fill_rows_locked(budgets, block, snapshot);
    fill_counters_locked(budgets, snapshot);
    return block->overflowed ? NULL : snapshot;
}

static int by_name(const void *left, const void *right)
{
    const tbus_budget_row_t *a = left, *b = right;
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    const int order = strcmp(a->subject, b->subject);
    return order ? order : memcmp(a->key_digest, b->key_digest, sizeof a->key_digest);
}

int tbus_budgets_snapshot(tbus_budgets_t *budgets, int64_t time_ns, tbus_budgets_snapshot_t **ret)
{
    struct snapshot_block block;
    tbus_budgets_snapshot_t *snapshot = NULL;

    if (!budgets || !ret)
        return UV_EINVAL;
    const int64_t moment = budget_moment_of(budgets, time_ns);
    while (!snapshot) {
        uv_mutex_lock(&budgets->mu);
        const size_t bytes = bytes_locked(budgets);
        uv_mutex_unlock(&budgets->mu);
        const int error = snapshot_block_open(&block, bytes);
        if (error)
            return error;
        uv_mutex_lock(&budgets->mu);
        budget_believe_locked(budgets, moment);
        snapshot = fill_locked(budgets, &block);
        uv_mutex_unlock(&budgets->mu);
        if (!snapshot)
            tbus_mem_free(block.memory);
    }
    qsort((void *)(uintptr_t)snapshot->rows, snapshot->rows_count, sizeof *snapshot->rows, by_name); /* our own block */
    *ret = snapshot;
    return 0;
}

void tbus_budgets_snapshot_free(tbus_budgets_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
