/* The benchmarks' harness: warms up, repeats, and gives the median of the samples with the least and the most.
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
    /* Its benches are compared with each other, and what they measure goes between cores: they take turns, a sample
     * each, and samples are sorted by the cache distance at the time. All lists that are so marked take turns together.
     */
    bool takes_turns;
};

extern const struct bench_list publish_benches, design_benches, e2e_benches, limit_benches, wake_benches, peer_benches,
    trackers_benches, telemetry_benches, documents_benches, json_benches, ledger_benches, web_benches, idle_benches;

struct row {
    const char *name, *unit;
    const char *regime; /* "none" where the cache distance plays no part */
    double median, min, max;
    unsigned runs;
};

/* Ends the program when something that a bench builds upon fails: a figure of failing calls is no figure. */
void bench_require(bool holds, const char *what);

/* Sorts the figures. */
double bench_median(double *figures, size_t count);

/* ratios.c: prints what the rows of a table say about each other. */
void ratios_print(const struct row *rows, size_t count);

/* A small generator with a fixed seed: each run of a bench sees the same order. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
