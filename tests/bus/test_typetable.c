#include "tests/bus/fixture.h"

#include "tests/oom.h"

struct upload {
    tbus_event_t base;
    const char *name;
    int64_t bytes;
    double seconds;
    bool resumed;
    const char *const *parts;
    int64_t parts_count;
};

static const tbus_field_t upload_fields[] = {
    {"name", TBUS_KIND_STRING, offsetof(struct upload, name), 0},
    {"bytes", TBUS_KIND_INT, offsetof(struct upload, bytes), 0},
    {"seconds", TBUS_KIND_DOUBLE, offsetof(struct upload, seconds), 0},
    {"resumed", TBUS_KIND_BOOL, offsetof(struct upload, resumed), 0},
    {"parts", TBUS_KIND_LIST, offsetof(struct upload, parts), offsetof(struct upload, parts_count)},
};

static tbus_type_t upload_type(void)
{
    return (tbus_type_t){"upload.done", TBUS_CLASS_VITAL, sizeof(struct upload), 5, upload_fields};
}

static int keep_upload(const tbus_event_t *event, void *user)
{
    struct journal *journal = user;
    const struct upload *upload = (const struct upload *)(const void *)event;
    journal_add(journal, upload->name, upload->bytes);
    for (int64_t i = 0; i < upload->parts_count; i++)
        journal_add(journal, upload->parts[i], i);
    return 0;
}

Test(typetable, a_type_of_the_hosts_own_is_published_and_routed_like_any_other)
{
    struct hosted hosted;
    struct journal journal = {0};
    tbus_type_t type = upload_type();
    tbus_type_stats_t stats;
    uint32_t number;
    static const char *const parts[] = {"p", "q"};
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, "upload.*", 0, keep_upload, &journal), 0, "before the type is known");
    cr_assert_eq(tbus_type_register(hosted.bus, &type, &number), 0);
    cr_assert_geq(number, (uint32_t)TBUS_TYPE_BUILTIN_END);
    cr_assert_gt(tbus_subscribe(hosted.bus, "upload.done", -1, keep_upload, &journal), 0, "and after");
    cr_assert_eq(tbus_type_number(hosted.bus, "upload.done"), number);
    cr_assert_str_eq(tbus_type_of(hosted.bus, number)->fields[4].name, "parts");
    struct upload upload = {.base.type = number, .name = "n", .bytes = 42, .parts = parts, .parts_count = 2};
    cr_assert_eq(tbus_publish(hosted.bus, &upload.base), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "n42 p0 q1 n42 p0 q1 ");
    cr_assert_eq(tbus_stats_of_type(hosted.bus, number, &stats), 0);
    cr_assert_eq(stats.delivered, 1u);
    hosted_close(&hosted);
}

Test(typetable, lookups_without_a_bus_know_the_built_in_types)
{
    cr_assert_eq(tbus_type_number(NULL, "stream.started"), (uint32_t)TBUS_STREAM_STARTED);
    cr_assert_eq(tbus_type_number(NULL, NULL), (uint32_t)TBUS_TYPE_NONE);
    cr_assert_eq(tbus_type_of(NULL, TBUS_STREAM_STARTED), tbus_builtin_type(TBUS_STREAM_STARTED));
    cr_assert_null(tbus_type_of(NULL, 5000));
}

