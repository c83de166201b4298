/* What the request and the model tracker tell of a name (an endpoint, a model): how much goes on there, and how long it
 * takes. */
#ifndef TALLYBUS_TRAFFIC_H
#define TALLYBUS_TRAFFIC_H

#include <tallybus/distribution.h>

TBUS_BEGIN_DECLS

/* Rates are what was counted within the window, divided by the time that the window covers (its length and up to one
 * slice more); while less time than that has gone by since the beginning, they are still rising. */
typedef struct tbus_traffic {
    const char *name; /* "" = events that named none; "other" = those past the limit */
    /* for ever */
    uint64_t requests;                         /* begun */
    uint64_t responses;                        /* ended, those with an error too */
    uint64_t errors;                           /* failed, or a status of 500 or more */
    uint64_t prompt_tokens, completion_tokens; /* as the ends told them */
    /* now */
    /* Begun and not ended. Requests have no ids here: an end is taken off those begun under its name, or, where there are
     * none, off those begun without a name. An end without a name, where all were begun under one, is taken off the whole
     * alone: its request stays in a row. So the whole is at most the sum of the rows. A request that never
     * ends, or ends under another name, counts until a reset. */
    uint64_t in_flight;
    /* over the window */
    double requests_per_second, responses_per_second, errors_per_second;
    double tokens_per_second;       /* prompt and completion together */
    tbus_distribution_t latency_ms; /* of ended requests that told how long they took; percentiles within 0.5 % for 1 us
                                       .. 1 h, the rest exact */
} tbus_traffic_t;

/* How a request ended. */
typedef struct tbus_traffic_end {
    bool failed;           /* an error, whatever the status */
    int64_t status_code;   /* 500 and more is an error, too; 0 = none */
    double duration_ms;    /* NaN = not told; a negative one is counted and taken as 0 */
    int64_t prompt_tokens; /* below 1 = none */
    int64_t completion_tokens;
    int64_t time_ns;
    uint64_t reserved[4];
} tbus_traffic_end_t;

TBUS_END_DECLS

#endif
