/* What a host sets: terms are checked and worked out first, memory is had for all that follows, and then nothing can
 * fail any more. */
#include <string.h>

#include "trackers/budget.h"
#include "trackers/moment.h"
#include "trackers/options.h"

enum { PPM = 1000000, THRESHOLD_DEFAULT_PPM = 800000, ZONES_MAX = 1000, OFFSET_MAX_MINUTES = 1440 };

#define DURATION_MAX_NS (10 * 366 * 86400 * SECOND_NS)

/* --- Reading them --- */

static uint32_t thresholds_of(const tbus_budget_t *given, uint32_t ppm[TBUS_BUDGET_THRESHOLDS_MAX])
{
    uint32_t count = 0;
    if (given->thresholds_ppm[0] == UINT32_MAX)
        return 0;
    while (count < TBUS_BUDGET_THRESHOLDS_MAX && given->thresholds_ppm[count] != 0) {
        ppm[count] = given->thresholds_ppm[count];
        count++;
    }
    if (count == 0)
        ppm[count++] = THRESHOLD_DEFAULT_PPM;
    return count;
}

static bool are_thresholds(const tbus_budget_t *given)
{
    uint32_t ppm[TBUS_BUDGET_THRESHOLDS_MAX];
    const uint32_t count = thresholds_of(given, ppm);
    for (uint32_t i = 0; i < count; i++)
        if (ppm[i] > PPM)
            return false;
    return true;
}

static bool is_name(tbus_budget_scope_t scope, const char *subject, bool each, const unsigned char *key_digest)
{
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];
    const bool has_subject = subject && *subject;
    if ((unsigned)scope >= TBUS_BUDGET_SCOPES ||
        (key_digest && (scope != TBUS_BUDGET_KEY || memcmp(key_digest, none, sizeof none) == 0)))
        return false;
    if (scope == TBUS_BUDGET_ALL)
        return !has_subject && !each;
    return each ? !has_subject && !key_digest : has_subject || key_digest;
}

static bool is_period(const tbus_budget_t *given)
{
    switch (given->period) {
    case TBUS_BUDGET_NEVER:
        return !given->rolling;
    case TBUS_BUDGET_DURATION:
        return given->duration_ns >= SECOND_NS && given->duration_ns <= DURATION_MAX_NS;
    case TBUS_BUDGET_DAILY:
    case TBUS_BUDGET_WEEKLY:
    case TBUS_BUDGET_MONTHLY:
        return given->utc_offset_minutes >= -OFFSET_MAX_MINUTES && given->utc_offset_minutes <= OFFSET_MAX_MINUTES;
    default:
        return false;
    }
}

static bool are_sound(const tbus_budget_t *given)
{
    return is_name(given->scope, given->subject, given->each, given->key_digest) && is_period(given) &&
           money_value(given->limit) >= 0 && (given->kind == TBUS_BUDGET_SOFT || given->kind == TBUS_BUDGET_HARD) &&
           are_thresholds(given) && are_zero(given->reserved, sizeof given->reserved);
}

/* The share of a limit, rounded up, in two steps that do not overflow. */
static tbus_money_t level_of(tbus_money_t limit, uint32_t ppm)
{
    const int128_t value = money_value(limit);
    return money_of(value / PPM * ppm + (value % PPM * ppm + PPM - 1) / PPM);
}

static int terms_of(const tbus_budget_t *given, const struct time_zone *zone, struct budget_terms **ret)
{
    struct budget_terms *terms = tbus_mem_alloc(sizeof *terms);
    if (!terms)
        return UV_ENOMEM;
    *terms = (struct budget_terms){.limit = given->limit,
                                   .kind = given->kind,
                                   .rolling = given->rolling,
                                   .refuse_unpriced = given->refuse_unpriced,
                                   .rule = {.period = given->period}};
    if (given->period == TBUS_BUDGET_DURATION) {
        terms->rule.length_ns = given->duration_ns;
        terms->rule.anchor_ns = given->rolling ? 0 : given->anchor_ns % given->duration_ns;
    } else if (given->period != TBUS_BUDGET_NEVER && !given->rolling) {
        terms->rule.zone = zone;
        terms->rule.offset_s = zone ? 0 : INT64_C(60) * given->utc_offset_minutes;
    }
    terms->thresholds_count = thresholds_of(given, terms->thresholds_ppm);
    for (uint32_t i = 0; i < terms->thresholds_count; i++)
        terms->levels[i] = level_of(given->limit, terms->thresholds_ppm[i]);
    *ret = terms;
    return 0;
}

