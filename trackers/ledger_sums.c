#include "trackers/ledger_sums.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    NAMES_MAX = 4096,                         /* of a kind, in one transaction */
    DIGITS_BYTES = 2 * TBUS_KEY_DIGEST_BYTES, /* of a key's digest, in hex */
};

/* --- Figures --- */

static int64_t sum_within(int64_t a, int64_t b)
{
    int64_t sum;
    if (!__builtin_add_overflow(a, b, &sum))
        return sum;
    return a < 0 ? INT64_MIN : INT64_MAX;
}

/* No amount in a row or in the file has more than 84 bits: what memory or disk can hold of them fits 128. */
void ledger_figures_add(struct ledger_figures *to, const struct ledger_figures *from)
{
    for (int i = 0; i < LEDGER_COUNTS_END; i++)
        to->counts[i] = sum_within(to->counts[i], from->counts[i]);
    for (int i = 0; i < LEDGER_AMOUNTS; i++)
        to->amounts[i] = money_of(money_value(to->amounts[i]) + money_value(from->amounts[i]));
    to->first_ns = from->first_ns < to->first_ns ? from->first_ns : to->first_ns;
    to->last_ns = from->last_ns > to->last_ns ? from->last_ns : to->last_ns;
}

void ledger_figures_of_row(const struct ledger_row *row, struct ledger_figures *ret)
{
    int sign = row->retracted ? -1 : 1;
    static_assert(LEDGER_COUNT_input_tokens == 1 && (int)LEDGER_COUNT_characters == LEDGER_TOKEN_KINDS,
                  "a row's counts are those of a sum behind its requests");
    ret->counts[LEDGER_COUNT_requests] = sign;
    for (int i = 0; i < LEDGER_TOKEN_KINDS; i++)
        ret->counts[LEDGER_COUNT_input_tokens + i] = sign * row->counts[i];
    ret->counts[LEDGER_COUNT_batch_requests] = sign * row->batch;
    ret->counts[LEDGER_COUNT_estimated_requests] = sign * row->estimated;
    ret->counts[LEDGER_COUNT_unpriced_requests] = sign * row->unpriced;
    ret->counts[LEDGER_COUNT_retracted_requests] = row->retracted;
    ret->first_ns = ret->last_ns = row->time_ns;
    for (int i = 0; i < LEDGER_AMOUNTS; i++)
        ret->amounts[i] = tbus_money_units(sign * row->amounts[i]);
}

struct ledger_amount ledger_amount_of(tbus_money_t money)
{
    int128_t value = money_value(money), micro = value / LEDGER_PER_MICRO, rest = value % LEDGER_PER_MICRO;
    if (rest < 0) {
        micro--;
        rest += LEDGER_PER_MICRO;
    }
    if (micro > INT64_MAX)
        return (struct ledger_amount){INT64_MAX, LEDGER_PER_MICRO - 1};
    if (micro < INT64_MIN)
        return (struct ledger_amount){INT64_MIN, 0};
    return (struct ledger_amount){(int64_t)micro, (int64_t)rest};
}

/* --- Sums --- */

void ledger_sums_init(struct ledger_sums *sums)
{
    for (int kind = 0; kind < TBUS_LEDGER_KINDS; kind++)
        table_init(&sums->tables[kind], sizeof(struct ledger_sum), TBUS_LEDGER_TEXT_MAX, NAMES_MAX);
    sums->hour = 0;
}

void ledger_sums_clear(struct ledger_sums *sums)
{
    for (int kind = 0; kind < TBUS_LEDGER_KINDS; kind++)
        table_clear(&sums->tables[kind]);
}

bool ledger_sums_must_go(const struct ledger_sums *sums, int64_t hour)
{
    bool full = false;
    for (int kind = 0; kind < TBUS_LEDGER_KINDS; kind++)
        full |= sums->tables[kind].count == NAMES_MAX;
    return full || sums->hour != hour;
}

static int add_to(struct table *table, const char *key, const unsigned char *digest,
                  const struct ledger_figures *figures)
{
    int error;
    bool is_new;
    struct ledger_sum *sum = table_add(table, key, &is_new, &error);
    if (!sum)
        return error;
    if (is_new && digest)
        memcpy(sum->key_digest, digest, sizeof sum->key_digest);
    if (sum->changed)
        ledger_figures_add(&sum->figures, figures);
    else
        sum->figures = *figures;
    sum->changed = true;
    return 0;
}

/* What tells keys apart: the digest, and the redacted key for where there is no digest. */
static int add_to_key(struct table *table, const char *redacted, const unsigned char *digest,
                      const struct ledger_figures *figures)
{
    char key[DIGITS_BYTES + TBUS_LEDGER_TEXT_MAX + 1];
    for (int i = 0; i < TBUS_KEY_DIGEST_BYTES; i++) {
        key[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        key[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    snprintf(key + DIGITS_BYTES, sizeof key - DIGITS_BYTES, "%s", redacted);
    return add_to(table, key, digest, figures);
}

int ledger_sums_add(struct ledger_sums *sums, int64_t hour, const struct ledger_row *row,
                    const char *const texts[LEDGER_TEXTS])
{
    static const enum ledger_text names[TBUS_LEDGER_KINDS] = {[TBUS_LEDGER_USER] = LEDGER_USER_ID,
                                                              [TBUS_LEDGER_PROJECT] = LEDGER_PROJECT_ID,
                                                              [TBUS_LEDGER_MODEL] = LEDGER_MODEL,
                                                              [TBUS_LEDGER_ENDPOINT] = LEDGER_ENDPOINT};
    struct ledger_figures figures;
    ledger_figures_of_row(row, &figures);
    sums->hour = hour;
    int error = add_to(&sums->tables[TBUS_LEDGER_ALL], "", NULL, &figures);
    if (!error)
        error = add_to_key(&sums->tables[TBUS_LEDGER_KEY], texts[LEDGER_API_KEY], row->key_digest, &figures);
    for (int kind = TBUS_LEDGER_USER; !error && kind < TBUS_LEDGER_KINDS; kind++)
        error = add_to(&sums->tables[kind], texts[names[kind]], NULL, &figures);
    assert(error != UV_ENOSPC);
    return error;
}

static int take_table(struct table *table, tbus_ledger_kind_t kind, ledger_put put, void *user)
{
    size_t name_at = kind == TBUS_LEDGER_KEY ? DIGITS_BYTES : 0;
    int error = 0;
    for (uint32_t cell = 0; cell < table->used; cell++) {
        struct ledger_sum *sum = table_at(table, cell);
        if (!sum || !sum->changed)
            continue;
        if (put && !error)
            error = put(kind, table_key(table, sum, NULL) + name_at, sum, user);
        sum->figures = (struct ledger_figures){0};
        sum->changed = false;
    }
    if (table->count == NAMES_MAX)
        table_clear(table);
    return error;
}

int ledger_sums_take(struct ledger_sums *sums, ledger_put put, void *user)
{
    int error = 0;
    for (int kind = 0; kind < TBUS_LEDGER_KINDS; kind++) {
        int met = take_table(&sums->tables[kind], (tbus_ledger_kind_t)kind, error ? NULL : put, user);
        error = error ? error : met;
    }
    return error;
}
