#include "tests/bus/fixture.h"

static struct journal journal;

static int write_name(const tbus_event_t *event, void *name)
{
    journal_add(&journal, name, number_of(event));
    return 0;
}

static int write_and_stop(const tbus_event_t *event, void *name)
{
    write_name(event, name);
    return TBUS_STOP;
}

static int write_and_fail(const tbus_event_t *event, void *name)
{
    write_name(event, name);
    return UV_EIO;
}

Test(dispatch, goes_by_falling_priority_then_by_order_of_subscription)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, "queue.depth_changed", 5, write_name, "c"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 10, write_name, "a"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "queue.*", 5, write_name, "d"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "*.depth_changed", INT32_MAX, write_name, "z"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "queue.depth_changed", 10, write_name, "b"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "queue.depth_changed", INT32_MIN, write_name, "e"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "stream.*", 10, write_name, "never"), 0);
    publish_number(hosted.bus, 1);
    publish_number(hosted.bus, 2);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "z1 a1 b1 c1 d1 e1 z2 a2 b2 c2 d2 e2 ");
    hosted_close(&hosted);
}

Test(dispatch, every_matching_route_of_a_subscriber_is_called)
{
    struct hosted hosted;
    tbus_route_t routes[] = {{"queue.*", 1, write_name}, {"model.selected", 9, write_name}, {">", 5, write_name}};
    hosted_open(&hosted, NULL);
    int64_t id =
        tbus_subscriber_add(hosted.bus, &(tbus_subscriber_t){.routes = routes, .routes_count = 3, .user = "s"});
    cr_assert_gt(id, 0);
    publish_number(hosted.bus, 1);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "s1 s1 ");
    hosted_close(&hosted);
}

Test(dispatch, stop_keeps_the_event_from_the_rest_and_errors_keep_it_from_nobody)
{
    struct hosted hosted;
    tbus_stats_t stats;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 9, write_and_fail, "a"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 8, write_and_stop, "b"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 7, write_name, "c"), 0);
    publish_number(hosted.bus, 1);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "a1 b1 ");
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.handler_calls, 2u);
    cr_assert_eq(stats.handler_errors, 1u);
    cr_assert_eq(stats.stops, 1u);
    cr_assert_eq(stats.delivered, 1u);
    cr_assert_eq(stats.unclaimed, 0u);
    hosted_close(&hosted);
}

Test(dispatch, an_event_that_nobody_wants_is_counted)
{
    struct hosted hosted;
    tbus_stats_t stats;
    tbus_type_stats_t of_type;
    hosted_open(&hosted, NULL);
    publish_number(hosted.bus, 1);
    hosted_deliver(&hosted);
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.published, 1u);
    cr_assert_eq(stats.delivered, 1u);
    cr_assert_eq(stats.unclaimed, 1u);
    cr_assert_eq(tbus_stats_of_type(hosted.bus, TBUS_QUEUE_DEPTH_CHANGED, &of_type), 0);
    cr_assert_eq(of_type.delivered, 1u);
    cr_assert_eq(tbus_stats_of_type(hosted.bus, TBUS_MODEL_SELECTED, &of_type), 0);
    cr_assert_eq(of_type.delivered, 0u);
    cr_assert_eq(tbus_stats_of_type(hosted.bus, TBUS_TYPE_BUILTIN_END, &of_type), UV_EINVAL);
    hosted_close(&hosted);
}

static int keep_id(const tbus_event_t *event, void *ids)
{
    uint64_t *list = ids;
    list[++list[0]] = event->id;
    cr_assert_gt(event->time_ns, INT64_C(1600000000000000000), "stamped with the time of day");
    return 0;
}

Test(dispatch, ids_rise_and_differ_between_buses)
{
    struct hosted one, two;
    uint64_t first[4] = {0}, second[4] = {0};
    hosted_open(&one, NULL);
    hosted_open(&two, NULL);
    cr_assert_gt(tbus_subscribe(one.bus, ">", 0, keep_id, first), 0);
    cr_assert_gt(tbus_subscribe(two.bus, ">", 0, keep_id, second), 0);
    for (int i = 0; i < 3; i++) {
        publish_number(one.bus, i);
        publish_number(two.bus, i);
    }
    hosted_deliver(&one);
    hosted_deliver(&two);
    cr_assert_eq(first[0], 3u);
    cr_assert_eq(second[0], 3u);
    for (int i = 1; i <= 3; i++)
        for (int j = 1; j <= 3; j++) {
            cr_assert_neq(first[i], second[j]);
            cr_assert(i >= j || first[i] < first[j]);
        }
    hosted_close(&one);
    hosted_close(&two);
}

static int64_t fixed_clock(void *now)
{
    return *(int64_t *)now;
}

static int keep_time(const tbus_event_t *event, void *time_ns)
{
    *(int64_t *)time_ns = event->time_ns;
    return 0;
}

