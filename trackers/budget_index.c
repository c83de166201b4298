#include "trackers/budget_index.h"

#include <assert.h>

#include <tallybus/base.h>

enum { FIRST_SLOTS = 64 };

static struct index_array *current(const struct budget_index *index)
{
    return atomic_load_explicit(&index->array, memory_order_relaxed); /* the writer's own */
}

static uint64_t high_of(const struct index_entry *entry)
{
    return atomic_load_explicit(&entry->high, memory_order_relaxed);
}

static struct budget_id id_at(const struct index_entry *entry)
{
    return (struct budget_id){high_of(entry), atomic_load_explicit(&entry->low, memory_order_relaxed)};
}

static uint32_t number_at(const struct index_entry *entry)
{
    return atomic_load_explicit(&entry->number, memory_order_relaxed);
}

static void fill(struct index_entry *entry, struct budget_id id, uint32_t number)
{
    atomic_store_explicit(&entry->low, id.low, memory_order_release);
    atomic_store_explicit(&entry->number, number, memory_order_release);
    atomic_store_explicit(&entry->high, id.high, memory_order_release);
}

static void put(struct index_array *array, struct budget_id id, uint32_t number)
{
    uint32_t slot = (uint32_t)id.high & array->mask;
    while (high_of(&array->entries[slot]) != 0)
        slot = (slot + 1) & array->mask;
    fill(&array->entries[slot], id, number);
}

void budget_index_clear(struct budget_index *index)
{
    struct index_array *array = current(index);
    while (array) {
        struct index_array *outgrown = array->outgrown;
        tbus_mem_free(array);
        array = outgrown;
    }
    atomic_store_explicit(&index->array, NULL, memory_order_relaxed);
    atomic_store_explicit(&index->version, 0, memory_order_relaxed);
    index->count = 0;
}

int budget_index_make_room(struct budget_index *index)
{
    struct index_array *array = current(index);
    const uint32_t slots = array ? array->mask + 1 : 0;
    if (index->count < slots / 2)
        return 0;

    const uint32_t wanted = slots ? slots * 2 : FIRST_SLOTS;
    struct index_array *grown = tbus_mem_alloc(sizeof *grown + (size_t)wanted * sizeof grown->entries[0]);
    if (!grown)
        return UV_ENOMEM;
    grown->outgrown = array;
    grown->mask = wanted - 1;
    for (uint32_t slot = 0; slot < slots; slot++) {
        const struct index_entry *entry = &array->entries[slot];
        if (high_of(entry) != 0)
            put(grown, id_at(entry), number_at(entry));
    }
    atomic_store_explicit(&index->array, grown, memory_order_release);
    return 0;
}

void budget_index_add(struct budget_index *index, struct budget_id id, uint32_t number)
{
    assert(id.high != 0 && budget_index_find(index, id) == BUDGET_INDEX_NONE);
    assert(index->count < (current(index)->mask + 1) / 2);
    put(current(index), id, number);
    index->count++;
}

/* Closes the gap: entries behind it that would no longer be found move up. */
static void close_gap(struct index_array *array, uint32_t gap)
{
    for (uint32_t slot = (gap + 1) & array->mask;; slot = (slot + 1) & array->mask) {
        const uint64_t high = high_of(&array->entries[slot]);
        if (high == 0)
            break;
        const uint32_t home = (uint32_t)high & array->mask;
        if (((slot - home) & array->mask) >= ((slot - gap) & array->mask)) {
            fill(&array->entries[gap], id_at(&array->entries[slot]), number_at(&array->entries[slot]));
            gap = slot;
        }
    }
    atomic_store_explicit(&array->entries[gap].high, 0, memory_order_release);
}

/* A reader in an array that was outgrown finds the name there still: the version tells it not to believe that. */
void budget_index_remove(struct budget_index *index, struct budget_id id)
{
    struct index_array *array = current(index);
    uint32_t slot = (uint32_t)id.high & array->mask;
    while (id_at(&array->entries[slot]).high != id.high || id_at(&array->entries[slot]).low != id.low) {
        assert(high_of(&array->entries[slot]) != 0);
        slot = (slot + 1) & array->mask;
    }
    const uint64_t version = atomic_load_explicit(&index->version, memory_order_relaxed);
    atomic_store_explicit(&index->version, version + 1, memory_order_relaxed);
    close_gap(array, slot);
    atomic_store_explicit(&index->version, version + 2, memory_order_release);
    index->count--;
}
