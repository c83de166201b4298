/* The ledger: every usage record in a SQLite file that anyone can query; docs/ledger.md tells its tables. Needs no bus;
 * subscribers.h feeds it from one. Built without SQLite (-Dledger=disabled) each call returns UV_ENOTSUP.
 *
 * A record is appended to memory and then committed to the file with others: what a commit has acknowledged is in the
 * file, once, whatever happens to the process (and to the machine: see `survives`). A record is known by the id of its
 * event and by the start: a random id of this opening of the ledger. One that is appended again is left out and
 * counted.
 *
 * When the file can not be written (full disk, read-only, locked by somebody, I/O error) records wait in memory, up to
 * a bound; past it they are lost, and counted. Each commit tries again, and opens the file anew where that may help.
 * A file that was deleted or moved away is made anew.
 *
 * Any number of ledgers, processes and readers may have the file open at a time. It belongs on a local disk: SQLite's
 * write-ahead log needs shared memory beside it. fork(): the child must neither use nor close its parent's ledger.
 *
 * Whatever reads or writes the file may wait for the disk; no lock is held while the host's code runs. */
#ifndef TALLYBUS_LEDGER_H
#define TALLYBUS_LEDGER_H

#include <tallybus/usage.h>

TBUS_BEGIN_DECLS

typedef struct tbus_ledger tbus_ledger_t;

#define TBUS_LEDGER_TEXT_MAX 255 /* bytes of a name or id in the file: of a longer one its beginning, "~", a digest */
#define TBUS_LEDGER_START_BYTES 16

/* What acknowledged records survive. The file is never left damaged by either. */
typedef enum tbus_ledger_survives {
    TBUS_LEDGER_POWER_LOSS = 0,   /* the machine's crash too: each commit waits until the disk has it (default) */
    TBUS_LEDGER_DEATH_OF_PROCESS, /* any death of the process; the machine's may take the latest commits */
} tbus_ledger_survives_t;

typedef struct tbus_ledger_options {
    const char *path; /* copied; made where there is no file, for its owner only. Never taken for a URI */
    tbus_ledger_survives_t survives;
    uint64_t pending_bytes;   /* memory for records that are not in the file yet; 2 MiB .. 16 GiB; default 64 MiB. A
                                  record takes 150 bytes and its strings */
    uint32_t keep_days;       /* records older than this are deleted by tbus_ledger_prune(), while the totals keep what
                                  they came to; default: kept for ever; at most 36,500 */
    uint32_t keep_hours_days; /* the same for the sums by hour: 32 .. 36,500; default 93 */
    uint32_t busy_ms;         /* how long a call waits for a file that somebody has locked; default 1,000, at most
                                  60,000; UINT32_MAX = not at all */
    uint32_t commit_ms;       /* attached to a bus: the longest that a record waits to be committed; default 200 */
    uint32_t retry_min_ms;    /* attached: when a commit has failed, the next try comes after this; default 100 ... */
    uint32_t retry_max_ms;    /* ... then after twice that, and so on, up to this; default 10,000 */
    unsigned char start_id[TBUS_LEDGER_START_BYTES]; /* zeroes (default) = random. Set it to append the records of an
                                                        earlier start again: those that are there are left out */
    uint64_t reserved[8];
} tbus_ledger_options_t;

/* Opens the file, makes its tables or brings them up to date. On an error that lies in the file, `why` (may be NULL)
 * says what is wrong, in at most `why_bytes` bytes.
 * Errors: UV_EINVAL (options, path or `ret_ledger` NULL, an empty path, an option out of its range, a file that is no
 * ledger), UV_EPROTONOSUPPORT (a ledger of a newer version of this library: it is not touched), UV_ENOMEM, and what
 * opening the file met: UV_EBUSY (locked), UV_ENOSPC, UV_EROFS, UV_EACCES, UV_EIO, ... [any thread] */
TBUS_API TBUS_CHECKED int tbus_ledger_open(const tbus_ledger_options_t *options, char *why, size_t why_bytes,
                                           tbus_ledger_t **ret_ledger);

/* Takes a record into memory (copies). Strings may be NULL (""); bytes that are not UTF-8 become U+FFFD; `api_key` is
 * redacted once more, should it be a whole one. A record that is `retracted` is entered as the negative of what it
 * tells, beside the estimate with its event id, and left out where that is not in the file.
 * Errors, with nothing taken: UV_EINVAL (NULL, `event_id` 0 or above INT64_MAX, a count or cost below 0) and
 * UV_EOVERFLOW (an amount above 9,223,372 USD), counted as refused; UV_ENOBUFS (`pending_bytes` are full) and
 * UV_ENOMEM, counted as lost. [any thread] */
TBUS_API int tbus_ledger_append(tbus_ledger_t *ledger, const tbus_usage_record_t *record);

/* Writes what was appended before the call. 0 acknowledges all of it: it is in the file, once. On an error what has not
 * been written stays in memory, for the next call. Errors: UV_EINVAL (NULL), UV_ENOMEM, what the file met. [any thread]
 */
