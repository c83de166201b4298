#include "trackers/shown.h"

#include <string.h>

#include "trackers/utf8.h"

static_assert(sizeof UTF8_REPLACEMENT - 1 == SHOWN_REPLACEMENT_BYTES, "room for replacements");

void shown_fit(const struct table *table, const char *given, struct shown_name *name)
{
    const char *at = given ? given : "";
    size_t length = 0;
    bool broken = false;

    assert(table->key_max <= SHOWN_MAX);
    if (strnlen(at, table->key_max + 1) > table->key_max)
        at = "";
    while (*at) {
        unsigned good = utf8_length(at), bytes = good ? good : SHOWN_REPLACEMENT_BYTES;
        memcpy(name->clean + length, good ? at : UTF8_REPLACEMENT, bytes);
        length += bytes;
        at += good ? good : 1;
        broken |= !good;
    }
    name->clean[length] = '\0';
    table_fit(table, broken ? name->clean : given, &name->fitted);
}
