/* Price files: an object by model name, each model an object of prices per token, image or character in USD.
 *
 * Prices are read from their decimal text (json_numbers.h); a price may also stand as a string. One that is not a whole
 * number of 1e-12 USD is not rounded: its model is skipped and told. All or nothing: prices are set in a copy of the
 * table, which takes the table's place at the end. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/json.h>

#if TBUS_WITH_JSON

#include <jansson.h>

#include "exporters/json_numbers.h"
#include "trackers/prices.h"

enum { FILE_MAX = 64 << 20, FIRST_READ = 64 << 10, WHY_MAX = 256 };

/* --- The file --- */

/* What went wrong, never 0. */
static int system_error(void)
{
    return errno > 0 ? uv_translate_sys_error(errno) : UV_EIO;
}

static int read_all(FILE *file, char **ret_text, size_t *ret_length)
{
    size_t room = 0, length = 0;
    char *text = NULL;

    do {
        room = room ? 2 * room : FIRST_READ;
        char *larger = tbus_mem_resize(text, room);
        if (!larger) {
            tbus_mem_free(text);
            return UV_ENOMEM;
        }
        text = larger;
        length += fread(text + length, 1, room - length, file);
    } while (length == room && length <= FILE_MAX);
    if (ferror(file) || length > FILE_MAX) {
        int error = ferror(file) ? system_error() : UV_EFBIG;
        tbus_mem_free(text);
        return error;
    }
    *ret_text = text;
    *ret_length = length;
    return 0;
}

static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return system_error();
    int error = read_all(file, ret_text, ret_length);
    fclose(file);
    return error;
}

/* --- One load --- */

struct load {
    tbus_prices_t *prices; /* the copy */
    tbus_prices_skipped_cb skipped;
    void *user;
    tbus_prices_report_t report;
    char *why;
    size_t why_bytes;
};

__attribute__((format(printf, 2, 3))) static int malformed(struct load *load, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (load->why && load->why_bytes > 0)
        vsnprintf(load->why, load->why_bytes, format, arguments);
    va_end(arguments);
    return UV_EINVAL;
}

static int parse(struct load *load, const char *text, size_t length, json_t **ret)
{
    struct json_place place;
    json_error_t told;
    const char *what;
    char *quoted = NULL;

    int error = json_quote_numbers(text, length, &quoted, &length, &place, &what);
    if (error)
        return error == UV_EINVAL ? malformed(load, "line %zu, column %zu: %s", place.line, place.column, what) : error;
    json_t *root = json_loadb(quoted, length, JSON_REJECT_DUPLICATES, &told);
    tbus_mem_free(quoted);
    if (!root)
        return json_error_code(&told) == json_error_out_of_memory
                   ? UV_ENOMEM
                   : malformed(load, "line %d: %s", told.line > 0 ? told.line : 1, told.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return malformed(load, "line 1: not an object of models");
    }
    *ret = root;
    return 0;
}

/* --- One model --- */

/* The numbers of tokens that the tiers' names mean. */
static const int64_t above_tokens[TBUS_PRICE_TIERS] = {128000, 200000};

/* What the file calls a price, and which it is of ours. Where two lines mean the same price, the first that an entry
 * has counts: an image is paid for as output, and characters are what a speech model is given to read. */
