/* The tallybus command, run as a user runs it. Each command is a line for the shell, in which $T is the command, $S the
 * source tree and $D a directory of the test's own. */
#define _GNU_SOURCE 1 /* mkdtemp(), setenv() */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/tools/tool.h"

#define SAMPLE "\"$S/tests/tools/sample_trace.csv\""
#define REAL "\"$S/../shared/data/AzureLLMInferenceTrace_conv.csv\""
#define PRICES "\"$S/../shared/data/model_prices.json\""

/* --- Running --- */

static char *out, *err; /* what the last command wrote */

static char *content(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch_directory, name);
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *text = malloc(1 << 20);
    cr_assert_not_null(text);
    text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* Runs a command; returns its exit code and leaves what it wrote in `out` and `err`. */
__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char command[2048], whole[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "{ %s ; } >\"$D/out\" 2>\"$D/err\"", command);
    int status = system(whole);
    cr_assert(WIFEXITED(status), "%s", command);
    free(out);
    free(err);
    out = content("out");
    err = content("err");
    return WEXITSTATUS(status);
}

static void expect_run(int code, const char *command)
{
    int got = run("%s", command);
    cr_assert_eq(got, code, "%s: exit code %d, expected %d; it said: %s", command, got, code, err);
}

/* Skips where the command was built without JSON. */
static void need_json(void)
{
    if (run("\"$T\" simulate --rows 1 --json") == 2 && strstr(err, "built without JSON"))
        cr_skip_test("built without JSON");
}

static void need(const char *what, const char *test)
{
    if (run("%s", test) != 0)
        cr_skip_test("%s is not there", what);
}

/* The value of a key of a section of the report in `out`, as its text. */
static const char *figure(const char *section, const char *key)
{
    static char value[256];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\n  \"%s\": {", section);
    const char *at = strstr(out, wanted);
    cr_assert_not_null(at, "%s is not in the report: %s", section, out);
    snprintf(wanted, sizeof wanted, "\n    \"%s\": ", key);
    at = strstr(at, wanted);
    cr_assert_not_null(at, "%s.%s is not in the report", section, key);
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, ",\n"), at);
    return value;
}

static void expect_figure(const char *section, const char *key, const char *expected)
{
    const char *value = figure(section, key);
    cr_assert_str_eq(value, expected, "%s.%s is %s, expected %s", section, key, value, expected);
}

static void write_file(const char *name, const void *bytes, size_t length)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", scratch_directory, name);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
}

/* --- Figures --- */

static void compare_with_awk(const char *trace)
{
    char rows[32], tokens[32], events[32];
    run("awk -F, 'NR > 1 { rows++; tokens += $3; first += $3 > 0 }"
        " END { printf \"%%d %%d %%d\", rows, tokens, rows * 4 + tokens + first }' %s",
        trace);
    cr_assert_eq(sscanf(out, "%31s %31s %31s", rows, tokens, events), 3, "%s", out);
    cr_assert_eq(run("\"$T\" replay --json %s", trace), 0, "%s", err);
    cr_assert_str_eq(err, "");
    expect_figure("input", "rows", rows);
    expect_figure("streaming", "total_streams", rows);
    expect_figure("streaming", "completed_streams", rows);
    expect_figure("streaming", "total_tokens", tokens);
    expect_figure("errors", "total_requests", rows);
    expect_figure("cost", "requests", rows);
    expect_figure("events", "published", events);
    expect_figure("events", "delivered", events);
    expect_figure("events", "refused", "0");
}

/* What the oracle finds must be what the report says. */
static void compare_with_oracle(const char *trace, const char *options, const char *oracle_arguments)
{
    cr_assert_eq(run("\"$T\" replay --json %s %s > \"$D/report.json\"", options, trace), 0, "%s", err);
    run("python3 \"$S/tests/tools/replay_oracle.py\" %s \"$D/report.json\" %s", trace, oracle_arguments);
    fprintf(stderr, "%s%s", out, err);
    cr_assert_not_null(strstr(out, ", wrong 0\n"), "%s%s", out, err);
}

