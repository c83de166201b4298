/* Alerts over days, in time that the test makes up. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/errors_fixture.h"

#define BEGIN_S INT64_C(1767225600) /* the first moment of a day, so also of a slice */

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

/* A tracker in made-up time: seconds since its begin. */
struct world {
    tbus_errors_t *errors;
    int64_t now_s;
    char told[2048]; /* "+page1h@SECOND" for entered, "-page1h@SECOND" for left, of the SLO in all */
    size_t length;
    int64_t told_at_s[2][TBUS_ALERTS]; /* when it was entered and left last */
};

static void open_world(struct world *world, tbus_errors_options_t options)
{
    *world = (struct world){.now_s = 0};
    world->errors = open_with(options);
}

static const char *short_name(tbus_alert_t alert)
{
    static const char *const names[] = {"page1h", "page6h", "ticket1d", "ticket3d"};
    return names[alert];
}

/* Takes what was found out. */
static void listen_to(struct world *world)
{
    tbus_finding_t finding;

    while (tbus_errors_take_finding(world->errors, &finding) > 0) {
        if (finding.kind == TBUS_FINDING_PATTERN || !finding.all_endpoints)
            continue;
        bool left = finding.kind == TBUS_FINDING_ALERT_LEFT;
        world->told_at_s[left][finding.alert] = finding.time_ns / SECOND - BEGIN_S;
        world->length += (size_t)snprintf(world->told + world->length, sizeof world->told - world->length, "%c%s ",
                                          left ? '-' : '+', short_name(finding.alert));
    }
}

/* So many requests a second for a while, of which each `fails_of`-th fails (0 = none, 1 = all). */
static void live(struct world *world, int64_t seconds, int per_second, unsigned fails_of)
{
    static unsigned count;

    for (int64_t end = world->now_s + seconds; world->now_s < end; world->now_s++) {
        for (int i = 0; i < per_second; i++) {
            bool failed = fails_of > 0 && ++count % fails_of == 0;
            cr_assert_eq(tbus_errors_record_response(world->errors, "/v1", "m", failed ? 500 : 200,
                                                     (BEGIN_S + world->now_s) * SECOND),
                         0);
        }
        listen_to(world);
    }
}

/* Nobody calls; a timer looks each 10 s. */
static void rest(struct world *world, int64_t seconds)
{
    for (int64_t end = world->now_s + seconds; world->now_s < end; world->now_s += 10) {
        cr_assert_eq(tbus_errors_evaluate(world->errors, (BEGIN_S + world->now_s) * SECOND), 0);
        listen_to(world);
    }
}

static void told(struct world *world, const char *expected)
{
    cr_assert_str_eq(world->told, expected, "%s", world->told);
    world->told[0] = '\0';
    world->length = 0;
}

static void between(int64_t is_s, int64_t from_s, int64_t to_s)
{
    cr_assert(is_s >= from_s && is_s <= to_s, "%lld is not in %lld .. %lld", (long long)is_s, (long long)from_s,
              (long long)to_s);
}

/* --- Stories --- */

/* semantics: errors.alerts */
Test(errors_alerts, a_full_outage_pages_within_a_minute_or_two_and_recovery_ends_it)
{
    struct world world;

    open_world(&world, (tbus_errors_options_t){0});
    live(&world, 3 * DAY_S, 2, 0);
    told(&world, "");
    int64_t outage = world.now_s;
    live(&world, 20 * MINUTE_S, 2, 1);
    /* 14.4 * 0.1 % of an hour = 51.84 s; 6 * 0.1 % of 6 h = 129.6 s; 3 * 0.1 % of a day and 0.1 % of 3 days = 259.2 s:
     * and up to a slice more, as windows are, and a slice until somebody looks */
    told(&world, "+page1h +page6h +ticket1d +ticket3d ");
    between(world.told_at_s[0][TBUS_ALERT_PAGE_1H] - outage, 52, 70);
    between(world.told_at_s[0][TBUS_ALERT_PAGE_6H] - outage, 130, 150);
    between(world.told_at_s[0][TBUS_ALERT_TICKET_1D] - outage, 259, 280);
    between(world.told_at_s[0][TBUS_ALERT_TICKET_3D] - outage, 259, 280);
    int64_t recovery = world.now_s;
    live(&world, 4 * DAY_S, 2, 0);
    /* short windows end them: 5 m without errors, 30 m, 2 h, 6 h */
    told(&world, "-page1h -page6h -ticket1d -ticket3d ");
    between(world.told_at_s[1][TBUS_ALERT_PAGE_1H] - recovery, 290, 320);
    between(world.told_at_s[1][TBUS_ALERT_PAGE_6H] - recovery, 1780, 1880);
    between(world.told_at_s[1][TBUS_ALERT_TICKET_1D] - recovery, 7100, 7300);
    between(world.told_at_s[1][TBUS_ALERT_TICKET_3D] - recovery, 21000, 22600);
    tbus_errors_close(world.errors);
}

