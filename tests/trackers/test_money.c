#include <float.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"
#include "trackers/money.h"

static const int128_t one_usd = TBUS_MONEY_PER_USD;

static tbus_money_t parsed(const char *text)
{
    tbus_money_t money;
    cr_assert_eq(tbus_money_parse(text, &money), 0, "%s", text);
    return money;
}

Test(money, reads_decimal_text_to_the_last_unit)
{
    static const struct {
        const char *text;
        int64_t units;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"0e999999999999999999999999", 0},
        {"0.000e-99999999999999999999", 0},
        {"12", 12000000000000},
        {"-0.25", -250000000000},
        {"7.5e-08", 75000},
        {"+1E3", 1000000000000000},
        {"1e-12", 1},
        {"0.000000000001", 1},
        {"0.00000000000100000000000000000000", 1},
        {"1000000000000e-24", 1},
        {"000000000000000000000000000000000000000000000001", 1000000000000},
        {".5", 500000000000},
        {"5.", 5000000000000},
        {"4.688e-09", 4688},
        {"9223372.036854775807", INT64_MAX},
        {"-9223372.036854775808", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert(money_value(parsed(cases[i].text)) == cases[i].units, "%s", cases[i].text);
}

Test(money, refuses_what_is_not_a_decimal_number_and_leaves_the_output_alone)
{
    static const char *const cases[] = {"",      " ",   "1 ",  " 1", "-",     "+",     ".",   "e5",   "1e",
                                        "1e+",   "--1", "1,5", "1_", "0x10",  "nan",   "inf", "1e5.", "1..2",
                                        "1.2.3", "1f",  "$1",  "1-", "1e--1", "\3771", "1\n"};
    tbus_money_t money = tbus_money_units(42);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(tbus_money_parse(cases[i], &money), UV_EINVAL, "\"%s\"", cases[i]);
    cr_assert_eq(tbus_money_parse(NULL, &money), UV_EINVAL);
    cr_assert_eq(tbus_money_parse("1", NULL), UV_EINVAL);
    cr_assert(money_value(money) == 42);
}

Test(money, refuses_fractions_of_a_unit_instead_of_rounding_them)
{
    static const char *const cases[] = {"1e-13",           "4.6875e-09",
                                        "0.0000000000001", "-1.0000000000005",
                                        "1e-999999999",    "99999999999999999999999999999999999999999.00000000000001"};
    tbus_money_t money;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(tbus_money_parse(cases[i], &money), UV_ERANGE, "%s", cases[i]);
}

Test(money, refuses_what_128_bits_can_not_hold)
{
    static const char *const too_large[] = {"170141183460469231731687303.715884105728",
                                            "-170141183460469231731687303.715884105729",
                                            "1e27",
                                            "1e999999999999999999999999999999",
                                            "340282366920938463463374607.431768211456",
                                            "1000000000000000000000000000000000000000000000"};
    tbus_money_t money;
    for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++)
        cr_assert_eq(tbus_money_parse(too_large[i], &money), UV_EOVERFLOW, "%s", too_large[i]);
    cr_assert(money_value(parsed("170141183460469231731687303.715884105727")) == MONEY_MAX);
    cr_assert(money_value(parsed("-170141183460469231731687303.715884105728")) == MONEY_MIN);
}

Test(money, reads_texts_of_ten_megabytes)
{
    enum { LENGTH = 10 * 1000 * 1000 };
    char *text = malloc(LENGTH + 32);
    tbus_money_t money;

    cr_assert_not_null(text);
    memset(text, '0', LENGTH);
    strcpy(text + LENGTH, "7.5");
    cr_assert_eq(tbus_money_parse(text, &money), 0);
    cr_assert(money_value(money) == 7 * one_usd + one_usd / 2);

    text[0] = '1';
    cr_assert_eq(tbus_money_parse(text, &money), UV_EOVERFLOW);
    strcpy(text + LENGTH, "e-10000000");
    cr_assert_eq(tbus_money_parse(text, &money), 0);
    cr_assert(money_value(money) == one_usd / 10);
    memset(text, '9', LENGTH);
    cr_assert_eq(tbus_money_parse(text, &money), UV_ERANGE);
    free(text);
}

