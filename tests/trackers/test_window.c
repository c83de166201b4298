#include "trackers/window.h"

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/moment.h"

enum { SLICES = 6, SLOTS = SLICES + 1 };

/* What an owner does: counts events in slots. */
struct counted {
    struct window window;
    uint32_t events[SLOTS];
};

static bool count(struct counted *counted, int64_t time_ns)
{
    struct window_stale stale;
    uint32_t slot = window_enter(&counted->window, time_ns, &stale);
    for (; stale.count > 0; window_next_stale(&counted->window, &stale))
        counted->events[stale.slot] = 0;
    if (slot == WINDOW_PAST)
        return false;
    counted->events[slot]++;
    return true;
}

static uint32_t covered(const struct counted *counted, int64_t now_ns)
{
    uint32_t events = 0;
    for (uint32_t slot = 0; slot < counted->window.slots; slot++)
        events += window_covers(&counted->window, slot, now_ns) ? counted->events[slot] : 0;
    return events;
}

static int64_t slice_number(int64_t time_ns, int64_t slice_ns)
{
    int64_t number = time_ns / slice_ns;
    return number * slice_ns > time_ns ? number - 1 : number;
}

Test(window, covers_exactly_the_slices_of_its_length_and_one_more_whatever_the_order_of_times)
{
    enum { ROUNDS = 200, EVENTS = 300 };
    uint64_t random = oracle_seed("window");
    for (int round = 0; round < ROUNDS; round++) {
        struct counted counted = {0};
        int64_t slice_ns = 1 + (int64_t)(oracle_random(&random) % 50), times[EVENTS], newest = INT64_MIN;
        int64_t now = (int64_t)(oracle_random(&random) % 400) - 200;
        bool kept[EVENTS];
        window_init(&counted.window, slice_ns * SLICES, SLICES);
        for (int i = 0; i < EVENTS; i++) {
            now += (int64_t)(oracle_random(&random) % 100) - 40;
            times[i] = now;
            int64_t number = slice_number(now, slice_ns);
            newest = number > newest ? number : newest;
            kept[i] = count(&counted, now);
            cr_assert_eq(kept[i], newest - number < SLOTS, "round %d, event %d", round, i);
        }
        for (int64_t at = now - 300; at < now + 600; at += 7) {
            uint32_t expected = 0;
            for (int i = 0; i < EVENTS; i++) {
                int64_t number = slice_number(times[i], slice_ns), back = slice_number(at, slice_ns) - number;
                expected += kept[i] && newest - number < SLOTS && back >= 0 && back < SLOTS;
            }
            cr_assert_eq(covered(&counted, at), expected, "round %d, at %lld", round, (long long)at);
        }
    }
}

Test(window, without_limit_has_one_slot_for_every_moment)
{
    struct counted counted = {0};
    window_init(&counted.window, -1, SLICES);
    cr_assert_eq(counted.window.slots, 1);
    cr_assert(count(&counted, MOMENT_MIN) && count(&counted, MOMENT_MAX) && count(&counted, 0));
    cr_assert_eq(covered(&counted, MOMENT_MIN), 3);
}

Test(window, bears_the_first_and_the_last_moment)
{
    struct counted counted = {0};
    window_init(&counted.window, 1, SLICES); /* slices of 1 ns: the most of them */
    cr_assert(count(&counted, MOMENT_MIN));
    cr_assert_eq(covered(&counted, MOMENT_MIN), 1);
    cr_assert(count(&counted, MOMENT_MAX));
    cr_assert_eq(covered(&counted, MOMENT_MAX), 1);
    cr_assert_not(count(&counted, MOMENT_MIN));
}

Test(window, is_empty_before_the_first_moment_and_after_a_reset)
{
    struct counted counted = {0};
    window_init(&counted.window, 60, SLICES);
    cr_assert_eq(covered(&counted, 0), 0);
    cr_assert_not(window_covers(&counted.window, 0, 0));
    cr_assert(count(&counted, 1000));
    window_reset(&counted.window);
    cr_assert_eq(covered(&counted, 1000), 0);
    cr_assert(count(&counted, 0)); /* earlier times count again */
    cr_assert_eq(covered(&counted, 0), 1);
}

/* A time before the row's oldest slice is none that it has: what counts is where an event lies beside the others. */
Test(window, what_goes_back_keeps_its_distance_to_what_comes)
{
    enum { ROUNDS = 300, EVENTS = 300 };
    uint64_t random = oracle_seed("window");
    for (int round = 0; round < ROUNDS; round++) {
        struct counted counted = {0};
        const int64_t slice_ns = 1 + (int64_t)(oracle_random(&random) % 50);
        int64_t numbers[EVENTS], newest = INT64_MIN, now = (int64_t)(oracle_random(&random) % 400) - 200;
        bool kept[EVENTS];
        window_init(&counted.window, slice_ns * SLICES, SLICES);
        for (int i = 0; i < EVENTS; i++) {
            now += (int64_t)(oracle_random(&random) % 100) - 40;
            if (oracle_random(&random) % 20 == 0) {
                const int64_t span_ns = (int64_t)(oracle_random(&random) % 2000);
                const int64_t slices = (span_ns + slice_ns - 1) / slice_ns;
                window_go_back(&counted.window, INT64_MIN, span_ns);
                now -= span_ns;
                newest -= newest == INT64_MIN ? 0 : slices;
                for (int before = 0; before < i; before++)
                    numbers[before] -= slices;
            }
            numbers[i] = slice_number(now, slice_ns);
            newest = numbers[i] > newest ? numbers[i] : newest;
            kept[i] = count(&counted, now);
            cr_assert_eq(kept[i], newest - numbers[i] < SLOTS, "round %d, event %d", round, i);
            uint32_t expected = 0;
            for (int before = 0; before <= i; before++)
                expected += kept[before] && newest - numbers[before] < SLOTS && numbers[i] - numbers[before] < SLOTS &&
                            numbers[before] <= numbers[i];
            cr_assert_eq(covered(&counted, now), expected, "round %d, event %d", round, i);
        }
    }
}

Test(window, going_back_past_the_end_of_time_ends_there_and_an_empty_one_stays_empty)
{
    struct counted counted = {0};
    window_init(&counted.window, 60, SLICES);
    window_go_back(&counted.window, INT64_MIN, 1000);
    cr_assert_eq(counted.window.newest, INT64_MIN);
    cr_assert(count(&counted, 5));
    window_go_back(&counted.window, INT64_MIN, INT64_MAX);
    cr_assert_eq(covered(&counted, MOMENT_MIN), 1u);
    cr_assert(count(&counted, MOMENT_MIN));
    cr_assert_eq(covered(&counted, MOMENT_MIN), 2u);
    window_reset(&counted.window);
    cr_assert_eq(counted.window.turned, 0u);
    window_init(&counted.window, -1, SLICES);
    window_go_back(&counted.window, INT64_MIN, 1000);
    cr_assert(count(&counted, 5) && covered(&counted, -5) > 0, "without limit there is nothing to go back");
}
