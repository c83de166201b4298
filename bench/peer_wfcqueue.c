/* Userspace RCU: its queue of allocated nodes. */
#define _LGPL_SOURCE 1 /* its calls inlined: the fastest that it has to offer */

#include <stdlib.h>

#include <urcu/wfcqueue.h>

#include "bench/harness.h"
#include "bench/peers.h"

struct node {
    struct cds_wfcq_node link;
    struct flat_event event;
};

struct wfcqueue {
    _Alignas(128) struct __cds_wfcq_head head;
    _Alignas(128) struct cds_wfcq_tail tail;
    struct peer_bound bound;
};

static inline bool put(void *state, const struct flat_event *event)
{
    struct wfcqueue *queue = state;
    if (!peer_bound_put(&queue->bound))
        return false;
    struct node *node = malloc(sizeof *node);
    if (!node)
        bench_require(false, "malloc");
    cds_wfcq_node_init(&node->link);
    node->event = *event;
    cds_wfcq_enqueue(&queue->head, &queue->tail, &node->link);
    return true;
}

static inline bool take(void *state)
{
    struct wfcqueue *queue = state;
    struct cds_wfcq_node *link = __cds_wfcq_dequeue_nonblocking(&queue->head, &queue->tail);
    if (!link || link == CDS_WFCQ_WOULDBLOCK)
        return false;
    struct node *node = (struct node *)link; /* its first member */
    (void)flow_no_op(&node->event, queue);
    free(node);
    peer_bound_take(&queue->bound);
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

void *peer_wfcqueue_open(void)
{
    struct wfcqueue *queue = aligned_alloc(128, sizeof *queue);
    bench_require(queue != NULL, "aligned_alloc");
    queue->bound = (struct peer_bound){0};
    __cds_wfcq_init(&queue->head, &queue->tail);
    return peer_open(queue, produce, consume);
}

void peer_wfcqueue_close(void *state)
{
    struct flow *flow = state;
    free(flow->queue);
    free(flow);
}
