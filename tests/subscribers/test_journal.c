/* The journal and its file: whole lines only, in order, within bounds, whatever the disk does. */
#define _GNU_SOURCE 1 /* mkdtemp(), memfd_create() */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tallybus/journal.h>

#include "subscribers/journal_file.h"
#include "tests/bus/fixture.h"
#include "tests/check.h"
#include "tests/oom.h"
#include "tests/scratch.h"

/* --- Files --- */

static char path[80];

static void prepare(void)
{
    scratch_open();
    snprintf(path, sizeof path, "%s/events.jsonl", scratch_directory);
}

static const char *rotated(uint32_t number)
{
    static char name[96];
    snprintf(name, sizeof name, "%s.%u", path, number);
    return name;
}

/* What a file holds; NULL where there is none. Valid until the next call. */
static const char *content(const char *name, size_t *ret_length)
{
    static char *text;
    free(text);
    text = NULL;
    FILE *file = fopen(name, "rb");
    if (!file)
        return NULL;
    text = malloc(8 << 20);
    cr_assert_not_null(text);
    size_t length = fread(text, 1, (8 << 20) - 1, file);
    text[length] = '\0';
    fclose(file);
    if (ret_length)
        *ret_length = length;
    return text;
}

static void put_file(const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(name, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
}

/* --- Events that carry a number, and the numbers in a file --- */

struct desk {
    struct hosted hosted;
    tbus_journal_t *journal;
    int64_t next; /* number to publish */
};

static struct desk desk;

static void desk_open(tbus_journal_options_t options)
{
    options.on_loop_thread = true; /* so that the test decides when it is written */
    memset(&desk, 0, sizeof desk);
    hosted_open(&desk.hosted, NULL);
    options.path = options.path ? options.path : path;
    cr_assert_eq(tbus_journal_open(desk.hosted.bus, &options, &desk.journal), 0);
}

static void publish_named(const char *name, int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(tbus_publish_model_selected(
                         desk.hosted.bus, &(tbus_model_selected_t){.model_id = name, .context_window = ++desk.next}),
                     0);
    hosted_deliver(&desk.hosted);
}

static tbus_journal_stats_t stats_now(void)
{
    tbus_journal_stats_t stats;
    cr_assert_eq(tbus_journal_stats(desk.journal, &stats), 0);
    return stats;
}

/* Closes both; returns what the journal's close said. */
static int desk_close(tbus_journal_stats_t *ret_stats)
{
    int error = tbus_journal_close(desk.journal, ret_stats);
    hosted_close(&desk.hosted);
    return error;
}

/* Each line of the file must be a whole event, with the numbers rising by one from the first; returns the first and
 * counts. */
static int64_t numbers_in(const char *name, int64_t *ret_count)
{
    size_t length = 0;
    const char *text = content(name, &length), *end;
    int64_t first = 0, count = 0;
    cr_assert_not_null(text, "%s", name);
    cr_assert_eq(strlen(text), length);
    for (; *text; text = end + 1) {
        end = strchr(text, '\n');
        cr_assert_not_null(end, "%s", text);
        cr_assert_eq(strncmp(text, "{\"type\":\"model.selected\",\"id\":", 30), 0, "%s", text);
        cr_assert_eq(end[-1], '}');
        const char *at = strstr(text, "\"context_window\":");
        cr_assert(at && at < end);
        int64_t number = strtoll(at + 17, NULL, 10);
        first = count == 0 ? number : first;
        cr_assert_eq(number, first + count, "%s", text);
        count++;
    }
    *ret_count = count;
    return first;
}

static void expect_numbers(const char *name, int64_t first, int64_t count)
{
    int64_t got_count, got_first = numbers_in(name, &got_count);
    cr_assert_eq(got_count, count, "%s has %lld lines, not %lld", name, (long long)got_count, (long long)count);
    cr_assert(count == 0 || got_first == first, "%s begins with %lld", name, (long long)got_first);
}

/* --- Writing --- */

Test(journal, lines_are_in_the_file_at_the_end_of_a_batch)
{
    prepare();
    desk_open((tbus_journal_options_t){0});
    struct stat found;
    cr_assert_eq(stat(path, &found), 0);
    cr_assert_eq(found.st_mode & 0777, 0600);
    publish_named("a", 3);
    expect_numbers(path, 1, 3);
    tbus_journal_stats_t stats = stats_now();
    cr_assert_eq(stats.events, 3);
    cr_assert_eq(stats.bytes, strlen(content(path, NULL)));
    cr_assert_eq(stats.buffered_events, 0);
    cr_assert_eq(desk_close(NULL), 0);
    desk_open((tbus_journal_options_t){.sync = true}); /* goes on behind what is there */
    desk.next = 3;
    publish_named("a", 2);
    cr_assert_eq(desk_close(&stats), 0);
    cr_assert_eq(stats.events, 2);
    expect_numbers(path, 1, 5);
}

Test(journal, hostile_strings_make_no_line_of_their_own)
{
    static const char *const hostile[] = {
        "\n{\"type\":\"decode.started\"}\n", "\xff\xfe\r\n", "\xe2\x80\xa8\x1b\x7f", "\"},\n", NULL, ""};
    prepare();
    desk_open((tbus_journal_options_t){0});
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        publish_named(hostile[i], 1);
    expect_numbers(path, 1, sizeof hostile / sizeof *hostile);
    cr_assert_not_null(strstr(content(path, NULL), "\"model_id\":\"\xEF\xBF\xBD\xEF\xBF\xBD\\r\\n\""));
    cr_assert_eq(desk_close(NULL), 0);
}

Test(journal, secrets_are_not_written)
{
    prepare();
    for (int keep = 0; keep < 2; keep++) {
        desk_open((tbus_journal_options_t){.keep_messages = keep});
        cr_assert_eq(tbus_publish_error_occurred(desk.hosted.bus,
                                                 &(tbus_error_occurred_t){.base.api_key = "sk-proj-0123456789",
                                                                          .error_message = "bad key sk-proj-quoted!"}),
                     0);
        hosted_deliver(&desk.hosted);
        const char *text = content(path, NULL);
        cr_assert_not_null(strstr(text, "\"api_key\":\"sk-p..88fd2d4d\""));
        cr_assert_null(strstr(text, "0123456789"));
        cr_assert_eq(strstr(text, "quoted") != NULL, keep);
        cr_assert_eq(strstr(text, "bad key sk-*!") != NULL, true);
        cr_assert_eq(desk_close(NULL), 0);
    }
}

Test(journal, the_pattern_chooses)
{
    prepare();
    desk_open((tbus_journal_options_t){.pattern = "model.*", .priority = -3});
    publish_named("a", 1);
    cr_assert_eq(publish_number(desk.hosted.bus, 7), 0);
    hosted_deliver(&desk.hosted);
    expect_numbers(path, 1, 1);
    cr_assert_eq(desk_close(NULL), 0);
}

Test(journal, long_lines_get_room_and_too_long_ones_are_counted)
{
    prepare();
    desk_open((tbus_journal_options_t){.buffer_bytes = 4096});
    char name[15001];
    memset(name, '\x01', 15000); /* six bytes each */
    name[15000] = '\0';
    publish_named(name, 2);
    publish_named("a", 1);
    expect_numbers(path, 1, 3);

    const char *tokens[20];
    for (size_t i = 0; i < 20; i++)
        tokens[i] = name;
    cr_assert_eq(tbus_publish_tokens_batch_generated(
                     desk.hosted.bus, &(tbus_tokens_batch_generated_t){.tokens = tokens, .tokens_count = 20}),
                 0);
    publish_named("a", 1);
    expect_numbers(path, 1, 4);
    tbus_stats_t bus_stats;
    cr_assert_eq(tbus_stats(desk.hosted.bus, &bus_stats), 0);
    cr_assert_eq(bus_stats.handler_errors, 1);
    tbus_journal_stats_t stats;
    cr_assert_eq(desk_close(&stats), 0);
    cr_assert_eq(stats.events, 4);
    cr_assert_eq(stats.lost_events, 1);
    cr_assert_eq(stats.write_errors, 0);
}

Test(journal, nothing_is_allocated_for_an_event)
{
    prepare();
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    desk_open((tbus_journal_options_t){.rotate_bytes = 10000});
    publish_named("a", 1);
    long calls = oom.calls;
    publish_named("some\n\xff name", 1000);
    cr_assert_eq(oom.calls, calls);
    cr_assert_eq(desk_close(NULL), 0);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

/* --- Rotation --- */

Test(journal, rotation_keeps_lines_whole_and_files_in_order)
{
    prepare();
    enum { EVENTS = 1000, LIMIT = 5000, KEEP = 1000 };
    desk_open((tbus_journal_options_t){.rotate_bytes = LIMIT, .keep = KEEP});
    publish_named("abc", EVENTS);
    tbus_journal_stats_t stats;
    cr_assert_eq(desk_close(&stats), 0);
    cr_assert_eq(stats.events, EVENTS);
    cr_assert_gt(stats.rotations, 10);
    int64_t next = 1, count;
    size_t length = 0, lengths = 0;
    for (uint32_t number = (uint32_t)stats.rotations + 1; number-- > 0;) {
        const char *name = number ? rotated(number) : path;
        cr_assert_eq(numbers_in(name, &count), next, "%s", name);
        cr_assert_gt(count, 0);
        next += count;
        cr_assert_not_null(content(name, &length));
        cr_assert_leq(length, LIMIT);
        cr_assert(number == 0 || length > LIMIT - 200, "%s has only %zu bytes", name, length);
        lengths += length;
    }
    cr_assert_eq(next, EVENTS + 1);
    cr_assert_eq(lengths, stats.bytes);
}

Test(journal, only_so_many_rotated_files_are_kept)
{
    prepare();
    for (uint32_t keep = 1; keep <= 3; keep++) {
        desk_open((tbus_journal_options_t){.rotate_bytes = 1, .keep = keep}); /* a file for each line */
        publish_named("a", 10);
        expect_numbers(path, 10, 1);
        for (uint32_t number = 1; number <= keep; number++)
            expect_numbers(rotated(number), 10 - number, 1);
        cr_assert_null(content(rotated(keep + 1), NULL));
        cr_assert_eq(desk_close(NULL), 0);
    }
    desk_open((tbus_journal_options_t){.rotate_bytes = 1});
    publish_named("a", 10);
    expect_numbers(rotated(5), 5, 1);
    cr_assert_null(content(rotated(6), NULL));
    cr_assert_eq(desk_close(NULL), 0);
}

Test(journal, a_rotation_that_fails_loses_no_event_and_pushes_no_file_out)
{
    prepare();
    desk_open((tbus_journal_options_t){.rotate_bytes = 1, .keep = 3});
    publish_named("a", 2);
    cr_assert_eq(mkdir(rotated(2), 0700), 0);
    char inside[128];
    snprintf(inside, sizeof inside, "%s/x", rotated(2));
    put_file(inside, "", 0);
    snprintf(inside, sizeof inside, "%s/x", rotated(3));
    cr_assert_eq(mkdir(rotated(3), 0700), 0);
    put_file(inside, "", 0); /* path.2 can not take its place */
    publish_named("a", 3);
    tbus_journal_stats_t stats = stats_now();
    cr_assert_neq(stats.last_error, 0);
    cr_assert_gt(stats.write_errors, 0);
    cr_assert_eq(stats.events, 5);
    expect_numbers(path, 2, 4);
    expect_numbers(rotated(1), 1, 1);
    cr_assert_eq(unlink(inside), 0);
    cr_assert_eq(rmdir(rotated(3)), 0);
    publish_named("a", 1);
    cr_assert_eq(desk_close(&stats), 0);
    cr_assert_eq(stats.last_error, 0);
    cr_assert_eq(stats.lost_events, 0);
    expect_numbers(rotated(2), 1, 1);
    expect_numbers(rotated(1), 2, 4);
    expect_numbers(path, 6, 1);
}

/* --- Errors --- */

Test(journal, a_full_disk_counts_what_is_lost)
{
    if (access("/dev/full", W_OK) != 0)
        cr_skip_test("no /dev/full here");
    desk_open((tbus_journal_options_t){.path = "/dev/full", .buffer_bytes = 4096, .rotate_bytes = 100});
    publish_named("a", 1);
    tbus_journal_stats_t stats = stats_now();
    cr_assert_eq(stats.last_error, UV_ENOSPC);
    cr_assert_eq(stats.buffered_events, 1); /* waits */
    cr_assert_eq(stats.lost_events, 0);
    publish_named("a", 999);
    stats = stats_now();
    cr_assert_gt(stats.lost_events, 900);
    cr_assert_lt(stats.write_errors, 20); /* it does not try anew for every event */
    cr_assert_eq(stats.buffered_events + stats.lost_events, 1000);
    tbus_stats_t bus_stats;
    cr_assert_eq(tbus_stats(desk.hosted.bus, &bus_stats), 0);
    cr_assert_eq(bus_stats.handler_errors, stats.lost_events);
    cr_assert_eq(desk_close(&stats), UV_EIO);
    cr_assert_eq(stats.last_error, UV_ENOSPC);
    cr_assert_eq(stats.events, 0);
    cr_assert_eq(stats.bytes, 0);
    cr_assert_eq(stats.buffered_events, 0);
    cr_assert_eq(stats.lost_events, 1000);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(journal, a_write_that_stops_within_a_line_leaves_no_half_line)
{
    prepare();
    for (rlim_t limit = 150; limit < 500; limit += 7) {
        desk_open((tbus_journal_options_t){.buffer_bytes = 4096});
        limit_files(limit);
        publish_named("a", 10);
        int64_t count;
        numbers_in(path, &count);
        cr_assert_lt(count, 10);
        tbus_journal_stats_t stats = stats_now();
        cr_assert_eq(stats.last_error, UV_EFBIG);
        cr_assert_eq(stats.events, (uint64_t)count);
        cr_assert_eq(stats.buffered_events, 10 - (uint64_t)count);
        limit_files(RLIM_INFINITY);
        publish_named("a", 1); /* goes on by itself */
        expect_numbers(path, 1, 11);
        cr_assert_eq(desk_close(&stats), 0);
        cr_assert_eq(stats.events, 11);
        cr_assert_eq(stats.bytes, strlen(content(path, NULL)));
        cr_assert_eq(stats.last_error, 0);
        cr_assert_eq(unlink(path), 0);
    }
}

Test(journal, what_is_lost_is_a_gap_between_whole_lines)
{
    prepare();
    desk_open((tbus_journal_options_t){.buffer_bytes = 4096});
    limit_files(1000);
    publish_named("a", 500);
    tbus_journal_stats_t stats = stats_now();
    uint64_t lost = stats.lost_events;
    cr_assert_gt(lost, 400);
    cr_assert_eq(stats.events + stats.buffered_events + lost, 500);
    limit_files(RLIM_INFINITY);
    publish_named("a", 1); /* no room for it yet: writing is tried first */
    stats = stats_now();
    cr_assert_eq(stats.lost_events, lost);
    cr_assert_eq(stats.events, 501 - lost);
    const char *text = content(path, NULL);
    cr_assert_not_null(strstr(text, "\"context_window\":501}\n"));
    cr_assert_eq(desk_close(NULL), 0);
}

Test(journal, a_file_that_was_moved_or_deleted_is_made_anew)
{
    prepare();
    desk_open((tbus_journal_options_t){0});
    publish_named("a", 2);
    cr_assert_eq(rename(path, rotated(9)), 0);
    publish_named("a", 3);
    expect_numbers(rotated(9), 1, 2);
    expect_numbers(path, 3, 3);
    cr_assert_eq(unlink(path), 0);
    publish_named("a", 1);
    expect_numbers(path, 6, 1);
    cr_assert_eq(truncate(path, 0), 0);
    publish_named("a", 1);
    expect_numbers(path, 7, 1);
    cr_assert_eq(desk_close(NULL), 0);
}

Test(journal, a_directory_that_is_gone_is_an_error_until_it_is_back)
{
    prepare();
    desk_open((tbus_journal_options_t){0});
    publish_named("a", 1);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(scratch_directory), 0);
    publish_named("a", 2);
    tbus_journal_stats_t stats = stats_now();
    cr_assert_eq(stats.last_error, UV_ENOENT);
    cr_assert_eq(stats.buffered_events, 2);
    cr_assert_eq(mkdir(scratch_directory, 0700), 0);
    publish_named("a", 1);
    expect_numbers(path, 2, 3);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(scratch_directory), 0);
    publish_named("a", 1);
    cr_assert_eq(desk_close(&stats), UV_EIO);
    cr_assert_eq(stats.last_error, UV_ENOENT);
    cr_assert_eq(stats.lost_events, 1);
    cr_assert_eq(mkdir(scratch_directory, 0700), 0);
}

static int open_at(const char *where)
{
    struct hosted hosted;
    tbus_journal_t *journal = NULL;
    hosted_open(&hosted, NULL);
    int error =
        tbus_journal_open(hosted.bus, &(tbus_journal_options_t){.path = where, .on_loop_thread = true}, &journal);
    cr_assert_eq(error == 0, journal != NULL);
    cr_assert_eq(tbus_journal_close(journal, NULL), 0);
    hosted_close(&hosted);
    return error;
}

Test(journal, files_that_are_none_are_refused)
{
    char name[96];
    prepare();
    cr_assert_eq(open_at(scratch_directory), UV_EINVAL);
    snprintf(name, sizeof name, "%s/no/such", scratch_directory);
    cr_assert_eq(open_at(name), UV_ENOENT);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(open_at(path), UV_EINVAL);
    cr_assert_eq(unlink(path), 0);
    put_file(path, "", 0);
    cr_assert_eq(chmod(path, 0400), 0);
    if (geteuid() != 0)
        cr_assert_eq(open_at(path), UV_EACCES);
}

Test(journal, the_half_line_of_a_crash_is_removed)
{
    static const char whole[] = "{\"type\":\"model.selected\",\"id\":1,\"time_ns\":1,\"context_window\":1}\n";
    char *text = calloc(1, 2 << 20);
    prepare();
    cr_assert_not_null(text);
    for (size_t half = 0; half < sizeof whole - 1; half++) {
        for (int lines = 0; lines < 2; lines++) {
            size_t length = lines ? sizeof whole - 1 : 0;
            memcpy(text, whole, length);
            memcpy(text + length, whole, half);
            put_file(path, text, length + half);
            cr_assert_eq(open_at(path), 0);
            size_t kept;
            cr_assert_not_null(content(path, &kept));
            cr_assert_eq(kept, length);
        }
    }
    memset(text, 'x', 1 << 20); /* a half line that is longer than the blocks it is looked for in */
    memcpy(text, whole, sizeof whole - 1);
    memcpy(text + sizeof whole - 1, whole, 12);
    put_file(path, text, 900000);
    cr_assert_eq(open_at(path), 0);
    expect_numbers(path, 1, 1);
    memset(text + sizeof whole - 1, 0, 5000); /* a file that a crash of the machine left with zeroes */
    put_file(path, text, 5000);
    cr_assert_eq(open_at(path), 0);
    expect_numbers(path, 1, 1);
    free(text);
}

Test(journal, a_file_of_another_kind_is_left_alone)
{
    size_t length;
    char *large = malloc(2 << 20);
    prepare();
    cr_assert_not_null(large);
    put_file(path, "not ours\nand no end", 19);
    cr_assert_eq(open_at(path), UV_EINVAL);
    cr_assert_str_eq(content(path, &length), "not ours\nand no end");
    memset(large, 'x', 2 << 20);
    memcpy(large, "{\"type\":\"", 9);
    put_file(path, large, 2 << 20);
    cr_assert_eq(open_at(path), UV_EINVAL);
    cr_assert_not_null(content(path, &length));
    cr_assert_eq(length, 2 << 20);
    free(large);
}

/* --- The file alone, where a half line can not be taken back --- */

static const char three_lines[] = "first line\nsecond line\nthird line\n";

/* A file that may grow and not shrink, at `path`. */
static int seal_file(void)
{
    int fd = memfd_create("journal", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)
        cr_skip_test("no files that can be sealed here");
    char target[64];
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    cr_assert_eq(symlink(target, path), 0);
    return fd;
}

Test(journal_file, a_half_line_that_can_not_be_taken_back_is_completed_first)
{
    struct journal_file file;
    size_t taken, length;
    prepare();
    int fd = seal_file();
    cr_assert_eq(journal_file_init(&file, path, 0, 3, false), 0);
    for (rlim_t limit = 14; limit < 34; limit += 3) {
        limit_files(limit);
        cr_assert_eq(lseek(fd, 0, SEEK_END), limit == 14 ? 0 : (off_t)limit - 3);
        size_t done = (size_t)lseek(fd, 0, SEEK_END);
        int error = journal_file_append(&file, three_lines + done, strlen(three_lines) - done, &taken);
        cr_assert_eq(error, UV_EFBIG);
        cr_assert_eq(taken, limit - done);
        cr_assert_eq(file.mid_line, three_lines[limit - 1] != '\n');
        file.rotate_bytes = file.mid_line ? 5 : 0; /* has to wait */
    }
    limit_files(RLIM_INFINITY);
    size_t done = (size_t)lseek(fd, 0, SEEK_END);
    cr_assert_eq(journal_file_append(&file, three_lines + done, strlen(three_lines) - done, &taken), 0);
    cr_assert_eq(taken, strlen(three_lines) - done);
    cr_assert_not(file.mid_line);
    cr_assert_str_eq(content(path, &length), three_lines);
    cr_assert_eq(journal_file_fini(&file), 0);
    close(fd);
}

Test(journal_file, the_rest_of_a_half_line_does_not_go_into_another_file)
{
    struct journal_file file;
    size_t taken, length;
    prepare();
    int fd = seal_file();
    cr_assert_eq(journal_file_init(&file, path, 0, 1, false), 0);
    limit_files(15);
    cr_assert_eq(journal_file_append(&file, three_lines, strlen(three_lines), &taken), UV_EFBIG);
    cr_assert_eq(taken, 15);
    limit_files(RLIM_INFINITY);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(journal_file_append(&file, three_lines + 15, strlen(three_lines) - 15, &taken), 0);
    cr_assert_eq(taken, strlen(three_lines) - 15);
    cr_assert_eq(file.torn_lines, 1);
    cr_assert_str_eq(content(path, &length), "third line\n");
    cr_assert_eq(journal_file_fini(&file), 0);
    close(fd);
}

/* --- Open and close --- */

Test(journal, bad_arguments_are_refused)
{
    struct hosted hosted;
    tbus_journal_t *journal;
    tbus_journal_stats_t stats;
    prepare();
    hosted_open(&hosted, NULL);
    const tbus_journal_options_t good = {.path = path, .on_loop_thread = true};
    const tbus_journal_options_t bad[] = {{0},
                                          {.path = ""},
                                          {.path = path, .keep = 1001},
                                          {.path = path, .buffer_bytes = 4095},
                                          {.path = path, .buffer_bytes = (64 << 20) + 1},
                                          {.path = path, .pattern = "a..b"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(tbus_journal_open(hosted.bus, &bad[i], &journal), UV_EINVAL, "case %zu", i);
    cr_assert_eq(tbus_journal_open(hosted.bus, NULL, &journal), UV_EINVAL);
    cr_assert_eq(tbus_journal_open(hosted.bus, &good, NULL), UV_EINVAL);
    cr_assert_eq(tbus_journal_open(NULL, &good, &journal), UV_EINVAL);
    cr_assert_eq(tbus_journal_open(hosted.bus, &(tbus_journal_options_t){.path = path, .pattern = "no.such"}, &journal),
                 UV_ENOENT);
    cr_assert_eq(tbus_journal_stats(NULL, &stats), UV_EINVAL);
    cr_assert_eq(tbus_journal_open(hosted.bus, &good, &journal), 0);
    cr_assert_eq(tbus_journal_stats(journal, NULL), UV_EINVAL);
    cr_assert_eq(tbus_journal_close(journal, NULL), 0);
    cr_assert_eq(tbus_journal_close(NULL, NULL), 0);
    hosted_close(&hosted);
}

Test(journal, it_may_be_closed_from_another_thread_and_misses_nothing)
{
    tbus_t *bus;
    tbus_journal_t *journal;
    tbus_journal_stats_t stats;
    prepare();
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_eq(tbus_journal_open(bus, &(tbus_journal_options_t){.path = path, .buffer_bytes = 4096}, &journal), 0);
    for (int64_t i = 1; i <= 5000; i++) {
        cr_assert_eq(tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = i}), 0);
        if (i % 100 == 0) {
            cr_assert_eq(tbus_journal_stats(journal, &stats), 0);
            cr_assert_leq(stats.events + stats.lost_events, (uint64_t)i);
        }
    }
    cr_assert_eq(tbus_journal_close(journal, &stats), 0);
    cr_assert_eq(stats.events, 5000);
    cr_assert_eq(tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = 1}), 0);
    cr_assert_eq(tbus_free(bus), 0);
    expect_numbers(path, 1, 5000);
}

