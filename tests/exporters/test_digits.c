#include "exporters/digits.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"

static double double_of(uint64_t image)
{
    double number;
    memcpy(&number, &image, sizeof number);
    return number;
}

/* Any double, or one of those that trackers tell: not too large, not too small, with few digits. */
static double any_double(uint64_t *seed, int kind)
{
    const uint64_t word = oracle_random(seed);
    double number = double_of(word);
    switch (kind % 5) {
    case 0:
        return isfinite(number) ? number : 0;
    case 1:
        return (double)(int64_t)word / (double)(UINT64_C(1) << (oracle_random(seed) % 64));
    case 2:
        return (double)(word % 100000000) / 1e3;
    case 3:
        return ldexp(1, (int)(word % 80) - 20); /* whose neighbours lie at different distances */
    default:
        number = ldexp(1, (int)(word % 80) - 20);
        return nextafter(number, word & 1 ? INFINITY : 0);
    }
}

/* The shortest that gives the number back, by the script; here: that it does, and is no longer than one digit more. */
Test(digits, doubles_are_the_shortest_digits_that_give_them_back)
{
    enum { NUMBERS = 200000 };
    struct oracle oracle;
    uint64_t seed = oracle_seed("digits");
    oracle_open(&oracle);
    for (int i = 0; i < NUMBERS; i++) {
        const double number = any_double(&seed, i);
        char digits[DIGITS_BYTES + 1];
        const size_t length = digits_of_double(number, digits);
        cr_assert_leq(length, (size_t)DIGITS_BYTES);
        digits[length] = '\0';
        cr_assert(strtod(digits, NULL) == number, "%a: %s", number, digits);
        fprintf(oracle.cases, "%a %s\n", number, digits);
        oracle.lines++;
    }
    oracle_check(&oracle, "tests/exporters/digits_oracle.py", "");
}

Test(digits, doubles_at_the_borders_of_the_fast_way)
{
    static const struct {
        double number;
        const char *digits;
    } cases[] = {{0.0, "0"},
                 {-0.0, "-0"},
                 {1e-4, "0.0001"},
                 {0.5, "0.5"},
                 {0.3, "0.3"},
                 {1.0, "1"},
                 {9.5, "9.5"},
                 {0.99999999999999989, "0.9999999999999999"},
                 {1.9999999999999998, "1.9999999999999998"},
                 {999999999999999.9, "999999999999999.9"},
                 {-123.456, "-123.456"},
                 {1.0 / 3, "0.3333333333333333"},
                 {-2.5, "-2.5"},
                 {1e15, "1e+15"},
                 {123456789012345680.0, "1.2345678901234568e+17"},
                 {1e300, "1e+300"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {NAN, "NaN"},
                 {INFINITY, "+Inf"},
                 {-INFINITY, "-Inf"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char digits[DIGITS_BYTES + 1];
        digits[digits_of_double(cases[i].number, digits)] = '\0';
        cr_assert_str_eq(digits, cases[i].digits);
    }
}

Test(digits, integers_are_what_printf_says)
{
    uint64_t seed = oracle_seed("integers");
    for (int i = 0; i < 100000; i++) {
        const uint64_t number = oracle_random(&seed) >> (oracle_random(&seed) % 64);
        char digits[DIGITS_BYTES + 1], expected[32];
        digits[digits_of_uint(number, digits)] = '\0';
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)number);
        cr_assert_str_eq(digits, expected);
    }
    char digits[DIGITS_BYTES + 1];
    digits[digits_of_uint(UINT64_MAX, digits)] = '\0';
    cr_assert_str_eq(digits, "18446744073709551615");
}

Test(digits, doubles_have_a_point_in_every_locale)
{
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8", "de_DE"};
    bool any = false;
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        char digits[DIGITS_BYTES + 1];
        if (!setlocale(LC_ALL, locales[i]))
            continue;
        any = true;
        digits[digits_of_double(-1234.5, digits)] = '\0';
        cr_assert_str_eq(digits, "-1234.5", "%s", locales[i]);
        digits[digits_of_double(-1.5e-7, digits)] = '\0';
        cr_assert_str_eq(digits, "-1.5e-07", "%s", locales[i]);
    }
    if (!any)
        cr_skip_test("no locale with a decimal comma is installed");
}
