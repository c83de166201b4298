#include "trackers/redact.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What keys and tokens are written with (base64 of both kinds, JWT), the brackets of replacements, and the asterisks of
 * those who masked a part of a key themselves. */
static bool is_secret(char c)
{
    return is_alnum(c) || (c != '\0' && strchr("-_.~+/=<>*", c));
}

static bool is_bearer(const char *text)
{
    static const char word[] = "bearer";

    for (unsigned i = 0; word[i]; i++) {
        if ((text[i] | 0x20) != word[i])
            return false;
    }
    return true;
}

/* How much of the text stays as the introduction of a secret that follows at once; 0 = there is none here. */
static unsigned secret_after(const char *text)
{
    unsigned length = 0;

    if (strncmp(text, "sk-", 3) == 0) {
        length = 3;
    } else if (is_bearer(text)) {
        length = (unsigned)strlen("bearer");
        unsigned word = length;
        while (text[length] == ' ' || text[length] == ':')
            length++;
        if (length == word)
            return 0;
    }
    return length > 0 && is_secret(text[length]) ? length : 0;
}

bool redact_find(const char *text, const char **ret_begin, const char **ret_end)
{
    bool in_word = false; /* not behind a secret either: that goes on to the end of its word */

    for (; *text; text++) {
        unsigned kept = in_word ? 0 : secret_after(text);
        if (kept > 0) {
            *ret_begin = text += kept;
            while (is_secret(*text))
                text++;
            *ret_end = text;
            return true;
        }
        in_word = is_alnum(*text);
    }
    return false;
}

void redact_secrets(char *text)
{
    const char *from = text, *begin, *end;
    char *to = text;

    while (redact_find(from, &begin, &end)) {
        size_t kept = (size_t)(begin - from);
        memmove(to, from, kept);
        to += kept;
        *to++ = '*';
        from = end;
    }
    assert(to <= from);
    memmove(to, from, strlen(from) + 1);
}
