/* The streaming tracker: what users feel of token streams. Needs no bus; subscribers.h feeds it from one.
 *
 * TTFT = first token's time - start's time. ITL = time between two tokens of a stream. TPS = tokens / duration.
 * TPOT = (end - first token) / (tokens - 1). Duration = end - start. All from the times of the events.
 * Every function takes one lock for as long as it needs to read or write plain memory; none calls the host. */
#ifndef TALLYBUS_STREAMING_H
#define TALLYBUS_STREAMING_H

#include <tallybus/distribution.h>

TBUS_BEGIN_DECLS

typedef struct tbus_streaming tbus_streaming_t;

typedef enum tbus_first_token {
    TBUS_FIRST_TOKEN_OUTPUT = 0, /* any token but a "role" frame: content, reasoning, tool (default) */
    TBUS_FIRST_TOKEN_CONTENT,    /* content only */
    TBUS_FIRST_TOKEN_ANY         /* any frame */
} tbus_first_token_t;

typedef struct tbus_streaming_options {
    uint32_t active_max;   /* streams active at once; a start past it is refused and counted; default 10,000 */
    uint32_t finished_max; /* finished streams kept for the exact percentiles, the latest ones; default 1,000 */
    uint32_t models_max;   /* models told apart; further ones count as "other"; default 200 */
    tbus_first_token_t first_token; /* which token is the first */
    int64_t window_ns; /* percentiles are over the streams that ended in this time before the snapshot's; default 300 s;
                          negative = without limit */
    int64_t idle_ns;   /* an active stream without an event for so long is ended as failed, as of the moment it passes
                              the limit (looked for every 64th of it, when there is no room, and before a snapshot);
                          default 600 s;   negative = never */
    uint64_t reserved[8];
} tbus_streaming_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: at most about 800 bytes for each active stream (the table
 * doubles as it grows), 40 for each finished one, 400 for each model, 2 MiB beside them. Errors: UV_EINVAL (`ret` NULL,
 * a limit above 2^24), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_streaming_open(const tbus_streaming_options_t *options, tbus_streaming_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_streaming_close(tbus_streaming_t *streaming);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_streaming_reset(tbus_streaming_t *streaming);

/* --- Recording. Times are nanoseconds since the epoch. All: UV_EINVAL when the tracker is NULL. [any thread] --- */

/* A stream begins. An id of NULL counts as "". A long id (over 191 bytes) is kept as its beginning and a 64-bit hash.
 * Errors, each counted: UV_EEXIST (this id is active: ignored), UV_ENOSPC (active_max reached), UV_ENOMEM. */
TBUS_API int tbus_streaming_record_start(tbus_streaming_t *streaming, const char *stream_id, const char *model,
                                         int64_t time_ns);

typedef enum tbus_token_kind {
    TBUS_TOKEN_CONTENT = 0,
    TBUS_TOKEN_REASONING,
    TBUS_TOKEN_TOOL,
    TBUS_TOKEN_ROLE /* a frame that carries no token of the model: not counted as one */
} tbus_token_kind_t;

/* An event with `tokens` tokens (below 1 counts as 1) of a stream. `sequence_number` numbers the events of a stream, by
 * ones or by tokens; where it jumps, tokens were shed, and the gap gives no ITL sample; 0 = not numbered.
 * Errors: UV_ENOENT (no such active stream: counted as orphan). */
TBUS_API int tbus_streaming_record_token(tbus_streaming_t *streaming, const char *stream_id, int64_t tokens,
                                         int64_t sequence_number, tbus_token_kind_t kind, int64_t time_ns);

/* The first token was measured by the host: sets the TTFT, unless a token came before. A `ttft_ms` of NaN (or a
 * negative one) means "now": time_ns - start. Errors: UV_ENOENT (orphan). */
TBUS_API int tbus_streaming_record_first_token(tbus_streaming_t *streaming, const char *stream_id, double ttft_ms,
                                               int64_t time_ns);

typedef enum tbus_outcome {
    TBUS_STREAM_OUTCOME_COMPLETED = 0,
    TBUS_STREAM_OUTCOME_FAILED,
    TBUS_STREAM_OUTCOME_CANCELLED
} tbus_outcome_t;

/* A stream ends. Its tokens are the larger of those recorded and `token_count`; the difference counts as shed.
 * Errors: UV_EINVAL (no such outcome), UV_ENOENT (orphan). */
TBUS_API int tbus_streaming_record_end(tbus_streaming_t *streaming, const char *stream_id, tbus_outcome_t outcome,
                                       int64_t token_count, int64_t time_ns);

/* The client's buffer is full. Counted in all and for the stream. Errors: UV_ENOENT (no such active stream; counted in
 * all, and as orphan). */
TBUS_API int tbus_streaming_record_backpressure(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns);

/* --- Reading --- */

typedef struct tbus_streaming_model {
    const char *model; /* "" = events that named none */
    uint64_t streams;  /* started, for ever */
    uint64_t tokens;   /* for ever */
} tbus_streaming_model_t;

typedef struct tbus_streaming_snapshot {
    int64_t time_ns; /* the moment that the window ends at */
    /* for ever */
    uint64_t total_streams; /* started */
    uint64_t completed_streams, failed_streams, cancelled_streams;
    uint64_t abandoned_streams; /* of the failed: idle past the limit */
    uint64_t total_tokens;      /* recorded, and those found shed at the end of their stream */
    uint64_t shed_tokens;       /* of these: found missing at the end of their stream */
    uint64_t backpressure_events;
    uint64_t duplicate_starts, refused_starts, orphan_events;
    uint64_t negative_intervals; /* intervals whose end lay before their start: taken as 0 */
    /* now */
    uint64_t active_streams;
    double success_rate; /* completed / started; NaN before the first */
    /* over the streams kept that ended within the window; exact */
    tbus_distribution_t ttft_ms, tpot_ms, tokens_per_second, duration_ms;
    /* over the tokens recorded within the window; percentiles within 0.5 % for 1 us .. 1 h, the rest exact */
    tbus_distribution_t itl_ms; /* a gap of n tokens gives n samples of gap / n */
    tbus_distribution_t icl_ms; /* chunk latency: the gap as such */
    size_t models_count;
    const tbus_streaming_model_t *models; /* by falling number of streams, then by name */
} tbus_streaming_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_streaming_snapshot_free(). The window ends at
 * `now_ns`; 0 = at the latest time recorded. Streams idle past the limit at that moment are ended. The tracker's lock
 * is held only to copy. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_streaming_snapshot(tbus_streaming_t *streaming, int64_t now_ns,
                                                  tbus_streaming_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_streaming_snapshot_free(tbus_streaming_snapshot_t *snapshot);

TBUS_END_DECLS

#endif
