/* What the machine allows: a bare bounded ring, many producers, one consumer, slots with a sequence number each, and
 * nothing but the copy in and the copy out. The bus does far more for an event; this is the limit that its figures are
 * read against.
 *
 * The payload's size is a constant wherever these are called, and they are inlined. */
#ifndef BENCH_BARE_RING_H
#define BENCH_BARE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BARE_RING_SLOTS = 1 << 14, BARE_RING_SEQUENCE_BYTES = 8 };

/* A slot: its sequence number (== position: free for the producer of that position; == position + 1: filled), then the
 * payload. Slots start on cache lines. */
struct bare_ring {
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) uint64_t head; /* the consumer's own */
    _Alignas(128) unsigned char slots[];
};

static inline size_t bare_ring_slot_bytes(size_t payload_bytes)
{
    return (payload_bytes + BARE_RING_SEQUENCE_BYTES + 63) / 64 * 64;
}

static inline size_t bare_ring_bytes(size_t payload_bytes)
{
    return sizeof(struct bare_ring) + (BARE_RING_SLOTS * bare_ring_slot_bytes(payload_bytes) + 127) / 128 * 128;
}

static inline _Atomic uint64_t *bare_ring_slot(struct bare_ring *ring, uint64_t position, size_t payload_bytes)
{
    return (_Atomic uint64_t *)(void *)(ring->slots + position % BARE_RING_SLOTS * bare_ring_slot_bytes(payload_bytes));
}

static inline void bare_ring_init(struct bare_ring *ring, size_t payload_bytes)
{
    memset(ring, 0, bare_ring_bytes(payload_bytes));
    for (uint64_t i = 0; i < BARE_RING_SLOTS; i++)
        atomic_init(bare_ring_slot(ring, i, payload_bytes), i);
}

/* False when the ring is full. */
static inline bool bare_ring_put(struct bare_ring *ring, const void *payload, size_t payload_bytes)
{
    uint64_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        _Atomic uint64_t *slot = bare_ring_slot(ring, position, payload_bytes);
        const uint64_t sequence = atomic_load_explicit(slot, memory_order_acquire);
        if (sequence == position) {
            if (!atomic_compare_exchange_weak_explicit(&ring->tail, &position, position + 1, memory_order_relaxed,
                                                       memory_order_relaxed))
                continue;
            memcpy(slot + 1, payload, payload_bytes);
            atomic_store_explicit(slot, position + 1, memory_order_release);
            return true;
        }
        if (sequence < position)
            return false;
        position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    }
}

/* False when the ring is empty. */
static inline bool bare_ring_take(struct bare_ring *ring, void *payload, size_t payload_bytes)
{
    _Atomic uint64_t *slot = bare_ring_slot(ring, ring->head, payload_bytes);
    if (atomic_load_explicit(slot, memory_order_acquire) != ring->head + 1)
        return false;
    memcpy(payload, slot + 1, payload_bytes);
    atomic_store_explicit(slot, ring->head + BARE_RING_SLOTS, memory_order_release);
    ring->head++;
    return true;
}

#endif
