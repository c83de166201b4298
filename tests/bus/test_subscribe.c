#include "tests/bus/fixture.h"

#include "tests/oom.h"

static struct journal journal;

static int write_name(const tbus_event_t *event, void *name)
{
    journal_add(&journal, name, number_of(event));
    return 0;
}

Test(subscribe, malformed_subscriptions_are_refused)
{
    struct hosted hosted;
    tbus_route_t route = {"queue.*", 0, write_name};
    hosted_open(&hosted, NULL);
    tbus_t *bus = hosted.bus;
    cr_assert_eq(tbus_subscribe(NULL, ">", 0, write_name, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe(bus, NULL, 0, write_name, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe(bus, "a..b", 0, write_name, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe(bus, ">", 0, NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe(bus, "stream.startd", 0, write_name, NULL), UV_ENOENT);
    cr_assert_gt(tbus_subscribe(bus, "custom.*", 0, write_name, NULL), 0, "matches nothing yet, and may");
    cr_assert_eq(tbus_subscriber_add(bus, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscriber_add(bus, &(tbus_subscriber_t){.routes = &route}), UV_EINVAL);
    cr_assert_eq(tbus_subscriber_add(bus, &(tbus_subscriber_t){.routes = &route, .routes_count = 257}), UV_EINVAL);
    cr_assert_eq(
        tbus_subscriber_add(bus, &(tbus_subscriber_t){.routes = &route, .routes_count = 1, .reserved = {0, 1}}),
        UV_EINVAL);
    cr_assert_eq(tbus_unsubscribe(bus, 999), UV_ENOENT);
    cr_assert_eq(tbus_unsubscribe(bus, -1), UV_ENOENT);
    cr_assert_eq(tbus_unsubscribe(NULL, 1), UV_EINVAL);
    cr_assert_eq(tbus_unsubscribe_owner(bus, NULL), UV_EINVAL);
    cr_assert_eq(tbus_unsubscribe_wait(bus, 1), UV_EBUSY, "the loop thread would wait for itself");
    hosted_close(&hosted);
}

/* --- From inside handlers --- */

struct actor {
    tbus_t *bus;
    const char *name;
    int64_t self, other;
    int closed;
};

static int leave(const tbus_event_t *event, void *user)
{
    struct actor *actor = user;
    journal_add(&journal, actor->name, number_of(event));
    cr_assert_eq(tbus_unsubscribe(actor->bus, actor->self), 0);
    cr_assert_eq(tbus_unsubscribe(actor->bus, actor->self), UV_ENOENT, "the second time it has ended before");
    return 0;
}

static void count_close(void *user)
{
    ((struct actor *)user)->closed++;
}

static int64_t add_actor(tbus_t *bus, int32_t priority, tbus_handler handler, struct actor *actor)
{
    tbus_route_t route = {">", priority, handler};
    return tbus_subscriber_add(
        bus, &(tbus_subscriber_t){
                 .routes = &route, .routes_count = 1, .user = actor, .owner = actor->bus, .on_close = count_close});
}

Test(subscribe, a_handler_may_end_its_own_subscription)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct actor actor = {.bus = hosted.bus, .name = "x"};
    cr_assert_gt(actor.self = add_actor(hosted.bus, 5, leave, &actor), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 1, write_name, "y"), 0);
    publish_number(hosted.bus, 1);
    publish_number(hosted.bus, 2);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "x1 y1 y2 ");
    cr_assert_eq(actor.closed, 1);
    hosted_close(&hosted);
    cr_assert_eq(actor.closed, 1);
}

static int end_other(const tbus_event_t *event, void *user)
{
    struct actor *actor = user;
    journal_add(&journal, actor->name, number_of(event));
    if (actor->other)
        cr_assert_eq(tbus_unsubscribe(actor->bus, actor->other), 0);
    actor->other = 0;
    return 0;
}

Test(subscribe, a_handler_may_end_the_next_subscription_which_then_misses_this_event)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct actor actor = {.bus = hosted.bus, .name = "x"};
    cr_assert_gt(actor.self = add_actor(hosted.bus, 5, end_other, &actor), 0);
    actor.other = tbus_subscribe(hosted.bus, ">", 4, write_name, "gone");
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 3, write_name, "y"), 0);
    publish_number(hosted.bus, 1);
    publish_number(hosted.bus, 2);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "x1 y1 x2 y2 ");
    hosted_close(&hosted);
}

static int add_twice(const tbus_event_t *event, void *user)
{
    struct actor *actor = user;
    journal_add(&journal, actor->name, number_of(event));
    if (number_of(event) == 1) {
        cr_assert_gt(tbus_subscribe(actor->bus, ">", 1, write_name, "low"), 0);
        cr_assert_gt(tbus_subscribe(actor->bus, ">", 9, write_name, "high"), 0);
        cr_assert_eq(publish_number(actor->bus, 3), 0);
    }
    return 0;
}

