#include "trackers/level.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "trackers/moment.h"

void level_init(struct level *level, int64_t window_ns)
{
    assert(window_ns > 0);
    memset(level, 0, sizeof *level);
    window_init(&level->window, window_ns, LEVEL_SLICES);
}

/* The slot of a moment, which is not before any that was asked for: it is in the newest slice. */
static struct level_slot *slot_at(struct level *level, int64_t time_ns)
{
    struct window_stale stale;
    uint32_t slot = window_enter(&level->window, time_ns, &stale);
    for (; stale.count > 0; window_next_stale(&level->window, &stale))
        level->slots[stale.slot] = (struct level_slot){0};
    assert(slot == level->window.newest_slot);
    return &level->slots[slot];
}

/* The value was held up to a moment: each slice that this lies in gets its part. */
static void hold_until(struct level *level, int64_t time_ns)
{
    const int64_t slice_ns = level->window.slice_ns;
    if (!level->known)
        return;
    if ((time_ns - level->since_ns) / slice_ns >= level->window.slots) /* the rest has left the window */
        level->since_ns = time_ns - level->window.slots * slice_ns;
    while (level->since_ns < time_ns) {
        struct level_slot *slot = slot_at(level, level->since_ns);
        int64_t end_ns = level->window.newest_from + slice_ns;
        int64_t span_ns = (end_ns < time_ns ? end_ns : time_ns) - level->since_ns;
        slot->area += (uint128_t)level->value * (uint64_t)span_ns;
        slot->span_ns += span_ns;
        slot->max = level->value > slot->max ? level->value : slot->max;
        level->since_ns += span_ns;
    }
}

void level_set(struct level *level, int64_t time_ns, int64_t value)
{
    assert(value >= 0);
    hold_until(level, time_ns);
    if (!level->known || time_ns > level->since_ns)
        level->since_ns = time_ns;
    level->known = true;
    level->value = value;
    struct level_slot *slot = slot_at(level, level->since_ns);
    slot->max = value > slot->max ? value : slot->max;
}

/* Both or neither: what is held since then lies in the newest slice. */
void level_go_back(struct level *level, int64_t now_ns, int64_t span_ns)
{
    if (window_go_back(&level->window, now_ns, span_ns))
        level->since_ns = moment_before(level->since_ns, span_ns);
}

struct level_figures level_at(const struct level *level, int64_t now_ns)
{
    struct level read = *level; /* what is held since the last moment told goes into a copy */
    struct level_figures figures = {read.value, 0, NAN};
    uint128_t area = 0;
    uint64_t span_ns = 0;
    hold_until(&read, now_ns);
    for (uint32_t i = 0; i < read.window.slots; i++) {
        const struct level_slot *slot = &read.slots[i];
        if (!window_covers(&read.window, i, now_ns))
            continue;
        area += slot->area;
        span_ns += (uint64_t)slot->span_ns;
        figures.max = slot->max > figures.max ? slot->max : figures.max;
    }
    if (span_ns > 0)
        figures.mean = uint128_double(area) / (double)span_ns;
    return figures;
}
