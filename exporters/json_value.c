#include "exporters/json_value.h"

#include <math.h>
#include <string.h>

#include "exporters/span.h"
#include "trackers/utf8.h"

/* Writes the text, mended, as far as there is room. Returns its whole length. */
static size_t mend(const char *text, char *mended, size_t room)
{
    struct span to = {.bytes = mended, .room = room};
    while (*text) {
        unsigned length = utf8_length(text);
        if (length > 0)
            span_add(&to, text, length);
        else
            span_add_text(&to, UTF8_REPLACEMENT);
        text += length > 0 ? length : 1;
    }
    return to.length;
}

json_t *json_value_text(const char *text)
{
    if (!text)
        return json_null();
    size_t length = mend(text, NULL, 0);
    if (length == strlen(text))
        return json_string(text);
    char *mended = tbus_mem_alloc(length);
    if (!mended)
        return NULL;
    mend(text, mended, length);
    json_t *value = json_stringn(mended, length);
    tbus_mem_free(mended);
    return value;
}

json_t *json_value_double(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

json_t *json_value_count(uint64_t count)
{
    return json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count);
}

json_t *json_value_array(const void *elements, size_t count, size_t size, json_value_make make)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < count; i++) {
        if (json_array_append_new(array, make((const char *)elements + i * size)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

int json_value_print(json_t *document, char **ret_text)
{
    size_t bytes = document ? json_dumpb(document, NULL, 0, JSON_COMPACT) : 0;
    char *text = bytes ? tbus_mem_alloc(bytes + 1) : NULL;
    bool printed = text && json_dumpb(document, text, bytes, JSON_COMPACT) == bytes;
    json_decref(document);
    if (!printed) {
        tbus_mem_free(text);
        return UV_ENOMEM;
    }
    text[bytes] = '\0';
    *ret_text = text;
    return 0;
}
