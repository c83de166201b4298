#include "exporters/documents.h"

static const struct json_field figures[] = {
    JSON_FIELD(tbus_inference_figures_t, model),
    JSON_FIELD(tbus_inference_figures_t, started),
    JSON_FIELD(tbus_inference_figures_t, completed),
    JSON_FIELD(tbus_inference_figures_t, failed),
    JSON_FIELD(tbus_inference_figures_t, input_tokens),
    JSON_FIELD(tbus_inference_figures_t, output_tokens),
    JSON_FIELD(tbus_inference_figures_t, cached_tokens),
    JSON_FIELD(tbus_inference_figures_t, cached_share),
    JSON_FIELD(tbus_inference_figures_t, requests_per_second),
    JSON_FIELD(tbus_inference_figures_t, input_tokens_per_second),
    JSON_FIELD(tbus_inference_figures_t, output_tokens_per_second),
    JSON_FIELD(tbus_inference_figures_t, queue_ms),
    JSON_FIELD(tbus_inference_figures_t, prefill_ms),
    JSON_FIELD(tbus_inference_figures_t, decode_ms),
    JSON_FIELD(tbus_inference_figures_t, ttft_ms),
    JSON_FIELD(tbus_inference_figures_t, itl_ms),
    JSON_FIELD(tbus_inference_figures_t, tpot_ms),
    JSON_FIELD(tbus_inference_figures_t, total_ms),
};

static const struct json_field inference[] = {
    JSON_FIELD(tbus_inference_snapshot_t, time_ns),
    JSON_FIELD(tbus_inference_snapshot_t, since_ns),
    JSON_FIELD(tbus_inference_snapshot_t, active),
    JSON_FIELD_AS(tbus_inference_snapshot_t, "queue_depth", queue_depth.now),
    JSON_FIELD_AS(tbus_inference_snapshot_t, "queue_depth_max", queue_depth.max),
    JSON_FIELD_AS(tbus_inference_snapshot_t, "queue_depth_mean", queue_depth.mean),
    JSON_FIELD_AS(tbus_inference_snapshot_t, "batch_size", batch_size.now),
    JSON_FIELD_AS(tbus_inference_snapshot_t, "batch_size_max", batch_size.max),
    JSON_FIELD_AS(tbus_inference_snapshot_t, "batch_size_mean", batch_size.mean),
    JSON_FIELD(tbus_inference_snapshot_t, duplicate_starts),
    JSON_FIELD(tbus_inference_snapshot_t, refused_starts),
    JSON_FIELD(tbus_inference_snapshot_t, orphan_events),
    JSON_FIELD(tbus_inference_snapshot_t, abandoned),
    JSON_FIELD(tbus_inference_snapshot_t, negative_intervals),
    JSON_FIELD(tbus_inference_snapshot_t, ahead),
};

static const struct json_field worker[] = {
    JSON_FIELD(tbus_inference_worker_t, worker),     JSON_FIELD(tbus_inference_worker_t, requests),
    JSON_FIELD(tbus_inference_worker_t, tokens),     JSON_FIELD(tbus_inference_worker_t, done),
    JSON_FIELD(tbus_inference_worker_t, latency_ms), JSON_FIELD(tbus_inference_worker_t, share),
};

void json_put_inference(struct json *json, const char *key, const tbus_inference_snapshot_t *snapshot,
                        const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, inference);
    JSON_PUT_OBJECT(json, "all", &snapshot->all, figures);
    json_put_list(json, "models",
                  &(struct json_list){JSON_ROWS(snapshot->models, snapshot->models_count, figures),
                                      .only = filter->model, .limit = filter->limit});
    json_put_list(
        json, "workers",
        &(struct json_list){JSON_ROWS(snapshot->workers, snapshot->workers_count, worker), .limit = filter->limit});
    json_close_object(json);
}
