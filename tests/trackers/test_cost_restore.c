/* Sums from before, told by a host that has no ledger. */
#include "tests/trackers/cost_fixture.h"
#include "trackers/digest.h"

#define HOUR_NS INT64_C(3600000000000)
#define NOW_NS (500000 * HOUR_NS)
#define KEY "sk-proj-0123456789"

static tbus_cost_past_t past(tbus_cost_group_t group, const char *name, uint64_t requests)
{
    return (tbus_cost_past_t){.group = group,
                              .sum = {.name = name,
                                      .usd = tbus_money_units((int64_t)requests * 1000),
                                      .requests = requests,
                                      .prompt_tokens = 10 * requests,
                                      .cached_tokens = 3 * requests,
                                      .completion_tokens = 5 * requests},
                              .first_time_ns = NOW_NS - 5 * HOUR_NS,
                              .last_time_ns = NOW_NS};
}

static void restore(tbus_cost_t *cost, tbus_cost_past_t sum)
{
    cr_assert_eq(tbus_cost_restore(cost, &sum), 0);
}

static void use(tbus_cost_t *cost, const char *key)
{
    (void)recorded(cost, (tbus_usage_t){.model = "gpt-4o", .api_key = key, .completion_tokens = 1, .time_ns = NOW_NS});
}

/* A tracker with a key's sums, of which two requests lie in the hour at hand. */
static tbus_cost_t *opened_with_key(const char *key, const tbus_cost_options_t *options)
{
    char redacted[TBUS_REDACTED_BYTES];
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
    tbus_cost_t *cost = opened(options);
    digest_bytes(key, strlen(key), digest);
    tbus_cost_past_t hour = past(TBUS_COST_KEY, tbus_redact_key(key, redacted), 2), all = hour;
    restore(cost, past(TBUS_COST_ALL, NULL, 9));
    all.sum = past(TBUS_COST_KEY, redacted, 9).sum;
    all.key_digest = hour.key_digest = digest;
    hour.of_hour = true;
    hour.hour_ns = NOW_NS + 5;
    restore(cost, all);
    restore(cost, hour);
    return cost;
}

Test(cost_restore, time_goes_on_from_the_latest_that_was)
{
    tbus_cost_t *cost = opened_with_key(KEY, NULL);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->time_ns, NOW_NS);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

static void expect_key(tbus_cost_t *cost, const char *key, uint64_t all, uint64_t in_hour)
{
    char redacted[TBUS_REDACTED_BYTES];
    tbus_cost_period_t *period;
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    tbus_redact_key(key, redacted);
    cr_assert_eq(tbus_cost_period(cost, NOW_NS, NOW_NS + 1, &period), 0);
    const tbus_cost_sum_t *sum = row_of(snapshot->by_key, snapshot->by_key_count, redacted);
    const tbus_cost_sum_t *hour = row_of(period->by_key, period->by_key_count, redacted);
    cr_assert_not_null(sum);
    cr_assert_not_null(hour);
    cr_assert_eq(sum->requests, all);
    cr_assert_eq(hour->requests, in_hour);
    for (size_t i = 0; i < snapshot->by_key_count; i++) /* one row alone */
        cr_assert(&snapshot->by_key[i] == sum || strcmp(snapshot->by_key[i].name, redacted) != 0);
    tbus_cost_period_free(period);
    tbus_cost_snapshot_free(snapshot);
}

Test(cost_restore, a_whole_key_finds_the_row_of_its_digest)
{
    char long_key[3000];
    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    const char *const keys[] = {KEY, "short", long_key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        tbus_cost_t *cost = opened_with_key(keys[i], NULL);
        expect_key(cost, keys[i], 9, 2);
        use(cost, "sk-proj-another-one");
        use(cost, keys[i]);
        use(cost, keys[i]);
        expect_key(cost, keys[i], 11, 4);
        expect_key(cost, "sk-proj-another-one", 1, 1);
        tbus_cost_close(cost);
    }
}

