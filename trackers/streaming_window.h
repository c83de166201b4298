/* What one event adds to the window. Inline, for it is part of what each token costs. */
#ifndef TRACKERS_STREAMING_WINDOW_H
#define TRACKERS_STREAMING_WINDOW_H

#include "trackers/streaming_internal.h"

int streaming_open_windows(tbus_streaming_t *streaming);
void streaming_reset_windows_locked(tbus_streaming_t *streaming);
void streaming_go_back_in_windows_locked(tbus_streaming_t *streaming, int64_t span_ns);
void streaming_close_windows(tbus_streaming_t *streaming);

static inline void streaming_add_locked(tbus_streaming_t *streaming, const struct addition *addition)
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

#endif
