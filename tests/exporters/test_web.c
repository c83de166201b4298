/* The web server over real sockets: what it serves and what it refuses. */
#include <signal.h>
#include <zlib.h>

#include <tallybus.h>

#include "exporters/web_server.h"
#include "tests/exporters/web_client.h"
#include "tests/oom.h"

static const char token[] = "s3cret-of-the-house";

/* A bus with a few events behind it, trackers, and a server that shows them. */
struct host {
    tbus_t *bus;
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    tbus_budgets_t *budgets;
    tbus_web_t *web;
    uint16_t port;
};

static void host_open(struct host *host, tbus_web_options_t options)
{
    cr_assert_eq(tbus_open(NULL, &host->bus), 0);
    cr_assert_eq(tbus_streaming_open(NULL, &host->streaming), 0);
    cr_assert_eq(tbus_errors_open(NULL, &host->errors), 0);
    cr_assert_eq(tbus_cost_open(NULL, &host->cost), 0);
    cr_assert_eq(
        tbus_streaming_record_start(host->streaming, "s-1", &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = 1}),
        0);
    cr_assert_eq(tbus_errors_record_response(host->errors, "/v1", "gpt-4o", 500, 1), 0);
    cr_assert_eq(tbus_cost_record_usage(
                     host->cost, &(tbus_usage_t){.api_key = "sk-verysecret-0123456789", .model = "gpt-4o"}, NULL),
                 0);
    cr_assert_eq(tbus_budgets_open(NULL, &host->budgets), 0);
    cr_assert_eq(tbus_budget_set(host->budgets, &(tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "amina"}), 0);
    options.bus = host->bus;
    options.streaming = host->streaming;
    options.errors = host->errors;
    options.cost = host->cost;
    options.budgets = host->budgets;
    cr_assert_eq(tbus_web_open(&options, &host->web), 0);
    host->port = tbus_web_port(host->web);
    cr_assert_neq(host->port, 0);
}

static void host_close(struct host *host)
{
    tbus_web_close(host->web);
    cr_assert_eq(tbus_free(host->bus), 0);
    tbus_streaming_close(host->streaming);
    tbus_errors_close(host->errors);
    tbus_cost_close(host->cost);
    tbus_budgets_close(host->budgets);
}

static void expect_header(const struct web_got *got, const char *name, const char *value)
{
    const char *is = web_header(got, name);
    cr_assert_not_null(is, "%s: %s", name, got->bytes);
    cr_assert_str_eq(is, value, "%s: %s", name, got->bytes);
}

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

Test(web, each_document_is_served)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    web_expect(host.port, "/metrics/streaming", "Accept: text/plain\r\n", 200, "\nstreaming_total_streams 1\n");
    web_expect(host.port, "/metrics/errors", "Accept: text/plain\r\n", 200, "\n# TYPE ");
    web_expect(host.port, "/metrics/costs", "Accept: text/plain\r\n", 200, "\ncost_total_usd ");
    web_expect(host.port, "/metrics/budgets", "Accept: text/plain\r\n", 200, "scope=\"user\",subject=\"amina\"");
    web_expect(host.port, "/metrics/bus", "Accept: text/plain\r\n", 200, "\ntallybus_bus_published_total 0\n");
    web_expect(host.port, "/health", "", 200, "{\"status\":\"ok\"}");
    const char *const pages[] = {"/metrics", "/metrics/prometheus", "/%6detrics"};
    for (int i = 0; i < 3; i++) {
        struct web_got got = web_ask(host.port, "GET", pages[i], "");
        cr_assert_eq(got.status, 200);
        expect_header(&got, "Content-Type", PROMETHEUS_TYPE);
        cr_assert_not_null(strstr(got.body, "\ntallybus_bus_published_total 0\n"));
        cr_assert_not_null(strstr(got.body, "\nstreaming_total_streams 1\n"));
        cr_assert_not_null(strstr(got.body, "\ncost_total_usd "));
        cr_assert_not_null(strstr(got.body, "subject=\"amina\""));
        cr_assert_null(strstr(got.bytes, "verysecret"), "a key is shown");
        free(got.bytes);
    }
    host_close(&host);
}

