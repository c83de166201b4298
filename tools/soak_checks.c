/* Counters that must agree: the clients' own, the host's own, the bus's, and each tracker's. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#if __GLIBC_PREREQ(2, 33)
#define HAS_MALLINFO
#endif
#endif

#include "tools/host_call.h"
#include "tools/soak.h"

/* How much memory may grow after it has warmed up: what is allocated, hardly, for lists with a limit fill; what the process
 * has, more, for an allocator keeps what it needed when most was under way. AddressSanitizer and its kin keep what was
 * freed for a while, and tell nothing. */
#define GROWTH_MIB 4.0
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RESIDENT_GROWTH_MIB 512.0
#else
#define RESIDENT_GROWTH_MIB 64.0
#endif

/* Everything at a moment at which nothing is under way. */
struct figures {
    const struct host_counts *host;
    const struct host_load_counts *load;
    tbus_stats_t bus;
    tbus_telemetry_snapshot_t *trackers;
    tbus_type_stats_t started, completed, tokens;
    tbus_subscriber_stats_t failing, isolated;
    struct soak_memory memory;
    unsigned failed;
};

static void expect(struct figures *figures, const char *what, uint64_t got, const char *like, uint64_t wanted)
{
    if (got == wanted)
        return;
    figures->failed++;
    printf("  wrong: %s %llu, %s %llu\n", what, (unsigned long long)got, like, (unsigned long long)wanted);
}

static void expect_not_above(struct figures *figures, const char *what, uint64_t got, const char *like, uint64_t most)
{
    if (got > most)
        expect(figures, what, got, like, most);
}

/* --- The checks --- */

static void check_clients(struct figures *figures)
{
    const struct host_counts *host = figures->host;
    const struct host_load_counts *load = figures->load;
    uint64_t answered = load->done + load->streams_done;
    expect(figures, "the clients' sums", answered + load->streams_broken + load->hung_up + load->refused + load->failed,
           "sent", load->sent);
    expect(figures, "the clients' lost answers", load->lost, "none", 0);
    expect(figures, "streams whose usage was not what came", load->disagreed, "none", 0);
    expect(figures, "the host's requests", host->requests, "sent", load->sent);
    expect(figures, "the host's refused", host->refused, "the clients'", load->refused);
    expect(figures, "the host's over budget", host->over_budget, "the clients'", load->over_budget);
    expect(figures, "the host's sums", host->completed + host->cancelled + host->failed, "the clients'",
           answered + load->streams_broken + load->failed + load->hung_up);
    /* Who hung up may have done so when all was said, or when it had failed. */
    expect_not_above(figures, "the clients' answers", answered, "the host's completed", host->completed);
    expect_not_above(figures, "the clients' failures", load->failed + load->streams_broken, "the host's", host->failed);
    expect_not_above(figures, "the host's cancelled", host->cancelled, "the clients' hung up", load->hung_up);
    expect_not_above(figures, "the clients' prompt tokens", load->prompt_tokens, "the host's", host->prompt_tokens);
    expect_not_above(figures, "the clients' tokens", load->completion_tokens, "the host's", host->completion_tokens);
}

static void check_bus(struct figures *figures)
{
    const tbus_stats_t *bus = &figures->bus;
    uint64_t undelivered = 0;
    for (int i = 0; i < TBUS_REASONS; i++)
        undelivered += bus->undelivered[i];
    expect(figures, "delivered", bus->delivered, "published", bus->published);
    expect(figures, "events that the bus did not take", undelivered, "the host's count", figures->host->unpublished);
    expect(figures, "request.started", figures->started.delivered, "the host's requests", figures->host->requests);
    expect(figures, "calls of the failing subscriber, and skipped", figures->failing.calls + figures->failing.skipped,
           "request.completed", figures->completed.delivered);
    expect(figures, "events of the isolated subscriber, and dropped",
           figures->isolated.calls + figures->isolated.dropped + figures->isolated.skipped, "stream.token_generated",
           figures->tokens.delivered);
}

