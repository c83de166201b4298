/* What tbus_event_to_json() says is tested in test_event_json.c; here is what only the line itself can do. */
#include <math.h>
#include <string.h>

#include "exporters/json_line.h"
#include "tests/check.h"

static const tbus_pair_t pairs[] = {{"authorization", "Bearer eyJh.abc and more"},
                                    {"twice", "first"},
                                    {NULL, "x"},
                                    {"twice", "sk-live-1"},
                                    {"y", NULL}};

static const tbus_error_occurred_t failed = {.base = {.type = TBUS_ERROR_OCCURRED,
                                                      .id = 9,
                                                      .time_ns = -5,
                                                      .request_id = "sk-request",
                                                      .api_key = "sk-proj-0123456789",
                                                      .metadata = pairs,
                                                      .metadata_count = 5},
                                             .error_type = "auth\"\\\x01\n\x7f\xff",
                                             .error_message = "bad key sk-proj-0123456789\n\xc3\xa9\xfe!",
                                             .stack_trace = "",
                                             .status_code = -401};

static size_t line_of(enum json_secrets secrets, char *line, size_t room)
{
    return json_line(tbus_builtin_type(TBUS_ERROR_OCCURRED), &failed.base, secrets, line, room);
}

#define BEGINNING "{\"type\":\"error.occurred\",\"id\":9,\"time_ns\":-5,\"request_id\":\"sk-request\",\"api_key\":\""
#define TYPE "\",\"error_type\":\"auth\\\"\\\\\\u0001\\n\x7f\xEF\xBF\xBD\",\"error_message\":\"bad key sk-"
#define REST                                                                                                           \
    "\\n\xc3\xa9\xEF\xBF\xBD!\",\"stack_trace\":\"\",\"status_code\":-401,\"metadata\":{\"authorization\":\"Bearer "

Test(json_line, hides_as_much_as_it_is_told)
{
    static const struct {
        enum json_secrets secrets;
        const char *line;
    } cases[] = {
        {JSON_SECRETS_SHOWN,
         BEGINNING "sk-proj-0123456789" TYPE "proj-0123456789" REST "eyJh.abc and more\",\"twice\":\"sk-live-1\"}}"},
        {JSON_SECRETS_KEYS,
         BEGINNING "sk-p..88fd2d4d" TYPE "proj-0123456789" REST "eyJh.abc and more\",\"twice\":\"sk-live-1\"}}"},
        {JSON_SECRETS_MASKED, BEGINNING "sk-p..88fd2d4d" TYPE "*" REST "* and more\",\"twice\":\"sk-*\"}}"},
    };
    char line[1024];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = line_of(cases[i].secrets, line, sizeof line - 1);
        cr_assert_lt(length, sizeof line);
        line[length] = '\0';
        cr_assert_str_eq(line, cases[i].line, "%s\n%s", line, cases[i].line);
    }
}

Test(json_line, says_what_it_needs_and_writes_no_further_than_its_room)
{
    char whole[1024], line[1025];
    size_t length = line_of(JSON_SECRETS_MASKED, whole, sizeof whole);
    cr_assert_lt(length, sizeof whole);
    cr_assert_eq(line_of(JSON_SECRETS_MASKED, NULL, 0), length);
    for (size_t room = 0; room <= length + 1; room++) {
        memset(line, '#', sizeof line);
        cr_assert_eq(line_of(JSON_SECRETS_MASKED, line, room), length);
        cr_assert_eq(line[room], '#');
        cr_assert_arr_eq(line, whole, room < length ? room : length);
    }
}

Test(json_line, numbers_keep_their_kind_and_their_value)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {-0.0, "-0.0"},
                 {0.1, "0.1"},
                 {1e22, "1e+22"},
                 {-250, "-250.0"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"}};
    char line[256], expected[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tbus_stream_first_token_t event = {.base.type = TBUS_STREAM_FIRST_TOKEN, .ttft_ms = cases[i].number};
        size_t length = json_line(tbus_builtin_type(TBUS_STREAM_FIRST_TOKEN), &event.base, JSON_SECRETS_SHOWN, line,
                                  sizeof line - 1);
        line[length] = '\0';
        snprintf(expected, sizeof expected, "{\"type\":\"stream.first_token\",\"id\":0,\"time_ns\":0,\"ttft_ms\":%s}",
                 cases[i].text);
        cr_assert_str_eq(line, expected, "%s", line);
    }
}

Test(json_line, lists_and_extreme_integers)
{
    const char *const tokens[] = {"a", NULL, ""};
    const tbus_tokens_batch_generated_t event = {
        .base = {.type = TBUS_TOKENS_BATCH_GENERATED, .id = UINT64_MAX, .time_ns = INT64_MIN},
        .batch_size = INT64_MAX,
        .tokens = tokens,
        .tokens_count = 3};
    char line[256];
    size_t length =
        json_line(tbus_builtin_type(TBUS_TOKENS_BATCH_GENERATED), &event.base, JSON_SECRETS_SHOWN, line, sizeof line);
    line[length] = '\0';
    cr_assert_str_eq(line,
                     "{\"type\":\"tokens.batch_generated\",\"time_ns\":-9223372036854775808,"
                     "\"batch_size\":9223372036854775807,\"tokens\":[\"a\",\"\",\"\"]}",
                     "%s", line);
}
