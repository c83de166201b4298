/* The bus's clock: wall clock read once, then the monotonic clock, so that it never runs backwards. */
#ifndef BUS_CLOCK_H
#define BUS_CLOCK_H

#include <time.h>

#include <tallybus/bus.h>

struct bus_clock {
    int64_t (*read)(void *user); /* the host's, or NULL */
    void *user;
    int64_t offset_ns; /* wall clock - monotonic clock, at open */
};

static inline int bus_clock_open(struct bus_clock *clock, const tbus_options_t *options)
{
    struct timespec now;
    if (timespec_get(&now, TIME_UTC) != TIME_UTC)
        return UV_ENOSYS;
    clock->read = options->clock;
    clock->user = options->clock_user;
    clock->offset_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)uv_hrtime();
    return 0;
}

/* The time of an event, where the monotonic clock has been read already (not needed with a clock of the host's). */
static inline int64_t bus_clock_at(const struct bus_clock *clock, uint64_t monotonic_ns)
{
    return clock->read ? clock->read(clock->user) : (int64_t)monotonic_ns + clock->offset_ns;
}

static inline int64_t bus_clock_now(const struct bus_clock *clock)
{
    return clock->read ? clock->read(clock->user) : (int64_t)uv_hrtime() + clock->offset_ns;
}

#endif
