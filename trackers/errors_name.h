/* The name of an endpoint, a type or a model as the tables keep it: of a bounded length, without secrets, and
 * UTF-8. */
#ifndef TRACKERS_ERRORS_NAME_H
#define TRACKERS_ERRORS_NAME_H

#include <tallybus/errors.h>

#include "trackers/table.h"

enum { ERRORS_NAME_MAX = TABLE_SHORT_MAX };

static_assert(ERRORS_NAME_MAX + 1 == TBUS_ERROR_NAME_BYTES, "shown whole");

struct name {
    struct table_name fitted;
    bool clean; /* has no secret, or not any more */
};

/* A table for `max` names and "other". Those with one secret take each other's names. */
void names_init(struct table *table, uint32_t value_bytes, uint32_t max, const struct table_secret *secret);

/* table_fit(), for all tables with the secret of this one. */
void name_fit(struct name *name, const char *text, const struct table *table);

/* Masks its secrets, and puts ? for bytes that are no UTF-8. To look for them takes longer than to find a name in a
 * table; and what is in a table is clean. So this is only for names that have not been found. */
void name_clean(struct name *name, const struct table *table);

/* The value of a name in a table whose keys are clean, or NULL. */
void *name_find(const struct table *table, struct name *name);

/* The same, adding it where it is new: as table_add_or_other(). */
void *name_add_or_other(struct table *table, struct name *name, int *ret_error);

#endif
