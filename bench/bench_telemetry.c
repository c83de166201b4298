/* The whole telemetry set under a realistic mix: of each request its start, its stream's start, a first token, 100
 * tokens, the stream's end and the request's; one request in 100 fails.
 *
 *   telemetry.mix      end to end: one producer, the bus's thread, all trackers
 *   telemetry.of_NAME  what the loop thread spends on an event of the mix with that tracker alone; of_none: with none,
 *                      of_all: with all. The difference from of_none is the tracker's own. A priced usage for each
 *                      request comes with two of them: of_cost_models, of_cost_budgets (a budget for each of the keys);
 *                      there the difference from of_cost is what the second one costs, and the usage's own way. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tallybus.h>

#include "bench/cores.h"
#include "bench/events.h"
#include "bench/harness.h"

enum {
    TOKENS = 100,
    EVENTS_OF_REQUEST = TOKENS + 5,
    FAILS_EVERY = 100,
    IDS = 4096, /* requests whose ids are told apart; they overlap */
    OPEN_AT_ONCE = 64,
    BURST_REQUESTS = 96, /* fit the queue */
    TOKEN_NS = 20000000
};

struct mix {
    uv_loop_t loop;
    tbus_t *bus;
    tbus_telemetry_t *telemetry;
    bool hosted;
    uint64_t requests; /* begun so far, in steps of OPEN_AT_ONCE */
    int64_t now_ns;
    char ids[IDS][ID_BYTES];
    char keys[100][32];
};

static const char *const models[] = {"gpt-4o", "gpt-4o-mini", "gpt-4", "o1"};
static const char *const endpoints[] = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings"};

static const char *id_of(const struct mix *mix, uint64_t request)
{
    return mix->ids[request % IDS];
}

static tbus_event_t base_of(struct mix *mix, uint64_t request)
{
    return (tbus_event_t){.time_ns = mix->now_ns,
                          .request_id = id_of(mix, request),
                          .api_key = mix->keys[request % (sizeof mix->keys / sizeof mix->keys[0])],
                          .user_id = "user-17"};
}

static int begin(struct mix *mix, uint64_t request)
{
    const char *model = models[request % 4], *endpoint = endpoints[request % 3];
    tbus_request_started_t started = {.base = base_of(mix, request),
                                      .endpoint = endpoint,
                                      .method = "POST",
                                      .model = model,
                                      .streaming = true,
                                      .input_tokens = 800};
    tbus_stream_started_t stream = {.base = base_of(mix, request),
                                    .stream_id = id_of(mix, request),
                                    .endpoint = endpoint,
                                    .model = model,
                                    .input_tokens = 800};
    tbus_stream_first_token_t first = {.base = base_of(mix, request), .stream_id = id_of(mix, request), .ttft_ms = 250};
    return tbus_publish_request_started(mix->bus, &started) | tbus_publish_stream_started(mix->bus, &stream) |
           tbus_publish_stream_first_token(mix->bus, &first);
}

static int token(struct mix *mix, uint64_t request, int number)
{
    int error;
    tbus_stream_token_generated_t event = {.base = {.time_ns = mix->now_ns},
                                           .stream_id = id_of(mix, request),
                                           .token = " token",
                                           .sequence_number = number};
    while ((error = tbus_publish_stream_token_generated(mix->bus, &event)) == UV_ENOBUFS && !mix->hosted)
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    return error;
}

