#include "exporters/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/digits.h"
#include "trackers/utf8.h"

enum { FIRST_ROOM = 1024 };

bool text_reserve(struct text *text, size_t more)
{
    if (text->failed || more >= SIZE_MAX / 4 - text->length)
        text->failed = true;
    if (!text->failed && text->length + more < text->room)
        return true;
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

void text_add_uint(struct text *text, uint64_t number)
{
    char digits[24];
    text_add_bytes(text, digits, digits_of_uint(number, digits));
}

void text_add_int(struct text *text, int64_t number)
{
    char digits[24];
    text_add_bytes(text, digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, number));
}

/* Digits as the locale writes them, to digits with a point. */
static size_t unlocalize(char *digits)
{
    size_t kept = 0;
    for (const char *at = digits; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == 'e';
        if (plain)
            digits[kept++] = *at;
        else if (kept == 0 || digits[kept - 1] != '.')
            digits[kept++] = '.';
    }
    return kept;
}

size_t text_double(double number, char digits[TEXT_DOUBLE_BYTES])
{
    if (isnan(number) || isinf(number)) {
        strcpy(digits, isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf");
        return strlen(digits);
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, TEXT_DOUBLE_BYTES, "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    return unlocalize(digits);
}

void text_add_double(struct text *text, double number)
{
    char digits[TEXT_DOUBLE_BYTES];
    text_add_bytes(text, digits, isfinite(number) ? digits_of_double(number, digits) : text_double(number, digits));
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

/* How many bytes stand there as they are shown: ASCII without escapes. */
static size_t plain_length(const char *at)
{
    const char *end = at;
    while ((signed char)*end > 0 && *end != '\\' && *end != '"' && *end != '\n')
        end++;
    return (size_t)(end - at);
}

void text_add_label(struct text *text, const char *value)
{
    const char *at = value ? value : "";
    for (;;) {
        const size_t plain = plain_length(at);
        text_add_bytes(text, at, plain);
        at += plain;
        if (!*at)
            return;
        const unsigned length = utf8_length(at);
        const char *escape = escape_of(*at);
        if (escape)
            text_add(text, escape);
        else if (length == 0)
            text_add(text, UTF8_REPLACEMENT);
        else
            text_add_bytes(text, at, length);
        at += length ? length : 1;
    }
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
