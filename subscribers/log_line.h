/* An event as a line for people, in memory that is there already. */
#ifndef SUBSCRIBERS_LOG_LINE_H
#define SUBSCRIBERS_LOG_LINE_H

#include <stddef.h>

#include <tallybus/events.h>

#define LOG_LINE_TIME_BYTES 24 /* 2023-11-16T18:15:46.680Z */

struct log_line {
    char *text;    /* `room` bytes and one for a NUL */
    char *scratch; /* `string_max` bytes and one */
    size_t room, string_max;
};

/* Writes the time of `time_ns` since the epoch in UTC, without a NUL. */
void log_line_time(int64_t time_ns, char text[LOG_LINE_TIME_BYTES]);

/* Formats an event of this type into `text`, NUL-terminated. Returns its length. */
size_t log_line_format(struct log_line *line, const tbus_type_t *type, const tbus_event_t *event);

#endif
