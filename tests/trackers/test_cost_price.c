#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"
#include "tests/trackers/cost_fixture.h"

Test(cost_price, the_formula)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_charge_t charge = recorded(
        cost, (tbus_usage_t){.model = "gpt-4o", .prompt_tokens = 1000, .cached_tokens = 400, .completion_tokens = 200});
    /* 600 * 5 + 400 * 2.50, and 200 * 15, per million */
    cr_assert(is_usd(charge.input, "0.004"));
    cr_assert(is_usd(charge.output, "0.003"));
    cr_assert(is_usd(charge.total, "0.007"));
    cr_assert(is_usd(charge.cache_savings, "0.001"));
    cr_assert(is_usd(charge.batch_savings, "0"));
    cr_assert_not(charge.unknown_model);

    charge = recorded(cost, (tbus_usage_t){.model = "gpt-4", .prompt_tokens = 10, .cached_tokens = 10});
    cr_assert(is_usd(charge.total, "0.0003"), "without a cached price cached tokens cost the input price");
    cr_assert(is_usd(charge.cache_savings, "0"));

    charge = recorded(cost, (tbus_usage_t){.model = "text-embedding-3-small", .prompt_tokens = 1});
    cr_assert(is_usd(charge.total, "0.00000002"));
    charge = recorded(cost, (tbus_usage_t){.model = "ft:gpt-4o-mini-2024-07-18:acme::9x",
                                           .prompt_tokens = 1000000,
                                           .completion_tokens = 1000000});
    cr_assert(is_usd(charge.total, "1.5"));
    charge = recorded(cost, (tbus_usage_t){.model = "gpt-4o"});
    cr_assert(is_usd(charge.total, "0"));
    cr_assert_not(charge.unknown_model);
    tbus_cost_close(cost);
}

Test(cost_price, a_tier_begins_above_its_number_of_tokens_and_counts_for_the_whole_request)
{
    tbus_price_t price = tbus_price_none();
    price.input = price.output = price.cached_input = 1000000;
    price.tiers[0].above_tokens = 200000;
    price.tiers[0].input = price.tiers[0].output = 2000000;
    price.tiers[0].cached_input = 0;
    tbus_prices_t *prices = prices_with(price);
    tbus_cost_t *cost = opened_with(prices);
    tbus_usage_t usage = {.model = "m", .prompt_tokens = 200000, .cached_tokens = 100000, .completion_tokens = 1000000};
    cr_assert(is_usd(recorded(cost, usage).total, "1.2"), "as many are still below it");
    usage.prompt_tokens++; /* the cached ones included */
    cr_assert(is_usd(recorded(cost, usage).total, "2.200002"));
    usage.batch = true;
    cr_assert(is_usd(recorded(cost, usage).total, "1.100001"), "half of the tier's");
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

Test(cost_price, images_and_characters_are_output)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_charge_t charge = recorded(
        cost, (tbus_usage_t){.model = "dall-e-3", .images = 3, .image_size = "1024x1792", .image_quality = "hd"});
    cr_assert(is_usd(charge.output, "0.36"));
    cr_assert(is_usd(charge.input, "0"));
    charge = recorded(cost, (tbus_usage_t){.model = "dall-e-3", .images = 1, .image_size = "1024x1024"});
    cr_assert(is_usd(charge.total, "0.04"));
    charge = recorded(cost, (tbus_usage_t){.model = "tts-1-hd", .characters = 1000});
    cr_assert(is_usd(charge.output, "0.03"));
    cr_assert_not(charge.unknown_model);
    tbus_cost_close(cost);
}

Test(cost_price, what_has_no_price_is_flagged_and_not_silently_free)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_charge_t charge = recorded(cost, (tbus_usage_t){.model = "gpt-4o", .prompt_tokens = 1000, .images = 1});
    cr_assert(is_usd(charge.total, "0.005"));
    cr_assert(charge.unknown_model, "gpt-4o has no image price");
    charge = recorded(cost, (tbus_usage_t){.model = "dall-e-3", .images = 1, .image_size = "7x7"});
    cr_assert(charge.unknown_model);
    charge = recorded(cost, (tbus_usage_t){.model = "gpt-4o", .characters = 1});
    cr_assert(charge.unknown_model);
    /* The prompt of an image is not sold by the token. */
    charge =
        recorded(cost, (tbus_usage_t){.model = "dall-e-2", .prompt_tokens = 9, .images = 1, .image_size = "256x256"});
    cr_assert(is_usd(charge.total, "0.016"));
    cr_assert_not(charge.unknown_model);

    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.unpriced_requests, 3);
    cr_assert_eq(row_of(snapshot->by_model, snapshot->by_model_count, "gpt-4o")->unpriced_requests, 2);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

