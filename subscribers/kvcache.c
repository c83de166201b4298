/* Feeds the KV-cache tracker from a bus. */
#include <tallybus/subscribers.h>

enum { PRIORITY = 6 };

/* What the tracker refuses it counts itself: for the bus every event here has been handled. */

static int on_lookup(const tbus_event_t *event, void *kvcache)
{
    const tbus_cache_lookup_t *lookup = tbus_as_cache_lookup(event);
    (void)tbus_kvcache_record_lookup(kvcache, lookup->endpoint, lookup->total_tokens, lookup->matched_tokens);
    return 0;
}

static int on_speedup(const tbus_event_t *event, void *kvcache)
{
    const tbus_cache_speedup_measured_t *measured = tbus_as_cache_speedup_measured(event);
    (void)tbus_kvcache_record_speedup(kvcache, measured->endpoint, measured->baseline_ttft_ms,
                                      measured->actual_ttft_ms);
    return 0;
}

int64_t tbus_kvcache_attach(tbus_kvcache_t *kvcache, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{"cache.lookup", PRIORITY, on_lookup},
                                          {"cache.speedup_measured", PRIORITY, on_speedup}};
    if (!kvcache)
        return UV_EINVAL;
    return tbus_subscriber_add(
        bus, &(tbus_subscriber_t){
                 .name = "kvcache", .routes = routes, .routes_count = sizeof routes / sizeof *routes, .user = kvcache});
}
