#include "trackers/histogram.h"

#include <assert.h>
#include <string.h>

#include "trackers/distribution.h"
#include "trackers/window.h"

enum { LINEAR_BITS = 10, STEP_BITS = 7 };

static_assert(1 << STEP_BITS == HISTOGRAM_STEPS, "buckets for a power of two");

struct slice {
    uint64_t samples;
    uint128_t sum_ns;
    int64_t min_ns, max_ns;
    uint32_t counts[HISTOGRAM_BUCKETS];
};

struct histogram_window {
    struct window window;
    struct histogram total;
    struct slice slices[]; /* by slot */
};

static uint32_t bucket_of(int64_t value_ns)
{
    uint64_t value = (uint64_t)value_ns;
    if (value < 1u << LINEAR_BITS)
        return (uint32_t)(value >> (LINEAR_BITS - STEP_BITS));
    uint32_t power = 63 - (uint32_t)__builtin_clzll(value);
    uint32_t octave = power - LINEAR_BITS;
    if (octave >= HISTOGRAM_OCTAVES)
        return HISTOGRAM_BUCKETS - 1;
    uint32_t step = (uint32_t)(value >> (power - STEP_BITS)) & (HISTOGRAM_STEPS - 1);
    return HISTOGRAM_STEPS * (octave + 1) + step;
}

/* The buckets that values from `min_ns` to `max_ns` lie in: latencies are spread over a tenth of all there are, and the
 * others need not be looked at. */
struct range {
    uint32_t first, last;
};

static struct range range_of(int64_t min_ns, int64_t max_ns)
{
    return (struct range){bucket_of(min_ns), bucket_of(max_ns)};
}

/* The middle of a bucket. */
static double middle_of(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return ((double)bucket + 0.5) * (1 << (LINEAR_BITS - STEP_BITS));
    uint32_t octave = bucket / HISTOGRAM_STEPS - 1, step = bucket % HISTOGRAM_STEPS;
    double width = (double)(UINT64_C(1) << (octave + LINEAR_BITS - STEP_BITS));
    return (HISTOGRAM_STEPS + step + 0.5) * width;
}

int histogram_window_open(int64_t window_ns, uint32_t slices, struct histogram_window **ret)
{
    struct window window;
    window_init(&window, window_ns, slices);
    struct histogram_window *opened = tbus_mem_alloc(sizeof *opened + window.slots * sizeof opened->slices[0]);
    if (!opened)
        return UV_ENOMEM;
    opened->window = window;
    *ret = opened;
    return 0;
}

void histogram_window_close(struct histogram_window *window)
{
    tbus_mem_free(window);
}

void histogram_window_reset(struct histogram_window *window)
{
    memset(&window->total, 0, sizeof window->total);
    memset(window->slices, 0, window->window.slots * sizeof window->slices[0]);
    window_reset(&window->window);
}

void histogram_window_go_back(struct histogram_window *window, int64_t now_ns, int64_t span_ns)
{
    window_go_back(&window->window, now_ns, span_ns);
}

static void take_off(struct histogram_window *window, struct slice *slice)
{
    if (slice->samples == 0)
        return;
    const struct range range = range_of(slice->min_ns, slice->max_ns);
    for (uint32_t i = range.first; i <= range.last; i++)
        window->total.counts[i] -= slice->counts[i];
    window->total.samples -= slice->samples;
    window->total.sum_ns -= slice->sum_ns;
    memset(slice, 0, sizeof *slice);
}

/* The slice that a moment belongs to; NULL when the window has left it behind. */
static struct slice *slice_at(struct histogram_window *window, int64_t time_ns)
{
    struct window_stale stale;
    uint32_t slot = window_enter(&window->window, time_ns, &stale);
    for (; stale.count > 0; window_next_stale(&window->window, &stale))
        take_off(window, &window->slices[stale.slot]);
    return slot == WINDOW_PAST ? NULL : &window->slices[slot];
}

void histogram_window_record(struct histogram_window *window, int64_t time_ns, int64_t value_ns, uint64_t samples,
                             int64_t sum_ns)
{
    assert(value_ns >= 0 && sum_ns >= 0);
    struct slice *slice = slice_at(window, time_ns);
    if (!slice)
        return;
    uint32_t bucket = bucket_of(value_ns);
    uint32_t counted = (uint32_t)samples;
    if (samples > UINT32_MAX - slice->counts[bucket]) {
        if (window->window.slots > 1)
            return;
        counted = 0; /* nothing is ever taken off the total, which has room */
    }
    if (slice->samples == 0 || value_ns < slice->min_ns)
        slice->min_ns = value_ns;
    if (slice->samples == 0 || value_ns > slice->max_ns)
        slice->max_ns = value_ns;
    slice->counts[bucket] += counted;
    slice->samples += samples;
    slice->sum_ns += (uint128_t)sum_ns;
    window->total.counts[bucket] += samples;
    window->total.samples += samples;
    window->total.sum_ns += (uint128_t)sum_ns;
}