Test(subscribe, a_handler_may_subscribe_and_publish)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct actor actor = {.bus = hosted.bus, .name = "x"};
    cr_assert_gt(add_actor(hosted.bus, 5, add_twice, &actor), 0);
    publish_number(hosted.bus, 1);
    publish_number(hosted.bus, 2);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "x1 high2 x2 low2 high3 x3 low3 ");
    hosted_close(&hosted);
}

static int end_all_of_owner(const tbus_event_t *event, void *user)
{
    struct actor *actor = user;
    journal_add(&journal, actor->name, number_of(event));
    cr_assert_eq(tbus_unsubscribe_owner(actor->bus, actor->bus), 2);
    cr_assert_eq(tbus_unsubscribe_owner(actor->bus, actor->bus), 0);
    return 0;
}

Test(subscribe, all_of_an_owner_end_together)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct actor one = {.bus = hosted.bus, .name = "x"}, two = {.bus = hosted.bus, .name = "y"};
    cr_assert_gt(add_actor(hosted.bus, 5, end_all_of_owner, &one), 0);
    cr_assert_gt(add_actor(hosted.bus, 4, end_all_of_owner, &two), 0);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 3, write_name, "z"), 0);
    publish_number(hosted.bus, 1);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "x1 z1 ");
    cr_assert_eq(one.closed, 1);
    cr_assert_eq(two.closed, 1);
    hosted_close(&hosted);
}

/* --- From other threads --- */

struct remote {
    tbus_t *bus;
    uv_thread_t thread;
    uint64_t seen_sum;
    int closed;
};

static int sum_up(const tbus_event_t *event, void *user)
{
    ((struct remote *)user)->seen_sum += (uint64_t)number_of(event);
    return 0;
}

static void remote_closed(void *user)
{
    ((struct remote *)user)->closed++;
}

/* Sees exactly what it publishes between subscribing and unsubscribing, whatever others do. */
static void come_and_go(void *argument)
{
    struct remote *remote = argument;
    tbus_route_t route = {"model.selected", 0, sum_up};
    for (int round = 0; round < 200; round++) {
        uint64_t expected = 0;
        remote->seen_sum = 0;
        remote->closed = 0;
        int64_t id = tbus_subscriber_add(
            remote->bus,
            &(tbus_subscriber_t){.routes = &route, .routes_count = 1, .user = remote, .on_close = remote_closed});
        cr_assert_gt(id, 0);
        for (int64_t i = 1; i <= round % 17; i++) {
            tbus_model_selected_t event = {.context_window = i};
            cr_assert_eq(tbus_publish_model_selected(remote->bus, &event), 0);
            expected += (uint64_t)i;
        }
        cr_assert_eq(tbus_unsubscribe_wait(remote->bus, id), 0);
        tbus_publish_model_selected(remote->bus, &(tbus_model_selected_t){.context_window = 1000000});
        cr_assert_eq(remote->closed, 1);
        cr_assert_eq(remote->seen_sum, expected, "round %d: %llu", round, (unsigned long long)remote->seen_sum);
    }
}

static void flood(void *argument)
{
    struct remote *remote = argument;
    for (int i = 0; i < 100000; i++)
        (void)publish_number(remote->bus, i);
}

Test(subscribe, from_another_thread_it_takes_effect_in_the_order_of_the_events)
{
    struct remote remote = {0}, flooder = {0};
    cr_assert_eq(tbus_open(NULL, &remote.bus), 0);
    flooder.bus = remote.bus;
    cr_assert_eq(uv_thread_create(&flooder.thread, flood, &flooder), 0);
    cr_assert_eq(uv_thread_create(&remote.thread, come_and_go, &remote), 0);
    uv_thread_join(&remote.thread);
    uv_thread_join(&flooder.thread);
    cr_assert_eq(tbus_free(remote.bus), 0);
}

static void churn(void *argument)
{
    struct remote *remote = argument;
    tbus_route_t route = {">", 0, sum_up};
    for (int i = 0; i < 300; i++) {
        int64_t id = tbus_subscriber_add(
            remote->bus,
            &(tbus_subscriber_t){
                .routes = &route, .routes_count = 1, .user = remote, .owner = remote, .on_close = remote_closed});
        cr_assert_gt(id, 0);
        (void)publish_number(remote->bus, 1);
        if (i % 3 == 0)
            cr_assert_eq(tbus_unsubscribe(remote->bus, id), 0);
        else if (i % 10 == 0)
            cr_assert_geq(tbus_unsubscribe_owner(remote->bus, remote), 1);
    }
}