Test(replay, counts_what_awk_counts)
{
    prepare();
    need_json();
    compare_with_awk(SAMPLE);
}

Test(replay, counts_what_awk_counts_in_the_real_trace)
{
    prepare();
    need_json();
    need("the real trace", "test -e " REAL);
    compare_with_awk(REAL);
}

Test(replay, figures_equal_those_of_the_oracle)
{
    prepare();
    need_json();
    need("python3", "command -v python3");
    compare_with_oracle(SAMPLE, "", "");
    compare_with_oracle(SAMPLE, "--prefill-ms-per-token 0.123457 --itl-ms=7.000001 --threads 3", "123457 7000001");
    compare_with_oracle(SAMPLE, "--prefill-ms-per-token 0 --itl-ms 0", "0 0");
}

Test(replay, figures_of_the_real_trace_equal_those_of_the_oracle)
{
    prepare();
    need_json();
    need("python3", "command -v python3");
    need("the real trace", "test -e " REAL);
    compare_with_oracle(REAL, "", "");
}

Test(replay, a_price_file_changes_the_cost_to_the_unit)
{
    prepare();
    need_json();
    need("python3", "command -v python3");
    need("the price file", "test -e " PRICES);
    compare_with_oracle(SAMPLE, "--prices " PRICES, "250000 15000000 " PRICES " gpt-4o");
    compare_with_oracle(SAMPLE, "--model gpt-4o-mini --prices " PRICES, "250000 15000000 " PRICES " gpt-4o-mini");
}

/* A report but for its two figures of this machine. */
#define FIGURES " | grep -v -e '\"per_second\": ' -e '\"elapsed_s\": ' "

static void expect_same_figures(const char *one, const char *other)
{
    char *first;
    cr_assert_eq(run("%s" FIGURES, one), 0, "%s", err);
    first = strdup(out);
    cr_assert_not_null(first);
    cr_assert_eq(run("%s" FIGURES, other), 0, "%s", err);
    cr_assert_gt(strlen(out), 500);
    cr_assert_str_eq(out, first, "%s and %s differ", one, other);
    free(first);
}

Test(replay, any_number_of_threads_gives_the_same_figures)
{
    prepare();
    need_json();
    expect_same_figures("\"$T\" replay --json --threads 1 " SAMPLE, "\"$T\" replay --json --threads 2 " SAMPLE);
    expect_same_figures("\"$T\" replay --json --threads 1 " SAMPLE, "\"$T\" replay --json --threads 5 " SAMPLE);
    expect_same_figures("\"$T\" replay --json --threads 1 " SAMPLE, "\"$T\" replay --json --threads 64 " SAMPLE);
}

Test(replay, a_pace_changes_no_figure)
{
    prepare();
    need_json();
    expect_same_figures("\"$T\" replay --json " SAMPLE, "\"$T\" replay --json --speed 100000 " SAMPLE);
}

Test(replay, standard_input_is_a_file_like_any_other)
{
    prepare();
    need_json();
    expect_same_figures("\"$T\" replay --json " SAMPLE " | grep -v '\"file\": '",
                        "cat " SAMPLE " | \"$T\" replay --json - | grep -v '\"file\": '");
}

static void expect_schema_holds(const char *command)
{
    cr_assert_eq(run("%s > \"$D/report.json\"", command), 0, "%s", err);
    int code = run("/usr/bin/python3 -c 'import json, sys, jsonschema\n"
                   "schema = json.load(open(sys.argv[1]))\n"
                   "jsonschema.Draft7Validator.check_schema(schema)\n"
                   "jsonschema.Draft7Validator(schema).validate(json.load(open(sys.argv[2])))'"
                   " \"$S/docs/report.schema.json\" \"$D/report.json\"");
    cr_assert_eq(code, 0, "%s: %s", command, err);
}