Test(journal, it_may_be_closed_after_its_bus)
{
    prepare();
    desk_open((tbus_journal_options_t){0});
    publish_named("a", 1);
    cr_assert_eq(tbus_publish_model_selected(desk.hosted.bus, &(tbus_model_selected_t){.context_window = 2}), 0);
    hosted_close(&desk.hosted);
    expect_numbers(path, 1, 2);
    cr_assert_eq(tbus_journal_close(desk.journal, NULL), 0);
}

static int close_in_handler(const tbus_event_t *event, void *user)
{
    (void)event;
    *(int *)user = tbus_journal_close(desk.journal, NULL);
    return 0;
}

Test(journal, in_a_handler_it_is_still_open_afterwards)
{
    int code = 77;
    prepare();
    desk_open((tbus_journal_options_t){.priority = 1});
    cr_assert_gt(tbus_subscribe(desk.hosted.bus, "model.*", 0, close_in_handler, &code), 0);
    publish_named("a", 1);
    cr_assert_eq(code, UV_EBUSY);
    expect_numbers(path, 1, 1);
    tbus_journal_stats_t stats;
    cr_assert_eq(desk_close(&stats), 0);
    cr_assert_eq(stats.events, 1);
}

static int open_a_journal(struct oom *oom)
{
    struct hosted hosted;
    tbus_journal_t *journal = NULL;
    hosted_open(&hosted, NULL);
    oom_arm(oom);
    int error =
        tbus_journal_open(hosted.bus, &(tbus_journal_options_t){.path = path, .on_loop_thread = true}, &journal);
    oom_disarm(oom);
    cr_assert_eq(journal != NULL, error == 0);
    cr_assert_eq(tbus_journal_close(journal, NULL), 0);
    hosted_close(&hosted);
    return error;
}

Test(journal, every_allocation_may_fail_when_it_is_opened)
{
    prepare();
    cr_assert_geq(oom_try_each(open_a_journal), 3);
}

Test(journal, an_event_without_memory_for_its_line_is_counted)
{
    prepare();
    struct oom oom = {.fail_at = -1};
    char name[5001];
    memset(name, 'x', 5000);
    name[5000] = '\0';
    oom_install(&oom);
    desk_open((tbus_journal_options_t){.buffer_bytes = 4096});
    publish_named("a", 1);
    oom.fail_at = oom.calls;
    publish_named(name, 1);
    cr_assert_eq(oom.failed, 1);
    cr_assert_eq(stats_now().lost_events, 1);
    publish_named(name, 1);
    tbus_journal_stats_t stats;
    cr_assert_eq(desk_close(&stats), 0);
    oom_remove();
    cr_assert_eq(oom.live, 0);
    cr_assert_eq(stats.events, 2);
    cr_assert_eq(stats.lost_events, 1);
}
