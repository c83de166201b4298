/* The whole tracker against a plain slow model: it keeps every amount that was settled and adds up anew, each time,
 * those whose moments lie in the period of now. */
#include "tests/trackers/budget_fixture.h"

#include "tests/oracle.h"
#include "trackers/budget_period.h"
#include "trackers/time_zone_rule.h"

enum {
    STEPS = 4000,
    BUDGETS = 10,
    AMOUNTS = STEPS,
    DEFAULTED_MAX = 2,
    OPEN_MAX = 25,
    SETTLED_MAX = 15,
    IDS = 80,
    SLICES = 30,
    NONE = -1
};

#define RESERVATION (9 * HOUR)

struct model_budget {
    tbus_budget_scope_t scope;
    const char *subject;
    int64_t limit;
    bool hard, rolling, shared;
    struct period_rule rule;
    double thresholds[2];
    /* findings: what was told in the period that began at told_from */
    struct period period;
    bool told[3];              /* by threshold, and exceeded */
    int expected[4], found[4]; /* alerts by threshold, exceeded, resets */
};

struct model_amount {
    int64_t amount, moment;
    int budgets[TBUS_BUDGET_SCOPES]; /* NONE = none */
};

struct model_request {
    enum { FREE, OPEN, SETTLED } state;
    int64_t amount, until, order;
    int budgets[TBUS_BUDGET_SCOPES];
    size_t settled; /* which of the amounts */
};

struct model {
    tbus_budgets_t *budgets;
    uint64_t random;
    int64_t now;
    bool begun;
    struct model_budget budget[BUDGETS];
    int count;
    int shared, projects; /* the one that is shared; those that the default made */
    const char *project_names[DEFAULTED_MAX];
    struct model_amount amounts[AMOUNTS];
    size_t amounts_count;
    struct model_request requests[IDS];
    int64_t order;
    int open, settled;
};

static const char *const keys[] = {NULL, "k0", "k1", "k2"}, *const users[] = {NULL, "u0", "u1", "u2", "u3"},
                         *const projects[] = {NULL, "p0", "p1", "p2", "p3"};

/* --- The model --- */

static int64_t slice_of(const struct model_budget *budget, int64_t moment)
{
    const int64_t length = period_length_ns(&budget->rule);
    return floor_div(moment, length / SLICES + (length % SLICES != 0));
}

/* Whether an amount of this moment counts in a budget's period of now, or (`back` 1) the one before. */
static bool counts(const struct model *model, const struct model_budget *budget, int64_t moment, int back)
{
    if (budget->rolling)
        return back == 0 && slice_of(budget, model->now) - slice_of(budget, moment) <= SLICES;
    struct period period = period_at(&budget->rule, model->now);
    if (back == 1 && period.from_ns == INT64_MIN)
        return false;
    if (back == 1)
        period = period_at(&budget->rule, period.from_ns - 1);
    return period.from_ns <= moment && moment < period.until_ns;
}

static int64_t sum(const struct model *model, int number, bool in_all, int back)
{
    int64_t total = 0;
    const struct model_budget *budget = &model->budget[number];
    for (size_t i = 0; i < model->amounts_count; i++) {
        const struct model_amount *amount = &model->amounts[i];
        if (amount->budgets[budget->scope] == number && (in_all || counts(model, budget, amount->moment, back)))
            total += amount->amount;
    }
    return total;
}

static int64_t reserved(const struct model *model, int number)
{
    int64_t total = 0;
    for (int i = 0; i < IDS; i++)
        if (model->requests[i].state == OPEN && model->requests[i].budgets[model->budget[number].scope] == number)
            total += model->requests[i].amount;
    return total;
}

static void expect(struct model_budget *budget, int what)
{
    if (budget->told[what])
        return;
    budget->told[what] = true;
    budget->expected[what]++;
}

