#include "exporters/web_accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { WEIGHT_MAX = 1000, UNKNOWN = -1 };

/* A piece of a header's value: `begin` to `end`, without blanks around it. */
struct piece {
    const char *begin, *end;
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct piece trimmed(const char *begin, const char *end)
{
    while (begin < end && is_blank(*begin))
        begin++;
    while (end > begin && is_blank(end[-1]))
        end--;
    return (struct piece){begin, end};
}

/* Takes the piece up to the next separator that is not inside quotes, and moves on behind it. */
static bool next_piece(const char **at, const char *end, char separator, struct piece *ret)
{
    bool quoted = false;
    const char *begin = *at, *stop = begin;
    if (begin > end)
        return false;
    for (; stop < end && (quoted || *stop != separator); stop++) {
        if (*stop == '"')
            quoted = !quoted;
        else if (quoted && *stop == '\\' && stop + 1 < end)
            stop++;
    }
    *ret = trimmed(begin, stop);
    *at = stop + 1;
    return true;
}

static bool equals(struct piece piece, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(piece.end - piece.begin) == length && strncasecmp(piece.begin, text, length) == 0;
}

/* The same of a parameter's value: a token, or a quoted string that may have escapes (RFC 9110, 5.6.6). */
static bool value_equals(struct piece value, const char *text)
{
    if (value.begin == value.end || *value.begin != '"')
        return equals(value, text);
    const char *at = value.begin + 1, *end = value.end - 1;
    if (end < at || *end != '"')
        return false;
    for (; at < end && *text; at++, text++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        if (*at != *text)
            return false;
    }
    return at == end && !*text;
}

/* Whether it begins so; then it is shortened by that. */
static bool skip(struct piece *piece, const char *text)
{
    size_t length = strlen(text);
    if ((size_t)(piece->end - piece->begin) < length || strncasecmp(piece->begin, text, length) != 0)
        return false;
    piece->begin += length;
    return true;
}

/* "0.75" is 750, with at most three digits behind the point; UNKNOWN for what is no weight. */
static int weight_of(struct piece text)
{
    if (text.begin == text.end || (*text.begin != '0' && *text.begin != '1'))
        return UNKNOWN;
    int weight = (*text.begin - '0') * WEIGHT_MAX, unit = WEIGHT_MAX / 10;
    const char *at = text.begin + 1;
    if (at < text.end && *at++ != '.')
        return UNKNOWN;
    for (; at < text.end; at++, unit /= 10) {
        if (*at < '0' || *at > '9' || unit == 0)
            return UNKNOWN;
        weight += (*at - '0') * unit;
    }
    return weight <= WEIGHT_MAX ? weight : UNKNOWN;
}

/* An element of such a header: a name with its parameters, of which two mean something to us. */
struct element {
    struct piece name, version;
    int weight;
};

static bool next_element(const char **at, const char *end, struct element *ret)
{
    struct piece whole, part;
    if (!next_piece(at, end, ',', &whole))
        return false;
    const char *inside = whole.begin;
    *ret = (struct element){.weight = WEIGHT_MAX};
    (void)next_piece(&inside, whole.end, ';', &ret->name);
    while (next_piece(&inside, whole.end, ';', &part)) {
        if (skip(&part, "q="))
            ret->weight = weight_of(part);
        else if (skip(&part, "version="))
            ret->version = part;
    }
    return true;
}

/* How closely an element describes a kind: 0 = not at all, 1 = as anything, ... */
static int closeness(const struct element *element, const struct web_media *media)
{
    const char *slash = strchr(media->type, '/');
    if (equals(element->name, "*/*"))
        return 1;
    struct piece subtype = element->name;
    size_t group = (size_t)(slash - media->type) + 1;
    if ((size_t)(subtype.end - subtype.begin) <= group || strncasecmp(subtype.begin, media->type, group) != 0)
        return 0;
    subtype.begin += group;
    if (equals(subtype, "*"))
        return 2;
    if (!equals(subtype, slash + 1))
        return 0;
    if (!element->version.begin || !media->version)
        return 3;
    return value_equals(element->version, media->version) ? 4 : 0;
}

static int weight_of_media(const char *accept, const struct web_media *media)
{
    const char *end = accept + strlen(accept);
    int closest = 0, weight = 0;
    struct element element;
    while (next_element(&accept, end, &element)) {
        int close = element.weight == UNKNOWN ? 0 : closeness(&element, media);
        if (close > closest || (close > 0 && close == closest && element.weight > weight)) {
            closest = close;
            weight = element.weight;
        }
    }
    return weight;
}

static bool is_empty(const char *value)
{
    return value[strspn(value, " \t,")] == '\0';
}

int web_accept_media(const char *accept, const struct web_media *const *offers, size_t count)
{
    int best = -1, most = 0;
    if (is_empty(accept))
        return count > 0 ? 0 : -1;
    for (size_t i = 0; i < count; i++) {
        int weight = weight_of_media(accept, offers[i]);
        if (weight > most) {
            most = weight;
            best = (int)i;
        }
    }
    return best;
}

struct web_codings web_accept_codings(const char *accept_encoding)
{
    const char *at = accept_encoding, *end = at + strlen(at);
    int identity = UNKNOWN, gzip = UNKNOWN, others = UNKNOWN;
    struct element element;
    while (next_element(&at, end, &element)) {
        if (element.weight == UNKNOWN)
            continue;
        if (equals(element.name, "gzip") || equals(element.name, "x-gzip"))
            gzip = element.weight;
        else if (equals(element.name, "identity"))
            identity = element.weight;
        else if (equals(element.name, "*"))
            others = element.weight;
    }
    /* What is not named is as "*" says; where there is none, gzip is unwelcome, and the plain document is welcome,
     * though least of all. */
    struct web_codings codings;
    codings.gzip = gzip != UNKNOWN ? gzip : others != UNKNOWN ? others : 0;
    codings.identity = identity != UNKNOWN ? identity : others != UNKNOWN ? others : 1;
    return codings;
}
