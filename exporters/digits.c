#include "exporters/digits.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/int128.h"

size_t digits_of_uint(uint64_t number, char *digits)
{
    enum { COUNT_MAX = 20 };
    size_t count = 1;
    for (uint64_t power = 10; count < COUNT_MAX && number >= power; power *= 10)
        count++;
    for (size_t i = count; i > 0; number /= 10)
        digits[--i] = (char)('0' + number % 10);
    return count;
}

/* Adds one to the last digit, which may carry: into `*ret_carry`, the whole part, where all are nines. */
static size_t round_up(char *digits, size_t count, uint64_t *ret_carry)
{
    while (count > 0 && digits[count - 1] == '9')
        count--;
    if (count > 0)
        digits[count - 1]++;
    else
        *ret_carry = 1;
    return count;
}

/* The digits of fraction / 2^bits, as many as tell it from its neighbours, which are 1 / 2^bits away: half of that may be
 * left out. Steele's and White's way with integers of fixed size: each step is exact, since what is left is below
 * 2^(bits + 1) and one digit more takes four bits. Where two are as near, the last digit becomes even. Returns the count.
 * All is times two, so that half a unit is a whole number. For two sizes of integers, for the small one is twice as fast.
 */
#define DEFINE_FRACTION(name, integer)                                                                                 \
    static size_t name(integer fraction, unsigned bits, char *digits, uint64_t *ret_carry)                             \
    {                                                                                                                  \
        const integer whole = (integer)2 << bits;                                                                      \
        integer rest = fraction << 1, half_gap = 1;                                                                    \
        size_t count = 0;                                                                                              \
        bool low, high;                                                                                                \
        do {                                                                                                           \
            rest *= 10;                                                                                                \
            half_gap *= 10;                                                                                            \
            digits[count++] = (char)('0' + (int)(rest >> (bits + 1)));                                                 \
            rest &= whole - 1;                                                                                         \
            low = rest < half_gap;                                                                                     \
            high = rest + half_gap > whole;                                                                            \
        } while (!low && !high);                                                                                       \
        const bool is_odd = digits[count - 1] & 1;                                                                     \
        if (high && (!low || rest > whole >> 1 || (rest == whole >> 1 && is_odd)))                                     \
            count = round_up(digits, count, ret_carry);                                                                \
        return count;                                                                                                  \
    }
DEFINE_FRACTION(digits_of_small, uint64_t)
DEFINE_FRACTION(digits_of_large, uint128_t)

enum { SMALL_BITS = 64 - 5 };

/* Digits as the locale writes them, to digits with a point. */
static size_t unlocalize(char *digits)
{
    size_t kept = 0;
    for (const char *at = digits; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == 'e';
        if (plain)
            digits[kept++] = *at;
        else if (kept == 0 || digits[kept - 1] != '.')
            digits[kept++] = '.';
    }
    return kept;
}

/* The C library's way, for what is rare. */
static size_t digits_slowly(double number, char *digits)
{
    if (number == 0 && !signbit(number)) {
        *digits = '0';
        return 1;
    }
    if (!isfinite(number)) {
        const char *word = isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf";
        const size_t length = strlen(word);
        memcpy(digits, word, length);
        return length;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, DIGITS_BYTES, "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    return unlocalize(digits);
}

size_t digits_of_double(double number, char *digits)
{
    /* Between them the whole part fits 53 bits, and the fraction, with room for a digit, 128. */
    static const double least = 1e-4, most = 1e15;
    const uint64_t one = UINT64_C(1) << 52; /* a mantissa's leading bit, which is not stored */
    const double magnitude = fabs(number);
    char behind[DIGITS_BYTES], *at = digits;
    uint64_t image, carry = 0;
    if (!(magnitude >= least && magnitude < most))
        return digits_slowly(number, digits);
    memcpy(&image, &magnitude, sizeof image);
    const uint64_t mantissa = (image & (one - 1)) | one;
    const unsigned bits = 1075 - (unsigned)(image >> 52); /* behind the point: 3 .. 66 */
    const uint64_t whole = bits < 64 ? mantissa >> bits : 0;
    const uint128_t fraction = (uint128_t)mantissa - ((uint128_t)whole << bits);
    size_t count = 0;
    if (fraction != 0)
        count = bits <= SMALL_BITS ? digits_of_small((uint64_t)fraction, bits, behind, &carry)
                                   : digits_of_large(fraction, bits, behind, &carry);
    if (number < 0)
        *at++ = '-';
    at += digits_of_uint(whole + carry, at);
    if (count > 0)
        *at++ = '.';
    memcpy(at, behind, count);
    return (size_t)(at - digits) + count;
}
