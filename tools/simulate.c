/* tallybus simulate: an hour of a gateway's traffic made up on the spot, the same for the same seed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/progress.h"
#include "tools/report.h"
#include "tools/tool.h"

static const char usage[] =
    "Usage: tallybus simulate [OPTIONS]\n"
    "\n"
    "Makes up an hour of requests - several models, keys and users, 1 % failures -, plays them through\n"
    "the bus and reports. The same seed makes the same requests.\n"
    "\n"
    "  --rows N          requests (default 20000, about 4 million events)\n"
    "  --seed S          another hour (default 1)\n"
    "  --threads N       threads that publish, 1 to 64 (default 2)\n"
    "  --speed max|F     as fast as possible (default), or F times real time\n"
    "  --prices FILE     prices over the built-in ones (JSON by model name)\n"
    "  --slo PPM         share of requests that must succeed, per million (default 999000)\n"
    "  --web [ADDRESS:]PORT\n"
    "                    serves /metrics while it runs (with --speed 60: a minute), and no longer; port 0 = a free\n"
    "                    one, which is told; whoever can reach the address may read it\n"
    "  --json            the report as JSON\n"
    "  --prometheus      the report as Prometheus text\n"
    "\n"
    "Exit codes: 0 good, 2 the command line is wrong, 3 no report.\n";

#define BEGIN_NS INT64_C(1767258000000000000) /* 2026-01-01 09:00 UTC, so that every run tells the same */
#define SPAN_NS 3600e9
#define FAILURES_PER_10000 100
#define CACHED_PERCENT 30 /* requests whose context was partly cached */

