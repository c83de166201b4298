#include "trackers/errors_name.h"

#include <stdio.h>
#include <string.h>

#include "trackers/redact.h"
#include "trackers/utf8.h"

enum { HASH_TAIL = 17 /* '~' and 16 hex digits */ };

/* A name that is too long becomes its beginning, cut between code points, and 16 hex digits of a hash of all of it: two
 * that differ late stay apart. */
void name_fit(struct name *name, const char *text, const struct table_secret *secret)
{
    name->text = text ? text : "";
    name->length = strlen(name->text);
    name->clean = false;
    if (name->length <= ERRORS_NAME_MAX)
        return;

    uint64_t hash = table_hash(text, name->length, secret);
    size_t kept = ERRORS_NAME_MAX - HASH_TAIL;
    for (int back = 0; back < 3 && ((unsigned char)text[kept] & 0xc0) == 0x80; back++)
        kept--;
    memcpy(name->room, text, kept);
    snprintf(name->room + kept, sizeof name->room - kept, "~%016llx", (unsigned long long)hash);
    name->text = name->room;
    name->length = kept + HASH_TAIL;
}

static bool is_utf8(const char *text)
{
    unsigned length = 1;

    for (; *text && length > 0; text += length)
        length = utf8_length(text);
    return length > 0;
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

void name_clean(struct name *name)
{
    const char *begin, *end;

    if (name->clean)
        return;
    name->clean = true;
    bool is_whole = is_utf8(name->text);
    if (is_whole && !redact_find(name->text, &begin, &end))
        return;
    if (name->text != name->room)
        memcpy(name->room, name->text, name->length + 1);
    if (!is_whole)
        mend_utf8(name->room);
    redact_secrets(name->room);
    name->text = name->room;
    name->length = strlen(name->room);
}

void *name_find(const struct table *table, struct name *name)
{
    void *value = table_find(table, name->text);

    if (value || name->clean)
        return value;
    name_clean(name);
    return name->text == name->room ? table_find(table, name->text) : NULL;
}

void *name_add_or_other(struct table *table, struct name *name, int *ret_error)
{
    void *value = name_find(table, name);

    *ret_error = 0;
    return value ? value : table_add_or_other(table, name->text, ret_error);
}
