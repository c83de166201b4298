/* The arithmetic of an SLO inside: requests and errors as a pair, and the rule of an alert in whole numbers. */
#ifndef TRACKERS_SLO_H
#define TRACKERS_SLO_H

#include <tallybus/slo.h>

struct tally {
    uint64_t requests, errors; /* `requests` counts the failed, too */
};

/* Whether these burn faster than an alert's factor. Exact: exactly at the factor is not faster. */
bool slo_exceeds(struct tally tally, uint32_t target_ppm, tbus_alert_t alert, uint32_t compliance_s);

#endif