/* --- Time zones: read once, kept until the tracker is closed --- */

static const struct budget_zone *known_zone_locked(const tbus_budgets_t *budgets, const char *name)
{
    const struct budget_zone *zone = budgets->zones;
    while (zone && strcmp(zone->name, name) != 0)
        zone = zone->next;
    return zone;
}

/* Two threads that read the same file at the same time keep it twice, which harms nobody. */
static int zone_of(tbus_budgets_t *budgets, const char *name, const struct time_zone **ret)
{
    uv_mutex_lock(&budgets->mu);
    const struct budget_zone *known = known_zone_locked(budgets, name);
    const bool full = budgets->zones_count >= ZONES_MAX;
    uv_mutex_unlock(&budgets->mu);
    if (known) {
        *ret = known->zone;
        return 0;
    }
    if (full)
        return UV_ENOSPC;
    struct budget_zone *zone = tbus_mem_alloc(sizeof *zone);
    if (!zone)
        return UV_ENOMEM;
    const int error = time_zone_load(name, &zone->zone);
    if (error) {
        tbus_mem_free(zone);
        return error;
    }
    memcpy(zone->name, name, strlen(name) + 1); /* it was loaded, so it is short */
    *ret = zone->zone;
    uv_mutex_lock(&budgets->mu);
    zone->next = budgets->zones;
    budgets->zones = zone;
    budgets->zones_count++;
    uv_mutex_unlock(&budgets->mu);
    return 0;
}

/* --- A subject's own --- */

static int set_own_locked(tbus_budgets_t *budgets, struct budget_subject *subject, struct budget_terms *terms)
{
    struct budget *budget = budget_find_locked(budgets, subject);
    if ((!budget || budget->state != BUDGET_OWN) && budgets->own >= budgets->options.budgets_max)
        return UV_ENOSPC;
    if (!budget)
        return budget_make_locked(budgets, subject, BUDGET_OWN, terms, &budget);
    const int error = budget_prepare_locked(budget, terms);
    if (error)
        return error;
    const struct budget_terms *old = budget->state == BUDGET_OWN ? budget->terms : NULL;
    budget_set_state_locked(budgets, budget, BUDGET_OWN);
    budget_apply_locked(budgets, budget, terms);
    tbus_mem_free((void *)(uintptr_t)old);
    return 0;
}

static int remove_own_locked(tbus_budgets_t *budgets, struct budget_subject *subject)
{
    struct budget *budget = budget_find_locked(budgets, subject);
    struct budget_terms *each = budgets->each[subject->scope];
    if (!budget || budget->state != BUDGET_OWN)
        return UV_ENOENT;
    if (!each || budgets->defaulted >= budgets->options.defaulted_max || budget_prepare_locked(budget, each) != 0) {
        budget_remove_locked(budgets, budget);
        return 0;
    }
    const struct budget_terms *old = budget->terms;
    budget_set_state_locked(budgets, budget, BUDGET_DEFAULTED);
    budget_apply_locked(budgets, budget, each);
    tbus_mem_free((void *)(uintptr_t)old);
    return 0;
}

/* --- A scope's default --- */

static bool follows_default(const struct budget *budget, tbus_budget_scope_t scope)
{
    return (budget->state == BUDGET_DEFAULTED || budget->state == BUDGET_SHARED) && budget->scope == scope;
}

static int make_shared_locked(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const struct budget_terms *terms)
{
    struct budget_subject nobody = {.scope = scope, .text = TABLE_OTHER};
    struct budget *shared;
    const int error = budget_make_locked(budgets, &nobody, BUDGET_SHARED, terms, &shared);
    if (!error)
        budgets->shared[scope] = shared->number;
    return error;
}

static int set_default_locked(tbus_budgets_t *budgets, tbus_budget_scope_t scope, struct budget_terms *terms)
{
    int error = 0;
    for (uint32_t i = 0; !error && i < budgets->records; i++)
        if (follows_default(budget_at(budgets, i), scope))
            error = budget_prepare_locked(budget_at(budgets, i), terms);
    if (!error && budgets->shared[scope] == BUDGET_NONE)
        error = make_shared_locked(budgets, scope, terms);
    if (error)
        return error;
    for (uint32_t i = 0; i < budgets->records; i++)
        if (follows_default(budget_at(budgets, i), scope))
            budget_apply_locked(budgets, budget_at(budgets, i), terms);
    tbus_mem_free(budgets->each[scope]);
    budgets->each[scope] = terms;
    atomic_fetch_or_explicit(&budgets->defaults, 1u << scope, memory_order_relaxed);
    return 0;
}

