#include "trackers/window.h"

#include <assert.h>

#include "trackers/moment.h"

void window_init(struct window *window, int64_t length_ns, uint32_t slices)
{
    assert(length_ns != 0 && slices > 0);
    window->slots = length_ns < 0 ? 1 : slices + 1;
    window->slice_ns = length_ns < 0 ? 0 : length_ns / slices + (length_ns % slices != 0);
    window_reset(window);
}

void window_reset(struct window *window)
{
    window->newest = INT64_MIN;
    window->newest_from = 0;
    window->newest_slot = window->turned = 0;
}

/* Number of the slice that a moment lies in: rounded towards the past, before 1970 too. */
static int64_t number_of(const struct window *window, int64_t time_ns)
{
    return time_ns / window->slice_ns - (time_ns % window->slice_ns < 0);
}

static uint32_t slot_of(const struct window *window, int64_t number)
{
    int64_t slot = number % window->slots;
    return ((uint32_t)(slot < 0 ? slot + window->slots : slot) + window->turned) % window->slots;
}

static void move_to(struct window *window, int64_t number, struct window_stale *ret_stale)
{
    bool all = window->newest == INT64_MIN || number - window->newest >= window->slots; /* bounded: no overflow */
    ret_stale->count = all ? window->slots : (uint32_t)(number - window->newest);
    ret_stale->slot = slot_of(window, number - ret_stale->count + 1);
    window->newest = number;
    window->newest_from = number * window->slice_ns;
    window->newest_slot = slot_of(window, number);
}

uint32_t window_enter_slowly(struct window *window, int64_t time_ns, struct window_stale *ret_stale)
{
    if (window->slice_ns == 0)
        return 0;
    int64_t number = number_of(window, time_ns);
    if (window->newest == INT64_MIN || number > window->newest)
        move_to(window, number, ret_stale);
    else if (window->newest - number >= window->slots)
        return WINDOW_PAST;
    return slot_of(window, number);
}

bool window_go_back(struct window *window, int64_t now_ns, int64_t span_ns)
{
    assert(span_ns >= 0);
    if (window->slice_ns == 0 || window->newest == INT64_MIN || window->newest_from <= now_ns)
        return false;
    window->newest = number_of(window, moment_before(window->newest_from, span_ns));
    window->newest_from = window->newest * window->slice_ns;
    window->turned =
        (window->turned + window->newest_slot + window->slots - slot_of(window, window->newest)) % window->slots;
    assert(slot_of(window, window->newest) == window->newest_slot);
    return true;
}

bool window_covers(const struct window *window, uint32_t slot, int64_t now_ns)
{
    if (window->slice_ns == 0)
        return true;
    if (window->newest == INT64_MIN)
        return false;
    int64_t now = number_of(window, now_ns);
    int64_t number = window->newest - (window->newest_slot + window->slots - slot) % window->slots;
    return number <= now && now - number < window->slots;
}

int64_t window_span_ns(const struct window *window, int64_t now_ns)
{
    if (window->slice_ns == 0)
        return 0;
    return (window->slots - 1) * window->slice_ns + (now_ns - number_of(window, now_ns) * window->slice_ns);
}
