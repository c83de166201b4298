/* A mutex and two buffers: the producer fills one, the consumer empties the other, and swaps them when it is done. */
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "bench/harness.h"
#include "bench/peers.h"

struct swap {
    pthread_mutex_t lock;
    struct flat_event *filling; /* [lock: lock] */
    size_t filled;              /* [lock: lock] */
    struct flat_event *emptying;
    size_t next, end; /* in `emptying` */
};

static inline bool put(void *queue, const struct flat_event *event)
{
    struct swap *swap = queue;
    pthread_mutex_lock(&swap->lock);
    const bool room = swap->filled < PEER_QUEUE_EVENTS;
    if (room)
        swap->filling[swap->filled++] = *event;
    pthread_mutex_unlock(&swap->lock);
    return room;
}

static bool swap_buffers(struct swap *swap)
{
    struct flat_event *empty = swap->emptying;
    pthread_mutex_lock(&swap->lock);
    swap->emptying = swap->filling;
    swap->end = swap->filled;
    swap->filling = empty;
    swap->filled = 0;
    pthread_mutex_unlock(&swap->lock);
    swap->next = 0;
    return swap->end > 0;
}

static inline bool take(void *queue)
{
    struct swap *swap = queue;
    if (swap->next == swap->end && !swap_buffers(swap))
        return false;
    (void)flow_no_op(&swap->emptying[swap->next++], swap);
    return true;
}

static void produce(void *producer)
{
    flow_produce(producer, put);
}

static void consume(void *flow)
{
    flow_consume(flow, take);
}

void *peer_mutex_swap_open(void)
{
    struct swap *swap = calloc(1, sizeof *swap);
    bench_require(swap && (swap->filling = calloc(PEER_QUEUE_EVENTS, sizeof *swap->filling)) &&
                      (swap->emptying = calloc(PEER_QUEUE_EVENTS, sizeof *swap->emptying)),
                  "calloc");
    pthread_mutex_init(&swap->lock, NULL);
    return peer_open(swap, produce, consume);
}

void peer_mutex_swap_close(void *state)
{
    struct flow *flow = state;
    struct swap *swap = flow->queue;
    pthread_mutex_destroy(&swap->lock);
    free(swap->filling);
    free(swap->emptying);
    free(swap);
    free(flow);
}
