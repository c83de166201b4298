/* The bus inside. Who runs what:
 *
 *   publish.c    any thread: measure an event, claim room, copy, commit, wake the loop
 *   reserve.c    any thread: the same without the copy
 *   dispatch.c   loop thread: batches, and what happens between two events (aside.h)
 *   home.c       loop thread: libuv handles, when to sleep and to go on; the thread of the bus's own
 *   subscribe.c  any thread: the registry of subscriptions and types
 *   aside.c      what takes its place in the order of the events without being in the ring
 *   lifecycle.c  open, close, free
 *   stats.c      any thread: the figures
 *
 * The wake-up handshake. `asleep` says that the loop thread will not look at the ring by itself.
 *   publisher: moves `tail` (or `aside.due`), commits, then reads `asleep`; if 1, exchanges it for 0 and whoever got
 *              the 1 calls uv_async_send().
 *   loop:      sets `asleep` to 1, then reads `tail` and `aside.due`; if there is anything, takes `asleep` back and
 *              goes on.
 * All of these are sequentially consistent, so of the two reads at least one sees the other side's write: either the
 * publisher sees the sleeper or the loop sees the work. What the handshake covers is the claim, not the commit: a loop
 * that finds a record claimed but not yet committed sets `asleep` as well, so that the commit will wake it, and a 1 ms
 * timer as a net for the commit whose publisher read `asleep` a moment too early. */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include <stdatomic.h>

#include <tallybus/bus.h>

#include "bus/aside.h"
#include "bus/clock.h"
#include "bus/guard.h"
#include "bus/isolated.h"
#include "bus/record.h"
#include "bus/ring.h"
#include "bus/routing.h"
#include "bus/typetable.h"

enum bus_state { BUS_OPEN, BUS_CLOSING, BUS_CLOSED };

/* A counter with one writer at a time: no locked instruction. */
static inline void bus_count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

struct bus_log {
    void (*write)(int level, const char *message, void *user); /* [const after open] */
    void *user;
    _Atomic uint64_t second, spoken, suppressed; /* this second's messages */
};

enum { LATENCIES = 1024 };

struct tbus {
    struct ring ring;

    /* [const after open] */
    _Alignas(64) uint32_t string_max;
    uint32_t sheddable_limit; /* granules */
    uint32_t record_max;      /* granules */
    uint32_t batch_max_events, batch_max_us, linger_us, vital_wait_ms, reserve_max_ms, overflow_max, close_wait_ms;
    uint64_t slow_handler_ns;
    struct bus_clock clock;
    int64_t opened_ns; /* by it */
    struct bus_log log;
    bool own_loop;
    uv_loop_t *loop;
    uv_thread_t loop_thread;
    void *allocation;

    /* [atomic] see above */
    _Alignas(64) _Atomic uint32_t asleep;
    _Atomic uint32_t state;        /* enum bus_state; read by anyone, moved under `registry` */
    _Atomic uint32_t room_waiters; /* publishers in bus_wait_for_room() */
    _Atomic uint64_t wakeups;

    struct aside aside;
    struct typetable types;

    /* [loop thread] what a batch needs; the counters are read by tbus_stats() */
    _Alignas(64) struct routing *routing;
    struct route *routes;
    uint32_t types_routed; /* numbers below have their place in the table */
    uint64_t last_id;
    uint64_t batch;
    struct subscription *called; /* in this batch, and wanting on_batch_end */
    struct subscription *ending; /* out of the tables; on_close due at the end of the batch */
    struct routing *stale;       /* replaced; freed at the end of the batch */
    bool in_batch;
    uint64_t clock_seen_ns; /* monotonic; when the batch last looked */
    bool ends_all;          /* the last subscriptions are on their way out */
    uint64_t latencies_count;
    _Atomic uint64_t latencies[LATENCIES]; /* publish to dispatch, sampled: the latest; 0 = none yet */
    _Atomic uint64_t taken;                /* events of the ring that have been delivered, aborted or passed over */
    _Atomic uint64_t delivered, unclaimed, handler_calls, handler_errors, stops, batches, queued_max;
    _Atomic uint64_t aside_events;     /* ever put aside */
    _Atomic uint64_t overflow;         /* of these: still there */
    _Atomic uint64_t stalled_since_ns; /* monotonic; a reservation at the front is being waited for; 0 = none */
    _Atomic uint32_t stalled_type;
    uint64_t stalled_at; /* its position */

    _Alignas(64) _Atomic uint64_t undelivered[TBUS_REASONS]; /* [any thread] */
    _Atomic uint64_t cut_strings;                            /* [any thread] */

    uv_mutex_t room_lock; /* only for waiting on `room` */
    uv_cond_t room;

    /* The registry of subscriptions. */
    uv_mutex_t registry;
    uv_cond_t registry_changed;                       /* a subscription is gone */
    struct subscription **subscriptions;              /* [lock: registry] all that have not ended, by rising id */
    uint32_t subscriptions_count, subscriptions_room; /* [lock: registry] */
    uint32_t entries;                                 /* [lock: registry] table entries that all of these make */
    int64_t last_subscription;                        /* [lock: registry] */

