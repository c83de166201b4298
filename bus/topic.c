#include "bus/topic.h"

#include <string.h>

bool topic_pattern_valid(const char *pattern)
{
    if (!pattern || strnlen(pattern, TOPIC_MAX + 1) > TOPIC_MAX)
        return false;
    for (const char *token = pattern;;) {
        size_t length = strcspn(token, ".");
        bool last = token[length] == '\0';
        if (length == 0)
            return false;
        if (strcspn(token, "*>") < length && (length > 1 || (*token == '>' && !last)))
            return false;
        if (last)
            return true;
        token += length + 1;
    }
}

bool topic_is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        const unsigned lead = *at++;
        /* What the second byte may be leaves out overlong forms, surrogates and code points past U+10FFFF. */
        unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (lead >= 0x80 && (lead < 0xC2 || lead > 0xF4))
            return false;
        for (int more = (lead >= 0xC2) + (lead >= 0xE0) + (lead >= 0xF0); more > 0; more--, low = 0x80, high = 0xBF)
            if (*at < low || *at++ > high)
                return false;
    }
    return true;
}

bool topic_pattern_is_wild(const char *pattern)
{
    return strpbrk(pattern, "*>") != NULL;
}

bool topic_matches(const char *pattern, const char *topic)
{
    for (;;) {
        size_t wanted = strcspn(pattern, "."), given = strcspn(topic, ".");
        if (*pattern == '>')
            return true;
        if (*pattern != '*' && (wanted != given || memcmp(pattern, topic, given) != 0))
            return false;
        pattern += wanted;
        topic += given;
        if (*pattern == '\0' || *topic == '\0')
            return *pattern == *topic;
        pattern++;
        topic++;
    }
}
