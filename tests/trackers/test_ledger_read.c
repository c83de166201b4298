/* Reading back: totals, hours and sums since a moment equal a plain model of what was appended. */
#include <stdlib.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/ledger_fixture.h"
#include "trackers/money.h"

enum { MODEL_MAX = 4000, SUMS_MAX = 4096 };

/* --- The model: every record that counts, kept as it is --- */

struct entry {
    tbus_usage_record_t record;
    char user[16], model[16];
};

static struct {
    struct entry entries[MODEL_MAX];
    int count;
} model;

static const char *name_in(const struct entry *entry, tbus_ledger_kind_t kind)
{
    switch (kind) {
    case TBUS_LEDGER_KEY:
        return entry->record.api_key;
    case TBUS_LEDGER_USER:
        return entry->user;
    case TBUS_LEDGER_PROJECT:
        return entry->record.project_id;
    case TBUS_LEDGER_MODEL:
        return entry->model;
    case TBUS_LEDGER_ENDPOINT:
        return entry->record.endpoint;
    default:
        return "";
    }
}

/* What a sum should be: over the entries of its identity within [from, until). */
static void expect_sum(const tbus_ledger_sum_t *sum, int64_t from_ns, int64_t until_ns)
{
    int128_t cost = 0, savings = 0;
    int64_t requests = 0, output = 0, unpriced = 0, retracted = 0, first_ns = INT64_MAX, last_ns = INT64_MIN;
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];
    for (int i = 0; i < model.count; i++) {
        const struct entry *entry = &model.entries[i];
        const unsigned char *digest = sum->kind == TBUS_LEDGER_KEY ? entry->record.key_digest : none;
        if (entry->record.time_ns < from_ns || entry->record.time_ns >= until_ns ||
            strcmp(sum->name, name_in(entry, sum->kind)) != 0 || memcmp(sum->key_digest, digest, sizeof none) != 0)
            continue;
        int sign = entry->record.retracted ? -1 : 1;
        requests += sign;
        output += sign * entry->record.output_tokens;
        unpriced += sign * entry->record.unpriced;
        retracted += entry->record.retracted;
        first_ns = entry->record.time_ns < first_ns ? entry->record.time_ns : first_ns;
        last_ns = entry->record.time_ns > last_ns ? entry->record.time_ns : last_ns;
        cost += sign * money_value(entry->record.cost);
        savings += sign * money_value(entry->record.cache_savings);
    }
    cr_assert_eq(sum->requests, requests, "%s %s", tbus_ledger_kind_name(sum->kind), sum->name);
    cr_assert_eq(sum->output_tokens, output);
    cr_assert_eq(sum->unpriced_requests, unpriced);
    cr_assert_eq(sum->retracted_requests, retracted);
    cr_assert_eq(sum->first_ns, first_ns);
    cr_assert_eq(sum->last_ns, last_ns);
    cr_assert(money_value(sum->cost) == cost);
    cr_assert(money_value(sum->cache_savings) == savings);
    cr_assert_gt(requests, -1);
}

/* How many identities of a kind there are within a time, by comparing each with all before it. */
static int identities(tbus_ledger_kind_t kind, int64_t from_ns, int64_t until_ns)
{
    int count = 0;
    for (int i = 0; i < model.count; i++) {
        const struct entry *entry = &model.entries[i];
        bool seen = entry->record.time_ns < from_ns || entry->record.time_ns >= until_ns;
        for (int j = 0; !seen && j < i; j++) {
            const struct entry *other = &model.entries[j];
            seen = other->record.time_ns >= from_ns && other->record.time_ns < until_ns &&
                   strcmp(name_in(entry, kind), name_in(other, kind)) == 0 &&
                   (kind != TBUS_LEDGER_KEY ||
                    memcmp(entry->record.key_digest, other->record.key_digest, TBUS_KEY_DIGEST_BYTES) == 0);
        }
        count += !seen;
    }
    return count;
}

/* --- Random records: few names, many hours, large amounts, some taken back --- */

