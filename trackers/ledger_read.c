/* Reads sums back, each time through a connection of its own: readers do not wait for who writes, and what is read is
 * of one moment. Sums are added up here and not by SQL, whose integers have 64 bits. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "trackers/ledger.h"
#include "trackers/moment.h"

#define COUNT_NAME(name) ", " #name
#define MONEY_NAMES(name) ", " #name "_micro, " #name "_rest"
#define SUMS LEDGER_COUNTS(COUNT_NAME) LEDGER_MONEY(MONEY_NAMES) ", first_ns, last_ns"

/* The same of one row of `usage`. */
#define ROW_SUMS                                                                                                       \
    ", requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images,"        \
    " characters, requests * batch, requests * estimated, requests * unpriced, retracted" LEDGER_MONEY(                \
        ROW_MONEY) ", time_ns, time_ns"
#define ROW_MONEY(name) ", " #name "_pico / 1000000, " #name "_pico % 1000000"

/* The columns of each query: identity, then the sums. */
enum { COLUMN_HOUR, COLUMN_KIND, COLUMN_NAME, COLUMN_DIGEST, COLUMN_COUNTS };

static const char totals_query[] = "SELECT NULL, kind, name, key_digest" SUMS " FROM totals";
static const char hours_query[] = "SELECT hour, kind, name, key_digest" SUMS " FROM hours WHERE hour >= ?1";

/* Whole hours as sums, and what is left of the first one as rows. */
#define SINCE(kind, name, digest)                                                                                      \
    "SELECT NULL, kind, name, key_digest" SUMS " FROM hours WHERE hour >= ?1 AND kind = '" kind                        \
    "' UNION ALL SELECT NULL, '" kind "', " name ", " digest ROW_SUMS                                                  \
    " FROM usage WHERE time_ns >= ?2 AND time_ns < ?3 ORDER BY 3, 4"

static const char *const since_queries[TBUS_LEDGER_KINDS] = {
    [TBUS_LEDGER_ALL] = SINCE("all", "''", "x''"),        [TBUS_LEDGER_KEY] = SINCE("key", "api_key", "key_digest"),
    [TBUS_LEDGER_USER] = SINCE("user", "user_id", "x''"), [TBUS_LEDGER_PROJECT] = SINCE("project", "project_id", "x''"),
    [TBUS_LEDGER_MODEL] = SINCE("model", "model", "x''"), [TBUS_LEDGER_ENDPOINT] = SINCE("endpoint", "endpoint", "x''"),
};

/* --- Rows of a query --- */

/* What a row is a part of; parts of one sum follow each other. */
struct identity {
    int64_t hour;
    tbus_ledger_kind_t kind;
    unsigned char key_digest[TBUS_KEY_DIGEST_BYTES];
    char name[TBUS_LEDGER_TEXT_MAX + 1];
};

struct reading {
    tbus_ledger_each each;
    void *user;
    bool any;
    struct identity identity;
    struct ledger_figures figures;
};

/* False for a kind that this version does not know. */
static bool read_identity(sqlite3_stmt *row, struct identity *ret)
{
    const char *kind = (const char *)sqlite3_column_text(row, COLUMN_KIND);
    const char *name = (const char *)sqlite3_column_text(row, COLUMN_NAME);
    const void *digest = sqlite3_column_blob(row, COLUMN_DIGEST);
    memset(ret, 0, sizeof *ret);
    while (ret->kind < TBUS_LEDGER_KINDS && kind && strcmp(kind, tbus_ledger_kind_name(ret->kind)) != 0)
        ret->kind++;
    if (!kind || !name || ret->kind == TBUS_LEDGER_KINDS)
        return false;
    snprintf(ret->name, sizeof ret->name, "%s", name);
    if (digest && sqlite3_column_bytes(row, COLUMN_DIGEST) == TBUS_KEY_DIGEST_BYTES)
        memcpy(ret->key_digest, digest, sizeof ret->key_digest);
    ret->hour = sqlite3_column_int64(row, COLUMN_HOUR);
    return true;
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->hour == b->hour && a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
           memcmp(a->key_digest, b->key_digest, sizeof a->key_digest) == 0;
}

static void read_figures(sqlite3_stmt *row, struct ledger_figures *ret)
{
    int column = COLUMN_COUNTS;
    for (int i = 0; i < LEDGER_COUNTS_END; i++)
        ret->counts[i] = sqlite3_column_int64(row, column++);
    for (int i = 0; i < LEDGER_AMOUNTS; i++, column += 2)
        ret->amounts[i] = money_of((int128_t)sqlite3_column_int64(row, column) * LEDGER_PER_MICRO +
                                   sqlite3_column_int64(row, column + 1));
    ret->first_ns = sqlite3_column_int64(row, column++);
    ret->last_ns = sqlite3_column_int64(row, column++);
    assert(column == sqlite3_column_count(row));
}

