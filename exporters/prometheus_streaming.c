#include <tallybus/prometheus.h>

#include "exporters/prometheus.h"

static void add_models(struct text *text, const tbus_streaming_snapshot_t *snapshot)
{
    prometheus_family(text, METRIC_COUNTER, "streaming_streams_by_model", "Streams started, by model.");
    for (size_t i = 0; i < snapshot->models_count; i++)
        prometheus_uint(text, "streaming_streams_by_model", "model", snapshot->models[i].model,
                        snapshot->models[i].streams);
    prometheus_family(text, METRIC_COUNTER, "streaming_tokens_by_model", "Tokens streamed, by model.");
    for (size_t i = 0; i < snapshot->models_count; i++)
        prometheus_uint(text, "streaming_tokens_by_model", "model", snapshot->models[i].model,
                        snapshot->models[i].tokens);
}

int tbus_prometheus_streaming(const tbus_streaming_snapshot_t *snapshot, char **ret_text)
{
    struct text text = {0};
    if (!snapshot || !ret_text)
        return UV_EINVAL;
    prometheus_one_uint(&text, METRIC_COUNTER, "streaming_total_streams", "Streams started.", snapshot->total_streams);
    prometheus_one_uint(&text, METRIC_GAUGE, "streaming_active_streams", "Streams running now.",
                        snapshot->active_streams);
    prometheus_one_uint(&text, METRIC_COUNTER, "streaming_completed_streams", "Streams that completed.",
                        snapshot->completed_streams);
    prometheus_one_uint(&text, METRIC_COUNTER, "streaming_failed_streams", "Streams that failed.",
                        snapshot->failed_streams);
    prometheus_one_uint(&text, METRIC_COUNTER, "streaming_cancelled_streams", "Streams that were cancelled.",
                        snapshot->cancelled_streams);
    prometheus_one_uint(&text, METRIC_COUNTER, "streaming_total_tokens", "Tokens streamed.", snapshot->total_tokens);
    prometheus_quantiles(&text, "streaming_ttft_milliseconds", "Time to first token of the streams in the window.",
                         &snapshot->ttft_ms);
    prometheus_quantiles(&text, "streaming_itl_milliseconds", "Inter-token latency of the tokens in the window.",
                         &snapshot->itl_ms);
    prometheus_quantiles(&text, "streaming_icl_milliseconds",
                         "Inter-chunk latency: time between the events of a stream, in the window.", &snapshot->icl_ms);
    prometheus_quantiles(&text, "streaming_tpot_milliseconds",
                         "Time per output token after the first, of the streams in the window.", &snapshot->tpot_ms);
    prometheus_quantiles(&text, "streaming_tokens_per_second", "Tokens per second of the streams in the window.",
                         &snapshot->tokens_per_second);
    prometheus_quantiles(&text, "streaming_duration_milliseconds", "Duration of the streams in the window.",
                         &snapshot->duration_ms);
    prometheus_one_double(&text, METRIC_GAUGE, "streaming_success_rate", "Streams completed / streams started.",
                          snapshot->success_rate);
    prometheus_one_uint(&text, METRIC_COUNTER, "streaming_backpressure_events",
                        "Times that a client's buffer was full.", snapshot->backpressure_events);
    add_models(&text, snapshot);
    return text_take(&text, ret_text);
}
