/* Budgets under many threads: what reserve admits holds whatever they do at the same time. */
#include "tests/trackers/budget_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "tests/oracle.h"

enum { THREADS = 8, KEYS = 5, USERS = 3, PROJECTS = 2, MILLISECONDS = 1500 };

#define LIMIT (100 * SECOND)
#define LEAP (10 * SECOND)

static const char *const keys[KEYS] = {"sk-a-0123456789", "sk-b-0123456789", "sk-c-0123456789", "sk-d-0123456789",
                                       "sk-e-0123456789"};
static const char *const users[USERS] = {"ann", "bob", "cy"};
static const char *const projects[PROJECTS] = {"red", "blue"};

struct shared {
    tbus_budgets_t *budgets;
    atomic_bool stop;
    atomic_llong now_ns;
    uint64_t seed;
};

/* What one thread did, as it saw it: the sums are compared with the tracker's when all have ended. */
struct worker {
    struct shared *shared;
    uv_thread_t thread;
    atomic_llong since_ns; /* its request began no earlier; INT64_MAX = it has none */
    uint32_t number;
    uint64_t random, requests;
    int128_t by_key[KEYS], by_user[USERS], by_project[PROJECTS], all;
    uint64_t reserves, admitted, denied, settles, releases, forgotten, again;
    bool failed;
};

static uint64_t below(struct worker *worker, uint64_t bound)
{
    return oracle_random(&worker->random) % bound;
}

static void require(struct worker *worker, bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "thread %u: %s\n", worker->number, what);
    worker->failed = true;
}

static bool within_limit(const tbus_budget_status_t *status)
{
    return money_value(status->used) + money_value(status->reserved) <= money_value(status->limit);
}

static void check_one(struct worker *worker)
{
    tbus_budget_status_t status;
    tbus_budgets_t *budgets = worker->shared->budgets;
    const int64_t now_ns = atomic_load(&worker->shared->now_ns);
    int error;
    switch (below(worker, 4)) {
    case 0:
        error = tbus_budget_check(budgets, TBUS_BUDGET_ALL, NULL, now_ns, &status);
        break;
    case 1:
        error = tbus_budget_check(budgets, TBUS_BUDGET_USER, users[below(worker, USERS)], now_ns, &status);
        break;
    case 2:
        error = tbus_budget_check(budgets, TBUS_BUDGET_PROJECT, projects[below(worker, PROJECTS)], now_ns, &status);
        break;
    default:
        error = tbus_budget_check(budgets, TBUS_BUDGET_KEY, keys[below(worker, KEYS)], now_ns, &status);
        break;
    }
    require(worker, error == 0, "a check failed");
    require(worker, within_limit(&status), "used + reserved is above the limit");
}

static void settle_one(struct worker *worker, tbus_budget_request_t *request, const size_t who[3])
{
    const uint64_t estimate = request->amount.low;
    request->amount.low = below(worker, estimate + 1);
    require(worker, tbus_budget_settle(worker->shared->budgets, request) == 0, "a settle failed");
    worker->settles++;
    worker->all += request->amount.low;
    worker->by_key[who[0]] += request->amount.low;
    worker->by_user[who[1]] += request->amount.low;
    worker->by_project[who[2]] += request->amount.low;
    if (below(worker, 8) == 0) {
        require(worker, tbus_budget_settle(worker->shared->budgets, request) == UV_EALREADY, "settled twice");
        worker->again++;
    }
}

static void run_request(struct worker *worker)
{
    struct shared *shared = worker->shared;
    char id[48];
    const size_t who[3] = {below(worker, KEYS), below(worker, USERS), below(worker, PROJECTS)};
    atomic_store(&worker->since_ns, atomic_load(&shared->now_ns));
    snprintf(id, sizeof id, "request-%u-%llu", worker->number, (unsigned long long)worker->requests++);
    tbus_budget_request_t request = {.request_id = id,
                                     .api_key = keys[who[0]],
                                     .user_id = users[who[1]],
                                     .project_id = projects[who[2]],
                                     .amount = {.low = below(worker, 1000)},
                                     .time_ns = atomic_fetch_add(&shared->now_ns, 1)};
    const int error = tbus_budget_reserve(shared->budgets, &request, NULL);
    worker->reserves++;
    if (error == UV_EACCES) {
        worker->denied++;
        return;
    }
    require(worker, error == 0, "a reservation failed");
    worker->admitted++;
    check_one(worker);
    switch (below(worker, 10)) {
    case 0: /* crashes: nobody ends it but the time limit */
        worker->forgotten++;
        break;
    case 1:
        require(worker, tbus_budget_release(shared->budgets, id, request.time_ns) == 0, "a release failed");
        worker->releases++;
        break;
    default:
        settle_one(worker, &request, who);
        break;
    }
}

