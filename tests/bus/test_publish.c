#include "tests/bus/fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SMALL_RING = 64 << 10 };

static int publish_vital(tbus_t *bus, int64_t number)
{
    return tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = number});
}

static tbus_stats_t stats_of(const tbus_t *bus)
{
    tbus_stats_t stats;
    cr_assert_eq(tbus_stats(bus, &stats), 0);
    return stats;
}

Test(publish, what_is_no_event_is_refused)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    tbus_event_t event = {.type = TBUS_TYPE_BUILTIN_END};
    cr_assert_eq(tbus_publish(hosted.bus, NULL), UV_EINVAL);
    cr_assert_eq(tbus_publish(hosted.bus, &event), UV_EINVAL);
    event.type = TBUS_TYPE_NONE;
    cr_assert_eq(tbus_publish(hosted.bus, &event), UV_EINVAL);
    cr_assert_eq(tbus_publish_decode_started(NULL, &(tbus_decode_started_t){0}), UV_EINVAL);
    cr_assert_eq(tbus_publish_decode_started(hosted.bus, NULL), UV_EINVAL);
    cr_assert_eq(stats_of(hosted.bus).published, 0u);
    hosted_close(&hosted);
}

Test(publish, sheddable_events_stop_at_the_watermark_and_vital_ones_use_the_rest)
{
    struct hosted hosted;
    tbus_type_stats_t of_type;
    int sheddable = 0, vital = 0, error;
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = SMALL_RING, .sheddable_permille = 500, .overflow_max = 1});
    while ((error = publish_number(hosted.bus, sheddable)) == 0)
        sheddable++;
    cr_assert_eq(error, UV_ENOBUFS);
    while ((error = publish_vital(hosted.bus, vital)) == 0)
        vital++;
    vital--; /* one went aside */
    cr_assert_eq(error, UV_ENOBUFS, "on the loop thread a vital event does not wait");
    cr_assert_eq(sheddable, SMALL_RING / 2 / 128, "%d", sheddable);
    cr_assert_eq(vital, SMALL_RING / 2 / 128, "%d", vital);
    cr_assert_eq(stats_of(hosted.bus).undelivered[TBUS_REASON_SHED], 1u);
    cr_assert_eq(stats_of(hosted.bus).undelivered[TBUS_REASON_FULL], 1u);
    cr_assert_eq(tbus_stats_of_type(hosted.bus, TBUS_QUEUE_DEPTH_CHANGED, &of_type), 0);
    cr_assert_eq(of_type.undelivered[TBUS_REASON_SHED], 1u);
    cr_assert_eq(stats_of(hosted.bus).queued_bytes, (uint64_t)SMALL_RING);
    hosted_deliver(&hosted);
    cr_assert_eq(stats_of(hosted.bus).delivered, (uint64_t)(sheddable + vital + 1));
    cr_assert_eq(stats_of(hosted.bus).queued_bytes, 0u);
    cr_assert_eq(stats_of(hosted.bus).queued_bytes_max, (uint64_t)SMALL_RING);
    hosted_close(&hosted);
}

struct other_thread {
    tbus_t *bus;
    uv_thread_t thread;
    int result;
};

static void publish_one_vital(void *argument)
{
    struct other_thread *other = argument;
    other->result = publish_vital(other->bus, -5);
}

Test(publish, a_vital_event_waits_for_room_and_fails_when_none_comes)
{
    struct hosted hosted;
    struct other_thread other = {0};
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = SMALL_RING, .vital_wait_ms = 5, .overflow_max = 1});
    while (publish_vital(hosted.bus, 0) == 0)
        ;
    other.bus = hosted.bus;
    cr_assert_eq(uv_thread_create(&other.thread, publish_one_vital, &other), 0);
    uv_thread_join(&other.thread); /* nobody delivers */
    cr_assert_eq(other.result, UV_ENOBUFS);
    cr_assert_eq(stats_of(hosted.bus).undelivered[TBUS_REASON_FULL], 2u);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
}

Test(publish, a_vital_event_waits_for_room_that_comes)
{
    struct hosted hosted;
    struct other_thread other = {0};
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = SMALL_RING, .vital_wait_ms = 60000, .overflow_max = 1});
    while (publish_vital(hosted.bus, 0) == 0)
        ;
    uint64_t before = stats_of(hosted.bus).published;
    other.bus = hosted.bus;
    cr_assert_eq(uv_thread_create(&other.thread, publish_one_vital, &other), 0);
    while (stats_of(hosted.bus).published == before)
        uv_run(&hosted.loop, UV_RUN_NOWAIT);
    uv_thread_join(&other.thread);
    cr_assert_eq(other.result, 0);
    hosted_deliver(&hosted);
    cr_assert_eq(stats_of(hosted.bus).delivered, before + 1);
    hosted_close(&hosted);
}

struct room {
    struct other_thread other;
    atomic_bool done;
    int before_room; /* events delivered until there was room */
};

