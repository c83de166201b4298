#include "trackers/budget.h"

#include <assert.h>

#include "trackers/moment.h"

/* --- What others see --- */

static void store(struct budget *budget, enum shown word, uint64_t value)
{
    atomic_store_explicit(&budget->shown.words[word], value, memory_order_release);
}

static void store_money(struct budget *budget, enum shown word, tbus_money_t amount)
{
    store(budget, word, amount.low);
    store(budget, word + 1, (uint64_t)amount.high);
}

static uint64_t begin_to_show(struct budget *budget)
{
    const uint64_t version = atomic_load_explicit(&budget->shown.version, memory_order_relaxed);
    atomic_store_explicit(&budget->shown.version, version + 1, memory_order_relaxed);
    return version + 2;
}

static void end_to_show(struct budget *budget, uint64_t version)
{
    atomic_store_explicit(&budget->shown.version, version, memory_order_release);
}

static void store_amounts(struct budget *budget)
{
    store_money(budget, SHOWN_USED, budget->used);
    store_money(budget, SHOWN_RESERVED, budget->reserved);
    store_money(budget, SHOWN_LIFETIME, budget->lifetime);
}

void budget_show_locked(struct budget *budget)
{
    const uint64_t version = begin_to_show(budget);
    store_amounts(budget);
    end_to_show(budget, version);
}

static void show_all(struct budget *budget)
{
    const uint64_t version = begin_to_show(budget);
    store_amounts(budget);
    store_money(budget, SHOWN_LIMIT, budget->terms->limit);
    store(budget, SHOWN_FROM, (uint64_t)budget->period.from_ns);
    store(budget, SHOWN_UNTIL, (uint64_t)budget->period.until_ns);
    store(budget, SHOWN_KIND, budget->terms->kind);
    end_to_show(budget, version);
}

/* --- What is told --- */

static bool is_reached(const struct budget *budget, uint32_t threshold)
{
    const int128_t used = money_value(budget->used);
    return used > 0 && used >= money_value(budget->terms->levels[threshold]);
}

static bool is_over(const struct budget *budget)
{
    return money_value(budget->used) > money_value(budget->terms->limit);
}

/* What holds now, as bits. */
static uint32_t reached_by(const struct budget *budget)
{
    uint32_t bits = is_over(budget) ? TOLD_EXCEEDED : 0;
    for (uint32_t i = 0; i < budget->terms->thresholds_count; i++)
        bits |= is_reached(budget, i) ? 1u << i : 0;
    return bits;
}

static void set_told(struct budget *budget, uint32_t told)
{
    const struct budget_terms *terms = budget->terms;
    int128_t next = MONEY_MAX;
    budget->told = told;
    if (!(told & TOLD_EXCEEDED) && money_value(terms->limit) < next)
        next = money_value(terms->limit) + 1;
    for (uint32_t i = 0; i < terms->thresholds_count; i++)
        if (!(told & 1u << i) && money_value(terms->levels[i]) < next)
            next = money_value(terms->levels[i]);
    budget->next_level = money_of(next);
}

static void enqueue(tbus_budgets_t *budgets, struct budget *budget)
{
    if (budget->queued)
        return;
    budget->queued = true;
    budget->next_found = BUDGET_NONE;
    if (budgets->found_first == BUDGET_NONE)
        budgets->found_first = budget->number;
    else
        budget_at(budgets, budgets->found_last)->next_found = budget->number;
    budgets->found_last = budget->number;
    atomic_fetch_add_explicit(&budgets->waiting, 1, memory_order_relaxed);
}

void budget_tell_locked(tbus_budgets_t *budgets, struct budget *budget, bool refused)
{
    const uint32_t fresh = (reached_by(budget) | (refused ? TOLD_EXCEEDED : 0)) & ~budget->told;
    if (fresh == 0)
        return;
    budgets->counters.merged += (uint64_t)__builtin_popcount(fresh & budget->found); /* a rolling one's: told before */
    set_told(budget, budget->told | fresh);
    budget->told_ns = budget->found_ns = budgets->now_ns;
    budget->found |= fresh;
    enqueue(budgets, budget);
}

/* A period is over, with `used` in it: what waits is that of a period before now. One in which nothing was used has
 * nothing to tell. */
static void tell_reset(tbus_budgets_t *budgets, struct budget *budget)
{
    uint32_t ended = budget->found;
    if (money_value(budget->used) > 0)
        ended |= TOLD_RESET;
    if (ended == 0)
        return;
    budgets->counters.merged += (uint64_t)__builtin_popcount(budget->found_before & ended);
    budget->found_before |= ended;
    budget->found_before_ns = budgets->now_ns;
    budget->ended_used = budget->used;
    budget->found = 0;
    enqueue(budgets, budget);
}

