/* An event as it lies in the ring: its struct, then what its pointers point to, all in one run of bytes. The pointers
 * are real ones, so that a handler reads the event where it lies. */
#ifndef BUS_RECORD_H
#define BUS_RECORD_H

#include <string.h>

#include <tallybus/bus.h>

#include "bus/text_length.h"

#define RECORD_FIELDS_MAX TBUS_FIELDS_MAX

/* What copying an event of a type must know: where its pointers are. */
struct record_layout {
    uint32_t size_bytes; /* of the struct */
    tbus_class_t delivery;
    uint32_t strings_count, lists_count;
    uint32_t strings[4 + RECORD_FIELDS_MAX]; /* offsets; the base's four come first */
    const tbus_field_t *lists[RECORD_FIELDS_MAX];
};

void record_layout_of(struct record_layout *layout, const tbus_type_t *type);

/* A string that an event has: where its pointer stands in the struct, and what it points to. */
struct record_string {
    const char *text;
    uint32_t offset, length;
};

/* An event measured, to be written next. What is noted here is not read from the event again: it need not be searched
 * again, and a pointer that has just been copied with its surroundings is slow to read back. */
struct record_plan {
    const struct record_layout *layout;
    const tbus_event_t *event;
    uint32_t string_max;
    uint32_t cuts;  /* strings, entries and pairs shortened or left out */
    uint64_t bytes; /* that record_write() takes at most */
    uint32_t strings_count;
    struct record_string strings[4 + RECORD_FIELDS_MAX]; /* those that are not NULL */
};

/* record.c: what few events need. */
uint32_t record_cut(const char *string, uint32_t max, uint32_t *cuts);
void record_measure_more(struct record_plan *plan);
unsigned char *record_texts(const struct record_plan *plan, unsigned char *arrays);
void record_write_more(const struct record_plan *plan, tbus_event_t *copy, unsigned char *texts);

/* What a struct takes in a record: what its pointers point to follows, aligned. */
static inline uint32_t record_struct_bytes(uint32_t size_bytes)
{
    return (size_bytes + 7) & ~7u;
}

static inline const char *record_string_at(const tbus_event_t *event, uint32_t offset)
{
    const char *string;
    memcpy(&string, (const unsigned char *)event + offset, sizeof string);
    return string;
}

static inline void record_set_pointer(tbus_event_t *event, uint32_t offset, const void *pointer)
{
    memcpy((unsigned char *)event + offset, &pointer, sizeof pointer);
}

/* The length of a string, cut to `max` bytes: at the start of a character where there is one within reach. */
static inline uint32_t record_fitted_length(const char *string, uint32_t max, uint32_t *cuts)
{
    size_t length = text_length(string, max);
    return length <= max ? (uint32_t)length : record_cut(string, max, cuts);
}

#define RECORD_SHORT_MAX 64u

/* Most strings of an event are ids and names, shorter than what a call of memcpy() is worth: copies of a fixed size,
 * which may overlap, the last one up to the end. From 1 to RECORD_SHORT_MAX bytes. */
static inline void record_copy_short(unsigned char *at, const char *from, size_t bytes)
{
    if (bytes >= 16) {
        memcpy(at, from, 16);
        if (bytes > 32)
            memcpy(at + 16, from + 16, 16);
        if (bytes > 48)
            memcpy(at + 32, from + 32, 16);
        memcpy(at + bytes - 16, from + bytes - 16, 16);
    } else if (bytes >= 8) {
        memcpy(at, from, 8);
        memcpy(at + bytes - 8, from + bytes - 8, 8);
    } else if (bytes >= 4) {
        memcpy(at, from, 4);
        memcpy(at + bytes - 4, from + bytes - 4, 4);
    } else {
        at[0] = (unsigned char)from[0];
        at[bytes / 2] = (unsigned char)from[bytes / 2];
        at[bytes - 1] = (unsigned char)from[bytes - 1];
    }
}

static inline unsigned char *record_write_string(unsigned char *at, const char *string, uint32_t length)
{
    if (length > RECORD_SHORT_MAX)
        memcpy(at, string, length);
    else if (length > 0)
        record_copy_short(at, string, length);
    at[length] = '\0';
    return at + length + 1;
}

/* The struct: the base, of which its size is known, then the fields, eight bytes at a time. */
static inline void copy_struct(unsigned char *at, const tbus_event_t *event, uint32_t size_bytes)
{
    const unsigned char *from = (const unsigned char *)event;
    uint32_t done = sizeof *event;
    memcpy(at, from, sizeof *event);
    for (; done + 16 <= size_bytes; done += 16)
        memcpy(at + done, from + done, 16);
    for (; done + 8 <= size_bytes; done += 8)
        memcpy(at + done, from + done, 8);
    if (done < size_bytes)
        memcpy(at + done, from + done, size_bytes - done);
}

static inline bool record_has_more(const struct record_layout *layout, const tbus_event_t *event)
{
    return layout->lists_count || event->metadata;
}

static inline void record_measure(struct record_plan *plan, const struct record_layout *layout,
                                  const tbus_event_t *event, uint32_t string_max)
{
    uint32_t count = 0;
    uint64_t bytes = record_struct_bytes(layout->size_bytes);
    plan->layout = layout;
    plan->event = event;
    plan->string_max = string_max;
    plan->cuts = 0;
    for (uint32_t i = 0; i < layout->strings_count; i++) {
        const char *text = record_string_at(event, layout->strings[i]);
        if (!text)
            continue;
        struct record_string *string = &plan->strings[count++];
        string->text = text;
        string->offset = layout->strings[i];
        string->length = record_fitted_length(text, string_max, &plan->cuts);
        bytes += string->length + 1;
    }
    plan->strings_count = count;
    plan->bytes = bytes;
    if (record_has_more(layout, event))
        record_measure_more(plan);
}

/* Writes the event to `at` (aligned to 8 bytes, plan->bytes of room) and returns it there. */
static inline tbus_event_t *record_write(const struct record_plan *plan, unsigned char *at)
{
    const struct record_layout *layout = plan->layout;
    tbus_event_t *copy = (tbus_event_t *)(void *)at;
    unsigned char *texts = at + record_struct_bytes(layout->size_bytes);
    const bool more = record_has_more(layout, plan->event);

    copy_struct(at, plan->event, layout->size_bytes);
    if (more)
        texts = record_texts(plan, texts);
    for (uint32_t i = 0; i < plan->strings_count; i++) {
        const struct record_string *string = &plan->strings[i];
        record_set_pointer(copy, string->offset, texts);
        texts = record_write_string(texts, string->text, string->length);
    }
    if (!plan->event->metadata)
        copy->metadata_count = 0;
    if (more)
        record_write_more(plan, copy, texts);
    return copy;
}

#endif
