/* The cost tracker: exact money by key, user, project, model and endpoint. Needs no bus; subscribers.h feeds it from
 * one. Every function takes one lock for as long as it needs to read or write plain memory; none calls the host, but for the
 * clock. */
#ifndef TALLYBUS_COST_H
#define TALLYBUS_COST_H

#include <tallybus/prices.h>
#include <tallybus/usage.h>

TBUS_BEGIN_DECLS

typedef struct tbus_cost tbus_cost_t;

/* What a model without a price costs. It is counted by model in each case: `unpriced_requests`. */
typedef enum tbus_unknown_model {
    TBUS_UNKNOWN_FALLBACK = 0, /* as the fallback model (default) */
    TBUS_UNKNOWN_UNPRICED,     /* nothing, and flagged */
    TBUS_UNKNOWN_REJECT        /* tbus_cost_price() says UV_ENOENT, so that no request for it begins; one that was made
                                  all the same is recorded as unpriced */
} tbus_unknown_model_t;

typedef struct tbus_cost_options {
    const tbus_prices_t *prices; /* shared with the tracker: see prices.h; NULL = the built-in prices */
    const char *fallback_model;  /* whose prices an unknown model gets (copied); default "gpt-3.5-turbo" */
    tbus_unknown_model_t unknown_model;
    uint32_t keys_max;      /* keys, users and projects told apart, each; further ones count as "other"; default 10,000
                             */
    uint32_t models_max;    /* the same for models and endpoints; default 1,000 */
    uint32_t history_max;   /* sums by name and hour kept, of 88 bytes each, taken as they are needed; at most 2^28;
                               default 500,000. Past it the oldest hours are given up: `history_from_ns` says since when
                               all is there, `dropped_sums` counts */
    uint32_t records_max;   /* usage records kept; at most 2^20; default 1,000; UINT32_MAX = none */
    uint32_t estimates_max; /* estimates that real figures may still replace; past it the oldest ones stay as they are,
                               which is counted; at most 2^24; default 10,000 */
    /* How far ahead of the clock, and of the latest usage, a usage's time may be; default 300 s; negative = any time is
     * believed. One further ahead counts at the latest time that was, and is counted. */
    int64_t ahead_max_ns;
    /* Nanoseconds since 1970; default: the system's clock. Asked on opening, on a reset, and where a time is ahead of
     * what the last look at it allowed, or late by more than `ahead_max_ns`; with the lock held, on any thread: it may
     * neither block nor call the library. */
    int64_t (*clock)(void *user);
    void *clock_user;
    uint64_t reserved[8];
} tbus_cost_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: at most about 500 bytes for each name told apart, 1,200 for
 * each model, 310 for each record, the history as above, and for each estimate about 600 and its strings (of each 1,024
 * bytes at most). Errors: UV_EINVAL (`ret` NULL, an option out of its range), UV_ENOENT (TBUS_UNKNOWN_FALLBACK, and the
 * fallback model is not in the table), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_open(const tbus_cost_options_t *options, tbus_cost_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_cost_close(tbus_cost_t *cost);

/* Forgets everything but the prices and starts counting anew. [any thread] */
TBUS_API void tbus_cost_reset(tbus_cost_t *cost);

/* Replaces the prices, all at once: a usage is priced by the old table or by the new one. What was recorded keeps its
 * price. To load a file anew while everything runs:
 *
 *     tbus_prices_t *prices;
 *     int error = tbus_prices_open(true, &prices);
 *     if (!error)
 *         error = tbus_prices_load(prices, path, NULL, NULL, NULL, why, sizeof why);
 *     if (!error)
 *         error = tbus_cost_set_prices(cost, prices);
 *     tbus_prices_close(prices);     (on an error the old ones stay; the tracker holds on to its own)
 *
 * Errors: UV_EINVAL, UV_ENOENT (the fallback model is not in the table). [any thread] */
TBUS_API int tbus_cost_set_prices(tbus_cost_t *cost, const tbus_prices_t *prices);

/* The most that any count of a usage may be: one above it is a mistake, not a request. */
#define TBUS_USAGE_COUNT_MAX INT64_C(1000000000000)

/* What one request used. Strings may be NULL ("").
 *
 * Its price: each part (uncached prompt, cached, written, completion, reasoning and audio in them, images, characters)
 * is its count times its price, and a price per request comes on top. A part without a price of its own costs what the
 * whole costs that it is a part of: cached, written and audio tokens the input price, reasoning and audio the output
 * price. Where the price entry says that input includes the cached tokens, prompt_tokens holds the cached and the
 * written ones too: cached_tokens are cut to prompt_tokens, cache_write_tokens to what is left, and only the rest is
 * uncached. Where it says that input excludes them, the three counts stand side by side. A price of 0 is a price. Where
 * the whole prompt passes a tier of the entry, the tier's prices count for all of the usage. A batch request pays the
 * batch price where the part has one, else half its price, half a unit of 1e-12 USD rounded up. */
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
    bool estimated; /* not the provider's figures; with a request_id, later figures of that request replace it */
    int64_t time_ns;
    int64_t audio_input_tokens;  /* of the prompt */
    int64_t audio_output_tokens; /* of the completion, beside the reasoning */
    bool streamed;               /* its answer was sent as it came: nobody can make a batch of it */
    const char *request_id;      /* kept up to 63 bytes in records; estimates of ids over 1,024 are not replaced */
    uint64_t event_id;           /* of the event that told it; 0 = none */
} tbus_usage_t;

