/* Requests turned into events: what an inference server would publish, from several threads, each request's events in
 * the order of time and the requests interleaved as they were. */
#ifndef TOOLS_WORKLOAD_H
#define TOOLS_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <tallybus/bus.h>

#define WORKLOAD_REQUESTS_MAX (UINT32_C(1) << 24) /* as many as the streaming tracker keeps for its percentiles */
#define WORKLOAD_THREADS_MAX 64

struct request {
    int64_t start_ns;
    uint32_t context_tokens, generated_tokens;
    uint32_t cached_tokens;
    uint16_t model, key, user; /* indices into the cast */
    uint16_t failure;          /* 0 = it succeeds, else the failure of this number, from 1 */
};

/* How long things take: the first token comes `first_ns` and, for each token of context, `prefill_ns` after the start;
 * each further token `itl_ns` after the one before. */
struct timing {
    int64_t first_ns, prefill_ns, itl_ns;
    bool jitter; /* gaps between tokens vary from a quarter to seven quarters of it, for a livelier demonstration */
};

struct failure {
    const char *type;
    int status_code;
    const char *message; /* '#' stands for a number, '@' for an address, '$' for a UUID, '&' for a request id */
};

/* Who plays: names that the requests have in common. A NULL name is absent. */
struct cast {
    const char *const *models;
    const char *const *keys;
    const char *const *users;
    const struct failure *failures;
};

struct workload {
    const struct request *requests;
    uint32_t count;
    struct timing timing;
    const struct cast *cast;
    double speed; /* how many times faster than the requests' own times; 0 = as fast as the machine allows */
};

/* Time from start to the last token (to the end of the prefill where there is none), or false when the end of the
 * request lies past what 64 bits of nanoseconds can tell. */
bool workload_fits(const struct timing *timing, const struct request *request);

/* Events that the workload makes. */
uint64_t workload_events(const struct workload *load);

/* Publishes all of it from `threads` threads; request i is thread (i mod threads)'s. An event that the bus refuses for
 * want of room is offered until it is taken: a replay loses nothing. Returns 0 or the error that kept an event out;
 * `*ret_lost` counts these. */
int workload_publish(const struct workload *load, tbus_t *bus, uint32_t threads, uint64_t *ret_lost);

/* Waits until wall-clock time (uv_hrtime) `start` + elapsed_ns / speed. */
void workload_pace(uint64_t start, int64_t elapsed_ns, double speed);

#endif
