#ifdef __linux__
#define _GNU_SOURCE 1 /* pthread_setaffinity_np() */
#endif

#include "bench/cores.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <uv.h>

#include "bench/harness.h"

#ifdef __linux__
#include <pthread.h>
#include <sched.h>

static cpu_set_t allowed;

void cores_init(void)
{
    bench_require(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "sched_getaffinity");
}

static unsigned cores_count(void)
{
    return (unsigned)CPU_COUNT(&allowed);
}

void cores_unpin(void)
{
    (void)pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
}

void cores_pin(unsigned thread, unsigned threads)
{
    if (cores_count() < threads) {
        cores_unpin(); /* a thread starts with the cores of the one that created it */
        return;
    }
    unsigned seen = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed) || seen++ != thread)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}
#else
void cores_init(void)
{
}

static unsigned cores_count(void)
{
    return uv_available_parallelism();
}

void cores_unpin(void)
{
}

void cores_pin(unsigned thread, unsigned threads)
{
    (void)thread;
    (void)threads;
}
#endif

/* --- The ball that two threads throw to each other --- */

/* The median of many short games: one in which the other thread lost its core takes milliseconds, and tells nothing. */
enum { GAMES = 15, THROWS = 300 };

static _Alignas(128) _Atomic uint32_t ball;

static void throw_and_catch(uint32_t throw)
{
    atomic_store_explicit(&ball, throw, memory_order_release);
    while (atomic_load_explicit(&ball, memory_order_acquire) != throw +1)
        ;
}

static void throw_back(void *unused)
{
    (void)unused;
    cores_pin(0, 2);
    for (uint32_t i = 0; i < GAMES * THROWS; i++) {
        while (atomic_load_explicit(&ball, memory_order_acquire) != 2 * i + 1)
            ;
        atomic_store_explicit(&ball, 2 * i + 2, memory_order_release);
    }
}

double cores_round_trip_ns(void)
{
    double figures[GAMES];
    uv_thread_t other;
    if (cores_count() < 2)
        return 0;
    atomic_store(&ball, 0);
    bench_require(uv_thread_create(&other, throw_back, NULL) == 0, "uv_thread_create");
    cores_pin(1, 2);
    for (uint32_t game = 0; game < GAMES; game++) {
        const uint64_t begin_ns = uv_hrtime();
        for (uint32_t i = 0; i < THROWS; i++)
            throw_and_catch(2 * (game * THROWS + i) + 1);
        figures[game] = (double)(uv_hrtime() - begin_ns) / THROWS;
    }
    cores_unpin();
    uv_thread_join(&other);
    return bench_median(figures, GAMES);
}

/* --- What it tells --- */

/* Where this was written, cores that shared a cache took 65 to 150 ns for a round trip, 85 to 95 most of the time, and
 * far ones 400 to 450; nothing but a disturbed game lay in between. Two threads of one core, not seen there, hand a line
 * over within their own first cache, which takes a third of the former at most. */
#define NEAR_FROM_NS 45.0
#define FAR_FROM_NS 250.0

static enum regime regime_of(double round_trip_ns)
{
    return round_trip_ns < NEAR_FROM_NS  ? REGIME_SAME_CORE /* and where there is one core only */
           : round_trip_ns < FAR_FROM_NS ? REGIME_NEAR
                                         : REGIME_FAR;
}

enum regime regime_between(double before_ns, double after_ns)
{
    return regime_of(before_ns) == regime_of(after_ns) ? regime_of(before_ns) : REGIME_MIXED;
}

const char *regime_name(enum regime regime)
{
    static const char *const names[REGIMES] = {"same-core", "near", "far", "mixed"};
    return names[regime];
}
