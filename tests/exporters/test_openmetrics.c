/* Whole pages in both formats, of a telemetry set that has seen a trace, against tools that know the formats. */
#include "tests/exporters/telemetry_fixture.h"
#include "tests/oom.h"
#include "tests/scratch.h"

static const struct trace_names hostile = {
    {"</script><script>alert(1)</script>", "m \"quoted\"\n\\slashed\xFF\xC0"},
    {"/v1/\x01\x1F\t?a=b&c", "/v1/\xF0\x9F\x98\x80\xE2\x82"},
    "user\nof \"two\" lines",
    "text\r\n# HELP not_a_family \"x\" {a=\"b\"} 1\n# EOF\n",
};

static void write_page(const tbus_prometheus_sources_t *sources, tbus_prometheus_format_t format, const char *name)
{
    char *page, path[128];
    cr_assert_eq(tbus_prometheus_page(sources, format, &page), 0);
    snprintf(path, sizeof path, "%s/%s", scratch_directory, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(page, 1, strlen(page), file), strlen(page));
    cr_assert_eq(fclose(file), 0);
    tbus_mem_free(page);
}

/* `what`: a command of the script. The process's own figures never stay the same, so the pages that are compared have
 * none. */
static void check_pages(const char *what, const struct trace_names *names, int rows)
{
    const tbus_prometheus_sources_t process = {.process = true};
    struct trace_set set;
    tbus_telemetry_snapshot_t *s;
    char command[1024];
    scratch_open();
    trace_open(&set, names, rows);
    cr_assert_eq(tbus_telemetry_snapshot(set.telemetry, set.now_ns, &s), 0);
    tbus_prometheus_sources_t sources = trace_sources(&set, s);
    sources.process = strcmp(what, "promtool") == 0 || strcmp(what, "listed") == 0;
    write_page(&sources, TBUS_PROMETHEUS_TEXT, "page.txt");
    write_page(&sources, TBUS_PROMETHEUS_OPENMETRICS, "page.om");
    write_page(&process, TBUS_PROMETHEUS_TEXT, "process.txt");
    write_page(&process, TBUS_PROMETHEUS_OPENMETRICS, "process.om");
    tbus_telemetry_snapshot_free(s);
    trace_close(&set);
    snprintf(command, sizeof command, "/usr/bin/python3 '%s/tests/exporters/prometheus_check.py' %s '%s' >&2",
             TBUS_SOURCE_DIR, what, scratch_directory);
    cr_assert_eq(system(command), 0, "%s", what);
}

static void need(const char *command, const char *what)
{
    if (system(command) != 0)
        cr_skip_test("%s is not installed", what);
}

Test(openmetrics, both_formats_tell_the_same_families_series_and_numbers)
{
    need("/usr/bin/python3 -c '' 2>/dev/null", "python3");
    check_pages("same", &trace_plain, 40);
}

Test(openmetrics, both_formats_tell_the_same_of_hostile_names)
{
    need("/usr/bin/python3 -c '' 2>/dev/null", "python3");
    check_pages("same", &hostile, 40);
}

Test(openmetrics, both_formats_tell_the_same_of_nothing)
{
    need("/usr/bin/python3 -c '' 2>/dev/null", "python3");
    check_pages("same", &trace_plain, 0);
}

Test(openmetrics, a_strict_parser_takes_the_pages)
{
    need("/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null", "python3-prometheus-client");
    check_pages("parse", &trace_plain, 40);
}

Test(openmetrics, a_strict_parser_takes_hostile_names)
{
    need("/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null", "python3-prometheus-client");
    check_pages("parse", &hostile, 40);
}

Test(openmetrics, a_strict_parser_takes_pages_of_nothing)
{
    need("/usr/bin/python3 -c 'import prometheus_client.openmetrics.parser' 2>/dev/null", "python3-prometheus-client");
    check_pages("parse", &trace_plain, 0);
}

Test(openmetrics, promtool_has_nothing_to_say_but_what_is_known)
{
    need("command -v promtool >/dev/null 2>&1", "promtool");
    check_pages("promtool", &trace_plain, 40);
}

Test(openmetrics, promtool_takes_hostile_names)
{
    need("command -v promtool >/dev/null 2>&1", "promtool");
    check_pages("promtool", &hostile, 40);
}

Test(openmetrics, the_list_of_metrics_is_in_step)
{
    check_pages("listed", &trace_plain, 40);
}

Test(openmetrics, promtool_takes_pages_of_nothing)
{
    need("command -v promtool >/dev/null 2>&1", "promtool");
    check_pages("promtool", &trace_plain, 0);
}