typedef struct tbus_charge {
    tbus_money_t input, output, total; /* total = input + output; images and characters are output */
    tbus_money_t cache_savings;        /* what the cached tokens would have cost as input - what they cost */
    tbus_money_t batch_savings;        /* the regular price - the batch price */
    /* the same usage with each token in one place; reasoning is part of the output */
    int64_t input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens;
    bool unknown_model; /* the model has no price (fallback or unpriced, as the options say), or none for something that
                           was used, which then cost 0 */
} tbus_charge_t;

/* Prices a usage and adds it to the sums of all time, of its hour, and to the records; `ret_charge` may be NULL.
 *
 * A usage with the request_id of an estimate replaces it: all that was added for the estimate is taken off again, from
 * the same sums and the same hour.
 *
 * Errors, with nothing added, counted as refused: UV_EINVAL (tracker or usage NULL, a negative count), UV_ERANGE (a
 * count above TBUS_USAGE_COUNT_MAX: counted for itself too), UV_EOVERFLOW (the amount or a sum would not fit).
 * UV_ENOMEM: recorded, but a new name could not be kept, so that it is in the total and under "other", or an estimate
 * could not be remembered to be replaced. [any thread] */
TBUS_API int tbus_cost_record_usage(tbus_cost_t *cost, const tbus_usage_t *usage, tbus_charge_t *ret_charge);

/* Prices a usage without recording it: what a budget sets aside before a request. Errors: UV_EINVAL (also `ret_charge`
 * NULL), UV_ERANGE, UV_ENOENT (TBUS_UNKNOWN_REJECT, and the model has no price). [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_price(const tbus_cost_t *cost, const tbus_usage_t *usage,
                                          tbus_charge_t *ret_charge);

/* --- Sums --- */

typedef struct tbus_cost_sum {
    const char *name; /* "" = usage that named none. Of a key: redacted, see tbus_redact_key() */
    tbus_money_t usd;
    uint64_t requests;
    uint64_t prompt_tokens;     /* cached and written ones included, however the provider counts */
    uint64_t completion_tokens; /* reasoning included */
    uint64_t cached_tokens, cache_write_tokens, reasoning_tokens; /* of these */
    uint64_t unpriced_requests; /* of the requests: `unknown_model` of their charge was set */
} tbus_cost_sum_t;

/* What was used in one hour or day of UTC. */
typedef struct tbus_cost_span {
    int64_t from_ns;     /* its first moment */
    tbus_cost_sum_t sum; /* name "" */
} tbus_cost_span_t;

/* The course of the time: the 24 hours that end with the latest one recorded under any name, and the days of the 31 times 24 that do
 * (up to 32 of the calendar, of which the first may not be whole); the earliest first, those without usage left out. */
typedef struct tbus_cost_course {
    size_t hours_count, days_count;
    const tbus_cost_span_t *hours, *days;
} tbus_cost_course_t;

