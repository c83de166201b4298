/* The streaming tracker: what users feel of token streams. Needs no bus; subscribers.h feeds it from one.
 *
 * TTFT = first token's time - start's time. ITL = time between two tokens of a stream. TPS = tokens / duration.
 * TPOT = (end - first token) / (tokens - 1). Duration = end - start. All from the times of the events.
 *
 * Time. Windows end, and idle streams are measured, by the latest time recorded. One event with a wrong time far ahead
 * must not empty the window and end every stream: so one more than `ahead_max_ns` ahead of the clock, and of the latest
 * time as well, is not believed. It counts like any other, but at the latest time that was believed. One that is less far
 * ahead is believed: until real time has come there, windows hold as much less of what is recent, and streams are idle as
 * much sooner; where clocks are good, a smaller `ahead_max_ns` keeps that small. A replay of times to come needs a clock of
 * its own, or no guard. Where the clock itself was ahead and is right again, the latest time goes
 * back with the second event that agrees with it; what was recent before is recent still.
 *
 * Every function takes one lock for as long as it needs to read or write plain memory; none calls the host, but for the
 * options' `clock` and the host's allocator (base.h), which may be called with the lock held. Names are hashed before the
 * lock is taken. */
#ifndef TALLYBUS_STREAMING_H
#define TALLYBUS_STREAMING_H

#include <tallybus/buckets.h>
#include <tallybus/distribution.h>

TBUS_BEGIN_DECLS

typedef struct tbus_streaming tbus_streaming_t;

typedef enum tbus_first_token {
    TBUS_FIRST_TOKEN_OUTPUT = 0, /* any token but a "role" frame: content, reasoning, tool (default) */
    TBUS_FIRST_TOKEN_CONTENT,    /* content only */
    TBUS_FIRST_TOKEN_ANY         /* any frame */
} tbus_first_token_t;

/* What `sequence_number` numbers, and so where it is expected to go on. It may begin with 0 or with 1. */
typedef enum tbus_numbering {
    TBUS_NUMBERING_EVENTS = 0,  /* the events of a stream, role frames too: one more each time (default) */
    TBUS_NUMBERING_FIRST_TOKEN, /* tokens; the number of an event is that of its first token */
    TBUS_NUMBERING_LAST_TOKEN   /* tokens; the number of an event is that of its last token */
} tbus_numbering_t;

#define TBUS_STREAMING_NO_CACHE INT64_C(-1) /* for `cache_ns` */

