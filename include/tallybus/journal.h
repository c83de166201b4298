/* A journal: events as lines of JSON in a file, which `tallybus replay` reads back.
 *
 *   tbus_journal_t *journal;
 *   int error = tbus_journal_open(bus, &(tbus_journal_options_t){.path = "events.jsonl"}, &journal);
 *   ...
 *   error = tbus_journal_close(journal, NULL);
 *
 * Each line is an event as tbus_event_to_json() tells it (and is written in builds without JSON too; reading wants one
 * with it). Types of the host's own are written like the built-in ones; to read them back the bus must know them.
 * Rotated files are read oldest first: cat events.jsonl.2 events.jsonl.1 events.jsonl | tallybus replay -
 *
 * Played back (tbus_publish_json(), line by line), a journal brings trackers to the states that the events themselves
 * brought them to, but for this:
 * - API keys are secrets: `api_key` is written as tbus_redact_key() shows it. Sums by key come out the same, for their
 *   names are the redacted ones either way.
 * - Keys that error messages, stack traces, error signatures and metadata quote ("sk-...", "Bearer ...") are written as
 *   "*", unless `keep_messages` is set. Errors whose messages quote a key have another fingerprint when played back.
 *   What the host puts into other fields is written as it is: keep secrets out of names.
 * - Bytes that are not UTF-8 become U+FFFD: names that differ only in such bytes become one.
 * - Doubles that are infinite are left out, as NaN is.
 *
 * Lines are collected in a buffer, which is written whenever it is full and at the end of each batch of events: a crash
 * of the process loses what has been handled of the batch at hand, one of the machine what the system has not put on
 * the disk (see `sync`). A line is whole or it is not in the file: where writing stops within one, it is taken back at
 * once; one that a crash has left at the end of the file is removed when the file is opened next.
 *
 * When the file can not be written (full disk, directory gone) lines wait in the buffer, and are tried again at the
 * end of each batch; only when the buffer is full are events lost: each is counted, and the handler returns the error.
 * A file that was deleted or moved away is made anew.
 *
 * Writing to a disk may take long, and whoever delivers the events waits for it. Everything of a journal but opening
 * and closing runs where the bus calls its handler, on any one thread at a time. */
#ifndef TALLYBUS_JOURNAL_H
#define TALLYBUS_JOURNAL_H

#include <tallybus/bus.h>

TBUS_BEGIN_DECLS

typedef struct tbus_journal tbus_journal_t;

#define TBUS_JOURNAL_LINE_MAX (1024 * 1024) /* bytes of a line with its newline: what `tallybus replay` takes */

typedef struct tbus_journal_options {
    const char *path;      /* copied; a regular file (made where there is none, for its owner only, and appended to), or
                              a character device. One journal for a file at a time */
    const char *pattern;   /* events to write; default ">" */
    uint64_t rotate_bytes; /* before it would get larger, the file becomes path.1, path.1 becomes path.2, ...;
                              0 = never. A single longer line has a file for itself */
    uint32_t keep;         /* rotated files kept, path.1 the latest; 1 .. 1,000; default 5 */
    uint32_t buffer_bytes; /* 4 KiB .. 64 MiB; default 256 KiB. It grows for a longer line */
    int32_t priority;      /* of the subscription */
    bool keep_messages;    /* messages and metadata are written as they are, with the keys that they quote */
    bool on_loop_thread;  /* write there, so that nothing is dropped while the bus has room, and everybody waits for the
                              disk; default: on a thread of its own, from a queue of its own (TBUS_ISOLATED) */
    uint32_t queue_bytes; /* of that queue: a power of two, 64 KiB .. 256 MiB; default 4 MiB */
    bool sync;            /* each time the buffer is written, wait until the disk has it (fdatasync) */
    uint64_t reserved[8];
} tbus_journal_options_t;

typedef struct tbus_journal_stats {
    uint64_t events;          /* written to the file */
    uint64_t bytes;           /* of their lines */
    uint64_t buffered_events; /* not written yet */
    uint64_t lost_events;     /* neither: there was no room left (or no memory, or the line would have been too long),
                                 or its queue was full */
    uint64_t write_errors;    /* attempts to write that met an error */
    uint64_t rotations;
    int32_t last_error; /* what the latest attempt to write met, or the rotation in it; 0 = it went well */
    uint64_t reserved[8];
} tbus_journal_stats_t;

/* Opens the file and subscribes. The bus is borrowed until the journal is closed, or until the bus has ended the
 * subscription itself, closing.
 * Errors: UV_EINVAL (bus, options, path or `ret_journal` NULL, an empty path, an option out of its range, a malformed
 * pattern; a file of another kind, or one whose last line is no journal's and has no end), UV_ENOMEM, those of
 * tbus_subscriber_add(), and what opening the file met. [any thread, handlers too] */
TBUS_API TBUS_CHECKED int tbus_journal_open(tbus_t *bus, const tbus_journal_options_t *options,
                                            tbus_journal_t **ret_journal);

/* Each figure is exact; they are read one after another. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_journal_stats(const tbus_journal_t *journal, tbus_journal_stats_t *ret_stats);

/* Ends the subscription, waiting until events published before are handled, writes what is buffered, closes the file
 * and frees the journal. NULL is allowed. `ret_stats` (may be NULL) gets the last figures; what could not be written in
 * the end is counted as lost there.
 * Errors: UV_EIO: closed and freed, `ret_stats` set, but what was buffered could not be written, or the file not be
 * closed well; `last_error` says why. Otherwise it is still open: UV_ENOMEM (the subscription goes on), UV_EBUSY (in a
 * handler, or on the loop thread while the journal's own thread still writes: the subscription ends; call again later).
 * [any thread] */
TBUS_API int tbus_journal_close(tbus_journal_t *journal, tbus_journal_stats_t *ret_stats);

TBUS_END_DECLS

#endif