static void run_worker(void *user)
{
    struct worker *worker = user;
    while (!atomic_load_explicit(&worker->shared->stop, memory_order_relaxed) && !worker->failed) {
        run_request(worker);
        atomic_store(&worker->since_ns, INT64_MAX);
        check_one(worker);
    }
}

/* Time goes on, in leaps: only what was forgotten may be ended by the time limit, not what a thread is busy with,
 * however long it was kept from running. */
static void leap(struct shared *shared, struct worker workers[THREADS])
{
    int64_t oldest = INT64_MAX;
    for (int i = 0; i < THREADS; i++) {
        const int64_t since = atomic_load(&workers[i].since_ns);
        oldest = since < oldest ? since : oldest;
    }
    const int64_t now_ns = atomic_load(&shared->now_ns);
    if (oldest == INT64_MAX || now_ns + 2 * LEAP - oldest < LIMIT)
        atomic_fetch_add(&shared->now_ns, LEAP);
}

/* Changes what it can while the others run: other budgets come and go, snapshots and findings are taken. */
static void disturb(struct shared *shared, struct worker workers[THREADS], uint64_t until_ns)
{
    uint64_t round = 0;
    while (uv_hrtime() < until_ns) {
        tbus_budget_finding_t finding;
        char user[16];
        snprintf(user, sizeof user, "guest-%u", (unsigned)(round++ % 300));
        const tbus_budget_name_t guest = {.scope = TBUS_BUDGET_USER, .subject = user};
        (void)tbus_budget_remove(shared->budgets, &guest);
        set(shared->budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = user, .limit = usd("1")});
        while (tbus_budgets_take_finding(shared->budgets, &finding) == 1)
            ;
        tbus_budgets_snapshot_t *snapshot = snapshot_of(shared->budgets, atomic_load(&shared->now_ns));
        for (size_t i = 0; i < snapshot->rows_count; i++)
            cr_assert(within_limit(&snapshot->rows[i].status));
        tbus_budgets_snapshot_free(snapshot);
        leap(shared, workers);
    }
}

static int128_t used_by(tbus_budgets_t *budgets, tbus_budget_scope_t scope, const char *subject, int64_t now_ns)
{
    const tbus_budget_status_t status = checked(budgets, scope, subject, now_ns);
    cr_assert(is_usd(status.reserved, "0"), "a reservation has leaked");
    cr_assert_eq(tbus_money_compare(status.used, status.lifetime), 0);
    return money_value(status.used);
}

static void compare_sums(struct shared *shared, const struct worker *total)
{
    const int64_t now_ns = atomic_load(&shared->now_ns) + 3600 * SECOND;
    tbus_budgets_advance(shared->budgets, now_ns);
    for (int i = 0; i < KEYS; i++)
        cr_assert(used_by(shared->budgets, TBUS_BUDGET_KEY, keys[i], now_ns) == total->by_key[i]);
    for (int i = 0; i < USERS; i++)
        cr_assert(used_by(shared->budgets, TBUS_BUDGET_USER, users[i], now_ns) == total->by_user[i]);
    for (int i = 0; i < PROJECTS; i++)
        cr_assert(used_by(shared->budgets, TBUS_BUDGET_PROJECT, projects[i], now_ns) == total->by_project[i]);
    cr_assert(used_by(shared->budgets, TBUS_BUDGET_ALL, NULL, now_ns) == total->all);

    tbus_budgets_snapshot_t *snapshot = snapshot_of(shared->budgets, now_ns);
    cr_assert(money_value(snapshot->settled) == total->all);
    cr_assert_eq(snapshot->reservations, 0);
    cr_assert_eq(snapshot->admitted, total->admitted);
    cr_assert_eq(snapshot->denied, total->denied);
    cr_assert_eq(snapshot->settles, total->settles);
    cr_assert_eq(snapshot->settled_again, total->again);
    cr_assert_eq(snapshot->released, total->releases);
    cr_assert_eq(snapshot->expired, total->forgotten);
    cr_assert_eq(snapshot->settled_without_reservation, 0);
    tbus_budgets_snapshot_free(snapshot);
}

