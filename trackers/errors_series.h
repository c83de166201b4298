/* Requests and errors of one SLO over time: for ever, over the windows of the burn rates, and over the compliance
 * period where that rolls.
 *
 * Seven windows are kept in three rows of slices, each for the windows whose length it can tell well: 31 slices of 10 s
 * for 5 m, 121 of 1 m for 30 m, 1 h and 2 h, 289 of 15 m for 6 h, 1 d and 3 d. A slice of one row lies in one slice of
 * the next. So a request is counted once, in the slice of 10 s that is open; when that is over, or somebody asks, it is
 * added to all rows. What comes late goes to the rows at once.
 *
 * Times are within moment.h's bounds. Not locked: the tracker's lock covers it. */
#ifndef TRACKERS_ERRORS_SERIES_H
#define TRACKERS_ERRORS_SERIES_H

#include "trackers/slo.h"
#include "trackers/window.h"

#define SERIES_SLICE_NS INT64_C(10000000000)

enum { SERIES_FINE, SERIES_MIDDLE, SERIES_COARSE, SERIES_PERIOD, SERIES_ROWS };

/* Slices of the compliance period, where it rolls. */
enum { SERIES_PERIOD_SLICES = 120 };

struct series {
    int64_t open_from; /* first moment of the open slice; INT64_MIN = none */
    struct tally open; /* counted in it, and not in `closed` and the rows yet */
    struct tally closed;
    struct window windows[SERIES_ROWS];
    struct tally *rows[SERIES_ROWS]; /* by their windows' slots; that of the period is NULL where it does not roll */
};

/* Places that a series needs beside it. */
uint32_t series_places(bool rolling);

/* Makes it empty. `places` are series_places() many; a rolling period is at least an hour long. */
void series_init(struct series *series, struct tally *places, bool rolling, uint32_t compliance_s);

/* Forgets everything. */
void series_reset(struct series *series);

/* As window_go_back(), in all rows. */
void series_go_back(struct series *series, int64_t now_ns, int64_t span_ns);

/* What series_add() does at the beginning of a slice and for what comes late. */
void series_add_slowly(struct series *series, int64_t moment, bool failed);

static inline void series_add(struct series *series, int64_t moment, bool failed)
{
    if ((uint64_t)moment - (uint64_t)series->open_from >= (uint64_t)SERIES_SLICE_NS) {
        series_add_slowly(series, moment, failed);
        return;
    }
    series->open.requests++;
    series->open.errors += failed;
}

/* For ever. */
struct tally series_ever(const struct series *series);

/* Over the window that ends at `now`, which is not before the latest time added. */
struct tally series_burn(struct series *series, tbus_burn_window_t window, int64_t now);

/* The same over the compliance period; for ever where it does not roll. */
struct tally series_period(struct series *series, int64_t now);

#endif
