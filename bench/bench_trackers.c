/* The trackers alone, without a bus: what one call costs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "bench/harness.h"

#define BEGIN_NS INT64_C(1767258000000000000)

enum { ORDER = 1 << 16, ID_BYTES = 37, SEED = 88172645 };

/* Numbers below `below` in a random order, made beforehand: the generator is not what is measured. */
static void make_order(uint32_t order[ORDER], uint32_t below)
{
    uint64_t state = SEED;
    for (uint32_t i = 0; i < ORDER; i++)
        order[i] = (uint32_t)(bench_random(&state) % below);
}

static double ns_since(uint64_t begin_ns, uint64_t operations)
{
    return (double)(uv_hrtime() - begin_ns) / (double)operations;
}

/* --- streaming --- */

struct streaming_bench {
    tbus_streaming_t *tracker;
    char (*ids)[ID_BYTES];
    int64_t time_ns;
    uint32_t order[ORDER];
};

static void start_streams(struct streaming_bench *bench, uint32_t streams)
{
    for (uint32_t i = 0; i < streams; i++) {
        snprintf(bench->ids[i], ID_BYTES, "5f0c7a52-9d1e-4b0b-8a36-%012u", (unsigned)i);
        bench_require(
            tbus_streaming_record_start(bench->tracker, bench->ids[i],
                                        &(tbus_stream_start_t){.model = "gpt-4o", .time_ns = bench->time_ns}) == 0,
            "tbus_streaming_record_start");
    }
}

static struct streaming_bench *open_streaming(uint32_t streams, int64_t cache_ns)
{
    const tbus_streaming_options_t options = {.cache_ns = cache_ns};
    struct streaming_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench && (bench->ids = calloc(streams, sizeof *bench->ids)), "calloc");
    bench_require(tbus_streaming_open(&options, &bench->tracker) == 0, "tbus_streaming_open");
    bench->time_ns = BEGIN_NS;
    make_order(bench->order, streams);
    start_streams(bench, streams);
    return bench;
}

static void *open_tokens_10(void)
{
    return open_streaming(10, 0);
}

static void *open_tokens_10000(void)
{
    return open_streaming(10000, 0);
}

static double run_tokens(void *state, uint64_t operations)
{
    struct streaming_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        bench->time_ns += 20000;
        failures += tbus_streaming_record_token(bench->tracker, bench->ids[bench->order[i % ORDER]], 1, 0,
                                                TBUS_TOKEN_CONTENT, bench->time_ns) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_streaming_record_token");
    return figure;
}

enum { FINISHED = 1000, TOKENS_OF_FINISHED = 50 };

static struct streaming_bench *open_finished(int64_t cache_ns)
{
    struct streaming_bench *bench = open_streaming(FINISHED, cache_ns);
    uint64_t state = SEED;
    for (uint32_t i = 0; i < FINISHED; i++) {
        int64_t time_ns = BEGIN_NS;
        for (int token = 0; token < TOKENS_OF_FINISHED; token++) {
            time_ns += (int64_t)(bench_random(&state) % 40000000);
            bench_require(
                tbus_streaming_record_token(bench->tracker, bench->ids[i], 1, 0, TBUS_TOKEN_CONTENT, time_ns) == 0,
                "tbus_streaming_record_token");
        }
        bench_require(tbus_streaming_record_end(bench->tracker, bench->ids[i],
                                                &(tbus_stream_end_t){.outcome = TBUS_STREAM_OUTCOME_COMPLETED,
                                                                     .token_count = TOKENS_OF_FINISHED,
                                                                     .time_ns = time_ns}) == 0,
                      "tbus_streaming_record_end");
    }
    return bench;
}

static void *open_snapshot(void)
{
    return open_finished(TBUS_STREAMING_NO_CACHE);
}

static void *open_snapshot_cached(void)
{
    return open_finished(0);
}

static double run_find(void *state, uint64_t operations)
{
    struct streaming_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        tbus_stream_info_t info;
        failures += tbus_streaming_find(bench->tracker, bench->ids[bench->order[i % ORDER]], &info) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_streaming_find");
    return figure;
}