Test(subscribe, many_threads_may_subscribe_and_unsubscribe_at_once)
{
    struct remote remotes[4];
    tbus_t *bus;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    for (int i = 0; i < 4; i++) {
        remotes[i] = (struct remote){.bus = bus};
        cr_assert_eq(uv_thread_create(&remotes[i].thread, churn, &remotes[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        uv_thread_join(&remotes[i].thread);
    cr_assert_eq(tbus_free(bus), 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(remotes[i].closed, 300, "%d", remotes[i].closed);
}

static void subscribe_from_afar(void *argument)
{
    struct remote *remote = argument;
    for (int i = 0; i < 100; i++)
        cr_assert_gt(tbus_subscribe(remote->bus, i ? "queue.*" : "*.*", 0, sum_up, remote), 0);
}

static void subscribe_on_another_thread(struct remote *remote)
{
    cr_assert_eq(uv_thread_create(&remote->thread, subscribe_from_afar, remote), 0);
    uv_thread_join(&remote->thread);
}

Test(subscribe, on_the_loop_thread_it_may_overtake_those_of_other_threads)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct remote remote = {.bus = hosted.bus};
    subscribe_on_another_thread(&remote);
    publish_number(hosted.bus, 1); /* so that the next ones stand at another place of the order */
    subscribe_on_another_thread(&remote);
    for (int i = 0; i < 20; i++)
        cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, sum_up, &remote), 0);
    publish_number(hosted.bus, 1000);
    hosted_deliver(&hosted);
    cr_assert_eq(remote.seen_sum, (100u + 20) * 1 + (200u + 20) * 1000);
    hosted_close(&hosted);
}

Test(subscribe, many_in_a_row_need_one_table_not_one_each)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct remote remote = {.bus = hosted.bus};
    size_t before = atomic_load(&oom.bytes_live);
    for (int i = 0; i < 10; i++)
        subscribe_on_another_thread(&remote);
    size_t used = atomic_load(&oom.bytes_live) - before;
    cr_assert_lt(used, (size_t)1000 * 1024, "%zu bytes for 1,000 subscriptions", used);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

static void unsubscribe_from_afar(void *argument)
{
    struct actor *actor = argument;
    cr_assert_eq(tbus_unsubscribe(actor->bus, actor->self), 0);
}

static int end_what_is_being_ended(const tbus_event_t *event, void *user)
{
    struct actor *actor = user;
    uv_thread_t thread;
    journal_add(&journal, actor->name, number_of(event));
    cr_assert_eq(uv_thread_create(&thread, unsubscribe_from_afar, actor), 0);
    uv_thread_join(&thread);
    cr_assert_eq(tbus_unsubscribe(actor->bus, actor->self), UV_ENOENT, "it is being ended");
    return 0;
}

Test(subscribe, on_the_loop_thread_even_what_another_thread_is_ending_ends_at_once)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    struct actor actor = {.bus = hosted.bus, .name = "x"};
    cr_assert_gt(actor.self = add_actor(hosted.bus, 0, end_what_is_being_ended, &actor), 0);
    for (int i = 1; i <= 5; i++)
        publish_number(hosted.bus, i);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "x1 ");
    cr_assert_eq(actor.closed, 1);
    hosted_close(&hosted);
}

Test(subscribe, without_memory_nothing_changes)
{
    struct oom count = {.fail_at = -1};
    oom_install(&count); /* what the bus allocates goes through the hook from the start */
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    int64_t kept = tbus_subscribe(hosted.bus, ">", 0, write_name, "kept");
    cr_assert_gt(kept, 0);
    for (int at = 0;; at++) {
        count.fail_at = atomic_load(&count.calls) + at;
        int64_t id = tbus_subscribe(hosted.bus, ">", 0, write_name, "new");
        count.fail_at = -1;
        if (id > 0) {
            cr_assert_geq(at, 3, "the subscription, its aside and the table");
            break;
        }
        cr_assert_eq(id, UV_ENOMEM);
    }
    for (int at = 0;; at++) {
        count.fail_at = atomic_load(&count.calls) + at;
        int error = tbus_unsubscribe(hosted.bus, kept);
        count.fail_at = -1;
        if (error == 0) {
            cr_assert_geq(at, 2, "the aside and the table");
            break;
        }
        cr_assert_eq(error, UV_ENOMEM);
    }
    publish_number(hosted.bus, 1);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "new1 ");
    hosted_close(&hosted);
    cr_assert_eq(atomic_load(&count.live), 0);
    oom_remove();
}
