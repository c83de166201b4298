#include "tests/bus/fixture.h"

static struct journal journal;

static int write_name(const tbus_event_t *event, void *name)
{
    journal_add(&journal, name, number_of(event));
    return 0;
}

static tbus_stats_t stats_of(const tbus_t *bus)
{
    tbus_stats_t stats;
    cr_assert_eq(tbus_stats(bus, &stats), 0);
    return stats;
}

static tbus_queue_depth_changed_t *reserve_number(tbus_t *bus, int64_t number)
{
    tbus_event_t *event;
    cr_assert_eq(tbus_reserve(bus, TBUS_QUEUE_DEPTH_CHANGED, 0, &event, NULL), 0);
    cr_assert_eq(event->type, (uint32_t)TBUS_QUEUE_DEPTH_CHANGED);
    tbus_queue_depth_changed_t *depth = (tbus_queue_depth_changed_t *)(void *)event;
    depth->depth = number;
    return depth;
}

static int see_name(const tbus_event_t *event, void *user)
{
    const tbus_model_selected_t *selected = tbus_as_model_selected(event);
    cr_assert_str_eq(selected->model_id, "written in place");
    cr_assert_gt(event->time_ns, 0);
    ++*(int *)user;
    return 0;
}

Test(reserve, an_event_is_written_where_it_is_read)
{
    struct hosted hosted;
    int seen = 0;
    tbus_event_t *event;
    void *room;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, see_name, &seen), 0);
    cr_assert_eq(tbus_reserve(hosted.bus, TBUS_MODEL_SELECTED, 32, &event, &room), 0);
    ((tbus_model_selected_t *)(void *)event)->model_id = strcpy(room, "written in place");
    cr_assert_eq(tbus_commit(hosted.bus, event), 0);
    hosted_deliver(&hosted);
    cr_assert_eq(seen, 1);
    hosted_close(&hosted);
}

Test(reserve, what_is_published_later_waits_and_an_abort_lets_it_go_on)
{
    struct hosted hosted;
    tbus_type_stats_t of_type;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, write_name, ""), 0);
    tbus_queue_depth_changed_t *first = reserve_number(hosted.bus, 1), *second = reserve_number(hosted.bus, 2);
    cr_assert_eq(publish_number(hosted.bus, 3), 0);
    cr_assert_eq(tbus_commit(hosted.bus, &second->base), 0);
    for (int i = 0; i < 10; i++)
        uv_run(&hosted.loop, UV_RUN_NOWAIT);
    cr_assert_str_eq(journal.text, "");
    tbus_stats_t stats = stats_of(hosted.bus);
    cr_assert_gt(stats.stalled_ns, 0u);
    cr_assert_eq(stats.stalled_type, (uint32_t)TBUS_QUEUE_DEPTH_CHANGED);
    cr_assert_eq(stats.queued_events, 3u);
    cr_assert_eq(tbus_abort(hosted.bus, &first->base), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "2 3 ");
    stats = stats_of(hosted.bus);
    cr_assert_eq(stats.stalled_ns, 0u);
    cr_assert_eq(stats.published, 3u, "what is given up was published, too");
    cr_assert_eq(stats.delivered, 2u);
    cr_assert_eq(stats.undelivered[TBUS_REASON_ABORTED], 1u);
    cr_assert_eq(tbus_stats_of_type(hosted.bus, TBUS_QUEUE_DEPTH_CHANGED, &of_type), 0);
    cr_assert_eq(of_type.undelivered[TBUS_REASON_ABORTED], 1u);
    hosted_close(&hosted);
}

