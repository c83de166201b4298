#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/cost_fixture.h"

/* --- Sums --- */

/* semantics: cost.sums */
Test(cost, sums_are_kept_by_key_user_project_model_and_endpoint)
{
    tbus_cost_t *cost = opened(NULL);
    char redacted[TBUS_REDACTED_BYTES];
    const char *key = "sk-proj-abcdefgh12345678";

    recorded(cost, (tbus_usage_t){.api_key = key,
                                  .user_id = "ann",
                                  .project_id = "red",
                                  .model = "gpt-4o",
                                  .endpoint = "/v1/chat",
                                  .prompt_tokens = 1000,
                                  .completion_tokens = 100,
                                  .cached_tokens = 10,
                                  .time_ns = 50,
                                  .estimated = true});
    recorded(cost,
             (tbus_usage_t){.api_key = key, .user_id = "bob", .model = "gpt-4o", .prompt_tokens = 1, .time_ns = 70});
    recorded(cost, (tbus_usage_t){.api_key = "", .user_id = "ann", .model = "gpt-4", .time_ns = 60});

    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->time_ns, 70);
    cr_assert_eq(snapshot->estimated_requests, 1);
    cr_assert_str_eq(snapshot->total.name, "");
    cr_assert_eq(snapshot->total.requests, 3);
    cr_assert_eq(snapshot->total.prompt_tokens, 1001);
    cr_assert_eq(snapshot->total.completion_tokens, 100);
    cr_assert_eq(snapshot->total.cached_tokens, 10);
    cr_assert(is_usd(snapshot->total.usd, "0.00648"));
    cr_assert(is_usd(snapshot->cache_savings, "0.000025"));

    cr_assert_eq(snapshot->by_key_count, 2);
    cr_assert_str_eq(snapshot->by_key[0].name, tbus_redact_key(key, redacted));
    cr_assert_eq(snapshot->by_key[0].requests, 2);
    cr_assert_str_eq(snapshot->by_key[1].name, "");
    cr_assert_eq(snapshot->by_user_count, 2);
    cr_assert_str_eq(snapshot->by_user[0].name, "ann");
    cr_assert_eq(snapshot->by_user[0].requests, 2);
    cr_assert_str_eq(snapshot->by_user[1].name, "bob");
    cr_assert_eq(snapshot->by_project_count, 2);
    cr_assert_str_eq(snapshot->by_project[0].name, "red");
    cr_assert_eq(snapshot->by_project[1].requests, 2);
    cr_assert_eq(snapshot->by_model_count, 2);
    cr_assert_str_eq(snapshot->by_model[0].name, "gpt-4o");
    cr_assert_eq(snapshot->by_endpoint_count, 2);
    cr_assert_str_eq(snapshot->by_endpoint[0].name, "/v1/chat");
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost, lists_are_by_falling_cost_then_by_name)
{
    tbus_cost_t *cost = opened(NULL);
    static const struct {
        const char *user;
        int64_t tokens;
    } usages[] = {{"d", 5}, {"a", 7}, {"c", 5}, {"e", 0}, {"b", 9}, {NULL, 5}, {"other", 5}};
    static const char *const order[] = {"b", "a", "", "c", "d", "other", "e"};

    for (size_t i = 0; i < sizeof usages / sizeof *usages; i++)
        recorded(cost, (tbus_usage_t){.user_id = usages[i].user, .model = "gpt-4", .prompt_tokens = usages[i].tokens});
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->by_user_count, 7);
    for (size_t i = 0; i < 7; i++)
        cr_assert_str_eq(snapshot->by_user[i].name, order[i]);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost, a_key_is_never_shown_whole)
{
    tbus_cost_t *cost = opened(NULL);
    char key[300];
    for (size_t length = 1; length < sizeof key; length++) {
        memset(key, 'k', length);
        key[length] = '\0';
        recorded(cost, (tbus_usage_t){.api_key = key, .model = "gpt-4", .prompt_tokens = 1});
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->by_key_count, sizeof key - 1);
    for (size_t i = 0; i < snapshot->by_key_count; i++) {
        const char *name = snapshot->by_key[i].name;
        cr_assert(strlen(name) == 10 || strlen(name) == 14, "%s", name);
        cr_assert_not_null(strstr(name, ".."));
    }
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost, redaction)
{
    static const struct {
        const char *key, *redacted;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"abc", "..ba7816bf"},
        {"abcdefghijk", "..ca2f2069"},
        {"abcdefghijkl", "abcd..d682ed4c"},
        {"sk-proj-0123456789", "sk-p..88fd2d4d"},
        {"\x01\x7f\xc3\xa9 a key with odd bytes", "????..3657342f"},
    };
    char redacted[TBUS_REDACTED_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(tbus_redact_key(cases[i].key, redacted), cases[i].redacted, "case %zu", i);
    cr_assert_str_eq(tbus_redact_key("abc", NULL), "");
}

