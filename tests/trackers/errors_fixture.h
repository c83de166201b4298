/* An error tracker for tests: opened, read, and fed with as little as a test cares for. */
#ifndef TESTS_TRACKERS_ERRORS_FIXTURE_H
#define TESTS_TRACKERS_ERRORS_FIXTURE_H

#include <tallybus/errors.h>

#include "tests/check.h"

#define SECOND INT64_C(1000000000)

static inline tbus_errors_t *open_with(tbus_errors_options_t options)
{
    tbus_errors_t *errors = NULL;

    if (options.ahead_max_ns == 0)
        options.ahead_max_ns = -1; /* what a test sees must not depend on when it runs */
    cr_assert_eq(tbus_errors_open(&options, &errors), 0);
    return errors;
}

static inline tbus_errors_snapshot_t *snapshot_at(tbus_errors_t *errors, int64_t now_ns)
{
    tbus_errors_snapshot_t *snapshot = NULL;

    cr_assert_eq(tbus_errors_snapshot(errors, now_ns, &snapshot), 0);
    return snapshot;
}

static inline tbus_errors_snapshot_t *snapshot_of(tbus_errors_t *errors)
{
    return snapshot_at(errors, 0);
}

#endif
