#include <math.h>
#include <string.h>

#include "exporters/prometheus_columns.h"

static const struct column by_model[] = {
    {"streaming_streams_by_model", "Streams started, by model.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_streaming_model_t, streams)},
    {"streaming_tokens_by_model", "Tokens streamed, by model.", METRIC_COUNTER, COLUMN_UINT,
     offsetof(tbus_streaming_model_t, tokens)},
    {"streaming_recent_streams_by_model", "Streams started in the window, by model.", METRIC_GAUGE, COLUMN_UINT,
     offsetof(tbus_streaming_model_t, recent_streams)},
    {"streaming_recent_tokens_by_model", "Tokens streamed in the window, by model.", METRIC_GAUGE, COLUMN_UINT,
     offsetof(tbus_streaming_model_t, recent_tokens)},
};

/* --- Under OpenTelemetry's names --- */

static void add_histogram(struct page *page, const tbus_streaming_snapshot_t *snapshot,
                          const tbus_streaming_model_t *model, const char *token_type, const tbus_buckets_t *buckets)
{
    const struct prometheus_label labels[] = {{"gen_ai_operation_name", snapshot->operation_name, 0},
                                              {"gen_ai_provider_name", snapshot->provider_name, 0},
                                              {"gen_ai_request_model", model->model, 0},
                                              {"gen_ai_token_type", token_type, 0}};
    if (buckets->count > 0)
        prometheus_histogram(page, prometheus_labels(page, labels, token_type ? 4 : 3), buckets);
}

static void add_histograms(struct page *page, const tbus_streaming_snapshot_t *snapshot)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } families[] = {
        {"gen_ai_server_time_to_first_token_seconds", "Time to first token of completed streams.",
         offsetof(tbus_streaming_model_t, ttft_s)},
        {"gen_ai_server_time_per_output_token_seconds", "Time per output token after the first of completed streams.",
         offsetof(tbus_streaming_model_t, tpot_s)},
        {"gen_ai_server_request_duration_seconds", "Duration of finished streams.",
         offsetof(tbus_streaming_model_t, duration_s)},
    };
    static const char usage[] = "gen_ai_client_token_usage";
    for (size_t family = 0; family < sizeof families / sizeof *families; family++) {
        prometheus_family(page, METRIC_HISTOGRAM, families[family].name, families[family].help);
        for (size_t i = 0; i < snapshot->models_count; i++) {
            const tbus_streaming_model_t *model = &snapshot->models[i];
            tbus_buckets_t buckets;
            memcpy(&buckets, (const char *)model + families[family].offset, sizeof buckets);
            add_histogram(page, snapshot, model, NULL, &buckets);
        }
    }
    prometheus_family(page, METRIC_HISTOGRAM, usage, "Tokens of finished streams.");
    for (size_t i = 0; i < snapshot->models_count; i++) {
        const tbus_streaming_model_t *model = &snapshot->models[i];
        add_histogram(page, snapshot, model, "input", &model->input_tokens);
        add_histogram(page, snapshot, model, "output", &model->output_tokens);
    }
}

/* --- All streams --- */

static void add_counters(struct page *page, const tbus_streaming_snapshot_t *snapshot)
{
    const struct {
        const char *name, *help;
        uint64_t figure;
    } counters[] = {
        {"streaming_total_streams", "Streams started.", snapshot->total_streams},
        {"streaming_completed_streams", "Streams that completed.", snapshot->completed_streams},
        {"streaming_failed_streams", "Streams that failed.", snapshot->failed_streams},
        {"streaming_cancelled_streams_total", "Streams that were cancelled.", snapshot->cancelled_streams},
        {"streaming_abandoned_streams_total", "Streams that failed because nothing came for too long.",
         snapshot->abandoned_streams},
        {"streaming_total_tokens", "Tokens streamed.", snapshot->total_tokens},
        {"streaming_shed_tokens_total", "Tokens known from the end of their stream alone.", snapshot->shed_tokens},
        {"streaming_backpressure_events", "Times that a client's buffer was full.", snapshot->backpressure_events},
        {"streaming_duplicate_starts_total", "Starts of streams that were active.", snapshot->duplicate_starts},
        {"streaming_refused_starts_total", "Starts for which there was no room.", snapshot->refused_starts},
        {"streaming_orphan_events_total", "Events of streams that are not known.", snapshot->orphan_events},
        {"streaming_negative_intervals_total", "Intervals that ended before they began.", snapshot->negative_intervals},
        {"streaming_sequence_jumps_total", "Events before which tokens were shed.", snapshot->sequence_jumps},
        {"streaming_oversized_events_total", "Events with too many tokens to be samples.", snapshot->oversized_events},
        {"streaming_times_ahead_total", "Times too far ahead of the clock to be believed.", snapshot->ahead},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        prometheus_one_uint(page, METRIC_COUNTER, counters[i].name, counters[i].help, counters[i].figure);
    prometheus_one_uint(page, METRIC_GAUGE, "streaming_active_streams", "Streams running now.",
                        snapshot->active_streams);
    prometheus_one_double(page, METRIC_GAUGE, "streaming_success_rate", "Streams completed / streams started.",
                          snapshot->success_rate);
}

static tbus_distribution_t in_seconds(const tbus_distribution_t *ms)
{
    return (tbus_distribution_t){.p50 = ms->p50 / 1e3, .p95 = ms->p95 / 1e3, .p99 = ms->p99 / 1e3};
}

/* Those that are not specified in milliseconds are in seconds. */
static void add_window(struct page *page, const tbus_streaming_snapshot_t *snapshot)
{
    const tbus_distribution_t icl = in_seconds(&snapshot->icl_ms), tpot = in_seconds(&snapshot->tpot_ms);
    prometheus_quantiles(page, "streaming_ttft_milliseconds", "Time to first token of the streams in the window.",
                         &snapshot->ttft_ms);
    prometheus_quantiles(page, "streaming_itl_milliseconds", "Inter-token latency of the tokens in the window.",
                         &snapshot->itl_ms);
    prometheus_quantiles(page, "streaming_icl_seconds",
                         "Inter-chunk latency: time between the events of a stream, in the window.", &icl);
    prometheus_quantiles(page, "streaming_tpot_seconds",
                         "Time per output token after the first, of the streams in the window.", &tpot);
    prometheus_quantiles(page, "streaming_tokens_per_second", "Tokens per second of the streams in the window.",
                         &snapshot->tokens_per_second);
    prometheus_quantiles(page, "streaming_duration_milliseconds", "Duration of the streams in the window.",
                         &snapshot->duration_ms);
    if (!isnan(snapshot->goodput))
        prometheus_one_double(page, METRIC_GAUGE, "streaming_goodput_ratio",
                              "Share of the streams in the window that were within all limits.", snapshot->goodput);
}

void prometheus_add_streaming(struct page *page, const tbus_streaming_snapshot_t *snapshot)
{
    add_counters(page, snapshot);
    add_window(page, snapshot);
    prometheus_columns(page, by_model, sizeof by_model / sizeof *by_model,
                       &(struct column_rows){snapshot->models, snapshot->models_count, sizeof(tbus_streaming_model_t),
                                             "model", offsetof(tbus_streaming_model_t, model)});
    add_histograms(page, snapshot);
}
