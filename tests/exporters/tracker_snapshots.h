/* Snapshots of the trackers in which each member has a number of its own, so that two that are swapped anywhere show, and
 * lists of what the outputs have to tell of them. */
#ifndef TESTS_EXPORTERS_TRACKER_SNAPSHOTS_H
#define TESTS_EXPORTERS_TRACKER_SNAPSHOTS_H

#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "tests/check.h"
#include "tests/exporters/tracker_figures.h"

/* --- Trackers --- */

enum { PARTS_MAX = 3, ROWS = 2, STRUCT_BYTES = 2048, EXPECTED_MAX = 1024, NAME_BYTES = 256 };

/* The snapshot itself, or one of its lists: its label and its key. */
struct part {
    const struct figure *figures;
    size_t count, bytes, alignment;
    const char *label, *key;
    size_t rows_offset, rows_count_offset;
};

struct tracker {
    const char *name;
    struct part parts[PARTS_MAX];
    int (*write_page)(const void *snapshot, char **ret);
    int (*write_document)(const void *snapshot, char **ret);
};

#define WRITES(tracker)                                                                                                \
    static int write_##tracker##_page(const void *snapshot, char **ret)                                                \
    {                                                                                                                  \
        return tbus_prometheus_##tracker(snapshot, ret);                                                               \
    }                                                                                                                  \
    static int write_##tracker##_document(const void *snapshot, char **ret)                                            \
    {                                                                                                                  \
        return tbus_##tracker##_to_json(snapshot, ret);                                                                \
    }
WRITES(requests)
WRITES(models)
WRITES(inference)
WRITES(kvcache)
WRITES(streaming)
#undef WRITES

#define ALL(table, type)                                                                                               \
    {                                                                                                                  \
        table, sizeof(table) / sizeof *(table), sizeof(type), alignof(type), NULL, NULL, 0, 0                          \
    }