Test(cost, a_redacted_key_stays_as_it_is)
{
    static const char *const keys[] = {"", "abc", "abcdefghijkl", "sk-proj-0123456789", "\x01\x7f\xc3\xa9 odd bytes"};
    static const char *const alike[] = {"..ba7816bF",     "..ba7816b",      "..ba7816bff",          "a..ba7816bf",
                                        "abcd.-ba7816bf", "abcd..ba7816bg", "ab\xc3\xa9..ba7816bf", "abcd..ba7816bff"};
    char redacted[TBUS_REDACTED_BYTES], again[TBUS_REDACTED_BYTES];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        tbus_redact_key(keys[i], redacted);
        cr_assert_str_eq(tbus_redact_key(redacted, again), redacted, "case %zu", i);
        cr_assert_str_eq(tbus_redact_key(redacted, redacted), again, "case %zu in place", i);
    }
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
        cr_assert_str_neq(tbus_redact_key(alike[i], redacted), alike[i], "case %zu", i);
}

Test(cost, names_past_the_cap_fold_into_other)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = 3, .models_max = 2});
    static const char *const models[] = {"gpt-4", "gpt-4o", "o1", "no-such-model", "gpt-4o-2024-05-13"};

    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "name-%d-and-some-more", i);
        recorded(cost, (tbus_usage_t){.api_key = name,
                                      .user_id = name,
                                      .project_id = name,
                                      .endpoint = name,
                                      .model = models[i % 5],
                                      .prompt_tokens = 10});
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->by_key_count, 4);
    cr_assert_eq(row_of(snapshot->by_key, 4, "other")->requests, 47);
    cr_assert_eq(snapshot->by_user_count, 4);
    cr_assert_eq(row_of(snapshot->by_user, 4, "other")->requests, 47);
    cr_assert_eq(snapshot->by_project_count, 4);
    cr_assert_eq(snapshot->by_endpoint_count, 3);
    cr_assert_eq(row_of(snapshot->by_endpoint, 3, "other")->requests, 48);
    cr_assert_eq(snapshot->by_model_count, 3);
    const tbus_cost_sum_t *other = row_of(snapshot->by_model, 3, "other");
    cr_assert_eq(other->requests, 30);
    cr_assert_eq(other->unpriced_requests, 10);
    /* Folded models keep their own prices: 10 requests each of o1, the fallback, and gpt-4o. */
    cr_assert(is_usd(other->usd, "0.00205"));
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* A key's user and project are looked for where they were last: they must be found when they change, too. */
Test(cost, keys_may_change_their_user_and_project)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = 4});
    static const char *const names[] = {"a", "b", NULL, "c", "a", "d", "e", "f", "a", "e", ""};
    for (size_t i = 0; i < 10 * sizeof names / sizeof *names; i++) {
        const char *name = names[i % (sizeof names / sizeof *names)];
        recorded(cost, (tbus_usage_t){.api_key = i % 3 ? "k" : NULL, .user_id = name, .project_id = name});
        if (i == 54)
            tbus_cost_reset(cost);
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    const struct {
        const tbus_cost_sum_t *rows;
        size_t count;
    } lists[] = {{snapshot->by_user, snapshot->by_user_count}, {snapshot->by_project, snapshot->by_project_count}};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(lists[i].count, 6);
        cr_assert_eq(row_of(lists[i].rows, 6, "a")->requests, 15);
        cr_assert_eq(row_of(lists[i].rows, 6, "b")->requests, 5);
        cr_assert_eq(row_of(lists[i].rows, 6, "c")->requests, 5);
        cr_assert_eq(row_of(lists[i].rows, 6, "d")->requests, 5);
        cr_assert_eq(row_of(lists[i].rows, 6, "other")->requests, 15);
        cr_assert_eq(row_of(lists[i].rows, 6, "")->requests, 10);
    }
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost, reset_forgets_everything_and_needs_no_memory)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = 5, .models_max = 5});
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++) {
            char name[32];
            snprintf(name, sizeof name, "round-%d-name-%d", round, i);
            recorded(cost, (tbus_usage_t){.api_key = name, .model = name, .prompt_tokens = 5, .cached_tokens = 9});
        }
        recorded(cost, (tbus_usage_t){.prompt_tokens = 5, .estimated = true, .time_ns = 5});
        cr_assert_eq(tbus_cost_record_usage(cost, &(tbus_usage_t){.images = -1}, NULL), UV_EINVAL);
        tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
        cr_assert_eq(snapshot->total.requests, 21);
        cr_assert_eq(snapshot->by_key_count, 7);
        cr_assert_eq(row_of(snapshot->by_key, 7, "other")->requests, 15);
        tbus_cost_snapshot_free(snapshot);

        struct oom oom = {.fail_at = 0, .keep_failing = true};
        oom_install(&oom);
        tbus_cost_reset(cost);
        oom_remove();
        cr_assert_eq(oom.calls, 0);
        snapshot = snapshot_of(cost);
        cr_assert_eq(snapshot->total.requests, 0);
        cr_assert_eq(snapshot->time_ns, 0);
        cr_assert_eq(snapshot->estimated_requests + snapshot->refused_usages + snapshot->cut_cached_tokens, 0);
        cr_assert(is_usd(snapshot->total.usd, "0") && is_usd(snapshot->cache_savings, "0"));
        cr_assert_eq(snapshot->by_key_count + snapshot->by_user_count + snapshot->by_project_count +
                         snapshot->by_model_count + snapshot->by_endpoint_count,
                     0);
        tbus_cost_snapshot_free(snapshot);
    }
    tbus_cost_close(cost);
    tbus_cost_reset(NULL);
}

