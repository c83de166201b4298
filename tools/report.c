#include <errno.h>
#include <string.h>

#include "tools/report.h"
#include "tools/tool.h"

bool report_can_write(enum output output)
{
#if TBUS_WITH_JSON
    (void)output;
    return true;
#else
    if (output == OUTPUT_JSON)
        tool_say("this tallybus was built without JSON; leave --json out");
    return output != OUTPUT_JSON;
#endif
}

/* Writes a text that the library made, and frees it. */
static int put_text(int error, char *text, FILE *out)
{
    if (error)
        return error;
    fputs(text, out);
    tbus_mem_free(text);
    return 0;
}

static int write_prometheus(const struct report *report, FILE *out)
{
    char *text = NULL;
    int error = tbus_prometheus_streaming(report->streaming, &text);
    error = put_text(error, text, out);
    if (!error) {
        error = tbus_prometheus_errors(report->errors, &text);
        error = put_text(error, text, out);
    }
    if (!error) {
        error = tbus_prometheus_cost(report->cost, &text);
        error = put_text(error, text, out);
    }
    return error;
}

/* Alerts are looked at once more: what came on and went meanwhile depends on how the threads that published took turns,
 * what is on at the end does not. */
static int take_snapshots(struct report *report, const struct rig *rig)
{
    int error = tbus_errors_evaluate(rig->errors, INT64_MIN);
    if (!error)
        error = tbus_streaming_snapshot(rig->streaming, 0, &report->streaming);
    if (!error)
        error = tbus_errors_snapshot(rig->errors, 0, &report->errors);
    if (!error)
        error = tbus_cost_snapshot(rig->cost, &report->cost);
    return error;
}

static int write_as(const struct report *report, enum output output, FILE *out)
{
    switch (output) {
    case OUTPUT_TEXT:
        return report_write_text(report, out);
    case OUTPUT_JSON:
        return report_write_json(report, out);
    case OUTPUT_PROMETHEUS:
        return write_prometheus(report, out);
    }
    return UV_EINVAL;
}

/* Events that were made and that no tracker saw. */
static uint64_t events_missing(const struct report *report, const struct rig *rig)
{
    return report->lost + rig->remained;
}

/* Says so where there were more streams than could be foreseen of an input that can not be read twice. */
static void note_streams(const tbus_streaming_snapshot_t *streaming, uint32_t streams_max)
{
    if (streaming->completed_streams + streaming->failed_streams + streaming->cancelled_streams > streams_max)
        tool_say("percentiles are over the last %u streams; give a file, not a pipe, to have them over all",
                 streams_max);
    if (streaming->refused_starts > 0)
        tool_say("%llu streams were left out: more than %u were active at once",
                 (unsigned long long)streaming->refused_starts, streams_max);
}

int report_write(const struct report_input *input, const struct rig *rig, uint64_t lost, enum output output)
{
    struct report report = {.input = *input, .stats = &rig->stats, .lost = lost, .elapsed_s = rig->elapsed_s};
    report.per_second = rig->elapsed_s > 0 ? (double)rig->stats.delivered / rig->elapsed_s : 0;
    int error = take_snapshots(&report, rig);
    if (!error)
        error = write_as(&report, output, stdout);
    if (!error)
        note_streams(report.streaming, input->streams_max);
    tbus_streaming_snapshot_free(report.streaming);
    tbus_errors_snapshot_free(report.errors);
    tbus_cost_snapshot_free(report.cost);
    if (error) {
        tool_say("can not make the report: %s", uv_strerror(error));
        return TOOL_UNUSABLE;
    }
    errno = 0;
    if (fflush(stdout) || ferror(stdout)) {
        tool_say("can not write the report: %s", errno ? strerror(errno) : "standard output failed");
        return TOOL_UNUSABLE;
    }
    if (events_missing(&report, rig) > 0) {
        tool_say("%llu events are not in this report: the bus did not take or deliver them",
                 (unsigned long long)events_missing(&report, rig));
        return TOOL_UNUSABLE;
    }
    return TOOL_GOOD;
}
