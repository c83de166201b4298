/* The telemetry set's whole JSON document, of a gateway of some size. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <tallybus.h>

#include "bench/events.h"
#include "bench/harness.h"

enum { MODELS = 20, ENDPOINTS = 200, KEYS = 1000, WORKERS = 50, HOURS = 48, NAME_BYTES = 40 };

#define HOUR_NS (INT64_C(3600) * 1000000000)

struct document {
    tbus_t *bus;
    tbus_telemetry_t *telemetry;
    int64_t now_ns;
};

/* What the i-th request is about. */
struct names {
    char model[NAME_BYTES], endpoint[NAME_BYTES], key[NAME_BYTES], request[NAME_BYTES], worker[NAME_BYTES];
};

static struct names names_of(unsigned i)
{
    struct names names;
    snprintf(names.model, sizeof names.model, "house-model-%u", i % MODELS);
    snprintf(names.endpoint, sizeof names.endpoint, "/v1/endpoint-%u", i % ENDPOINTS);
    snprintf(names.key, sizeof names.key, "sk-bench-%016u", i % KEYS);
    snprintf(names.request, sizeof names.request, "req-%u", i);
    snprintf(names.worker, sizeof names.worker, "worker-%u", i % WORKERS);
    return names;
}

static void record_traffic(const struct document *document, const struct names *names, unsigned i, int64_t time_ns)
{
    const tbus_traffic_end_t end = {.duration_ms = 100 + i % 977 * 1.37,
                                    .failed = i % 10 == 0,
                                    .prompt_tokens = 1200,
                                    .completion_tokens = 340,
                                    .time_ns = time_ns};
    tbus_requests_t *requests = tbus_telemetry_requests(document->telemetry);
    tbus_models_t *models = tbus_telemetry_models(document->telemetry);
    int error = tbus_requests_record_start(requests, names->endpoint, time_ns);
    error = error ? error : tbus_requests_record_end(requests, names->endpoint, &end);
    error = error ? error : tbus_models_record_end(models, names->model, names->endpoint, names->key, &end);
    bench_require(error == 0, "traffic");
}

static void record_errors(const struct document *document, const struct names *names, unsigned i, int64_t time_ns)
{
    const tbus_error_t error = {.type = "timeout",
                                .message = names->endpoint,
                                .endpoint = names->endpoint,
                                .model = names->model,
                                .request_id = names->request,
                                .time_ns = time_ns};
    tbus_errors_t *errors = tbus_telemetry_errors(document->telemetry);
    bench_require(tbus_errors_record_response(errors, names->endpoint, names->model, 200, time_ns) == 0 &&
                      (i % 5 != 0 || tbus_errors_record_error(errors, &error) == 0),
                  "errors");
}

static void record_cost(const struct document *document, const struct names *names, unsigned i)
{
    const tbus_usage_t usage = {.api_key = names->key,
                                .user_id = names->worker,
                                .project_id = names->model,
                                .model = names->model,
                                .endpoint = names->endpoint,
                                .prompt_tokens = 1200,
                                .completion_tokens = 340 + i % 17,
                                .time_ns = document->now_ns - (int64_t)(HOURS - 1 - i % HOURS) * HOUR_NS};
    bench_require(tbus_cost_record_usage(tbus_telemetry_cost(document->telemetry), &usage, NULL) == 0, "cost");
}

static void record_inference(const struct document *document, const struct names *names, int64_t time_ns)
{
    tbus_inference_t *inference = tbus_telemetry_inference(document->telemetry);
    const tbus_inference_end_t end = {.input_tokens = 1200, .output_tokens = 340, .time_ns = time_ns + 400000000};
    bench_require(tbus_inference_record_start(inference, names->request, names->model, 1200, time_ns) == 0 &&
                      tbus_inference_record_worker(inference, names->request, names->worker, time_ns) == 0 &&
                      tbus_inference_record_step(inference, names->request, TBUS_STEP_FIRST_TOKEN, NAN, 0,
                                                 time_ns + 1234567) == 0 &&
                      tbus_inference_record_end(inference, names->request, &end) == 0,
                  "inference");
}

