/* Time comes with the calls, from events that somebody else has stamped, so it may be wrong. What a wrong time could do
 * is one thing: end the periods of all budgets, and so give everybody a full limit. A time that is too early only puts
 * its own amount into a period that is over. So times are believed up to a little ahead of the clock, and the clock is
 * looked at only when a time is ahead of all that has been believed before. */
#include <time.h>

#include "trackers/budget.h"
#include "trackers/moment.h"

enum { SWEEP_RECORDS = 32 }; /* that a call looks at: nobody waits for all periods that end at midnight */

static int64_t read_clock(const tbus_budgets_t *budgets)
{
    struct timespec now = {0};
    if (budgets->options.clock)
        return moment_of(budgets->options.clock(budgets->options.clock_user));
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t budget_moment_of(const tbus_budgets_t *budgets, int64_t time_ns)
{
    return time_ns != 0 ? moment_of(time_ns) : read_clock(budgets);
}

static bool is_too_far_ahead(tbus_budgets_t *budgets, int64_t moment)
{
    if (budgets->options.ahead_max_ns < 0 || moment <= budgets->ceiling_ns)
        return false;
    budgets->ceiling_ns = moment_after(read_clock(budgets), budgets->options.ahead_max_ns);
    return moment > budgets->ceiling_ns;
}

/* A time is early by so much that the clock may have been set back since now was believed. If it has not, the time is
 * only late. */
static void look_for_set_back(tbus_budgets_t *budgets)
{
    const int64_t clock_ns = read_clock(budgets);
    if (budgets->now_ns <= moment_after(clock_ns, budgets->options.ahead_max_ns))
        return;
    budgets->counters.set_back++;
    budgets->now_ns = clock_ns;
    budgets->ceiling_ns = moment_after(clock_ns, budgets->options.ahead_max_ns);
    budgets->due_ns = INT64_MIN;     /* every budget gets another period, */
    budgets->sweep_at = BUDGET_NONE; /* those too that a sweep has just passed */
    budget_shorten_reservations_locked(budgets);
}

static int64_t believe(tbus_budgets_t *budgets, int64_t moment)
{
    const int64_t ahead_max_ns = budgets->options.ahead_max_ns;
    if (!budgets->has_now) {
        const bool ahead = is_too_far_ahead(budgets, moment);
        budgets->counters.ahead += ahead;
        budgets->now_ns = ahead ? read_clock(budgets) : moment;
        budgets->has_now = true;
        return budgets->now_ns;
    }
    if (moment > budgets->now_ns) {
        if (is_too_far_ahead(budgets, moment))
            budgets->counters.ahead++;
        else
            budgets->now_ns = moment;
        return budgets->now_ns;
    }
    if (ahead_max_ns >= 0 && budgets->now_ns - moment > ahead_max_ns)
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
