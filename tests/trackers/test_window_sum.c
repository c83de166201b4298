#include "trackers/window_sum.h"

#include "tests/check.h"
#include "tests/oracle.h"

/* Adds at moments that go forward and back; compares with the list of all that was added. */
Test(window_sum, is_the_sum_of_what_was_added_within_the_window)
{
    enum { ROUNDS = 100, STEPS = 400, SLICE = 10 };
    uint64_t seed = oracle_seed("window_sum");
    static struct {
        int64_t slice;
        uint64_t amount;
    } all[STEPS];
    for (int round = 0; round < ROUNDS; round++) {
        struct window_sum sum;
        int64_t now = 1000000, newest = 0;
        window_sum_init(&sum, SLICE * WINDOW_SUM_SLICES);
        for (int i = 0; i < STEPS; i++) {
            now += (int64_t)(oracle_random(&seed) % (i % 50 ? 2 * SLICE : 100 * SLICE));
            int64_t time = now - (int64_t)(oracle_random(&seed) % 3 ? 0 : oracle_random(&seed) % (40 * SLICE));
            all[i].slice = time / SLICE;
            all[i].amount = oracle_random(&seed) % 100;
            newest = all[i].slice > newest ? all[i].slice : newest;
            window_sum_add(&sum, time, all[i].amount);
            int64_t asked = newest + (int64_t)(oracle_random(&seed) % 40);
            uint64_t expected = 0;
            for (int j = 0; j <= i; j++)
                expected += asked - all[j].slice <= WINDOW_SUM_SLICES ? all[j].amount : 0;
            cr_assert_eq(window_sum_at(&sum, asked * SLICE), expected, "round %d, step %d", round, i);
        }
    }
}

Test(window_sum, stays_at_its_end_and_starts_anew_after_a_reset)
{
    struct window_sum sum;
    window_sum_init(&sum, -1);
    cr_assert_eq(window_sum_at(&sum, 0), 0u);
    window_sum_add(&sum, 0, UINT64_MAX - 1);
    window_sum_add(&sum, INT64_C(1) << 60, 5);
    cr_assert_eq(window_sum_at(&sum, 0), UINT64_MAX, "without limit there is one slot");
    window_sum_reset(&sum);
    cr_assert_eq(window_sum_at(&sum, 0), 0u);
    window_sum_init(&sum, 300);
    window_sum_add(&sum, 0, UINT64_MAX - 1);
    window_sum_add(&sum, 100, UINT64_MAX - 1);
    cr_assert_eq(window_sum_at(&sum, 100), UINT64_MAX);
}
