#include "exporters/digits.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "exporters/text.h"
#include "trackers/int128.h"

size_t digits_of_uint(uint64_t number, char *digits)
{
    char reversed[20];
    size_t count = 0;
    do
        reversed[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    for (size_t i = 0; i < count; i++)
        digits[i] = reversed[count - 1 - i];
    return count;
}

/* The digits of fraction / 2^bits, as many as tell it from its neighbours, which are 1 / 2^bits away: half of that may be
 * left out. Steele's and White's way with integers of fixed size: each step is exact, since what is left is below
 * 2^(bits + 1) and one digit more takes four bits. Rounding the last digit up may carry into those before it. Returns the
 * count; `*ret_carry`: into the whole part. */
static size_t fraction_digits(uint128_t fraction, unsigned bits, char *digits, uint64_t *ret_carry)
{
    /* All times two, so that half a unit is a whole number. */
    const uint128_t whole = (uint128_t)2 << bits;
    uint128_t rest = fraction << 1, half_gap = 1;
    size_t count = 0;
    bool low, high;
    *ret_carry = 0;
    if (fraction == 0)
        return 0;
    do {
        rest *= 10;
        half_gap *= 10;
        digits[count++] = (char)('0' + (int)(rest >> (bits + 1)));
        rest &= whole - 1;
        low = rest < half_gap;
        high = rest + half_gap > whole;
    } while (!low && !high);
    const bool is_odd = digits[count - 1] & 1; /* where both are as near, the last digit becomes even */
    if (high && (!low || rest > whole >> 1 || (rest == whole >> 1 && is_odd))) {
        while (count > 0 && digits[count - 1] == '9')
            count--;
        if (count > 0)
            digits[count - 1]++;
        else
            *ret_carry = 1;
    }
    return count;
}

size_t digits_of_double(double number, char *digits)
{
    /* Between them the whole part fits 53 bits, and the fraction, with room for a digit, 128. */
    static const double least = 1e-4, most = 1e15;
    const uint64_t one = UINT64_C(1) << 52; /* a mantissa's leading bit, which is not stored */
    const double magnitude = fabs(number);
    char behind[DIGITS_BYTES], *at = digits;
    uint64_t image, carry;
    if (magnitude < least || magnitude >= most)
        return number == 0 && !signbit(number) ? (*digits = '0', 1) : text_double(number, digits);
    memcpy(&image, &magnitude, sizeof image);
    const uint64_t mantissa = (image & (one - 1)) | one;
    const unsigned bits = 1075 - (unsigned)(image >> 52); /* behind the point: 3 .. 66 */
    const uint64_t whole = bits < 64 ? mantissa >> bits : 0;
    const size_t count = fraction_digits((uint128_t)mantissa - ((uint128_t)whole << bits), bits, behind, &carry);
    if (number < 0)
        *at++ = '-';
    at += digits_of_uint(whole + carry, at);
    if (count > 0)
        *at++ = '.';
    memcpy(at, behind, count);
    return (size_t)(at - digits) + count;
}
