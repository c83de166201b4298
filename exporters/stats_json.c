#include <tallybus/json.h>

#if TBUS_WITH_JSON

#include "exporters/json_value.h"

static json_t *undelivered(const uint64_t *by_reason)
{
    json_t *object = json_object();
    for (int reason = 0; reason < TBUS_REASONS; reason++)
        json_object_set_new(object, tbus_reason_name((tbus_reason_t)reason),
                            json_integer((json_int_t)by_reason[reason]));
    return object;
}

static json_t *types(const tbus_t *bus)
{
    json_t *object = json_object();
    const tbus_type_t *type;
    tbus_type_stats_t stats;
    for (uint32_t number = TBUS_TYPE_NONE + 1; (type = tbus_type_of(bus, number)); number++) {
        if (tbus_stats_of_type(bus, number, &stats) != 0)
            continue;
        uint64_t lost = 0;
        for (int reason = 0; reason < TBUS_REASONS; reason++)
            lost += stats.undelivered[reason];
        if (stats.delivered + lost > 0)
            json_object_set_new(object, type->topic,
                                json_pack("{sI so}", "delivered", (json_int_t)stats.delivered, "undelivered",
                                          undelivered(stats.undelivered)));
    }
    return object;
}

static json_t *subscriber(const tbus_subscriber_stats_t *stats)
{
    static const char *const breakers[] = {"closed", "open", "half-open"};
    return json_pack("{sI so ss ss sI sI sI sI sI sI sI sI sI sI sI}", "subscription", (json_int_t)stats->subscription,
                     "name", json_value_text(stats->name), "mode", stats->mode == TBUS_ISOLATED ? "isolated" : "inline",
                     "breaker", breakers[stats->breaker], "calls", (json_int_t)stats->calls, "errors",
                     (json_int_t)stats->errors, "stops", (json_int_t)stats->stops, "skipped",
                     (json_int_t)stats->skipped, "breaker_opened", (json_int_t)stats->breaker_opened, "dropped",
                     (json_int_t)stats->dropped, "queued_events", (json_int_t)stats->queued_events, "slow",
                     (json_int_t)stats->slow, "timed", (json_int_t)stats->timed, "timed_ns",
                     (json_int_t)stats->timed_ns, "worst_ns", (json_int_t)stats->worst_ns);
}

static json_t *subscribers(const tbus_t *bus)
{
    size_t room = 0, count = 0;
    json_t *array = json_array();
    (void)tbus_stats_of_subscribers(bus, NULL, 0, &room);
    tbus_subscriber_stats_t *list = tbus_mem_alloc(room * sizeof *list);
    if (!array || !list) {
        json_decref(array);
        tbus_mem_free(list);
        return NULL;
    }
    (void)tbus_stats_of_subscribers(bus, list, room, &count);
    for (size_t i = 0; i < count && i < room; i++)
        json_array_append_new(array, subscriber(&list[i]));
    tbus_mem_free(list);
    return array;
}

static json_t *latency(const tbus_stats_t *stats)
{
    if (stats->latency_samples == 0)
        return json_pack("{si sn sn sn sn}", "samples", 0, "p50", "p95", "p99", "max");
    return json_pack("{sI sI sI sI sI}", "samples", (json_int_t)stats->latency_samples, "p50",
                     (json_int_t)stats->latency_p50_ns, "p95", (json_int_t)stats->latency_p95_ns, "p99",
                     (json_int_t)stats->latency_p99_ns, "max", (json_int_t)stats->latency_max_ns);
}

static json_t *document(const tbus_t *bus, const tbus_stats_t *stats)
{
    const tbus_type_t *stalled = tbus_type_of(bus, stats->stalled_type);
    return json_pack("{sI sI sI so sI sI sI sI sI sI sI sI sI sI sI sI ss? so so so}", "published",
                     (json_int_t)stats->published, "delivered", (json_int_t)stats->delivered, "unclaimed",
                     (json_int_t)stats->unclaimed, "undelivered", undelivered(stats->undelivered), "cut_strings",
                     (json_int_t)stats->cut_strings, "handler_calls", (json_int_t)stats->handler_calls,
                     "handler_errors", (json_int_t)stats->handler_errors, "stops", (json_int_t)stats->stops,
                     "queued_events", (json_int_t)stats->queued_events, "queued_bytes", (json_int_t)stats->queued_bytes,
                     "queued_bytes_max", (json_int_t)stats->queued_bytes_max, "ring_bytes",
                     (json_int_t)stats->ring_bytes, "overflow_events", (json_int_t)stats->overflow_events, "batches",
                     (json_int_t)stats->batches, "wakeups", (json_int_t)stats->wakeups, "stalled_ns",
                     (json_int_t)stats->stalled_ns, "stalled_type", stalled ? stalled->topic : NULL, "latency_ns",
                     latency(stats), "types", types(bus), "subscribers", subscribers(bus));
}

int tbus_stats_to_json(const tbus_t *bus, char **ret_text)
{
    tbus_stats_t stats;
    if (!bus || !ret_text || tbus_stats(bus, &stats) != 0)
        return UV_EINVAL;
    return json_value_print(document(bus, &stats), ret_text);
}

#else

int tbus_stats_to_json(const tbus_t *bus, char **ret_text)
{
    (void)bus;
    (void)ret_text;
    return UV_ENOTSUP;
}

#endif
