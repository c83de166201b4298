/* Money: an integer number of 1e-12 US dollars in 128 bits. No floating point between price and bill. */
#ifndef TALLYBUS_MONEY_H
#define TALLYBUS_MONEY_H

#include <tallybus/base.h>

TBUS_BEGIN_DECLS

#define TBUS_MONEY_PER_USD INT64_C(1000000000000)

/* Two's complement: value = high * 2^64 + low, in units of 1e-12 USD. Up to about 1.7e26 USD either way. */
typedef struct tbus_money {
    uint64_t low;
    int64_t high;
} tbus_money_t;

#define TBUS_MONEY_TEXT_MAX 48 /* bytes that hold any amount as text, NUL included */

/* An amount from a number of units. [any thread] */
TBUS_API tbus_money_t tbus_money_units(int64_t units);

/* sum = a + b; product = a * count. Errors: UV_EOVERFLOW (the result does not fit: `*ret` is untouched). [any thread]
 */
TBUS_API TBUS_CHECKED int tbus_money_add(tbus_money_t a, tbus_money_t b, tbus_money_t *ret);
TBUS_API TBUS_CHECKED int tbus_money_multiply(tbus_money_t a, int64_t count, tbus_money_t *ret);

/* a - b. Errors: UV_EOVERFLOW. [any thread] */
TBUS_API TBUS_CHECKED int tbus_money_subtract(tbus_money_t a, tbus_money_t b, tbus_money_t *ret);

/* Half of it, a half unit rounded away from zero. [any thread] */
TBUS_API tbus_money_t tbus_money_halve(tbus_money_t a);

/* -1, 0 or 1 as a is below, equal to or above b. [any thread] */
TBUS_API int tbus_money_compare(tbus_money_t a, tbus_money_t b);

/* Reads USD as decimal text: "12", "-0.25", "7.5e-08", "+1E3"; the whole text, no blanks.
 * Errors: UV_EINVAL (not a decimal number), UV_ERANGE (not a whole number of 1e-12 USD), UV_EOVERFLOW (too large).
 * [any thread] */
TBUS_API TBUS_CHECKED int tbus_money_parse(const char *text, tbus_money_t *ret);

/* Writes USD with exactly `decimals` (0 .. 12) digits behind the point, rounded half away from zero: "-12.35".
 * `decimals` -1 writes it exactly with no more digits than needed: "0.000000075", "12". Returns `text`. [any thread] */
TBUS_API const char *tbus_money_format(tbus_money_t amount, int decimals, char text[TBUS_MONEY_TEXT_MAX]);

/* The nearest double, in USD: for display and gauges, never for sums. [any thread] */
TBUS_API double tbus_money_to_usd(tbus_money_t amount);

TBUS_END_DECLS

#endif