Test(reserve, one_that_takes_too_long_is_passed_over_and_its_owner_is_told)
{
    struct hosted hosted;
    hosted_open(&hosted, &(tbus_options_t){.reserve_max_ms = 1});
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, write_name, ""), 0);
    tbus_queue_depth_changed_t *late = reserve_number(hosted.bus, 1);
    cr_assert_eq(publish_number(hosted.bus, 2), 0);
    while (journal.length == 0) /* the loop waits a millisecond by itself */
        uv_run(&hosted.loop, UV_RUN_NOWAIT);
    cr_assert_str_eq(journal.text, "2 ");
    cr_assert_eq(stats_of(hosted.bus).undelivered[TBUS_REASON_OVERDUE], 1u);
    cr_assert_eq(stats_of(hosted.bus).queued_events, 0u);
    late->depth = 99; /* still its own */
    cr_assert_eq(tbus_commit(hosted.bus, &late->base), UV_ETIMEDOUT);
    for (int i = 0; i < 100000; i++) { /* the queue goes round and uses the room again */
        cr_assert_eq(publish_number(hosted.bus, 3), 0);
        if (i % 100 == 0)
            hosted_deliver(&hosted);
        journal.length = 0;
    }
    hosted_deliver(&hosted);
    cr_assert_eq(stats_of(hosted.bus).published, 100002u, "the one that is passed over, too");
    cr_assert_eq(stats_of(hosted.bus).delivered, 100001u);
    hosted_close(&hosted);
}

Test(reserve, what_can_not_be_reserved_is_refused_and_counted)
{
    struct hosted hosted;
    tbus_event_t *event = NULL;
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = 64 << 10});
    tbus_t *bus = hosted.bus;
    cr_assert_eq(tbus_reserve(NULL, TBUS_MODEL_SELECTED, 0, &event, NULL), UV_EINVAL);
    cr_assert_eq(tbus_reserve(bus, TBUS_TYPE_NONE, 0, &event, NULL), UV_EINVAL);
    cr_assert_eq(tbus_reserve(bus, 60000, 0, &event, NULL), UV_EINVAL);
    cr_assert_eq(tbus_reserve(bus, TBUS_MODEL_SELECTED, 0, NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_reserve(bus, TBUS_MODEL_SELECTED, SIZE_MAX, &event, NULL), UV_EMSGSIZE);
    cr_assert_eq(tbus_reserve(bus, TBUS_MODEL_SELECTED, 16 << 10, &event, NULL), UV_EMSGSIZE);
    while (publish_number(bus, 1) == 0)
        ;
    cr_assert_eq(tbus_reserve(bus, TBUS_QUEUE_DEPTH_CHANGED, 0, &event, NULL), UV_ENOBUFS);
    cr_assert_eq(stats_of(bus).undelivered[TBUS_REASON_SHED], 2u);
    cr_assert_eq(tbus_reserve(bus, TBUS_MODEL_SELECTED, 15 << 10, &event, NULL), UV_ENOBUFS, "more than an eighth");
    cr_assert_eq(stats_of(bus).undelivered[TBUS_REASON_FULL], 1u);
    cr_assert_null(event);
    cr_assert_eq(tbus_commit(bus, NULL), UV_EINVAL);
    cr_assert_eq(tbus_abort(bus, NULL), UV_EINVAL);
    hosted_deliver(&hosted);
    cr_assert_eq(tbus_close(bus, 100, hosted_on_closed, &hosted), 0);
    cr_assert_eq(tbus_reserve(bus, TBUS_MODEL_SELECTED, 0, &event, NULL), UV_ESHUTDOWN);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    uv_loop_close(&hosted.loop);
}

Test(reserve, it_ends_once)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    tbus_queue_depth_changed_t *first = reserve_number(hosted.bus, 1), *second = reserve_number(hosted.bus, 2);
    cr_assert_eq(tbus_commit(hosted.bus, &first->base), 0);
    cr_assert_eq(tbus_commit(hosted.bus, &first->base), UV_EINVAL);
    cr_assert_eq(tbus_abort(hosted.bus, &first->base), UV_EINVAL);
    cr_assert_eq(tbus_abort(hosted.bus, &second->base), 0);
    cr_assert_eq(tbus_commit(hosted.bus, &second->base), UV_EINVAL);
    hosted_deliver(&hosted);
    cr_assert_eq(stats_of(hosted.bus).delivered, 1u);
    hosted_close(&hosted);
}

struct aborter {
    tbus_t *bus;
    uv_thread_t thread;
};

