#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/prices.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "trackers/prices.h"

static tbus_prices_t *opened(bool with_builtin)
{
    tbus_prices_t *prices;
    cr_assert_eq(tbus_prices_open(with_builtin, &prices), 0);
    return prices;
}

static void set_input(tbus_prices_t *prices, const char *model, int64_t input)
{
    tbus_price_t price = tbus_price_none();
    price.input = input;
    cr_assert_eq(tbus_prices_set(prices, model, &price), 0, "%s", model);
}

/* The input price that a name resolves to, or -2 when it resolves to nothing. */
static int64_t input_of(const tbus_prices_t *prices, const char *model)
{
    const tbus_price_t *price = tbus_prices_find(prices, model);
    return price ? price->input : -2;
}

Test(prices, the_built_in_prices_are_the_documented_ones)
{
    static const struct {
        const char *model, *input, *output, *cached; /* USD per million */
    } cases[] = {
        {"gpt-4", "30", "60", NULL},
        {"gpt-4-32k", "60", "120", NULL},
        {"gpt-4-turbo", "10", "30", NULL},
        {"gpt-4o", "5", "15", "2.50"},
        {"gpt-4o-2024-08-06", "2.50", "10", "1.25"},
        {"gpt-4o-mini", "0.15", "0.60", "0.075"},
        {"gpt-3.5-turbo", "0.50", "1.50", NULL},
        {"o1", "15", "60", NULL},
        {"o1-mini", "3", "12", NULL},
        {"text-embedding-3-small", "0.02", "0", NULL},
        {"text-embedding-3-large", "0.13", "0", NULL},
        {"text-embedding-ada-002", "0.10", "0", NULL},
        {"ft:gpt-4o-2024-08-06", "3.75", "15", NULL},
        {"ft:gpt-4o-mini-2024-07-18", "0.30", "1.20", NULL},
        {"ft:gpt-3.5-turbo", "3", "6", NULL},
    };
    tbus_prices_t *prices = opened(true);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tbus_price_t *price = tbus_prices_find(prices, cases[i].model);
        const char *const texts[] = {cases[i].input, cases[i].output, cases[i].cached};
        cr_assert_not_null(price, "%s", cases[i].model);
        const int64_t found[] = {price->input, price->output, price->cached_input};
        for (int j = 0; j < 3; j++) {
            tbus_money_t usd = tbus_money_units(0);
            cr_assert_eq(texts[j] ? tbus_money_parse(texts[j], &usd) : 0, 0);
            cr_assert_eq(found[j], texts[j] ? (int64_t)usd.low / 1000000 : TBUS_PRICE_NONE, "%s %d", cases[i].model, j);
        }
        cr_assert_eq(price->batch_input, TBUS_PRICE_NONE);
        cr_assert_eq(price->cache_write, TBUS_PRICE_NONE);
        cr_assert_not(price->input_excludes_cached);
    }
    cr_assert_eq(tbus_prices_find(prices, "tts-1")->character, 15000000);
    cr_assert_eq(tbus_prices_find(prices, "tts-1-hd")->character, 30000000);
    cr_assert_eq(tbus_prices_find(prices, "whisper-1")->character, 6000000);
    cr_assert_eq(tbus_prices_count(prices), 15 + 2 + 3);
    tbus_prices_close(prices);
}