/* --- Periods --- */

static void empty(struct budget *budget)
{
    budget->used = money_of(0);
    set_told(budget, 0);
}

static void note_window(struct budget *budget)
{
    const struct window *window = &budget->slices->window;
    budget->period.from_ns = window->newest_from - (window->slots - 1) * window->slice_ns;
    budget->period.until_ns = window->newest_from + window->slice_ns;
}

/* What is used belongs to now, and all before is forgotten. */
static void begin_window(struct budget *budget, int64_t now_ns)
{
    struct budget_slices *slices = budget->slices;
    struct window_stale stale;
    *slices = (struct budget_slices){0};
    window_init(&slices->window, period_length_ns(&budget->terms->rule), BUDGET_SLICES);
    slices->used[window_enter(&slices->window, now_ns, &stale)] = budget->used;
    note_window(budget);
}

/* The beginning of the period before one; INT64_MAX where there is none. */
static int64_t from_before(const struct period_rule *rule, struct period period)
{
    return period.from_ns > MOMENT_MIN ? period_at(rule, period.from_ns - 1).from_ns : INT64_MAX;
}

/* The period of now begins, whatever there was before; what is used stays. */
static void begin_period(tbus_budgets_t *budgets, struct budget *budget)
{
    budget->previous_from_ns = INT64_MAX;
    budget->previous_used = money_of(0);
    if (budget->terms->rolling) {
        begin_window(budget, budgets->now_ns);
    } else {
        budget->period = period_at(&budget->terms->rule, budgets->now_ns);
        budget->previous_from_ns = from_before(&budget->terms->rule, budget->period);
        budget_note_due_locked(budgets, budget->period.until_ns);
    }
    show_all(budget);
}

/* Something may be told again when it no longer holds, and the window holds nothing of the time when it was told. */
static void rearm(struct budget *budget, int64_t now_ns)
{
    if (budget->told != 0 && now_ns - budget->told_ns >= period_length_ns(&budget->terms->rule))
        set_told(budget, budget->told & reached_by(budget));
}

static void roll_on(tbus_budgets_t *budgets, struct budget *budget)
{
    struct budget_slices *slices = budget->slices;
    struct window_stale stale;
    int128_t used = money_value(budget->used);
    window_enter(&slices->window, budgets->now_ns, &stale);
    for (; stale.count > 0; window_next_stale(&slices->window, &stale)) {
        used -= money_value(slices->used[stale.slot]);
        slices->used[stale.slot] = money_of(0);
    }
    budget->used = money_of(used);
    rearm(budget, budgets->now_ns);
    note_window(budget);
    show_all(budget);
}

static void turn(tbus_budgets_t *budgets, struct budget *budget)
{
    const struct period next = period_at(&budget->terms->rule, budgets->now_ns);
    const bool adjoins = budget->period.until_ns == next.from_ns;
    tell_reset(budgets, budget);
    budget->previous_used = adjoins ? budget->used : money_of(0);
    budget->previous_from_ns = adjoins ? budget->period.from_ns : from_before(&budget->terms->rule, next);
    budget->period = next;
    empty(budget);
    budget_note_due_locked(budgets, next.until_ns);
    show_all(budget);
}

void budget_advance_locked(tbus_budgets_t *budgets, struct budget *budget)
{
    const int64_t now_ns = budgets->now_ns;
    if (!budgets->has_now || (now_ns < budget->period.until_ns && now_ns >= budget->period.from_ns))
        return;
    if (budget->period.until_ns == INT64_MIN || now_ns < budget->period.from_ns)
        begin_period(budgets, budget); /* the first one; or now has been set back */
    else if (budget->terms->rolling)
        roll_on(budgets, budget);
    else
        turn(budgets, budget);
}

void budget_restart_locked(tbus_budgets_t *budgets, struct budget *budget)
{
    tell_reset(budgets, budget);
    empty(budget);
    budget->restarted_ns = budgets->now_ns;
    if (budget->terms->rolling && budgets->has_now)
        begin_window(budget, budgets->now_ns);
    show_all(budget);
}

/* --- Amounts --- */

bool budget_has_room(const struct budget *budget, int128_t amount)
{
    int128_t sum;
    return !__builtin_add_overflow(money_value(budget->lifetime), amount, &sum) &&
           !__builtin_add_overflow(money_value(budget->used), amount, &sum) && /* as large as any of its slices */
           !__builtin_add_overflow(money_value(budget->previous_used), amount, &sum);
}

