/* The memory of the error tracker: bounded whatever comes, and whatever can be had of it. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/oom.h"
#include "tests/trackers/errors_fixture.h"

Test(errors_memory, a_flood_of_names_can_not_grow_memory)
{
    enum { NAMES = 500, PATTERNS = 1000, FLOOD = 100000, ENDPOINTS = 100, RECENT = 500, STATUSES = 502 };
    struct oom oom = {.fail_at = -1};
    size_t after_half = 0;
    tbus_errors_t *errors;

    oom_install(&oom);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    for (int i = 0; i < FLOOD; i++) {
        char name[32], message[32];
        snprintf(name, sizeof name, "/v1/%d", i);
        snprintf(message, sizeof message, "%c%c%c%c", 'g' + i % 10, 'g' + i / 10 % 10, 'g' + i / 100 % 10,
                 'g' + i / 1000 % 10);
        tbus_error_t error = {.type = name, .message = message, .endpoint = name, .model = name, .status_code = i};
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
        if (i == FLOOD / 2)
            after_half = oom.bytes_live;
    }
    cr_assert_eq(oom.bytes_live, after_half);
    size_t bound = PATTERNS * 6144 + RECENT * 1024 + ENDPOINTS * 10240 + (3 * NAMES + STATUSES) * 1024 + 102400;
    cr_assert_lt(oom.bytes_peak, bound, "%zu of %zu", (size_t)oom.bytes_peak, bound);

    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo.errors + snapshot->excluded, FLOOD);
    cr_assert_eq(snapshot->by_endpoint_count, NAMES + 1);
    cr_assert_str_eq(snapshot->by_endpoint[0].name, "other");
    cr_assert_eq(snapshot->by_endpoint[0].errors, FLOOD - NAMES - 1);
    cr_assert_eq(snapshot->patterns_count, PATTERNS);
    cr_assert_eq(snapshot->patterns_dropped, FLOOD - PATTERNS - 1);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

/* A million endpoints, most of them called without an error: they share what is bounded. */
Test(errors_memory, a_million_endpoints_share_a_bounded_memory)
{
    enum { FLOOD = 1000000, ENDPOINTS = 100 };
    struct oom oom = {.fail_at = -1};
    size_t after_some = 0;
    uint64_t total = 0;
    tbus_errors_t *errors;

    oom_install(&oom);
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.rolling = true}, &errors), 0);
    for (int i = 0; i < FLOOD; i++) {
        char endpoint[32];
        snprintf(endpoint, sizeof endpoint, "/v1/%d?token=%dabcdefgh", i, i);
        cr_assert_eq(tbus_errors_record_response(errors, endpoint, "m", i % 10 ? 200 : 500, i * INT64_C(1000000)), 0);
        if (i == FLOOD / 10)
            after_some = oom.bytes_live;
    }
    cr_assert_eq(oom.bytes_live, after_some);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slos_count, ENDPOINTS + 1);
    for (size_t i = 0; i < snapshot->slos_count; i++)
        total += snapshot->slos[i].status.total_requests;
    cr_assert_eq(total, FLOOD);
    cr_assert_eq(snapshot->by_endpoint_count, 501);
    cr_assert_eq(snapshot->failed, FLOOD / 10);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

/* What the header says of memory, for each part grown to its limit and hardly anything else. */
static size_t peak_of(tbus_errors_options_t options, int records, bool one_name)
{
    struct oom oom = {.fail_at = -1};
    tbus_errors_t *errors;

    oom_install(&oom);
    cr_assert_eq(tbus_errors_open(&options, &errors), 0);
    for (int i = 0; i < records; i++) {
        char name[192], message[801];
        memset(name, 'y', sizeof name);
        snprintf(name + 170, sizeof name - 170, "%021d", i);
        for (int point = 0; point < 200; point++)
            memcpy(message + 4 * point, "\xf0\x9f\x98\x80", 5);
        for (int digit = 0, rest = i; digit < 6; digit++, rest /= 10)
            message[4 * digit + 3] = (char)(0x80 + rest % 10);
        tbus_error_t error = {.message = message, .request_id = name, .user_id = name};
        error.type = error.endpoint = error.model = one_name ? "" : name;
        error.status_code = one_name ? 0 : 100 + i % 500;
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    }
    tbus_errors_close(errors);
    oom_remove();
    cr_assert_eq(oom.live, 0);
    return oom.bytes_peak;
}

Test(errors_memory, memory_stays_below_what_the_header_says)
{
    const tbus_errors_options_t small = {
        .patterns_max = 1, .names_max = 1, .recent_max = UINT32_MAX, .endpoints_max = 1};
    enum { MAX = 2049 /* a table is doubled to this at last, and copied: as bad as it gets */, ERRORS = 6000 };
    tbus_errors_options_t options = small;
    const size_t beside = 100 * 1024, one = 6144 + 10240 + 5 * 1024; /* 100 KiB, and one of each kind */

    cr_assert_lt(peak_of(small, 1, true), beside + one);
    options.patterns_max = MAX;
    cr_assert_lt(peak_of(options, ERRORS, true), beside + one + MAX * 6144);
    options = small;
    options.recent_max = MAX;
    cr_assert_lt(peak_of(options, ERRORS, true), beside + one + MAX * 1024);
    options = small;
    options.names_max = MAX;
    cr_assert_lt(peak_of(options, ERRORS, false), beside + one + (3 * MAX + 502) * 1024);
    options = small;
    options.endpoints_max = MAX;
    options.rolling = true;
    cr_assert_lt(peak_of(options, ERRORS, false), beside + one + MAX * 10240 + 502 * 1024);
}