Test(prices, images_are_found_by_size_and_quality)
{
    static const struct {
        const char *model, *size, *quality;
        int64_t milli_usd; /* -1 = none */
    } cases[] = {
        {"dall-e-3", "1024x1024", "standard", 40},
        {"dall-e-3", "1024x1024", "hd", 80},
        {"dall-e-3", "1024x1792", "standard", 80},
        {"dall-e-3", "1792x1024", "hd", 120},
        {"dall-e-3", "1792x1024", NULL, 80},
        {"dall-e-3", "1792x1024", "", 80},
        {"openai/dall-e-3", "1024x1792", "hd", 120},
        {"dall-e-3", "1024x1024", "ultra", -1},
        {"dall-e-3", "64x64", "hd", -1},
        {"dall-e-3", NULL, NULL, -1},
        {"dall-e-2", "1024x1024", NULL, 20},
        {"dall-e-2", "512x512", "standard", 18},
        {"dall-e-2", "256x256", "hd", 16},
        {"gpt-4o", "1024x1024", NULL, -1},
        {"no-such-model", "1024x1024", NULL, -1},
        {NULL, NULL, NULL, -1},
    };
    tbus_prices_t *prices = opened(true);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t expected = cases[i].milli_usd < 0 ? TBUS_PRICE_NONE : PRICES_MILLI_USD(cases[i].milli_usd);
        cr_assert_eq(tbus_prices_find_image(prices, cases[i].model, cases[i].size, cases[i].quality), expected,
                     "case %zu", i);
    }

    cr_assert_eq(tbus_prices_set_image(prices, "dall-e-3", NULL, "ultra", 7), 0);
    cr_assert_eq(tbus_prices_find_image(prices, "dall-e-3", "64x64", "ultra"), 7);
    cr_assert_eq(tbus_prices_set_image(prices, "dall-e-3", NULL, NULL, 5), 0);
    cr_assert_eq(tbus_prices_find_image(prices, "dall-e-3", "64x64", "hd"), 5);
    cr_assert_eq(tbus_prices_find(prices, "dall-e-3")->image, 5);
    cr_assert_eq(tbus_prices_set_image(prices, "dall-e-3", "1024x1024", "hd", 0), 0);
    cr_assert_eq(tbus_prices_find_image(prices, "dall-e-3", "1024x1024", "hd"), 0);
    cr_assert_eq(tbus_prices_set_image(prices, "dall-e-3", "1024x1024", "hd", TBUS_PRICE_NONE), 0);
    cr_assert_eq(tbus_prices_find_image(prices, "dall-e-3", "1024x1024", "hd"), 5);
    tbus_prices_close(prices);
}