Test(replay, the_report_keeps_to_its_schema)
{
    prepare();
    need_json();
    need("python3's jsonschema", "/usr/bin/python3 -c 'import jsonschema'");
    expect_schema_holds("\"$T\" replay --json " SAMPLE);
    expect_schema_holds("\"$T\" replay --json --slo 1000000 " SAMPLE);
    expect_schema_holds("\"$T\" simulate --json --rows 500 --slo 1000000");
    expect_schema_holds("echo TIMESTAMP,ContextTokens,GeneratedTokens | \"$T\" replay --json -");
    expect_schema_holds("echo '{\"type\":\"decode.started\"}' | \"$T\" replay --json -");
}

Test(replay, the_readable_report_names_what_matters)
{
    static const char *const wanted[] = {"Events\n",           "Streams\n", "16,541", "time to first token, ms",
                                         "between tokens, ms", "burn rate", "gpt-4o", "Cost by model"};
    prepare();
    expect_run(0, "\"$T\" replay " SAMPLE);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        cr_assert_not_null(strstr(out, wanted[i]), "'%s' is not in the report: %s", wanted[i], out);
    cr_assert_null(strstr(out, "nan"));
    cr_assert_str_eq(err, "", "no progress where stderr is no terminal");
}

Test(replay, tells_each_prometheus_family_once)
{
    prepare();
    expect_run(0, "\"$T\" replay --prometheus " SAMPLE " > \"$D/text\"");
    expect_run(0, "grep -c '^# TYPE ' \"$D/text\"");
    cr_assert_gt(atoi(out), 20);
    expect_run(0, "awk '/^# TYPE / && seen[$3]++ { print $3 }' \"$D/text\"");
    cr_assert_str_eq(out, "");
    expect_run(0, "grep '^streaming_total_tokens 16541$' \"$D/text\"");
    expect_run(0, "grep '^cost_total_usd ' \"$D/text\"");
    expect_run(0, "grep '^error_total_requests 201$' \"$D/text\"");
}

/* --- Bad input --- */

#define HEADER "TIMESTAMP,ContextTokens,GeneratedTokens\n"
#define ROW "2024-01-01 00:00:00.5,10,2\n"

static const struct {
    const char *name;  /* what the case is */
    const char *bytes; /* the file */
    int code;
    const char *said; /* what must be on stderr, $ standing for the file's name; NULL = nothing at all */
} inputs[] = {
    {"a header alone", HEADER, 0, NULL},
    {"carriage returns", "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2024-01-01 00:00:00.5,10,2\r\n", 0, NULL},
    {"no newline at the end", HEADER "2024-01-01 00:00:00.5,10,2", 0, NULL},
    {"a mark of byte order", "\xEF\xBB\xBF" HEADER ROW, 0, NULL},
    {"empty lines", HEADER "\n" ROW "\n\r\n", 0, NULL},
    {"no fraction, zones", HEADER "2024-02-29T23:59:59Z,1,1\n2024-02-29 00:00:00.123456789+00:00,1,1\n", 0, NULL},
    {"empty", "", 3, "$: the file is empty"},
    {"blank", "\n \n", 3, "$: neither a trace nor events"},
    {"another header", "TIME,IN,OUT\n" ROW, 3,
     "$: neither a trace nor events: it should begin with the line TIMESTAMP,"},
    {"no header", ROW, 3, "but begins with '2024-01-01 00:00:00.5,10,2'"},
    {"a list of JSON", "[{\"type\":\"decode.started\"}]\n", 3, "$: neither a trace nor events"},
    {"escape sequences", "\033[2J\n", 3, "but begins with '?[2J'"},
    {"a field too few", HEADER "2024-01-01 00:00:00.5,10\n" ROW, 1, "$:2: found 2 fields, expected 3"},
    {"a field too many", HEADER "2024-01-01 00:00:00.5,10,2,\n" ROW, 1, "$:2: found 4 fields, expected 3"},
    {"no such month", HEADER "2024-13-01 00:00:00,1,1\n" ROW, 1,
     "$:2: TIMESTAMP is '2024-13-01 00:00:00', expected a time such as 2023-11-16 18:15:46.6805900"},
    {"no such day", HEADER ROW "2023-02-29 00:00:00,1,1\n", 1, "$:3: TIMESTAMP is '2023-02-29 00:00:00'"},
    {"no such century's leap day", HEADER "2100-02-29 00:00:00,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"no such hour", HEADER "2024-01-01 24:00:00,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"a leap second", HEADER "2016-12-31 23:59:60,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"ten digits of fraction", HEADER "2024-01-01 00:00:00.0123456789,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"a point without digits", HEADER "2024-01-01 00:00:00.,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"another zone", HEADER "2024-01-01 00:00:00+01:00,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"the epoch itself", HEADER "1970-01-01 00:00:00,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"before the epoch", HEADER "1969-12-31 23:59:59,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"past what 64 bits hold", HEADER "2262-04-12 00:00:00,1,1\n", 1, "$:2: TIMESTAMP is"},
    {"an end past 64 bits", HEADER "2262-04-11 23:47:16,10000,1\n", 1,
     "$:2: the request would end after the year 2262"},
    {"negative tokens", HEADER "2024-01-01 00:00:00.5,-10,2\n" ROW, 1,
     "$:2: ContextTokens is '-10', expected a whole number from 0 to 1000000000"},
    {"half a token", HEADER "2024-01-01 00:00:00.5,10,2.5\n" ROW, 1, "$:2: GeneratedTokens is '2.5'"},
    {"a blank", HEADER "2024-01-01 00:00:00.5, 10,2\n" ROW, 1, "$:2: ContextTokens is ' 10'"},
    {"no number", HEADER "2024-01-01 00:00:00.5,,2\n" ROW, 1, "$:2: ContextTokens is ''"},
    {"a huge number", HEADER "2024-01-01 00:00:00.5,99999999999999999999999,2\n" ROW, 1, "$:2: ContextTokens is '999"},
    {"nothing but broken rows", HEADER "x\n", 1, "$:2: found 1 field, expected 3"},
    {"escape sequences in a row", HEADER "\033[2J,1,1\n", 1, "$:2: TIMESTAMP is '?[2J'"},
};

