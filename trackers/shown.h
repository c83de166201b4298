/* Names that pages show. */
#ifndef TRACKERS_SHOWN_H
#define TRACKERS_SHOWN_H

#include "trackers/table.h"

enum { SHOWN_MAX = TABLE_SHORT_MAX, SHOWN_REPLACEMENT_BYTES = 3 /* U+FFFD */ };

struct shown_name {
    struct table_name fitted;
    char clean[SHOWN_MAX * SHOWN_REPLACEMENT_BYTES + 1];
};

/* table_fit(), with U+FFFD for what is not UTF-8: pages show it so, and two that look alike there must be one. One that is
 * too long to be kept whole has its hash, which sets it apart. Needs no lock; the table's key_max is at most SHOWN_MAX. */
void shown_fit(const struct table *table, const char *given, struct shown_name *name);

#endif