/* --- Refusals --- */

Test(cost, bad_arguments_are_refused)
{
    tbus_cost_t *cost = opened(NULL), *none = NULL;
    tbus_usage_t usage = {.model = "gpt-4"};
    tbus_charge_t charge;
    tbus_cost_snapshot_t *snapshot;
    static const struct {
        tbus_cost_options_t options;
        int error;
    } cases[] = {
        {{.keys_max = (1 << 24) + 1}, UV_EINVAL},
        {{.models_max = (1 << 24) + 1}, UV_EINVAL},
        {{.unknown_model = (tbus_unknown_model_t)3}, UV_EINVAL},
        {{.history_max = (1 << 28) + 1}, UV_EINVAL},
        {{.records_max = (1 << 20) + 1}, UV_EINVAL},
        {{.estimates_max = (1 << 24) + 1}, UV_EINVAL},
        {{.fallback_model = "no-such-model"}, UV_ENOENT},
        {{.fallback_model = ""}, UV_ENOENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(tbus_cost_open(&cases[i].options, &none), cases[i].error, "case %zu", i);
    cr_assert_null(none);
    cr_assert_eq(tbus_cost_open(NULL, NULL), UV_EINVAL);

    tbus_prices_t *prices;
    cr_assert_eq(tbus_prices_open(false, &prices), 0);
    cr_assert_eq(tbus_cost_open(&(tbus_cost_options_t){.prices = prices}, &none), UV_ENOENT);
    tbus_prices_close(prices);

    cr_assert_eq(tbus_cost_record_usage(NULL, &usage, &charge), UV_EINVAL);
    cr_assert_eq(tbus_cost_record_usage(cost, NULL, &charge), UV_EINVAL);
    cr_assert_eq(tbus_cost_price(NULL, &usage, &charge), UV_EINVAL);
    cr_assert_eq(tbus_cost_price(cost, NULL, &charge), UV_EINVAL);
    cr_assert_eq(tbus_cost_price(cost, &usage, NULL), UV_EINVAL);
    cr_assert_eq(tbus_cost_snapshot(NULL, &snapshot), UV_EINVAL);
    cr_assert_eq(tbus_cost_snapshot(cost, NULL), UV_EINVAL);
    cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    tbus_cost_snapshot_free(NULL);
    tbus_cost_close(NULL);
    tbus_cost_close(cost);
}

/* semantics: cost.refused */
Test(cost, negative_counts_are_refused_and_counted)
{
    tbus_cost_t *cost = opened(NULL);
    static const tbus_usage_t usages[] = {
        {.model = "gpt-4", .prompt_tokens = -1},    {.model = "gpt-4", .completion_tokens = INT64_MIN},
        {.model = "gpt-4", .cached_tokens = -1},    {.model = "gpt-4", .cache_write_tokens = -1},
        {.model = "gpt-4", .images = -1},           {.model = "gpt-4", .characters = INT64_MIN, .images = 5},
        {.model = "new-name", .prompt_tokens = -1},
    };
    enum { COUNT = sizeof usages / sizeof *usages };
    tbus_charge_t charge = {.total = {42, 0}};

    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(tbus_cost_record_usage(cost, &usages[i], &charge), UV_EINVAL);
        cr_assert_eq(tbus_cost_price(cost, &usages[i], &charge), UV_EINVAL);
    }
    cr_assert_eq(charge.total.low, 42);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->refused_usages, COUNT);
    cr_assert_eq(snapshot->total.requests, 0);
    cr_assert_eq(snapshot->by_model_count, 0);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* semantics: cost.refused */
Test(cost, counts_above_the_cap_are_refused_and_counted_for_themselves)
{
    tbus_cost_t *cost = opened(NULL);
    const int64_t over = TBUS_USAGE_COUNT_MAX + 1;
    const tbus_usage_t usages[] = {
        {.model = "gpt-4", .prompt_tokens = over},       {.model = "gpt-4", .completion_tokens = INT64_MAX},
        {.model = "gpt-4", .cached_tokens = over},       {.model = "gpt-4", .cache_write_tokens = over},
        {.model = "gpt-4", .reasoning_tokens = over},    {.model = "gpt-4", .audio_input_tokens = over},
        {.model = "gpt-4", .audio_output_tokens = over}, {.model = "gpt-4", .images = over},
        {.model = "gpt-4", .characters = over},
    };
    enum { COUNT = sizeof usages / sizeof *usages };
    tbus_charge_t charge = {.total = {42, 0}};

    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(tbus_cost_record_usage(cost, &usages[i], &charge), UV_ERANGE, "%zu", i);
        cr_assert_eq(tbus_cost_price(cost, &usages[i], &charge), UV_ERANGE);
    }
    cr_assert_eq(charge.total.low, 42);
    const tbus_usage_t most = {.model = "gpt-4",
                               .prompt_tokens = TBUS_USAGE_COUNT_MAX,
                               .completion_tokens = TBUS_USAGE_COUNT_MAX,
                               .cached_tokens = TBUS_USAGE_COUNT_MAX,
                               .reasoning_tokens = TBUS_USAGE_COUNT_MAX};
    cr_assert_eq(tbus_cost_record_usage(cost, &most, NULL), 0);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->refused_usages, COUNT);
    cr_assert_eq(snapshot->absurd_usages, COUNT);
    cr_assert_eq(snapshot->total.requests, 1);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* Records a usage until it is refused; gives how often it was accepted. */