/* 1 in 500 fails: twice what the budget allows. It never pages; the ticket by 3 days comes when their budget's tenth is
 * burnt, which takes 1.5 days. */
Test(errors_alerts, a_slow_burn_makes_a_ticket_and_no_page)
{
    struct world world;

    open_world(&world, (tbus_errors_options_t){0});
    live(&world, 3 * DAY_S, 1, 0);
    int64_t burn = world.now_s;
    live(&world, DAY_S * 3 / 2 - HOUR_S, 1, 500);
    told(&world, "");
    live(&world, DAY_S * 3 / 2 + HOUR_S, 1, 500);
    /* where it crosses the line, one good request more or less makes the difference for a while */
    cr_assert_null(strstr(world.told, "page"), "%s", world.told);
    cr_assert_null(strstr(world.told, "ticket1d"), "%s", world.told);
    between(world.told_at_s[0][TBUS_ALERT_TICKET_3D] - burn, DAY_S * 3 / 2 - HOUR_S, DAY_S * 3 / 2 + HOUR_S);
    cr_assert_gt(world.told_at_s[0][TBUS_ALERT_TICKET_3D], world.told_at_s[1][TBUS_ALERT_TICKET_3D]);
    world.length = 0;
    live(&world, DAY_S, 1, 0);
    told(&world, "-ticket3d ");
    tbus_errors_close(world.errors);
}

/* 20 s of errors among good days are less than 2 % of an hour's budget's... 14.4 needs 51.84 s. */
Test(errors_alerts, a_short_spike_does_not_page)
{
    struct world world;

    open_world(&world, (tbus_errors_options_t){0});
    live(&world, DAY_S, 2, 0);
    live(&world, 20, 2, 1);
    live(&world, DAY_S, 2, 0);
    told(&world, "");
    live(&world, 90, 2, 1); /* and a longer one does */
    live(&world, HOUR_S, 2, 0);
    told(&world, "+page1h -page1h ");
    tbus_errors_close(world.errors);
}

Test(errors_alerts, alerts_are_left_when_traffic_stops_if_somebody_looks)
{
    struct world world;

    open_world(&world, (tbus_errors_options_t){0});
    live(&world, HOUR_S, 2, 1);
    told(&world, "+page1h +page6h +ticket1d +ticket3d ");
    int64_t silence = world.now_s;
    rest(&world, DAY_S);
    told(&world, "-page1h -page6h -ticket1d -ticket3d ");
    between(world.told_at_s[1][TBUS_ALERT_PAGE_1H] - silence, 290, 320);
    between(world.told_at_s[1][TBUS_ALERT_TICKET_3D] - silence, 21000, 22600);
    rest(&world, 4 * DAY_S);
    told(&world, "");
    tbus_errors_close(world.errors);
}

Test(errors_alerts, without_traffic_nothing_is_told)
{
    struct world world;

    open_world(&world, (tbus_errors_options_t){0});
    rest(&world, 4 * DAY_S);
    told(&world, "");
    tbus_errors_close(world.errors);
}

/* semantics: errors.alerts */
Test(errors_alerts, few_requests_do_not_alert)
{
    struct world world;

    open_world(&world, (tbus_errors_options_t){0});
    for (int i = 0; i < 99; i++) {
        live(&world, 1, 1, 1);
        world.now_s += 9;
    }
    told(&world, "");
    live(&world, 20, 1, 1); /* the 100th, and a look */
    told(&world, "+page1h +page6h +ticket1d +ticket3d ");
    tbus_errors_close(world.errors);

    open_world(&world, (tbus_errors_options_t){.alert_requests_min = 1});
    live(&world, 11, 1, 1);
    told(&world, "+page1h +page6h +ticket1d +ticket3d ");
    tbus_errors_close(world.errors);
}

