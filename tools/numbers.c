#include <assert.h>

#include "tools/numbers.h"

/* Appends a digit to `*value`; false when the result is above `max`. */
static bool append_digit(int64_t *value, int digit, int64_t max)
{
    if (*value > (max - digit) / 10)
        return false;
    *value = *value * 10 + digit;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool number_whole(const char *text, size_t length, int64_t max, int64_t *ret)
{
    return number_decimal(text, length, 0, max, ret);
}

bool number_decimal(const char *text, size_t length, unsigned digits, int64_t max, int64_t *ret)
{
    assert(max >= 9);
    int64_t value = 0;
    size_t i = 0;
    unsigned behind = 0;
    for (; i < length && is_digit(text[i]); i++)
        if (!append_digit(&value, text[i] - '0', max))
            return false;
    if (i == 0)
        return false;
    if (i < length && text[i] == '.' && digits > 0) {
        if (++i == length)
            return false;
        for (; i < length && is_digit(text[i]); i++) {
            if (behind == digits && text[i] != '0')
                return false;
            if (behind == digits)
                continue;
            behind++;
            if (!append_digit(&value, text[i] - '0', max))
                return false;
        }
    }
    if (i != length)
        return false;
    for (; behind < digits; behind++)
        if (!append_digit(&value, 0, max))
            return false;
    *ret = value;
    return true;
}

bool number_add_product(int64_t a, int64_t b, int64_t c, int64_t *ret)
{
    assert(a >= 0 && b >= 0 && c >= 0);
    if (c > 0 && b > (INT64_MAX - a) / c)
        return false;
    *ret = a + b * c;
    return true;
}