#define LIST(table, type, label, of, list)                                                                             \
    {                                                                                                                  \
        table, sizeof(table) / sizeof *(table), sizeof(type), alignof(type), label, #list, offsetof(of, list),         \
            offsetof(of, list##_count)                                                                                 \
    }

static const struct tracker trackers[] = {
    {"requests",
     {ALL(requests_figures, tbus_requests_snapshot_t),
      LIST(requests_endpoint_figures, tbus_traffic_t, "endpoint", tbus_requests_snapshot_t, endpoints)},
     write_requests_page,
     write_requests_document},
    {"models",
     {ALL(models_figures, tbus_models_snapshot_t),
      LIST(models_model_figures, tbus_model_t, "model", tbus_models_snapshot_t, models)},
     write_models_page,
     write_models_document},
    {"inference",
     {ALL(inference_figures, tbus_inference_snapshot_t),
      LIST(inference_model_figures, tbus_inference_figures_t, "model", tbus_inference_snapshot_t, models),
      LIST(inference_worker_figures, tbus_inference_worker_t, "worker", tbus_inference_snapshot_t, workers)},
     write_inference_page,
     write_inference_document},
    {"kvcache",
     {ALL(kvcache_figures, tbus_kvcache_snapshot_t),
      LIST(kvcache_endpoint_figures, tbus_kvcache_figures_t, "endpoint", tbus_kvcache_snapshot_t, endpoints)},
     write_kvcache_page,
     write_kvcache_document},
    {"streaming",
     {ALL(streaming_figures, tbus_streaming_snapshot_t),
      LIST(streaming_model_figures, tbus_streaming_model_t, "model", tbus_streaming_snapshot_t, models)},
     write_streaming_page,
     write_streaming_document},
};
#undef ALL
#undef LIST

enum { TRACKERS = sizeof trackers / sizeof *trackers };

/* --- Snapshots --- */

struct filled {
    alignas(max_align_t) unsigned char snapshot[STRUCT_BYTES];
    alignas(max_align_t) unsigned char rows[PARTS_MAX][ROWS * STRUCT_BYTES];
};

/* The number of a member: `row` 0 is the snapshot. With `shift` 0 and 1 each flag is seen both ways, and those beside each
 * other differ. */
static unsigned number_of(size_t figure, size_t row, unsigned shift)
{
    return (unsigned)(1000 * (row + 1) + figure) + shift;
}

static const char *name_of_row(size_t row)
{
    static const char *const names[] = {"all of it", "the first", "the second"};
    return names[row];
}

static tbus_distribution_t spread_of(unsigned number)
{
    const double base = number;
    return (tbus_distribution_t){number * 10, base + 0.1, base + 0.2, base + 0.3,
                                 base + 0.4,  base + 0.5, base + 0.6, base + 0.7};
}

static bool is_spread(const struct figure *figure)
{
    return figure->kind == A_SPREAD || figure->kind == A_SPREAD_OF_3 || figure->kind == A_SPREAD_OF_3_AS_IS;
}

/* Of one bound. */
static tbus_buckets_t histogram_of(unsigned number)
{
    static const double bound = 1;
    static const tbus_bounds_t bounds = {1, &bound};
    static uint64_t counts[4096][2];
    cr_assert(number < 4096);
    counts[number][0] = number;
    counts[number][1] = 1;
    return (tbus_buckets_t){&bounds, number + 2, number + 0.25, counts[number]};
}

static int64_t moment_of(unsigned number)
{
    return number * INT64_C(1000000000) + 500000000;
}

static void fill(const struct figure *figure, unsigned char *into, size_t row, unsigned number)
{
    const uint64_t count = number;
    const int64_t level = number, moment = moment_of(number);
    const double real = number + 0.25;
    const bool flag = number % 2;
    const tbus_money_t usd = tbus_money_units(number * INT64_C(1000000000));
    const tbus_distribution_t spread = spread_of(number);
    const tbus_buckets_t histogram = histogram_of(number);
    const char *name = name_of_row(row), *label = figure->label;
    const struct {
        const void *from;
        size_t bytes;
    } members[] = {
        [A_COUNT] = {&count, sizeof count},
        [A_LEVEL] = {&level, sizeof level},
        [A_MOMENT] = {&moment, sizeof moment},
        [A_FLAG] = {&flag, sizeof flag},
        [A_NUMBER] = {&real, sizeof real},
        [A_TIME] = {&real, sizeof real},
        [A_PER_CENT] = {&real, sizeof real},
        [MONEY] = {&usd, sizeof usd},
        [A_SPREAD] = {&spread, sizeof spread},
        [A_SPREAD_OF_3] = {&spread, sizeof spread},
        [A_SPREAD_OF_3_AS_IS] = {&spread, sizeof spread},
        [A_HISTOGRAM] = {&histogram, sizeof histogram},
        [A_NAME] = {&name, sizeof name},
        [A_LABEL] = {&label, sizeof label},
    };
    if (figure->kind == NO_FIGURE)
        return;
    cr_assert_eq(figure->bytes, members[figure->kind].bytes, "%s", figure->key);
    memcpy(into + figure->offset, members[figure->kind].from, figure->bytes);
}

static void fill_all(const struct tracker *tracker, unsigned shift, struct filled *filled)
{
    memset(filled, 0, sizeof *filled);
    for (size_t i = 0; i < PARTS_MAX && tracker->parts[i].figures; i++) {
        const struct part *part = &tracker->parts[i];
        const void *rows = filled->rows[i];
        const size_t count = ROWS;
        cr_assert(part->bytes <= STRUCT_BYTES);
        for (size_t figure = 0; figure < part->count; figure++)
            for (size_t row = 0; row < (part->label ? ROWS : 1); row++) {
                unsigned char *into = part->label ? filled->rows[i] + row * part->bytes : filled->snapshot;
                const size_t nth = part->label ? row + 1 : 0;
                fill(&part->figures[figure], into, nth, number_of(figure, nth, shift));
            }
        if (!part->label)
            continue;
        memcpy(filled->snapshot + part->rows_offset, &rows, sizeof rows);
        memcpy(filled->snapshot + part->rows_count_offset, &count, sizeof count);
    }
}

/* --- What is told of them --- */

struct expected {
    char name[NAME_BYTES]; /* of a sample, with its labels; of a value, with the keys around it */
    double number;
    const char *text; /* in place of the number */
    bool seen;
};

struct expected_list {
    struct expected list[EXPECTED_MAX];
    size_t count;
};

static void expect(struct expected_list *expected, const char *name, double number, const char *text)
{
    cr_assert(expected->count < EXPECTED_MAX && strlen(name) < sizeof expected->list->name);
    struct expected *next = &expected->list[expected->count++];
    *next = (struct expected){.number = number, .text = text};
    strcpy(next->name, name);
}

/* What is told must be expected, once, and as it is. */
static void check_told(struct expected_list *expected, const char *name, double number, const char *text)
{
    for (size_t i = 0; i < expected->count; i++) {
        struct expected *one = &expected->list[i];
        if (strcmp(one->name, name) != 0)
            continue;
        cr_assert(!one->seen, "%s is told twice", name);
        if (one->text)
            cr_assert(text && strcmp(text, one->text) == 0, "%s is %s, not %s", name, text ? text : "none", one->text);
        else
            cr_assert(number == one->number, "%s is %.17g, not %.17g", name, number, one->number);
        one->seen = true;
        return;
    }
    cr_assert_fail("%s is not expected", name);
}

static void check_all_told(const struct expected_list *expected)
{
    for (size_t i = 0; i < expected->count; i++)
        cr_assert(expected->list[i].seen, "%s is not told", expected->list[i].name);
}

#endif
