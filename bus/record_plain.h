/* The event that comes in floods, copied fast: one of a built-in type, with short strings, and with none in its base
 * but a request's id. Where its strings stand is known when this is compiled, so the copy is laid out straight: no
 * loop, no table to look at, nothing noted in memory between measuring and writing. Any other event goes the way of
 * record.h, and a handler sees no difference. */
#ifndef BUS_RECORD_PLAIN_H
#define BUS_RECORD_PLAIN_H

#include <assert.h>

#include "bus/record.h"

#if defined(__GNUC__)
#define PLAIN_INLINE static inline __attribute__((always_inline))
#define PLAIN_APART static __attribute__((noinline))
#else
#define PLAIN_INLINE static inline
#define PLAIN_APART static
#endif

/* Tells the compiler to write out a loop whose count it knows. */
#if defined(__clang__)
#define PLAIN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define PLAIN_UNROLL _Pragma("GCC unroll 8")
#else
#define PLAIN_UNROLL
#endif

#define PLAIN_STRINGS_MAX 8             /* of one built-in type, the request's id among them */
#define PLAIN_LENGTH_MAX TEXT_SHORT_MAX /* of each; one less than a power of two */

static_assert(PLAIN_LENGTH_MAX < RECORD_SHORT_MAX && (PLAIN_LENGTH_MAX & (PLAIN_LENGTH_MAX + 1)) == 0,
              "lengths or'd together are above it where one is");

/* What is known of a type at compile time. */
struct plain_shape {
    uint32_t size_bytes; /* of the struct */
    uint32_t strings_count;
    const uint32_t *strings; /* offsets */
};

/* Strings measured, each at its place. */
struct plain_strings {
    const char *text[PLAIN_STRINGS_MAX]; /* NULL where the event has none */
    uint32_t bytes[PLAIN_STRINGS_MAX];   /* NUL included */
};

/* Whether an event has nothing in its base but a time and a request's id, which is one of the strings of its shape. */
PLAIN_INLINE bool plain_is_bare(const tbus_event_t *event)
{
    return !((uintptr_t)event->api_key | (uintptr_t)event->user_id | (uintptr_t)event->project_id |
             (uintptr_t)event->metadata | event->metadata_count);
}

/* Bytes that the strings take. False where one is too long to be plain. */
PLAIN_INLINE bool plain_measure(struct plain_strings *strings, const struct plain_shape *shape,
                                const tbus_event_t *event, uint32_t *ret_bytes)
{
    uint32_t bytes = 0;
    size_t lengths = 0;
    PLAIN_UNROLL
    for (uint32_t i = 0; i < shape->strings_count; i++) {
        const char *text = record_string_at(event, shape->strings[i]);
        size_t length = text ? text_length_short(text) : 0;
        lengths |= length;
        strings->text[i] = text;
        strings->bytes[i] = (uint32_t)length + 1;
        bytes += text ? strings->bytes[i] : 0;
    }
    *ret_bytes = bytes;
    return lengths <= PLAIN_LENGTH_MAX;
}

/* Writes a measured event to `at`, as one of this type. Its `id` is left for the consumer. */
PLAIN_INLINE void plain_write(const struct plain_strings *strings, const struct plain_shape *shape,
                              const tbus_event_t *event, uint32_t type, unsigned char *at)
{
    enum { DONE = offsetof(tbus_event_t, time_ns) };
    tbus_event_t *copy = (tbus_event_t *)(void *)at;
    unsigned char *texts = at + record_struct_bytes(shape->size_bytes);
    copy->type = type;
    copy->metadata_count = 0;
    memcpy(at + DONE, (const unsigned char *)event + DONE, shape->size_bytes - DONE);
    PLAIN_UNROLL
    for (uint32_t i = 0; i < shape->strings_count; i++) {
        if (!strings->text[i])
            continue;
        record_set_pointer(copy, shape->strings[i], texts);
        record_copy_short(texts, strings->text[i], strings->bytes[i]);
        texts += strings->bytes[i];
    }
}

#endif
