/* The log: lines as they come out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/cost.h>
#include <tallybus/log.h>

#include "subscribers/log_line.h"
#include "tests/bus/fixture.h"
#include "tests/check.h"
#include "tests/oom.h"

#define TIME_NS INT64_C(1700158546680000000) /* 2023-11-16T18:15:46.680Z */
#define TIME "2023-11-16T18:15:46.680Z "

/* --- A bus, and what its log wrote --- */

struct pad {
    struct hosted hosted;
    char text[1 << 16]; /* the lines, each with a newline */
    size_t length;
    int lines;
    int64_t now_ns;
};

static struct pad pad;

static void keep_line(const char *line, size_t length, void *user)
{
    struct pad *to = user;
    cr_assert_eq(strlen(line), length);
    cr_assert_null(strpbrk(line, "\n\r"), "%s", line);
    cr_assert_leq(to->length + length + 2, sizeof to->text);
    memcpy(to->text + to->length, line, length);
    to->length += length;
    to->text[to->length++] = '\n';
    to->text[to->length] = '\0';
    to->lines++;
}

static int64_t pad_clock(void *user)
{
    return ((struct pad *)user)->now_ns;
}

static int64_t pad_open(tbus_log_options_t options)
{
    memset(&pad, 0, sizeof pad);
    pad.now_ns = TIME_NS;
    hosted_open(&pad.hosted, &(tbus_options_t){.clock = pad_clock, .clock_user = &pad, .string_max_bytes = 1 << 18});
    options.write = keep_line;
    options.user = &pad;
    int64_t subscription = tbus_log_attach(pad.hosted.bus, &options);
    cr_assert_gt(subscription, 0);
    return subscription;
}

static void expect_text(const char *expected)
{
    hosted_deliver(&pad.hosted);
    cr_assert_str_eq(pad.text, expected, "\n%s\nis not\n%s", pad.text, expected);
    pad.length = 0;
    pad.text[0] = '\0';
}

static void publish_model(const char *model)
{
    cr_assert_eq(tbus_publish_model_selected(pad.hosted.bus, &(tbus_model_selected_t){.model_id = model}), 0);
}

/* --- Lines --- */

Test(log, a_line_has_the_time_the_topic_and_what_is_there)
{
    pad_open((tbus_log_options_t){0});
    tbus_t *bus = pad.hosted.bus;
    cr_assert_eq(tbus_publish_stream_started(bus, &(tbus_stream_started_t){.base = {.request_id = "req-81f3"},
                                                                           .stream_id = "s-17",
                                                                           .model = "gpt-4o",
                                                                           .input_tokens = 374,
                                                                           .temperature = NAN}),
                 0);
    expect_text(TIME "stream.started stream_id=s-17 model=gpt-4o input_tokens=374 request_id=req-81f3\n");
    cr_assert_eq(tbus_publish_worker_completed(
                     bus, &(tbus_worker_completed_t){.duration_ms = -0.25, .success = true, .worker_id = ""}),
                 0);
    expect_text(TIME "worker.completed worker_id=\"\" duration_ms=-0.25 success=true\n");
    const tbus_pair_t pairs[] = {{"tenant", "acme"}, {"a b", "c=d"}, {NULL, "x"}, {"x", NULL}};
    cr_assert_eq(
        tbus_publish_decode_started(bus, &(tbus_decode_started_t){.base = {.metadata = pairs, .metadata_count = 4}}),
        0);
    expect_text(TIME "decode.started metadata.tenant=acme metadata.\"a b\"=\"c=d\"\n");
    const char *const nine[] = {"a", "b c", NULL, "d", "e", "f", "g", "h", "i"};
    cr_assert_eq(tbus_publish_tokens_batch_generated(
                     bus, &(tbus_tokens_batch_generated_t){.batch_size = -3, .tokens = nine, .tokens_count = 9}),
                 0);
    expect_text(TIME "tokens.batch_generated batch_size=-3 tokens=[a,\"b c\",\"\",d,e,f,g,h,...+1]\n");
    cr_assert_eq(tbus_publish_gpu_metrics(bus, &(tbus_gpu_metrics_t){.utilization = INFINITY, .power_watts = 1e300}),
                 0);
    expect_text(TIME "gpu.metrics utilization=+Inf power_watts=1e+300 temperature=0\n");
    hosted_close(&pad.hosted);
}

Test(log, a_name_shared_with_the_base_is_shown_once)
{
    pad_open((tbus_log_options_t){0});
    tbus_usage_recorded_t usage = {.base.user_id = "base", .user_id = "own", .cost_usd = NAN};
    cr_assert_eq(tbus_publish_usage_recorded(pad.hosted.bus, &usage), 0);
    expect_text(TIME "usage.recorded user_id=own\n");
    usage.user_id = NULL;
    cr_assert_eq(tbus_publish_usage_recorded(pad.hosted.bus, &usage), 0);
    expect_text(TIME "usage.recorded user_id=base\n");
    hosted_close(&pad.hosted);
}

