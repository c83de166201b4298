#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tallybus/json.h>

#include "exporters/json_numbers.h"
#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"
#include "trackers/prices.h"

#if TBUS_WITH_JSON

/* What the callback was told, one "model: why" a line. */
struct told {
    char text[4096];
    uint32_t calls;
};

static void on_skipped(const char *model, const char *why, void *user)
{
    struct told *told = user;
    size_t length = strlen(told->text);
    snprintf(told->text + length, sizeof told->text - length, "%s: %s\n", model, why);
    told->calls++;
}

static void write_file(char path[64], const char *text, size_t length)
{
    strcpy(path, "/tmp/tallybus-prices-XXXXXX");
    int number = mkstemp(path);
    cr_assert_geq(number, 0);
    FILE *file = fdopen(number, "wb");
    cr_assert_eq(fwrite(text, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
}

static int load_bytes(tbus_prices_t *prices, const char *text, size_t length, struct told *told,
                      tbus_prices_report_t *report, char *why, size_t why_bytes)
{
    char path[64];
    write_file(path, text, length);
    int error = tbus_prices_load(prices, path, told ? on_skipped : NULL, told, report, why, why_bytes);
    unlink(path);
    return error;
}

static tbus_prices_t *opened(bool with_builtin)
{
    tbus_prices_t *prices;
    cr_assert_eq(tbus_prices_open(with_builtin, &prices), 0);
    return prices;
}

static tbus_prices_t *loaded(const char *text, struct told *told, tbus_prices_report_t *report)
{
    tbus_prices_t *prices = opened(false);
    char why[256] = "";
    cr_assert_eq(load_bytes(prices, text, strlen(text), told, report, why, sizeof why), 0, "%s", why);
    return prices;
}

Test(prices_json, prices_are_read_from_their_decimal_text)
{
    tbus_prices_report_t report;
    tbus_prices_t *prices = loaded("{\"m\": {\n"
                                   "  \"input_cost_per_token\": 7.5e-08, \"output_cost_per_token\": 3E-7,\n"
                                   "  \"cache_read_input_token_cost\": 0.000000000001,\n"
                                   "  \"cache_creation_input_token_cost\": 0,\n"
                                   "  \"input_cost_per_token_batches\": \"1.5e-08\",\n"
                                   "  \"output_cost_per_token_batches\": null,\n"
                                   "  \"output_cost_per_image\": 0.04, \"input_cost_per_image\": 0.01,\n"
                                   "  \"output_cost_per_character\": 2e-6, \"input_cost_per_character\": 1.5e-05,\n"
                                   "  \"max_tokens\": 4096, \"litellm_provider\": \"openai\"}}",
                                   NULL, &report);
    const tbus_price_t *price = tbus_prices_find(prices, "m");
    cr_assert_not_null(price);
    cr_assert_eq(price->input, 75000);
    cr_assert_eq(price->output, 300000);
    cr_assert_eq(price->cached_input, 1);
    cr_assert_eq(price->cache_write, 0);
    cr_assert_eq(price->batch_input, 15000);
    cr_assert_eq(price->batch_output, TBUS_PRICE_NONE);
    cr_assert_eq(price->image, PRICES_MILLI_USD(40));
    cr_assert_eq(price->character, 15000000);
    cr_assert_not(price->input_excludes_cached);
    cr_assert_eq(report.loaded, 1);
    cr_assert_eq(report.skipped, 0);
    tbus_prices_close(prices);
}

Test(prices_json, tiers_and_kinds_of_tokens_have_prices_of_their_own)
{
    tbus_prices_t *prices = loaded(
        "{\"m\": {\"input_cost_per_token\": 3e-6, \"output_cost_per_token\": 15e-6,\n"
        "  \"input_cost_per_token_above_200k_tokens\": 6e-6, \"output_cost_per_token_above_200k_tokens\": 0,\n"
        "  \"cache_read_input_token_cost_above_200k_tokens\": 6e-7,\n"
        "  \"cache_creation_input_token_cost_above_200k_tokens\": 7.5e-6,\n"
        "  \"output_cost_per_reasoning_token\": 2e-6, \"input_cost_per_audio_token\": 4e-5,\n"
        "  \"output_cost_per_audio_token\": 8e-5, \"input_cost_per_request\": 0.005},\n"
        " \"n\": {\"input_cost_per_character_above_128k_tokens\": 1e-6, \"input_cost_per_token_cache_hit\": 2e-6,\n"
        "  \"input_cost_per_image_above_128k_tokens\": 1, \"input_cost_per_token_batch_requests\": 3e-6}}",
        NULL, NULL);
    const tbus_price_t *m = tbus_prices_find(prices, "m"), *n = tbus_prices_find(prices, "n");
    cr_assert_eq(m->tiers[0].above_tokens, 0);
    cr_assert_eq(m->tiers[1].above_tokens, 200000);
    cr_assert_eq(m->tiers[1].input, 6000000);
    cr_assert_eq(m->tiers[1].output, 0);
    cr_assert_eq(m->tiers[1].cached_input, 600000);
    cr_assert_eq(m->tiers[1].cache_write, 7500000);
    cr_assert_eq(m->tiers[1].image, TBUS_PRICE_NONE);
    cr_assert_eq(m->reasoning, 2000000);
    cr_assert_eq(m->audio_input, 40000000);
    cr_assert_eq(m->audio_output, 80000000);
    cr_assert_eq(m->request, PRICES_MILLI_USD(5));
    cr_assert_eq(n->tiers[0].above_tokens, 128000);
    cr_assert_eq(n->tiers[0].character, 1000000);
    cr_assert_eq(n->tiers[0].image, PRICES_MILLI_USD(1000));
    cr_assert_eq(n->tiers[1].above_tokens, 0);
    cr_assert_eq(n->cached_input, 2000000);
    cr_assert_eq(n->batch_input, 3000000);
    tbus_prices_close(prices);
}

Test(prices_json, input_or_output_prices_stand_in_for_each_other_for_images_and_characters)
{
    tbus_prices_t *prices =
        loaded("{\"a\": {\"input_cost_per_image\": 0.01, \"output_cost_per_character\": 1e-6}}", NULL, NULL);
    cr_assert_eq(tbus_prices_find(prices, "a")->image, PRICES_MILLI_USD(10));
    cr_assert_eq(tbus_prices_find(prices, "a")->character, 1000000);
    tbus_prices_close(prices);
}

Test(prices_json, a_provider_tells_whether_input_excludes_the_cached_tokens)
{
    static const struct {
        const char *model, *provider;
        bool excludes;
    } cases[] = {
        {"claude-3-opus", "anthropic", true},
        {"anthropic.claude-v2:1", "bedrock", true},
        {"us.anthropic.claude-sonnet-4", "bedrock_converse", true},
        {"vertex_ai/claude-3-opus@20240229", "vertex_ai-anthropic_models", true},
        {"amazon.nova-pro-v1:0", "bedrock", false},
        {"gemini-pro", "vertex_ai-language-models", false},
        {"openrouter/anthropic/claude-3-opus", "openrouter", false},
        {"databricks-claude", "databricks", false},
        {"gpt-4o", "openai", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"%s\": {\"input_cost_per_token\": 1e-6, \"litellm_provider\": \"%s\"}}",
                 cases[i].model, cases[i].provider);
        tbus_prices_t *prices = loaded(text, NULL, NULL);
        cr_assert_eq(tbus_prices_find(prices, cases[i].model)->input_excludes_cached, cases[i].excludes, "%s",
                     cases[i].model);
        tbus_prices_close(prices);
    }
}

Test(prices_json, entries_that_can_not_be_priced_are_told_with_the_reason)
{
    static const char text[] =
        "{\"sample_spec\": {\"input_cost_per_token\": 1},\n"
        "\"odd\": {\"input_cost_per_token\": 1e-06, \"output_cost_per_token\": 4.6875e-09},\n"
        "\"negative\": {\"input_cost_per_token\": -1e-06},\n"
        "\"text\": {\"input_cost_per_token\": \"cheap\"},\n"
        "\"list\": {\"input_cost_per_token\": [1]},\n"
        "\"true\": {\"input_cost_per_token\": true},\n"
        "\"huge\": {\"input_cost_per_token\": 9223372.036854775808},\n"
        "\"vast\": {\"input_cost_per_token\": 1e30},\n"
        "\"empty\": {},\n"
        "\"null\": {\"input_cost_per_token\": null},\n"
        "\"array\": [],\n"
        "\"word\": \"gpt\",\n"
        "\"number\": 12,\n"
        "\"second\": {\"output_cost_per_second\": 0.01},\n"
        "\"query\": {\"input_cost_per_token\": 0.0, \"output_cost_per_token\": 0, \"input_cost_per_query\": 0.002},\n"
        "\"\": {\"input_cost_per_token\": 1},\n"
        "\"free\": {\"input_cost_per_token\": 0.0, \"output_cost_per_token\": 0, \"input_cost_per_query\": 0.0},\n"
        "\"largest\": {\"input_cost_per_token\": 9223372.036854775807}}\n";
    static const char expected[] = "sample_spec: an example of an entry, not a model\n"
                                   "odd: output_cost_per_token 4.6875e-09 is not a whole number of 1e-12 USD\n"
                                   "negative: input_cost_per_token -1e-06 is below 0\n"
                                   "text: input_cost_per_token cheap is not a number\n"
                                   "list: input_cost_per_token is not a number\n"
                                   "true: input_cost_per_token is not a number\n"
                                   "huge: input_cost_per_token 9223372.036854775808 is too large\n"
                                   "vast: input_cost_per_token 1e30 is too large\n"
                                   "empty: no price\n"
                                   "null: no price\n"
                                   "array: not an object\n"
                                   "word: not an object\n"
                                   "number: not an object\n"
                                   "second: priced by output_cost_per_second alone\n"
                                   "query: priced by input_cost_per_query alone\n"
                                   ": no name\n";
    struct told told = {0};
    tbus_prices_report_t report;
    tbus_prices_t *prices = loaded(text, &told, &report);

    cr_assert_str_eq(told.text, expected);
    cr_assert_eq(report.skipped, 16);
    cr_assert_eq(report.loaded, 2);
    cr_assert_eq(tbus_prices_count(prices), 2);
    cr_assert_eq(tbus_prices_find(prices, "free")->input, 0);
    cr_assert_eq(tbus_prices_find(prices, "free")->cached_input, TBUS_PRICE_NONE);
    cr_assert_eq(tbus_prices_find(prices, "largest")->input, INT64_MAX);
    tbus_prices_close(prices);
}

Test(prices_json, a_name_that_is_too_long_is_skipped)
{
    char text[512], name[200];
    struct told told = {0};
    tbus_prices_report_t report;
    memset(name, 'n', sizeof name);
    snprintf(text, sizeof text,
             "{\"%.129s\": {\"input_cost_per_token\": 1}, \"%.128s\": {\"input_cost_per_token\": 1}}", name, name);
    tbus_prices_t *prices = loaded(text, &told, &report);
    cr_assert_eq(report.loaded, 1);
    cr_assert_eq(report.skipped, 1);
    cr_assert_not_null(strstr(told.text, "n: the name is over 128 bytes\n"));
    tbus_prices_close(prices);
}

Test(prices_json, a_file_is_loaded_over_what_the_table_has)
{
    static const char text[] = "{\"gpt-4\": {\"input_cost_per_token\": 1e-6}, \"new\": {\"output_cost_per_token\": 0}}";
    tbus_prices_t *prices = opened(true);
    tbus_prices_report_t report;
    size_t count = tbus_prices_count(prices);

    cr_assert_eq(load_bytes(prices, text, strlen(text), NULL, &report, NULL, 0), 0);
    cr_assert_eq(report.loaded, 2);
    cr_assert_eq(tbus_prices_count(prices), count + 1);
    cr_assert_eq(tbus_prices_find(prices, "gpt-4")->input, 1000000);
    cr_assert_eq(tbus_prices_find(prices, "gpt-4")->output, TBUS_PRICE_NONE);
    cr_assert_eq(tbus_prices_find(prices, "new")->output, 0);
    cr_assert_eq(tbus_prices_find(prices, "gpt-4o")->input, 5000000);
    cr_assert_eq(tbus_prices_find_image(prices, "dall-e-3", "1024x1024", "hd"), PRICES_MILLI_USD(80));
    tbus_prices_close(prices);
}

/* --- Malformed files --- */

#define ENTRY "{\"m\": {\"input_cost_per_token\": "

Test(prices_json, malformed_files_are_refused_with_the_place_and_change_nothing)
{
    static const struct {
        const char *text, *why; /* what `why` begins with */
    } cases[] = {
        {"", "line 1: "},
        {"   \n\n", "line 3: "},
        {"[]", "line 1: not an object of models"},
        {"12", "line 1: "},
        {"\"m\"", "line 1: "},
        {"{", "line 1: "},
        {"{\"m\": {}", "line 1: "},
        {"{\n\"m\": {},\n}", "line 3: "},
        {"{\n\"m\": {}\n} x", "line 3: "},
        {"{\n\n\"m\": {\"a\" 1}}", "line 3: "},
        {"{\n\"m\": {\"a\": 1,\n\"b\": 2,\n\"a\": 3}}", "line 4: duplicate object key"},
        {"{\"m\": {},\n\"m\": {}}", "line 2: duplicate object key"},
        {"{\n\"m\": 'x'}", "line 2: "},
        {"{\n\"m\": tru3}", "line 2: "},
        {"{\n\"m\": NaN}", "line 2: "},
        {"{\n\"m\": Infinity}", "line 2: "},
        {"{\n\"m\": +1}", "line 2: "},
        {"{\n\"m\": .5}", "line 2: "},
        {"{\n\"m\": \"no end}\n, \"x\": 01}", "line 2: "},
        {"{\n\"m\": \"tab\tinside\"}", "line 2: "},
        {"{\n\"m\": \"\xff\xfe\"}", "line 2: "},
        {"{\n\"m\": \"\\q\"}", "line 2: "},
        {"{\"m\": 1 // comment\n}", "line 1: "},
        {ENTRY "01}}", "line 1, column 32: not a number"},
        {ENTRY "-}}", "line 1, column 32: not a number"},
        {ENTRY "1.}}", "line 1, column 32: not a number"},
        {ENTRY "1e}}", "line 1, column 32: not a number"},
        {ENTRY "1e+}}", "line 1, column 32: not a number"},
        {ENTRY "-.5}}", "line 1, column 32: not a number"},
        {ENTRY "1.5.5}}", "line 1, column 32: not a number"},
        {ENTRY "1-2}}", "line 1, column 32: not a number"},
        {ENTRY "0x1F}}", "line 1, column 32: not a number"},
        {ENTRY "1_000}}", "line 1, column 32: not a number"},
        {ENTRY "-Infinity}}", "line 1, column 32: not a number"},
        {ENTRY "12\"a\"}}", "line 1, column 32: not a number"},
        {ENTRY "\"a\"12}}", "line 1: "},
        {ENTRY "1 2}}", "line 1: "},
        {"{\n\"a\": 1,\n  01: 2}", "line 3, column 3: not a number"},
        {"{\n\"a\": 1,\n  17 : 2}", "line 3, column 3: a number can not be a key"},
        {"{\n\"a\": \"\\\"\", \"b\": 1.}", "line 2, column 17: not a number"},
        {"{\"m\": {\"input_cost_per_token\": 1", "line 1: "},
        {"{\"m\": {\"input_cost_per_token\": \"1", "line 1: "},
        {"{\"m\": {\"input_cost_per_token\": \"1\\", "line 1: "},
    };
    tbus_prices_t *prices = opened(true);
    size_t count = tbus_prices_count(prices);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tbus_prices_report_t report = {77, 77};
        struct told told = {0};
        char why[256] = "";
        int error = load_bytes(prices, cases[i].text, strlen(cases[i].text), &told, &report, why, sizeof why);
        cr_assert_eq(error, UV_EINVAL, "case %zu: %s", i, cases[i].text);
        cr_assert(strncmp(why, cases[i].why, strlen(cases[i].why)) == 0 && strlen(why) > 8, "case %zu: %s: %s", i,
                  cases[i].text, why);
        cr_assert_eq(report.loaded, 77);
        cr_assert_eq(told.calls, 0);
        cr_assert_eq(tbus_prices_count(prices), count);
    }
    tbus_prices_close(prices);
}

Test(prices_json, a_file_may_hold_nul_bytes_and_be_cut_anywhere)
{
    static const char text[] = "{\"m\\u0041\": {\"input_cost_per_token\": -0.0e-5, \"x\": [true, null, \"\\\\\"]}}";
    tbus_prices_t *prices = opened(false);

    for (size_t length = 0; length < sizeof text - 1; length++)
        cr_assert_eq(load_bytes(prices, text, length, NULL, NULL, NULL, 0), UV_EINVAL, "%zu bytes", length);
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char broken[sizeof text];
        memcpy(broken, text, sizeof text);
        broken[at] = '\0';
        cr_assert_eq(load_bytes(prices, broken, sizeof text - 1, NULL, NULL, NULL, 0), UV_EINVAL, "NUL at %zu", at);
    }
    cr_assert_eq(load_bytes(prices, text, sizeof text - 1, NULL, NULL, NULL, 0), 0);
    cr_assert_eq(tbus_prices_find(prices, "mA")->input, 0);
    tbus_prices_close(prices);
}

