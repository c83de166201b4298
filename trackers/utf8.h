/* Where well-formed UTF-8 ends. */
#ifndef TRACKERS_UTF8_H
#define TRACKERS_UTF8_H

#include <stdint.h>

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

#endif
