/* Writes to the file. Each transaction holds rows and what they add to the sums, so that these agree at any moment, and
 * after any crash. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trackers/ledger.h"

#define COUNT_NAME(name) #name ", "
#define MONEY_NAMES(name) #name "_micro, " #name "_rest, "
#define COUNT_PLACE(name) "?, "
#define MONEY_PLACES(name) "?, ?, "

/* A sum of integers that passes 63 bits is a floating one in SQLite; the cast takes it to the nearest that fits. */
#define COUNT_GROWS(name) #name " = CAST(" #name " + excluded." #name " AS INTEGER), "
#define MONEY_GROWS(name)                                                                                              \
#name "_micro = CAST(" #name "_micro + excluded." #name "_micro + (" #name "_rest + excluded." #name               \
          "_rest) / 1000000 AS INTEGER), " #name "_rest = (" #name "_rest + excluded." #name "_rest) % 1000000, "

#define ADD_TO(table, key, places)                                                                                     \
    "INSERT INTO " table " (" LEDGER_COUNTS(COUNT_NAME)                                                                \
        LEDGER_MONEY(MONEY_NAMES) "first_ns, last_ns, " key ") VALUES (" LEDGER_COUNTS(COUNT_PLACE) LEDGER_MONEY(      \
            MONEY_PLACES) "?, ?, " places ") ON CONFLICT (" key ") DO UPDATE SET " LEDGER_COUNTS(COUNT_GROWS)          \
            LEDGER_MONEY(                                                                                              \
                MONEY_GROWS) "first_ns = min(first_ns, excluded.first_ns), last_ns = max(last_ns, excluded.last_ns)"

/* Deletes in bounded steps, oldest first. */
#define DELETE_SOME(table, key, age)                                                                                   \
    "DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM " table " WHERE " age " < ? ORDER BY " age          \
    " LIMIT ?)"

enum { DELETE_MAX = 8192 };

static const char *const texts_of_statements[LEDGER_STATEMENTS] = {
    [LEDGER_BEGIN] = "BEGIN IMMEDIATE",
    [LEDGER_COMMIT] = "COMMIT",
    [LEDGER_FIND_START] = "SELECT start FROM starts WHERE id = ?",
    [LEDGER_ADD_START] = "INSERT INTO starts (id, began_ns) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
    [LEDGER_ADD_ROW] =
        "INSERT INTO usage (start, event_id, retracted, time_ns, request_id, api_key, user_id, project_id, model,"
        " endpoint, key_digest, requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,"
        " reasoning_tokens, images, characters, cost_pico, cache_savings_pico, batch_savings_pico, batch, estimated,"
        " unpriced) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (start, event_id, retracted) DO NOTHING",
    [LEDGER_FIND_ROW] = "SELECT 1 FROM usage WHERE start = ? AND event_id = ? AND retracted = 0",
    [LEDGER_ADD_HOUR] = ADD_TO("hours", "hour, kind, name, key_digest", "?, ?, ?, ?"),
    [LEDGER_ADD_TOTAL] = ADD_TO("totals", "kind, name, key_digest", "?, ?, ?"),
    [LEDGER_DELETE_ROWS] = DELETE_SOME("usage", "start, event_id, retracted", "time_ns"),
    [LEDGER_DELETE_HOURS] = DELETE_SOME("hours", "hour, kind, name, key_digest", "hour"),
    [LEDGER_NOTE_DELETED] = ("INSERT INTO deleted (what, before_ns) VALUES (?, ?) ON CONFLICT (what) DO UPDATE"
                             " SET before_ns = max(before_ns, excluded.before_ns)"),
};

/* --- The connection --- */

void ledger_writer_close(tbus_ledger_t *ledger)
{
    for (int i = 0; i < LEDGER_STATEMENTS; i++) {
        sqlite3_finalize(ledger->statements[i]);
        ledger->statements[i] = NULL;
    }
    sqlite3_close(ledger->db);
    ledger->db = NULL;
    ledger->start = 0;
}

int ledger_writer_open(tbus_ledger_t *ledger, struct ledger_why *why)
{
    if (ledger->db && ledger_db_has_moved(ledger->db))
        ledger_writer_close(ledger);
    if (ledger->db)
        return 0;
    int error = ledger_db_open(ledger->path, &ledger->options, why, &ledger->db);
    for (int i = 0; !error && i < LEDGER_STATEMENTS; i++) {
        if (sqlite3_prepare_v3(ledger->db, texts_of_statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &ledger->statements[i], NULL) != SQLITE_OK)
            error = ledger_error(ledger->db, why);
    }
    if (error)
        ledger_writer_close(ledger);
    return error;
}

/* Runs a statement whose parameters are bound; `*ret_number` (may be NULL) gets the first column of its row, or 0
 * without one. */