typedef struct tbus_streaming_options {
    uint32_t active_max;   /* streams active at once; a start past it is refused and counted; default 10,000 */
    uint32_t finished_max; /* finished streams kept for the exact percentiles, the latest ones; default 1,000 */
    uint32_t findable_max; /* of these, how many, the latest, can be looked up by id; default: all */
    uint32_t models_max;   /* models told apart; further ones count as "other"; default 200 */
    tbus_first_token_t first_token; /* which token is the first */
    tbus_numbering_t numbering;     /* what sequence numbers count */
    int64_t window_ns; /* percentiles are over the streams that ended in this time before the snapshot's; default 300 s;
                          negative = without limit */
    int64_t idle_ns;   /* an active stream without an event for so long is ended as failed, as of the moment it passes
                          the limit (looked for every 64th of it, when there is no room, and before a snapshot);
                          default 600 s; negative = never */
    int64_t cache_ns;  /* a snapshot less than this after another one takes over its percentiles and goodput; default
                          10 s of the trackers' time; TBUS_STREAMING_NO_CACHE = each works out its own */
    int64_t
        ahead_max_ns; /* how far ahead of the clock, and of the latest time, a time may be; default 300 s; negative =
                             any time is believed: for times that are not of this clock */
    /* Nanoseconds since 1970; default: the system's clock. Asked on opening, on a reset, and where a time is ahead of
     * what the last look at it allowed, or late by more than `ahead_max_ns`; with the lock held, on any thread: it may
     * neither block nor call the library. */
    int64_t (*clock)(void *user);
    void *clock_user;
    /* What users are promised, for goodput; 0 = no such limit. */
    double ttft_max_ms, tpot_max_ms, duration_max_ms;
    /* Labels of the OpenTelemetry histograms, copied, 63 bytes kept. */
    const char *operation_name; /* default "chat" */
    const char *provider_name;  /* default "": not told */
    /* Bounds of the OpenTelemetry histograms, copied; NULL = OpenTelemetry's. */
    const tbus_bounds_t *ttft_bounds, *tpot_bounds, *duration_bounds; /* s */
    const tbus_bounds_t *usage_bounds;                                /* tokens */
    uint64_t reserved[8];
} tbus_streaming_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: at most 700 bytes for each active stream and each finished one
 * that can be looked up (the table of both doubles as it grows); 48 for each finished one, and 132 more where it can be
 * looked up; 3,000 for each model and "other", and 40 more for each bound that a list has over OpenTelemetry's; 2 MiB
 * beside them. A token takes none. Errors: UV_EINVAL (`ret` NULL, a count above 2^24, no such policy or numbering, a
 * limit that is negative or no number, bounds that are not as buckets.h wants them, `reserved` not zero),
 * UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_streaming_open(const tbus_streaming_options_t *options, tbus_streaming_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_streaming_close(tbus_streaming_t *streaming);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_streaming_reset(tbus_streaming_t *streaming);

/* --- Recording. Times are nanoseconds since the epoch. All: UV_EINVAL when the tracker is NULL. [any thread] --- */

typedef struct tbus_stream_start {
    const char *model;
    int64_t input_tokens; /* below 1 = not told */
    int64_t time_ns;
    uint64_t reserved[4];
} tbus_stream_start_t;

/* A stream begins. An id of NULL counts as "". A long id or model (over 191 bytes) is kept as its beginning and a
 * 64-bit hash; what is not UTF-8 in a model shows as U+FFFD. Errors: UV_EINVAL (`start` NULL); each counted: UV_EEXIST
 * (this id is active: ignored), UV_ENOSPC (active_max reached), UV_ENOMEM. */
TBUS_API int tbus_streaming_record_start(tbus_streaming_t *streaming, const char *stream_id,
                                         const tbus_stream_start_t *start);

typedef enum tbus_token_kind {
    TBUS_TOKEN_CONTENT = 0,
    TBUS_TOKEN_REASONING,
    TBUS_TOKEN_TOOL,
    TBUS_TOKEN_ROLE /* a frame that carries no token of the model: not counted as one */
} tbus_token_kind_t;

#define TBUS_EVENT_TOKENS_MAX 4096 /* tokens of one event up to which it gives ITL samples */

/* An event with `tokens` tokens (below 1 counts as 1) of a stream. They are `tokens` samples of ITL, unless they are
 * more than TBUS_EVENT_TOKENS_MAX: one event must not outweigh all others, so it then gives none and is counted. Where
 * `sequence_number` (see the options; below 1 = not told) jumps ahead, tokens were shed, and the gap before the next
 * token gives no sample of ITL or ICL. Errors: UV_ENOENT (no such active stream: counted as orphan). */
TBUS_API int tbus_streaming_record_token(tbus_streaming_t *streaming, const char *stream_id, int64_t tokens,
                                         int64_t sequence_number, tbus_token_kind_t kind, int64_t time_ns);

/* The first token was measured by the host: sets the TTFT, unless the first token, by the policy, came before. A `ttft_ms`
 * of NaN (or a negative one) means "now": time_ns - start. Errors: UV_ENOENT (orphan). */
TBUS_API int tbus_streaming_record_first_token(tbus_streaming_t *streaming, const char *stream_id, double ttft_ms,
                                               int64_t time_ns);

/* A sign of life: the stream is not idle. It counts nothing; tokens are what record_token() and the end tell. Errors:
 * UV_ENOENT (no such active stream: counted as orphan). */
TBUS_API int tbus_streaming_record_progress(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns);

typedef enum tbus_outcome {
    TBUS_STREAM_OUTCOME_COMPLETED = 0,
    TBUS_STREAM_OUTCOME_FAILED,
    TBUS_STREAM_OUTCOME_CANCELLED
} tbus_outcome_t;

#define TBUS_STREAM_REASON_BYTES 128 /* of a reason as it is kept, NUL included; longer ones are cut */

typedef struct tbus_stream_end {
    tbus_outcome_t outcome;
    int64_t token_count; /* of the whole stream; below 1 = not told */
    const char *reason;  /* why it ended: finish reason, error message, why it was cancelled; may be NULL. Kept (copied,
                            keys in it masked) for the look-up. */
    int64_t time_ns;
    uint64_t reserved[4];
} tbus_stream_end_t;

/* A stream ends. Its tokens are the larger of those recorded and `token_count`; the difference counts as shed. Errors:
 * UV_EINVAL (`end` NULL, no such outcome), UV_ENOENT (orphan). */
TBUS_API int tbus_streaming_record_end(tbus_streaming_t *streaming, const char *stream_id,
                                       const tbus_stream_end_t *end);

/* The client's buffer is full. Counted in all and for the stream. Errors: UV_ENOENT (no such active stream; counted in
 * all, and as orphan). */
TBUS_API int tbus_streaming_record_backpressure(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns);

/* --- One stream --- */

typedef enum tbus_stream_status {
    TBUS_STREAM_STATUS_ACTIVE = 0,
    TBUS_STREAM_STATUS_COMPLETED,
    TBUS_STREAM_STATUS_FAILED, /* abandoned ones too: their reason is "abandoned" */
    TBUS_STREAM_STATUS_CANCELLED
} tbus_stream_status_t;

#define TBUS_STREAM_MODEL_BYTES 192 /* of a model's name as it is kept, NUL included */

typedef struct tbus_stream_info {
    tbus_stream_status_t status;
    char model[TBUS_STREAM_MODEL_BYTES];   /* as it is counted: "other" past models_max */
    char reason[TBUS_STREAM_REASON_BYTES]; /* "" = not told, or active */
    int64_t start_ns, end_ns;              /* end: of an active one, the latest time recorded */
    uint64_t tokens, input_tokens;
    uint64_t backpressure_events;
    double duration_ms;       /* from start to end */
    double ttft_ms;           /* NaN = no first token yet */
    double tokens_per_second; /* NaN without a duration */
    double itl_avg_ms;        /* NaN without a sample */
} tbus_stream_info_t;

/* Looks a stream up: an active one, or a finished one that is kept (of several with one id the latest). One that is idle
 * past the limit at the latest time is ended first. Fills `ret`, which is the caller's. Errors: UV_EINVAL, UV_ENOENT. [any thread] */
TBUS_API TBUS_CHECKED int tbus_streaming_find(tbus_streaming_t *streaming, const char *stream_id,
                                              tbus_stream_info_t *ret);

/* --- All streams --- */

typedef struct tbus_streaming_model {
    const char *model;       /* "" = events that named none */
    uint64_t streams;        /* started, for ever */
    uint64_t tokens;         /* for ever */
    uint64_t recent_streams; /* started within the window */
    uint64_t recent_tokens;  /* recorded within the window; those found shed count at the end of their stream */
    /* OpenTelemetry's histograms, for ever. TTFT and time per output token are of completed streams, the others of all
     * that finished and told the figure. */
    tbus_buckets_t ttft_s, tpot_s, duration_s, input_tokens, output_tokens;
} tbus_streaming_model_t;

typedef struct tbus_streaming_snapshot {
    int64_t time_ns;  /* the moment that the window ends at */
    int64_t since_ns; /* when the tracker was opened or reset last, by its clock */
    /* for ever */
    uint64_t total_streams; /* started */
    uint64_t completed_streams, failed_streams, cancelled_streams;
    uint64_t abandoned_streams; /* of the failed: idle past the limit */
    uint64_t total_tokens;      /* recorded, and those found shed at the end of their stream */
    uint64_t shed_tokens;       /* of these: found missing at the end of their stream */
    uint64_t backpressure_events;
    uint64_t duplicate_starts, refused_starts, orphan_events;
    uint64_t negative_intervals; /* intervals whose end lay before their start: taken as 0 */
    uint64_t sequence_jumps;     /* events whose number said that tokens were shed before them */
    uint64_t oversized_events;   /* events with more than TBUS_EVENT_TOKENS_MAX tokens */
    uint64_t ahead;              /* times too far ahead to be believed */
    /* now */
    uint64_t active_streams;
    double success_rate; /* completed / started; NaN before the first */
    /* The aggregate: what is over the window, as it was at `aggregate_ns` (see cache_ns). */
    int64_t aggregate_ns;
    /* over the streams kept that ended within the window; exact */
    tbus_distribution_t ttft_ms, tpot_ms, tokens_per_second, duration_ms;
    double goodput; /* of the same streams, the share within all limits set; NaN without limits or streams. A stream
                       without a first token is beyond a limit on TTFT; one of at most one token is within a limit on
                       TPOT. */
    /* over the tokens recorded within the window, kept in slices of a 30th of it: up to one slice more (the models'
     * recent_*, too); percentiles within 0.5 % for 1 us .. 1 h; count and mean exact, minimum and maximum to the
     * nanosecond. Of samples that differ by less than 0.8 % a slice may hold only 2^32 - 1: what is more is left out. */
    tbus_distribution_t itl_ms;                 /* a gap of n tokens gives n samples of gap / n */
    tbus_distribution_t icl_ms;                 /* chunk latency: the gap as such */
    const char *operation_name, *provider_name; /* as in the options */
    size_t models_count;
    const tbus_streaming_model_t *models; /* by falling number of streams, then by name */
} tbus_streaming_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_streaming_snapshot_free(). The window ends at
 * `now_ns`; 0 = at the latest time recorded. At an earlier moment it covers only what is still kept: of the latest finished
 * streams, and of slices that the window has not left behind. Streams idle past the limit at that moment are ended. The
 * tracker's lock is held only to copy. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_streaming_snapshot(tbus_streaming_t *streaming, int64_t now_ns,
                                                  tbus_streaming_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_streaming_snapshot_free(tbus_streaming_snapshot_t *snapshot);

TBUS_END_DECLS

#endif