Test(prices, a_model_is_resolved_by_name_then_prefix_then_date_then_fine_tuning)
{
    static const struct {
        const char *asked, *found; /* NULL = nothing */
    } cases[] = {
        {"m", "m"},
        {"openai/m", "m"},
        {"openrouter/openai/m", "m"},
        {"azure/own", "azure/own"},
        {"gateway/azure/own", "azure/own"},
        {"m-2024-05-13", "m"},
        {"m-20240229", "m"},
        {"m-0613", "m"},
        {"m-2023-11-06", "m-2023-11-06"},
        {"openai/m-2024-05-13", "m"},
        {"a/b/c/m-20240229", "m"},
        {"azure/own-2024-05-13", "azure/own"},
        {"openai/m-2023-11-06", "m-2023-11-06"},
        {"ft:m:org:name:id", "ft:m"},
        {"ft:m", "ft:m"},
        {"ft:m:", "ft:m"},
        {"ft:m-2024-05-13:org::id", "ft:m"},
        {"ft:m-2024-05-13", "ft:m"},
        {"ft:m-0613:org::id", "ft:m"},
        {"openai/ft:m:org::id", "ft:m"},
        {"gateway/openai/ft:m-20240229:org::id", "ft:m"},
        {"ft:m-2023-11-06:org::id", "ft:m-2023-11-06"},
        {"ft:m:org/team:id", "ft:m"},
        {"ft:other:org::id", NULL}, /* not the price of the model that it was made from */
        {"ft:other:org/m", NULL},
        {"ft::m", NULL},
        {"ft:", NULL},
        {"m-2024-13-01", NULL},
        {"m-2024-00-01", NULL},
        {"m-2024-05-32", NULL},
        {"m-1024-05-13", NULL},
        {"m-20241301", NULL},
        {"m-4096", NULL},
        {"m-1024", NULL},
        {"m-2402", NULL},
        {"m-613", NULL},
        {"m-2024-5-13", NULL},
        {"m-2024-05-13-preview", NULL},
        {"-2024-05-13", NULL},
        {"m2024-05-13", NULL},
        {"m/", NULL},
        {"/m", "m"},
        {"//m", "m"},
        {"M", NULL},
        {"/", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    static const char *const names[] = {"m", "m-2023-11-06", "azure/own", "ft:m", "ft:m-2023-11-06", "other"};
    tbus_prices_t *prices = opened(false);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        set_input(prices, names[i], (int64_t)i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t expected = -2;
        for (size_t j = 0; cases[i].found && j < sizeof names / sizeof *names; j++) {
            if (strcmp(names[j], cases[i].found) == 0)
                expected = (int64_t)j;
        }
        cr_assert(!cases[i].found || expected >= 0);
        cr_assert_eq(input_of(prices, cases[i].asked), expected, "%s", cases[i].asked ? cases[i].asked : "NULL");
    }
    tbus_prices_close(prices);
}

Test(prices, real_names_find_the_built_in_prices)
{
    tbus_prices_t *prices = opened(true);
    cr_assert_eq(input_of(prices, "gpt-4o-2024-05-13"), 5000000);
    cr_assert_eq(input_of(prices, "openai/gpt-4o-2024-08-06"), 2500000);
    cr_assert_eq(input_of(prices, "gpt-4-0613"), 30000000);
    cr_assert_eq(input_of(prices, "azure/gpt-3.5-turbo-0125"), 500000);
    cr_assert_eq(input_of(prices, "ft:gpt-3.5-turbo-0125:acme::9qX"), 3000000);
    cr_assert_eq(input_of(prices, "ft:gpt-4o-mini-2024-07-18:acme:bot:9qX"), 300000);
    cr_assert_eq(input_of(prices, "ft:gpt-4:acme::9qX"), -2);
    tbus_prices_close(prices);
}

Test(prices, later_prices_replace_earlier_ones)
{
    tbus_prices_t *prices = opened(true);
    size_t count = tbus_prices_count(prices);
    set_input(prices, "gpt-4", 0);
    cr_assert_eq(tbus_prices_find(prices, "gpt-4")->input, 0);
    cr_assert_eq(tbus_prices_find(prices, "gpt-4")->output, TBUS_PRICE_NONE);
    cr_assert_eq(tbus_prices_count(prices), count);
    tbus_prices_close(prices);
}

Test(prices, bad_arguments_are_refused)
{
    tbus_prices_t *prices = opened(false);
    tbus_price_t price = tbus_price_none();
    char name[PRICES_NAME_MAX + 2], label[PRICES_LABEL_MAX + 2];

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    memset(label, 'l', sizeof label);
    label[sizeof label - 1] = '\0';
    cr_assert_eq(tbus_prices_open(true, NULL), UV_EINVAL);
    cr_assert_eq(tbus_prices_set(NULL, "m", &price), UV_EINVAL);
    cr_assert_eq(tbus_prices_set(prices, NULL, &price), UV_EINVAL);
    cr_assert_eq(tbus_prices_set(prices, "", &price), UV_EINVAL);
    cr_assert_eq(tbus_prices_set(prices, "m", NULL), UV_EINVAL);
    cr_assert_eq(tbus_prices_set(prices, name, &price), UV_EINVAL);
    cr_assert_eq(tbus_prices_set_image(prices, name, NULL, NULL, 1), UV_EINVAL);
    cr_assert_eq(tbus_prices_set_image(prices, "m", NULL, NULL, -2), UV_EINVAL);
    cr_assert_eq(tbus_prices_set_image(prices, "m", label, NULL, 1), UV_EINVAL);
    cr_assert_eq(tbus_prices_set_image(prices, "m", NULL, label, 1), UV_EINVAL);
    cr_assert_eq(tbus_prices_set_image(NULL, "m", NULL, NULL, 1), UV_EINVAL);
    /* every price, and of the tiers also the number of tokens */
    for (size_t i = 0; i < offsetof(tbus_price_t, input_excludes_cached) / sizeof(int64_t); i++) {
        tbus_price_t broken = price;
        ((int64_t *)&broken)[i] = INT64_MIN;
        cr_assert_eq(tbus_prices_set(prices, "m", &broken), UV_EINVAL, "price %zu", i);
    }
    cr_assert_eq(tbus_prices_count(prices), 0);
    cr_assert_eq(tbus_prices_count(NULL), 0);
    cr_assert_null(tbus_prices_find(NULL, "m"));
    cr_assert_eq(tbus_prices_find_image(NULL, "m", NULL, NULL), TBUS_PRICE_NONE);

    name[PRICES_NAME_MAX] = '\0';
    set_input(prices, name, 3);
    cr_assert_eq(input_of(prices, name), 3);
    tbus_prices_close(prices);
    tbus_prices_close(NULL);
}

Test(prices, hostile_names_find_nothing)
{
    enum { LENGTH = 10 * 1000 * 1000 };
    tbus_prices_t *prices = opened(true);
    char *name = malloc(LENGTH + 1);

    cr_assert_not_null(name);
    name[LENGTH] = '\0';
    static const char fills[] = {'/', ':', '-', 'a', '0', '\xff'};
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(name, fills[i], LENGTH);
        cr_assert_null(tbus_prices_find(prices, name));
        cr_assert_null(tbus_prices_find(prices, name + LENGTH - 500));
        cr_assert_eq(tbus_prices_find_image(prices, "dall-e-3", name, name), TBUS_PRICE_NONE);
    }
    memcpy(name, "ft:", 3);
    cr_assert_null(tbus_prices_find(prices, name));
    free(name);
    tbus_prices_close(prices);
}

Test(prices, a_table_holds_a_hundred_thousand_models_and_says_when_it_is_full)
{
    tbus_prices_t *prices = opened(false);
    tbus_price_t price = tbus_price_none();
    char name[32];

    for (int i = 0; i < PRICES_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "model-%d", i);
        set_input(prices, name, i);
    }
    cr_assert_eq(tbus_prices_set(prices, "one more", &price), UV_E2BIG);
    cr_assert_eq(tbus_prices_set_image(prices, "one more", "1x1", NULL, 1), UV_E2BIG);
    cr_assert_eq(tbus_prices_set(prices, "model-7", &price), 0);
    cr_assert_eq(tbus_prices_count(prices), PRICES_MODELS_MAX);
    cr_assert_eq(input_of(prices, "model-99999"), 99999);
    tbus_prices_close(prices);
}