/* `said` with the name of the file in the place of its $. */
static const char *with_name(const char *said)
{
    static char text[512];
    snprintf(text, sizeof text, "%s%s%s", *said == '$' ? scratch_directory : "", *said == '$' ? "/input" : "",
             said + (*said == '$'));
    return text;
}

Test(replay, names_what_is_wrong_with_its_input)
{
    prepare();
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        write_file("input", inputs[i].bytes, strlen(inputs[i].bytes));
        int code = run("\"$T\" replay \"$D/input\"");
        cr_assert_eq(code, inputs[i].code, "%s: exit code %d: %s", inputs[i].name, code, err);
        cr_assert_eq(strlen(out) > 0, code != 3, "%s: a report and code %d", inputs[i].name, code);
        if (inputs[i].said)
            cr_assert_not_null(strstr(err, with_name(inputs[i].said)), "%s: %s", inputs[i].name, err);
        else
            cr_assert_str_eq(err, "", "%s", inputs[i].name);
    }
}

Test(replay, leaves_broken_rows_out_and_counts_them)
{
    prepare();
    need_json();
    write_file("input", HEADER ROW "oh\n" ROW "no\n", strlen(HEADER ROW ROW) + 6);
    expect_run(1, "\"$T\" replay --json \"$D/input\"");
    expect_figure("input", "lines", "5");
    expect_figure("input", "rows", "2");
    expect_figure("input", "broken_lines", "2");
    expect_figure("streaming", "total_streams", "2");
    expect_figure("streaming", "total_tokens", "4");
}

Test(replay, names_twenty_broken_lines_and_counts_the_rest)
{
    prepare();
    expect_run(1, "{ echo TIMESTAMP,ContextTokens,GeneratedTokens; yes broken | head -n 1000; } | \"$T\" replay -");
    cr_assert_not_null(strstr(err, "standard input:2: found 1 field"), "%s", err);
    cr_assert_not_null(strstr(err, "standard input:21: found 1 field"), "%s", err);
    cr_assert_null(strstr(err, "standard input:22:"), "%s", err);
    cr_assert_not_null(strstr(err, "\n... and 980 more broken lines\n"), "%s", err);
}

