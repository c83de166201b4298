/* 128-bit integers, for money and for hashing. GCC and Clang have __int128 on every 64-bit target. For 32-bit ones there
 * is _BitInt: in Clang from 16 on, in GCC from 14 on for x86. What converts it to double need not be in their libraries.
 */
#ifndef TRACKERS_INT128_H
#define TRACKERS_INT128_H

#include <math.h>
#include <stdint.h>

#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 int128_t;
__extension__ typedef unsigned __int128 uint128_t;
#elif defined(__BITINT_MAXWIDTH__) && __BITINT_MAXWIDTH__ >= 128
__extension__ typedef _BitInt(128) int128_t;
__extension__ typedef unsigned _BitInt(128) uint128_t;
#else
#error "tallybus needs 128-bit integers: GCC or Clang for a 64-bit target, or Clang 16 or GCC 14 for a 32-bit one"
#endif

/* Rounded once, to the nearest and then to the even: the upper 64 bits, the last of which is set where any below is. */
static inline double uint128_double(uint128_t value)
{
    const uint64_t high = (uint64_t)(value >> 64);
    if (high == 0)
        return (double)(uint64_t)value;
    const int below = 64 - __builtin_clzll(high);
    const uint64_t top = (uint64_t)(value >> below);
    return ldexp((double)(top | ((uint128_t)top << below != value)), below);
}

#endif
