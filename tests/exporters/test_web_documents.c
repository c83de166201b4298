/* The trackers' JSON documents as the server gives them out: filters, names, and where windows end. */
#include <tallybus.h>

#include "tests/exporters/schema.h"
#include "tests/exporters/web_json.h"

#define SECOND INT64_C(1000000000)
#define BEGIN_NS (INT64_C(1767258000) * SECOND)

static int64_t read_clock(void *user)
{
    return *(const int64_t *)user;
}

struct host {
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_web_t *web;
    uint16_t port;
    int64_t now_ns; /* set before the server opens */
};

/* Ten errors at /a of one kind, the i-th at second i, and two at "/b c". */
static void host_open(struct host *host, bool with_clock)
{
    tbus_web_options_t options = {0};
    cr_assert_eq(tbus_streaming_open(NULL, &host->streaming), 0);
    cr_assert_eq(tbus_errors_open(NULL, &host->errors), 0);
    for (int i = 0; i < 12; i++) {
        const tbus_error_t error = {.type = i < 10 ? "timeout" : "crash",
                                    .message = "gone",
                                    .endpoint = i < 10 ? "/a" : "/b c",
                                    .time_ns = BEGIN_NS + i * SECOND};
        cr_assert_eq(tbus_errors_record_error(host->errors, &error), 0);
    }
    cr_assert_eq(tbus_streaming_record_start(host->streaming, "s/1 <&>",
                                             &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = BEGIN_NS}),
                 0);
    options.streaming = host->streaming;
    options.errors = host->errors;
    if (with_clock) {
        options.clock = read_clock;
        options.clock_user = &host->now_ns;
    }
    cr_assert_eq(tbus_web_open(&options, &host->web), 0);
    host->port = tbus_web_port(host->web);
}

static void host_close(struct host *host)
{
    tbus_web_close(host->web);
    tbus_streaming_close(host->streaming);
    tbus_errors_close(host->errors);
}

static void expect_listed(uint16_t port, const char *url, const char *list, size_t count)
{
    json_t *json = web_get_json(port, url);
    cr_assert_eq(json_array_size(json_object_get(json, list)), count, "%s", url);
    json_decref(json);
}

Test(web_documents, recent_errors_can_be_filtered)
{
    struct host host = {.now_ns = 0};
    host_open(&host, false);
    expect_listed(host.port, "/metrics/errors/recent", "errors", 12);
    expect_listed(host.port, "/metrics/errors/recent?limit=5", "errors", 5);
    expect_listed(host.port, "/metrics/errors/recent?endpoint=%2Fb+c", "errors", 2);
    expect_listed(host.port, "/metrics/errors/recent?endpoint=/b%20c&type=timeout", "errors", 0);
    expect_listed(host.port, "/metrics/errors/recent?type=timeout&limit=2147483647", "errors", 10);
    expect_listed(host.port, "/metrics/errors/recent?type=", "errors", 0);
    web_expect(host.port, "/metrics/errors/recent?limit=0", "", 400,
               "'limit' wants a whole number from 1 to 2147483647");
    web_expect(host.port, "/metrics/errors/recent?limit=-1", "", 400, "and got '-1'");
    web_expect(host.port, "/metrics/errors/recent?type=%FF", "", 400, "UTF-8");
    web_expect(host.port, "/metrics/errors/recent?model=x", "", 400, "there is: limit, endpoint, type");
    host_close(&host);
}

Test(web_documents, patterns_can_be_filtered)
{
    struct host host = {.now_ns = 0};
    char url[128];
    host_open(&host, false);
    expect_listed(host.port, "/metrics/error-patterns", "patterns", 2);
    expect_listed(host.port, "/metrics/error-patterns?limit=1", "patterns", 1);
    expect_listed(host.port, "/metrics/error-patterns?count_min=3", "patterns", 1);
    snprintf(url, sizeof url, "/metrics/error-patterns?seen_after_ns=%lld", (long long)(BEGIN_NS + 10 * SECOND));
    expect_listed(host.port, url, "patterns", 1);
    snprintf(url, sizeof url, "/metrics/error-patterns?seen_after_ns=%lld", (long long)(BEGIN_NS + 11 * SECOND));
    expect_listed(host.port, url, "patterns", 0);
    web_expect(host.port, "/metrics/error-patterns?count_min=9223372036854775808", "", 400, "whole number");
    host_close(&host);
}

Test(web_documents, a_stream_is_found_by_its_name)
{
    struct host host = {.now_ns = 0};
    host_open(&host, false);
    json_t *json = web_get_json(host.port, "/metrics/streaming/s%2F1%20%3C&%3E");
    cr_assert_str_eq(json_string_value(json_object_get(json, "id")), "s/1 <&>");
    cr_assert_str_eq(json_string_value(json_object_get(json, "status")), "active");
    json_decref(json);
    web_expect(host.port, "/metrics/streaming/s", "", 404, "there is nothing by this name");
    web_expect(host.port, "/metrics/streaming/", "", 404, "nothing at this path");
    web_expect(host.port, "/metrics/streaming/%FF", "", 404, "nothing by this name");
    host_close(&host);
}

static int64_t recent_requests(uint16_t port)
{
    json_t *json = web_get_json(port, "/metrics/slo");
    const json_t *burn = json_object_get(json_object_get(json_object_get(json, "all"), "burn"), "5m");
    int64_t requests = json_integer_value(json_object_get(burn, "requests"));
    json_decref(json);
    return requests;
}

