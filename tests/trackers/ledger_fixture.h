/* Ledgers in a scratch directory, and a connection beside them to look at the file with. */
#ifndef TESTS_LEDGER_FIXTURE_H
#define TESTS_LEDGER_FIXTURE_H

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/cost.h>
#include <tallybus/ledger.h>

#include "tests/check.h"
#include "tests/scratch.h"

#define HOUR_NS INT64_C(3600000000000)
#define BEGIN_NS (INT64_C(490905) * HOUR_NS) /* 2026-01-01 09:00 */

static char ledger_file[128];

static inline void ledger_prepare(void)
{
    scratch_open();
    snprintf(ledger_file, sizeof ledger_file, "%s/usage.db", scratch_directory);
}

static inline tbus_ledger_t *ledger_opened(tbus_ledger_options_t options)
{
    tbus_ledger_t *ledger = NULL;
    char why[200] = "";
    options.path = options.path ? options.path : ledger_file;
    int error = tbus_ledger_open(&options, why, sizeof why, &ledger);
    cr_assert_eq(error, 0, "%s: %s", uv_err_name(error), why);
    return ledger;
}

static inline tbus_ledger_stats_t ledger_stats(tbus_ledger_t *ledger)
{
    tbus_ledger_stats_t stats;
    cr_assert_eq(tbus_ledger_stats(ledger, &stats), 0);
    return stats;
}

/* A record like those of a gateway; the number is its event's. */
static inline tbus_usage_record_t ledger_record(uint64_t number)
{
    tbus_usage_record_t record = {.event_id = number,
                                  .time_ns = BEGIN_NS + (int64_t)(number % 1000000000) * 1000,
                                  .request_id = "req-1",
                                  .user_id = "ann",
                                  .project_id = "red",
                                  .model = "gpt-4o",
                                  .endpoint = "/v1/chat",
                                  .api_key = "sk-p..88fd2d4d",
                                  .input_tokens = 600,
                                  .cache_read_tokens = 400,
                                  .output_tokens = 200,
                                  .reasoning_tokens = 50,
                                  .cost = tbus_money_units(INT64_C(7000000000)),
                                  .cache_savings = tbus_money_units(INT64_C(1000000000))};
    memset(record.key_digest, 0x5c, sizeof record.key_digest);
    return record;
}

static inline void ledger_enter(tbus_ledger_t *ledger, uint64_t first, uint64_t count)
{
    for (uint64_t number = first; number < first + count; number++) {
        tbus_usage_record_t record = ledger_record(number);
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    }
}

/* --- Beside it --- */

static inline sqlite3 *beside_opened(void)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open_v2(ledger_file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_busy_timeout(db, 60000), SQLITE_OK);
    return db;
}

static inline void beside_run(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    int code = sqlite3_exec(db, sql, NULL, NULL, &message);
    cr_assert_eq(code, SQLITE_OK, "%s: %s", sql, message ? message : "");
}

/* The rows of a query as text: columns with '|' between, a row a line. Valid until the next call. */
static inline const char *beside_rows(sqlite3 *db, const char *sql)
{
    static char text[8192];
    size_t length = 0;
    sqlite3_stmt *statement;
    text[0] = '\0';
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    cr_assert_eq(code, SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *column = (const char *)sqlite3_column_text(statement, i);
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? "|" : "", column ? column : "");
            cr_assert_lt(length, sizeof text - 1);
        }
        text[length++] = '\n';
        text[length] = '\0';
    }
    cr_assert_eq(code, SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return text;
}

static inline void expect_rows(const char *sql, const char *expected)
{
    sqlite3 *db = beside_opened();
    const char *rows = beside_rows(db, sql);
    cr_assert_str_eq(rows, expected, "%s gives\n%s", sql, rows);
    sqlite3_close(db);
}

static inline void expect_intact(void)
{
    expect_rows("PRAGMA integrity_check", "ok\n");
}

#endif