Test(replay, refuses_what_is_no_file_of_text)
{
    prepare();
    expect_run(3, "\"$T\" replay \"$D/missing\"");
    cr_assert_not_null(strstr(err, "/missing: there is no such file; check its name\n"), "%s", err);
    expect_run(3, "\"$T\" replay \"$D\"");
    cr_assert_not_null(strstr(err, ": this is a directory; name a file in it\n"), "%s", err);
    write_file("input", HEADER ROW "\0", sizeof HEADER ROW);
    expect_run(3, "\"$T\" replay \"$D/input\"");
    cr_assert_not_null(strstr(err, "/input: this is no text; "), "%s", err);
    expect_run(3, "\"$T\" replay - < /dev/null");
    cr_assert_not_null(strstr(err, "standard input: the file is empty"), "%s", err);
    expect_run(3, "\"$T\" replay - < \"$D\"");
    cr_assert_not_null(strstr(err, "standard input: this is a directory"), "%s", err);
}

Test(replay, refuses_a_file_that_it_may_not_read)
{
    prepare();
    if (geteuid() == 0)
        cr_skip_test("root may read everything");
    write_file("input", HEADER ROW, strlen(HEADER ROW));
    expect_run(3, "chmod 0 \"$D/input\"; \"$T\" replay \"$D/input\"");
    cr_assert_not_null(strstr(err, "/input: no permission to read it; check its mode and owner\n"), "%s", err);
}

Test(replay, skips_a_line_of_a_hundred_megabytes_in_little_memory)
{
    prepare();
    need_json();
    expect_run(1, "{ printf '%s\\n' TIMESTAMP,ContextTokens,GeneratedTokens '2024-01-01 00:00:00.5,10,2';"
                  " head -c 100000000 /dev/zero | tr '\\0' x; printf '\\n%s\\n' '2024-01-01 00:00:00.5,10,3'; }"
                  " | \"$T\" replay --json -");
    cr_assert_str_eq(err, "standard input:3: the line is longer than 1 MiB, expected a row or an event\n");
    expect_figure("input", "lines", "4");
    expect_figure("streaming", "total_tokens", "5");
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_CHILDREN, &usage), 0);
    fprintf(stderr, "most memory: %ld KiB\n", usage.ru_maxrss);
    cr_assert_lt(usage.ru_maxrss, 95 * 1024);
}

Test(replay, keeps_a_line_of_exactly_one_mebibyte)
{
    prepare();
    need_json();
    /* JSON may be blank where it likes, so the line can have any length. */
    for (int extra = 0; extra <= 1; extra++) {
        int code = run("{ printf '{\"type\":\"decode.started\"'; head -c %d /dev/zero | tr '\\0' ' '; printf '}\\n';"
                       " printf '{\"type\":\"decode.started\"}'; } | \"$T\" replay --json -",
                       1024 * 1024 - 25 + extra);
        cr_assert_eq(code, extra, "%s", err);
        expect_figure("input", "lines", "2");
        expect_figure("events", "delivered", extra ? "1" : "2");
    }
}

/* --- Events --- */

static const char events[] =
    "{\"type\":\"stream.started\",\"time_ns\":1000000000,\"stream_id\":\"a\",\"model\":\"gpt-4o\"}\n"
    "{\"type\":\"stream.token_generated\",\"time_ns\":1250000000,\"stream_id\":\"a\"}\n"
    "{\"type\":\"stream.begun\"}\n"
    "not an event\n"
    "{\"type\":\"stream.token_generated\",\"time_ns\":\"late\"}\n"
    "\n"
    "{\"type\":\"stream.token_generated\",\"time_ns\":1300000000,\"stream_id\":\"a\"}\n"
    "{\"type\":\"stream.completed\",\"time_ns\":2000000000,\"stream_id\":\"a\"}\n"
    "{\"type\":\"request.completed\",\"time_ns\":2000000000,\"model\":\"gpt-4o\",\"status_code\":200,"
    "\"input_tokens\":1000.0,\"output_tokens\":2,\"api_key\":\"sk-of-the-test-0123\"}\n"
    "{\"type\":\"request.failed\",\"time_ns\":2100000000,\"model\":\"gpt-4o\",\"endpoint\":\"/v1\","
    "\"error_type\":\"timeout\",\"error_message\":\"no answer from worker 17\"}\n";

