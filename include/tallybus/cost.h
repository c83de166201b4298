/* The cost tracker: exact money by key, user, project, model and endpoint. Needs no bus; subscribers.h feeds it from
 * one. Every function takes one lock for as long as it needs to read or write plain memory; none calls the host. */
#ifndef TALLYBUS_COST_H
#define TALLYBUS_COST_H

#include <tallybus/prices.h>

TBUS_BEGIN_DECLS

typedef struct tbus_cost tbus_cost_t;

typedef enum tbus_unknown_model {
    TBUS_UNKNOWN_FALLBACK = 0, /* priced at the fallback price (default) */
    TBUS_UNKNOWN_UNPRICED      /* cost 0, flagged */
} tbus_unknown_model_t;        /* counted by model in each case */

typedef struct tbus_cost_options {
    const tbus_prices_t *prices; /* borrowed until the tracker is closed; NULL = the built-in prices */
    const char *fallback_model;  /* whose prices an unknown model gets (copied); default "gpt-3.5-turbo" */
    tbus_unknown_model_t unknown_model;
    uint32_t keys_max;   /* keys, users and projects told apart, each; further ones count as "other"; default 10,000 */
    uint32_t models_max; /* the same for models and endpoints; default 1,000 */
    uint64_t reserved[8];
} tbus_cost_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: at most about 400 bytes for each name told apart.
 * Errors: UV_EINVAL (`ret` NULL, a limit above 2^24), UV_ENOENT (TBUS_UNKNOWN_FALLBACK, and the fallback model is
 * not in the table), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_open(const tbus_cost_options_t *options, tbus_cost_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_cost_close(tbus_cost_t *cost);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_cost_reset(tbus_cost_t *cost);

/* The most that any count of a usage may be: one above it is a mistake, not a request. */
#define TBUS_USAGE_COUNT_MAX INT64_C(1000000000000)

/* What one request used. Strings may be NULL ("").
 *
 * Its price: each part (uncached prompt, cached, written, completion, images, characters) is its count times its price.
 * A part without a cached or cache-write price costs the input price. Where the price entry says that input includes
 * the cached tokens, prompt_tokens holds the cached and the written ones too: cached_tokens are cut to prompt_tokens,
 * cache_write_tokens to what is left, and only the rest is uncached. Where it says that input excludes them, the three
 * counts stand side by side. A batch request pays the batch price where the part has one, else half its price, half a
 * unit of 1e-12 USD rounded up. */
typedef struct tbus_usage {
    const char *api_key, *user_id, *project_id, *model, *endpoint;
    int64_t prompt_tokens; /* with or without the cached ones: as the model's price entry says */
    int64_t completion_tokens;
    int64_t cached_tokens; /* read from the cache */
    int64_t cache_write_tokens;
    int64_t reasoning_tokens; /* of the completion */
    int64_t images;
    const char *image_size, *image_quality;
    int64_t characters;
    bool batch;
    bool estimated;
    int64_t time_ns;
    int64_t audio_input_tokens;  /* of the prompt */
    int64_t audio_output_tokens; /* of the completion, beside the reasoning */
    const char *request_id;
    uint64_t event_id; /* of the event that told it; 0 = none */
} tbus_usage_t;

typedef struct tbus_charge {
    tbus_money_t input, output, total; /* total = input + output; images and characters are output */
    tbus_money_t cache_savings;        /* what the cached tokens would have cost as input - what they cost */
    tbus_money_t batch_savings;        /* the regular price - the batch price */
    /* the same usage with each token in one place; reasoning is part of the output */
    int64_t input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens;
    bool unknown_model; /* the model has no price (fallback or unpriced, as the options say), or none for
                                          something that was used, which then cost 0 */
} tbus_charge_t;

/* Prices a usage and adds it to the sums; `ret_charge` may be NULL.
 * Errors, with nothing added, counted as refused: UV_EINVAL (tracker or usage NULL, a negative count), UV_EOVERFLOW
 * (the amount, a sum or a count of tokens would not fit). UV_ENOMEM: a new name could not be kept; the usage is in the
 * total and under "other". [any thread] */
TBUS_API int tbus_cost_record_usage(tbus_cost_t *cost, const tbus_usage_t *usage, tbus_charge_t *ret_charge);

/* Prices a usage without recording it. Errors: UV_EINVAL (also `ret_charge` NULL), UV_EOVERFLOW. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_price(const tbus_cost_t *cost, const tbus_usage_t *usage,
                                          tbus_charge_t *ret_charge);

typedef struct tbus_cost_sum {
    const char *name; /* "" = usage that named none. Of a key: redacted, see tbus_redact_key() */
    tbus_money_t usd;
    uint64_t requests;
    uint64_t prompt_tokens, completion_tokens, cached_tokens;
    uint64_t unpriced_requests; /* of the requests: `unknown_model` of their charge was set */
} tbus_cost_sum_t;

typedef struct tbus_cost_snapshot {
    int64_t time_ns;       /* the latest time recorded */
    tbus_cost_sum_t total; /* name "" */
    tbus_money_t cache_savings, batch_savings;
    uint64_t estimated_requests, refused_usages;
    uint64_t cut_cached_tokens; /* usages whose cached and written tokens were more than the prompt that holds them, or
                                   whose reasoning or audio more than what is left of prompt or completion */
    /* each list by falling cost, then by name */
    size_t by_key_count, by_user_count, by_project_count, by_model_count, by_endpoint_count;
    const tbus_cost_sum_t *by_key, *by_user, *by_project, *by_model, *by_endpoint;
} tbus_cost_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_cost_snapshot_free(). The tracker's lock is held
 * only to copy. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_snapshot(tbus_cost_t *cost, tbus_cost_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_cost_snapshot_free(tbus_cost_snapshot_t *snapshot);

#define TBUS_REDACTED_BYTES 16

/* What may be shown of an API key: its first 4 characters (none of a key of fewer than 12), "..", and the first 8 hex
 * digits of its SHA-256; "" for NULL and "". Bytes that are not printable ASCII show as '?'. A key of that form already
 * (4 characters or none, "..", 8 hex digits in lower case) stays as it is. Returns `redacted`. [any thread] */
TBUS_API const char *tbus_redact_key(const char *api_key, char redacted[TBUS_REDACTED_BYTES]);

TBUS_END_DECLS

#endif
