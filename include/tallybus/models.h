/* The model tracker: what each model is asked, how it answers, and what that costs. Needs no bus; subscribers.h feeds it
 * from one.
 *
 * Latency goes into histograms: percentiles are within 0.5 %, over a sliding window. The other figures are for ever.
 * Time is that of the events; one too far ahead is not believed, as in streaming.h. Every function takes one lock for as
 * long as it needs to read or write plain memory; none calls the host, but for the options' `clock`. */
#ifndef TALLYBUS_MODELS_H
#define TALLYBUS_MODELS_H

#include <tallybus/money.h>
#include <tallybus/traffic.h>

TBUS_BEGIN_DECLS

typedef struct tbus_models tbus_models_t;

typedef struct tbus_models_options {
    uint32_t models_max; /* models told apart, beside ""; further ones count as "other"; default 100 */
    uint32_t
        endpoints_max;  /* endpoints told apart, of all models together; further ones are one, "other"; default 100 */
    uint32_t users_max; /* the same of users; default 10,000 */
    int64_t window_ns;  /* latency and rates are over this time before the snapshot's (latency in 4 slices, so up to a
                               quarter more); default 300 s */
    int64_t
        ahead_max_ns; /* how far ahead of the clock, and of the latest time, a time may be; default 300 s; negative =
                             any time is believed: for times that are not of this clock */
    /* Nanoseconds since 1970; default: the system's clock. Asked on opening, on a reset, and where a time is ahead of
     * what the last look at it allowed, or late by more than `ahead_max_ns`; with the lock held, on any thread: it may
     * neither block nor call the library. */
    int64_t (*clock)(void *user);
    void *clock_user;
    uint64_t reserved[8];
} tbus_models_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory, what tables take for a moment as they grow included: 700 KiB;
 * for each model and "other" 125 KiB and at most 3 bits for each endpoint and user that may be told apart; at most 650
 * bytes for each endpoint, 460 for each user. Errors: UV_EINVAL (`ret` NULL, models or endpoints above 2^16, users above
 * 2^24, a negative window), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_models_open(const tbus_models_options_t *options, tbus_models_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_models_close(tbus_models_t *models);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_models_reset(tbus_models_t *models);

/* A request to a model ended (copies). Strings may be NULL: a model that counts as "", an endpoint or user that is not
 * seen. Errors: UV_EINVAL (tracker or `end` NULL), UV_ENOMEM (a name could not be kept: a model counts as "other", an
 * endpoint or user is not seen; all else is counted). [any thread] */
TBUS_API int tbus_models_record_end(tbus_models_t *models, const char *model, const char *endpoint, const char *user_id,
                                    const tbus_traffic_end_t *end);

/* What a request to a model cost: added as it is, exactly; an amount below 0 takes back what was added before. Errors:
 * UV_EINVAL (tracker NULL), UV_EOVERFLOW (the sum would not fit: nothing is added, counted), UV_ENOMEM (as above). [any
 * thread] */
TBUS_API int tbus_models_record_cost(tbus_models_t *models, const char *model, tbus_money_t cost);

typedef struct tbus_model {
    tbus_traffic_t traffic;    /* requests = responses, in_flight 0: a request counts when it has ended */
    double error_rate;         /* errors / requests; NaN before the first */
    uint64_t total_tokens;     /* prompt + completion */
    tbus_money_t cost;         /* see tbus_models_record_cost() */
    int64_t first_ns, last_ns; /* the earliest and the latest use; 0 = only a cost is known */
    uint64_t endpoints, users; /* different ones seen; all past the limit together are one more */
} tbus_model_t;

typedef struct tbus_models_snapshot {
    int64_t time_ns;  /* the moment that the window ends at */
    int64_t since_ns; /* when the tracker was opened or reset last, by its clock */
    uint64_t negative_durations, refused_costs;
    uint64_t ahead;                  /* times too far ahead to be believed */
    bool endpoints_full, users_full; /* the limit was passed: endpoints or users are told apart no further */
    size_t models_count;
    const tbus_model_t *models; /* by falling number of requests, then by name */
} tbus_models_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_models_snapshot_free(). The window ends at `now_ns`;
 * 0 = at the latest time recorded. The lock is held to copy the counts, which are of one moment, and then once for each
 * model's latency, which may know of a few requests more. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_models_snapshot(tbus_models_t *models, int64_t now_ns, tbus_models_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_models_snapshot_free(tbus_models_snapshot_t *snapshot);

/* --- Comparing --- */

typedef enum tbus_model_figure {
    TBUS_MODEL_REQUESTS = 0,
    TBUS_MODEL_ERRORS,
    TBUS_MODEL_ERROR_RATE,
    TBUS_MODEL_PROMPT_TOKENS,
    TBUS_MODEL_COMPLETION_TOKENS,
    TBUS_MODEL_TOTAL_TOKENS,
    TBUS_MODEL_LATENCY_AVG,
    TBUS_MODEL_LATENCY_P50,
    TBUS_MODEL_LATENCY_P90,
    TBUS_MODEL_LATENCY_P95,
    TBUS_MODEL_LATENCY_P99,
    TBUS_MODEL_COST, /* USD */
    TBUS_MODEL_ENDPOINTS,
    TBUS_MODEL_USERS,
    TBUS_MODEL_FIRST_USE, /* ns since 1970; NaN = only a cost is known */
    TBUS_MODEL_LAST_USE,
    TBUS_MODEL_FIGURES
} tbus_model_figure_t;

/* "requests", "errors", ..., "latency_avg_ms", "cost_usd", "first_ns"; static memory; NULL for a number that is none.
 * [any thread] */
TBUS_API const char *tbus_model_figure_name(tbus_model_figure_t figure);

/* A figure of a model as a double; NaN = not known, or no such figure. [any thread] */
TBUS_API double tbus_model_figure(const tbus_model_t *model, tbus_model_figure_t figure);

typedef struct tbus_model_difference {
    double a, b;
    double delta;    /* b - a: of counts and moments the difference of the integers, rounded once */
    double per_cent; /* delta / a * 100; NaN where a is 0 or not known */
} tbus_model_difference_t;

typedef struct tbus_models_comparison {
    tbus_model_difference_t figures[TBUS_MODEL_FIGURES]; /* by tbus_model_figure_t */
    tbus_money_t cost_delta;                             /* exact */
} tbus_models_comparison_t;

/* Compares two models of a snapshot (or of two). Errors: UV_EINVAL, UV_EOVERFLOW (the costs lie too far apart). [any
 * thread] */
TBUS_API TBUS_CHECKED int tbus_models_compare(const tbus_model_t *a, const tbus_model_t *b,
                                              tbus_models_comparison_t *ret);

/* The model of a snapshot with this name, or NULL; borrows. [any thread] */
TBUS_API const tbus_model_t *tbus_models_find(const tbus_models_snapshot_t *snapshot, const char *model);

/* Puts the snapshot's models into `list` (room for `models_count`; borrows) by a figure, the highest first; those of
 * which it is not known last, equal ones by name. Counts, moments and costs are compared exactly. Errors: UV_EINVAL.
 * [any thread] */
TBUS_API TBUS_CHECKED int tbus_models_rank(const tbus_models_snapshot_t *snapshot, tbus_model_figure_t by,
                                           const tbus_model_t **list);

TBUS_END_DECLS

#endif
