/* A struct and its strings in one block of memory. */
#ifndef TRACKERS_TEXTS_H
#define TRACKERS_TEXTS_H

#include <stddef.h>
#include <string.h>

#include <tallybus/base.h>

enum { TEXTS_MAX = 8 /* strings of a block */ };

/* Zeroed memory that begins with `head_bytes`, and behind these copies of `count` texts, each cut at `text_max` bytes
 * and NUL-terminated; NULL counts as "". The copies' places are told. Free it with tbus_mem_free(); NULL without
 * memory. */
static inline void *texts_open(size_t head_bytes, const char *const texts[], size_t count, size_t text_max,
                               const char *ret_copies[])
{
    size_t lengths[TEXTS_MAX], bytes = head_bytes;
    for (size_t i = 0; i < count; i++) {
        lengths[i] = texts[i] ? strnlen(texts[i], text_max) : 0;
        bytes += lengths[i] + 1;
    }
    char *block = tbus_mem_alloc(bytes), *at = block + head_bytes;
    if (!block)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > 0)
            memcpy(at, texts[i], lengths[i]);
        ret_copies[i] = at;
        at += lengths[i] + 1;
    }
    return block;
}

#endif
