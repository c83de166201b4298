/* A binary heap of what is due when: the earliest on top, and of two at the same time the one with the lower number, so
 * that the order is the same at every run. */
#ifndef TOOLS_HEAP_H
#define TOOLS_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_entry {
    int64_t due_ns;
    uint32_t number;
    void *item;
};

struct heap {
    struct heap_entry *entries;
    size_t count, room;
};

/* Adds an entry; false without memory. */
bool heap_push(struct heap *heap, struct heap_entry entry);

/* Gives the top another time and puts it where it belongs. Not on an empty heap. */
void heap_delay_top(struct heap *heap, int64_t due_ns);

/* Removes the top. Not on an empty heap. */
void heap_pop(struct heap *heap);

void heap_close(struct heap *heap);

#endif
