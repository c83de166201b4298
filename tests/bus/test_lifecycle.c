#include "tests/bus/fixture.h"

#include "tests/oom.h"

static int count(const tbus_event_t *event, void *counter)
{
    (void)event;
    ++*(int *)counter;
    return 0;
}

Test(lifecycle, options_out_of_their_range_are_refused)
{
    static const tbus_options_t wrong[] = {
        {.ring_bytes = 1000},
        {.ring_bytes = 32 << 10},
        {.ring_bytes = UINT64_C(512) << 20},
        {.sheddable_permille = 1001},
        {.sheddable_permille = 249},
        {.string_max_bytes = 15},
        {.string_max_bytes = (1 << 20) + 1},
        {.ring_bytes = UINT64_MAX},
        {.reserved = {0, 0, 0, 0, 0, 1}},
    };
    tbus_t *bus = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(tbus_open(&wrong[i], &bus), UV_EINVAL, "case %zu", i);
    cr_assert_eq(tbus_open(NULL, NULL), UV_EINVAL);
    cr_assert_null(bus, "an output is untouched when the call fails");
}

Test(lifecycle, null_is_told_apart)
{
    tbus_stats_t stats;
    cr_assert_eq(tbus_free(NULL), 0);
    cr_assert_eq(tbus_close(NULL, 0, NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_stats(NULL, &stats), UV_EINVAL);
    cr_assert_eq(tbus_now(NULL), 0);
}

Test(lifecycle, a_bus_with_a_thread_of_its_own_drains_when_it_is_freed)
{
    tbus_t *bus;
    int counter = 0;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_gt(tbus_subscribe(bus, ">", 0, count, &counter), 0);
    for (int i = 0; i < 10000; i++)
        cr_assert_eq(publish_number(bus, i), 0);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(counter, 10000);
}

Test(lifecycle, a_hosted_bus_drains_reports_and_lets_the_loop_end)
{
    struct hosted hosted;
    int counter = 0;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, count, &counter), 0);
    for (int i = 0; i < 10000; i++)
        cr_assert_eq(publish_number(hosted.bus, i), 0);
    cr_assert_eq(tbus_free(hosted.bus), UV_EBUSY, "not closed yet");
    hosted_close(&hosted);
    cr_assert_eq(counter, 10000);
    cr_assert_eq(hosted.report.delivered, 10000u);
    cr_assert_eq(hosted.report.remained, 0u);
}

Test(lifecycle, a_closing_bus_refuses_and_counts)
{
    struct hosted hosted;
    tbus_stats_t stats;
    hosted_open(&hosted, NULL);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    cr_assert_eq(tbus_close(hosted.bus, 60000, hosted_on_closed, &hosted), 0);
    cr_assert_eq(tbus_close(hosted.bus, 60000, NULL, NULL), UV_EALREADY);
    cr_assert_eq(publish_number(hosted.bus, 2), UV_ESHUTDOWN);
    cr_assert_eq(tbus_subscribe(hosted.bus, ">", 0, count, NULL), UV_ESHUTDOWN);
    cr_assert_eq(tbus_unsubscribe(hosted.bus, 1), UV_ESHUTDOWN);
    cr_assert_eq(tbus_unsubscribe_owner(hosted.bus, &hosted), UV_ESHUTDOWN);
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.undelivered[TBUS_REASON_CLOSING], 1u);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    cr_assert(hosted.closed);
    cr_assert_eq(hosted.report.delivered, 1u);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
}

Test(lifecycle, when_the_time_is_over_the_rest_is_reported)
{
    struct hosted hosted;
    int counter = 0;
    hosted_open(&hosted, &(tbus_options_t){.batch_max_events = 10});
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, count, &counter), 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(publish_number(hosted.bus, i), 0);
    cr_assert_eq(tbus_close(hosted.bus, 0, hosted_on_closed, &hosted), 0);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    cr_assert(hosted.closed);
    cr_assert_eq(hosted.report.delivered, 10u, "one batch");
    cr_assert_eq(hosted.report.remained, 990u);
    cr_assert_eq(counter, 10);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
}

struct racer {
    tbus_t *bus;
    uint64_t accepted;
    uv_thread_t thread;
};

