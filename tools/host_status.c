#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tools/host_call.h"
#include "tools/host_status.h"
#include "tools/tool.h"

#define TERMINAL_EVERY_NS UINT64_C(200000000)
#define LINE_EVERY_NS UINT64_C(2000000000)

/* Of the terminal: a line that wraps could not be renewed. */
static int columns(void)
{
    struct winsize size;
    return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 10 ? size.ws_col : 80;
}

void host_status_begin(struct host_status *status, struct host *host, struct host_load *load)
{
    *status = (struct host_status){
        .host = host, .load = load, .is_terminal = uv_guess_handle(2) == UV_TTY, .shown_hr = uv_hrtime()};
}

/* The time to the first token and the cost, as the trackers tell them. */
static void read_trackers(const struct host *host, double *ret_ttft_ms, char cost[TBUS_MONEY_TEXT_MAX])
{
    tbus_streaming_snapshot_t *streaming = NULL;
    tbus_cost_snapshot_t *costs = NULL;
    *ret_ttft_ms = 0;
    strcpy(cost, "?");
    if (tbus_streaming_snapshot(tbus_telemetry_streaming(host->telemetry), tbus_now(host->bus), &streaming) == 0 &&
        streaming->ttft_ms.count > 0)
        *ret_ttft_ms = streaming->ttft_ms.p50;
    if (tbus_cost_snapshot(tbus_telemetry_cost(host->telemetry), &costs) == 0)
        tbus_money_format(costs->total.usd, 4, cost);
    tbus_streaming_snapshot_free(streaming);
    tbus_cost_snapshot_free(costs);
}

void host_status_show(struct host_status *status)
{
    struct host_counts *counts = &status->host->counts;
    uint64_t now = uv_hrtime(), since = now - status->shown_hr, requests = atomic_load(&counts->requests);
    char cost[TBUS_MONEY_TEXT_MAX];
    char line[512];
    double ttft_ms;
    if (since < (status->is_terminal ? TERMINAL_EVERY_NS : LINE_EVERY_NS))
        return;
    read_trackers(status->host, &ttft_ms, cost);
    snprintf(line, sizeof line,
             "%llu requests (%.0f/s), %llu active, %llu tokens, TTFT %.0f ms, %s USD, "
             "%llu failed, %llu over budget, %llu hung up",
             (unsigned long long)requests, (double)(requests - status->requests) * 1e9 / (double)since,
             (unsigned long long)host_engine_active(status->host->engine),
             (unsigned long long)atomic_load(&counts->completion_tokens), ttft_ms, cost,
             (unsigned long long)atomic_load(&counts->failed), (unsigned long long)atomic_load(&counts->over_budget),
             (unsigned long long)atomic_load(&counts->cancelled));
    if (status->is_terminal)
        fprintf(stderr, "\r\033[K  %.*s", columns() - 3, line);
    else
        tool_say("%s", line);
    fflush(stderr);
    status->shown_hr = now;
    status->requests = requests;
}

void host_status_end(struct host_status *status)
{
    if (status->is_terminal)
        fputs("\r\033[K", stderr);
}
