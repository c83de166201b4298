#include "trackers/errors_counts.h"

#include <assert.h>

int counts_open(struct table *counts, uint32_t max, const struct table_secret *secret)
{
    names_init(counts, sizeof(struct count), max, secret);
    return table_open_other(counts);
}

int counts_add(struct table *counts, struct name *name, uint32_t slot, uint32_t *ret_cell)
{
    int error;
    struct count *count = name_add_or_other(counts, name, &error);

    assert(count);
    count->ever++;
    if (slot != WINDOW_PAST)
        count->within[slot]++;
    *ret_cell = table_cell_of(counts, count);
    return error;
}

void counts_expire(struct table *counts, uint32_t slot)
{
    for (uint32_t cell = 0; cell < counts->used; cell++) {
        struct count *count = table_at(counts, cell);
        if (count)
            count->within[slot] = 0;
    }
}

struct covered counts_covered(const struct window *window, int64_t now_ns)
{
    struct covered covered = {{false}};

    assert(window->slots <= COUNT_SLOTS);
    for (uint32_t slot = 0; slot < window->slots; slot++)
        covered.slots[slot] = window_covers(window, slot, now_ns);
    return covered;
}

uint64_t counts_within(const struct count *count, const struct covered *covered)
{
    uint64_t sum = 0;

    for (uint32_t slot = 0; slot < COUNT_SLOTS; slot++)
        sum += covered->slots[slot] ? count->within[slot] : 0;
    return sum;
}
