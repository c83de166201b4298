/* The pace of a file of events: each waits until its own time has come. */
#ifndef TOOLS_EVENT_CLOCK_H
#define TOOLS_EVENT_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct event_clock {
    double speed;      /* 0 = never wait */
    int64_t first_ns;  /* the first event's time; 0 = there was none yet */
    uint64_t first_hr; /* when that was by uv_hrtime() */
};

/* Waits until the event of a line is due, by its "time_ns". An event without one is due at once. */
void event_clock_wait(struct event_clock *clock, const char *line, size_t length);

#endif
