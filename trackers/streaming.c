#include "trackers/streaming_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "trackers/moment.h"

enum {
    DEFAULT_ACTIVE = 10000,
    DEFAULT_FINISHED = 1000,
    DEFAULT_MODELS = 200,
    LIMIT_MAX = 1 << 24,
    SWEEPS_PER_IDLE_LIMIT = 64
};

static const int64_t default_window_ns = INT64_C(300) * 1000000000, default_idle_ns = INT64_C(600) * 1000000000;
static const double ns_per_ms = 1e6, ns_per_s = 1e9;

/* --- Open, close, reset --- */

static int take_options(tbus_streaming_options_t *own, const tbus_streaming_options_t *options)
{
    *own = options ? *options : (tbus_streaming_options_t){0};
    for (size_t i = 0; i < sizeof own->reserved / sizeof own->reserved[0]; i++)
        if (own->reserved[i] != 0)
            return UV_EINVAL;
    if (own->active_max > LIMIT_MAX || own->finished_max > LIMIT_MAX || own->models_max > LIMIT_MAX ||
        (unsigned)own->first_token > TBUS_FIRST_TOKEN_ANY)
        return UV_EINVAL;
    own->active_max = own->active_max ? own->active_max : DEFAULT_ACTIVE;
    own->finished_max = own->finished_max ? own->finished_max : DEFAULT_FINISHED;
    own->models_max = own->models_max ? own->models_max : DEFAULT_MODELS;
    own->window_ns = own->window_ns ? own->window_ns : default_window_ns;
    own->idle_ns = own->idle_ns ? own->idle_ns : default_idle_ns;
    return 0;
}

void tbus_streaming_close(tbus_streaming_t *streaming)
{
    if (!streaming)
        return;
    uv_mutex_destroy(&streaming->mu);
    table_clear(&streaming->active);
    table_clear(&streaming->models);
    tbus_mem_free(streaming->finished);
    histogram_window_close(streaming->gaps);
    histogram_window_close(streaming->itl);
    histogram_window_close(streaming->icl);
    tbus_mem_free(streaming);
}

int tbus_streaming_open(const tbus_streaming_options_t *options, tbus_streaming_t **ret)
{
    tbus_streaming_options_t own;
    if (!ret || take_options(&own, options) != 0)
        return UV_EINVAL;
    tbus_streaming_t *streaming = tbus_mem_alloc(sizeof *streaming);
    if (!streaming)
        return UV_ENOMEM;
    streaming->options = own;
    table_init(&streaming->active, sizeof(struct stream), STREAM_ID_MAX, own.active_max);
    table_init(&streaming->models, sizeof(struct model), MODEL_NAME_MAX, own.models_max + 1);
    int error = uv_mutex_init(&streaming->mu);
    if (error) {
        tbus_mem_free(streaming);
        return error;
    }
    streaming->finished = tbus_mem_alloc(own.finished_max * sizeof *streaming->finished);
    if (!streaming->finished || (error = table_open_other(&streaming->models)) != 0 ||
        (error = histogram_window_open(own.window_ns, &streaming->gaps)) != 0 ||
        (error = histogram_window_open(own.window_ns, &streaming->itl)) != 0 ||
        (error = histogram_window_open(own.window_ns, &streaming->icl)) != 0) {
        tbus_streaming_close(streaming);
        return UV_ENOMEM;
    }
    *ret = streaming;
    return 0;
}

void tbus_streaming_reset(tbus_streaming_t *streaming)
{
    if (!streaming)
        return;
    uv_mutex_lock(&streaming->mu);
    table_clear(&streaming->active);
    table_empty_but_other(&streaming->models);
    streaming->counters = (struct streaming_counters){0};
    streaming->finished_count = streaming->finished_next = 0;
    streaming->has_now = false;
    histogram_window_reset(streaming->gaps);
    histogram_window_reset(streaming->itl);
    histogram_window_reset(streaming->icl);
    uv_mutex_unlock(&streaming->mu);
}

/* --- Ends --- */

/* The oldest one goes when there is no room left. */
static void keep_finished_locked(tbus_streaming_t *streaming, const struct finished *finished)
{
    streaming->finished[streaming->finished_next++] = *finished;
    streaming->finished_next %= streaming->options.finished_max;
    if (streaming->finished_count < streaming->options.finished_max)
        streaming->finished_count++;
}

