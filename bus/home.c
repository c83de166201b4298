/* The bus on its loop: when a batch is run, when the loop thread sleeps, and how it all ends. The handshake with
 * publishers is told in bus.h. */
#include "bus/bus.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

#include "bus/relax.h"
#include "bus/thread.h"

enum { NAP_NS = 2000, NET_MS = 1 };

static void on_again(uv_idle_t *again);
static void on_net(uv_timer_t *net);

static bool something_to_do(tbus_t *bus)
{
    enum ring_kind kind;
    uint32_t granules;
    return (ring_peek(&bus->ring, &kind, &granules) && kind != RING_RESERVED) ||
           aside_is_due(&bus->aside, bus->ring.read);
}

/* Waits a little for more. It naps between its looks: a consumer that keeps reading right behind its publishers fights
 * them for every cache line, one that stays away lets them fill whole lines. */
static bool linger(tbus_t *bus, uint64_t deadline_ns)
{
    if (bus->linger_us == 0)
        return false;
    uint64_t until = uv_hrtime() + bus->linger_us * UINT64_C(1000);
    if (until > deadline_ns)
        until = deadline_ns;
    while (uv_hrtime() < until) {
        relax_for(NAP_NS);
        if (something_to_do(bus))
            return true;
    }
    return false;
}

/* One turn: batches until there is nothing left or the turn is over. True when there may be more to do. */
static bool take_turn(tbus_t *bus)
{
    uint64_t deadline = uv_hrtime() + bus->batch_max_us * UINT64_C(1000);
    if (bus_state(bus) == BUS_CLOSING && bus->close_deadline_ns < deadline)
        deadline = bus->close_deadline_ns;
    uint32_t budget = bus->batch_max_events;
    for (;;) {
        uint32_t before = budget;
        if (dispatch_batch(bus, &budget, deadline) || budget == 0)
            return true;
        if (bus_state(bus) != BUS_OPEN || before == budget || !linger(bus, deadline))
            return something_to_do(bus);
    }
}

static void go_on(tbus_t *bus)
{
    uv_timer_stop(&bus->net);
    if (!uv_is_active((uv_handle_t *)&bus->again))
        uv_idle_start(&bus->again, on_again);
}

static void go_to_sleep(tbus_t *bus)
{
    atomic_store_explicit(&bus->asleep, 1, memory_order_seq_cst);
    uint64_t tail = atomic_load_explicit(&bus->ring.tail, memory_order_seq_cst);
    bool claimed = ring_position_of(tail) != bus->ring.read;
    if (something_to_do(bus)) {
        atomic_store_explicit(&bus->asleep, 0, memory_order_seq_cst);
        go_on(bus);
        return;
    }
    uv_idle_stop(&bus->again);
    if (claimed || ring_has_resolved(&bus->ring))
        uv_timer_start(&bus->net, on_net, NET_MS, 0);
    else
        uv_timer_stop(&bus->net);
}

static void on_handle_closed(uv_handle_t *handle)
{
    tbus_t *bus = handle->data;
    if (--bus->handles_open > 0)
        return;
    tbus_closed_cb closed = bus->closed;
    void *user = bus->closed_user;
    tbus_close_report_t report = bus->report;
    /* From here on the bus may be freed, by the callback or, with a loop of its own, by a thread that waits for ours.
     */
    atomic_store_explicit(&bus->state, BUS_CLOSED, memory_order_release);
    if (closed)
        closed(bus, &report, user);
}

/* What is left is counted, and every subscription is let end. */
static void begin_end(tbus_t *bus)
{
    uint64_t tail = atomic_load_explicit(&bus->ring.tail, memory_order_acquire);
    bus->report.delivered = atomic_load_explicit(&bus->delivered, memory_order_relaxed);
    bus->report.remained =
        (ring_events_of(tail) - atomic_load_explicit(&bus->taken, memory_order_relaxed)) & RING_EVENTS_MASK;
    bus->ends_all = true;
    subscribe_end_all(bus);
}