typedef struct tbus_cost_snapshot {
    int64_t time_ns;           /* the moment that the forecast is of */
    int64_t since_ns;          /* when the tracker was opened or reset last, by its clock */
    tbus_cost_sum_t total;     /* name "" */
    tbus_cost_course_t course; /* of the total */
    tbus_money_t cache_savings, batch_savings;
    tbus_money_t projected_monthly; /* at `time_ns`: see tbus_cost_forecast(), like the two below */
    int64_t observed_ns;
    tbus_money_t observed;
    uint64_t estimated_requests;  /* of the requests: those whose figures are estimates */
    uint64_t retracted_estimates; /* estimates that real figures have replaced: in no sum any more */
    uint64_t forgotten_estimates; /* of the estimated: real figures would not replace them any more */
    uint64_t untracked_streams;   /* streams that would not be billed if they were cut off: no room */
    uint64_t ahead_usages;        /* usages whose time was too far ahead of the clock to be believed */
    uint64_t refused_usages;
    uint64_t absurd_usages;     /* of these: a count was above TBUS_USAGE_COUNT_MAX */
    uint64_t cut_cached_tokens; /* usages whose cached and written tokens were more than the prompt that holds them, or
                                   whose reasoning or audio more than what is left of prompt or completion */
    uint64_t dropped_sums;      /* sums by name and hour given up for want of room or memory */
    int64_t history_from_ns;    /* periods from here on are whole */
    /* each list by falling cost, then by name */
    size_t by_key_count, by_user_count, by_project_count, by_model_count, by_endpoint_count;
    const tbus_cost_sum_t *by_key, *by_user, *by_project, *by_model, *by_endpoint;
} tbus_cost_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_cost_snapshot_free(). It is of the latest time recorded
 * and believed, at which a forecast stays where it is when traffic stops. The tracker's lock is held only to copy.
 * Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_snapshot(tbus_cost_t *cost, tbus_cost_snapshot_t **ret);

/* The same as of a moment: what is projected is drawn from the time before `now_ns`, 0 = the latest time recorded; the rest
 * is all that is known. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_snapshot_at(tbus_cost_t *cost, int64_t now_ns, tbus_cost_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_cost_snapshot_free(tbus_cost_snapshot_t *snapshot);

/* The sums of a period, in whole hours of UTC: of all hours that it touches. */
typedef struct tbus_cost_period {
    int64_t from_ns, to_ns; /* those hours: from included, to not */
    bool is_whole;          /* all of it is told; else usage before `history_from_ns` is missing */
    int64_t history_from_ns;
    tbus_cost_sum_t total;
    /* each list by falling cost, then by name */
    size_t by_key_count, by_user_count, by_project_count, by_model_count, by_endpoint_count;
    const tbus_cost_sum_t *by_key, *by_user, *by_project, *by_model, *by_endpoint;
} tbus_cost_period_t;

/* Sums what was used in the period from `from_ns` until before `to_ns`, of the 744 hours (31 days) that end with the
 * latest one recorded. The last 24 hours: from now - 23 h to now + 1 ns, which is the hour at hand and 23 before it. A
 * usage belongs to the hour of its own time, however late it is told. Free the result with tbus_cost_period_free(). The tracker's lock is held while sums are added: about
 * 5 ms for a million of them. Errors: UV_EINVAL (also: `to_ns` is not after `from_ns`), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_period(tbus_cost_t *cost, int64_t from_ns, int64_t to_ns, tbus_cost_period_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_cost_period_free(tbus_cost_period_t *period);

typedef enum tbus_cost_group {
    TBUS_COST_ALL = 0, /* everything; no name */
    TBUS_COST_KEY,
    TBUS_COST_USER,
    TBUS_COST_PROJECT,
    TBUS_COST_MODEL,
    TBUS_COST_ENDPOINT
} tbus_cost_group_t;

/* One name: what it has in all, and when. */
typedef struct tbus_cost_name {
    tbus_cost_sum_t sum;
    tbus_cost_course_t course;
    int64_t history_from_ns; /* periods from here on are whole */
} tbus_cost_name_t;

/* Looks a name up as snapshots show it: of a key the redacted form, "" (or NULL) = usage that named none; of
 * TBUS_COST_ALL it is not looked at. Free the result with tbus_cost_name_free(). The lock is held for a look at each
 * name of the group. Errors: UV_EINVAL (NULL, no such group), UV_ENOENT (no usage of this name), UV_ENOMEM. [any
 * thread] */
