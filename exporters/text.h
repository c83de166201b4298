/* A text that grows. An allocation that fails marks it, drops what is added from then on, and is told once, by
 * text_take(). */
#ifndef EXPORTERS_TEXT_H
#define EXPORTERS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tallybus/base.h>

struct text {
    char *bytes;
    size_t length, room; /* both 0 once it has failed */
    bool failed;
};

/* Makes room for `more` bytes and a NUL. */
bool text_reserve(struct text *text, size_t more);

static inline void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    if (text->room - text->length <= length && !text_reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static inline void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_add_uint(struct text *text, uint64_t number);
void text_add_int(struct text *text, int64_t number);

/* As Prometheus writes it: the shortest digits that give the same double back, NaN, +Inf, -Inf; a point whatever the
 * locale. */
void text_add_double(struct text *text, double number);

#define TEXT_DOUBLE_BYTES 40

/* The same digits, without a NUL, for those who write elsewhere. Returns their length. */
size_t text_double(double number, char digits[TEXT_DOUBLE_BYTES]);

/* A label's value, escaped for Prometheus; what is not UTF-8 becomes U+FFFD. NULL counts as "". */
void text_add_label(struct text *text, const char *value);

/* Orders labels by how text_add_label() shows them: 0 = alike, though their bytes may differ. */
int text_compare_labels(const char *left, const char *right);

/* Hands out the text, NUL-terminated, to be freed with tbus_mem_free(). Errors: UV_ENOMEM (everything is freed). */
int text_take(struct text *text, char **ret_text);

#endif
