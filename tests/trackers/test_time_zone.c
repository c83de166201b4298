#include "trackers/time_zone.h"

#include <string.h>

#include <uv.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"
#include "trackers/time_zone_rule.h"

static struct time_zone *loaded(const char *name)
{
    struct time_zone *zone = NULL;
    const int error = time_zone_load(name, &zone);
    if (error == UV_ENOENT)
        cr_skip_test("there are no time zone files");
    cr_assert_eq(error, 0, "%s", name);
    return zone;
}

static const char *const names[] = {
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "America/Havana",
    "Asia/Gaza",
    "Antarctica/Troll",
    "Africa/Cairo",
    "America/Nuuk",
    "Asia/Tehran",
    "Africa/Monrovia",
    "Etc/GMT+12",
};

enum { NAMES = sizeof names / sizeof *names };

/* Moments that a test asks about: anywhere in our bounds, or near a turn. */
static int64_t random_second(uint64_t *random, const struct time_zone *zone)
{
    const int64_t anywhere = (int64_t)(oracle_random(random) % 9000000000u) - 4500000000;
    const struct time_zone_span span = time_zone_at(zone, anywhere);
    switch (oracle_random(random) % 4) {
    case 0:
        return span.from > -4600000000 ? span.from : anywhere;
    case 1:
        return span.until < 4600000000 ? span.until - 1 : anywhere;
    default:
        return anywhere;
    }
}

Test(time_zone, offsets_are_those_that_python_finds)
{
    enum { CASES = 1000 };
    uint64_t random = oracle_seed("time_zone");
    struct oracle oracle;
    oracle_open(&oracle);
    for (int i = 0; i < NAMES; i++) {
        struct time_zone *zone = loaded(names[i]);
        for (int n = 0; n < CASES; n++) {
            const int64_t second = random_second(&random, zone);
            fprintf(oracle.cases, "%s %lld %lld\n", names[i], (long long)second,
                    (long long)time_zone_at(zone, second).offset);
            oracle.lines++;
        }
        time_zone_free(zone);
    }
    oracle_check(&oracle, "tests/trackers/budget_oracle.py", "offset");
}

Test(time_zone, spans_follow_each_other_without_gap)
{
    for (int i = 0; i < NAMES; i++) {
        struct time_zone *zone = loaded(names[i]);
        int spans = 0;
        for (int64_t at = -4600000000; at < 4600000000; spans++) {
            const struct time_zone_span span = time_zone_at(zone, at);
            cr_assert(span.from <= at && at < span.until, "%s at %lld", names[i], (long long)at);
            if (spans > 0)
                cr_assert_eq(span.from, at, "%s at %lld", names[i], (long long)at);
            cr_assert_eq(time_zone_at(zone, span.until - 1).offset, span.offset);
            at = span.until;
        }
        time_zone_free(zone);
    }
}

Test(time_zone, without_one_it_is_utc)
{
    const struct time_zone_span span = time_zone_at(NULL, 1234567890);
    cr_assert_eq(span.offset, 0);
    cr_assert(span.from == INT64_MIN && span.until == INT64_MAX);
}

Test(time_zone, names_that_lead_elsewhere_are_refused)
{
    static const char *const bad[] = {"",
                                      "/etc/passwd",
                                      "../zoneinfo/UTC",
                                      "Europe/../UTC",
                                      "Europe/Ber lin",
                                      "UTC\n",
                                      "Europe/Berlin.tab",
                                      "~root",
                                      "a/very/long/name/that/no/time/zone/of/this/world/has/or/could/ever/have"};
    struct time_zone *zone = (void *)1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(time_zone_load(bad[i], &zone), UV_EINVAL, "%s", bad[i]);
    cr_assert_eq(time_zone_load("Europe/Atlantis", &zone), UV_ENOENT);
    cr_assert_eq(time_zone_load("UTC/Berlin", &zone), UV_ENOENT);
    cr_assert_lt(time_zone_load("Europe", &zone), 0); /* a folder */
    cr_assert_eq(zone, (void *)1);
}

static size_t read_whole(const char *path, unsigned char *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        cr_skip_test("there are no time zone files");
    const size_t length = fread(bytes, 1, room, file);
    fclose(file);
    return length;
}

/* A block of its own for each try, so that a read past its end is found by the sanitizer. */
static int parse_copy(const unsigned char *bytes, size_t length)
{
    struct time_zone *zone = NULL;
    unsigned char *copy = malloc(length + 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, length);
    unsigned char *exact = realloc(copy, length ? length : 1);
    cr_assert_not_null(exact);
    const int error = time_zone_parse(exact, length, &zone);
    if (error == 0)
        for (int64_t at = -4600000000; at < 4600000000; at += 86400 * 100)
            (void)time_zone_at(zone, at);
    time_zone_free(zone);
    free(exact);
    return error;
}

Test(time_zone, a_file_cut_anywhere_is_no_zone)
{
    unsigned char bytes[8192];
    const size_t length = read_whole("/usr/share/zoneinfo/Europe/Berlin", bytes, sizeof bytes);
    cr_assert_eq(parse_copy(bytes, length), 0);
    for (size_t cut = 0; cut < length; cut++)
        cr_assert_eq(parse_copy(bytes, cut), UV_EPROTO, "cut to %zu", cut);
}

