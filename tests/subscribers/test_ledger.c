/* The ledger on a bus: what the cost tracker records ends up in the file, whatever the file does meanwhile. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tallybus/subscribers.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/ledger_fixture.h"
#include "trackers/ledger.h"

static const char secret[] = "sk-proj-a-whole-key-0123456789";

/* --- A gateway: bus, cost tracker, ledger; and who listens for trouble --- */

struct gateway {
    tbus_t *bus;
    tbus_cost_t *cost;
    tbus_ledger_t *ledger;
    int64_t subscription, cost_subscription;
    uint64_t published;
    atomic_int failures_told, losses_told, recoveries_told;
    char message[256];
};

static struct gateway gateway;

static int on_error(const tbus_event_t *event, void *user)
{
    const tbus_error_occurred_t *occurred = tbus_as_error_occurred(event);
    (void)user;
    if (strcmp(occurred->error_type, "ledger_write_failed") == 0) {
        snprintf(gateway.message, sizeof gateway.message, "%s", occurred->error_message);
        atomic_fetch_add(&gateway.failures_told, 1);
    } else if (strcmp(occurred->error_type, "ledger_records_lost") == 0) {
        atomic_fetch_add(&gateway.losses_told, 1);
    }
    return 0;
}

static int on_recovery(const tbus_event_t *event, void *user)
{
    (void)user;
    if (tbus_as_recovery_succeeded(event)->time_to_recovery_ms >= 0)
        atomic_fetch_add(&gateway.recoveries_told, 1);
    return 0;
}

static void gateway_open(tbus_ledger_options_t options, const tbus_options_t *bus_options)
{
    memset(&gateway, 0, sizeof gateway);
    options.path = ledger_file;
    cr_assert_eq(tbus_open(bus_options, &gateway.bus), 0);
    cr_assert_eq(tbus_cost_open(NULL, &gateway.cost), 0);
    gateway.ledger = ledger_opened(options);
    cr_assert_gt(tbus_subscribe(gateway.bus, "error.occurred", 0, on_error, NULL), 0);
    cr_assert_gt(tbus_subscribe(gateway.bus, "recovery.succeeded", 0, on_recovery, NULL), 0);
    gateway.subscription = tbus_ledger_attach(gateway.ledger, gateway.bus);
    cr_assert_gt(gateway.subscription, 0);
    gateway.cost_subscription = tbus_cost_attach(gateway.cost, gateway.bus);
    cr_assert_gt(gateway.cost_subscription, 0);
}

static void gateway_publish(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        char request_id[32];
        snprintf(request_id, sizeof request_id, "req-%llu", (unsigned long long)++gateway.published);
        cr_assert_eq(
            tbus_publish_request_completed(
                gateway.bus,
                &(tbus_request_completed_t){
                    .base = {.time_ns = BEGIN_NS, .request_id = request_id, .api_key = secret, .user_id = "ann"},
                    .model = "gpt-4o",
                    .input_tokens = 100,
                    .output_tokens = 7}),
            0);
    }
}

