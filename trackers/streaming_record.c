/* What happens to streams while they run. */
#include <math.h>
#include <string.h>

#include "trackers/shown.h"
#include "trackers/streaming_window.h"

/* --- Starts --- */

static bool has_room_locked(tbus_streaming_t *streaming)
{
    if (streaming->active_count < streaming->options.active_max)
        return true;
    streaming_sweep_locked(streaming, ahead_latest(&streaming->ahead));
    return streaming->active_count < streaming->options.active_max;
}

/* The cell of a new stream; that of a finished one with its id, where there is one. */
static struct stream *take_cell_locked(tbus_streaming_t *streaming, const struct table_name *id, int *ret_error)
{
    bool is_new;
    *ret_error = UV_ENOSPC;
    if (!has_room_locked(streaming))
        return NULL;
    struct stream *stream = table_add_name(&streaming->streams, id, &is_new, ret_error);
    assert(*ret_error != UV_ENOSPC);
    if (stream && !is_new) {
        streaming_forget_ended_locked(streaming, stream);
        memset(stream, 0, sizeof *stream);
        memset(life_of(streaming, stream), 0, sizeof(struct stream_life));
    }
    return stream;
}

static struct model *count_start_locked(tbus_streaming_t *streaming, const struct table_name *name)
{
    int error; /* without memory it counts as "other" */
    struct model *model = table_add_name_or_other(&streaming->models, name, &error);
    if (model->recent_streams.window.slots == 0) {
        window_sum_init(&model->recent_streams, streaming->options.window_ns);
        window_sum_init(&model->recent_tokens, streaming->options.window_ns);
    }
    model->streams++;
    streaming->counters.total_streams++;
    return model;
}

static int start_locked(tbus_streaming_t *streaming, const struct table_name *id, const struct table_name *model_name,
                        const tbus_stream_start_t *start)
{
    int error;
    const int64_t time_ns = streaming_advance_locked(streaming, moment_of(start->time_ns));
    struct stream *stream = streaming_find_active_locked(streaming, id);
    if (stream) {
        streaming->counters.duplicate_starts++;
        return UV_EEXIST;
    }
    stream = take_cell_locked(streaming, id, &error);
    if (!stream) {
        streaming->counters.refused_starts++;
        return error;
    }
    struct model *model = count_start_locked(streaming, model_name);
    stream->model = table_cell_of(&streaming->models, model);
    stream->last_event_ns = time_ns;
    stream->next_sequence = streaming->options.numbering == TBUS_NUMBERING_LAST_TOKEN ? 0 : 1;
    life_of(streaming, stream)->start_ns = time_ns;
    life_of(streaming, stream)->input_tokens = start->input_tokens > 0 ? (uint64_t)start->input_tokens : 0;
    if (streaming->options.idle_ns >= 0 &&
        moment_after(stream->last_event_ns, streaming->options.idle_ns) < streaming->idle_from_ns)
        streaming->idle_from_ns = moment_after(stream->last_event_ns, streaming->options.idle_ns);
    streaming->active_count++;
    streaming_add_locked(streaming, &(struct addition){.time_ns = time_ns, .model = stream->model, .starts = true});
    return 0;
}

int tbus_streaming_record_start(tbus_streaming_t *streaming, const char *stream_id, const tbus_stream_start_t *start)
{
    struct table_name id;
    struct shown_name model;
    if (!streaming || !start)
        return UV_EINVAL;
    table_fit(&streaming->streams, stream_id, &id);
    shown_fit(&streaming->models, start->model, &model);
    uv_mutex_lock(&streaming->mu);
    int error = start_locked(streaming, &id, &model.fitted, start);
    uv_mutex_unlock(&streaming->mu);
    return error;
}

/* --- Tokens --- */

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
    struct stream_life *life = life_of(streaming, stream);
    int64_t ttft = moment_interval(life->start_ns, time_ns, &streaming->counters.negative_intervals);
    stream->has_first = true;
    life->first_token_ns = time_ns;
    life->ttft_ms = (double)ttft / NS_PER_MS;
}

/* Follows the numbers of a stream's events; each event takes the numbers from its beginning up to its end. A stream that
 * is numbered from 0 begins with a number that looks like none. An event that neither has a number nor takes one says
 * nothing of where the others begin. */