Test(time_zone, damaged_files_do_no_harm)
{
    enum { ROUNDS = 20000 };
    unsigned char bytes[8192], damaged[8192];
    uint64_t random = oracle_seed("time_zone");
    int refused = 0;
    const size_t length = read_whole("/usr/share/zoneinfo/America/New_York", bytes, sizeof bytes);
    for (int round = 0; round < ROUNDS; round++) {
        memcpy(damaged, bytes, length);
        for (uint64_t hits = 1 + oracle_random(&random) % 4; hits > 0; hits--) {
            const bool in_head = oracle_random(&random) % 2;
            damaged[oracle_random(&random) % (in_head ? 44 : length)] = (unsigned char)oracle_random(&random);
        }
        const int error = parse_copy(damaged, length);
        cr_assert(error == 0 || error == UV_EPROTO);
        refused += error != 0;
    }
    cr_assert_gt(refused, ROUNDS / 10);
}

Test(time_zone, leap_seconds_are_refused)
{
    unsigned char bytes[8192];
    const size_t length = read_whole("/usr/share/zoneinfo/UTC", bytes, sizeof bytes);
    cr_assert_eq(parse_copy(bytes, length), 0);
    unsigned char with_leap[8192 + 12];
    const size_t second_head = 44 + 6 + (size_t)bytes[43]; /* UTC: one type, its letters, no marks of standard or UTC */
    memcpy(with_leap, bytes, length);
    cr_assert_eq(memcmp(bytes + second_head, "TZif", 4), 0);
    const size_t footer = second_head + 44 + 6 + bytes[second_head + 43];
    with_leap[second_head + 31] = 1;
    memset(with_leap + footer, 0, 12);
    memcpy(with_leap + footer + 12, bytes + footer, length - footer);
    cr_assert_eq(parse_copy(with_leap, length + 12), UV_EPROTO);
}

static bool is_rule(const char *text)
{
    struct time_zone_rule rule;
    return time_zone_rule_parse(text, strlen(text), &rule);
}

Test(time_zone, rules_are_read_whole_or_not_at_all)
{
    static const char *const good[] = {"UTC0",
                                       "CET-1CEST,M3.5.0,M10.5.0/3",
                                       "<+0330>-3:30",
                                       "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
                                       "XXX3EDT4,0/0,J365/23",
                                       "IST-2IDT,M3.4.4/26,M10.5.0",
                                       "EST5EDT,J60/2:30:15,365"};
    static const char *const bad[] = {"",
                                      "UT0",
                                      "UTC",
                                      "UTC25",
                                      "UTC0:60",
                                      "UTC0 ",
                                      "CET-1CEST",
                                      "CET-1CEST,",
                                      "CET-1CEST,M3.5.0",
                                      "CET-1CEST,M3.5.0,",
                                      "CET-1CEST,M13.5.0,M10.5.0",
                                      "CET-1CEST,M3.6.0,M10.5.0",
                                      "CET-1CEST,M3.5.7,M10.5.0",
                                      "CET-1CEST,M0.5.0,M10.5.0",
                                      "CET-1CEST,J0,J365",
                                      "CET-1CEST,J1,J366",
                                      "CET-1CEST,366,1",
                                      "CET-1CEST,M3.5.0/168,M10.5.0",
                                      "<+03-3",
                                      "<+0>-3",
                                      "99999999999999999999",
                                      "UTC99999999999999999999",
                                      "CET-1CEST,M3.5.0,M10.5.0/3x"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(is_rule(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(is_rule(bad[i]), "%s", bad[i]);
}

Test(time_zone, summer_all_year_never_ends)
{
    struct time_zone_rule rule;
    static const char text[] = "XXX3EDT4,0/0,J365/23";
    cr_assert(time_zone_rule_parse(text, sizeof text - 1, &rule));
    for (int64_t at = 0; at < INT64_C(10) * 366 * 86400; at += 3600)
        cr_assert_eq(time_zone_rule_at(&rule, at).offset, -4 * 3600, "at %lld", (long long)at);
}

Test(time_zone, dates_and_days_go_back_and_forth)
{
    int64_t year, month, day, expected_day = 1, expected_month = 1, expected_year = 1824;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int64_t days = days_of_date(1824, 1, 1); days < days_of_date(2117, 1, 1); days++) {
        date_of_days(days, &year, &month, &day);
        cr_assert(year == expected_year && month == expected_month && day == expected_day, "day %lld", (long long)days);
        cr_assert_eq(days_of_date(year, month, day), days);
        const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (++expected_day > lengths[month - 1] + (month == 2 && leap)) {
            expected_day = 1;
            expected_year += expected_month == 12;
            expected_month = expected_month % 12 + 1;
        }
    }
    cr_assert_eq(days_of_date(1970, 1, 1), 0);
}

static int load_a_zone(struct oom *oom)
{
    struct time_zone *zone = NULL;
    oom_arm(oom);
    const int error = time_zone_load("Europe/Berlin", &zone);
    if (error == 0)
        time_zone_free(zone);
    return error;
}

Test(time_zone, failing_allocations_leave_nothing)
{
    cr_assert_gt(oom_try_each(load_a_zone), 0);
}
