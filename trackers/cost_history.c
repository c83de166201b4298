#include "trackers/cost_history.h"

#include <assert.h>
#include <string.h>

#include <tallybus/base.h>

#include "trackers/moment.h"

enum { FIRST_CELLS = 16 };

static_assert(sizeof(struct cost_cell) <= 88, "as the options of the tracker say");

/* So that the earliest moment has a number above 0. */
#define HOUR_OFFSET ((uint32_t)(-(MOMENT_MIN / COST_HOUR_NS)) + 2)

uint32_t cost_hour_of(int64_t time_ns)
{
    int64_t moment = moment_of(time_ns), hour = moment / COST_HOUR_NS - (moment % COST_HOUR_NS < 0);
    return (uint32_t)(hour + HOUR_OFFSET);
}

int64_t cost_hour_begin(uint32_t hour)
{
    return ((int64_t)hour - HOUR_OFFSET) * COST_HOUR_NS;
}

void cost_history_init(struct cost_history *history, uint32_t cells_max)
{
    *history = (struct cost_history){.cells_max = cells_max};
}

static void empty_slab(struct cost_history *history, struct cost_slab *slab)
{
    history->cells -= slab->capacity;
    tbus_mem_free(slab->cells);
    *slab = (struct cost_slab){0};
}

void cost_history_clear(struct cost_history *history)
{
    for (int i = 0; i < COST_HOURS; i++)
        empty_slab(history, &history->slabs[i]);
    assert(history->cells == 0);
    cost_history_init(history, history->cells_max);
}

bool cost_history_covers(const struct cost_history *history, uint32_t hour)
{
    return hour + COST_HOURS > history->newest && hour >= history->first_kept;
}

static struct cost_slab *slab_of(const struct cost_history *history, uint32_t hour)
{
    return (struct cost_slab *)(uintptr_t)&history->slabs[hour % COST_HOURS];
}

const struct cost_slab *cost_history_slab(const struct cost_history *history, uint32_t hour)
{
    const struct cost_slab *slab = slab_of(history, hour);
    return hour > 0 && slab->hour == hour && cost_history_covers(history, hour) ? slab : NULL;
}

/* --- Room --- */

/* Gives up the oldest hour that has a slab, if that is before `hour`. */
static bool give_up_one_before(struct cost_history *history, uint32_t hour)
{
    struct cost_slab *oldest = NULL;
    for (int i = 0; i < COST_HOURS; i++) {
        struct cost_slab *slab = &history->slabs[i];
        if (slab->hour != 0 && slab->hour < hour && (!oldest || slab->hour < oldest->hour))
            oldest = slab;
    }
    if (!oldest)
        return false;
    if (oldest->hour >= history->first_kept)
        history->first_kept = oldest->hour + 1;
    if (history->newest < oldest->hour + COST_HOURS) /* else it had left by itself */
        history->dropped += oldest->count;
    empty_slab(history, oldest);
    return true;
}

/* Makes room for one cell more in a slab. */
static bool grow_slab(struct cost_history *history, struct cost_slab *slab)
{
    uint32_t more = slab->capacity ? slab->capacity / 2 : FIRST_CELLS;
    if (more > history->cells_max - slab->capacity)
        more = history->cells_max - slab->capacity;
    if (more == 0)
        return false;
    while (history->cells > history->cells_max - more) {
        if (!give_up_one_before(history, slab->hour))
            return false;
    }
    struct cost_cell *cells = tbus_mem_resize(slab->cells, (slab->capacity + (size_t)more) * sizeof *cells);
    if (!cells)
        return false;
    slab->cells = cells;
    slab->capacity += more;
    history->cells += more;
    return true;
}

static void miss_cell(struct cost_history *history, uint32_t hour)
{
    history->dropped++;
    if (hour >= history->whole_from)
        history->whole_from = hour + 1;
}

/* A new cell in the slab of an hour; its place is told. NULL where there is no room, which is counted. */
static struct cost_cell *add_cell(struct cost_history *history, uint32_t hour, uint32_t name,
                                  struct cost_cell_ref older, struct cost_cell_ref *ret_place)
{
    struct cost_slab *slab = slab_of(history, hour);
    assert(cost_history_covers(history, hour));
    if (slab->hour != hour) {
        empty_slab(history, slab); /* it has left the 31 days */
        slab->hour = hour;
    }
    if (slab->count == slab->capacity && !grow_slab(history, slab)) {
        miss_cell(history, hour);
        return NULL;
    }
    *ret_place = (struct cost_cell_ref){hour, slab->count};
    struct cost_cell *cell = &slab->cells[slab->count++];
    *cell = (struct cost_cell){.name = name, .older = older};
    return cell;
}

