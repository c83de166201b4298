#include <assert.h>
#include <string.h>

#include <tallybus/cost.h>

#include "trackers/digest.h"

enum { SHOWN = 4, SHOWN_OF_AT_LEAST = 12 /* 4 characters of a short key would be too much of it */ };

const char *tbus_redact_key(const char *api_key, char redacted[TBUS_REDACTED_BYTES])
{
    static_assert(SHOWN + 2 + DIGEST_HEX8_BYTES <= TBUS_REDACTED_BYTES, "a redacted key fits");
    size_t length = api_key ? strlen(api_key) : 0, shown = length < SHOWN_OF_AT_LEAST ? 0 : SHOWN;

    if (!redacted)
        return "";
    redacted[0] = '\0';
    if (length == 0)
        return redacted;
    for (size_t i = 0; i < shown; i++)
        redacted[i] = api_key[i] >= ' ' && api_key[i] <= '~' ? api_key[i] : '?';
    redacted[shown] = redacted[shown + 1] = '.';
    digest_hex8(api_key, length, redacted + shown + 2);
    return redacted;
}