Test(errors_alerts, an_endpoint_has_a_target_of_its_own)
{
    static const tbus_endpoint_slo_t slos[] = {{"/strict", 999900}, {"/loose", 500000}};
    struct {
        char told[256];
        size_t length;
    } heard = {.length = 0};
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *snapshot;
    tbus_finding_t finding;

    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.endpoint_slos = slos, .endpoint_slos_count = 2}, &errors),
                 0);
    for (int i = 0; i < 40000; i++) {
        int64_t time_ns = (BEGIN_S + i / 4) * SECOND;
        cr_assert_eq(tbus_errors_record_response(errors, "/strict", "m", i % 2000 ? 200 : 500, time_ns), 0);
        cr_assert_eq(tbus_errors_record_response(errors, "/loose", "m", i % 10 ? 200 : 500, time_ns), 0);
        cr_assert_eq(tbus_errors_record_response(errors, "/plain", "m", 200, time_ns), 0);
        while (tbus_errors_take_finding(errors, &finding) > 0) {
            if (finding.kind == TBUS_FINDING_ALERT_ENTERED && finding.alert == TBUS_ALERT_TICKET_3D)
                heard.length += (size_t)snprintf(heard.told + heard.length, sizeof heard.told - heard.length, "%s ",
                                                 finding.all_endpoints ? "all" : finding.endpoint);
        }
    }
    cr_assert_str_eq(heard.told, "all /strict ", "%s", heard.told);
    snapshot = snapshot_at(errors, 0);
    cr_assert_eq(snapshot->slos_count, 3);
    const tbus_slo_t *loose = &snapshot->slos[0], *plain = &snapshot->slos[1], *strict = &snapshot->slos[2];
    cr_assert_str_eq(loose->endpoint, "/loose");
    cr_assert_eq(loose->status.target_ppm, 500000);
    cr_assert_eq(loose->status.errors, 4000);
    cr_assert_not(loose->status.violated);
    cr_assert(loose->alerts[TBUS_ALERT_PAGE_1H].unreachable, "twice is all that it can burn");
    cr_assert_not(loose->alerts[TBUS_ALERT_TICKET_3D].unreachable);
    cr_assert_str_eq(plain->endpoint, "/plain");
    cr_assert_eq(plain->status.target_ppm, 999000);
    cr_assert_eq(plain->status.total_requests, 40000);
    cr_assert_str_eq(strict->endpoint, "/strict");
    cr_assert_eq(strict->status.target_ppm, 999900);
    cr_assert_eq(strict->status.errors, 20);
    cr_assert(strict->status.violated);
    cr_assert(strict->alerts[TBUS_ALERT_TICKET_3D].active);
    cr_assert_eq(strict->alerts[TBUS_ALERT_TICKET_3D].entered, 1);
    cr_assert_float_eq(strict->burn[TBUS_BURN_3D].burn_rate, 5, 1e-9);
    cr_assert_null(snapshot->slo_of_all.endpoint);
    cr_assert_eq(snapshot->slo_of_all.status.errors, 4020);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors_alerts, endpoints_past_the_cap_share_an_slo)
{
    static const tbus_endpoint_slo_t slo = {"/kept", 990000};
    const tbus_errors_options_t options = {.endpoints_max = 2, .endpoint_slos = &slo, .endpoint_slos_count = 1};
    tbus_errors_snapshot_t *snapshot;
    tbus_errors_t *errors;
    static const char *const endpoints[] = {"/a", "/b", "/c", "/a", "/kept", "/b"};

    cr_assert_eq(tbus_errors_open(&options, &errors), 0);
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        cr_assert_eq(tbus_errors_record_response(errors, endpoints[i], "m", 200, 1), 0);
    for (int round = 0; round < 2; round++) {
        snapshot = snapshot_at(errors, 0);
        cr_assert_eq(snapshot->slos_count, 3);
        cr_assert_str_eq(snapshot->slos[0].endpoint, "/a");
        cr_assert_eq(snapshot->slos[0].status.total_requests, 2);
        cr_assert_str_eq(snapshot->slos[1].endpoint, "/kept");
        cr_assert_eq(snapshot->slos[1].status.target_ppm, 990000);
        cr_assert_eq(snapshot->slos[1].status.total_requests, 1);
        cr_assert_str_eq(snapshot->slos[2].endpoint, "other");
        cr_assert_eq(snapshot->slos[2].status.total_requests, 3);
        tbus_errors_snapshot_free(snapshot);
        tbus_errors_reset(errors);
        for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
            cr_assert_eq(tbus_errors_record_response(errors, endpoints[i], "m", 200, 1), 0);
    }
    tbus_errors_reset(errors);
    snapshot = snapshot_at(errors, 0);
    cr_assert_eq(snapshot->slos_count, 1, "one with a target of its own stays");
    cr_assert_eq(snapshot->slos[0].status.total_requests, 0);
    cr_assert_eq(snapshot->slos[0].status.success_rate, 1);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* --- The findings' queue --- */

/* 100 endpoints fail at once: 4 alerts each and 4 in all, of which 128 find room at first. */
Test(errors_alerts, what_finds_no_room_is_told_later)
{
    enum { ENDPOINTS = 100, EXPECTED = 4 * (ENDPOINTS + 1) };
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *snapshot;
    tbus_finding_t finding;
    int entered = 0, left = 0;

    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.pattern_threshold = UINT32_MAX}, &errors), 0);
    for (int i = 0; i < 100 * ENDPOINTS; i++) {
        char endpoint[16];
        snprintf(endpoint, sizeof endpoint, "/v1/%d", i % ENDPOINTS);
        cr_assert_eq(tbus_errors_record_response(errors, endpoint, "m", 500, BEGIN_S * SECOND), 0);
    }
    cr_assert_eq(tbus_errors_evaluate(errors, (BEGIN_S + 1) * SECOND), 0);
    snapshot = snapshot_at(errors, 0);
    cr_assert_eq(snapshot->findings_waiting, 128);
    cr_assert_eq(snapshot->findings_delayed, EXPECTED - 128);
    tbus_errors_snapshot_free(snapshot);
    while (tbus_errors_take_finding(errors, &finding) > 0)
        entered += finding.kind == TBUS_FINDING_ALERT_ENTERED;
    cr_assert_eq(entered, EXPECTED);
    cr_assert_eq(tbus_errors_evaluate(errors, (BEGIN_S + 10 * DAY_S) * SECOND), 0);
    tbus_errors_reset(errors); /* what was left before and not told yet is not forgotten */
    for (; tbus_errors_take_finding(errors, &finding) > 0; left++) {
        cr_assert_eq(finding.kind, TBUS_FINDING_ALERT_LEFT);
        cr_assert_eq(finding.time_ns, (BEGIN_S + 10 * DAY_S) * SECOND, "when it was left, not when it was told");
    }
    cr_assert_eq(left, EXPECTED);
    tbus_errors_close(errors);
}

