/* The dashboard in a real browser: headless Chromium, driven by web_dashboard.py, which says what it expects. This side
 * is the host: a bus, a telemetry set fed with known events, and the server, closed and opened when the script asks. */
#include <sys/wait.h>

#include <math.h>
#include <time.h>

#include <tallybus.h>

#include "tests/exporters/web_client.h"
#include "tests/scratch.h"

#define SECOND INT64_C(1000000000)
#define BEGIN_NS (INT64_C(1767258000) * SECOND)
#define NOW_NS (BEGIN_NS + 50 * SECOND)

static const char hostile_model[] = "<script>window.hacked=1</script>";
static const char hostile_message[] = "<img src=x onerror=\"window.hacked=2\"> & <b>bold</b>";
static const char hostile_endpoint[] = "\"><svg onload=window.hacked=3>";

struct host {
    tbus_t *bus;
    tbus_telemetry_t *telemetry;
    tbus_web_t *web;
    const char *token;
    uint16_t port;
};

static int64_t read_clock(void *user)
{
    (void)user;
    return NOW_NS;
}

static tbus_event_t at(int i, int64_t ms, const char *id)
{
    return (tbus_event_t){.time_ns = BEGIN_NS + i * SECOND + ms * 1000000,
                          .request_id = id,
                          .user_id = i % 2 ? "amina" : "bruno",
                          .project_id = "</style><u>search",
                          .api_key = "sk-0123456789abcdefghij"};
}

/* A request with its stream, `i` seconds after the beginning. */
static void publish_request(tbus_t *bus, int i, const char *model, const char *endpoint)
{
    char id[16];
    snprintf(id, sizeof id, "r-%d", i);
    int bad = 0;
    bad |= tbus_publish_request_started(
        bus, &(tbus_request_started_t){.base = at(i, 0, id), .endpoint = endpoint, .model = model});
    bad |= tbus_publish_worker_assigned(
        bus, &(tbus_worker_assigned_t){.base = at(i, 1, id), .worker_id = i % 2 ? "gpu-1" : "<i>gpu-0</i>"});
    bad |= tbus_publish_prefill_started(bus, &(tbus_prefill_started_t){.base = at(i, 5 + i, id)});
    bad |= tbus_publish_prefill_completed(
        bus, &(tbus_prefill_completed_t){.base = at(i, 60 + i, id), .prefill_time_ms = NAN});
    bad |= tbus_publish_stream_started(bus,
                                       &(tbus_stream_started_t){.base = at(i, 0, id), .stream_id = id, .model = model});
    bad |= tbus_publish_decode_started(bus, &(tbus_decode_started_t){.base = at(i, 60 + i, id)});
    for (int token = 0; token < 4; token++)
        bad |= tbus_publish_stream_token_generated(
            bus, &(tbus_stream_token_generated_t){
                     .base = at(i, 70 + i + 13 * token, id), .stream_id = id, .token = "a", .tokens = 1});
    bad |= tbus_publish_decode_completed(
        bus, &(tbus_decode_completed_t){.base = at(i, 200, id), .decode_time_ms = NAN, .output_tokens = 10000});
    bad |= tbus_publish_stream_completed(bus, &(tbus_stream_completed_t){.base = at(i, 201, id), .stream_id = id});
    bad |= tbus_publish_cache_lookup(
        bus, &(tbus_cache_lookup_t){
                 .base = at(i, 2, id), .endpoint = endpoint, .total_tokens = 100, .matched_tokens = 25 * (i % 3)});
    bad |= tbus_publish_request_completed(bus, &(tbus_request_completed_t){.base = at(i, 201 + i, id),
                                                                           .endpoint = endpoint,
                                                                           .model = model,
                                                                           .duration_ms = 201 + i,
                                                                           .status_code = 200,
                                                                           .input_tokens = 100000,
                                                                           .output_tokens = 10000});
    cr_assert_eq(bad, 0);
}

static int on_nothing(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    return 0;
}

