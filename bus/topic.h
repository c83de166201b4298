/* Topics and patterns: dot-separated tokens, `*` for one token, `>` at the end for one or more. */
#ifndef BUS_TOPIC_H
#define BUS_TOPIC_H

#include <stdbool.h>

#define TOPIC_MAX 255 /* bytes of a pattern */

/* Whether a pattern is well-formed: no empty token, at most TOPIC_MAX bytes, wildcards only as whole tokens, `>` only
 * last. NULL is not. */
bool topic_pattern_valid(const char *pattern);

/* Whether a text is well-formed UTF-8, as trackers/utf8.h has it, which the bus knows nothing of. */
bool topic_is_utf8(const char *text);

/* Whether a valid pattern has a wildcard. */
bool topic_pattern_is_wild(const char *pattern);

/* Whether a topic matches a valid pattern. */
bool topic_matches(const char *pattern, const char *topic);

#endif