/* --- Rows --- */

struct cost_sums cost_row_of_hour(const struct cost_row *row)
{
    struct cost_sums sums = row->sums;
    cost_sums_take(&sums, &row->base);
    return sums;
}

int64_t cost_history_from(const struct cost_history *history)
{
    uint32_t hour = history->newest > COST_HOURS ? history->newest - COST_HOURS + 1 : 0;
    hour = hour > history->first_kept ? hour : history->first_kept;
    return cost_hour_begin(hour > history->whole_from ? hour : history->whole_from);
}

struct cost_sums cost_row_within(const struct cost_history *history, const struct cost_row *row, uint32_t from,
                                 uint32_t to)
{
    struct cost_sums sums = {0};
    if (row->hour >= from && row->hour <= to && row->hour != 0 && cost_history_covers(history, row->hour))
        sums = cost_row_of_hour(row);
    const struct cost_slab *slab;
    for (struct cost_cell_ref at = row->newest; at.hour >= from && (slab = cost_history_slab(history, at.hour));
         at = slab->cells[at.index].older) {
        if (at.hour <= to)
            cost_sums_add(&sums, &slab->cells[at.index].sums);
    }
    return sums;
}

/* The row's hour is over. */
static void end_hour(struct cost_history *history, struct cost_row *row, uint32_t hour)
{
    struct cost_sums sums = cost_row_of_hour(row);
    if (sums.figures[COST_REQUESTS] > 0 && cost_history_covers(history, row->hour)) {
        struct cost_cell *cell = add_cell(history, row->hour, row->name, row->newest, &row->newest);
        if (cell)
            cell->sums = sums;
    } else if (row->hour != 0 && row->hour < history->first_kept) {
        miss_cell(history, row->hour);
    }
    row->base = row->sums;
    row->hour = hour;
}

/* Where the row's list says which cell is of this hour, or the place in it at which one would be linked. */
static struct cost_cell_ref *find_link(struct cost_history *history, struct cost_row *row, uint32_t hour)
{
    struct cost_cell_ref *link = &row->newest;
    while (link->hour > hour) {
        const struct cost_slab *slab = cost_history_slab(history, link->hour);
        if (!slab)
            break;
        link = &slab->cells[link->index].older;
    }
    return link;
}

/* A usage of an hour that the row has left. */
static void add_late(struct cost_history *history, struct cost_row *row, uint32_t hour, const struct cost_sums *usage)
{
    if (!cost_history_covers(history, hour))
        return;
    struct cost_cell_ref *link = find_link(history, row, hour), place = *link;
    const struct cost_slab *slab = cost_history_slab(history, hour);
    struct cost_cell *cell = slab && place.hour == hour ? &slab->cells[place.index] : NULL;
    if (!cell) { /* a slab that grows moves its own cells, and the link stands in a later hour's */
        cell = add_cell(history, hour, row->name, *link, &place);
        if (!cell)
            return;
        *link = place;
    }
    cost_sums_add(&cell->sums, usage);
}

void cost_history_add_slowly(struct cost_history *history, struct cost_row *row, uint32_t hour,
                             const struct cost_sums *usage)
{
    assert(hour > 0);
    if (hour > history->newest)
        history->newest = hour;
    if (hour > row->hour) {
        end_hour(history, row, hour);
    } else {
        add_late(history, row, hour, usage);
        cost_sums_add(&row->base, usage);
    }
}

void cost_history_place(struct cost_history *history, struct cost_row *row, uint32_t hour, const struct cost_sums *part)
{
    assert(hour > 0);
    if (hour > history->newest)
        history->newest = hour;
    if (hour < row->hour) {
        add_late(history, row, hour, part);
        return;
    }
    if (hour > row->hour)
        end_hour(history, row, hour);
    cost_sums_take(&row->base, part);
}

void cost_history_take(struct cost_history *history, struct cost_row *row, uint32_t hour, const struct cost_sums *usage)
{
    cost_sums_take(&row->sums, usage);
    if (row->hour == hour)
        return;
    assert(hour < row->hour);
    cost_sums_take(&row->base, usage);
    const struct cost_slab *slab = cost_history_slab(history, hour);
    struct cost_cell_ref place = slab ? *find_link(history, row, hour) : (struct cost_cell_ref){0};
    /* It holds less where a cell could not be made for want of memory, and another usage of the hour made one later. */
    if (place.hour == hour && cost_sums_hold(&slab->cells[place.index].sums, usage))
        cost_sums_take(&slab->cells[place.index].sums, usage);
}