Test(replay, plays_events_and_names_broken_lines)
{
    prepare();
    need_json();
    write_file("events", events, sizeof events - 1);
    expect_run(1, "\"$T\" replay --json --slo 500000 \"$D/events\"");
    cr_assert_not_null(strstr(err, "/events:3: there is no event type 'stream.begun'\n"), "%s", err);
    cr_assert_not_null(strstr(err, "/events:4: not JSON: "), "%s", err);
    cr_assert_not_null(strstr(err, "/events:5: field 'time_ns' wants a number, got a string\n"), "%s", err);
    expect_figure("input", "format", "\"events\"");
    expect_figure("input", "lines", "10");
    expect_figure("input", "rows", "6");
    expect_figure("input", "broken_lines", "3");
    expect_figure("events", "published", "6");
    expect_figure("streaming", "total_tokens", "2");
    expect_figure("errors", "total_errors", "1");
    expect_figure("slo", "budget_total", "1");
    expect_figure("slo", "violated", "false");
    expect_figure("cost", "total_usd", "\"0.00503\"");
    cr_assert_not_null(strstr(out, "\"p50\": 250.0"), "%s", out);
    cr_assert_not_null(strstr(out, "\"message\": \"no answer from worker <NUM>\""), "%s", out);
    cr_assert_not_null(strstr(out, "\"key\": \"sk-o.."), "%s", out);
    cr_assert_null(strstr(out, "sk-of-the-test"), "a key may not be shown whole");
}

Test(replay, plays_events_alike_each_time_and_at_each_pace)
{
    prepare();
    need_json();
    write_file("events", events, sizeof events - 1);
    expect_same_figures("\"$T\" replay --json \"$D/events\"", "\"$T\" replay --json \"$D/events\"");
    expect_same_figures("\"$T\" replay --json \"$D/events\"", "\"$T\" replay --json --speed 1000 \"$D/events\"");
}

Test(replay, refuses_events_where_it_was_built_without_json)
{
    prepare();
    if (run("\"$T\" simulate --rows 1 --json") == 0)
        cr_skip_test("built with JSON");
    cr_assert_not_null(strstr(err, "built without JSON; leave --json out"), "%s", err);
    write_file("events", events, sizeof events - 1);
    expect_run(3, "\"$T\" replay \"$D/events\"");
    cr_assert_not_null(strstr(err, "built without JSON"), "%s", err);
    expect_run(3, "\"$T\" simulate --rows 1 --prices \"$D/events\"");
    cr_assert_not_null(strstr(err, "built without JSON"), "%s", err);
    expect_run(0, "\"$T\" replay " SAMPLE);
}

/* --- The simulation --- */

Test(simulate, makes_the_same_of_the_same_seed)
{
    prepare();
    need_json();
    expect_same_figures("\"$T\" simulate --json --rows 400 --seed 5 --threads 1",
                        "\"$T\" simulate --json --rows 400 --seed 5 --threads 4");
    char *first = strdup(out);
    cr_assert_not_null(first);
    expect_run(0, "\"$T\" simulate --json --rows 400 --seed 6" FIGURES);
    cr_assert_str_neq(out, first);
    free(first);
}

