#include "trackers/time_zone_rule.h"

#include <string.h>

enum { DAY_SECONDS = 86400, HOURS_MAX = 167, OFFSET_HOURS_MAX = 24, THURSDAY = 4 };

/* --- The calendar --- */

/* Years are counted from March, so that the leap day is a year's last; 400 of them have 146,097 days. */
int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t era = floor_div(year, 400), of_era = year - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void date_of_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    days += 719468;
    const int64_t era = floor_div(days, 146097), of_era = days - era * 146097;
    const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const int64_t from_march = (5 * of_year + 2) / 153;
    *ret_day = of_year - (153 * from_march + 2) / 5 + 1;
    *ret_month = from_march + (from_march < 10 ? 3 : -9);
    *ret_year = year + era * 400 + (*ret_month <= 2);
}

static int64_t year_of(int64_t moment)
{
    int64_t year, month, day;
    date_of_days(floor_div(moment, DAY_SECONDS), &year, &month, &day);
    return year;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* --- Reading --- */

struct reader {
    const char *at, *end;
};

static bool take(struct reader *reader, char wanted)
{
    if (reader->at == reader->end || *reader->at != wanted)
        return false;
    reader->at++;
    return true;
}

static bool is_digit(const struct reader *reader)
{
    return reader->at != reader->end && *reader->at >= '0' && *reader->at <= '9';
}

static bool take_number(struct reader *reader, int64_t min, int64_t max, int64_t *ret)
{
    int64_t number = 0;
    if (!is_digit(reader))
        return false;
    for (; is_digit(reader); reader->at++) {
        number = number * 10 + (*reader->at - '0');
        if (number > max)
            return false;
    }
    *ret = number;
    return number >= min;
}

/* "CET" or "<+03>": three characters at least. */
static bool take_name(struct reader *reader)
{
    const bool quoted = take(reader, '<');
    const char *begin = reader->at;
    while (reader->at != reader->end) {
        const char c = *reader->at;
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(quoted && (is_digit(reader) || c == '+' || c == '-')))
            break;
        reader->at++;
    }
    return reader->at - begin >= 3 && (!quoted || take(reader, '>'));
}

/* "[+-]hh[:mm[:ss]]" as seconds. */
static bool take_time(struct reader *reader, int64_t hours_max, int64_t *ret)
{
    int64_t hours, minutes = 0, seconds = 0;
    const bool negative = take(reader, '-');
    if (!negative)
        (void)take(reader, '+');
    if (!take_number(reader, 0, hours_max, &hours) ||
        (take(reader, ':') &&
         (!take_number(reader, 0, 59, &minutes) || (take(reader, ':') && !take_number(reader, 0, 59, &seconds)))))
        return false;
    *ret = (hours * 60 + minutes) * 60 + seconds;
    *ret = negative ? -*ret : *ret;
    return true;
}

static bool take_day(struct reader *reader, struct time_zone_day *ret)
{
    *ret = (struct time_zone_day){.second = INT64_C(2) * 3600};
    if (take(reader, 'M')) {
        ret->kind = DAY_OF_WEEK;
        if (!take_number(reader, 1, 12, &ret->month) || !take(reader, '.') || !take_number(reader, 1, 5, &ret->week) ||
            !take(reader, '.') || !take_number(reader, 0, 6, &ret->day))
            return false;
    } else {
        ret->kind = take(reader, 'J') ? DAY_WITHOUT_LEAP : DAY_OF_LEAP_YEAR;
        if (!take_number(reader, ret->kind == DAY_WITHOUT_LEAP, 365, &ret->day))
            return false;
    }
    return !take(reader, '/') || take_time(reader, HOURS_MAX, &ret->second);
}

bool time_zone_rule_parse(const char *text, size_t length, struct time_zone_rule *ret)
{
    struct reader reader = {text, text + length};
    struct time_zone_rule rule = {0};
    int64_t west;

    if (!take_name(&reader) || !take_time(&reader, OFFSET_HOURS_MAX, &west))
        return false;
    rule.standard = -west;
    if (reader.at != reader.end) {
        rule.has_summer = true;
        rule.summer = rule.standard + 3600;
        if (!take_name(&reader))
            return false;
        if (reader.at != reader.end && *reader.at != ',') {
            if (!take_time(&reader, OFFSET_HOURS_MAX, &west))
                return false;
            rule.summer = -west;
        }
        if (!take(&reader, ',') || !take_day(&reader, &rule.summer_begins) || !take(&reader, ',') ||
            !take_day(&reader, &rule.summer_ends) || reader.at != reader.end)
            return false;
    }
    *ret = rule;
    return true;
}

/* --- Asking --- */

static int64_t days_of_rule(const struct time_zone_day *day, int64_t year)
{
    const int64_t new_year = days_of_date(year, 1, 1);
    if (day->kind == DAY_OF_LEAP_YEAR)
        return new_year + day->day;
    if (day->kind == DAY_WITHOUT_LEAP)
        return new_year + day->day - 1 + (is_leap(year) && day->day >= 60);

    const int64_t first = days_of_date(year, day->month, 1);
    const int64_t next = day->month == 12 ? days_of_date(year + 1, 1, 1) : days_of_date(year, day->month + 1, 1);
    const int64_t weekday = first + THURSDAY - floor_div(first + THURSDAY, 7) * 7; /* 1970 began on a Thursday */
    int64_t days = first + (day->day - weekday + 7) % 7 + (day->week - 1) * 7;
    return days < next ? days : days - 7;
}

/* The turns of the years around a moment are looked at, for a turn near New Year may lie in the year beside its own.
 * Where summer ends and begins at one moment it has not ended. */
struct time_zone_span time_zone_rule_at(const struct time_zone_rule *rule, int64_t moment)
{
    struct time_zone_span span = {INT64_MIN, INT64_MAX, rule->standard};
    if (!rule->has_summer)
        return span;

    const int64_t year = year_of(moment);
    for (int64_t y = year - 2; y <= year + 2; y++) {
        const int64_t ends =
            days_of_rule(&rule->summer_ends, y) * DAY_SECONDS + rule->summer_ends.second - rule->summer;
        const int64_t begins =
            days_of_rule(&rule->summer_begins, y) * DAY_SECONDS + rule->summer_begins.second - rule->standard;
        const struct time_zone_span turns[] = {{.from = ends, .offset = rule->standard},
                                               {.from = begins, .offset = rule->summer}};
        for (int i = 0; i < 2; i++) {
            const bool later_or_summer = turns[i].from > span.from || (turns[i].from == span.from && i == 1);
            if (turns[i].from <= moment && later_or_summer) {
                span.from = turns[i].from;
                span.offset = turns[i].offset;
            }
            if (turns[i].from > moment && turns[i].from < span.until)
                span.until = turns[i].from;
        }
    }
    return span;
}