/* Opens, records so much that every table grows more than once, and takes a snapshot. */
static int live_a_life(struct oom *oom)
{
    tbus_errors_t *errors;
    tbus_errors_snapshot_t *snapshot;
    static const tbus_endpoint_slo_t slos[] = {{"zz", 990000}, {"yy", 990000}};
    oom_arm(oom);
    int error = tbus_errors_open(
        &(tbus_errors_options_t){.endpoint_slos = slos, .endpoint_slos_count = 2, .rolling = true}, &errors);
    int failed = 0;

    if (error)
        return error;
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "%c%c", 'g' + i / 10, 'g' + i % 10);
        tbus_error_t record = {.type = name, .message = name, .endpoint = name, .model = name, .time_ns = i};
        error = tbus_errors_record_error(errors, &record);
        failed = error ? error : failed;
    }
    error = tbus_errors_snapshot(errors, 0, &snapshot);
    if (!error) {
        cr_assert_eq(snapshot->slo.errors, 40, "the totals hold whatever fails");
        uint64_t listed = 0, watched = 0;
        for (size_t i = 0; i < snapshot->by_endpoint_count; i++)
            listed += snapshot->by_endpoint[i].errors;
        for (size_t i = 0; i < snapshot->slos_count; i++)
            watched += snapshot->slos[i].status.errors;
        cr_assert_eq(listed, 40, "what finds no memory counts as other");
        cr_assert_eq(watched, 40, "and shares its SLO");
        cr_assert_geq(snapshot->patterns_count, failed ? 39 : 40);
        tbus_errors_snapshot_free(snapshot);
    }
    tbus_errors_close(errors);
    return error ? error : failed;
}

Test(errors_memory, every_allocation_may_fail)
{
    cr_assert_gt(oom_try_each(live_a_life), 15);
}

/* From some allocation on nothing can be had any more: what is known goes on being counted. */
Test(errors_memory, without_memory_known_names_go_on)
{
    struct oom oom = {.fail_at = -1};
    tbus_errors_t *errors;

    oom_install(&oom);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.type = "t", .message = "m"}), 0);
    oom.fail_at = atomic_load(&oom.calls);
    oom.keep_failing = true;
    int refused = 0;
    for (int i = 0; i < 100; i++) {
        char type[16];
        snprintf(type, sizeof type, "t%d", i);
        refused += tbus_errors_record_error(errors, &(tbus_error_t){.type = type}) == UV_ENOMEM;
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.type = "t", .message = "m"}), 0);
    }
    tbus_errors_snapshot_t *snapshot = NULL;
    cr_assert_eq(tbus_errors_snapshot(errors, 0, &snapshot), UV_ENOMEM);
    cr_assert_null(snapshot);
    tbus_errors_reset(errors);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.type = "u"}), 0, "reset keeps its memory");
    oom.fail_at = -1;
    cr_assert_gt(refused, 80);
    snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo.errors, 1);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

/* --- Patterns that come in faster than a snapshot comes round --- */

enum { FLOOD_ROUNDS = 40, FLOOD_PATTERNS = 20 };

struct flood {
    tbus_errors_t *errors; /* NULL = nothing comes in */
    int rounds;
};

/* For a snapshot the library allocates without the lock: so new patterns may be recorded meanwhile. */
static void *alloc_in_flood(size_t bytes, void *user)
{
    struct flood *flood = user;
    tbus_errors_t *errors = flood->errors;

    flood->errors = NULL; /* what recording allocates lets nothing in */
    if (errors && flood->rounds < FLOOD_ROUNDS) {
        flood->rounds++;
        for (int i = 0; i < FLOOD_PATTERNS; i++) {
            char message[512];
            memset(message, 'x', sizeof message);
            message[flood->rounds] = (char)('G' + i);
            message[sizeof message - 1] = '\0';
            cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = message}), 0);
        }
    }
    flood->errors = errors;
    return malloc(bytes);
}

static void *resize_in_flood(void *memory, size_t bytes, void *user)
{
    (void)user;
    return realloc(memory, bytes);
}

static void release_in_flood(void *memory, void *user)
{
    (void)user;
    free(memory);
}

Test(errors_memory, a_snapshot_is_taken_however_fast_new_patterns_come_in)
{
    struct flood flood = {.rounds = 0};
    tbus_allocator_t allocator = {alloc_in_flood, resize_in_flood, release_in_flood, &flood};

    cr_assert_eq(tbus_set_allocator(&allocator), 0);
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.patterns_max = 10000});
    flood.errors = errors;
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    flood.errors = NULL;
    cr_assert_lt(flood.rounds, 6);
    cr_assert_eq(snapshot->patterns_count, (size_t)flood.rounds * FLOOD_PATTERNS);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
    cr_assert_eq(tbus_set_allocator(NULL), 0);
}
