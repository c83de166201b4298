/* Events as JSON and back. A bus on a loop of the test's own hands each event to `keep`, which tells it as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "tests/check.h"
#include "tests/exporters/event_fill.h"
#include "tests/oom.h"

#define TIME_NS INT64_C(1700000000123456789)

/* --- The bus --- */

struct desk {
    uv_loop_t loop;
    tbus_t *bus;
    char *told;    /* the last event, as JSON, with `id` as its id */
    uint64_t id;   /* what to put there, so that texts can be compared */
    int told_code; /* of telling it */
    int count;     /* events seen */
    int64_t input_tokens;
    char user_id[2][32]; /* of usage.recorded: the base's, the struct's */
};

static int keep(const tbus_event_t *event, void *user)
{
    struct desk *desk = user;
    desk->count++;
    const tbus_usage_recorded_t *usage = tbus_as_usage_recorded(event);
    if (usage) {
        snprintf(desk->user_id[0], sizeof *desk->user_id, "%s", event->user_id ? event->user_id : "NULL");
        snprintf(desk->user_id[1], sizeof *desk->user_id, "%s", usage->user_id ? usage->user_id : "NULL");
    }
    if (tbus_as_stream_started(event))
        desk->input_tokens = tbus_as_stream_started(event)->input_tokens;
    union {
        tbus_event_t event;
        char bytes[1024];
    } copy;
    cr_assert_leq(tbus_builtin_type(event->type)->size_bytes, sizeof copy);
    memcpy(&copy, event, tbus_builtin_type(event->type)->size_bytes);
    copy.event.id = desk->id;
    tbus_mem_free(desk->told);
    desk->told = NULL;
    desk->told_code = tbus_event_to_json(NULL, &copy.event, &desk->told);
    return 0;
}

static int64_t fixed_clock(void *user)
{
    (void)user;
    return TIME_NS;
}

static void desk_open(struct desk *desk)
{
    char *text = NULL;
    const tbus_event_t some = {.type = TBUS_DECODE_STARTED};
    *desk = (struct desk){.id = 7};
    int error = tbus_event_to_json(NULL, &some, &text);
    tbus_mem_free(text);
    if (error == UV_ENOTSUP)
        cr_skip_test("built without JSON");
    cr_assert_eq(uv_loop_init(&desk->loop), 0);
    const tbus_options_t options = {
        .loop = &desk->loop, .string_max_bytes = 1 << 20, .clock = fixed_clock, .ring_bytes = 64 << 20};
    cr_assert_eq(tbus_open(&options, &desk->bus), 0);
    cr_assert_gt(tbus_subscribe(desk->bus, ">", 0, keep, desk), 0);
}

/* Delivers what has been published. */
static void desk_deliver(struct desk *desk)
{
    tbus_stats_t stats;
    do {
        uv_run(&desk->loop, UV_RUN_NOWAIT);
        cr_assert_eq(tbus_stats(desk->bus, &stats), 0);
    } while (stats.queued_events > 0);
}

static void desk_close(struct desk *desk)
{
    cr_assert_eq(tbus_close(desk->bus, 1000, NULL, NULL), 0);
    uv_run(&desk->loop, UV_RUN_DEFAULT);
    cr_assert_eq(tbus_free(desk->bus), 0);
    cr_assert_eq(uv_loop_close(&desk->loop), 0);
    tbus_mem_free(desk->told);
}

static int publish_text(struct desk *desk, const char *text, char *why, size_t why_bytes)
{
    int error = tbus_publish_json(desk->bus, text, strlen(text), why, why_bytes);
    desk_deliver(desk);
    return error;
}

/* The event must come out as `expected`. */
static void expect_told(struct desk *desk, const char *text, const char *expected)
{
    char why[256] = "";
    int before = desk->count;
    int error = publish_text(desk, text, why, sizeof why);
    cr_assert_eq(error, 0, "%s: %s", text, why);
    cr_assert_eq(desk->count, before + 1);
    cr_assert_eq(desk->told_code, 0);
    cr_assert_str_eq(desk->told, expected, "%s is not %s", desk->told, expected);
}

static char *told_of(const tbus_event_t *event)
{
    char *text = NULL;
    cr_assert_eq(tbus_event_to_json(NULL, event, &text), 0);
    return text;
}

/* --- Telling --- */

