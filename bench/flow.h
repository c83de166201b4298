/* Events from producers to one consumer, each a thread of its own, until the last has been handled: the same for the
 * bus, for the bare ring and for the bus's peers. What differs between these is how an event is put in and taken out;
 * those two are inlined into the threads' loops (flow_produce(), flow_consume()).
 *
 * All consumers have the manners of the bus's: they take what there is, and when they find nothing they stay away for
 * 2 us before they look again. A consumer that spins right behind its producer fights it for every cache line, and that
 * would rule the figure. All producers give up their core when the queue is full. */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include <sched.h>
#include <stdbool.h>

#include <uv.h>

#include "bench/cores.h"
#include "bench/events.h"

enum { FLOW_PRODUCERS_MAX = 2, FLOW_NAP_NS = 2000 };

struct flow {
    void *queue;
    unsigned producers;
    bool on_one_core;            /* all producers share the second core */
    bool unstamped;              /* the bus is to read its clock */
    uv_thread_cb produce;        /* flow_produce() with the queue's put */
    uv_thread_cb consume;        /* flow_consume() with the queue's take; NULL = the queue has a thread of its own */
    void (*finish)(void *queue); /* where it has: returns when the last event has been handled */
    uint64_t events;             /* of each producer in this run */
    uv_barrier_t start;
    uint64_t end_ns;
};

struct flow_producer {
    struct flow *flow;
    uv_thread_t thread;
    unsigned number;
    struct event_source source;
};

/* Sends `operations` events through; millions of them a second. */
double flow_run(struct flow *flow, uint64_t operations);

/* How many threads are busy, for cores_pin(); the consumer is number 0. */
static inline unsigned flow_threads(const struct flow *flow)
{
    return flow->on_one_core ? 2 : flow->producers + 1;
}

static inline void flow_nap(void)
{
    const uint64_t until_ns = uv_hrtime() + FLOW_NAP_NS;
    do
        sched_yield();
    while (uv_hrtime() < until_ns);
}

static inline __attribute__((always_inline)) void flow_produce(struct flow_producer *producer,
                                                               bool (*put)(void *, const struct flat_event *))
{
    struct flow *flow = producer->flow;
    cores_pin(flow->on_one_core ? 1 : producer->number + 1, flow_threads(flow));
    uv_barrier_wait(&flow->start);
    for (uint64_t i = 0; i < flow->events; i++) {
        while (!put(flow->queue, event_source_get(&producer->source)))
            sched_yield();
        event_source_advance(&producer->source);
    }
}

static inline __attribute__((always_inline)) void flow_consume(struct flow *flow, bool (*take)(void *))
{
    const uint64_t target = flow->events * flow->producers;
    cores_pin(0, flow_threads(flow));
    uv_barrier_wait(&flow->start);
    for (uint64_t taken = 0; taken < target;) {
        if (take(flow->queue))
            taken++;
        else
            flow_nap();
    }
    flow->end_ns = uv_hrtime();
}

/* What a peer hands its events to. It does nothing, but the compiler must not know. */
typedef int (*flow_handler)(const struct flat_event *event, void *user);
extern flow_handler volatile flow_no_op;

#endif
