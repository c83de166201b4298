#include "trackers/shown.h"

#include <string.h>

#include "trackers/utf8.h"

static_assert(sizeof UTF8_REPLACEMENT - 1 == SHOWN_REPLACEMENT_BYTES, "room for replacements");

void shown_fit(const struct table *table, const char *given, struct shown_name *name)
{
    bool whole;

    assert(table->key_max <= SHOWN_MAX);
    if (given && strnlen(given, table->key_max + 1) <= table->key_max && !utf8_is_whole(given)) {
        name->clean[utf8_copy(given, name->clean, sizeof name->clean - 1, &whole)] = '\0';
        assert(whole);
        given = name->clean;
    }
    table_fit(table, given, &name->fitted);
}
