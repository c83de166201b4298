/* Events told as JSON to a subscriber. That every event comes back as it was is tested in test_event_round_trip.c. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "tests/check.h"
#include "tests/oom.h"

#define TIME_NS INT64_C(1700000000123456789)

/* --- The bus, on a loop of the test's own --- */

struct room {
    uv_loop_t loop;
    tbus_t *bus;
    char heard[4096]; /* the texts, one a line */
    size_t longest;   /* of all texts */
    int count, ends, closes;
    int result; /* what `hear` returns */
};

static int64_t fixed_clock(void *user)
{
    (void)user;
    return TIME_NS;
}

static int hear(const char *topic, const char *text, size_t length, void *user)
{
    struct room *room = user;
    char beginning[300];
    snprintf(beginning, sizeof beginning, "{\"type\":\"%s\",\"id\":", topic);
    cr_assert_eq(strlen(text), length);
    cr_assert_eq(strncmp(text, beginning, strlen(beginning)), 0, "%s", text);
    room->count++;
    room->longest = length > room->longest ? length : room->longest;
    size_t used = strlen(room->heard);
    snprintf(room->heard + used, sizeof room->heard - used, "%s\n", text);
    return room->result;
}

static void note_end(void *user)
{
    ((struct room *)user)->ends++;
}

static void note_close(void *user)
{
    ((struct room *)user)->closes++;
}

static void room_open(struct room *room)
{
    *room = (struct room){.count = 0};
    cr_assert_eq(uv_loop_init(&room->loop), 0);
    const tbus_options_t options = {
        .loop = &room->loop, .clock = fixed_clock, .string_max_bytes = 1 << 20, .ring_bytes = 64 << 20};
    cr_assert_eq(tbus_open(&options, &room->bus), 0);
    int64_t probe = tbus_subscribe_json(room->bus, "cache.miss", 0, hear, room, NULL);
    if (probe == UV_ENOTSUP)
        cr_skip_test("built without JSON");
    cr_assert_gt(probe, 0);
    cr_assert_eq(tbus_unsubscribe(room->bus, probe), 0);
}

static void room_deliver(struct room *room)
{
    tbus_stats_t stats;
    do {
        uv_run(&room->loop, UV_RUN_NOWAIT);
        cr_assert_eq(tbus_stats(room->bus, &stats), 0);
    } while (stats.queued_events > 0);
}

static void room_close(struct room *room)
{
    cr_assert_eq(tbus_close(room->bus, 60000, NULL, NULL), 0);
    uv_run(&room->loop, UV_RUN_DEFAULT);
    cr_assert_eq(tbus_free(room->bus), 0);
    cr_assert_eq(uv_loop_close(&room->loop), 0);
}

static void publish(tbus_t *bus, const char *text)
{
    char why[256] = "";
    cr_assert_eq(tbus_publish_json_strict(bus, text, strlen(text), why, sizeof why), 0, "%s: %s", text, why);
}

/* --- Subscribing --- */

Test(json, tells_the_events_that_the_pattern_matches_and_their_keys)
{
    struct room room;
    room_open(&room);
    cr_assert_gt(tbus_subscribe_json(room.bus, "decode.*", 0, hear, &room, NULL), 0);
    publish(room.bus, "{\"type\":\"cache.miss\"}");
    publish(room.bus,
            "{\"type\":\"decode.completed\",\"api_key\":\"sk-secret-123456\",\"output_tokens\":9007199254740993,"
            "\"decode_time_ms\":0.1}");
    room_deliver(&room);
    cr_assert_eq(room.count, 1);
    const char *rest = strchr(room.heard, ',');
    rest = strchr(rest + 1, ','); /* behind the id */
    cr_assert_str_eq(rest, ",\"time_ns\":1700000000123456789,\"api_key\":\"sk-secret-123456\",\"decode_time_ms\":0.1,"
                           "\"output_tokens\":9007199254740993}\n");
    room_close(&room);
}

