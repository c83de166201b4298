#include <string.h>

#include <tallybus/prometheus.h>

#include "tests/oom.h"
#include "tests/trackers/budget_fixture.h"

static char *page_of(const tbus_budgets_snapshot_t *snapshot)
{
    char *page;
    cr_assert_eq(tbus_prometheus_budgets(snapshot, &page), 0);
    return page;
}

static void has(const char *page, const char *sample)
{
    char line[256];
    snprintf(line, sizeof line, "\n%s\n", sample);
    cr_assert_not_null(strstr(page, line), "%s is not in\n%s", sample, page);
}

Test(prometheus_budget, the_page_has_exact_amounts_and_no_whole_key)
{
    static const char key[] = "sk-proj-abcdefghijklmnop";
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_ALL, .limit = usd("100")});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .subject = key, .limit = usd("1")});
    set(budgets,
        (tbus_budget_t){
            .scope = TBUS_BUDGET_USER, .subject = "evil\"} 1\nx{a=\"", .limit = usd("0"), .kind = TBUS_BUDGET_HARD});
    tbus_budget_request_t request = {
        .request_id = "a", .api_key = key, .amount = usd("0.000000000001"), .time_ns = MONDAY};
    cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    request = (tbus_budget_request_t){.request_id = "b", .amount = usd("2"), .time_ns = MONDAY};
    cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
    cr_assert_eq(reserve(budgets, "c", "evil\"} 1\nx{a=\"", "1", MONDAY), UV_EACCES);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    char *page = page_of(snapshot);
    has(page, "cost_budget_used_usd{scope=\"all\",subject=\"\"} 0.000000000001");
    has(page, "cost_budget_limit_usd{scope=\"all\",subject=\"\"} 100");
    has(page, "cost_budget_remaining_usd{scope=\"all\",subject=\"\"} 97.999999999999");
    has(page, "cost_budget_reserved_usd{scope=\"all\",subject=\"\"} 2");
    has(page, "cost_budget_limit_usd{scope=\"user\",subject=\"evil\\\"} 1\\nx{a=\\\"\"} 0");
    has(page, "cost_budget_reservations 1");
    has(page, "cost_budget_denied_requests_total 1");
    has(page, "cost_budget_expired_reservations_total 0");
    cr_assert_not_null(strstr(page, "cost_budget_used_usd{scope=\"key\",subject=\"sk-p.."));
    cr_assert_null(strstr(page, "abcdefghijklmnop"));
    tbus_mem_free(page);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(prometheus_budget, no_series_comes_twice)
{
    const tbus_budget_row_t rows[] = {{.scope = TBUS_BUDGET_KEY, .subject = "sk-a..01234567"},
                                      {.scope = TBUS_BUDGET_KEY, .subject = "sk-a..01234567"},
                                      {.scope = TBUS_BUDGET_KEY, .subject = "sk-a..01234567"},
                                      {.scope = TBUS_BUDGET_USER, .subject = "sk-a..01234567"}};
    char *page = page_of(&(tbus_budgets_snapshot_t){.rows_count = 4, .rows = rows});
    has(page, "cost_budget_used_usd{scope=\"key\",subject=\"sk-a..01234567\"} 0");
    has(page, "cost_budget_used_usd{scope=\"key\",subject=\"sk-a..01234567~2\"} 0");
    has(page, "cost_budget_used_usd{scope=\"key\",subject=\"sk-a..01234567~3\"} 0");
    has(page, "cost_budget_used_usd{scope=\"user\",subject=\"sk-a..01234567\"} 0");
    tbus_mem_free(page);
}

/* How many samples a page has of a series. */
static int samples_of(const char *page, const char *series)
{
    char line[256];
    int count = 0;
    snprintf(line, sizeof line, "\n%s ", series);
    for (const char *at = page; (at = strstr(at, line)); at++)
        count++;
    return count;
}

Test(prometheus_budget, subjects_that_are_shown_alike_are_told_apart)
{
    /* Of the first three the page shows the same; others lie between them by their bytes. */
    static const char *const users[] = {"a\xFE",           "a\xFF", "a\xEF\xBF\xBD", "a\xFEz",
                                        "a\xEF\xBF\xBD~2", "b~2",   "other~2"};
    tbus_budgets_t *budgets = opened(NULL);
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = users[i], .limit = usd("1")});
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    char *page = page_of(snapshot);
    static const char *const shown[] = {
        "a\xEF\xBF\xBD", "a\xEF\xBF\xBD~2", "a\xEF\xBF\xBD~3", "a\xEF\xBF\xBD~4", "a\xEF\xBF\xBDz", "b~2", "other~2"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        char series[128];
        snprintf(series, sizeof series, "cost_budget_limit_usd{scope=\"user\",subject=\"%s\"}", shown[i]);
        cr_assert_eq(samples_of(page, series), 1, "%s in\n%s", series, page);
    }
    tbus_mem_free(page);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(prometheus_budget, the_page_may_lack_memory_anywhere)
{
    const tbus_budget_row_t rows[] = {{.scope = TBUS_BUDGET_USER, .subject = "a\xFF"},
                                      {.scope = TBUS_BUDGET_USER, .subject = "a\xFE"}};
    const tbus_budgets_snapshot_t snapshot = {.rows_count = 2, .rows = rows};
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        char *page = NULL;
        oom_install(&oom);
        const int error = tbus_prometheus_budgets(&snapshot, &page);
        tbus_mem_free(page);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        cr_assert_eq(error, oom.failed ? UV_ENOMEM : 0);
        if (!oom.failed)
            break;
        cr_assert_null(page);
    }
}

Test(prometheus_budget, null_and_missing_memory_are_refused)
{
    const tbus_budgets_snapshot_t empty = {0};
    char *page = NULL;
    cr_assert_eq(tbus_prometheus_budgets(NULL, &page), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_budgets(&empty, NULL), UV_EINVAL);
    struct oom oom = {.fail_at = 0};
    oom_install(&oom);
    cr_assert_eq(tbus_prometheus_budgets(&empty, &page), UV_ENOMEM);
    oom_remove();
    cr_assert_null(page);
    cr_assert_eq(oom.live, 0);
}
