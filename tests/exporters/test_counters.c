/* Counters never fall, whatever happens between two pages: a server that sees one fall takes it for a restart, and all
 * that it counted for new. */
#include "tests/exporters/telemetry_fixture.h"
#include "tests/oracle.h"

enum { SERIES_MAX = 4096, HELD_MAX = 8, STEPS = 400 };

/* A series that counts: a counter's, or one of a histogram's or summary's that are not a quantile. */
struct series {
    const char *name; /* with its labels; in the page */
    size_t length;
    double value;
};

struct scrape {
    char *page;
    struct series series[SERIES_MAX];
    size_t count, families; /* families: of counters */
};

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static void scrape_read(struct scrape *scrape)
{
    bool counts = false;
    scrape->count = scrape->families = 0;
    for (const char *line = scrape->page, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        cr_assert_not_null(end);
        const size_t length = (size_t)(end - line);
        if (begins(line, "# TYPE ")) {
            const bool counter = begins(end - 8, " counter");
            counts = counter || begins(end - 10, " histogram");
            scrape->families += counter;
        }
        if (*line == '#' || !counts)
            continue;
        size_t name = length;
        while (line[name] != ' ')
            name--;
        cr_assert_lt(scrape->count, SERIES_MAX);
        scrape->series[scrape->count++] = (struct series){line, name, strtod(line + name, NULL)};
    }
}

static void scrape_take(struct trace_set *set, struct scrape *scrape)
{
    tbus_telemetry_snapshot_t *s;
    cr_assert_eq(tbus_telemetry_snapshot(set->telemetry, set->now_ns, &s), 0);
    tbus_prometheus_sources_t sources = trace_sources(set, s);
    sources.process = true;
    cr_assert_eq(tbus_prometheus_page(&sources, TBUS_PROMETHEUS_TEXT, &scrape->page), 0);
    tbus_telemetry_snapshot_free(s);
    scrape_read(scrape);
}

static double value_of(const struct scrape *scrape, const char *name)
{
    for (size_t i = 0; i < scrape->count; i++)
        if (scrape->series[i].length == strlen(name) && begins(scrape->series[i].name, name))
            return scrape->series[i].value;
    cr_assert_fail("%s is not in\n%s", name, scrape->page);
    return 0;
}

/* Takes a page in place of the one before, and looks each of its series up there. Series come in much the same order. */
static void scrape_next(struct trace_set *set, struct scrape *scrape)
{
    static struct scrape before;
    before = *scrape;
    scrape_take(set, scrape);
    size_t found = 0;
    for (size_t i = 0, at = 0; i < before.count; i++) {
        const struct series *old = &before.series[i];
        for (size_t tried = 0; tried < scrape->count; tried++, at++) {
            const struct series *new = &scrape->series[at % scrape->count];
            if (new->length != old->length || memcmp(new->name, old->name, old->length) != 0)
                continue;
            cr_assert_geq(new->value, old->value, "%.*s fell from %f to %f", (int)old->length, old->name, old->value,
                          new->value);
            found++;
            break;
        }
    }
    cr_assert_eq(found, before.count, "%zu of %zu series are still there", found, before.count);
    tbus_mem_free(before.page);
}

static void open_set(struct trace_set *set)
{
    *set = (struct trace_set){.now_ns = INT64_C(1709164800) * TRACE_SECOND};
    hosted_open(&set->hosted, &(tbus_options_t){.reserve_max_ms = 1});
    cr_assert_eq(tbus_telemetry_open(set->hosted.bus, NULL, &set->telemetry), 0);
    cr_assert_eq(tbus_budget_set(tbus_telemetry_budgets(set->telemetry),
                                 &(tbus_budget_t){.limit = tbus_money_units(INT64_C(50000000000))}),
                 0);
}

static tbus_event_t *reserve(struct trace_set *set)
{
    tbus_event_t *event;
    cr_assert_eq(tbus_reserve(set->hosted.bus, TBUS_CACHE_MISS, 0, &event, NULL), 0);
    return event;
}

