#include <assert.h>
#include <string.h>

#include <tallybus/cost.h>

#include "trackers/digest.h"

enum { SHOWN = 4, SHOWN_OF_AT_LEAST = 12 /* 4 characters of a short key would be too much of it */ };

/* Whether a key has been redacted before. It is then its own redacted form, so that what was written down redacted (a
 * journal) and is read again goes by the same name. No key that guards anything looks like this. */
static bool is_redacted(const char *key, size_t length)
{
    size_t shown = length == SHOWN + 2 + DIGEST_HEX8_BYTES - 1 ? SHOWN : 0;

    if (length != shown + 2 + DIGEST_HEX8_BYTES - 1 || key[shown] != '.' || key[shown + 1] != '.')
        return false;
    for (size_t i = 0; i < shown; i++) {
        if (key[i] < ' ' || key[i] > '~')
            return false;
    }
    return strspn(key + shown + 2, "0123456789abcdef") == DIGEST_HEX8_BYTES - 1;
}

const char *tbus_redact_key(const char *api_key, char redacted[TBUS_REDACTED_BYTES])
{
    static_assert(SHOWN + 2 + DIGEST_HEX8_BYTES <= TBUS_REDACTED_BYTES, "a redacted key fits");
    size_t length = api_key ? strlen(api_key) : 0, shown = length < SHOWN_OF_AT_LEAST ? 0 : SHOWN;

    if (!redacted)
        return "";
    if (length > 0 && is_redacted(api_key, length))
        return memmove(redacted, api_key, length + 1); /* may be the same memory */
    redacted[0] = '\0';
    if (length == 0)
        return redacted;
    for (size_t i = 0; i < shown; i++)
        redacted[i] = api_key[i] >= ' ' && api_key[i] <= '~' ? api_key[i] : '?';
    redacted[shown] = redacted[shown + 1] = '.';
    digest_hex8(api_key, length, redacted + shown + 2);
    return redacted;
}
