/* What one request says on the bus, event by event. The event structs are made once for each thread; of a token, only
 * the stream's id, its number and its time are set. */
#ifndef TOOLS_SCRIPT_H
#define TOOLS_SCRIPT_H

#include <tallybus/bus.h>

#include "tools/workload.h"

#define SCRIPT_ID_BYTES 37 /* a UUID as text, and NUL */

/* A request that is under way. */
struct stream {
    const struct request *request;
    uint32_t number; /* the request's index: all that is invented about it follows from this */
    uint32_t tokens; /* told so far */
    uint64_t random; /* state of the jitter */
    char stream_id[SCRIPT_ID_BYTES], request_id[SCRIPT_ID_BYTES];
    struct stream *next; /* spare streams are a list */
};

struct script {
    tbus_t *bus;
    const struct workload *load;
    tbus_request_started_t request_started;
    tbus_stream_started_t stream_started;
    tbus_stream_first_token_t first_token;
    tbus_stream_token_generated_t token;
    tbus_stream_completed_t stream_completed;
    tbus_request_completed_t request_completed;
    tbus_stream_failed_t stream_failed;
    tbus_request_failed_t request_failed;
    struct stream *spare;
    uint64_t lost; /* events that the bus refused for good */
    int error;     /* why, the first time */
};

void script_open(struct script *script, const struct workload *load, tbus_t *bus);

/* Tells that a request begins, and when its next event is due. NULL without memory. */
struct stream *script_begin(struct script *script, uint32_t number, int64_t *ret_due_ns);

/* Tells the next token, and the end behind the last one. False when the request has ended and `stream` is gone. */
bool script_step(struct script *script, struct stream *stream, int64_t now_ns, int64_t *ret_due_ns);

/* Frees the spare streams; those under way must have ended. */
void script_close(struct script *script);

#endif
