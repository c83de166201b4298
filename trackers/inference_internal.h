/* The inference tracker inside. inference.c opens it and keeps its time, inference_record.c takes what happens,
 * inference_snapshot.c reads. */
#ifndef TRACKERS_INFERENCE_INTERNAL_H
#define TRACKERS_INFERENCE_INTERNAL_H

#include <tallybus/inference.h>

#include "trackers/ahead.h"
#include "trackers/histogram.h"
#include "trackers/level.h"
#include "trackers/moment.h"
#include "trackers/table.h"
#include "trackers/window_sum.h"

enum { INFERENCE_NAME_MAX = TABLE_SHORT_MAX };

enum phase { PHASE_QUEUE, PHASE_PREFILL, PHASE_DECODE, PHASE_TTFT, PHASE_ITL, PHASE_TPOT, PHASE_TOTAL, PHASES };

/* All requests, or those of a model. */
struct inference_row {
    uint64_t started, completed, failed, input_tokens, output_tokens, cached_tokens;
    struct window_sum recent_completed, recent_input, recent_output;
    struct histogram_window *phases[PHASES];
};

struct request {
    int64_t last_event_ns; /* for the idle limit */
    int64_t start_ns;
    int64_t prefill_ns, decode_ns, first_token_ns; /* when they began; once has_... */
    int64_t decode_took_ns;                        /* once PHASE_DECODE is known */
    uint64_t input_tokens, output_tokens;          /* 0 = not told */
    uint32_t model;                                /* cell */
    uint32_t worker;                               /* cell, or TABLE_NONE */
    uint32_t worker_hash;                          /* of its name: "other" is the cell of many */
    uint32_t known;                                /* 1 << phase for each that was recorded */
    bool has_prefill, has_decode, has_first_token, worker_told;
};

struct worker {
    uint64_t requests, tokens, done;
    double latency_ns; /* sum */
};

struct inference_counters {
    uint64_t duplicate_starts, refused_starts, orphans, abandoned, negative_intervals;
};

struct tbus_inference {
    uv_mutex_t mu;
    tbus_inference_options_t options; /* [const after open] defaults filled in */
    /* [lock: mu] */
    struct ahead ahead;
    struct inference_row all;
    struct inference_counters counters;
    struct table requests; /* struct request by id */
    struct table models;   /* struct inference_row; "other" is always there */
    struct table workers;  /* struct worker; the same */
    struct table queues;   /* int64_t: the depth; the same */
    int128_t queued;       /* the sum of them */
    struct level depth, batch;
    int64_t idle_from_ns;  /* until then no request is idle past the limit: a lower bound */
    int64_t next_sweep_ns; /* before then requests are looked through only for room */
    uint64_t resets;       /* a model's cell is another one's after one */
};

/* What one event of a request adds to the windows. */
struct inference_addition {
    uint32_t phases; /* 1 << phase for each of took_ns that is one */
    bool completes;
    int64_t took_ns[PHASES];
    uint64_t input_tokens, output_tokens;
};

/* Time goes on to that of an event, and idle requests are forgotten when it is time to look. Returns the moment that the
 * event counts at. */
int64_t inference_advance_locked(tbus_inference_t *inference, int64_t time_ns);

/* Adds to the windows of all requests and of a model (cell). */
void inference_add_locked(tbus_inference_t *inference, uint32_t model, int64_t time_ns,
                          const struct inference_addition *addition);

/* Forgets requests that are idle past the limit; looks through them only where there may be one. */
void inference_sweep_locked(tbus_inference_t *inference);

/* A request is forgotten for being idle. */
void inference_abandon_locked(tbus_inference_t *inference, struct request *request);

/* The row of a model; "other" past the limit and without memory. */
struct inference_row *inference_model_locked(tbus_inference_t *inference, const struct table_name *name);

#endif
