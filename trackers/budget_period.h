/* Which period a moment lies in. Knows calendars and nothing of budgets or money. Moments are within moment.h's bounds,
 * in nanoseconds since 1970. */
#ifndef TRACKERS_BUDGET_PERIOD_H
#define TRACKERS_BUDGET_PERIOD_H

#include <tallybus/budget.h>

#include "trackers/time_zone.h"

struct period_rule {
    tbus_budget_period_t period;
    int64_t length_ns;            /* TBUS_BUDGET_DURATION */
    int64_t anchor_ns;            /* TBUS_BUDGET_DURATION */
    const struct time_zone *zone; /* the others; NULL = by `offset_s` */
    int64_t offset_s;             /* seconds east of UTC */
};

struct period {
    int64_t from_ns;  /* INT64_MIN = since ever */
    int64_t until_ns; /* the first moment after it; INT64_MAX = for ever */
};

/* Days, weeks and months begin at the first moment at which local clocks show midnight or any later time: the periods
 * follow each other without gap or overlap, also where clocks are turned at midnight or a day is left out. */
struct period period_at(const struct period_rule *rule, int64_t moment);

/* How long a window is that rolls over this period. Not for TBUS_BUDGET_NEVER. */
int64_t period_length_ns(const struct period_rule *rule);

#endif
