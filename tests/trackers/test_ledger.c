/* The ledger: what is acknowledged is in the file, once, as it was told. */
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/oom.h"
#include "tests/trackers/ledger_fixture.h"

Test(ledger, a_record_is_in_the_file_as_it_was_told)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_usage_record_t record = ledger_record(7);
    record.cache_write_tokens = 11;
    record.images = 2;
    record.characters = 3;
    record.batch_savings = tbus_money_units(-4);
    record.batch = record.unpriced = true;
    cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    expect_rows("SELECT count(*) FROM usage", "0\n");
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    expect_rows("SELECT event_id, retracted, time_ns, request_id, api_key, hex(key_digest), user_id, project_id, model,"
                " endpoint FROM usage",
                "7|0|1767258000000007000|req-1|sk-p..88fd2d4d|"
                "5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C5C|ann|red|gpt-4o|/v1/chat\n");
    expect_rows("SELECT requests, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,"
                " images, characters, cost_pico, cache_savings_pico, batch_savings_pico, batch, estimated, unpriced"
                " FROM usage",
                "1|600|400|11|200|50|2|3|7000000000|1000000000|-4|1|0|1\n");
    expect_rows("SELECT time, cost_usd FROM usage_usd", "2026-01-01 09:00:00|0.007\n");
    expect_rows("SELECT kind, name, requests, cost_micro, cost_rest, batch_savings_micro, batch_savings_rest FROM hours"
                " WHERE hour = 1767258000 ORDER BY kind",
                "all||1|7000|0|-1|999996\nendpoint|/v1/chat|1|7000|0|-1|999996\nkey|sk-p..88fd2d4d|1|7000|0|-1|999996\n"
                "model|gpt-4o|1|7000|0|-1|999996\nproject|red|1|7000|0|-1|999996\nuser|ann|1|7000|0|-1|999996\n");
    expect_rows("SELECT count(*), sum(cost_usd) FROM totals_usd", "6|0.042\n");
    struct stat found;
    cr_assert_eq(stat(ledger_file, &found), 0);
    cr_assert_eq(found.st_mode & 0777, 0600);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger, what_is_appended_again_is_left_out_and_counted)
{
    tbus_ledger_options_t options = {.start_id = {1, 2, 3}};
    tbus_ledger_stats_t stats;
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened(options);
    ledger_enter(ledger, 1, 10);
    ledger_enter(ledger, 5, 10);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    ledger_enter(ledger, 1, 3);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), 0);
    cr_assert_eq(stats.appended, 23);
    cr_assert_eq(stats.committed, 14);
    cr_assert_eq(stats.duplicates, 9);
    cr_assert_eq(stats.pending, 0);

    ledger = ledger_opened(options); /* the same start once more, as after a crash */
    ledger_enter(ledger, 10, 10);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), 0);
    cr_assert_eq(stats.committed, 5);
    cr_assert_eq(stats.duplicates, 5);

    ledger = ledger_opened((tbus_ledger_options_t){0}); /* another start has events of its own */
    ledger_enter(ledger, 1, 10);
    cr_assert_eq(tbus_ledger_close(ledger, &stats), 0);
    cr_assert_eq(stats.committed, 10);
    expect_rows("SELECT count(*), sum(requests), sum(cost_pico) FROM usage", "29|29|203000000000\n");
    expect_rows("SELECT requests, cost_micro FROM totals WHERE kind = 'all'", "29|203000\n");
    expect_rows("SELECT count(*), min(length(id)) FROM starts", "2|32\n");
    expect_intact();
}

