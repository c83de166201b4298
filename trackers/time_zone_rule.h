/* The rule for the time after a zone file's last entry: "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX's TZ, with RFC 8536's longer
 * hours). And the calendar that it needs. */
#ifndef TRACKERS_TIME_ZONE_RULE_H
#define TRACKERS_TIME_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trackers/time_zone.h"

/* A day of each year, and a time on it. */
struct time_zone_day {
    enum { DAY_OF_LEAP_YEAR, DAY_WITHOUT_LEAP, DAY_OF_WEEK } kind;
    int64_t month, week, day; /* DAY_OF_WEEK: the week'th (5 = last) `day` (0 = Sunday) of a month; else only `day` */
    int64_t second;           /* of the local day: may be below 0 or above a day's */
};

struct time_zone_rule {
    int64_t standard, summer; /* seconds east of UTC */
    bool has_summer;
    struct time_zone_day summer_begins, summer_ends; /* in the time that ends then */
};

/* Reads a rule, the whole text. False = it is none. */
bool time_zone_rule_parse(const char *text, size_t length, struct time_zone_rule *ret);

struct time_zone_span time_zone_rule_at(const struct time_zone_rule *rule, int64_t moment);

/* Days since 1970-01-01 of a day of the Gregorian calendar (month 1 .. 12), and back. */
int64_t days_of_date(int64_t year, int64_t month, int64_t day);
void date_of_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day);

/* The quotient rounded down, for any sign of the dividend. */
static inline int64_t floor_div(int64_t dividend, int64_t divisor)
{
    return dividend / divisor - (dividend % divisor < 0);
}

#endif