/* semantics: cost.savings */
Test(cost_price, batch_requests_pay_the_batch_price_or_half)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_usage_t usage = {
        .model = "gpt-4o", .prompt_tokens = 1000, .cached_tokens = 400, .completion_tokens = 200, .batch = true};
    tbus_charge_t charge = recorded(cost, usage);
    cr_assert(is_usd(charge.total, "0.0035"));
    cr_assert(is_usd(charge.batch_savings, "0.0035"));
    cr_assert(is_usd(charge.cache_savings, "0.0005"));
    charge = recorded(cost, (tbus_usage_t){.model = "dall-e-2", .images = 1, .image_size = "256x256", .batch = true});
    cr_assert(is_usd(charge.total, "0.008"));
    tbus_cost_close(cost);

    tbus_price_t price = tbus_price_none();
    price.input = 7, price.output = 9, price.batch_input = 5, price.cached_input = 3;
    tbus_prices_t *prices = prices_with(price);
    cost = opened_with(prices);
    usage =
        (tbus_usage_t){.model = "m", .prompt_tokens = 10, .cached_tokens = 3, .completion_tokens = 3, .batch = true};
    charge = recorded(cost, usage);
    cr_assert(money_value(charge.input) == 7 * 5 + 5, "half of 9 is rounded up");
    cr_assert(money_value(charge.output) == 14, "half of 27 is rounded up");
    cr_assert(money_value(charge.batch_savings) == (49 + 9 + 27) - (40 + 14));
    cr_assert(money_value(charge.cache_savings) == 3 * 5 - 5);
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

/* Both ways of counting, of the same request: 1000 tokens of prompt, 600 of them read from the cache, 300 written. */
/* semantics: cost.charge */
Test(cost_price, cached_tokens_are_paid_once_whether_input_includes_them_or_not)
{
    tbus_price_t price = tbus_price_none();
    price.input = 100, price.output = 500, price.cached_input = 10, price.cache_write = 125;
    tbus_usage_t usage = {.model = "m", .prompt_tokens = 1000, .cached_tokens = 600, .cache_write_tokens = 300};

    tbus_prices_t *includes = prices_with(price);
    tbus_cost_t *cost = opened_with(includes);
    tbus_charge_t charge = recorded(cost, usage);
    cr_assert(money_value(charge.total) == 100 * 100 + 600 * 10 + 300 * 125);
    cr_assert(money_value(charge.cache_savings) == 600 * 90);
    tbus_cost_close(cost);

    price.input_excludes_cached = true;
    tbus_prices_t *excludes = prices_with(price);
    cost = opened_with(excludes);
    usage.prompt_tokens = 100;
    charge = recorded(cost, usage);
    cr_assert(money_value(charge.total) == 100 * 100 + 600 * 10 + 300 * 125);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->cut_cached_tokens, 0);
    cr_assert_eq(snapshot->total.cached_tokens, 600);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    tbus_prices_close(includes);
    tbus_prices_close(excludes);
}

/* semantics: cost.refused */
Test(cost_price, more_cached_tokens_than_prompt_are_cut_and_counted)
{
    tbus_price_t price = tbus_price_none();
    price.input = 100, price.cached_input = 10, price.cache_write = 125;
    tbus_prices_t *prices = prices_with(price);
    tbus_cost_t *cost = opened_with(prices);

    tbus_charge_t charge = recorded(cost, (tbus_usage_t){.model = "m", .prompt_tokens = 10, .cached_tokens = 11});
    cr_assert(money_value(charge.total) == 10 * 10);
    charge =
        recorded(cost, (tbus_usage_t){.model = "m", .prompt_tokens = 10, .cached_tokens = 8, .cache_write_tokens = 5});
    cr_assert(money_value(charge.total) == 8 * 10 + 2 * 125);
    charge =
        recorded(cost, (tbus_usage_t){.model = "m", .prompt_tokens = 10, .cached_tokens = 8, .cache_write_tokens = 2});
    cr_assert(money_value(charge.total) == 8 * 10 + 2 * 125);
    charge =
        recorded(cost, (tbus_usage_t){.model = "m", .cached_tokens = TBUS_USAGE_COUNT_MAX, .cache_write_tokens = 1});
    cr_assert(money_value(charge.total) == 0);

    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->cut_cached_tokens, 3);
    cr_assert_eq(snapshot->total.cached_tokens, 10 + 8 + 8);
    cr_assert_eq(snapshot->total.prompt_tokens, 30);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    tbus_prices_close(prices);
}