Test(typetable, malformed_descriptions_are_refused)
{
    struct hosted hosted;
    uint32_t number = 7;
    tbus_field_t twice[] = {upload_fields[0], upload_fields[0]};
    tbus_field_t outside[] = {{"x", TBUS_KIND_INT, sizeof(struct upload) - 4, 0}};
    tbus_field_t in_base[] = {{"x", TBUS_KIND_INT, 8, 0}};
    tbus_field_t crooked[] = {{"x", TBUS_KIND_INT, sizeof(tbus_event_t) + _Alignof(int64_t) / 2, 0}};
    tbus_field_t nameless[] = {{"", TBUS_KIND_INT, sizeof(tbus_event_t), 0}};
    tbus_field_t taken[] = {{"api_key", TBUS_KIND_STRING, sizeof(tbus_event_t), 0}};
    tbus_field_t kindless[] = {{"x", (tbus_kind_t)9, sizeof(tbus_event_t), 0}};
    tbus_field_t countless[] = {{"x", TBUS_KIND_LIST, sizeof(tbus_event_t), 0}};
    tbus_field_t over[] = {{"x", TBUS_KIND_INT, sizeof(tbus_event_t), 0},
                           {"y", TBUS_KIND_STRING, sizeof(tbus_event_t), 0}};
    tbus_field_t over_itself[] = {{"x", TBUS_KIND_LIST, sizeof(tbus_event_t), sizeof(tbus_event_t)}};
    tbus_field_t broken[] = {{"x\xC0\x80", TBUS_KIND_INT, sizeof(tbus_event_t), 0}};
    tbus_field_t cut[] = {{"x\xE2\x82", TBUS_KIND_INT, sizeof(tbus_event_t), 0}};
    const uint32_t size = sizeof(struct upload);
    const tbus_type_t wrong[] = {
        {NULL, TBUS_CLASS_VITAL, size, 0, NULL},
        {"a.*", TBUS_CLASS_VITAL, size, 0, NULL},
        {"a..b", TBUS_CLASS_VITAL, size, 0, NULL},
        {"x.\xFF", TBUS_CLASS_VITAL, size, 0, NULL},
        {"x.\xFE", TBUS_CLASS_VITAL, size, 0, NULL},
        {"\xED\xA0\x80.x", TBUS_CLASS_VITAL, size, 0, NULL},
        {"x.\xE2\x82", TBUS_CLASS_VITAL, size, 0, NULL},
        {"a", (tbus_class_t)0, size, 0, NULL},
        {"a", TBUS_CLASS_VITAL, sizeof(tbus_event_t) - 1, 0, NULL},
        {"a", TBUS_CLASS_VITAL, 20000, 0, NULL},
        {"a", TBUS_CLASS_VITAL, size, 1, NULL},
        {"a", TBUS_CLASS_VITAL, size, 65, upload_fields},
        {"a", TBUS_CLASS_VITAL, size, 2, twice},
        {"a", TBUS_CLASS_VITAL, size, 1, outside},
        {"a", TBUS_CLASS_VITAL, size, 1, in_base},
        {"a", TBUS_CLASS_VITAL, size, 1, crooked},
        {"a", TBUS_CLASS_VITAL, size, 1, nameless},
        {"a", TBUS_CLASS_VITAL, size, 1, broken},
        {"a", TBUS_CLASS_VITAL, size, 1, cut},
        {"a", TBUS_CLASS_VITAL, size, 1, taken},
        {"a", TBUS_CLASS_VITAL, size, 1, kindless},
        {"a", TBUS_CLASS_VITAL, size, 1, countless},
        {"a", TBUS_CLASS_VITAL, size, 2, over},
        {"a", TBUS_CLASS_VITAL, size, 1, over_itself},
        {TBUS_UNDELIVERED, TBUS_CLASS_VITAL, size, 0, NULL},
    };
    hosted_open(&hosted, NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(tbus_type_register(hosted.bus, &wrong[i], &number), UV_EINVAL, "case %zu", i);
    tbus_type_t known = upload_type();
    known.topic = "stream.started";
    cr_assert_eq(tbus_type_register(hosted.bus, &known, &number), UV_EEXIST);
    cr_assert_eq(tbus_type_register(hosted.bus, NULL, &number), UV_EINVAL);
    known.topic = "x.y";
    cr_assert_eq(tbus_type_register(hosted.bus, &known, NULL), UV_EINVAL);
    cr_assert_eq(tbus_type_register(NULL, &known, &number), UV_EINVAL);
    cr_assert_eq(number, 7u);
    cr_assert_eq(tbus_close(hosted.bus, 100, hosted_on_closed, &hosted), 0);
    cr_assert_eq(tbus_type_register(hosted.bus, &known, &number), UV_ESHUTDOWN);
    uv_run(&hosted.loop, UV_RUN_DEFAULT);
    uv_loop_close(&hosted.loop);
}

Test(typetable, there_is_room_for_as_many_as_are_promised)
{
    struct hosted hosted;
    struct journal journal = {0};
    uint32_t number = 0, count = TBUS_TYPE_BUILTIN_END;
    hosted_open(&hosted, NULL);
    cr_assert_gt(tbus_subscribe(hosted.bus, ">", 0, keep_upload, &journal), 0);
    for (;; count++) {
        char topic[32];
        tbus_type_t type = upload_type();
        snprintf(topic, sizeof topic, "custom.type%u", count);
        type.topic = topic;
        int error = tbus_type_register(hosted.bus, &type, &number);
        if (error) {
            cr_assert_eq(error, UV_ENOSPC);
            break;
        }
        cr_assert_eq(number, count);
    }
    cr_assert_eq(count, (uint32_t)TBUS_TYPES_MAX);
    struct upload upload = {.base.type = number, .name = "last", .bytes = 1};
    cr_assert_eq(tbus_publish(hosted.bus, &upload.base), 0);
    hosted_deliver(&hosted);
    cr_assert_str_eq(journal.text, "last1 ");
    hosted_close(&hosted);
}

static void register_from_afar(void *argument)
{
    tbus_t *bus = argument;
    uint32_t number;
    tbus_type_t type = upload_type();
    cr_assert_eq(tbus_type_register(bus, &type, &number), 0);
    for (int64_t i = 0; i < 100; i++) {
        struct upload upload = {.base.type = number, .name = "", .bytes = 1};
        cr_assert_eq(tbus_publish(bus, &upload.base), 0);
    }
}

static int sum_bytes(const tbus_event_t *event, void *sum)
{
    *(int64_t *)sum += ((const struct upload *)(const void *)event)->bytes;
    return 0;
}

Test(typetable, a_type_registered_on_another_thread_is_routed_from_its_first_event_on)
{
    tbus_t *bus;
    uv_thread_t thread;
    int64_t sum = 0;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_gt(tbus_subscribe(bus, "upload.>", 0, sum_bytes, &sum), 0);
    cr_assert_eq(uv_thread_create(&thread, register_from_afar, bus), 0);
    uv_thread_join(&thread);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(sum, 100);
}

Test(typetable, without_memory_the_type_stays_unknown)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    for (int at = 0;; at++) {
        uint32_t number;
        tbus_type_t type = upload_type();
        oom.fail_at = atomic_load(&oom.calls) + at;
        int error = tbus_type_register(hosted.bus, &type, &number);
        oom.fail_at = -1;
        if (error == 0) {
            cr_assert_eq(at, 3, "the type, the aside and the table");
            break;
        }
        cr_assert_eq(error, UV_ENOMEM);
        cr_assert_eq(tbus_type_number(hosted.bus, "upload.done"), (uint32_t)TBUS_TYPE_NONE);
    }
    hosted_close(&hosted);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}
