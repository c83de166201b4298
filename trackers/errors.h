/* The error tracker inside. */
#ifndef TRACKERS_ERRORS_H
#define TRACKERS_ERRORS_H

#include <tallybus/errors.h>

#include "trackers/errors_patterns.h"
#include "trackers/table.h"

/* Where a status is counted: 0 = none, 1 .. 500 = 100 .. 599, then any other code. */
enum { STATUS_FIRST = 100, STATUS_LAST = 599, STATUS_OTHER = STATUS_LAST - STATUS_FIRST + 2, STATUS_SLOTS };

struct tbus_errors {
    uint32_t slo_target_ppm;         /* [const after open] */
    bool client_errors_count;        /* [const after open] */
    int32_t excluded_status;         /* [const after open] negative = none */
    struct table_secret name_secret; /* [const after open] for the hash at the end of long names */

    uv_mutex_t mu;
    uint64_t requests, failed, excluded;         /* [lock: mu] `requests` counts the failed, too */
    int64_t latest_ns;                           /* [lock: mu] INT64_MIN = nothing recorded */
    uint64_t by_status[STATUS_SLOTS];            /* [lock: mu] errors */
    struct table by_endpoint, by_type, by_model; /* [lock: mu] errors as uint64_t; "other" is always there */
    struct patterns patterns;                    /* [lock: mu] */
};

#endif