/* Of an SLO of which one window was asked for: that it is the same as in the whole, and that nothing else is there. */
static void check_window(const json_t *part, const json_t *whole, const char *window)
{
    const json_t *burn = json_object_get(part, "burn"), *alert;
    size_t i, alerts = 0;
    cr_assert_eq(json_object_size(burn), 1u, "%s", window);
    cr_assert(json_equal(json_object_get(burn, window), json_object_get(json_object_get(whole, "burn"), window)));
    json_array_foreach(json_object_get(whole, "alerts"), i, alert)
    {
        if (strcmp(json_string_value(json_object_get(alert, "long_window")), window) != 0 &&
            strcmp(json_string_value(json_object_get(alert, "short_window")), window) != 0)
            continue;
        cr_assert(json_equal(json_array_get(json_object_get(part, "alerts"), alerts), alert), "%s", window);
        alerts++;
    }
    cr_assert_eq(json_array_size(json_object_get(part, "alerts")), alerts, "%s", window);
    cr_assert_gt(alerts, 0u, "%s", window);
    cr_assert_eq(json_object_size(part), json_object_size(whole));
    cr_assert(json_equal(json_object_get(part, "burn_rate"), json_object_get(whole, "burn_rate")));
}

Test(web_documents, slos_can_be_asked_for_one_window)
{
    struct host host = {.now_ns = BEGIN_NS + 400 * SECOND}; /* windows differ: the shortest is over */
    char url[64];
    host_open(&host, true);
    json_t *whole = web_get_json(host.port, "/metrics/slo");
    for (unsigned window = 0; window < TBUS_BURN_WINDOWS; window++) {
        const char *name = tbus_burn_window_name(window);
        snprintf(url, sizeof url, "/metrics/slo?window=%s", name);
        json_t *part = web_get_json(host.port, url);
        check_window(json_object_get(part, "all"), json_object_get(whole, "all"), name);
        const json_t *parts = json_object_get(part, "endpoints"), *wholes = json_object_get(whole, "endpoints");
        cr_assert_eq(json_array_size(parts), 2u);
        for (size_t i = 0; i < 2; i++)
            check_window(json_array_get(parts, i), json_array_get(wholes, i), name);
        json_decref(part);
    }
    json_decref(whole);
    expect_listed(host.port, "/metrics/slo?window=3d&endpoint=/a", "endpoints", 1);
    expect_listed(host.port, "/metrics/slo?limit=1&window=5m", "endpoints", 1);
    static const char *const wrong[] = {"", "1H", "60m", "all", "5m,1h"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char message[128];
        snprintf(url, sizeof url, "/metrics/slo?window=%s", wrong[i]);
        snprintf(message, sizeof message, "'window' wants '5m', '30m', '1h', '2h', '6h', '1d' or '3d', and got '%s'",
                 wrong[i]);
        web_expect(host.port, url, "", 400, message);
    }
    web_expect(host.port, "/metrics/slo?window=5m&window=5m", "", 400, "'window' is given twice");
    web_expect(host.port, "/metrics/errors?window=5m", "", 400, "there is: limit, model, endpoint");
    host_close(&host);
}

Test(web_documents, windows_end_by_the_clock)
{
    const struct {
        bool with_clock;
        int64_t now_ns, requests;
    } cases[] = {{true, 0, 12}, {true, BEGIN_NS + 60 * SECOND, 12}, {true, BEGIN_NS + 600 * SECOND, 0}, {false, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) { /* the last: the system's, which is past that time */
        struct host host = {.now_ns = cases[i].now_ns};
        host_open(&host, cases[i].with_clock);
        cr_assert_eq(recent_requests(host.port), cases[i].requests, "%zu", i);
        host_close(&host);
    }
}

Test(web_documents, each_keeps_to_its_schema)
{
    static const struct {
        const char *url, *schema;
    } documents[] = {{"/metrics/slo", "slo.schema.json"},
                     {"/metrics/slo?window=1h&endpoint=/a", "slo.schema.json"},
                     {"/metrics/error-patterns", "error-patterns.schema.json"},
                     {"/metrics/errors/recent", "recent-errors.schema.json"},
                     {"/metrics/streaming/s%2F1%20%3C&%3E", "stream.schema.json"},
                     {"/health", "health.schema.json"},
                     {"/nothing", "fault.schema.json"},
                     {"/metrics/slo?window=%22%0A", "fault.schema.json"}};
    struct host host = {.now_ns = 0};
    schema_need();
    host_open(&host, true);
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct web_got got = web_ask(host.port, "GET", documents[i].url, "");
        schema_check_harm(documents[i].schema, got.body);
        free(got.bytes);
    }
    host_close(&host);
}

Test(web_documents, recent_errors_can_be_asked_for_from_a_moment_on)
{
    struct host host = {.now_ns = 0};
    char url[96];
    host_open(&host, false);
    for (int i = 0; i <= 12; i += 4) {
        snprintf(url, sizeof url, "/metrics/errors/recent?after_ns=%lld", (long long)(BEGIN_NS + i * SECOND - 1));
        expect_listed(host.port, url, "errors", (size_t)(12 - i));
        snprintf(url, sizeof url, "/metrics/errors/recent?after_ns=%lld", (long long)(BEGIN_NS + i * SECOND));
        expect_listed(host.port, url, "errors", i < 12 ? (size_t)(11 - i) : 0);
    }
    host_close(&host);
}
