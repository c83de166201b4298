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
    {"sk_live_", 1}, {"rk_live_", 1}, {"AKIA", 4}, {"ASIA", 4},  {"AIza", 4},   {"ghp_", 1},        {"gho_", 1},
    {"ghu_", 1},     {"ghs_", 1},     {"ghr_", 1}, {"xox?-", 1}, {"glpat-", 1}, {"github_pat_", 1}, {"gsk_", 16},
    {"hf_", 16},     {"eyJ", 16}, /* JWT */
    {"sk_test_", 1}, {"rk_test_", 1}, {"r8_", 16}, {"xai-", 16}, {"pplx-", 16}, {"nvapi-", 16},     {"ya29.", 16},
};

/* What keys are assigned to, in lower case; `_` stands for '_', '-', ' ' or nothing. Longer ones may end so: X-Api-Key,
 * OPENAI_API_KEY. */
static const char *const names[] = {"api_key", "access_key", "secret_key", "token",
                                    "secret",  "password",   "passwd",     "authorization"};

enum { VALUE_LEAST = 8, VALUE_SURELY = 20 };

/* First letters of all the above, of "bearer" and of "basic", both cases where both count: a word that begins with
 * another can not introduce a secret. */
static bool may_introduce(char c)
{
    return c != '\0' && strchr("sSrAagxhebBtTpPny", c);
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

/* "=" or ":" as URLs write them. */
static size_t url_assignment_length(const char *text)
{
    return text[0] == '%' && text[1] == '3' && text[2] != '\0' && strchr("AaDd", text[2]) ? 3 : 0;
}

/* Behind a name: what stands between it and its value; 0 = nothing is assigned. */
static size_t assignment_length(const char *text)
{
    size_t length = 0;
    bool assigns = false;

    for (; text[length] && strchr(" \t\"'`\\=:", text[length]); length++)
        assigns |= text[length] == '=' || text[length] == ':';
    size_t url = assigns ? 0 : url_assignment_length(text + length);
    return assigns || url ? length + url : 0;
}

static size_t secret_length(const char *text)
{
    size_t length = 0;
    while (is_secret(text[length]))
        length++;
    return length;
}

/* "<NUM>" and its like; 0 = there is none. */
static size_t replacement_length(const char *text)
{
    enum { REPLACEMENT_MAX = 12 };
    size_t length = 1;

    if (*text != '<')
        return 0;
    while (length < REPLACEMENT_MAX && (is_upper(text[length]) || text[length] == '_'))
        length++;
    return length > 1 && text[length] == '>' ? length + 1 : 0;
}

/* Whether the value of a name looks like a secret. Looks at a bounded part of it. */
static bool is_telling(const char *value)
{
    bool digit = false, upper = false, lower = false, replaced = false;
    size_t length = 0;

    for (; length < VALUE_SURELY && is_secret(value[length]); length++) {
        size_t replacement = replacement_length(value + length);
        digit |= is_digit(value[length]) || value[length] == '<';
        if (replacement > 0) {
            replaced = true;
            length += replacement - 1;
            continue;
        }
        upper |= is_upper(value[length]);
        lower |= is_lower(value[length]);
    }
    /* how long it was before a part of it was replaced nobody knows */
    return length >= VALUE_SURELY || (replaced && (upper || lower)) ||
           (length >= VALUE_LEAST && (digit || (upper && lower)));
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

    while (word > 0 && text[length] && strchr(" \t:=+\"'\\", text[length]))
        length++;
    if (word > 0 && strncmp(text + length, "%20", 3) == 0)
        length += 3;
    return length > word && is_secret(text[length]) ? length : 0;
}

static size_t after_basic(const char *text)
{
    size_t word = after_name(text, "basic"), length = word;

    while (word > 0 && text[length] == ' ')
        length++;
    return length > word && is_telling(text + length) ? length : 0;
}

/* How many characters after a prefix make it a key: counted up to `least`, and enough where a part was replaced. */
static size_t key_length(const char *key, size_t least)
{
    size_t have = 0;

    for (; have < least && is_secret(key[have]); have++) {
        if (replacement_length(key + have) > 0)
            return least;
    }
    return have;
}

/* How much of the text stays as the introduction of a secret that follows at once; 0 = there is none here. */
static size_t secret_after(const char *text, bool cut)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t length = after_prefix(text, prefixes[i].prefix);
        if (length > 0 &&
            (key_length(text + length, prefixes[i].least) == prefixes[i].least || (cut && ends_with(text + length))))
            return length;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t length = after_name(text, names[i]), assignment = length ? assignment_length(text + length) : 0;
        const char *value = text + length + assignment;
        if (assignment > 0 && !after_bearer(value) && (is_telling(value) || (cut && ends_with(value))))
            return length + assignment;
    }
    size_t bearer = after_bearer(text);
    return bearer ? bearer : after_basic(text);
}

/* Whether the character at `at` ends what JSON or a URL writes for another one: \n, \u003d, %3D. A key may follow. */
static bool ends_escape(const char *text, const char *at)
{
    ptrdiff_t before = at - text;

    return (before >= 1 && at[-1] == '\\' && strchr("nrtbf", *at)) || (before >= 2 && at[-2] == '%') ||
           (before >= 5 && at[-5] == '\\' && at[-4] == 'u');
}

static bool find(const char *text, bool cut, const char **ret_begin, const char **ret_end)
{
    const char *from = text;
    bool in_word = false; /* not behind a secret either: that goes on to the end of its word */

    for (; *text; text++) {
        size_t kept = in_word || !may_introduce(*text) ? 0 : secret_after(text, cut);
        if (kept > 0) {
            *ret_begin = text + kept;
            *ret_end = *ret_begin + secret_length(*ret_begin);
            return true;
        }
        in_word = is_alnum(*text) && !ends_escape(from, text);
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