static void follow_sequence_locked(tbus_streaming_t *streaming, struct stream *stream, int64_t number, int64_t tokens)
{
    const tbus_numbering_t numbering = streaming->options.numbering;
    const int64_t step = numbering == TBUS_NUMBERING_EVENTS ? 1 : tokens;
    const int64_t before = numbering == TBUS_NUMBERING_LAST_TOKEN ? tokens : 0; /* its number and its beginning */
    int64_t begin = number > 0 ? number - before : stream->has_event ? stream->next_sequence : -before;

    if (number <= 0 && step == 0)
        return;
    if (number > 0 && begin > stream->next_sequence) {
        stream->jumped = true;
        streaming->counters.sequence_jumps++;
    }
    int64_t end = begin > INT64_MAX - step ? INT64_MAX : begin + step;
    if (end > stream->next_sequence)
        stream->next_sequence = end;
    stream->has_event = true;
}

static void token_locked(tbus_streaming_t *streaming, struct stream *stream, int64_t tokens, int64_t time_ns)
{
    struct addition addition = {.time_ns = time_ns, .model = stream->model, .tokens = (uint64_t)tokens};
    if (stream->has_token && !stream->jumped) {
        addition.has_gap = true;
        addition.gap_ns = moment_interval(stream->last_token_ns, time_ns, &streaming->counters.negative_intervals);
        if (tokens <= TBUS_EVENT_TOKENS_MAX) {
            stream->itl_samples += (uint64_t)tokens;
            stream->itl_sum_ns = sum_up_to_max(stream->itl_sum_ns, (uint64_t)addition.gap_ns);
        }
    }
    streaming->counters.oversized += tokens > TBUS_EVENT_TOKENS_MAX;
    stream->has_token = true;
    stream->jumped = false;
    stream->last_token_ns = time_ns;
    streaming_count_tokens_locked(streaming, stream, (uint64_t)tokens);
    streaming_add_locked(streaming, &addition);
}

int tbus_streaming_record_token(tbus_streaming_t *streaming, const char *stream_id, int64_t tokens,
                                int64_t sequence_number, tbus_token_kind_t kind, int64_t time_ns)
{
    struct table_name id;
    if (!streaming)
        return UV_EINVAL;
    time_ns = moment_of(time_ns);
    tokens = kind == TBUS_TOKEN_ROLE ? 0 : tokens < 1 ? 1 : tokens;
    table_fit(&streaming->streams, stream_id, &id);
    uv_mutex_lock(&streaming->mu);
    struct stream *stream = streaming_active_locked(streaming, &id, &time_ns);
    if (stream) {
        if (!stream->has_first && is_first_token(streaming, kind))
            set_first_locked(streaming, stream, time_ns);
        follow_sequence_locked(streaming, stream, sequence_number, tokens);
        if (tokens > 0)
            token_locked(streaming, stream, tokens, time_ns);
    }
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}

static void first_token_locked(tbus_streaming_t *streaming, struct stream *stream, double ttft_ms, int64_t time_ns)
{
    struct stream_life *life = life_of(streaming, stream);
    if (stream->has_first)
        return;
    if (!(ttft_ms >= 0 && isfinite(ttft_ms))) {
        set_first_locked(streaming, stream, time_ns);
        return;
    }
    const double most_ms = (double)MOMENT_MAX / NS_PER_MS;
    stream->has_first = true;
    life->ttft_ms = ttft_ms < most_ms ? ttft_ms : most_ms;
    life->first_token_ns = moment_after(life->start_ns, (int64_t)llround(life->ttft_ms * NS_PER_MS));
}

/* Takes the lock, and finds the stream that an event is of. The caller gives the lock back. */
static struct stream *lock_active(tbus_streaming_t *streaming, const char *stream_id, int64_t *time_ns)
{
    struct table_name id;
    *time_ns = moment_of(*time_ns);
    table_fit(&streaming->streams, stream_id, &id);
    uv_mutex_lock(&streaming->mu);
    return streaming_active_locked(streaming, &id, time_ns);
}

int tbus_streaming_record_first_token(tbus_streaming_t *streaming, const char *stream_id, double ttft_ms,
                                      int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    struct stream *stream = lock_active(streaming, stream_id, &time_ns);
    if (stream)
        first_token_locked(streaming, stream, ttft_ms, time_ns);
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}

int tbus_streaming_record_progress(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    const bool is_active = lock_active(streaming, stream_id, &time_ns) != NULL;
    uv_mutex_unlock(&streaming->mu);
    return is_active ? 0 : UV_ENOENT;
}

int tbus_streaming_record_backpressure(tbus_streaming_t *streaming, const char *stream_id, int64_t time_ns)
{
    if (!streaming)
        return UV_EINVAL;
    struct stream *stream = lock_active(streaming, stream_id, &time_ns);
    streaming->counters.backpressure++;
    if (stream)
        life_of(streaming, stream)->backpressure++;
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}