Test(counters, a_reservation_that_is_given_up_takes_nothing_back)
{
    static struct scrape scrape;
    struct trace_set set;
    open_set(&set);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(publish_number(set.hosted.bus, i), 0);
    hosted_deliver(&set.hosted);
    scrape_take(&set, &scrape);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_published_total"), 100);
    tbus_event_t *given_up = reserve(&set);
    scrape_next(&set, &scrape);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_published_total"), 101);
    cr_assert_eq(tbus_abort(set.hosted.bus, given_up), 0);
    hosted_deliver(&set.hosted);
    scrape_next(&set, &scrape);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_published_total"), 101);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_undelivered_total{reason=\"aborted\"}"), 1);
    tbus_event_t *late = reserve(&set);
    cr_assert_eq(publish_number(set.hosted.bus, 100), 0); /* which it holds up until it is passed over */
    hosted_deliver(&set.hosted);
    scrape_next(&set, &scrape);
    cr_assert_eq(tbus_commit(set.hosted.bus, late), UV_ETIMEDOUT);
    hosted_deliver(&set.hosted);
    scrape_next(&set, &scrape);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_published_total"), 103);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_undelivered_total{reason=\"overdue\"}"), 1);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_delivered_total"), 101);
    tbus_mem_free(scrape.page);
    trace_close(&set);
}

/* --- Anything, in any order --- */

struct run {
    struct trace_set set;
    uint64_t seed;
    tbus_event_t *held[HELD_MAX];
    int held_count, rows;
    double aborted, overdue;
};

static uint64_t below(struct run *run, uint64_t limit)
{
    return oracle_random(&run->seed) % limit;
}

/* Ends one of the reservations that are held, if there is one, in time or not. */
static void end_one(struct run *run)
{
    if (run->held_count == 0)
        return;
    tbus_event_t **at = &run->held[below(run, (uint64_t)run->held_count)];
    const bool commits = below(run, 2);
    const int error = commits ? tbus_commit(run->set.hosted.bus, *at) : tbus_abort(run->set.hosted.bus, *at);
    cr_assert(error == 0 || error == UV_ETIMEDOUT, "%d", error);
    run->overdue += error == UV_ETIMEDOUT;
    run->aborted += !error && !commits;
    *at = run->held[--run->held_count];
}

/* Delivers all: what is held is passed over, or ended where no more can be. */
static void deliver(struct run *run)
{
    tbus_stats_t stats;
    (void)publish_number(run->set.hosted.bus, 1); /* a reservation that holds nothing up is let be */
    for (;;) {
        uv_run(&run->set.hosted.loop, UV_RUN_NOWAIT);
        cr_assert_eq(tbus_stats(run->set.hosted.bus, &stats), 0);
        if (stats.queued_events == 0 &&
            stats.queued_bytes < stats.ring_bytes / 2) /* and the way over old ones is gone */
            return;
        if (stats.stalled_ns > 20 * 1000000)
            end_one(run);
    }
}

static void step(struct run *run)
{
    struct trace_set *set = &run->set;
    switch (below(run, 8)) {
    case 0:
        deliver(run); /* a request waits until its events are delivered */
        set->now_ns += (int64_t)below(run, 90 * TRACE_SECOND);
        trace_request(set, &trace_plain, run->rows++, set->now_ns, (int64_t)below(run, 5000), (int64_t)below(run, 900));
        set->now_ns += TRACE_SECOND;
        break;
    case 1:
        deliver(run);
        break;
    case 2:
    case 3:
        for (uint64_t left = below(run, 300); left > 0; left--)
            (void)publish_number(set->hosted.bus, 1); /* shed, where nothing is delivered for long */
        break;
    case 4:
    case 5:
        if (run->held_count < HELD_MAX && /* shed at times, like what is published */
            tbus_reserve(set->hosted.bus, TBUS_CACHE_MISS, 0, &run->held[run->held_count], NULL) == 0)
            run->held_count++;
        break;
    case 6:
        end_one(run);
        break;
    default:
        uv_run(&set->hosted.loop, UV_RUN_NOWAIT);
    }
}

Test(counters, none_falls_whatever_is_published_reserved_and_given_up)
{
    static struct scrape scrape;
    struct run run = {.seed = oracle_seed("counters")};
    open_set(&run.set);
    scrape_take(&run.set, &scrape);
    cr_assert_geq(scrape.families, 80, "%zu", scrape.families);
    for (int i = 0; i < STEPS; i++) {
        step(&run);
        scrape_next(&run.set, &scrape);
    }
    while (run.held_count > 0)
        end_one(&run);
    deliver(&run);
    scrape_next(&run.set, &scrape);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_undelivered_total{reason=\"aborted\"}"), run.aborted);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_undelivered_total{reason=\"overdue\"}"), run.overdue);
    cr_assert_eq(value_of(&scrape, "tallybus_bus_published_total"),
                 value_of(&scrape, "tallybus_bus_delivered_total") + run.aborted + run.overdue);
    tbus_mem_free(scrape.page);
    trace_close(&run.set);
}
