/* The words at the end of options stay zero, so that a later version can give them a meaning. */
#include <tallybus.h>

#include "tests/check.h"
#include "tests/scratch.h"

#define LAST(options) (options).reserved[sizeof(options).reserved / sizeof *(options).reserved - 1]

/* An opener takes `options` as they are, and not with the last of their words set. */
#define CHECK(type, open, close, ...)                                                                                  \
    do {                                                                                                               \
        type options = {__VA_ARGS__};                                                                                  \
        cr_assert_eq(open, 0);                                                                                         \
        close;                                                                                                         \
        LAST(options) = 1;                                                                                             \
        cr_assert_eq(open, UV_EINVAL);                                                                                 \
    } while (0)

Test(options, of_trackers_keep_their_last_words_zero)
{
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    tbus_budgets_t *budgets;
    tbus_requests_t *requests;
    tbus_models_t *models;
    tbus_inference_t *inference;
    tbus_kvcache_t *kvcache;
    CHECK(tbus_streaming_options_t, tbus_streaming_open(&options, &streaming), tbus_streaming_close(streaming), 0);
    CHECK(tbus_errors_options_t, tbus_errors_open(&options, &errors), tbus_errors_close(errors), 0);
    CHECK(tbus_cost_options_t, tbus_cost_open(&options, &cost), tbus_cost_close(cost), 0);
    CHECK(tbus_budgets_options_t, tbus_budgets_open(&options, &budgets), tbus_budgets_close(budgets), 0);
    CHECK(tbus_requests_options_t, tbus_requests_open(&options, &requests), tbus_requests_close(requests), 0);
    CHECK(tbus_models_options_t, tbus_models_open(&options, &models), tbus_models_close(models), 0);
    CHECK(tbus_inference_options_t, tbus_inference_open(&options, &inference), tbus_inference_close(inference), 0);
    CHECK(tbus_kvcache_options_t, tbus_kvcache_open(&options, &kvcache), tbus_kvcache_close(kvcache), 0);
}

Test(options, of_budgets_keep_their_last_words_zero)
{
    const tbus_budget_name_t name = {.scope = TBUS_BUDGET_USER, .subject = "ann"};
    tbus_budgets_t *budgets;
    cr_assert_eq(tbus_budgets_open(NULL, &budgets), 0);
    CHECK(tbus_budget_t, tbus_budget_set(budgets, &options), (void)0, .scope = name.scope, .subject = name.subject);
    CHECK(tbus_budget_past_t, tbus_budget_restore(budgets, &options), (void)0, .name = name);
    tbus_budgets_close(budgets);
}

static void write_nothing(const char *line, size_t length, void *user)
{
    (void)line, (void)length, (void)user;
}

Test(options, of_a_bus_and_what_hears_it_keep_their_last_words_zero)
{
    tbus_t *bus;
    tbus_journal_t *journal;
    tbus_telemetry_t *telemetry;
    int64_t log;
    char path[128];
    scratch_open();
    snprintf(path, sizeof path, "%s/journal", scratch_directory);
    CHECK(tbus_options_t, tbus_open(&options, &bus), (void)tbus_free(bus), 0);
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    CHECK(tbus_journal_options_t, tbus_journal_open(bus, &options, &journal), (void)tbus_journal_close(journal, NULL),
          .path = path);
    CHECK(tbus_telemetry_options_t, tbus_telemetry_open(bus, &options, &telemetry),
          (void)tbus_telemetry_close(telemetry), 0);
    tbus_log_options_t options = {.write = write_nothing};
    log = tbus_log_attach(bus, &options);
    cr_assert_gt(log, 0);
    LAST(options) = 1;
    cr_assert_eq(tbus_log_attach(bus, &options), UV_EINVAL);
    cr_assert_eq(tbus_free(bus), 0);
}

#if TBUS_WITH_LEDGER
Test(options, of_a_ledger_keep_their_last_words_zero)
{
    tbus_ledger_t *ledger;
    char path[128];
    scratch_open();
    snprintf(path, sizeof path, "%s/ledger", scratch_directory);
    CHECK(tbus_ledger_options_t, tbus_ledger_open(&options, NULL, 0, &ledger), (void)tbus_ledger_close(ledger, NULL),
          .path = path);
}
#endif