/* A start and an end. Those that finished before give up their cells. */
static double run_streams(void *state, uint64_t operations)
{
    struct streaming_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        const char *id = bench->ids[bench->order[i % ORDER]];
        const tbus_stream_start_t start = {
            .model = "gpt-4o", .input_tokens = 150, .time_ns = bench->time_ns += 1000000};
        const tbus_stream_end_t end = {.outcome = TBUS_STREAM_OUTCOME_COMPLETED,
                                       .token_count = 340,
                                       .reason = "stop",
                                       .time_ns = bench->time_ns += 1000000};
        failures += tbus_streaming_record_start(bench->tracker, id, &start) != 0;
        failures += tbus_streaming_record_end(bench->tracker, id, &end) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "a start and an end");
    return figure;
}

static double run_snapshot(void *state, uint64_t operations)
{
    struct streaming_bench *bench = state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        tbus_streaming_snapshot_t *snapshot;
        bench_require(tbus_streaming_snapshot(bench->tracker, 0, &snapshot) == 0, "tbus_streaming_snapshot");
        bench_require(snapshot->ttft_ms.count == FINISHED, "a snapshot of all streams that finished");
        tbus_streaming_snapshot_free(snapshot);
    }
    return ns_since(begin_ns, operations) / 1e3;
}

static void close_streaming(void *state)
{
    struct streaming_bench *bench = state;
    tbus_streaming_close(bench->tracker);
    free(bench->ids);
    free(bench);
}

/* --- errors --- */

enum { ENDPOINTS = 20, USERS = 1000 };

struct errors_bench {
    tbus_errors_t *tracker;
    int64_t time_ns;
    uint64_t number; /* of the next new pattern, and of the next request */
    char endpoints[ENDPOINTS][ID_BYTES], users[USERS][ID_BYTES];
    uint32_t order[ORDER];
};

static void *open_errors(void)
{
    struct errors_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench && tbus_errors_open(NULL, &bench->tracker) == 0, "tbus_errors_open");
    bench->time_ns = BEGIN_NS;
    for (unsigned i = 0; i < ENDPOINTS; i++)
        snprintf(bench->endpoints[i], ID_BYTES, "/v1/organisation-%u/chat", i);
    for (unsigned i = 0; i < USERS; i++)
        snprintf(bench->users[i], ID_BYTES, "user-%08u", i);
    make_order(bench->order, ENDPOINTS * USERS);
    return bench;
}

static double run_success_20(void *state, uint64_t operations)
{
    struct errors_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++)
        failures += tbus_errors_record_response(bench->tracker, bench->endpoints[bench->order[i % ORDER] % ENDPOINTS],
                                                "gpt-4o", 200, bench->time_ns += 1000) != 0;
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_errors_record_response");
    return figure;
}

static double run_success(void *state, uint64_t operations)
{
    struct errors_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++)
        failures += tbus_errors_record_response(bench->tracker, "/v1/chat/completions", "gpt-4o", 200,
                                                bench->time_ns += 1000) != 0;
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_errors_record_response");
    return figure;
}

/* 105 bytes with one of each thing that is replaced; the x's stand for letters, which are not. */
static const char error_message[] = "worker xxxxxxxx: request req-8f3k2 (3f2504e0-4f89-11d3-9a0c-0305e82c3301) failed "
                                    "at 0x7fe3 after 30000 ms";
enum { VARIABLE_AT = sizeof "worker " - 1, VARIABLE_BYTES = sizeof "xxxxxxxx" - 1 };
_Static_assert(sizeof error_message - 1 == 105, "the figure is told for 105 bytes");