static void publish_until_closed(void *argument)
{
    struct racer *racer = argument;
    for (int error = 0; error != UV_ESHUTDOWN; racer->accepted += error == 0)
        error = publish_number(racer->bus, 1);
}

static void keep_report(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    struct hosted *hosted = user;
    (void)bus;
    hosted->report = *report;
    hosted->closed = true;
}

static void close_and_keep(void *argument)
{
    struct hosted *hosted = argument;
    cr_assert_eq(tbus_close(hosted->bus, 60000, keep_report, hosted), 0);
}

Test(lifecycle, whatever_was_accepted_before_the_close_is_delivered)
{
    for (int round = 0; round < 200; round++) {
        struct hosted hosted;
        struct racer racers[2];
        uv_thread_t closer;
        uint64_t accepted = 0;
        hosted_open(&hosted, &(tbus_options_t){.ring_bytes = 64 << 10});
        for (int i = 0; i < 2; i++) {
            racers[i] = (struct racer){.bus = hosted.bus};
            cr_assert_eq(uv_thread_create(&racers[i].thread, publish_until_closed, &racers[i]), 0);
        }
        cr_assert_eq(uv_thread_create(&closer, close_and_keep, &hosted), 0);
        uv_run(&hosted.loop, UV_RUN_DEFAULT);
        for (int i = 0; i < 2; i++) {
            uv_thread_join(&racers[i].thread);
            accepted += racers[i].accepted;
        }
        uv_thread_join(&closer);
        cr_assert(hosted.closed);
        cr_assert_eq(hosted.report.delivered + hosted.report.remained, accepted, "round %d", round);
        cr_assert_eq(tbus_free(hosted.bus), 0);
        cr_assert_eq(uv_loop_close(&hosted.loop), 0);
    }
}

/* Answers each model.selected below `until` with the next one, and each queue.depth_changed with a model.selected. */
struct answering {
    struct hosted *hosted;
    int64_t until;
    int sheddable_error;
    struct journal seen;
};

static int answer(const tbus_event_t *event, void *user)
{
    struct answering *answering = user;
    int64_t number = number_of(event);
    journal_add(&answering->seen, tbus_as_model_selected(event) ? "m" : "q", number);
    answering->sheddable_error = publish_number(answering->hosted->bus, -1);
    if (tbus_as_queue_depth_changed(event) || number < answering->until)
        cr_assert_eq(tbus_publish_model_selected(answering->hosted->bus,
                                                 &(tbus_model_selected_t){.context_window = number + 100}),
                     0);
    return 0;
}

Test(lifecycle, what_handlers_publish_while_the_bus_drains_is_drained_too_in_its_place)
{
    struct hosted hosted;
    struct answering answering = {.hosted = &hosted, .until = 102};
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, answer, &answering), 0);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    cr_assert_eq(publish_number(hosted.bus, 2), 0);
    hosted_close(&hosted);
    cr_assert_str_eq(answering.seen.text, "q1 q2 m101 m102 m201 ");
    cr_assert_eq(answering.sheddable_error, UV_ESHUTDOWN);
    cr_assert_eq(hosted.report.delivered, 5u);
    cr_assert_eq(hosted.report.remained, 0u);
}

static int answer_for_ever(const tbus_event_t *event, void *user)
{
    tbus_t *bus = user;
    (void)event;
    (void)tbus_publish_model_selected(bus, &(tbus_model_selected_t){0});
    return 0;
}

Test(lifecycle, handlers_that_never_stop_publishing_are_stopped_by_the_time_limit)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, "model.selected", 0, answer_for_ever, hosted.bus), 0);
    cr_assert_eq(tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){0}), 0);
    cr_assert_eq(tbus_close(hosted.bus, 500, hosted_on_closed, &hosted), 0);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    cr_assert(hosted.closed);
    cr_assert_gt(hosted.report.delivered, 1u);
    cr_assert_eq(hosted.report.remained, 1u);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
}