Test(prices_json, the_reason_is_cut_to_the_room_for_it)
{
    tbus_prices_t *prices = opened(false);
    char why[8] = "-------";
    cr_assert_eq(load_bytes(prices, "{1:2}", 5, NULL, NULL, why, 6), UV_EINVAL);
    cr_assert_str_eq(why, "line ");
    cr_assert_eq(why[6], '-');
    cr_assert_eq(load_bytes(prices, "{1:2}", 5, NULL, NULL, why, 0), UV_EINVAL);
    cr_assert_eq(load_bytes(prices, "{1:2}", 5, NULL, NULL, NULL, 9), UV_EINVAL);
    tbus_prices_close(prices);
}

Test(prices_json, what_reading_the_file_meets_is_returned)
{
    tbus_prices_t *prices = opened(false);
    char path[64];

    cr_assert_eq(tbus_prices_load(NULL, "/dev/null", NULL, NULL, NULL, NULL, 0), UV_EINVAL);
    cr_assert_eq(tbus_prices_load(prices, NULL, NULL, NULL, NULL, NULL, 0), UV_EINVAL);
    cr_assert_eq(tbus_prices_load(prices, "/no/such/file", NULL, NULL, NULL, NULL, 0), UV_ENOENT);
    cr_assert_eq(tbus_prices_load(prices, "/tmp", NULL, NULL, NULL, NULL, 0), UV_EISDIR);
    write_file(path, "{}", 2);
    cr_assert_eq(truncate(path, 64 << 20), 0);
    cr_assert_eq(tbus_prices_load(prices, path, NULL, NULL, NULL, NULL, 0), UV_EINVAL); /* NUL bytes behind {} */
    cr_assert_eq(truncate(path, (64 << 20) + 1), 0);
    cr_assert_eq(tbus_prices_load(prices, path, NULL, NULL, NULL, NULL, 0), UV_EFBIG);
    unlink(path);
    tbus_prices_close(prices);
}

