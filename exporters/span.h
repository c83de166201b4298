/* Text into memory of a fixed size, like snprintf(): what does not fit is left out, its length is counted all the same.
 */
#ifndef EXPORTERS_SPAN_H
#define EXPORTERS_SPAN_H

#include <stdint.h>
#include <string.h>

struct span {
    char *bytes;
    size_t room;
    size_t length; /* may be above `room` */
};

static inline void span_add(struct span *span, const char *bytes, size_t length)
{
    if (span->length < span->room) {
        size_t left = span->room - span->length;
        memcpy(span->bytes + span->length, bytes, length < left ? length : left);
    }
    span->length += length;
}

static inline void span_add_char(struct span *span, char byte)
{
    if (span->length < span->room)
        span->bytes[span->length] = byte;
    span->length++;
}

static inline void span_add_text(struct span *span, const char *text)
{
    span_add(span, text, strlen(text));
}

static inline void span_add_int(struct span *span, int64_t number)
{
    char digits[20];
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        digits[--at] = '-';
    span_add(span, digits + at, sizeof digits - at);
}

#endif