static void end_locked(tbus_streaming_t *streaming, struct stream *stream, tbus_outcome_t outcome, int64_t end_ns)
{
    struct streaming_counters *counters = &streaming->counters;
    int64_t duration = moment_interval(stream->start_ns, end_ns, &counters->negative_intervals);
    struct finished finished = {end_ns, NAN, NAN, NAN, (double)duration / ns_per_ms};

    if (stream->has_first)
        finished.ttft_ms = stream->ttft_ms;
    if (stream->has_first && stream->tokens > 1) {
        int64_t decode = moment_interval(stream->first_token_ns, end_ns, &counters->negative_intervals);
        finished.tpot_ms = (double)decode / (double)(stream->tokens - 1) / ns_per_ms;
    }
    if (duration > 0)
        finished.tokens_per_second = (double)stream->tokens / ((double)duration / ns_per_s);
    counters->completed += outcome == TBUS_STREAM_OUTCOME_COMPLETED;
    counters->failed += outcome == TBUS_STREAM_OUTCOME_FAILED;
    counters->cancelled += outcome == TBUS_STREAM_OUTCOME_CANCELLED;
    keep_finished_locked(streaming, &finished);
    table_remove(&streaming->active, stream);
}

void streaming_sweep_locked(tbus_streaming_t *streaming, int64_t now_ns)
{
    int64_t idle_ns = streaming->options.idle_ns;
    if (idle_ns < 0 || now_ns <= streaming->idle_from_ns)
        return;
    streaming->idle_from_ns = MOMENT_MAX;
    for (uint32_t i = 0; i < streaming->active.used; i++) {
        struct stream *stream = table_at(&streaming->active, i);
        if (!stream)
            continue;
        int64_t limit = moment_after(stream->last_event_ns, idle_ns);
        if (now_ns > limit) {
            streaming->counters.abandoned++;
            end_locked(streaming, stream, TBUS_STREAM_OUTCOME_FAILED, limit);
        } else if (limit < streaming->idle_from_ns) {
            streaming->idle_from_ns = limit;
        }
    }
    streaming->next_sweep_ns = moment_after(now_ns, idle_ns / SWEEPS_PER_IDLE_LIMIT);
}

/* --- Recording --- */

static void advance_locked(tbus_streaming_t *streaming, int64_t time_ns)
{
    if (streaming->has_now && time_ns <= streaming->now_ns)
        return;
    streaming->now_ns = time_ns;
    if (!streaming->has_now) {
        streaming->has_now = true;
        streaming->next_sweep_ns = time_ns;
        streaming->idle_from_ns = MOMENT_MAX;
    }
    if (time_ns > streaming->next_sweep_ns)
        streaming_sweep_locked(streaming, time_ns);
}

static int start_locked(tbus_streaming_t *streaming, const char *stream_id, const char *model_name, int64_t time_ns)
{
    bool is_new;
    int error;
    advance_locked(streaming, time_ns);
    struct stream *stream = table_add(&streaming->active, stream_id, &is_new, &error);
    if (!stream && error == UV_ENOSPC) {
        streaming_sweep_locked(streaming, streaming->now_ns);
        stream = table_add(&streaming->active, stream_id, &is_new, &error);
    }
    if (!stream) {
        streaming->counters.refused_starts++;
        return error;
    }
    if (!is_new) {
        streaming->counters.duplicate_starts++;
        return UV_EEXIST;
    }
    struct model *model = table_add_or_other(&streaming->models, model_name, &error);
    stream->start_ns = stream->last_event_ns = time_ns;
    stream->model = table_cell_of(&streaming->models, model);
    if (streaming->options.idle_ns >= 0 && moment_after(time_ns, streaming->options.idle_ns) < streaming->idle_from_ns)
        streaming->idle_from_ns = moment_after(time_ns, streaming->options.idle_ns);
    model->streams++;
    streaming->counters.total_streams++;
    return 0;
}

int tbus_streaming_record_start(tbus_streaming_t *streaming, const char *stream_id, const char *model, int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    uv_mutex_lock(&streaming->mu);
    int error = start_locked(streaming, stream_id, model, moment_of(time_ns));
    uv_mutex_unlock(&streaming->mu);
    return error;
}

/* The stream that an event is about, as of its time; NULL counts as an orphan. */
static struct stream *stream_of_locked(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns)
{
    advance_locked(streaming, time_ns);
    struct stream *stream = table_find(&streaming->active, stream_id);
    if (!stream)
        streaming->counters.orphans++;
    else if (time_ns > stream->last_event_ns)
        stream->last_event_ns = time_ns;
    return stream;
}

static bool is_first_token(const tbus_streaming_t *streaming, tbus_token_kind_t kind)
{
    switch (streaming->options.first_token) {
    case TBUS_FIRST_TOKEN_ANY:
        return true;
    case TBUS_FIRST_TOKEN_CONTENT:
        return kind == TBUS_TOKEN_CONTENT;
    case TBUS_FIRST_TOKEN_OUTPUT:
        break;
    }
    return kind != TBUS_TOKEN_ROLE;
}

static void set_first_locked(tbus_streaming_t *streaming, struct stream *stream, int64_t time_ns)
{
    int64_t ttft = moment_interval(stream->start_ns, time_ns, &streaming->counters.negative_intervals);
    stream->has_first = true;
    stream->first_token_ns = time_ns;
    stream->ttft_ms = (double)ttft / ns_per_ms;
}

