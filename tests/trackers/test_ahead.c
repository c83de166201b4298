#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/ahead.h"
#include "trackers/moment.h"

struct clock {
    int64_t now_ns;
    int asked;
};

static int64_t read_clock(void *user)
{
    struct clock *clock = user;
    clock->asked++;
    return clock->now_ns;
}

static void note_span(void *user, int64_t now_ns, int64_t span_ns)
{
    int64_t *spans = user;
    spans[0]++;
    spans[1] = span_ns;
    spans[2] = now_ns;
}

Test(ahead, a_time_too_far_ahead_of_the_clock_is_told)
{
    struct clock clock = {.now_ns = 1000};
    struct ahead ahead;

    ahead_init(&ahead, 50, read_clock, &clock);
    cr_assert_not(ahead_is_beyond(&ahead, 1050));
    cr_assert(ahead_is_beyond(&ahead, 1051));
    cr_assert(ahead_is_beyond(&ahead, MOMENT_MAX));
    clock.now_ns++;
    cr_assert_not(ahead_is_beyond(&ahead, 1051));
    cr_assert(ahead.count == 0 && ahead.latest_ns == AHEAD_NOTHING_YET, "it is only asked");
}

Test(ahead, the_clock_is_asked_only_for_what_it_has_not_allowed_yet)
{
    struct clock clock = {.now_ns = 1000};
    struct ahead ahead;

    ahead_init(&ahead, 50, read_clock, &clock);
    for (int64_t time = -1000; time <= 1050; time++)
        cr_assert_not(ahead_is_beyond(&ahead, time));
    cr_assert_eq(clock.asked, 1 + 1, "and at the beginning");
}

Test(ahead, a_negative_limit_believes_everything_without_a_clock)
{
    struct clock clock = {.now_ns = 1000};
    struct ahead ahead;

    ahead_init(&ahead, -1, read_clock, &clock);
    cr_assert_not(ahead_is_beyond(&ahead, MOMENT_MAX));
    cr_assert_eq(clock.asked, 1, "but at the beginning");
}

Test(ahead, clocks_at_the_ends_of_time_overflow_nothing)
{
    struct clock clock = {.now_ns = INT64_MAX};
    struct ahead ahead;

    ahead_init(&ahead, INT64_MAX, read_clock, &clock);
    cr_assert_not(ahead_is_beyond(&ahead, MOMENT_MAX));
    clock.now_ns = INT64_MIN;
    ahead_init(&ahead, 0, read_clock, &clock);
    cr_assert(ahead_is_beyond(&ahead, 0));
}

/* semantics: times.ahead */
Test(ahead, a_time_that_is_not_believed_counts_at_the_latest_that_was)
{
    struct clock clock = {.now_ns = 1000};
    struct ahead ahead;

    ahead_init(&ahead, 50, read_clock, &clock);
    cr_assert_eq(ahead_latest(&ahead), 0);
    cr_assert_eq(ahead_believe(&ahead, 1051), 1000, "the clock's, where there is none");
    cr_assert_eq(ahead_believe(&ahead, -7), -7);
    cr_assert_eq(ahead_believe(&ahead, 1040), 1040);
    cr_assert_eq(ahead_believe(&ahead, 1090), 1090, "near the latest");
    cr_assert_eq(ahead_believe(&ahead, 1141), 1090);
    cr_assert_eq(ahead_believe(&ahead, MOMENT_MAX), 1090);
    cr_assert_eq(ahead.count, 3);
    cr_assert_eq(ahead_latest(&ahead), 1090);
    ahead_reset(&ahead);
    cr_assert(ahead.count == 0 && ahead_latest(&ahead) == 0);
    cr_assert_eq(ahead_believe(&ahead, 1090), 1000);
}

Test(ahead, a_clock_that_is_set_back_is_outvoted_by_times_that_go_on)
{
    struct clock clock = {.now_ns = 1000};
    struct ahead ahead;

    ahead_init(&ahead, 50, read_clock, &clock);
    cr_assert_eq(ahead_believe(&ahead, 1000), 1000);
    clock.now_ns = 0;
    for (int64_t time = 1000; time < 5000; time += 50)
        cr_assert_eq(ahead_believe(&ahead, time), time);
    cr_assert_eq(ahead.count, 0);
}

