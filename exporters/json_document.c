#include "exporters/json_document.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "exporters/digits.h"
#include "exporters/json_line.h"
#include "trackers/utf8.h"

/* A key, and any value but a string, fit into so much. */
enum { VALUE_BYTES = 128 };

static_assert(TBUS_MONEY_TEXT_MAX + 64 < VALUE_BYTES && DIGITS_BYTES + 64 < VALUE_BYTES, "room for a key is left");

/* --- Pieces --- */

static void flush(struct json *json)
{
    text_add_bytes(json->text, json->piece, json->length);
    json->length = 0;
}

static void add_bytes(struct json *json, const char *bytes, size_t length)
{
    assert(json->length + length <= sizeof json->piece);
    memcpy(json->piece + json->length, bytes, length);
    json->length += length;
}

static void add_byte(struct json *json, char byte)
{
    json->piece[json->length++] = byte;
}

/* Room for a value, and what stands before it. */
static void begin_value(struct json *json, const char *key)
{
    if (json->length + VALUE_BYTES > sizeof json->piece)
        flush(json);
    if (json->follows)
        add_byte(json, ',');
    json->follows = true;
    if (!key)
        return;
    add_byte(json, '"');
    add_bytes(json, key, strlen(key));
    add_byte(json, '"');
    add_byte(json, ':');
}

void json_begin(struct json *json, struct text *text)
{
    json->text = text;
    json->follows = false;
    json->length = 0;
}

void json_end(struct json *json)
{
    flush(json);
}

int json_take(struct json *json, char **ret_text)
{
    json_end(json);
    return text_take(json->text, ret_text);
}

/* --- Values --- */

static void open_value(struct json *json, const char *key, char bracket)
{
    begin_value(json, key);
    add_byte(json, bracket);
    json->follows = false;
}

/* What stands behind a value; it may be behind a string that has filled the piece. */
static void close_value(struct json *json, char byte)
{
    if (json->length == sizeof json->piece)
        flush(json);
    add_byte(json, byte);
    json->follows = true;
}

void json_open_object(struct json *json, const char *key)
{
    open_value(json, key, '{');
}

void json_close_object(struct json *json)
{
    close_value(json, '}');
}

void json_open_array(struct json *json, const char *key)
{
    open_value(json, key, '[');
}

void json_close_array(struct json *json)
{
    close_value(json, ']');
}

void json_put_uint(struct json *json, const char *key, uint64_t number)
{
    begin_value(json, key);
    json->length += digits_of_uint(number < INT64_MAX ? number : INT64_MAX, json->piece + json->length);
}

void json_put_int(struct json *json, const char *key, int64_t number)
{
    begin_value(json, key);
    if (number < 0)
        add_byte(json, '-');
    json->length += digits_of_uint(number < 0 ? 0 - (uint64_t)number : (uint64_t)number, json->piece + json->length);
}

void json_put_double(struct json *json, const char *key, double number)
{
    if (!isfinite(number)) {
        json_put_null(json, key);
        return;
    }
    begin_value(json, key);
    json->length += digits_of_double(number, json->piece + json->length);
    if (fabs(number) < 1e15 && number == (double)(int64_t)number)
        add_bytes(json, ".0", 2); /* so that whoever reads it knows it for a double, as by an exponent */
}

void json_put_money(struct json *json, const char *key, tbus_money_t amount)
{
    char text[TBUS_MONEY_TEXT_MAX];
    tbus_money_format(amount, -1, text);
    begin_value(json, key);
    add_byte(json, '"');
    add_bytes(json, text, strlen(text));
    add_byte(json, '"');
}

void json_put_bool(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    add_bytes(json, value ? "true" : "false", value ? 4 : 5);
}

void json_put_null(struct json *json, const char *key)
{
    begin_value(json, key);
    add_bytes(json, "null", 4);
}

/* The end of the next part of a string: at most so many bytes, and no character taken apart. One that reaches over the
 * end begins at most three bytes before it; where only middles of characters stand there, none does. */
static const char *part_end(const char *text, const char *end, size_t bytes_max)
{
    if ((size_t)(end - text) <= bytes_max)
        return end;
    const char *last = text + bytes_max;
    for (const char *at = last; at >= last - 3; at--)
        if (((unsigned char)*at & 0xC0) != 0x80)
            return at;
    return last;
}

