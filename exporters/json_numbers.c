#include "exporters/json_numbers.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <tallybus/base.h>

struct reader {
    const char *at, *end, *line_start;
    size_t line;
};

static bool is_digit(const struct reader *reader, const char *at)
{
    return at < reader->end && *at >= '0' && *at <= '9';
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* What can not stand right behind a number or a word: with it both would be something else. */
static bool is_word_byte(const struct reader *reader, const char *at)
{
    if (at == reader->end)
        return false;
    return is_digit(reader, at) || (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' ||
           *at == '.' || *at == '+' || *at == '-' || *at == '"' || (unsigned char)*at >= 0x80;
}

static const char *behind_digits(const struct reader *reader, const char *at)
{
    while (is_digit(reader, at))
        at++;
    return at;
}

/* Behind the number that begins here, by JSON's grammar; NULL when it is none. */
static const char *behind_number(const struct reader *reader, const char *at)
{
    if (*at == '-')
        at++;
    if (!is_digit(reader, at))
        return NULL;
    at = *at == '0' ? at + 1 : behind_digits(reader, at);
    if (at < reader->end && *at == '.') {
        if (!is_digit(reader, at + 1))
            return NULL;
        at = behind_digits(reader, at + 1);
    }
    if (at < reader->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < reader->end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(reader, at))
            return NULL;
        at = behind_digits(reader, at);
    }
    return is_word_byte(reader, at) ? NULL : at;
}

/* Behind the string that begins here. One that is not closed in its line takes the rest of the text with it: the parser
 * stops there, and what follows can not be told from strings any more. */
static const char *behind_string(const struct reader *reader)
{
    const char *at = reader->at + 1;
    while (at < reader->end && *at != '"') {
        if (*at == '\n' || (*at == '\\' && ++at == reader->end))
            return reader->end;
        at++;
    }
    return at < reader->end ? at + 1 : at;
}

/* Quotes would make a key of a number that stands where a key must. */
static bool is_key(const struct reader *reader, const char *behind)
{
    while (behind < reader->end && is_blank(*behind))
        behind++;
    return behind < reader->end && *behind == ':';
}

/* The next piece of the text: a number (`*ret_number`), or anything else. Errors: UV_EINVAL. */
static int next_piece(struct reader *reader, const char **ret_behind, bool *ret_number, const char **ret_what)
{
    const char *at = reader->at, *behind = at + 1;

    *ret_number = *at == '-' || is_digit(reader, at);
    if (*at == '"') {
        behind = behind_string(reader);
    } else if (*ret_number) {
        behind = behind_number(reader, at);
        *ret_what = !behind ? "not a number" : "a number can not be a key";
        if (!behind || is_key(reader, behind))
            return UV_EINVAL;
    } else if (is_word_byte(reader, at)) {
        while (is_word_byte(reader, behind) && *behind != '"')
            behind++; /* a word with digits in it stays one, and the parser knows no such word */
    } else if (*at == '\n') {
        reader->line++;
        reader->line_start = behind;
    }
    *ret_behind = behind;
    return 0;
}

/* Walks over the text; writes it to `to` unless that is NULL, which only counts what it takes. */
static int walk(const char *text, size_t length, char *to, size_t *ret_length, struct json_place *ret_place,
                const char **ret_what)
{
    struct reader reader = {.at = text, .end = text + length, .line_start = text, .line = 1};
    size_t written = 0;

    while (reader.at < reader.end) {
        const char *behind = NULL;
        bool number;
        if (next_piece(&reader, &behind, &number, ret_what) != 0) {
            *ret_place = (struct json_place){reader.line, (size_t)(reader.at - reader.line_start) + 1};
            return UV_EINVAL;
        }
        size_t bytes = (size_t)(behind - reader.at);
        if (to && number)
            to[written] = to[written + 1 + bytes] = '"';
        if (to)
            memcpy(to + written + number, reader.at, bytes);
        written += bytes + (number ? 2 : 0);
        reader.at = behind;
    }
    *ret_length = written;
    return 0;
}

int json_quote_numbers(const char *text, size_t length, char **ret_text, size_t *ret_length,
                       struct json_place *ret_place, const char **ret_what)
{
    size_t bytes = 0, written = 0;
    int error = walk(text, length, NULL, &bytes, ret_place, ret_what);
    if (error)
        return error;
    char *quoted = tbus_mem_alloc(bytes + 1);
    if (!quoted)
        return UV_ENOMEM;
    error = walk(text, length, quoted, &written, ret_place, ret_what);
    assert(error == 0 && written == bytes);
    (void)error;
    quoted[written] = '\0';
    *ret_text = quoted;
    *ret_length = written;
    return 0;
}
