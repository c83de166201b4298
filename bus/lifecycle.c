#include "bus/bus.h"

#include <assert.h>
#include <string.h>

enum {
    DEFAULT_RING_BYTES = 4 << 20,
    DEFAULT_SHEDDABLE_PERMILLE = 875,
    DEFAULT_STRING_MAX = 16384,
    DEFAULT_BATCH_EVENTS = 4096,
    DEFAULT_BATCH_US = 2000,
    DEFAULT_LINGER_US = 20,
    DEFAULT_VITAL_WAIT_MS = 100,
    DEFAULT_RESERVE_MS = 1000,
    DEFAULT_OVERFLOW = 1024,
    DEFAULT_SLOW_MS = 10,
    DEFAULT_CLOSE_WAIT_MS = 5000
};

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

static bool options_valid(const tbus_options_t *options)
{
    uint64_t ring = or_default(options->ring_bytes, DEFAULT_RING_BYTES);
    uint32_t string_max = options->string_max_bytes;
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
        if (options->reserved[i] != 0)
            return false;
    return (ring & (ring - 1)) == 0 && ring >= UINT64_C(64) << 10 && ring <= UINT64_C(256) << 20 &&
           (options->sheddable_permille == 0 ||
            (options->sheddable_permille >= 250 && options->sheddable_permille <= 1000)) &&
           (string_max == 0 || (string_max >= 16 && string_max <= 1 << 20));
}

/* Numbers of events are unique in the process: buses take blocks of 2^32 of them in turn. This counter and the
 * allocator are all that the buses of a process share. */
uint64_t bus_id_block(void)
{
    static _Atomic uint64_t blocks;
    return atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed) << BUS_ID_BLOCK_BITS;
}

static void take_options(tbus_t *bus, const tbus_options_t *options)
{
    uint64_t granules = bus->ring.size;
    bus->loop = options->loop;
    bus->record_max = (uint32_t)(granules / 4);
    bus->sheddable_limit =
        (uint32_t)(granules * or_default(options->sheddable_permille, DEFAULT_SHEDDABLE_PERMILLE) / 1000);
    bus->string_max = (uint32_t)or_default(options->string_max_bytes, DEFAULT_STRING_MAX);
    bus->batch_max_events = (uint32_t)or_default(options->batch_max_events, DEFAULT_BATCH_EVENTS);
    bus->batch_max_us = (uint32_t)or_default(options->batch_max_us, DEFAULT_BATCH_US);
    bus->linger_us = options->linger_us == UINT32_MAX ? 0 : (uint32_t)or_default(options->linger_us, DEFAULT_LINGER_US);
    bus->vital_wait_ms =
        options->vital_wait_ms == UINT32_MAX ? 0 : (uint32_t)or_default(options->vital_wait_ms, DEFAULT_VITAL_WAIT_MS);
    bus->reserve_max_ms = (uint32_t)or_default(options->reserve_max_ms, DEFAULT_RESERVE_MS);
    bus->overflow_max = (uint32_t)or_default(options->overflow_max, DEFAULT_OVERFLOW);
    bus->slow_handler_ns = or_default(options->slow_handler_ms, DEFAULT_SLOW_MS) * 1000000;
    bus->log.write = options->log;
    bus->log.user = options->log_user;
    bus->close_wait_ms = (uint32_t)or_default(options->close_wait_ms, DEFAULT_CLOSE_WAIT_MS);
}

static void free_memory(tbus_t *bus)
{
    typetable_close(&bus->types);
    tbus_mem_free(bus->routing);
    tbus_mem_free(bus->subscriptions);
    ring_close(&bus->ring);
    tbus_mem_free(bus->allocation);
}

static int open_memory(const tbus_options_t *options, tbus_t **ret_bus)
{
    /* The struct has members that must start on cache lines; an allocator need not know that. */
    size_t alignment = _Alignof(tbus_t);
    void *allocation = tbus_mem_alloc(sizeof(tbus_t) + alignment);
    if (!allocation)
        return UV_ENOMEM;
    tbus_t *bus = (tbus_t *)(((uintptr_t)allocation + alignment - 1) & ~(uintptr_t)(alignment - 1));
    bus->allocation = allocation;
    int error = ring_open(&bus->ring, or_default(options->ring_bytes, DEFAULT_RING_BYTES));
    if (error == 0)
        error = typetable_open(&bus->types);
    if (error == 0 && !(bus->routing = routing_alloc(0)))
        error = UV_ENOMEM;
    if (error == 0) {
        bus->types_routed = bus->types.count;
        routing_rebuild(bus->routing, NULL, bus->types_routed);
    }
    if (error) {
        free_memory(bus);
        return error;
    }
    *ret_bus = bus;
    return 0;
}