static uint64_t record_until_refused(tbus_cost_t *cost, const tbus_usage_t *usage, uint64_t most)
{
    uint64_t accepted = 0;
    int error;
    while ((error = tbus_cost_record_usage(cost, usage, NULL)) == 0 && accepted < most)
        accepted++;
    cr_assert_eq(error, UV_EOVERFLOW);
    return accepted;
}

/* semantics: cost.refused */
Test(cost, an_amount_that_would_overflow_the_sums_adds_nothing)
{
    tbus_price_t price = tbus_price_none();
    price.input = price.output = price.cached_input = price.cache_write = price.image = price.character = INT64_MAX;
    price.input_excludes_cached = true;
    tbus_prices_t *prices = prices_with(price);
    tbus_cost_t *cost = opened_with(prices);
    const int64_t most = TBUS_USAGE_COUNT_MAX;
    const tbus_usage_t usage = {.api_key = "k",
                                .model = "m",
                                .prompt_tokens = most,
                                .completion_tokens = most,
                                .cached_tokens = most,
                                .cache_write_tokens = most,
                                .images = most,
                                .characters = most};
    const int128_t each = (int128_t)6 * INT64_MAX * most;
    const uint64_t fit = (uint64_t)(MONEY_MAX / each);

    cr_assert_eq(record_until_refused(cost, &usage, fit), fit);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, fit);
    cr_assert_eq(snapshot->refused_usages, 1);
    cr_assert(money_value(snapshot->total.usd) == (int128_t)fit * each);
    cr_assert_eq(snapshot->by_key[0].requests, fit);
    cr_assert(money_value(snapshot->by_key[0].usd) == money_value(snapshot->total.usd));
    cr_assert(money_value(snapshot->projected_monthly) == MONEY_MAX, "a forecast that does not fit is the most");
    tbus_cost_snapshot_free(snapshot);
    cr_assert_eq(tbus_cost_record_usage(cost, &(tbus_usage_t){.model = "m"}, NULL), 0, "smaller ones still fit");
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

