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