Test(cost_restore, a_key_finds_its_row_where_there_is_no_room_for_others)
{
    tbus_cost_t *cost = opened_with_key(KEY, &(tbus_cost_options_t){.keys_max = 1});
    use(cost, "sk-proj-another-one");
    use(cost, KEY);
    expect_key(cost, KEY, 10, 3);
    use(cost, "sk-proj-a-third-one");
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(row_of(snapshot->by_key, snapshot->by_key_count, "other")->requests, 2);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_restore, the_digest_of_a_key_is_no_key)
{
    tbus_cost_t *cost = opened_with_key(KEY, NULL);
    char forged[1 + 2 * TBUS_KEY_DIGEST_BYTES + 1] = "";
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
    digest_bytes(KEY, strlen(KEY), digest);
    for (int i = 0; i < TBUS_KEY_DIGEST_BYTES; i++)
        snprintf(forged + 2 * i, 3, "%02x", digest[i]);
    use(cost, forged);
    memcpy(forged, digest, sizeof digest);
    forged[sizeof digest] = '\0';
    use(cost, forged);
    expect_key(cost, KEY, 9, 2);
    tbus_cost_close(cost);
}

Test(cost_restore, hours_in_any_order_come_to_the_same)
{
    static const int64_t orders[][3] = {{1, 2, 3}, {3, 2, 1}, {2, 3, 1}, {3, 1, 2}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        tbus_cost_t *cost = opened(NULL);
        restore(cost, past(TBUS_COST_ALL, NULL, 20));
        restore(cost, past(TBUS_COST_USER, "ann", 20));
        for (int j = 0; j < 3; j++) {
            tbus_cost_past_t hour = past(TBUS_COST_USER, "ann", (uint64_t)orders[i][j]);
            hour.of_hour = true;
            hour.hour_ns = NOW_NS - orders[i][j] * HOUR_NS;
            restore(cost, hour);
        }
        for (int64_t hour = 0; hour < 5; hour++) {
            tbus_cost_period_t *period;
            cr_assert_eq(tbus_cost_period(cost, NOW_NS - hour * HOUR_NS, NOW_NS - hour * HOUR_NS + 1, &period), 0);
            const tbus_cost_sum_t *ann = row_of(period->by_user, period->by_user_count, "ann");
            cr_assert_eq(ann ? ann->requests : 0, hour >= 1 && hour <= 3 ? (uint64_t)hour : 0);
            tbus_cost_period_free(period);
        }
        tbus_cost_close(cost);
    }
}

Test(cost_restore, nothing_false_is_taken)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_cost_past_t bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = past(TBUS_COST_USER, "ann", 5);
    bad[0].group = (tbus_cost_group_t)6;
    bad[1].sum.usd = tbus_money_units(-1);
    bad[2].sum.requests = UINT64_MAX;
    bad[3].sum.cached_tokens = bad[3].sum.prompt_tokens + 1;
    bad[4].sum.cache_write_tokens = UINT64_MAX;
    bad[5].sum.reasoning_tokens = bad[5].sum.completion_tokens + 1;
    bad[6].sum.requests = 21; /* more than all */
    bad[7].sum.usd = tbus_money_units(20001);
    cr_assert_eq(tbus_cost_restore(NULL, &bad[0]), UV_EINVAL);
    cr_assert_eq(tbus_cost_restore(cost, NULL), UV_EINVAL);
    restore(cost, past(TBUS_COST_ALL, NULL, 20));
    for (size_t i = 0; i < 8; i++)
        cr_assert_eq(tbus_cost_restore(cost, &bad[i]), UV_EINVAL, "case %zu", i);
    tbus_cost_past_t most = past(TBUS_COST_ALL, NULL, 1);
    most.sum.requests = INT64_MAX;
    cr_assert_eq(tbus_cost_restore(cost, &most), UV_EOVERFLOW);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 20);
    cr_assert_eq(snapshot->by_user_count, 0);
    tbus_cost_snapshot_free(snapshot);
    use(cost, KEY);
    most = past(TBUS_COST_USER, "ann", 1);
    cr_assert_eq(tbus_cost_restore(cost, &most), UV_EALREADY);
    tbus_cost_close(cost);
}
