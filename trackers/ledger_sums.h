/* What one transaction adds to the sums in the file: by kind and name, for one hour at a time. The columns of a sum
 * stand here, once; the schema and all statements are made of them. */
#ifndef TRACKERS_LEDGER_SUMS_H
#define TRACKERS_LEDGER_SUMS_H

#include "trackers/ledger_queue.h"
#include "trackers/money.h"
#include "trackers/table.h"

/* The counts of a sum, in the order of their columns; their names are those in tbus_ledger_sum_t. */
#define LEDGER_COUNTS(X)                                                                                               \
    X(requests)                                                                                                        \
    X(input_tokens)                                                                                                    \
    X(cache_read_tokens)                                                                                               \
    X(cache_write_tokens)                                                                                              \
    X(output_tokens)                                                                                                   \
    X(reasoning_tokens)                                                                                                \
    X(images)                                                                                                          \
    X(characters)                                                                                                      \
    X(batch_requests)                                                                                                  \
    X(estimated_requests)                                                                                              \
    X(unpriced_requests)                                                                                               \
    X(retracted_requests)

/* The amounts, behind them. Each is two columns, for a sum may pass the 63 bits of 1e-12 USD: <name>_micro in 1e-6 USD,
 * rounded down, and <name>_rest, 0 .. 999,999, in 1e-12 USD. */
#define LEDGER_MONEY(X)                                                                                                \
    X(cost)                                                                                                            \
    X(cache_savings)                                                                                                   \
    X(batch_savings)

enum ledger_count {
#define LEDGER_COUNT_NUMBER(name) LEDGER_COUNT_##name,
    LEDGER_COUNTS(LEDGER_COUNT_NUMBER)
#undef LEDGER_COUNT_NUMBER
        LEDGER_COUNTS_END
};

#define LEDGER_PER_MICRO 1000000
#define LEDGER_NS_PER_S INT64_C(1000000000)
#define LEDGER_HOUR_S 3600

struct ledger_figures {
    int64_t counts[LEDGER_COUNTS_END]; /* they stay at the ends of their range */
    tbus_money_t amounts[LEDGER_AMOUNTS];
    int64_t first_ns, last_ns; /* columns behind the amounts */
};

/* An amount as the file has it: micro * 1,000,000 + rest. */
struct ledger_amount {
    int64_t micro, rest;
};

struct ledger_amount ledger_amount_of(tbus_money_t money);

/* to += from; both are of at least one row. */
void ledger_figures_add(struct ledger_figures *to, const struct ledger_figures *from);

/* What one row adds: below 0 where it is retracted. */
void ledger_figures_of_row(const struct ledger_row *row, struct ledger_figures *ret);

/* Seconds since 1970 at which the hour begins that a time lies in. */
static inline int64_t ledger_hour_of(int64_t time_ns)
{
    int64_t hour_ns = LEDGER_HOUR_S * LEDGER_NS_PER_S;
    return (time_ns / hour_ns - (time_ns % hour_ns < 0)) * LEDGER_HOUR_S;
}

/* One sum that has been added to. */
struct ledger_sum {
    struct ledger_figures figures;
    unsigned char key_digest[TBUS_KEY_DIGEST_BYTES];
    bool changed;
};

/* `name` is redacted where it is a key's. */
typedef int (*ledger_put)(tbus_ledger_kind_t kind, const char *name, const struct ledger_sum *sum, void *user);

/* Names stay when their sums have been written, for the next rows are likely to have the same; they go when there are
 * too many. */
struct ledger_sums {
    struct table tables[TBUS_LEDGER_KINDS]; /* of struct ledger_sum */
    int64_t hour;
};

void ledger_sums_init(struct ledger_sums *sums);
void ledger_sums_clear(struct ledger_sums *sums);

/* Whether a row has to wait until the sums have been written: it is of another hour, or there are too many names. */
bool ledger_sums_must_go(const struct ledger_sums *sums, int64_t hour);

/* Adds a row to the sums of its hour. Errors: UV_ENOMEM (in part; then all of it is to be dropped). */
int ledger_sums_add(struct ledger_sums *sums, int64_t hour, const struct ledger_row *row,
                    const char *const texts[LEDGER_TEXTS]);

/* Hands each changed sum to `put`, until that fails, and forgets what changed. NULL: only forgets. */
int ledger_sums_take(struct ledger_sums *sums, ledger_put put, void *user);

#endif