Test(web, a_part_of_the_page_can_be_asked_for)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    struct web_got got = web_ask(host.port, "GET", "/metrics?only=costs", "");
    cr_assert_eq(got.status, 200);
    cr_assert_not_null(strstr(got.body, "\ncost_total_usd "));
    cr_assert_null(strstr(got.body, "tallybus_bus"));
    free(got.bytes);
    host_close(&host);
}

Test(web, every_reply_says_what_keeps_browsers_safe)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    const char *const urls[] = {"/metrics", "/health", "/nothing", "/metrics?only=x"};
    for (int i = 0; i < 4; i++) {
        struct web_got got = web_ask(host.port, "GET", urls[i], "");
        expect_header(&got, "Cache-Control", "no-store");
        expect_header(&got, "X-Content-Type-Options", "nosniff");
        expect_header(&got, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
        cr_assert_null(web_header(&got, "Access-Control-Allow-Origin"));
        free(got.bytes);
    }
    host_close(&host);
}

Test(web, head_is_get_without_the_body)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    struct web_got get = web_ask(host.port, "GET", "/metrics?only=costs", "");
    struct web_got head = web_ask(host.port, "HEAD", "/metrics?only=costs", "");
    char length[32];
    snprintf(length, sizeof length, "%zu", get.body_length);
    cr_assert_eq(head.status, 200);
    expect_header(&head, "Content-Length", length);
    expect_header(&head, "Content-Type", PROMETHEUS_TYPE);
    free(get.bytes);
    free(head.bytes);
    host_close(&host);
}

Test(web, what_can_not_be_answered_is_told_in_json)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    web_expect(host.port, "/nothing", "", 404,
               "{\"error\":{\"status\":404,\"message\":\"there is nothing at this path\"}}");
    web_expect(host.port, "/metrics/", "", 404, "nothing");
    web_expect(host.port, "/metrics/../metrics", "", 404, "nothing");
    web_expect(host.port, "/metrics%2Fbus", "", 404, "nothing");
    web_expect(host.port, "/%2e%2e/%2e%2e/etc/passwd", "", 404, "nothing");
    web_expect(host.port, "/metrics%00", "", 400, "%-escape");
    web_expect(host.port, "/metrics%zz", "", 400, "%-escape");
    web_expect(host.port, "/metrics%2", "", 400, "%-escape");
    web_expect(host.port, "/metrics\xC3\xA9", "", 400, "%-escape");
    web_expect(host.port, "https://localhost/metrics", "", 400, "slash");
    web_expect(host.port, "localhost:80", "", 400, "slash");
    web_expect(host.port, "*", "", 400, "slash");
    web_expect(host.port, "/metrics?only=all", "", 400,
               "'only' wants 'bus', 'streaming', 'errors', 'costs', 'budgets', 'requests', 'models', 'inference', "
               "'kv-cache' or 'process', and got 'all'");
    web_expect(host.port, "/metrics?only=bus&only=bus", "", 400, "'only' is given twice");
    web_expect(host.port, "/metrics?x=%22%3Cscript%3E", "", 400, "no parameter 'x' here; there is: only");
    web_expect(host.port, "/metrics?%22%3C%FF=1", "", 400, "no parameter '\\\"<\xEF\xBF\xBD' here");
    web_expect(host.port, "/health?x=1", "", 400, "there is none");
    web_expect(host.port, "/metrics?only=%", "", 400, "%-escape");
    web_expect(host.port, "/metrics/costs", "Accept: image/png\r\n", 406, "only as application/json or text/plain");
    web_expect(host.port, "/metrics/costs", "Accept-Encoding: identity;q=0\r\n", 406, "gzip");
    web_expect(host.port, "/metrics", "Content-Length: 5\r\n", 413, "no body");
    web_expect(host.port, "/metrics", "Transfer-Encoding: chunked\r\n", 413, "no body");
    host_close(&host);
}

Test(web, other_methods_are_refused_with_those_that_there_are)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"};
    for (int i = 0; i < 7; i++) {
        struct web_got got = web_ask(host.port, methods[i], "/metrics", "");
        cr_assert_eq(got.status, 405, "%s", methods[i]);
        expect_header(&got, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
        expect_header(&got, "Allow", "GET, HEAD");
        expect_header(&got, "Content-Type", "application/json");
        free(got.bytes);
    }
    host_close(&host);
}