static void expect_reached(struct model *model, int number)
{
    struct model_budget *budget = &model->budget[number];
    const int64_t used = sum(model, number, false, 0);
    for (int i = 0; i < 2; i++)
        if (budget->thresholds[i] > 0 && used > 0 && (double)used >= budget->thresholds[i] * (double)budget->limit)
            expect(budget, i);
    if (used > budget->limit)
        expect(budget, 2);
}

static void go_to(struct model *model, int64_t moment)
{
    const int64_t before = model->now;
    int64_t used[BUDGETS] = {0};
    for (int i = 0; i < model->count; i++)
        used[i] = model->begun ? sum(model, i, false, 0) : 0;
    if (model->begun && moment <= before)
        return;
    model->now = moment;
    model->begun = true;
    for (int i = 0; i < model->count; i++) {
        struct model_budget *budget = &model->budget[i];
        const struct period period = period_at(&budget->rule, moment);
        if (budget->rolling || period.from_ns == budget->period.from_ns)
            continue;
        budget->period = period;
        memset(budget->told, 0, sizeof budget->told);
        budget->expected[3] += used[i] > 0;
    }
    for (int i = 0; i < IDS; i++) {
        struct model_request *request = &model->requests[i];
        if (request->state == OPEN && request->until <= moment) {
            request->state = FREE;
            model->open--;
        }
    }
}

static int add_budget(struct model *model, struct model_budget budget)
{
    budget.period = period_at(&budget.rule, model->now);
    cr_assert_lt(model->count, BUDGETS);
    model->budget[model->count] = budget;
    return model->count++;
}

static struct model_budget project_budget(const char *name)
{
    return (struct model_budget){.scope = TBUS_BUDGET_PROJECT,
                                 .subject = name,
                                 .limit = 900,
                                 .hard = true,
                                 .rule = {.period = TBUS_BUDGET_DURATION, .length_ns = 5 * HOUR, .anchor_ns = HOUR},
                                 .thresholds = {0.8}};
}

static int find_project(struct model *model, const char *name)
{
    for (int i = 0; i < model->count; i++)
        if (model->budget[i].scope == TBUS_BUDGET_PROJECT && !model->budget[i].shared &&
            strcmp(model->budget[i].subject, name) == 0)
            return i;
    if (model->projects == DEFAULTED_MAX)
        return model->shared;
    model->projects++;
    return add_budget(model, project_budget(name));
}

static int find(struct model *model, tbus_budget_scope_t scope, const char *name)
{
    if (scope == TBUS_BUDGET_PROJECT)
        return find_project(model, name);
    for (int i = 0; i < model->count; i++)
        if (model->budget[i].scope == scope && strcmp(model->budget[i].subject, name ? name : "") == 0)
            return i;
    return NONE;
}

static void find_all(struct model *model, const tbus_budget_request_t *request, const struct model_request *known,
                     int budgets[TBUS_BUDGET_SCOPES])
{
    const char *const names[] = {"", request->api_key, request->user_id, request->project_id};
    for (int scope = 0; scope < TBUS_BUDGET_SCOPES; scope++)
        budgets[scope] = names[scope] ? find(model, (tbus_budget_scope_t)scope, names[scope])
                         : known      ? known->budgets[scope]
                                      : NONE;
}

static int model_reserve(struct model *model, struct model_request *known, const tbus_budget_request_t *request)
{
    static const int order[] = {TBUS_BUDGET_ALL, TBUS_BUDGET_PROJECT, TBUS_BUDGET_USER, TBUS_BUDGET_KEY};
    int budgets[TBUS_BUDGET_SCOPES];
    go_to(model, request->time_ns);
    if (known->state != FREE)
        return UV_EEXIST;
    if (model->open == OPEN_MAX)
        return UV_ENOBUFS;
    find_all(model, request, NULL, budgets);
    for (int i = 0; i < TBUS_BUDGET_SCOPES; i++) {
        const int number = budgets[order[i]];
        if (number == NONE || !model->budget[number].hard)
            continue;
        if (sum(model, number, false, 0) + reserved(model, number) + (int64_t)request->amount.low >
            model->budget[number].limit) {
            expect(&model->budget[number], 2);
            return UV_EACCES;
        }
    }
    *known = (struct model_request){
        .state = OPEN, .amount = (int64_t)request->amount.low, .until = model->now + RESERVATION};
    memcpy(known->budgets, budgets, sizeof budgets);
    model->open++;
    return 0;
}