Test(ledger, a_retraction_takes_off_the_estimate_it_follows)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_usage_record_t estimate = ledger_record(1), real = ledger_record(2), unknown = ledger_record(3);
    estimate.estimated = true;
    cr_assert_eq(tbus_ledger_append(ledger, &estimate), 0);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    estimate.retracted = unknown.retracted = true;
    real.output_tokens = 300;
    real.cost = tbus_money_units(9);
    cr_assert_eq(tbus_ledger_append(ledger, &estimate), 0);
    cr_assert_eq(tbus_ledger_append(ledger, &estimate), 0);
    cr_assert_eq(tbus_ledger_append(ledger, &real), 0);
    cr_assert_eq(tbus_ledger_append(ledger, &unknown), 0);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    tbus_ledger_stats_t stats = ledger_stats(ledger);
    cr_assert_eq(stats.committed, 3);
    cr_assert_eq(stats.duplicates, 1);
    cr_assert_eq(stats.orphans, 1);
    cr_assert_eq(stats.appended, 5);
    expect_rows("SELECT count(*), sum(requests), sum(output_tokens), sum(cost_pico) FROM usage", "3|1|300|9\n");
    expect_rows("SELECT requests, estimated_requests, output_tokens, cost_micro, cost_rest FROM totals"
                " WHERE kind = 'user'",
                "1|0|300|0|9\n");
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger, hostile_strings_are_kept_within_bounds)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    size_t length = 10 << 20;
    char *huge = malloc(length + 1);
    cr_assert_not_null(huge);
    memset(huge, 'x', length);
    huge[length] = '\0';
    tbus_usage_record_t records[] = {ledger_record(1), ledger_record(2), ledger_record(3), ledger_record(4)};
    records[0].user_id = records[0].request_id = huge;
    records[0].api_key = "sk-a-whole-key-0123456789";
    cr_assert_eq(tbus_ledger_append(ledger, &records[0]), 0);
    huge[length - 1] = 'y';
    records[1].user_id = huge;
    records[1].model = "a\xff\xc3\xa4\xed\xa0\x80'; DROP TABLE usage; --";
    cr_assert_eq(tbus_ledger_append(ledger, &records[1]), 0);
    memset(huge, '\xff', length);
    records[2].user_id = huge;
    cr_assert_eq(tbus_ledger_append(ledger, &records[2]), 0);
    records[3].request_id = records[3].user_id = records[3].project_id = records[3].model = records[3].endpoint =
        records[3].api_key = NULL;
    memset(records[3].key_digest, 0, sizeof records[3].key_digest);
    cr_assert_eq(tbus_ledger_append(ledger, &records[3]), 0);
    free(huge);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);

    expect_rows("SELECT count(DISTINCT user_id), max(length(CAST(user_id AS BLOB))) FROM usage", "4|255\n");
    expect_rows("SELECT substr(user_id, 1, 3), substr(user_id, -9, 1), length(user_id) FROM usage WHERE event_id = 1",
                "xxx|~|255\n");
    expect_rows("SELECT model FROM usage WHERE event_id = 2",
                "a\xEF\xBF\xBD\xc3\xa4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD'; DROP TABLE usage; --\n");
    expect_rows("SELECT request_id || user_id || project_id || model || endpoint || api_key FROM usage"
                " WHERE event_id = 4",
                "\n");
    expect_rows("SELECT count(*) FROM usage WHERE api_key LIKE '%whole%' OR api_key LIKE '%0123%'", "0\n");
    expect_rows("SELECT requests FROM totals WHERE kind = 'user' AND name = ''", "1\n");
    expect_intact();
}

Test(ledger, what_can_not_be_entered_is_refused_and_counted)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    tbus_usage_record_t record = ledger_record(0);
    cr_assert_eq(tbus_ledger_append(ledger, &record), UV_EINVAL);
    record = ledger_record(UINT64_C(1) << 63);
    cr_assert_eq(tbus_ledger_append(ledger, &record), UV_EINVAL);
    record = ledger_record(1);
    record.output_tokens = -1;
    cr_assert_eq(tbus_ledger_append(ledger, &record), UV_EINVAL);
    record = ledger_record(1);
    record.cost = tbus_money_units(-1);
    cr_assert_eq(tbus_ledger_append(ledger, &record), UV_EINVAL);
    record.cost = (tbus_money_t){.low = UINT64_C(1) << 63};
    cr_assert_eq(tbus_ledger_append(ledger, &record), UV_EOVERFLOW);
    record = ledger_record(1);
    record.cache_savings = tbus_money_units(INT64_MIN);
    cr_assert_eq(tbus_ledger_append(ledger, &record), UV_EOVERFLOW);
    cr_assert_eq(tbus_ledger_append(ledger, NULL), UV_EINVAL);
    cr_assert_eq(tbus_ledger_append(NULL, &record), UV_EINVAL);
    cr_assert_eq(tbus_ledger_commit(NULL), UV_EINVAL);
    tbus_ledger_stats_t stats;
    cr_assert_eq(tbus_ledger_close(ledger, &stats), 0);
    cr_assert_eq(stats.refused, 7);
    cr_assert_eq(stats.appended + stats.lost, 0);
    expect_rows("SELECT count(*) FROM usage", "0\n");
}