Test(cost, counts_of_tokens_do_not_wrap)
{
    tbus_prices_t *prices = prices_with((tbus_price_t){0}); /* free of charge */
    tbus_cost_t *cost = opened_with(prices);
    const tbus_usage_t usage = {.model = "m", .prompt_tokens = TBUS_USAGE_COUNT_MAX};
    const uint64_t half = (UINT64_C(1) << 63) / TBUS_USAGE_COUNT_MAX + 1; /* sums stop there */

    cr_assert_eq(record_until_refused(cost, &usage, half), half);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.prompt_tokens, half * TBUS_USAGE_COUNT_MAX);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

Test(cost, hostile_strings)
{
    enum { LENGTH = 10 * 1000 * 1000 };
    char *text = malloc(LENGTH + 1);
    cr_assert_not_null(text);
    memset(text, '\xff', LENGTH);
    text[LENGTH] = '\0';
    const char *const strings[] = {NULL, "", text, text + 1, "\xc3\x28", "a\nb\"c", "other", "%s%n"};

    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_cost_t *cost = opened(NULL);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        recorded(cost, (tbus_usage_t){strings[i], strings[i], strings[i], strings[i], strings[i], .images = 1,
                                      .image_size = strings[i], .image_quality = strings[i]});
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 8);
    cr_assert_eq(snapshot->by_user_count, 7); /* NULL and "" are one */
    cr_assert_lt(oom.bytes_peak, 1000000);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    oom_remove();
    cr_assert_eq(oom.live, 0);
    free(text);
}

/* --- Memory --- */

static int record_much(struct oom *oom)
{
    tbus_cost_t *cost = NULL;
    tbus_cost_snapshot_t *snapshot = NULL;
    uint64_t recorded_requests = 0;
    int told = 0;

    oom_arm(oom);
    int error = tbus_cost_open(NULL, &cost);
    for (int i = 0; !error && i < 40; i++) { /* more than the tables hold at first */
        char name[16];
        snprintf(name, sizeof name, "name-%d", i);
        tbus_usage_t usage = {name, name, name, i % 2 ? name : "gpt-4", name, .prompt_tokens = 1};
        int failed = tbus_cost_record_usage(cost, &usage, NULL);
        told = failed ? failed : told;
        recorded_requests++;
    }
    if (!error)
        error = tbus_cost_snapshot(cost, &snapshot);
    if (snapshot) {
        uint64_t requests = 0;
        for (size_t i = 0; i < snapshot->by_user_count; i++)
            requests += snapshot->by_user[i].requests;
        cr_assert_eq(snapshot->total.requests, recorded_requests);
        cr_assert_eq(requests, recorded_requests);
    }
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    return error ? error : told;
}

