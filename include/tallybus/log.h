/* A log: events as lines for people, handed to a function of the host's.
 *
 *   2023-11-16T18:15:46.680Z stream.started stream_id=s-17 model=gpt-4o input_tokens=374 request_id=req-81f3
 *
 * That is the event's time (UTC), its topic, the fields of its type, those of the base, and metadata as
 * metadata.KEY=value. Left out are absent strings, empty lists, NaN, false, and integers that are 0.
 *
 * Whatever the events hold, a line is a line and no terminal obeys it: a string that is empty or has anything but
 * visible characters in it, or a quote, a backslash, "=", "," or a bracket, is quoted, with \" \\ \n \r \t, \xHH for
 * other control characters and bytes that are not UTF-8, and \uHHHH for invisible characters of Unicode that change
 * how a text is shown. Long strings, lists and lines are cut and say so ("...").
 * API keys are shown as tbus_redact_key() does; keys that other strings quote ("sk-...", "Bearer ...") as "*". */
#ifndef TALLYBUS_LOG_H
#define TALLYBUS_LOG_H

#include <tallybus/bus.h>

TBUS_BEGIN_DECLS

typedef struct tbus_log_options {
    /* Takes a line: `length` bytes without a newline, NUL-terminated, valid until it returns. It is called where the
     * bus calls the handler, never twice at a time; of the bus's functions it may call what a handler may. */
    void (*write)(const char *line, size_t length, void *user);
    void *user;
    const char *pattern;       /* events to show; default ">" */
    int32_t priority;          /* of the subscription */
    uint32_t string_max_bytes; /* longer strings are cut, between two characters; 16 .. 65,536; default 256 */
    uint32_t line_max_bytes;   /* longer lines are cut; 256 .. 1 Mi; default 4,096 */
    uint32_t lines_per_second; /* further ones, by the bus's clock, are left out; how many that were is told by a line
                                  "log.suppressed lines=N" before the next one, or in the end; default 0 = no limit */
    uint64_t reserved[8];
} tbus_log_options_t;

/* Begins to log: returns a subscription's number, for tbus_unsubscribe(). `write` is not called any more when
 * tbus_unsubscribe_wait() has returned, or the bus is freed. Formats into memory that it takes here (string_max_bytes +
 * line_max_bytes) and gives back at the end; nothing is allocated in between. Errors: UV_EINVAL (bus, options or
 * `write` NULL, an option out of its range), UV_ENOMEM, and those of tbus_subscriber_add(). [any thread, handlers too]
 * */
TBUS_API TBUS_CHECKED int64_t tbus_log_attach(tbus_t *bus, const tbus_log_options_t *options);

TBUS_END_DECLS

#endif
