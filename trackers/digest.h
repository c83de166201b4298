/* The short form of a SHA-256 that names things in exports: its first 8 hex digits. */
#ifndef TRACKERS_DIGEST_H
#define TRACKERS_DIGEST_H

#include <stddef.h>

#define DIGEST_HEX8_BYTES 9 /* 8 hex digits and NUL */

#define DIGEST_BYTES 32

/* The SHA-256 of some bytes (NULL only with a length of 0). Never fails, allocates nothing of ours. */
void digest_bytes(const void *bytes, size_t length, unsigned char digest[DIGEST_BYTES]);

/* The first 8 hex digits, lower case, of the SHA-256 of some bytes (NULL only with a length of 0). Never fails,
 * allocates nothing of ours. */
void digest_hex8(const void *bytes, size_t length, char hex[DIGEST_HEX8_BYTES]);

/* A text as it fits into `bytes` with its NUL: of one that is too long its beginning, cut between code points, "~" and
 * its 8 hex digits. Unlike what table_fit() makes of it, the same in every process. */
void digest_fit(const char *text, char *to, size_t bytes);

struct digest_part {
    const void *bytes;
    size_t length;
};

/* The same for the bytes of all parts, one behind the other, however long they are: nothing is allocated to join them.
 */
void digest_parts_hex8(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX8_BYTES]);

/* The same as digest_parts_hex8(), never by libcrypto. */
void digest_portable_hex8(const struct digest_part *parts, size_t count, char hex[DIGEST_HEX8_BYTES]);

#endif