static void forget_oldest(struct model *model)
{
    struct model_request *oldest = NULL;
    for (int i = 0; i < IDS; i++)
        if (model->requests[i].state == SETTLED && (!oldest || model->requests[i].order < oldest->order))
            oldest = &model->requests[i];
    oldest->state = FREE;
    model->settled--;
}

static int model_settle(struct model *model, struct model_request *known, const tbus_budget_request_t *request)
{
    go_to(model, request->time_ns);
    if (known && known->state == SETTLED)
        return UV_EALREADY;
    struct model_amount *amount = &model->amounts[model->amounts_count];
    *amount = (struct model_amount){(int64_t)request->amount.low, request->time_ns, {0}};
    find_all(model, request, known && known->state == OPEN ? known : NULL, amount->budgets);
    model->amounts_count++;
    for (int scope = 0; scope < TBUS_BUDGET_SCOPES; scope++)
        if (amount->budgets[scope] != NONE)
            expect_reached(model, amount->budgets[scope]);
    if (!known)
        return 0;
    model->open -= known->state == OPEN;
    *known = (struct model_request){.state = SETTLED, .settled = model->amounts_count - 1, .order = model->order++};
    if (++model->settled > SETTLED_MAX)
        forget_oldest(model);
    return 0;
}

static void model_retract(struct model *model, struct model_request *known, const tbus_budget_request_t *request)
{
    go_to(model, request->time_ns);
    model->amounts[known->settled].amount = 0;
    known->state = FREE;
    model->settled--;
}

static int model_release(struct model *model, struct model_request *known, int64_t time_ns)
{
    const int error = known->state == OPEN ? 0 : UV_ENOENT;
    if (error == 0) {
        known->state = FREE;
        model->open--;
    }
    go_to(model, time_ns);
    return error;
}

/* --- Both --- */

static void compare_budget(struct model *model, const tbus_budgets_snapshot_t *snapshot, int number)
{
    const struct model_budget *budget = &model->budget[number];
    const char *shown = budget->shared ? "other" : budget->subject;
    const tbus_budget_row_t *row = NULL;
    for (size_t i = 0; i < snapshot->rows_count; i++) /* keys are short ones, whose redacted form begins with ".." */
        if (snapshot->rows[i].scope == budget->scope && snapshot->rows[i].shared == budget->shared &&
            (budget->scope == TBUS_BUDGET_KEY
                 ? tbus_money_compare(snapshot->rows[i].status.limit, tbus_money_units(budget->limit)) == 0
                 : strcmp(snapshot->rows[i].subject, shown) == 0))
            row = &snapshot->rows[i];
    if (!row) {
        cr_assert(budget->shared && sum(model, number, true, 0) == 0, "%s is missing", shown);
        return;
    }
    cr_assert_eq(money_value(row->status.used), sum(model, number, false, 0), "used by %s", shown);
    cr_assert_eq(money_value(row->status.lifetime), sum(model, number, true, 0), "lifetime of %s", shown);
    cr_assert_eq(money_value(row->status.reserved), reserved(model, number), "reserved of %s", shown);
    if (!budget->rolling)
        cr_assert_eq(money_value(row->previous_used), sum(model, number, false, 1), "before, of %s", shown);
    if (budget->shared)
        return;
    tbus_budget_status_t status;
    cr_assert_eq(tbus_budget_check(model->budgets, budget->scope, budget->subject, model->now, &status), 0);
    cr_assert_eq(memcmp(&status.used, &row->status.used, sizeof status.used), 0);
    cr_assert_eq(memcmp(&status.reserved, &row->status.reserved, sizeof status.reserved), 0);
    cr_assert_eq(status.period_start_ns, row->status.period_start_ns);
    cr_assert_eq(status.over, sum(model, number, false, 0) > budget->limit);
}

