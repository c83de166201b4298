#include "tests/bus/fixture.h"

#include "bus/guard.h"
#include "bus/ring.h"

/* A handler that fails for as long as it is told to. */
struct patient {
    int calls;
    bool ill;
    int nap_ms;
};

static int examine(const tbus_event_t *event, void *user)
{
    struct patient *patient = user;
    (void)event;
    patient->calls++;
    if (patient->nap_ms)
        uv_sleep((unsigned)patient->nap_ms); /* being slow is what is tested */
    return patient->ill ? UV_EIO : 0;
}

static tbus_subscriber_stats_t stats_of(const tbus_t *bus)
{
    tbus_subscriber_stats_t stats;
    size_t count;
    cr_assert_eq(tbus_stats_of_subscribers(bus, &stats, 1, &count), 0);
    cr_assert_eq(count, 1u);
    return stats;
}

static void add(struct hosted *hosted, struct patient *patient, uint32_t errors, uint32_t cooldown_ms)
{
    tbus_route_t route = {">", 0, examine};
    cr_assert_gt(tbus_subscriber_add(hosted->bus, &(tbus_subscriber_t){.name = "patient",
                                                                       .routes = &route,
                                                                       .routes_count = 1,
                                                                       .user = patient,
                                                                       .breaker_errors = errors,
                                                                       .breaker_cooldown_ms = cooldown_ms}),
                 0);
}

static void deliver(struct hosted *hosted, int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(publish_number(hosted->bus, i), 0);
    hosted_deliver(hosted);
}

Test(guard, a_subscriber_that_keeps_failing_is_skipped_tried_and_taken_back)
{
    struct hosted hosted;
    struct patient patient = {.ill = true};
    hosted_open(&hosted, NULL);
    add(&hosted, &patient, 3, 1);
    deliver(&hosted, 2);
    cr_assert_eq(stats_of(hosted.bus).breaker, TBUS_BREAKER_CLOSED);
    deliver(&hosted, 1);
    cr_assert_eq(stats_of(hosted.bus).breaker, TBUS_BREAKER_OPEN);
    cr_assert_eq(patient.calls, 3);
    while (patient.calls == 3) /* skipped until the cool-down is over; then tried once */
        deliver(&hosted, 1);
    cr_assert_eq(patient.calls, 4);
    tbus_subscriber_stats_t stats = stats_of(hosted.bus);
    cr_assert_eq(stats.breaker, TBUS_BREAKER_OPEN, "the trial failed");
    cr_assert_eq(stats.breaker_opened, 2u);
    cr_assert_eq(stats.errors, 4u);
    patient.ill = false;
    while (patient.calls == 4)
        deliver(&hosted, 1);
    cr_assert_eq(stats_of(hosted.bus).breaker, TBUS_BREAKER_CLOSED);
    deliver(&hosted, 10);
    cr_assert_eq(patient.calls, 15);
    hosted_close(&hosted);
}

Test(guard, errors_must_be_in_a_row)
{
    struct hosted hosted;
    struct patient patient = {0};
    hosted_open(&hosted, NULL);
    add(&hosted, &patient, 2, 60000);
    for (int i = 0; i < 10; i++) {
        patient.ill = i % 2;
        deliver(&hosted, 1);
    }
    cr_assert_eq(patient.calls, 10);
    cr_assert_eq(stats_of(hosted.bus).errors, 5u);
    cr_assert_eq(stats_of(hosted.bus).breaker_opened, 0u);
    hosted_close(&hosted);
}

Test(guard, without_a_breaker_it_is_called_for_ever)
{
    struct hosted hosted;
    struct patient patient = {.ill = true};
    hosted_open(&hosted, NULL);
    add(&hosted, &patient, UINT32_MAX, 0);
    deliver(&hosted, 100);
    cr_assert_eq(patient.calls, 100);
    hosted_close(&hosted);
}

Test(guard, an_open_breaker_skips_and_counts)
{
    struct hosted hosted;
    struct patient patient = {.ill = true};
    hosted_open(&hosted, NULL);
    add(&hosted, &patient, 1, 3600000);
    deliver(&hosted, 50);
    cr_assert_eq(patient.calls, 1);
    cr_assert_eq(stats_of(hosted.bus).skipped, 49u);
    hosted_close(&hosted);
}

/* --- Time --- */

struct told {
    int count;
    int level;
    char last[512];
};

static void hear(int level, const char *message, void *user)
{
    struct told *told = user;
    told->count++;
    told->level = level;
    snprintf(told->last, sizeof told->last, "%s", message);
}

Test(guard, a_slow_handler_is_counted_and_named)
{
    struct hosted hosted;
    struct told told = {0};
    struct patient patient = {.nap_ms = 1};
    hosted_open(&hosted, &(tbus_options_t){.slow_handler_ms = 1, .log = hear, .log_user = &told});
    add(&hosted, &patient, 0, 0);
    deliver(&hosted, 200);
    tbus_subscriber_stats_t stats = stats_of(hosted.bus);
    cr_assert_gt(stats.slow, 0u, "after 64 slow events every call is timed");
    cr_assert_geq(stats.worst_ns, 1000000u);
    cr_assert_geq(stats.timed_ns, stats.worst_ns);
    cr_assert_eq(told.level, TBUS_LOG_WARNING);
    cr_assert_not_null(strstr(told.last, "'patient'"), "%s", told.last);
    cr_assert_not_null(strstr(told.last, "took long"), "%s", told.last);
    hosted_close(&hosted);
}

