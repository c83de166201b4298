/* Where well-formed UTF-8 ends; texts that are cut there, or mended. */
#ifndef TRACKERS_UTF8_H
#define TRACKERS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define UTF8_REPLACEMENT "\xEF\xBF\xBD"

/* The length in bytes of the character that `at` (NUL-terminated) starts with, or 0 where that is not well-formed UTF-8
 * (overlong forms, surrogates and code points past U+10FFFF are not). */
static inline unsigned utf8_length(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    uint32_t point;
    unsigned length;
    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xC2 && byte[0] <= 0xDF)
        length = 2, point = byte[0] & 0x1F;
    else if ((byte[0] & 0xF0) == 0xE0)
        length = 3, point = byte[0] & 0x0F;
    else if (byte[0] >= 0xF0 && byte[0] <= 0xF4)
        length = 4, point = byte[0] & 0x07;
    else
        return 0;
    for (unsigned i = 1; i < length; i++) {
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (byte[i] & 0x3F);
    }
    if ((length == 3 && (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))) ||
        (length == 4 && (point < 0x10000 || point > 0x10FFFF)))
        return 0;
    return length;
}

static inline bool utf8_is_whole(const char *text)
{
    while (*text) {
        unsigned length = utf8_length(text);
        if (length == 0)
            return false;
        text += length;
    }
    return true;
}

/* Copies whole characters as far as they fit into `room` bytes, U+FFFD for what is none; puts no NUL. Returns the
 * length; `*ret_whole` says whether that was all. */
static inline size_t utf8_copy(const char *text, char *to, size_t room, bool *ret_whole)
{
    size_t length = 0;
    while (*text) {
        unsigned good = utf8_length(text);
        size_t bytes = good ? good : sizeof UTF8_REPLACEMENT - 1;
        if (bytes > room - length)
            break;
        memcpy(to + length, good ? text : UTF8_REPLACEMENT, bytes);
        length += bytes;
        text += good ? good : 1;
    }
    *ret_whole = *text == '\0';
    return length;
}

#endif