Test(ahead, a_late_time_does_not_set_the_latest_back_where_the_clock_was)
{
    struct clock clock = {.now_ns = 1000};
    struct ahead ahead;

    ahead_init(&ahead, 50, read_clock, &clock);
    cr_assert_eq(ahead_believe(&ahead, 1050), 1050);
    clock.now_ns = 0;
    cr_assert_eq(ahead_believe(&ahead, 1060), 1060, "near the latest");
    cr_assert_eq(ahead_believe(&ahead, 1055), 1055, "late, and ahead of the clock");
    cr_assert_eq(ahead_believe(&ahead, 7), 7, "late by the clock too");
    cr_assert_eq(ahead_latest(&ahead), 1060);
    cr_assert_eq(ahead.count, 0);
}

Test(ahead, two_late_times_that_agree_with_the_clock_take_the_latest_back)
{
    struct clock clock = {.now_ns = 9000};
    struct ahead ahead;
    int64_t spans[3] = {0};

    ahead_init(&ahead, 50, read_clock, &clock);
    ahead_on_going_back(&ahead, note_span, spans);
    cr_assert_eq(ahead_believe(&ahead, 9000), 9000);
    clock.now_ns = 1000;
    cr_assert_eq(ahead_believe(&ahead, 990), 990);
    cr_assert_eq(ahead_latest(&ahead), 9000, "one may be late");
    cr_assert_eq(ahead_believe(&ahead, 1005), 1005);
    cr_assert_eq(ahead_latest(&ahead), 1005);
    cr_assert(spans[0] == 1 && spans[1] == 9000 - 1005 && spans[2] == 1005);
    cr_assert_eq(ahead_believe(&ahead, 1056), 1005, "and the clock counts again");
    cr_assert_eq(ahead_believe(&ahead, 1050), 1050);
    cr_assert_eq(ahead.count, 1);
    ahead_reset(&ahead);
    cr_assert_eq(ahead_believe(&ahead, 1000), 1000);
    clock.now_ns = 0;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(ahead_believe(&ahead, 0), 0);
    cr_assert_eq(spans[0], 2, "after a reset, too");
}

Test(ahead, the_later_of_the_two_is_the_latest_then)
{
    for (int wrong_again = 0; wrong_again < 2; wrong_again++) {
        struct clock clock = {.now_ns = 9000};
        struct ahead ahead;
        int64_t spans[3] = {0};
        ahead_init(&ahead, 50, read_clock, &clock);
        ahead_on_going_back(&ahead, note_span, spans);
        (void)ahead_believe(&ahead, 9000);
        clock.now_ns = 1000;
        cr_assert_eq(ahead_believe(&ahead, 1030), 1030);
        clock.now_ns -= wrong_again ? 100 : 0;
        cr_assert_eq(ahead_believe(&ahead, 910 + 90 * !wrong_again), 910 + 90 * !wrong_again);
        cr_assert_eq(ahead_latest(&ahead), wrong_again ? 910 : 1030,
                     "a first one that the clock knows nothing of is none");
        cr_assert_eq(spans[1], 9000 - ahead_latest(&ahead));
        cr_assert_eq(spans[2], wrong_again ? 910 : 1030);
    }
}

Test(ahead, late_times_alone_take_nothing_back)
{
    static const struct {
        int64_t clock, times[4];
    } cases[] = {
        {8950, {1000, 1000, 1000}},       /* the latest is near the clock */
        {1000, {949, 949, 1051, 1051}},   /* they are not */
        {1000, {1000, 9001, 1000, 9002}}, /* time goes on between them */
        {1000, {8950, 8950, 8950}},       /* they are not late */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct clock clock = {.now_ns = 9000};
        struct ahead ahead;
        ahead_init(&ahead, 50, read_clock, &clock);
        (void)ahead_believe(&ahead, 9000);
        clock.now_ns = cases[i].clock;
        for (int at = 0; at < 4; at++)
            cr_assert_eq(ahead_believe(&ahead, cases[i].times[at]), cases[i].times[at]);
        cr_assert_geq(ahead_latest(&ahead), 9000, "case %zu", i);
    }
}