Test(prices, image_prices_are_limited_too)
{
    tbus_prices_t *prices = opened(false);
    char model[32];
    for (int i = 0; i < PRICES_IMAGES_MAX; i++) {
        snprintf(model, sizeof model, "model-%d", i / 8);
        char size[2] = {(char)('a' + i % 8), '\0'};
        cr_assert_eq(tbus_prices_set_image(prices, model, size, NULL, i), 0);
    }
    cr_assert_eq(tbus_prices_set_image(prices, "new", "a", NULL, 1), UV_E2BIG);
    cr_assert_null(tbus_prices_find(prices, "new"));
    cr_assert_eq(tbus_prices_set_image(prices, "model-0", "a", NULL, 5), 0);
    cr_assert_eq(tbus_prices_find_image(prices, "model-0", "a", "hd"), 5);
    cr_assert_eq(tbus_prices_find_image(prices, "model-9", "h", NULL), 79);
    tbus_prices_close(prices);
}

Test(prices, a_clone_has_the_same_prices_and_a_swap_exchanges_them)
{
    tbus_prices_t *prices = opened(true), *clone;
    cr_assert_eq(prices_clone(prices, &clone), 0);
    cr_assert_eq(tbus_prices_count(clone), tbus_prices_count(prices));
    cr_assert_eq(tbus_prices_find_image(clone, "dall-e-3", "1024x1792", "hd"), PRICES_MILLI_USD(120));
    set_input(clone, "gpt-4", 1);
    cr_assert_eq(input_of(prices, "gpt-4"), 30000000);
    prices_swap(prices, clone);
    cr_assert_eq(input_of(prices, "gpt-4"), 1);
    cr_assert_eq(input_of(clone, "gpt-4"), 30000000);
    tbus_prices_close(prices);
    tbus_prices_close(clone);
}

Test(prices, a_table_that_is_held_can_not_change_and_lives_until_the_last_hold_is_gone)
{
    struct oom oom = {.fail_at = -1};
    tbus_price_t price = tbus_price_none();
    oom_install(&oom);
    tbus_prices_t *prices = opened(true);
    cr_assert_eq(prices_hold(prices), prices);
    cr_assert_eq(tbus_prices_set(prices, "gpt-4", &price), UV_EBUSY);
    cr_assert_eq(tbus_prices_set_image(prices, "dall-e-3", "1x1", NULL, 1), UV_EBUSY);
    tbus_prices_close(prices);
    cr_assert_eq(input_of(prices, "gpt-4"), 30000000);
    cr_assert_eq(tbus_prices_set(prices, "gpt-4", &price), 0, "held by one again");
    tbus_prices_close(prices);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

static int clone_and_add(struct oom *oom)
{
    tbus_prices_t *prices = NULL, *clone = NULL;
    oom_arm(oom);
    int error = tbus_prices_open(true, &prices);
    if (!error) {
        error = prices_clone(prices, &clone);
        size_t count = tbus_prices_count(prices);
        if (!error && (error = tbus_prices_set_image(prices, "new", "1x1", "hd", 1)) != 0)
            cr_assert_eq(tbus_prices_count(prices), count);
    }
    tbus_prices_close(prices);
    tbus_prices_close(clone);
    return error;
}

Test(prices, every_allocation_may_fail)
{
    cr_assert_gt(oom_try_each(clone_and_add), 3);
}