static struct model_budget *budget_of_finding(struct model *model, const tbus_budget_finding_t *finding)
{
    for (int i = 0; i < model->count; i++) {
        struct model_budget *budget = &model->budget[i];
        if (budget->scope == finding->scope &&
            tbus_money_compare(finding->limit, tbus_money_units(budget->limit)) == 0 &&
            (budget->scope == TBUS_BUDGET_KEY ||
             strcmp(finding->subject, budget->shared ? "other" : budget->subject) == 0))
            return budget;
    }
    cr_assert_fail("a finding of nobody: %s", finding->subject);
    return NULL;
}

static void compare_findings(struct model *model)
{
    tbus_budget_finding_t finding;
    while (tbus_budgets_take_finding(model->budgets, &finding) == 1) {
        struct model_budget *budget = budget_of_finding(model, &finding);
        const bool first = finding.threshold < budget->thresholds[0] + 1e-9;
        budget->found[finding.what == TBUS_BUDGET_FOUND_RESET      ? 3
                      : finding.what == TBUS_BUDGET_FOUND_EXCEEDED ? 2
                      : first                                      ? 0
                                                                   : 1]++;
    }
    for (int i = 0; i < model->count; i++)
        if (!model->budget[i].rolling) /* theirs are told by another rule, which has a test of its own */
            for (int what = 0; what < 4; what++)
                cr_assert_eq(model->budget[i].found[what], model->budget[i].expected[what], "finding %d of %s", what,
                             model->budget[i].subject);
}

static void compare(struct model *model)
{
    tbus_budgets_snapshot_t *snapshot = snapshot_of(model->budgets, model->now);
    cr_assert_eq(snapshot->time_ns, model->now);
    cr_assert_eq(snapshot->reservations, (uint64_t)model->open);
    for (int i = 0; i < model->count; i++)
        compare_budget(model, snapshot, i);
    tbus_budgets_snapshot_free(snapshot);
    compare_findings(model);
}

static uint64_t below(struct model *model, uint64_t bound)
{
    return oracle_random(&model->random) % bound;
}

/* Mostly a little later than before, sometimes much later or earlier. */
static int64_t random_time(struct model *model)
{
    switch (below(model, 12)) {
    case 0:
        return model->now - (int64_t)below(model, 40 * (uint64_t)HOUR);
    case 1:
        return model->now + (int64_t)below(model, 12 * (uint64_t)HOUR);
    case 2:
        return below(model, 20) == 0 ? model->now + (int64_t)below(model, 90 * (uint64_t)DAY) : model->now;
    default:
        return model->now + (int64_t)below(model, 20 * 60 * (uint64_t)SECOND) - 5 * 60 * SECOND;
    }
}

static void step(struct model *model)
{
    char id[16];
    const uint64_t number = below(model, IDS);
    struct model_request *known = &model->requests[number];
    snprintf(id, sizeof id, "r%u", (unsigned)number);
    tbus_budget_request_t request = {.request_id = id,
                                     .api_key = keys[below(model, 4)],
                                     .user_id = users[below(model, 5)],
                                     .project_id = projects[below(model, 5)],
                                     .amount = {.low = below(model, 200)},
                                     .time_ns = random_time(model)};
    switch (below(model, 8)) {
    case 0:
    case 1:
    case 2:
        cr_assert_eq(tbus_budget_reserve(model->budgets, &request, NULL), model_reserve(model, known, &request));
        break;
    case 3:
    case 4:
        if (below(model, 6) == 0) {
            request.request_id = NULL;
            known = NULL;
        }
        cr_assert_eq(tbus_budget_settle(model->budgets, &request), model_settle(model, known, &request));
        break;
    case 5:
        cr_assert_eq(tbus_budget_release(model->budgets, id, request.time_ns),
                     model_release(model, known, request.time_ns));
        break;
    case 6:
        if (known->state == SETTLED) {
            cr_assert_eq(tbus_budget_retract(model->budgets, &request), 0);
            model_retract(model, known, &request);
        }
        break;
    default:
        tbus_budgets_advance(model->budgets, request.time_ns);
        go_to(model, request.time_ns);
        break;
    }
}

