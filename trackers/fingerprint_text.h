/* What the two kinds of normalization share: classes of bytes, UUIDs, and the output of at most 200 code points. */
#ifndef TRACKERS_FINGERPRINT_TEXT_H
#define TRACKERS_FINGERPRINT_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "trackers/fingerprint.h"

/* What a byte may be part of. */
enum {
    DIGIT = 1, /* 0-9 */
    HEX = 2,   /* 0-9 a-f A-F */
    ALNUM = 4, /* ASCII letters and digits */
    PLAIN = 8, /* ASCII with which no match begins, so neither a hex digit nor 'r': most of a message; not NUL */
    HIGH = 16  /* 0x80 and above */
};

extern const uint8_t fingerprint_classes[256];

/* The text ends with a NUL, which belongs to no class: each look-ahead below stops there of itself. */
typedef const unsigned char *text_t;

struct output {
    char *at;
    unsigned points; /* code points written */
};

enum { UUID_BYTES = 36, UUID_FIRST_DIGITS = 8 };

static inline bool uuid_at(text_t at)
{
    static const unsigned char digits_of_group[] = {UUID_FIRST_DIGITS, 4, 4, 4, 12};

    for (unsigned group = 0; group < sizeof digits_of_group; group++) {
        if (group > 0 && *at++ != '-')
            return false;
        for (unsigned left = digits_of_group[group]; left > 0; left--) {
            if (!(fingerprint_classes[*at++] & HEX))
                return false;
        }
    }
    return true;
}

static inline void put_token(struct output *out, const char *token)
{
    for (; *token && out->points < FINGERPRINT_POINTS_MAX; out->points++)
        *out->at++ = *token++;
}

/* A code point as the header counts them: a byte and the continuation bytes that it asks for, as far as they are there.
 * Whether that is valid UTF-8 makes no difference. */
static inline text_t copy_point(struct output *out, text_t at)
{
    unsigned wanted = *at >= 0xf8 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;

    *out->at++ = (char)*at++;
    for (; wanted > 0 && (*at & 0xc0) == 0x80; wanted--)
        *out->at++ = (char)*at++;
    out->points++;
    return at;
}

#endif