static void add_to(tbus_money_t *sum, int128_t amount)
{
    const int128_t result = money_value(*sum) + amount;
    *sum = money_of(result > 0 ? result : 0);
}

/* The amount changes a slice by what it can, and the total by the same. */
static bool spend_in_window(struct budget *budget, int64_t moment, int128_t amount)
{
    struct window_stale stale;
    const uint32_t slot = window_enter(&budget->slices->window, moment, &stale);
    if (slot == WINDOW_PAST)
        return false;
    assert(stale.count == 0);
    const int128_t before = money_value(budget->slices->used[slot]);
    add_to(&budget->slices->used[slot], amount);
    add_to(&budget->used, money_value(budget->slices->used[slot]) - before);
    return true;
}

/* False: the moment is of an earlier period. What was used before a restart is not there to be taken off. */
static bool spend_in_period(struct budget *budget, int64_t moment, int128_t amount)
{
    if (amount < 0 && moment <= budget->restarted_ns)
        return true;
    if (budget->terms->rolling)
        return spend_in_window(budget, moment, amount);
    if (moment >= budget->period.from_ns) {
        add_to(&budget->used, amount);
        return true;
    }
    if (moment >= budget->previous_from_ns)
        add_to(&budget->previous_used, amount);
    return false;
}

void budget_spend_locked(tbus_budgets_t *budgets, struct budget *budget, int64_t moment, int128_t amount)
{
    assert(budgets->has_now && moment <= budgets->now_ns && budgets->now_ns < budget->period.until_ns);
    add_to(&budget->lifetime, amount);
    if (!spend_in_period(budget, moment, amount))
        budgets->counters.late++;
    if (money_value(budget->used) >= money_value(budget->next_level))
        budget_tell_locked(budgets, budget, false);
    budget_show_locked(budget);
}

void budget_restore_locked(tbus_budgets_t *budgets, struct budget *budget, int64_t moment,
                           const tbus_budget_past_t *past)
{
    const int128_t used = money_value(past->used);
    budget_advance_locked(budgets, budget);
    add_to(&budget->lifetime, money_value(past->lifetime));
    if (used > 0 && !spend_in_period(budget, moment, used))
        budgets->counters.late++;
    set_told(budget, budget->told | reached_by(budget));
    budget_show_locked(budget);
}

/* --- Terms --- */

int budget_prepare_locked(struct budget *budget, const struct budget_terms *terms)
{
    if (!terms->rolling || budget->slices)
        return 0;
    budget->slices = tbus_mem_alloc(sizeof *budget->slices);
    return budget->slices ? 0 : UV_ENOMEM;
}

static bool same_period(const struct budget_terms *a, const struct budget_terms *b)
{
    return a->rolling == b->rolling && a->rule.period == b->rule.period && a->rule.length_ns == b->rule.length_ns &&
           a->rule.anchor_ns == b->rule.anchor_ns && a->rule.zone == b->rule.zone &&
           a->rule.offset_s == b->rule.offset_s;
}

static bool same_levels(const struct budget_terms *a, const struct budget_terms *b)
{
    if (tbus_money_compare(a->limit, b->limit) != 0 || a->thresholds_count != b->thresholds_count)
        return false;
    for (uint32_t i = 0; i < a->thresholds_count; i++)
        if (a->thresholds_ppm[i] != b->thresholds_ppm[i])
            return false;
    return true;
}

/* Their bits would stand for other thresholds now. */
static void drop_alerts(tbus_budgets_t *budgets, uint32_t *found)
{
    const uint32_t kept = *found & (TOLD_EXCEEDED | TOLD_RESET);
    budgets->counters.merged += (uint64_t)__builtin_popcount(*found & ~kept);
    *found = kept;
}

/* A host that sets the same terms again and again is not told the same again and again. A period that has ended does so
 * under the terms that it had: the sweep may not have come to it yet. */
void budget_apply_locked(tbus_budgets_t *budgets, struct budget *budget, const struct budget_terms *terms)
{
    const struct budget_terms *before = budget->terms;
    if (before)
        budget_advance_locked(budgets, budget);
    budget->terms = terms;
    if (!before || !same_levels(before, terms)) {
        drop_alerts(budgets, &budget->found);
        drop_alerts(budgets, &budget->found_before);
        set_told(budget, 0);
    }
    if (!before || !same_period(before, terms)) {
        budget->period = (struct period){INT64_MIN, INT64_MIN};
        budget_advance_locked(budgets, budget);
    }
    show_all(budget);
}
