/* What a tracker has found out and nobody has taken yet: a queue of bounded length. What finds no room is not lost: who
 * wanted to tell it notes that it has not been told, and `behind` says that there is such a thing. Not locked: the
 * tracker's lock covers it. */
#ifndef TRACKERS_ERRORS_FINDINGS_H
#define TRACKERS_ERRORS_FINDINGS_H

#include <tallybus/errors.h>

enum { FINDINGS_MAX = 128 };

struct findings {
    bool off; /* [const after open] nothing is kept */
    uint32_t first, count;
    bool behind;      /* something found no room and has not been told since */
    uint64_t delayed; /* findings that found no room */
    tbus_finding_t list[FINDINGS_MAX];
};

/* A place at the end, zeroed, or NULL where there is no room. Where nothing is kept: one that nobody will look at. */
tbus_finding_t *findings_add(struct findings *findings);

/* Puts one back in front that was taken. False where there is no room: it is then as if it never had any. */
bool findings_return(struct findings *findings, const tbus_finding_t *finding);

/* Takes the first. */
bool findings_take(struct findings *findings, tbus_finding_t *ret_finding);

#endif