/* Waits until a figure has got there; fails after a minute, which only a mistake takes. */
#define await(condition)                                                                                               \
    do {                                                                                                               \
        uint64_t await_until_ns = uv_hrtime() + UINT64_C(60000000000);                                                 \
        while (!(condition)) {                                                                                         \
            cr_assert_lt(uv_hrtime(), await_until_ns, "waited in vain: " #condition);                                  \
            uv_sleep(0);                                                                                               \
        }                                                                                                              \
    } while (0)

static tbus_ledger_stats_t stats_now(void)
{
    return ledger_stats(gateway.ledger);
}

/* Ends both in the order in which usage passes them: nothing that was published is missing then. */
static void gateway_stop(void)
{
    cr_assert_eq(tbus_unsubscribe_wait(gateway.bus, gateway.cost_subscription), 0);
    cr_assert_eq(tbus_unsubscribe_wait(gateway.bus, gateway.subscription), 0);
}

static void gateway_close(tbus_ledger_stats_t *ret_stats)
{
    if (tbus_unsubscribe_wait(gateway.bus, gateway.cost_subscription) == 0)
        cr_assert_eq(tbus_unsubscribe_wait(gateway.bus, gateway.subscription), 0);
    cr_assert_eq(tbus_free(gateway.bus), 0);
    cr_assert_eq(tbus_ledger_close(gateway.ledger, ret_stats), 0);
    tbus_cost_close(gateway.cost);
}

/* --- All is well --- */

static bool file_holds(const char *path, const char *text)
{
    FILE *file = fopen(path, "rb");
    size_t length = strlen(text), at = 0;
    int byte;
    if (!file)
        return false;
    while (at < length && (byte = fgetc(file)) != EOF)
        at = byte == text[at] ? at + 1 : byte == text[0];
    fclose(file);
    return at == length;
}

Test(ledger_subscriber, what_the_cost_tracker_records_is_in_the_file)
{
    tbus_cost_snapshot_t *snapshot;
    tbus_ledger_stats_t stats;
    char expected[128], wal[160];
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){0}, NULL);
    gateway_publish(5000);
    await(stats_now().committed == 5000);
    snprintf(wal, sizeof wal, "%s-wal", ledger_file);
    cr_assert(file_holds(wal, "req-4321"));
    cr_assert_not(file_holds(wal, "a-whole-key"));
    cr_assert_eq(tbus_cost_snapshot(gateway.cost, &snapshot), 0);
    snprintf(expected, sizeof expected, "5000|5000|%llu\n", (unsigned long long)snapshot->total.usd.low);
    tbus_cost_snapshot_free(snapshot);
    gateway_close(&stats);
    cr_assert_eq(stats.appended, 5000);
    cr_assert_eq(stats.failures + stats.duplicates + stats.orphans + stats.lost + stats.refused, 0);
    expect_rows("SELECT count(*), count(DISTINCT request_id), sum(cost_pico) FROM usage", expected);
    expect_rows("SELECT requests, user_id, api_key LIKE 'sk-p..________', length(key_digest), input_tokens,"
                " output_tokens, model FROM usage JOIN (SELECT min(event_id) AS event_id FROM usage) USING (event_id)",
                "1|ann|1|32|100|7|gpt-4o\n");
    cr_assert_not(file_holds(ledger_file, "a-whole-key"));
    expect_rows("SELECT requests FROM totals WHERE kind = 'user' AND name = 'ann'", "5000\n");
    cr_assert_eq(gateway.failures_told + gateway.losses_told + gateway.recoveries_told, 0);
}

Test(ledger_subscriber, a_record_that_comes_alone_is_committed_in_time)
{
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){.commit_ms = 5}, NULL);
    for (uint64_t i = 1; i <= 20; i++) {
        gateway_publish(1);
        await(stats_now().committed == i);
    }
    gateway_close(NULL);
    expect_rows("SELECT count(*) FROM usage", "20\n");
}

Test(ledger_subscriber, many_records_share_a_commit)
{
    tbus_ledger_stats_t stats;
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){.commit_ms = 60000}, NULL);
    gateway_publish(1);
    await(stats_now().committed == 1); /* the first is not kept waiting */
    gateway_publish(5000);
    gateway_stop();
    stats = stats_now();
    cr_assert_eq(stats.committed, 5001); /* the end of the subscription commits what is left */
    cr_assert_eq(stats.commits, 2);
    gateway_close(NULL);
}

Test(ledger_subscriber, old_records_are_deleted_as_the_bus_s_time_goes_on)
{
    tbus_ledger_stats_t stats;
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){.keep_days = 1, .commit_ms = 1},
                 NULL); /* its clock says that BEGIN_NS is past */
    cr_assert_gt(tbus_now(gateway.bus), BEGIN_NS + 48 * HOUR_NS);
    gateway_publish(10);
    await(stats_now().deleted == 10);
    gateway_close(&stats);
    expect_rows("SELECT count(*) FROM usage", "0\n");
    expect_rows("SELECT requests FROM totals WHERE kind = 'all'", "10\n");
}

/* --- Trouble --- */

static const tbus_ledger_options_t impatient = {
    .busy_ms = UINT32_MAX, .commit_ms = 1, .retry_min_ms = 1, .retry_max_ms = 4};

Test(ledger_subscriber, trouble_is_told_once_and_so_is_its_end)
{
    ledger_prepare();
    gateway_open(impatient, NULL);
    sqlite3 *db = beside_opened();
    for (int round = 1; round <= 2; round++) {
        beside_run(db, "BEGIN IMMEDIATE");
        uint64_t failures = stats_now().failures;
        gateway_publish(10);
        await(stats_now().failures >= failures + 5); /* with nothing published meanwhile: it tries by itself */
        await(gateway.failures_told == round);
        cr_assert_not_null(strstr(gateway.message, "locked"), "%s", gateway.message);
        cr_assert_eq(gateway.recoveries_told, round - 1);
        beside_run(db, "COMMIT");
        await(stats_now().pending == 0);
        await(gateway.recoveries_told == round);
        cr_assert_eq(gateway.failures_told, round);
    }
    sqlite3_close(db);
    gateway_close(NULL);
    cr_assert_eq(gateway.losses_told, 0);
    expect_rows("SELECT count(*) FROM usage", "20\n");
}

