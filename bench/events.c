#include "bench/events.h"

#include <stdio.h>
#include <string.h>

char stream_ids[STREAMS][ID_BYTES];

void events_init(void)
{
    for (unsigned i = 0; i < STREAMS; i++)
        snprintf(stream_ids[i], ID_BYTES, "5f0c7a52-9d1e-4b0b-8a36-%012u", i);
}

void event_source_init(struct event_source *source, bool stamped)
{
    source->next = 0;
    source->step_ns = stamped ? STREAMS * GAP_NS : 0;
    for (unsigned i = 0; i < STREAMS; i++) {
        struct flat_event *event = &source->events[i];
        memset(event, 0, sizeof *event);
        event->token = (tbus_stream_token_generated_t){
            .base = {.type = TBUS_STREAM_TOKEN_GENERATED, .time_ns = stamped ? BEGIN_NS + (int64_t)i * GAP_NS : 0},
            .stream_id = stream_ids[i],
            .token = " token",
            .sequence_number = 1};
        memcpy(event->stream_id, stream_ids[i], ID_BYTES);
        memcpy(event->text, " token", sizeof " token");
    }
}