    /* libuv, all on the loop thread but `wake`, which anyone may send */
    uv_async_t wake;
    uv_idle_t again;
    uv_timer_t net;
    int handles_open;
    uv_thread_t thread; /* of the bus's own loop */
    uv_sem_t thread_up;
    uv_loop_t loop_memory;

    /* Closing. */
    tbus_closed_cb closed; /* [lock: registry] until BUS_CLOSING, then const */
    void *closed_user;
    uint64_t close_deadline_ns; /* monotonic */
    tbus_close_report_t report; /* [loop thread] */
};

static inline bool bus_on_loop_thread(const tbus_t *bus)
{
    uv_thread_t self = uv_thread_self();
    return uv_thread_equal(&self, &bus->loop_thread);
}

static inline enum bus_state bus_state(const tbus_t *bus)
{
    return (enum bus_state)atomic_load_explicit(&bus->state, memory_order_acquire);
}

/* The publisher's half of the handshake. [any thread] */
static inline void bus_wake(tbus_t *bus)
{
    if (atomic_load_explicit(&bus->asleep, memory_order_seq_cst) &&
        atomic_exchange_explicit(&bus->asleep, 0, memory_order_seq_cst)) {
        atomic_fetch_add_explicit(&bus->wakeups, 1, memory_order_relaxed);
        uv_async_send(&bus->wake);
    }
}

#define BUS_ID_BLOCK_BITS 32

/* lifecycle.c: the number before the first of a new block of event numbers. [any thread] */
uint64_t bus_id_block(void);

/* dispatch.c: delivers what there is, at most `*budget` events (counted down) and until `deadline_ns` (monotonic). True
 * when it stopped for one of these, so that there may be more. [loop thread] */
bool dispatch_batch(tbus_t *bus, uint32_t *budget, uint64_t deadline_ns);

/* dispatch.c: gives a subscription that begins the last events that are kept. [loop thread] */
void dispatch_last(tbus_t *bus, struct subscription *subscription);

/* dispatch.c: makes a table the current one (takes it). [loop thread] */
void dispatch_set_routing(tbus_t *bus, struct routing *routing);

/* dispatch.c: calls on_close of what has ended, as far as no thread of its own still runs; frees what is stale. [loop
 * thread, no handler running] */
void dispatch_settle(tbus_t *bus);

/* A subscription whose handlers will not be called any more, to be finished by dispatch_settle(). [loop thread] */
static inline void bus_add_ending(tbus_t *bus, struct subscription *subscription)
{
    subscription->in_ending = true;
    subscription->next_ending = bus->ending;
    bus->ending = subscription;
}

/* log.c: tells the host, where it wants to be told, at a bounded rate. */
__attribute__((format(printf, 3, 4))) void bus_log(tbus_t *bus, tbus_log_level_t level, const char *format, ...);

/* home.c: the loop and its handles; then, where the bus has a thread of its own, the thread. Errors: libuv's. */
int home_open(tbus_t *bus);

/* home.c: waits for the thread to end, closes its loop. [any thread but the bus's own] */
void home_close(tbus_t *bus);

/* home.c: CPU time of the bus's own loop thread, or 0. [any thread] */
uint64_t home_cpu_ns(const tbus_t *bus);

/* subscribe.c: whether the calling thread is that of an isolated subscriber. */
bool subscribe_is_own_thread(tbus_t *bus);

/* subscribe.c: what an aside does when its turn has come (takes it). [loop thread] */
void subscribe_apply(tbus_t *bus, struct aside_item *item);

/* subscribe.c: calls on_close, takes the subscription out of the registry, frees it. [loop thread, no handler running]
 */
void subscribe_finish(tbus_t *bus, struct subscription *subscription);

/* subscribe.c: lets every subscription end, those too whose beginning is still under way; dispatch_settle() then
 * finishes them. [loop thread, closing] */
void subscribe_end_all(tbus_t *bus);

/* publish.c: counts an event that is not delivered, and gives back `error`. [any thread] */
int publish_refuse(tbus_t *bus, struct bus_type *type, tbus_reason_t reason, int error);

/* How much of the ring an event may fill: all of it where it is vital; else up to the watermark, and nothing while a
 * vital one waits, which would else never find room for a large record. [any thread] */
static inline uint32_t publish_limit(const tbus_t *bus, bool vital)
{
    if (vital)
        return bus->ring.size;
    return atomic_load_explicit(&bus->room_waiters, memory_order_relaxed) ? 0 : bus->sheddable_limit;
}

/* publish.c: lets publishers that wait for room try again. [loop thread] */
void publish_room_freed(tbus_t *bus);

/* Calls a handler, under guard. Returns 0, TBUS_STOP or a negative code. [the subscription's thread] */
static inline int bus_call(tbus_t *bus, struct subscription *subscription, tbus_handler handler,
                           const tbus_event_t *event)
{
    struct guard *guard = &subscription->guard;
    uint64_t calls = atomic_load_explicit(&guard->calls, memory_order_relaxed) + 1;
    if (calls % GUARD_TIMED_EVERY == 0 || guard->attention)
        return guard_call_carefully(bus, subscription, handler, event);
    atomic_store_explicit(&guard->calls, calls, memory_order_relaxed);
    int result = handler(event, subscription->user);
    return result == 0 ? 0 : guard_note_result(bus, subscription, result);
}

#endif
