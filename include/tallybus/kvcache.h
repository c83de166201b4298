/* The KV-cache tracker: how often a prefix was found in the cache, how many tokens that spared, how much faster the
 * first token came. Needs no bus; subscribers.h feeds it from one. All figures are for ever; it keeps no window. Every
 * function takes one lock for as long as it needs to read or write plain memory; none calls the host. */
#ifndef TALLYBUS_KVCACHE_H
#define TALLYBUS_KVCACHE_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

typedef struct tbus_kvcache tbus_kvcache_t;

typedef struct tbus_kvcache_options {
    uint32_t endpoints_max; /* endpoints told apart; further ones count as "other"; default 500 */
    uint64_t reserved[8];
} tbus_kvcache_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory, what a table takes for a moment as it grows included: at most
 * 900 bytes for each endpoint. Errors: UV_EINVAL (`ret` NULL, a count above 2^24), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_kvcache_open(const tbus_kvcache_options_t *options, tbus_kvcache_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_kvcache_close(tbus_kvcache_t *kvcache);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_kvcache_reset(tbus_kvcache_t *kvcache);

/* A look-up of `total_tokens`, of which `matched_tokens` were in the cache: a hit when that is one or more. More matched
 * than looked up are cut to that and counted. Endpoint: NULL counts as "". Errors: UV_EINVAL (tracker NULL; a negative
 * count: counted as refused), UV_ENOMEM (the endpoint could not be kept: it counts as "other"). [any thread] */
TBUS_API int tbus_kvcache_record_lookup(tbus_kvcache_t *kvcache, const char *endpoint, int64_t total_tokens,
                                        int64_t matched_tokens);

/* The time to first token with the cache, and what it would have been without. Errors: UV_EINVAL (tracker NULL; a figure
 * that is below a nanosecond, above 1e12 ms or no number: counted as refused), UV_ENOMEM (as above). [any thread] */
TBUS_API int tbus_kvcache_record_speedup(tbus_kvcache_t *kvcache, const char *endpoint, double baseline_ttft_ms,
                                         double actual_ttft_ms);

typedef struct tbus_kvcache_figures {
    const char *endpoint; /* "" = events that named none */
    uint64_t lookups, hits;
    double hit_rate;         /* per cent of the look-ups; NaN before the first */
    uint64_t tokens, reused; /* tokens looked up, tokens found */
    double token_reuse_rate; /* per cent of the tokens; NaN before the first */
    uint64_t speedups;       /* measured */
    double baseline_ttft_ms; /* mean; NaN before the first, like the three below */
    double actual_ttft_ms;   /* mean */
    double speedup_ratio;    /* mean of baseline / actual */
    double improvement;      /* mean of (baseline - actual) / baseline, in per cent; below 0 = slower */
} tbus_kvcache_figures_t;

typedef struct tbus_kvcache_snapshot {
    int64_t since_ns;           /* when the tracker was opened or reset last, by the system's clock */
    tbus_kvcache_figures_t all; /* endpoint "" */
    uint64_t cut_matches;       /* look-ups with more tokens matched than looked up */
    uint64_t refused_lookups, refused_speedups;
    size_t endpoints_count;
    const tbus_kvcache_figures_t *endpoints; /* by falling number of look-ups, then of speed-ups, then by name */
} tbus_kvcache_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_kvcache_snapshot_free(). The tracker's lock is held
 * only to copy. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_kvcache_snapshot(tbus_kvcache_t *kvcache, tbus_kvcache_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_kvcache_snapshot_free(tbus_kvcache_snapshot_t *snapshot);

TBUS_END_DECLS

#endif
