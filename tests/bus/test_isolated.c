#include "tests/bus/fixture.h"

#include <stdatomic.h>

#include "tests/oom.h"

/* A subscriber with a thread of its own. */
struct worker {
    tbus_t *bus;
    int64_t self;
    uv_thread_t thread; /* that its handler ran on */
    uint64_t seen, sum;
    int64_t last;
    bool in_order;
    int batches, closed;
    uv_sem_t *gate;    /* its handler waits here, where there is one */
    uv_sem_t *entered; /* and says so here */
    int result;
};

static int work(const tbus_event_t *event, void *user)
{
    struct worker *worker = user;
    worker->thread = uv_thread_self();
    worker->in_order = worker->in_order && (worker->seen == 0 || number_of(event) > worker->last);
    worker->last = number_of(event);
    worker->seen++;
    worker->sum += (uint64_t)number_of(event);
    if (worker->entered)
        uv_sem_post(worker->entered);
    if (worker->gate)
        uv_sem_wait(worker->gate);
    return worker->result;
}

static void end_batch(void *user)
{
    ((struct worker *)user)->batches++;
}

static void end_all(void *user)
{
    ((struct worker *)user)->closed++;
}

static int64_t add_worker(tbus_t *bus, struct worker *worker, tbus_handler handler)
{
    tbus_route_t route = {">", 0, handler};
    worker->bus = bus;
    worker->in_order = true;
    return worker->self = tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "worker",
                                                                        .routes = &route,
                                                                        .routes_count = 1,
                                                                        .user = worker,
                                                                        .mode = TBUS_ISOLATED,
                                                                        .isolated_queue_bytes = 64 << 10,
                                                                        .on_batch_end = end_batch,
                                                                        .on_close = end_all});
}

static tbus_subscriber_stats_t stats_of(const tbus_t *bus)
{
    tbus_subscriber_stats_t stats;
    size_t count;
    cr_assert_eq(tbus_stats_of_subscribers(bus, &stats, 1, &count), 0);
    cr_assert_geq(count, 1u);
    return stats;
}

Test(isolated, its_handlers_run_on_a_thread_of_its_own_in_order)
{
    struct worker worker = {0};
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_gt(add_worker(bus, &worker, work), 0);
    uint64_t sum = 0;
    for (int64_t i = 1; i <= 300; i++) {
        cr_assert_eq(publish_number(bus, i), 0);
        sum += (uint64_t)i;
    }
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(worker.seen, 300u);
    cr_assert_eq(worker.sum, sum);
    cr_assert(worker.in_order);
    cr_assert_geq(worker.batches, 1);
    cr_assert_eq(worker.closed, 1);
    uv_thread_t self = uv_thread_self();
    cr_assert_not(uv_thread_equal(&self, &worker.thread));
}

Test(isolated, one_that_blocks_delays_nobody_and_its_drops_are_its_own)
{
    struct hosted hosted;
    struct worker worker = {0};
    tbus_stats_t stats;
    uv_sem_t gate, entered;
    cr_assert_eq(uv_sem_init(&gate, 0), 0);
    cr_assert_eq(uv_sem_init(&entered, 0), 0);
    worker.gate = &gate;
    worker.entered = &entered;
    hosted_open(&hosted, NULL);
    cr_assert_gt(add_worker(hosted.bus, &worker, work), 0);
    cr_assert_eq(publish_number(hosted.bus, 1), 0);
    hosted_deliver(&hosted);
    uv_sem_wait(&entered); /* it blocks now */
    for (int i = 2; i <= 2001; i++) {
        cr_assert_eq(publish_number(hosted.bus, i), 0);
        if (i % 100 == 0)
            hosted_deliver(&hosted);
    }
    hosted_deliver(&hosted);
    cr_assert_eq(tbus_stats(hosted.bus, &stats), 0);
    cr_assert_eq(stats.delivered, 2001u);
    tbus_subscriber_stats_t own = stats_of(hosted.bus);
    cr_assert_eq(own.mode, (uint32_t)TBUS_ISOLATED);
    cr_assert_gt(own.queued_events, 0u);
    cr_assert_gt(own.dropped, 0u);
    cr_assert_eq(own.calls + own.queued_events - 1 + own.dropped, 2001u, "the one at hand is still queued");
    for (int i = 0; i < 3000; i++)
        uv_sem_post(&gate);
    hosted_close(&hosted);
    cr_assert_eq(worker.seen + own.dropped, 2001u);
    uv_sem_destroy(&gate);
    uv_sem_destroy(&entered);
}

Test(isolated, what_is_larger_than_half_its_queue_is_always_dropped_and_nothing_else)
{
    struct worker worker = {0};
    tbus_t *bus;
    static char text[40001];
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(tbus_open(&(tbus_options_t){.string_max_bytes = 1 << 20}, &bus), 0);
    cr_assert_gt(add_worker(bus, &worker, work), 0);
    uint64_t dropped = 0;
    for (int64_t i = 1; i <= 60; i++) {
        text[i % 3 == 0 ? 40000 : i % 3 == 1 ? 30000 : 8000] = '\0';
        cr_assert_eq(tbus_publish_model_selected(bus, &(tbus_model_selected_t){.model_id = text, .context_window = i}),
                     0);
        memset(text, 'x', sizeof text - 1);
        dropped += i % 3 == 0;
        while (stats_of(bus).calls + stats_of(bus).dropped < (uint64_t)i || stats_of(bus).queued_events > 0)
            uv_sleep(0);
    }
    cr_assert_eq(stats_of(bus).dropped, dropped);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(worker.seen, 60 - dropped);
}