static void publish_vital_and_tell(void *argument)
{
    struct room *room = argument;
    room->other.result = publish_vital(room->other.bus, 7);
    atomic_store(&room->done, true);
}

/* Takes its time with each event, for as long as the other thread waits for room. */
static int give_it_a_chance(const tbus_event_t *event, void *user)
{
    struct room *room = user;
    (void)event;
    if (!atomic_load(&room->done))
        room->before_room++;
    for (int i = 0; i < 2000 && !atomic_load(&room->done); i++)
        uv_sleep(0);
    return 0;
}

Test(publish, a_vital_event_gets_the_room_of_each_event_that_has_been_delivered)
{
    struct hosted hosted;
    struct room room = {.other.result = 1};
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = SMALL_RING, .vital_wait_ms = 60000, .overflow_max = 1});
    room.other.bus = hosted.bus;
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, give_it_a_chance, &room), 0);
    while (publish_vital(hosted.bus, 0) == 0)
        ;
    cr_assert_eq(uv_thread_create(&room.other.thread, publish_vital_and_tell, &room), 0);
    hosted_deliver(&hosted);
    uv_thread_join(&room.other.thread);
    cr_assert_eq(room.other.result, 0);
    cr_assert_lt(room.before_room, SMALL_RING / 128 / 8, "after %d events", room.before_room);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
}

Test(publish, the_lowest_watermark_lets_every_event_into_an_empty_queue)
{
    struct hosted hosted;
    size_t length = SMALL_RING / 4 - 400;
    char *text = malloc(length + 1);
    cr_assert_not_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    hosted_open(&hosted,
                &(tbus_options_t){.ring_bytes = SMALL_RING, .sheddable_permille = 250, .string_max_bytes = SMALL_RING});
    for (int i = 0; i < 3000; i++) { /* wherever the queue's end lies */
        tbus_cache_miss_t event = {.cache_type = i % 2 ? text : "small"};
        cr_assert_eq(tbus_publish_cache_miss(hosted.bus, &event), 0, "event %d", i);
        hosted_deliver(&hosted);
    }
    hosted_close(&hosted);
    free(text);
}

Test(publish, an_event_larger_than_a_quarter_of_the_queue_is_refused)
{
    struct hosted hosted;
    size_t length = 40000;
    char *text = malloc(length + 1);
    cr_assert_not_null(text);
    memset(text, 'x', length);
    text[length] = '\0';
    hosted_open(&hosted, &(tbus_options_t){.ring_bytes = SMALL_RING, .string_max_bytes = 60000});
    tbus_error_occurred_t event = {.stack_trace = text};
    cr_assert_eq(tbus_publish_error_occurred(hosted.bus, &event), UV_EMSGSIZE);
    cr_assert_eq(stats_of(hosted.bus).undelivered[TBUS_REASON_OVERSIZED], 1u);
    text[SMALL_RING / 4 - 16 - sizeof event - 1] = '\0'; /* with its NUL it just fits */
    cr_assert_eq(tbus_publish_error_occurred(hosted.bus, &event), 0);
    text[SMALL_RING / 4 - 16 - sizeof event - 1] = 'x';
    text[SMALL_RING / 4 - 16 - sizeof event] = '\0';
    cr_assert_eq(tbus_publish_error_occurred(hosted.bus, &event), UV_EMSGSIZE);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
    free(text);
}

Test(publish, strings_past_the_limit_are_cut_and_counted)
{
    struct hosted hosted;
    char text[100];
    memset(text, 'x', sizeof text);
    text[99] = '\0';
    hosted_open(&hosted, &(tbus_options_t){.string_max_bytes = 32});
    tbus_error_occurred_t event = {.base = {.request_id = text}, .stack_trace = text};
    cr_assert_eq(tbus_publish_error_occurred(hosted.bus, &event), 0);
    cr_assert_eq(stats_of(hosted.bus).cut_strings, 2u);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
}

/* --- One order across threads --- */

enum { HANDS = 3, ROUNDS = 20000 };

/* A number goes round from thread to thread; each publishes it and hands on the next. */
struct relay {
    tbus_t *bus;
    uv_sem_t turn[HANDS];
    struct hand {
        struct relay *relay;
        int number;
        uv_thread_t thread;
    } hands[HANDS];
    int64_t next, seen;
};

static void run_relay(void *argument)
{
    struct hand *hand = argument;
    struct relay *relay = hand->relay;
    for (int round = 0; round < ROUNDS; round++) {
        uv_sem_wait(&relay->turn[hand->number]);
        cr_assert_eq(publish_vital(relay->bus, relay->next++), 0);
        uv_sem_post(&relay->turn[(hand->number + 1) % HANDS]);
    }
}

static int see_in_order(const tbus_event_t *event, void *user)
{
    struct relay *relay = user;
    cr_assert_eq(number_of(event), relay->seen);
    relay->seen++;
    return 0;
}