Test(ledger, the_largest_figures_stay_within_their_columns)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    for (uint64_t number = 1; number <= 3; number++) {
        tbus_usage_record_t record = ledger_record(number);
        record.time_ns = number == 3 ? INT64_MIN : INT64_MAX;
        record.input_tokens = INT64_MAX;
        record.cost = record.cache_savings = tbus_money_units(INT64_MAX);
        record.batch_savings = tbus_money_units(-INT64_MAX);
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
        cr_assert_eq(tbus_ledger_commit(ledger), 0); /* one at a time: the sum passes 63 bits in the file */
    }
    expect_rows("SELECT DISTINCT requests, input_tokens, cost_micro, cost_rest, batch_savings_micro,"
                " batch_savings_rest FROM totals",
                "3|9223372036854775807|27670116110564|327421|-27670116110565|672579\n");
    expect_rows("SELECT count(*) FROM hours", "12\n");
    expect_intact();
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger, a_sum_past_63_bits_stays_at_their_end)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 1);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    sqlite3 *db = beside_opened();
    beside_run(db, "UPDATE totals SET cost_micro = 9223372036854775807, output_tokens = 9223372036854775807");
    sqlite3_close(db);
    ledger_enter(ledger, 2, 1);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    expect_rows("SELECT DISTINCT cost_micro, output_tokens, requests FROM totals",
                "9223372036854775807|9223372036854775807|2\n");
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

/* --- Opening --- */

static int open_error(const char *path, char *why, size_t why_bytes)
{
    tbus_ledger_t *ledger = NULL;
    int error = tbus_ledger_open(&(tbus_ledger_options_t){.path = path}, why, why_bytes, &ledger);
    cr_assert_null(ledger);
    return error;
}

Test(ledger, options_out_of_their_range_are_refused)
{
    tbus_ledger_t *ledger = NULL;
    ledger_prepare();
    const tbus_ledger_options_t wrong[] = {
        {.path = NULL},
        {.path = ""},
        {.path = ledger_file, .survives = (tbus_ledger_survives_t)2},
        {.path = ledger_file, .pending_bytes = (2 << 20) - 1},
        {.path = ledger_file, .pending_bytes = (UINT64_C(1) << 34) + 1},
        {.path = ledger_file, .keep_days = 36501},
        {.path = ledger_file, .keep_hours_days = 31},
        {.path = ledger_file, .keep_hours_days = 36501},
        {.path = ledger_file, .busy_ms = 60001},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(tbus_ledger_open(&wrong[i], NULL, 0, &ledger), UV_EINVAL, "%zu", i);
    cr_assert_eq(tbus_ledger_open(NULL, NULL, 0, &ledger), UV_EINVAL);
    cr_assert_eq(tbus_ledger_open(&(tbus_ledger_options_t){.path = ledger_file}, NULL, 0, NULL), UV_EINVAL);
    cr_assert_null(ledger);
    cr_assert_eq(tbus_ledger_close(NULL, NULL), 0);
    tbus_ledger_stats_t stats;
    cr_assert_eq(tbus_ledger_stats(NULL, &stats), UV_EINVAL);
    cr_assert_eq(tbus_ledger_prune(NULL, 0, NULL), UV_EINVAL);
}

Test(ledger, odd_names_are_names_of_files)
{
    static const char *const names[] = {
        ":memory:", "file:x?mode=memory", "file:", "a?b#c%41&d=e", "\xff\xc3\xa4 '\"", "./:memory:"};
    ledger_prepare();
    cr_assert_eq(sqlite3_config(SQLITE_CONFIG_URI, 1), SQLITE_OK); /* as a host may have it */
    cr_assert_eq(chdir(scratch_directory), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat found;
        char plain[64];
        snprintf(plain, sizeof plain, "./%s", names[i]);
        tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.path = names[i]});
        ledger_enter(ledger, 1, 1);
        cr_assert_eq(tbus_ledger_commit(ledger), 0);
        cr_assert_eq(stat(plain, &found), 0, "%s", names[i]);
        cr_assert_gt(found.st_size, 0);
        cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    }
    cr_assert_eq(chdir("/"), 0);
}

