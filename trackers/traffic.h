/* The one book of traffic by name: what the request tracker keeps of endpoints and the model tracker of models. Counts for
 * ever, rates and latency over a window, in all and of each name.
 *
 * A row is a table's value that begins with struct traffic; its owner may keep more behind it. "other" is there from the
 * start, so that each name finds a row. */
#ifndef TRACKERS_TRAFFIC_H
#define TRACKERS_TRAFFIC_H

#include <tallybus/traffic.h>

#include "trackers/ahead.h"
#include "trackers/histogram.h"
#include "trackers/snapshot.h"
#include "trackers/table.h"
#include "trackers/window_sum.h"

enum { TRAFFIC_NAME_MAX = TABLE_SHORT_MAX, TRAFFIC_NAMES_MAX = 1 << 16 };

struct traffic {
    uint64_t requests, responses, errors, prompt_tokens, completion_tokens, in_flight;
    struct window_sum recent_requests, recent_responses, recent_errors, recent_tokens;
    struct histogram_window *latency;
};

struct traffic_options {
    uint32_t row_bytes; /* of a row: at least a struct traffic */
    uint32_t names_max;
    int64_t window_ns, ahead_max_ns;
    int64_t (*clock)(void *user);
    void *clock_user;
};

struct traffic_book {
    uv_mutex_t mu;
    int64_t window_ns;                      /* [const after open] */
    struct ahead ahead;                     /* [lock: mu] */
    struct traffic all;                     /* [lock: mu] */
    struct table names;                     /* [lock: mu] rows */
    uint64_t negative_durations, unmatched; /* [lock: mu] */
    uint64_t resets;                        /* [lock: mu] a row's cell is another name's after one */
};

/* Errors: UV_EINVAL (an option out of its range), UV_ENOMEM. Nothing is left behind on an error. */
int traffic_open(struct traffic_book *book, const struct traffic_options *options);
void traffic_close(struct traffic_book *book);

/* All but the names' memory begins anew; rows are zeroed by table_add() when they are taken again. */
void traffic_reset_locked(struct traffic_book *book);

/* The row of a name, a new one with all it needs; "other" past the limit, or with UV_ENOMEM in `*ret_error`. */
struct traffic *traffic_row_locked(struct traffic_book *book, const struct table_name *name, int *ret_error);

/* A request begins, or ends, in all and in a row. Returns the moment that counts. */
int64_t traffic_start_locked(struct traffic_book *book, struct traffic *row, int64_t time_ns);
int64_t traffic_end_locked(struct traffic_book *book, struct traffic *row, const tbus_traffic_end_t *end,
                           bool with_start);

/* --- Snapshots --- */

struct traffic_view {
    size_t head_bytes;                          /* of the snapshot's struct */
    size_t row_bytes;                           /* of a row's: a tbus_traffic_t, and what the owner has behind it */
    bool (*is_used)(const struct traffic *row); /* "other" before it is needed is not */
    void (*copy_row_locked)(const struct traffic_book *book, const struct traffic *row, void *copy);
    void (*copy_head_locked)(const struct traffic_book *book, void *head, int64_t now_ns);
};

struct traffic_copy {
    void *head; /* to be freed; the rows lie in it */
    void *rows;
    size_t count;
    tbus_traffic_t all; /* its name is "" */
};

/* Errors: UV_ENOMEM. */
int traffic_snapshot(struct traffic_book *book, const struct traffic_view *view, int64_t now_ns,
                     struct traffic_copy *ret);

/* By falling number of responses, then of requests, then by name: an order for qsort(), of rows that begin with a
 * tbus_traffic_t. */
int traffic_by_responses(const void *left, const void *right);

#endif
