/* What all options have: zero for a default, and words at their end that stay zero. */
#ifndef TRACKERS_OPTIONS_H
#define TRACKERS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given ? given : otherwise;
}

static inline bool are_zero(const uint64_t words[], size_t bytes)
{
    uint64_t any = 0;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        any |= words[i];
    return any == 0;
}

#endif