TBUS_API TBUS_CHECKED int tbus_cost_find(tbus_cost_t *cost, tbus_cost_group_t group, const char *name,
                                         tbus_cost_name_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_cost_name_free(tbus_cost_name_t *name);

/* --- What was used before --- */

/* A sum from before: what a name has in all, or the part of it that lies in one hour. */
typedef struct tbus_cost_past {
    tbus_cost_group_t group;
    tbus_cost_sum_t sum; /* its name ("" or NULL = usage that named none), of a key as tbus_redact_key() shows it */
    const unsigned char *key_digest; /* of a key: the SHA-256 of the whole key, TBUS_KEY_DIGEST_BYTES; NULL or zeroes:
                                        the name is the whole key */
    bool of_hour;                    /* false = in all */
    int64_t hour_ns;                 /* any time in the hour */
    /* Of TBUS_COST_ALL in all, else not looked at: */
    tbus_money_t cache_savings, batch_savings;
    uint64_t estimated_requests, retracted_estimates;
    int64_t first_time_ns, last_time_ns; /* of the earliest and the latest usage */
    int64_t history_from_ns; /* hours that begin before this are not told; 0 = all are that lie in the 31 days */
    uint64_t reserved[4];
} tbus_cost_past_t;

/* Adds a sum from before (copies), so that a tracker goes on where an earlier one was: tbus_cost_resume() does it from a
 * ledger. First TBUS_COST_ALL in all, then the names in all, then the hours, the earliest first (any order is right);
 * all of it before the first usage is recorded. What is told twice counts twice. A key's row is found by the digest when
 * the whole key is used for the first time.
 *
 * Not restored: the last records; what the tracker counts about itself (refused, absurd, ahead, cut, untracked, dropped);
 * estimates as such: figures that come later would not replace them, and they count as forgotten. Suggestions look at
 * hours after the latest one restored, for it is not known which of its requests were in batches.
 *
 * Errors, with nothing added: UV_EINVAL (NULL, no such group, an amount or number below 0, parts of the tokens above the
 * whole, in all more than TBUS_COST_ALL has), UV_EOVERFLOW (a sum would not fit), UV_EALREADY (usage has been recorded).
 * UV_ENOMEM: added, but under "other". [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_restore(tbus_cost_t *cost, const tbus_cost_past_t *past);

/* --- Records --- */

typedef struct tbus_cost_records {
    size_t count;
    const tbus_usage_record_t *records; /* newest first; the names of those past the caps are "other" */
} tbus_cost_records_t;

/* Copies the last usages, at most `limit` (0 = all that are kept), without estimates that were replaced. Free the
 * result with tbus_cost_records_free(). Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_records(tbus_cost_t *cost, size_t limit, tbus_cost_records_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_cost_records_free(tbus_cost_records_t *records);

/* --- Conclusions --- */

typedef struct tbus_cost_forecast {
    int64_t observed_ns;            /* the time that it is drawn from: 7 days, or less where usage began later, or the
                                       history of all that time is not kept */
    tbus_money_t observed;          /* what was used in it */
    tbus_money_t projected_monthly; /* the same for 30 days, to the nearest unit */
} tbus_cost_forecast_t;

/* Projects the cost of a month: what the last 7 days cost (the hour that `now_ns` lies in and 167 before it) / 7 * 30.
 * Where the first usage lies within them, or `history_from_ns`: what was used since / the time since, at least 1 hour,
 * * 30 days. `now_ns` 0 =
 * the latest time recorded. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_cost_forecast(tbus_cost_t *cost, int64_t now_ns, tbus_cost_forecast_t *ret);

typedef enum tbus_suggestion_kind {
    TBUS_SUGGEST_MODEL = 1, /* a cheaper model of the same family */
    TBUS_SUGGEST_CACHE,     /* prompt caching: more than 50 requests, the model has a cached price below its input
                               price, and less than a tenth of the prompt tokens were cached. `saving` is what it would
                               be at most, with all of the prompt read from the cache */
    TBUS_SUGGEST_BATCH      /* more than 50 requests that were neither streamed nor in a batch nor to an endpoint at
                               which somebody waits (with "chat", "messages", "responses" or "realtime" in its name) */
} tbus_suggestion_kind_t;

typedef struct tbus_suggestion {
    tbus_suggestion_kind_t kind;
    const char *model;
    const char *cheaper_model; /* TBUS_SUGGEST_MODEL: the one to take; else "" */
    uint64_t requests;         /* that it is about */
    tbus_money_t saving;       /* above 0: of the tokens of 24 hours, at the prices of now, outside of tiers */
} tbus_suggestion_t;

typedef struct tbus_suggestions {
    size_t count;
    const tbus_suggestion_t *suggestions; /* by falling saving */
} tbus_suggestions_t;

/* Looks at the tokens of each model of the last 24 hours (the one that `now_ns` lies in and 23 before it; 0 = the latest
 * time recorded) and prices the same tokens the other way. Free the result with tbus_suggestions_free(). Errors:
 * UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_cost_suggestions(tbus_cost_t *cost, int64_t now_ns, tbus_suggestions_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_suggestions_free(tbus_suggestions_t *suggestions);

/* --- Keys --- */

#define TBUS_REDACTED_BYTES 16

/* What may be shown of an API key: its first 4 characters (none of a key of fewer than 12), "..", and the first 8 hex
 * digits of its SHA-256; "" for NULL and "". Bytes that are not printable ASCII show as '?'. A key of that form already
 * (4 characters or none, "..", 8 hex digits in lower case) stays as it is. Returns `redacted`. [any thread] */
TBUS_API const char *tbus_redact_key(const char *api_key, char redacted[TBUS_REDACTED_BYTES]);

TBUS_END_DECLS

#endif
