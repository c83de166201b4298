/* The table of budgets: names them, finds them, makes and removes them. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/cost.h>

#include "trackers/budget.h"
#include "trackers/digest.h"

/* --- Names --- */

static struct budget_id id_of(const tbus_budgets_t *budgets, tbus_budget_scope_t scope, const void *bytes,
                              size_t length)
{
    struct budget_id id = {table_hash(bytes, length, &budgets->secrets[0]) + (uint64_t)scope * 0x9e3779b97f4a7c15u,
                           table_hash(bytes, length, &budgets->secrets[1])};
    id.high += id.high == 0;
    return id;
}

struct budget_id budget_id_of(const tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *text)
{
    return id_of(budgets, scope, text, strlen(text));
}

static void set_digest(const tbus_budgets_t *budgets, struct budget_subject *subject, const unsigned char *digest)
{
    memcpy(subject->digest, digest, sizeof subject->digest);
    subject->digest_id = id_of(budgets, TBUS_BUDGET_KEY, digest, sizeof subject->digest);
    subject->has_digest = true;
}

void budget_subject_digest(const tbus_budgets_t *budgets, struct budget_subject *subject)
{
    static_assert(DIGEST_BYTES == TBUS_KEY_DIGEST_BYTES, "one is kept as the other");
    unsigned char digest[DIGEST_BYTES];
    if (subject->has_digest || subject->scope != TBUS_BUDGET_KEY || !subject->has_id)
        return;
    digest_bytes(subject->text, strlen(subject->text), digest);
    set_digest(budgets, subject, digest);
}

static bool is_some_digest(const unsigned char *digest)
{
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];
    return digest && memcmp(digest, none, sizeof none) != 0;
}

/* Whether a key that the index does not know must be looked for by its digest, or made. */
static bool wants_digest(const tbus_budgets_t *budgets)
{
    return (atomic_load_explicit(&budgets->defaults, memory_order_relaxed) & 1u << TBUS_BUDGET_KEY) ||
           atomic_load_explicit(&budgets->nameless, memory_order_relaxed) > 0;
}

void budget_subject_fill(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *text,
                         const unsigned char *digest, struct budget_subject *subject)
{
    subject->scope = scope;
    subject->text = scope == TBUS_BUDGET_ALL ? "" : text;
    subject->has_id = subject->has_digest = false;
    if (scope == TBUS_BUDGET_ALL) {
        subject->id = budgets->all_id;
        subject->has_id = true;
    } else if (is_some_digest(digest)) {
        set_digest(budgets, subject, digest);
    } else if (text && *text) {
        subject->id = budget_id_of(budgets, scope, text);
        subject->has_id = true;
    }
    if (scope == TBUS_BUDGET_KEY && subject->has_id && wants_digest(budgets) &&
        budget_index_find(&budgets->by_name, subject->id) == BUDGET_NONE)
        budget_subject_digest(budgets, subject);
}

/* A subject as it is shown; a long one keeps its beginning, cut between code points. NULL = no memory. */
static char *shown_name(const struct budget_subject *subject)
{
    char name[TBUS_BUDGET_SUBJECT_BYTES] = "";
    const char *text = subject->text ? subject->text : "";
    size_t length = strlen(text);

    if (subject->scope == TBUS_BUDGET_KEY && budget_subject_is_some(subject)) {
        if (length > 0)
            tbus_redact_key(text, name);
        else
            snprintf(name, sizeof name, "..%02x%02x%02x%02x", subject->digest[0], subject->digest[1],
                     subject->digest[2], subject->digest[3]);
    } else {
        digest_fit(text, name, sizeof name);
    }
    length = strlen(name) + 1;
    char *copy = tbus_mem_alloc(length);
    return copy ? memcpy(copy, name, length) : NULL;
}

/* --- Finding --- */

/* The key of a budget that was known by its digest only has been seen: from now on it is found without a digest. */
static void give_name(tbus_budgets_t *budgets, struct budget *budget, const struct budget_subject *subject)
{
    if (budget->is_named || budget_index_make_room(&budgets->by_name) != 0)
        return; /* found the long way again, next time */
    char *shown = shown_name(subject);
    if (!shown)
        return;
    tbus_mem_free(budget->subject);
    budget->subject = shown;
    budget->id = subject->id;
    budget->is_named = true;
    budget_index_add(&budgets->by_name, subject->id, budget->number);
    atomic_fetch_sub_explicit(&budgets->nameless, 1, memory_order_relaxed);
}

struct budget *budget_find_locked(tbus_budgets_t *budgets, struct budget_subject *subject)
{
    uint32_t number = subject->has_id ? budget_index_find(&budgets->by_name, subject->id) : BUDGET_NONE;
    if (number != BUDGET_NONE)
        return budget_at(budgets, number);
    if (subject->scope != TBUS_BUDGET_KEY || !(subject->has_digest || wants_digest(budgets)))
        return NULL;
    budget_subject_digest(budgets, subject);
    number = budget_index_find(&budgets->by_digest, subject->digest_id);
    if (number == BUDGET_NONE)
        return NULL;
    struct budget *budget = budget_at(budgets, number);
    if (subject->has_id)
        give_name(budgets, budget, subject);
    return budget;
}