static bool sequence_jumps(const struct stream *stream, int64_t sequence_number, int64_t tokens)
{
    if (sequence_number <= stream->last_sequence)
        return false;
    uint64_t step = (uint64_t)sequence_number - (uint64_t)stream->last_sequence;
    return step != 1 && step != (uint64_t)tokens && step != (uint64_t)stream->last_tokens;
}

static void record_gap_locked(tbus_streaming_t *streaming, int64_t gap, int64_t tokens, int64_t time_ns)
{
    if (tokens == 1) {
        histogram_window_record(streaming->gaps, time_ns, gap, 1, gap);
        return;
    }
    histogram_window_record(streaming->itl, time_ns, gap / tokens, (uint64_t)tokens, gap);
    histogram_window_record(streaming->icl, time_ns, gap, 1, gap);
}

static uint64_t sum_up_to_max(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void count_tokens_locked(tbus_streaming_t *streaming, struct stream *stream, uint64_t tokens)
{
    struct model *model = table_at(&streaming->models, stream->model);
    assert(model);
    stream->tokens = sum_up_to_max(stream->tokens, tokens);
    model->tokens = sum_up_to_max(model->tokens, tokens);
    streaming->counters.total_tokens = sum_up_to_max(streaming->counters.total_tokens, tokens);
}

static void token_locked(tbus_streaming_t *streaming, struct stream *stream, int64_t tokens, int64_t sequence_number,
                         tbus_token_kind_t kind, int64_t time_ns)
{
    if (!stream->has_first && is_first_token(streaming, kind))
        set_first_locked(streaming, stream, time_ns);
    if (kind == TBUS_TOKEN_ROLE) {
        stream->last_sequence = sequence_number;
        return;
    }
    if (stream->has_token && !sequence_jumps(stream, sequence_number, tokens)) {
        int64_t gap = moment_interval(stream->last_token_ns, time_ns, &streaming->counters.negative_intervals);
        record_gap_locked(streaming, gap, tokens, time_ns);
    }
    stream->has_token = true;
    stream->last_token_ns = time_ns;
    stream->last_sequence = sequence_number;
    stream->last_tokens = tokens;
    count_tokens_locked(streaming, stream, (uint64_t)tokens);
}

int tbus_streaming_record_token(tbus_streaming_t *streaming, const char *stream_id, int64_t tokens,
                                int64_t sequence_number, tbus_token_kind_t kind, int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    time_ns = moment_of(time_ns);
    uv_mutex_lock(&streaming->mu);
    struct stream *stream = stream_of_locked(streaming, stream_id, time_ns);
    if (stream)
        token_locked(streaming, stream, tokens < 1 ? 1 : tokens, sequence_number, kind, time_ns);
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}

static void first_token_locked(tbus_streaming_t *streaming, struct stream *stream, double ttft_ms, int64_t time_ns)
{
    if (stream->has_first)
        return;
    set_first_locked(streaming, stream, time_ns);
    if (ttft_ms >= 0 && isfinite(ttft_ms)) {
        const double most_ms = (double)MOMENT_MAX / ns_per_ms;
        stream->ttft_ms = ttft_ms < most_ms ? ttft_ms : most_ms;
        stream->first_token_ns = moment_after(stream->start_ns, (int64_t)llround(stream->ttft_ms * ns_per_ms));
    }
}

int tbus_streaming_record_first_token(tbus_streaming_t *streaming, const char *stream_id, double ttft_ms,
                                      int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    time_ns = moment_of(time_ns);
    uv_mutex_lock(&streaming->mu);
    struct stream *stream = stream_of_locked(streaming, stream_id, time_ns);
    if (stream)
        first_token_locked(streaming, stream, ttft_ms, time_ns);
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}

int tbus_streaming_record_end(tbus_streaming_t *streaming, const char *stream_id, tbus_outcome_t outcome,
                              int64_t token_count, int64_t time_ns)
{
    if (!streaming || (unsigned)outcome > TBUS_STREAM_OUTCOME_CANCELLED)
        return UV_EINVAL;
    time_ns = moment_of(time_ns);
    uv_mutex_lock(&streaming->mu);
    struct stream *stream = stream_of_locked(streaming, stream_id, time_ns);
    if (stream) {
        if (token_count > 0 && (uint64_t)token_count > stream->tokens) {
            uint64_t shed = (uint64_t)token_count - stream->tokens;
            streaming->counters.shed_tokens = sum_up_to_max(streaming->counters.shed_tokens, shed);
            count_tokens_locked(streaming, stream, shed);
        }
        end_locked(streaming, stream, outcome, time_ns);
    }
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}

int tbus_streaming_record_backpressure(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    time_ns = moment_of(time_ns);
    uv_mutex_lock(&streaming->mu);
    streaming->counters.backpressure++;
    struct stream *stream = stream_of_locked(streaming, stream_id, time_ns);
    if (stream)
        stream->backpressure++;
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}