enum locks { LOCK_NONE, LOCK_ASIDE, LOCK_REGISTRY, LOCK_REGISTRY_CHANGED, LOCK_ROOM, LOCK_ALL };

static void destroy_locks(tbus_t *bus, enum locks made)
{
    if (made >= LOCK_ALL)
        uv_cond_destroy(&bus->room);
    if (made >= LOCK_ROOM)
        uv_mutex_destroy(&bus->room_lock);
    if (made >= LOCK_REGISTRY_CHANGED)
        uv_cond_destroy(&bus->registry_changed);
    if (made >= LOCK_REGISTRY)
        uv_mutex_destroy(&bus->registry);
    if (made >= LOCK_ASIDE)
        aside_close(&bus->aside);
}

static int make_locks(tbus_t *bus)
{
    enum locks made = LOCK_NONE;
    int error;
    if ((error = aside_open(&bus->aside)) == 0 && (made = LOCK_ASIDE) && (error = uv_mutex_init(&bus->registry)) == 0 &&
        (made = LOCK_REGISTRY) && (error = uv_cond_init(&bus->registry_changed)) == 0 &&
        (made = LOCK_REGISTRY_CHANGED) && (error = uv_mutex_init(&bus->room_lock)) == 0 && (made = LOCK_ROOM) &&
        (error = uv_cond_init(&bus->room)) == 0)
        return 0;
    destroy_locks(bus, made);
    return error;
}

int tbus_open(const tbus_options_t *options, tbus_t **ret_bus)
{
    static const tbus_options_t defaults;
    tbus_t *bus;

    if (!options)
        options = &defaults;
    if (!ret_bus || !options_valid(options))
        return UV_EINVAL;
    int error = open_memory(options, &bus);
    if (error)
        return error;
    take_options(bus, options);
    bus->last_id = bus_id_block();
    atomic_init(&bus->asleep, 1);
    atomic_init(&bus->state, BUS_OPEN);
    error = bus_clock_open(&bus->clock, options);
    if (error == 0) {
        bus->opened_ns = bus_clock_now(&bus->clock);
        error = make_locks(bus);
    }
    if (error) {
        free_memory(bus);
        return error;
    }
    error = home_open(bus);
    if (error) {
        destroy_locks(bus, LOCK_ALL);
        free_memory(bus);
        return error;
    }
    *ret_bus = bus;
    return 0;
}

int tbus_close(tbus_t *bus, uint32_t timeout_ms, tbus_closed_cb closed, void *user)
{
    if (!bus)
        return UV_EINVAL;
    uv_mutex_lock(&bus->registry);
    bool first = bus_state(bus) == BUS_OPEN;
    if (first) {
        bus->closed = closed;
        bus->closed_user = user;
        bus->close_deadline_ns = uv_hrtime() + timeout_ms * UINT64_C(1000000);
        /* In this order: a loop that sees the bus closing must find a ring that nothing more can get into. */
        ring_shut(&bus->ring);
        atomic_store_explicit(&bus->state, BUS_CLOSING, memory_order_release);
        uv_async_send(&bus->wake);
    }
    uv_mutex_unlock(&bus->registry);
    return first ? 0 : UV_EALREADY;
}

int tbus_free(tbus_t *bus)
{
    if (!bus)
        return 0;
    if (bus->own_loop) {
        if (bus_on_loop_thread(bus) || subscribe_is_own_thread(bus))
            return UV_EBUSY;
        (void)tbus_close(bus, bus->close_wait_ms, NULL, NULL);
        home_close(bus);
    }
    if (bus_state(bus) != BUS_CLOSED)
        return UV_EBUSY;
    destroy_locks(bus, LOCK_ALL);
    free_memory(bus);
    return 0;
}

int64_t tbus_now(const tbus_t *bus)
{
    return bus ? bus_clock_now(&bus->clock) : 0;
}
