#include <stdlib.h>

#include "bench/harness.h"
#include "bench/peers.h"

void *peer_open(void *queue, uv_thread_cb produce, uv_thread_cb consume)
{
    struct flow *flow = calloc(1, sizeof *flow);
    bench_require(flow != NULL, "calloc");
    events_init();
    *flow = (struct flow){.queue = queue, .producers = 1, .produce = produce, .consume = consume};
    return flow;
}

static double run_peer(void *state, uint64_t operations)
{
    return flow_run(state, operations);
}

static const struct bench benches[] = {
    {"peer.mutex_swap_1p", "M events/s", 1000000, peer_mutex_swap_open, run_peer, peer_mutex_swap_close},
#if BENCH_WITH_GLIB
    {"peer.glib_1p", "M events/s", 200000, peer_glib_open, run_peer, peer_glib_close},
#endif
#if BENCH_WITH_CK
    {"peer.ck_ring_1p", "M events/s", 1000000, peer_ck_ring_open, run_peer, peer_ck_ring_close},
    {"peer.ck_ring_spsc_1p", "M events/s", 1000000, peer_ck_ring_spsc_open, run_peer, peer_ck_ring_close},
#endif
#if BENCH_WITH_URCU
    {"peer.wfcqueue_1p", "M events/s", 500000, peer_wfcqueue_open, run_peer, peer_wfcqueue_close},
#endif
};

const struct bench_list peer_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = true};
