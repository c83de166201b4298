#include "trackers/money.h"

#include <assert.h>
#include <string.h>

enum { UNIT_DIGITS = 12 /* behind the point */, VALUE_DIGITS = 39 /* of the largest 128-bit value */ };

tbus_money_t tbus_money_units(int64_t units)
{
    return money_of(units);
}

int tbus_money_add(tbus_money_t a, tbus_money_t b, tbus_money_t *ret)
{
    int128_t sum;
    if (!ret)
        return UV_EINVAL;
    if (__builtin_add_overflow(money_value(a), money_value(b), &sum))
        return UV_EOVERFLOW;
    *ret = money_of(sum);
    return 0;
}

int tbus_money_subtract(tbus_money_t a, tbus_money_t b, tbus_money_t *ret)
{
    int128_t difference;
    if (!ret)
        return UV_EINVAL;
    if (__builtin_sub_overflow(money_value(a), money_value(b), &difference))
        return UV_EOVERFLOW;
    *ret = money_of(difference);
    return 0;
}

/* Gives a magnitude its sign. Errors: UV_EOVERFLOW. */
static int signed_value(uint128_t magnitude, bool negative, int128_t *ret)
{
    if (magnitude > (uint128_t)MONEY_MAX + (negative ? 1 : 0))
        return UV_EOVERFLOW;
    *ret = (int128_t)(negative ? -magnitude : magnitude);
    return 0;
}

/* By halves of 64 bits: the compiler's own checked product of 128 bits calls a function that libgcc does not have when
 * Clang asks for it. */
static bool magnitude_product(uint128_t a, uint64_t b, uint128_t *ret)
{
    uint128_t low = (uint128_t)(uint64_t)a * b, high = (a >> 64) * b;
    if (high >> 64 != 0)
        return false;
    return !__builtin_add_overflow(low, high << 64, ret);
}

int tbus_money_multiply(tbus_money_t a, int64_t count, tbus_money_t *ret)
{
    uint128_t magnitude;
    int128_t product;
    if (!ret)
        return UV_EINVAL;
    if (!magnitude_product(money_magnitude(money_value(a)), (uint64_t)money_magnitude(count), &magnitude) ||
        signed_value(magnitude, (a.high < 0) != (count < 0), &product) != 0)
        return UV_EOVERFLOW;
    *ret = money_of(product);
    return 0;
}

tbus_money_t tbus_money_halve(tbus_money_t a)
{
    return money_of(money_half(money_value(a)));
}

int tbus_money_compare(tbus_money_t a, tbus_money_t b)
{
    int128_t left = money_value(a), right = money_value(b);
    return (left > right) - (left < right);
}

/* --- Reading --- */

/* A decimal number taken apart: where its digits are, and what power of ten they stand for. */
struct decimal {
    const char *whole, *fraction;
    size_t whole_digits, fraction_digits;
    int64_t exponent;
    bool negative;
};

static size_t count_digits(const char *at)
{
    size_t count = 0;
    while (at[count] >= '0' && at[count] <= '9')
        count++;
    return count;
}

static bool take_sign(const char **at)
{
    bool negative = **at == '-';
    if (**at == '-' || **at == '+')
        (*at)++;
    return negative;
}

/* Exponents stop counting where no text could be long enough to make up for them. */
static bool take_exponent(const char **at, int64_t *ret)
{
    static const int64_t enough = INT64_C(100000000000000000);
    int64_t value = 0;
    bool negative = take_sign(at);
    size_t digits = count_digits(*at);

    for (size_t i = 0; i < digits; i++)
        value = value >= enough ? value : value * 10 + ((*at)[i] - '0');
    *at += digits;
    *ret = negative ? -value : value;
    return digits > 0;
}

static bool take_decimal(const char *text, struct decimal *ret)
{
    ret->negative = take_sign(&text);
    ret->whole = text;
    ret->whole_digits = count_digits(text);
    text += ret->whole_digits;
    ret->fraction = text;
    ret->fraction_digits = 0;
    ret->exponent = 0;
    if (*text == '.') {
        ret->fraction = ++text;
        ret->fraction_digits = count_digits(text);
        text += ret->fraction_digits;
    }
    if (ret->whole_digits + ret->fraction_digits == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        if (!take_exponent(&text, &ret->exponent))
            return false;
    }
    return *text == '\0';
}

static unsigned digit_at(const struct decimal *decimal, size_t i)
{
    char digit = i < decimal->whole_digits ? decimal->whole[i] : decimal->fraction[i - decimal->whole_digits];
    return (unsigned)(digit - '0');
}

/* The digits from `first` to `last`, then `zeros` more. */
static bool digits_value(const struct decimal *decimal, size_t first, size_t last, int64_t zeros, uint128_t *ret)
{
    uint128_t value = 0;
    for (size_t i = first; i <= last; i++) {
        if (!magnitude_product(value, 10, &value) || __builtin_add_overflow(value, digit_at(decimal, i), &value))
            return false;
    }
    for (; zeros > 0; zeros--) {
        if (!magnitude_product(value, 10, &value))
            return false;
    }
    *ret = value;
    return true;
}