Test(event_json, tells_an_event_in_one_line)
{
    struct desk desk;
    desk_open(&desk);
    const tbus_pair_t metadata[] = {{"region", "eu\n\"1\""}, {NULL, "dropped"}, {"dropped", NULL}};
    const tbus_stream_started_t event = {.base = {.type = TBUS_STREAM_STARTED,
                                                  .id = 3,
                                                  .time_ns = TIME_NS,
                                                  .request_id = "req-1",
                                                  .api_key = "k",
                                                  .metadata = metadata,
                                                  .metadata_count = 3},
                                         .stream_id = "s",
                                         .model = "gpt-4o",
                                         .input_tokens = 150,
                                         .temperature = 0.5};
    char *text = told_of(&event.base);
    cr_assert_str_eq(text,
                     "{\"type\":\"stream.started\",\"id\":3,\"time_ns\":1700000000123456789,"
                     "\"request_id\":\"req-1\",\"api_key\":\"k\",\"stream_id\":\"s\",\"model\":\"gpt-4o\","
                     "\"input_tokens\":150,\"temperature\":0.5,\"max_tokens\":0,"
                     "\"metadata\":{\"region\":\"eu\\n\\\"1\\\"\"}}",
                     "%s", text);
    tbus_mem_free(text);
    desk_close(&desk);
}

Test(event_json, leaves_out_what_is_absent)
{
    struct desk desk;
    desk_open(&desk);
    tbus_gpu_metrics_t gpu = {.base.type = TBUS_GPU_METRICS,
                              .base.id = 1,
                              .utilization = NAN,
                              .power_watts = INFINITY,
                              .temperature = -INFINITY};
    char *text = told_of(&gpu.base);
    cr_assert_str_eq(text, "{\"type\":\"gpu.metrics\",\"id\":1,\"time_ns\":0,\"memory_used\":0,\"memory_total\":0}");
    tbus_mem_free(text);

    const char *const tokens[] = {"a", NULL};
    tbus_tokens_batch_generated_t batch = {
        .base = {.type = TBUS_TOKENS_BATCH_GENERATED, .id = UINT64_MAX}, .tokens = tokens, .tokens_count = -1};
    text = told_of(&batch.base);
    cr_assert_str_eq(text, "{\"type\":\"tokens.batch_generated\",\"time_ns\":0,\"batch_size\":0}");
    tbus_mem_free(text);
    batch.tokens_count = 2;
    text = told_of(&batch.base);
    cr_assert_str_eq(text, "{\"type\":\"tokens.batch_generated\",\"time_ns\":0,\"batch_size\":0,"
                           "\"tokens\":[\"a\",\"\"]}");
    tbus_mem_free(text);
    desk_close(&desk);
}

Test(event_json, refuses_bad_arguments)
{
    struct desk desk;
    desk_open(&desk);
    char *text = NULL;
    const tbus_event_t none = {.type = TBUS_TYPE_NONE}, past = {.type = TBUS_TYPE_BUILTIN_END},
                       good = {.type = TBUS_DECODE_STARTED};
    cr_assert_eq(tbus_event_to_json(NULL, NULL, &text), UV_EINVAL);
    cr_assert_eq(tbus_event_to_json(NULL, &none, &text), UV_EINVAL);
    cr_assert_eq(tbus_event_to_json(NULL, &past, &text), UV_EINVAL);
    cr_assert_eq(tbus_event_to_json(NULL, &good, NULL), UV_EINVAL);
    cr_assert_null(text);
    cr_assert_eq(tbus_publish_json(NULL, "{}", 2, NULL, 0), UV_EINVAL);
    cr_assert_eq(tbus_publish_json(desk.bus, NULL, 2, NULL, 0), UV_EINVAL);
    cr_assert_eq(tbus_publish_json(desk.bus, "{", 1, NULL, 0), UV_EINVAL);
    desk_close(&desk);
}

