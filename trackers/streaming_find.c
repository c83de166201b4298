/* One stream, looked up by its id. */
#include <math.h>
#include <string.h>

#include "trackers/streaming_internal.h"

static void copy_names_locked(const tbus_streaming_t *streaming, const struct stream *stream, tbus_stream_info_t *info)
{
    uint32_t length;
    const void *model = table_at(&streaming->models, stream->model);
    assert(model);
    const char *name = table_key(&streaming->models, model, &length);
    memcpy(info->model, name, length + 1);
    if (stream->status != TBUS_STREAM_STATUS_ACTIVE)
        strcpy(info->reason, streaming->ended[life_of(streaming, stream)->ended].reason);
}

static void fill_locked(const tbus_streaming_t *streaming, const struct stream *stream, tbus_stream_info_t *info)
{
    const struct stream_life *life = life_of(streaming, stream);
    const bool active = stream->status == TBUS_STREAM_STATUS_ACTIVE;
    uint64_t ignored = 0; /* negative intervals were counted when they were recorded */

    *info = (tbus_stream_info_t){.status = (tbus_stream_status_t)stream->status,
                                 .start_ns = life->start_ns,
                                 .end_ns = active ? ahead_latest(&streaming->ahead) : life->end_ns,
                                 .tokens = stream->tokens,
                                 .input_tokens = life->input_tokens,
                                 .backpressure_events = life->backpressure,
                                 .ttft_ms = stream->has_first ? life->ttft_ms : (double)NAN,
                                 .tokens_per_second = NAN,
                                 .itl_avg_ms = NAN};
    copy_names_locked(streaming, stream, info);
    int64_t duration = moment_interval(info->start_ns, info->end_ns, &ignored);
    info->duration_ms = (double)duration / NS_PER_MS;
    if (duration > 0)
        info->tokens_per_second = (double)stream->tokens / ((double)duration / NS_PER_S);
    if (stream->itl_samples > 0)
        info->itl_avg_ms = (double)stream->itl_sum_ns / (double)stream->itl_samples / NS_PER_MS;
}

int tbus_streaming_find(tbus_streaming_t *streaming, const char *stream_id, tbus_stream_info_t *ret)
{
    struct table_name id;
    if (!streaming || !ret)
        return UV_EINVAL;
    table_fit(&streaming->streams, stream_id, &id);
    uv_mutex_lock(&streaming->mu);
    struct stream *stream = table_find_name(&streaming->streams, &id);
    if (stream && stream->status == TBUS_STREAM_STATUS_ACTIVE &&
        streaming_is_idle(streaming, stream, ahead_latest(&streaming->ahead)))
        streaming_abandon_locked(streaming, stream); /* it keeps its cell */
    if (stream)
        fill_locked(streaming, stream, ret);
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}
