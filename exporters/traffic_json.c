#include "exporters/traffic_json.h"

const struct json_field json_traffic[JSON_TRAFFIC_FIELDS] = {
    JSON_FIELD(tbus_traffic_t, name),
    JSON_FIELD(tbus_traffic_t, requests),
    JSON_FIELD(tbus_traffic_t, responses),
    JSON_FIELD(tbus_traffic_t, errors),
    JSON_FIELD(tbus_traffic_t, prompt_tokens),
    JSON_FIELD(tbus_traffic_t, completion_tokens),
    JSON_FIELD(tbus_traffic_t, in_flight),
    JSON_FIELD(tbus_traffic_t, requests_per_second),
    JSON_FIELD(tbus_traffic_t, responses_per_second),
    JSON_FIELD(tbus_traffic_t, errors_per_second),
    JSON_FIELD(tbus_traffic_t, tokens_per_second),
    JSON_FIELD(tbus_traffic_t, latency_ms),
};
