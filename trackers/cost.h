/* The cost tracker from inside. Three files: cost_price.c prices one usage and knows no tracker, cost.c keeps the sums,
 * cost_snapshot.c copies them out. */
#ifndef TRACKERS_COST_H
#define TRACKERS_COST_H

#include <tallybus/cost.h>

#include "trackers/money.h"
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

/* Prices a usage (no count below 0) by an entry of a table; NULL = nothing has a price. Errors: UV_EOVERFLOW. */
int cost_price_usage(const tbus_prices_t *prices, const struct price_entry *entry, const tbus_usage_t *usage,
                     struct cost_bill *ret);

enum cost_group { COST_BY_KEY, COST_BY_USER, COST_BY_PROJECT, COST_BY_MODEL, COST_BY_ENDPOINT, COST_GROUPS };

/* The sums of one name. A row without requests has been made and not used: snapshots leave it out. */
struct cost_row {
    tbus_money_t usd;
    uint64_t requests;
    uint64_t prompt_tokens, completion_tokens, cached_tokens;
    uint64_t unpriced_requests;
};

/* A key is stored to tell it from others, and shown only redacted. It mostly belongs to one user and one project, so it
 * remembers where those were found last: comparing a name is cheaper than searching it. */
struct cost_key_row {
    struct cost_row row; /* first: a row is found without asking what it is a row of */
    char redacted[TBUS_REDACTED_BYTES];
    uint32_t last_user, last_project; /* cell + 1; 0 = none */
};

/* A model's price is looked for once. */
struct cost_model_row {
    struct cost_row row;
    const struct price_entry *entry; /* the model's own, or NULL */
    bool resolved;
};

struct tbus_cost {
    uv_mutex_t mu;
    const tbus_prices_t *prices;               /* [const after open] */
    tbus_prices_t *own_prices;                 /* [const after open] the built-in ones, where none were given */
    const struct price_entry *fallback;        /* [const after open] for unknown models; NULL = unpriced */
    struct table tables[COST_GROUPS];          /* [lock: mu] names, "other" among them from the start */
    struct cost_key_row unnamed[COST_GROUPS];  /* [lock: mu] usage that named none, which needs no search */
    struct cost_row total;                     /* [lock: mu] */
    tbus_money_t cache_savings, batch_savings; /* [lock: mu] */
    uint64_t estimated_requests, refused_usages, cut_cached_tokens; /* [lock: mu] */
    int64_t time_ns; /* [lock: mu] the latest; INT64_MIN before the first usage */
};

#endif