Test(web, what_was_not_handed_in_is_not_found)
{
    tbus_web_t *web;
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){0}, &web), 0);
    uint16_t port = tbus_web_port(web);
    web_expect(port, "/metrics/streaming", "", 404, "this server was opened without a streaming tracker");
    web_expect(port, "/metrics/errors", "", 404, "without an error tracker");
    web_expect(port, "/metrics/costs", "", 404, "without a cost tracker");
    web_expect(port, "/metrics/budgets", "", 404, "without budgets");
    web_expect(port, "/metrics/bus", "", 404, "without a bus");
    web_expect(port, "/metrics?only=bus", "", 404, "nothing by this name");
    web_expect(port, "/metrics", "", 200, "");
    tbus_web_close(web);
}

Test(web, large_urls_and_headers_are_refused)
{
    struct host host;
    char url[TBUS_WEB_URL_MAX + 2], headers[8192] = "";
    host_open(&host, (tbus_web_options_t){0});
    memset(url, 'a', sizeof url);
    url[0] = '/';
    url[TBUS_WEB_URL_MAX] = '\0';
    web_expect(host.port, url, "", 404, "nothing");
    url[TBUS_WEB_URL_MAX] = 'a';
    url[TBUS_WEB_URL_MAX + 1] = '\0';
    web_expect(host.port, url, "", 414, "longer than 2048");
    for (int i = 0; i < TBUS_WEB_HEADERS_MAX; i++) /* and Host is one more */
        strcat(headers, "X: y\r\n");
    web_expect(host.port, "/health", headers, 431, "more than 64 headers");
    web_expect(host.port, "/health", headers + strlen("X: y\r\n"), 200, "ok");
    memset(headers, 'a', sizeof headers - 1);
    memcpy(headers, "Accept: ", 8);
    strcpy(headers + 4000, "\r\n");
    web_expect(host.port, "/health", headers, 431, "Accept may have");
    host_close(&host);
}

/* By the table: what is not open says nothing. */
Test(web, each_path_but_the_open_ones_asks_for_the_token)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){.token = token});
    for (const struct web_route *route = web_documents; route->pattern; route++) {
        const bool is_open = strcmp(route->pattern, "/") == 0 || strcmp(route->pattern, "/health") == 0;
        struct web_got got = web_ask(host.port, "GET", route->pattern, "");
        cr_assert_eq(got.status, is_open ? 200 : 401, "%s", route->pattern);
        free(got.bytes);
        got = web_ask(host.port, "POST", route->pattern, "");
        cr_assert_eq(got.status, is_open ? 405 : 401, "%s", route->pattern);
        free(got.bytes);
    }
    host_close(&host);
}

Test(web, without_the_token_nothing_is_told)
{
    struct host host;
    char right[128], longer[128];
    host_open(&host, (tbus_web_options_t){.token = token});
    snprintf(right, sizeof right, "Authorization: bearer  %s\r\n", token);
    snprintf(longer, sizeof longer, "Authorization: Bearer %s0\r\n", token);
    const char *const wrong[] = {"",
                                 "Authorization: Bearer \r\n",
                                 "Authorization: Bearer s3cret-of-the-hous\r\n",
                                 "Authorization: Basic s3cret-of-the-house\r\n",
                                 "Authorization: Bearer S3cret-of-the-house\r\n",
                                 longer};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const urls[] = {"/metrics", "/nothing", "/metrics?x=1", "/%00", "/health/", "//", "*"};
        const char *const methods[] = {"GET", "POST", "HEAD"};
        for (int url = 0; url < 7; url++) {
            struct web_got got = web_ask(host.port, methods[url % 3], urls[url], wrong[i]);
            cr_assert_eq(got.status, 401, "%s %s", wrong[i], got.bytes);
            expect_header(&got, "WWW-Authenticate", "Bearer");
            cr_assert_null(strstr(got.bytes, token));
            free(got.bytes);
        }
    }
    web_expect(host.port, "/metrics", right, 200, "cost_total_usd");
    snprintf(right, sizeof right, "Authorization: Bearer %s \t\r\n", token);
    web_expect(host.port, "/metrics", right, 200, "cost_total_usd");
    web_expect(host.port, "/health", "", 200, "ok");
    host_close(&host);
}

