/* All trackers of a telemetry set on one page. */
#include <tallybus/prometheus.h>
#include <tallybus/telemetry.h>

#include "exporters/text.h"

/* Adds a page, where it could be made. */
static int add_page(struct text *text, int error, char *page)
{
    if (!error)
        text_add(text, page);
    tbus_mem_free(page);
    return error;
}

static int add_pages(struct text *text, const tbus_telemetry_snapshot_t *snapshot)
{
    int error = 0;
#define ADD(name)                                                                                                      \
    if (snapshot->name && !error) {                                                                                    \
        char *page = NULL;                                                                                             \
        int made = tbus_prometheus_##name(snapshot->name, &page);                                                      \
        error = add_page(text, made, page);                                                                            \
    }
    ADD(errors)
    ADD(requests)
    ADD(inference)
    ADD(streaming)
    ADD(cost)
    ADD(budgets)
    ADD(models)
    ADD(kvcache)
#undef ADD
    return error;
}

int tbus_telemetry_prometheus(tbus_telemetry_t *telemetry, int64_t now_ns, char **ret_text)
{
    struct text text = {0};
    tbus_telemetry_snapshot_t *snapshot;
    char *page;
    if (!telemetry || !ret_text)
        return UV_EINVAL;
    int error = tbus_telemetry_snapshot(telemetry, now_ns, &snapshot);
    if (error)
        return error;
    error = add_pages(&text, snapshot);
    tbus_telemetry_snapshot_free(snapshot);
    int taken = text_take(&text, &page);
    if (error || taken) {
        if (!taken)
            tbus_mem_free(page);
        return error ? error : taken;
    }
    *ret_text = page;
    return 0;
}
