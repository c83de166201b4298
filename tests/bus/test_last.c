#include "tests/bus/fixture.h"

static struct journal journal;

static int write_name(const tbus_event_t *event, void *name)
{
    journal_add(&journal, name, number_of(event));
    return 0;
}

static int64_t add(tbus_t *bus, const char *pattern, tbus_handler handler, void *user)
{
    tbus_route_t route = {pattern, 0, handler};
    return tbus_subscriber_add(
        bus, &(tbus_subscriber_t){.routes = &route, .routes_count = 1, .user = user, .wants_last = true});
}

Test(last, a_subscriber_may_begin_with_the_last_event)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_keep_last(hosted.bus, "queue.depth_changed"), 1);
    cr_assert_gt(add(hosted.bus, ">", write_name, "early"), 0, "nothing is kept yet");
    for (int i = 1; i <= 3; i++)
        cr_assert_eq(publish_number(hosted.bus, i), 0);
    cr_assert_eq(tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){.context_window = 8}), 0);
    hosted_deliver(&hosted);
    journal.length = 0;
    cr_assert_gt(add(hosted.bus, "queue.*", write_name, "late"), 0);
    cr_assert_gt(add(hosted.bus, "model.*", write_name, "not kept"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, write_name, "not asked"), 0);
    cr_assert_str_eq(journal.text, "late3 ");
    cr_assert_eq(publish_number(hosted.bus, 4), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "late3 early4 late4 not asked4 ");
    hosted_close(&hosted);
}

static int count_call(const tbus_event_t *event, void *counts)
{
    (void)event;
    ((int *)counts)[0]++;
    return UV_EIO;
}

static void count_end(void *counts)
{
    ((int *)counts)[1]++;
}

Test(last, it_counts_like_any_other_and_its_batch_ends)
{
    struct hosted hosted;
    tbus_stats_t stats;
    int counts[2] = {0};
    tbus_route_t route = {"queue.*", 0, count_call};
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_keep_last(hosted.bus, "queue.*"), 1);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    hosted_deliver(&hosted);
    cr_assert_gt(tbus_subscriber_add(hosted.bus, &(tbus_subscriber_t){.routes = &route,
                                                                      .routes_count = 1,
                                                                      .user = counts,
                                                                      .wants_last = true,
                                                                      .on_batch_end = count_end}),
                 0);
    cr_assert_eq(counts[0], 1);
    cr_assert_eq(counts[1], 1);
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.handler_calls, 1u);
    cr_assert_eq(stats.handler_errors, 1u);
    hosted_close(&hosted);
}

struct once {
    tbus_t *bus;
    int64_t self;
    int calls;
};

static int leave_at_once(const tbus_event_t *event, void *user)
{
    struct once *once = user;
    (void)event;
    once->calls++;
    cr_assert_geq(tbus_unsubscribe_owner(once->bus, once), 1);
    return 0;
}

Test(last, a_handler_may_leave_with_the_last_event)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    cr_assert_geq(tbus_keep_last(hosted.bus, ">"), 40);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    cr_assert_eq(tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){0}), 0);
    hosted_deliver(&hosted);
    struct once once = {.bus = hosted.bus};
    tbus_route_t route = {">", 0, leave_at_once};
    cr_assert_gt(tbus_subscriber_add(
                     hosted.bus,
                     &(tbus_subscriber_t){
                         .routes = &route, .routes_count = 1, .user = &once, .owner = &once, .wants_last = true}),
                 0);
    cr_assert_eq(once.calls, 1);
    hosted_close(&hosted);
}

static void subscribe_from_afar(void *bus)
{
    cr_assert_gt(add(bus, "queue.*", write_name, "far"), 0);
}

Test(last, from_another_thread_it_is_the_last_at_that_place_of_the_order)
{
    struct hosted hosted;
    uv_thread_t thread;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_keep_last(hosted.bus, "queue.*"), 1);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    cr_assert_eq(publish_number(hosted.bus, 2), 0);
    cr_assert_eq(uv_thread_create(&thread, subscribe_from_afar, hosted.bus), 0);
    uv_thread_join(&thread);
    cr_assert_eq(publish_number(hosted.bus, 3), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "far2 far3 ");
    hosted_close(&hosted);
}

Test(last, what_can_not_be_kept_is_refused)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_keep_last(NULL, ">"), UV_EINVAL);
    cr_assert_eq(tbus_keep_last(hosted.bus, NULL), UV_EINVAL);
    cr_assert_eq(tbus_keep_last(hosted.bus, "a..b"), UV_EINVAL);
    cr_assert_eq(tbus_keep_last(hosted.bus, "no.such"), UV_ENOENT);
    hosted_close(&hosted);
}

Test(last, undelivered_events_go_to_those_who_ask_for_them)
{
    struct hosted hosted;
    tbus_stats_t stats;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, TBUS_UNDELIVERED, 0, write_name, "dead"), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, "model.*", 0, write_name, "model"), 0);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    cr_assert_eq(tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){.context_window = 2}), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "dead1 model2 ");
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.unclaimed, 1u);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, write_name, "all"), 0);
    cr_assert_eq(publish_number(hosted.bus, 3), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "dead1 model2 all3 ");
    hosted_close(&hosted);
}
