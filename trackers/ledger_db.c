#include "trackers/ledger_db.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MODE = 0600, PATH_EXTRA = sizeof "./" };

/* --- Errors --- */

int ledger_say(struct ledger_why *why, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (why && !why->text[0])
        vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return error;
}

/* Where the system said why, its word counts. */
static int system_error(sqlite3 *db, int otherwise)
{
    int error = sqlite3_system_errno(db);
    return error > 0 ? uv_translate_sys_error(error) : otherwise;
}

static int error_of(sqlite3 *db, int extended)
{
    if (extended == SQLITE_IOERR_NOMEM)
        return UV_ENOMEM;
    switch (extended & 0xff) {
    case SQLITE_NOMEM:
        return UV_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return UV_EBUSY;
    case SQLITE_FULL:
        return UV_ENOSPC;
    case SQLITE_READONLY:
        return UV_EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return UV_EACCES;
    case SQLITE_CANTOPEN:
        return system_error(db, UV_ENOENT);
    case SQLITE_NOTADB:
        return UV_EINVAL;
    default:
        return UV_EIO;
    }
}

int ledger_error(sqlite3 *db, struct ledger_why *why)
{
    if (!db)
        return ledger_say(why, UV_ENOMEM, "out of memory");
    return ledger_say(why, error_of(db, sqlite3_extended_errcode(db)), "%s", sqlite3_errmsg(db));
}

/* --- Small queries --- */

int ledger_run(sqlite3 *db, const char *sql, struct ledger_why *why)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : ledger_error(db, why);
}

int ledger_number(sqlite3 *db, const char *sql, struct ledger_why *why, int64_t *ret)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return ledger_error(db, why);
    int error = sqlite3_step(statement) == SQLITE_ROW ? 0 : ledger_error(db, why);
    if (!error)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return error;
}

/* --- The file --- */

/* ":memory:" and "file:..." are no files to SQLite, the second where the host has switched URIs on for its process. */
int ledger_path(const char *path, char **ret)
{
    bool special = path[0] == ':' || strncmp(path, "file:", 5) == 0;
    size_t length = strlen(path);
    char *name = tbus_mem_alloc(length + PATH_EXTRA);
    if (!name)
        return UV_ENOMEM;
    memcpy(name, "./", 2);
    memcpy(special ? name + 2 : name, path, length + 1);
    *ret = name;
    return 0;
}

/* Makes an empty file for its owner only: SQLite would leave that to the umask, and gives its other files the same mode.
 * One that is there is not even opened: closing it would take away the locks of whoever in this process has it open. */
static int make_file(const char *path, struct ledger_why *why)
{
    uv_fs_t request;
    int file = uv_fs_open(NULL, &request, path, UV_FS_O_RDWR | UV_FS_O_CREAT | UV_FS_O_EXCL, FILE_MODE, NULL);
    uv_fs_req_cleanup(&request);
    if (file == UV_EEXIST)
        return 0;
    if (file < 0)
        return ledger_say(why, file, "%s: %s", path, uv_strerror(file));
    uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
    return 0;
}

bool ledger_db_has_moved(sqlite3 *db)
{
    int moved = 0;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

/* --- Connections --- */

/* Our own lock sees to it that one thread at a time uses a connection: SQLite need not, but has to be built for threads
 * at all. */
static int connect_to(const char *path, int flags, const tbus_ledger_options_t *options, struct ledger_why *why,
                      sqlite3 **ret)
{
    if (sqlite3_threadsafe() == 0)
        return ledger_say(why, UV_ENOTSUP, "this SQLite is built without threads");
    int code = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(*ret, 1);
        sqlite3_busy_timeout(*ret, options->busy_ms == UINT32_MAX ? 0 : (int)options->busy_ms);
        return 0;
    }
    int error = ledger_error(*ret, why);
    sqlite3_close(*ret);
    *ret = NULL;
    return error;
}

static int switch_to_wal(sqlite3 *db, struct ledger_why *why)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, "PRAGMA journal_mode = wal", -1, &statement, NULL) != SQLITE_OK)
        return ledger_error(db, why);
    int error = sqlite3_step(statement) == SQLITE_ROW ? 0 : ledger_error(db, why);
    const char *mode = error ? NULL : (const char *)sqlite3_column_text(statement, 0);
    if (!error && (!mode || strcmp(mode, "wal") != 0))
        error = ledger_say(why, UV_ENOTSUP, "there can be no write-ahead log here");
    sqlite3_finalize(statement);
    return error;
}

/* Of several that give a new file its log at the same time one wins; SQLite tells the others at once that they are busy,
 * whatever time they would wait. */
static int switch_to_wal_patiently(sqlite3 *db, const tbus_ledger_options_t *options, struct ledger_why *why)
{
    uint64_t wait_ms = options->busy_ms == UINT32_MAX ? 0 : options->busy_ms;
    uint64_t until_ns = uv_hrtime() + wait_ms * 1000000;
    int error = switch_to_wal(db, why);
    while (error == UV_EBUSY && uv_hrtime() < until_ns) {
        uv_sleep(1);
        error = switch_to_wal(db, why);
    }
    return error;
}

/* The write-ahead log lets others read while we write, and makes a commit one write at the end of one file. In it
 * synchronous=NORMAL leaves a commit to the system, which outlives the process; FULL waits for the disk each time. */
static int set_up(sqlite3 *db, const tbus_ledger_options_t *options, struct ledger_why *why)
{
    bool fast = options->survives == TBUS_LEDGER_DEATH_OF_PROCESS;
    int error = ledger_run(db, "PRAGMA page_size = 8192", why);
    if (!error)
        error = switch_to_wal_patiently(db, options, why);
    if (!error)
        error = ledger_run(db, fast ? "PRAGMA synchronous = normal" : "PRAGMA synchronous = full", why);
    return error ? error : ledger_run(db, "PRAGMA journal_size_limit = 67108864", why);
}

static int finish_opening(sqlite3 *db, int error, sqlite3 **ret)
{
    if (error)
        sqlite3_close(db);
    else
        *ret = db;
    return error;
}

int ledger_db_open(const char *path, const tbus_ledger_options_t *options, struct ledger_why *why, sqlite3 **ret)
{
    sqlite3 *db;
    int error = make_file(path, why);
    if (!error)
        error = connect_to(path, SQLITE_OPEN_READWRITE, options, why, &db);
    if (error)
        return error;
    error = ledger_schema_look(db, why);
    if (!error)
        error = set_up(db, options, why);
    if (!error)
        error = ledger_schema_make(db, why);
    return finish_opening(db, error, ret);
}

int ledger_db_open_to_read(const char *path, const tbus_ledger_options_t *options, struct ledger_why *why,
                           sqlite3 **ret)
{
    sqlite3 *db;
    int error = connect_to(path, SQLITE_OPEN_READWRITE, options, why, &db);
    return error ? error : finish_opening(db, ledger_schema_look(db, why), ret);
}