/* True when every subscription has been finished, and with it the bus's work. */
static bool finish(tbus_t *bus)
{
    if (!bus->ends_all)
        begin_end(bus);
    dispatch_settle(bus);
    if (bus->ending)
        return false; /* a thread of theirs still runs, and wakes us when it is done */
    uv_close((uv_handle_t *)&bus->wake, on_handle_closed);
    uv_close((uv_handle_t *)&bus->again, on_handle_closed);
    uv_close((uv_handle_t *)&bus->net, on_handle_closed);
    return true;
}

static void run(tbus_t *bus)
{
    if (uv_is_closing((uv_handle_t *)&bus->wake))
        return;
    atomic_store_explicit(&bus->asleep, 0, memory_order_seq_cst);
    bool more = !bus->ends_all && take_turn(bus);
    if (bus->ending)
        dispatch_settle(bus);
    if (bus_state(bus) == BUS_CLOSING) {
        uint64_t tail = atomic_load_explicit(&bus->ring.tail, memory_order_seq_cst);
        bool drained = ring_position_of(tail) == bus->ring.read && !aside_is_due(&bus->aside, bus->ring.read);
        if (bus->ends_all || drained || uv_hrtime() >= bus->close_deadline_ns) {
            if (!finish(bus)) {
                uv_idle_stop(&bus->again);
                uv_timer_stop(&bus->net);
            }
            return;
        }
    }
    if (more)
        go_on(bus);
    else
        go_to_sleep(bus);
}

static void on_wake(uv_async_t *wake)
{
    run(wake->data);
}

static void on_again(uv_idle_t *again)
{
    run(again->data);
}

static void on_net(uv_timer_t *net)
{
    run(net->data);
}

static void thread_main(void *argument)
{
    tbus_t *bus = argument;
    bus->loop_thread = uv_thread_self();
    uv_sem_post(&bus->thread_up);
    uv_run(bus->loop, UV_RUN_DEFAULT);
}

static int open_handles(tbus_t *bus)
{
    int error = uv_async_init(bus->loop, &bus->wake, on_wake);
    if (error)
        return error;
    uv_idle_init(bus->loop, &bus->again); /* these two can not fail */
    uv_timer_init(bus->loop, &bus->net);
    bus->wake.data = bus->again.data = bus->net.data = bus;
    bus->handles_open = 3;
    return 0;
}

static void forget_handle(uv_handle_t *handle)
{
    (void)handle;
}

/* A thread that could not be started: its loop runs here once, so that the handles get closed. */
static void take_back_handles(tbus_t *bus)
{
    uv_close((uv_handle_t *)&bus->wake, forget_handle);
    uv_close((uv_handle_t *)&bus->again, forget_handle);
    uv_close((uv_handle_t *)&bus->net, forget_handle);
    uv_run(bus->loop, UV_RUN_DEFAULT);
}

static int start_thread(tbus_t *bus)
{
    int error = uv_sem_init(&bus->thread_up, 0);
    if (error)
        return error;
    error = thread_create(&bus->thread, thread_main, bus);
    if (error == 0)
        uv_sem_wait(&bus->thread_up);
    uv_sem_destroy(&bus->thread_up);
    return error;
}

int home_open(tbus_t *bus)
{
    int error;
    bus->own_loop = !bus->loop;
    if (!bus->own_loop) {
        bus->loop_thread = uv_thread_self();
        return open_handles(bus);
    }
    bus->loop = &bus->loop_memory;
    error = uv_loop_init(bus->loop);
    if (error)
        return error;
    error = open_handles(bus);
    if (error == 0) {
        error = start_thread(bus);
        if (error == 0)
            return 0;
        take_back_handles(bus);
    }
    uv_loop_close(bus->loop);
    return error;
}

uint64_t home_cpu_ns(const tbus_t *bus)
{
    clockid_t clock;
    struct timespec used;
    if (!bus->own_loop || pthread_getcpuclockid(bus->thread, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void home_close(tbus_t *bus)
{
    if (!bus->own_loop)
        return;
    uv_thread_join(&bus->thread);
    int error = uv_loop_close(bus->loop);
    assert(error == 0);
    (void)error;
}
