/* Error patterns: errors alike in type, endpoint and normalized message, kept by their signature, with a cap: past it
 * the one seen longest ago goes. "Longest ago" goes by the order of recording, so that one event from a clock that is
 * ahead can not stay for ever. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_ERRORS_PATTERNS_H
#define TRACKERS_ERRORS_PATTERNS_H

#include <tallybus/errors.h>

#include "trackers/table.h"

enum {
    ERRORS_NAME_MAX = 191, /* bytes of an endpoint, type or model that are kept */
    SIGNATURE_BYTES = 2 * (ERRORS_NAME_MAX + 1) + TBUS_NORMALIZED_BYTES
};

/* What a pattern is known by: "type:endpoint:normalized", the names fitted to ERRORS_NAME_MAX. */
struct signature {
    char text[SIGNATURE_BYTES];
    uint16_t type_length, endpoint_length;
};

/* A value of the table; its key is the signature's text. */
struct pattern {
    uint64_t count;
    int64_t first_seen_ns, last_seen_ns;
    uint32_t newer, older; /* cells of its neighbours by last use, or TABLE_NONE */
    uint16_t type_length, endpoint_length;
    char fingerprint[TBUS_FINGERPRINT_BYTES];
};

struct patterns {
    struct table table;
    uint32_t newest, oldest; /* cells, or TABLE_NONE */
    uint64_t dropped;
};

/* Room for `max` (> 0) patterns; allocates nothing yet. */
void patterns_init(struct patterns *patterns, uint32_t max);

/* Gives the memory back. */
void patterns_clear(struct patterns *patterns);

/* Forgets all patterns without allocating or freeing. */
void patterns_empty(struct patterns *patterns);

/* The pattern with a signature, or NULL. Valid until the next patterns_add(). */
struct pattern *patterns_find(const struct patterns *patterns, const struct signature *signature);

/* Counts an error of a pattern. */
void patterns_see(struct patterns *patterns, struct pattern *pattern, int64_t time_ns);

/* Adds a pattern, at its first error, dropping another where there are too many. Errors: UV_ENOMEM. */
int patterns_add(struct patterns *patterns, const struct signature *signature, const char *fingerprint,
                 int64_t time_ns);

#endif
