/* Names to numbers, to be read without a lock while one writer changes it.
 *
 * A name is 128 bits that its owner made of it with secrets of its own: nobody else can make two alike, so the bits are
 * the name, and no text is kept or compared. table.h, which keeps texts, moves its memory as it grows and so can be read
 * under its lock only. Open addressing, linear probing, at most half full.
 *
 * The writer holds its owner's lock. A reader goes
 *
 *     version = budget_index_version(index);
 *     number = budget_index_find(index, name);
 *     ... reads what belongs to the number, in atomics ...
 *     if (!budget_index_holds(index, version)) ... take the lock and begin again
 *
 * An array that was outgrown is kept until the index is cleared, for a reader may still be in it: all of them together
 * are smaller than the last. */
#ifndef TRACKERS_BUDGET_INDEX_H
#define TRACKERS_BUDGET_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUDGET_INDEX_NONE UINT32_MAX

struct budget_id {
    uint64_t high, low; /* high is never 0 */
};

struct index_entry {
    _Atomic uint64_t high; /* [atomic] 0 = free. Stored with release behind the two others; a reader's acquire pairs */
    _Atomic uint64_t low;
    _Atomic uint32_t number;
};

struct index_array {
    struct index_array *outgrown;
    uint32_t mask;
    struct index_entry entries[];
};

struct budget_index {
    _Atomic(struct index_array *) array; /* [atomic] stored with release when it is complete; NULL = nothing yet */
    _Atomic uint64_t version;            /* [atomic] odd while entries are taken out; see budget_index_holds() */
    uint32_t count;                      /* [lock: the owner's] */
};

/* Gives the memory back; no reader may be there. The index is then empty, as one that is all zeroes is. */
void budget_index_clear(struct budget_index *index);

/* Makes room for one more name. Errors: UV_ENOMEM. */
int budget_index_make_room(struct budget_index *index);

/* Adds a name that is not there; there must be room. */
void budget_index_add(struct budget_index *index, struct budget_id id, uint32_t number);

/* Takes a name out that is there. */
void budget_index_remove(struct budget_index *index, struct budget_id id);

static inline uint64_t budget_index_version(const struct budget_index *index)
{
    return atomic_load_explicit(&index->version, memory_order_acquire);
}

/* Whether what was read since the version was asked for is sound: nothing was taken out meanwhile. Loads of what was
 * read must be acquire: one that saw a later value than the removal then makes this one see the version. */
static inline bool budget_index_holds(const struct budget_index *index, uint64_t version)
{
    return version % 2 == 0 && atomic_load_explicit(&index->version, memory_order_relaxed) == version;
}

/* The number of a name, or BUDGET_INDEX_NONE. */
static inline uint32_t budget_index_find(const struct budget_index *index, struct budget_id id)
{
    const struct index_array *array = atomic_load_explicit(&index->array, memory_order_acquire);
    if (!array)
        return BUDGET_INDEX_NONE;
    for (uint32_t slot = (uint32_t)id.high & array->mask;; slot = (slot + 1) & array->mask) {
        const struct index_entry *entry = &array->entries[slot];
        const uint64_t high = atomic_load_explicit(&entry->high, memory_order_acquire);
        if (high == 0)
            return BUDGET_INDEX_NONE;
        if (high == id.high && atomic_load_explicit(&entry->low, memory_order_acquire) == id.low)
            return atomic_load_explicit(&entry->number, memory_order_acquire);
    }
}

#endif