/* semantics: cost.unpriced */
Test(cost_price, unknown_models_are_priced_as_the_options_say)
{
    const tbus_usage_t usage = {.model = "no-such-model", .prompt_tokens = 1000, .completion_tokens = 1000};
    static const struct {
        tbus_cost_options_t options;
        const char *usd;
    } cases[] = {
        {{0}, "0.002"}, /* as gpt-3.5-turbo */
        {{.fallback_model = "openai/gpt-4"}, "0.09"},
        {{.unknown_model = TBUS_UNKNOWN_UNPRICED}, "0"},
        {{.unknown_model = TBUS_UNKNOWN_UNPRICED, .fallback_model = "nor this"}, "0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tbus_cost_t *cost = opened(&cases[i].options);
        tbus_usage_t nameless = usage;
        nameless.model = NULL;
        for (int again = 0; again < 2; again++) {
            tbus_charge_t charge = recorded(cost, usage);
            cr_assert(is_usd(charge.total, cases[i].usd), "case %zu", i);
            cr_assert(charge.unknown_model);
            cr_assert(is_usd(recorded(cost, nameless).total, cases[i].usd), "case %zu", i);
        }
        cr_assert_not(recorded(cost, (tbus_usage_t){.model = "gpt-4o", .prompt_tokens = 1}).unknown_model);
        tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
        cr_assert_eq(snapshot->total.unpriced_requests, 4);
        cr_assert_eq(snapshot->by_model_count, 3);
        cr_assert_eq(row_of(snapshot->by_model, 3, "no-such-model")->unpriced_requests, 2);
        cr_assert_eq(row_of(snapshot->by_model, 3, "")->unpriced_requests, 2);
        cr_assert_eq(row_of(snapshot->by_model, 3, "gpt-4o")->unpriced_requests, 0);
        tbus_cost_snapshot_free(snapshot);
        tbus_cost_close(cost);
    }
}

Test(cost_price, tokens_of_an_unpriced_model_stand_side_by_side_where_the_prompt_can_not_hold_them)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.unknown_model = TBUS_UNKNOWN_UNPRICED});
    tbus_usage_t usage = {.model = "no-such-model", .prompt_tokens = 100, .cached_tokens = 60};
    usage.cache_write_tokens = 40;
    tbus_charge_t charge = recorded(cost, usage);
    cr_assert_eq(charge.input_tokens, 0);
    usage.cache_write_tokens = 41;
    charge = recorded(cost, usage);
    cr_assert_eq(charge.input_tokens, 100);
    cr_assert_eq(charge.cache_read_tokens, 60);
    cr_assert_eq(charge.cache_write_tokens, 41);
    tbus_cost_close(cost);
}

/* --- Against Python's decimal --- */

/* Up to the largest that is accepted, around the tiers now and then. */
static int64_t random_count(uint64_t *seed)
{
    uint64_t kind = oracle_random(seed);
    if (kind >> 62 == 0)
        return 0;
    if (kind >> 56 == 0xff)
        return (int64_t)(oracle_random(seed) % (TBUS_USAGE_COUNT_MAX + 1));
    return (int64_t)(oracle_random(seed) % 5000);
}

static tbus_usage_t random_usage(uint64_t *seed)
{
    return (tbus_usage_t){.model = "m",
                          .prompt_tokens = random_count(seed),
                          .completion_tokens = random_count(seed),
                          .cached_tokens = random_count(seed),
                          .cache_write_tokens = random_count(seed),
                          .reasoning_tokens = random_count(seed) / 2,
                          .audio_input_tokens = random_count(seed) / 2,
                          .audio_output_tokens = random_count(seed) / 2,
                          .images = random_count(seed),
                          .characters = random_count(seed),
                          .batch = oracle_random(seed) % 2 == 0};
}