static void check_requests(struct figures *figures)
{
    const struct host_counts *host = figures->host;
    const tbus_traffic_t *all = &figures->trackers->requests->all;
    const tbus_errors_snapshot_t *errors = figures->trackers->errors;
    expect(figures, "the request tracker's requests", all->requests, "the host's", host->requests);
    expect(figures, "the request tracker's responses", all->responses, "the host's requests", host->requests);
    expect(figures, "requests in flight", all->in_flight, "none", 0);
    expect(figures, "the request tracker's errors", all->errors, "the host's failed", host->failed);
    expect(figures, "the request tracker's prompt tokens", all->prompt_tokens, "the host's", host->prompt_tokens);
    expect(figures, "the request tracker's tokens", all->completion_tokens, "the host's", host->completion_tokens);
    expect(figures, "the error tracker's failed", errors->failed, "the host's", host->failed);
    expect(figures, "the error tracker's excluded", errors->excluded, "the host's cancelled", host->cancelled);
    expect(figures, "the error tracker's requests", errors->requests, "the host's but the cancelled",
           host->requests - host->cancelled);
}

static void check_streams(struct figures *figures)
{
    const struct host_counts *host = figures->host;
    const tbus_streaming_snapshot_t *streams = figures->trackers->streaming;
    expect(figures, "streams", streams->total_streams, "the host's", host->streams);
    expect(figures, "streams that ended",
           streams->completed_streams + streams->failed_streams + streams->cancelled_streams, "the host's streams",
           host->streams);
    expect(figures, "active streams", streams->active_streams, "none", 0);
    expect(figures, "cancelled streams", streams->cancelled_streams, "the host's", host->cancelled_streams);
    expect(figures, "tokens of streams", streams->total_tokens, "the host's", host->stream_tokens);
    expect(figures, "abandoned streams", streams->abandoned_streams, "none", 0);
    expect(figures, "orphan events", streams->orphan_events, "none", 0);
}

static void check_money(struct figures *figures)
{
    const struct host_counts *host = figures->host;
    const tbus_cost_snapshot_t *cost = figures->trackers->cost;
    const tbus_budgets_snapshot_t *budgets = figures->trackers->budgets;
    char text[2][TBUS_MONEY_TEXT_MAX];
    expect(figures, "requests with a cost", cost->total.requests, "the host's but the failed",
           host->requests - host->failed);
    expect(figures, "prompt tokens with a cost", cost->total.prompt_tokens, "the host's", host->prompt_tokens);
    expect(figures, "tokens with a cost", cost->total.completion_tokens, "the host's", host->completion_tokens);
    expect(figures, "estimates", cost->estimated_requests, "none", 0);
    expect(figures, "estimates taken back", cost->retracted_estimates, "the host's cancelled streams",
           host->cancelled_streams);
    expect(figures, "reservations", budgets->reservations, "none", 0);
    expect(figures, "admitted", budgets->admitted, "the host's admitted",
           host->completed + host->cancelled + host->failed);
    expect(figures, "denied", budgets->denied, "the host's over budget", host->over_budget);
    expect(figures, "released", budgets->released, "the host's failed", host->failed);
    if (tbus_money_compare(cost->total.usd, budgets->settled) != 0) {
        figures->failed++;
        printf("  wrong: cost %s USD, settled %s USD\n", tbus_money_format(cost->total.usd, -1, text[0]),
               tbus_money_format(budgets->settled, -1, text[1]));
    }
}

/* --- Memory --- */

static double resident_mib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

/* 0 = not known. */
static double allocated_mib(void)
{
#ifdef HAS_MALLINFO
    const struct mallinfo2 all = mallinfo2();
    return (double)(all.uordblks + all.hblkhd) / (1024 * 1024);
#else
    return 0;
#endif
}

static void check_growth(struct figures *figures, const char *what, double mib, double first_mib, double most_mib)
{
    if (mib <= first_mib + most_mib)
        return;
    figures->failed++;
    printf("  wrong: memory that is %s is %.1f MiB, and was %.1f MiB\n", what, mib, first_mib);
}

