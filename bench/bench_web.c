/* The web server: what a scrape takes, and what scrapes cost the bus. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tallybus.h>

#include "bench/flow.h"
#include "bench/harness.h"

enum { MODELS = 20, ENDPOINTS = 200, KEYS = 1000, NAME_BYTES = 40, REPLY_BYTES = 1 << 22 };

#define SCRAPE_EVERY_NS UINT64_C(100000000)

struct web_bench {
    struct flow flow;
    tbus_t *bus;
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    tbus_web_t *web;
    int client;
    uint64_t target; /* events delivered when the run is over */
    uv_mutex_t mu;
    uv_cond_t wake;
    bool stopping; /* guarded by mu */
    char reply[REPLY_BYTES];
};

/* --- A gateway of some size --- */

static void fill(struct web_bench *bench)
{
    char model[NAME_BYTES], endpoint[NAME_BYTES], key[NAME_BYTES];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(model, sizeof model, "house-model-%u", i % MODELS);
        snprintf(endpoint, sizeof endpoint, "/v1/endpoint-%u", i % ENDPOINTS);
        snprintf(key, sizeof key, "sk-bench-%016u", i);
        const tbus_usage_t usage = {.api_key = key,
                                    .model = model,
                                    .endpoint = endpoint,
                                    .prompt_tokens = 1200,
                                    .completion_tokens = 340,
                                    .time_ns = BEGIN_NS + i};
        const tbus_error_t error = {
            .type = "timeout", .message = endpoint, .endpoint = endpoint, .model = model, .time_ns = BEGIN_NS + i};
        bench_require(tbus_cost_record_usage(bench->cost, &usage, NULL) == 0, "tbus_cost_record_usage");
        bench_require(tbus_errors_record_error(bench->errors, &error) == 0, "tbus_errors_record_error");
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        snprintf(model, sizeof model, "house-model-%u", i % MODELS);
        const tbus_stream_start_t start = {.model = model, .time_ns = BEGIN_NS};
        bench_require(tbus_streaming_record_start(bench->streaming, stream_ids[i], &start) == 0,
                      "tbus_streaming_record_start");
    }
}

static int64_t latest_time(void *user)
{
    (void)user;
    return 0;
}

static void connect_client(struct web_bench *bench)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(tbus_web_port(bench->web)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bench->client = socket(AF_INET, SOCK_STREAM, 0);
    bench_require(bench->client >= 0 && connect(bench->client, (const struct sockaddr *)&to, sizeof to) == 0,
                  "connect");
}

/* One scrape on the connection that stays open. */
static void scrape(struct web_bench *bench)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    size_t length = 0, wanted = 0;
    bench_require(send(bench->client, request, sizeof request - 1, 0) == sizeof request - 1, "send");
    while (wanted == 0 || length < wanted) {
        ssize_t got = recv(bench->client, bench->reply + length, REPLY_BYTES - 1 - length, 0);
        bench_require(got > 0, "recv");
        length += (size_t)got;
        bench->reply[length] = '\0';
        const char *body = wanted ? NULL : strstr(bench->reply, "\r\n\r\n");
        const char *told = body ? strstr(bench->reply, "Content-Length: ") : NULL;
        if (told)
            wanted = (size_t)(body - bench->reply) + 4 + strtoul(told + 16, NULL, 10);
    }
    bench_require(strncmp(bench->reply, "HTTP/1.1 200", 12) == 0, "a scrape");
}

/* --- Events --- */

static uint64_t delivered(const tbus_t *bus)
{
    tbus_stats_t stats;
    bench_require(tbus_stats(bus, &stats) == 0, "tbus_stats");
    return stats.delivered;
}

static void wait_until_delivered(void *queue)
{
    struct web_bench *bench = queue;
    while (delivered(bench->bus) < bench->target)
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
}

static inline bool put(void *queue, const struct flat_event *event)
{
    const struct web_bench *bench = queue;
    const int error = tbus_publish_stream_token_generated(bench->bus, &event->token);
    bench_require(error == 0 || error == UV_ENOBUFS, "tbus_publish_stream_token_generated");
    return error == 0;
}

