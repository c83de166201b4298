#include "bus/bus.h"

enum { DEFAULT_BREAKER_ERRORS = 10, DEFAULT_COOLDOWN_MS = 1000 };

void guard_open(struct guard *guard, const tbus_subscriber_t *subscriber, uint64_t slow_ns)
{
    uint32_t errors = subscriber->breaker_errors ? subscriber->breaker_errors : DEFAULT_BREAKER_ERRORS;
    uint32_t cooldown_ms = subscriber->breaker_cooldown_ms ? subscriber->breaker_cooldown_ms : DEFAULT_COOLDOWN_MS;
    guard->errors_max = errors == UINT32_MAX ? 0 : errors;
    guard->cooldown_ns = cooldown_ms * UINT64_C(1000000);
    guard->slow_ns = slow_ns;
}

bool guard_lets_pass(struct guard *guard)
{
    if (atomic_load_explicit(&guard->breaker, memory_order_relaxed) == TBUS_BREAKER_OPEN) {
        if (uv_hrtime() < guard->open_until_ns) {
            bus_count(&guard->skipped, 1);
            return false;
        }
        atomic_store_explicit(&guard->breaker, TBUS_BREAKER_HALF_OPEN, memory_order_relaxed);
    }
    return true;
}

const char *guard_note_error(struct guard *guard)
{
    bool half_open = atomic_load_explicit(&guard->breaker, memory_order_relaxed) == TBUS_BREAKER_HALF_OPEN;
    bus_count(&guard->errors, 1);
    guard->errors_in_a_row++;
    guard->attention = true;
    if (guard->errors_max == 0 || (!half_open && guard->errors_in_a_row < guard->errors_max))
        return "a handler failed";
    guard->open_until_ns = uv_hrtime() + guard->cooldown_ns;
    atomic_store_explicit(&guard->breaker, TBUS_BREAKER_OPEN, memory_order_relaxed);
    bus_count(&guard->opened, 1);
    return half_open ? "its trial failed too: its breaker stays open" : "its handlers keep failing: its breaker opens";
}

const char *guard_note_success(struct guard *guard)
{
    guard->errors_in_a_row = 0;
    if (atomic_load_explicit(&guard->breaker, memory_order_relaxed) != TBUS_BREAKER_HALF_OPEN)
        return NULL;
    atomic_store_explicit(&guard->breaker, TBUS_BREAKER_CLOSED, memory_order_relaxed);
    return "its trial succeeded: its breaker closes";
}

const char *guard_note_time(struct guard *guard, uint64_t took_ns)
{
    bus_count(&guard->timed, 1);
    bus_count(&guard->timed_ns, took_ns);
    if (took_ns > atomic_load_explicit(&guard->worst_ns, memory_order_relaxed))
        atomic_store_explicit(&guard->worst_ns, took_ns, memory_order_relaxed);
    if (took_ns < guard->slow_ns)
        return NULL;
    bus_count(&guard->slow, 1);
    return "a handler took long";
}

void guard_watch(struct guard *guard)
{
    guard->watched = GUARD_WATCHED_CALLS;
    guard->attention = true;
}

/* A call that is timed. */
static int timed_call(tbus_t *bus, struct subscription *subscription, tbus_handler handler, const tbus_event_t *event)
{
    struct guard *guard = &subscription->guard;
    uint64_t began = uv_hrtime();
    int result = handler(event, subscription->user);
    uint64_t took = uv_hrtime() - began;
    const char *told = guard_note_time(guard, took);
    if (guard->watched > 0)
        guard->watched--;
    if (told)
        bus_log(bus, TBUS_LOG_WARNING, "subscriber %lld '%s': %s: %llu us", (long long)subscription->id,
                subscription->name, told, (unsigned long long)(took / 1000));
    return result;
}

int guard_note_result(tbus_t *bus, struct subscription *subscription, int result)
{
    struct guard *guard = &subscription->guard;
    const char *told = result < 0 ? guard_note_error(guard) : guard_note_success(guard);
    if (told)
        bus_log(bus, result < 0 ? TBUS_LOG_ERROR : TBUS_LOG_INFO, "subscriber %lld '%s': %s (%s)",
                (long long)subscription->id, subscription->name, told, result < 0 ? uv_strerror(result) : "ok");
    if (result == TBUS_STOP)
        bus_count(&guard->stops, 1);
    guard->attention = guard->errors_in_a_row > 0 || guard->watched > 0 ||
                       atomic_load_explicit(&guard->breaker, memory_order_relaxed) != TBUS_BREAKER_CLOSED;
    return result;
}

int guard_call_carefully(tbus_t *bus, struct subscription *subscription, tbus_handler handler,
                         const tbus_event_t *event)
{
    struct guard *guard = &subscription->guard;
    if (!guard_lets_pass(guard))
        return 0;
    bus_count(&guard->calls, 1);
    bool timed =
        guard->watched > 0 || atomic_load_explicit(&guard->calls, memory_order_relaxed) % GUARD_TIMED_EVERY == 0;
    int result = timed ? timed_call(bus, subscription, handler, event) : handler(event, subscription->user);
    return guard_note_result(bus, subscription, result);
}

void guard_stats(const struct guard *guard, tbus_subscriber_stats_t *stats)
{
    stats->breaker = (tbus_breaker_t)atomic_load_explicit(&guard->breaker, memory_order_relaxed);
    stats->calls = atomic_load_explicit(&guard->calls, memory_order_relaxed);
    stats->errors = atomic_load_explicit(&guard->errors, memory_order_relaxed);
    stats->stops = atomic_load_explicit(&guard->stops, memory_order_relaxed);
    stats->skipped = atomic_load_explicit(&guard->skipped, memory_order_relaxed);
    stats->breaker_opened = atomic_load_explicit(&guard->opened, memory_order_relaxed);
    stats->slow = atomic_load_explicit(&guard->slow, memory_order_relaxed);
    stats->timed = atomic_load_explicit(&guard->timed, memory_order_relaxed);
    stats->timed_ns = atomic_load_explicit(&guard->timed_ns, memory_order_relaxed);
    stats->worst_ns = atomic_load_explicit(&guard->worst_ns, memory_order_relaxed);
}
