/* The benchmarks' harness: warms up, repeats, and gives the median of the runs with the least and the most.
 *
 * A bench is set up once; each run then does `operations` operations and returns its figure in `unit`. Nothing here
 * judges a figure: benches measure, tests assert. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench {
    const char *name; /* "concept.figure" */
    const char *unit;
    uint64_t operations; /* of one run */
    void *(*open)(void);
    double (*run)(void *state, uint64_t operations);
    void (*close)(void *state);
};

struct bench_list {
    const struct bench *benches;
    size_t count;
};

extern const struct bench_list bus_benches, trackers_benches;

/* Ends the program when something that a bench builds upon fails: a figure of failing calls is no figure. */
void bench_require(bool holds, const char *what);

/* Puts the calling thread on a core of its own, the `thread`-th of `threads` threads that are busy at a time. Does
 * nothing where there are fewer cores: there the scheduler knows better. */
void bench_pin(unsigned thread, unsigned threads);

/* A small generator with a fixed seed: each run of a bench sees the same order. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
