#include <stdio.h>

#include "exporters/prometheus.h"

/* A subscriber's figure and how it is shown. */
struct column {
    enum metric metric;
    const char *name, *help;
    size_t offset; /* of a uint64_t in tbus_subscriber_stats_t */
};

static const struct column columns[] = {
    {METRIC_COUNTER, "tallybus_bus_subscriber_calls_total", "Calls of its handlers.",
     offsetof(tbus_subscriber_stats_t, calls)},
    {METRIC_COUNTER, "tallybus_bus_subscriber_errors_total", "Calls that returned an error.",
     offsetof(tbus_subscriber_stats_t, errors)},
    {METRIC_COUNTER, "tallybus_bus_subscriber_stops_total", "Calls that kept the event from lower priorities.",
     offsetof(tbus_subscriber_stats_t, stops)},
    {METRIC_COUNTER, "tallybus_bus_subscriber_skipped_total", "Calls not made while its breaker was open.",
     offsetof(tbus_subscriber_stats_t, skipped)},
    {METRIC_COUNTER, "tallybus_bus_subscriber_dropped_total", "Events that found its own queue full.",
     offsetof(tbus_subscriber_stats_t, dropped)},
    {METRIC_GAUGE, "tallybus_bus_subscriber_queued_events", "Events in its own queue.",
     offsetof(tbus_subscriber_stats_t, queued_events)},
    {METRIC_COUNTER, "tallybus_bus_subscriber_slow_total", "Timed calls that took long.",
     offsetof(tbus_subscriber_stats_t, slow)},
};

static void add_totals(struct page *page, const tbus_stats_t *stats)
{
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_published_total",
                        "Events accepted or reserved: delivered, queued, aborted and overdue ones.", stats->published);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_delivered_total", "Events delivered.", stats->delivered);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_unclaimed_total", "Events that no subscriber matched.",
                        stats->unclaimed);
    prometheus_family(page, METRIC_COUNTER, "tallybus_bus_undelivered_total", "Events not delivered, by reason.");
    for (int reason = 0; reason < TBUS_REASONS; reason++)
        prometheus_uint(page, prometheus_label(page, "reason", tbus_reason_name((tbus_reason_t)reason)),
                        stats->undelivered[reason]);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_cut_strings_total",
                        "Strings, list entries and pairs shortened or left out.", stats->cut_strings);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_handler_calls_total", "Calls of inline handlers.",
                        stats->handler_calls);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_handler_errors_total",
                        "Calls of inline handlers that returned an error.", stats->handler_errors);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_batches_total", "Batches.", stats->batches);
    prometheus_one_uint(page, METRIC_COUNTER, "tallybus_bus_wakeups_total", "Times that the loop had to be woken.",
                        stats->wakeups);
    if (stats->loop_cpu_ns > 0)
        prometheus_one_double(page, METRIC_COUNTER, "tallybus_bus_loop_cpu_seconds_total",
                              "CPU time of the bus's loop thread: at a rate of 1 it can do no more.",
                              (double)stats->loop_cpu_ns / 1e9);
}

static void add_queue(struct page *page, const tbus_stats_t *stats)
{
    const double ns_per_s = 1e9;
    prometheus_one_uint(page, METRIC_GAUGE, "tallybus_bus_queued_events", "Events in the queue.", stats->queued_events);
    prometheus_one_uint(page, METRIC_GAUGE, "tallybus_bus_overflow_events", "Of these: beside the full ring.",
                        stats->overflow_events);
    prometheus_one_uint(page, METRIC_GAUGE, "tallybus_bus_queued_bytes", "Bytes of the ring in use.",
                        stats->queued_bytes);
    prometheus_one_uint(page, METRIC_GAUGE, "tallybus_bus_queued_max_bytes",
                        "The most of them at the start of a batch.", stats->queued_bytes_max);
    prometheus_one_uint(page, METRIC_GAUGE, "tallybus_bus_ring_bytes", "Size of the ring.", stats->ring_bytes);
    prometheus_one_double(page, METRIC_GAUGE, "tallybus_bus_stalled_seconds",
                          "How long a reservation has been holding everything up.",
                          (double)stats->stalled_ns / ns_per_s);
    if (stats->latency_samples == 0)
        return;
    tbus_distribution_t latency = {.p50 = (double)stats->latency_p50_ns / ns_per_s,
                                   .p95 = (double)stats->latency_p95_ns / ns_per_s,
                                   .p99 = (double)stats->latency_p99_ns / ns_per_s};
    prometheus_quantiles(page, "tallybus_bus_latency_seconds", "From publish to dispatch, latest samples.", &latency);
}

static void add_types(struct page *page, const tbus_t *bus)
{
    const tbus_type_t *type;
    tbus_type_stats_t stats;
    prometheus_family(page, METRIC_COUNTER, "tallybus_bus_events_total", "Events delivered, by type.");
    for (uint32_t number = TBUS_TYPE_NONE + 1; (type = tbus_type_of(bus, number)); number++)
        if (tbus_stats_of_type(bus, number, &stats) == 0 && stats.delivered > 0)
            prometheus_uint(page, prometheus_label(page, "type", type->topic), stats.delivered);
}

static uint64_t figure(const tbus_subscriber_stats_t *stats, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)stats + offset);
}

static void add_subscribers(struct page *page, const tbus_subscriber_stats_t *list, size_t count)
{
    prometheus_begin_rows(page);
    for (size_t i = 0; i < count; i++) {
        char name[96];
        snprintf(name, sizeof name, "%lld %s", (long long)list[i].subscription, list[i].name);
        prometheus_add_row(page, &(struct prometheus_label){"subscriber", name, 0}, 1);
    }
    count = prometheus_end_rows(page, count);
    const char *at = page->labels.bytes;
    for (size_t column = 0; column < sizeof columns / sizeof columns[0]; column++, at = page->labels.bytes) {
        prometheus_family(page, columns[column].metric, columns[column].name, columns[column].help);
        for (size_t i = 0; i < count; i++)
            prometheus_uint(page, prometheus_next_row(&at), figure(&list[i], columns[column].offset));
    }
    prometheus_family(page, METRIC_GAUGE, "tallybus_bus_subscriber_breaker_open", "1 while its breaker is open.");
    for (size_t i = 0; i < count; i++)
        prometheus_uint(page, prometheus_next_row(&at), list[i].breaker == TBUS_BREAKER_OPEN);
}

void prometheus_add_bus(struct page *page, const tbus_t *bus)
{
    tbus_stats_t stats;
    size_t room, count = 0;
    if (tbus_stats(bus, &stats) != 0 || tbus_stats_of_subscribers(bus, NULL, 0, &room) != 0)
        return;
    tbus_subscriber_stats_t *list = tbus_mem_alloc(room * sizeof *list);
    if (!list) {
        page->text.failed = true;
        return;
    }
    (void)tbus_stats_of_subscribers(bus, list, room, &count);
    prometheus_since(page, stats.since_ns);
    add_totals(page, &stats);
    add_queue(page, &stats);
    add_types(page, bus);
    add_subscribers(page, list, count < room ? count : room); /* those that came in between wait for the next page */
    tbus_mem_free(list);
}
