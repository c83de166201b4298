#include "tests/bus/fixture.h"

#if defined(__unix__) || defined(__APPLE__)

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int add_up(const tbus_event_t *event, void *sum)
{
    *(int64_t *)sum += number_of(event);
    return 0;
}

/* What the child does to its copy must not show in the parent: it publishes (which it should not), and ends. */
Test(fork, a_child_leaves_the_parents_bus_alone)
{
    tbus_t *bus;
    int64_t sum = 0, expected = 0;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_gt(tbus_subscribe(bus, ">", 0, add_up, &sum), 0);
    for (int round = 0; round < 20; round++) {
        for (int64_t i = 1; i <= 200; i++, expected += i - 1)
            cr_assert_eq(publish_number(bus, i), 0);
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            for (int i = 0; i < 100; i++)
                (void)publish_number(bus, 1000000);
            _exit(0);
        }
        for (int64_t i = 1; i <= 200; i++, expected += i - 1)
            cr_assert_eq(publish_number(bus, i), 0);
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(sum, expected);
}

#endif
