#include "bus/ring.h"

#include <assert.h>

static_assert(sizeof(_Atomic uint64_t) == RING_HEADER_BYTES, "a header is one lock-free word");
static_assert(RING_GRANULE % 64 == 0, "granules start on cache lines");

int ring_open(struct ring *ring, uint64_t bytes)
{
    assert(bytes >= RING_GRANULE && (bytes & (bytes - 1)) == 0);
    assert(bytes / RING_GRANULE <= RING_EVENTS_MASK / 2 + 1);
    ring->allocation = tbus_mem_alloc(bytes + RING_GRANULE);
    if (!ring->allocation)
        return UV_ENOMEM;
    uintptr_t start = ((uintptr_t)ring->allocation + RING_GRANULE - 1) & ~(uintptr_t)(RING_GRANULE - 1);
    ring->granules = (unsigned char *)start;
    ring->size = (uint32_t)(bytes / RING_GRANULE);
    ring->mask = ring->size - 1;
    ring->read = 0;
    atomic_init(&ring->tail, 0);
    atomic_init(&ring->head_seen, 0);
    atomic_init(&ring->head, 0);
    return 0;
}

void ring_close(struct ring *ring)
{
    tbus_mem_free(ring->allocation);
    ring->allocation = NULL;
}

/* Whether `position` lies at most `limit` ahead of what the consumer has freed. */
static bool fits(struct ring *ring, uint64_t position, uint32_t limit)
{
    uint64_t head = atomic_load_explicit(&ring->head_seen, memory_order_acquire);
    if (ring_distance(position, head) <= limit)
        return true;
    head = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (ring_distance(position, head) > limit)
        return false;
    atomic_store_explicit(&ring->head_seen, head, memory_order_release);
    return true;
}

int ring_claim(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        if (tail & 1)
            return UV_ESHUTDOWN;
        uint64_t position = ring_position_of(tail);
        uint32_t at = (uint32_t)(position & ring->mask);
        uint32_t padding = at + granules > ring->size ? ring->size - at : 0;
        uint64_t end = (position + padding + granules) & RING_POSITION_MASK;

        if (!fits(ring, end, limit)) {
            /* A tail that is behind the head looks like a full ring: only the newest tail may say so. */
            uint64_t newest = atomic_load_explicit(&ring->tail, memory_order_relaxed);
            if (newest == tail)
                return UV_ENOBUFS;
            tail = newest;
            continue;
        }
        uint64_t events = (ring_events_of(tail) + 1) & RING_EVENTS_MASK;
        if (!atomic_compare_exchange_weak_explicit(&ring->tail, &tail, end << 24 | events << 1, memory_order_seq_cst,
                                                   memory_order_relaxed))
            continue;
        unsigned char *start = ring->granules + (size_t)at * RING_GRANULE;
        if (padding) {
            ring_commit(start, RING_PADDING, padding);
            start = ring->granules;
        }
        *ret_record = start;
        return 0;
    }
}

bool ring_shut(struct ring *ring)
{
    return (atomic_fetch_or_explicit(&ring->tail, 1, memory_order_seq_cst) & 1) == 0;
}
