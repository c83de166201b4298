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
    streaming->has_cached = false;
    streaming->resets++;
}

/* All together, so that streams, tokens and gaps are those of the same time. */
void streaming_go_back_in_windows_locked(tbus_streaming_t *streaming, int64_t span_ns)
{
    histogram_window_go_back(streaming->gaps, MOMENT_MIN, span_ns);
    histogram_window_go_back(streaming->itl, MOMENT_MIN, span_ns);
    histogram_window_go_back(streaming->icl, MOMENT_MIN, span_ns);
    for (uint32_t i = 0; i < streaming->models.used; i++) {
        struct model *model = table_at(&streaming->models, i);
        if (!model)
            continue;
        window_sum_go_back(&model->recent_streams, MOMENT_MIN, span_ns);
        window_sum_go_back(&model->recent_tokens, MOMENT_MIN, span_ns);
    }
    streaming->has_cached = false;
    streaming->resets++; /* what a snapshot works out meanwhile is not kept */
}