Test(web, a_foreign_host_is_turned_away_on_a_loopback_address)
{
    struct host host;
    const struct {
        const char *name;
        int status;
    } hosts[] = {{"localhost", 200},    {"LOCALHOST:80", 200}, {"127.0.0.1:9464", 200}, {"[::1]:9464", 200},
                 {"[::1]", 200},        {"evil.example", 421}, {"localhost.evil", 421}, {"127.0.0.1.evil", 421},
                 {"[::1]x", 421},       {"[::1", 421},         {"localhost:x", 421},    {"", 421},
                 {"localhost:80:", 421}};
    host_open(&host, (tbus_web_options_t){0});
    web_expect(host.port, "/health", "Host: localhost\r\n", 400, "more than one Host");
    host_close(&host);
    for (int any_host = 0; any_host < 2; any_host++) {
        host_open(&host, (tbus_web_options_t){.any_host = any_host});
        for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
            char request[256];
            snprintf(request, sizeof request, "GET /health HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i].name);
            int client = web_connect(host.port);
            web_send(client, request, strlen(request));
            struct web_got got = web_receive(client, false);
            cr_assert_eq(got.status, any_host ? 200 : hosts[i].status, "%s", hosts[i].name);
            free(got.bytes);
            close(client);
        }
        host_close(&host);
    }
}

/* 127.0.0.1 as an IPv6 socket calls it, which IPv4 clients reach. */
Test(web, a_mapped_loopback_address_is_one)
{
    tbus_web_t *web;
    static const char *const addresses[] = {"::ffff:127.0.0.1", "::FFFF:7f00:1"};
    for (int i = 0; i < 2; i++) {
        int error = tbus_web_open(&(tbus_web_options_t){.address = addresses[i]}, &web);
        if (error == UV_EAFNOSUPPORT || error == UV_EADDRNOTAVAIL)
            cr_skip_test("this machine has no IPv6");
        cr_assert_eq(error, 0);
        int client = web_connect(tbus_web_port(web));
        web_send(client, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 44);
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, 421, "%s: %s", addresses[i], got.bytes);
        free(got.bytes);
        close(client);
        web_expect(tbus_web_port(web), "/health", "", 200, "ok");
        tbus_web_close(web);
    }
}

/* As a client of a proxy asks. */
Test(web, a_url_with_an_authority_is_understood_and_goes_before_the_host)
{
    static const struct {
        const char *url, *host;
        int status;
        const char *part;
    } cases[] = {{"http://localhost/health", "localhost", 200, "ok"},
                 {"HTTP://127.0.0.1:80/health?", "evil.example", 200, "ok"},
                 {"http://[::1]:9464/metrics?only=costs", "", 200, "cost_total_usd"},
                 {"http://localhost/health?x=1", "localhost", 400, "no parameter 'x'"},
                 {"http://localhost", "localhost", 200, "<!doctype html>"},
                 {"http://localhost?", "localhost", 200, "<!doctype html>"},
                 {"http://localhost?x=1", "localhost", 400, "no parameter 'x'"},
                 {"http://localhost//health", "localhost", 404, "nothing"},
                 {"http://evil.example/health", "localhost", 421, "reached as localhost"},
                 {"http://localhost.evil/health", "localhost", 421, "reached as localhost"},
                 {"http:///health", "localhost", 400, "names no host"},
                 {"http://:80/health", "localhost", 400, "names no host"},
                 {"http://user@localhost/health", "localhost", 400, "or a user"},
                 {"http:/localhost/health", "localhost", 400, "slash"}};
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char request[256];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].url, cases[i].host);
        int client = web_connect(host.port);
        web_send(client, request, strlen(request));
        struct web_got got = web_receive(client, false);
        cr_assert_eq(got.status, cases[i].status, "%s: %s", cases[i].url, got.bytes);
        cr_assert_not_null(strstr(got.body, cases[i].part), "%s: %s", cases[i].url, got.bytes);
        free(got.bytes);
        close(client);
    }
    struct web_got got = web_ask(host.port, "OPTIONS", "*", "");
    cr_assert_eq(got.status, 405, "%s", got.bytes);
    expect_header(&got, "Allow", "GET, HEAD");
    free(got.bytes);
    host_close(&host);
}

