/* The one level over a sliding window (window.h): something that holds a value until it is told another one, such as the
 * depth of a queue. Its mean is weighted by time: the sum of value * time that it was held, divided by that time. */
#ifndef TRACKERS_LEVEL_H
#define TRACKERS_LEVEL_H

#include "trackers/int128.h"
#include "trackers/window.h"

enum { LEVEL_SLICES = 30 };

struct level_slot {
    uint128_t area; /* value * ns */
    int64_t span_ns;
    int64_t max;
};

struct level {
    struct window window;
    int64_t value;
    int64_t since_ns; /* when known */
    bool known;
    struct level_slot slots[LEVEL_SLICES + 1];
};

/* `window_ns` > 0. */
void level_init(struct level *level, int64_t window_ns);

/* The value (>= 0) from a moment on. Moments that lie behind the last one count as that. */
void level_set(struct level *level, int64_t time_ns, int64_t value);

/* As window_go_back(); the value is held on. */
void level_go_back(struct level *level, int64_t now_ns, int64_t span_ns);

struct level_figures {
    int64_t now, max;
    double mean; /* NaN where no time has gone by */
};

/* In the window that ends at `now_ns`. */
struct level_figures level_at(const struct level *level, int64_t now_ns);

#endif