struct budget *budget_find_or_make_locked(tbus_budgets_t *budgets, struct budget_subject *subject)
{
    struct budget *budget = budget_find_locked(budgets, subject);
    if (budget || !budgets->each[subject->scope])
        return budget;
    if (budgets->defaulted < budgets->options.defaulted_max &&
        budget_make_locked(budgets, subject, BUDGET_DEFAULTED, budgets->each[subject->scope], &budget) == 0)
        return budget;
    budgets->counters.shared++;
    return budget_at(budgets, budgets->shared[subject->scope]);
}

/* --- Making and removing --- */

static int take_record(tbus_budgets_t *budgets, struct budget **ret)
{
    if (budgets->free_records != BUDGET_NONE) {
        *ret = budget_at(budgets, budgets->free_records);
        budgets->free_records = (*ret)->next_free;
        return 0;
    }
    struct budget **chunk = &budgets->chunks[budgets->records / BUDGET_CHUNK];
    if (!*chunk && !(*chunk = tbus_mem_alloc(BUDGET_CHUNK * sizeof **chunk)))
        return UV_ENOMEM;
    *ret = budget_at(budgets, budgets->records);
    (*ret)->number = budgets->records++;
    return 0;
}

/* All but what belongs to the record rather than to the budget in it: its number and version, a window's memory, its
 * place in the queue of findings. */
static void clear_record(struct budget *budget)
{
    budget->terms = NULL;
    budget->used = budget->reserved = budget->lifetime = budget->previous_used = budget->ended_used = money_of(0);
    budget->period = (struct period){INT64_MIN, INT64_MIN};
    budget->restarted_ns = INT64_MIN;
    budget->told = budget->found = budget->found_before = 0;
    budget->is_named = budget->has_digest = false;
    budget->state = BUDGET_FREE;
    tbus_mem_free(budget->subject);
    budget->subject = NULL;
    memset(budget->digest, 0, sizeof budget->digest);
}

static void give_record_back(tbus_budgets_t *budgets, struct budget *budget)
{
    clear_record(budget);
    budget->generation++;
    budget->next_free = budgets->free_records;
    budgets->free_records = budget->number;
}

void budget_set_state_locked(tbus_budgets_t *budgets, struct budget *budget, enum budget_state state)
{
    budgets->own += (state == BUDGET_OWN) - (uint32_t)(budget->state == BUDGET_OWN);
    budgets->defaulted += (state == BUDGET_DEFAULTED) - (uint32_t)(budget->state == BUDGET_DEFAULTED);
    budget->state = (uint8_t)state;
}

void budget_free_terms(struct budget *budget)
{
    if (budget->state == BUDGET_OWN)
        tbus_mem_free((void *)(uintptr_t)budget->terms); /* const for those who read them */
    budget->terms = NULL;
}

/* A record and all memory that its budget will need. */
static int prepare(tbus_budgets_t *budgets, const struct budget_subject *subject, const struct budget_terms *terms,
                   struct budget **ret)
{
    struct budget *budget;
    int error = budget_index_make_room(&budgets->by_name);
    if (!error && subject->has_digest)
        error = budget_index_make_room(&budgets->by_digest);
    if (!error)
        error = take_record(budgets, &budget);
    if (error)
        return error;
    clear_record(budget);
    budget->subject = shown_name(subject);
    error = budget->subject ? budget_prepare_locked(budget, terms) : UV_ENOMEM;
    if (error) {
        give_record_back(budgets, budget);
        return error;
    }
    *ret = budget;
    return 0;
}

static void enter_digest(tbus_budgets_t *budgets, struct budget *budget, const struct budget_subject *subject)
{
    budget->has_digest = true;
    budget->digest_id = subject->digest_id;
    memcpy(budget->digest, subject->digest, sizeof budget->digest);
    budget_index_add(&budgets->by_digest, budget->digest_id, budget->number);
    if (!subject->has_id)
        atomic_fetch_add_explicit(&budgets->nameless, 1, memory_order_relaxed);
}

/* The name comes last: who finds it without the lock reads what belongs to it. */
static void enter_name(tbus_budgets_t *budgets, struct budget *budget, const struct budget_subject *subject)
{
    budget->is_named = true;
    budget->id = subject->id;
    budget_index_add(&budgets->by_name, budget->id, budget->number);
}

int budget_make_locked(tbus_budgets_t *budgets, struct budget_subject *subject, enum budget_state state,
                       const struct budget_terms *terms, struct budget **ret)
{
    struct budget *budget;
    budget_subject_digest(budgets, subject);
    const int error = prepare(budgets, subject, terms, &budget);
    if (error)
        return error;
    budget->scope = (uint8_t)subject->scope;
    budget_set_state_locked(budgets, budget, state);
    budget_apply_locked(budgets, budget, terms);
    if (subject->has_digest)
        enter_digest(budgets, budget, subject);
    if (subject->has_id)
        enter_name(budgets, budget, subject);
    *ret = budget;
    return 0;
}

void budget_remove_locked(tbus_budgets_t *budgets, struct budget *budget)
{
    if (budget->is_named)
        budget_index_remove(&budgets->by_name, budget->id);
    else if (budget->has_digest)
        atomic_fetch_sub_explicit(&budgets->nameless, 1, memory_order_relaxed);
    if (budget->has_digest)
        budget_index_remove(&budgets->by_digest, budget->digest_id);
    budget_free_terms(budget);
    budget_set_state_locked(budgets, budget, BUDGET_FREE);
    give_record_back(budgets, budget);
}