Test(cost, every_allocation_may_fail)
{
    cr_assert_gt(oom_try_each(record_much), 20);
}

Test(cost, known_names_are_recorded_without_an_allocation)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t usage = {"a-key-of-somebody", "user", "project", "gpt-4o", "/v1/chat", .prompt_tokens = 1};
    recorded(cost, usage);
    long calls = oom.calls;
    for (int i = 0; i < 1000; i++)
        recorded(cost, usage);
    cr_assert_eq(oom.calls, calls);
    tbus_cost_close(cost);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

Test(cost, memory_for_each_name_is_bounded)
{
    enum { NAMES = 2000 };
    struct oom oom = {.fail_at = -1};
    char name[300], number[16];

    memset(name, 'n', sizeof name);
    oom_install(&oom);
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = NAMES, .models_max = NAMES});
    for (int i = 0; i < 10 * NAMES; i++) {
        snprintf(number, sizeof number, "%09d", i);
        memcpy(name + sizeof name - 10, number, 10);
        tbus_usage_t usage = {name, name, name, name, name, .prompt_tokens = 1};
        cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
        usage.batch = true; /* a model is in three tables then */
        cr_assert_eq(tbus_cost_record_usage(cost, &usage, NULL), 0);
    }
    fprintf(stderr, "bytes for a name: %zu\n", oom.bytes_live / (5 * NAMES));
    cr_assert_lt(oom.bytes_live, (size_t)NAMES * (4 * 500 + 1200));
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->by_model_count, NAMES + 1);
    cr_assert_eq(row_of(snapshot->by_key, snapshot->by_key_count, "other")->requests, 2 * 9 * NAMES);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

/* --- Exactness --- */

static int128_t usd_of_all(const tbus_cost_sum_t *rows, size_t count, uint64_t *ret_requests)
{
    int128_t usd = 0;
    *ret_requests = 0;
    for (size_t i = 0; i < count; i++) {
        usd += money_value(rows[i].usd);
        *ret_requests += rows[i].requests;
        if (i > 0)
            cr_assert_geq(tbus_money_compare(rows[i - 1].usd, rows[i].usd), 0);
    }
    return usd;
}

static const char *random_name(uint64_t *seed, uint64_t names, const char *prefix, char name[32])
{
    uint64_t number = oracle_random(seed) % (names + 1);
    snprintf(name, 32, "%s-%llu", prefix, (unsigned long long)number);
    return number == names ? NULL : name;
}

