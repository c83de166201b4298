#include "bench/harness.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cores.h"

enum {
    RUNS = 11,
    QUICK_RUNS = 3,
    QUICK_DIVISOR = 20,
    ROUNDS_PER_RUN = 3, /* rounds that may be needed for a run, where the cores move about */
    ENOUGH_RUNS = 3,    /* samples in a regime that make a row */
    WARM_UP_DIVISOR = 8,
    BENCHES_MAX = 128,
    ROWS_MAX = BENCHES_MAX * REGIMES,
};

struct settings {
    const char *json_path, *pattern;
    bool quick, list;
};

struct table {
    struct row rows[ROWS_MAX];
    size_t count;
};

void bench_require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(double *figures, size_t count)
{
    qsort(figures, count, sizeof *figures, by_value);
    return (figures[(count - 1) / 2] + figures[count / 2]) / 2;
}

/* --- Rows --- */

static void print_row(const struct row *row)
{
    printf("%-28s %10.4g %10.4g %10.4g %5u  %-10s  %s\n", row->name, row->median, row->min, row->max, row->runs,
           row->unit, row->regime);
    fflush(stdout);
}

static void add_row(struct table *table, const struct bench *bench, const char *regime, double *figures, unsigned runs)
{
    const double median = bench_median(figures, runs);
    struct row *row = &table->rows[table->count++];
    *row = (struct row){.name = bench->name,
                        .unit = bench->unit,
                        .regime = regime,
                        .median = median,
                        .min = figures[0],
                        .max = figures[runs - 1],
                        .runs = runs};
    print_row(row);
}

static bool write_json(const char *path, const struct table *table)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        perror(path);
        return false;
    }
    fputs("[", file);
    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        fprintf(file,
                "%s\n  {\"name\": \"%s\", \"unit\": \"%s\", \"median\": %.6g, \"min\": %.6g, \"max\": %.6g, "
                "\"runs\": %u, \"regime\": \"%s\"}",
                i ? "," : "", row->name, row->unit, row->median, row->min, row->max, row->runs, row->regime);
    }
    fputs("\n]\n", file);
    const bool written = !ferror(file);
    if (fclose(file) != 0 || !written) {
        perror(path);
        return false;
    }
    return true;
}

/* --- One bench after the other --- */

static uint64_t operations_of(const struct bench *bench, bool quick)
{
    const uint64_t few = bench->operations / QUICK_DIVISOR;
    return !quick ? bench->operations : few ? few : 1;
}

static void measure(const struct bench *bench, const struct settings *settings, struct table *table)
{
    const unsigned runs = settings->quick ? QUICK_RUNS : RUNS;
    const uint64_t operations = operations_of(bench, settings->quick);
    double figures[RUNS];

    void *state = bench->open();
    bench_require(state != NULL, bench->name);
    (void)bench->run(state, operations); /* warms up caches, tables and branch predictors */
    for (unsigned i = 0; i < runs; i++)
        figures[i] = bench->run(state, operations);
    bench->close(state);
    add_row(table, bench, "none", figures, runs);
}

/* --- Benches that take turns --- */

struct contestant {
    const struct bench *bench;
    void *state;
    double figures[REGIMES][RUNS * ROUNDS_PER_RUN];
    unsigned counts[REGIMES];
};

/* The round trips of a whole run of the program, so that who reads its figures can see what they rest upon. */
static double trips_ns[2 * BENCHES_MAX * RUNS * ROUNDS_PER_RUN];
static size_t trips_count;

static void note_trip(double round_trip_ns)
{
    trips_ns[trips_count++] = round_trip_ns;
}

static void print_trips(void)
{
    if (trips_count == 0)
        return;
    const double median_ns = bench_median(trips_ns, trips_count);
    printf(
        "\na cache line to the other core and back, ns: %.0f (a tenth took less than %.0f, a tenth more than %.0f)\n",
        median_ns, trips_ns[trips_count / 10], trips_ns[trips_count - 1 - trips_count / 10]);
}

static void take_sample(struct contestant *contestant, bool quick)
{
    const struct bench *bench = contestant->bench;
    const uint64_t operations = operations_of(bench, quick);
    (void)bench->run(contestant->state, operations / WARM_UP_DIVISOR + 1); /* the others have had the caches */
    const double before_ns = cores_round_trip_ns();
    const double figure = bench->run(contestant->state, operations);
    const double after_ns = cores_round_trip_ns();
    const enum regime regime = regime_between(before_ns, after_ns);
    contestant->figures[regime][contestant->counts[regime]++] = figure;
    note_trip(before_ns);
    note_trip(after_ns);
}

