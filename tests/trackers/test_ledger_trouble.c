/* The ledger when its file can not be written: records wait, within bounds, and are written when it can. */
#define _GNU_SOURCE 1 /* unshare() */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#endif

#include "tests/trackers/faulty_vfs.h"
#include "tests/trackers/ledger_fixture.h"
#include "trackers/ledger.h"

static const tbus_ledger_options_t not_waiting = {.busy_ms = UINT32_MAX};

/* The rows and sums in the file are those of so many records, and no damage was done. */
static void expect_records(uint64_t count)
{
    char expected[128];
    snprintf(expected, sizeof expected, "%llu|%llu\n", (unsigned long long)count, (unsigned long long)count);
    expect_rows("SELECT count(*), count(DISTINCT start || ' ' || event_id) FROM usage", expected);
    expect_rows("SELECT max(requests), min(requests) FROM totals", expected);
    expect_rows(
        "SELECT sum(requests) FILTER (WHERE kind = 'all'), sum(requests) FILTER (WHERE kind = 'key') FROM hours",
        expected);
    expect_intact();
}

static void expect_waiting(tbus_ledger_t *ledger, uint64_t records, int error)
{
    tbus_ledger_stats_t stats = ledger_stats(ledger);
    cr_assert_eq(stats.pending, records);
    cr_assert_eq(stats.last_error, error, "%s", uv_err_name(stats.last_error));
    cr_assert_gt(strlen(stats.why), 0);
    cr_assert_gt(stats.failures, 0);
}

static void expect_well(tbus_ledger_t *ledger)
{
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    tbus_ledger_stats_t stats = ledger_stats(ledger);
    cr_assert_eq(stats.pending, 0);
    cr_assert_eq(stats.last_error, 0);
    cr_assert_str_eq(stats.why, "");
}

/* --- No room --- */

static void limit_pages(tbus_ledger_t *ledger, const char *pages)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %s", pages);
    cr_assert_eq(sqlite3_exec(ledger->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

Test(ledger_trouble, a_full_disk_makes_records_wait_and_then_be_lost_and_counted)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.pending_bytes = 2 << 20});
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    limit_pages(ledger, "12");
    ledger_enter(ledger, 11, 3000);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_ENOSPC);
    expect_waiting(ledger, 3000, UV_ENOSPC);
    expect_records(10);

    uint64_t number = 3011;
    int error = 0;
    while (!error) {
        tbus_usage_record_t record = ledger_record(number);
        error = tbus_ledger_append(ledger, &record);
        number += !error;
    }
    cr_assert_eq(error, UV_ENOBUFS);
    for (uint64_t lost = 1; lost < 50; lost++) {
        tbus_usage_record_t record = ledger_record(number + lost);
        cr_assert_eq(tbus_ledger_append(ledger, &record), UV_ENOBUFS);
    }
    cr_assert_eq(tbus_ledger_commit(ledger), UV_ENOSPC);
    tbus_ledger_stats_t stats = ledger_stats(ledger);
    cr_assert_eq(stats.lost, 50);
    cr_assert_eq(stats.pending, number - 11);
    cr_assert_gt(stats.pending, 6000);
    cr_assert_eq(stats.appended, stats.committed + stats.pending + stats.lost);

    limit_pages(ledger, "1000000");
    expect_well(ledger);
    expect_records(number - 1);
    ledger_enter(ledger, number, 1);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), 0);
    cr_assert_eq(stats.lost, 50);
    expect_records(number);
}

Test(ledger_trouble, what_can_not_be_written_in_the_end_is_counted)
{
    tbus_ledger_stats_t stats;
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    limit_pages(ledger, "1");
    ledger_enter(ledger, 1, 2000);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), UV_EIO);
    cr_assert_eq(stats.lost, 2000);
    cr_assert_eq(stats.pending, 0);
    cr_assert_eq(stats.last_error, UV_ENOSPC);
    expect_rows("SELECT count(*) FROM usage", "0\n");
}

#ifdef __linux__

/* A file system of its own for this test's process, of so many KiB; skips where that is not allowed. */
static void mount_small(const char *options)
{
    if (unshare(CLONE_NEWNS) != 0)
        cr_skip_test("no mount name space: %s", strerror(errno));
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", scratch_directory, "tmpfs", 0, options) != 0)
        cr_skip_test("no tmpfs: %s", strerror(errno));
}

static void put_filler(const char *path)
{
    static const char zeroes[4096];
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(file, 0);
    while (write(file, zeroes, sizeof zeroes) > 0)
        ;
    cr_assert_eq(errno, ENOSPC);
    close(file);
}

