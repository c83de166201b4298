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