Test(ahead, each_of_the_two_may_be_as_far_from_the_clock_as_times_are_believed)
{
    for (int past = 0; past < 2; past++)
        for (int side = -1; side <= 1; side += 2) {
            struct clock clock = {.now_ns = 9000};
            struct ahead ahead;
            ahead_init(&ahead, 50, read_clock, &clock);
            (void)ahead_believe(&ahead, 9000);
            clock.now_ns = 1000;
            for (int i = 0; i < 2; i++)
                (void)ahead_believe(&ahead, 1000 + side * (50 + past));
            cr_assert_eq(ahead_latest(&ahead), past ? 9000 : 1000 + side * 50);
        }
}

/* The rule once more, step by step; `allowed` is what the clock has allowed when it was looked at last. */
Test(ahead, equals_a_plain_reckoning_whatever_clock_and_times_do)
{
    enum { ROUNDS = 400, EVENTS = 400 };
    uint64_t seed = oracle_seed("ahead");
    for (int round = 0; round < ROUNDS; round++) {
        struct clock clock = {.now_ns = 5000};
        struct ahead ahead;
        const int64_t max = round % 10 == 0 ? -1 : 1 + (int64_t)(oracle_random(&seed) % 100);
        int64_t latest = INT64_MIN, allowed = INT64_MIN, drift = 0, spans[3] = {0};
        uint64_t count = 0, backs = 0;
        int64_t doubter = 0;
        bool doubted =
            false; /* since the latest time there was one, the doubter, that agreed with the clock against it */
        ahead_init(&ahead, max, read_clock, &clock);
        ahead_on_going_back(&ahead, note_span, spans);
        for (int i = 0; i < EVENTS; i++) {
            if (oracle_random(&seed) % 60 == 0)
                clock.now_ns += (int64_t)(oracle_random(&seed) % 2000) - 1000;
            if (oracle_random(&seed) % 20 == 0)
                drift = oracle_random(&seed) % 2 ? (int64_t)(oracle_random(&seed) % 1000) - 500 : 0;
            clock.now_ns += (int64_t)(oracle_random(&seed) % 5);
            const int64_t time = clock.now_ns + drift - (int64_t)(oracle_random(&seed) % 20);
            int64_t expected = time;
            if (max >= 0 && time > latest && time > allowed)
                allowed = clock.now_ns + max;
            if (max >= 0 && time > latest && time > allowed && (latest == INT64_MIN || time > latest + max)) {
                count++;
                expected = latest == INT64_MIN ? clock.now_ns : latest;
            }
            const bool against = max >= 0 && latest != INT64_MIN && latest - time > max &&
                                 latest > clock.now_ns + max && time <= clock.now_ns + max &&
                                 time >= clock.now_ns - max;
            const int64_t before = latest;
            if (against && doubted) {
                backs++;
                allowed = clock.now_ns + max;
                latest = doubter > time && doubter <= allowed ? doubter : time;
                doubted = false;
            } else if (expected > latest) {
                latest = expected;
                doubted = false;
            } else {
                doubter = against ? time : doubter;
                doubted |= against;
            }
            cr_assert_eq(ahead_believe(&ahead, time), expected, "round %d, event %d", round, i);
            cr_assert_eq(ahead_latest(&ahead), latest, "round %d, event %d", round, i);
            cr_assert_eq(ahead.count, count);
            cr_assert_eq((uint64_t)spans[0], backs);
            if (backs > 0 && latest < before) {
                cr_assert_eq(spans[1], before - latest);
                cr_assert_eq(spans[2], latest > clock.now_ns ? latest : clock.now_ns);
            }
        }
    }
}