Test(prices_json, too_many_models_change_nothing)
{
    tbus_prices_t *prices = opened(true);
    size_t room = 64u * (PRICES_MODELS_MAX + 1), length = 1, count = tbus_prices_count(prices);
    char *text = malloc(room);

    cr_assert_not_null(text);
    text[0] = '{';
    for (int i = 0; i < PRICES_MODELS_MAX; i++)
        length +=
            (size_t)snprintf(text + length, room - length, "%s\"m%d\":{\"input_cost_per_token\":1}", i ? "," : "", i);
    text[length++] = '}';
    cr_assert_eq(load_bytes(prices, text, length, NULL, NULL, NULL, 0), UV_E2BIG);
    cr_assert_eq(tbus_prices_count(prices), count);
    cr_assert_null(tbus_prices_find(prices, "m0"));
    free(text);
    tbus_prices_close(prices);
}

Test(prices_json, every_allocation_may_fail_and_the_table_stays_as_it_was)
{
    static const char text[] = "{\"gpt-4\": {\"input_cost_per_token\": 1e-6}, \"new\": {\"output_cost_per_token\": 0}}";
    char path[64];

    write_file(path, text, strlen(text));
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = -1};
        oom_install(&oom);
        tbus_prices_t *prices = opened(true);
        size_t count = tbus_prices_count(prices);
        oom.fail_at = atomic_load(&oom.calls) + at;
        tbus_prices_report_t report = {77, 77};
        int error = tbus_prices_load(prices, path, NULL, NULL, &report, NULL, 0);
        bool failed = oom.failed > 0;
        cr_assert_eq(error, failed ? UV_ENOMEM : 0, "allocation %ld", at);
        cr_assert_eq(report.loaded, failed ? 77 : 2);
        cr_assert_eq(tbus_prices_count(prices), failed ? count : count + 1);
        cr_assert_eq(tbus_prices_find(prices, "gpt-4")->input, failed ? 30000000 : 1000000);
        tbus_prices_close(prices);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        if (!failed) {
            cr_assert_gt(at, 4);
            break;
        }
    }
    unlink(path);
}