static void add_random(tbus_ledger_t *ledger, uint64_t *seed, uint64_t number, int64_t hours)
{
    struct entry *entry = &model.entries[model.count++];
    *entry = (struct entry){.record = ledger_record(number)};
    tbus_usage_record_t *record = &entry->record;
    snprintf(entry->user, sizeof entry->user, "user-%u", (unsigned)(oracle_random(seed) % 9));
    snprintf(entry->model, sizeof entry->model, "model-%u", (unsigned)(oracle_random(seed) % 4));
    record->user_id = entry->user;
    record->model = entry->model;
    record->endpoint = oracle_random(seed) % 2 ? "" : "/v1/embeddings";
    record->api_key = oracle_random(seed) % 3 ? "sk-a..00000000" : "sk-b..00000000";
    memset(record->key_digest, (int)(oracle_random(seed) % 3), sizeof record->key_digest);
    record->time_ns = BEGIN_NS + (int64_t)(oracle_random(seed) % (uint64_t)(hours * HOUR_NS));
    record->output_tokens = (int64_t)(oracle_random(seed) % 100000);
    record->cost = tbus_money_units((int64_t)(oracle_random(seed) >> (1 + oracle_random(seed) % 63)));
    record->cache_savings = tbus_money_units((int64_t)oracle_random(seed) / 2);
    record->estimated = oracle_random(seed) % 8 == 0;
    record->unpriced = oracle_random(seed) % 8 == 0;
    cr_assert_eq(tbus_ledger_append(ledger, record), 0);
    if (!record->estimated || oracle_random(seed) % 2 || model.count == MODEL_MAX)
        return;
    struct entry *back = &model.entries[model.count++];
    *back = *entry;
    back->record.user_id = back->user;
    back->record.model = back->model;
    back->record.retracted = true;
    cr_assert_eq(tbus_ledger_append(ledger, &back->record), 0);
}

static void fill(tbus_ledger_t *ledger, const char *test, int count, int64_t hours)
{
    uint64_t seed = oracle_seed(test);
    model.count = 0;
    for (uint64_t number = 1; number <= (uint64_t)count; number++) {
        add_random(ledger, &seed, number, hours);
        if (oracle_random(&seed) % 100 == 0)
            cr_assert_eq(tbus_ledger_commit(ledger), 0);
    }
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
}

struct seen {
    int64_t from_ns, until_ns; /* INT64_MIN = by the sum's hour */
    int counts[TBUS_LEDGER_KINDS];
    int all;
    tbus_ledger_sum_t last;
    char last_name[TBUS_LEDGER_TEXT_MAX + 1];
};

static int on_sum(const tbus_ledger_sum_t *sum, void *user)
{
    struct seen *seen = user;
    bool by_hour = seen->from_ns == INT64_MIN;
    expect_sum(sum, by_hour ? sum->hour_ns : seen->from_ns, by_hour ? sum->hour_ns + HOUR_NS : seen->until_ns);
    cr_assert(by_hour || sum->hour_ns == 0);
    seen->counts[sum->kind]++;
    seen->all++;
    return 0;
}

Test(ledger_read, totals_and_hours_equal_the_model)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    fill(ledger, "totals_and_hours_equal_the_model", 1500, 6);
    struct seen seen = {.from_ns = 0, .until_ns = INT64_MAX};
    cr_assert_eq(tbus_ledger_totals(ledger, on_sum, &seen), 0);
    for (int kind = 0; kind < TBUS_LEDGER_KINDS; kind++)
        cr_assert_eq(seen.counts[kind], identities((tbus_ledger_kind_t)kind, 0, INT64_MAX));
    seen = (struct seen){.from_ns = INT64_MIN};
    cr_assert_eq(tbus_ledger_hours(ledger, BEGIN_NS + HOUR_NS / 2, on_sum, &seen), 0);
    cr_assert_eq(seen.counts[TBUS_LEDGER_ALL], 6);
    cr_assert_eq(seen.counts[TBUS_LEDGER_USER], 6 * 9);
    seen = (struct seen){.from_ns = INT64_MIN};
    cr_assert_eq(tbus_ledger_hours(ledger, BEGIN_NS + 5 * HOUR_NS, on_sum, &seen), 0);
    cr_assert_eq(seen.counts[TBUS_LEDGER_ALL], 1);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_read, sums_since_a_moment_equal_the_model)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    fill(ledger, "sums_since_a_moment_equal_the_model", 1500, 6);
    uint64_t seed = oracle_seed("the moments");
    for (int i = 0; i < 60; i++) {
        int64_t since_ns = i == 0   ? BEGIN_NS
                           : i == 1 ? BEGIN_NS + 2 * HOUR_NS
                           : i == 2 ? INT64_MIN
                           : i == 3 ? INT64_MAX
                                    : BEGIN_NS + (int64_t)(oracle_random(&seed) % (6 * HOUR_NS));
        tbus_ledger_kind_t kind = (tbus_ledger_kind_t)(i % TBUS_LEDGER_KINDS);
        struct seen seen = {.from_ns = since_ns == INT64_MIN ? 0 : since_ns, .until_ns = INT64_MAX};
        cr_assert_eq(tbus_ledger_since(ledger, kind, since_ns, on_sum, &seen), 0);
        cr_assert_eq(seen.all, seen.counts[kind]);
        cr_assert_eq(seen.all, identities(kind, seen.from_ns, INT64_MAX));
    }
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

