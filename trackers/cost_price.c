/* Prices one usage: no state, no lock, no allocation.
 *
 * A usage has parts (prompt, cached, written, completion, images, characters), each a count and a price. Each part is
 * an exact product; only half a price, in a batch request for which no batch price is known, can leave half a unit of
 * 1e-12 USD, and it is rounded up, part by part. So the parts of a bill always add up to its total. */
#include "trackers/cost.h"

/* What a part costs for one: in a regular request, and in a batch one (none = half the regular). */
struct rate {
    int64_t regular, batch;
};

struct sums {
    int128_t charged; /* as the request was made */
    int128_t regular; /* of a batch request: what the parts charged would have cost in a regular one */
    bool unpriced, overflow;
};

/* What `count` cost: false when there is no price. */
static bool part_amount(int64_t count, struct rate rate, bool batch, int128_t *ret)
{
    if (batch && rate.batch != TBUS_PRICE_NONE)
        *ret = (int128_t)count * rate.batch;
    else if (rate.regular == TBUS_PRICE_NONE)
        return false;
    else
        *ret = batch ? money_half((int128_t)count * rate.regular) : (int128_t)count * rate.regular;
    return true;
}

/* Two 63-bit factors always fit; sums of six such products need not. */
static void add_part(struct sums *sums, int64_t count, struct rate rate, bool batch)
{
    int128_t amount, regular;

    if (count == 0)
        return;
    if (!part_amount(count, rate, batch, &amount)) {
        sums->unpriced = true;
        return;
    }
    sums->overflow |= __builtin_add_overflow(sums->charged, amount, &sums->charged);
    if (!batch)
        return;
    if (!part_amount(count, rate, false, &regular))
        regular = amount; /* a batch price alone saves nothing that could be told */
    sums->overflow |= __builtin_add_overflow(sums->regular, regular, &sums->regular);
}

/* Takes at most `*left` of a count. */
static int64_t take(int64_t count, int64_t *left, bool *cut)
{
    int64_t taken = count < *left ? count : *left;
    *cut |= taken < count;
    *left -= taken;
    return taken;
}

/* Where the provider counts cached tokens as input too, the prompt must hold the cached and the written ones: first
 * the cached are cut to it, then the written to what is left. So no count gets below 0 and none is paid twice. */
static struct cost_tokens split_tokens(const tbus_usage_t *usage, bool input_excludes_cached)
{
    struct cost_tokens tokens = {.input = usage->prompt_tokens,
                                 .cached = usage->cached_tokens,
                                 .written = usage->cache_write_tokens,
                                 .output = usage->completion_tokens};
    int64_t output = tokens.output;
    tokens.reasoning = take(usage->reasoning_tokens, &output, &tokens.cut);
    if (!input_excludes_cached) {
        tokens.cached = take(tokens.cached, &tokens.input, &tokens.cut);
        tokens.written = take(tokens.written, &tokens.input, &tokens.cut);
    }
    return tokens;
}

/* Without a price entry it is not known whether the prompt includes the cached tokens: most providers count so, but no
 * token is taken away for it. */
static struct cost_tokens guess_tokens(const tbus_usage_t *usage)
{
    struct cost_tokens tokens = split_tokens(usage, false);
    tokens.cached = usage->cached_tokens;
    tokens.written = usage->cache_write_tokens;
    tokens.cut = usage->reasoning_tokens > tokens.reasoning;
    return tokens;
}

/* Sold by the image or by the character alone: tokens beside these are not missing a price, they have none. */
static bool has_no_tokens(const struct price_entry *entry)
{
    const tbus_price_t *price = &entry->price;
    bool tokens = price->input != TBUS_PRICE_NONE || price->output != TBUS_PRICE_NONE ||
                  price->batch_input != TBUS_PRICE_NONE || price->batch_output != TBUS_PRICE_NONE ||
                  price->cached_input != TBUS_PRICE_NONE || price->cache_write != TBUS_PRICE_NONE;
    bool others = price->image != TBUS_PRICE_NONE || price->character != TBUS_PRICE_NONE || entry->first_image != 0;
    return !tokens && others;
}

static struct rate rate_or(int64_t price, struct rate otherwise)
{
    return price == TBUS_PRICE_NONE ? otherwise : (struct rate){price, TBUS_PRICE_NONE};
}

static void price_prompt(const tbus_price_t *price, const struct cost_tokens *prompt, bool batch, struct sums *sums,
                         int128_t *ret_cache_savings)
{
    struct rate input = {price->input, price->batch_input}, cached = rate_or(price->cached_input, input);
    int128_t as_input, as_cached;

    add_part(sums, prompt->input, input, batch);
    add_part(sums, prompt->cached, cached, batch);
    add_part(sums, prompt->written, rate_or(price->cache_write, input), batch);
    if (prompt->cached > 0 && part_amount(prompt->cached, input, batch, &as_input) &&
        part_amount(prompt->cached, cached, batch, &as_cached))
        *ret_cache_savings = as_input - as_cached;
}

static void price_output(const tbus_prices_t *prices, const struct price_entry *entry, const tbus_usage_t *usage,
                         bool tokens, struct sums *sums)
{
    const tbus_price_t *price = &entry->price;
    if (tokens)
        add_part(sums, usage->completion_tokens, (struct rate){price->output, price->batch_output}, usage->batch);
    if (usage->images > 0) {
        int64_t image = prices_image(prices, entry, usage->image_size, usage->image_quality);
        add_part(sums, usage->images, (struct rate){image, TBUS_PRICE_NONE}, usage->batch);
    }
    add_part(sums, usage->characters, (struct rate){price->character, TBUS_PRICE_NONE}, usage->batch);
}

int cost_price_usage(const tbus_prices_t *prices, const struct price_entry *entry, const tbus_usage_t *usage,
                     struct cost_bill *ret)
{
    struct sums input = {0}, output = {0};

    if (!entry) {
        *ret = (struct cost_bill){.tokens = guess_tokens(usage), .unpriced = true};
        return 0;
    }
    bool tokens = !has_no_tokens(entry);
    *ret = (struct cost_bill){.tokens = split_tokens(usage, entry->price.input_excludes_cached)};
    if (tokens)
        price_prompt(&entry->price, &ret->tokens, usage->batch, &input, &ret->cache_savings);
    price_output(prices, entry, usage, tokens, &output);

    int128_t regular;
    if (input.overflow || output.overflow || __builtin_add_overflow(input.charged, output.charged, &ret->total) ||
        __builtin_add_overflow(input.regular, output.regular, &regular))
        return UV_EOVERFLOW;
    ret->input = input.charged;
    ret->output = output.charged;
    ret->batch_savings = usage->batch ? regular - ret->total : 0;
    bool only_tokens = usage->images == 0 && usage->characters == 0;
    bool any_tokens = usage->prompt_tokens > 0 || usage->completion_tokens > 0;
    ret->unpriced = input.unpriced || output.unpriced || (!tokens && only_tokens && any_tokens);
    return 0;
}
