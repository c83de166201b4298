#include "trackers/buckets.h"

#include <math.h>
#include <string.h>

static const double time_to_first_token[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                             0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10};
static const double time_per_output_token[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5};
static const double request_duration[] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                          1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
static const double token_usage[] = {1,     4,     16,     64,      256,     1024,     4096,
                                     16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};
static const double vllm_time_to_first_token[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                                  1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
static const double sglang_inter_token_latency[] = {0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025,
                                                    0.03,  0.035, 0.04,  0.06,  0.08, 0.1,   0.2,  0.4,
                                                    0.6,   0.8,   1,     2,     4,    6,     8};

#define BOUNDS(list)                                                                                                   \
    {                                                                                                                  \
        sizeof(list) / sizeof *(list), list                                                                            \
    }

const tbus_bounds_t *tbus_bounds_preset(tbus_bounds_preset_t preset)
{
    static const tbus_bounds_t presets[] = {
        [TBUS_BOUNDS_TIME_TO_FIRST_TOKEN] = BOUNDS(time_to_first_token),
        [TBUS_BOUNDS_TIME_PER_OUTPUT_TOKEN] = BOUNDS(time_per_output_token),
        [TBUS_BOUNDS_REQUEST_DURATION] = BOUNDS(request_duration),
        [TBUS_BOUNDS_TOKEN_USAGE] = BOUNDS(token_usage),
        [TBUS_BOUNDS_VLLM_TIME_TO_FIRST_TOKEN] = BOUNDS(vllm_time_to_first_token),
        [TBUS_BOUNDS_SGLANG_INTER_TOKEN_LATENCY] = BOUNDS(sglang_inter_token_latency),
    };
    return (unsigned)preset < sizeof presets / sizeof *presets ? &presets[preset] : NULL;
}

int buckets_set_bounds(struct buckets_bounds *own, const tbus_bounds_t *given, tbus_bounds_preset_t preset)
{
    if (!given)
        given = tbus_bounds_preset(preset);
    if (!given || !given->values || given->count == 0 || given->count > TBUS_BOUNDS_MAX)
        return UV_EINVAL;
    for (size_t i = 0; i < given->count; i++)
        if (!isfinite(given->values[i]) || (i > 0 && given->values[i] <= given->values[i - 1]))
            return UV_EINVAL;
    memcpy(own->values, given->values, given->count * sizeof *own->values);
    own->bounds = (tbus_bounds_t){given->count, own->values};
    return 0;
}

size_t buckets_bytes(const struct buckets_bounds *bounds)
{
    return sizeof(struct buckets) + (bounds->bounds.count + 1) * sizeof(uint64_t);
}

void buckets_add(struct buckets *buckets, const struct buckets_bounds *bounds, double sample)
{
    size_t low = 0, high = bounds->bounds.count; /* the first bound that the sample does not pass is in [low, high] */
    if (isnan(sample))
        return;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sample <= bounds->values[middle])
            high = middle;
        else
            low = middle + 1;
    }
    buckets->counts[low]++;
    buckets->sum += sample;
}