int tbus_money_parse(const char *text, tbus_money_t *ret)
{
    struct decimal decimal;
    uint128_t magnitude;
    int128_t value;

    if (!text || !ret || !take_decimal(text, &decimal))
        return UV_EINVAL;

    /* Only the digits between the first and the last that are not 0 matter, however many are written. */
    size_t digits = decimal.whole_digits + decimal.fraction_digits, first = 0, last = digits;
    while (first < digits && digit_at(&decimal, first) == 0)
        first++;
    if (first == digits) {
        *ret = money_of(0);
        return 0;
    }
    while (digit_at(&decimal, --last) == 0)
        ;
    int64_t zeros = decimal.exponent + UNIT_DIGITS + (int64_t)decimal.whole_digits - 1 - (int64_t)last;
    if (zeros < 0)
        return UV_ERANGE;
    if (zeros > VALUE_DIGITS || last - first >= VALUE_DIGITS ||
        !digits_value(&decimal, first, last, zeros, &magnitude) ||
        signed_value(magnitude, decimal.negative, &value) != 0)
        return UV_EOVERFLOW;
    *ret = money_of(value);
    return 0;
}

/* --- Writing --- */

static uint128_t power_of_ten(int exponent)
{
    uint128_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

/* All decimals that there are, of an amount that fits 64 bits: as nearly all do, and 128 bits take ten times as long. */
static void format_small(uint64_t magnitude, bool negative, char *text)
{
    enum { HALF_DIGITS = UNIT_DIGITS / 2, HALF = 1000000 /* 10^HALF_DIGITS */ };
    char digits[20];
    uint64_t whole = magnitude / TBUS_MONEY_PER_USD, part = magnitude % TBUS_MONEY_PER_USD;
    int count = 0, length = 0;
    if (negative && magnitude)
        text[length++] = '-';
    do
        digits[count++] = (char)('0' + whole % 10);
    while (whole /= 10);
    while (count > 0)
        text[length++] = digits[--count];
    if (part != 0) {
        uint32_t high = (uint32_t)(part / HALF), low = (uint32_t)(part % HALF); /* neither waits for the other */
        text[length++] = '.';
        for (int place = HALF_DIGITS - 1; place >= 0; place--, high /= 10, low /= 10) {
            text[length + place] = (char)('0' + high % 10);
            text[length + HALF_DIGITS + place] = (char)('0' + low % 10);
        }
        for (length += UNIT_DIGITS; text[length - 1] == '0'; length--)
            ;
    }
    text[length] = '\0';
}

const char *tbus_money_format(tbus_money_t amount, int decimals, char text[TBUS_MONEY_TEXT_MAX])
{
    char digits[VALUE_DIGITS + UNIT_DIGITS];
    int count = 0, length = 0;
    uint128_t left = money_magnitude(money_value(amount));

    if (!text)
        return "";
    if (decimals < 0 && left <= UINT64_MAX) {
        format_small((uint64_t)left, amount.high < 0, text);
        return text;
    }
    if (decimals < 0) {
        decimals = UNIT_DIGITS;
        while (decimals > 0 && left % power_of_ten(UNIT_DIGITS - decimals + 1) == 0)
            decimals--;
    }
    if (decimals > UNIT_DIGITS)
        decimals = UNIT_DIGITS;
    uint128_t step = power_of_ten(UNIT_DIGITS - decimals);
    left = (left + step / 2) / step;

    if (amount.high < 0 && left != 0)
        text[length++] = '-';
    while (left != 0 || count <= decimals) {
        digits[count++] = (char)('0' + (int)(left % 10));
        left /= 10;
    }
    while (count > 0) {
        text[length++] = digits[--count];
        if (count == decimals && count > 0)
            text[length++] = '.';
    }
    assert(length < TBUS_MONEY_TEXT_MAX);
    text[length] = '\0';
    return text;
}

double tbus_money_to_usd(tbus_money_t amount)
{
    uint128_t magnitude = money_magnitude(money_value(amount));
    int shift = 0;

    if (magnitude == 0)
        return 0;
    /* Rounded once: dividing a rounded double would round twice. The numerator is moved to the top of the 128 bits, so
     * that the quotient has bits to spare, and what the division leaves becomes its lowest bit. */
    for (; magnitude >> 127 == 0; shift++)
        magnitude <<= 1;
    uint128_t quotient = magnitude / TBUS_MONEY_PER_USD;
    quotient |= magnitude % TBUS_MONEY_PER_USD != 0;
    const double usd = ldexp(uint128_double(quotient), -shift);
    return amount.high < 0 ? -usd : usd;
}
