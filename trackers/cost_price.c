/* Prices one usage: no state, no lock, no allocation.
 *
 * A usage has parts (prompt, audio in it, cached, written, completion, reasoning and audio in it, images, characters,
 * the request itself), each a count and a price. Each part is an exact product; only half a price, in a batch request
 * for which no batch price is known, can leave half a unit of 1e-12 USD, and it is rounded up, part by part. So the
 * parts of a bill always add up to its total. With counts of at most COST_COUNT_MAX nothing can overflow: a price has 63
 * bits, a product at most 111, and there are ten. */
#include "trackers/cost.h"

/* What a part costs for one: in a regular request, and in a batch one (none = half the regular). */
struct rate {
    int64_t regular, batch;
};

/* The prices that count for a usage. What few usages have is looked up when it is there. */
struct rates {
    const tbus_price_t *price;
    const tbus_price_tier_t *tier; /* that the prompt falls into; NULL = none */
    struct rate input, output;
};

struct sums {
    int128_t charged; /* as the request was made */
    int128_t regular; /* of a batch request: what the parts charged would have cost in a regular one */
    bool unpriced;
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

static void add_part(struct sums *sums, int64_t count, struct rate rate, bool batch)
{
    int128_t amount, regular;

    if (count == 0)
        return;
    if (!part_amount(count, rate, batch, &amount)) {
        sums->unpriced = true;
        return;
    }
    sums->charged += amount;
    if (!batch)
        return;
    if (!part_amount(count, rate, false, &regular))
        regular = amount; /* a batch price alone saves nothing that could be told */
    sums->regular += regular;
}

/* --- Tokens --- */

/* Takes at most `*left` of a count. */
static int64_t take(int64_t count, int64_t *left, bool *cut)
{
    int64_t taken = count < *left ? count : *left;
    *cut |= taken < count;
    *left -= taken;
    return taken;
}

/* Where the provider counts cached tokens as input too, the prompt must hold the cached and the written ones: first
 * the cached are cut to it, then the written to what is left. So no count gets below 0 and none is paid twice. Audio is
 * a part of the uncached input, and of the output that is not reasoning. */
static struct cost_tokens split_tokens(const tbus_usage_t *usage, bool input_excludes_cached)
{
    struct cost_tokens tokens = {.input = usage->prompt_tokens,
                                 .cached = usage->cached_tokens,
                                 .written = usage->cache_write_tokens,
                                 .output = usage->completion_tokens};
    if (!input_excludes_cached) {
        tokens.cached = take(tokens.cached, &tokens.input, &tokens.cut);
        tokens.written = take(tokens.written, &tokens.input, &tokens.cut);
    }
    int64_t input = tokens.input, output = tokens.output;
    tokens.audio_input = take(usage->audio_input_tokens, &input, &tokens.cut);
    tokens.reasoning = take(usage->reasoning_tokens, &output, &tokens.cut);
    tokens.audio_output = take(usage->audio_output_tokens, &output, &tokens.cut);
    return tokens;
}

/* Without a price entry it is not known whether the prompt includes the cached tokens: most providers count so, where
 * the figures can mean that. */
static struct cost_tokens guess_tokens(const tbus_usage_t *usage)
{
    return split_tokens(usage, usage->cached_tokens + usage->cache_write_tokens > usage->prompt_tokens);
}

/* --- Rates --- */

static struct rate rate_or(int64_t price, struct rate otherwise)
{
    return price == TBUS_PRICE_NONE ? otherwise : (struct rate){price, TBUS_PRICE_NONE};
}

/* The tier that a prompt of so many tokens falls into, or NULL. */
static const tbus_price_tier_t *tier_of(const tbus_price_t *price, int64_t prompt)
{
    const tbus_price_tier_t *found = NULL;
    for (int i = 0; i < TBUS_PRICE_TIERS; i++) {
        const tbus_price_tier_t *tier = &price->tiers[i];
        if (tier->above_tokens > 0 && prompt > tier->above_tokens &&
            (!found || tier->above_tokens > found->above_tokens))
            found = tier;
    }
    return found;
}

static struct rates rates_of(const tbus_price_t *price, int64_t prompt)
{
    struct rates rates = {.price = price,
                          .tier = tier_of(price, prompt),
                          .input = {price->input, price->batch_input},
                          .output = {price->output, price->batch_output}};
    if (rates.tier) {
        rates.input = rate_or(rates.tier->input, rates.input);
        rates.output = rate_or(rates.tier->output, rates.output);
    }
    return rates;
}

static struct rate cached_rate(const struct rates *rates)
{
    struct rate rate = rate_or(rates->price->cached_input, rates->input);
    return rates->tier ? rate_or(rates->tier->cached_input, rate) : rate;
}

static struct rate written_rate(const struct rates *rates)
{
    struct rate rate = rate_or(rates->price->cache_write, rates->input);
    return rates->tier ? rate_or(rates->tier->cache_write, rate) : rate;
}

static struct rate character_rate(const struct rates *rates)
{
    struct rate rate = {rates->price->character, TBUS_PRICE_NONE};
    return rates->tier ? rate_or(rates->tier->character, rate) : rate;
}

static struct rate image_rate(const tbus_prices_t *prices, const struct price_entry *entry, const struct rates *rates,
                              const tbus_usage_t *usage)
{
    if (rates->tier && rates->tier->image != TBUS_PRICE_NONE)
        return (struct rate){rates->tier->image, TBUS_PRICE_NONE};
    return (struct rate){prices_image(prices, entry, usage->image_size, usage->image_quality), TBUS_PRICE_NONE};
}

/* Sold by the image, the character or the request alone: tokens beside these are not missing a price, they have none.
 */
static bool has_no_tokens(const struct price_entry *entry)
{
    const tbus_price_t *price = &entry->price;
    if (price->input != TBUS_PRICE_NONE || price->output != TBUS_PRICE_NONE)
        return false;
    bool tokens = price->batch_input != TBUS_PRICE_NONE || price->batch_output != TBUS_PRICE_NONE ||
                  price->cached_input != TBUS_PRICE_NONE || price->cache_write != TBUS_PRICE_NONE ||
                  price->reasoning != TBUS_PRICE_NONE || price->audio_input != TBUS_PRICE_NONE ||
                  price->audio_output != TBUS_PRICE_NONE;
    for (int i = 0; i < TBUS_PRICE_TIERS; i++)
        tokens = tokens || (price->tiers[i].above_tokens > 0 &&
                            (price->tiers[i].input != TBUS_PRICE_NONE || price->tiers[i].output != TBUS_PRICE_NONE));
    bool others = price->image != TBUS_PRICE_NONE || price->character != TBUS_PRICE_NONE ||
                  price->request != TBUS_PRICE_NONE || entry->first_image != 0;
    return !tokens && others;
}

/* --- The bill --- */

static void price_prompt(const struct rates *rates, const struct cost_tokens *tokens, bool batch, struct sums *sums,
                         int128_t *ret_cache_savings)
{
    int128_t as_input, as_cached;

    add_part(sums, tokens->input - tokens->audio_input, rates->input, batch);
    if (tokens->audio_input > 0)
        add_part(sums, tokens->audio_input, rate_or(rates->price->audio_input, rates->input), batch);
    if (tokens->written > 0)
        add_part(sums, tokens->written, written_rate(rates), batch);
    if (tokens->cached == 0)
        return;
    const struct rate cached = cached_rate(rates);
    add_part(sums, tokens->cached, cached, batch);
    if (part_amount(tokens->cached, rates->input, batch, &as_input) &&
        part_amount(tokens->cached, cached, batch, &as_cached))
        *ret_cache_savings = as_input - as_cached;
}

static void price_completion(const struct rates *rates, const struct cost_tokens *tokens, bool batch, struct sums *sums)
{
    add_part(sums, tokens->output - tokens->reasoning - tokens->audio_output, rates->output, batch);
    if (tokens->reasoning > 0)
        add_part(sums, tokens->reasoning, rate_or(rates->price->reasoning, rates->output), batch);
    if (tokens->audio_output > 0)
        add_part(sums, tokens->audio_output, rate_or(rates->price->audio_output, rates->output), batch);
}

static bool used_nothing(const tbus_usage_t *usage)
{
    return (usage->prompt_tokens | usage->completion_tokens | usage->cached_tokens | usage->cache_write_tokens |
            usage->images | usage->characters) == 0;
}

/* Images, characters and the request itself count as output. A request that used nothing of what its model has prices
 * for has failed before it began, and is not paid for. */
static void price_others(const tbus_prices_t *prices, const struct price_entry *entry, const struct rates *rates,
                         const tbus_usage_t *usage, bool has_tokens, struct sums *sums)
{
    if (usage->images > 0)
        add_part(sums, usage->images, image_rate(prices, entry, rates, usage), usage->batch);
    if (usage->characters > 0)
        add_part(sums, usage->characters, character_rate(rates), usage->batch);
    if (entry->price.request != TBUS_PRICE_NONE && !(has_tokens && used_nothing(usage)))
        add_part(sums, 1, (struct rate){entry->price.request, TBUS_PRICE_NONE}, usage->batch);
}

void cost_price_usage(const tbus_prices_t *prices, const struct price_entry *entry, const tbus_usage_t *usage,
                      struct cost_bill *ret)
{
    struct sums input = {0}, output = {0};

    if (!entry) {
        *ret = (struct cost_bill){.tokens = guess_tokens(usage), .unpriced = true};
        return;
    }
    bool has_tokens = !has_no_tokens(entry);
    *ret = (struct cost_bill){.tokens = split_tokens(usage, entry->price.input_excludes_cached)};
    const struct cost_tokens *tokens = &ret->tokens;
    const struct rates rates = rates_of(&entry->price, tokens->input + tokens->cached + tokens->written);
    if (has_tokens) {
        price_prompt(&rates, tokens, usage->batch, &input, &ret->cache_savings);
        price_completion(&rates, tokens, usage->batch, &output);
    }
    price_others(prices, entry, &rates, usage, has_tokens, &output);

    ret->input = input.charged;
    ret->output = output.charged;
    ret->total = input.charged + output.charged;
    ret->batch_savings = usage->batch ? input.regular + output.regular - ret->total : 0;
    bool only_tokens = usage->images == 0 && usage->characters == 0 && entry->price.request == TBUS_PRICE_NONE;
    bool any_tokens = usage->prompt_tokens > 0 || usage->completion_tokens > 0;
    ret->unpriced = input.unpriced || output.unpriced || (!has_tokens && only_tokens && any_tokens);
}
