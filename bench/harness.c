#ifdef __linux__
#define _GNU_SOURCE 1 /* pthread_setaffinity_np() */
#endif

#include "bench/harness.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#endif

enum { RUNS = 11, QUICK_RUNS = 3, QUICK_DIVISOR = 20, ROWS_MAX = 64 };

struct row {
    const char *name, *unit;
    double median, min, max;
    unsigned runs;
};

struct settings {
    const char *json_path, *pattern;
    bool quick, list;
};

void bench_require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

void bench_pin(unsigned thread, unsigned threads)
{
#ifdef __linux__
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || (unsigned)CPU_COUNT(&allowed) < threads)
        return;
    unsigned seen = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed) || seen++ != thread)
            continue;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
#else
    (void)thread;
    (void)threads;
#endif
}

static int by_value(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static struct row measure(const struct bench *bench, bool quick)
{
    const unsigned runs = quick ? QUICK_RUNS : RUNS;
    const uint64_t few = bench->operations / QUICK_DIVISOR;
    const uint64_t operations = !quick ? bench->operations : few ? few : 1;
    double figures[RUNS];

    void *state = bench->open();
    bench_require(state != NULL, bench->name);
    (void)bench->run(state, operations); /* warms up caches, tables and branch predictors */
    for (unsigned i = 0; i < runs; i++)
        figures[i] = bench->run(state, operations);
    bench->close(state);

    qsort(figures, runs, sizeof *figures, by_value);
    return (struct row){.name = bench->name,
                        .unit = bench->unit,
                        .median = figures[runs / 2], /* the numbers of runs are odd */
                        .min = figures[0],
                        .max = figures[runs - 1],
                        .runs = runs};
}

/* The pattern is a part of the name, or a glob over all of it. */
static bool is_wanted(const char *name, const char *pattern)
{
    return !pattern || strstr(name, pattern) || fnmatch(pattern, name, 0) == 0;
}

static bool write_json(const char *path, const struct row *rows, size_t count)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        return false;
    }
    fputs("[", file);
    for (size_t i = 0; i < count; i++)
        fprintf(file,
                "%s\n  {\"name\": \"%s\", \"unit\": \"%s\", \"median\": %.6g, \"min\": %.6g, \"max\": %.6g, "
                "\"runs\": %u}",
                i ? "," : "", rows[i].name, rows[i].unit, rows[i].median, rows[i].min, rows[i].max, rows[i].runs);
    fputs("\n]\n", file);
    const bool written = !ferror(file);
    if (fclose(file) != 0 || !written) {
        perror(path);
        return false;
    }
    return true;
}

static void print_row(const struct row *row)
{
    printf("%-28s %10.4g %10.4g %10.4g %5u  %s\n", row->name, row->median, row->min, row->max, row->runs, row->unit);
    fflush(stdout);
}

static size_t run_list(const struct bench_list *list, const struct settings *settings, struct row *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct bench *bench = &list->benches[i];
        if (!is_wanted(bench->name, settings->pattern))
            continue;
        if (settings->list) {
            printf("%s\n", bench->name);
            continue;
        }
        rows[count] = measure(bench, settings->quick);
        print_row(&rows[count++]);
    }
    return count;
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--quick] [--list] [--json FILE] [PATTERN]\n", program);
    return 2;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            settings.quick = true;
        else if (strcmp(argv[i], "--list") == 0)
            settings.list = true;
        else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            settings.json_path = argv[++i];
        else if (argv[i][0] == '-' || settings.pattern)
            return usage(argv[0]);
        else
            settings.pattern = argv[i];
    }

    static const struct bench_list *const lists[] = {&bus_benches, &trackers_benches};
    static struct row rows[ROWS_MAX];
    size_t count = 0;
    bench_require(bus_benches.count + trackers_benches.count <= ROWS_MAX, "room for the rows");
    if (!settings.list)
        printf("%-28s %10s %10s %10s %5s  %s\n", "name", "median", "min", "max", "runs", "unit");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        count += run_list(lists[i], &settings, rows + count);
    if (settings.list)
        return 0;
    if (count == 0) {
        fprintf(stderr, "bench: no name matches '%s'\n", settings.pattern);
        return 1;
    }
    return settings.json_path && !write_json(settings.json_path, rows, count) ? 1 : 0;
}