static void set_up(struct model *model, const struct model_budget *given, bool each)
{
    tbus_budget_t budget = {.scope = given->scope,
                            .subject = each ? NULL : given->subject,
                            .each = each,
                            .limit = tbus_money_units(given->limit),
                            .kind = given->hard ? TBUS_BUDGET_HARD : TBUS_BUDGET_SOFT,
                            .period = given->rule.period,
                            .duration_ns = given->rule.length_ns,
                            .anchor_ns = given->rule.anchor_ns,
                            .rolling = given->rolling,
                            .utc_offset_minutes = (int32_t)(given->rule.offset_s / 60),
                            .thresholds_ppm = {UINT32_MAX}};
    for (int i = 0; i < 2 && given->thresholds[i] > 0; i++)
        budget.thresholds_ppm[i] = (uint32_t)(given->thresholds[i] * 1e6 + 0.5);
    set(model->budgets, budget);
}

static void open_model(struct model *model)
{
    const struct model_budget own[] = {
        {.scope = TBUS_BUDGET_ALL,
         .subject = "",
         .limit = 3000,
         .hard = true,
         .rule = {.period = TBUS_BUDGET_DAILY, .offset_s = 19800},
         .thresholds = {0.5}},
        {.scope = TBUS_BUDGET_KEY,
         .subject = "k0",
         .limit = 700,
         .rule = {.period = TBUS_BUDGET_DURATION, .length_ns = 7 * HOUR},
         .thresholds = {0.5, 0.9}},
        {.scope = TBUS_BUDGET_KEY,
         .subject = "k1",
         .limit = 9000,
         .hard = true,
         .rule = {.period = TBUS_BUDGET_MONTHLY},
         .thresholds = {0.1}},
        {.scope = TBUS_BUDGET_USER,
         .subject = "u0",
         .limit = 20000,
         .hard = true,
         .rule = {.period = TBUS_BUDGET_NEVER},
         .thresholds = {0.25, 1.0}},
        {.scope = TBUS_BUDGET_USER,
         .subject = "u1",
         .limit = 1000,
         .hard = true,
         .rolling = true,
         .rule = {.period = TBUS_BUDGET_DURATION, .length_ns = 10 * HOUR}},
        {.scope = TBUS_BUDGET_USER,
         .subject = "u2",
         .limit = 4000,
         .rule = {.period = TBUS_BUDGET_WEEKLY, .offset_s = -3600},
         .thresholds = {0.8}},
    };
    model->budgets = opened(&(tbus_budgets_options_t){.defaulted_max = DEFAULTED_MAX,
                                                      .reservations_max = OPEN_MAX,
                                                      .settled_max = SETTLED_MAX,
                                                      .reservation_ns = RESERVATION,
                                                      .ahead_max_ns = -1});
    model->now = MONDAY;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        add_budget(model, own[i]);
        set_up(model, &own[i], false);
    }
    struct model_budget shared = project_budget("");
    set_up(model, &shared, true);
    shared.shared = true;
    model->shared = add_budget(model, shared);
    tbus_budgets_advance(model->budgets, MONDAY);
    go_to(model, MONDAY);
}

static void run_model(uint64_t seed)
{
    struct model *model = calloc(1, sizeof *model);
    cr_assert_not_null(model);
    model->random = seed;
    open_model(model);
    for (int i = 0; i < STEPS; i++) {
        step(model);
        compare_findings(model);
        if (i % 8 == 0)
            compare(model);
    }
    compare(model);
    tbus_budgets_close(model->budgets);
    free(model);
}

/* semantics: budget.status budget.reserve */
Test(budget_model, the_tracker_says_what_adding_up_everything_says)
{
    enum { ROUNDS = 6 };
    const uint64_t seed = oracle_seed("budget_model");
    for (uint64_t round = 0; round < ROUNDS; round++)
        run_model(seed + round);
}
