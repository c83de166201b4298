#include "tools/drain.h"

struct drained {
    uv_sem_t done;
    uint64_t remained;
};

static void on_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    struct drained *drained = user;
    (void)bus;
    drained->remained = report->remained;
    uv_sem_post(&drained->done);
}

int drain_bus(tbus_t *bus, uint32_t max_ms, tbus_stats_t *ret_stats, uint64_t *ret_remained)
{
    struct drained drained = {.remained = 0};
    int error = uv_sem_init(&drained.done, 0);
    if (error)
        return error;
    error = tbus_close(bus, max_ms, on_closed, &drained);
    if (!error)
        uv_sem_wait(&drained.done);
    uv_sem_destroy(&drained.done);
    if (!error)
        error = tbus_stats(bus, ret_stats);
    *ret_remained = drained.remained;
    return error;
}
