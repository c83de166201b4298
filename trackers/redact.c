#include "trackers/redact.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || is_lower(c) || is_upper(c);
}

/* What keys and tokens are written with (base64 of both kinds, JWT), the brackets of replacements, and the asterisks of
 * those who masked a part of a key themselves. */
static bool is_secret(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("-_.~+/=<>*", c));
}

/* Keys that begin with a word of their maker's; `?` is any letter. */
static const struct {
    const char *prefix;
    size_t least; /* characters behind it, below which it may well be something else */
} prefixes[] = {
    {"sk-", 1}, /* OpenAI, Anthropic, DeepSeek, ... */
    {"sk_live_", 1},    {"rk_live_", 1}, {"AKIA", 4}, {"ASIA", 4}, {"AIza", 4},  {"ghp_", 1},
    {"gho_", 1},        {"ghu_", 1},     {"ghs_", 1}, {"ghr_", 1}, {"xox?-", 1}, {"glpat-", 1},
    {"github_pat_", 1}, {"gsk_", 16},    {"hf_", 16}, {"eyJ", 16}, /* JWT */
};

/* What keys are assigned to, in lower case; `_` stands for '_', '-', ' ' or nothing. Longer ones may end so: X-Api-Key,
 * OPENAI_API_KEY. */
static const char *const names[] = {"api_key", "access_key", "secret_key", "token", "secret", "password", "passwd"};

enum { VALUE_LEAST = 8, VALUE_SURELY = 20 };

/* First letters of all the above and of "bearer", both cases where both count: a word that begins with another can not
 * introduce a secret. */
static bool may_introduce(char c)
{
    return c != '\0' && strchr("sSrAagxhebBtTpP", c);
}

static size_t after_prefix(const char *text, const char *prefix)
{
    size_t length = 0;

    for (; prefix[length]; length++) {
        if (prefix[length] == '?' ? !is_lower(text[length]) : text[length] != prefix[length])
            return 0;
    }
    return length;
}

static size_t after_name(const char *text, const char *name)
{
    size_t length = 0;

    for (; *name; name++) {
        if (*name == '_')
            length += text[length] == '_' || text[length] == '-' || text[length] == ' ';
        else if ((text[length++] | 0x20) != *name)
            return 0;
    }
    return length;
}

/* Behind a name: what stands between it and its value; 0 = nothing is assigned. */
static size_t assignment_length(const char *text)
{
    size_t length = 0;
    bool assigns = false;

    for (; text[length] && strchr(" \t\"'`\\=:", text[length]); length++)
        assigns |= text[length] == '=' || text[length] == ':';
    return assigns ? length : 0;
}

static size_t secret_length(const char *text)
{
    size_t length = 0;
    while (is_secret(text[length]))
        length++;
    return length;
}

/* Whether the value of a name looks like a secret. Looks at a bounded part of it. */
static bool is_telling(const char *value)
{
    bool digit = false, upper = false, lower = false;
    size_t length = 0;

    for (; length < VALUE_SURELY && is_secret(value[length]); length++) {
        digit |= is_digit(value[length]) || value[length] == '<';
        upper |= is_upper(value[length]);
        lower |= is_lower(value[length]);
    }
    return length >= VALUE_SURELY || (length >= VALUE_LEAST && (digit || (upper && lower)));
}

/* Whether the text ends with the value, and might have gone on. */
static bool ends_with(const char *value)
{
    size_t length = 0;
    while (length < VALUE_SURELY && is_secret(value[length]))
        length++;
    return length > 0 && value[length] == '\0';
}

static size_t after_bearer(const char *text)
{
    size_t word = after_name(text, "bearer"), length = word;

    while (text[length] == ' ' || text[length] == ':')
        length++;
    return word > 0 && length > word && is_secret(text[length]) ? length : 0;
}

/* How much of the text stays as the introduction of a secret that follows at once; 0 = there is none here. */
static size_t secret_after(const char *text, bool cut)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = after_prefix(text, prefixes[i].prefix), have = 0;
        while (length > 0 && have < prefixes[i].least && is_secret(text[length + have]))
            have++;
        if (length > 0 && (have == prefixes[i].least || (cut && ends_with(text + length))))
            return length;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = after_name(text, names[i]), assignment = length ? assignment_length(text + length) : 0;
        const char *value = text + length + assignment;
        if (assignment > 0 && !after_bearer(value) && (is_telling(value) || (cut && ends_with(value))))
            return length + assignment;
    }
    return after_bearer(text);
}

static bool find(const char *text, bool cut, const char **ret_begin, const char **ret_end)
{
    bool in_word = false; /* not behind a secret either: that goes on to the end of its word */

    for (; *text; text++) {
        size_t kept = in_word || !may_introduce(*text) ? 0 : secret_after(text, cut);
        if (kept > 0) {
            *ret_begin = text + kept;
            *ret_end = *ret_begin + secret_length(*ret_begin);
            return true;
        }
        in_word = is_alnum(*text);
    }
    return false;
}

bool redact_find(const char *text, const char **ret_begin, const char **ret_end)
{
    return find(text, false, ret_begin, ret_end);
}

static void redact(char *text, bool cut)
{
    const char *from = text, *begin, *end;
    char *to = text;

    while (find(from, cut, &begin, &end)) {
        size_t kept = (size_t)(begin - from);
        memmove(to, from, kept);
        to += kept;
        *to++ = '*';
        from = end;
    }
    assert(to <= from);
    memmove(to, from, strlen(from) + 1);
}

void redact_secrets(char *text)
{
    redact(text, false);
}

void redact_secrets_of_cut(char *text)
{
    redact(text, true);
}
