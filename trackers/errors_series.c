#include "trackers/errors_series.h"

#include <assert.h>
#include <string.h>

#include "trackers/moment.h"

enum { FINE_SLICES = 30, MIDDLE_SLICES = 120, COARSE_SLICES = 288 };

static const struct {
    int64_t slice_s;
    uint32_t slices;
} rows[] = {
    [SERIES_FINE] = {10, FINE_SLICES}, [SERIES_MIDDLE] = {60, MIDDLE_SLICES}, [SERIES_COARSE] = {900, COARSE_SLICES}};

static const struct {
    unsigned row;
    uint32_t slices;
} burns[] = {
    [TBUS_BURN_5M] = {SERIES_FINE, 30},    [TBUS_BURN_30M] = {SERIES_MIDDLE, 30}, [TBUS_BURN_1H] = {SERIES_MIDDLE, 60},
    [TBUS_BURN_2H] = {SERIES_MIDDLE, 120}, [TBUS_BURN_6H] = {SERIES_COARSE, 24},  [TBUS_BURN_1D] = {SERIES_COARSE, 96},
    [TBUS_BURN_3D] = {SERIES_COARSE, 288}};

uint32_t series_places(bool rolling)
{
    return FINE_SLICES + 1 + MIDDLE_SLICES + 1 + COARSE_SLICES + 1 + (rolling ? SERIES_PERIOD_SLICES + 1 : 0);
}

void series_init(struct series *series, struct tally *places, bool rolling, uint32_t compliance_s)
{
    *series = (struct series){.open_from = INT64_MIN};
    for (unsigned row = SERIES_FINE; row <= SERIES_COARSE; row++) {
        window_init(&series->windows[row], rows[row].slices * rows[row].slice_s * SECOND_NS, rows[row].slices);
        series->rows[row] = places;
        places += rows[row].slices + 1;
    }
    if (rolling) {
        /* whole multiples of 10 s, so that an open slice lies in one of them */
        int64_t slice_s = (compliance_s + 10 * SERIES_PERIOD_SLICES - 1) / (10 * SERIES_PERIOD_SLICES) * INT64_C(10);
        uint32_t slices = (uint32_t)((compliance_s + slice_s - 1) / slice_s);
        assert(slices <= SERIES_PERIOD_SLICES);
        window_init(&series->windows[SERIES_PERIOD], slices * slice_s * SECOND_NS, slices);
        series->rows[SERIES_PERIOD] = places;
    }
    series_reset(series);
}

void series_reset(struct series *series)
{
    series->open_from = INT64_MIN;
    series->open = series->closed = (struct tally){0};
    for (unsigned row = 0; row < SERIES_ROWS && series->rows[row]; row++) {
        window_reset(&series->windows[row]);
        memset(series->rows[row], 0, series->windows[row].slots * sizeof *series->rows[row]);
    }
}

/* The place of a moment in a row, or NULL. */
static struct tally *enter(struct series *series, unsigned row, int64_t moment)
{
    struct window *window = &series->windows[row];
    struct window_stale stale;
    uint32_t slot = window_enter(window, moment, &stale);

    for (; stale.count > 0; window_next_stale(window, &stale))
        series->rows[row][stale.slot] = (struct tally){0};
    return slot == WINDOW_PAST ? NULL : &series->rows[row][slot];
}

static void add(struct tally *to, struct tally what)
{
    to->requests += what.requests;
    to->errors += what.errors;
}

static void add_to_rows(struct series *series, int64_t moment, struct tally what)
{
    add(&series->closed, what);
    for (unsigned row = 0; row < SERIES_ROWS && series->rows[row]; row++) {
        struct tally *place = enter(series, row, moment);
        if (place)
            add(place, what);
    }
}

/* Adds what has been counted in the open slice, which stays open. */
static void settle(struct series *series)
{
    if (series->open.requests == 0)
        return;
    add_to_rows(series, series->open_from, series->open);
    series->open = (struct tally){0};
}

void series_go_back(struct series *series, int64_t now_ns, int64_t span_ns)
{
    const struct window *fine = &series->windows[SERIES_FINE];
    settle(series);
    for (unsigned row = 0; row < SERIES_ROWS && series->rows[row]; row++)
        window_go_back(&series->windows[row], now_ns, span_ns);
    series->open_from = fine->newest == INT64_MIN ? INT64_MIN : fine->newest_from;
}

void series_add_slowly(struct series *series, int64_t moment, bool failed)
{
    struct tally one = {1, failed};

    if (moment < series->open_from) {
        add_to_rows(series, moment, one);
        return;
    }
    settle(series);
    (void)enter(series, SERIES_FINE, moment);
    series->open_from = series->windows[SERIES_FINE].newest_from;
    series->open = one;
}

struct tally series_ever(const struct series *series)
{
    struct tally ever = series->closed;

    add(&ever, series->open);
    return ever;
}

/* Without a wrap to look for at each place, so that the compiler adds several at once. */
static struct tally sum_places(const struct tally *places, uint32_t count)
{
    struct tally tally = {0};
    for (uint32_t i = 0; i < count; i++)
        add(&tally, places[i]);
    return tally;
}

/* The slice that `now` lies in and so many before it. */
static struct tally sum(struct series *series, unsigned row, uint32_t slices, int64_t now)
{
    const struct window *window = &series->windows[row];
    const struct tally *places = series->rows[row];

    settle(series);
    if (window->newest == INT64_MIN)
        return (struct tally){0};
    uint64_t since =
        now > window->newest_from ? (uint64_t)now - (uint64_t)window->newest_from : 0; /* may have 64 bits */
    const uint64_t passed = since / (uint64_t)window->slice_ns;
    if (passed > slices)
        return (struct tally){0};
    const uint32_t left = slices + 1 - (uint32_t)passed, upto = window->newest_slot + 1;
    if (left <= upto)
        return sum_places(places + upto - left, left);
    struct tally tally = sum_places(places, upto); /* and those before it stand at the row's end */
    add(&tally, sum_places(places + window->slots - (left - upto), left - upto));
    return tally;
}

struct tally series_burn(struct series *series, tbus_burn_window_t window, int64_t now)
{
    return sum(series, burns[window].row, burns[window].slices, now);
}

struct tally series_period(struct series *series, int64_t now)
{
    if (!series->rows[SERIES_PERIOD])
        return series_ever(series);
    return sum(series, SERIES_PERIOD, series->windows[SERIES_PERIOD].slots - 1, now);
}
