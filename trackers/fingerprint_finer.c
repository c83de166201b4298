/* The finer replacements: one pass from left to right, trying at each byte what may begin there, in the order that
 * fingerprint.h tells.
 *
 * Linear time: a match may fail only after it has looked at a bounded number of bytes, or at the rest of a run of bytes
 * in whose middle no match of its kind may begin (numbers, hashes), or at a quoted text's line up to the next quote,
 * which is looked at once more at most. So each byte is looked at a bounded number of times. */
#include <assert.h>
#include <string.h>

#include "trackers/fingerprint_text.h"

/* Where a match begins, and what came before: NUL at the beginning of the message. */
struct place {
    text_t at;
    unsigned char before;
};

/* Each finds where the match that begins at a place ends; NULL = there is none. */
typedef text_t (*match_fn)(struct place place);

static bool is_digit(unsigned char c)
{
    return fingerprint_classes[c] & DIGIT;
}

static bool is_hex(unsigned char c)
{
    return fingerprint_classes[c] & HEX;
}

static bool is_alnum(unsigned char c)
{
    return fingerprint_classes[c] & ALNUM;
}

static bool is_letter(unsigned char c)
{
    return is_alnum(c) && !is_digit(c);
}

static bool is_one_of(unsigned char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

static text_t skip_digits(text_t at)
{
    while (is_digit(*at))
        at++;
    return at;
}

/* --- Quoted text, URL, e-mail --- */

static text_t match_quoted(struct place place)
{
    unsigned char quote = *place.at;
    bool alone = quote == '\''; /* else it is an apostrophe */
    text_t at = place.at + 1;

    if (!is_one_of(quote, "\"'`") || (alone && is_alnum(place.before)))
        return NULL;
    while (*at && *at != quote && *at != '\n')
        at++;
    if (*at != quote || (alone && is_alnum(at[1])))
        return NULL;
    return at + 1;
}

static bool is_of_scheme(unsigned char c)
{
    return is_alnum(c) || is_one_of(c, "+.-");
}

static text_t match_url(struct place place)
{
    enum { SCHEME_MAX = 16 };
    text_t at = place.at, end = NULL;

    if (!is_letter(*at) || is_of_scheme(place.before))
        return NULL;
    while (at - place.at < SCHEME_MAX && is_of_scheme(*at))
        at++;
    if (at - place.at < 2 || at[0] != ':' || at[1] != '/' || at[2] != '/')
        return NULL;
    for (at += 3; *at > ' ' && !is_one_of(*at, "\"'`<>"); at++) {
        if (!is_one_of(*at, ".,;:!?)]}"))
            end = at + 1;
    }
    return end;
}

static bool is_of_mailbox(unsigned char c)
{
    return is_alnum(c) || is_one_of(c, "._%+-");
}

static text_t skip_label(text_t at)
{
    enum { LABEL_MAX = 63 };
    text_t begin = at;

    while (at - begin < LABEL_MAX && (is_alnum(*at) || *at == '-'))
        at++;
    return at;
}

static text_t match_email(struct place place)
{
    enum { MAILBOX_MAX = 64 };
    text_t at = place.at, label;

    if (!is_of_mailbox(*at) || is_of_mailbox(place.before))
        return NULL;
    while (at - place.at < MAILBOX_MAX && is_of_mailbox(*at))
        at++;
    if (*at != '@')
        return NULL;
    label = at + 1;
    at = skip_label(label);
    text_t first_end = at;
    while (at > label && *at == '.' && skip_label(at + 1) > at + 1) {
        label = at + 1;
        at = skip_label(label);
    }
    return at > first_end ? at : NULL;
}

/* --- Ids, as in the plain rules --- */

static text_t match_uuid(struct place place)
{
    return uuid_at(place.at) ? place.at + UUID_BYTES : NULL;
}

static text_t match_request(struct place place)
{
    text_t at = place.at;

    if (at[0] != 'r' || at[1] != 'e' || at[2] != 'q' || at[3] != '-' || !is_alnum(at[4]))
        return NULL;
    for (at += 4; is_alnum(*at);)
        at++;
    return at;
}

static text_t match_address(struct place place)
{
    text_t at = place.at;

    if (at[0] != '0' || at[1] != 'x' || !is_hex(at[2]))
        return NULL;
    for (at += 2; is_hex(*at);)
        at++;
    return at;
}

static text_t match_number(struct place place)
{
    return is_digit(*place.at) ? skip_digits(place.at) : NULL;
}

/* --- Date and time --- */

/* Behind what a shape asks for, where '0' stands for any digit; NULL = something else is there. */
static text_t shaped(text_t at, const char *shape)
{
    for (; *shape; shape++, at++) {
        if (*shape == '0' ? !is_digit(*at) : *at != (unsigned char)*shape)
            return NULL;
    }
    return at;
}

/* A fraction, if there is one. */
static text_t skip_fraction(text_t at)
{
    return (*at == '.' || *at == ',') && is_digit(at[1]) ? skip_digits(at + 1) : at;
}

static text_t skip_offset(text_t at)
{
    text_t end = NULL;

    if (*at == 'Z')
        return at + 1;
    if (*at == '+' || *at == '-') {
        end = shaped(at + 1, "00:00");
        if (!end)
            end = shaped(at + 1, "0000");
    }
    return end ? end : at;
}

static text_t match_date(struct place place)
{
    text_t at = is_digit(place.before) ? NULL : shaped(place.at, "0000-00-00"), end;

    if (!at || is_digit(*at))
        return NULL;
    end = *at == 'T' || *at == ' ' ? shaped(at + 1, "00:00") : NULL;
    if (!end)
        return at;
    at = end;
    end = shaped(at, ":00");
    return skip_offset(end ? skip_fraction(end) : at);
}

static text_t match_time(struct place place)
{
    text_t at = is_digit(place.before) || place.before == ':' ? NULL : shaped(place.at, "00:00:00");

    if (!at || is_digit(*at) || *at == ':')
        return NULL;
    return skip_fraction(at);
}

/* --- IP addresses --- */

static text_t match_ipv4(struct place place)
{
    text_t at = place.at;

    if (is_digit(place.before) || place.before == '.')
        return NULL;
    for (unsigned part = 0; part < 4; part++) {
        text_t begin = part > 0 ? at + 1 : at;
        if (part > 0 && *at != '.')
            return NULL;
        for (at = begin; at - begin < 3 && is_digit(*at);)
            at++;
        if (at == begin)
            return NULL;
    }
    return is_digit(*at) || (*at == '.' && is_digit(at[1])) ? NULL : at;
}

static bool is_of_ipv6(unsigned char c)
{
    return is_hex(c) || c == ':' || c == '.';
}

static text_t match_ipv6(struct place place)
{
    enum { IPV6_MAX = 45 };
    char text[IPV6_MAX + 1];
    unsigned char address[16];
    bool digit = false;
    size_t length = 0;

    if (!(is_hex(*place.at) || *place.at == ':') || is_alnum(place.before) || is_one_of(place.before, ":."))
        return NULL;
    for (; length < IPV6_MAX && is_of_ipv6(place.at[length]); length++) {
        text[length] = (char)place.at[length];
        digit |= is_hex(place.at[length]);
    }
    if (is_of_ipv6(place.at[length]) || is_alnum(place.at[length]) || !digit)
        return NULL;
    while (length > 0 && text[length - 1] == '.')
        length--;
    if (length > 1 && text[length - 1] == ':' && text[length - 2] != ':')
        length--;
    text[length] = '\0';
    return strchr(text, ':') && uv_inet_pton(AF_INET6, text, address) == 0 ? place.at + length : NULL;
}

static text_t match_ip(struct place place)
{
    text_t end = match_ipv6(place);
    return end ? end : match_ipv4(place);
}

/* --- Hashes, durations --- */

static text_t match_hash(struct place place)
{
    enum { HASH_LEAST = 16 };
    bool letter = false;
    text_t at = place.at;

    if (is_alnum(place.before))
        return NULL;
    for (; is_hex(*at); at++)
        letter |= !is_digit(*at);
    return letter && at - place.at >= HASH_LEAST && !is_alnum(*at) ? at : NULL;
}

/* Units that others may follow, as in 1h2m3s. */
static const char *const short_units[] = {"h", "m", "s", "ms", "us", "\xc2\xb5s", "\xce\xbcs", "ns"};
static const char *const long_units[] = {
    "d",       "day",         "days",         "hr",          "hrs",          "hour",       "hours",
    "min",     "mins",        "minute",       "minutes",     "sec",          "secs",       "second",
    "seconds", "millisecond", "milliseconds", "microsecond", "microseconds", "nanosecond", "nanoseconds"};

/* Behind a unit of a list that all letters here make up; NULL = they make up none. */
static text_t unit_of(text_t at, const char *const *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(units[i]);
        if (strncmp((const char *)at, units[i], length) == 0 && !is_letter(at[length]))
            return at + length;
    }
    return NULL;
}