static int keep_last(const tbus_ledger_sum_t *sum, void *user)
{
    struct seen *seen = user;
    seen->all++;
    seen->last = *sum;
    snprintf(seen->last_name, sizeof seen->last_name, "%s", sum->name);
    return 0;
}

static int stop_at_third(const tbus_ledger_sum_t *sum, void *user)
{
    int *count = user;
    (void)sum;
    return ++*count == 3 ? 77 : 0;
}

Test(ledger_read, sums_pass_63_bits)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    int128_t expected = 0;
    for (uint64_t number = 1; number <= 100; number++) {
        tbus_usage_record_t record = ledger_record(number);
        record.cost = tbus_money_units(INT64_MAX - (int64_t)number);
        expected += INT64_MAX - (int64_t)number;
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    }
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    struct seen seen = {0};
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, 1, keep_last, &seen), 0);
    cr_assert(money_value(seen.last.cost) == expected);
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_USER, BEGIN_NS + 1, keep_last, &seen), 0); /* out of rows */
    cr_assert(money_value(seen.last.cost) == expected);
    cr_assert_str_eq(seen.last_name, "ann");
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_read, who_is_told_may_stop_and_may_call_the_ledger)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 5);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    int count = 0;
    cr_assert_eq(tbus_ledger_totals(ledger, stop_at_third, &count), 77);
    cr_assert_eq(count, 3);
    struct seen seen = {0};
    cr_assert_eq(tbus_ledger_totals(NULL, keep_last, &seen), UV_EINVAL);
    cr_assert_eq(tbus_ledger_totals(ledger, NULL, &seen), UV_EINVAL);
    cr_assert_eq(tbus_ledger_hours(ledger, 0, NULL, &seen), UV_EINVAL);
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_KINDS, 0, keep_last, &seen), UV_EINVAL);
    cr_assert_eq(tbus_ledger_since(ledger, (tbus_ledger_kind_t)-1, 0, keep_last, &seen), UV_EINVAL);
    cr_assert_eq(seen.all, 0);
    cr_assert_str_eq(tbus_ledger_kind_name(TBUS_LEDGER_PROJECT), "project");
    cr_assert_null(tbus_ledger_kind_name(TBUS_LEDGER_KINDS));
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

static int append_more(const tbus_ledger_sum_t *sum, void *user)
{
    tbus_ledger_t *ledger = user;
    (void)sum;
    ledger_enter(ledger, 1000 + (uint64_t)ledger_stats(ledger).appended, 1);
    return tbus_ledger_commit(ledger);
}

Test(ledger_read, a_reader_sees_one_state_while_others_write)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    ledger_enter(ledger, 1, 5);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    cr_assert_eq(tbus_ledger_totals(ledger, append_more, ledger), 0);
    cr_assert_eq(ledger_stats(ledger).committed, 5 + 6); /* one for each sum, all of them of 5 requests */
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

/* --- Retention --- */

static int64_t days(int64_t count)
{
    return count * 24 * HOUR_NS;
}

static void enter_days(tbus_ledger_t *ledger, int count)
{
    for (int day = 0; day < count; day++) {
        tbus_usage_record_t record = ledger_record((uint64_t)day + 1);
        record.time_ns = BEGIN_NS + days(day) + HOUR_NS / 2;
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    }
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
}