static void add_slice(const struct slice *slice, bool with_counts, struct histogram *total)
{
    if (total->samples == 0 || slice->min_ns < total->min_ns)
        total->min_ns = slice->min_ns;
    if (total->samples == 0 || slice->max_ns > total->max_ns)
        total->max_ns = slice->max_ns;
    total->samples += slice->samples;
    total->sum_ns += slice->sum_ns;
    const struct range range = range_of(slice->min_ns, slice->max_ns);
    for (uint32_t i = range.first; with_counts && i <= range.last; i++)
        total->counts[i] += slice->counts[i];
}

void histogram_window_add_to(const struct histogram_window *window, int64_t now_ns, struct histogram *total)
{
    const uint32_t slots = window->window.slots;
    bool all = true;
    if (window->total.samples == 0)
        return;
    for (uint32_t slot = 0; slot < slots; slot++)
        all = all && (window->slices[slot].samples == 0 || window_covers(&window->window, slot, now_ns));
    for (uint32_t slot = 0; slot < slots; slot++)
        if (window->slices[slot].samples > 0 && window_covers(&window->window, slot, now_ns))
            add_slice(&window->slices[slot], !all, total);
    if (!all || total->samples == 0)
        return;
    const struct range range = range_of(total->min_ns, total->max_ns);
    for (uint32_t i = range.first; i <= range.last; i++) /* what they add up to stands ready */
        total->counts[i] += window->total.counts[i];
}

bool histogram_window_is_empty(const struct histogram_window *window)
{
    return window->total.samples == 0;
}

void histogram_add(struct histogram *total, const struct histogram *more)
{
    if (more->samples == 0)
        return;
    if (total->samples == 0 || more->min_ns < total->min_ns)
        total->min_ns = more->min_ns;
    if (total->samples == 0 || more->max_ns > total->max_ns)
        total->max_ns = more->max_ns;
    total->samples += more->samples;
    total->sum_ns += more->sum_ns;
    const struct range range = range_of(more->min_ns, more->max_ns);
    for (uint32_t i = range.first; i <= range.last; i++)
        total->counts[i] += more->counts[i];
}

void histogram_clear(struct histogram *histogram)
{
    const struct range range = range_of(histogram->min_ns, histogram->max_ns);
    memset(&histogram->counts[range.first], 0, (range.last - range.first + 1) * sizeof histogram->counts[0]);
    histogram->samples = 0;
    histogram->sum_ns = 0;
    histogram->min_ns = histogram->max_ns = 0;
}

/* How far the counts have been walked. */
struct walk {
    uint32_t bucket;
    uint64_t passed; /* samples in the buckets before it */
};

/* A value within the bucket's bound of the sample with this rank (from 0; not below one asked for with this walk); the
 * first and the last are known exactly. */
static double sample_at(const struct histogram *histogram, uint64_t rank, struct walk *walk)
{
    if (rank == 0)
        return (double)histogram->min_ns;
    if (rank == histogram->samples - 1)
        return (double)histogram->max_ns;
    while (walk->bucket < HISTOGRAM_BUCKETS - 1 && walk->passed + histogram->counts[walk->bucket] <= rank)
        walk->passed += histogram->counts[walk->bucket++];
    double value = walk->bucket == HISTOGRAM_BUCKETS - 1 ? (double)histogram->max_ns : middle_of(walk->bucket);
    if (value < (double)histogram->min_ns)
        return (double)histogram->min_ns;
    return value > (double)histogram->max_ns ? (double)histogram->max_ns : value;
}

tbus_distribution_t histogram_distribution_ms(const struct histogram *histogram)
{
    const double ns_per_ms = 1e6;
    double found[PERCENTILES];
    if (histogram->samples == 0)
        return distribution_none();
    struct walk walk = {bucket_of(histogram->min_ns), 0};
    for (int p = 0; p < PERCENTILES; p++) { /* their ranks rise */
        struct cut_point cut = distribution_cut(histogram->samples, (enum percentile)p);
        double below = sample_at(histogram, cut.below, &walk);
        struct walk ahead = walk;
        double above = histogram->samples > 1 ? sample_at(histogram, cut.below + 1, &ahead) : below;
        found[p] = distribution_at(&cut, below, above) / ns_per_ms;
    }
    return (tbus_distribution_t){histogram->samples,
                                 uint128_double(histogram->sum_ns) / (double)histogram->samples / ns_per_ms,
                                 (double)histogram->min_ns / ns_per_ms,
                                 (double)histogram->max_ns / ns_per_ms,
                                 found[PERCENTILE_50],
                                 found[PERCENTILE_90],
                                 found[PERCENTILE_95],
                                 found[PERCENTILE_99]};
}
