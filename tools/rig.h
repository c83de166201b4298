/* The bus with the three trackers on it, as the subcommands use them. */
#ifndef TOOLS_RIG_H
#define TOOLS_RIG_H

#include <tallybus.h>

struct rig {
    tbus_t *bus;
    tbus_prices_t *prices;
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    uint64_t opened_hr; /* uv_hrtime() when it was opened */
    /* known once it is drained */
    tbus_stats_t stats;
    uint64_t remained; /* events that were queued and could not be delivered */
    double elapsed_s;  /* from opened to drained */
};

/* Opens all of it. `prices_path` (may be NULL) goes over the built-in prices; the report is to cover `streams_max`
 * streams, however long they take. Returns 0; or says why not, and returns how the command ends. */
int rig_open(struct rig *rig, const char *prices_path, uint32_t slo_ppm, uint32_t streams_max);

/* Closes the bus when all that was published is delivered. The trackers stay. Returns as rig_open(). */
int rig_drain(struct rig *rig);

/* Frees what there is; a rig that was never opened must be zeroed. */
void rig_close(struct rig *rig);

#endif