enum { PRICES = offsetof(tbus_price_t, tiers) / sizeof(int64_t), TIER = sizeof(tbus_price_tier_t) / sizeof(int64_t) };

/* All its numbers, in the order that the script knows them by. */
static void numbers_of(tbus_price_t *price, int64_t *units[PRICES + TBUS_PRICE_TIERS * TIER])
{
    for (int i = 0; i < PRICES + TBUS_PRICE_TIERS * TIER; i++)
        units[i] = (int64_t *)price + i;
}

/* Each price missing in a third of the cases; now and then only those of images, characters and requests are there. */
static tbus_price_t random_price(uint64_t *seed)
{
    tbus_price_t price = tbus_price_none();
    int64_t *units[PRICES + TBUS_PRICE_TIERS * TIER];
    bool no_tokens = oracle_random(seed) % 8 == 0;

    numbers_of(&price, units);
    for (int i = 0; i < PRICES + TBUS_PRICE_TIERS * TIER; i++) {
        uint64_t kind = oracle_random(seed);
        bool is_threshold = i >= PRICES && (i - PRICES) % TIER == 0;
        bool of_tokens = i < 6 || (i >= 8 && i < 11) || i >= PRICES;
        if (is_threshold)
            *units[i] = kind % 2 == 0 ? 0 : (int64_t)(kind >> 8) % 9000;
        else if (kind % 3 != 0 && !(no_tokens && of_tokens))
            *units[i] = (int64_t)(oracle_random(seed) >> 1 >> (kind >> 8) % 63);
    }
    price.input_excludes_cached = oracle_random(seed) % 2 == 0;
    return price;
}

static void write_amount(FILE *cases, tbus_money_t amount)
{
    uint128_t left = money_magnitude(money_value(amount));
    char digits[48];
    int at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(left % 10));
    } while ((left /= 10) != 0);
    fprintf(cases, " %s%s", amount.high < 0 ? "-" : "", digits + at);
}

static void write_case(FILE *cases, const tbus_price_t *price, const tbus_usage_t *usage, const tbus_charge_t *charge)
{
    tbus_price_t copy = *price;
    int64_t *units[PRICES + TBUS_PRICE_TIERS * TIER];
    const int64_t numbers[] = {price->input_excludes_cached,
                               usage->prompt_tokens,
                               usage->completion_tokens,
                               usage->cached_tokens,
                               usage->cache_write_tokens,
                               usage->reasoning_tokens,
                               usage->audio_input_tokens,
                               usage->audio_output_tokens,
                               usage->images,
                               usage->characters,
                               usage->batch};
    const tbus_money_t amounts[] = {charge->input, charge->output, charge->total, charge->cache_savings,
                                    charge->batch_savings};
    const int64_t tokens[] = {charge->input_tokens, charge->cache_read_tokens, charge->cache_write_tokens,
                              charge->output_tokens, charge->reasoning_tokens};
    numbers_of(&copy, units);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        fprintf(cases, "%lld ", (long long)*units[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        fprintf(cases, "%lld ", (long long)numbers[i]);
    fprintf(cases, "=");
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++)
        write_amount(cases, amounts[i]);
    fprintf(cases, " %d", charge->unknown_model);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        fprintf(cases, " %lld", (long long)tokens[i]);
    fputc('\n', cases);
}

/* semantics: cost.charge */
Test(cost_price, charges_agree_with_decimal_arithmetic_to_the_last_digit)
{
    uint64_t seed = oracle_seed("cost");
    struct oracle oracle;

    oracle_open(&oracle);
    for (int i = 0; i < 500; i++) {
        tbus_price_t price = random_price(&seed);
        tbus_prices_t *prices = prices_with(price);
        tbus_cost_t *cost = opened_with(prices);
        for (int j = 0; j < 20; j++) {
            tbus_usage_t usage = random_usage(&seed);
            tbus_charge_t charge = {0};
            cr_assert_eq(tbus_cost_price(cost, &usage, &charge), 0);
            write_case(oracle.cases, &price, &usage, &charge);
            oracle.lines++;
        }
        tbus_cost_close(cost);
        tbus_prices_close(prices);
    }
    oracle_check(&oracle, "tests/trackers/cost_oracle.py", "");
}
