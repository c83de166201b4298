#include "trackers/shown.h"

#include "trackers/utf8.h"

static_assert(sizeof UTF8_REPLACEMENT - 1 == SHOWN_REPLACEMENT_BYTES, "room for replacements");

void shown_fit(const struct table *table, const char *given, struct shown_name *name)
{
    bool whole;

    assert(table->key_max <= SHOWN_MAX);
    table_fit(table, given, &name->fitted);
    if (name->fitted.text == name->fitted.room || utf8_is_whole(name->fitted.text))
        return;
    name->clean[utf8_copy(name->fitted.text, name->clean, sizeof name->clean - 1, &whole)] = '\0';
    assert(whole);
    table_fit(table, name->clean, &name->fitted);
}