static void record_stream(const struct document *document, const struct names *names, int64_t time_ns)
{
    tbus_streaming_t *streaming = tbus_telemetry_streaming(document->telemetry);
    tbus_kvcache_t *kvcache = tbus_telemetry_kvcache(document->telemetry);
    bench_require(
        tbus_streaming_record_start(streaming, names->request,
                                    &(tbus_stream_start_t){.model = names->model, .time_ns = time_ns}) == 0 &&
            tbus_streaming_record_token(streaming, names->request, 5, 0, TBUS_TOKEN_CONTENT, time_ns + 34567891) == 0 &&
            tbus_streaming_record_end(streaming, names->request,
                                      &(tbus_stream_end_t){.time_ns = time_ns + 456789123}) == 0,
        "streaming");
    bench_require(tbus_kvcache_record_lookup(kvcache, names->endpoint, 1200, 300) == 0 &&
                      tbus_kvcache_record_speedup(kvcache, names->endpoint, 123.4, 77.7) == 0,
                  "kvcache");
}

static void *open_document(void)
{
    struct document *document = calloc(1, sizeof *document);
    bench_require(document != NULL, "calloc");
    bench_require(tbus_open(NULL, &document->bus) == 0, "tbus_open");
    document->now_ns = tbus_now(document->bus);
    const tbus_telemetry_options_t options = {.requests_options =
                                                  &(tbus_requests_options_t){.endpoints_max = ENDPOINTS},
                                              .errors_options = &(tbus_errors_options_t){.endpoints_max = ENDPOINTS}};
    bench_require(tbus_telemetry_open(document->bus, &options, &document->telemetry) == 0, "tbus_telemetry_open");
    for (unsigned i = 0; i < 10 * KEYS; i++) {
        const struct names names = names_of(i);
        const int64_t time_ns = document->now_ns - 10000000000 + i * INT64_C(900000);
        record_traffic(document, &names, i, time_ns);
        record_errors(document, &names, i, time_ns);
        record_cost(document, &names, i);
        record_inference(document, &names, time_ns);
        record_stream(document, &names, time_ns);
    }
    return document;
}

static double run_document(void *state, uint64_t operations)
{
    const struct document *document = state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        char *text = NULL;
        bench_require(tbus_telemetry_json(document->telemetry, document->now_ns, &text) == 0, "tbus_telemetry_json");
        tbus_mem_free(text);
    }
    return (double)(uv_hrtime() - begin_ns) / 1e3 / (double)operations;
}

static double run_snapshot(void *state, uint64_t operations)
{
    const struct document *document = state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        tbus_telemetry_snapshot_t *snapshot = NULL;
        bench_require(tbus_telemetry_snapshot(document->telemetry, document->now_ns, &snapshot) == 0,
                      "tbus_telemetry_snapshot");
        tbus_telemetry_snapshot_free(snapshot);
    }
    return (double)(uv_hrtime() - begin_ns) / 1e3 / (double)operations;
}

/* Each key has a budget, too. */
static void *open_budgets(void)
{
    struct document *document = open_document();
    tbus_budgets_t *budgets = tbus_telemetry_budgets(document->telemetry);
    const tbus_budget_t each = {.scope = TBUS_BUDGET_KEY,
                                .each = true,
                                .period = TBUS_BUDGET_DAILY,
                                .limit = tbus_money_units(5 * TBUS_MONEY_PER_USD)};
    bench_require(tbus_budget_set(budgets, &each) == 0, "tbus_budget_set");
    for (unsigned i = 0; i < KEYS; i++) {
        const struct names names = names_of(i);
        const tbus_budget_request_t request = {.api_key = names.key, .amount = tbus_money_units(1234567 + i)};
        bench_require(tbus_budget_settle(budgets, &request) == 0, "tbus_budget_settle");
    }
    return document;
}

static void close_document(void *state)
{
    struct document *document = state;
    bench_require(tbus_telemetry_close(document->telemetry) == 0, "tbus_telemetry_close");
    bench_require(tbus_free(document->bus) == 0, "tbus_free");
    free(document);
}

static const struct bench benches[] = {
    {"json.document", "us", 20, open_document, run_document, close_document},
    {"json.document_budgets", "us", 20, open_budgets, run_document, close_document},
    {"json.snapshot", "us", 20, open_document, run_snapshot, close_document},
};

const struct bench_list json_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = false};
