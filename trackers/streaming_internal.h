/* The streaming tracker inside. streaming.c opens it and keeps its time, streaming_record.c takes what happens to streams
 * that run, streaming_end.c their ends, streaming_window.c what goes into the window, streaming_find.c and
 * streaming_snapshot.c read. */
#ifndef TRACKERS_STREAMING_INTERNAL_H
#define TRACKERS_STREAMING_INTERNAL_H

#include <assert.h>

#include <tallybus/streaming.h>

#include "trackers/ahead.h"
#include "trackers/buckets.h"
#include "trackers/histogram.h"
#include "trackers/moment.h"
#include "trackers/saturate.h"
#include "trackers/table.h"
#include "trackers/window_sum.h"

enum { STREAM_ID_MAX = 191, LABEL_BYTES = 64 };

#define NS_PER_MS 1e6
#define NS_PER_S 1e9

/* An active stream, or a finished one that can be looked up: what every token touches. With the table's head it is one
 * cache line, and the key is the next. */
struct stream {
    int64_t last_event_ns; /* for the idle limit */
    int64_t last_token_ns; /* once has_token */
    int64_t next_sequence; /* the number that the next event is expected to begin with */
    uint64_t tokens;
    uint64_t itl_samples, itl_sum_ns;
    uint32_t model; /* cell in `models` */
    uint8_t status; /* tbus_stream_status_t */
    bool has_first : 1;
    bool has_token : 1;
    bool has_event : 1; /* one that has a number or takes one */
    bool jumped : 1;    /* tokens were shed since the last one */
};
static_assert(sizeof(struct stream) <= TABLE_HOT_BYTES, "one line");

/* The rest of it, behind the key. */
struct stream_life {
    int64_t start_ns;
    int64_t first_token_ns; /* once has_first */
    double ttft_ms;         /* once has_first */
    int64_t end_ns;         /* once finished */
    uint64_t input_tokens;  /* 0 = not told */
    uint64_t backpressure;
    uint32_t ended; /* once finished: its place in `ended` */
};

/* A finished stream that can be looked up, beside its cell. */
struct ended {
    uint32_t cell; /* in `streams`; TABLE_NONE: its id was started again */
    char reason[TBUS_STREAM_REASON_BYTES];
};

/* A finished stream, as far as the percentiles want it. NaN = has no such figure. */
struct finished {
    int64_t end_ns;
    double ttft_ms, tpot_ms, tokens_per_second, duration_ms;
    bool good; /* within all limits */
};

/* Each model has its histograms behind it, at histograms_at[]. Zeroed it is not open yet. */
struct model {
    uint64_t streams, tokens;
    struct window_sum recent_streams, recent_tokens;
};

enum { MODEL_TTFT, MODEL_TPOT, MODEL_DURATION, MODEL_INPUT, MODEL_OUTPUT, MODEL_HISTOGRAMS };

enum { BOUNDS_TTFT, BOUNDS_TPOT, BOUNDS_DURATION, BOUNDS_USAGE, BOUNDS_LISTS };

/* What one event adds to the window. */
struct addition {
    int64_t time_ns;
    uint32_t model;
    bool has_gap;
    bool starts; /* a stream */
    uint64_t tokens;
    int64_t gap_ns;
};

/* What is worked out from everything in the window. */
struct aggregate {
    int64_t time_ns;
    tbus_distribution_t ttft_ms, tpot_ms, tokens_per_second, duration_ms, itl_ms, icl_ms;
    double goodput;
};

struct streaming_counters {
    uint64_t total_streams, completed, failed, cancelled, abandoned;
    uint64_t total_tokens, shed_tokens, backpressure;
    uint64_t duplicate_starts, refused_starts, orphans, negative_intervals, sequence_jumps, oversized;
};

struct tbus_streaming {
    uv_mutex_t mu;
    tbus_streaming_options_t options;                             /* [const after open] defaults filled in */
    char operation_name[LABEL_BYTES], provider_name[LABEL_BYTES]; /* [const after open] */
    struct buckets_bounds bounds[BOUNDS_LISTS];                   /* [const after open] */
    uint32_t histograms_at[MODEL_HISTOGRAMS];                     /* [const after open] bytes from a model */
    /* [lock: mu] */
    struct ahead ahead;
    int64_t idle_from_ns;  /* until then no active stream is idle past the limit: a lower bound */
    int64_t next_sweep_ns; /* before then streams are looked through only for need: no room, or a snapshot */
    struct streaming_counters counters;
    uint32_t active_count;
    struct table streams;      /* struct stream by id */
    struct table models;       /* struct model by name */
    struct finished *finished; /* a ring of finished_max */
    uint32_t finished_count, finished_next;
    struct ended *ended; /* a ring of findable_max */
    uint32_t ended_count, ended_next;
    /* A gap that one token ends is an ITL and an ICL sample alike, and nearly all are such: they are recorded once. */
    struct histogram_window *gaps;      /* both */
    struct histogram_window *itl, *icl; /* of events with several tokens */
    struct aggregate cached;
    bool has_cached;
    uint64_t resets; /* so that what was worked out before a reset, or before time went back, is not cached after it */
};