/* Hands out the sum whose parts have all been read. */
static int hand_out(struct reading *reading)
{
    const struct identity *identity = &reading->identity;
    const struct ledger_figures *figures = &reading->figures;
    if (!reading->any)
        return 0;
    reading->any = false;
    tbus_ledger_sum_t sum = {.kind = identity->kind,
                             .name = identity->name,
                             .key_digest = identity->key_digest,
                             .hour_ns = identity->hour * LEDGER_NS_PER_S,
#define COUNT_MEMBER(name) .name = figures->counts[LEDGER_COUNT_##name],
                             LEDGER_COUNTS(COUNT_MEMBER)
#undef COUNT_MEMBER
                                 .cost = figures->amounts[0],
                             .cache_savings = figures->amounts[1],
                             .batch_savings = figures->amounts[2],
                             .first_ns = figures->first_ns,
                             .last_ns = figures->last_ns};
    return reading->each(&sum, reading->user);
}

static int take_row(sqlite3_stmt *row, struct reading *reading)
{
    struct identity identity;
    struct ledger_figures figures;
    if (!read_identity(row, &identity))
        return 0;
    read_figures(row, &figures);
    if (reading->any && is_same(&identity, &reading->identity)) {
        ledger_figures_add(&reading->figures, &figures);
        return 0;
    }
    int stop = hand_out(reading);
    reading->any = true;
    reading->identity = identity;
    reading->figures = figures;
    return stop;
}

/* --- Queries --- */

static int read_rows(sqlite3 *db, sqlite3_stmt *statement, struct reading *reading)
{
    int code, stop = 0;
    while (!stop && (code = sqlite3_step(statement)) == SQLITE_ROW)
        stop = take_row(statement, reading);
    if (stop)
        return stop;
    return code == SQLITE_DONE ? hand_out(reading) : ledger_error(db, NULL);
}

static int query(sqlite3 *db, const char *sql, const int64_t *numbers, int count, struct reading *reading)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return ledger_error(db, NULL);
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(statement, i + 1, numbers[i]);
    int error = read_rows(db, statement, reading);
    sqlite3_finalize(statement);
    return error;
}

static int open_reader(tbus_ledger_t *ledger, sqlite3 **ret)
{
    return ledger_db_open_to_read(ledger->path, &ledger->options, NULL, ret);
}

int tbus_ledger_totals(tbus_ledger_t *ledger, tbus_ledger_each each, void *user)
{
    sqlite3 *db;
    if (!ledger || !each)
        return UV_EINVAL;
    int error = open_reader(ledger, &db);
    if (error)
        return error;
    error = query(db, totals_query, NULL, 0, &(struct reading){.each = each, .user = user});
    sqlite3_close(db);
    return error;
}

int tbus_ledger_hours(tbus_ledger_t *ledger, int64_t since_ns, tbus_ledger_each each, void *user)
{
    sqlite3 *db;
    int64_t hour = ledger_hour_of(moment_of(since_ns));
    if (!ledger || !each)
        return UV_EINVAL;
    int error = open_reader(ledger, &db);
    if (error)
        return error;
    error = query(db, hours_query, &hour, 1, &(struct reading){.each = each, .user = user});
    sqlite3_close(db);
    return error;
}

/* How far back the file may lack rows and hours: nothing before is relied upon. */
static int read_deleted(sqlite3 *db, int64_t *ret_rows_ns, int64_t *ret_hours_ns)
{
    static const char rows[] = "SELECT coalesce(max(before_ns), ~0x7fffffffffffffff) FROM deleted WHERE what = 'usage'";
    static const char hours[] =
        "SELECT coalesce(max(before_ns), ~0x7fffffffffffffff) FROM deleted WHERE what = 'hours'";
    int error = ledger_number(db, rows, NULL, ret_rows_ns);
    return error ? error : ledger_number(db, hours, NULL, ret_hours_ns);
}

/* In a transaction, so that the two looks at the file see one state of it. */
static int read_since(sqlite3 *db, tbus_ledger_kind_t kind, int64_t since_ns, struct reading *reading)
{
    int64_t rows_ns, hours_ns;
    int error = ledger_run(db, "BEGIN", NULL);
    if (!error)
        error = read_deleted(db, &rows_ns, &hours_ns);
    if (error)
        return error;
    int64_t first_hour = ledger_hour_of(since_ns), until_ns = since_ns;
    if (first_hour * LEDGER_NS_PER_S < since_ns && rows_ns <= since_ns) {
        first_hour += LEDGER_HOUR_S;
        until_ns = first_hour * LEDGER_NS_PER_S;
    }
    if (hours_ns > INT64_MIN && first_hour < ledger_hour_of(hours_ns))
        return UV_ERANGE;
    const int64_t numbers[] = {first_hour, since_ns, until_ns};
    return query(db, since_queries[kind], numbers, 3, reading);
}

int tbus_ledger_since(tbus_ledger_t *ledger, tbus_ledger_kind_t kind, int64_t since_ns, tbus_ledger_each each,
                      void *user)
{
    sqlite3 *db;
    if (!ledger || !each || (unsigned)kind >= TBUS_LEDGER_KINDS)
        return UV_EINVAL;
    int error = open_reader(ledger, &db);
    if (error)
        return error;
    error = read_since(db, kind, moment_of(since_ns), &(struct reading){.each = each, .user = user});
    sqlite3_close(db);
    return error;
}