Test(ledger_subscriber, what_is_lost_is_counted_and_told)
{
    tbus_ledger_options_t options = impatient;
    tbus_ledger_stats_t stats;
    ledger_prepare();
    options.pending_bytes = 2 << 20;
    gateway_open(options, NULL);
    sqlite3 *db = beside_opened();
    beside_run(db, "BEGIN IMMEDIATE");
    for (int i = 0; i < 20; i++) {
        gateway_publish(1000);
        await(stats_now().appended == gateway.published);
    }
    await(gateway.losses_told == 1);
    stats = stats_now();
    cr_assert_gt(stats.lost, 0);
    cr_assert_eq(stats.lost + stats.pending, 20000);
    beside_run(db, "COMMIT");
    sqlite3_close(db);
    await(gateway.recoveries_told == 1);
    gateway_publish(1);
    gateway_close(&stats);
    cr_assert_eq(stats.committed + stats.lost, 20001);
    cr_assert_eq(gateway.losses_told, 1);
    cr_assert_eq(gateway.failures_told, 1);
    sqlite3 *after = beside_opened();
    cr_assert_eq(strtoull(beside_rows(after, "SELECT requests FROM totals WHERE kind = 'all'"), NULL, 10),
                 stats.committed);
    sqlite3_close(after);
}

Test(ledger_subscriber, what_its_queue_has_no_room_for_is_lost_and_told_too)
{
    tbus_ledger_stats_t stats;
    tbus_stats_t of_bus;
    tbus_subscriber_stats_t of_queue;
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){.commit_ms = 1}, NULL);
    uv_mutex_lock(&gateway.ledger->mu); /* its thread waits here, while its queue gets full */
    do {
        gateway_publish(500);
        await(tbus_stats(gateway.bus, &of_bus) == 0 && of_bus.queued_events == 0);
        cr_assert_eq(tbus_stats_of_subscription(gateway.bus, gateway.subscription, &of_queue), 0);
    } while (of_queue.dropped == 0);
    uv_mutex_unlock(&gateway.ledger->mu);
    await(gateway.losses_told == 1);
    gateway_close(&stats);
    cr_assert_geq(stats.lost, of_queue.dropped);
    cr_assert_eq(stats.appended, gateway.published);
    cr_assert_eq(stats.committed + stats.lost, gateway.published);
    cr_assert_eq(gateway.losses_told, 1);
    cr_assert_eq(gateway.failures_told, 0);
}

Test(ledger_subscriber, what_is_not_written_when_the_bus_ends_waits_for_the_close)
{
    tbus_ledger_stats_t stats;
    ledger_prepare();
    gateway_open(impatient, NULL);
    sqlite3 *db = beside_opened();
    beside_run(db, "BEGIN IMMEDIATE");
    gateway_publish(10);
    await(gateway.failures_told == 1);
    cr_assert_eq(tbus_free(gateway.bus), 0);
    cr_assert_eq(stats_now().pending, 10);
    beside_run(db, "COMMIT");
    sqlite3_close(db);
    cr_assert_eq(tbus_ledger_close(gateway.ledger, &stats), 0);
    cr_assert_eq(stats.committed, 10);
    tbus_cost_close(gateway.cost);
}

Test(ledger_subscriber, an_event_without_a_record_is_an_error_of_the_handler)
{
    uint32_t type;
    tbus_subscriber_stats_t of_queue;
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){.commit_ms = 1}, NULL);
    cr_assert_eq(tbus_usage_events_enable(gateway.bus, &type), 0);
    tbus_usage_priced_t priced = {.base.type = type, .input_tokens = -1};
    cr_assert_eq(tbus_publish(gateway.bus, &priced.base), 0);
    priced.input_tokens = 1; /* one without an event of its own goes by the number of this one */
    cr_assert_eq(tbus_publish(gateway.bus, &priced.base), 0);
    await(stats_now().committed == 1);
    cr_assert_eq(tbus_stats_of_subscription(gateway.bus, gateway.subscription, &of_queue), 0);
    cr_assert_eq(of_queue.errors, 1);
    gateway_close(NULL);
    expect_rows("SELECT event_id > 0 FROM usage", "1\n");
}

/* --- Attaching --- */

