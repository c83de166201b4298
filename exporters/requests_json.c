#include "exporters/documents.h"
#include "exporters/traffic_json.h"

static const struct json_field requests[] = {
    JSON_FIELD(tbus_requests_snapshot_t, time_ns),
    JSON_FIELD(tbus_requests_snapshot_t, since_ns),
    JSON_FIELD(tbus_requests_snapshot_t, unmatched_responses),
    JSON_FIELD(tbus_requests_snapshot_t, negative_durations),
    JSON_FIELD(tbus_requests_snapshot_t, ahead),
};

void json_put_requests(struct json *json, const char *key, const tbus_requests_snapshot_t *snapshot,
                       const struct json_filter *filter)
{
    static const struct json_filter all;
    filter = filter ? filter : &all;
    json_open_object(json, key);
    JSON_PUT_FIELDS(json, snapshot, requests);
    json_put_object(json, "all", &snapshot->all, json_traffic, JSON_TRAFFIC_FIELDS);
    json_put_list(json, "endpoints",
                  &(struct json_list){.rows = snapshot->endpoints,
                                      .count = snapshot->endpoints_count,
                                      .bytes = sizeof *snapshot->endpoints,
                                      .fields = json_traffic,
                                      .fields_count = JSON_TRAFFIC_FIELDS,
                                      .only = filter->endpoint,
                                      .limit = filter->limit});
    json_close_object(json);
}
