#include "bus/bus.h"

#include <string.h>

#include "bus/thread.h"

enum { DEFAULT_QUEUE_BYTES = 1 << 20, HANDLER_BYTES = 16, BATCH_EVENTS = 4096 };

struct isolated {
    struct ring ring;
    _Alignas(64) _Atomic uint32_t asleep;
    _Atomic uint32_t done, tells_bus;
    _Atomic uint64_t deadline_ns; /* once the ring is shut */
    _Atomic uint64_t taken, dropped;
    tbus_t *bus;                       /* [const after open] */
    struct subscription *subscription; /* [const after open] */
    uv_sem_t wake;
    uv_thread_t thread;
    void *allocation;
};

static void wake_thread(struct isolated *isolated)
{
    if (atomic_load_explicit(&isolated->asleep, memory_order_seq_cst) &&
        atomic_exchange_explicit(&isolated->asleep, 0, memory_order_seq_cst))
        uv_sem_post(&isolated->wake);
}

void isolated_push(struct isolated *isolated, tbus_handler handler, const tbus_event_t *event,
                   const struct bus_type *type)
{
    struct record_plan plan;
    unsigned char *record;
    record_measure(&plan, &type->layout, event, UINT32_MAX - 1);
    uint64_t granules = (plan.bytes + HANDLER_BYTES + RING_HEADER_BYTES + RING_GRANULE - 1) / RING_GRANULE;
    if (granules > isolated->ring.size / 2 || /* where more may find no place in a row, wherever the ring's end lies */
        ring_claim(&isolated->ring, (uint32_t)granules, isolated->ring.size, &record) != 0) {
        atomic_fetch_add_explicit(&isolated->dropped, 1, memory_order_relaxed);
        return;
    }
    memcpy(record + RING_HEADER_BYTES, &handler, sizeof handler);
    (void)record_write(&plan, record + RING_HEADER_BYTES + HANDLER_BYTES);
    ring_commit(record, RING_EVENT, (uint32_t)granules);
    wake_thread(isolated);
}

/* Handles what is queued; drops it when the time is over. */
static void drain(struct isolated *isolated)
{
    struct ring *ring = &isolated->ring;
    struct subscription *subscription = isolated->subscription;
    enum ring_kind kind;
    uint32_t granules;
    unsigned char *record;
    bool any = false;
    uint64_t began = uv_hrtime();

    for (int events = 0; events < BATCH_EVENTS && (record = ring_peek(ring, &kind, &granules)); events++) {
        if (kind == RING_EVENT) {
            tbus_handler handler;
            memcpy(&handler, record + RING_HEADER_BYTES, sizeof handler);
            const tbus_event_t *event = (const tbus_event_t *)(void *)(record + RING_HEADER_BYTES + HANDLER_BYTES);
            uint64_t deadline = atomic_load_explicit(&isolated->deadline_ns, memory_order_relaxed);
            if (deadline != UINT64_MAX && uv_hrtime() >= deadline) {
                atomic_fetch_add_explicit(&isolated->dropped, 1, memory_order_relaxed);
            } else {
                (void)bus_call(isolated->bus, subscription, handler, event);
                any = true;
            }
            bus_count(&isolated->taken, 1);
        }
        ring_pass(ring, record, granules);
        ring_release(ring);
    }
    if (any && uv_hrtime() - began >= subscription->guard.slow_ns)
        guard_watch(&subscription->guard);
    if (any && subscription->on_batch_end)
        subscription->on_batch_end(subscription->user);
}

static void run_thread(void *argument)
{
    struct isolated *isolated = argument;
    struct ring *ring = &isolated->ring;
    for (;;) {
        drain(isolated);
        atomic_store_explicit(&isolated->asleep, 1, memory_order_seq_cst);
        uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
        if (ring_position_of(tail) != ring->read) { /* the loop thread is writing it just now */
            atomic_store_explicit(&isolated->asleep, 0, memory_order_seq_cst);
            continue;
        }
        if (tail & 1)
            break;
        uv_sem_wait(&isolated->wake);
    }
    atomic_store_explicit(&isolated->done, 1, memory_order_release);
    if (atomic_load_explicit(&isolated->tells_bus, memory_order_relaxed))
        uv_async_send(&isolated->bus->wake); /* the bus keeps its handles until it has joined us */
}

int isolated_open(tbus_t *bus, struct subscription *subscription, uint64_t queue_bytes, struct isolated **ret)
{
    size_t alignment = _Alignof(struct isolated);
    queue_bytes = queue_bytes ? queue_bytes : DEFAULT_QUEUE_BYTES;
    if ((queue_bytes & (queue_bytes - 1)) != 0 || queue_bytes < UINT64_C(64) << 10 || queue_bytes > UINT64_C(256) << 20)
        return UV_EINVAL;
    void *allocation = tbus_mem_alloc(sizeof(struct isolated) + alignment);
    if (!allocation)
        return UV_ENOMEM;
    struct isolated *isolated =
        (struct isolated *)(((uintptr_t)allocation + alignment - 1) & ~(uintptr_t)(alignment - 1));
    isolated->allocation = allocation;
    isolated->bus = bus;
    isolated->subscription = subscription;
    atomic_init(&isolated->deadline_ns, UINT64_MAX);
    int error = ring_open(&isolated->ring, queue_bytes);
    if (error == 0) {
        error = uv_sem_init(&isolated->wake, 0);
        if (error == 0) {
            error = thread_create(&isolated->thread, run_thread, isolated);
            if (error == 0) {
                *ret = isolated;
                return 0;
            }
            uv_sem_destroy(&isolated->wake);
        }
        ring_close(&isolated->ring);
    }
    tbus_mem_free(allocation);
    return error;
}

bool isolated_is_self(const struct isolated *isolated)
{
    uv_thread_t self = uv_thread_self();
    return isolated && uv_thread_equal(&self, &isolated->thread);
}

void isolated_stop(struct isolated *isolated, uint64_t deadline_ns)
{
    atomic_store_explicit(&isolated->deadline_ns, deadline_ns, memory_order_relaxed);
    atomic_store_explicit(&isolated->tells_bus, 1, memory_order_relaxed);
    if (ring_shut(&isolated->ring))
        wake_thread(isolated);
}

bool isolated_is_done(const struct isolated *isolated)
{
    return atomic_load_explicit(&isolated->done, memory_order_acquire);
}

void isolated_close(struct isolated *isolated)
{
    if (!isolated)
        return;
    if (ring_shut(&isolated->ring)) /* one that never began */
        wake_thread(isolated);
    uv_thread_join(&isolated->thread);
    uv_sem_destroy(&isolated->wake);
    ring_close(&isolated->ring);
    tbus_mem_free(isolated->allocation);
}

void isolated_stats(const struct isolated *isolated, tbus_subscriber_stats_t *stats)
{
    uint64_t taken = atomic_load_explicit(&isolated->taken, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&isolated->ring.tail, memory_order_acquire);
    stats->queued_events = (ring_events_of(tail) - taken) & RING_EVENTS_MASK;
    stats->dropped = atomic_load_explicit(&isolated->dropped, memory_order_relaxed);
}