static double record_errors(struct errors_bench *bench, uint64_t operations, bool each_anew)
{
    char message[sizeof error_message], request_id[ID_BYTES] = "5f0c7a52-9d1e-4b0b-8a36-000000000000";
    int failures = 0;
    memcpy(message, error_message, sizeof message);
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t number = bench->number++;
        for (uint64_t digit = ID_BYTES - 2, rest = number; rest > 0; rest /= 8)
            request_id[digit--] = (char)('0' + rest % 8);
        if (each_anew) {
            for (unsigned letter = 0; letter < VARIABLE_BYTES; letter++, number /= 16)
                message[VARIABLE_AT + letter] = (char)('g' + number % 16);
        }
        const tbus_error_t error = {.type = "timeout",
                                    .message = message,
                                    .endpoint = "/v1/chat/completions",
                                    .model = "gpt-4o",
                                    .request_id = request_id,
                                    .user_id = bench->users[bench->order[i % ORDER] % USERS],
                                    .status_code = 504,
                                    .time_ns = bench->time_ns += 1000};
        failures += tbus_errors_record_error(bench->tracker, &error) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_errors_record_error");
    return figure;
}

static double run_known_error(void *state, uint64_t operations)
{
    return record_errors(state, operations, false);
}

static double run_new_error(void *state, uint64_t operations)
{
    return record_errors(state, operations, true);
}

/* 1,000 patterns, 501 endpoints, types and models: what a scrape of a busy tracker takes. */
static void *open_errors_snapshot(void)
{
    struct errors_bench *bench = open_errors();
    char name[ID_BYTES];
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "name-%c%c%c", 'a' + i / 100, 'a' + i / 10 % 10, 'a' + i % 10);
        const tbus_error_t error = {.type = name,
                                    .message = name,
                                    .endpoint = name,
                                    .model = name,
                                    .request_id = name,
                                    .user_id = name,
                                    .status_code = 100 + i % 300,
                                    .time_ns = BEGIN_NS};
        bench_require(tbus_errors_record_error(bench->tracker, &error) == 0, "tbus_errors_record_error");
    }
    return bench;
}

static double run_errors_snapshot(void *state, uint64_t operations)
{
    struct errors_bench *bench = state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        tbus_errors_snapshot_t *snapshot;
        bench_require(tbus_errors_snapshot(bench->tracker, 0, &snapshot) == 0, "tbus_errors_snapshot");
        bench_require(snapshot->patterns_count == 1000, "a snapshot of all patterns");
        tbus_errors_snapshot_free(snapshot);
    }
    return ns_since(begin_ns, operations) / 1e3;
}

/* A look at the alerts of all endpoints, each of which has failed lately: what a slice of 10 s costs. */
static double run_evaluate(void *state, uint64_t operations)
{
    struct errors_bench *bench = state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++)
        bench_require(tbus_errors_evaluate(bench->tracker, bench->time_ns + (int64_t)(i % 1000)) == 0,
                      "tbus_errors_evaluate");
    return ns_since(begin_ns, operations) / 1e3;
}

static double run_normalize_finer(void *state, uint64_t operations)
{
    char normalized[TBUS_NORMALIZED_BYTES];
    size_t bytes = 0;
    (void)state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++)
        bytes += tbus_error_normalize_finer(error_message, normalized);
    const double figure = ns_since(begin_ns, operations);
    bench_require(bytes > 0, "tbus_error_normalize_finer");
    return figure;
}

static void close_errors(void *state)
{
    struct errors_bench *bench = state;
    tbus_errors_close(bench->tracker);
    free(bench);
}

/* --- cost --- */

enum { KEYS = 1000, MODELS = 20, NAME_BYTES = 32, HISTORY_HOURS = 744 };

struct cost_bench {
    tbus_prices_t *prices;
    tbus_cost_t *tracker;
    int64_t time_ns;
    char keys[KEYS][NAME_BYTES], models[MODELS][NAME_BYTES];
    uint32_t order[ORDER];
};

static void *open_cost(void)
{
    struct cost_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench && tbus_prices_open(true, &bench->prices) == 0, "tbus_prices_open");
    tbus_price_t price = tbus_price_none();
    for (unsigned i = 0; i < MODELS; i++) {
        snprintf(bench->models[i], NAME_BYTES, "house-model-%c", (int)('a' + i));
        price.input = 2500000 + i;
        price.output = 10000000 + i;
        price.cached_input = 1250000 + i;
        bench_require(tbus_prices_set(bench->prices, bench->models[i], &price) == 0, "tbus_prices_set");
    }
    for (unsigned i = 0; i < KEYS; i++)
        snprintf(bench->keys[i], NAME_BYTES, "sk-bench-%016u", i);
    bench_require(tbus_cost_open(&(tbus_cost_options_t){.prices = bench->prices}, &bench->tracker) == 0,
                  "tbus_cost_open");
    bench->time_ns = BEGIN_NS;
    make_order(bench->order, KEYS * MODELS);
    return bench;
}

