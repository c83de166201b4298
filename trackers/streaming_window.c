/* What goes into the window, and when. */
#include "trackers/streaming_window.h"

int streaming_open_windows(tbus_streaming_t *streaming)
{
    const int64_t window_ns = streaming->options.window_ns;
    int error = histogram_window_open(window_ns, HISTOGRAM_SLICES, &streaming->gaps);
    if (!error)
        error = histogram_window_open(window_ns, HISTOGRAM_SLICES, &streaming->itl);
    if (!error)
        error = histogram_window_open(window_ns, HISTOGRAM_SLICES, &streaming->icl);
    return error;
}

void streaming_close_windows(tbus_streaming_t *streaming)
{
    histogram_window_close(streaming->gaps);
    histogram_window_close(streaming->itl);
    histogram_window_close(streaming->icl);
}

void streaming_reset_windows_locked(tbus_streaming_t *streaming)
{
    histogram_window_reset(streaming->gaps);
    histogram_window_reset(streaming->itl);
    histogram_window_reset(streaming->icl);
    for (uint32_t i = 0; i < streaming->models.used; i++) {
        struct model *model = table_at(&streaming->models, i);
        if (!model || model->recent_streams.window.slots == 0)
            continue;
        window_sum_reset(&model->recent_streams);
        window_sum_reset(&model->recent_tokens);
    }
    streaming->has_cached = false;
    streaming->resets++;
}

/* A row of doubted events is shorter than LATEST_ROW when another one is seen: they all find room. */
void streaming_doubt_locked(tbus_streaming_t *streaming, const struct stream *stream, int64_t time_ns)
{
    assert(streaming->doubted_count < LATEST_ROW);
    streaming->doubted[streaming->doubted_count++] =
        (struct doubted){.time_ns = time_ns, .stream = table_cell_of(&streaming->streams, stream)};
}

static void touch_locked(tbus_streaming_t *streaming, const struct doubted *doubted, int64_t as_of_ns)
{
    if (doubted->stream == TABLE_NONE)
        return;
    struct stream *stream = table_at(&streaming->streams, doubted->stream);
    if (as_of_ns > stream->last_event_ns)
        stream->last_event_ns = as_of_ns;
}

void streaming_touch_doubted_locked(tbus_streaming_t *streaming, int64_t now_ns)
{
    for (uint32_t i = 0; i < streaming->doubted_count; i++)
        if (streaming->doubted[i].time_ns <= now_ns)
            touch_locked(streaming, &streaming->doubted[i], streaming->doubted[i].time_ns);
}

void streaming_add_believed_locked(tbus_streaming_t *streaming)
{
    const struct latest *latest = &streaming->latest;
    uint32_t left = 0;
    for (uint32_t i = 0; i < streaming->doubted_count; i++) {
        const struct doubted *doubted = &streaming->doubted[i];
        if (latest->row > 0 && latest_doubts(latest, doubted->time_ns)) { /* time has come nearer, but not yet there */
            touch_locked(streaming, doubted, latest->now_ns);
            streaming->doubted[left++] = *doubted;
        } else if (doubted->time_ns <= latest->now_ns) {
            touch_locked(streaming, doubted, doubted->time_ns);
            if (doubted->adds)
                streaming_add_now_locked(streaming, &doubted->addition);
        }
    }
    streaming->doubted_count = left;
}

void streaming_end_doubt_locked(tbus_streaming_t *streaming, const struct stream *stream)
{
    for (uint32_t i = 0; i < streaming->doubted_count; i++)
        if (streaming->doubted[i].stream == table_cell_of(&streaming->streams, stream))
            streaming->doubted[i].stream = TABLE_NONE;
}