static void produce(void *producer)
{
    flow_produce(producer, put);
}

static double publish(struct web_bench *bench, uint64_t operations)
{
    bench->target = delivered(bench->bus) + operations;
    return flow_run(&bench->flow, operations);
}

/* --- Benches --- */

static void *open_web(void)
{
    struct web_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench != NULL, "calloc");
    events_init();
    bench->flow = (struct flow){.queue = bench, .producers = 1, .produce = produce, .finish = wait_until_delivered};
    bench_require(tbus_open(NULL, &bench->bus) == 0, "tbus_open");
    bench_require(tbus_streaming_open(NULL, &bench->streaming) == 0, "tbus_streaming_open");
    bench_require(tbus_errors_open(NULL, &bench->errors) == 0, "tbus_errors_open");
    bench_require(tbus_cost_open(NULL, &bench->cost) == 0, "tbus_cost_open");
    fill(bench);
    bench_require(tbus_streaming_attach(bench->streaming, bench->bus) > 0, "tbus_streaming_attach");
    const tbus_web_options_t options = {.bus = bench->bus,
                                        .streaming = bench->streaming,
                                        .errors = bench->errors,
                                        .cost = bench->cost,
                                        .clock = latest_time};
    bench_require(tbus_web_open(&options, &bench->web) == 0, "tbus_web_open");
    bench_require(uv_mutex_init(&bench->mu) == 0 && uv_cond_init(&bench->wake) == 0, "uv_mutex_init");
    connect_client(bench);
    return bench;
}

static double run_scrapes(void *state, uint64_t operations)
{
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++)
        scrape(state);
    return (double)(uv_hrtime() - begin_ns) / 1e3 / (double)operations;
}

static void scrape_on(void *state)
{
    struct web_bench *bench = state;
    uv_mutex_lock(&bench->mu);
    while (!bench->stopping) {
        uv_mutex_unlock(&bench->mu);
        const uint64_t next_ns = uv_hrtime() + SCRAPE_EVERY_NS;
        scrape(bench);
        uv_mutex_lock(&bench->mu);
        for (uint64_t now_ns; !bench->stopping && (now_ns = uv_hrtime()) < next_ns;)
            uv_cond_timedwait(&bench->wake, &bench->mu, next_ns - now_ns);
    }
    uv_mutex_unlock(&bench->mu);
}

static double publish_scraped(struct web_bench *bench, uint64_t operations)
{
    uv_thread_t scraper;
    bench->stopping = false;
    bench_require(uv_thread_create(&scraper, scrape_on, bench) == 0, "uv_thread_create");
    const double figure = publish(bench, operations);
    uv_mutex_lock(&bench->mu);
    bench->stopping = true;
    uv_cond_signal(&bench->wake);
    uv_mutex_unlock(&bench->mu);
    uv_thread_join(&scraper);
    return figure;
}

/* Half of the scraped events before the others and half behind, so that a machine that gets slower or faster meanwhile
 * counts for neither. */
static double run_scrape_cost(void *state, uint64_t operations)
{
    const double before = publish_scraped(state, operations / 2);
    const double alone = publish(state, operations);
    const double after = publish_scraped(state, operations / 2);
    return 2 / (1 / before + 1 / after) / alone;
}

static void close_web(void *state)
{
    struct web_bench *bench = state;
    close(bench->client);
    tbus_web_close(bench->web);
    bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    tbus_streaming_close(bench->streaming);
    tbus_errors_close(bench->errors);
    tbus_cost_close(bench->cost);
    uv_cond_destroy(&bench->wake);
    uv_mutex_destroy(&bench->mu);
    free(bench);
}

static const struct bench benches[] = {
    {"web.scrape", "us", 100, open_web, run_scrapes, close_web},
    {"web.scrape_cost", "of alone", 20000000, open_web, run_scrape_cost, close_web},
};

/* Built without HTTP there is nothing to measure. */
const struct bench_list web_benches = {benches, BENCH_WITH_HTTP ? sizeof benches / sizeof *benches : 0,
                                       .takes_turns = false};
