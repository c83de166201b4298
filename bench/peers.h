/* What a C host would pick instead of the bus from its distribution. Each carries the same copied event to one handler;
 * each consumer has the bus's manners (flow.h). A peer whose queue has no bound of its own is held to as many events as
 * the others hold. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdatomic.h>

#include "bench/flow.h"

enum { PEER_QUEUE_EVENTS = 1 << 14 };

/* How many events are under way in a queue that does not bound itself. One producer. */
struct peer_bound {
    _Alignas(128) uint64_t put, taken_seen; /* the producer's */
    _Alignas(128) _Atomic uint64_t taken;
};

static inline bool peer_bound_put(struct peer_bound *bound)
{
    if (bound->put - bound->taken_seen >= PEER_QUEUE_EVENTS) {
        bound->taken_seen = atomic_load_explicit(&bound->taken, memory_order_acquire);
        if (bound->put - bound->taken_seen >= PEER_QUEUE_EVENTS)
            return false;
    }
    bound->put++;
    return true;
}

static inline void peer_bound_take(struct peer_bound *bound)
{
    atomic_store_explicit(&bound->taken, atomic_load_explicit(&bound->taken, memory_order_relaxed) + 1,
                          memory_order_release);
}

/* bench_peers.c: a flow of one producer over `queue`. */
void *peer_open(void *queue, uv_thread_cb produce, uv_thread_cb consume);

void *peer_glib_open(void);
void peer_glib_close(void *flow);
void *peer_mutex_swap_open(void);
void peer_mutex_swap_close(void *flow);
void *peer_ck_ring_open(void);      /* for many producers, as the bus is */
void *peer_ck_ring_spsc_open(void); /* for one */
void peer_ck_ring_close(void *flow);
void *peer_wfcqueue_open(void);
void peer_wfcqueue_close(void *flow);

#endif
