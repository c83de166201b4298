/* The latest errors, in a ring of places of a fixed size, which is allocated once. Not locked: the tracker's lock covers
 * it. */
#ifndef TRACKERS_ERRORS_RECENT_H
#define TRACKERS_ERRORS_RECENT_H

#include <tallybus/errors.h>

#include "trackers/errors_name.h"

enum recent_text {
    RECENT_TYPE,
    RECENT_MESSAGE,
    RECENT_ENDPOINT,
    RECENT_MODEL,
    RECENT_REQUEST_ID,
    RECENT_USER_ID,
    RECENT_TEXTS
};

/* A text cut to what a place holds of it: it goes on behind `length` where it is longer. */
struct cut_text {
    const char *text;
    size_t length;
};

/* The beginning of a text (NULL = "") that fits into `bytes` with its NUL, cut between code points. */
struct cut_text cut_text(const char *text, size_t bytes);

struct recent;

struct recents {
    struct recent *list;
    uint32_t max; /* 0 = none are kept */
    uint32_t next, count;
};

/* Room for `max` errors. Errors: UV_ENOMEM. */
int recents_open(struct recents *recents, uint32_t max);

void recents_close(struct recents *recents);

void recents_empty(struct recents *recents);

/* Keeps an error: over the oldest where there is no room. `texts` are cut to what errors.h says, names are clean. */
void recents_add(struct recents *recents, const struct cut_text texts[RECENT_TEXTS], const char *fingerprint,
                 int64_t status_code, int64_t time_ns);

#endif