Test(ledger, a_file_that_is_no_ledger_is_not_touched)
{
    char why[200] = "";
    ledger_prepare();
    FILE *file = fopen(ledger_file, "wb");
    for (int i = 0; i < 1000; i++)
        fputs("not a database, ", file);
    cr_assert_eq(fclose(file), 0);
    cr_assert_eq(open_error(ledger_file, why, sizeof why), UV_EINVAL);
    cr_assert_not_null(strstr(why, "not a database"), "%s", why);
    cr_assert_eq(open_error(ledger_file, why, 4), UV_EINVAL);
    cr_assert_str_eq(why, "fil");

    cr_assert_eq(unlink(ledger_file), 0);
    sqlite3 *db;
    cr_assert_eq(sqlite3_open(ledger_file, &db), SQLITE_OK);
    beside_run(db, "CREATE TABLE usage (mine)");
    cr_assert_eq(open_error(ledger_file, why, sizeof why), UV_EINVAL);
    cr_assert_not_null(strstr(why, "no ledger"), "%s", why);
    cr_assert_str_eq(beside_rows(db, "SELECT count(*) FROM sqlite_master"), "1\n");
    cr_assert_str_eq(beside_rows(db, "PRAGMA journal_mode"), "delete\n");
    sqlite3_close(db);
    cr_assert_eq(open_error(scratch_directory, why, sizeof why) < 0, true);
    snprintf(ledger_file, sizeof ledger_file, "%s/none/usage.db", scratch_directory);
    cr_assert_eq(open_error(ledger_file, why, sizeof why), UV_ENOENT);
    cr_assert_not_null(strstr(why, "none/usage.db"), "%s", why);
}

Test(ledger, a_newer_version_is_refused_and_named)
{
    char why[200] = "";
    ledger_prepare();
    cr_assert_eq(tbus_ledger_close(ledger_opened((tbus_ledger_options_t){0}), NULL), 0);
    expect_rows("PRAGMA user_version", "1\n");
    expect_rows("PRAGMA application_id", "1952607335\n");
    expect_rows("PRAGMA journal_mode", "wal\n");
    sqlite3 *db = beside_opened();
    beside_run(db, "PRAGMA user_version = 2");
    sqlite3_close(db);
    cr_assert_eq(open_error(ledger_file, why, sizeof why), UV_EPROTONOSUPPORT);
    cr_assert_not_null(strstr(why, "version 2"), "%s", why);
    expect_rows("PRAGMA user_version", "2\n");
}

Test(ledger, tables_are_strict_where_sqlite_has_that)
{
    ledger_prepare();
    cr_assert_eq(tbus_ledger_close(ledger_opened((tbus_ledger_options_t){0}), NULL), 0);
    if (sqlite3_libversion_number() < 3037000)
        cr_skip_test("SQLite %s has no STRICT tables", sqlite3_libversion());
    expect_rows("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                " AND name NOT LIKE 'sqlite%' ORDER BY name",
                "deleted|1\nhours|1\nstarts|1\ntotals|1\nusage|1\n");
}

Test(ledger, what_it_survives_decides_how_it_commits)
{
    ledger_prepare();
    for (int survives = 0; survives < 2; survives++) {
        tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.survives = (tbus_ledger_survives_t)survives});
        ledger_enter(ledger, 1, 1);
        cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    }
    expect_rows("SELECT count(*) FROM usage", "2\n");
}

/* --- Threads --- */

enum { HANDS = 4, OF_EACH = 3000 };

struct hand {
    tbus_ledger_t *ledger;
    uint64_t first;
    uv_thread_t thread;
};