Test(ledger_read, old_records_go_and_totals_stay)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.keep_days = 10, .keep_hours_days = 32});
    enter_days(ledger, 100);
    int64_t now_ns = BEGIN_NS + days(100);
    uint64_t deleted;
    cr_assert_eq(tbus_ledger_prune(ledger, now_ns, &deleted), 0);
    cr_assert_eq(deleted, 90 + 68 * 6);
    cr_assert_eq(tbus_ledger_prune(ledger, now_ns, &deleted), 0);
    cr_assert_eq(deleted, 0);
    cr_assert_eq(ledger_stats(ledger).deleted, 90);
    expect_rows("SELECT count(*), min(event_id) FROM usage", "10|91\n");
    expect_rows("SELECT count(DISTINCT hour) FROM hours", "32\n");
    expect_rows("SELECT DISTINCT requests, cost_micro FROM totals", "100|700000\n");

    struct seen seen = {0};
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, BEGIN_NS + days(95), keep_last, &seen), 0);
    cr_assert_eq(seen.last.requests, 5);
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, BEGIN_NS + days(80), keep_last, &seen), 0);
    cr_assert_eq(seen.last.requests, 20); /* out of the hours alone */
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, BEGIN_NS + days(80) + HOUR_NS - 1, keep_last, &seen), 0);
    cr_assert_eq(seen.last.requests, 20); /* of an hour whose records are gone, all counts */
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, BEGIN_NS + days(95) + HOUR_NS - 1, keep_last, &seen), 0);
    cr_assert_eq(seen.last.requests, 4);
    cr_assert_eq(tbus_ledger_since(ledger, TBUS_LEDGER_ALL, BEGIN_NS + days(60), keep_last, &seen), UV_ERANGE);
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
    expect_intact();
}

Test(ledger_read, much_is_deleted_in_small_batches)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){.keep_days = 1});
    ledger_enter(ledger, 1, 20000);
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    uint64_t deleted, rounds = 0, all = 0;
    do {
        cr_assert_eq(tbus_ledger_prune(ledger, BEGIN_NS + days(3), &deleted), 0);
        cr_assert_leq(deleted, 8192);
        all += deleted;
        rounds++;
    } while (deleted > 0);
    cr_assert_eq(all, 20000);
    cr_assert_eq(rounds, 4);
    expect_rows("SELECT count(*) FROM usage", "0\n");
    expect_rows("SELECT requests FROM totals WHERE kind = 'all'", "20000\n");
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

Test(ledger_read, without_the_option_records_stay_for_ever)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    uint64_t deleted = 99;
    enter_days(ledger, 2);
    cr_assert_eq(tbus_ledger_prune(ledger, INT64_MAX, &deleted), 0);
    cr_assert_eq(deleted, 2 * 6); /* hours */
    cr_assert_eq(tbus_ledger_prune(ledger, INT64_MIN, &deleted), 0);
    cr_assert_eq(deleted, 0);
    expect_rows("SELECT count(*) FROM usage", "2\n");
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}

/* --- Many names --- */

Test(ledger_read, more_names_than_a_transaction_remembers_are_all_there)
{
    ledger_prepare();
    tbus_ledger_t *ledger = ledger_opened((tbus_ledger_options_t){0});
    for (uint64_t number = 1; number <= 20000; number++) {
        tbus_usage_record_t record = ledger_record(number);
        char user[16];
        snprintf(user, sizeof user, "user-%u", (unsigned)(number % 10000));
        record.user_id = user;
        cr_assert_eq(tbus_ledger_append(ledger, &record), 0);
    }
    cr_assert_eq(tbus_ledger_commit(ledger), 0);
    expect_rows("SELECT kind, count(*), min(requests), max(requests), sum(requests) FROM totals GROUP BY kind"
                " ORDER BY kind",
                "all|1|20000|20000|20000\nendpoint|1|20000|20000|20000\nkey|1|20000|20000|20000\n"
                "model|1|20000|20000|20000\nproject|1|20000|20000|20000\nuser|10000|2|2|20000\n");
    cr_assert_eq(tbus_ledger_close(ledger, NULL), 0);
}
