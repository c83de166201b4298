/* The name of an endpoint, a type or a model as the tables keep it: of a bounded length, without secrets, and
 * UTF-8. */
#ifndef TRACKERS_ERRORS_NAME_H
#define TRACKERS_ERRORS_NAME_H

#include <tallybus/errors.h>

#include "trackers/table.h"

enum { ERRORS_NAME_MAX = TBUS_ERROR_NAME_BYTES - 1 };

struct name {
    const char *text; /* the caller's, or `room` */
    size_t length;    /* of `text` */
    bool clean;       /* has no secret, or not any more */
    char room[TBUS_ERROR_NAME_BYTES];
};

/* Fits a name; `text` (NULL = "") must outlive it. Done before the lock is taken, so that nobody waits while 10 MB are
 * hashed. */
void name_fit(struct name *name, const char *text, const struct table_secret *secret);

/* Masks its secrets, and puts ? for bytes that are no UTF-8. To look for them takes longer than to find a name in a table; and what is in a table is clean. So
 * this is only for names that have not been found. */
void name_clean(struct name *name);

/* The value of a name in a table whose keys are clean, or NULL. */
void *name_find(const struct table *table, struct name *name);

/* The same, adding it where it is new: as table_add_or_other(). */
void *name_add_or_other(struct table *table, struct name *name, int *ret_error);

#endif
