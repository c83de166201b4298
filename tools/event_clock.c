#include <uv.h>

#include "tools/event_clock.h"
#include "tools/workload.h"

#if TBUS_WITH_JSON

#include <jansson.h>

/* The event's time, or 0. The line is parsed here once more than the library does: waiting, there is time for it. */
static int64_t time_of(const char *line, size_t length)
{
    json_t *event = json_loadb(line, length, 0, NULL);
    int64_t time_ns = json_integer_value(json_object_get(event, "time_ns"));
    json_decref(event);
    return time_ns > 0 ? time_ns : 0;
}

#else

static int64_t time_of(const char *line, size_t length)
{
    (void)line;
    (void)length;
    return 0;
}

#endif

void event_clock_wait(struct event_clock *clock, const char *line, size_t length)
{
    int64_t time_ns = clock->speed > 0 ? time_of(line, length) : 0;
    if (time_ns == 0)
        return;
    if (clock->first_ns == 0) {
        clock->first_ns = time_ns;
        clock->first_hr = uv_hrtime();
    }
    if (time_ns > clock->first_ns)
        workload_pace(clock->first_hr, time_ns - clock->first_ns, clock->speed);
}