void json_put_text(struct json *json, const char *key, const char *string)
{
    enum { PART_BYTES = 512, ESCAPED_MAX = 6 };
    if (!string) {
        json_put_null(json, key);
        return;
    }
    begin_value(json, key);
    add_byte(json, '"');
    const char *end = string + strlen(string);
    while (string < end) {
        const char *next = part_end(string, end, PART_BYTES);
        if (json->length + PART_BYTES * ESCAPED_MAX > sizeof json->piece)
            flush(json);
        struct span to = {.bytes = json->piece + json->length, .room = sizeof json->piece - json->length};
        json_add_escaped(&to, string, next);
        json->length += to.length;
        string = next;
    }
    close_value(json, '"');
}

void json_put_key(struct json *json, const char *key)
{
    json_put_text(json, NULL, key);
    close_value(json, ':');
    json->follows = false;
}

/* --- Structs --- */

static const struct json_field distribution[] = {
    JSON_FIELD(tbus_distribution_t, count), JSON_FIELD(tbus_distribution_t, avg), JSON_FIELD(tbus_distribution_t, min),
    JSON_FIELD(tbus_distribution_t, max),   JSON_FIELD(tbus_distribution_t, p50), JSON_FIELD(tbus_distribution_t, p90),
    JSON_FIELD(tbus_distribution_t, p95),   JSON_FIELD(tbus_distribution_t, p99),
};

static void put_field(struct json *json, const struct json_field *field, const void *at)
{
    switch (field->kind) {
    case JSON_UINT64:
        json_put_uint(json, field->key, *(const uint64_t *)at);
        break;
    case JSON_UINT32:
        json_put_uint(json, field->key, *(const uint32_t *)at);
        break;
    case JSON_INT64:
        json_put_int(json, field->key, *(const int64_t *)at);
        break;
    case JSON_INT32:
        json_put_int(json, field->key, *(const int32_t *)at);
        break;
    case JSON_DOUBLE:
        json_put_double(json, field->key, *(const double *)at);
        break;
    case JSON_BOOL:
        json_put_bool(json, field->key, *(const bool *)at);
        break;
    case JSON_MONEY:
        json_put_money(json, field->key, *(const tbus_money_t *)at);
        break;
    case JSON_STRING:
        json_put_text(json, field->key, *(const char *const *)at);
        break;
    case JSON_ARRAY:
        json_put_text(json, field->key, at);
        break;
    case JSON_DISTRIBUTION:
        JSON_PUT_OBJECT(json, field->key, at, distribution);
        break;
    }
}

void json_put_fields(struct json *json, const void *figures, const struct json_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_field(json, &fields[i], (const char *)figures + fields[i].offset);
}

void json_put_object(struct json *json, const char *key, const void *figures, const struct json_field *fields,
                     size_t count)
{
    json_open_object(json, key);
    json_put_fields(json, figures, fields, count);
    json_close_object(json);
}

/* Whether it is `text` in the document, where what is not UTF-8 is U+FFFD. */
static bool is_shown_as(const char *name, const char *text)
{
    while (*name) {
        const size_t length = utf8_length(name), shown = length ? length : sizeof UTF8_REPLACEMENT - 1;
        if (strncmp(text, length ? name : UTF8_REPLACEMENT, shown) != 0)
            return false;
        name += length ? length : 1;
        text += shown;
    }
    return !*text;
}

static bool is_wanted(const struct json_list *list, const char *row)
{
    if (!list->only)
        return true;
    const char *name = *(const char *const *)(row + list->fields[0].offset);
    return is_shown_as(name ? name : "", list->only);
}

void json_put_list(struct json *json, const char *key, const struct json_list *list)
{
    size_t put = 0;
    assert(!list->only || list->fields[0].kind == JSON_STRING);
    json_open_array(json, key);
    for (size_t i = 0; i < list->count && (list->limit == 0 || put < list->limit); i++) {
        const char *row = (const char *)list->rows + i * list->bytes;
        if (!is_wanted(list, row))
            continue;
        json_open_object(json, NULL);
        json_put_fields(json, row, list->fields, list->fields_count);
        if (list->put_more)
            list->put_more(json, row, list->filter);
        json_close_object(json);
        put++;
    }
    json_close_array(json);
}
