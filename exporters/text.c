#include "exporters/text.h"

#include <string.h>

#include "trackers/utf8.h"

enum { FIRST_ROOM = 1024 };

bool text_grow(struct text *text, size_t more)
{
    if (text->failed || more >= SIZE_MAX / 4 - text->length)
        text->failed = true;
    size_t room = text->room ? text->room : FIRST_ROOM;
    while (!text->failed && room < text->length + more + 1)
        room *= 2;
    char *bytes = text->failed ? NULL : tbus_mem_resize(text->bytes, room);
    if (!bytes) { /* nothing finds room from now on */
        tbus_mem_free(text->bytes);
        *text = (struct text){.failed = true};
        return false;
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

static const char *escape_of(char byte)
{
    switch (byte) {
    case '\\':
        return "\\\\";
    case '"':
        return "\\\"";
    case '\n':
        return "\\n";
    default:
        return NULL;
    }
}

/* ASCII that is not escaped: of most names all bytes, and above '"'. */
static bool is_plain(char byte)
{
    if ((signed char)byte > '"')
        return byte != '\\';
    return (signed char)byte > 0 && byte != '"' && byte != '\n';
}

/* How many bytes stand there as they are shown. */
static size_t plain_length(const char *at)
{
    const char *end = at;
    while (is_plain(*end))
        end++;
    return (size_t)(end - at);
}

static void add_escaped(struct text *text, const char *value, bool escapes_quotes)
{
    const char *at = value ? value : "";
    for (;;) {
        const size_t plain = plain_length(at);
        text_add_bytes(text, at, plain);
        at += plain;
        if (!*at)
            return;
        const unsigned length = utf8_length(at);
        const char *escape = *at != '"' || escapes_quotes ? escape_of(*at) : NULL;
        if (escape)
            text_add(text, escape);
        else if (length == 0)
            text_add(text, UTF8_REPLACEMENT);
        else
            text_add_bytes(text, at, length);
        at += length ? length : 1;
    }
}

void text_add_label(struct text *text, const char *value)
{
    add_escaped(text, value, true);
}

void text_add_help(struct text *text, const char *help)
{
    add_escaped(text, help, false);
}

/* The character that a label shows next, and its length; behind the label's end its NUL. */
static const char *shown_next(const char **at, unsigned *ret_length)
{
    const char *shown = *at;
    unsigned length = utf8_length(shown);
    *at += length ? length : 1;
    *ret_length = length ? length : (unsigned)strlen(UTF8_REPLACEMENT);
    return length ? shown : UTF8_REPLACEMENT;
}

int text_compare_labels(const char *left, const char *right)
{
    while (*left == *right && (signed char)*left > 0) { /* most of the way, of names that differ in their ends */
        left++;
        right++;
    }
    if ((signed char)*left >= 0 && (signed char)*right >= 0)
        return *left - *right;
    for (;;) {
        unsigned left_length, right_length;
        const char *a = shown_next(&left, &left_length), *b = shown_next(&right, &right_length);
        int order = memcmp(a, b, left_length < right_length ? left_length : right_length);
        if (order || *a == '\0')
            return order; /* characters of different lengths differ in their first byte */
    }
}

int text_take(struct text *text, char **ret_text)
{
    if (!text_reserve(text, 0)) {
        *text = (struct text){0};
        return UV_ENOMEM;
    }
    text->bytes[text->length] = '\0';
    *ret_text = text->bytes;
    *text = (struct text){0};
    return 0;
}
