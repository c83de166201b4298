/* What came of a replay: for people, as JSON (docs/report.schema.json), as Prometheus text. */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include <stdio.h>

#include "tools/options.h"
#include "tools/rig.h"

struct report_input {
    const char *file;
    const char *format; /* "csv", "events" or "simulation" */
    uint64_t lines, rows, broken_lines;
    uint32_t streams_max; /* what the rig was opened for */
};

struct report {
    struct report_input input;
    const tbus_stats_t *stats;
    uint64_t lost; /* events that the bus never took */
    double elapsed_s;
    double per_second;
    tbus_streaming_snapshot_t *streaming;
    tbus_errors_snapshot_t *errors;
    tbus_cost_snapshot_t *cost;
};

/* Whether the command was built so that it can write this output; says so where not. */
bool report_can_write(enum output output);

/* Writes the report of a drained rig to stdout. Returns how the command ends, broken lines left aside. */
int report_write(const struct report_input *input, const struct rig *rig, uint64_t lost, enum output output);

/* The two of report_text.c and report_json.c. Return 0 or a libuv error code; errors of writing are left in `out`. */
int report_write_text(const struct report *report, FILE *out);
int report_write_json(const struct report *report, FILE *out);

#endif