Test(lifecycle, a_draining_bus_without_room_keeps_what_handlers_publish_beside_its_queue)
{
    enum { RING = 64 << 10, EVENTS = 300 };
    struct hosted hosted;
    struct answering answering = {.hosted = &hosted};
    int accepted = 0;
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = RING, .sheddable_permille = 1000});
    cr_assert_gt(tbus_subscribe(hosted.bus, "queue.*", 0, answer, &answering), 0);
    while (publish_number(hosted.bus, accepted) == 0)
        accepted++;
    cr_assert_gt(accepted, EVENTS);
    hosted_close(&hosted);
    cr_assert_eq(hosted.report.delivered, 2u * (unsigned)accepted, "each, and each answer");
    cr_assert_eq(hosted.report.remained, 0u);
}

struct closer {
    tbus_t *bus;
    int seen, ended;
    uv_sem_t *closed;
};

static int close_at_once(const tbus_event_t *event, void *user)
{
    struct closer *closer = user;
    (void)event;
    if (++closer->seen == 1) {
        cr_assert_eq(tbus_close(closer->bus, 60000, NULL, NULL), 0);
        cr_assert_eq(tbus_free(closer->bus), UV_EBUSY, "a thread can not wait for itself");
        cr_assert_eq(publish_number(closer->bus, 9), UV_ESHUTDOWN);
    }
    return 0;
}

static void note_end(void *user)
{
    ((struct closer *)user)->ended++;
}

Test(lifecycle, a_handler_may_close_the_bus)
{
    struct closer closer = {0};
    tbus_route_t route = {">", 0, close_at_once};
    cr_assert_eq(tbus_open(NULL, &closer.bus), 0);
    tbus_subscriber_t subscriber = {.routes = &route, .routes_count = 1, .user = &closer, .on_close = note_end};
    cr_assert_gt(tbus_subscriber_add(closer.bus, &subscriber), 0);
    int accepted = 0;
    for (int error = 0; error != UV_ESHUTDOWN; accepted += error == 0)
        error = publish_number(closer.bus, accepted); /* until the handler has closed it; a full queue is no end */
    cr_assert_eq(tbus_free(closer.bus), 0);
    cr_assert_eq(closer.seen, accepted);
    cr_assert_eq(closer.ended, 1);
}

static void see_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    struct closer *closer = user;
    cr_assert_eq(bus, closer->bus);
    cr_assert_eq(report->delivered, 5u);
    uv_sem_post(closer->closed);
}

Test(lifecycle, closing_can_be_waited_for_by_callback)
{
    struct closer closer = {0};
    uv_sem_t closed;
    cr_assert_eq(uv_sem_init(&closed, 0), 0);
    closer.closed = &closed;
    cr_assert_eq(tbus_open(NULL, &closer.bus), 0);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(publish_number(closer.bus, i), 0);
    cr_assert_eq(tbus_close(closer.bus, 60000, see_closed, &closer), 0);
    uv_sem_wait(&closed);
    cr_assert_eq(tbus_free(closer.bus), 0);
    uv_sem_destroy(&closed);
}

Test(lifecycle, subscriptions_end_with_the_bus_those_too_that_never_began)
{
    struct hosted hosted;
    struct closer one = {0};
    tbus_route_t route = {">", 0, count};
    hosted_open(&hosted, NULL);
    tbus_subscriber_t subscriber = {.routes = &route, .routes_count = 1, .user = &one, .on_close = note_end};
    for (int i = 0; i < 20; i++)
        cr_assert_gt(tbus_subscriber_add(hosted.bus, &subscriber), 0);
    hosted_close(&hosted);
    cr_assert_eq(one.ended, 20);
}

static int open_a_bus(struct oom *oom)
{
    tbus_t *bus = NULL;
    oom_arm(oom);
    int error = tbus_open(NULL, &bus);
    if (error == 0)
        cr_assert_eq(tbus_free(bus), 0);
    else
        cr_assert_null(bus);
    return error;
}

Test(lifecycle, a_bus_without_memory_is_not_opened)
{
    cr_assert_geq(oom_try_each(open_a_bus), 4);
}

Test(lifecycle, an_allocator_needs_all_its_functions)
{
    tbus_allocator_t allocator = {oom_alloc, NULL, oom_release, NULL};
    cr_assert_eq(tbus_set_allocator(&allocator), UV_EINVAL);
    cr_assert_eq(tbus_set_allocator(NULL), 0);
}

Test(lifecycle, the_version_is_told)
{
    cr_assert_str_eq(tbus_version(), "0.1.0");
}
