/* Histograms with fixed bounds: counts that only grow, so that they add up across machines and over time. What the
 * trackers export under OpenTelemetry's names is made of them. */
#ifndef TALLYBUS_BUCKETS_H
#define TALLYBUS_BUCKETS_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

#define TBUS_BOUNDS_MAX 64 /* bounds of one histogram */

/* Where a histogram's buckets end: 1 to TBUS_BOUNDS_MAX finite numbers that rise. A sample belongs to the first bucket
 * whose bound it does not pass; those above the last bound have a bucket of their own. */
typedef struct tbus_bounds {
    size_t count;
    const double *values;
} tbus_bounds_t;

typedef enum tbus_bounds_preset {
    /* OpenTelemetry's for GenAI, which the trackers use where they are given none */
    TBUS_BOUNDS_TIME_TO_FIRST_TOKEN = 0, /* s */
    TBUS_BOUNDS_TIME_PER_OUTPUT_TOKEN,   /* s */
    TBUS_BOUNDS_REQUEST_DURATION,        /* s */
    TBUS_BOUNDS_TOKEN_USAGE,             /* tokens */
    /* for dashboards made for other servers */
    TBUS_BOUNDS_VLLM_TIME_TO_FIRST_TOKEN,  /* s; as vllm:time_to_first_token_seconds */
    TBUS_BOUNDS_SGLANG_INTER_TOKEN_LATENCY /* s; as sglang:inter_token_latency_seconds */
} tbus_bounds_preset_t;

/* Bounds that stand ready, in static memory; NULL for a number that is none. [any thread] */
TBUS_API const tbus_bounds_t *tbus_bounds_preset(tbus_bounds_preset_t preset);

/* A histogram in a snapshot. */
typedef struct tbus_buckets {
    const tbus_bounds_t *bounds;
    uint64_t count;         /* samples */
    double sum;             /* of them */
    const uint64_t *counts; /* bounds->count + 1: samples in each bucket alone */
} tbus_buckets_t;

TBUS_END_DECLS

#endif
