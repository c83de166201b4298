#include "exporters/web_query.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/span.h"
#include "trackers/utf8.h"

enum { BAD_REQUEST = 400, QUOTED_BYTES = 64 };

int web_fault_set(struct web_fault *fault, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->message, sizeof fault->message, format, arguments);
    va_end(arguments);
    return fault->status = status;
}

/* --- Escapes --- */

static int digit_of(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The byte of "%XX", or 0: neither an escape that is none nor one of a NUL is let through. */
static char unescaped(const char *at)
{
    int high = digit_of(at[1]), low = high < 0 ? -1 : digit_of(at[2]);
    return low < 0 ? '\0' : (char)(high << 4 | low);
}

bool web_decode(char *text, bool plus_is_blank)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        char byte = *at;
        if (byte <= ' ' || byte >= 0x7F) /* where char is signed, bytes past ASCII are below the blank */
            return false;
        if (byte == '%') {
            byte = unescaped(at);
            if (!byte)
                return false;
            at += 2;
        } else if (byte == '+' && plus_is_blank) {
            byte = ' ';
        }
        *to++ = byte;
    }
    *to = '\0';
    return true;
}

/* --- Values --- */

static bool read_integer(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + negative;
    text += negative;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (magnitude > (limit - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

static int refuse_integer(const struct web_parameter *parameter, const char *text, struct web_fault *fault)
{
    return web_fault_set(fault, BAD_REQUEST,
                         "'%s' wants a whole number from %" PRId64 " to %" PRId64 ", and got '%.*s'", parameter->name,
                         parameter->min, parameter->max, QUOTED_BYTES, text);
}

static int refuse_text(const struct web_parameter *parameter, struct web_fault *fault)
{
    return web_fault_set(fault, BAD_REQUEST, "'%s' wants a text of %" PRId64 " to %" PRId64 " bytes of UTF-8",
                         parameter->name, parameter->min, parameter->max);
}

/* "'a', 'b' or 'c'", into the fault's message. */
static int refuse_choice(const struct web_parameter *parameter, const char *text, struct web_fault *fault)
{
    char names[WEB_MESSAGE_BYTES];
    struct span list = {.bytes = names, .room = sizeof names - 1};
    for (size_t i = 0; parameter->choices[i]; i++) {
        if (i > 0)
            span_add_text(&list, parameter->choices[i + 1] ? ", " : " or ");
        span_add_char(&list, '\'');
        span_add_text(&list, parameter->choices[i]);
        span_add_char(&list, '\'');
    }
    names[list.length < list.room ? list.length : list.room] = '\0';
    return web_fault_set(fault, BAD_REQUEST, "'%s' wants %s, and got '%.*s'", parameter->name, names, QUOTED_BYTES,
                         text);
}

static int read_value(const struct web_parameter *parameter, char *text, struct web_value *value,
                      struct web_fault *fault)
{
    value->is_given = true;
    value->text = text;
    switch (parameter->kind) {
    case WEB_INTEGER:
        if (!read_integer(text, &value->number) || value->number < parameter->min || value->number > parameter->max)
            return refuse_integer(parameter, text, fault);
        return 0;
    case WEB_CHOICE:
        for (size_t i = 0; parameter->choices[i]; i++) {
            value->number = (int64_t)i;
            if (strcmp(parameter->choices[i], text) == 0)
                return 0;
        }
        return refuse_choice(parameter, text, fault);
    case WEB_TEXT: {
        int64_t length = (int64_t)strlen(text);
        return length < parameter->min || length > parameter->max || !utf8_is_whole(text)
                   ? refuse_text(parameter, fault)
                   : 0;
    }
    }
    return 0;
}

/* --- All of them --- */

static int refuse_name(const struct web_parameter *parameters, const char *name, struct web_fault *fault)
{
    char names[WEB_MESSAGE_BYTES] = "";
    struct span list = {.bytes = names, .room = sizeof names - 1};
    for (size_t i = 0; parameters && parameters[i].name; i++) {
        if (i > 0)
            span_add_text(&list, ", ");
        span_add_text(&list, parameters[i].name);
    }
    return web_fault_set(fault, BAD_REQUEST, "there is no parameter '%.*s' here; there %s%s", QUOTED_BYTES, name,
                         list.length ? "is: " : "is none", names);
}

static int read_pair(char *pair, const struct web_parameter *parameters, struct web_value *values,
                     struct web_fault *fault)
{
    char *text = strchr(pair, '=');
    if (text)
        *text++ = '\0';
    else
        text = pair + strlen(pair);
    if (!web_decode(pair, true) || (*text && !web_decode(text, true)))
        return web_fault_set(fault, BAD_REQUEST, "a parameter has a byte or a %%-escape that a URL can not have");
    for (size_t i = 0; parameters && parameters[i].name; i++) {
        assert(i < WEB_PARAMETERS_MAX);
        if (strcmp(parameters[i].name, pair) != 0)
            continue;
        if (values[i].is_given)
            return web_fault_set(fault, BAD_REQUEST, "'%s' is given twice", parameters[i].name);
        return read_value(&parameters[i], text, &values[i], fault);
    }
    return refuse_name(parameters, pair, fault);
}

int web_query_read(char *query, const struct web_parameter *parameters, struct web_value values[WEB_PARAMETERS_MAX],
                   struct web_fault *ret_fault)
{
    memset(values, 0, WEB_PARAMETERS_MAX * sizeof *values);
    for (size_t i = 0; parameters && parameters[i].name; i++)
        values[i].number = parameters[i].absent;
    int status = 0;
    while (query && status == 0) {
        char *pair = query;
        query = strchr(query, '&');
        if (query)
            *query++ = '\0';
        if (*pair)
            status = read_pair(pair, parameters, values, ret_fault);
    }
    for (size_t i = 0; parameters && parameters[i].name && status == 0; i++)
        if (parameters[i].is_required && !values[i].is_given)
            status = web_fault_set(ret_fault, BAD_REQUEST, "'%s' is not given", parameters[i].name);
    return status;
}
