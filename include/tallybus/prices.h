/* Price tables: what a token, an image, a character costs, by model. A table is filled by one thread, then given to
 * trackers, and from then on only read, so that any number of threads may use it without a lock. New prices come as a
 * new table: tbus_cost_set_prices().
 *
 * Trackers share a table with whoever made it: each holds on to it for as long as it needs it, and the last one to let
 * go frees it. So the host may close its own hold as soon as it has handed the table over. */
#ifndef TALLYBUS_PRICES_H
#define TALLYBUS_PRICES_H

#include <tallybus/money.h>

TBUS_BEGIN_DECLS

typedef struct tbus_prices tbus_prices_t;

/* Prices of one model, in units of 1e-12 USD for one token, character or image. TBUS_PRICE_NONE = there is no such
 * price, which is not the same as a price of 0. */
#define TBUS_PRICE_NONE INT64_C(-1)

#define TBUS_PRICE_TIERS 2

/* Prices of a request whose prompt (cached and written tokens included) has more than `above_tokens`: for all of it,
 * not for the tokens above alone. None = as below the tier; a batch request pays half of a tier's price. */
typedef struct tbus_price_tier {
    int64_t above_tokens; /* 0 = no tier */
    int64_t input, output, cached_input, cache_write, character, image;
} tbus_price_tier_t;

typedef struct tbus_price {
    int64_t input;                             /* per token: prompt */
    int64_t output;                            /* per token: completion */
    int64_t cached_input;                      /* per token read from the cache; none = `input` */
    int64_t cache_write;                       /* per token written to the cache; none = `input` */
    int64_t batch_input;                       /* per token in a batch request; none = half of `input` */
    int64_t batch_output;                      /* the same for `output` */
    int64_t character;                         /* per character */
    int64_t image;                             /* per image, where size and quality make no difference */
    int64_t reasoning;                         /* per reasoning token; none = `output` */
    int64_t audio_input;                       /* per token of audio in the prompt; none = `input` */
    int64_t audio_output;                      /* per token of audio in the completion; none = `output` */
    int64_t request;                           /* per request, beside all else; none = nothing */
    tbus_price_tier_t tiers[TBUS_PRICE_TIERS]; /* the one with the highest `above_tokens` passed counts */
    bool input_excludes_cached; /* input_tokens are reported without the cached ones (Anthropic), not with them (OpenAI)
                                 */
} tbus_price_t;

/* A price struct in which every price is TBUS_PRICE_NONE. [any thread] */
TBUS_API tbus_price_t tbus_price_none(void);

/* Makes a table with the built-in prices (with_builtin) or an empty one. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_prices_open(bool with_builtin, tbus_prices_t **ret);

/* Lets go of it; NULL is allowed. It is freed when no tracker holds on to it any more. [any thread] */
TBUS_API void tbus_prices_close(tbus_prices_t *prices);

/* Sets the prices of a model (copies), over older ones.
 * Errors: UV_EINVAL (an argument NULL, a name that is empty or over 128 bytes, a price below TBUS_PRICE_NONE, a tier
 * above fewer than 0 tokens), UV_EBUSY (a tracker holds the table), UV_E2BIG (over 100,000 models), UV_ENOMEM.
 * [any thread, alone] */
TBUS_API int tbus_prices_set(tbus_prices_t *prices, const char *model, const tbus_price_t *price);

/* Sets the price of one image of a model by size and quality ("1024x1024", "hd"; NULL or "" = any; at most 31
 * bytes each). Errors: as above, UV_E2BIG also for over 100,000 image prices. [any thread, alone] */
TBUS_API int tbus_prices_set_image(tbus_prices_t *prices, const char *model, const char *size, const char *quality,
                                   int64_t price);

/* Finds the prices of a model: by its name, then without provider prefixes ("openai/gpt-4o"), then without a date
 * suffix
 * ("gpt-4o-2024-05-13", "claude-3-opus-20240229", "gpt-4-0613"), then, for "ft:BASE:...", the prices set for "ft:BASE",
 * prefixes and date treated alike. Borrows; NULL when there is none. [any thread] */
TBUS_API const tbus_price_t *tbus_prices_find(const tbus_prices_t *prices, const char *model);

/* The price of one image, or TBUS_PRICE_NONE: size and quality as given, then quality "standard" where none is given,
 * then any. [any thread] */
TBUS_API int64_t tbus_prices_find_image(const tbus_prices_t *prices, const char *model, const char *size,
                                        const char *quality);

/* Models in the table. [any thread] */
TBUS_API size_t tbus_prices_count(const tbus_prices_t *prices);

TBUS_END_DECLS

#endif
