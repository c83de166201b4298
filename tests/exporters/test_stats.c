#include <sched.h>
#include <string.h>

#include <tallybus.h>

#include "tests/bus/fixture.h"
#include "tests/exporters/schema.h"
#include "tests/oom.h"

static int take(const tbus_event_t *event, void *user)
{
    (void)user;
    return number_of(event) == 3 ? UV_EIO : 0;
}

/* A bus that has seen a little of everything. */
static void open_used(struct hosted *hosted)
{
    tbus_event_t *reserved;
    tbus_route_t route = {"queue.*", 0, take};
    hosted_open(hosted, NULL);
    cr_assert_gt(tbus_subscriber_add(
                     hosted->bus, &(tbus_subscriber_t){.name = "mine \"quoted\"", .routes = &route, .routes_count = 1}),
                 0);
    for (int i = 0; i < 300; i++)
        cr_assert_eq(publish_number(hosted->bus, i), 0);
    cr_assert_eq(tbus_publish_decode_started(hosted->bus, &(tbus_decode_started_t){0}), 0);
    cr_assert_eq(tbus_reserve(hosted->bus, TBUS_CACHE_MISS, 0, &reserved, NULL), 0);
    cr_assert_eq(tbus_abort(hosted->bus, reserved), 0);
    hosted_deliver(hosted);
}

static void has(const char *text, const char *part)
{
    cr_assert_not_null(strstr(text, part), "%s is not in\n%s", part, text);
}

Test(stats, the_page_of_a_bus)
{
    struct hosted hosted;
    char *page;
    open_used(&hosted);
    cr_assert_eq(tbus_prometheus_bus(hosted.bus, &page), 0);
    has(page, "\ntallybus_bus_published_total 302\n");
    has(page, "\ntallybus_bus_delivered_total 301\n");
    has(page, "\ntallybus_bus_unclaimed_total 1\n");
    has(page, "\ntallybus_bus_undelivered_total{reason=\"aborted\"} 1\n");
    has(page, "\ntallybus_bus_undelivered_total{reason=\"overdue\"} 0\n");
    has(page, "\ntallybus_bus_queued_events 0\n");
    has(page, "\ntallybus_bus_events_total{type=\"queue.depth_changed\"} 300\n");
    has(page, "\ntallybus_bus_subscriber_calls_total{subscriber=\"1 mine \\\"quoted\\\"\"} 300\n");
    has(page, "\ntallybus_bus_subscriber_errors_total{subscriber=\"1 mine \\\"quoted\\\"\"} 1\n");
    has(page, "\ntallybus_bus_subscriber_breaker_open{subscriber=\"1 mine \\\"quoted\\\"\"} 0\n");
    has(page, "tallybus_bus_latency_seconds{quantile=\"0.99\"} ");
    cr_assert_null(strstr(page, "decode.completed"), "types of which there was no event are left out");
    tbus_mem_free(page);
    cr_assert_eq(tbus_prometheus_bus(NULL, &page), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_bus(hosted.bus, NULL), UV_EINVAL);
    hosted_close(&hosted);
}

Test(stats, without_memory_there_is_no_page)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    struct hosted hosted;
    open_used(&hosted);
    for (int at = 0;; at++) {
        char *page = NULL;
        oom.fail_at = atomic_load(&oom.calls) + at;
        int error = tbus_prometheus_bus(hosted.bus, &page);
        oom.fail_at = -1;
        tbus_mem_free(page);
        if (error == 0)
            break;
        cr_assert_eq(error, UV_ENOMEM);
        cr_assert_null(page);
    }
    hosted_close(&hosted);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(stats, the_document_of_a_bus)
{
    struct hosted hosted;
    char *text;
    open_used(&hosted);
    cr_assert_eq(tbus_stats_to_json(hosted.bus, &text), 0);
    has(text, "\"published\":302,");
    has(text, "\"undelivered\":{\"shed\":0,\"full\":0,\"oversized\":0,\"closing\":0,\"aborted\":1,\"overdue\":0}");
    has(text, "\"queue.depth_changed\":{\"delivered\":300,");
    has(text, "\"name\":\"mine \\\"quoted\\\"\",\"mode\":\"inline\",\"breaker\":\"closed\",\"calls\":300,\"errors\":1");
    has(text, "\"stalled_type\":null");
    tbus_stats_t stats;
    char since[48];
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_gt(stats.since_ns, 0);
    snprintf(since, sizeof since, "\"since_ns\":%lld,", (long long)stats.since_ns);
    has(text, since);
    tbus_mem_free(text);
    cr_assert_eq(tbus_stats_to_json(NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_stats_to_json(hosted.bus, NULL), UV_EINVAL);
    hosted_close(&hosted);
}

Test(stats, the_document_keeps_to_its_schema)
{
    struct hosted hosted;
    char *text;
    schema_need();
    open_used(&hosted);
    for (int round = 0; round < 2; round++) { /* one with latencies, one without */
        struct hosted fresh;
        hosted_open(&fresh, NULL);
        cr_assert_eq(tbus_stats_to_json(round ? fresh.bus : hosted.bus, &text), 0);
        schema_check("bus-stats.schema.json", text);
        tbus_mem_free(text);
        hosted_close(&fresh);
    }
    hosted_close(&hosted);
}

Test(stats, the_loops_own_thread_tells_its_cpu_time)
{
    tbus_t *bus;
    tbus_stats_t before, after;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    do
        cr_assert_eq(tbus_stats(bus, &before), 0);
    while (before.loop_cpu_ns == 0 && sched_yield() == 0); /* it has not begun to run */
    for (int i = 0; i < 20000; i++)
        cr_assert_eq(tbus_publish_request_failed(bus, &(tbus_request_failed_t){.error_message = "x"}), 0);
    do
        cr_assert_eq(tbus_stats(bus, &after), 0);
    while (after.delivered < 20000 && sched_yield() == 0);
    cr_assert_gt(after.loop_cpu_ns, before.loop_cpu_ns);
    cr_assert_eq(tbus_close(bus, 0, NULL, NULL), 0);
    char *page;
    cr_assert_eq(tbus_prometheus_bus(bus, &page), 0);
    tbus_mem_free(page);
    cr_assert_eq(tbus_free(bus), 0);
}
