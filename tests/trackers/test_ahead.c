#include "tests/check.h"
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
