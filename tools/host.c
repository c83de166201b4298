/* Putting the host together, and taking it apart in an order in which nothing is lost. */
#include <string.h>
#include <sys/resource.h>

#include "tools/drain.h"
#include "tools/host_call.h"
#include "tools/host_server.h"
#include "tools/report.h"
#include "tools/tool.h"

/* Long enough for what a full queue holds, on any machine. */
#define DRAIN_MAX_MS (60 * 1000)

#define POLL_MS 5
#define ONE_SIGNAL_NS UINT64_C(250000000) /* who ends a group of processes may tell each of them twice */
#define DESCRIPTORS 16384

/* Prices that are read are laid over the built-in ones. */
static int open_prices(struct host *host)
{
    char why[TOOL_WHY_BYTES] = "";
    tbus_prices_report_t report;
    const char *path = host->options->prices;
    int error = tbus_prices_open(true, &host->prices);
    if (error || !path)
        return error;
    error = tbus_prices_load(host->prices, path, NULL, NULL, &report, why, sizeof why);
    if (error)
        tool_say("%s: can not use these prices: %s", path, why[0] ? why : uv_strerror(error));
    return error;
}

static int open_bus(struct host *host, int64_t (*clock)(void *user), void *clock_user)
{
    const tbus_cost_options_t cost = {.prices = host->prices};
    const tbus_errors_options_t errors = {.slo_target_ppm = host->options->slo_ppm};
    /* Ids are the host's own and never come twice, so few need to be remembered. */
    const tbus_budgets_options_t budgets = {.settled_max = 4096, .reservations_max = 8192};
    int error = tbus_open(&(tbus_options_t){.clock = clock, .clock_user = clock_user}, &host->bus);
    if (!error)
        error = tbus_telemetry_open(
            host->bus,
            &(tbus_telemetry_options_t){.cost_options = &cost, .errors_options = &errors, .budgets_options = &budgets},
            &host->telemetry);
    if (!error)
        error = host_keys_set_budgets(&host->keys, tbus_telemetry_budgets(host->telemetry));
    return error;
}

/* Each connection takes a descriptor, and those of the load's clients two. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t wanted = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int fail_to_serve(const char *what, const char *option, const char *address, uint16_t port, int error)
{
    const char *way_out = error == UV_EADDRINUSE ? ": stop what serves there, or take another port with "
                          : error == UV_EINVAL   ? ": an address is a number like 127.0.0.1 or ::1, in "
                                                 : ": see ";
    tool_say("can not serve %s at %s, port %u: %s%s%s", what, address, port, uv_strerror(error), way_out, option);
    return error;
}

static int open_servers(struct host *host)
{
    const struct options *options = host->options;
    const char *address = options->listen.address[0] ? options->listen.address : "127.0.0.1";
    const char *web_address = options->web.address[0] ? options->web.address : "127.0.0.1";
    int error = host_engine_open(host, options->threads, &host->engine);
    if (error)
        return error;
    error = host_server_open(host, address, options->listen.port, &host->server);
    if (error)
        return fail_to_serve("the API", "--listen", address, options->listen.port, error);
    error = tbus_web_open(
        &(tbus_web_options_t){
            .address = web_address, .port = options->web.port, .bus = host->bus, .telemetry = host->telemetry},
        &host->web);
    return error ? fail_to_serve("the metrics", "--web", web_address, options->web.port, error) : 0;
}

int host_open(struct host *host, const struct options *options, int64_t (*clock)(void *user), void *clock_user)
{
    memset(host, 0, sizeof *host);
    host->options = options;
    host->keys = options->keys;
    host->opened_hr = uv_hrtime();
    host_models_init(host->models, options->pace);
    raise_descriptor_limit();
    int error = open_prices(host);
    if (!error)
        error = open_bus(host, clock, clock_user);
    if (!error)
        error = open_servers(host);
    if (!error)
        return 0;
    tool_say("can not open the host: %s", uv_strerror(error));
    host_close(host);
    return TOOL_UNUSABLE;
}

/* --- Draining --- */

static void nap(void)
{
    uv_sleep(POLL_MS);
}

/* Whether one of these signals has come; it is taken. */
static bool is_hurried(const sigset_t *hurry)
{
    return hurry && sigtimedwait(hurry, NULL, &(struct timespec){.tv_sec = 0}) > 0;
}

/* Waits until the engine has nothing under way and each answer is sent. UV_ECANCELED: was hurried, UV_ETIMEDOUT: not
 * within the time. */
static int wait_for_calls(struct host *host, uint64_t begin_hr, uint64_t wait_ns, const sigset_t *hurry)
{
    while (host_engine_active(host->engine) > 0 || host_server_calls(host->server) > 0) {
        uint64_t waited = uv_hrtime() - begin_hr;
        if (is_hurried(hurry) && waited > ONE_SIGNAL_NS)
            return UV_ECANCELED;
        if (waited >= wait_ns)
            return UV_ETIMEDOUT;
        nap();
    }
    return 0;
}

static void stop_serving(struct host *host, uint64_t asked_hr, uint32_t wait_ms, const sigset_t *hurry)
{
    atomic_store(&host->is_closing, true);
    int error = wait_for_calls(host, asked_hr, wait_ms * UINT64_C(1000000), hurry);
    if (error) {
        tool_say("cutting off what is under way: %s", error == UV_ECANCELED ? "asked again" : "the time is over");
        host_engine_hurry(host->engine);
        wait_for_calls(host, uv_hrtime(), UINT64_C(2000000000), NULL);
    }
    /* A suspended connection must not be there when the daemon stops: each belongs to a call of the engine's. */
    host_engine_hurry(host->engine);
    while (host_engine_active(host->engine) > 0)
        nap();
    host_server_close(host->server);
    host->server = NULL;
    host_engine_close(host->engine);
    host->engine = NULL;
}

int host_drain(struct host *host, uint64_t asked_hr, uint32_t wait_ms, const sigset_t *hurry)
{
    stop_serving(host, asked_hr, wait_ms, hurry);
    tbus_web_close(host->web);
    host->web = NULL;
    int error = drain_bus(host->bus, DRAIN_MAX_MS, &host->stats, &host->remained);
    host->elapsed_s = (double)(uv_hrtime() - host->opened_hr) / 1e9;
    if (error)
        tool_say("can not close the bus: %s", uv_strerror(error));
    return error ? TOOL_UNUSABLE : 0;
}

int host_report(struct host *host, enum output output)
{
    const struct rig rig = {.streaming = tbus_telemetry_streaming(host->telemetry),
                            .errors = tbus_telemetry_errors(host->telemetry),
                            .cost = tbus_telemetry_cost(host->telemetry),
                            .stats = host->stats,
                            .remained = host->remained,
                            .elapsed_s = host->elapsed_s};
    const struct report_input input = {
        .file = "demo", .format = "demo", .rows = atomic_load(&host->counts.requests), .streams_max = UINT32_MAX};
    return report_write(&input, &rig, atomic_load(&host->counts.unpublished), output);
}

void host_close(struct host *host)
{
    if (host->server)
        stop_serving(host, uv_hrtime(), 0, NULL);
    host_engine_close(host->engine);
    tbus_web_close(host->web);
    int error = tbus_telemetry_close(host->telemetry);
    if (!error)
        error = tbus_free(host->bus);
    if (error)
        tool_say("can not free the bus: %s", uv_strerror(error));
    tbus_prices_close(host->prices);
    memset(host, 0, sizeof *host);
}

void host_published(struct host *host, int error)
{
    if (error)
        atomic_fetch_add(&host->counts.unpublished, 1);
}
