/* An event as it lies in the ring: its struct, then what its pointers point to, all in one run of bytes. The pointers
 * are real ones, so that a handler reads the event where it lies. */
#ifndef BUS_RECORD_H
#define BUS_RECORD_H

#include <tallybus/bus.h>

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

void record_measure(struct record_plan *plan, const struct record_layout *layout, const tbus_event_t *event,
                    uint32_t string_max);

/* Writes the event to `at` (aligned to 8 bytes, plan->bytes of room) and returns it there. */
tbus_event_t *record_write(const struct record_plan *plan, unsigned char *at);

#endif