static void abort_many(void *argument)
{
    struct aborter *aborter = argument;
    for (int i = 0; i < 100000; i++) {
        tbus_event_t *event;
        if (tbus_reserve(aborter->bus, TBUS_CACHE_MISS, 0, &event, NULL) == 0)
            cr_assert_eq(tbus_abort(aborter->bus, event), 0);
    }
}

Test(reserve, the_figures_stay_sound_while_others_give_up)
{
    struct aborter aborter;
    cr_assert_eq(tbus_open(NULL, &aborter.bus), 0);
    cr_assert_eq(uv_thread_create(&aborter.thread, abort_many, &aborter), 0);
    uint64_t published = 0;
    for (int i = 0; i < 20000; i++) {
        tbus_stats_t stats = stats_of(aborter.bus);
        cr_assert_geq(stats.published, published);
        published = stats.published;
        cr_assert_leq(stats.queued_events, (uint64_t)1 << 22, "%llu", (unsigned long long)stats.queued_events);
        cr_assert_leq(stats.published, 100000u);
    }
    uv_thread_join(&aborter.thread);
    cr_assert_eq(tbus_free(aborter.bus), 0);
}

/* --- Beside the full queue --- */

static int flood_from_handler(const tbus_event_t *event, void *user)
{
    tbus_t *bus = user;
    journal_add(&journal, "", number_of(event));
    if (number_of(event) != -1)
        return 0;
    while (publish_number(bus, 1) == 0)
        ;
    int vital = 0;
    while (tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = 1000 + vital}) == 0)
        vital++;
    cr_assert_eq(vital, 64 + 5, "%d: an eighth of the queue, and five aside", vital);
    cr_assert_eq(stats_of(bus).overflow_events, 5u);
    return 0;
}

/* An empty queue, but in pieces: overdue reservations lie all over it. The loop sleeps. */
Test(reserve, a_vital_event_that_finds_only_pieces_wakes_the_loop)
{
    struct hosted hosted;
    tbus_event_t *late[8];
    char text[16001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = 64 << 10, .reserve_max_ms = 1, .linger_us = UINT32_MAX});
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(tbus_reserve(hosted.bus, TBUS_CACHE_MISS, 0, &late[i], NULL), 0);
        cr_assert_eq(publish_number(hosted.bus, 0), 0); /* which it holds up */
        while (stats_of(hosted.bus).undelivered[TBUS_REASON_OVERDUE] == (uint64_t)i)
            uv_run(&hosted.loop, UV_RUN_NOWAIT); /* UV_RUN_ONCE may sleep for ever behind the timer that ends this */
        for (int j = 0; j < 61; j++)
            cr_assert_eq(publish_number(hosted.bus, j), 0);
        hosted_deliver(&hosted);
    }
    for (int i = 0; i < 10; i++)
        uv_run(&hosted.loop, UV_RUN_NOWAIT);
    uint64_t before = stats_of(hosted.bus).delivered;
    cr_assert_eq(tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){.model_id = text}), 0);
    while (stats_of(hosted.bus).delivered == before)
        uv_run(&hosted.loop, UV_RUN_ONCE); /* hangs where nothing wakes it */
    for (int i = 0; i < 8; i++)
        cr_assert_eq(tbus_abort(hosted.bus, late[i]), UV_ETIMEDOUT);
    hosted_close(&hosted);
}

Test(reserve, vital_events_of_the_loop_thread_overflow_in_their_place)
{
    struct hosted hosted;
    char expected[64];
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = 64 << 10, .overflow_max = 5});
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, flood_from_handler, hosted.bus), 0);
    cr_assert_eq(tbus_publish_model_selected(hosted.bus, &(tbus_model_selected_t){.context_window = -1}), 0);
    hosted_deliver(&hosted);
    cr_assert_eq(stats_of(hosted.bus).overflow_events, 0u);
    cr_assert_eq(stats_of(hosted.bus).undelivered[TBUS_REASON_FULL], 1u);
    cr_assert_eq(stats_of(hosted.bus).published, stats_of(hosted.bus).delivered);
    snprintf(expected, sizeof expected, "1064 1065 1066 1067 1068 ");
    cr_assert_str_eq(journal.text + journal.length - strlen(expected), expected);
    hosted_close(&hosted);
}
