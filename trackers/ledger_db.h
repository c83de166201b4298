/* SQLite as the ledger uses it: a connection of its own, its errors as ours. Never anything that other users of SQLite
 * in the process would notice (sqlite3_config(), sqlite3_shutdown(), a default that is changed). */
#ifndef TRACKERS_LEDGER_DB_H
#define TRACKERS_LEDGER_DB_H

#include <sqlite3.h>

#include <tallybus/ledger.h>

enum { LEDGER_WHY_BYTES = 124 };

/* What was wrong, in words. */
struct ledger_why {
    char text[LEDGER_WHY_BYTES];
};

/* Says it where nothing has been said before. Returns `error`. */
__attribute__((format(printf, 3, 4))) int ledger_say(struct ledger_why *why, int error, const char *format, ...);

/* What SQLite's latest error on a connection is to us, and says it in its words. Never 0. */
int ledger_error(sqlite3 *db, struct ledger_why *why);

/* A name that SQLite takes for a file, whatever is in it; free with tbus_mem_free(). Errors: UV_ENOMEM. */
int ledger_path(const char *path, char **ret);

/* Opens a connection to write with: makes the file where there is none, and its tables, or brings them up to date.
 * Errors: as tbus_ledger_open(). */
int ledger_db_open(const char *path, const tbus_ledger_options_t *options, struct ledger_why *why, sqlite3 **ret);

/* Opens one to read with; the file must be there. */
int ledger_db_open_to_read(const char *path, const tbus_ledger_options_t *options, struct ledger_why *why,
                           sqlite3 **ret);

/* Whether the file has been deleted or moved away since. */
bool ledger_db_has_moved(sqlite3 *db);

/* Runs statements that give no rows anybody wants. */
int ledger_run(sqlite3 *db, const char *sql, struct ledger_why *why);

/* The one integer that a query gives. */
int ledger_number(sqlite3 *db, const char *sql, struct ledger_why *why, int64_t *ret);

/* --- ledger_schema.c --- */

/* Whether a file is empty or a ledger that we know: changes nothing. Errors: UV_EINVAL, UV_EPROTONOSUPPORT. */
int ledger_schema_look(sqlite3 *db, struct ledger_why *why);

/* Makes the tables, or brings them up to date. */
int ledger_schema_make(sqlite3 *db, struct ledger_why *why);

#endif
