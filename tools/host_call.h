/* One request to the demonstration host, from its first header to its last byte. Two hold on to it: the HTTP connection,
 * and the engine while it generates. */
#ifndef TOOLS_HOST_CALL_H
#define TOOLS_HOST_CALL_H

#include <microhttpd.h>

#include "tools/host.h"
#include "tools/host_text.h"

#define HOST_BODY_MAX ((size_t)1024 * 1024)
#define HOST_BODY_READ_MAX ((size_t)64 * 1024 * 1024) /* what is over HOST_BODY_MAX is read and dropped, this far */
#define HOST_BODIES_MAX ((uint64_t)128 * 1024 * 1024) /* of all requests together, and of all long answers */
#define HOST_END_BYTES 1024
/* Of an embedding, at most: what is around it, and a component: -1.23456789e-05 and a comma, or 4 bytes as base64. */
#define HOST_EMBEDDING_BYTES 64
#define HOST_COMPONENT_BYTES 16
#define HOST_COMPONENT_BASE64_BYTES 6

enum host_fault {
    HOST_FAULT_NONE = 0,
    HOST_FAULT_INTERNAL, /* 500 before the first token */
    HOST_FAULT_OVERLOAD, /* 503 before the first token */
    HOST_FAULT_MIDWAY    /* 502; a stream breaks off after half of its tokens */
};

/* What a request came to, and what is told of it where it failed: a form of OpenAI's and an event. */
struct host_failure {
    int status;
    const char *type, *code; /* as OpenAI calls it; `code` is the event's error_type too; NULL = null */
};

struct host_call {
    struct host *host;
    struct MHD_Connection *connection;
    int socket;                     /* of the connection; open until `is_gone` */
    struct host_text body;          /* what came */
    size_t received, kept;          /* bytes of it */
    bool is_too_large, has_no_room; /* it is dropped, as a stranger's is */
    bool is_whole;                  /* all of it has come, or as much as is wanted: an answer is owed */
    uint64_t arrived_hr;            /* on the monotonic clock */
    int64_t arrived_ns;             /* on the bus's */
    /* known once it is routed; read only from then on */
    char id[48];
    const char *endpoint;       /* NULL = not one of /v1/... */
    const struct host_key *key; /* known from the headers; NULL = a stranger's */
    const struct host_model *model;
    bool streams, tells_usage;
    bool is_told; /* request.started was published */
    bool is_base64;
    uint64_t hash; /* of the prompt */
    uint32_t prompt_tokens, cached_tokens, prefix_tokens;
    uint32_t answer_tokens; /* how many there will be */
    bool is_cut;            /* by max_tokens */
    uint32_t inputs, dimensions, longest_input;
    uint64_t *input_hashes; /* of embeddings, `inputs` of them */
    uint64_t answer_bytes;  /* set aside of the host's, until the call ends or is refused */
    enum host_fault fault;
    /* the engine's */
    uint32_t told;     /* tokens generated */
    uint32_t embedded; /* inputs */
    bool is_begun, is_decoding, is_pressed;
    uint64_t prefill_hr, decode_hr; /* when these phases began, on the monotonic clock */
    const char *worker;
    /* [mu] */
    uv_mutex_t mu;
    int references;
    struct host_text out; /* what is still to be sent, from `sent` on */
    size_t sent;
    int status;        /* of the response: 0 = not known yet */
    bool is_submitted; /* the engine has it, or had it */
    bool is_over;      /* nothing is added to `out` any more */
    bool is_gone;      /* nobody is there to take it */
    bool is_suspended; /* the connection waits for us */
    bool is_cut_off;   /* the connection is to be cut */
    int retry_after_s; /* 0 = is not told */
};

/* NULL without memory. */
struct host_call *host_call_new(struct host *host, struct MHD_Connection *connection);
void host_call_release(struct host_call *call);

/* Before a whole answer is sent: a large one goes in larger pieces. */
void host_call_widen(const struct host_call *call);

/* Sets so many bytes of the host's aside for the answer, if its client does not take it; false = there is no room.
 * Whatever is set aside is given back at the end of the call; before that, where its answer will be a short one. */
bool host_call_set_aside(struct host_call *call, uint64_t bytes);
void host_call_give_back(struct host_call *call);

/* Lets the connection go on where it waits. [mu held] */
void host_call_wake(struct host_call *call);

/* Whether the client has closed its connection, if only its own side of it. libmicrohttpd finds out only when it writes
 * twice. [mu held] */
bool host_call_is_gone(const struct host_call *call);

/* host_reply.c: what goes to the client, in OpenAI's form, added to `call->out`; an error takes the place of what is
 * there of another answer. [mu held, or nobody else has it] */
void host_reply_error(struct host_call *call, const struct host_failure *failure, const char *message);
void host_reply_chat(struct host_call *call);
void host_reply_embedding(struct host_call *call); /* the next input's, which is `call->embedded` */
void host_reply_embeddings_end(struct host_call *call);
void host_reply_models(struct host_call *call);
void host_reply_model(struct host_call *call, const struct host_model *model);
void host_reply_chunk(struct host_call *call); /* the next token of a stream, which is `call->told` - 1 */
void host_reply_end(struct host_call *call);   /* of a stream: HOST_END_BYTES at most */
void host_reply_broken(struct host_call *call, const struct host_failure *failure, const char *message);

/* host_events.c: what is published about it. */
void host_tell_started(struct host_call *call);
void host_tell_assigned(struct host_call *call); /* to a worker, where its prefill begins */
void host_tell_prefilled(struct host_call *call);
void host_tell_token(struct host_call *call);
void host_tell_pressure(struct host_call *call, size_t pending);
void host_tell_completed(struct host_call *call);
void host_tell_cancelled(struct host_call *call);
void host_tell_refused(struct host_call *call, const struct host_failure *failure); /* its status is 400 .. 498 */
void host_tell_failed(struct host_call *call, const struct host_failure *failure, const char *message);

/* host_routes.c: what a request whose body is there wants. True: the engine is to generate the answer. False: it is in
 * `out`, with `status`. */
bool host_route(struct host_call *call, const char *method, const char *path);

/* host_engine.c */
int host_engine_open(struct host *host, uint32_t threads, struct host_engine **ret);

/* The engine takes the call, and holds on to it until it is over; false without memory, and in a hurry. [mu held] */
bool host_engine_submit(struct host_engine *engine, struct host_call *call);
uint64_t host_engine_active(struct host_engine *engine); /* calls under way */
void host_engine_hurry(struct host_engine *engine);      /* what is under way fails at once, nothing more is taken */
void host_engine_close(struct host_engine *engine);      /* all must be over */

#endif
