/* Numbers of a JSON text as their own text. A JSON library reads 7.5e-08 into a double, and then it is no longer 75,000
 * units of 1e-12 USD; as a string it passes unharmed. */
#ifndef EXPORTERS_JSON_NUMBERS_H
#define EXPORTERS_JSON_NUMBERS_H

#include <stddef.h>

/* Where a text is malformed: both count from 1, columns in bytes. */
struct json_place {
    size_t line, column;
};

/* Copies a JSON text with each number put in quotes, NUL-terminated, to be freed with tbus_mem_free(). Only numbers are
 * looked at (and strings, to pass over them): the rest is for the parser to judge, and lines stay lines.
 * Errors: UV_EINVAL (what begins like a number is none, or one stands as a key: `*ret_place` says where, `*ret_what`
 * is a sentence's end), UV_ENOMEM. */
int json_quote_numbers(const char *text, size_t length, char **ret_text, size_t *ret_length,
                       struct json_place *ret_place, const char **ret_what);

#endif