Test(guard, a_slow_handler_is_noticed_at_a_few_events_a_second_too)
{
    struct hosted hosted;
    struct patient patient = {.nap_ms = 1};
    hosted_open(&hosted, &(tbus_options_t){.slow_handler_ms = 1});
    add(&hosted, &patient, 0, 0);
    for (int i = 0; i < 5; i++)
        deliver(&hosted, 1);
    cr_assert_eq(stats_of(hosted.bus).timed, 4u, "all but the first");
    cr_assert_eq(stats_of(hosted.bus).slow, 4u);
    hosted_close(&hosted);
}

Test(guard, what_the_log_is_told_has_no_newline)
{
    struct hosted hosted;
    struct told told = {0};
    struct patient patient = {.ill = true};
    tbus_route_t route = {">", 0, examine};
    hosted_open(&hosted, &(tbus_options_t){.log = hear, .log_user = &told});
    tbus_subscriber_t subscriber = {.name = "a\nb\x7f\x1b[", .routes = &route, .routes_count = 1, .user = &patient};
    cr_assert_gt(tbus_subscriber_add(hosted.bus, &subscriber), 0);
    deliver(&hosted, 1);
    cr_assert_not_null(strstr(told.last, "'a b  ['"), "%s", told.last);
    hosted_close(&hosted);
}

Test(guard, one_call_in_256_is_timed)
{
    struct hosted hosted;
    struct patient patient = {0};
    hosted_open(&hosted, &(tbus_options_t){.slow_handler_ms = 3600000});
    add(&hosted, &patient, 0, 0);
    for (int i = 0; i < 10; i++)
        deliver(&hosted, 256);
    cr_assert_eq(stats_of(hosted.bus).timed, 10u);
    cr_assert_eq(stats_of(hosted.bus).calls, 2560u);
    hosted_close(&hosted);
}

Test(guard, errors_are_told_at_a_bounded_rate)
{
    struct hosted hosted;
    struct told told = {0};
    struct patient patient = {.ill = true};
    uint64_t began = uv_hrtime();
    hosted_open(&hosted, &(tbus_options_t){.log = hear, .log_user = &told});
    add(&hosted, &patient, UINT32_MAX, 0);
    deliver(&hosted, 1000);
    uint64_t seconds = (uv_hrtime() - began) / 1000000000 + 2; /* that it has touched */
    cr_assert_geq(told.count, 10);
    cr_assert_leq((uint64_t)told.count, 10 * seconds, "%d messages", told.count);
    cr_assert_eq(told.level, TBUS_LOG_ERROR);
    cr_assert_not_null(strstr(told.last, "i/o error"), "%s", told.last);
    hosted_close(&hosted);
}

Test(guard, the_list_of_subscribers_is_by_number_and_says_how_many_there_are)
{
    struct hosted hosted;
    tbus_subscriber_stats_t list[2];
    struct patient patient = {0};
    size_t count;
    char name[100];
    memset(name, 'n', sizeof name);
    name[99] = '\0';
    hosted_open(&hosted, NULL);
    for (int i = 0; i < 3; i++)
        add(&hosted, &patient, 0, 0);
    tbus_route_t route = {">", 0, examine};
    cr_assert_gt(
        tbus_subscriber_add(hosted.bus,
                            &(tbus_subscriber_t){.name = name, .routes = &route, .routes_count = 1, .user = &patient}),
        0);
    cr_assert_eq(tbus_stats_of_subscribers(hosted.bus, list, 2, &count), 0);
    cr_assert_eq(count, 4u);
    cr_assert_lt(list[0].subscription, list[1].subscription);
    cr_assert_str_eq(list[0].name, "patient");
    cr_assert_eq(tbus_stats_of_subscribers(hosted.bus, NULL, 0, &count), 0);
    cr_assert_eq(tbus_stats_of_subscribers(hosted.bus, NULL, 1, &count), UV_EINVAL);
    cr_assert_eq(tbus_stats_of_subscribers(NULL, list, 1, &count), UV_EINVAL);
    cr_assert_eq(tbus_stats_of_subscribers(hosted.bus, list, 1, NULL), UV_EINVAL);
    cr_assert_eq(tbus_stats_of_subscription(hosted.bus, list[1].subscription, &list[0]), 0);
    cr_assert_eq(list[0].subscription, list[1].subscription);
    cr_assert_eq(tbus_stats_of_subscription(hosted.bus, 12345, &list[0]), UV_ENOENT);
    cr_assert_eq(tbus_stats_of_subscription(hosted.bus, 1, NULL), UV_EINVAL);
    cr_assert_eq(tbus_stats_of_subscription(NULL, 1, &list[0]), UV_EINVAL);
    hosted_close(&hosted);
}

Test(guard, the_wait_in_the_queue_is_sampled)
{
    struct hosted hosted;
    struct patient patient = {0};
    tbus_stats_t stats;
    hosted_open(&hosted, NULL);
    add(&hosted, &patient, 0, 0);
    deliver(&hosted, 10 * RING_STAMP_EVERY + RING_STAMP_EVERY / 2);
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.latency_samples, 10u);
    cr_assert(stats.latency_p50_ns > 0 && stats.latency_p50_ns <= stats.latency_p95_ns &&
              stats.latency_p95_ns <= stats.latency_p99_ns && stats.latency_p99_ns <= stats.latency_max_ns);
    hosted_close(&hosted);
}