/* The regime that most samples are of: the one to be waited for. */
static enum regime main_regime(const struct contestant *contestants, size_t count)
{
    unsigned most = 0;
    enum regime found = REGIME_NEAR;
    for (int regime = 0; regime < REGIME_MIXED; regime++) {
        unsigned samples = 0;
        for (size_t i = 0; i < count; i++)
            samples += contestants[i].counts[regime];
        if (samples > most) {
            most = samples;
            found = (enum regime)regime;
        }
    }
    return found;
}

/* A row for each regime that has been seen often enough. Samples during which the cores moved are dropped, unless there
 * are no others. */
static void add_rows(struct table *table, struct contestant *contestant, unsigned enough)
{
    bool any = false;
    for (int regime = 0; regime < REGIME_MIXED; regime++) {
        if (contestant->counts[regime] < enough)
            continue;
        any = true;
        add_row(table, contestant->bench, regime_name((enum regime)regime), contestant->figures[regime],
                contestant->counts[regime]);
    }
    if (any)
        return;
    unsigned count = contestant->counts[REGIME_MIXED];
    for (int regime = 0; regime < REGIME_MIXED; regime++)
        for (unsigned i = 0; i < contestant->counts[regime]; i++)
            contestant->figures[REGIME_MIXED][count++] = contestant->figures[regime][i];
    add_row(table, contestant->bench, regime_name(REGIME_MIXED), contestant->figures[REGIME_MIXED], count);
}

static void measure_in_turns(struct contestant *contestants, size_t count, const struct settings *settings,
                             struct table *table)
{
    const unsigned runs = settings->quick ? QUICK_RUNS : RUNS;
    for (size_t i = 0; i < count; i++) {
        contestants[i].state = contestants[i].bench->open();
        bench_require(contestants[i].state != NULL, contestants[i].bench->name);
    }
    for (unsigned round = 0; round < runs * ROUNDS_PER_RUN; round++) {
        const enum regime wanted = main_regime(contestants, count);
        for (size_t i = 0; i < count; i++)
            if (round < runs || contestants[i].counts[wanted] < runs)
                take_sample(&contestants[i], settings->quick);
    }
    for (size_t i = 0; i < count; i++) {
        contestants[i].bench->close(contestants[i].state);
        add_rows(table, &contestants[i], ENOUGH_RUNS);
    }
}

/* --- The command line --- */

/* The pattern is a part of the name, or a glob over all of it. */
static bool is_wanted(const struct bench *bench, const struct settings *settings)
{
    const char *pattern = settings->pattern;
    return !pattern || strstr(bench->name, pattern) || fnmatch(pattern, bench->name, 0) == 0;
}

static const struct bench_list *const lists[] = {
    &publish_benches, &design_benches,   &e2e_benches,       &limit_benches,     &wake_benches,
    &peer_benches,    &trackers_benches, &telemetry_benches, &documents_benches, &json_benches,
    &ledger_benches,  &web_benches,      &idle_benches};

static void run_lists(const struct settings *settings, struct table *table)
{
    static struct contestant contestants[BENCHES_MAX];
    size_t count = 0, total = 0;
    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++) {
        for (size_t i = 0; i < lists[list]->count; i++) {
            const struct bench *bench = &lists[list]->benches[i];
            bench_require(++total <= BENCHES_MAX, "room for the benches");
            if (is_wanted(bench, settings) && lists[list]->takes_turns)
                contestants[count++].bench = bench;
        }
    }
    measure_in_turns(contestants, count, settings, table);
    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++)
        for (size_t i = 0; i < lists[list]->count && !lists[list]->takes_turns; i++)
            if (is_wanted(&lists[list]->benches[i], settings))
                measure(&lists[list]->benches[i], settings, table);
}

static void print_names(const struct settings *settings)
{
    for (size_t list = 0; list < sizeof lists / sizeof *lists; list++)
        for (size_t i = 0; i < lists[list]->count; i++)
            if (is_wanted(&lists[list]->benches[i], settings))
                printf("%s\n", lists[list]->benches[i].name);
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
    if (settings.list) {
        print_names(&settings);
        return 0;
    }

    static struct table table;
    cores_init();
    printf("%-28s %10s %10s %10s %5s  %-10s  %s\n", "name", "median", "min", "max", "runs", "unit", "regime");
    fflush(stdout);
    run_lists(&settings, &table);
    if (table.count == 0) {
        fprintf(stderr, "bench: no name matches '%s'\n", settings.pattern);
        return 1;
    }
    print_trips();
    ratios_print(table.rows, table.count);
    return settings.json_path && !write_json(settings.json_path, &table) ? 1 : 0;
}