static void wait_until_delivered(tbus_t *bus)
{
    int64_t last = tbus_subscribe(bus, "request.started", -1, on_nothing, NULL);
    cr_assert_gt(last, 0);
    cr_assert_eq(tbus_unsubscribe_wait(bus, last), 0);
}

/* 12 requests that went well, 4 that failed alike, 1 under way. Waits until all of it is delivered. */
static void publish_all(tbus_t *bus)
{
    char long_name[301];
    memset(long_name, 'w', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (int i = 0; i < 12; i++)
        publish_request(bus, i,
                        i == 9    ? hostile_model
                        : i == 10 ? long_name
                                  : "gpt-4o",
                        i == 9 ? hostile_endpoint : "/v1/chat");
    for (int i = 12; i < 16; i++) {
        char id[16];
        snprintf(id, sizeof id, "r-%d", i);
        cr_assert_eq(tbus_publish_request_started(bus, &(tbus_request_started_t){.base = at(i, 0, id),
                                                                                 .endpoint = hostile_endpoint,
                                                                                 .model = hostile_model}),
                     0);
        cr_assert_eq(tbus_publish_request_failed(bus, &(tbus_request_failed_t){.base = at(i, 10, id),
                                                                               .endpoint = hostile_endpoint,
                                                                               .model = hostile_model,
                                                                               .duration_ms = 10,
                                                                               .status_code = 503,
                                                                               .error_type = "<h1>type",
                                                                               .error_message = hostile_message}),
                     0);
    }
    cr_assert_eq(tbus_publish_cache_lookup(bus, &(tbus_cache_lookup_t){.base = at(16, 0, "r"), .total_tokens = 1}), 0);
    cr_assert_eq(tbus_publish_cache_speedup_measured(bus, &(tbus_cache_speedup_measured_t){.base = at(16, 0, "r"),
                                                                                           .endpoint = "/v1/chat",
                                                                                           .baseline_ttft_ms = 1e9,
                                                                                           .actual_ttft_ms = 1e-6}),
                 0);
    cr_assert_eq(tbus_publish_request_started(
                     bus, &(tbus_request_started_t){.base = at(16, 0, "r"), .endpoint = "/v1/chat", .model = "o1"}),
                 0);
    cr_assert_eq(tbus_publish_stream_started(
                     bus, &(tbus_stream_started_t){.base = at(16, 0, "r"), .stream_id = "r", .model = "o1"}),
                 0);
    for (int i = 0; i < 300; i++) /* the wait in the queue is known of one event in 256 */
        cr_assert_eq(tbus_publish_queue_depth_changed(
                         bus, &(tbus_queue_depth_changed_t){.base = at(16, i, NULL), .depth = i % 4}),
                     0);
    wait_until_delivered(bus);
}

static void set_budgets(tbus_budgets_t *budgets)
{
    const tbus_budget_t terms[] = {
        {.scope = TBUS_BUDGET_ALL, .limit = {20 * TBUS_MONEY_PER_USD, 0}, .kind = TBUS_BUDGET_HARD},
        {.scope = TBUS_BUDGET_USER, .subject = "amina", .limit = {3 * TBUS_MONEY_PER_USD, 0}},
        {.scope = TBUS_BUDGET_PROJECT, .subject = "</style><u>search", .limit = {9 * TBUS_MONEY_PER_USD, 0}}};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_budget_set(budgets, &terms[i]), 0);
}

static void host_open(struct host *host, bool has_trackers)
{
    const tbus_web_options_t options = {.port = host->port,
                                        .token = host->token,
                                        .bus = host->bus,
                                        .telemetry = has_trackers ? host->telemetry : NULL,
                                        .clock = read_clock};
    cr_assert_eq(tbus_web_open(&options, &host->web), 0);
    host->port = tbus_web_port(host->web);
}