Test(ledger_trouble, a_file_system_that_is_full_is_written_again_when_it_has_room)
{
    char filler[128];
    ledger_prepare();
    mount_small("size=4m");
    snprintf(filler, sizeof filler, "%s/filler", scratch_directory);
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    put_filler(filler);
    ledger_enter(ledger, 11, 4000);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_ENOSPC);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_ENOSPC);
    expect_waiting(ledger, 4000, UV_ENOSPC);
    cr_assert_eq(unlink(filler), 0);
    expect_well(ledger);
    expect_records(4010);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    cr_assert_eq(umount2(scratch_directory, MNT_DETACH), 0);
}

#endif

/* --- Locked, read-only, gone --- */

Test(ledger_trouble, a_file_that_somebody_has_locked_is_written_when_he_lets_go)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened(not_waiting);
    sqlite3 *db = beside_opened();
    beside_run(db, "BEGIN IMMEDIATE");
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_EBUSY);
    expect_waiting(ledger, 10, UV_EBUSY);
    cr_assert_eq(tbus_ledger_prune(ledger, INT64_MAX, NULL), UV_EBUSY);
    beside_run(db, "COMMIT");
    sqlite3_close(db);
    expect_well(ledger);
    expect_records(10);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_trouble, a_file_that_somebody_has_for_himself_can_not_be_opened)
{
    char why[200] = "";
    tbus_ledger_t *ledger = NULL;
    ledger_prepare();
    cr_assert_eq(tbus_ledger_close(ledger_opened(not_waiting), NULL), 0);
    sqlite3 *db = beside_opened();
    beside_run(db, "PRAGMA locking_mode = exclusive; BEGIN IMMEDIATE; COMMIT");
    cr_assert_eq(tbus_ledger_open(&(tbus_ledger_options_t){.path = ledger_file, .busy_ms = UINT32_MAX}, why, sizeof why,
                                  &ledger),
                 UV_EBUSY);
    cr_assert_not_null(strstr(why, "locked"), "%s", why);
    cr_assert_null(ledger);
    sqlite3_close(db);
}

Test(ledger_trouble, two_ledgers_on_one_file_keep_their_records_apart)
{
    ledger_prepare();
    tbus_ledger_t *one = ledger_opened((tbus_ledger_options_t){0}), *other = ledger_opened((tbus_ledger_options_t){0});
    for (uint64_t round = 0; round < 20; round++) {
        ledger_enter(one, 1 + round * 5, 5);
        ledger_enter(other, 1 + round * 5, 5);
        cr_assert_eq(tbus_ledger_commit(one), 0);
        cr_assert_eq(tbus_ledger_commit(other), 0);
    }
    cr_assert_eq(tbus_ledger_close(one, NULL), 0);
    cr_assert_eq(tbus_ledger_close(other, NULL), 0);
    expect_records(200);
}

/* Root may write anything. */
static void become_nobody(void)
{
    if (geteuid() != 0)
        return;
    cr_assert_eq(setgid(65534), 0);
    cr_assert_eq(setuid(65534), 0);
#ifdef __linux__
    cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* so that LeakSanitizer may look at us */
#endif
}

Test(ledger_trouble, a_read_only_file_is_written_when_it_may_be)
{
    static const char *const beside[] = {"", "-wal", "-shm"}; /* SQLite makes them like the file itself */
    become_nobody();
    ledger_prepare();
    cr_assert_eq(tbus_ledger_close(ledger_opened((tbus_ledger_options_t){0}), NULL), 0);
    cr_assert_eq(chmod(ledger_file, 0400), 0);
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_EROFS);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_EROFS);
    expect_waiting(ledger, 10, UV_EROFS);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s%s", ledger_file, beside[i]);
        cr_assert(chmod(path, 0600) == 0 || errno == ENOENT);
    }
    expect_well(ledger);
    expect_records(10);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_trouble, a_file_that_was_deleted_is_made_anew)
{
    char aside[160];
    ledger_prepare();
    snprintf(aside, sizeof aside, "%s.aside", ledger_file);
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    cr_assert_eq(rename(ledger_file, aside), 0);
    ledger_enter(ledger, 11, 7);
    expect_well(ledger);
    expect_records(7);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_trouble, a_damaged_file_is_an_error_and_records_wait)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 2000);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    FILE *file = fopen(ledger_file, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 8192, SEEK_SET), 0);
    for (int i = 0; i < 8192 * 30; i++)
        fputc(0xee, file);
    cr_assert_eq(fclose(file), 0);
    ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 2001, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), UV_EIO);
    expect_waiting(ledger, 10, UV_EIO);
    tbus_ledger_stats_t stats;
    cr_assert_eq(tbus_ledger_close(ledger, &stats), UV_EIO);
    cr_assert_eq(stats.lost, 10);
}