Test(log, hostile_strings_stay_in_their_line_and_their_quotes)
{
    static const struct {
        const char *string, *shown;
    } cases[] = {
        {"plain-1.2_/:x", "plain-1.2_/:x"},
        {"\xc3\xa9t\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9t\xc3\xa9\xf0\x9f\x98\x80"},
        {"two words", "\"two words\""},
        {"a\nERROR forged", "\"a\\nERROR forged\""},
        {"\r\t\x01\x1b[31m\x7f", "\"\\r\\t\\x01\\x1b[31m\\x7f\""},
        {"\"q\" \\ x=1", "\"\\\"q\\\" \\\\ x=1\""},
        {"\xff\xc3(\xed\xa0\x80\xe2\x82", "\"\\xff\\xc3(\\xed\\xa0\\x80\\xe2\\x82\""},
        {"\xc2\x9b"
         "31m",
         "\"\\u009b31m\""},
        {"\xe2\x80\xa8\xe2\x80\xae", "\"\\u2028\\u202e\""},
        {"\xf3\xa0\x80\x81", "\"\\U000e0001\""},
        {"a,b]", "\"a,b]\""},
        {"use sk-proj-abc or Bearer eyJ.x!", "\"use sk-* or Bearer *!\""},
    };
    char expected[256];
    pad_open((tbus_log_options_t){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        publish_model(cases[i].string);
        snprintf(expected, sizeof expected, TIME "model.selected model_id=%s\n", cases[i].shown);
        expect_text(expected);
    }
    hosted_close(&pad.hosted);
}

Test(log, an_api_key_is_never_shown)
{
    static const char *const keys[] = {"sk-proj-0123456789", "short", "sk-p..88fd2d4d", "\x1b\n= evil \xff key"};
    char redacted[TBUS_REDACTED_BYTES], expected[256];
    pad_open((tbus_log_options_t){0});
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        cr_assert_eq(tbus_publish_decode_started(pad.hosted.bus, &(tbus_decode_started_t){.base.api_key = keys[i]}), 0);
        tbus_redact_key(keys[i], redacted);
        const char *quote = strpbrk(redacted, "= ") ? "\"" : "";
        snprintf(expected, sizeof expected, TIME "decode.started api_key=%s%s%s\n", quote, redacted, quote);
        expect_text(expected);
    }
    hosted_close(&pad.hosted);
}

Test(log, long_strings_are_cut_between_two_characters)
{
    static const struct {
        const char *string, *shown;
    } cases[] = {
        {"0123456789abcdef", "0123456789abcdef"},
        {"0123456789abcdefg", "\"0123456789abcdef...+1\""},
        {"0123456789abcd\xe2\x82\xac", "\"0123456789abcd...+3\""},
        {"0123456789abcde\xc3\xa9!", "\"0123456789abcde...+3\""},
        {"0123456789abcdef\xc3\xa9", "\"0123456789abcdef...+2\""},
        {"0123456789abc\x80\x80\x80\x80\x80", "\"0123456789abc\\x80\\x80\\x80...+2\""},
        {"say sk-proj-abcdefghij", "\"say sk-*...+6\""},
    };
    char expected[256];
    pad_open((tbus_log_options_t){.string_max_bytes = 16});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        publish_model(cases[i].string);
        snprintf(expected, sizeof expected, TIME "model.selected model_id=%s\n", cases[i].shown);
        expect_text(expected);
    }
    char *large = malloc((1 << 18) + 1);
    memset(large, 'x', 1 << 18);
    large[1 << 18] = '\0';
    publish_model(large);
    expect_text(TIME "model.selected model_id=\"xxxxxxxxxxxxxxxx...+262128\"\n");
    free(large);
    hosted_close(&pad.hosted);
}

Test(log, long_lines_are_cut_and_say_so)
{
    char name[5000];
    pad_open((tbus_log_options_t){.string_max_bytes = 65536, .line_max_bytes = 256});
    for (size_t pad_bytes = 0; pad_bytes < 4; pad_bytes++) {
        memset(name, 'x', pad_bytes);
        for (size_t i = pad_bytes; i + 2 < sizeof name; i += 2)
            memcpy(name + i, "\xc3\xa9", 3);
        publish_model(name);
        hosted_deliver(&pad.hosted);
        cr_assert_geq(pad.length, 256); /* the newline is the test's */
        cr_assert_leq(pad.length, 257);
        cr_assert_arr_eq(pad.text + pad.length - 6, "\xc3\xa9...\n", 6, "%s", pad.text);
        pad.length = 0;
    }
    hosted_close(&pad.hosted);
}

struct made_up {
    tbus_event_t base;
    const char *text;
    int64_t number;
};

