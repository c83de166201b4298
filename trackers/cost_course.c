/* What was used when, hour by hour and day by day; and one name alone. */
#include <assert.h>
#include <string.h>

#include "trackers/cost_lists.h"

enum { COURSE_HOURS = 24, COURSE_DAYS = 32 /* that 31 times 24 hours touch */ };

static_assert(COST_COURSE_BYTES == (COURSE_HOURS + COURSE_DAYS) * sizeof(tbus_cost_span_t), "all fits");

#define DAY_NS (24 * COST_HOUR_NS)

/* Filled from its end, since a row tells its latest hour first. */
struct course {
    uint32_t hours_from; /* hours before it are told as days alone */
    size_t hours, days;  /* places that are still free */
    tbus_cost_span_t *of_hours, *of_days;
    struct cost_sums day; /* the sums of the day told last */
};

static int64_t day_begin(int64_t time_ns)
{
    const int64_t behind = time_ns % DAY_NS;
    return time_ns - behind - (behind < 0 ? DAY_NS : 0);
}

static void tell(struct course *course, uint32_t hour, const struct cost_sums *sums)
{
    const int64_t from_ns = cost_hour_begin(hour), day_ns = day_begin(from_ns);
    if (sums->figures[COST_REQUESTS] == 0)
        return;
    if (hour >= course->hours_from && course->hours > 0)
        course->of_hours[--course->hours] = (tbus_cost_span_t){from_ns, cost_sum_of(sums, "")};
    if (course->days == COURSE_DAYS || course->of_days[course->days].from_ns != day_ns) {
        if (course->days == 0)
            return;
        course->days--;
        course->day = (struct cost_sums){0};
    }
    cost_sums_add(&course->day, sums);
    course->of_days[course->days] = (tbus_cost_span_t){day_ns, cost_sum_of(&course->day, "")};
}

void cost_course_fill_locked(const tbus_cost_t *cost, const struct cost_row *row, struct snapshot_block *block,
                             tbus_cost_course_t *ret)
{
    const struct cost_history *history = &cost->history;
    struct course course = {.hours = COURSE_HOURS, .days = COURSE_DAYS};
    course.hours_from = history->newest >= COURSE_HOURS ? history->newest - COURSE_HOURS + 1 : 1;
    course.of_hours = snapshot_take(block, COURSE_HOURS * sizeof *course.of_hours);
    course.of_days = snapshot_take(block, COURSE_DAYS * sizeof *course.of_days);
    if (block->overflowed)
        return;
    if (row->hour != 0 && cost_history_covers(history, row->hour)) {
        const struct cost_sums sums = cost_row_of_hour(row);
        tell(&course, row->hour, &sums);
    }
    const struct cost_slab *slab;
    for (struct cost_cell_ref at = row->newest; (slab = cost_history_slab(history, at.hour));
         at = slab->cells[at.index].older)
        tell(&course, at.hour, &slab->cells[at.index].sums);
    *ret = (tbus_cost_course_t){.hours_count = COURSE_HOURS - course.hours,
                                .days_count = COURSE_DAYS - course.days,
                                .hours = course.of_hours + course.hours,
                                .days = course.of_days + course.days};
}

/* --- One name --- */

static bool is_shown_as(const tbus_cost_t *cost, const struct cost_row *row, const char *name, size_t length)
{
    size_t shown_length;
    const char *shown = cost_name_shown(cost, row, &shown_length);
    return shown_length == length && memcmp(shown, name, length) == 0 && row->sums.figures[COST_REQUESTS] > 0;
}

/* NULL = it has not been used. */
static const struct cost_row *find_locked(const tbus_cost_t *cost, enum cost_group group, const char *name)
{
    const struct table *table = &cost->tables[group];
    const size_t length = strlen(name);
    if (is_shown_as(cost, &cost->unnamed[group].row, name, length))
        return &cost->unnamed[group].row;
    for (uint32_t cell = 0; cell < table->used; cell++) {
        const struct cost_row *row = table_at(table, cell);
        if (row && is_shown_as(cost, row, name, length))
            return row;
    }
    return NULL;
}

int tbus_cost_find(tbus_cost_t *cost, tbus_cost_group_t group, const char *name, tbus_cost_name_t **ret)
{
    struct snapshot_block block;
    if (!cost || !ret || group < TBUS_COST_ALL || group > TBUS_COST_ENDPOINT)
        return UV_EINVAL;
    name = name && group != TBUS_COST_ALL ? name : "";
    const size_t length = strlen(name);
    int error =
        snapshot_block_open(&block, snapshot_rounded(sizeof **ret) + COST_COURSE_BYTES + snapshot_rounded(length + 1));
    if (error)
        return error;
    tbus_cost_name_t *found = snapshot_take(&block, sizeof *found);
    const char *shown = snapshot_text(&block, name, length);
    uv_mutex_lock(&cost->mu);
    const struct cost_row *row =
        group == TBUS_COST_ALL ? &cost->total : find_locked(cost, (enum cost_group)((int)group - TBUS_COST_KEY), name);
    if (row) {
        found->sum = cost_sum_of(&row->sums, shown);
        found->history_from_ns = cost_history_from(&cost->history);
        cost_course_fill_locked(cost, row, &block, &found->course);
    }
    uv_mutex_unlock(&cost->mu);
    assert(!block.overflowed);
    if (!row) {
        tbus_mem_free(found);
        return UV_ENOENT;
    }
    *ret = found;
    return 0;
}

void tbus_cost_name_free(tbus_cost_name_t *name)
{
    tbus_mem_free(name);
}
