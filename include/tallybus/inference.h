/* The inference tracker: where the time of a request goes on its way through queue, prefill and decode, for serving that
 * is disaggregated. Needs no bus; subscribers.h feeds it from one.
 *
 * A request is followed by its id from its start to its end; each figure is recorded when it is known:
 *   queue    request.dequeued's wait_time_ms; where none is told, start to prefill.started
 *   prefill  prefill.completed's own time; where none is told, from prefill.started
 *   TTFT     stream.first_token's own ttft_ms; where none is told, from the start
 *   decode   decode.completed's own time; where none is told, from decode.started
 *   ITL      decode / (output tokens - 1): the mean gap of a request, one sample each, for more than one token. The gaps
 *            of single tokens are streaming.h's
 *   TPOT     (end - first token) / (output tokens - 1), for more than one token
 *   total    start to completion
 * Each only once for a request: what is told again is ignored. Figures are over a sliding window; they go into histograms,
 * so that percentiles are within 0.5 %. Intervals that end before they begin are counted and taken as 0. A time too far
 * ahead is not believed, as in streaming.h. Every function takes one lock for as long as it needs to read or write plain
 * memory; none calls the host, but for the options' `clock`. */
#ifndef TALLYBUS_INFERENCE_H
#define TALLYBUS_INFERENCE_H

#include <tallybus/distribution.h>

TBUS_BEGIN_DECLS

typedef struct tbus_inference tbus_inference_t;

