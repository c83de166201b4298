#include "trackers/ahead.h"

#include <time.h>

#include "trackers/moment.h"

void ahead_init(struct ahead *ahead, int64_t max_ns, int64_t (*clock)(void *user), void *clock_user)
{
    *ahead = (struct ahead){.max_ns = max_ns ? max_ns : AHEAD_DEFAULT_NS, .clock = clock, .clock_user = clock_user};
    ahead_reset(ahead);
}

void ahead_on_going_back(struct ahead *ahead, void (*go_back)(void *tracker, int64_t now_ns, int64_t span_ns),
                         void *tracker)
{
    ahead->go_back = go_back;
    ahead->tracker = tracker;
}

void ahead_reset(struct ahead *ahead)
{
    ahead->ceiling_ns = ahead->max_ns < 0 ? INT64_MAX : INT64_MIN;
    ahead->latest_ns = ahead->doubted_ns = AHEAD_NOTHING_YET;
    ahead->since_ns = ahead_clock(ahead);
    ahead->count = 0;
}

int64_t ahead_system_clock(void)
{
    struct timespec now = {0};
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t ahead_clock(const struct ahead *ahead)
{
    return moment_of(ahead->clock ? ahead->clock(ahead->clock_user) : ahead_system_clock());
}

bool ahead_is_beyond_slowly(struct ahead *ahead, int64_t moment)
{
    ahead->ceiling_ns = moment_after(ahead_clock(ahead), ahead->max_ns);
    return moment > ahead->ceiling_ns;
}

int64_t ahead_believe_slowly(struct ahead *ahead, int64_t moment)
{
    const bool first = ahead->latest_ns == AHEAD_NOTHING_YET;
    if (ahead_is_beyond_slowly(ahead, moment) && (first || moment > moment_after(ahead->latest_ns, ahead->max_ns))) {
        ahead->count++;
        ahead->latest_ns = first ? ahead_clock(ahead) : ahead->latest_ns;
        return ahead->latest_ns;
    }
    ahead->latest_ns = moment;
    return moment;
}

/* A later one that comes between the two takes the doubt away: the latest time is another one then. */
int64_t ahead_believe_late(struct ahead *ahead, int64_t moment)
{
    const int64_t clock_ns = ahead_clock(ahead), ceiling_ns = moment_after(clock_ns, ahead->max_ns);
    if (ahead->latest_ns <= ceiling_ns || moment > ceiling_ns || clock_ns - moment > ahead->max_ns)
        return moment; /* it is late and no more */
    if (ahead->doubted_ns != ahead->latest_ns) {
        ahead->doubted_ns = ahead->latest_ns;
        ahead->doubter_ns = moment;
        return moment;
    }
    const bool first_is_later = ahead->doubter_ns > moment && ahead->doubter_ns <= ceiling_ns;
    const int64_t latest_ns = first_is_later ? ahead->doubter_ns : moment;
    if (ahead->go_back)
        ahead->go_back(ahead->tracker, latest_ns > clock_ns ? latest_ns : clock_ns, ahead->latest_ns - latest_ns);
    ahead->latest_ns = latest_ns;
    ahead->ceiling_ns = ceiling_ns;
    ahead->doubted_ns = AHEAD_NOTHING_YET;
    return moment;
}
