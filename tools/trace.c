#include <stdio.h>
#include <string.h>

#include "tools/numbers.h"
#include "tools/trace.h"

#define NS_PER_S INT64_C(1000000000)

/* Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March here, so that the leap day is a year's
 * last and the months before it have lengths that repeat: 153 days in 5 months. */
static int64_t days_since_epoch(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* What is left of a text that is being read. */
struct cursor {
    const char *text;
    size_t length;
};

static bool skip(struct cursor *cursor, const char *wanted)
{
    size_t length = strlen(wanted);
    if (cursor->length < length || memcmp(cursor->text, wanted, length) != 0)
        return false;
    cursor->text += length;
    cursor->length -= length;
    return true;
}

/* Exactly `digits` digits, for a number of low .. high. */
static bool take_number(struct cursor *cursor, size_t digits, int64_t low, int64_t high, int64_t *ret)
{
    if (cursor->length < digits || !number_whole(cursor->text, digits, 9999, ret))
        return false;
    cursor->text += digits;
    cursor->length -= digits;
    return *ret >= low && *ret <= high;
}

/* "." and 1 .. 9 digits, or nothing. */
static bool take_fraction(struct cursor *cursor, int64_t *ret_ns)
{
    *ret_ns = 0;
    if (!skip(cursor, "."))
        return true;
    size_t digits = 0;
    int64_t unit = NS_PER_S;
    for (; digits < cursor->length && cursor->text[digits] >= '0' && cursor->text[digits] <= '9'; digits++) {
        unit /= 10;
        *ret_ns += unit * (cursor->text[digits] - '0');
    }
    cursor->text += digits;
    cursor->length -= digits;
    return digits >= 1 && digits <= 9;
}

bool trace_read_time(const char *text, size_t length, int64_t *ret_ns)
{
    struct cursor at = {text, length};
    int64_t year, month, day, hour, minute, second, fraction_ns;
    if (!take_number(&at, 4, 1970, 9999, &year) || !skip(&at, "-") || !take_number(&at, 2, 1, 12, &month) ||
        !skip(&at, "-") || !take_number(&at, 2, 1, days_in_month(year, month), &day))
        return false;
    if (!skip(&at, " ") && !skip(&at, "T"))
        return false;
    if (!take_number(&at, 2, 0, 23, &hour) || !skip(&at, ":") || !take_number(&at, 2, 0, 59, &minute) ||
        !skip(&at, ":") || !take_number(&at, 2, 0, 59, &second) || !take_fraction(&at, &fraction_ns))
        return false;
    if (!skip(&at, "Z"))
        skip(&at, "+00:00");
    int64_t seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    int64_t time_ns;
    if (at.length > 0 || !number_add_product(fraction_ns, seconds, NS_PER_S, &time_ns) || time_ns == 0)
        return false;
    *ret_ns = time_ns;
    return true;
}

/* Up to 40 bytes of a field, for a sentence. */
static int shown(size_t length)
{
    return length > 40 ? 40 : (int)length;
}

static bool read_tokens(const char *name, const char *text, size_t length, uint32_t *ret, char *why, size_t why_bytes)
{
    int64_t tokens;
    if (!number_whole(text, length, TRACE_TOKENS_MAX, &tokens)) {
        snprintf(why, why_bytes, "%s is '%.*s', expected a whole number from 0 to %d", name, shown(length), text,
                 TRACE_TOKENS_MAX);
        return false;
    }
    *ret = (uint32_t)tokens;
    return true;
}

bool trace_read_row(const char *line, size_t length, const struct timing *timing, struct request *ret, char *why,
                    size_t why_bytes)
{
    const char *fields[3] = {line, NULL, NULL};
    size_t lengths[3] = {length, 0, 0};
    size_t count = 1;
    for (size_t i = 0; i < length; i++) {
        if (line[i] != ',')
            continue;
        if (count < 3) {
            lengths[count - 1] = (size_t)(line + i - fields[count - 1]);
            fields[count] = line + i + 1;
            lengths[count] = length - i - 1;
        }
        count++;
    }
    if (count != 3) {
        snprintf(why, why_bytes, "found %zu field%s, expected 3: " TRACE_HEADER, count, count == 1 ? "" : "s");
        return false;
    }
    struct request row = {.start_ns = 0};
    if (!trace_read_time(fields[0], lengths[0], &row.start_ns)) {
        snprintf(why, why_bytes, "TIMESTAMP is '%.*s', expected a time such as 2023-11-16 18:15:46.6805900",
                 shown(lengths[0]), fields[0]);
        return false;
    }
    if (!read_tokens("ContextTokens", fields[1], lengths[1], &row.context_tokens, why, why_bytes) ||
        !read_tokens("GeneratedTokens", fields[2], lengths[2], &row.generated_tokens, why, why_bytes))
        return false;
    if (!workload_fits(timing, &row)) {
        snprintf(why, why_bytes, "the request would end after the year 2262, expected times that fit into 64 bits");
        return false;
    }
    *ret = row;
    return true;
}
