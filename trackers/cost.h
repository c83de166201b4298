/* The cost tracker from inside:
 *   cost_price.c       prices one usage; knows no tracker
 *   cost_history.c     a name's sums, for ever and by hour
 *   cost_records.c     the last usages
 *   cost_estimates.c   usages that real figures may still replace
 *   cost.c             records a usage in all of these
 *   cost_restore.c     takes in what was used before there was a tracker
 *   cost_lists.c, cost_snapshot.c, cost_period.c, cost_advice.c   copy out and conclude */
#ifndef TRACKERS_COST_H
#define TRACKERS_COST_H

#include <tallybus/cost.h>

#include "trackers/ahead.h"
#include "trackers/cost_history.h"
#include "trackers/order.h"
#include "trackers/prices.h"
#include "trackers/table.h"

/* The tokens of a usage, each in one place; reasoning and audio are parts of others. */
struct cost_tokens {
    int64_t input; /* neither cached nor written */
    int64_t cached, written, output, reasoning;
    int64_t audio_input, audio_output; /* of the input, and of the output that is not reasoning */
    bool cut;                          /* there were not as many tokens as parts of them were told */
};

/* What a usage comes to. No amount but the savings is below 0. */
struct cost_bill {
    int128_t input, output, total;
    int128_t cache_savings, batch_savings;
    struct cost_tokens tokens;
    bool unpriced; /* something was used that has no price */
};

/* The most that a count may be where a usage is priced: a single usage's is at most TBUS_USAGE_COUNT_MAX, but sums of
 * tokens are priced too. */
#define COST_COUNT_MAX (INT64_C(1) << 48)

/* Prices a usage (each count 0 .. COST_COUNT_MAX) by an entry of a table; NULL = nothing has a price. */
void cost_price_usage(const tbus_prices_t *prices, const struct price_entry *entry, const tbus_usage_t *usage,
                      struct cost_bill *ret);

/* --- Names --- */

/* A sum belongs to a name of a group. The last two are by model too, and not shown: what a model's requests in batches
 * used, and those that could have been in one. */
enum cost_group {
    COST_BY_KEY,
    COST_BY_USER,
    COST_BY_PROJECT,
    COST_BY_MODEL,
    COST_BY_ENDPOINT,
    COST_GROUPS_SHOWN,
    COST_BATCHED = COST_GROUPS_SHOWN,
    COST_BATCHABLE,
    COST_GROUPS
};

/* A name as a number: its group, and its table's cell + 1, where 0 is usage that named none. */
#define COST_NAME(group, place) ((uint32_t)(group) << 28 | (place))
#define COST_PLACE_OF(name) ((name) & ((UINT32_C(1) << 28) - 1))
#define COST_GROUP_OF(name) ((name) >> 28)
#define COST_PLACE_OF_OTHER 1 /* the first to be added in each table */
#define COST_TOTAL COST_NAME(COST_GROUPS, 0)

/* What is known of an API key that may be shown. */
struct cost_key_id {
    char redacted[TBUS_REDACTED_BYTES];
    unsigned char digest[TBUS_KEY_DIGEST_BYTES];
};

/* A name that no key can have: what a restored row goes by until its key comes and takes it over. */
struct cost_digest_name {
    char bytes[1 + TBUS_KEY_DIGEST_BYTES]; /* NUL, and the key's digest */
    struct table_name name;
};

void cost_digest_name_of(const struct table *keys, const struct cost_key_id *id, struct cost_digest_name *ret);

/* NULL and "" are no key: "" and zeros. */
void cost_key_id_of(const char *api_key, struct cost_key_id *ret);

/* A key is stored to tell it from others, and shown only redacted. It mostly belongs to one user and one project, so it
 * remembers where those were found last: comparing a name is cheaper than searching it. Rows begin with the struct
 * cost_row: one is found without asking what it is a row of. */
struct cost_key_row {
    struct cost_row row;
    struct cost_key_id id;
    uint32_t last_user, last_project; /* places */
};

/* A model's price is looked for once in each table of prices. */
struct cost_model_row {
    struct cost_row row;
    const struct price_entry *entry; /* the model's own, or NULL */
    uint32_t prices_number;          /* of the table that it was looked for in */
};

struct cost_endpoint_row {
    struct cost_row row;
    bool looked_at, interactive; /* somebody waits for its answers */
};

/* --- The last usages --- */

enum { COST_REQUEST_ID_BYTES = 64 };

/* A usage as it is kept. Names are places in their tables, which keep a name for as long as the tracker does. */
struct cost_record {
    tbus_usage_record_t usage; /* without its strings and the key's digest */
    uint32_t places[COST_GROUPS_SHOWN];
    char request_id[COST_REQUEST_ID_BYTES];
};

struct cost_records {
    struct cost_record *ring; /* NULL where none are kept */
    uint32_t room;
    uint64_t taken; /* records ever written: the next one's number */
};

/* Errors: UV_ENOMEM. */
int cost_records_open(struct cost_records *records, uint32_t room);
void cost_records_close(struct cost_records *records);

/* The place of the next record; its number is told. NULL where none are kept. */
struct cost_record *cost_records_next(struct cost_records *records, uint64_t *ret_number);

/* The record with a number, or NULL: another has taken its place. */
struct cost_record *cost_records_find(const struct cost_records *records, uint64_t number);

/* --- Estimates --- */