static const struct mended {
    const char *bytes, *told;
} mended[] = {
    {"na\xC3\xAFve", "na\xC3\xAFve"},
    {"\xF0\x9F\x99\x82", "\xF0\x9F\x99\x82"},
    {"a\xFFz", "a\xEF\xBF\xBDz"},
    {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                   /* a longer way to write '/' */
    {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                   /* a surrogate */
    {"\xF4\x90\x80\x80!", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD!"}, /* past U+10FFFF */
    {"cut \xE2\x82", "cut \xEF\xBF\xBD\xEF\xBF\xBD"},
    {"\x80", "\xEF\xBF\xBD"},
};

Test(event_json, mends_bytes_that_are_not_utf8)
{
    struct desk desk;
    desk_open(&desk);
    for (size_t i = 0; i < sizeof mended / sizeof *mended; i++) {
        const tbus_pair_t pair = {mended[i].bytes, mended[i].bytes};
        tbus_cache_miss_t event = {.base = {.type = TBUS_CACHE_MISS, .id = 1, .metadata = &pair, .metadata_count = 1},
                                   .cache_type = mended[i].bytes};
        char expected[256], *text = told_of(&event.base);
        snprintf(expected, sizeof expected,
                 "{\"type\":\"cache.miss\",\"id\":1,\"time_ns\":0,\"cache_type\":\"%s\",\"metadata\":{\"%s\":\"%s\"}}",
                 mended[i].told, mended[i].told, mended[i].told);
        cr_assert_str_eq(text, expected, "case %zu: %s", i, text);
        tbus_mem_free(text);
    }
    desk_close(&desk);
}

Test(event_json, tells_a_string_of_ten_megabytes)
{
    struct desk desk;
    desk_open(&desk);
    size_t length = 10 * 1024 * 1024;
    char *huge = malloc(length + 1);
    cr_assert_not_null(huge);
    memset(huge, 'x', length);
    huge[length] = '\0';
    huge[length / 2] = '\xFF';
    const tbus_cache_miss_t event = {.base.type = TBUS_CACHE_MISS, .cache_type = huge};
    char *text = told_of(&event.base);
    cr_assert_gt(strlen(text), length);
    cr_assert_not_null(strstr(text, "x\xEF\xBF\xBDx"));
    /* Its beginning is kept: the bus cuts it. */
    cr_assert_eq(publish_text(&desk, text, NULL, 0), 0);
    cr_assert_eq(desk.count, 1);
    tbus_mem_free(text);
    free(huge);
    desk_close(&desk);
}

/* --- There and back --- */

static struct field_value value_of_name(const tbus_field_t *field, uint32_t nth, void *user)
{
    static const char *const list[] = {"one", "", "drei \xE2\x82\xAC"};
    (void)user;
    return (struct field_value){.string = field->name,
                                .number = nth % 2 ? INT64_MAX - nth : INT64_MIN + nth,
                                .real = -1.0 / 3 * (nth + 1),
                                .truth = true,
                                .list = list,
                                .entries = 3};
}

static int times_in(const char *text, const char *part)
{
    int times = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        times++;
    return times;
}

Test(event_json, brings_every_type_and_field_back)
{
    struct desk desk;
    desk_open(&desk);
    for (uint32_t number = 1; number < TBUS_TYPE_BUILTIN_END; number++) {
        const tbus_type_t *type = tbus_builtin_type(number);
        const tbus_pair_t metadata[] = {{"a", "b"}, {"\xC3\xA4", ""}};
        tbus_event_t *event = event_filled(number, value_of_name, NULL);
        event->id = desk.id;
        event->time_ns = TIME_NS;
        event->metadata = metadata;
        event->metadata_count = 2;
        char *text = told_of(event), key[80];
        for (uint32_t i = 0; i < type->fields_count; i++) {
            snprintf(key, sizeof key, "\"%s\":", type->fields[i].name);
            cr_assert_eq(times_in(text, key), 1, "%s in %s", key, text);
        }
        expect_told(&desk, text, text);
        tbus_mem_free(text);
        free(event);
    }
    cr_assert_eq(desk.count, (int)TBUS_TYPE_BUILTIN_END - 1);
    desk_close(&desk);
}

Test(event_json, reads_a_shared_name_into_the_struct_and_the_base)
{
    struct desk desk;
    desk_open(&desk);
    expect_told(&desk, "{\"type\":\"usage.recorded\",\"time_ns\":5,\"user_id\":\"amina\",\"cost_usd\":2}",
                "{\"type\":\"usage.recorded\",\"id\":7,\"time_ns\":5,\"user_id\":\"amina\",\"prompt_tokens\":0,"
                "\"completion_tokens\":0,\"cost_usd\":2.0}");
    cr_assert_str_eq(desk.user_id[0], "amina");
    cr_assert_str_eq(desk.user_id[1], "amina");
    expect_told(&desk, "{\"type\":\"usage.recorded\"}",
                "{\"type\":\"usage.recorded\",\"id\":7,\"time_ns\":1700000000123456789,\"prompt_tokens\":0,"
                "\"completion_tokens\":0}");
    cr_assert_str_eq(desk.user_id[0], "NULL");
    cr_assert_str_eq(desk.user_id[1], "NULL");
    desk_close(&desk);
}

Test(event_json, tells_a_shared_name_once_and_the_structs_first)
{
    struct desk desk;
    desk_open(&desk);
    tbus_quota_updated_t event = {.base = {.type = TBUS_QUOTA_UPDATED, .user_id = "of the base"},
                                  .user_id = "of the struct",
                                  .used = NAN,
                                  .limit = NAN};
    char *text = told_of(&event.base);
    cr_assert_str_eq(text, "{\"type\":\"quota.updated\",\"id\":0,\"time_ns\":0,\"user_id\":\"of the struct\"}");
    tbus_mem_free(text);
    event.user_id = NULL;
    text = told_of(&event.base);
    cr_assert_str_eq(text, "{\"type\":\"quota.updated\",\"id\":0,\"time_ns\":0,\"user_id\":\"of the base\"}");
    tbus_mem_free(text);
    desk_close(&desk);
}

/* --- Reading --- */

#define STREAM(field) "{\"type\":\"stream.started\"," field "}"

static const struct {
    const char *number;
    int64_t read;
} whole_numbers[] = {
    {"3", 3},
    {"3.0", 3},
    {"-0.0", 0},
    {"1e3", 1000},
    {"-2.5e1", -25},
    {"9223372036854775807", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
    {"-9223372036854775808.0", INT64_MIN},
    {"null", 0},
};

Test(event_json, reads_whole_numbers_however_they_are_written)
{
    struct desk desk;
    desk_open(&desk);
    for (size_t i = 0; i < sizeof whole_numbers / sizeof *whole_numbers; i++) {
        char text[128], why[128] = "";
        snprintf(text, sizeof text, STREAM("\"input_tokens\":%s"), whole_numbers[i].number);
        cr_assert_eq(publish_text(&desk, text, why, sizeof why), 0, "%s: %s", text, why);
        cr_assert_eq(desk.input_tokens, whole_numbers[i].read, "%s", text);
    }
    desk_close(&desk);
}

static const struct {
    const char *text, *why;
} refused[] = {
    {"", "not JSON: the text is empty"},
    {"{", "not JSON: "},
    {"{} {}", "not JSON: "},
    {"\x01", "not JSON: "},
    {"{\"type\":\"stream.started\",\"model\":\"\xFF\"}", "not JSON: "},
    {"[]", "an event is an object, got a list"},
    {"{}", "the object has no 'type'"},
    {"{\"type\":3}", "field 'type' wants a string, got a number"},
    {"{\"type\":\"stream.begun\"}", "there is no event type 'stream.begun'"},
    {"{\"type\":\"\\u001b[2J\"}", "there is no event type '?[2J'"},
    {STREAM("\"model\":3"), "field 'model' wants a string, got a number"},
    {STREAM("\"model\":{}"), "field 'model' wants a string, got an object"},
    {STREAM("\"temperature\":\"hot\""), "field 'temperature' wants a number, got a string"},
    {STREAM("\"temperature\":true"), "field 'temperature' wants a number, got true or false"},
    {STREAM("\"input_tokens\":\"3\""), "field 'input_tokens' wants a number, got a string"},
    {STREAM("\"input_tokens\":3.5"), "field 'input_tokens' wants a whole number, got 3.5"},
    {STREAM("\"input_tokens\":9223372036854775808.0"),
     "field 'input_tokens' wants a number that fits into 64 bits, got 9.2233720368547758e+18"},
    {STREAM("\"input_tokens\":9223372036854775808"), "not JSON: too big integer"},
    {STREAM("\"time_ns\":[]"), "field 'time_ns' wants a number, got a list"},
    {STREAM("\"api_key\":false"), "field 'api_key' wants a string, got true or false"},
    {STREAM("\"metadata\":[]"), "field 'metadata' wants an object of strings, got a list"},
    {STREAM("\"metadata\":{\"a\":\"b\",\"k\":1}"), "metadata 'k' wants a string, got a number"},
    {STREAM("\"model\":\"a\\u0000b\""), "not an event: a string with \\u0000 in it"},
    {STREAM("\"a\\u0000b\":1"), "not an event: a string with \\u0000 in it"},
    {"{\"type\":\"worker.completed\",\"success\":1}", "field 'success' wants true or false, got a number"},
    {"{\"type\":\"tokens.batch_generated\",\"tokens\":\"a\"}", "field 'tokens' wants a list of strings, got a string"},
    {"{\"type\":\"tokens.batch_generated\",\"tokens\":[\"a\",null]}",
     "field 'tokens' wants a list of strings, got null in it"},
};

Test(event_json, says_why_it_refuses)
{
    struct desk desk;
    desk_open(&desk);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char why[256] = "";
        cr_assert_eq(publish_text(&desk, refused[i].text, why, sizeof why), UV_EINVAL, "%s", refused[i].text);
        cr_assert(strncmp(why, refused[i].why, strlen(refused[i].why)) == 0, "%s: '%s' is not '%s'", refused[i].text,
                  why, refused[i].why);
    }
    cr_assert_eq(desk.count, 0);
    desk_close(&desk);
}

Test(event_json, ignores_what_it_does_not_know)
{
    struct desk desk;
    desk_open(&desk);
    expect_told(&desk,
                " {\"id\":\"mine\",\"novel\":[{}],\"type\":\"cache.miss\",\"time_ns\":9,\"cache_type\":null,"
                "\"metadata\":{}}\n",
                "{\"type\":\"cache.miss\",\"id\":7,\"time_ns\":9}");
    desk_close(&desk);
}

Test(event_json, cuts_the_reason_between_two_characters)
{
    struct desk desk;
    desk_open(&desk);
    static const char text[] = "{\"type\":\"\xE2\x82\xAC\xE2\x82\xAC\"}";
    char why[64];
    for (size_t room = 1; room < sizeof why; room++) {
        memset(why, '#', sizeof why);
        cr_assert_eq(tbus_publish_json(desk.bus, text, sizeof text - 1, why, room), UV_EINVAL);
        cr_assert_lt(strlen(why), room);
        cr_assert_null(strchr(why, '?'), "%s", why);
        cr_assert_eq(why[room], '#');
    }
    desk_close(&desk);
}

Test(event_json, refuses_deep_nesting)
{
    struct desk desk;
    desk_open(&desk);
    size_t depth = 1000000;
    char *text = malloc(depth), why[128] = "";
    cr_assert_not_null(text);
    memset(text, '[', depth);
    cr_assert_eq(tbus_publish_json(desk.bus, text, depth, why, sizeof why), UV_EINVAL);
    cr_assert_str_eq(why, "not an event: nested too deeply");
    free(text);
    desk_close(&desk);
}

Test(event_json, passes_on_what_the_bus_says)
{
    struct desk desk;
    desk_open(&desk);
    cr_assert_eq(tbus_close(desk.bus, 1000, NULL, NULL), 0);
    cr_assert_eq(tbus_publish_json(desk.bus, "{\"type\":\"decode.started\"}", 25, NULL, 0), UV_ESHUTDOWN);
    uv_run(&desk.loop, UV_RUN_DEFAULT);
    cr_assert_eq(tbus_free(desk.bus), 0);
    cr_assert_eq(uv_loop_close(&desk.loop), 0);
}

/* --- Without memory --- */

static int tell_what_is_no_utf8(struct oom *oom)
{
    const tbus_pair_t pair = {"\xFF", "\xFF"};
    const tbus_cache_miss_t event = {.base = {.type = TBUS_CACHE_MISS, .metadata = &pair, .metadata_count = 1},
                                     .cache_type = "\xFE"};
    char *text = NULL;
    oom_arm(oom);
    int error = tbus_event_to_json(NULL, &event.base, &text);
    cr_assert_eq(text != NULL, error == 0);
    tbus_mem_free(text);
    return error;
}

Test(event_json, survives_every_failing_allocation_when_telling)
{
    struct desk desk;
    desk_open(&desk);
    desk_close(&desk);
    cr_assert_gt(oom_try_each(tell_what_is_no_utf8), 0);
}

Test(event_json, survives_every_failing_allocation_when_reading)
{
    static const char text[] =
        "{\"type\":\"tokens.batch_generated\",\"tokens\":[\"a\",\"b\"],\"metadata\":{\"k\":\"v\"}}";
    struct oom oom = {.fail_at = -1};
    long needed = -1;
    oom_install(&oom);
    struct desk desk;
    desk_open(&desk);
    for (long at = 0; needed < 0; at++) {
        long live = oom.live, failed = oom.failed;
        oom.fail_at = oom.calls + at;
        int error = tbus_publish_json(desk.bus, text, sizeof text - 1, NULL, 0);
        oom.fail_at = -1;
        cr_assert_eq(oom.live, live);
        cr_assert_eq(error, oom.failed > failed ? UV_ENOMEM : 0);
        if (oom.failed == failed)
            needed = at;
    }
    desk_deliver(&desk);
    cr_assert_eq(needed, 3);
    cr_assert_eq(desk.count, 1);
    desk_close(&desk);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}
