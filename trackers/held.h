/* What events add to a tracker's windows, held back for as long as their time is doubted (latest.h).
 *
 * A tracker makes of each event one addition, a plain struct of at most HELD_BYTES, and passes it through here. Those
 * whose time is believed are added at once. The others wait: until a row of them is believed, or is forgotten for an
 * event between that was not ahead. Where the very first times turn out to have been wrong, the tracker empties its
 * windows and begins anew. */
#ifndef TRACKERS_HELD_H
#define TRACKERS_HELD_H

#include <assert.h>
#include <string.h>

#include "trackers/latest.h"

enum { HELD_BYTES = 192 };

struct held_item {
    int64_t time_ns;
    unsigned char addition[HELD_BYTES];
};

struct held {
    struct latest latest;
    uint32_t count; /* never more than latest.row, which ends before it has LATEST_ROW of them */
    struct held_item items[LATEST_ROW];
};

struct held_calls {
    void (*add)(void *owner, int64_t time_ns, const void *addition);
    void (*start_anew)(void *owner); /* the windows are to be emptied */
};

static inline void held_init(struct held *held, int64_t jump_ns)
{
    latest_init(&held->latest, jump_ns);
    held->count = 0;
}

/* Of what waits: adds what is believed by now, drops what never will be. */
static inline void held_release(struct held *held, const struct held_calls *calls, void *owner)
{
    const struct latest *latest = &held->latest;
    uint32_t left = 0;
    for (uint32_t i = 0; i < held->count; i++) {
        const struct held_item *item = &held->items[i];
        if (latest->row > 0 && latest_doubts(latest, item->time_ns))
            held->items[left++] = *item;
        else if (item->time_ns <= latest->now_ns)
            calls->add(owner, item->time_ns, item->addition);
    }
    held->count = left;
}

/* The time of an event and what it adds; `bytes` of it. */
static inline void held_pass(struct held *held, int64_t time_ns, const void *addition, size_t bytes,
                             const struct held_calls *calls, void *owner)
{
    enum latest_verdict verdict = latest_see(&held->latest, time_ns);
    if (verdict == LATEST_WENT_BACK)
        calls->start_anew(owner);
    if (held->count > 0)
        held_release(held, calls, owner);
    if (!latest_doubts(&held->latest, time_ns)) {
        calls->add(owner, time_ns, addition);
        return;
    }
    assert(held->count < LATEST_ROW && bytes <= HELD_BYTES);
    held->items[held->count].time_ns = time_ns;
    memcpy(held->items[held->count++].addition, addition, bytes);
}

/* The latest time believed; 0 before the first event. */
static inline int64_t held_now(const struct held *held)
{
    return held->latest.believed > 0 ? held->latest.now_ns : 0;
}

#endif
