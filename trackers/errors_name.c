#include "trackers/errors_name.h"

#include <string.h>

#include "trackers/redact.h"
#include "trackers/utf8.h"

void names_init(struct table *table, uint32_t value_bytes, uint32_t max, const struct table_secret *secret)
{
    table_init(table, value_bytes, ERRORS_NAME_MAX, max + 1);
    table->secret = *secret;
}

void name_fit(struct name *name, const char *text, const struct table *table)
{
    table_fit(table, text, &name->fitted);
    name->clean = false;
}

/* Exporters write one character for every byte that is no UTF-8: two names that differ there alone would look the same,
 * and be one time series twice. */
static void mend_utf8(char *text)
{
    for (unsigned length; *text; text += length) {
        length = utf8_length(text);
        if (length > 0)
            continue;
        *text = '?';
        length = 1;
    }
}

void name_clean(struct name *name, const struct table *table)
{
    struct table_name *fitted = &name->fitted;
    const char *begin, *end;

    if (name->clean)
        return;
    name->clean = true;
    bool is_whole = utf8_is_whole(fitted->text);
    if (is_whole && !redact_find(fitted->text, &begin, &end))
        return;
    if (fitted->text != fitted->room)
        memcpy(fitted->room, fitted->text, fitted->length + 1);
    if (!is_whole)
        mend_utf8(fitted->room);
    redact_secrets(fitted->room);
    table_fit(table, fitted->room, fitted); /* not longer than it was */
}

void *name_find(const struct table *table, struct name *name)
{
    void *value = table_find_name(table, &name->fitted);

    if (value || name->clean)
        return value;
    name_clean(name, table);
    return table_find_name(table, &name->fitted);
}

void *name_add_or_other(struct table *table, struct name *name, int *ret_error)
{
    void *value = name_find(table, name);

    *ret_error = 0;
    return value ? value : table_add_name_or_other(table, &name->fitted, ret_error);
}