/* semantics: cost.sums */
Test(cost, every_list_adds_up_to_the_sum_of_the_charges)
{
    enum { USAGES = 100000 };
    static const char *const models[] = {"gpt-4",    "gpt-4o",      "gpt-4o-mini", "o1",    "openai/gpt-3.5-turbo-0125",
                                         "dall-e-3", "ft:gpt-4o:x", "tts-1",       "what?", NULL};
    uint64_t seed = oracle_seed("cost"), flagged = 0, requests;
    int128_t total = 0, cache_savings = 0, batch_savings = 0;
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.keys_max = 100, .models_max = 6});

    for (int i = 0; i < USAGES; i++) {
        char key[32], user[32], project[32], endpoint[32];
        tbus_charge_t charge;
        tbus_usage_t usage = {.api_key = random_name(&seed, 200, "sk-a-long-key", key),
                              .user_id = random_name(&seed, 90, "user", user),
                              .project_id = random_name(&seed, 20, "project", project),
                              .endpoint = random_name(&seed, 9, "/v1/endpoint", endpoint),
                              .model = models[oracle_random(&seed) % 10],
                              .prompt_tokens = (int64_t)(oracle_random(&seed) % 100000),
                              .cached_tokens = (int64_t)(oracle_random(&seed) % 100000),
                              .completion_tokens = (int64_t)(oracle_random(&seed) % 5000),
                              .images = (int64_t)(oracle_random(&seed) % 3),
                              .batch = oracle_random(&seed) % 4 == 0};
        cr_assert_eq(tbus_cost_record_usage(cost, &usage, &charge), 0);
        total += money_value(charge.total);
        cache_savings += money_value(charge.cache_savings);
        batch_savings += money_value(charge.batch_savings);
        flagged += charge.unknown_model;
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert(total > 0);
    cr_assert(money_value(snapshot->total.usd) == total);
    cr_assert(money_value(snapshot->cache_savings) == cache_savings);
    cr_assert(money_value(snapshot->batch_savings) == batch_savings);
    cr_assert_eq(snapshot->total.requests, USAGES);
    cr_assert_eq(snapshot->total.unpriced_requests, flagged);
    cr_assert_eq(snapshot->by_key_count, 102);
    cr_assert_eq(snapshot->by_user_count, 91);
    cr_assert(usd_of_all(snapshot->by_key, snapshot->by_key_count, &requests) == total && requests == USAGES);
    cr_assert(usd_of_all(snapshot->by_user, snapshot->by_user_count, &requests) == total && requests == USAGES);
    cr_assert(usd_of_all(snapshot->by_project, snapshot->by_project_count, &requests) == total && requests == USAGES);
    cr_assert(usd_of_all(snapshot->by_model, snapshot->by_model_count, &requests) == total && requests == USAGES);
    cr_assert(usd_of_all(snapshot->by_endpoint, snapshot->by_endpoint_count, &requests) == total && requests == USAGES);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* --- Threads --- */

enum { THREADS = 4, THREAD_USAGES = 5000 };

static void record_many(void *cost)
{
    for (int i = 0; i < THREAD_USAGES; i++) {
        char name[32];
        snprintf(name, sizeof name, "name-%d", i % 300);
        tbus_usage_t usage = {name, name, name, "gpt-4o", name, .prompt_tokens = 1};
        if (tbus_cost_record_usage(cost, &usage, NULL) != 0)
            return;
    }
}

/* All usages are of one hour: its sums are those for ever, at whatever moment. */
static void look_at_the_rest(tbus_cost_t *cost)
{
    tbus_cost_period_t *period;
    tbus_cost_records_t *records;
    tbus_suggestions_t *suggestions;
    tbus_cost_forecast_t forecast;
    uint64_t requests;

    cr_assert_eq(tbus_cost_period(cost, 0, 1, &period), 0);
    cr_assert(usd_of_all(period->by_user, period->by_user_count, &requests) == money_value(period->total.usd));
    cr_assert_eq(requests, period->total.requests);
    cr_assert_eq(tbus_cost_records(cost, 0, &records), 0);
    cr_assert_leq(records->count, 1000);
    cr_assert_eq(tbus_cost_suggestions(cost, 0, &suggestions), 0);
    cr_assert_eq(tbus_cost_forecast(cost, 0, &forecast), 0);
    cr_assert_geq(tbus_money_compare(forecast.observed, period->total.usd), 0);
    tbus_cost_period_free(period);
    tbus_cost_records_free(records);
    tbus_suggestions_free(suggestions);
}

Test(cost, threads_record_and_look_at_once)
{
    tbus_cost_t *cost = opened(NULL);
    uv_thread_t threads[THREADS];
    uint64_t seen = 0;

    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(uv_thread_create(&threads[i], record_many, cost), 0);
    for (int i = 0; i < 50; i++) {
        tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
        uint64_t requests;
        cr_assert_geq(snapshot->total.requests, seen);
        seen = snapshot->total.requests;
        cr_assert(usd_of_all(snapshot->by_user, snapshot->by_user_count, &requests) ==
                  money_value(snapshot->total.usd));
        cr_assert_eq(requests, seen);
        tbus_cost_snapshot_free(snapshot);
        look_at_the_rest(cost);
    }
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, THREADS * THREAD_USAGES);
    cr_assert(is_usd(snapshot->total.usd, "0.1"));
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}