typedef struct tbus_inference_options {
    uint32_t active_max;  /* requests followed at once; a start past it is refused and counted; default 10,000 */
    uint32_t models_max;  /* models told apart; further ones count as "other"; default 50 */
    uint32_t workers_max; /* the same of workers; default 500 */
    uint32_t queues_max;  /* the same of queues; default 100 */
    int64_t window_ns; /* figures are over this time before the snapshot's, in 30 slices (those of a model: in 4, so up
                             to a quarter more); default 300 s */
    int64_t
        idle_ns; /* a request without an event for so long is forgotten and counted (looked for every 64th of it, and
                        when there is no room); default 600 s; negative = never */
    int64_t
        ahead_max_ns; /* how far ahead of the clock, and of the latest time, a time may be; default 300 s; negative =
                             any time is believed: for times that are not of this clock */
    /* Nanoseconds since 1970; default: the system's clock. Asked on opening, on a reset, and where a time is ahead of
     * what the last look at it allowed, or late by more than `ahead_max_ns`; with the lock held, on any thread: it may
     * neither block nor call the library. */
    int64_t (*clock)(void *user);
    void *clock_user;
    uint64_t reserved[8];
} tbus_inference_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory, what tables take for a moment as they grow included: 4 MiB;
 * 850 KiB for each model in use and "other" (46 MiB for 50 models); at most 1,000 bytes for each active request, 750 for
 * each worker and queue. Errors: UV_EINVAL (`ret` NULL, a count above 2^24 or, of models, above 2^12; a negative window),
 * UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_inference_open(const tbus_inference_options_t *options, tbus_inference_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_inference_close(tbus_inference_t *inference);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_inference_reset(tbus_inference_t *inference);

/* --- Recording. Times are nanoseconds since the epoch. All: UV_EINVAL when the tracker is NULL. [any thread] --- */

/* A request begins. An id of NULL counts as "". Long ids and names (over 191 bytes) are kept as their beginning and a
 * 64-bit hash. Errors, each counted: UV_EEXIST (this id is active: ignored), UV_ENOSPC (active_max reached), UV_ENOMEM. */
TBUS_API int tbus_inference_record_start(tbus_inference_t *inference, const char *request_id, const char *model,
                                         int64_t input_tokens, int64_t time_ns);

typedef enum tbus_inference_step {
    TBUS_STEP_DEQUEUED = 0,      /* `duration_ms`: the wait in the queue */
    TBUS_STEP_PREFILL_STARTED,   /* `tokens`: of the input, where the start told none */
    TBUS_STEP_PREFILL_COMPLETED, /* `duration_ms`: of the prefill */
    TBUS_STEP_FIRST_TOKEN,       /* `duration_ms`: the TTFT */
    TBUS_STEP_DECODE_STARTED,
    TBUS_STEP_DECODE_COMPLETED /* `duration_ms`: of the decode; `tokens`: of the output */
} tbus_inference_step_t;

/* A step of a request. `duration_ms` NaN or below 0 = not told, `tokens` below 1 = not told. Errors: UV_EINVAL (no such
 * step), UV_ENOENT (no such active request: counted as orphan). */
TBUS_API int tbus_inference_record_step(tbus_inference_t *inference, const char *request_id, tbus_inference_step_t step,
                                        double duration_ms, int64_t tokens, int64_t time_ns);

/* A request goes to a worker. It may go to several, one after the other; it counts for each, once for the same one told
 * twice in a row; tokens and end count for the last one. Errors: UV_ENOENT (orphan: not counted for the worker), UV_ENOMEM
 * (the worker could not be kept: it counts as "other"). */
TBUS_API int tbus_inference_record_worker(tbus_inference_t *inference, const char *request_id, const char *worker_id,
                                          int64_t time_ns);

/* A worker is done with a request: a sample of its latency, whether the request is known or not. Where a worker tells
 * none before its request completes, the request's total is the sample. `duration_ms` NaN or below 0 = not told. Errors:
 * UV_ENOMEM (as above). */
TBUS_API int tbus_inference_record_worker_done(tbus_inference_t *inference, const char *request_id,
                                               const char *worker_id, double duration_ms, int64_t time_ns);

/* What a request came to. Counts below 1 = not told; what its steps said then holds. */
typedef struct tbus_inference_end {
    bool failed; /* nothing of its end is recorded then but that; what its steps told stays */
    int64_t input_tokens, output_tokens, cached_tokens;
    int64_t time_ns;
    uint64_t reserved[4];
} tbus_inference_end_t;

/* A request ends. More cached tokens than input ones are cut to these. Errors: UV_EINVAL (`end` NULL), UV_ENOENT (orphan).
 */
TBUS_API int tbus_inference_record_end(tbus_inference_t *inference, const char *request_id,
                                       const tbus_inference_end_t *end);

/* The depth of a queue from a moment on (NULL = ""); below 0 counts as 0. Errors: UV_ENOMEM (it counts as "other"). */
TBUS_API int tbus_inference_record_queue_depth(tbus_inference_t *inference, const char *queue, int64_t depth,
                                               int64_t time_ns);

/* The size of a batch from a moment on; below 0 counts as 0. */
TBUS_API int tbus_inference_record_batch_size(tbus_inference_t *inference, int64_t size, int64_t time_ns);

/* --- All requests --- */

typedef struct tbus_inference_figures {
    const char *model; /* "" = requests that named none, or all of them */
    /* for ever */
    uint64_t started, completed, failed;
    uint64_t input_tokens, output_tokens, cached_tokens; /* of completed requests */
    double cached_share;                                 /* cached / input tokens; NaN without input tokens */
    /* over the window */
    double requests_per_second, input_tokens_per_second, output_tokens_per_second; /* completed; as in traffic.h */
    /* TPOT and total are of requests that completed; the others count when they are known, of requests that fail later,
     * too */
    tbus_distribution_t queue_ms, prefill_ms, decode_ms, ttft_ms, itl_ms, tpot_ms, total_ms;
} tbus_inference_figures_t;

typedef struct tbus_inference_worker {
    const char *worker;
    uint64_t requests; /* that went to it */
    uint64_t tokens;   /* of the output, of requests that completed there */
    uint64_t done;     /* samples of its latency */
    double latency_ms; /* mean; NaN before the first */
    double share;      /* of all workers' requests; NaN without any */
} tbus_inference_worker_t;

/* A level holds from one event to the next, and after the last one. */
typedef struct tbus_inference_level {
    int64_t now, max; /* 0 before the first */
    double mean;      /* weighted by time; NaN = no time has gone by since the first */
} tbus_inference_level_t;

typedef struct tbus_inference_snapshot {
    int64_t time_ns;  /* the moment that the window ends at */
    int64_t since_ns; /* when the tracker was opened or reset last, by its clock */
    tbus_inference_figures_t all;
    uint64_t active;                    /* now */
    tbus_inference_level_t queue_depth; /* of all queues together */
    tbus_inference_level_t batch_size;
    uint64_t duplicate_starts, refused_starts, orphan_events;
    uint64_t abandoned;          /* idle past the limit */
    uint64_t negative_intervals; /* taken as 0 */
    uint64_t ahead;              /* times too far ahead to be believed */
    size_t models_count, workers_count;
    const tbus_inference_figures_t *models; /* by falling number of starts, then by name */
    const tbus_inference_worker_t *workers; /* by falling number of requests, then by name */
} tbus_inference_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_inference_snapshot_free(). The window ends at
 * `now_ns`; 0 = at the latest time recorded. The lock is held to copy the counts, which are of one moment, and then once
 * for each model's latencies, which may know of a few requests more. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_inference_snapshot(tbus_inference_t *inference, int64_t now_ns,
                                                  tbus_inference_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_inference_snapshot_free(tbus_inference_snapshot_t *snapshot);

TBUS_END_DECLS

#endif