Test(simulate, shows_failures_that_are_alike)
{
    prepare();
    need_json();
    expect_run(0, "\"$T\" simulate --json --rows 5000");
    expect_figure("input", "rows", "5000");
    expect_figure("streaming", "active_streams", "0");
    int failed = atoi(figure("streaming", "failed_streams"));
    cr_assert(failed > 20 && failed < 100, "%d", failed);
    cr_assert_eq(atoi(figure("errors", "total_errors")), failed);
    cr_assert_not_null(strstr(out, "<ADDR>"), "%s", out);
    cr_assert_not_null(strstr(out, "<UUID>"), "%s", out);
    cr_assert_not_null(strstr(out, "<REQUEST_ID>"), "%s", out);
    const char *patterns = strstr(out, "\"patterns\": [");
    cr_assert_not_null(patterns);
    int count = 0;
    for (const char *at = patterns; (at = strstr(at, "\"fingerprint\": ")); at++)
        count++;
    cr_assert_eq(count, 6, "six kinds of failures make six patterns, not %d", count);
}

Test(simulate, tells_where_it_serves)
{
    prepare();
    int code = run("\"$T\" simulate --rows 1 --web 0");
    if (!TBUS_WITH_HTTP) {
        cr_assert_eq(code, 3, "%d", code);
        cr_assert_not_null(strstr(err, "built without HTTP"), "%s", err);
        return;
    }
    unsigned port = 0;
    cr_assert_eq(code, 0, "%s", err);
    cr_assert_eq(sscanf(err, "tallybus: serving http://127.0.0.1:%u/metrics while", &port), 1, "%s", err);
    cr_assert(port > 0 && port < 65536);
    expect_run(0, "\"$T\" simulate --rows 1 --web 127.0.0.2:0");
    cr_assert_not_null(strstr(err, "http://127.0.0.2:"), "%s", err);
    expect_run(3, "\"$T\" simulate --rows 1 --web 192.0.2.1:0");
    cr_assert_not_null(strstr(err, "can not serve at 192.0.2.1, port 0: address not available"), "%s", err);
    expect_run(3, "\"$T\" simulate --rows 1 --web localhost:0");
    cr_assert_str_eq(out, "");
}

/* It runs for minutes at this speed, and is ended as soon as it was seen to serve. */
Test(simulate, is_served_while_it_runs)
{
    prepare();
    if (!TBUS_WITH_HTTP)
        cr_skip_test("built without HTTP");
    need("python3", "/usr/bin/python3 -c 0");
    expect_run(
        0, "/usr/bin/python3 -c '\n"
           "import re, subprocess, sys, urllib.request\n"
           "played = subprocess.Popen([sys.argv[1], \"simulate\", \"--speed\", \"10\", \"--web\", \"[127.0.0.1]:0\"],\n"
           "                        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)\n"
           "try:\n"
           "    url = re.search(\"http://[^ ]*\", played.stderr.readline()).group()\n"
           "    while True:\n"
           "        page = urllib.request.urlopen(url).read().decode()\n"
           "        streams = re.search(\"^streaming_total_streams (.*)$\", page, re.M).group(1)\n"
           "        if int(streams) > 0: break\n"
           "    assert \"tallybus_bus_published_total\" in page and \"cost_total_usd\" in page, page\n"
           "finally:\n"
           "    played.kill()\n"
           "' \"$T\"");
}

/* --- The command line --- */