/* --- Each operation on the file fails in turn --- */

enum { RECORDS = 60, BY = 20 };

/* A life with trouble in the middle; true where all of it went well. What has been acknowledged when it went wrong is
 * there then, and all of it is when the trouble is over. */
static bool life_with_trouble(long at, bool keep_failing, int code)
{
    tbus_ledger_t *ledger = NULL;
    uint64_t acknowledged = 0;
    bool well = true;
    (void)unlink(ledger_file);
    faulty_fail_at(at, keep_failing, code);
    int error = tbus_ledger_open(&(tbus_ledger_options_t){.path = ledger_file}, NULL, 0, &ledger);
    if (error) {
        cr_assert_lt(error, 0);
        faulty_fail_at(-1, false, 0);
        ledger = ledger_opened((tbus_ledger_options_t){0});
        well = false;
    }
    for (uint64_t first = 1; first <= RECORDS; first += BY) {
        ledger_enter(ledger, first, BY);
        error = tbus_ledger_commit(ledger);
        acknowledged = error ? acknowledged : first + BY - 1;
        well &= error == 0;
    }
    long failed = faulty.failed;
    faulty_fail_at(-1, false, 0);
    sqlite3 *db = beside_opened();
    cr_assert_geq(atoi(beside_rows(db, "SELECT count(*) FROM usage")), (int)acknowledged);
    sqlite3_close(db);
    expect_well(ledger);
    expect_records(RECORDS);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    expect_records(RECORDS);
    return well && failed == 0;
}

static void fail_each(bool keep_failing, int code)
{
    long at = 0;
    ledger_prepare();
    faulty_vfs_install();
    while (!life_with_trouble(at, keep_failing, code))
        at++;
    cr_assert_gt(at, 10);
}

Test(ledger_trouble, any_one_operation_on_the_file_may_fail)
{
    fail_each(false, 0);
}

Test(ledger_trouble, the_disk_may_go_away_at_any_operation)
{
    fail_each(true, 0);
}

Test(ledger_trouble, the_disk_may_become_full_at_any_operation)
{
    fail_each(true, SQLITE_FULL);
}

/* --- Each allocation of SQLite's fails in turn --- */

static struct {
    sqlite3_mem_methods usual;
    long calls, fail_at, failed;
} memory = {.fail_at = -1};

static bool memory_refuses(void)
{
    bool refuses = memory.calls++ == memory.fail_at;
    memory.failed += refuses;
    return refuses;
}

static void *failing_malloc(int bytes)
{
    return memory_refuses() ? NULL : memory.usual.xMalloc(bytes);
}

static void *failing_realloc(void *from, int bytes)
{
    return memory_refuses() ? NULL : memory.usual.xRealloc(from, bytes);
}

Test(ledger_trouble, any_allocation_of_sqlite_may_fail)
{
    sqlite3_mem_methods methods;
    ledger_prepare();
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.usual), SQLITE_OK);
    methods = memory.usual;
    methods.xMalloc = failing_malloc;
    methods.xRealloc = failing_realloc;
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK); /* each small piece is one to fail */
    cr_assert_eq(sqlite3_initialize(), SQLITE_OK);
    for (long at = 0;; at++) {
        tbus_ledger_t *ledger = NULL;
        (void)unlink(ledger_file);
        memory.calls = memory.failed = 0;
        memory.fail_at = at;
        int error = tbus_ledger_open(&(tbus_ledger_options_t){.path = ledger_file}, NULL, 0, &ledger);
        cr_assert(error == 0 || error == UV_ENOMEM, "%s", uv_err_name(error));
        bool opened = error == 0;
        if (opened) {
            ledger_enter(ledger, 1, 20);
            error = tbus_ledger_commit(ledger);
            cr_assert(error == 0 || error == UV_ENOMEM, "%s", uv_err_name(error));
        }
        memory.fail_at = -1;
        if (opened) {
            expect_well(ledger);
            expect_records(20);
        }
        cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
        if (memory.failed == 0) {
            cr_assert(opened);
            cr_assert_gt(at, 100);
            break;
        }
    }
}
