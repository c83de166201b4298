#include "bench/flow.h"

#include "bench/harness.h"

static int do_nothing(const struct flat_event *event, void *user)
{
    (void)event;
    (void)user;
    return 0;
}

flow_handler volatile flow_no_op = do_nothing;

double flow_run(struct flow *flow, uint64_t operations)
{
    static struct flow_producer producers[FLOW_PRODUCERS_MAX];
    uv_thread_t consumer;
    flow->events = operations / flow->producers;
    bench_require(uv_barrier_init(&flow->start, flow->producers + 1) == 0, "uv_barrier_init");
    for (unsigned i = 0; i < flow->producers; i++) {
        producers[i].flow = flow;
        producers[i].number = i;
        event_source_init(&producers[i].source, !flow->unstamped);
        bench_require(uv_thread_create(&producers[i].thread, flow->produce, &producers[i]) == 0, "uv_thread_create");
    }
    const uint64_t begin_ns = uv_hrtime(); /* before the barrier: a producer may get to work before this thread does */
    if (flow->consume)
        bench_require(uv_thread_create(&consumer, flow->consume, flow) == 0, "uv_thread_create");
    else
        uv_barrier_wait(&flow->start);
    for (unsigned i = 0; i < flow->producers; i++)
        uv_thread_join(&producers[i].thread);
    if (flow->consume) {
        uv_thread_join(&consumer);
    } else {
        flow->finish(flow->queue);
        flow->end_ns = uv_hrtime();
    }
    uv_barrier_destroy(&flow->start);
    return (double)(flow->events * flow->producers) * 1e3 / (double)(flow->end_ns - begin_ns);
}