static void expect_gzip(const struct web_got *got, const struct web_got *plain)
{
    char *text = malloc(WEB_REPLY_ROOM);
    z_stream stream = {.next_in = (Bytef *)got->body,
                       .avail_in = (uInt)got->body_length,
                       .next_out = (Bytef *)text,
                       .avail_out = WEB_REPLY_ROOM};
    cr_assert_eq(inflateInit2(&stream, 15 + 16), Z_OK);
    cr_assert_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(stream.total_out, plain->body_length);
    cr_assert_eq(memcmp(text, plain->body, plain->body_length), 0);
    inflateEnd(&stream);
    free(text);
}

static int64_t stand_still(void *user)
{
    (void)user;
    return 1;
}

Test(web, pages_are_packed_where_that_is_wanted)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){.clock = stand_still});
    struct web_got plain = web_ask(host.port, "GET", "/metrics/costs", ""),
                   small = web_ask(host.port, "GET", "/health", "");
    const struct {
        const char *url, *accept;
        bool packed;
    } cases[] = {{"/metrics/costs", "gzip", true},
                 {"/metrics/costs", "deflate, gzip;q=0.5, br", true},
                 {"/metrics/costs", "*", true},
                 {"/metrics/costs", "gzip;q=0", false},
                 {"/metrics/costs", "gzip;q=0.2, identity;q=0.3", false},
                 {"/metrics/costs", "gzip;q=2", false},
                 {"/metrics/costs", "", false},
                 {"/metrics/costs", "br", false},
                 {"/health", "gzip", false},
                 {"/health", "gzip, identity;q=0", true},
                 {"/health", "*;q=0, gzip", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char headers[256];
        snprintf(headers, sizeof headers, "Accept-Encoding: %s\r\n", cases[i].accept);
        struct web_got got = web_ask(host.port, "GET", cases[i].url, headers);
        const struct web_got *same = strcmp(cases[i].url, "/health") == 0 ? &small : &plain;
        cr_assert_eq(got.status, 200, "%s", headers);
        cr_assert_eq(web_header(&got, "Content-Encoding") != NULL, cases[i].packed, "%s %s", cases[i].url, headers);
        if (cases[i].packed) {
            expect_gzip(&got, same);
        } else {
            cr_assert_eq(got.body_length, same->body_length);
        }
        free(got.bytes);
    }
    free(plain.bytes);
    free(small.bytes);
    host_close(&host);
}

Test(web, prometheus_gets_the_format_that_it_asks_for)
{
    static const char open_type[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    static const struct {
        const char *accept, *type;
    } cases[] = {
        {"", PROMETHEUS_TYPE},
        {"Accept: */*\r\n", PROMETHEUS_TYPE},
        {"Accept: application/openmetrics-text\r\n", open_type},
        {"Accept: application/openmetrics-text; version=\"1.0.0\"\r\n", open_type},
        {"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n", PROMETHEUS_TYPE},
        /* what Prometheus 2 and 3 send */
        {"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
         open_type},
        {"Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
         "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
         "text/plain;version=0.0.4;q=0.2,*/*;q=0.1\r\n",
         open_type},
        {"Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\n", PROMETHEUS_TYPE},
        {"Accept: application/openmetrics-text;version=0.0.1,text/plain;q=0.1\r\n", PROMETHEUS_TYPE},
    };
    static const char *const paths[] = {"/metrics", "/metrics/prometheus", "/metrics?only=errors"};
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t path = 0; path < sizeof paths / sizeof *paths; path++) {
            struct web_got got = web_ask(host.port, "GET", paths[path], cases[i].accept);
            const bool is_open = cases[i].type == open_type;
            cr_assert_eq(got.status, 200, "'%s': %s", cases[i].accept, got.bytes);
            expect_header(&got, "Content-Type", cases[i].type);
            cr_assert_not_null(
                strstr(got.body, is_open ? "\nerror_total_requests_total 1\n" : "\nerror_total_requests 1\n"));
            cr_assert_eq(strcmp(got.body + got.body_length - 6, "# EOF\n") == 0, is_open);
            free(got.bytes);
        }
    }
    web_expect(host.port, "/metrics/errors", "Accept: application/openmetrics-text\r\n", 200, "\n# EOF\n");
    web_expect(host.port, "/metrics?only=process", "", 200, "\nprocess_open_fds ");
    host_close(&host);
}