static void add_up(struct worker *total, const struct worker *worker)
{
    for (int i = 0; i < KEYS; i++)
        total->by_key[i] += worker->by_key[i];
    for (int i = 0; i < USERS; i++)
        total->by_user[i] += worker->by_user[i];
    for (int i = 0; i < PROJECTS; i++)
        total->by_project[i] += worker->by_project[i];
    total->all += worker->all;
    total->admitted += worker->admitted;
    total->denied += worker->denied;
    total->settles += worker->settles;
    total->releases += worker->releases;
    total->forgotten += worker->forgotten;
    total->again += worker->again;
}

static void set_all(tbus_budgets_t *budgets, int64_t limit)
{
    tbus_budget_t budget = {.limit = tbus_money_units(limit), .kind = TBUS_BUDGET_HARD};
    set(budgets, budget);
    budget.limit = tbus_money_units(limit / 3);
    budget.scope = TBUS_BUDGET_USER;
    for (int i = 0; i < USERS; i++) {
        budget.subject = users[i];
        set(budgets, budget);
    }
    budget.scope = TBUS_BUDGET_PROJECT;
    for (int i = 0; i < PROJECTS; i++) {
        budget.subject = projects[i];
        set(budgets, budget);
    }
    budget.scope = TBUS_BUDGET_KEY;
    budget.subject = NULL;
    budget.each = true; /* keys by default */
    set(budgets, budget);
}

static void run_threads(int64_t limit)
{
    struct shared shared = {.seed = oracle_seed("budget_threads")};
    struct worker workers[THREADS] = {{0}}, total = {0};
    atomic_init(&shared.now_ns, MONDAY);
    /* a thread may be kept from running while the others settle very many */
    shared.budgets = opened(&(tbus_budgets_options_t){.reservation_ns = LIMIT, .settled_max = 1 << 19});
    set_all(shared.budgets, limit);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.shared = &shared, .number = i, .random = shared.seed + i};
        atomic_init(&workers[i].since_ns, INT64_MAX);
        cr_assert_eq(uv_thread_create(&workers[i].thread, run_worker, &workers[i]), 0);
    }
    disturb(&shared, workers, uv_hrtime() + MILLISECONDS * UINT64_C(1000000));
    atomic_store(&shared.stop, true);
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(uv_thread_join(&workers[i].thread), 0);
        cr_assert_not(workers[i].failed);
        add_up(&total, &workers[i]);
    }
    fprintf(stderr, "admitted %llu, denied %llu, settled %llu, released %llu, forgotten %llu\n",
            (unsigned long long)total.admitted, (unsigned long long)total.denied, (unsigned long long)total.settles,
            (unsigned long long)total.releases, (unsigned long long)total.forgotten);
    cr_assert_gt(total.settles, 100);
    compare_sums(&shared, &total);
    tbus_budgets_close(shared.budgets);
}

Test(budget_threads, a_limit_that_is_soon_reached_is_never_passed)
{
    run_threads(100000);
}

Test(budget_threads, a_limit_that_is_far_away_is_neither_passed_nor_leaked)
{
    run_threads(INT64_C(1) << 60);
}

/* All of one budget is wanted by all: exactly as many are admitted as there is room for. */
struct rush {
    tbus_budgets_t *budgets;
    atomic_int admitted, denied;
    atomic_int numbers;
};

static void run_rush(void *user)
{
    struct rush *rush = user;
    for (int i = 0; i < 500; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", atomic_fetch_add(&rush->numbers, 1));
        const tbus_budget_request_t request = {.request_id = id, .amount = tbus_money_units(7), .time_ns = MONDAY};
        const int error = tbus_budget_reserve(rush->budgets, &request, NULL);
        atomic_fetch_add(error == 0 ? &rush->admitted : &rush->denied, 1);
    }
}

Test(budget_threads, together_they_get_exactly_the_limit)
{
    struct rush rush = {.budgets = opened(NULL)};
    uv_thread_t threads[THREADS];
    set(rush.budgets, (tbus_budget_t){.limit = tbus_money_units(7 * 1234 + 6), .kind = TBUS_BUDGET_HARD});
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(uv_thread_create(&threads[i], run_rush, &rush), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(uv_thread_join(&threads[i]), 0);
    cr_assert_eq(atomic_load(&rush.admitted), 1234);
    cr_assert_eq(atomic_load(&rush.denied), THREADS * 500 - 1234);
    tbus_budgets_close(rush.budgets);
}
