/* Documents of whole trackers, each alone and all of a telemetry set as one object. */
#include <tallybus/telemetry.h>

#include "exporters/documents.h"

#define DEFINE(name) DEFINE_OF(name, tbus_##name##_snapshot_t)
#define DEFINE_OF(name, type)                                                                                          \
    int tbus_##name##_to_json(const type *snapshot, char **ret_text)                                                   \
    {                                                                                                                  \
        struct text text = {0};                                                                                        \
        struct json json;                                                                                              \
        if (!snapshot || !ret_text)                                                                                    \
            return UV_EINVAL;                                                                                          \
        json_begin(&json, &text);                                                                                      \
        json_put_##name(&json, NULL, snapshot, NULL);                                                                  \
        return json_take(&json, ret_text);                                                                             \
    }
DEFINE(errors)
DEFINE(requests)
DEFINE(inference)
DEFINE(streaming)
DEFINE(cost)
DEFINE(budgets)
DEFINE(models)
DEFINE(kvcache)
DEFINE_OF(cost_period, tbus_cost_period_t)
DEFINE_OF(slo, tbus_errors_snapshot_t)

static void put_all(struct json *json, const tbus_telemetry_snapshot_t *snapshot)
{
    json_open_object(json, NULL);
    json_put_int(json, "time_ns", snapshot->time_ns);
#define PUT(name)                                                                                                      \
    if (snapshot->name)                                                                                                \
        json_put_##name(json, #name, snapshot->name, NULL);
    PUT(errors)
    PUT(requests)
    PUT(inference)
    PUT(streaming)
    PUT(cost)
    PUT(budgets)
    PUT(models)
    PUT(kvcache)
#undef PUT
    json_close_object(json);
}

int tbus_telemetry_json(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text)
{
    struct text text = {0};
    struct json json;
    tbus_telemetry_snapshot_t *snapshot;
    if (!telemetry || !ret_text)
        return UV_EINVAL;
    int error = tbus_telemetry_snapshot(telemetry, now_ns, &snapshot);
    if (error)
        return error;
    json_begin(&json, &text);
    put_all(&json, snapshot);
    tbus_telemetry_snapshot_free(snapshot);
    return json_take(&json, ret_text);
}
