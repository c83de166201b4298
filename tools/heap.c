#include <assert.h>

#include <tallybus/base.h>

#include "tools/heap.h"

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->number < b->number);
}

static void sift_down(struct heap *heap, struct heap_entry entry)
{
    struct heap_entry *entries = heap->entries;
    size_t hole = 0;
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(&entries[child + 1], &entries[child]))
            child++;
        if (!before(&entries[child], &entry))
            break;
        entries[hole] = entries[child];
        hole = child;
    }
    entries[hole] = entry;
}

bool heap_push(struct heap *heap, struct heap_entry entry)
{
    if (heap->count == heap->room) {
        size_t room = heap->room ? heap->room * 2 : 256;
        struct heap_entry *grown = tbus_mem_resize(heap->entries, room * sizeof *grown);
        if (!grown)
            return false;
        heap->entries = grown;
        heap->room = room;
    }
    size_t hole = heap->count++;
    while (hole > 0 && before(&entry, &heap->entries[(hole - 1) / 2])) {
        heap->entries[hole] = heap->entries[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap->entries[hole] = entry;
    return true;
}

void heap_delay_top(struct heap *heap, int64_t due_ns)
{
    assert(heap->count > 0 && due_ns >= heap->entries[0].due_ns);
    struct heap_entry entry = heap->entries[0];
    entry.due_ns = due_ns;
    sift_down(heap, entry);
}

void heap_pop(struct heap *heap)
{
    assert(heap->count > 0);
    heap->count--;
    if (heap->count > 0)
        sift_down(heap, heap->entries[heap->count]);
}

void heap_close(struct heap *heap)
{
    tbus_mem_free(heap->entries);
    *heap = (struct heap){.entries = NULL};
}