static text_t match_duration(struct place place)
{
    text_t at = place.at, unit;

    if (!is_digit(*at) || is_alnum(place.before) || place.before == '.' || place.before == '_')
        return NULL;
    for (;;) {
        at = skip_digits(at);
        if (*at == '.' && is_digit(at[1]))
            at = skip_digits(at + 1);
        unit = unit_of(at, short_units, sizeof short_units / sizeof *short_units);
        if (!unit || !is_digit(*unit))
            break;
        at = unit;
    }
    at += *at == ' ';
    unit = unit_of(at, short_units, sizeof short_units / sizeof *short_units);
    if (!unit)
        unit = unit_of(at, long_units, sizeof long_units / sizeof *long_units);
    return unit && !is_alnum(*unit) && *unit != '_' ? unit : NULL;
}

/* --- All of them --- */

/* What a match may begin with. */
enum {
    QUOTE = 1,
    LETTER = 2,
    HEX_LETTER = 4,
    NUMERAL = 8,
    COLON = 16,
    MARK = 32, /* of a mailbox: . _ % + - */
    ANY_LETTER = LETTER | HEX_LETTER
};

/* In the order in which they are tried. */
static const struct {
    match_fn match;
    const char *token;
    unsigned begins;
    bool at_word; /* never behind a letter or digit */
} rules[] = {
    {match_quoted, "<QUOTED>", QUOTE, false},
    {match_url, "<URL>", ANY_LETTER, true},
    {match_email, "<EMAIL>", ANY_LETTER | NUMERAL | MARK, true},
    {match_uuid, "<UUID>", HEX_LETTER | NUMERAL, false},
    {match_request, "<REQUEST_ID>", LETTER, false},
    {match_date, "<DATE>", NUMERAL, false},
    {match_time, "<TIME>", NUMERAL, false},
    {match_ip, "<IP>", HEX_LETTER | NUMERAL | COLON, false},
    {match_hash, "<HASH>", HEX_LETTER | NUMERAL, true},
    {match_address, "<ADDR>", NUMERAL, false},
    {match_duration, "<DURATION>", NUMERAL, true},
    {match_number, "<NUM>", NUMERAL, false},
};

