/* What a bus knows about itself. */
#include "exporters/documents.h"

static const struct json_field figures[] = {
    JSON_FIELD(tbus_stats_t, published),     JSON_FIELD(tbus_stats_t, delivered),
    JSON_FIELD(tbus_stats_t, unclaimed),     JSON_FIELD(tbus_stats_t, cut_strings),
    JSON_FIELD(tbus_stats_t, handler_calls), JSON_FIELD(tbus_stats_t, handler_errors),
    JSON_FIELD(tbus_stats_t, stops),         JSON_FIELD(tbus_stats_t, queued_events),
    JSON_FIELD(tbus_stats_t, queued_bytes),  JSON_FIELD(tbus_stats_t, queued_bytes_max),
    JSON_FIELD(tbus_stats_t, ring_bytes),    JSON_FIELD(tbus_stats_t, overflow_events),
    JSON_FIELD(tbus_stats_t, batches),       JSON_FIELD(tbus_stats_t, wakeups),
    JSON_FIELD(tbus_stats_t, loop_cpu_ns),   JSON_FIELD(tbus_stats_t, stalled_ns),
};

static const struct json_field latency[] = {
    JSON_FIELD_AS(tbus_stats_t, "p50", latency_p50_ns),
    JSON_FIELD_AS(tbus_stats_t, "p95", latency_p95_ns),
    JSON_FIELD_AS(tbus_stats_t, "p99", latency_p99_ns),
    JSON_FIELD_AS(tbus_stats_t, "max", latency_max_ns),
};

static const struct json_field subscriber[] = {
    JSON_FIELD(tbus_subscriber_stats_t, calls),          JSON_FIELD(tbus_subscriber_stats_t, errors),
    JSON_FIELD(tbus_subscriber_stats_t, stops),          JSON_FIELD(tbus_subscriber_stats_t, skipped),
    JSON_FIELD(tbus_subscriber_stats_t, breaker_opened), JSON_FIELD(tbus_subscriber_stats_t, dropped),
    JSON_FIELD(tbus_subscriber_stats_t, queued_events),  JSON_FIELD(tbus_subscriber_stats_t, slow),
    JSON_FIELD(tbus_subscriber_stats_t, timed),          JSON_FIELD(tbus_subscriber_stats_t, timed_ns),
    JSON_FIELD(tbus_subscriber_stats_t, worst_ns),
};

static void put_undelivered(struct json *json, const uint64_t *by_reason)
{
    json_open_object(json, "undelivered");
    for (int reason = 0; reason < TBUS_REASONS; reason++)
        json_put_uint(json, tbus_reason_name((tbus_reason_t)reason), by_reason[reason]);
    json_close_object(json);
}

/* Those of which there were events. */
static void put_types(struct json *json, const tbus_t *bus)
{
    const tbus_type_t *type;
    tbus_type_stats_t stats;
    json_open_object(json, "types");
    for (uint32_t number = TBUS_TYPE_NONE + 1; (type = tbus_type_of(bus, number)); number++) {
        if (tbus_stats_of_type(bus, number, &stats) != 0)
            continue;
        uint64_t lost = 0;
        for (int reason = 0; reason < TBUS_REASONS; reason++)
            lost += stats.undelivered[reason];
        if (stats.delivered + lost == 0)
            continue;
        json_put_key(json, type->topic);
        json_open_object(json, NULL);
        json_put_uint(json, "delivered", stats.delivered);
        put_undelivered(json, stats.undelivered);
        json_close_object(json);
    }
    json_close_object(json);
}

static void put_subscriber(struct json *json, const tbus_subscriber_stats_t *stats)
{
    static const char *const breakers[] = {"closed", "open", "half-open"};
    json_open_object(json, NULL);
    json_put_int(json, "subscription", stats->subscription);
    json_put_text(json, "name", stats->name);
    json_put_text(json, "mode", stats->mode == TBUS_ISOLATED ? "isolated" : "inline");
    json_put_text(json, "breaker", breakers[stats->breaker]);
    JSON_PUT_FIELDS(json, stats, subscriber);
    json_close_object(json);
}

/* Errors: UV_ENOMEM. */
static int put_subscribers(struct json *json, const tbus_t *bus)
{
    size_t room = 0, count = 0;
    (void)tbus_stats_of_subscribers(bus, NULL, 0, &room);
    tbus_subscriber_stats_t *list = tbus_mem_alloc((room + 1) * sizeof *list);
    if (!list)
        return UV_ENOMEM;
    (void)tbus_stats_of_subscribers(bus, list, room, &count);
    json_open_array(json, "subscribers");
    for (size_t i = 0; i < count && i < room; i++)
        put_subscriber(json, &list[i]);
    json_close_array(json);
    tbus_mem_free(list);
    return 0;
}

static void put_latency(struct json *json, const tbus_stats_t *stats)
{
    json_open_object(json, "latency_ns");
    json_put_uint(json, "samples", stats->latency_samples);
    if (stats->latency_samples > 0)
        JSON_PUT_FIELDS(json, stats, latency);
    else
        for (size_t i = 0; i < sizeof latency / sizeof *latency; i++)
            json_put_null(json, latency[i].key);
    json_close_object(json);
}

int tbus_stats_to_json(const tbus_t *bus, char **ret_text)
{
    struct text text = {0};
    struct json json;
    tbus_stats_t stats;
    if (!bus || !ret_text || tbus_stats(bus, &stats) != 0)
        return UV_EINVAL;
    const tbus_type_t *stalled = tbus_type_of(bus, stats.stalled_type);
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    JSON_PUT_FIELDS(&json, &stats, figures);
    put_undelivered(&json, stats.undelivered);
    json_put_text(&json, "stalled_type", stalled ? stalled->topic : NULL);
    json_put_int(&json, "since_ns", stats.since_ns);
    put_latency(&json, &stats);
    put_types(&json, bus);
    const int error = put_subscribers(&json, bus);
    json_close_object(&json);
    if (error)
        tbus_mem_free(text.bytes);
    return error ? error : json_take(&json, ret_text);
}
