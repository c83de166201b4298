/* The ledger from inside. Files: ledger_queue.c keeps what waits, ledger_db.c opens the file and tells its errors,
 * ledger_schema.c has its tables, ledger_write.c writes and deletes, ledger_sums.c adds up what one transaction writes,
 * ledger_read.c reads back, ledger.c is the object.
 *
 * Two locks. `mu` covers the queue and the figures, and is held for copying only. `io` covers the connection, and is
 * held while the disk is waited for; who holds it may take `mu`, never the other way round. */
#ifndef TRACKERS_LEDGER_H
#define TRACKERS_LEDGER_H

#include <sqlite3.h>

#include "trackers/ledger_db.h"
#include "trackers/ledger_queue.h"
#include "trackers/ledger_sums.h"

enum ledger_statement {
    LEDGER_BEGIN,
    LEDGER_COMMIT,
    LEDGER_FIND_START,
    LEDGER_ADD_START,
    LEDGER_ADD_ROW,
    LEDGER_FIND_ROW,
    LEDGER_ADD_HOUR,
    LEDGER_ADD_TOTAL,
    LEDGER_DELETE_ROWS,
    LEDGER_DELETE_HOURS,
    LEDGER_NOTE_DELETED,
    LEDGER_STATEMENTS
};

struct tbus_ledger {
    char *path;                                     /* [const after open] as SQLite is given it */
    tbus_ledger_options_t options;                  /* [const after open] with the defaults filled in */
    char start_id[2 * TBUS_LEDGER_START_BYTES + 1]; /* [const after open] in hex */

    uv_mutex_t mu;
    struct ledger_queue queue;   /* [lock: mu] */
    tbus_ledger_stats_t figures; /* [lock: mu] but for `pending` */

    uv_mutex_t io;
    sqlite3 *db;                                 /* [lock: io] NULL = it has to be opened */
    sqlite3_stmt *statements[LEDGER_STATEMENTS]; /* [lock: io] */
    int64_t start;                               /* [lock: io] the start's number in the file; 0 = not there yet */
    struct ledger_sums sums;                     /* [lock: io] */
};

/* --- ledger_write.c --- */

/* Opens the connection to write with where there is none. Errors: as tbus_ledger_open(). [lock: io] */
int ledger_writer_open(tbus_ledger_t *ledger, struct ledger_why *why);
void ledger_writer_close(tbus_ledger_t *ledger);

/* What became of the rows of a transaction. */
struct ledger_written {
    uint64_t committed, duplicates, orphans;
};

/* Writes chunks in one transaction: all of it, or nothing. [lock: io] */
int ledger_write(tbus_ledger_t *ledger, const struct ledger_chunk *chunks, struct ledger_written *ret,
                 struct ledger_why *why);

/* Deletes some of what is older than the two times. [lock: io] */
int ledger_delete(tbus_ledger_t *ledger, int64_t rows_before_ns, int64_t hours_before_ns, uint64_t *ret_rows,
                  uint64_t *ret_hours, struct ledger_why *why);

#endif