Test(openmetrics, the_content_type_tells_the_format_and_its_version)
{
    cr_assert_str_eq(tbus_prometheus_content_type(TBUS_PROMETHEUS_TEXT), "text/plain; version=0.0.4; charset=utf-8");
    cr_assert_str_eq(tbus_prometheus_content_type(TBUS_PROMETHEUS_OPENMETRICS),
                     "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

Test(openmetrics, wrong_arguments_are_refused)
{
    char *page;
    const tbus_prometheus_sources_t none = {.bus = NULL};
    cr_assert_eq(tbus_prometheus_page(NULL, TBUS_PROMETHEUS_TEXT, &page), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_page(&none, TBUS_PROMETHEUS_TEXT, NULL), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_page(&none, (tbus_prometheus_format_t)2, &page), UV_EINVAL);
    const tbus_prometheus_sources_t later = {.reserved = {[7] = 1}};
    cr_assert_eq(tbus_prometheus_page(&later, TBUS_PROMETHEUS_TEXT, &page), UV_EINVAL);
    cr_assert_eq(tbus_prometheus_page(&none, TBUS_PROMETHEUS_OPENMETRICS, &page), 0);
    cr_assert_str_eq(page, "# EOF\n");
    tbus_mem_free(page);
}

/* The number of a sample; the name with its labels. */
static double sample_of(const char *page, const char *name)
{
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(page, line);
    cr_assert_not_null(at, "%s is not in\n%s", name, page);
    return strtod(at + strlen(line), NULL);
}

Test(openmetrics, the_process_tells_of_itself)
{
    char *before, *after;
    const tbus_prometheus_sources_t sources = {.process = true};
    cr_assert_eq(tbus_prometheus_page(&sources, TBUS_PROMETHEUS_TEXT, &before), 0);
    FILE *more = fopen("/dev/null", "r");
    volatile double work = 0;
    for (int i = 0; i < 20000000; i++)
        work = work + i;
    cr_assert_eq(tbus_prometheus_page(&sources, TBUS_PROMETHEUS_TEXT, &after), 0);
    cr_assert_gt(sample_of(after, "process_cpu_seconds_total"), sample_of(before, "process_cpu_seconds_total"));
    if (access("/proc/self/stat", R_OK) == 0) {
        const double started = sample_of(after, "process_start_time_seconds");
        cr_assert_eq(started, sample_of(before, "process_start_time_seconds"));
        cr_assert_eq(sample_of(after, "process_open_fds"), sample_of(before, "process_open_fds") + 1);
        cr_assert_gt(sample_of(after, "process_resident_memory_bytes"), 1 << 16);
        cr_assert_geq(sample_of(after, "process_virtual_memory_bytes"),
                      sample_of(after, "process_resident_memory_bytes"));
        cr_assert(started <= (double)time(NULL) + 2 && started > (double)time(NULL) - 3600, "%f", started);
    }
    cr_assert_geq(sample_of(after, "process_max_fds"), sample_of(after, "process_open_fds"));
    fclose(more);
    tbus_mem_free(before);
    tbus_mem_free(after);
}

/* Without memory for any one thing there is no page, and nothing is left behind. */
Test(openmetrics, a_page_of_all_may_lack_memory_anywhere)
{
    struct trace_set set;
    tbus_telemetry_snapshot_t *s;
    trace_open(&set, &hostile, 10);
    cr_assert_eq(tbus_telemetry_snapshot(set.telemetry, set.now_ns, &s), 0);
    tbus_prometheus_sources_t sources = trace_sources(&set, s);
    sources.process = true;
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        char *page = NULL;
        oom_install(&oom);
        const int error = tbus_prometheus_page(&sources, TBUS_PROMETHEUS_OPENMETRICS, &page);
        const bool ended = error == 0 && strcmp(page + strlen(page) - 6, "# EOF\n") == 0;
        tbus_mem_free(page);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        cr_assert_eq(error, oom.failed ? UV_ENOMEM : 0, "allocation %ld", at);
        if (oom.failed)
            continue;
        cr_assert(ended);
        cr_assert_geq(at, 7); /* the page, its labels, the bus's list, those of cost and budgets */
        break;
    }
    tbus_telemetry_snapshot_free(s);
    trace_close(&set);
}

static int64_t clock_of(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

#define OPEN(part)                                                                                                     \
    tbus_##part##_t *part;                                                                                             \
    cr_assert_eq(tbus_##part##_open(&(tbus_##part##_options_t){.clock = clock_of, .clock_user = &now}, &part), 0)
#define CHECK_SINCE(part, ...)                                                                                         \
    do {                                                                                                               \
        tbus_##part##_snapshot_t *snapshot;                                                                            \
        for (int reset = 0; reset < 2; reset++) {                                                                      \
            cr_assert_eq(tbus_##part##_snapshot(part, __VA_ARGS__), 0);                                                \
            cr_assert_eq(snapshot->since_ns, (1 + reset) * TRACE_SECOND, #part);                                       \
            tbus_##part##_snapshot_free(snapshot);                                                                     \
            now = 2 * TRACE_SECOND;                                                                                    \
            tbus_##part##_reset(part);                                                                                 \
        }                                                                                                              \
        tbus_##part##_close(part);                                                                                     \
        now = TRACE_SECOND;                                                                                            \
    } while (0)

Test(openmetrics, each_tracker_counts_since_its_reset)
{
    int64_t now = TRACE_SECOND;
    OPEN(streaming);
    CHECK_SINCE(streaming, 0, &snapshot);
    OPEN(errors);
    CHECK_SINCE(errors, 0, &snapshot);
    OPEN(cost);
    CHECK_SINCE(cost, &snapshot);
    OPEN(requests);
    CHECK_SINCE(requests, 0, &snapshot);
    OPEN(models);
    CHECK_SINCE(models, 0, &snapshot);
    OPEN(inference);
    CHECK_SINCE(inference, 0, &snapshot);
}

Test(openmetrics, counters_tell_since_when_they_count)
{
    tbus_requests_t *requests;
    tbus_requests_snapshot_t *snapshot;
    char *page;
    const time_t before = time(NULL);
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    cr_assert_eq(tbus_requests_record_start(requests, "/a", 1), 0);
    cr_assert_eq(tbus_requests_snapshot(requests, 0, &snapshot), 0);
    cr_assert_eq(
        tbus_prometheus_page(&(tbus_prometheus_sources_t){.requests = snapshot}, TBUS_PROMETHEUS_OPENMETRICS, &page),
        0);
    cr_assert_not_null(strstr(page, "# TYPE request counter\n# HELP request Requests begun.\nrequest_total 1\n"));
    const double created = sample_of(page, "request_created");
    cr_assert(created >= (double)before && created <= (double)time(NULL) + 1, "%f", created);
    cr_assert_not_null(strstr(page, "request_by_endpoint_total{endpoint=\"/a\"} 1\n"));
    cr_assert_not_null(strstr(page, "request_by_endpoint_created{endpoint=\"/a\"} "));
    cr_assert_null(strstr(page, "request_in_flight_created"), "gauges have no beginning");
    tbus_mem_free(page);
    tbus_requests_snapshot_free(snapshot);
    tbus_requests_close(requests);
}

Test(openmetrics, bounds_are_written_as_everybody_writes_them)
{
    static const double values[] = {0,      1e-10,    0.00001, 0.0001,  0.025,     1,    2.5,
                                    100000, 999999.5, 1e6,     1048576, 1234567.5, 1e10, 1e16};
    static const char *const open[] = {"0.0",          "1e-10",         "1e-05",    "0.0001",   "0.025",
                                       "1.0",          "2.5",           "100000.0", "999999.5", "1e+06",
                                       "1.048576e+06", "1.2345675e+06", "1e+10",    "1e+16"};
    static const char *const text[] = {"0",      "1e-10",    "1e-05",   "0.0001",  "0.025",     "1",           "2.5",
                                       "100000", "999999.5", "1000000", "1048576", "1234567.5", "10000000000", "1e+16"};
    enum { COUNT = sizeof values / sizeof *values };
    const tbus_bounds_t bounds = {COUNT, values};
    const uint64_t counts[COUNT + 1] = {1};
    const tbus_buckets_t buckets = {.bounds = &bounds, .counts = counts, .count = 1};
    const tbus_streaming_model_t model = {.model = "m", .ttft_s = buckets};
    const tbus_streaming_snapshot_t snapshot = {
        .operation_name = "chat", .provider_name = "", .models = &model, .models_count = 1};
    for (int format = TBUS_PROMETHEUS_TEXT; format <= TBUS_PROMETHEUS_OPENMETRICS; format++) {
        char *page;
        cr_assert_eq(tbus_prometheus_page(&(tbus_prometheus_sources_t){.streaming = &snapshot},
                                          (tbus_prometheus_format_t)format, &page),
                     0);
        for (int i = 0; i < COUNT; i++) {
            char label[64];
            snprintf(label, sizeof label, ",le=\"%s\"} 1\n", format == TBUS_PROMETHEUS_TEXT ? text[i] : open[i]);
            cr_assert_not_null(strstr(page, label), "%s is not in\n%s", label, page);
        }
        tbus_mem_free(page);
    }
}
