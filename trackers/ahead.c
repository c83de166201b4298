#include "trackers/ahead.h"

#include <time.h>

#include "trackers/moment.h"

void ahead_init(struct ahead *ahead, int64_t max_ns, int64_t (*clock)(void *user), void *clock_user)
{
    *ahead = (struct ahead){.max_ns = max_ns ? max_ns : AHEAD_DEFAULT_NS,
                            .clock = clock,
                            .clock_user = clock_user,
                            .ceiling_ns = max_ns < 0 ? INT64_MAX : INT64_MIN};
}

int64_t ahead_clock(const struct ahead *ahead)
{
    struct timespec now = {0};
    if (ahead->clock)
        return moment_of(ahead->clock(ahead->clock_user));
    (void)timespec_get(&now, TIME_UTC);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool ahead_is_too_far_slowly(struct ahead *ahead, int64_t moment)
{
    ahead->ceiling_ns = moment_after(ahead_clock(ahead), ahead->max_ns);
    if (moment <= ahead->ceiling_ns)
        return false;
    ahead->count++;
    return true;
}
