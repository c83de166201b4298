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

void redact_secrets(char *text)
{
    const char *from = text;
    char *to = text;
    bool in_word = false;

    while (*from) {
        unsigned kept = in_word ? 0 : secret_after(from);
        if (kept > 0) {
            memmove(to, from, kept);
            to += kept;
            from += kept;
            while (is_secret(*from))
                from++;
            *to++ = '*';
        } else {
            in_word = is_alnum(*from);
            *to++ = *from++;
        }
    }
    *to = '\0';
    assert(to <= from);
}