Test(dispatch, events_without_a_time_get_the_clocks_and_others_keep_theirs)
{
    struct hosted hosted;
    int64_t now = 12345, seen = 0;
    hosted_open(&hosted, &(tbus_options_t){.clock = fixed_clock, .clock_user = &now});
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, keep_time, &seen), 0);
    cr_assert_eq(tbus_now(hosted.bus), 12345);
    publish_number(hosted.bus, 1);
    hosted_deliver(&hosted);
    cr_assert_eq(seen, 12345);
    tbus_publish_queue_depth_changed(hosted.bus, &(tbus_queue_depth_changed_t){.base = {.time_ns = -7}});
    hosted_deliver(&hosted);
    cr_assert_eq(seen, -7);
    hosted_close(&hosted);
}

static void count_end(void *counts)
{
    ((int *)counts)[1]++;
}

static int count_call(const tbus_event_t *event, void *counts)
{
    (void)event;
    ((int *)counts)[0]++;
    return 0;
}

Test(dispatch, a_batch_ends_once_for_those_it_called)
{
    struct hosted hosted;
    int called[2] = {0}, not_called[2] = {0};
    tbus_route_t route = {"queue.*", 0, count_call}, other = {"stream.*", 0, count_call};
    hosted_open(&hosted, &(tbus_options_t){.batch_max_us = UINT32_MAX}); /* however slow the machine, one batch */
    tbus_subscriber_t subscriber = {.routes = &route, .routes_count = 1, .user = called, .on_batch_end = count_end};
    cr_assert_gt(tbus_subscriber_add(hosted.bus, &subscriber), 0);
    subscriber.routes = &other;
    subscriber.user = not_called;
    cr_assert_gt(tbus_subscriber_add(hosted.bus, &subscriber), 0);
    for (int i = 0; i < 100; i++)
        publish_number(hosted.bus, i);
    hosted_deliver(&hosted);
    cr_assert_eq(called[0], 100);
    cr_assert_eq(called[1], 1);
    cr_assert_eq(not_called[1], 0);
    hosted_close(&hosted);
}

static void count_idle(uv_idle_t *idle)
{
    ++*(int *)idle->data;
}

Test(dispatch, a_long_queue_does_not_starve_the_loops_other_handles)
{
    struct hosted hosted;
    uv_idle_t idle;
    int turns = 0, counts[2] = {0};
    hosted_open(&hosted, &(tbus_options_t){.batch_max_events = 10});
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, count_call, counts), 0);
    uv_idle_init(&hosted.loop, &idle);
    idle.data = &turns;
    uv_idle_start(&idle, count_idle);
    for (int i = 0; i < 1000; i++)
        publish_number(hosted.bus, i);
    hosted_deliver(&hosted);
    cr_assert_eq(counts[0], 1000);
    cr_assert_geq(turns, 100, "one turn for each 10 events, not %d", turns);
    uv_close((uv_handle_t *)&idle, NULL);
    hosted_close(&hosted);
}

Test(dispatch, nor_do_events_beside_a_full_queue)
{
    struct hosted hosted;
    uv_idle_t idle;
    int turns = 0, counts[2] = {0}, accepted = 0;
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = 64 << 10, .batch_max_events = 10, .overflow_max = 1000});
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, count_call, counts), 0);
    uv_idle_init(&hosted.loop, &idle);
    idle.data = &turns;
    uv_idle_start(&idle, count_idle);
    while (tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){0}) == 0)
        accepted++;
    cr_assert_eq(accepted, 1512, "%d: the queue, and 1,000 beside it", accepted);
    hosted_deliver(&hosted);
    cr_assert_eq(counts[0], accepted);
    cr_assert_geq(turns, accepted / 10, "%d turns", turns);
    uv_close((uv_handle_t *)&idle, NULL);
    hosted_close(&hosted);
}

/* A publisher that follows each delivery with the next event keeps finding the loop awake. */
struct follower {
    tbus_t *bus;
    uv_sem_t delivered;
    uv_thread_t thread;
};

static void follow(void *argument)
{
    struct follower *follower = argument;
    for (int i = 0; i < 3000; i++) {
        cr_assert_eq(publish_number(follower->bus, i), 0);
        uv_sem_wait(&follower->delivered);
    }
}

static int tell_follower(const tbus_event_t *event, void *user)
{
    (void)event;
    uv_sem_post(&((struct follower *)user)->delivered);
    return 0;
}

Test(dispatch, an_event_now_and_then_does_not_starve_them_either)
{
    struct hosted hosted;
    struct follower follower;
    tbus_stats_t stats;
    uv_idle_t idle;
    int turns = 0;
    hosted_open(&hosted, &(tbus_options_t){.batch_max_us = 1, .linger_us = 1000000});
    follower.bus = hosted.bus;
    cr_assert_eq(uv_sem_init(&follower.delivered, 0), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, tell_follower, &follower), 0);
    uv_idle_init(&hosted.loop, &idle);
    idle.data = &turns;
    uv_idle_start(&idle, count_idle);
    cr_assert_eq(uv_thread_create(&follower.thread, follow, &follower), 0);
    do {
        uv_run(&hosted.loop, UV_RUN_ONCE);
        cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    } while (stats.delivered < 3000);
    uv_thread_join(&follower.thread);
    cr_assert_geq(turns, 30, "the loop's other handles had %d turns", turns);
    uv_sem_destroy(&follower.delivered);
    uv_close((uv_handle_t *)&idle, NULL);
    hosted_close(&hosted);
}
