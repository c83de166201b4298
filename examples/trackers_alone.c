/* The trackers without a bus: plain calls, from any thread, with the times of the host's own events. */
#include <stdio.h>
#include <tallybus.h>

int main(void)
{
    const int64_t ms = 1000000, begin = 1700000000000 * ms;
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *snapshot;
    /* The promise to users: the first token within 300 ms. */
    int error = tbus_streaming_open(&(tbus_streaming_options_t){.ttft_max_ms = 300}, &streaming);
    if (error) {
        fprintf(stderr, "no tracker: %s\n", uv_strerror(error));
        return 1;
    }
    for (int stream = 0; stream < 4; stream++) {
        char id[16];
        const int64_t start = begin + stream * 1000 * ms;
        snprintf(id, sizeof id, "stream-%d", stream);
        error = tbus_streaming_record_start(streaming, id, &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = start});
        for (int token = 0; token < 11 && !error; token++) /* the first after 100, 200, ... ms, then one each 20 ms */
            error = tbus_streaming_record_token(streaming, id, 1, 0, TBUS_TOKEN_CONTENT,
                                                start + (100 * (stream + 1) + 20 * token) * ms);
        if (!error)
            error = tbus_streaming_record_end(streaming, id,
                                              &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_COMPLETED,
                                                                   .time_ns = start + (100 * (stream + 1) + 200) * ms});
    }
    /* 0: as of the latest time recorded; tbus_now() or the system's clock for live figures. */
    error = error ? error : tbus_streaming_snapshot(streaming, 0, &snapshot);
    if (error) {
        fprintf(stderr, "streaming: %s\n", uv_strerror(error));
        return 1;
    }
    printf("TTFT median %.0f ms, ITL median %.0f ms, good: %.0f %%\n", snapshot->ttft_ms.p50, snapshot->itl_ms.p50,
           100 * snapshot->goodput);
    tbus_streaming_snapshot_free(snapshot);
    tbus_streaming_close(streaming);
    return 0;
}
