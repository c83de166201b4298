/* A process that records usage is killed at random moments: what it had acknowledged is in the file, and nothing twice.
 *
 * The child tells through a pipe how many records have been acknowledged, after each commit. Its events are numbered
 * from 1, so the parent knows what has to be there, and can append all of it once more under the same start. */
#define _GNU_SOURCE 1 /* ppoll() */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/oracle.h"
#include "tests/trackers/ledger_fixture.h"

enum { KILLS = 200, KILLS_OF_A_FILE = 10, LIFE_US = 12000, USERS = 7 };

static tbus_usage_record_t record_of(uint64_t number, char user[16])
{
    tbus_usage_record_t record = ledger_record(number);
    snprintf(user, 16, "user-%u", (unsigned)(number % USERS));
    record.user_id = user;
    record.time_ns = BEGIN_NS + (int64_t)(number % 50) * HOUR_NS / 10;
    record.cost = tbus_money_units((int64_t)number * 1000003);
    return record;
}

static void append(tbus_ledger_t *ledger, uint64_t number)
{
    char user[16];
    tbus_usage_record_t record = record_of(number, user);
    if (tbus_ledger_append(ledger, &record) != 0)
        abort();
}

static tbus_ledger_options_t options_of(uint32_t run)
{
    tbus_ledger_options_t options = {.path = ledger_file,
                                     .start_id = {0x80, (unsigned char)run, (unsigned char)(run >> 8)}};
    options.survives = run % 2 ? TBUS_LEDGER_POWER_LOSS : TBUS_LEDGER_DEATH_OF_PROCESS;
    return options;
}

/* Records and acknowledges until it is killed. */
static void live(uint32_t run, uint64_t seed, int told)
{
    tbus_ledger_t *ledger;
    tbus_ledger_options_t options = options_of(run);
    if (tbus_ledger_open(&options, NULL, 0, &ledger) != 0)
        _exit(3);
    for (uint64_t number = 0;;) {
        uint64_t until = number + 1 + oracle_random(&seed) % 200;
        while (number < until)
            append(ledger, ++number);
        if (tbus_ledger_commit(ledger) != 0)
            _exit(4);
        if (write(told, &number, sizeof number) != sizeof number)
            _exit(5);
    }
}

/* Listens to the child until the moment has come; returns what it has acknowledged. */
static uint64_t listen_until(int heard, uint64_t deadline_ns)
{
    uint64_t acknowledged = 0, now_ns;
    while ((now_ns = uv_hrtime()) < deadline_ns) {
        struct pollfd ready = {.fd = heard, .events = POLLIN};
        struct timespec left = {.tv_nsec = (long)(deadline_ns - now_ns)};
        if (ppoll(&ready, 1, &left, NULL) > 0 && read(heard, &acknowledged, sizeof acknowledged) != sizeof acknowledged)
            break;
    }
    return acknowledged;
}

/* Lets a child live for a random time; returns what it has acknowledged. */
static uint64_t live_and_die(uint32_t run, uint64_t *seed)
{
    int ends[2], status;
    uint64_t first = 0, acknowledged, more, life_ns = oracle_random(seed) % (LIFE_US * UINT64_C(1000));
    bool while_opening = oracle_random(seed) % 8 == 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[0]);
        live(run, *seed, ends[1]);
    }
    close(ends[1]);
    if (!while_opening)
        cr_assert_eq(read(ends[0], &first, sizeof first), (ssize_t)sizeof first);
    acknowledged = listen_until(ends[0], uv_hrtime() + life_ns);
    cr_assert_eq(kill(child, SIGKILL), 0);
    while (read(ends[0], &more, sizeof more) == sizeof more)
        acknowledged = more;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %d", status);
    close(ends[0]);
    return acknowledged > first ? acknowledged : first;
}

/* The sums agree with the rows, user by user and hour by hour. */
static void expect_agreement(void)
{
    expect_rows("SELECT count(*) FROM (SELECT user_id, sum(requests) AS r, sum(cost_pico) AS c FROM usage GROUP BY 1)"
                " FULL JOIN (SELECT * FROM totals WHERE kind = 'user') ON name = user_id"
                " WHERE r IS NOT requests OR c IS NOT cost_micro * 1000000 + cost_rest",
                "0\n");
    expect_rows("SELECT count(*) FROM (SELECT time_ns / 3600000000000 * 3600 AS h, sum(requests) AS r,"
                " sum(cost_pico) AS c FROM usage GROUP BY 1) FULL JOIN (SELECT * FROM hours WHERE kind = 'all') ON"
                " hour = h WHERE r IS NOT requests OR c IS NOT cost_micro * 1000000 + cost_rest",
                "0\n");
}

/* Looks at what a killed run has left; returns how many of its records there are. */
static uint64_t look_at_run(uint32_t run, uint64_t acknowledged)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "SELECT count(*), coalesce(min(event_id), 1), coalesce(max(event_id), 0) FROM usage JOIN starts"
             " USING (start) WHERE id LIKE '80%02x%02x%%'",
             run & 255, run >> 8);
    sqlite3 *db = beside_opened();
    unsigned long long count = 0, least = 0, most = 0;
    cr_assert_eq(sscanf(beside_rows(db, sql), "%llu|%llu|%llu", &count, &least, &most), 3);
    sqlite3_close(db);
    cr_assert_geq(count, acknowledged);
    cr_assert_eq(least, 1);
    cr_assert_eq(count, most); /* so: each from 1 to the last, once */
    return count;
}

static void check_run(uint32_t run, uint64_t acknowledged)
{
    tbus_ledger_stats_t stats;
    tbus_ledger_t *ledger = ledger_opened(options_of(run));
    expect_intact();
    uint64_t count = look_at_run(run, acknowledged);
    for (uint64_t number = 1; number <= count + 3; number++)
        append(ledger, number);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), 0);
    cr_assert_eq(stats.duplicates, count);
    cr_assert_eq(stats.committed, 3);
    cr_assert_eq(look_at_run(run, count + 3), count + 3);
    expect_agreement();
}

Test(ledger_crash, what_was_acknowledged_survives_a_kill_at_any_moment)
{
    uint64_t seed = oracle_seed("what_was_acknowledged_survives_a_kill_at_any_moment"), all = 0;
    ledger_prepare();
    if (sqlite3_libversion_number() < 3039000)
        cr_skip_test("SQLite %s has no FULL JOIN to check the sums with", sqlite3_libversion());
    for (uint32_t run = 0; run < KILLS; run++) {
        if (run % KILLS_OF_A_FILE == 0)
            snprintf(ledger_file, sizeof ledger_file, "%s/usage-%u.db", scratch_directory, run / KILLS_OF_A_FILE);
        uint64_t acknowledged = live_and_die(run, &seed);
        check_run(run, acknowledged);
        all += acknowledged;
    }
    fprintf(stderr, "killed %d times, %llu records acknowledged\n", KILLS, (unsigned long long)all);
    cr_assert_gt(all, KILLS);
}