static unsigned beginning_of(unsigned char c)
{
    if (is_digit(c))
        return NUMERAL;
    if (is_alnum(c))
        return is_hex(c) ? HEX_LETTER : LETTER;
    return c == ':' ? COLON : is_one_of(c, "\"'`") ? QUOTE : is_one_of(c, "._%+-") ? MARK : 0;
}

static text_t match_any(struct place place, const char **ret_token)
{
    unsigned beginning = beginning_of(*place.at);
    bool in_word = is_alnum(place.before);

    if (beginning == 0 || (beginning == LETTER && in_word && *place.at != 'r'))
        return NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        text_t end = (rules[i].begins & beginning) && !(rules[i].at_word && in_word) ? rules[i].match(place) : NULL;
        if (end) {
            *ret_token = rules[i].token;
            return end;
        }
    }
    return NULL;
}

size_t tbus_error_normalize_finer(const char *message, char normalized[TBUS_NORMALIZED_BYTES])
{
    struct place place = {.at = (text_t)(message ? message : "")};
    struct output out = {.at = normalized};

    if (!normalized)
        return 0;
    while (out.points < FINGERPRINT_POINTS_MAX && *place.at) {
        const char *token;
        text_t end = match_any(place, &token);
        if (end)
            put_token(&out, token);
        else
            end = copy_point(&out, place.at);
        place.before = end[-1];
        place.at = end;
    }
    *out.at = '\0';
    assert(out.at - normalized < TBUS_NORMALIZED_BYTES);
    return (size_t)(out.at - normalized);
}
