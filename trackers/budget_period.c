#include "trackers/budget_period.h"

#include <assert.h>

#include "trackers/moment.h"
#include "trackers/time_zone_rule.h"

#define DAY_NS (86400 * SECOND_NS)

enum { DAY_SECONDS = 86400, WEEK_DAYS = 7, MONTH_DAYS = 30, OFFSET_MAX = 26 * 3600, EPOCH_WEEKDAY = 3 /* Monday: 0 */ };

static struct time_zone_span span_at(const struct period_rule *rule, int64_t second)
{
    struct time_zone_span span = time_zone_at(rule->zone, second);
    if (!rule->zone)
        span.offset = rule->offset_s;
    return span;
}

/* The number of the period that a local day lies in, and a period's first day. Numbers count days, weeks or months. */
static int64_t number_of_day(const struct period_rule *rule, int64_t days)
{
    int64_t year, month, day;
    if (rule->period == TBUS_BUDGET_DAILY)
        return days;
    if (rule->period == TBUS_BUDGET_WEEKLY)
        return floor_div(days + EPOCH_WEEKDAY, WEEK_DAYS);
    date_of_days(days, &year, &month, &day);
    return year * 12 + month - 1;
}

static int64_t first_day_of(const struct period_rule *rule, int64_t number)
{
    if (rule->period == TBUS_BUDGET_DAILY)
        return number;
    if (rule->period == TBUS_BUDGET_WEEKLY)
        return number * WEEK_DAYS - EPOCH_WEEKDAY;
    const int64_t year = floor_div(number, 12);
    return days_of_date(year, number - year * 12 + 1, 1);
}

/* The first second at which local clocks show the midnight before a period's first day, or later: looked for span by
 * span, from a moment before which they can not. */
static int64_t start_of(const struct period_rule *rule, int64_t number)
{
    const int64_t midnight = first_day_of(rule, number) * DAY_SECONDS;
    int64_t from = midnight - OFFSET_MAX;
    for (;;) {
        const struct time_zone_span span = span_at(rule, from);
        const int64_t shown = midnight - span.offset;
        const int64_t start = shown > from ? shown : from;
        if (start < span.until)
            return start;
        from = span.until;
    }
}

/* Local clocks that are turned back over midnight show a day that has ended once more: the period that has begun goes
 * on. */
static struct period calendar_at(const struct period_rule *rule, int64_t moment)
{
    const int64_t second = floor_div(moment, SECOND_NS);
    int64_t number = number_of_day(rule, floor_div(second + span_at(rule, second).offset, DAY_SECONDS));
    int64_t from = start_of(rule, number), until = start_of(rule, number + 1);
    while (until <= second) {
        from = until;
        until = start_of(rule, ++number + 1);
    }
    assert(from <= second && second < until);
    return (struct period){from * SECOND_NS, until * SECOND_NS};
}

static struct period duration_at(const struct period_rule *rule, int64_t moment)
{
    const int64_t anchor = moment_of(rule->anchor_ns);
    const int64_t from = anchor + floor_div(moment - anchor, rule->length_ns) * rule->length_ns;
    return (struct period){from, from > INT64_MAX - rule->length_ns ? INT64_MAX : from + rule->length_ns};
}

struct period period_at(const struct period_rule *rule, int64_t moment)
{
    assert(moment == moment_of(moment));
    switch (rule->period) {
    case TBUS_BUDGET_NEVER:
        return (struct period){INT64_MIN, INT64_MAX};
    case TBUS_BUDGET_DURATION:
        return duration_at(rule, moment);
    default:
        return calendar_at(rule, moment);
    }
}

int64_t period_length_ns(const struct period_rule *rule)
{
    switch (rule->period) {
    case TBUS_BUDGET_DAILY:
        return DAY_NS;
    case TBUS_BUDGET_WEEKLY:
        return WEEK_DAYS * DAY_NS;
    case TBUS_BUDGET_MONTHLY:
        return MONTH_DAYS * DAY_NS;
    default:
        assert(rule->period == TBUS_BUDGET_DURATION);
        return rule->length_ns;
    }
}
