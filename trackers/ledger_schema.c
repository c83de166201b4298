/* The tables of a ledger: docs/ledger.md tells what they mean.
 *
 * Versions: PRAGMA user_version counts the steps that have been taken, and a step is never changed once it has been
 * released. A file that has more of them than we know is not touched. */
#include <assert.h>
#include <stdio.h>

#include "trackers/ledger_db.h"
#include "trackers/ledger_sums.h"

#define APPLICATION_ID 1952607335 /* "tblg" */
#define AS_TEXT_OF(value) #value
#define AS_TEXT(value) AS_TEXT_OF(value)

#define COUNT_COLUMN(name) #name " INTEGER NOT NULL, "
#define MONEY_COLUMNS(name) #name "_micro INTEGER NOT NULL, " #name "_rest INTEGER NOT NULL, "
#define SUM_COLUMNS                                                                                                    \
    LEDGER_COUNTS(COUNT_COLUMN) LEDGER_MONEY(MONEY_COLUMNS) "first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, "

#define USD_OF_SUM(name) ", " #name "_micro / 1e6 + " #name "_rest / 1e12 AS " #name "_usd"
#define USD_OF_ROW(name) ", " #name "_pico / 1e12 AS " #name "_usd"

/* Rows are kept in the order of their identity, which is the order of appending: no second tree has to be searched to
 * know whether a row is there, and new rows go to the end. The index by time is what retention and tbus_ledger_since()
 * go by, and questions about a day. */
#define STEP_1(STRICT, AND_STRICT)                                                                                     \
    "CREATE TABLE starts (start INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, began_ns INTEGER NOT NULL)" STRICT       \
    "; CREATE TABLE usage (start INTEGER NOT NULL, event_id INTEGER NOT NULL, retracted INTEGER NOT NULL,"             \
    " time_ns INTEGER NOT NULL, request_id TEXT NOT NULL, api_key TEXT NOT NULL, key_digest BLOB NOT NULL,"            \
    " user_id TEXT NOT NULL, project_id TEXT NOT NULL, model TEXT NOT NULL, endpoint TEXT NOT NULL,"                   \
    " requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL,"                   \
    " cache_write_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,"         \
    " images INTEGER NOT NULL, characters INTEGER NOT NULL, cost_pico INTEGER NOT NULL,"                               \
    " cache_savings_pico INTEGER NOT NULL, batch_savings_pico INTEGER NOT NULL, batch INTEGER NOT NULL,"               \
    " estimated INTEGER NOT NULL, unpriced INTEGER NOT NULL,"                                                          \
    " PRIMARY KEY (start, event_id, retracted)) WITHOUT ROWID" AND_STRICT                                              \
    "; CREATE INDEX usage_by_time ON usage (time_ns)"                                                                  \
    "; CREATE TABLE hours (hour INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, key_digest BLOB NOT "        \
    "NULL, " SUM_COLUMNS "PRIMARY KEY (hour, kind, name, key_digest)) WITHOUT ROWID" AND_STRICT                        \
    "; CREATE TABLE totals (kind TEXT NOT NULL, name TEXT NOT NULL, key_digest BLOB NOT NULL, " SUM_COLUMNS            \
    "PRIMARY KEY (kind, name, key_digest)) WITHOUT ROWID" AND_STRICT                                                   \
    "; CREATE TABLE deleted (what TEXT PRIMARY KEY, before_ns INTEGER NOT NULL) WITHOUT ROWID" AND_STRICT              \
    "; CREATE VIEW usage_usd AS SELECT *, datetime(time_ns / 1000000000, 'unixepoch') AS time" LEDGER_MONEY(           \
        USD_OF_ROW) " FROM usage"                                                                                      \
                    "; CREATE VIEW hours_usd AS SELECT *, datetime(hour, 'unixepoch') AS time" LEDGER_MONEY(           \
                        USD_OF_SUM) " FROM hours"                                                                      \
                                    "; CREATE VIEW totals_usd AS SELECT *" LEDGER_MONEY(                               \
                                        USD_OF_SUM) " FROM totals"                                                     \
                                                    "; PRAGMA application_id = " AS_TEXT(                              \
                                                        APPLICATION_ID) "; PRAGMA user_version = 1"

enum { STRICT_SINCE = 3037000 };

static const struct {
    const char *strict, *plain; /* `plain` where SQLite does not know STRICT tables yet */
} steps[] = {
    {STEP_1(" STRICT", ", STRICT"), STEP_1("", "")},
};

enum { VERSION = sizeof steps / sizeof *steps };

/* Reads what the file says it is: `*ret_version` 0 = an empty one. */
static int look(sqlite3 *db, struct ledger_why *why, int64_t *ret_version)
{
    int64_t application = 0, objects = 0;
    int error = ledger_number(db, "PRAGMA application_id", why, &application);
    if (!error)
        error = ledger_number(db, "PRAGMA user_version", why, ret_version);
    if (!error)
        error = ledger_number(db, "SELECT count(*) FROM sqlite_master", why, &objects);
    if (error)
        return error;
    if (application == 0 && *ret_version == 0 && objects == 0)
        return 0;
    if (application != APPLICATION_ID || *ret_version < 1)
        return ledger_say(why, UV_EINVAL, "the file is a database, but no ledger");
    if (*ret_version > VERSION)
        return ledger_say(why, UV_EPROTONOSUPPORT,
                          "the ledger has version %lld, and this library knows versions up to %d: it is too old",
                          (long long)*ret_version, (int)VERSION);
    return 0;
}

/* The same in one transaction: all of it as of one moment, while others may be making the file a ledger. */
static int look_at_once(sqlite3 *db, struct ledger_why *why, int64_t *ret_version)
{
    int error = ledger_run(db, "BEGIN", why);
    if (error)
        return error;
    error = look(db, why, ret_version);
    return error ? error : ledger_run(db, "COMMIT", why); /* where it fails, the connection is of no further use */
}

int ledger_schema_look(sqlite3 *db, struct ledger_why *why)
{
    int64_t version;
    return look_at_once(db, why, &version);
}

static int take_steps(sqlite3 *db, struct ledger_why *why)
{
    bool strict = sqlite3_libversion_number() >= STRICT_SINCE;
    int64_t version = 0;
    int error = look(db, why, &version); /* again: this time nobody else can change it */
    for (; !error && version < VERSION; version++)
        error = ledger_run(db, strict ? steps[version].strict : steps[version].plain, why);
    return error;
}

int ledger_schema_make(sqlite3 *db, struct ledger_why *why)
{
    int64_t version = 0;
    int error = look_at_once(db, why, &version);
    if (error || version == VERSION)
        return error;
    error = ledger_run(db, "BEGIN IMMEDIATE", why);
    if (error)
        return error;
    error = take_steps(db, why);
    if (!error)
        error = ledger_run(db, "COMMIT", why);
    if (error && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return error;
}
