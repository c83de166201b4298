/* The streams that the cost subscriber knows of: what it takes to bill one that is cut off, and whether a request that
 * completes was streamed.
 *
 * A stream is open from its start; then it is over (completed, failed, or billed because it was cut off), and waits for
 * the request.completed of its request, which takes it out. There is room for a number of streams: the oldest one that
 * is over makes way first, then the oldest open one. [loop thread] */
#ifndef SUBSCRIBERS_COST_STREAMS_H
#define SUBSCRIBERS_COST_STREAMS_H

#include <tallybus/events.h>

#include "trackers/order.h"
#include "trackers/table.h"

struct cost_stream {
    struct order_link link; /* first: of those open, or of those over */
    bool is_over;
    int64_t input_tokens;
    const char *id, *request_id; /* of its own id where the host gave no request id */
    const char *api_key, *user_id, *project_id, *model, *endpoint;
};

/* A token touches no more than this. */
struct cost_stream_place {
    struct cost_stream *stream;
    int64_t tokens; /* delivered so far */
};

struct cost_streams {
    struct table by_id;      /* struct cost_stream_place */
    struct table by_request; /* struct cost_stream *; of several streams of a request the latest */
    struct order open, over; /* of struct cost_stream */
};

void cost_streams_init(struct cost_streams *streams, uint32_t max);
void cost_streams_clear(struct cost_streams *streams);

/* A stream begins; a second start of an open one is ignored. False where an open stream is not known (any more): without
 * memory, with an id over 1,024 bytes, or because the oldest one had to make way. */
bool cost_streams_start(struct cost_streams *streams, const tbus_stream_started_t *started);

/* A stream by its id, or NULL. */
struct cost_stream_place *cost_streams_find(const struct cost_streams *streams, const char *id);

/* An open stream is over. */
void cost_streams_end(struct cost_streams *streams, struct cost_stream *stream);

/* A request completes: takes its stream out. False where it had none. */
bool cost_streams_complete(struct cost_streams *streams, const char *request_id);

#endif
