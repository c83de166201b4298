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
