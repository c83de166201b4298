/* Budgets in the path of a request: an estimate is set aside before the model runs, or the request is refused; afterwards
 * the real cost takes its place. Many threads can not overspend together, for it is one step. */
#include <stdio.h>
#include <tallybus.h>

/* What a gateway does with one request. Prices are the host's here; tbus_cost_t has a price table and the events. */
static int serve(tbus_budgets_t *budgets, const char *id, const char *key, const char *estimate, const char *cost)
{
    char limit[TBUS_MONEY_TEXT_MAX], used[TBUS_MONEY_TEXT_MAX];
    tbus_budget_refusal_t refusal;
    tbus_budget_request_t request = {.request_id = id, .api_key = key};
    if (tbus_money_parse(estimate, &request.amount) != 0)
        return UV_EINVAL;

    int error = tbus_budget_reserve(budgets, &request, &refusal);
    if (error == UV_EACCES) {
        printf("%s: 429, %s budget of %s USD is used up to %s\n", id, tbus_budget_scope_name(refusal.scope),
               tbus_money_format(refusal.limit, 2, limit), tbus_money_format(refusal.used, 2, used));
        return 0;
    }
    if (error)
        return error; /* nothing was set aside */

    if (!cost) { /* the model failed: what was set aside is free again */
        printf("%s: 502\n", id);
        return tbus_budget_release(budgets, id, 0);
    }
    if (tbus_money_parse(cost, &request.amount) != 0)
        return UV_EINVAL;
    printf("%s: 200, %s USD\n", id, cost);
    return tbus_budget_settle(budgets, &request); /* by its id it finds what was set aside */
}

int main(void)
{
    static const char key[] = "sk-live-8f31c2";
    char used[TBUS_MONEY_TEXT_MAX], left[TBUS_MONEY_TEXT_MAX];
    tbus_budgets_t *budgets;
    tbus_budget_status_t status;
    int error = tbus_budgets_open(NULL, &budgets);
    if (error)
        return 1;
    error = tbus_budget_set(budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_KEY,
                                                      .subject = key,
                                                      .limit = tbus_money_units(TBUS_MONEY_PER_USD), /* 1 USD */
                                                      .kind = TBUS_BUDGET_HARD,
                                                      .period = TBUS_BUDGET_DAILY,
                                                      .time_zone = "UTC"});
    error = error ? error : serve(budgets, "req-1", key, "0.50", "0.41");
    error = error ? error : serve(budgets, "req-2", key, "0.50", NULL);
    error = error ? error : serve(budgets, "req-3", key, "0.50", "0.45");
    error = error ? error : serve(budgets, "req-4", key, "0.50", "0.45");
    if (error)
        fprintf(stderr, "budgets: %s\n", uv_strerror(error));
    if (tbus_budget_check(budgets, TBUS_BUDGET_KEY, key, 0, &status) == 0)
        printf("used %s USD, %s left\n", tbus_money_format(status.used, 2, used),
               tbus_money_format(status.remaining, 2, left));
    tbus_budgets_close(budgets);
    return error != 0;
}
