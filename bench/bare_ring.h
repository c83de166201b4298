/* What the machine allows: a bare bounded ring, many producers, one consumer, 128-byte slots with a sequence number
 * each, and nothing but the copy in and the copy out. The bus does far more for an event; this is the limit that its
 * figures are read against. */
#ifndef BENCH_BARE_RING_H
#define BENCH_BARE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BARE_RING_SLOTS = 1 << 14, BARE_RING_PAYLOAD = 120 };

struct bare_slot {
    /* == position: free for the producer of that position; == position + 1: filled. */
    _Alignas(128) _Atomic uint64_t sequence;
    unsigned char payload[BARE_RING_PAYLOAD];
};

struct bare_ring {
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) uint64_t head; /* the consumer's own */
    struct bare_slot slots[BARE_RING_SLOTS];
};

static inline void bare_ring_init(struct bare_ring *ring)
{
    ring->head = 0;
    atomic_init(&ring->tail, 0);
    for (uint64_t i = 0; i < BARE_RING_SLOTS; i++)
        atomic_init(&ring->slots[i].sequence, i);
}

/* False when the ring is full. */
static inline bool bare_ring_put(struct bare_ring *ring, const unsigned char payload[BARE_RING_PAYLOAD])
{
    uint64_t position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    for (;;) {
        struct bare_slot *slot = &ring->slots[position % BARE_RING_SLOTS];
        const uint64_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if (sequence == position) {
            if (!atomic_compare_exchange_weak_explicit(&ring->tail, &position, position + 1, memory_order_relaxed,
                                                       memory_order_relaxed))
                continue;
            memcpy(slot->payload, payload, BARE_RING_PAYLOAD);
            atomic_store_explicit(&slot->sequence, position + 1, memory_order_release);
            return true;
        }
        if (sequence < position)
            return false;
        position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    }
}

/* False when the ring is empty. */
static inline bool bare_ring_take(struct bare_ring *ring, unsigned char payload[BARE_RING_PAYLOAD])
{
    struct bare_slot *slot = &ring->slots[ring->head % BARE_RING_SLOTS];
    if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != ring->head + 1)
        return false;
    memcpy(payload, slot->payload, BARE_RING_PAYLOAD);
    atomic_store_explicit(&slot->sequence, ring->head + BARE_RING_SLOTS, memory_order_release);
    ring->head++;
    return true;
}

#endif
