#include <tallybus/json.h>

#if TBUS_WITH_JSON

#include "exporters/json_value.h"

int tbus_stream_to_json(const char *stream_id, const tbus_stream_info_t *stream, char **ret_text)
{
    static const char *const statuses[] = {"active", "completed", "failed", "cancelled"};
    if (!stream_id || !stream || !ret_text || (unsigned)stream->status > TBUS_STREAM_STATUS_CANCELLED)
        return UV_EINVAL;
    bool is_active = stream->status == TBUS_STREAM_STATUS_ACTIVE;
    json_t *document = json_pack(
        "{so ss so so so so so so so so so so so}", "id", json_value_text(stream_id), "status",
        statuses[stream->status], "model", json_value_text(stream->model), "reason",
        is_active ? json_null() : json_value_text(stream->reason), "start_ns", json_integer(stream->start_ns), "end_ns",
        is_active ? json_null() : json_integer(stream->end_ns), "tokens", json_value_count(stream->tokens),
        "input_tokens", json_value_count(stream->input_tokens), "backpressure_events",
        json_value_count(stream->backpressure_events), "duration_ms", json_value_double(stream->duration_ms), "ttft_ms",
        json_value_double(stream->ttft_ms), "tokens_per_second", json_value_double(stream->tokens_per_second),
        "itl_avg_ms", json_value_double(stream->itl_avg_ms));
    return json_value_print(document, ret_text);
}

#else

int tbus_stream_to_json(const char *stream_id, const tbus_stream_info_t *stream, char **ret_text)
{
    (void)stream_id;
    (void)stream;
    (void)ret_text;
    return UV_ENOTSUP;
}

#endif