/* --- Numbers --- */

Test(json_numbers, only_numbers_outside_strings_are_quoted)
{
    static const struct {
        const char *text, *quoted;
    } cases[] = {
        {"", ""},
        {"1", "\"1\""},
        {"[1,-2.50,3e+04]", "[\"1\",\"-2.50\",\"3e+04\"]"},
        {"{\"a 1\": \"2\", \"b\\\"3\": 4}\n", "{\"a 1\": \"2\", \"b\\\"3\": \"4\"}\n"},
        {"[true, false, null, a1b2]", "[true, false, null, a1b2]"},
        {"0]", "\"0\"]"},
        {"-0.0", "\"-0.0\""},
        {"\"open 1\n2", "\"open 1\n2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_place place;
        const char *what;
        char *quoted;
        size_t length;
        cr_assert_eq(json_quote_numbers(cases[i].text, strlen(cases[i].text), &quoted, &length, &place, &what), 0,
                     "%zu", i);
        cr_assert_str_eq(quoted, cases[i].quoted);
        cr_assert_eq(length, strlen(quoted));
        tbus_mem_free(quoted);
    }
}

/* --- The real file --- */

/* The lines of what was skipped, each behind a newline and before one. */
struct skipped_lines {
    struct oracle *oracle;
    char *text;
    size_t length, room;
};

static void write_skipped(const char *model, const char *why, void *user)
{
    struct skipped_lines *lines = user;
    cr_assert_gt(strlen(why), 0);
    fprintf(lines->oracle->cases, "skipped\t%s\n", model);
    lines->oracle->lines++;
    lines->length += (size_t)snprintf(lines->text + lines->length, lines->room - lines->length, "%s\n", model);
    cr_assert_lt(lines->length, lines->room);
}

static void write_loaded(const tbus_prices_t *prices, const char *model, struct oracle *oracle)
{
    const tbus_price_t *price = tbus_prices_find(prices, model);
    cr_assert_not_null(price);
    const int64_t units[] = {price->input,       price->output,       price->cached_input, price->cache_write,
                             price->batch_input, price->batch_output, price->character,    price->image,
                             price->reasoning,   price->audio_input,  price->audio_output, price->request};
    fprintf(oracle->cases, "loaded\t%s", model);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        fprintf(oracle->cases, "\t%lld", (long long)units[i]);
    for (int i = 0; i < TBUS_PRICE_TIERS; i++) {
        const tbus_price_tier_t *tier = &price->tiers[i];
        const int64_t above[] = {tier->above_tokens, tier->input,     tier->output, tier->cached_input,
                                 tier->cache_write,  tier->character, tier->image};
        for (size_t j = 0; j < sizeof above / sizeof *above; j++)
            fprintf(oracle->cases, "\t%lld", (long long)above[j]);
    }
    fprintf(oracle->cases, "\t%d\n", price->input_excludes_cached);
    oracle->lines++;
}

/* The names at the outermost level: in this file each begins its line, four blanks in. One that was skipped may resolve
 * to the prices of another, so it is looked for among these first. */
static void write_all_loaded(const tbus_prices_t *prices, const char *path, const char *skipped, struct oracle *oracle)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    for (char line[1024]; fgets(line, sizeof line, file);) {
        char model[256], needle[260];
        if (strncmp(line, "    \"", 5) != 0 || sscanf(line, "    \"%255[^\"]\": {", model) != 1)
            continue;
        snprintf(needle, sizeof needle, "\n%s\n", model);
        if (!strstr(skipped, needle))
            write_loaded(prices, model, oracle);
    }
    fclose(file);
}