/* A usage that later figures of the same request replace: all that was added for it, so that it can be taken off again,
 * and its record, so that it can be told. One block of memory with its strings. */
struct cost_estimate {
    struct order_link link; /* first: in the order in which they came */
    struct cost_sums sums;
    uint32_t hour;
    uint32_t places[COST_GROUPS];
    bool in_group[COST_GROUPS]; /* it was added there */
    uint64_t record_number;
    tbus_usage_record_t record; /* its strings lie behind the struct */
    const char *api_key;        /* whole; "" = none */
    struct cost_key_id key_id;
};

struct cost_estimates {
    struct table table; /* by request id, of struct cost_estimate * */
    struct order order;
    uint64_t forgotten; /* for want of room: they stay as they are */
};

void cost_estimates_init(struct cost_estimates *estimates, uint32_t max);
void cost_estimates_clear(struct cost_estimates *estimates);

/* Takes the estimate of a request out, for the caller to free with tbus_mem_free(); NULL when there is none. */
struct cost_estimate *cost_estimates_take(struct cost_estimates *estimates, const char *request_id);

/* Longer strings are cut in an estimate: it must not hold what a client likes to send. */
enum { COST_ESTIMATE_TEXT_MAX = 1024 };

/* --- The tracker --- */

/* Prices change as a whole: the table, and the entry for unknown models in it. */
struct cost_prices {
    const tbus_prices_t *table;         /* held */
    const struct price_entry *fallback; /* NULL = unknown models have no price */
};

struct tbus_cost {
    uv_mutex_t mu;
    tbus_unknown_model_t unknown_model;        /* [const after open] */
    char *fallback_model;                      /* [const after open] */
    struct ahead ahead;                        /* [lock: mu] */
    struct cost_prices prices;                 /* [lock: mu] */
    uint32_t prices_number;                    /* [lock: mu] counts the tables that there were */
    struct table tables[COST_GROUPS];          /* [lock: mu] names, "other" among them from the start */
    struct cost_key_row unnamed[COST_GROUPS];  /* [lock: mu] usage that named none, which needs no search */
    struct cost_row total;                     /* [lock: mu] */
    struct cost_history history;               /* [lock: mu] */
    struct cost_records records;               /* [lock: mu] */
    struct cost_estimates estimates;           /* [lock: mu] */
    tbus_money_t cache_savings, batch_savings; /* [lock: mu] */
    uint64_t estimated_requests, retracted_estimates, refused_usages, absurd_usages, cut_cached_tokens,
        untracked_streams;  /* [lock: mu] */
    int64_t first_time_ns;  /* [lock: mu] the earliest; INT64_MAX before the first usage */
    int64_t hour_begin_ns;  /* [lock: mu] of the hour that a usage was in last */
    uint32_t hour;          /* [lock: mu] its number; 0 = none has been recorded yet */
    uint32_t restored_hour; /* [lock: mu] the latest with restored sums; 0 = none */
    uint32_t restored_keys; /* [lock: mu] rows that wait for their whole key */
};

/* The rows that a usage belongs to; NULL = not in this group. */
struct cost_rows {
    struct cost_row *of[COST_GROUPS];
    const struct cost_key_row *key;
};

struct cost_sums cost_sums_of(const struct cost_bill *bill);

/* Fills in all of a record but its strings and the key's digest, which are left as they are. */
void cost_fill_record(tbus_usage_record_t *record, const tbus_usage_t *usage, const struct cost_bill *bill);

/* Whether the usage names a request by an id that can be kept. */
bool cost_estimate_can_be_told(const tbus_usage_t *usage);

/* Remembers an estimate, which has been recorded like any usage, so that it can be replaced. Errors: UV_ENOMEM: it
 * stays as it is. [lock: mu] */
int cost_estimate_keep(tbus_cost_t *cost, const tbus_usage_t *usage, const struct cost_bill *bill,
                       const struct cost_rows *rows, uint64_t record_number);

/* Takes off all that was added for an estimate. [lock: mu] */
void cost_estimate_retract(tbus_cost_t *cost, const struct cost_estimate *estimate);

void cost_prices_let_go(const struct cost_prices *prices);

/* As tbus_cost_record_usage(); `ret_replaced` gets the estimate that this usage replaces, NULL when there is none: the
 * caller frees it with tbus_mem_free(). */
int cost_record(tbus_cost_t *cost, const tbus_usage_t *usage, struct cost_bill *ret_bill,
                struct cost_estimate **ret_replaced);

/* A stream began, or is open, that would not be billed if it were cut off. */
void cost_count_untracked(tbus_cost_t *cost);

/* As tbus_cost_forecast(). [lock: mu] */
tbus_cost_forecast_t cost_forecast_locked(const tbus_cost_t *cost, int64_t now_ns);

/* A row of a group, by a name that was fitted by its table; it may be "other". `*error` becomes UV_ENOMEM when the name
 * could not be kept. [lock: mu] */
void *cost_row_add_locked(tbus_cost_t *cost, enum cost_group group, const struct table_name *name, int *error);

/* Whether nothing has been recorded or restored. */
bool cost_is_new(tbus_cost_t *cost);

/* The latest time of a usage that is believed at `now_ns`. */
int64_t cost_believed_until(const tbus_cost_t *cost, int64_t now_ns);

/* The row of a name that was recorded. */
const struct cost_row *cost_row_at(const tbus_cost_t *cost, uint32_t name);

#endif
