/* The streaming tracker inside: streaming.c records, streaming_snapshot.c reads. */
#ifndef TRACKERS_STREAMING_INTERNAL_H
#define TRACKERS_STREAMING_INTERNAL_H

#include <tallybus/streaming.h>

#include "trackers/histogram.h"
#include "trackers/table.h"

enum { STREAM_ID_MAX = 191, MODEL_NAME_MAX = 191 };

/* An active stream. */
struct stream {
    int64_t start_ns;
    int64_t last_event_ns;  /* for the idle limit */
    int64_t last_token_ns;  /* once has_token */
    int64_t first_token_ns; /* once has_first */
    double ttft_ms;         /* once has_first */
    uint64_t tokens;
    int64_t last_sequence, last_tokens;
    uint64_t backpressure;
    uint32_t model; /* cell in `models` */
    bool has_first, has_token;
};

/* A finished stream, as far as the percentiles want it. NaN = has no such figure. */
struct finished {
    int64_t end_ns;
    double ttft_ms, tpot_ms, tokens_per_second, duration_ms;
};

struct model {
    uint64_t streams, tokens;
};

struct streaming_counters {
    uint64_t total_streams, completed, failed, cancelled, abandoned;
    uint64_t total_tokens, shed_tokens, backpressure;
    uint64_t duplicate_starts, refused_starts, orphans, negative_intervals;
};

struct tbus_streaming {
    uv_mutex_t mu;
    tbus_streaming_options_t options; /* [const after open] defaults filled in */
    /* [lock: mu] */
    int64_t now_ns;        /* the latest time recorded */
    int64_t idle_from_ns;  /* until then no active stream is idle past the limit: a lower bound */
    int64_t next_sweep_ns; /* before then streams are looked through only for need: no room, or a snapshot */
    bool has_now;
    struct streaming_counters counters;
    struct table active;       /* struct stream by id */
    struct table models;       /* struct model by name */
    struct finished *finished; /* a ring of finished_max */
    uint32_t finished_count, finished_next;
    /* A gap that one token ends is an ITL and an ICL sample alike, and nearly all are such: they are recorded once. */
    struct histogram_window *gaps;      /* both */
    struct histogram_window *itl, *icl; /* of events with several tokens */
};

/* Ends streams that have been idle past the limit at the time `now_ns`; looks through them only where there may be one.
 */
void streaming_sweep_locked(tbus_streaming_t *streaming, int64_t now_ns);

#endif