#define TIER(i, above)                                                                                                 \
    {"input_cost_per_token_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].input)},                           \
        {"output_cost_per_token_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].output)},                     \
        {"cache_read_input_token_cost_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].cached_input)},         \
        {"cache_creation_input_token_cost_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].cache_write)},      \
        {"output_cost_per_image_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].image)},                      \
        {"input_cost_per_image_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].image)},                       \
        {"input_cost_per_character_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].character)},               \
    {                                                                                                                  \
        "output_cost_per_character_above_" above "_tokens", offsetof(tbus_price_t, tiers[i].character)                 \
    }

static const struct field {
    const char *key;
    size_t offset;
} fields[] = {
    {"input_cost_per_token", offsetof(tbus_price_t, input)},
    {"output_cost_per_token", offsetof(tbus_price_t, output)},
    {"cache_read_input_token_cost", offsetof(tbus_price_t, cached_input)},
    {"cache_creation_input_token_cost", offsetof(tbus_price_t, cache_write)},
    {"input_cost_per_token_cache_hit", offsetof(tbus_price_t, cached_input)},
    {"input_cost_per_token_batches", offsetof(tbus_price_t, batch_input)},
    {"input_cost_per_token_batch_requests", offsetof(tbus_price_t, batch_input)},
    {"output_cost_per_token_batches", offsetof(tbus_price_t, batch_output)},
    {"output_cost_per_image", offsetof(tbus_price_t, image)},
    {"input_cost_per_image", offsetof(tbus_price_t, image)},
    {"input_cost_per_character", offsetof(tbus_price_t, character)},
    {"output_cost_per_character", offsetof(tbus_price_t, character)},
    {"output_cost_per_reasoning_token", offsetof(tbus_price_t, reasoning)},
    {"input_cost_per_audio_token", offsetof(tbus_price_t, audio_input)},
    {"output_cost_per_audio_token", offsetof(tbus_price_t, audio_output)},
    {"input_cost_per_request", offsetof(tbus_price_t, request)},
    TIER(0, "128k"),
    TIER(1, "200k"),
};

enum { FIELDS = sizeof fields / sizeof *fields };

static bool is_field(const char *key)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcmp(key, fields[i].key) == 0)
            return true;
    }
    return false;
}

/* Reads a price; false with the reason in `why`. */
static bool read_price(const char *key, const json_t *value, int64_t *ret, char why[WHY_MAX])
{
    const char *text = json_string_value(value), *what = NULL;
    tbus_money_t usd = {0};
    int error = text ? tbus_money_parse(text, &usd) : UV_EINVAL;

    if (!text || error == UV_EINVAL)
        what = "is not a number";
    else if (error == UV_ERANGE)
        what = "is not a whole number of 1e-12 USD";
    else if (usd.high < 0)
        what = "is below 0";
    else if (error || usd.high > 0 || usd.low > INT64_MAX)
        what = "is too large";
    if (what) {
        snprintf(why, WHY_MAX, "%s %.100s%s%s", key, text ? text : "", text ? " " : "", what);
        return false;
    }
    *ret = (int64_t)usd.low;
    return true;
}

static int64_t *price_at(tbus_price_t *price, size_t offset)
{
    return (int64_t *)((char *)price + offset);
}

static bool has_tier(const tbus_price_tier_t *tier)
{
    return tier->input != TBUS_PRICE_NONE || tier->output != TBUS_PRICE_NONE || tier->cached_input != TBUS_PRICE_NONE ||
           tier->cache_write != TBUS_PRICE_NONE || tier->image != TBUS_PRICE_NONE || tier->character != TBUS_PRICE_NONE;
}

/* Reads all prices that an entry has; false with the reason. */
static bool read_fields(const json_t *entry, tbus_price_t *ret, char why[WHY_MAX])
{
    for (size_t i = 0; i < FIELDS; i++) {
        const json_t *value = json_object_get(entry, fields[i].key);
        int64_t *price = price_at(ret, fields[i].offset), units;
        if (!value || json_is_null(value))
            continue;
        if (!read_price(fields[i].key, value, &units, why))
            return false;
        if (*price == TBUS_PRICE_NONE)
            *price = units;
    }
    for (int i = 0; i < TBUS_PRICE_TIERS; i++)
        ret->tiers[i].above_tokens = has_tier(&ret->tiers[i]) ? above_tokens[i] : 0;
    return true;
}

/* A price above 0 under a name that is not known here (per second, per pixel, per query), or NULL. */
static const char *unknown_cost(json_t *entry)
{
    const char *key;
    json_t *value;
    json_object_foreach(entry, key, value)
    {
        const char *text = json_string_value(value);
        tbus_money_t usd = {0};
        if (!text || !strstr(key, "cost") || is_field(key))
            continue;
        int error = tbus_money_parse(text, &usd);
        if (error == UV_ERANGE || error == UV_EOVERFLOW || usd.low != 0 || usd.high != 0)
            return key;
    }
    return NULL;
}

/* Whether an entry has prices to go by. Nothing is silently free: where every price known here is 0 and one that is
 * not known is above it, the model costs something that we can not tell. */