static void check_memory(struct soak *soak, struct figures *figures, bool is_warm)
{
    const struct soak_memory *now = &figures->memory;
    if (soak->first.resident_mib == 0 && is_warm)
        soak->first = *now;
    if (soak->first.resident_mib > 0) {
        check_growth(figures, "allocated", now->allocated_mib, soak->first.allocated_mib, GROWTH_MIB);
        check_growth(figures, "resident", now->resident_mib, soak->first.resident_mib, RESIDENT_GROWTH_MIB);
    }
}

/* --- All of it --- */

static int read_figures(struct soak *soak, struct figures *figures)
{
    const tbus_t *bus = soak->host.bus;
    int error = tbus_stats(bus, &figures->bus);
    if (!error)
        error = tbus_stats_of_type(bus, TBUS_REQUEST_STARTED, &figures->started);
    if (!error)
        error = tbus_stats_of_type(bus, TBUS_REQUEST_COMPLETED, &figures->completed);
    if (!error)
        error = tbus_stats_of_type(bus, TBUS_STREAM_TOKEN_GENERATED, &figures->tokens);
    if (!error)
        error = tbus_stats_of_subscription(bus, soak->failing, &figures->failing);
    if (!error)
        error = tbus_stats_of_subscription(bus, soak->isolated, &figures->isolated);
    if (!error)
        error = tbus_telemetry_snapshot(soak->host.telemetry, 0, &figures->trackers);
    return error;
}

static void put_line(const struct soak *soak, const struct figures *figures)
{
    const struct host_counts *host = figures->host;
    char cost[TBUS_MONEY_TEXT_MAX];
    printf("%7.2f %9llu %8llu %8llu %7llu %7llu %7llu %9llu %8llu %7llu %7llu %9s %7.1f %8.1f  %s\n",
           (double)(uv_hrtime() - soak->began_hr) / 60e9, (unsigned long long)host->requests,
           (unsigned long long)host->streams, (unsigned long long)host->cancelled, (unsigned long long)host->refused,
           (unsigned long long)host->over_budget, (unsigned long long)host->failed,
           (unsigned long long)figures->bus.delivered,
           (unsigned long long)(host->unpublished + figures->isolated.dropped),
           (unsigned long long)(figures->failing.errors + figures->failing.skipped),
           (unsigned long long)soak_scrapers_cut(soak->scrapers),
           tbus_money_format(figures->trackers->cost->total.usd, 4, cost), figures->memory.allocated_mib,
           figures->memory.resident_mib, figures->failed ? "WRONG" : "good");
    fflush(stdout);
}

void soak_check(struct soak *soak, bool is_warm)
{
    struct figures figures = {.host = &soak->host.counts, .load = host_load_counts(soak->load)};
    if (soak->passed + soak->failed == 0)
        printf("%7s %9s %8s %8s %7s %7s %7s %9s %8s %7s %7s %9s %7s %8s\n", "minute", "requests", "streams", "hung up",
               "refused", "budget", "failed", "events", "dropped", "errors", "slow", "USD", "MiB", "resident");
    int error = read_figures(soak, &figures);
    if (error) {
        printf("  wrong: can not read the figures: %s\n", uv_strerror(error));
        soak->failed++;
        return;
    }
    figures.memory = (struct soak_memory){allocated_mib(), resident_mib()};
    soak->failing_errors = figures.failing.errors;
    soak->failing_skipped = figures.failing.skipped;
    soak->isolated_dropped = figures.isolated.dropped;
    check_clients(&figures);
    check_bus(&figures);
    check_requests(&figures);
    check_streams(&figures);
    check_money(&figures);
    check_memory(soak, &figures, is_warm);
    put_line(soak, &figures);
    soak->passed += figures.failed == 0;
    soak->failed += figures.failed != 0;
    tbus_telemetry_snapshot_free(figures.trackers);
}
