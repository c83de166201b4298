/* Streams: all of them together, and one. */
#include "exporters/documents.h"

/* --- All --- */

static const struct json_field streaming[] = {
    JSON_FIELD(tbus_streaming_snapshot_t, time_ns),
    JSON_FIELD(tbus_streaming_snapshot_t, since_ns),
    JSON_FIELD(tbus_streaming_snapshot_t, total_streams),
    JSON_FIELD(tbus_streaming_snapshot_t, completed_streams),
    JSON_FIELD(tbus_streaming_snapshot_t, failed_streams),
    JSON_FIELD(tbus_streaming_snapshot_t, cancelled_streams),
    JSON_FIELD(tbus_streaming_snapshot_t, abandoned_streams),
    JSON_FIELD(tbus_streaming_snapshot_t, active_streams),
    JSON_FIELD(tbus_streaming_snapshot_t, total_tokens),
    JSON_FIELD(tbus_streaming_snapshot_t, shed_tokens),
    JSON_FIELD(tbus_streaming_snapshot_t, backpressure_events),
    JSON_FIELD(tbus_streaming_snapshot_t, duplicate_starts),
    JSON_FIELD(tbus_streaming_snapshot_t, refused_starts),
    JSON_FIELD(tbus_streaming_snapshot_t, orphan_events),
    JSON_FIELD(tbus_streaming_snapshot_t, negative_intervals),
    JSON_FIELD(tbus_streaming_snapshot_t, sequence_jumps),
    JSON_FIELD(tbus_streaming_snapshot_t, oversized_events),
    JSON_FIELD(tbus_streaming_snapshot_t, ahead),
    JSON_FIELD(tbus_streaming_snapshot_t, aggregate_ns),
    JSON_FIELD(tbus_streaming_snapshot_t, success_rate),
    JSON_FIELD(tbus_streaming_snapshot_t, goodput),
    JSON_FIELD(tbus_streaming_snapshot_t, ttft_ms),
    JSON_FIELD(tbus_streaming_snapshot_t, itl_ms),
    JSON_FIELD(tbus_streaming_snapshot_t, icl_ms),
    JSON_FIELD(tbus_streaming_snapshot_t, tpot_ms),
    JSON_FIELD(tbus_streaming_snapshot_t, tokens_per_second),
    JSON_FIELD(tbus_streaming_snapshot_t, duration_ms),
};

static const struct json_field model[] = {
    JSON_FIELD(tbus_streaming_model_t, model),         JSON_FIELD(tbus_streaming_model_t, streams),
    JSON_FIELD(tbus_streaming_model_t, tokens),        JSON_FIELD(tbus_streaming_model_t, recent_streams),
    JSON_FIELD(tbus_streaming_model_t, recent_tokens),
};

void json_put_streaming(struct json *json, const char *key, const tbus_streaming_snapshot_t *snapshot,
                        const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, streaming);
    json_put_list(json, "models",
                  &(struct json_list){JSON_ROWS(snapshot->models, snapshot->models_count, model), .only = filter->model,
                                      .limit = filter->limit});
    json_close_object(json);
}

/* --- One --- */

static const struct json_field stream_figures[] = {
    JSON_FIELD(tbus_stream_info_t, tokens),
    JSON_FIELD(tbus_stream_info_t, input_tokens),
    JSON_FIELD(tbus_stream_info_t, backpressure_events),
    JSON_FIELD(tbus_stream_info_t, duration_ms),
    JSON_FIELD(tbus_stream_info_t, ttft_ms),
    JSON_FIELD(tbus_stream_info_t, tokens_per_second),
    JSON_FIELD(tbus_stream_info_t, itl_avg_ms),
};

int tbus_stream_to_json(const char *stream_id, const tbus_stream_info_t *stream, char **ret_text)
{
    static const char *const statuses[] = {"active", "completed", "failed", "cancelled"};
    struct text text = {0};
    struct json json;
    if (!stream_id || !stream || !ret_text || (unsigned)stream->status > TBUS_STREAM_STATUS_CANCELLED)
        return UV_EINVAL;
    const bool is_active = stream->status == TBUS_STREAM_STATUS_ACTIVE;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    json_put_text(&json, "id", stream_id);
    json_put_text(&json, "status", statuses[stream->status]);
    json_put_text(&json, "model", stream->model);
    json_put_text(&json, "reason", is_active ? NULL : stream->reason);
    json_put_int(&json, "start_ns", stream->start_ns);
    if (is_active)
        json_put_null(&json, "end_ns");
    else
        json_put_int(&json, "end_ns", stream->end_ns);
    JSON_PUT_FIELDS(&json, stream, stream_figures);
    json_close_object(&json);
    return json_take(&json, ret_text);
}