/* Time goes on to that of an event, and what is idle is ended when it is time to look. Returns the moment that the event
 * counts at. */
void streaming_sweep_when_due_locked(tbus_streaming_t *streaming);
static inline int64_t streaming_advance_locked(tbus_streaming_t *streaming, int64_t time_ns)
{
    time_ns = ahead_believe(&streaming->ahead, time_ns);
    if (streaming->ahead.latest_ns > streaming->next_sweep_ns)
        streaming_sweep_when_due_locked(streaming);
    return time_ns;
}

/* Ends streams that have been idle past the limit at the time `now_ns`; looks through them only where there may be one.
 */
void streaming_sweep_locked(tbus_streaming_t *streaming, int64_t now_ns);

/* Whether an active stream has been idle past the limit at the time `now_ns`. Asked of each stream that an event is
 * about, so that it plays no part when the streams were looked through last. */
static inline bool streaming_is_idle(const tbus_streaming_t *streaming, const struct stream *stream, int64_t now_ns)
{
    const int64_t idle_ns = streaming->options.idle_ns;
    return idle_ns >= 0 && now_ns > moment_after(stream->last_event_ns, idle_ns);
}

/* Ends an active stream as of the moment it passed the limit. Its cell stays. */
void streaming_abandon_locked(tbus_streaming_t *streaming, struct stream *stream);

/* A stream has an event. */
static inline void streaming_touch(struct stream *stream, int64_t time_ns)
{
    if (time_ns > stream->last_event_ns)
        stream->last_event_ns = time_ns;
}

/* The stream with this id that is active now, or NULL. */
static inline struct stream *streaming_find_active_locked(tbus_streaming_t *streaming, const struct table_name *id)
{
    struct stream *stream = table_find_name(&streaming->streams, id);
    if (!stream || stream->status != TBUS_STREAM_STATUS_ACTIVE)
        return NULL;
    if (!streaming_is_idle(streaming, stream, ahead_latest(&streaming->ahead)))
        return stream;
    streaming_abandon_locked(streaming, stream);
    return NULL;
}

/* The active stream that an event is about, as of its time, which becomes the moment that it counts at; NULL counts as an
 * orphan. */
static inline struct stream *streaming_active_locked(tbus_streaming_t *streaming, const struct table_name *id,
                                                     int64_t *time_ns)
{
    *time_ns = streaming_advance_locked(streaming, *time_ns);
    struct stream *stream = streaming_find_active_locked(streaming, id);
    if (stream)
        streaming_touch(stream, *time_ns);
    else
        streaming->counters.orphans++;
    return stream;
}

/* Counts tokens for ever. */
static inline void streaming_count_tokens_locked(tbus_streaming_t *streaming, struct stream *stream, uint64_t tokens)
{
    struct model *model = table_at(&streaming->models, stream->model);
    assert(model);
    stream->tokens = sum_up_to_max(stream->tokens, tokens);
    model->tokens = sum_up_to_max(model->tokens, tokens);
    streaming->counters.total_tokens = sum_up_to_max(streaming->counters.total_tokens, tokens);
}

/* streaming_end.c: ends an active stream; `reason` is ready to be kept. */
void streaming_end_locked(tbus_streaming_t *streaming, struct stream *stream, tbus_outcome_t outcome,
                          const char *reason, int64_t end_ns);

/* The cell of a finished stream is taken for a new one of the same id. */
void streaming_forget_ended_locked(tbus_streaming_t *streaming, const struct stream *stream);

static inline struct stream_life *life_of(const tbus_streaming_t *streaming, const struct stream *stream)
{
    return table_tail(&streaming->streams, stream);
}

static inline struct buckets *histogram_of(const tbus_streaming_t *streaming, const struct model *model, int which)
{
    return (struct buckets *)(void *)((char *)(uintptr_t)model + streaming->histograms_at[which]);
}

#endif