Test(errors_alerts, reset_leaves_the_alerts_that_are_on)
{
    struct world world;
    tbus_errors_snapshot_t *snapshot;

    open_world(&world, (tbus_errors_options_t){0});
    live(&world, 200, 2, 1);
    told(&world, "+page1h +page6h +ticket1d +ticket3d ");
    tbus_errors_reset(world.errors);
    listen_to(&world);
    told(&world, "-page1h -page6h -ticket1d -ticket3d ");
    snapshot = snapshot_at(world.errors, 0);
    for (unsigned i = 0; i < TBUS_ALERTS; i++) {
        cr_assert_not(snapshot->slo_of_all.alerts[i].active);
        cr_assert_eq(snapshot->slo_of_all.alerts[i].entered, 0);
    }
    cr_assert_eq(snapshot->slos_count, 0);
    tbus_errors_snapshot_free(snapshot);
    live(&world, 200, 2, 1);
    told(&world, "+page1h +page6h +ticket1d +ticket3d ");
    tbus_errors_close(world.errors);
}

Test(errors_alerts, findings_can_be_off)
{
    struct world world;
    tbus_errors_snapshot_t *snapshot;

    open_world(&world, (tbus_errors_options_t){.findings_off = true});
    live(&world, 200, 2, 1);
    told(&world, "");
    snapshot = snapshot_at(world.errors, 0);
    cr_assert(snapshot->slo_of_all.alerts[TBUS_ALERT_PAGE_1H].active);
    cr_assert_eq(snapshot->findings_waiting + snapshot->findings_delayed, 0);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(world.errors);
}

/* --- Against fractions --- */

