/* tallybus soak: the demonstration host for a long time under everything that goes wrong, with its books checked. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/host_call.h"
#include "tools/host_server.h"
#include "tools/soak.h"
#include "tools/tool.h"

static const char usage[] =
    "Usage: tallybus soak [OPTIONS] MINUTES\n"
    "\n"
    "Runs the demonstration host (tallybus demo) under load and under faults: clients that hang up, send broken JSON, "
    "are\n"
    "not known or have spent their budget; models that fail; a subscriber that fails and one that is too slow for its\n"
    "events; a clock that jumps; scrapers that hardly read. At each check the load pauses until nothing is under way; "
    "then\n"
    "the clients' own counts, the host's, the bus's and the trackers' must agree, money to the last digit, and memory "
    "must\n"
    "not have grown since it had warmed up (a fifth of the time).\n"
    "\n"
    "  --check-every MINUTES  how often to check (default 1)\n"
    "  --load RPS             requests each second (default 60)\n"
    "  --pace F               models F times faster than they are (default 4)\n"
    "  --threads N            threads that generate and publish, 1 to 64 (default 2)\n"
    "\n"
    "Writes a line for each check, and last how many passed and failed. Exit codes: 0 all passed, 2 the command line "
    "is\n"
    "wrong, 3 a check failed or the host could not be opened.\n";

enum {
    QUIET_MAX_MS = 60000,
    POLL_MS = 10,
    QUIET_LOOKS = 10,
    JUMP_EVERY_MS = 700,
    FAULTY_REQUESTS_MIN = 1000,
    FAULTY_RPS_MIN = 60
};
#define FAULTY_NS_MIN UINT64_C(120000000000)

/* The key that the load's clients use least, and how little it may spend between two checks. */
#define POOR_KEY 4
#define POOR_USD_PICOS INT64_C(2000000000)

#define JUMP_MAX_NS INT64_C(60000000000)

/* --- Faults --- */

static int64_t jumping_clock(void *user)
{
    const struct soak *soak = user;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + atomic_load(&soak->ahead_ns);
}

/* Every other second each event is an error of it: long enough for its breaker to open. */
static int fail_at_times(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    return uv_hrtime() / 1000000000 % 2 ? UV_EIO : 0;
}

/* Takes longer for an event than events take to come, so that its queue runs over. */
static int take_long(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    uv_sleep(1);
    return 0;
}

static int subscribe(struct soak *soak)
{
    static const tbus_route_t failing = {"request.completed", 3, fail_at_times};
    static const tbus_route_t slow = {"stream.token_generated", 1, take_long};
    soak->failing = tbus_subscriber_add(soak->host.bus,
                                        &(tbus_subscriber_t){.name = "failing", .routes = &failing, .routes_count = 1});
    soak->isolated = tbus_subscriber_add(
        soak->host.bus,
        &(tbus_subscriber_t){
            .name = "slow", .routes = &slow, .routes_count = 1, .mode = TBUS_ISOLATED, .isolated_queue_bytes = 65536});
    return soak->failing < 0 ? (int)soak->failing : soak->isolated < 0 ? (int)soak->isolated : 0;
}

static void jump(struct soak *soak)
{
    atomic_store(&soak->ahead_ns, (int64_t)(host_mix(uv_hrtime()) % (2 * JUMP_MAX_NS)) - JUMP_MAX_NS);
}

/* --- Rounds --- */

/* Nothing is under way: no client, no call, no event, also of the slow subscriber. */
static bool is_quiet(const struct soak *soak)
{
    tbus_stats_t bus;
    tbus_subscriber_stats_t slow;
    return host_load_active(soak->load) == 0 && host_engine_active(soak->host.engine) == 0 &&
           host_server_calls(soak->host.server) == 0 && tbus_stats(soak->host.bus, &bus) == 0 &&
           bus.queued_events == 0 && bus.delivered == bus.published &&
           tbus_stats_of_subscription(soak->host.bus, soak->isolated, &slow) == 0 && slow.queued_events == 0;
}

/* One quiet look is not enough: the handler at hand is counted when it returns, and a tracker may publish what it found
 * behind the last event. */
static bool wait_until_quiet(const struct soak *soak)
{
    unsigned looks = 0;
    for (unsigned waited = 0; waited < QUIET_MAX_MS; waited += POLL_MS) {
        looks = is_quiet(soak) ? looks + 1 : 0;
        if (looks == QUIET_LOOKS)
            return true;
        uv_sleep(POLL_MS);
    }
    return false;
}

/* Runs until then, with a clock that jumps; false = a signal came. */
static bool run_until(struct soak *soak, uint64_t end_hr, const sigset_t *signals)
{
    const struct timespec tick = {.tv_nsec = JUMP_EVERY_MS * 1000000L};
    while (uv_hrtime() < end_hr) {
        if (sigtimedwait(signals, NULL, &tick) > 0)
            return false;
        jump(soak);
    }
    return true;
}

