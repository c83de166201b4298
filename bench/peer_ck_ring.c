/* Concurrency Kit: its bounded ring with the events in it. */
#include <stdlib.h>

#include <ck_ring.h>

#include "bench/harness.h"
#include "bench/peers.h"

struct ck_queue {
    ck_ring_t ring;
    struct flat_event *events;
};

CK_RING_PROTOTYPE(flat, flat_event)

/* The ring's calls take a plain pointer to what they only read. */
static inline struct flat_event *unconst(const struct flat_event *event)
{
    union {
        const struct flat_event *from;
        struct flat_event *to;
    } pointer = {.from = event};
    return pointer.to;
}

static inline bool put(void *state, const struct flat_event *event)
{
    struct ck_queue *queue = state;
    return CK_RING_ENQUEUE_MPSC(flat, &queue->ring, queue->events, unconst(event));
}

static inline bool take(void *state)
{
    struct ck_queue *queue = state;
    struct flat_event event;
    if (!CK_RING_DEQUEUE_MPSC(flat, &queue->ring, queue->events, &event))
        return false;
    (void)flow_no_op(&event, queue);
    return true;
}

static inline bool put_spsc(void *state, const struct flat_event *event)
{
    struct ck_queue *queue = state;
    return CK_RING_ENQUEUE_SPSC(flat, &queue->ring, queue->events, unconst(event));
}

static inline bool take_spsc(void *state)
{
    struct ck_queue *queue = state;
    struct flat_event event;
    if (!CK_RING_DEQUEUE_SPSC(flat, &queue->ring, queue->events, &event))
        return false;
    (void)flow_no_op(&event, queue);
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

static void produce_spsc(void *producer)
{
    flow_produce(producer, put_spsc);
}

static void consume_spsc(void *flow)
{
    flow_consume(flow, take_spsc);
}

static struct ck_queue *open_queue(void)
{
    struct ck_queue *queue = aligned_alloc(128, (sizeof *queue + 127) / 128 * 128);
    bench_require(queue && (queue->events = calloc(PEER_QUEUE_EVENTS, sizeof *queue->events)), "calloc");
    ck_ring_init(&queue->ring, PEER_QUEUE_EVENTS);
    return queue;
}

void *peer_ck_ring_open(void)
{
    return peer_open(open_queue(), produce, consume);
}

void *peer_ck_ring_spsc_open(void)
{
    return peer_open(open_queue(), produce_spsc, consume_spsc);
}

void peer_ck_ring_close(void *state)
{
    struct flow *flow = state;
    struct ck_queue *queue = flow->queue;
    free(queue->events);
    free(queue);
    free(flow);
}