Test(json, takes_the_options_of_other_subscribers)
{
    struct room room;
    room_open(&room);
    const tbus_subscriber_t options = {.name = "ears",
                                       .owner = &room,
                                       .on_batch_end = note_end,
                                       .on_close = note_close,
                                       .breaker_errors = 2,
                                       .wants_last = true};
    cr_assert_eq(tbus_keep_last(room.bus, "queue.depth_changed"), 1);
    publish(room.bus, "{\"type\":\"queue.depth_changed\",\"depth\":41}");
    room_deliver(&room);
    int64_t subscription = tbus_subscribe_json(room.bus, "queue.*", 0, hear, &room, &options);
    cr_assert_gt(subscription, 0);
    room_deliver(&room);
    cr_assert_eq(room.count, 1, "the last event");
    cr_assert_not_null(strstr(room.heard, "\"depth\":41"));
    int ends = room.ends;
    room.result = UV_EIO;
    for (int i = 0; i < 3; i++)
        publish(room.bus, "{\"type\":\"queue.depth_changed\",\"depth\":42}");
    room_deliver(&room);
    cr_assert_gt(room.ends, ends);
    tbus_subscriber_stats_t stats;
    cr_assert_eq(tbus_stats_of_subscription(room.bus, subscription, &stats), 0);
    cr_assert_str_eq(stats.name, "ears");
    cr_assert_eq(stats.errors, 2);
    cr_assert_eq(stats.skipped, 1, "its breaker is open");
    cr_assert_eq(tbus_unsubscribe_owner(room.bus, &room), 1);
    room_deliver(&room);
    cr_assert_eq(room.closes, 1);
    room_close(&room);
    cr_assert_eq(room.closes, 1);
}

static int count_and_pass(const tbus_event_t *event, void *user)
{
    (void)event;
    ++*(int *)user;
    return 0;
}

Test(json, stops_those_of_lower_priority)
{
    struct room room;
    int above = 0, below = 0;
    room_open(&room);
    room.result = TBUS_STOP;
    cr_assert_gt(tbus_subscribe(room.bus, "cache.miss", 4, count_and_pass, &below), 0);
    cr_assert_gt(tbus_subscribe_json(room.bus, "cache.miss", 5, hear, &room, NULL), 0);
    cr_assert_gt(tbus_subscribe(room.bus, "cache.miss", 6, count_and_pass, &above), 0);
    publish(room.bus, "{\"type\":\"cache.miss\"}");
    room_deliver(&room);
    cr_assert_eq(above, 1);
    cr_assert_eq(room.count, 1);
    cr_assert_eq(below, 0);
    room_close(&room);
}

struct leaver {
    struct room *room;
    int64_t subscription;
    int heard;
};

static int hear_and_leave(const char *topic, const char *text, size_t length, void *user)
{
    struct leaver *leaver = user;
    char *before = strdup(text);
    leaver->heard++;
    cr_assert_eq(tbus_unsubscribe(leaver->room->bus, leaver->subscription), 0);
    cr_assert_str_eq(topic, "cache.miss");
    cr_assert_eq(strlen(text), length, "the text is there until the handler has returned");
    cr_assert_str_eq(text, before);
    free(before);
    return 0;
}

Test(json, may_be_ended_inside_its_own_handler)
{
    struct room room;
    struct leaver leaver = {.room = &room};
    room_open(&room);
    leaver.subscription = tbus_subscribe_json(room.bus, "cache.miss", 0, hear_and_leave, &leaver, NULL);
    cr_assert_gt(leaver.subscription, 0);
    publish(room.bus, "{\"type\":\"cache.miss\"}");
    publish(room.bus, "{\"type\":\"cache.miss\"}");
    room_deliver(&room);
    cr_assert_eq(leaver.heard, 1);
    room_close(&room);
}

