/* What the parts of `tallybus soak` share. */
#ifndef TOOLS_SOAK_H
#define TOOLS_SOAK_H

#include "tools/host_load.h"

struct soak_scrapers;

struct soak_memory {
    double allocated_mib; /* 0 = not known */
    double resident_mib;
};

struct soak {
    struct host host;
    struct host_load *load;
    struct soak_scrapers *scrapers;
    int64_t failing, isolated; /* subscriptions */
    _Atomic int64_t ahead_ns;  /* of the bus's clock */
    uint64_t began_hr;
    struct soak_memory first; /* when it had warmed up; 0 = not yet */
    /* of the two subscribers, at the last check */
    uint64_t failing_errors, failing_skipped, isolated_dropped;
    unsigned passed, failed;
};

/* soak_checks.c: compares every counter with every other one that must agree with it, while nothing is under way; writes
 * a line of the table. `is_warm`: memory must not grow any more. */
void soak_check(struct soak *soak, bool is_warm);

/* soak_scrapers.c: clients of the metrics that hardly read, and one that does. Errors: UV_ENOMEM, the system's. */
int soak_scrapers_open(uint16_t port, struct soak_scrapers **ret);
uint64_t soak_scrapers_pages(const struct soak_scrapers *scrapers); /* read as a whole */
uint64_t soak_scrapers_cut(const struct soak_scrapers *scrapers);   /* slow ones that were cut off, or gave up */
void soak_scrapers_close(struct soak_scrapers *scrapers);

#endif
