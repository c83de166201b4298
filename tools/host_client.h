/* One request of a client, and what is read of its answer as it comes: HTTP/1.1, as far as the host speaks it. */
#ifndef TOOLS_HOST_CLIENT_H
#define TOOLS_HOST_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/host_keys.h"

#define HOST_CLIENT_REQUEST_BYTES 4096
#define HOST_CLIENT_LINE_BYTES 1024

enum host_client_fault { HOST_CLIENT_GOOD, HOST_CLIENT_HANGS_UP, HOST_CLIENT_BROKEN, HOST_CLIENT_STRANGER };

struct host_answer {
    int status;                                /* 0 = none yet */
    bool is_whole;                             /* its end has come */
    bool is_stream;                            /* of events */
    bool has_ended;                            /* a stream that came to its [DONE] */
    bool has_error;                            /* a stream that told an error */
    uint32_t pieces;                           /* of content, in a stream */
    uint64_t prompt_tokens, completion_tokens; /* as the usage tells them */
    /* how far it is read */
    bool is_in_body, is_chunked, is_in_chunk;
    uint64_t left;                      /* bytes of the body or chunk */
    size_t length;                      /* of `line` */
    size_t framing;                     /* of `frame` */
    char frame[HOST_CLIENT_LINE_BYTES]; /* the line of the head, or the chunk's size, that is being read */
    char line[HOST_CLIENT_LINE_BYTES];  /* the line of the body that is being read: its end, where it is longer */
};

/* Reads on. False: this is no answer. */
bool host_answer_read(struct host_answer *answer, const char *bytes, size_t length);

/* Writes a request, different for each number of the dice; returns its length. */
size_t host_client_request(char text[HOST_CLIENT_REQUEST_BYTES], const struct host_keys *keys,
                           enum host_client_fault fault, uint64_t dice);

#endif
