/* What one event adds to the window: at once, or, where its time is doubted, once it is believed. Inline, for it is part of
 * what each token costs. */
#ifndef TRACKERS_STREAMING_WINDOW_H
#define TRACKERS_STREAMING_WINDOW_H

#include "trackers/streaming_internal.h"

int streaming_open_windows(tbus_streaming_t *streaming);
void streaming_reset_windows_locked(tbus_streaming_t *streaming);
void streaming_close_windows(tbus_streaming_t *streaming);

/* Streams had those of their doubted events that lie up to a moment. */
void streaming_touch_doubted_locked(tbus_streaming_t *streaming, int64_t now_ns);

/* Adds what is believed by now, and drops what never will be. */
void streaming_add_believed_locked(tbus_streaming_t *streaming);

/* A stream has ended: its doubted events do not keep it alive. */
void streaming_end_doubt_locked(tbus_streaming_t *streaming, const struct stream *stream);

static inline void streaming_add_now_locked(tbus_streaming_t *streaming, const struct addition *addition)
{
    const int64_t time_ns = addition->time_ns, gap_ns = addition->gap_ns;
    struct model *model = table_at(&streaming->models, addition->model);
    assert(model);
    if (addition->starts)
        window_sum_add(&model->recent_streams, time_ns, 1);
    if (addition->tokens > 0)
        window_sum_add(&model->recent_tokens, time_ns, addition->tokens);
    if (!addition->has_gap)
        return;
    if (addition->tokens == 1) {
        histogram_window_record(streaming->gaps, time_ns, gap_ns, 1, gap_ns);
        return;
    }
    if (addition->tokens <= TBUS_EVENT_TOKENS_MAX)
        histogram_window_record(streaming->itl, time_ns, gap_ns / (int64_t)addition->tokens, addition->tokens, gap_ns);
    histogram_window_record(streaming->icl, time_ns, gap_ns, 1, gap_ns);
}

/* Once for each event at most, after streaming_touch_locked(). */
static inline void streaming_add_locked(tbus_streaming_t *streaming, const struct addition *addition)
{
    if (!latest_doubts(&streaming->latest, addition->time_ns)) {
        streaming_add_now_locked(streaming, addition);
        return;
    }
    struct doubted *doubted = &streaming->doubted[streaming->doubted_count - 1];
    assert(streaming->doubted_count > 0 && doubted->time_ns == addition->time_ns && !doubted->adds);
    doubted->adds = true;
    doubted->addition = *addition;
}

#endif
