/* The one sum over a sliding window (window.h): a counter that tells how much of it was counted lately. */
#ifndef TRACKERS_WINDOW_SUM_H
#define TRACKERS_WINDOW_SUM_H

#include "trackers/saturate.h"
#include "trackers/window.h"

enum { WINDOW_SUM_SLICES = 30 };

struct window_sum {
    struct window window;
    uint64_t slots[WINDOW_SUM_SLICES + 1];
};

/* `window_ns` negative: without limit. */
void window_sum_init(struct window_sum *sum, int64_t window_ns);

/* As window_sum_init() left it. */
void window_sum_reset(struct window_sum *sum);

/* As window_go_back(). */
static inline void window_sum_go_back(struct window_sum *sum, int64_t now_ns, int64_t span_ns)
{
    window_go_back(&sum->window, now_ns, span_ns);
}

/* Counts at a moment; one that the window has left behind is not counted. The sum stays at UINT64_MAX once there. */
static inline void window_sum_add(struct window_sum *sum, int64_t time_ns, uint64_t amount)
{
    struct window_stale stale;
    uint32_t slot = window_enter(&sum->window, time_ns, &stale);
    for (; stale.count > 0; window_next_stale(&sum->window, &stale))
        sum->slots[stale.slot] = 0;
    if (slot != WINDOW_PAST)
        sum->slots[slot] = sum_up_to_max(sum->slots[slot], amount);
}

/* What lies in the window that ends at `now_ns`. */
uint64_t window_sum_at(const struct window_sum *sum, int64_t now_ns);

#endif
