/* Values for jansson that take whatever a tracker holds, and the text that a document becomes. A value without memory is
 * NULL, and so is what json_pack() makes with it. */
#ifndef EXPORTERS_JSON_VALUE_H
#define EXPORTERS_JSON_VALUE_H

#include <jansson.h>
#include <stdint.h>

#include <tallybus/base.h>

/* What is not UTF-8 becomes U+FFFD; NULL is null. */
json_t *json_value_text(const char *text);

/* What is not finite is null: JSON has no other word for it. */
json_t *json_value_double(double number);

/* Numbers past 2^63 - 1 are that. */
json_t *json_value_count(uint64_t count);

/* An array of the values that `make` makes of `count` elements, `size` bytes each. */
typedef json_t *(*json_value_make)(const void *element);
json_t *json_value_array(const void *elements, size_t count, size_t size, json_value_make make);

/* Takes a document (NULL: there was no memory for it) and gives out its text, to be freed with tbus_mem_free(). Errors:
 * UV_ENOMEM. */
int json_value_print(json_t *document, char **ret_text);

#endif
