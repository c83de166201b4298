/* The length of a string, as strnlen() gives it, but inlined for short ones: the ids and names in events are so short
 * that a call costs more than the search.
 *
 * Where the processor has SSE2 it looks at 16 bytes at a time. They are aligned, so that a look never leaves a page in
 * which the string has a byte, and none is taken unless the string goes on into it: memory checkers that allow aligned
 * partial reads see nothing wrong. Under sanitizers it is strnlen(), which they watch. */
#ifndef BUS_TEXT_LENGTH_H
#define BUS_TEXT_LENGTH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define TEXT_LENGTH_PLAIN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GNUC__) || !defined(__SSE2__)
#define TEXT_LENGTH_PLAIN
#endif

#define TEXT_SHORT_MAX 63u

#ifdef TEXT_LENGTH_PLAIN

/* The length of a string; of one longer than TEXT_SHORT_MAX, some number above that. */
static inline size_t text_length_short(const char *text)
{
    return strnlen(text, TEXT_SHORT_MAX + 1);
}

#else

#include <emmintrin.h>

enum { TEXT_LENGTH_STEP = sizeof(__m128i) };

/* Bit i set: byte i of 16 is NUL. */
static inline uint32_t text_nuls_in(const char *aligned)
{
    __m128i bytes = _mm_load_si128((const __m128i *)(const void *)aligned);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128()));
}

static inline size_t text_length_short(const char *text)
{
    size_t before = (uintptr_t)text % TEXT_LENGTH_STEP, seen = TEXT_LENGTH_STEP - before;
    uint32_t nuls = text_nuls_in(text - before) >> before;
    if (nuls)
        return (size_t)__builtin_ctz(nuls);
#if !defined(__clang__)
#pragma GCC unroll 1 /* written out it is longer, and slower wherever the lengths differ */
#endif
    for (; seen <= TEXT_SHORT_MAX; seen += TEXT_LENGTH_STEP) {
        nuls = text_nuls_in(text + seen);
        if (nuls)
            return seen + (size_t)__builtin_ctz(nuls);
    }
    return seen;
}

#endif

/* The length of a string; of one longer than `max`, some number above `max`. */
static inline size_t text_length(const char *text, size_t max)
{
    size_t length = max >= TEXT_SHORT_MAX ? text_length_short(text) : TEXT_SHORT_MAX + 1;
    return length <= TEXT_SHORT_MAX ? length : strnlen(text, max + 1);
}

#endif