static bool has_prices(json_t *entry, const tbus_price_t *price, char why[WHY_MAX])
{
    bool any = false, above_zero = false;
    for (size_t i = 0; i < FIELDS; i++) {
        int64_t units = *price_at((tbus_price_t *)(uintptr_t)price, fields[i].offset);
        any |= units != TBUS_PRICE_NONE;
        above_zero |= units > 0;
    }
    const char *unknown = above_zero ? NULL : unknown_cost(entry);
    if (unknown)
        snprintf(why, WHY_MAX, "priced by %.100s alone", unknown);
    else if (!any)
        snprintf(why, WHY_MAX, "no price");
    return any && !unknown;
}

/* Whether input_tokens come without the cached ones. That is how Anthropic's own API counts, and so do the clouds that
 * pass its answers on as they are: Bedrock and Vertex AI, for the models named claude. Gateways that dress every answer
 * like OpenAI's (OpenRouter, Vercel, Databricks, Snowflake, ...) count the cached tokens as input also for claude. */
static bool input_excludes_cached(const char *model, const json_t *entry)
{
    const char *provider = json_string_value(json_object_get(entry, "litellm_provider"));
    if (!provider)
        return false;
    if (strcmp(provider, "anthropic") == 0)
        return true;
    return strstr(model, "claude") && (strncmp(provider, "bedrock", 7) == 0 || strncmp(provider, "vertex_ai", 9) == 0);
}

/* The prices of an entry; false with the reason. */
static bool read_entry(const char *model, json_t *entry, tbus_price_t *ret, char why[WHY_MAX])
{
    const char *what = NULL;

    if (!json_is_object(entry))
        what = "not an object";
    else if (strcmp(model, "sample_spec") == 0)
        what = "an example of an entry, not a model";
    else if (!*model)
        what = "no name";
    else if (strlen(model) > PRICES_NAME_MAX)
        what = "the name is over 128 bytes";
    if (what) {
        snprintf(why, WHY_MAX, "%s", what);
        return false;
    }
    *ret = tbus_price_none();
    ret->input_excludes_cached = input_excludes_cached(model, entry);
    return read_fields(entry, ret, why) && has_prices(entry, ret, why);
}

static int load_models(struct load *load, json_t *root)
{
    const char *model;
    json_t *entry;
    json_object_foreach(root, model, entry)
    {
        char why[WHY_MAX];
        tbus_price_t price;
        if (!read_entry(model, entry, &price, why)) {
            load->report.skipped++;
            if (load->skipped)
                load->skipped(model, why, load->user);
            continue;
        }
        int error = tbus_prices_set(load->prices, model, &price);
        if (error)
            return error;
        load->report.loaded++;
    }
    return 0;
}

static int load_text(struct load *load, const char *text, size_t length)
{
    json_t *root = NULL;
    int error = parse(load, text, length, &root);
    if (!error) {
        error = load_models(load, root);
        json_decref(root);
    }
    return error;
}

int tbus_prices_load(tbus_prices_t *prices, const char *path, tbus_prices_skipped_cb skipped, void *user,
                     tbus_prices_report_t *ret_report, char *why, size_t why_bytes)
{
    struct load load = {.skipped = skipped, .user = user, .why = why, .why_bytes = why_bytes};
    char *text = NULL;
    size_t length = 0;

    if (!prices || !path)
        return UV_EINVAL;
    if (prices_are_shared(prices))
        return UV_EBUSY;
    int error = read_file(path, &text, &length);
    if (error)
        return error;
    error = prices_clone(prices, &load.prices);
    if (!error)
        error = load_text(&load, text, length);
    tbus_mem_free(text);
    if (!error) {
        prices_swap(prices, load.prices);
        if (ret_report)
            *ret_report = load.report;
    }
    tbus_prices_close(load.prices);
    return error;
}

#else

int tbus_prices_load(tbus_prices_t *prices, const char *path, tbus_prices_skipped_cb skipped, void *user,
                     tbus_prices_report_t *ret_report, char *why, size_t why_bytes)
{
    (void)prices, (void)path, (void)skipped, (void)user, (void)ret_report, (void)why, (void)why_bytes;
    return UV_ENOTSUP;
}

#endif