static int end(struct mix *mix, uint64_t request)
{
    const char *model = models[request % 4], *endpoint = endpoints[request % 3];
    if (request % FAILS_EVERY == 0)
        return tbus_publish_stream_failed(mix->bus, &(tbus_stream_failed_t){.base = base_of(mix, request),
                                                                            .stream_id = id_of(mix, request),
                                                                            .endpoint = endpoint,
                                                                            .error_message = "upstream timed out"}) |
               tbus_publish_request_failed(mix->bus, &(tbus_request_failed_t){.base = base_of(mix, request),
                                                                              .endpoint = endpoint,
                                                                              .model = model,
                                                                              .duration_ms = 2250,
                                                                              .error_type = "timeout",
                                                                              .error_message = "upstream timed out"});
    return tbus_publish_stream_completed(mix->bus, &(tbus_stream_completed_t){.base = base_of(mix, request),
                                                                              .stream_id = id_of(mix, request),
                                                                              .endpoint = endpoint,
                                                                              .duration_ms = 2250,
                                                                              .token_count = TOKENS,
                                                                              .finish_reason = "stop"}) |
           tbus_publish_request_completed(mix->bus, &(tbus_request_completed_t){.base = base_of(mix, request),
                                                                                .endpoint = endpoint,
                                                                                .model = model,
                                                                                .duration_ms = 2250,
                                                                                .status_code = 200,
                                                                                .input_tokens = 800,
                                                                                .output_tokens = TOKENS,
                                                                                .finish_reason = "stop"});
}

/* `count` requests at a time, token by token, as a server's streams come. */
static void publish_requests(struct mix *mix, uint64_t count)
{
    int errors = 0;
    for (uint64_t i = 0; i < count; i++)
        errors |= begin(mix, mix->requests + i);
    for (int number = 1; number <= TOKENS; number++) {
        mix->now_ns += TOKEN_NS;
        for (uint64_t i = 0; i < count; i++)
            errors |= token(mix, mix->requests + i, number);
    }
    for (uint64_t i = 0; i < count; i++)
        errors |= end(mix, mix->requests + i);
    mix->requests += count;
    bench_require(errors == 0, "publishing the mix");
}

/* --- Opening and closing --- */

static struct mix *open_mix(uint32_t trackers, bool hosted)
{
    struct mix *mix = calloc(1, sizeof *mix);
    bench_require(mix != NULL, "calloc");
    for (unsigned i = 0; i < IDS; i++)
        snprintf(mix->ids[i], ID_BYTES, "5f0c7a52-9d1e-4b0b-8a36-%012u", i);
    for (size_t i = 0; i < sizeof mix->keys / sizeof mix->keys[0]; i++)
        snprintf(mix->keys[i], sizeof mix->keys[i], "sk-bench-%020zu", i);
    mix->hosted = hosted;
    mix->now_ns = BEGIN_NS;
    bench_require(!hosted || uv_loop_init(&mix->loop) == 0, "uv_loop_init");
    bench_require(tbus_open(&(tbus_options_t){.loop = hosted ? &mix->loop : NULL}, &mix->bus) == 0, "tbus_open");
    bench_require(!trackers || tbus_telemetry_open(mix->bus, &(tbus_telemetry_options_t){.trackers = trackers},
                                                   &mix->telemetry) == 0,
                  "tbus_telemetry_open");
    return mix;
}

static void when_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    (void)bus;
    (void)report;
    *(bool *)user = true;
}

static void close_mix(void *state)
{
    struct mix *mix = state;
    bool closed = false;
    bench_require(tbus_telemetry_close(mix->telemetry) == 0, "tbus_telemetry_close");
    if (mix->hosted) {
        bench_require(tbus_close(mix->bus, 1000, when_closed, &closed) == 0, "tbus_close");
        while (!closed)
            uv_run(&mix->loop, UV_RUN_ONCE);
    }
    bench_require(tbus_free(mix->bus) == 0, "tbus_free");
    if (mix->hosted) {
        uv_run(&mix->loop, UV_RUN_DEFAULT);
        bench_require(uv_loop_close(&mix->loop) == 0, "uv_loop_close");
    }
    free(mix);
}

/* --- Runs --- */

static tbus_stats_t stats_of(const struct mix *mix)
{
    tbus_stats_t stats;
    bench_require(tbus_stats(mix->bus, &stats) == 0, "tbus_stats");
    return stats;
}