static int remove_default_locked(tbus_budgets_t *budgets, tbus_budget_scope_t scope)
{
    if (!budgets->each[scope])
        return UV_ENOENT;
    atomic_fetch_and_explicit(&budgets->defaults, ~(1u << scope), memory_order_relaxed);
    for (uint32_t i = 0; i < budgets->records; i++)
        if (follows_default(budget_at(budgets, i), scope))
            budget_remove_locked(budgets, budget_at(budgets, i));
    budgets->shared[scope] = BUDGET_NONE;
    tbus_mem_free(budgets->each[scope]);
    budgets->each[scope] = NULL;
    return 0;
}

/* --- Calls --- */

int tbus_budget_set(tbus_budgets_t *budgets, const tbus_budget_t *given)
{
    const struct time_zone *zone = NULL;
    struct budget_terms *terms;

    if (!budgets || !given || !are_sound(given))
        return UV_EINVAL;
    int error = given->time_zone ? zone_of(budgets, given->time_zone, &zone) : 0;
    if (!error)
        error = terms_of(given, zone, &terms);
    if (error)
        return error;
    struct budget_subject subject;
    budget_subject_fill(budgets, given->scope, given->subject, given->key_digest, &subject);
    if (!given->each)
        budget_subject_digest(budgets, &subject); /* while nobody waits */
    uv_mutex_lock(&budgets->mu);
    error = given->each ? set_default_locked(budgets, given->scope, terms) : set_own_locked(budgets, &subject, terms);
    uv_mutex_unlock(&budgets->mu);
    if (error)
        tbus_mem_free(terms);
    return error;
}

int tbus_budget_remove(tbus_budgets_t *budgets, const tbus_budget_name_t *name)
{
    if (!budgets || !name || !is_name(name->scope, name->subject, name->each, name->key_digest))
        return UV_EINVAL;
    struct budget_subject subject;
    budget_subject_fill(budgets, name->scope, name->subject, name->key_digest, &subject);
    uv_mutex_lock(&budgets->mu);
    const int error = name->each ? remove_default_locked(budgets, name->scope) : remove_own_locked(budgets, &subject);
    uv_mutex_unlock(&budgets->mu);
    return error;
}

int tbus_budget_restart(tbus_budgets_t *budgets, const tbus_budget_name_t *name, int64_t time_ns)
{
    if (!budgets || !name || !is_name(name->scope, name->subject, name->each, name->key_digest))
        return UV_EINVAL;
    struct budget_subject subject;
    budget_subject_fill(budgets, name->scope, name->subject, name->key_digest, &subject);
    const int64_t moment = budget_moment_of(budgets, time_ns);
    uv_mutex_lock(&budgets->mu);
    budget_believe_locked(budgets, moment);
    struct budget *budget = name->each ? NULL : budget_find_locked(budgets, &subject);
    if (budget) {
        budget_advance_locked(budgets, budget);
        budget_restart_locked(budgets, budget);
    }
    uv_mutex_unlock(&budgets->mu);
    return budget ? 0 : UV_ENOENT;
}

int tbus_budget_restore(tbus_budgets_t *budgets, const tbus_budget_past_t *past)
{
    if (!budgets || !past || past->name.each || money_value(past->used) < 0 ||
        money_value(past->used) > money_value(past->lifetime) || !are_zero(past->reserved, sizeof past->reserved) ||
        !is_name(past->name.scope, past->name.subject, false, past->name.key_digest))
        return UV_EINVAL;
    struct budget_subject subject;
    budget_subject_fill(budgets, past->name.scope, past->name.subject, past->name.key_digest, &subject);
    int64_t moment = budget_moment_of(budgets, past->time_ns);
    int error = 0;
    uv_mutex_lock(&budgets->mu);
    moment = budget_believe_locked(budgets, moment);
    struct budget *budget = budget_find_or_make_locked(budgets, &subject);
    if (!budget)
        error = UV_ENOENT;
    else if (!budget_has_room(budget, money_value(past->lifetime)))
        error = UV_EOVERFLOW;
    else
        budget_restore_locked(budgets, budget, moment, past);
    uv_mutex_unlock(&budgets->mu);
    return error;
}
