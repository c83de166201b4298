/* Time comes with the calls, from events that somebody else has stamped, so it may be wrong. What a wrong time could do
 * is one thing: end the periods of all budgets, and so give everybody a full limit. A time that is too early only puts
 * its own amount into a period that is over. So times are believed up to a little ahead of the clock (ahead.h), and of
 * nothing else: here, other than in a tracker's window, wrong times must not creep ahead step by step, and a clock that is
 * set back takes the budgets with it. */
#include "trackers/budget.h"
#include "trackers/moment.h"

enum { SWEEP_RECORDS = 32 }; /* that a call looks at: nobody waits for all periods that end at midnight */

int64_t budget_moment_of(const tbus_budgets_t *budgets, int64_t time_ns)
{
    return time_ns != 0 ? moment_of(time_ns) : ahead_clock(&budgets->ahead);
}

/* A time is early by so much that the clock may have been set back since now was believed. If it has not, the time is
 * only late. */
static void look_for_set_back(tbus_budgets_t *budgets)
{
    const int64_t clock_ns = ahead_clock(&budgets->ahead);
    if (budgets->now_ns <= moment_after(clock_ns, budgets->ahead.max_ns))
        return;
    budgets->counters.set_back++;
    budgets->now_ns = clock_ns;
    budgets->ahead.ceiling_ns = moment_after(clock_ns, budgets->ahead.max_ns);
    budgets->due_ns = INT64_MIN;     /* every budget gets another period, */
    budgets->sweep_at = BUDGET_NONE; /* those too that a sweep has just passed */
    budget_shorten_reservations_locked(budgets);
}

static int64_t believe(tbus_budgets_t *budgets, int64_t moment)
{
    if (!budgets->has_now) {
        const bool ahead = ahead_is_beyond(&budgets->ahead, moment);
        budgets->ahead.count += ahead;
        budgets->now_ns = ahead ? ahead_clock(&budgets->ahead) : moment;
        budgets->has_now = true;
        return budgets->now_ns;
    }
    if (moment > budgets->now_ns) {
        if (ahead_is_beyond(&budgets->ahead, moment))
            budgets->ahead.count++;
        else
            budgets->now_ns = moment;
        return budgets->now_ns;
    }
    if (budgets->ahead.max_ns >= 0 && budgets->now_ns - moment > budgets->ahead.max_ns)
        look_for_set_back(budgets);
    return moment < budgets->now_ns ? moment : budgets->now_ns;
}

void budget_note_due_locked(tbus_budgets_t *budgets, int64_t until_ns)
{
    if (until_ns < budgets->due_ns)
        budgets->due_ns = until_ns;
    if (until_ns < budgets->next_due_ns)
        budgets->next_due_ns = until_ns;
}

static void sweep_some(tbus_budgets_t *budgets)
{
    if (budgets->sweep_at == BUDGET_NONE) {
        budgets->sweep_at = 0;
        budgets->next_due_ns = INT64_MAX;
    }
    for (int i = 0; i < SWEEP_RECORDS && budgets->sweep_at < budgets->records; i++) {
        struct budget *budget = budget_at(budgets, budgets->sweep_at++);
        if (budget->state == BUDGET_FREE)
            continue;
        budget_advance_locked(budgets, budget);
        if (!budget->terms->rolling)
            budget_note_due_locked(budgets, budget->period.until_ns);
    }
    if (budgets->sweep_at < budgets->records)
        return;
    budgets->sweep_at = BUDGET_NONE;
    budgets->due_ns = budgets->next_due_ns;
}

int64_t budget_believe_locked(tbus_budgets_t *budgets, int64_t moment)
{
    moment = believe(budgets, moment);
    budget_expire_locked(budgets);
    if (budgets->now_ns >= budgets->due_ns)
        sweep_some(budgets);
    return moment;
}

void tbus_budgets_advance(tbus_budgets_t *budgets, int64_t time_ns)
{
    bool more = budgets != NULL;
    if (!more)
        return;
    const int64_t moment = budget_moment_of(budgets, time_ns);
    while (more) { /* others get the lock in between */
        uv_mutex_lock(&budgets->mu);
        budget_believe_locked(budgets, moment);
        more = budgets->sweep_at != BUDGET_NONE;
        uv_mutex_unlock(&budgets->mu);
    }
}