TBUS_API TBUS_CHECKED int tbus_ledger_commit(tbus_ledger_t *ledger);

/* Deletes what is older than `keep_days` and `keep_hours_days` before `now_ns`: at most 8,192 records and as many sums,
 * so that it never takes long; `*ret_deleted` (may be NULL) says how many, 0 = there are no more. A record that is
 * deleted is forgotten: appended again, it would count again. Errors: as tbus_ledger_commit(). [any thread] */
TBUS_API int tbus_ledger_prune(tbus_ledger_t *ledger, int64_t now_ns, uint64_t *ret_deleted);

typedef struct tbus_ledger_stats {
    uint64_t appended; /* all but the refused = committed + duplicates + orphans + pending + lost */
    uint64_t committed;
    uint64_t duplicates; /* left out: they were in the file */
    uint64_t orphans;    /* left out: retractions of an estimate that is not in the file */
    uint64_t pending;    /* in memory, not acknowledged */
    uint64_t lost;       /* there was no room or memory for them; after closing also: what could not be written */
    uint64_t refused;    /* not to be entered: see tbus_ledger_append() */
    uint64_t deleted;    /* records deleted for their age */
    uint64_t commits;    /* transactions of records */
    uint64_t failures;   /* of commits */
    int32_t last_error;  /* of the latest commit; 0 = it went well */
    char why[124];       /* the same in words; "" = it went well */
    uint64_t reserved[8];
} tbus_ledger_stats_t;

/* Figures of this opening, all of one moment. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_ledger_stats(tbus_ledger_t *ledger, tbus_ledger_stats_t *ret_stats);

/* Commits, closes the file and frees the ledger; NULL is allowed. `ret_stats` (may be NULL) gets the last figures.
 * Errors: UV_EIO: closed and freed, but records could not be written: `lost` counts them, `why` says it. [any thread,
 * no other call on it running] */
TBUS_API int tbus_ledger_close(tbus_ledger_t *ledger, tbus_ledger_stats_t *ret_stats);

/* --- Reading back: what was committed, by whatever start and process --- */

typedef enum tbus_ledger_kind {
    TBUS_LEDGER_ALL = 0, /* everything in one sum, its name "" */
    TBUS_LEDGER_KEY,
    TBUS_LEDGER_USER,
    TBUS_LEDGER_PROJECT,
    TBUS_LEDGER_MODEL,
    TBUS_LEDGER_ENDPOINT,
    TBUS_LEDGER_KINDS
} tbus_ledger_kind_t;

/* "all", "key", "user", ... as in the file; static memory; NULL for a number that is none. [any thread] */
TBUS_API const char *tbus_ledger_kind_name(tbus_ledger_kind_t kind);

/* Exact; what was retracted is taken off. A count stays at INT64_MAX, and an amount at 9.2e12 USD, where it would pass
 * that. */
typedef struct tbus_ledger_sum {
    tbus_ledger_kind_t kind;
    const char *name;                /* "" = records that named none; of a key: redacted */
    const unsigned char *key_digest; /* TBUS_KEY_DIGEST_BYTES; zeroes for all but keys */
    int64_t hour_ns;                 /* when the hour begins; 0 where the sum is not of an hour */
    int64_t requests;
    int64_t input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images, characters;
    int64_t batch_requests, estimated_requests, unpriced_requests;
    int64_t retracted_requests; /* in no figure above: estimates that were taken back */
    tbus_money_t cost, cache_savings, batch_savings;
    int64_t first_ns, last_ns; /* of the earliest and the latest record, those that were taken back included */
} tbus_ledger_sum_t;

/* Is told one sum; borrows it until it returns. Returns 0 to go on; anything else ends the reading, and is what the
 * call returns. It may call anything, the ledger too. */
typedef int (*tbus_ledger_each)(const tbus_ledger_sum_t *sum, void *user);

/* Each reads one consistent state of the file, through a connection of its own, while others write.
 * Errors: UV_EINVAL (ledger or `each` NULL, no such kind), what reading the file met, and what `each` returned.
 *
 * The sums of everything there ever was, deleted records too, by kind, then by name. [any thread] */
TBUS_API TBUS_CHECKED int tbus_ledger_totals(tbus_ledger_t *ledger, tbus_ledger_each each, void *user);

/* The sums by hour, from the hour that `since_ns` lies in: by hour, then by kind and name. Hours that
 * `keep_hours_days` took are not there. [any thread] */
TBUS_API TBUS_CHECKED int tbus_ledger_hours(tbus_ledger_t *ledger, int64_t since_ns, tbus_ledger_each each, void *user);

/* The sums of one kind over the records with a time of `since_ns` or later, by name. Where the records of the hour in
 * which that lies have been deleted, all of that hour counts. Errors also: UV_ERANGE (the hours since then have been
 * deleted). [any thread] */
TBUS_API TBUS_CHECKED int tbus_ledger_since(tbus_ledger_t *ledger, tbus_ledger_kind_t kind, int64_t since_ns,
                                            tbus_ledger_each each, void *user);

TBUS_END_DECLS

#endif
