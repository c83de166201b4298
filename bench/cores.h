/* Where threads run, and how far their caches are from each other.
 *
 * Two virtual cores may be two threads of one core, share a cache, or sit far apart, and may move between these from
 * one second to the next; what a queue carries between them then differs by a factor of four. So whoever compares
 * queues has to look before and after each sample, and to compare only like with like. */
#ifndef BENCH_CORES_H
#define BENCH_CORES_H

#include <stdbool.h>

/* The cache distance of two threads on the first two cores. */
enum regime { REGIME_SAME_CORE, REGIME_NEAR, REGIME_FAR, REGIME_MIXED, REGIMES };

const char *regime_name(enum regime regime);

/* Remembers the cores that the program may use. Before any other function here, on the main thread. */
void cores_init(void);

/* Puts the calling thread on a core of its own, the `thread`-th of `threads` threads that are busy at a time. Where
 * there are fewer cores than threads the thread may run on any: there the scheduler knows better. */
void cores_pin(unsigned thread, unsigned threads);

/* Lets the calling thread run on any core again. */
void cores_unpin(void);

/* How long a cache line takes from the second core to the first and back, in nanoseconds; 0 where there is one core
 * only. Takes about a millisecond. */
double cores_round_trip_ns(void);

/* The distance that two round trips tell of, one before and one after what was measured in between; REGIME_MIXED when
 * they do not agree. */
enum regime regime_between(double before_ns, double after_ns);

#endif
