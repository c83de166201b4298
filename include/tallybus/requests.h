/* The request tracker: requests, responses, errors and tokens, their rates, latency, and what is in flight; in all and
 * per endpoint. Needs no bus; subscribers.h feeds it from one.
 *
 * Latency goes into histograms (requests come at high rates): percentiles are within 0.5 %. Time is that of the events;
 * one too far ahead is not believed, as in streaming.h. Every function takes one lock for as long as it needs to read or
 * write plain memory; none calls the host, but for the options' `clock`. */
#ifndef TALLYBUS_REQUESTS_H
#define TALLYBUS_REQUESTS_H

#include <tallybus/traffic.h>

TBUS_BEGIN_DECLS

typedef struct tbus_requests tbus_requests_t;

typedef struct tbus_requests_options {
    uint32_t endpoints_max; /* endpoints told apart, beside ""; further ones count as "other"; default 100 */
    int64_t window_ns; /* rates and latency are over this time before the snapshot's, in 30 slices (the latency of an
                               endpoint: in 4, so up to a quarter more); default 60 s */
    int64_t
        ahead_max_ns; /* how far ahead of the clock, and of the latest time, a time may be; default 300 s; negative =
                             any time is believed: for times that are not of this clock */
    /* Nanoseconds since 1970; default: the system's clock. Asked on opening, on a reset, and where a time is ahead of
     * what the last look at it allowed, or late by more than `ahead_max_ns`; with the lock held, on any thread: it may
     * neither block nor call the library. */
    int64_t (*clock)(void *user);
    void *clock_user;
    uint64_t reserved[8];
} tbus_requests_options_t;

/* Makes a tracker; `options` (copied) may be NULL. Memory: 700 KiB, and 125 KiB for each endpoint and "other". Errors:
 * UV_EINVAL (`ret` NULL, a count above 2^16, a negative window), UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_requests_open(const tbus_requests_options_t *options, tbus_requests_t **ret);

/* Frees it; NULL is allowed. [any thread, no other call on it running] */
TBUS_API void tbus_requests_close(tbus_requests_t *requests);

/* Forgets everything and starts counting anew. [any thread] */
TBUS_API void tbus_requests_reset(tbus_requests_t *requests);

/* A request begins. An endpoint of NULL counts as ""; a long one (over 191 bytes) is kept as its beginning and a 64-bit
 * hash. Errors: UV_EINVAL (tracker NULL), UV_ENOMEM (the endpoint could not be kept: counted in all and as "other").
 * [any thread] */
TBUS_API int tbus_requests_record_start(tbus_requests_t *requests, const char *endpoint, int64_t time_ns);

/* A request ends (copies). Where none is in flight that it can be the end of - its start was not told, or under another
 * name: see `in_flight` - that is counted as unmatched; what it tells counts all the same. Errors: as above, and UV_EINVAL
 * (`end` NULL). [any thread] */
TBUS_API int tbus_requests_record_end(tbus_requests_t *requests, const char *endpoint, const tbus_traffic_end_t *end);

typedef struct tbus_requests_snapshot {
    int64_t time_ns;    /* the moment that the window ends at */
    int64_t since_ns;   /* when the tracker was opened or reset last, by its clock */
    tbus_traffic_t all; /* its name is "" */
    uint64_t unmatched_responses;
    uint64_t negative_durations; /* taken as 0 */
    uint64_t ahead;              /* times too far ahead to be believed */
    size_t endpoints_count;
    const tbus_traffic_t *endpoints; /* by falling number of responses, then of requests, then by name */
} tbus_requests_snapshot_t;

/* Takes a snapshot, a struct with its own memory: free it with tbus_requests_snapshot_free(). The window ends at
 * `now_ns`; 0 = at the latest time recorded. The lock is held to copy the counts, which are of one moment, and then once
 * for each endpoint's latency, which may know of a few requests more. Errors: UV_EINVAL, UV_ENOMEM. [any thread] */
TBUS_API TBUS_CHECKED int tbus_requests_snapshot(tbus_requests_t *requests, int64_t now_ns,
                                                 tbus_requests_snapshot_t **ret);

/* NULL is allowed. [any thread] */
TBUS_API void tbus_requests_snapshot_free(tbus_requests_snapshot_t *snapshot);

TBUS_END_DECLS

#endif
