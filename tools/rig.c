#include "tools/rig.h"
#include "tools/drain.h"
#include "tools/tool.h"

/* Long enough for what a full queue holds, on any machine. */
#define DRAIN_MAX_MS (10 * 60 * 1000)

static int fail(const char *what, int error)
{
    tool_say("can not open the %s: %s", what, uv_strerror(error));
    return TOOL_UNUSABLE;
}

static int open_prices(struct rig *rig, const char *path)
{
    char why[TOOL_WHY_BYTES] = "";
    tbus_prices_report_t report;
    int error = tbus_prices_open(true, &rig->prices);
    if (error)
        return fail("price table", error);
    if (!path)
        return 0;
    error = tbus_prices_load(rig->prices, path, NULL, NULL, &report, why, sizeof why);
    if (!error)
        return 0;
    if (error == UV_ENOTSUP)
        tool_say("%s: this tallybus was built without JSON, so it can not read price files; leave --prices out", path);
    else
        tool_say("%s: can not use these prices: %s", path, why[0] ? why : uv_strerror(error));
    return TOOL_UNUSABLE;
}

static int open_trackers(struct rig *rig, uint32_t slo_ppm, uint32_t streams_max)
{
    const tbus_streaming_options_t streaming = {.active_max = streams_max,
                                                .finished_max = streams_max,
                                                .findable_max = 1, /* nobody asks for one stream */
                                                .window_ns = -1,
                                                .idle_ns = -1,
                                                .ahead_max_ns = -1}; /* no window that a wrong time could empty */
    const tbus_errors_options_t errors = {.slo_target_ppm = slo_ppm,
                                          .findings_off = true /* nobody listens, and events are told as they came */};
    const tbus_cost_options_t cost = {.prices = rig->prices, .ahead_max_ns = -1 /* a trace has times of its own */};
    int error = tbus_streaming_open(&streaming, &rig->streaming);
    if (error)
        return fail("streaming tracker", error);
    error = tbus_errors_open(&errors, &rig->errors);
    if (error)
        return fail("error tracker", error);
    error = tbus_cost_open(&cost, &rig->cost);
    return error ? fail("cost tracker", error) : 0;
}

static int open_bus(struct rig *rig)
{
    int error = tbus_open(NULL, &rig->bus);
    if (error)
        return fail("bus", error);
    int64_t subscription = tbus_streaming_attach(rig->streaming, rig->bus);
    if (subscription > 0)
        subscription = tbus_errors_attach(rig->errors, rig->bus);
    if (subscription > 0)
        subscription = tbus_cost_attach(rig->cost, rig->bus);
    return subscription > 0 ? 0 : fail("bus", (int)subscription);
}

int rig_open(struct rig *rig, const char *prices_path, uint32_t slo_ppm, uint32_t streams_max)
{
    *rig = (struct rig){.opened_hr = 0};
    int code = open_prices(rig, prices_path);
    if (!code)
        code = open_trackers(rig, slo_ppm, streams_max);
    if (!code)
        code = open_bus(rig);
    if (code)
        rig_close(rig);
    rig->opened_hr = uv_hrtime();
    return code;
}

int rig_drain(struct rig *rig)
{
    int error = drain_bus(rig->bus, DRAIN_MAX_MS, &rig->stats, &rig->remained);
    rig->elapsed_s = (double)(uv_hrtime() - rig->opened_hr) / 1e9;
    int free_error = tbus_free(rig->bus);
    error = error ? error : free_error;
    rig->bus = free_error ? rig->bus : NULL;
    if (!error)
        return 0;
    tool_say("can not close the bus: %s", uv_strerror(error));
    return TOOL_UNUSABLE;
}

void rig_close(struct rig *rig)
{
    tbus_free(rig->bus);
    tbus_cost_close(rig->cost);
    tbus_errors_close(rig->errors);
    tbus_streaming_close(rig->streaming);
    tbus_prices_close(rig->prices);
    *rig = (struct rig){.opened_hr = 0};
}