Test(money, writes_digits_rounded_half_away_from_zero)
{
    static const struct {
        const char *usd;
        int decimals;
        const char *text;
    } cases[] = {
        {"0", 0, "0"},
        {"0", 2, "0.00"},
        {"0", -1, "0"},
        {"0.005", 2, "0.01"},
        {"-0.005", 2, "-0.01"},
        {"0.0049999", 2, "0.00"},
        {"-0.004", 2, "0.00"},
        {"12.345", 2, "12.35"},
        {"-12.345", 2, "-12.35"},
        {"999.995", 2, "1000.00"},
        {"0.5", 0, "1"},
        {"7.5e-08", -1, "0.000000075"},
        {"12", -1, "12"},
        {"120", -1, "120"},
        {"-0.1", -1, "-0.1"},
        {"1e-12", -1, "0.000000000001"},
        {"1e-12", 12, "0.000000000001"},
        {"1.5", 99, "1.500000000000"},
        {"1.5", -7, "1.5"},
        {"-170141183460469231731687303.715884105728", 0, "-170141183460469231731687304"},
    };
    char text[TBUS_MONEY_TEXT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(tbus_money_format(parsed(cases[i].usd), cases[i].decimals, text), cases[i].text, "%s",
                         cases[i].usd);
    cr_assert_str_eq(tbus_money_format(money_of(MONEY_MIN), 12, text), "-170141183460469231731687303.715884105728");
    cr_assert_str_eq(tbus_money_format(money_of(MONEY_MIN), -1, NULL), "");
}

Test(money, sums_and_products_say_when_they_do_not_fit)
{
    tbus_money_t result = tbus_money_units(42), highest = money_of(MONEY_MAX), lowest = money_of(MONEY_MIN);

    cr_assert_eq(tbus_money_add(highest, tbus_money_units(1), &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_add(lowest, tbus_money_units(-1), &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_subtract(lowest, tbus_money_units(1), &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_subtract(tbus_money_units(0), lowest, &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_multiply(lowest, -1, &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_multiply(highest, 2, &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_multiply(highest, INT64_MIN, &result), UV_EOVERFLOW);
    cr_assert_eq(tbus_money_add(highest, highest, NULL), UV_EINVAL);
    cr_assert_eq(tbus_money_subtract(highest, highest, NULL), UV_EINVAL);
    cr_assert_eq(tbus_money_multiply(highest, 1, NULL), UV_EINVAL);
    cr_assert(money_value(result) == 42);

    cr_assert_eq(tbus_money_multiply(lowest, 1, &result), 0);
    cr_assert(money_value(result) == MONEY_MIN);
    cr_assert_eq(tbus_money_multiply(money_of((int128_t)1 << 64), INT64_MIN, &result), 0);
    cr_assert(money_value(result) == MONEY_MIN);
    cr_assert_eq(tbus_money_multiply(money_of((int128_t)1 << 64), -INT64_MAX - 1, &result), 0);
    cr_assert_eq(tbus_money_multiply(highest, 0, &result), 0);
    cr_assert(money_value(result) == 0);
}

Test(money, halves_away_from_zero_and_compares)
{
    cr_assert(money_value(tbus_money_halve(tbus_money_units(3))) == 2);
    cr_assert(money_value(tbus_money_halve(tbus_money_units(-3))) == -2);
    cr_assert(money_value(tbus_money_halve(tbus_money_units(4))) == 2);
    cr_assert(money_value(tbus_money_halve(money_of(MONEY_MIN))) == MONEY_MIN / 2);
    cr_assert(money_value(tbus_money_halve(money_of(MONEY_MAX))) == MONEY_MAX / 2 + 1);
    cr_assert_eq(tbus_money_compare(tbus_money_units(-1), tbus_money_units(1)), -1);
    cr_assert_eq(tbus_money_compare(tbus_money_units(1), tbus_money_units(-1)), 1);
    cr_assert_eq(tbus_money_compare(money_of(MONEY_MIN), money_of(MONEY_MAX)), -1);
    cr_assert_eq(tbus_money_compare(tbus_money_units(5), parsed("5e-12")), 0);
}

/* --- Against Python's decimal --- */

static const char *units_text(int128_t value, char text[TBUS_MONEY_TEXT_MAX])
{
    char digits[48];
    int count = 0, length = 0;
    uint128_t left = money_magnitude(value);
    do {
        digits[count++] = (char)('0' + (int)(left % 10));
    } while ((left /= 10) != 0);
    if (value < 0)
        text[length++] = '-';
    while (count > 0)
        text[length++] = digits[--count];
    text[length] = '\0';
    return text;
}

static const char *result_text(int error, tbus_money_t money, char text[TBUS_MONEY_TEXT_MAX])
{
    if (error == 0)
        return units_text(money_value(money), text);
    return error == UV_EINVAL ? "invalid" : error == UV_ERANGE ? "range" : error == UV_EOVERFLOW ? "overflow" : "?";
}

/* Of every size from 0 to all 128 bits, and often next to a power of two. */
static int128_t random_amount(uint64_t *seed)
{
    uint128_t value = (uint128_t)oracle_random(seed) << 64 | oracle_random(seed);
    uint64_t kind = oracle_random(seed);
    value >>= kind % 128;
    if (kind >> 62 == 0)
        value = ((uint128_t)1 << (kind >> 8) % 128) - (kind >> 20 & 1);
    return (int128_t)value;
}

static void random_number_text(uint64_t *seed, char *text)
{
    static const char broken[] = "0123456789.eE+-";
    uint64_t kind = oracle_random(seed);
    int whole = (int)(kind % 30), fraction = (int)(kind >> 8) % 16;
    if (kind >> 60 == 0) {
        for (uint64_t left = 1 + kind % 7; left > 0; left--)
            *text++ = broken[oracle_random(seed) % (sizeof broken - 1)];
        *text = '\0';
        return;
    }
    if (kind >> 16 & 1)
        *text++ = "+-"[kind >> 17 & 1];
    while (whole-- > 0)
        *text++ = (char)('0' + oracle_random(seed) % 10);
    *text++ = (char)('0' + oracle_random(seed) % 10);
    if (kind >> 18 & 1) {
        *text++ = '.';
        while (fraction-- > 0)
            *text++ = (char)('0' + (kind >> 40 & 1 ? oracle_random(seed) % 10 : 0));
    }
    *text = '\0';
    if (kind >> 20 & 1)
        sprintf(text, "%c%d", "eE"[kind >> 21 & 1], (int)(kind >> 24) % 30 - 15);
}

static void write_arithmetic(struct oracle *oracle, uint64_t *seed)
{
    char a_text[TBUS_MONEY_TEXT_MAX], b_text[TBUS_MONEY_TEXT_MAX], text[TBUS_MONEY_TEXT_MAX];
    tbus_money_t a = money_of(random_amount(seed)), b = money_of(random_amount(seed)), result = {0};
    int64_t count = (int64_t)oracle_random(seed) >> oracle_random(seed) % 64;
    int decimals = (int)(oracle_random(seed) % 14) - 1;

    units_text(money_value(a), a_text);
    units_text(money_value(b), b_text);
    int error = tbus_money_add(a, b, &result);
    fprintf(oracle->cases, "add %s %s = %s\n", a_text, b_text, result_text(error, result, text));
    error = tbus_money_subtract(a, b, &result);
    fprintf(oracle->cases, "subtract %s %s = %s\n", a_text, b_text, result_text(error, result, text));
    error = tbus_money_multiply(a, count, &result);
    fprintf(oracle->cases, "multiply %s %lld = %s\n", a_text, (long long)count, result_text(error, result, text));
    fprintf(oracle->cases, "halve %s = %s\n", a_text, units_text(money_value(tbus_money_halve(a)), text));
    fprintf(oracle->cases, "compare %s %s = %d\n", a_text, b_text, tbus_money_compare(a, b));
    fprintf(oracle->cases, "format %s %d = %s\n", a_text, decimals, tbus_money_format(a, decimals, text));
    fprintf(oracle->cases, "double %s = %a\n", a_text, tbus_money_to_usd(a));
    oracle->lines += 7;
}

Test(money, agrees_with_decimal_arithmetic_to_the_last_digit)
{
    uint64_t seed = oracle_seed("money");
    struct oracle oracle;

    oracle_open(&oracle);
    for (int i = 0; i < 4000; i++) {
        char number[128], text[TBUS_MONEY_TEXT_MAX];
        tbus_money_t money = {0};
        write_arithmetic(&oracle, &seed);
        random_number_text(&seed, number);
        int error = tbus_money_parse(number, &money);
        fprintf(oracle.cases, "parse %s = %s\n", number, result_text(error, money, text));
        oracle.lines++;
    }
    oracle_check(&oracle, "tests/trackers/money_oracle.py", "");
}

/* What it writes exactly it reads back as the same amount. */
Test(money, exact_text_reads_back_the_same)
{
    uint64_t seed = oracle_seed("money");
    char text[TBUS_MONEY_TEXT_MAX];
    for (int i = 0; i < 20000; i++) {
        int128_t value = random_amount(&seed);
        cr_assert(money_value(parsed(tbus_money_format(money_of(value), -1, text))) == value, "%s", text);
        cr_assert(money_value(parsed(tbus_money_format(money_of(value), 12, text))) == value, "%s", text);
    }
}

/* --- As doubles --- */

/* Half a step between two doubles and what is next to it, at every place; the C library reads what is expected. */
Test(money, large_integers_become_the_nearest_double)
{
    uint64_t seed = oracle_seed("money");
    char text[40];
    cr_assert_eq(uint128_double(0), 0);
    for (int i = 0; i < 200000; i++) {
        const uint64_t kind = oracle_random(&seed);
        const uint128_t mantissa = oracle_random(&seed) >> 10 | 1; /* 54 bits: the last is half a step */
        const uint128_t value = i % 2 ? (uint128_t)random_amount(&seed) : (mantissa << kind % 75) + kind / 75 % 3 - 1;
        snprintf(text, sizeof text, "0x%llx%016llx", (unsigned long long)(value >> 64), (unsigned long long)value);
        cr_assert_eq(uint128_double(value), strtod(text, NULL), "%s", text);
    }
}
