#include <tallybus/subscribers.h>

#include "tests/check.h"

static int each(const tbus_ledger_sum_t *sum, void *user)
{
    (void)sum;
    (void)user;
    return 0;
}

Test(ledger_absent, without_sqlite_every_call_says_so)
{
    tbus_ledger_t *ledger = NULL;
    tbus_ledger_stats_t stats;
    tbus_t *bus;
    char why[8] = "x";
    cr_assert_eq(tbus_ledger_open(&(tbus_ledger_options_t){.path = "x"}, why, sizeof why, &ledger), UV_ENOTSUP);
    cr_assert_str_eq(why, "");
    cr_assert_null(ledger);
    cr_assert_eq(tbus_ledger_append(ledger, &(tbus_usage_record_t){.event_id = 1}), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_prune(ledger, 0, NULL), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_stats(ledger, &stats), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_totals(ledger, each, NULL), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_hours(ledger, 0, each, NULL), UV_ENOTSUP);
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, 0, each, NULL), UV_ENOTSUP);
    cr_assert_null(tbus_ledger_kind_name(TBUS_LEDGER_ALL));
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_eq(tbus_ledger_attach(ledger, bus), UV_ENOTSUP);
    cr_assert_eq(tbus_free(bus), 0);
}
