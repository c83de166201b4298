/* What it costs to wake a loop that sleeps: the sender, and the time until the loop calls back. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <tallybus.h>

#include "bench/cores.h"
#include "bench/harness.h"

enum { SETTLE_NS = 300000, LINGER_US = 10000, WAKES_MAX = 1000 };

struct wake_bench {
    tbus_t *bus; /* or bare: */
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t async;
    atomic_bool stop;
    _Atomic uint64_t woken_ns; /* when the callback ran; 0 = not yet */
};

static int note_time(const tbus_event_t *event, void *user)
{
    struct wake_bench *bench = user;
    (void)event;
    atomic_store_explicit(&bench->woken_ns, uv_hrtime(), memory_order_release);
    return 0;
}

static int pin_loop_thread(const tbus_event_t *event, void *user)
{
    (void)event;
    (void)user;
    cores_pin(0, 2);
    return 0;
}

static void publish(struct wake_bench *bench)
{
    bench_require(tbus_publish_decode_started(bench->bus, &(tbus_decode_started_t){.base.time_ns = 1}) == 0,
                  "tbus_publish_decode_started");
}

static void *open_bus(uint32_t linger_us)
{
    struct wake_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench != NULL, "calloc");
    bench_require(tbus_open(&(tbus_options_t){.linger_us = linger_us}, &bench->bus) == 0, "tbus_open");
    bench_require(tbus_subscribe(bench->bus, "decode.completed", 0, pin_loop_thread, NULL) > 0, "tbus_subscribe");
    bench_require(tbus_subscribe(bench->bus, "decode.started", 0, note_time, bench) > 0, "tbus_subscribe");
    bench_require(tbus_publish_decode_completed(bench->bus, &(tbus_decode_completed_t){0}) == 0,
                  "tbus_publish_decode_completed");
    return bench;
}

static void *open_sleeping(void)
{
    return open_bus(0);
}

static void *open_lingering(void)
{
    return open_bus(LINGER_US);
}

static void on_async(uv_async_t *async)
{
    struct wake_bench *bench = async->data;
    atomic_store_explicit(&bench->woken_ns, uv_hrtime(), memory_order_release);
    if (atomic_load(&bench->stop))
        uv_close((uv_handle_t *)async, NULL);
}

static void run_loop(void *argument)
{
    struct wake_bench *bench = argument;
    cores_pin(0, 2);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
}

static void *open_bare(void)
{
    struct wake_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench && uv_loop_init(&bench->loop) == 0, "uv_loop_init");
    bench_require(uv_async_init(&bench->loop, &bench->async, on_async) == 0, "uv_async_init");
    bench->async.data = bench;
    bench_require(uv_thread_create(&bench->thread, run_loop, bench) == 0, "uv_thread_create");
    return bench;
}

static void close_wake(void *state)
{
    struct wake_bench *bench = state;
    if (bench->bus) {
        bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    } else {
        atomic_store(&bench->stop, true);
        uv_async_send(&bench->async);
        uv_thread_join(&bench->thread);
        bench_require(uv_loop_close(&bench->loop) == 0, "uv_loop_close");
    }
    free(bench);
}

struct wakes {
    double sender_us[WAKES_MAX], callback_us[WAKES_MAX];
};

static void wake(struct wake_bench *bench, struct wakes *wakes, uint64_t number)
{
    uint64_t woken_ns;
    const uint64_t settled_ns = uv_hrtime() + SETTLE_NS; /* the loop has gone to sleep by then */
    while (uv_hrtime() < settled_ns)
        ;
    atomic_store(&bench->woken_ns, 0);
    const uint64_t begin_ns = uv_hrtime();
    if (bench->bus)
        publish(bench);
    else
        uv_async_send(&bench->async);
    const uint64_t end_ns = uv_hrtime();
    while ((woken_ns = atomic_load_explicit(&bench->woken_ns, memory_order_acquire)) == 0)
        sched_yield();
    wakes->sender_us[number] = (double)(end_ns - begin_ns) / 1e3;
    wakes->callback_us[number] = (double)(woken_ns - begin_ns) / 1e3;
}

static void run_wakes(struct wake_bench *bench, struct wakes *wakes, uint64_t operations)
{
    bench_require(operations <= WAKES_MAX, "room for the wake-ups");
    cores_pin(1, 2);
    for (uint64_t i = 0; i < operations; i++)
        wake(bench, wakes, i);
    cores_unpin();
}

static double run_callback(void *state, uint64_t operations)
{
    static struct wakes wakes;
    run_wakes(state, &wakes, operations);
    return bench_median(wakes.callback_us, operations);
}

static double run_sender(void *state, uint64_t operations)
{
    static struct wakes wakes;
    run_wakes(state, &wakes, operations);
    return bench_median(wakes.sender_us, operations);
}

static const struct bench benches[] = {
    {"bus.wake", "us", 150, open_sleeping, run_callback, close_wake},
    {"bus.wake_sender", "us", 150, open_sleeping, run_sender, close_wake},
    {"bus.wake_lingering", "us", 150, open_lingering, run_callback, close_wake},
    {"limit.wake", "us", 150, open_bare, run_callback, close_wake},
    {"limit.wake_sender", "us", 150, open_bare, run_sender, close_wake},
};

const struct bench_list wake_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = true};