static void run(struct soak *soak, const sigset_t *signals)
{
    const struct options *options = soak->host.options;
    uint64_t end = soak->began_hr + (uint64_t)options->duration_ns, next = soak->began_hr;
    bool goes_on = true;
    while (goes_on && next < end) {
        next += (uint64_t)options->check_ns;
        next = next > end ? end : next;
        goes_on = run_until(soak, next, signals);
        host_load_pause(soak->load, true);
        if (!wait_until_quiet(soak)) {
            printf("  wrong: something was still under way after a minute: %llu clients, %llu calls, %llu answers\n",
                   (unsigned long long)host_load_active(soak->load),
                   (unsigned long long)host_engine_active(soak->host.engine),
                   (unsigned long long)host_server_calls(soak->host.server));
            soak->failed++;
        }
        soak_check(soak, uv_hrtime() - soak->began_hr >= (uint64_t)options->duration_ns / 5);
        /* Whoever has spent all may spend again. */
        tbus_budget_restart(
            tbus_telemetry_budgets(soak->host.telemetry),
            &(tbus_budget_name_t){.scope = TBUS_BUDGET_KEY, .subject = soak->host.keys.list[POOR_KEY].key}, 0);
        host_load_pause(soak->load, false);
    }
}

/* Each fault must have happened where there was enough for it: requests; time; and requests each second, without which the
 * slow subscriber is fast enough, and the other one's breaker sees too few errors in a row. */
static bool was_faulty(const struct soak *soak)
{
    const struct host_counts *counts = &soak->host.counts;
    const bool many = counts->requests >= FAULTY_REQUESTS_MIN,
               long_enough = uv_hrtime() - soak->began_hr >= FAULTY_NS_MIN,
               dense = many && long_enough && soak->host.options->load >= FAULTY_RPS_MIN;
    const struct {
        bool is_due;
        const char *what;
        uint64_t times;
    } faults[] = {{many, "a client hung up", counts->cancelled},
                  {many, "a model failed", counts->failed},
                  {many, "a stranger or what is no JSON was refused", counts->refused - counts->over_budget},
                  {many, "a budget was spent", counts->over_budget},
                  {many, "a page of metrics was read", soak_scrapers_pages(soak->scrapers)},
                  {long_enough, "a scraper that hardly reads was cut off", soak_scrapers_cut(soak->scrapers)},
                  {many && long_enough, "a subscriber failed", soak->failing_errors},
                  {dense, "its breaker opened", soak->failing_skipped},
                  {dense, "the slow subscriber's queue ran over", soak->isolated_dropped}};
    bool is_good = true;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (!faults[i].is_due || faults[i].times > 0)
            continue;
        printf("  wrong: never in all the time: %s\n", faults[i].what);
        is_good = false;
    }
    return is_good;
}

/* Nothing may remain. */
static void check_end(struct soak *soak, int drained)
{
    const tbus_stats_t *bus = &soak->host.stats;
    bool is_good = drained == 0 && soak->host.remained == 0 && bus->delivered == bus->published;
    if (!is_good)
        printf("  wrong: at the end %llu events remained, %llu of %llu were delivered\n",
               (unsigned long long)soak->host.remained, (unsigned long long)bus->delivered,
               (unsigned long long)bus->published);
    is_good = was_faulty(soak) && is_good;
    soak->passed += is_good;
    soak->failed += !is_good;
}

static int open_soak(struct soak *soak, const struct options *options)
{
    const struct host_load_options load = {.rps = options->load, .hang_ups = 60, .broken = 20, .strangers = 20};
    int code = host_open(&soak->host, options, jumping_clock, soak);
    if (code)
        return code;
    int error = subscribe(soak);
    if (!error)
        error = soak_scrapers_open(tbus_web_port(soak->host.web), &soak->scrapers);
    if (!error)
        error = host_load_open(&soak->host, &load, &soak->load);
    if (error)
        tool_say("can not begin to soak: %s", uv_strerror(error));
    return error ? TOOL_UNUSABLE : 0;
}

static int soak_for(const struct options *options)
{
    struct soak soak;
    sigset_t signals;
    memset(&soak, 0, sizeof soak);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    soak.began_hr = uv_hrtime();
    int code = open_soak(&soak, options);
    if (!code) {
        run(&soak, &signals);
        host_load_stop(soak.load);
        check_end(&soak, host_drain(&soak.host, uv_hrtime(), 10000, &signals));
        printf("%u passed, %u failed\n", soak.passed, soak.failed);
    }
    host_load_close(soak.load);
    soak_scrapers_close(soak.scrapers);
    if (soak.host.options)
        host_close(&soak.host);
    return code ? code : soak.failed ? TOOL_UNUSABLE : TOOL_GOOD;
}

int soak_main(int argc, char **argv)
{
    struct options options;
    if (!options_read(&options, OPTIONS_SOAK, argc, argv))
        return TOOL_USAGE;
    if (options.help) {
        fputs(usage, stdout);
        return fflush(stdout) ? TOOL_UNUSABLE : TOOL_GOOD;
    }
    options.keys.list[POOR_KEY].limit = tbus_money_units(POOR_USD_PICOS);
    return soak_for(&options);
}