static int step(tbus_ledger_t *ledger, enum ledger_statement which, int64_t *ret_number, struct ledger_why *why)
{
    sqlite3_stmt *statement = ledger->statements[which];
    int code = sqlite3_step(statement);
    int error = code == SQLITE_DONE || code == SQLITE_ROW ? 0 : ledger_error(ledger->db, why);
    if (!error && ret_number)
        *ret_number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    if (sqlite3_reset(statement) != SQLITE_OK && !error)
        error = ledger_error(ledger->db, why);
    return error;
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text, int length)
{
    (void)sqlite3_bind_text(statement, place, text, length, SQLITE_STATIC);
}

/* --- Rows --- */

/* The start gets its number in the file with the first rows: who only reads writes nothing. */
static int find_start(tbus_ledger_t *ledger, int64_t *ret, struct ledger_why *why)
{
    uv_timeval64_t now;
    *ret = ledger->start;
    if (*ret)
        return 0;
    (void)uv_gettimeofday(&now);
    bind_text(ledger->statements[LEDGER_ADD_START], 1, ledger->start_id, -1);
    sqlite3_bind_int64(ledger->statements[LEDGER_ADD_START], 2, now.tv_sec * LEDGER_NS_PER_S + now.tv_usec * 1000);
    int error = step(ledger, LEDGER_ADD_START, NULL, why);
    bind_text(ledger->statements[LEDGER_FIND_START], 1, ledger->start_id, -1);
    return error ? error : step(ledger, LEDGER_FIND_START, ret, why);
}

static void bind_row(sqlite3_stmt *statement, int64_t start, const struct ledger_row *row,
                     const char *const texts[LEDGER_TEXTS])
{
    struct ledger_figures figures;
    int place = 0, sign = row->retracted ? -1 : 1;
    ledger_figures_of_row(row, &figures);
    sqlite3_bind_int64(statement, ++place, start);
    sqlite3_bind_int64(statement, ++place, row->event);
    sqlite3_bind_int64(statement, ++place, row->retracted);
    sqlite3_bind_int64(statement, ++place, row->time_ns);
    for (int i = 0; i < LEDGER_TEXTS; i++)
        bind_text(statement, ++place, texts[i], row->lengths[i]);
    (void)sqlite3_bind_blob(statement, ++place, row->key_digest, sizeof row->key_digest, SQLITE_STATIC);
    for (int i = 0; i <= LEDGER_TOKEN_KINDS; i++)
        sqlite3_bind_int64(statement, ++place, figures.counts[i]);
    for (int i = 0; i < LEDGER_AMOUNTS; i++)
        sqlite3_bind_int64(statement, ++place, sign * row->amounts[i]);
    sqlite3_bind_int64(statement, ++place, row->batch);
    sqlite3_bind_int64(statement, ++place, row->estimated);
    sqlite3_bind_int64(statement, ++place, row->unpriced);
    assert(place == sqlite3_bind_parameter_count(statement));
}

static int is_known(tbus_ledger_t *ledger, int64_t start, const struct ledger_row *row, int64_t *ret,
                    struct ledger_why *why)
{
    sqlite3_bind_int64(ledger->statements[LEDGER_FIND_ROW], 1, start);
    sqlite3_bind_int64(ledger->statements[LEDGER_FIND_ROW], 2, row->event);
    return step(ledger, LEDGER_FIND_ROW, ret, why);
}

/* --- Sums --- */

struct put {
    tbus_ledger_t *ledger;
    struct ledger_why *why;
};

static int bind_figures(sqlite3_stmt *statement, const struct ledger_figures *figures)
{
    int place = 0;
    for (int i = 0; i < LEDGER_COUNTS_END; i++)
        sqlite3_bind_int64(statement, ++place, figures->counts[i]);
    for (int i = 0; i < LEDGER_AMOUNTS; i++) {
        struct ledger_amount amount = ledger_amount_of(figures->amounts[i]);
        sqlite3_bind_int64(statement, ++place, amount.micro);
        sqlite3_bind_int64(statement, ++place, amount.rest);
    }
    sqlite3_bind_int64(statement, ++place, figures->first_ns);
    sqlite3_bind_int64(statement, ++place, figures->last_ns);
    return place;
}

static void bind_identity(sqlite3_stmt *statement, int place, tbus_ledger_kind_t kind, const char *name,
                          const struct ledger_sum *sum)
{
    bind_text(statement, ++place, tbus_ledger_kind_name(kind), -1);
    bind_text(statement, ++place, name, -1);
    (void)sqlite3_bind_blob(statement, ++place, sum->key_digest,
                            kind == TBUS_LEDGER_KEY ? (int)sizeof sum->key_digest : 0, SQLITE_STATIC);
    assert(place == sqlite3_bind_parameter_count(statement));
}

static int put_sum(tbus_ledger_kind_t kind, const char *name, const struct ledger_sum *sum, void *user)
{
    const struct put *put = user;
    sqlite3_stmt *hour = put->ledger->statements[LEDGER_ADD_HOUR], *total = put->ledger->statements[LEDGER_ADD_TOTAL];
    int place = bind_figures(hour, &sum->figures);
    sqlite3_bind_int64(hour, ++place, put->ledger->sums.hour);
    bind_identity(hour, place, kind, name, sum);
    bind_identity(total, bind_figures(total, &sum->figures), kind, name, sum);
    int error = step(put->ledger, LEDGER_ADD_HOUR, NULL, put->why);
    return error ? error : step(put->ledger, LEDGER_ADD_TOTAL, NULL, put->why);
}