Test(log, types_of_the_host_are_shown_by_their_fields)
{
    static const tbus_field_t fields[] = {{"odd\nname", TBUS_KIND_STRING, offsetof(struct made_up, text), 0},
                                          {"number", TBUS_KIND_INT, offsetof(struct made_up, number), 0}};
    static const tbus_type_t type = {"my.type", TBUS_CLASS_VITAL, sizeof(struct made_up), 2, fields};
    struct made_up event = {.text = "a", .number = INT64_MIN};
    pad_open((tbus_log_options_t){.pattern = "my.*"});
    cr_assert_eq(tbus_type_register(pad.hosted.bus, &type, &event.base.type), 0);
    cr_assert_eq(tbus_publish(pad.hosted.bus, &event.base), 0);
    publish_model("not asked for");
    expect_text(TIME "my.type \"odd\\nname\"=a number=-9223372036854775808\n");
    hosted_close(&pad.hosted);
}

/* --- Time --- */

Test(log, times_are_utc)
{
    static const struct {
        int64_t time_ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000001, "1969-12-31T23:59:59.998Z"},
        {INT64_C(951782399999999999), "2000-02-28T23:59:59.999Z"},
        {INT64_C(951782400000000000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(951868800000000000), "2000-03-01T00:00:00.000Z"},
        {INT64_C(1735689599999000000), "2024-12-31T23:59:59.999Z"},
        {INT64_C(4107542400000000000), "2100-03-01T00:00:00.000Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854Z"},
        {INT64_MIN, "1677-09-21T00:12:43.145Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[LOG_LINE_TIME_BYTES + 1] = "";
        log_line_time(cases[i].time_ns, text);
        cr_assert_str_eq(text, cases[i].text, "%s is not %s", text, cases[i].text);
    }
}

/* --- Limits --- */

Test(log, lines_past_the_limit_are_counted_and_told)
{
    pad_open((tbus_log_options_t){.lines_per_second = 2});
    for (int i = 0; i < 5; i++)
        publish_model("a");
    expect_text(TIME "model.selected model_id=a\n" TIME "model.selected model_id=a\n");
    pad.now_ns += 999999999;
    publish_model("b");
    expect_text("");
    pad.now_ns += 1;
    publish_model("c");
    expect_text("2023-11-16T18:15:47.680Z log.suppressed lines=4\n"
                "2023-11-16T18:15:47.680Z model.selected model_id=c\n");
    pad.now_ns += INT64_C(5000000000);
    publish_model("d");
    expect_text("2023-11-16T18:15:52.680Z model.selected model_id=d\n");
    publish_model("e");
    publish_model("f");
    hosted_deliver(&pad.hosted);
    pad.length = 0;
    hosted_close(&pad.hosted);
    cr_assert_str_eq(pad.text, "2023-11-16T18:15:52.680Z log.suppressed lines=1\n", "%s", pad.text);
}

Test(log, it_ends_when_it_is_unsubscribed)
{
    int64_t subscription = pad_open((tbus_log_options_t){0});
    publish_model("a");
    expect_text(TIME "model.selected model_id=a\n");
    cr_assert_eq(tbus_unsubscribe(pad.hosted.bus, subscription), 0);
    publish_model("b");
    expect_text("");
    hosted_close(&pad.hosted);
}

Test(log, nothing_is_allocated_for_an_event)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    pad_open((tbus_log_options_t){.lines_per_second = 100});
    publish_model("a");
    hosted_deliver(&pad.hosted);
    long calls = oom.calls;
    for (int i = 0; i < 1000; i++)
        publish_model("use sk-proj-abc\xff");
    hosted_deliver(&pad.hosted);
    cr_assert_eq(oom.calls, calls);
    hosted_close(&pad.hosted);
    oom_remove();
    cr_assert_eq(oom.live, 0);
    cr_assert_eq(pad.lines, 101); /* 100 and how many were left out */
}

Test(log, bad_arguments_are_refused)
{
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    const tbus_log_options_t bad[] = {{0},
                                      {.write = keep_line, .string_max_bytes = 15},
                                      {.write = keep_line, .string_max_bytes = 65537},
                                      {.write = keep_line, .line_max_bytes = 255},
                                      {.write = keep_line, .line_max_bytes = (1 << 20) + 1},
                                      {.write = keep_line, .pattern = "a..b"}};
    const tbus_log_options_t unknown = {.write = keep_line, .pattern = "no.such"}, good = {.write = keep_line};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(tbus_log_attach(hosted.bus, &bad[i]), UV_EINVAL, "case %zu", i);
    cr_assert_eq(tbus_log_attach(hosted.bus, NULL), UV_EINVAL);
    cr_assert_eq(tbus_log_attach(NULL, &good), UV_EINVAL);
    cr_assert_eq(tbus_log_attach(hosted.bus, &unknown), UV_ENOENT);
    hosted_close(&hosted);
}

static int attach_to_a_bus(struct oom *oom)
{
    const tbus_log_options_t options = {.write = keep_line, .user = &pad};
    struct hosted hosted;
    hosted_open(&hosted, NULL);
    oom_arm(oom);
    int64_t subscription = tbus_log_attach(hosted.bus, &options);
    oom_disarm(oom);
    hosted_close(&hosted);
    return subscription > 0 ? 0 : (int)subscription;
}

Test(log, every_allocation_may_fail)
{
    cr_assert_gt(oom_try_each(attach_to_a_bus), 0);
}
