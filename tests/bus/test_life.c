/* The whole life of a bus, with every one of its allocations failing in turn. */
#include "tests/bus/fixture.h"

#include <stdatomic.h>

#include "tests/oom.h"

struct life {
    atomic_uint calls; /* of handlers, on two threads */
    int closed;
    int added;
};

static int count_call(const tbus_event_t *event, void *user)
{
    (void)event;
    atomic_fetch_add(&((struct life *)user)->calls, 1);
    return 0;
}

static void count_close(void *user)
{
    ((struct life *)user)->closed++;
}

static int64_t subscribe(tbus_t *bus, struct life *life, uint32_t mode)
{
    tbus_route_t routes[] = {{"queue.*", 1, count_call}, {TBUS_UNDELIVERED, 0, count_call}, {">", 2, count_call}};
    int64_t id = tbus_subscriber_add(bus, &(tbus_subscriber_t){.routes = routes,
                                                               .routes_count = 3,
                                                               .user = life,
                                                               .owner = life,
                                                               .mode = mode,
                                                               .wants_last = true,
                                                               .on_close = count_close});
    cr_assert(id > 0 || id == UV_ENOMEM, "%d", (int)id);
    life->added += id > 0;
    return id;
}

static void check(int error)
{
    cr_assert(error >= 0 || error == UV_ENOMEM || error == UV_EINVAL || error == UV_ENOENT, "%d", error);
}

static void live(tbus_t *bus, struct life *life)
{
    tbus_type_t type = {"custom.event", TBUS_CLASS_VITAL, sizeof(tbus_event_t), 0, NULL};
    tbus_event_t event = {0};
    check(tbus_type_register(bus, &type, &event.type));
    cr_assert_geq(tbus_keep_last(bus, "queue.*"), 1);
    int64_t first = subscribe(bus, life, TBUS_INLINE);
    subscribe(bus, life, TBUS_ISOLATED);
    cr_assert_eq(publish_number(bus, 1), 0);
    check(tbus_publish(bus, &event)); /* of no type, where that could not be registered */
    tbus_event_t *reserved;
    cr_assert_eq(tbus_reserve(bus, TBUS_CACHE_MISS, 8, &reserved, NULL), 0);
    cr_assert_eq(tbus_commit(bus, reserved), 0);
    subscribe(bus, life, TBUS_INLINE);
    if (first > 0)
        check(tbus_unsubscribe(bus, first));
    check(tbus_unsubscribe_owner(bus, life));
    subscribe(bus, life, TBUS_ISOLATED);
}

Test(life, whatever_allocation_fails_the_error_is_clear_and_nothing_leaks)
{
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        struct life life = {0};
        uv_loop_t loop;
        struct hosted hosted = {0};
        cr_assert_eq(uv_loop_init(&loop), 0);
        oom_install(&oom);
        int error = tbus_open(&(tbus_options_t){.loop = &loop, .ring_bytes = 64 << 10}, &hosted.bus);
        if (error == 0) {
            live(hosted.bus, &life);
            cr_assert_eq(tbus_close(hosted.bus, 60000, hosted_on_closed, &hosted), 0);
            uv_run(&loop, UV_RUN_DEFAULT);
            cr_assert(hosted.closed);
            cr_assert_eq(hosted.report.remained, 0u);
        } else {
            cr_assert_eq(error, UV_ENOMEM);
        }
        cr_assert_eq(life.closed, life.added, "allocation %ld: %d of %d subscriptions were told of their end", at,
                     life.closed, life.added);
        cr_assert_eq(atomic_load(&oom.live), 0, "allocation %ld", at);
        bool failed = atomic_load(&oom.failed) > 0;
        oom_remove();
        cr_assert_eq(uv_loop_close(&loop), 0);
        if (!failed) {
            cr_assert_geq(at, 25);
            cr_assert_eq(life.added, 4);
            break;
        }
    }
}