static void unsubscribe_and_wait(void *argument)
{
    struct worker *worker = argument;
    cr_assert_eq(tbus_unsubscribe_wait(worker->bus, worker->self), 0);
    cr_assert_eq(worker->closed, 1);
}

Test(isolated, its_end_comes_after_what_it_was_still_owed)
{
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    for (int round = 0; round < 50; round++) {
        struct worker worker = {0};
        uv_thread_t thread;
        cr_assert_gt(add_worker(bus, &worker, work), 0);
        for (int64_t i = 1; i <= 20; i++)
            cr_assert_eq(publish_number(bus, i), 0);
        cr_assert_eq(uv_thread_create(&thread, unsubscribe_and_wait, &worker), 0);
        uv_thread_join(&thread);
        cr_assert_eq(worker.seen, 20u, "round %d", round);
    }
    cr_assert_eq(tbus_free(bus), 0);
}

static int try_everything(const tbus_event_t *event, void *user)
{
    struct worker *worker = user;
    (void)event;
    worker->seen++;
    cr_assert_eq(tbus_free(worker->bus), UV_EBUSY, "it would wait for itself");
    cr_assert_eq(tbus_unsubscribe_wait(worker->bus, worker->self), UV_EBUSY);
    cr_assert_eq(tbus_publish_model_selected(worker->bus, &(tbus_model_selected_t){0}), 0);
    int error = tbus_unsubscribe(worker->bus, worker->self);
    cr_assert_eq(error, worker->seen == 1 ? 0 : UV_ENOENT, "its own event may still have reached it");
    return 0;
}

Test(isolated, its_handler_may_publish_and_end_itself)
{
    struct worker worker = {0};
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_gt(add_worker(bus, &worker, try_everything), 0);
    cr_assert_eq(publish_number(bus, 1), 0);
    while (true) {
        size_t count;
        cr_assert_eq(tbus_stats_of_subscribers(bus, NULL, 0, &count), 0);
        if (count == 0)
            break;
        uv_sleep(0);
    }
    cr_assert_eq(worker.closed, 1);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_leq(worker.seen, 2u);
}

Test(isolated, its_breaker_opens_and_its_stop_stops_nothing)
{
    struct worker failing = {.result = UV_EIO}, stopping = {.result = TBUS_STOP}, last = {0};
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    tbus_route_t route = {">", 0, work};
    cr_assert_gt(add_worker(bus, &failing, work), 0);
    cr_assert_gt(add_worker(bus, &stopping, work), 0);
    cr_assert_gt(tbus_subscriber_add(bus, &(tbus_subscriber_t){.routes = &route, .routes_count = 1, .user = &last}), 0);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(publish_number(bus, i), 0);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(failing.seen, 10u, "ten errors in a row");
    cr_assert_eq(stopping.seen, 100u);
    cr_assert_eq(last.seen, 100u);
}

Test(isolated, what_is_left_when_the_time_is_over_is_dropped)
{
    struct hosted hosted;
    struct worker worker = {0};
    uv_sem_t gate, entered;
    cr_assert_eq(uv_sem_init(&gate, 0), 0);
    cr_assert_eq(uv_sem_init(&entered, 0), 0);
    worker.gate = &gate;
    worker.entered = &entered;
    hosted_open(&hosted, NULL);
    cr_assert_gt(add_worker(hosted.bus, &worker, work), 0);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(publish_number(hosted.bus, i), 0);
    hosted_deliver(&hosted);
    uv_sem_wait(&entered);
    cr_assert_eq(tbus_close(hosted.bus, 0, hosted_on_closed, &hosted), 0);
    uv_run(&hosted.loop, UV_RUN_NOWAIT);
    cr_assert_not(hosted.closed, "the handler that runs is waited for");
    uv_sem_post(&gate);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    cr_assert(hosted.closed);
    cr_assert_eq(worker.seen, 1u);
    cr_assert_eq(worker.closed, 1);
    cr_assert_eq(uv_loop_close(&hosted.loop), 0);
    uv_sem_destroy(&gate);
    uv_sem_destroy(&entered);
}

Test(isolated, wrong_modes_queues_and_missing_memory_are_refused)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    struct hosted hosted;
    struct worker worker = {0};
    tbus_route_t route = {">", 0, work};
    tbus_subscriber_t wrong = {.routes = &route, .routes_count = 1, .mode = 2};
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_subscriber_add(hosted.bus, &wrong), UV_EINVAL);
    wrong.mode = TBUS_ISOLATED;
    wrong.isolated_queue_bytes = 1000;
    cr_assert_eq(tbus_subscriber_add(hosted.bus, &wrong), UV_EINVAL);
    for (int at = 0;; at++) {
        oom.fail_at = atomic_load(&oom.calls) + at;
        int64_t id = add_worker(hosted.bus, &worker, work);
        oom.fail_at = -1;
        if (id > 0) {
            cr_assert_geq(at, 5);
            break;
        }
        cr_assert_eq(id, UV_ENOMEM);
    }
    hosted_close(&hosted);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}
