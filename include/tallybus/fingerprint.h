/* What makes error messages alike. The fingerprint is over the message as it was given: secrets in it are masked where
 * it is shown, which changes no fingerprint, so that other implementations of the same rules compute the same. */
#ifndef TALLYBUS_FINGERPRINT_H
#define TALLYBUS_FINGERPRINT_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

#define TBUS_FINGERPRINT_VERSION 1 /* goes up whenever the rules would group errors differently */
#define TBUS_FINGERPRINT_BYTES 9   /* 8 hex digits and NUL */
#define TBUS_NORMALIZED_BYTES 801  /* 200 code points of at most 4 bytes and NUL */

/* Makes messages of one kind alike: one after another, each UUID (any case) becomes <UUID>, `req-` and the ASCII
 * letters and digits after it <REQUEST_ID>, `0x` and the hex digits after it <ADDR>, each run of ASCII digits <NUM>;
 * then cut to 200 code points. Bytes that are not UTF-8 are kept; each byte that is not a continuation byte counts as a
 * code point, and so does a continuation byte that continues nothing. `message` NULL counts as "". Returns the length
 * in bytes, NUL not counted. Never allocates; reads only as much of the message as it needs. [any thread] */
TBUS_API size_t tbus_error_normalize(const char *message, char normalized[TBUS_NORMALIZED_BYTES]);

#define TBUS_FINER_VERSION 1 /* as TBUS_FINGERPRINT_VERSION, for the rules below */

/* The same by finer rules, which other implementations do not share. From left to right, whatever of this list matches
 * at a place, the first where several do, is replaced, and the search goes on behind it; all in ASCII, and "alone" means
 * with neither letter nor digit beside it:
 *   <QUOTED>      "...", `...`, and '...' alone; within a line
 *   <URL>         a scheme of 2 to 16 characters, ://, and all up to a blank, a quote, < or >, but for .,;:!?)]} at the end
 *   <EMAIL>       up to 64 letters, digits and ._%+- that follow none such, @, a host name with a dot
 *   <UUID>, <REQUEST_ID>  as above
 *   <DATE>        YYYY-MM-DD, and the time of day behind T or a blank: hh:mm, hh:mm:ss, a fraction, Z or an offset
 *   <TIME>        hh:mm:ss and a fraction
 *   <IP>          IPv6, and IPv4 as four numbers of 1 to 3 digits
 *   <HASH>        16 hex digits or more, alone, a letter among them
 *   <ADDR>        as above
 *   <DURATION>    numbers with units (1h2m3s), or one with a unit's word behind it (1.5 seconds), alone
 *   <NUM>         as above
 * Time is linear in the part of the message that it reads. [any thread] */
TBUS_API size_t tbus_error_normalize_finer(const char *message, char normalized[TBUS_NORMALIZED_BYTES]);

/* The first 8 hex digits of the SHA-256 of "type:endpoint:normalized message", by tbus_error_normalize(). Any string
 * may be NULL (""). Never allocates. Errors: UV_EINVAL (`fingerprint` NULL). [any thread] */
TBUS_API TBUS_CHECKED int tbus_error_fingerprint(const char *type, const char *endpoint, const char *message,
                                                 char fingerprint[TBUS_FINGERPRINT_BYTES]);

TBUS_END_DECLS

#endif