Test(prices_json, every_entry_of_a_real_price_file_is_loaded_or_told)
{
    enum { ROOM = 1 << 20 };
    const char *path = TBUS_SOURCE_DIR "/../shared/data/model_prices.json";
    tbus_prices_report_t report;
    struct oracle oracle;

    if (access(path, R_OK) != 0)
        cr_skip_test("no price file beside the source tree");
    oracle_open(&oracle);
    struct skipped_lines lines = {.oracle = &oracle, .text = malloc(ROOM), .length = 1, .room = ROOM};
    cr_assert_not_null(lines.text);
    strcpy(lines.text, "\n");
    tbus_prices_t *prices = opened(false);
    char why[256] = "";
    cr_assert_eq(tbus_prices_load(prices, path, write_skipped, &lines, &report, why, sizeof why), 0, "%s", why);
    cr_assert_eq(oracle.lines, (long)report.skipped);
    cr_assert_eq(tbus_prices_count(prices), report.loaded);
    fprintf(stderr, "loaded %u, skipped %u\n", report.loaded, report.skipped);
    write_all_loaded(prices, path, lines.text, &oracle);
    cr_assert_eq(oracle.lines, (long)(report.loaded + report.skipped));
    tbus_prices_close(prices);
    free(lines.text);
    oracle_check(&oracle, "tests/exporters/prices_oracle.py", TBUS_SOURCE_DIR "/../shared/data/model_prices.json");
}

#else

Test(prices_json, without_json_a_load_says_so)
{
    tbus_prices_t *prices;
    cr_assert_eq(tbus_prices_open(false, &prices), 0);
    cr_assert_eq(tbus_prices_load(prices, "/dev/null", NULL, NULL, NULL, NULL, 0), UV_ENOTSUP);
    tbus_prices_close(prices);
}

#endif
