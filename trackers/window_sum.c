#include "trackers/window_sum.h"

#include <string.h>

void window_sum_init(struct window_sum *sum, int64_t window_ns)
{
    window_init(&sum->window, window_ns, WINDOW_SUM_SLICES);
    memset(sum->slots, 0, sizeof sum->slots);
}

void window_sum_reset(struct window_sum *sum)
{
    window_reset(&sum->window);
    memset(sum->slots, 0, sizeof sum->slots);
}

uint64_t window_sum_at(const struct window_sum *sum, int64_t now_ns)
{
    uint64_t total = 0;
    for (uint32_t slot = 0; slot < sum->window.slots; slot++)
        if (sum->slots[slot] > 0 && window_covers(&sum->window, slot, now_ns))
            total = sum_up_to_max(total, sum->slots[slot]);
    return total;
}
