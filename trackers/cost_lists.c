#include "trackers/cost_lists.h"

#include <stdlib.h>

enum { NEW_NAMES = 64 /* that may come between the two looks at a table, before a third one is needed */ };

size_t cost_lists_bytes_locked(const tbus_cost_t *cost)
{
    size_t bytes = 0;
    for (int group = 0; group < COST_GROUPS_SHOWN; group++) {
        const struct table *table = &cost->tables[group];
        size_t name = group == COST_BY_KEY ? TBUS_REDACTED_BYTES : table->key_max + 1;
        size_t rows = (size_t)table->count + NEW_NAMES + 1 /* the unnamed */;
        bytes += rows * (sizeof(tbus_cost_sum_t) + snapshot_rounded(name));
    }
    return bytes;
}

tbus_cost_sum_t cost_sum_of(const struct cost_sums *sums, const char *name)
{
    const uint64_t *figures = sums->figures;
    return (tbus_cost_sum_t){.name = name,
                             .usd = sums->usd,
                             .requests = figures[COST_REQUESTS],
                             .prompt_tokens = figures[COST_INPUT] + figures[COST_CACHED] + figures[COST_WRITTEN],
                             .completion_tokens = figures[COST_OUTPUT],
                             .cached_tokens = figures[COST_CACHED],
                             .cache_write_tokens = figures[COST_WRITTEN],
                             .reasoning_tokens = figures[COST_REASONING],
                             .unpriced_requests = figures[COST_UNPRICED]};
}

const char *cost_name_shown(const tbus_cost_t *cost, const struct cost_row *row, size_t *ret_length)
{
    const char *name = "";
    uint32_t length = 0;
    if (COST_PLACE_OF(row->name) == 0) {
        *ret_length = 0;
        return name;
    }
    if (COST_GROUP_OF(row->name) == COST_BY_KEY) {
        name = ((const struct cost_key_row *)row)->id.redacted;
        length = (uint32_t)strlen(name);
    } else {
        name = table_key(&cost->tables[COST_GROUP_OF(row->name)], row, &length);
    }
    *ret_length = length;
    return name;
}

/* What is to be listed of a row; NULL = nothing. A row without requests has been made and not used. */
static const struct cost_sums *sums_to_list(const struct cost_row *row, const struct cost_picked *picked, int group)
{
    const struct cost_sums *sums = &row->sums;
    if (picked) {
        size_t place = COST_PLACE_OF(row->name);
        sums = place < picked->rooms[group] ? &picked->sums[group][place] : NULL;
    }
    return sums && sums->figures[COST_REQUESTS] > 0 ? sums : NULL;
}

static void add_row(const tbus_cost_t *cost, const struct cost_row *row, const struct cost_sums *sums,
                    struct snapshot_block *block, tbus_cost_sum_t *ret)
{
    size_t length;
    const char *name = cost_name_shown(cost, row, &length);
    *ret = cost_sum_of(sums, length ? snapshot_text(block, name, length) : "");
}

void cost_lists_fill_locked(const tbus_cost_t *cost, const struct cost_picked *picked, struct snapshot_block *block,
                            struct cost_lists *ret)
{
    for (int group = 0; group < COST_GROUPS_SHOWN; group++) {
        const struct table *table = &cost->tables[group];
        const struct cost_sums *sums = sums_to_list(&cost->unnamed[group].row, picked, group);
        tbus_cost_sum_t *list = snapshot_take(block, ((size_t)table->count + 1) * sizeof *list);
        size_t count = 0;
        if (list && sums)
            add_row(cost, &cost->unnamed[group].row, sums, block, &list[count++]);
        for (uint32_t cell = 0; cell < table->used && !block->overflowed; cell++) {
            const struct cost_row *row = table_at(table, cell);
            if (row && (sums = sums_to_list(row, picked, group)))
                add_row(cost, row, sums, block, &list[count++]);
        }
        ret->sums[group] = list;
        ret->counts[group] = count;
    }
}

static int by_falling_cost(const void *left, const void *right)
{
    const tbus_cost_sum_t *a = left, *b = right;
    int order = tbus_money_compare(b->usd, a->usd);
    return order ? order : strcmp(a->name, b->name);
}

void cost_lists_sort(struct cost_lists *lists)
{
    for (int group = 0; group < COST_GROUPS_SHOWN; group++)
        qsort(lists->sums[group], lists->counts[group], sizeof *lists->sums[group], by_falling_cost);
}
