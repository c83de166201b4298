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

/* What text_reserve() does where there is no room yet. */
bool text_grow(struct text *text, size_t more);

/* Makes room for `more` bytes and a NUL. */
static inline bool text_reserve(struct text *text, size_t more)
{
    return (text->room - text->length > more && !text->failed) || text_grow(text, more);
}

static inline void text_add_bytes(struct text *text, const char *bytes, size_t length)
{
    if (!text_reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static inline void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

/* A label's value, escaped for Prometheus; what is not UTF-8 becomes U+FFFD. NULL counts as "". */
void text_add_label(struct text *text, const char *value);

/* The same for a HELP line of Prometheus' text, where quotes stay as they are. (OpenMetrics escapes help as labels.) */
void text_add_help(struct text *text, const char *help);

/* Orders labels by how text_add_label() shows them: 0 = alike, though their bytes may differ. */
int text_compare_labels(const char *left, const char *right);

/* Hands out the text, NUL-terminated, to be freed with tbus_mem_free(). Errors: UV_ENOMEM (everything is freed). */
int text_take(struct text *text, char **ret_text);

#endif
