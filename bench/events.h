/* The event of the bus's benches: a token of a stream, with a 36-character id and its time given. */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <tallybus.h>

#define BEGIN_NS INT64_C(1767258000000000000)
#define GAP_NS 10000

enum { STREAMS = 128, ID_BYTES = 37 };

extern char stream_ids[STREAMS][ID_BYTES];

/* Writes `stream_ids`. */
void events_init(void);

/* What the bare ring and the bus's peers carry: the same event in one run of 160 bytes, its strings inside. */
struct flat_event {
    tbus_stream_token_generated_t token;
    char stream_id[ID_BYTES];
    char text[7];
};

_Static_assert(sizeof(struct flat_event) == 160, "what the peers carry is told as 160 bytes");

/* A producer's events, made beforehand, one for each stream: making them is not what is measured. An event is brought
 * up to date when it has been used, not before: the processor is slow to read 64 bytes of which it has just written 8,
 * and that would be measured, too. */
struct event_source {
    struct flat_event events[STREAMS];
    uint64_t next;
    int64_t step_ns; /* from an event to the next of the same stream */
};

/* `stamped`: the events have their times; else 0, so that the bus reads its clock. */
void event_source_init(struct event_source *source, bool stamped);

static inline const struct flat_event *event_source_get(const struct event_source *source)
{
    return &source->events[source->next % STREAMS];
}

static inline void event_source_advance(struct event_source *source)
{
    struct flat_event *event = &source->events[source->next++ % STREAMS];
    event->token.base.time_ns += source->step_ns;
    event->token.sequence_number++;
}

#endif
