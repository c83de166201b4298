/* The one sliding window of time: a row of slices, of which the oldest leaves when a new one begins.
 *
 * It knows which slice a moment belongs to and holds no data: its owner keeps an array with a place for each slot, and
 * empties the places that it is told to.
 *
 *     struct window_stale stale;
 *     uint32_t slot = window_enter(&window, time_ns, &stale);
 *     for (; stale.count > 0; window_next_stale(&window, &stale)) empty(&places[stale.slot]);
 *     if (slot != WINDOW_PAST) places[slot].count++;
 *
 * It covers at least its length and at most one slice more. Times are within moment.h's bounds. */
#ifndef TRACKERS_WINDOW_H
#define TRACKERS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_PAST UINT32_MAX /* a moment that the window has left behind */

struct window {
    int64_t slice_ns;    /* 0 = one slice for ever */
    int64_t newest;      /* number of the newest slice: time / slice_ns; INT64_MIN = none yet */
    int64_t newest_from; /* its first moment, so that most moments need no division */
    uint32_t newest_slot;
    uint32_t slots;  /* slices that the length is cut into, and one more */
    uint32_t turned; /* by how many slots the row is turned: see window_go_back() */
};

/* Slots whose slices have left, in a row that wraps around. */
struct window_stale {
    uint32_t slot, count;
};

/* A window of `length_ns` (> 0) cut into `slices`; negative: without limit, in one slot. */
void window_init(struct window *window, int64_t length_ns, uint32_t slices);

/* As window_init() left it. */
void window_reset(struct window *window);

/* The slot of a moment that is not in the newest slice: what window_enter() calls. */
uint32_t window_enter_slowly(struct window *window, int64_t time_ns, struct window_stale *ret_stale);

/* The slot that a moment belongs to, or WINDOW_PAST. A moment after the newest slice moves the window on: the slots
 * that then hold what has left are told. */
static inline uint32_t window_enter(struct window *window, int64_t time_ns, struct window_stale *ret_stale)
{
    ret_stale->count = 0;
    if (window->newest == INT64_MIN || (uint64_t)time_ns - (uint64_t)window->newest_from >= (uint64_t)window->slice_ns)
        return window_enter_slowly(window, time_ns, ret_stale);
    return window->newest_slot;
}

static inline void window_next_stale(const struct window *window, struct window_stale *stale)
{
    stale->slot = stale->slot + 1 < window->slots ? stale->slot + 1 : 0;
    stale->count--;
}

/* What was counted at a moment counts from now on as if it had been `span_ns` (>= 0) earlier, or up to a slice more, where
 * any of it lies in a slice beyond `now_ns`: else it is as it should be, and false is returned. Slots keep what they
 * hold. */
bool window_go_back(struct window *window, int64_t now_ns, int64_t span_ns);

/* How much time the window that ends at `now_ns` covers: its length, cut into whole slices, and what has gone by of the
 * newest one. 0 = without limit. */
int64_t window_span_ns(const struct window *window, int64_t now_ns);

/* Whether a slot belongs to the window as it is at `now_ns`. */
bool window_covers(const struct window *window, uint32_t slot, int64_t now_ns);

#endif
