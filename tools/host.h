/* The demonstration host: a server that speaks OpenAI's protocol, with a model that is made up, on a bus - written as a
 * user of the library would write it. Parts: keys and budgets, models, the engine whose threads generate and publish,
 * the HTTP server, and what ties them together. Call host_open(), host_drain(), host_report(), host_close(). */
#ifndef TOOLS_HOST_H
#define TOOLS_HOST_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tallybus.h>

#include "tools/host_keys.h"
#include "tools/host_model.h"
#include "tools/options.h"

#define HOST_PREFIXES 1024

struct host_engine;
struct host_server;

/* What the host itself counts, beside the trackers: what they say must agree with it. */
struct host_counts {
    _Atomic uint64_t requests;                         /* to /v1/...: answered, refused or hung up on */
    _Atomic uint64_t completed;                        /* with status 200, to the last byte generated */
    _Atomic uint64_t refused;                          /* with status 400 .. 498 */
    _Atomic uint64_t failed;                           /* with 500 or more */
    _Atomic uint64_t cancelled;                        /* whose client hung up before the end */
    _Atomic uint64_t cancelled_streams;                /* of them */
    _Atomic uint64_t streams;                          /* that began */
    _Atomic uint64_t over_budget, unknown_key;         /* of the refused */
    _Atomic uint64_t prompt_tokens, completion_tokens; /* of the completed and the cancelled */
    _Atomic uint64_t stream_tokens;                    /* of streams, however they ended */
    _Atomic uint64_t unpublished;                      /* events that the bus did not take */
};

struct host {
    const struct options *options;
    tbus_t *bus;
    tbus_prices_t *prices;
    tbus_telemetry_t *telemetry;
    tbus_web_t *web;
    struct host_keys keys;
    struct host_model models[HOST_MODELS_MAX];
    struct host_engine *engine;
    struct host_server *server;
    struct host_counts counts;
    _Atomic uint64_t next_id;
    _Atomic uint64_t prefixes[HOST_PREFIXES]; /* hashes of the prompts' beginnings that the models' cache has */
    _Atomic uint64_t answer_bytes;            /* set aside for answers, of all calls together */
    _Atomic bool is_closing;
    uint64_t opened_hr;
    /* known once it is drained */
    tbus_stats_t stats;
    uint64_t remained;
    double elapsed_s;
};

/* Opens all of it. `clock` (may be NULL) is the bus's. Returns 0; or says why not and returns how the command ends, with
 * nothing left open. */
int host_open(struct host *host, const struct options *options, int64_t (*clock)(void *user), void *clock_user);

/* Ends serving: what is under way is finished, for at most `wait_ms` from `asked_hr` (when the end was asked for, on the
 * monotonic clock) and until one of `hurry` comes, signals that are blocked (NULL = none); one that comes at once is taken
 * for the first one. The rest is cut off. Then the bus is closed when all that was published is delivered. The
 * trackers stay. Returns as host_open(). */
int host_drain(struct host *host, uint64_t asked_hr, uint32_t wait_ms, const sigset_t *hurry);

/* Writes the report of a drained host to stdout. Returns how the command ends. */
int host_report(struct host *host, enum output output);

void host_close(struct host *host);

/* Counts what publishing returned. */
void host_published(struct host *host, int error);

#endif
