/* Where a text that is too long is cut. */
#ifndef TRACKERS_UTF8_CUT_H
#define TRACKERS_UTF8_CUT_H

#include <stddef.h>

/* The most bytes of a text of `length`, up to `max`, that do not end within a code point. What is no UTF-8 is cut
 * anywhere. */
static inline size_t utf8_cut(const char *text, size_t length, size_t max)
{
    size_t kept = max;
    if (length <= max)
        return length;
    for (int back = 0; back < 3 && kept > 0 && ((unsigned char)text[kept] & 0xc0) == 0x80; back++)
        kept--;
    return kept;
}

#endif
