/* Money as a 128-bit integer, for the code that does sums of it. Values in hash tables and public structs stay
 * tbus_money_t, which needs no alignment above 8. */
#ifndef TRACKERS_MONEY_H
#define TRACKERS_MONEY_H

#include <tallybus/money.h>

#include "trackers/int128.h"

#define MONEY_MAX ((int128_t)(~(uint128_t)0 >> 1))
#define MONEY_MIN (-MONEY_MAX - 1)

static inline int128_t money_value(tbus_money_t money)
{
    return (int128_t)((uint128_t)(uint64_t)money.high << 64 | money.low);
}

static inline tbus_money_t money_of(int128_t value)
{
    return (tbus_money_t){.low = (uint64_t)value, .high = (int64_t)(value >> 64)};
}

/* Half, a half unit rounded away from zero. */
static inline int128_t money_half(int128_t value)
{
    return value / 2 + value % 2;
}

/* The amount without its sign: the smallest value's fits as well. */
static inline uint128_t money_magnitude(int128_t value)
{
    return value < 0 ? -(uint128_t)value : (uint128_t)value;
}

#endif