static const char *const models[] = {"gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "o1-mini", "gpt-3.5-turbo"};
static const uint32_t model_shares[] = {35, 40, 5, 5, 15}; /* per cent */
static const char *const keys[] = {"sk-demo-search-5f1c9e7a2b", "sk-demo-support-81d03c44ee",
                                   "sk-demo-batch-0b7de9f21c", "sk-demo-mobile-c2a6f0819d",
                                   "sk-demo-intern-77e4b1a05f"};
static const char *const users[] = {"amina", "bruno", "chiara", "dmitri", "eun-ji", "farid", "grace", "hiroshi"};
static const struct failure failures[] = {
    {"timeout", 504, "no token from worker # within # ms (request &)"},
    {"upstream_error", 502, "upstream 10.0.#.# closed the connection after # bytes"},
    {"rate_limit", 429, "limit of # tokens per minute reached for organisation $"},
    {"out_of_memory", 500, "KV cache: can not allocate # blocks at @"},
    {"internal_error", 500, "assertion failed in scheduler at @, trace $"},
    {"context_length", 400, "# tokens of context, the model takes #"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* A small generator (xorshift with a multiplication behind it): good enough for a show, and ours, so that a seed means
 * the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

/* Above 0, at most 1. */
static double next_unit(uint64_t *state)
{
    return (double)((next_random(state) >> 11) + 1) * 0x1p-53;
}

static uint32_t next_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((next_random(state) >> 32) * bound >> 32);
}

/* Log-normal, as lengths of prompts and answers are: `median` tokens, cut to 1 .. max. */
static uint32_t next_tokens(uint64_t *state, double median, double sigma, uint32_t max)
{
    const double pi = 3.14159265358979323846;
    double radius = sqrt(-2 * log(next_unit(state)));
    double normal = radius * cos(2 * pi * next_unit(state));
    double tokens = median * exp(sigma * normal);
    return tokens < 1 ? 1 : tokens > max ? max : (uint32_t)tokens;
}

static uint16_t next_model(uint64_t *state)
{
    uint32_t at = next_below(state, 100);
    uint16_t model = 0;
    while (model + 1u < COUNT_OF(models) && at >= model_shares[model])
        at -= model_shares[model++];
    return model;
}

static struct request make_request(uint64_t *state, int64_t start_ns)
{
    /* Statements, not an initializer: C leaves open in which order that one would draw. */
    struct request request = {.start_ns = start_ns};
    request.context_tokens = next_tokens(state, 600, 1.1, 60000);
    request.generated_tokens = next_tokens(state, 120, 1.0, 4096);
    request.model = next_model(state);
    request.key = (uint16_t)next_below(state, COUNT_OF(keys));
    request.user = (uint16_t)next_below(state, COUNT_OF(users));
    if (next_below(state, 100) < CACHED_PERCENT)
        request.cached_tokens = next_below(state, request.context_tokens) / 128 * 128;
    if (next_below(state, 10000) < FAILURES_PER_10000) {
        request.failure = (uint16_t)(1 + next_below(state, COUNT_OF(failures)));
        request.generated_tokens = next_below(state, request.generated_tokens);
    }
    return request;
}

/* Arrivals as a Poisson process: the gaps are exponential. */
static struct request *make_requests(uint32_t count, uint64_t seed)
{
    struct request *requests = tbus_mem_alloc(count * sizeof *requests);
    uint64_t state = seed * UINT64_C(0x9E3779B97F4A7C15) + UINT64_C(0x6A09E667F3BCC909);
    state = state ? state : 1; /* the one state that this generator never leaves is 0 */
    double at_ns = 0, mean_ns = SPAN_NS / count;
    for (uint32_t i = 0; requests && i < count; i++) {
        at_ns -= mean_ns * log(next_unit(&state));
        requests[i] = make_request(&state, BEGIN_NS + (int64_t)at_ns);
    }
    return requests;
}

/* The simulation is of a day long past: windows end at its latest event. */
static int64_t latest_time(void *user)
{
    (void)user;
    return 0;
}

/* Returns 0, or how the command ends. `*ret_web` stays NULL where no server is wanted. */
static int open_web(const struct options *options, const struct rig *rig, tbus_web_t **ret_web)
{
    const char *address = options->web.address[0] ? options->web.address : "127.0.0.1";
    const bool is_ipv6 = strchr(address, ':') != NULL;
    if (!options->web.wanted)
        return 0;
    int error = tbus_web_open(&(tbus_web_options_t){.address = address,
                                                    .port = options->web.port,
                                                    .bus = rig->bus,
                                                    .streaming = rig->streaming,
                                                    .errors = rig->errors,
                                                    .cost = rig->cost,
                                                    .clock = latest_time},
                              ret_web);
    if (error) {
        tool_say("can not serve at %s, port %u: %s", address, options->web.port,
                 error == UV_ENOTSUP ? "this tallybus was built without HTTP" : uv_strerror(error));
        return TOOL_UNUSABLE;
    }
    tool_say("serving http://%s%s%s:%u/metrics while the simulation runs", is_ipv6 ? "[" : "", address,
             is_ipv6 ? "]" : "", tbus_web_port(*ret_web));
    return 0;
}

static int play(const struct options *options, const struct workload *load, struct rig *rig)
{
    int code = rig_open(rig, options->prices, options->slo_ppm, load->count);
    tbus_web_t *web = NULL;
    if (!code)
        code = open_web(options, rig, &web);
    if (code)
        return code;
    struct progress progress;
    uint64_t lost = 0;
    progress_start(&progress, rig->bus, workload_events(load));
    int error = workload_publish(load, rig->bus, options->threads, &lost);
    progress_stop(&progress);
    tbus_web_close(web); /* it shows the bus, which the drain frees */
    code = rig_drain(rig);
    if (code)
        return code;
    if (error) {
        tool_say("the simulation could not be played to its end: %s", uv_strerror(error));
        return TOOL_UNUSABLE;
    }
    const struct report_input input = {
        .file = "simulation", .format = "simulation", .rows = load->count, .streams_max = load->count};
    return report_write(&input, rig, lost, options->output);
}

int simulate_main(int argc, char **argv)
{
    struct options options;
    if (!options_read(&options, OPTIONS_SIMULATE, argc, argv))
        return TOOL_USAGE;
    if (options.help) {
        fputs(usage, stdout);
        return fflush(stdout) ? TOOL_UNUSABLE : TOOL_GOOD;
    }
    if (!report_can_write(options.output))
        return TOOL_USAGE;
    struct request *requests = make_requests(options.rows, options.seed);
    if (!requests) {
        tool_say("not enough memory for %u requests", options.rows);
        return TOOL_UNUSABLE;
    }
    const struct cast cast = {.models = models, .keys = keys, .users = users, .failures = failures};
    options.timing.jitter = true;
    const struct workload load = {
        .requests = requests, .count = options.rows, .timing = options.timing, .cast = &cast, .speed = options.speed};
    struct rig rig = {.bus = NULL};
    int code = play(&options, &load, &rig);
    rig_close(&rig);
    tbus_mem_free(requests);
    return code;
}
