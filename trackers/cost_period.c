#include "trackers/cost_lists.h"

/* Sums by place, for all groups, in one block. */
static int open_picked(const size_t rooms[COST_GROUPS_SHOWN], struct cost_picked *ret)
{
    size_t all = 0;
    for (int group = 0; group < COST_GROUPS_SHOWN; group++)
        all += rooms[group];
    struct cost_sums *sums = tbus_mem_alloc(all * sizeof *sums);
    if (!sums)
        return UV_ENOMEM;
    for (int group = 0; group < COST_GROUPS_SHOWN; group++) {
        ret->sums[group] = sums;
        ret->rooms[group] = rooms[group];
        sums += rooms[group];
    }
    return 0;
}

static void close_picked(struct cost_picked *picked)
{
    tbus_mem_free(picked->sums[0]);
}

struct span {
    uint32_t from, to; /* hours; to is not in it */
};

static bool is_in(const tbus_cost_t *cost, const struct span *span, uint32_t hour)
{
    return hour >= span->from && hour < span->to && cost_history_covers(&cost->history, hour);
}

static void pick(struct cost_picked *picked, struct cost_sums *total, uint32_t name, const struct cost_sums *sums)
{
    uint32_t group = COST_GROUP_OF(name), place = COST_PLACE_OF(name);
    if (name == COST_TOTAL)
        cost_sums_add(total, sums);
    else if (group < COST_GROUPS_SHOWN && place < picked->rooms[group])
        cost_sums_add(&picked->sums[group][place], sums);
}

static void pick_row(const tbus_cost_t *cost, const struct span *span, const struct cost_row *row,
                     struct cost_picked *picked, struct cost_sums *total)
{
    if (row->hour == 0 || !is_in(cost, span, row->hour))
        return;
    const struct cost_sums sums = cost_row_of_hour(row);
    pick(picked, total, row->name, &sums);
}

/* Hours that are over, from their slabs; the hour that each name is in, from its row. */
static void pick_all_locked(const tbus_cost_t *cost, const struct span *span, struct cost_picked *picked,
                            struct cost_sums *ret_total)
{
    for (int i = 0; i < COST_HOURS; i++) {
        const struct cost_slab *slab = &cost->history.slabs[i];
        if (slab->hour == 0 || !is_in(cost, span, slab->hour))
            continue;
        for (uint32_t cell = 0; cell < slab->count; cell++)
            pick(picked, ret_total, slab->cells[cell].name, &slab->cells[cell].sums);
    }
    pick_row(cost, span, &cost->total, picked, ret_total);
    for (int group = 0; group < COST_GROUPS_SHOWN; group++) {
        const struct table *table = &cost->tables[group];
        pick_row(cost, span, &cost->unnamed[group].row, picked, ret_total);
        for (uint32_t cell = 0; cell < table->used; cell++) {
            const struct cost_row *row = table_at(table, cell);
            if (row)
                pick_row(cost, span, row, picked, ret_total);
        }
    }
}

static tbus_cost_period_t *fill_locked(const tbus_cost_t *cost, const struct span *span, struct cost_picked *picked,
                                       struct snapshot_block *block, struct cost_lists *ret_lists)
{
    struct cost_sums total = {0};
    for (int group = 0; group < COST_GROUPS_SHOWN; group++) {
        if (picked->rooms[group] < (size_t)cost->tables[group].used + 1)
            return NULL; /* new names have come */
    }
    tbus_cost_period_t *period = snapshot_take(block, sizeof *period);
    pick_all_locked(cost, span, picked, &total);
    cost_lists_fill_locked(cost, picked, block, ret_lists);
    if (block->overflowed)
        return NULL;
    *period = (tbus_cost_period_t){.from_ns = cost_hour_begin(span->from),
                                   .to_ns = cost_hour_begin(span->to),
                                   .history_from_ns = cost_history_from(&cost->history),
                                   .total = cost_sum_of(&total, "")};
    period->is_whole = period->from_ns >= period->history_from_ns || cost->first_time_ns >= period->history_from_ns;
    return period;
}

/* One attempt: `*ret` stays NULL where new names have come between the two looks. Errors: UV_ENOMEM. */
static int try_period(tbus_cost_t *cost, const struct span *span, tbus_cost_period_t **ret)
{
    size_t rooms[COST_GROUPS_SHOWN];
    struct cost_picked picked;
    struct snapshot_block block;
    struct cost_lists lists;

    uv_mutex_lock(&cost->mu);
    size_t bytes = snapshot_rounded(sizeof **ret) + cost_lists_bytes_locked(cost);
    for (int group = 0; group < COST_GROUPS_SHOWN; group++)
        rooms[group] = (size_t)cost->tables[group].used + 65;
    uv_mutex_unlock(&cost->mu);
    int error = open_picked(rooms, &picked);
    if (error)
        return error;
    error = snapshot_block_open(&block, bytes);
    if (!error) {
        uv_mutex_lock(&cost->mu);
        tbus_cost_period_t *period = fill_locked(cost, span, &picked, &block, &lists);
        uv_mutex_unlock(&cost->mu);
        if (period) {
            cost_lists_sort(&lists);
            COST_LISTS_PLACE(period, &lists);
        } else {
            tbus_mem_free(block.memory);
        }
        *ret = period;
    }
    close_picked(&picked);
    return error;
}

int tbus_cost_period(tbus_cost_t *cost, int64_t from_ns, int64_t to_ns, tbus_cost_period_t **ret)
{
    tbus_cost_period_t *period = NULL;
    if (!cost || !ret || to_ns <= from_ns)
        return UV_EINVAL;
    const struct span span = {cost_hour_of(from_ns), cost_hour_of(to_ns - 1) + 1};
    int error = 0;
    while (!error && !period)
        error = try_period(cost, &span, &period);
    if (!error)
        *ret = period;
    return error;
}

void tbus_cost_period_free(tbus_cost_period_t *period)
{
    tbus_mem_free(period);
}