Test(json, refuses_bad_arguments)
{
    struct room room;
    room_open(&room);
    const tbus_route_t route = {"cache.miss", 0, count_and_pass};
    const tbus_subscriber_t wrong[] = {{.routes = &route},
                                       {.routes_count = 1},
                                       {.user = &room},
                                       {.mode = 7},
                                       {.isolated_queue_bytes = 100, .mode = 1}};
    cr_assert_eq(tbus_subscribe_json(NULL, ">", 0, hear, &room, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe_json(room.bus, NULL, 0, hear, &room, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe_json(room.bus, "a..b", 0, hear, &room, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe_json(room.bus, ">", 0, NULL, &room, NULL), UV_EINVAL);
    cr_assert_eq(tbus_subscribe_json(room.bus, "cache.mist", 0, hear, &room, NULL), UV_ENOENT);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(tbus_subscribe_json(room.bus, ">", 0, hear, &room, &wrong[i]), UV_EINVAL, "options %zu", i);
    room_close(&room);
}

/* --- What the strings hold --- */

Test(json, tells_long_and_broken_strings)
{
    enum { LONG = 1 << 20 };
    struct room room;
    room_open(&room);
    cr_assert_gt(tbus_subscribe_json(room.bus, ">", 0, hear, &room, NULL), 0);
    char *control = malloc(10 * LONG + 1);
    cr_assert_not_null(control);
    memset(control, '\x01', 10 * LONG); /* six bytes each */
    control[10 * LONG] = '\0';
    tbus_cache_miss_t event = {.base.request_id = "\xFF\xC0\xAFz", .cache_type = control};
    cr_assert_eq(tbus_publish_cache_miss(room.bus, &event), 0);
    room_deliver(&room);
    cr_assert_gt(room.longest, 6 * (size_t)LONG, "cut by the bus, and not by the subscriber");
    cr_assert_lt(room.longest, 6 * (size_t)LONG + 200);
    cr_assert_not_null(strstr(room.heard, "\"request_id\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\""));
    /* Texts around the sizes of the buffer. */
    for (size_t length = 3900; length < 4200; length++) {
        control[length] = '\0';
        memset(control, 'x', length);
        cr_assert_eq(tbus_publish_cache_miss(room.bus, &event), 0);
        control[length] = 'x';
    }
    room_deliver(&room);
    cr_assert_eq(room.count, 301);
    free(control);
    room_close(&room);
}

struct reading {
    tbus_event_t base;
    const char *place;
    int64_t amount;
    double level;
    bool valid;
    const char *const *marks;
    int64_t marks_count;
};

Test(json, tells_and_reads_types_of_the_hosts_own)
{
    static const tbus_field_t fields[] = {
        {"place", TBUS_KIND_STRING, offsetof(struct reading, place), 0},
        {"amount", TBUS_KIND_INT, offsetof(struct reading, amount), 0},
        {"level", TBUS_KIND_DOUBLE, offsetof(struct reading, level), 0},
        {"valid", TBUS_KIND_BOOL, offsetof(struct reading, valid), 0},
        {"marks", TBUS_KIND_LIST, offsetof(struct reading, marks), offsetof(struct reading, marks_count)},
    };
    static const tbus_type_t type = {"meter.read", TBUS_CLASS_VITAL, sizeof(struct reading), 5, fields};
    static const char text[] = "{\"type\":\"meter.read\",\"place\":\"roof\",\"amount\":-9223372036854775808,"
                               "\"level\":0.25,\"valid\":true,\"marks\":[\"a\",\"\"]}";
    struct room room;
    uint32_t number;
    char why[128] = "";
    room_open(&room);
    cr_assert_eq(tbus_publish_json_strict(room.bus, text, strlen(text), why, sizeof why), UV_EINVAL);
    cr_assert_str_eq(why, "there is no event type 'meter.read'");
    cr_assert_eq(tbus_type_register(room.bus, &type, &number), 0);
    cr_assert_gt(tbus_subscribe_json(room.bus, "meter.read", 0, hear, &room, NULL), 0);
    publish(room.bus, text);
    room_deliver(&room);
    cr_assert_eq(room.count, 1);
    cr_assert_not_null(strstr(room.heard, strstr(text, "\"place\"")), "%s", room.heard);
    static const char misspelt[] = "{\"type\":\"meter.read\",\"Place\":\"\"}";
    cr_assert_eq(tbus_publish_json_strict(room.bus, misspelt, strlen(misspelt), why, sizeof why), UV_EINVAL);
    cr_assert_str_eq(why, "event type 'meter.read' has no field 'Place'");
    room_close(&room);
}

/* --- Publishing strictly --- */

static const struct {
    const char *text, *why;
} slips[] = {
    {"{\"type\":\"cache.miss\",\"cache_typ\":\"kv\"}", "event type 'cache.miss' has no field 'cache_typ'"},
    {"{\"type\":\"cache.miss\",\"\":null}", "event type 'cache.miss' has no field ''"},
    {"{\"type\":\"cache.miss\",\"a\\u001bb\\n\":1}", "event type 'cache.miss' has no field 'a?b?'"},
    {"{\"type\":\"cache.miss\",\"model\":\"of another type\"}", "event type 'cache.miss' has no field 'model'"},
    {"{\"type\":\"cache.miss\",\"tokens_count\":1}", "event type 'cache.miss' has no field 'tokens_count'"},
    {"{\"type\":\"cache.miss\",\"type\":\"cache.hit\"}", "not JSON: duplicate object key"},
    {"{\"type\":\"cache.miss\",\"metadata\":{\"a\":\"1\",\"a\":\"2\"}}", "not JSON: duplicate object key"},
    {"{\"type\":\"cache.mist\",\"cache_typ\":\"kv\"}", "there is no event type 'cache.mist'"},
    {"{\"type\":\"cache.miss\",\"cache_type\":7}", "field 'cache_type' wants a string, got a number"},
    {"{\"type\":\"cache.hit\",\"cached_tokens\":9223372036854775808}", "not JSON: too big integer"},
    {"{\"type\":\"cache.hit\",\"speedup_ms\":1e999}", "not JSON: real number overflow"},
    {"{\"type\":\"cache.hit\",\"speedup_ms\":NaN}", "not JSON: "},
    {"{\"type\":\"cache.miss\",\"cache_type\":\"\xC3\"}", "not JSON: "},
    {"", "not JSON: the text is empty"},
};

Test(json, a_strict_publish_refuses_what_a_tolerant_one_ignores)
{
    struct room room;
    room_open(&room);
    cr_assert_gt(tbus_subscribe_json(room.bus, ">", 0, hear, &room, NULL), 0);
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        char why[256] = "";
        int error = tbus_publish_json_strict(room.bus, slips[i].text, strlen(slips[i].text), why, sizeof why);
        cr_assert_eq(error, UV_EINVAL, "%s", slips[i].text);
        cr_assert_eq(strncmp(why, slips[i].why, strlen(slips[i].why)), 0, "%s: %s", slips[i].text, why);
    }
    room_deliver(&room);
    cr_assert_eq(room.count, 0);
    for (size_t i = 0; i < 7; i++)
        cr_assert_eq(tbus_publish_json(room.bus, slips[i].text, strlen(slips[i].text), NULL, 0), 0, "%s",
                     slips[i].text);
    room_deliver(&room);
    cr_assert_eq(room.count, 7);
    room_close(&room);
}

Test(json, a_text_of_ten_megabytes_is_taken_or_refused_with_a_reason)
{
    enum { BYTES = 10 << 20 };
    static const char head[] = "{\"type\":\"cache.miss\",\"";
    char *text = malloc(BYTES), why[64] = "";
    struct room room;
    cr_assert_not_null(text);
    memset(text, 'n', BYTES);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + BYTES - 4, "\":1}", 4);
    room_open(&room);
    cr_assert_gt(tbus_subscribe_json(room.bus, ">", 0, hear, &room, NULL), 0);
    cr_assert_eq(tbus_publish_json_strict(room.bus, text, BYTES, why, sizeof why), UV_EINVAL);
    cr_assert_str_eq(why, "event type 'cache.miss' has no field 'nnnnnnnnnnnnnnnnnnnnnnnnn");
    memcpy(text + sizeof head - 1, "cache_type\":\"", 13);
    memcpy(text + BYTES - 4, "nn\"}", 4);
    cr_assert_eq(tbus_publish_json_strict(room.bus, text, BYTES, NULL, 0), 0);
    room_deliver(&room);
    cr_assert_eq(room.count, 1);
    memset(text, '{', BYTES);
    cr_assert_eq(tbus_publish_json_strict(room.bus, text, BYTES, why, sizeof why), UV_EINVAL);
    cr_assert_eq(strncmp(why, "not ", 4), 0, "%s", why);
    memset(text, '[', BYTES);
    cr_assert_eq(tbus_publish_json_strict(room.bus, text, BYTES, why, sizeof why), UV_EINVAL);
    cr_assert_str_eq(why, "not an event: nested too deeply");
    free(text);
    room_close(&room);
}

/* --- Threads --- */

struct crowd {
    tbus_t *bus;
    atomic_int inline_heard, isolated_heard, closed;
    uv_thread_t inline_thread, isolated_thread;
};

enum { CROWD_THREADS = 3, CROWD_EVENTS = 2000 };

static int hear_inline(const char *topic, const char *text, size_t length, void *user)
{
    struct crowd *crowd = user;
    (void)topic;
    cr_assert_eq(text[length - 1], '}');
    crowd->inline_thread = uv_thread_self();
    atomic_fetch_add(&crowd->inline_heard, 1);
    return 0;
}

static int hear_isolated(const char *topic, const char *text, size_t length, void *user)
{
    struct crowd *crowd = user;
    (void)topic;
    cr_assert_eq(text[length], '\0');
    crowd->isolated_thread = uv_thread_self();
    atomic_fetch_add(&crowd->isolated_heard, 1);
    return 0;
}

static void note_crowd_closed(void *user)
{
    atomic_fetch_add(&((struct crowd *)user)->closed, 1);
}

static void publish_many(void *user)
{
    struct crowd *crowd = user;
    for (int i = 0; i < CROWD_EVENTS; i++) {
        char text[128];
        int length = snprintf(text, sizeof text, "{\"type\":\"decode.completed\",\"output_tokens\":%d}", i), error;
        while ((error = tbus_publish_json_strict(crowd->bus, text, (size_t)length, NULL, 0)) == UV_ENOBUFS)
            ;
        cr_assert_eq(error, 0);
    }
}

Test(json, hears_on_the_loop_thread_or_on_its_own_while_many_publish)
{
    struct crowd crowd = {.bus = NULL};
    uv_thread_t threads[CROWD_THREADS];
    const tbus_subscriber_t isolated = {
        .mode = TBUS_ISOLATED, .isolated_queue_bytes = 64 << 20, .on_close = note_crowd_closed};
    const tbus_subscriber_t at_once = {.on_close = note_crowd_closed};
    cr_assert_eq(tbus_open(NULL, &crowd.bus), 0);
    int64_t subscription = tbus_subscribe_json(crowd.bus, "decode.*", 0, hear_isolated, &crowd, &isolated);
    if (subscription == UV_ENOTSUP)
        cr_skip_test("built without JSON");
    cr_assert_gt(subscription, 0);
    cr_assert_gt(tbus_subscribe_json(crowd.bus, "decode.*", 0, hear_inline, &crowd, &at_once), 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        cr_assert_eq(uv_thread_create(&threads[i], publish_many, &crowd), 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        cr_assert_eq(uv_thread_join(&threads[i]), 0);
    cr_assert_eq(tbus_unsubscribe_wait(crowd.bus, subscription), 0);
    cr_assert_eq(atomic_load(&crowd.closed), 1);
    cr_assert_eq(atomic_load(&crowd.isolated_heard), CROWD_THREADS * CROWD_EVENTS);
    cr_assert_eq(tbus_free(crowd.bus), 0);
    cr_assert_eq(atomic_load(&crowd.inline_heard), CROWD_THREADS * CROWD_EVENTS);
    cr_assert_eq(atomic_load(&crowd.closed), 2);
    uv_thread_t self = uv_thread_self();
    cr_assert_not(uv_thread_equal(&crowd.inline_thread, &crowd.isolated_thread));
    cr_assert_not(uv_thread_equal(&crowd.inline_thread, &self));
    cr_assert_not(uv_thread_equal(&crowd.isolated_thread, &self));
}

/* --- Without memory --- */

Test(json, survives_every_failing_allocation_when_subscribing)
{
    struct oom oom = {.fail_at = -1};
    struct room room;
    oom_install(&oom);
    room_open(&room);
    for (long at = 0;; at++) {
        long failed = oom.failed, live = oom.live;
        oom.fail_at = oom.calls + at;
        int64_t subscription = tbus_subscribe_json(room.bus, "cache.miss", 0, hear, &room, NULL);
        oom.fail_at = -1;
        if (oom.failed == failed) {
            cr_assert_gt(subscription, 0);
            cr_assert_geq(at, 3, "the subscription, its buffer, what the bus keeps");
            break;
        }
        cr_assert_eq(subscription, UV_ENOMEM);
        cr_assert_eq(oom.live, live);
    }
    room_close(&room);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

Test(json, an_event_without_memory_is_an_error_and_the_next_is_told)
{
    struct oom oom = {.fail_at = -1};
    struct room room;
    char long_type[8000];
    oom_install(&oom);
    room_open(&room);
    int64_t subscription = tbus_subscribe_json(room.bus, "cache.miss", 0, hear, &room, NULL);
    cr_assert_gt(subscription, 0);
    memset(long_type, 'x', sizeof long_type);
    long_type[sizeof long_type - 1] = '\0';
    cr_assert_eq(tbus_publish_cache_miss(room.bus, &(tbus_cache_miss_t){.cache_type = long_type}), 0);
    oom.fail_at = oom.calls;
    room_deliver(&room);
    tbus_subscriber_stats_t stats;
    cr_assert_eq(tbus_stats_of_subscription(room.bus, subscription, &stats), 0);
    cr_assert_eq(stats.errors, 1);
    cr_assert_eq(room.count, 0);
    cr_assert_eq(tbus_publish_cache_miss(room.bus, &(tbus_cache_miss_t){.cache_type = "kv"}), 0);
    cr_assert_eq(tbus_publish_cache_miss(room.bus, &(tbus_cache_miss_t){.cache_type = long_type}), 0);
    room_deliver(&room);
    cr_assert_eq(room.count, 2);
    /* From now on it needs no more. */
    long calls = oom.calls;
    for (int i = 0; i < 100; i++)
        cr_assert_eq(tbus_publish_cache_miss(room.bus, &(tbus_cache_miss_t){.cache_type = long_type}), 0);
    room_deliver(&room);
    cr_assert_eq(room.count, 102);
    cr_assert_eq(oom.calls, calls);
    room_close(&room);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

Test(json, says_so_where_it_was_built_without)
{
    tbus_t *bus;
    char why[64] = "";
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    int64_t subscription = tbus_subscribe_json(bus, ">", 0, hear, NULL, NULL);
    if (subscription >= 0) {
        cr_assert_eq(tbus_free(bus), 0);
        cr_skip_test("built with JSON");
    }
    cr_assert_eq(subscription, UV_ENOTSUP);
    cr_assert_eq(tbus_publish_json_strict(bus, "{}", 2, why, sizeof why), UV_ENOTSUP);
    cr_assert_str_eq(why, "this tallybus was built without JSON");
    cr_assert_eq(tbus_free(bus), 0);
}
