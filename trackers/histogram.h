/* The one histogram, over a sliding window of time: durations in nanoseconds, from 0 to more than an hour, in
 * log-linear buckets.
 *
 * Below 1,024 ns the buckets are 8 ns wide; from there on every power of two is cut into 128 of them. So a bucket is at
 * most 1/128 as wide as the values in it, and its middle is within 0.4 % of each of them. Count, sum, minimum and
 * maximum are exact.
 *
 * The window (window.h) is a row of time slices. Each keeps its own counts; beside them stands their total, from which
 * a slice is taken off when it leaves the window. Recording is two additions; reading copies the total. Memory is fixed
 * at open. */
#ifndef TRACKERS_HISTOGRAM_H
#define TRACKERS_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include <tallybus/distribution.h>

#include "trackers/int128.h"

#define HISTOGRAM_STEPS 128                                               /* buckets for a power of two */
#define HISTOGRAM_OCTAVES 33                                              /* 2^10 ns .. 2^43 ns = 2.4 hours */
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (HISTOGRAM_OCTAVES + 1) + 1) /* the last: all above */
/* Slices that a window is cut into; one more is kept, and a slice is 17 KiB. A tracker has few histograms of all that it
 * sees, and may have many of one name each. */
#define HISTOGRAM_SLICES 30
#define HISTOGRAM_SLICES_OF_A_NAME 4

struct histogram {
    uint64_t samples;
    uint128_t sum_ns;
    int64_t min_ns, max_ns;
    uint64_t counts[HISTOGRAM_BUCKETS];
};

struct histogram_window;

/* `window_ns` negative: without limit. Errors: UV_ENOMEM. */
int histogram_window_open(int64_t window_ns, uint32_t slices, struct histogram_window **ret);
void histogram_window_close(struct histogram_window *window);
void histogram_window_reset(struct histogram_window *window);

/* As window_go_back(). */
void histogram_window_go_back(struct histogram_window *window, int64_t now_ns, int64_t span_ns);

/* Records `samples` values that make up `sum_ns` together, each of them about `value_ns` (>= 0). A bucket of a slice holds
 * 2^32 - 1: what would be more is not recorded at all. Without limit of time there is only the total, of 2^64 - 1. */
void histogram_window_record(struct histogram_window *window, int64_t time_ns, int64_t value_ns, uint64_t samples,
                             int64_t sum_ns);

/* Adds what lies in the window that ends at `now_ns` to a histogram. */
void histogram_window_add_to(const struct histogram_window *window, int64_t now_ns, struct histogram *total);

/* Whether it holds no sample; one that has left the window may still count. */
bool histogram_window_is_empty(const struct histogram_window *window);

/* Makes it empty; cheaper than zeroing all of it. */
void histogram_clear(struct histogram *histogram);

/* Adds one histogram to another. */
void histogram_add(struct histogram *total, const struct histogram *more);

/* The figures, in milliseconds. */
tbus_distribution_t histogram_distribution_ms(const struct histogram *histogram);

#endif