static int put_sums(tbus_ledger_t *ledger, struct ledger_why *why)
{
    return ledger_sums_take(&ledger->sums, put_sum, &(struct put){ledger, why});
}

/* --- Transactions --- */

static int write_row(tbus_ledger_t *ledger, int64_t start, const struct ledger_row *row, struct ledger_written *ret,
                     struct ledger_why *why)
{
    const char *texts[LEDGER_TEXTS];
    int64_t known = 1, hour = ledger_hour_of(row->time_ns);
    int error = row->retracted ? is_known(ledger, start, row, &known, why) : 0;
    if (error || !known) {
        ret->orphans += !error;
        return error;
    }
    ledger_row_texts(row, texts);
    bind_row(ledger->statements[LEDGER_ADD_ROW], start, row, texts);
    error = step(ledger, LEDGER_ADD_ROW, NULL, why);
    if (error)
        return error;
    if (sqlite3_changes(ledger->db) == 0) {
        ret->duplicates++;
        return 0;
    }
    ret->committed++;
    if (ledger_sums_must_go(&ledger->sums, hour))
        error = put_sums(ledger, why);
    return error ? error : ledger_sums_add(&ledger->sums, hour, row, texts);
}

static int write_rows(tbus_ledger_t *ledger, const struct ledger_chunk *chunks, struct ledger_written *ret,
                      struct ledger_why *why)
{
    int64_t start;
    int error = find_start(ledger, &start, why);
    for (; !error && chunks; chunks = chunks->next) {
        for (const struct ledger_row *row = ledger_first(chunks); !error && row; row = ledger_next(chunks, row))
            error = write_row(ledger, start, row, ret, why);
    }
    if (!error)
        error = put_sums(ledger, why);
    if (!error)
        error = step(ledger, LEDGER_COMMIT, NULL, why);
    if (!error)
        ledger->start = start;
    return error;
}

/* After an error: nothing of the transaction stays. What may be cured by a new connection gets one: a file that can be
 * written again, or is another one, or was read wrongly. */
static void take_back(tbus_ledger_t *ledger, int error)
{
    if (!sqlite3_get_autocommit(ledger->db))
        (void)sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL);
    if ((error != UV_EBUSY && error != UV_ENOSPC && error != UV_ENOMEM) || !sqlite3_get_autocommit(ledger->db))
        ledger_writer_close(ledger);
}

int ledger_write(tbus_ledger_t *ledger, const struct ledger_chunk *chunks, struct ledger_written *ret,
                 struct ledger_why *why)
{
    *ret = (struct ledger_written){0};
    int error = ledger_writer_open(ledger, why);
    if (error)
        return error;
    error = step(ledger, LEDGER_BEGIN, NULL, why);
    if (!error)
        error = write_rows(ledger, chunks, ret, why);
    if (error) {
        (void)ledger_sums_take(&ledger->sums, NULL, NULL);
        take_back(ledger, error);
    }
    return error;
}

/* --- Deleting --- */

/* Deletes some rows or sums from before a time, and notes that what was before it may be gone. */
static int delete_some(tbus_ledger_t *ledger, enum ledger_statement which, const char *what, int64_t before_ns,
                       uint64_t *ret_deleted, struct ledger_why *why)
{
    bool hours = which == LEDGER_DELETE_HOURS;
    sqlite3_bind_int64(ledger->statements[which], 1, hours ? ledger_hour_of(before_ns) : before_ns);
    sqlite3_bind_int64(ledger->statements[which], 2, DELETE_MAX);
    int error = step(ledger, which, NULL, why);
    *ret_deleted = error ? 0 : (uint64_t)sqlite3_changes(ledger->db);
    if (error || *ret_deleted == 0)
        return error;
    bind_text(ledger->statements[LEDGER_NOTE_DELETED], 1, what, -1);
    sqlite3_bind_int64(ledger->statements[LEDGER_NOTE_DELETED], 2, before_ns);
    return step(ledger, LEDGER_NOTE_DELETED, NULL, why);
}

int ledger_delete(tbus_ledger_t *ledger, int64_t rows_before_ns, int64_t hours_before_ns, uint64_t *ret_rows,
                  uint64_t *ret_hours, struct ledger_why *why)
{
    int error = ledger_writer_open(ledger, why);
    if (error)
        return error;
    error = step(ledger, LEDGER_BEGIN, NULL, why);
    if (!error)
        error = delete_some(ledger, LEDGER_DELETE_ROWS, "usage", rows_before_ns, ret_rows, why);
    if (!error)
        error = delete_some(ledger, LEDGER_DELETE_HOURS, "hours", hours_before_ns, ret_hours, why);
    if (!error)
        error = step(ledger, LEDGER_COMMIT, NULL, why);
    if (error)
        take_back(ledger, error);
    return error;
}