static tbus_usage_t usage_of(struct cost_bench *bench, uint64_t i)
{
    const uint32_t which = bench->order[i % ORDER];
    return (tbus_usage_t){.api_key = bench->keys[which / MODELS],
                          .user_id = "amina",
                          .project_id = "search",
                          .model = bench->models[which % MODELS],
                          .endpoint = "/v1/chat/completions",
                          .prompt_tokens = 1200,
                          .completion_tokens = 340,
                          .cached_tokens = 1024,
                          .time_ns = bench->time_ns += 1000};
}

/* With 31 days behind it in each of whose hours every key had usage: what there is to keep is kept. */
static void *open_cost_full(void)
{
    struct cost_bench *bench = open_cost();
    const int64_t end_ns = bench->time_ns;
    for (int64_t hour = 0; hour < HISTORY_HOURS; hour++) {
        bench->time_ns = end_ns - (HISTORY_HOURS - hour) * INT64_C(3600000000000);
        for (uint64_t i = 0; i < 4 * KEYS; i++) {
            const tbus_usage_t usage = usage_of(bench, i);
            bench_require(tbus_cost_record_usage(bench->tracker, &usage, NULL) == 0, "tbus_cost_record_usage");
        }
    }
    bench->time_ns = end_ns;
    return bench;
}

static double run_usage(void *state, uint64_t operations)
{
    struct cost_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        const tbus_usage_t usage = usage_of(bench, i);
        failures += tbus_cost_record_usage(bench->tracker, &usage, NULL) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_cost_record_usage");
    return figure;
}

static double run_price(void *state, uint64_t operations)
{
    struct cost_bench *bench = state;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        const tbus_usage_t usage = usage_of(bench, i);
        tbus_charge_t charge;
        failures += tbus_cost_price(bench->tracker, &usage, &charge) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_cost_price");
    return figure;
}

/* The last 24 hours. */
static double run_period(void *state, uint64_t operations)
{
    struct cost_bench *bench = state;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        tbus_cost_period_t *period;
        bench_require(tbus_cost_period(bench->tracker, bench->time_ns - 23 * INT64_C(3600000000000), bench->time_ns + 1,
                                       &period) == 0,
                      "tbus_cost_period");
        bench_require(period->by_key_count > KEYS / 2, "keys of the last day");
        tbus_cost_period_free(period);
    }
    return ns_since(begin_ns, operations) / 1e3;
}

static void close_cost(void *state)
{
    struct cost_bench *bench = state;
    tbus_cost_close(bench->tracker);
    tbus_prices_close(bench->prices);
    free(bench);
}

/* --- budgets --- */

struct budget_bench {
    tbus_budgets_t *tracker;
    int64_t time_ns;
    uint64_t number; /* of the next request */
    char keys[KEYS][NAME_BYTES];
    uint32_t order[ORDER];
};

/* A budget for each key, one for its user and its project, and one for all: each request meets four. */
static void *open_budgets(void)
{
    struct budget_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench && tbus_budgets_open(NULL, &bench->tracker) == 0, "tbus_budgets_open");
    tbus_budget_t budget = {.limit = {.high = 1}, .kind = TBUS_BUDGET_HARD, .period = TBUS_BUDGET_DAILY};
    bench_require(tbus_budget_set(bench->tracker, &budget) == 0, "tbus_budget_set");
    budget.scope = TBUS_BUDGET_USER;
    budget.subject = "amina";
    bench_require(tbus_budget_set(bench->tracker, &budget) == 0, "tbus_budget_set");
    budget.scope = TBUS_BUDGET_PROJECT;
    budget.subject = "search";
    bench_require(tbus_budget_set(bench->tracker, &budget) == 0, "tbus_budget_set");
    budget.scope = TBUS_BUDGET_KEY;
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(bench->keys[i], NAME_BYTES, "sk-bench-%016u", i);
        budget.subject = bench->keys[i];
        bench_require(tbus_budget_set(bench->tracker, &budget) == 0, "tbus_budget_set");
    }
    bench->time_ns = BEGIN_NS;
    tbus_budgets_advance(bench->tracker, bench->time_ns);
    make_order(bench->order, KEYS);
    return bench;
}