Test(web, the_form_of_the_bus_is_the_one_that_is_liked_best)
{
    struct host host;
    host_open(&host, (tbus_web_options_t){0});
    web_expect(host.port, "/metrics/bus", "", 200, "{\"published\":0,");
    web_expect(host.port, "/metrics/bus", "Accept: text/plain;q=0.5, application/json;q=0.4\r\n", 200, "# HELP ");
    web_expect(host.port, "/metrics/bus", "Accept: text/plain;q=0.5\r\nAccept: application/*\r\n", 200, "{");
    web_expect(host.port, "/metrics/bus", "Accept: text/html\r\n", 406, "application/json or text/plain");
    host_close(&host);
}

Test(web, options_out_of_range_are_refused)
{
    tbus_web_t *web = NULL;
    char long_token[TBUS_WEB_TOKEN_MAX + 2];
    memset(long_token, 'a', sizeof long_token);
    long_token[sizeof long_token - 1] = '\0';
    const tbus_web_options_t wrong[] = {{.address = "localhost"},
                                        {.address = ""},
                                        {.address = "127.0.0.1:80"},
                                        {.token = ""},
                                        {.token = "a b"},
                                        {.token = "a\n"},
                                        {.token = "\xC3\xA9"},
                                        {.token = long_token},
                                        {.connections_max = 4097},
                                        {.wait_max_ms = 9},
                                        {.wait_max_ms = 600001},
                                        {.connections_per_address_max = 4097}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(tbus_web_open(&wrong[i], &web), UV_EINVAL, "%zu", i);
    cr_assert_eq(tbus_web_open(NULL, &web), UV_EINVAL);
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){0}, NULL), UV_EINVAL);
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){.reserved = {1}}, &web), UV_EINVAL);
    cr_assert_null(web);
    cr_assert_eq(tbus_web_port(NULL), 0);
    tbus_web_close(NULL);
}

Test(web, an_address_that_is_taken_or_not_ours_is_told)
{
    tbus_web_t *first, *second = NULL;
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){0}, &first), 0);
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){.port = tbus_web_port(first)}, &second), UV_EADDRINUSE);
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){.address = "192.0.2.1"}, &second), UV_EADDRNOTAVAIL);
    cr_assert_null(second);
    tbus_web_close(first);
}

Test(web, two_servers_show_each_its_own)
{
    struct host one, two;
    host_open(&one, (tbus_web_options_t){0});
    host_open(&two, (tbus_web_options_t){.token = token});
    cr_assert_eq(tbus_publish_decode_started(two.bus, &(tbus_decode_started_t){0}), 0);
    web_expect(one.port, "/metrics", "", 200, "\ntallybus_bus_published_total 0\n");
    web_expect(two.port, "/metrics", "Authorization: Bearer s3cret-of-the-house\r\n", 200,
               "\ntallybus_bus_published_total 1\n");
    web_expect(two.port, "/metrics", "", 401, "token");
    host_close(&one);
    web_expect(two.port, "/health", "", 200, "ok");
    host_close(&two);
}

Test(web, without_memory_no_server_opens)
{
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        tbus_web_t *web = NULL;
        oom_install(&oom);
        int error = tbus_web_open(&(tbus_web_options_t){0}, &web);
        tbus_web_close(web);
        oom_remove();
        cr_assert_eq(atomic_load(&oom.live), 0);
        if (!atomic_load(&oom.failed)) {
            cr_assert_eq(error, 0);
            break;
        }
        cr_assert_eq(error, UV_ENOMEM);
        cr_assert_null(web);
    }
}

/* Each allocation of a request fails in turn: the client is told, and the next one is served. */
Test(web, without_memory_for_a_page_the_client_is_told)
{
    struct host host;
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    host_open(&host, (tbus_web_options_t){0});
    for (long at = 0;; at++) {
        oom.fail_at = atomic_load(&oom.calls) + at;
        long failed = atomic_load(&oom.failed);
        struct web_got got = web_ask(host.port, "GET", "/metrics", "Accept-Encoding: gzip, identity;q=0\r\n");
        oom.fail_at = -1;
        bool refused = atomic_load(&oom.failed) > failed;
        cr_assert_eq(got.status, refused ? 503 : 200, "%s", got.bytes);
        free(got.bytes);
        if (!refused)
            break;
        web_expect(host.port, "/health", "", 200, "ok");
    }
    host_close(&host);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}