/* Good and bad times of random length, events that come late, silences, several endpoints. */
static void live_at_random(struct oracle *oracle, uint64_t *random, tbus_errors_t *errors, int requests)
{
    static const unsigned fail_of_1000[] = {0, 0, 1, 3, 10, 50, 300, 1000};
    int64_t now = BEGIN_S * SECOND;
    unsigned fails = 0;
    tbus_finding_t finding;

    for (int i = 0; i < requests; i++) {
        uint64_t dice = oracle_random(random);
        if (dice % 500 == 0)
            fails = fail_of_1000[dice / 500 % 8];
        now += (int64_t)(dice >> 20) % (dice % 2000 == 1 ? 40000 * SECOND : 40 * SECOND);
        int64_t time = dice % 16 == 2 ? now - (int64_t)(dice >> 24) % (3000 * SECOND) : now;
        bool failed = (dice >> 32) % 1000 < fails;
        const char *endpoint = (dice >> 42) % 4 ? "/a" : "/b";
        if (dice % 64 == 3) {
            cr_assert_eq(tbus_errors_evaluate(errors, time), 0);
            fprintf(oracle->cases, "v %" PRId64 "\n", time);
        } else {
            cr_assert_eq(tbus_errors_record_response(errors, endpoint, "m", failed ? 503 : 200, time), 0);
            fprintf(oracle->cases, "r %" PRId64 " %d %s\n", time, failed, endpoint);
        }
        oracle->lines++;
        for (; tbus_errors_take_finding(errors, &finding) > 0; oracle->lines++)
            fprintf(oracle->cases, "f %d %d %d %s %" PRId64 " %.17g %.17g\n", (int)finding.kind, (int)finding.alert,
                    finding.all_endpoints, finding.all_endpoints ? "-" : finding.endpoint, finding.time_ns,
                    finding.factor, finding.burn_rate);
    }
}

/* semantics: errors.alerts errors.burn */
Test(errors_alerts, random_days_against_fractions)
{
    static const struct {
        uint32_t target_ppm, compliance_s, requests_min;
    } ways[] = {{999000, 2592000, 100}, {990000, 604800, 20}, {1000000, 2592000, 50}, {999900, 31622400, 1}};
    uint64_t random = oracle_seed("errors_alerts");
    struct oracle oracle;

    oracle_open(&oracle);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        tbus_errors_t *errors;
        const tbus_endpoint_slo_t slo = {"/b", 950000};
        const tbus_errors_options_t options = {.slo_target_ppm = ways[i].target_ppm,
                                               .compliance_s = ways[i].compliance_s,
                                               .alert_requests_min = ways[i].requests_min,
                                               .pattern_threshold = UINT32_MAX,
                                               .endpoint_slos = &slo,
                                               .endpoint_slos_count = 1};
        cr_assert_eq(tbus_errors_open(&options, &errors), 0);
        fprintf(oracle.cases, "o %u %u %u\nt /b 950000\n", ways[i].target_ppm, ways[i].compliance_s,
                ways[i].requests_min);
        oracle.lines += 2;
        live_at_random(&oracle, &random, errors, 12000);
        tbus_errors_close(errors);
    }
    oracle_check(&oracle, "tests/trackers/errors_alerts_oracle.py", "");
}

/* --- Rolling --- */

Test(errors_alerts, a_rolling_period_forgets)
{
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *snapshot;

    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.rolling = true, .compliance_s = 7 * DAY_S}, &errors), 0);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(tbus_errors_record_response(errors, "/v1", "m", i < 10 ? 500 : 200, (BEGIN_S + i) * SECOND), 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(tbus_errors_record_response(errors, "/v1", "m", 200, (BEGIN_S + 4 * DAY_S + i) * SECOND), 0);
    snapshot = snapshot_at(errors, 0);
    cr_assert_eq(snapshot->slo.total_requests, 1100);
    cr_assert(snapshot->slo.violated);
    tbus_errors_snapshot_free(snapshot);

    snapshot = snapshot_at(errors, (BEGIN_S + 8 * DAY_S) * SECOND);
    cr_assert_eq(snapshot->slo.total_requests, 1000);
    cr_assert_eq(snapshot->slo.errors, 0);
    cr_assert_not(snapshot->slo.violated);
    cr_assert_eq(snapshot->slos[0].status.total_requests, 1000);
    cr_assert_eq(snapshot->requests, 1100, "for ever is for ever");
    cr_assert_eq(snapshot->failed, 10);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}
