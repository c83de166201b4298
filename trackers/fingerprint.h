/* What makes error messages alike: see tbus_error_normalize() in errors.h for the rules. */
#ifndef TRACKERS_FINGERPRINT_H
#define TRACKERS_FINGERPRINT_H

#include <stddef.h>

#include <tallybus/errors.h>

enum { FINGERPRINT_POINTS_MAX = 200 }; /* code points of a message that count */

/* The fingerprint where the message has been normalized already. NULL is "". Never fails. */
void fingerprint_of(const char *type, const char *endpoint, const char *normalized,
                    char fingerprint[TBUS_FINGERPRINT_BYTES]);

#endif
