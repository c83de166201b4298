/* Clients that keep the demonstration host busy, over HTTP like any other: one thread, as many connections as it takes.
 * They come at random (a Poisson process), whether earlier ones have been answered or not, and count what they see. */
#ifndef TOOLS_HOST_LOAD_H
#define TOOLS_HOST_LOAD_H

#include "tools/host.h"

struct host_load;

struct host_load_options {
    double rps;
    /* of 1,000 requests; the rest is as it should be */
    uint32_t hang_ups;  /* streams that are hung up on after a few tokens */
    uint32_t broken;    /* bodies that are no JSON */
    uint32_t strangers; /* keys and models that nobody knows */
};

/* What the clients saw. sent = done + streams_done + streams_broken + hung_up + refused + failed + lost + under way. */
struct host_load_counts {
    _Atomic uint64_t sent;
    _Atomic uint64_t done;           /* answered with 200, not as a stream */
    _Atomic uint64_t streams_done;   /* to the [DONE] */
    _Atomic uint64_t streams_broken; /* that ended with an error, or without an end */
    _Atomic uint64_t hung_up;        /* by the client */
    _Atomic uint64_t refused;        /* answered with 400 .. 499 */
    _Atomic uint64_t over_budget;    /* of these: 429 */
    _Atomic uint64_t failed;         /* answered with 500 or more */
    _Atomic uint64_t lost;           /* no connection, or no whole answer */
    _Atomic uint64_t skipped;        /* not sent: too many were under way */
    /* of those that were done */
    _Atomic uint64_t prompt_tokens, completion_tokens;
    _Atomic uint64_t disagreed; /* of the streams_done: pieces of content were not as many as the usage says */
};

/* Begins. Errors: UV_ENOMEM, the system's. */
int host_load_open(const struct host *host, const struct host_load_options *options, struct host_load **ret);

const struct host_load_counts *host_load_counts(const struct host_load *load);
uint64_t host_load_active(const struct host_load *load); /* requests under way */

/* Whether requests are sent. What is under way goes on. */
void host_load_pause(struct host_load *load, bool is_paused);

/* Sends no more. NULL is allowed, here and below. */
void host_load_stop(struct host_load *load);

/* Cuts off what is under way, and ends. */
void host_load_close(struct host_load *load);

#endif
