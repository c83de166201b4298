/* Documents in JSON, written straight into a text: no tree of values is made, for one of a thousand keys would take
 * longer than the trackers take to be read. What a struct has is listed once, in a table of fields; keys come in the
 * order of the calls and tables.
 *
 * Whatever a tracker holds, JSON in UTF-8 comes out: what is not UTF-8 becomes U+FFFD, what is not finite null, a count
 * past 2^63 - 1 that number. Money is decimal text in USD, exact. */
#ifndef EXPORTERS_JSON_DOCUMENT_H
#define EXPORTERS_JSON_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tallybus/distribution.h>
#include <tallybus/money.h>

#include "exporters/text.h"

enum { JSON_PIECE_BYTES = 4096 };

/* What is written goes into `piece` first, and piece by piece into the text. */
struct json {
    struct text *text;
    bool follows; /* a value stands before, so that a comma comes next */
    size_t length;
    char piece[JSON_PIECE_BYTES];
};

void json_begin(struct json *json, struct text *text);

/* Brings the rest into the text, which knows whether memory failed. */
void json_end(struct json *json);

/* json_end(), and takes a text that was made for this document alone. Errors: UV_ENOMEM. */
int json_take(struct json *json, char **ret_text);

/* Each puts a value under a key; `key` NULL: an element of an array, or the document itself. Keys are ASCII without
 * quotes. */
void json_open_object(struct json *json, const char *key);
void json_close_object(struct json *json);
void json_open_array(struct json *json, const char *key);
void json_close_array(struct json *json);
void json_put_uint(struct json *json, const char *key, uint64_t number);
void json_put_int(struct json *json, const char *key, int64_t number);
void json_put_double(struct json *json, const char *key, double number);
void json_put_money(struct json *json, const char *key, tbus_money_t amount);
void json_put_text(struct json *json, const char *key, const char *string); /* NULL = null */
void json_put_bool(struct json *json, const char *key, bool value);
void json_put_null(struct json *json, const char *key);

/* A key of any bytes. The next value is its own, and goes without one. */
void json_put_key(struct json *json, const char *key);

/* --- Structs --- */

enum json_kind {
    JSON_UINT64,
    JSON_UINT32,
    JSON_INT64,
    JSON_INT32,
    JSON_DOUBLE,
    JSON_BOOL,
    JSON_MONEY,
    JSON_STRING,      /* const char * */
    JSON_ARRAY,       /* char[] */
    JSON_DISTRIBUTION /* an object */
};

struct json_field {
    const char *key;
    enum json_kind kind;
    size_t offset;
};

/* A field of a struct under its own name, or one of another name; its kind is that of the member. */
#define JSON_FIELD(type, member) JSON_FIELD_AS(type, #member, member)
#define JSON_FIELD_AS(type, key, member)                                                                               \
    {                                                                                                                  \
        key, JSON_KIND_OF(((type *)0)->member), offsetof(type, member)                                                 \
    }

#define JSON_KIND_OF(value)                                                                                            \
    _Generic((value),                                                                                                  \
        uint64_t: JSON_UINT64,                                                                                         \
        uint32_t: JSON_UINT32,                                                                                         \
        int64_t: JSON_INT64,                                                                                           \
        int32_t: JSON_INT32,                                                                                           \
        double: JSON_DOUBLE,                                                                                           \
        bool: JSON_BOOL,                                                                                               \
        tbus_money_t: JSON_MONEY,                                                                                      \
        const char *: JSON_STRING,                                                                                     \
        char *: JSON_ARRAY,                                                                                            \
        tbus_distribution_t: JSON_DISTRIBUTION)

void json_put_fields(struct json *json, const void *figures, const struct json_field *fields, size_t count);

#define JSON_PUT_FIELDS(json, figures, fields) json_put_fields(json, figures, fields, sizeof(fields) / sizeof *(fields))

/* An object with just these fields. */
void json_put_object(struct json *json, const char *key, const void *figures, const struct json_field *fields,
                     size_t count);

#define JSON_PUT_OBJECT(json, key, figures, fields)                                                                    \
    json_put_object(json, key, figures, fields, sizeof(fields) / sizeof *(fields))

/* Which rows of a list; NULL in its place, or all zeroes, are all of them. */
struct json_filter {
    const char *model, *endpoint, *subject; /* NULL = any */
    int scope;                              /* of budgets, from 1 on: tbus_budget_scope_t + 1; 0 = any */
    int window;                             /* of burn rates, likewise: tbus_burn_window_t + 1 */
    size_t limit;                           /* of each list: the first so many of those that match; 0 = all */
};

/* A list of structs, as an array of objects. */
struct json_list {
    const void *rows;
    size_t count, bytes;
    const struct json_field *fields; /* the first may be a string, the row's name */
    size_t fields_count;
    /* What no table tells; may be NULL. `filter` is the list's, and may be NULL as well. */
    void (*put_more)(struct json *json, const void *row, const struct json_filter *filter);
    const struct json_filter *filter;
    const char *only; /* rows of this name; NULL = of any */
    size_t limit;     /* 0 = all */
};

#define JSON_ROWS(list, list_count, list_fields)                                                                       \
    .rows = list, .count = list_count, .bytes = sizeof *(list), .fields = list_fields,                                 \
    .fields_count = sizeof(list_fields) / sizeof *(list_fields)

void json_put_list(struct json *json, const char *key, const struct json_list *list);

#endif