Test(publish, what_is_published_after_is_delivered_after_across_threads)
{
    struct relay relay = {0};
    const tbus_options_t options = {.ring_bytes = SMALL_RING, .vital_wait_ms = 60000};
    cr_assert_eq(tbus_open(&options, &relay.bus), 0);
    cr_assert_gt(tbus_subscribe(relay.bus, ">", 0, see_in_order, &relay), 0);
    for (int i = 0; i < HANDS; i++)
        cr_assert_eq(uv_sem_init(&relay.turn[i], i == 0), 0);
    for (int i = 0; i < HANDS; i++) {
        relay.hands[i] = (struct hand){&relay, i, 0};
        cr_assert_eq(uv_thread_create(&relay.hands[i].thread, run_relay, &relay.hands[i]), 0);
    }
    for (int i = 0; i < HANDS; i++)
        uv_thread_join(&relay.hands[i].thread);
    cr_assert_eq(tbus_free(relay.bus), 0);
    cr_assert_eq(relay.seen, HANDS * ROUNDS);
    for (int i = 0; i < HANDS; i++)
        uv_sem_destroy(&relay.turn[i]);
}

/* --- Everything is delivered once or refused with a counter --- */

enum { STORM_THREADS = 4, STORM_EVENTS = 50000 };

struct storm {
    tbus_t *bus;
    uint64_t accepted_sum, refused, seen_sum, seen; /* seen_*: on the loop thread */
    uint32_t seed;
    uv_thread_t thread;
};

static void blow(void *argument)
{
    struct storm *storm = argument;
    char text[400];
    memset(text, 't', sizeof text);
    text[sizeof text - 1] = '\0';
    for (int64_t i = 1; i <= STORM_EVENTS; i++) {
        storm->seed = storm->seed * 1664525u + 1013904223u;
        int error =
            storm->seed & 0x100
                ? tbus_publish_queue_depth_changed(
                      storm->bus, &(tbus_queue_depth_changed_t){.depth = i, .queue_name = text + (storm->seed >> 24)})
                : publish_vital(storm->bus, i);
        if (error == 0)
            storm->accepted_sum += (uint64_t)i;
        else
            storm->refused++;
        cr_assert(error == 0 || error == UV_ENOBUFS);
    }
}

static int add_up(const tbus_event_t *event, void *user)
{
    struct storm *storm = user;
    storm->seen_sum += (uint64_t)number_of(event);
    storm->seen++;
    return 0;
}

Test(publish, every_event_is_delivered_once_or_refused_and_counted)
{
    struct storm storms[STORM_THREADS], total = {0};
    tbus_stats_t stats;
    tbus_t *bus;
    cr_assert_eq(tbus_open(&(tbus_options_t){.ring_bytes = SMALL_RING}, &bus), 0);
    cr_assert_gt(tbus_subscribe(bus, ">", 0, add_up, &total), 0);
    for (uint32_t i = 0; i < STORM_THREADS; i++) {
        storms[i] = (struct storm){.bus = bus, .seed = i * 77 + 1};
        cr_assert_eq(uv_thread_create(&storms[i].thread, blow, &storms[i]), 0);
    }
    for (int i = 0; i < STORM_THREADS; i++) {
        uv_thread_join(&storms[i].thread);
        total.accepted_sum += storms[i].accepted_sum;
        total.refused += storms[i].refused;
    }
    stats = stats_of(bus);
    cr_assert_eq(stats.published + total.refused, (uint64_t)STORM_THREADS * STORM_EVENTS);
    cr_assert_eq(stats.undelivered[TBUS_REASON_SHED] + stats.undelivered[TBUS_REASON_FULL], total.refused);
    uint64_t published = stats.published;
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(total.seen, published);
    cr_assert_eq(total.seen_sum, total.accepted_sum);
}

/* --- Waking --- */

static int post(const tbus_event_t *event, void *sem)
{
    (void)event;
    uv_sem_post(sem);
    return 0;
}

Test(publish, a_sleeping_loop_wakes_for_every_single_event)
{
    tbus_t *bus;
    uv_sem_t seen;
    cr_assert_eq(uv_sem_init(&seen, 0), 0);
    cr_assert_eq(tbus_open(&(tbus_options_t){.linger_us = UINT32_MAX}, &bus), 0);
    cr_assert_gt(tbus_subscribe(bus, ">", 0, post, &seen), 0);
    for (int i = 0; i < 20000; i++) { /* a wake-up that gets lost hangs the test */
        cr_assert_eq(publish_number(bus, i), 0);
        uv_sem_wait(&seen);
    }
    cr_assert_eq(tbus_free(bus), 0);
    uv_sem_destroy(&seen);
}

Test(publish, a_burst_costs_one_wake_up)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    uv_run(&hosted.loop, UV_RUN_NOWAIT);
    for (int i = 0; i < 1000; i++)
        publish_number(hosted.bus, i);
    cr_assert_eq(stats_of(hosted.bus).wakeups, 1u);
    hosted_deliver(&hosted);
    hosted_close(&hosted);
}