static double run_check(void *state, uint64_t operations)
{
    struct budget_bench *bench = state;
    tbus_budget_status_t status;
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++)
        failures += tbus_budget_check(bench->tracker, TBUS_BUDGET_KEY, bench->keys[bench->order[i % ORDER]],
                                      bench->time_ns, &status) != 0;
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_budget_check");
    return figure;
}

/* Ids of 36 characters, each one new. */
static void make_id(char id[ID_BYTES], uint64_t number)
{
    memcpy(id, "5f0c7a52-9d1e-4b0b-8a36-000000000000", ID_BYTES);
    for (int i = ID_BYTES - 2; number > 0; i--, number /= 10)
        id[i] = (char)('0' + number % 10);
}

static double run_reserve_settle(void *state, uint64_t operations)
{
    struct budget_bench *bench = state;
    char id[ID_BYTES];
    int failures = 0;
    const uint64_t begin_ns = uv_hrtime();
    for (uint64_t i = 0; i < operations; i++) {
        tbus_budget_request_t request = {.request_id = id,
                                         .api_key = bench->keys[bench->order[i % ORDER]],
                                         .user_id = "amina",
                                         .project_id = "search",
                                         .amount = {.low = 2000000000},
                                         .time_ns = bench->time_ns += 1000};
        make_id(id, bench->number++);
        failures += tbus_budget_reserve(bench->tracker, &request, NULL) != 0;
        request.amount.low = 1200000000;
        failures += tbus_budget_settle(bench->tracker, &request) != 0;
    }
    const double figure = ns_since(begin_ns, operations);
    bench_require(failures == 0, "tbus_budget_reserve and tbus_budget_settle");
    return figure;
}

static void close_budgets(void *state)
{
    struct budget_bench *bench = state;
    tbus_budgets_close(bench->tracker);
    free(bench);
}

static const struct bench benches[] = {
    {"streaming.record_token_10", "ns", 2000000, open_tokens_10, run_tokens, close_streaming},
    {"streaming.record_token_10000", "ns", 1000000, open_tokens_10000, run_tokens, close_streaming},
    {"streaming.start_and_end", "ns", 500000, open_snapshot, run_streams, close_streaming},
    {"streaming.find", "ns", 1000000, open_snapshot, run_find, close_streaming},
    {"streaming.snapshot", "us", 500, open_snapshot, run_snapshot, close_streaming},
    {"streaming.snapshot_cached", "us", 5000, open_snapshot_cached, run_snapshot, close_streaming},
    {"errors.record_success", "ns", 2000000, open_errors, run_success, close_errors},
    {"errors.record_success_20", "ns", 2000000, open_errors, run_success_20, close_errors},
    {"errors.record_error", "ns", 400000, open_errors, run_known_error, close_errors},
    {"errors.record_error_new", "ns", 200000, open_errors, run_new_error, close_errors},
    {"errors.normalize_finer", "ns", 200000, open_errors, run_normalize_finer, close_errors},
    {"errors.snapshot", "us", 300, open_errors_snapshot, run_errors_snapshot, close_errors},
    {"errors.evaluate", "us", 2000, open_errors_snapshot, run_evaluate, close_errors},
    {"cost.record_usage", "ns", 500000, open_cost, run_usage, close_cost},
    {"cost.record_usage_full", "ns", 500000, open_cost_full, run_usage, close_cost},
    {"cost.price", "ns", 500000, open_cost, run_price, close_cost},
    {"cost.period", "us", 50, open_cost_full, run_period, close_cost},
    {"budget.check", "ns", 2000000, open_budgets, run_check, close_budgets},
    {"budget.reserve_settle", "ns", 500000, open_budgets, run_reserve_settle, close_budgets},
};

const struct bench_list trackers_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = false};