static void append_many(void *user)
{
    struct hand *hand = user;
    ledger_enter(hand->ledger, hand->first, OF_EACH);
}

static int look_at_sum(const tbus_ledger_sum_t *sum, void *user)
{
    int64_t *before = user;
    if (sum->kind != TBUS_LEDGER_ALL)
        return 0;
    cr_assert_geq(sum->requests, *before);
    *before = sum->requests;
    return 0;
}

static void commit_and_read(void *user)
{
    struct hand *hand = user;
    int64_t before = 0;
    do {
        cr_assert_eq(tbus_ledger_commit(hand->ledger), 0);
        cr_assert_eq(tbus_ledger_totals(hand->ledger, look_at_sum, &before), 0);
    } while (ledger_stats(hand->ledger).committed < HANDS * OF_EACH);
}

Test(ledger, many_threads_share_a_ledger)
{
    struct hand hands[HANDS], writers[2];
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.survives = TBUS_LEDGER_DEATH_OF_PROCESS});
    for (int i = 0; i < 2; i++) {
        writers[i].ledger = ledger;
        cr_assert_eq(uv_thread_create(&writers[i].thread, commit_and_read, &writers[i]), 0);
    }
    for (int i = 0; i < HANDS; i++) {
        hands[i] = (struct hand){.ledger = ledger, .first = 1 + (uint64_t)i * OF_EACH};
        cr_assert_eq(uv_thread_create(&hands[i].thread, append_many, &hands[i]), 0);
    }
    for (int i = 0; i < HANDS; i++)
        uv_thread_join(&hands[i].thread);
    for (int i = 0; i < 2; i++)
        uv_thread_join(&writers[i].thread);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    expect_rows("SELECT count(*), count(DISTINCT event_id), sum(requests) FROM usage", "12000|12000|12000\n");
    expect_rows("SELECT DISTINCT requests FROM totals", "12000\n");
}

static void open_and_enter(void *user)
{
    struct hand *hand = user;
    hand->ledger = ledger_opened((tbus_ledger_options_t){.busy_ms = 60000});
    append_many(hand);
    cr_assert_eq(tbus_ledger_close(hand->ledger, NULL), 0);
}

Test(ledger, many_may_open_a_new_file_at_the_same_time)
{
    enum { FILES = 20 }; /* the moment in which they meet is short */
    for (int file = 0; file < FILES; file++) {
        struct hand hands[HANDS];
        ledger_prepare();
        for (int i = 0; i < HANDS; i++) {
            hands[i].first = 1;
            cr_assert_eq(uv_thread_create(&hands[i].thread, open_and_enter, &hands[i]), 0);
        }
        for (int i = 0; i < HANDS; i++)
            uv_thread_join(&hands[i].thread);
        expect_rows("SELECT count(*), count(DISTINCT start), sum(requests) FROM usage", "12000|4|12000\n");
        expect_rows("SELECT DISTINCT requests FROM totals", "12000\n");
    }
}

/* --- Memory --- */

static int whole_life(struct oom *oom)
{
    (void)unlink(ledger_file);
    oom_arm(oom);
    tbus_ledger_t *ledger = NULL;
    int error = tbus_ledger_open(&(tbus_ledger_options_t){.path = ledger_file}, NULL, 0, &ledger);
    for (uint64_t number = 1; !error && number <= 40; number++) {
        tbus_usage_record_t record = ledger_record(number);
        char user[16];
        snprintf(user, sizeof user, "user-%u", (unsigned)number);
        record.user_id = user;
        error = tbus_ledger_append(ledger, &record);
    }
    if (!error)
        error = tbus_ledger_commit(ledger);
    tbus_ledger_stats_t stats = {0};
    int close_error = tbus_ledger_close(ledger, &stats);
    cr_assert_eq(stats.appended, stats.committed + stats.lost);
    cr_assert(close_error == 0 || error);
    return error;
}

Test(ledger, every_allocation_may_fail)
{
    ledger_prepare();
    cr_assert_gt(oom_try_each(whole_life), 5);
    expect_rows("SELECT count(*) FROM usage", "40\n");
}