static double run_mix(void *state, uint64_t operations)
{
    struct mix *mix = state;
    const uint64_t before = stats_of(mix).delivered, begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations / EVENTS_OF_REQUEST / OPEN_AT_ONCE + 1; i++)
        publish_requests(mix, OPEN_AT_ONCE);
    while (stats_of(mix).queued_events)
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    return (double)(stats_of(mix).delivered - before) * 1e3 / (double)(uv_hrtime() - begin_ns);
}

static double run_drain(void *state, uint64_t operations)
{
    struct mix *mix = state;
    uint64_t spent_ns = 0;
    const uint64_t begun = mix->requests;
    cores_pin(0, 1);
    for (uint64_t i = 0; i < operations / EVENTS_OF_REQUEST / BURST_REQUESTS + 1; i++) {
        publish_requests(mix, BURST_REQUESTS);
        const uint64_t begin_ns = uv_hrtime();
        do
            uv_run(&mix->loop, UV_RUN_NOWAIT);
        while (stats_of(mix).queued_events);
        spent_ns += uv_hrtime() - begin_ns;
    }
    cores_unpin();
    return (double)spent_ns / (double)((mix->requests - begun) * EVENTS_OF_REQUEST);
}

static void *open_all(void)
{
    return open_mix(TBUS_TELEMETRY_ALL, false);
}

#define OF(name, trackers)                                                                                             \
    static void *open_of_##name(void)                                                                                  \
    {                                                                                                                  \
        return open_mix(trackers, true);                                                                               \
    }

OF(none, 0)
OF(errors, TBUS_TELEMETRY_ERRORS)
OF(requests, TBUS_TELEMETRY_REQUESTS)
OF(inference, TBUS_TELEMETRY_INFERENCE)
OF(streaming, TBUS_TELEMETRY_STREAMING)
OF(cost, TBUS_TELEMETRY_COST)
OF(models, TBUS_TELEMETRY_MODELS)
OF(kvcache, TBUS_TELEMETRY_KVCACHE)
OF(budgets, TBUS_TELEMETRY_BUDGETS)
OF(all, TBUS_TELEMETRY_ALL)
OF(cost_models, TBUS_TELEMETRY_COST | TBUS_TELEMETRY_MODELS)

static void *open_of_cost_budgets(void)
{
    struct mix *mix = open_mix(TBUS_TELEMETRY_COST | TBUS_TELEMETRY_BUDGETS, true);
    const tbus_budget_t budget = {
        .scope = TBUS_BUDGET_KEY, .each = true, .limit = tbus_money_units(INT64_MAX), .period = TBUS_BUDGET_DAILY};
    bench_require(tbus_budget_set(tbus_telemetry_budgets(mix->telemetry), &budget) == 0, "tbus_budget_set");
    return mix;
}

static const struct bench benches[] = {
    {"telemetry.mix", "M events/s", 400000, open_all, run_mix, close_mix},
    {"telemetry.of_none", "ns", 200000, open_of_none, run_drain, close_mix},
    {"telemetry.of_errors", "ns", 200000, open_of_errors, run_drain, close_mix},
    {"telemetry.of_requests", "ns", 200000, open_of_requests, run_drain, close_mix},
    {"telemetry.of_inference", "ns", 200000, open_of_inference, run_drain, close_mix},
    {"telemetry.of_streaming", "ns", 200000, open_of_streaming, run_drain, close_mix},
    {"telemetry.of_cost", "ns", 200000, open_of_cost, run_drain, close_mix},
    {"telemetry.of_models", "ns", 200000, open_of_models, run_drain, close_mix},
    {"telemetry.of_kvcache", "ns", 200000, open_of_kvcache, run_drain, close_mix},
    {"telemetry.of_budgets", "ns", 200000, open_of_budgets, run_drain, close_mix},
    {"telemetry.of_cost_models", "ns", 200000, open_of_cost_models, run_drain, close_mix},
    {"telemetry.of_cost_budgets", "ns", 200000, open_of_cost_budgets, run_drain, close_mix},
    {"telemetry.of_all", "ns", 200000, open_of_all, run_drain, close_mix},
};

const struct bench_list telemetry_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = false};