static const struct {
    const char *arguments;
    int code;
    const char *said; /* on stderr, or on stdout where the code is 0 */
} command_lines[] = {
    {"", 2, "Usage: tallybus COMMAND"},
    {"repaly", 2, "there is no command 'repaly'"},
    {"help", 0, "Usage: tallybus COMMAND"},
    {"help replay", 0, "Usage: tallybus replay"},
    {"help nothing", 0, "Usage: tallybus COMMAND"},
    {"--help", 0, "replay FILE"},
    {"version", 0, "tallybus 0."},
    {"replay --help", 0, "Usage: tallybus replay"},
    {"simulate -h", 0, "Usage: tallybus simulate"},
    {"replay", 2, "which file?"},
    {"replay a b", 2, "too many arguments"},
    {"simulate a", 2, "too many arguments"},
    {"replay --fast a", 2, "there is no option '--fast'"},
    {"replay --rows 5 a", 2, "there is no option '--rows'"},
    {"replay --threads 0 a", 2, "--threads wants a whole number from 1 to 64, got '0'"},
    {"replay --threads 65 a", 2, "got '65'"},
    {"replay --threads=two a", 2, "got 'two'"},
    {"replay a --threads", 2, "--threads wants"},
    {"replay --slo 0 a", 2, "--slo wants parts per million"},
    {"replay --slo 1000001 a", 2, "--slo wants"},
    {"replay --speed 0 a", 2, "--speed wants"},
    {"replay --speed -1 a", 2, "--speed wants"},
    {"replay --speed nan a", 2, "--speed wants"},
    {"replay --itl-ms 1e3 a", 2, "--itl-ms wants milliseconds"},
    {"replay --itl-ms 0.0000001 a", 2, "--itl-ms wants"},
    {"replay --prefill-ms-per-token 3600001 a", 2, "--prefill-ms-per-token wants"},
    {"replay --model '' a", 2, "--model wants the name of a model"},
    {"replay --prices= a", 2, "--prices wants the name of a price file"},
    {"replay --json=yes a", 2, "--json wants no value"},
    {"simulate --rows 0", 2, "--rows wants"},
    {"simulate --seed -1", 2, "--seed wants"},
    {"simulate --web 65536", 2, "--web wants [ADDRESS:]PORT"},
    {"simulate --web :80", 2, "--web wants"},
    {"simulate --web 127.0.0.1:", 2, "--web wants"},
    {"simulate --web ''", 2, "--web wants"},
    {"replay --web 80 a", 2, "there is no option '--web'"},
    {"demo a", TBUS_WITH_HTTP &&TBUS_WITH_JSON ? 2 : 3, ""},
    {"replay -- --help", 3, "--help: there is no such file"},
};

Test(command, says_how_it_is_used)
{
    prepare();
    for (size_t i = 0; i < sizeof command_lines / sizeof *command_lines; i++) {
        int code = run("\"$T\" %s", command_lines[i].arguments);
        cr_assert_eq(code, command_lines[i].code, "'%s': exit code %d: %s", command_lines[i].arguments, code, err);
        cr_assert_not_null(strstr(code ? err : out, command_lines[i].said), "'%s': %s%s", command_lines[i].arguments,
                           out, err);
        if (code)
            cr_assert_str_eq(out, "", "'%s'", command_lines[i].arguments);
    }
}

Test(command, refuses_a_price_file_that_can_not_be_used)
{
    prepare();
    need_json();
    expect_run(3, "\"$T\" simulate --rows 1 --prices \"$D/missing\"");
    cr_assert_not_null(strstr(err, "/missing: can not use these prices: "), "%s", err);
    write_file("prices", "{\"gpt-4o\": ", 11);
    expect_run(3, "\"$T\" replay --prices \"$D/prices\" " SAMPLE);
    cr_assert_not_null(strstr(err, "/prices: can not use these prices: "), "%s", err);
    cr_assert_str_eq(out, "");
}

/* Runs a simulation with a pipe as its output that nobody reads; returns its exit code. Not by the shell, which knows no
 * descriptors above 9. */
static int run_without_reader(void)
{
    int ends[2], status;
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        char path[128];
        snprintf(path, sizeof path, "%s/err", scratch_directory);
        if (dup2(ends[1], 1) == 1 && freopen(path, "w", stderr))
            execl(TBUS_TOOL, "tallybus", "simulate", "--rows", "1", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    free(err);
    err = content("err");
    cr_assert(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

Test(command, says_that_its_output_went_nowhere)
{
    prepare();
    expect_run(3, "\"$T\" simulate --rows 1 >&-");
    cr_assert_not_null(strstr(err, "standard output is closed"), "%s", err);
    cr_assert_eq(run_without_reader(), 3);
    cr_assert_not_null(strstr(err, "can not write the report"), "%s", err);
    if (run("test -c /dev/full") == 0) {
        expect_run(3, "\"$T\" simulate --rows 1 --prometheus > /dev/full");
        cr_assert_not_null(strstr(err, "can not write the report"), "%s", err);
    }
    expect_run(0, "\"$T\" simulate --rows 1 2>&- <&-");
}
