#include "trackers/budget_period.h"

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/moment.h"

#define SECOND INT64_C(1000000000)

static const struct {
    tbus_budget_period_t period;
    const char *name;
} calendars[] = {{TBUS_BUDGET_DAILY, "daily"}, {TBUS_BUDGET_WEEKLY, "weekly"}, {TBUS_BUDGET_MONTHLY, "monthly"}};

static const char *const zones[] = {
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    /* turned at 00:01 */ "America/Havana",
    "Pacific/Apia",
    /* one day left out */ "America/Sao_Paulo",
    /* midnights left out */ "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Nuuk",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Pacific/Kwajalein",
};

static int64_t near(uint64_t *random, int64_t from_ns, int64_t until_ns, int64_t anywhere)
{
    switch (oracle_random(random) % 6) {
    case 0:
        return from_ns;
    case 1:
        return until_ns - 1;
    case 2:
        return from_ns + (int64_t)(oracle_random(random) % 7200) * SECOND;
    case 3:
        return until_ns - (int64_t)(oracle_random(random) % 7200) * SECOND - 1;
    default:
        return anywhere;
    }
}

static void tell_cases(struct oracle *oracle, const struct period_rule *rule, const char *period, const char *zone,
                       int cases, uint64_t *random)
{
    for (int n = 0; n < cases; n++) {
        const int64_t span = oracle_random(random) % 2 ? 1800000000 : 4500000000;
        int64_t moment =
            ((int64_t)(oracle_random(random) % (2 * (uint64_t)span)) - (span == 4500000000 ? span : 0)) * SECOND +
            (int64_t)(oracle_random(random) % (uint64_t)SECOND);
        struct period found = period_at(rule, moment);
        moment = near(random, found.from_ns, found.until_ns, moment);
        if (moment != moment_of(moment))
            continue;
        found = period_at(rule, moment);
        fprintf(oracle->cases, "%s %s %lld %lld %lld\n", period, zone, (long long)moment, (long long)found.from_ns,
                (long long)found.until_ns);
        oracle->lines++;
    }
}

/* semantics: budget.period */
Test(budget_period, calendar_periods_are_those_of_python)
{
    enum { CASES = 60 };
    uint64_t random = oracle_seed("budget_period");
    struct oracle oracle;
    oracle_open(&oracle);
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        struct time_zone *zone;
        if (time_zone_load(zones[z], &zone) != 0)
            cr_skip_test("there are no time zone files");
        for (size_t c = 0; c < sizeof calendars / sizeof *calendars; c++) {
            const struct period_rule rule = {.period = calendars[c].period, .zone = zone};
            tell_cases(&oracle, &rule, calendars[c].name, zones[z], CASES, &random);
        }
        time_zone_free(zone);
    }
    for (int64_t minutes = -1439; minutes < 1440; minutes += 411) {
        for (size_t c = 0; c < sizeof calendars / sizeof *calendars; c++) {
            const struct period_rule rule = {.period = calendars[c].period, .offset_s = 60 * minutes};
            char text[16];
            snprintf(text, sizeof text, "%d", (int)minutes);
            tell_cases(&oracle, &rule, calendars[c].name, text, CASES, &random);
        }
    }
    oracle_check(&oracle, "tests/trackers/budget_oracle.py", "period");
}

/* semantics: budget.period */
Test(budget_period, durations_are_those_of_python)
{
    enum { ROUNDS = 200, CASES = 10 };
    uint64_t random = oracle_seed("budget_period");
    struct oracle oracle;
    oracle_open(&oracle);
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t length =
            SECOND + (int64_t)(oracle_random(&random) >> (2 + oracle_random(&random) % 30)) % (3650 * 86400 * SECOND);
        const struct period_rule rule = {
            .period = TBUS_BUDGET_DURATION, .length_ns = length, .anchor_ns = (int64_t)oracle_random(&random) % length};
        char period[48], anchor[32];
        snprintf(period, sizeof period, "every:%lld", (long long)length);
        snprintf(anchor, sizeof anchor, "%lld", (long long)rule.anchor_ns);
        tell_cases(&oracle, &rule, period, anchor, CASES, &random);
    }
    oracle_check(&oracle, "tests/trackers/budget_oracle.py", "period");
}

Test(budget_period, periods_follow_each_other_without_gap_or_overlap)
{
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        struct time_zone *zone;
        if (time_zone_load(zones[z], &zone) != 0)
            cr_skip_test("there are no time zone files");
        for (size_t c = 0; c < sizeof calendars / sizeof *calendars; c++) {
            const struct period_rule rule = {.period = calendars[c].period, .zone = zone};
            struct period before = period_at(&rule, 0);
            for (int i = 0; i < 50000 && before.until_ns < MOMENT_MAX; i++) {
                const struct period next = period_at(&rule, before.until_ns);
                cr_assert_eq(next.from_ns, before.until_ns, "%s in %s", calendars[c].name, zones[z]);
                cr_assert_gt(next.until_ns, next.from_ns);
                cr_assert_eq(period_at(&rule, next.until_ns - 1 > MOMENT_MAX ? MOMENT_MAX : next.until_ns - 1).from_ns,
                             next.from_ns);
                before = next;
            }
        }
        time_zone_free(zone);
    }
}

Test(budget_period, the_first_and_the_last_moment_have_a_period)
{
    static const int64_t moments[] = {MOMENT_MIN, MOMENT_MIN + 1, -1, 0, 1, MOMENT_MAX - 1, MOMENT_MAX};
    for (int period = TBUS_BUDGET_NEVER; period <= TBUS_BUDGET_MONTHLY; period++) {
        for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
            const struct period_rule rule = {.period = (tbus_budget_period_t)period,
                                             .length_ns = 3650 * 86400 * SECOND,
                                             .anchor_ns = 12345,
                                             .offset_s = 86400};
            const struct period found = period_at(&rule, moments[i]);
            cr_assert(found.from_ns <= moments[i] && moments[i] < found.until_ns);
        }
    }
}