Test(ledger_subscriber, wrong_arguments_are_refused)
{
    tbus_t *bus;
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_eq(tbus_ledger_attach(NULL, bus), UV_EINVAL);
    cr_assert_eq(tbus_ledger_attach(ledger, NULL), UV_EINVAL);
    cr_assert_eq(tbus_close(bus, 1000, NULL, NULL), 0);
    cr_assert_eq(tbus_ledger_attach(ledger, bus), UV_ESHUTDOWN);
    cr_assert_eq(tbus_free(bus), 0);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_subscriber, two_buses_may_share_a_ledger)
{
    tbus_ledger_stats_t stats;
    tbus_t *other;
    ledger_prepare();
    gateway_open((tbus_ledger_options_t){.commit_ms = 1}, NULL);
    cr_assert_eq(tbus_open(NULL, &other), 0);
    cr_assert_gt(tbus_ledger_attach(gateway.ledger, other), 0);
    int64_t cost = tbus_cost_attach(gateway.cost, other);
    for (int i = 0; i < 100; i++) {
        gateway_publish(1);
        cr_assert_eq(
            tbus_publish_request_completed(
                other, &(tbus_request_completed_t){.base.time_ns = BEGIN_NS, .model = "gpt-4o", .input_tokens = 1}),
            0);
    }
    cr_assert_eq(tbus_unsubscribe_wait(other, cost), 0);
    cr_assert_eq(tbus_free(other), 0);
    gateway_close(&stats);
    cr_assert_eq(stats.committed, 200);
    expect_rows("SELECT count(*) FROM usage", "200\n");
}

Test(ledger_subscriber, every_allocation_of_attaching_may_fail)
{
    ledger_prepare();
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = -1};
        tbus_t *bus;
        oom_install(&oom);
        tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
        cr_assert_eq(tbus_open(NULL, &bus), 0);
        oom.fail_at = oom.calls + at;
        int64_t id = tbus_ledger_attach(ledger, bus);
        oom.fail_at = -1;
        long failed = oom.failed;
        cr_assert_eq(tbus_free(bus), 0);
        cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        if (!failed) {
            cr_assert_gt(id, 0);
            cr_assert_gt(at, 3);
            break;
        }
        cr_assert(id > 0 || id == UV_ENOMEM, "%lld", (long long)id);
    }
}

/* --- Killed --- */

/* Records until it is killed; tells what has been acknowledged. */
static void live(int told)
{
    gateway_open((tbus_ledger_options_t){.commit_ms = 1}, NULL);
    for (;;) {
        uint64_t acknowledged = stats_now().committed;
        if (gateway.published - acknowledged < 2000)
            gateway_publish(50);
        if (write(told, &acknowledged, sizeof acknowledged) != sizeof acknowledged)
            _exit(5);
    }
}

static void live_and_die(uint64_t *seed)
{
    int ends[2], status;
    uint64_t acknowledged = 0, wanted = 1 + oracle_random(seed) % 4000;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[0]);
        live(ends[1]);
    }
    close(ends[1]);
    while (acknowledged < wanted)
        cr_assert_eq(read(ends[0], &acknowledged, sizeof acknowledged), (ssize_t)sizeof acknowledged);
    cr_assert_eq(kill(child, SIGKILL), 0);
    while (read(ends[0], &wanted, sizeof wanted) == sizeof wanted)
        acknowledged = wanted;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child ended by itself: %d", status);
    close(ends[0]);

    char expected[64];
    unsigned long long count = 0;
    cr_assert_eq(tbus_ledger_close(ledger_opened((tbus_ledger_options_t){0}), NULL), 0);
    expect_intact();
    sqlite3 *db = beside_opened();
    cr_assert_eq(sscanf(beside_rows(db, "SELECT count(*) FROM usage"), "%llu", &count), 1);
    sqlite3_close(db);
    cr_assert_geq(count, acknowledged);
    snprintf(expected, sizeof expected, "%llu|%llu|%llu\n", count, count, count);
    expect_rows("SELECT count(DISTINCT request_id), max(CAST(substr(request_id, 5) AS INTEGER)), (SELECT requests FROM"
                " totals WHERE kind = 'all') FROM usage",
                expected);
}

Test(ledger_subscriber, a_killed_gateway_leaves_what_it_acknowledged)
{
    uint64_t seed = oracle_seed("a_killed_gateway_leaves_what_it_acknowledged");
    ledger_prepare();
    for (int run = 0; run < 20; run++) {
        snprintf(ledger_file, sizeof ledger_file, "%s/usage-%d.db", scratch_directory, run);
        live_and_die(&seed);
    }
}
