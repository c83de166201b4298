#include "trackers/latest.h"

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/moment.h"

enum { JUMP = 100 };

/* A clock that has seen enough to be sure of itself: at 1000. */
static struct latest steady(void)
{
    struct latest latest;
    latest_init(&latest, JUMP);
    for (int i = 0; i < LATEST_ROW; i++)
        cr_assert_eq(latest_see(&latest, 1000), LATEST_BELIEVED);
    return latest;
}

Test(latest, goes_on_with_events_and_never_back)
{
    struct latest latest = steady();
    cr_assert_eq(latest_see(&latest, 1000 + JUMP), LATEST_BELIEVED, "as far as the limit");
    cr_assert_eq(latest.now_ns, 1000 + JUMP);
    cr_assert_eq(latest_see(&latest, 0), LATEST_BELIEVED);
    cr_assert_eq(latest_see(&latest, MOMENT_MIN), LATEST_BELIEVED);
    cr_assert_eq(latest.now_ns, 1000 + JUMP);
    cr_assert_eq(latest.doubted, 0u);
}

Test(latest, believes_a_time_far_ahead_when_a_row_of_events_confirms_it)
{
    struct latest latest = steady();
    for (int i = 0; i < LATEST_ROW - 1; i++) {
        cr_assert_eq(latest_see(&latest, 5000 + i), LATEST_DOUBTED);
        cr_assert_eq(latest.now_ns, 1000);
    }
    cr_assert_eq(latest_see(&latest, 5007), LATEST_REACHED);
    cr_assert_eq(latest.now_ns, 5007);
    cr_assert_eq(latest.doubted, (uint64_t)LATEST_ROW);
    cr_assert_eq(latest_see(&latest, 5050), LATEST_BELIEVED);
}

Test(latest, forgets_a_row_that_is_broken)
{
    struct latest latest = steady();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LATEST_ROW - 1; i++)
            cr_assert_eq(latest_see(&latest, 5000), LATEST_DOUBTED);
        cr_assert_eq(latest_see(&latest, 1000), LATEST_BELIEVED);
    }
    cr_assert_eq(latest.now_ns, 1000);
}

Test(latest, goes_on_at_the_earliest_of_a_row)
{
    struct latest latest = steady();
    cr_assert_eq(latest_see(&latest, MOMENT_MAX), LATEST_DOUBTED);
    for (int i = 0; i < LATEST_ROW - 2; i++)
        cr_assert_eq(latest_see(&latest, 5000 + i * 90), LATEST_DOUBTED);
    cr_assert_eq(latest_see(&latest, 9000), LATEST_REACHED);
    cr_assert_eq(latest.now_ns, 5000 + 5 * 90, "and on from one to the next, but not as far as 9000");
    cr_assert_eq(latest.row, 2u);
}

Test(latest, follows_times_that_are_all_far_apart)
{
    struct latest latest = steady();
    for (int i = 1; i <= 1000; i++)
        (void)latest_see(&latest, 1000 + i * 1000);
    cr_assert_eq(latest.now_ns, 1000 + (1000 - (LATEST_ROW - 1)) * 1000);
}

Test(latest, leaves_a_wrong_beginning_behind)
{
    struct latest latest;
    latest_init(&latest, JUMP);
    cr_assert_eq(latest_see(&latest, MOMENT_MAX), LATEST_BELIEVED);
    cr_assert_eq(latest_see(&latest, 500), LATEST_WENT_BACK);
    cr_assert_eq(latest.now_ns, 500);
    cr_assert_eq(latest_see(&latest, 450), LATEST_BELIEVED);
    cr_assert_eq(latest.now_ns, 500);
}

Test(latest, believes_everything_without_a_limit)
{
    struct latest latest;
    latest_init(&latest, -1);
    cr_assert_eq(latest_see(&latest, MOMENT_MIN), LATEST_BELIEVED);
    cr_assert_eq(latest_see(&latest, MOMENT_MAX), LATEST_BELIEVED);
    cr_assert_eq(latest_see(&latest, MOMENT_MIN), LATEST_BELIEVED, "and goes back for nothing");
    cr_assert_eq(latest.now_ns, MOMENT_MAX);
}

/* Whatever comes: a row is never full, its times are doubted, time does not run back once it is sure of itself. */
Test(latest, keeps_its_promises_for_any_times)
{
    uint64_t seed = oracle_seed("latest");
    for (int round = 0; round < 300; round++) {
        struct latest latest;
        latest_init(&latest, (int64_t)(oracle_random(&seed) % 50));
        for (int i = 0; i < 300; i++) {
            int64_t before = latest.now_ns, time = (int64_t)(oracle_random(&seed) % (round % 2 ? 100 : 1000));
            bool sure = latest.believed == LATEST_ROW;
            enum latest_verdict verdict = latest_see(&latest, time);
            cr_assert_lt(latest.row, (uint32_t)LATEST_ROW);
            for (uint32_t j = 0; j < latest.row; j++)
                cr_assert(latest_doubts(&latest, latest.times[j]));
            cr_assert(!sure || latest.now_ns >= before);
            cr_assert(verdict != LATEST_DOUBTED || latest.now_ns == before);
            cr_assert(verdict != LATEST_BELIEVED || latest.now_ns >= time);
        }
    }
}