/* What the script asks for on the way, until it ends: returns its last line. */
static void serve(struct host *host, FILE *script, char last[512])
{
    for (char line[512]; fgets(line, sizeof line, script);) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "close") == 0) {
            tbus_web_close(host->web);
            host->web = NULL;
        } else if (strcmp(line, "open") == 0 || strcmp(line, "open the bus alone") == 0) {
            host_open(host, strcmp(line, "open") == 0);
        } else {
            fprintf(stderr, "%s\n", line);
            snprintf(last, 512, "%s", line);
            continue;
        }
        fputs("done\n", script);
        fflush(script);
    }
}

/* Runs web_dashboard.py SCENARIO URL SCRATCH, its standard streams at the other end of a socket. */
static void browse(struct host *host, const char *scenario)
{
    char path[512], url[64], last[512] = "";
    int ends[2], code;
    snprintf(path, sizeof path, "%s/tests/exporters/web_dashboard.py", TBUS_SOURCE_DIR);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", host->port);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(ends[1], 0);
        dup2(ends[1], 1);
        execl("/usr/bin/env", "env", "python3", path, scenario, url, scratch_directory, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *script = fdopen(ends[0], "r+");
    cr_assert_not_null(script);
    setvbuf(script, NULL, _IONBF, 0); /* reads and writes take turns on it */
    serve(host, script, last);
    fclose(script);
    cr_assert_eq(waitpid(child, &code, 0), child);
    cr_assert_eq(code, 0, "%s: %s", scenario, last);
    cr_assert_str_eq(last, "all is as it should be");
}

static void host_make(struct host *host)
{
    scratch_open();
    cr_assert_eq(tbus_open(NULL, &host->bus), 0);
    cr_assert_eq(tbus_telemetry_open(host->bus, NULL, &host->telemetry), 0);
}

static void host_feed(struct host *host)
{
    set_budgets(tbus_telemetry_budgets(host->telemetry));
    publish_all(host->bus);
}

static void host_close(struct host *host)
{
    tbus_web_close(host->web);
    cr_assert_eq(tbus_telemetry_close(host->telemetry), 0);
    cr_assert_eq(tbus_free(host->bus), 0);
}

static bool has_browser(void)
{
    return system("command -v chromium >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1") == 0;
}

static void run(const char *scenario, bool has_events, const char *token)
{
    struct host host = {.token = token};
    if (!has_browser())
        cr_skip_test("chromium or python3 is not installed");
    host_make(&host);
    if (has_events)
        host_feed(&host);
    host_open(&host, true);
    browse(&host, scenario);
    host_close(&host);
}

Test(web_dashboard, every_figure_is_that_of_the_json_and_every_text_stays_text)
{
    run("figures", true, NULL);
}

Test(web_dashboard, it_fits_a_phone_and_a_desk_in_light_and_dark)
{
    run("looks", true, NULL);
}

Test(web_dashboard, it_says_that_the_server_is_gone_and_recovers)
{
    run("gone", true, NULL);
}

Test(web_dashboard, it_says_that_there_is_nothing_yet)
{
    run("empty", false, NULL);
}

Test(web_dashboard, one_failure_is_shown_as_a_violation_of_the_slo)
{
    struct host host = {0};
    if (!has_browser())
        cr_skip_test("chromium or python3 is not installed");
    host_make(&host);
    cr_assert_eq(tbus_publish_request_failed(host.bus, &(tbus_request_failed_t){.base = at(0, 0, "r"),
                                                                                .endpoint = "/v1/chat",
                                                                                .model = "gpt-4o",
                                                                                .error_message = "gone"}),
                 0);
    wait_until_delivered(host.bus);
    host_open(&host, true);
    browse(&host, "one failure");
    host_close(&host);
}

/* Neither tracker tells the time of now: all that the page knows of it is the server's date. */
Test(web_dashboard, without_a_clock_among_the_trackers_it_goes_by_the_servers_date)
{
    const int64_t now_ns = (int64_t)time(NULL) * SECOND;
    const tbus_error_t error = {.type = "timeout",
                                .message = "no token",
                                .endpoint = "/v1/chat",
                                .status_code = 504,
                                .time_ns = now_ns - 65 * 60 * SECOND};
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    tbus_web_t *web;
    if (!has_browser())
        cr_skip_test("chromium or python3 is not installed");
    scratch_open();
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    for (int key = 0; key < 1000; key++) {
        char name[32];
        snprintf(name, sizeof name, "sk-%04d-0123456789abcdef", key * 7 % 1000);
        const tbus_usage_t usage = {
            .model = "gpt-4o", .api_key = name, .prompt_tokens = 1000 * (1 + key * 7 % 1000), .time_ns = error.time_ns};
        cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    }
    cr_assert_eq(tbus_web_open(&(tbus_web_options_t){.errors = errors, .cost = cost}, &web), 0);
    struct host host = {.port = tbus_web_port(web)};
    browse(&host, "no clock");
    tbus_web_close(web);
    tbus_cost_close(cost);
    tbus_errors_close(errors);
}

Test(web_dashboard, it_asks_for_the_token)
{
    run("token", true, "s3cret-of-the-house");
}

Test(web_dashboard, grafanas_dashboard_asks_for_nothing_that_is_not_exported)
{
    struct host host = {0};
    char path[128], command[1024];
    if (system("command -v promtool >/dev/null 2>&1 && command -v python3 >/dev/null 2>&1") != 0)
        cr_skip_test("promtool or python3 is not installed");
    host_make(&host);
    host_feed(&host);
    host_open(&host, true);
    struct web_got got = web_ask(host.port, "GET", "/metrics", "Accept: text/plain;version=0.0.4\r\n");
    cr_assert_eq(got.status, 200);
    snprintf(path, sizeof path, "%s/page", scratch_directory);
    FILE *page = fopen(path, "w");
    cr_assert_not_null(page);
    cr_assert_eq(fwrite(got.body, 1, got.body_length, page), got.body_length);
    cr_assert_eq(fclose(page), 0);
    snprintf(command, sizeof command,
             "python3 '%s/tests/exporters/grafana.py' '%s/docs/grafana/dashboard.json' '%s' '%s'", TBUS_SOURCE_DIR,
             TBUS_SOURCE_DIR, path, scratch_directory);
    cr_assert_eq(system(command), 0);
    free(got.bytes);
    host_close(&host);
}

Test(web_dashboard, the_page_is_for_everybody_and_takes_nothing_from_elsewhere)
{
    struct host host = {.token = "s3cret-of-the-house"};
    host_open(&host, false);
    struct web_got got = web_ask(host.port, "GET", "/", "Accept: text/html\r\n");
    cr_assert_eq(got.status, 200, "%s", got.bytes);
    cr_assert_str_eq(web_header(&got, "Content-Type"), "text/html; charset=utf-8");
    cr_assert_str_eq(web_header(&got, "X-Content-Type-Options"), "nosniff");
    cr_assert_str_eq(web_header(&got, "Referrer-Policy"), "no-referrer");
    const char *policy = web_header(&got, "Content-Security-Policy");
    cr_assert_eq(strncmp(policy, "default-src 'none'; script-src 'sha256-", 39), 0, "%s", policy);
    cr_assert(strstr(policy, "frame-ancestors 'none'") && strstr(policy, "require-trusted-types-for 'script'"));
    cr_assert(!strstr(policy, "unsafe") && !strchr(policy, '*') && !strstr(policy, "http"), "%s", policy);
    cr_assert(!strstr(got.body, "src=") && !strstr(got.body, "@import") && !strstr(got.body, "innerHTML"));
    cr_assert_null(strstr(got.body, host.token));
    free(got.bytes);
    web_expect(host.port, "/", "Accept: application/json\r\n", 406, "text/html");
    web_expect(host.port, "/?x=1", "", 400, "x");
    web_expect(host.port, "/dashboard.js", "Authorization: Bearer s3cret-of-the-house\r\n", 404,
               "nothing at this path");
    web_expect(host.port, "/metrics/bus", "", 401, "token");
    tbus_web_close(host.web);
}
