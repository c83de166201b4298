#include "trackers/budget.h"

#include "trackers/moment.h"
#include "trackers/options.h"

enum { LIMIT_MAX = 1 << 22, BUDGETS_DEFAULT = 10000, REQUESTS_DEFAULT = 65536 };

#define RESERVATION_DEFAULT_NS (600 * SECOND_NS)

/* --- Opening and closing --- */

static void fill_options(tbus_budgets_options_t *options, const tbus_budgets_options_t *given)
{
    *options = *given;
    options->budgets_max = or_default(given->budgets_max, BUDGETS_DEFAULT);
    options->defaulted_max = or_default(given->defaulted_max, BUDGETS_DEFAULT);
    options->reservations_max = or_default(given->reservations_max, REQUESTS_DEFAULT);
    options->settled_max = or_default(given->settled_max, REQUESTS_DEFAULT);
    options->reservation_ns = given->reservation_ns ? given->reservation_ns : RESERVATION_DEFAULT_NS;
}

/* Chunks that hold all budgets there may be: those set, those made by defaults, and "other" of three scopes. */
static size_t chunks_of(const tbus_budgets_options_t *options)
{
    return ((size_t)options->budgets_max + options->defaulted_max + TBUS_BUDGET_SCOPES) / BUDGET_CHUNK + 1;
}

int tbus_budgets_open(const tbus_budgets_options_t *options, tbus_budgets_t **ret)
{
    static const tbus_budgets_options_t defaults;

    options = options ? options : &defaults;
    if (!ret || options->budgets_max > LIMIT_MAX || options->defaulted_max > LIMIT_MAX ||
        options->reservations_max > LIMIT_MAX || options->settled_max > LIMIT_MAX ||
        !are_zero(options->reserved, sizeof options->reserved))
        return UV_EINVAL;
    tbus_budgets_t *budgets = tbus_mem_alloc(sizeof *budgets);
    if (!budgets)
        return UV_ENOMEM;
    fill_options(&budgets->options, options);
    budgets->chunks = tbus_mem_alloc(chunks_of(&budgets->options) * sizeof *budgets->chunks);
    int error = budgets->chunks ? uv_mutex_init(&budgets->mu) : UV_ENOMEM;
    if (error) {
        tbus_mem_free(budgets->chunks);
        tbus_mem_free(budgets);
        return error;
    }
    budgets->secrets[0] = table_secret_open();
    budgets->secrets[1] = table_secret_open();
    budgets->all_id = budget_id_of(budgets, TBUS_BUDGET_ALL, "");
    budget_requests_open(budgets);
    budgets->free_records = budgets->found_first = budgets->found_last = budgets->sweep_at = BUDGET_NONE;
    for (int scope = 0; scope < TBUS_BUDGET_SCOPES; scope++)
        budgets->shared[scope] = BUDGET_NONE;
    ahead_init(&budgets->ahead, budgets->options.ahead_max_ns, budgets->options.clock, budgets->options.clock_user);
    budgets->due_ns = budgets->next_due_ns = INT64_MAX;
    *ret = budgets;
    return 0;
}

static void free_zones(tbus_budgets_t *budgets)
{
    for (struct budget_zone *zone = budgets->zones, *next; zone; zone = next) {
        next = zone->next;
        time_zone_free(zone->zone);
        tbus_mem_free(zone);
    }
}

void tbus_budgets_close(tbus_budgets_t *budgets)
{
    if (!budgets)
        return;
    for (uint32_t number = 0; number < budgets->records; number++) {
        struct budget *budget = budget_at(budgets, number);
        budget_free_terms(budget);
        tbus_mem_free(budget->slices);
        tbus_mem_free(budget->subject);
    }
    for (int scope = 0; scope < TBUS_BUDGET_SCOPES; scope++)
        tbus_mem_free(budgets->each[scope]);
    for (size_t i = 0; i < chunks_of(&budgets->options); i++)
        tbus_mem_free(budgets->chunks[i]);
    tbus_mem_free(budgets->chunks);
    free_zones(budgets);
    budget_index_clear(&budgets->by_name);
    budget_index_clear(&budgets->by_digest);
    table_clear(&budgets->requests);
    uv_mutex_destroy(&budgets->mu);
    tbus_mem_free(budgets);
}

const char *tbus_budget_scope_name(tbus_budget_scope_t scope)
{
    static const char *const names[] = {"all", "key", "user", "project"};
    return (unsigned)scope < TBUS_BUDGET_SCOPES ? names[scope] : NULL;
}
