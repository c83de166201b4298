#include "trackers/traffic.h"

#include <math.h>

#include "trackers/duration.h"
#include "trackers/moment.h"

/* What one event adds to the windows. */
struct addition {
    bool starts, ends, fails, has_latency;
    int64_t latency_ns;
    uint64_t tokens;
};

static void add_to(struct traffic *traffic, int64_t time_ns, const struct addition *addition)
{
    if (addition->starts)
        window_sum_add(&traffic->recent_requests, time_ns, 1);
    if (addition->ends)
        window_sum_add(&traffic->recent_responses, time_ns, 1);
    if (addition->fails)
        window_sum_add(&traffic->recent_errors, time_ns, 1);
    if (addition->tokens > 0)
        window_sum_add(&traffic->recent_tokens, time_ns, addition->tokens);
    if (addition->has_latency)
        histogram_window_record(traffic->latency, time_ns, addition->latency_ns, 1, addition->latency_ns);
}

static void reset_windows(struct traffic *traffic)
{
    window_sum_reset(&traffic->recent_requests);
    window_sum_reset(&traffic->recent_responses);
    window_sum_reset(&traffic->recent_errors);
    window_sum_reset(&traffic->recent_tokens);
    histogram_window_reset(traffic->latency);
}

static void go_back_in_windows(struct traffic *traffic, int64_t now_ns, int64_t span_ns)
{
    window_sum_go_back(&traffic->recent_requests, now_ns, span_ns);
    window_sum_go_back(&traffic->recent_responses, now_ns, span_ns);
    window_sum_go_back(&traffic->recent_errors, now_ns, span_ns);
    window_sum_go_back(&traffic->recent_tokens, now_ns, span_ns);
    histogram_window_go_back(traffic->latency, now_ns, span_ns);
}

/* The latest time is given up (ahead.h). */
static void go_back_locked(void *tracker, int64_t now_ns, int64_t span_ns)
{
    struct traffic_book *book = tracker;
    go_back_in_windows(&book->all, now_ns, span_ns);
    for (uint32_t i = 0; i < book->names.used; i++) {
        struct traffic *row = table_at(&book->names, i);
        if (row)
            go_back_in_windows(row, now_ns, span_ns);
    }
}

/* --- Open, close, reset --- */

static int open_windows(struct traffic *traffic, int64_t window_ns, uint32_t slices)
{
    window_sum_init(&traffic->recent_requests, window_ns);
    window_sum_init(&traffic->recent_responses, window_ns);
    window_sum_init(&traffic->recent_errors, window_ns);
    window_sum_init(&traffic->recent_tokens, window_ns);
    return histogram_window_open(window_ns, slices, &traffic->latency);
}

static void close_rows(struct traffic_book *book)
{
    for (uint32_t i = 0; i < book->names.used; i++) {
        struct traffic *row = table_at(&book->names, i);
        if (row)
            histogram_window_close(row->latency);
    }
}

static void free_parts(struct traffic_book *book)
{
    close_rows(book);
    table_clear(&book->names);
    histogram_window_close(book->all.latency);
}

static int open_other(struct traffic_book *book)
{
    int error = table_open_other(&book->names);
    if (error)
        return error;
    return open_windows(table_find(&book->names, TABLE_OTHER), book->window_ns, HISTOGRAM_SLICES_OF_A_NAME);
}

int traffic_open(struct traffic_book *book, const struct traffic_options *options)
{
    if (options->names_max > TRAFFIC_NAMES_MAX || options->window_ns <= 0 || options->window_ns > MOMENT_MAX)
        return UV_EINVAL;
    *book = (struct traffic_book){.window_ns = options->window_ns};
    ahead_init(&book->ahead, options->ahead_max_ns, options->clock, options->clock_user);
    ahead_on_going_back(&book->ahead, go_back_locked, book);
    table_init(&book->names, options->row_bytes, TRAFFIC_NAME_MAX, options->names_max + 2 /* and "other", and "" */);
    int error = open_windows(&book->all, book->window_ns, HISTOGRAM_SLICES);
    if (!error)
        error = open_other(book);
    if (!error)
        error = uv_mutex_init(&book->mu);
    if (error)
        free_parts(book);
    return error;
}

void traffic_close(struct traffic_book *book)
{
    uv_mutex_destroy(&book->mu);
    free_parts(book);
}

static void reset_row(struct traffic *row)
{
    reset_windows(row);
    row->requests = row->responses = row->errors = row->prompt_tokens = row->completion_tokens = row->in_flight = 0;
}

void traffic_reset_locked(struct traffic_book *book)
{
    struct traffic *other = table_find(&book->names, TABLE_OTHER);
    for (uint32_t i = 0; i < book->names.used; i++) {
        struct traffic *row = table_at(&book->names, i);
        if (!row || row == other)
            continue;
        histogram_window_close(row->latency);
        table_remove(&book->names, row);
    }
    reset_row(other);
    reset_row(&book->all);
    ahead_reset(&book->ahead);
    book->negative_durations = book->unmatched = 0;
    book->resets++;
}

/* --- Recording --- */

/* The empty name has a place of its own beside those that are told apart, since ends are matched by it. */
static bool has_place(const struct traffic_book *book, const struct table_name *name)
{
    const bool has_empty = table_find(&book->names, "") != NULL;
    return name->length == 0 || book->names.count + 1 < book->names.max + has_empty;
}

struct traffic *traffic_row_locked(struct traffic_book *book, const struct table_name *name, int *ret_error)
{
    struct traffic *row = table_find_name(&book->names, name);
    *ret_error = 0;
    if (row)
        return row;
    if (!has_place(book, name))
        return table_find(&book->names, TABLE_OTHER);
    row = table_add_name_or_other(&book->names, name, ret_error);
    if (row->latency)
        return row;
    *ret_error = open_windows(row, book->window_ns, HISTOGRAM_SLICES_OF_A_NAME);
    if (!*ret_error)
        return row;
    table_remove(&book->names, row);
    return table_find(&book->names, TABLE_OTHER);
}

static int64_t add_locked(struct traffic_book *book, struct traffic *row, int64_t time_ns,
                          const struct addition *addition)
{
    const int64_t moment = ahead_believe(&book->ahead, moment_of(time_ns));
    add_to(&book->all, moment, addition);
    add_to(row, moment, addition);
    return moment;
}

static void count_start(struct traffic *traffic)
{
    traffic->requests++;
    traffic->in_flight++;
}

int64_t traffic_start_locked(struct traffic_book *book, struct traffic *row, int64_t time_ns)
{
    count_start(&book->all);
    count_start(row);
    return add_locked(book, row, time_ns, &(struct addition){.starts = true});
}

static bool take_one(uint64_t *in_flight)
{
    const bool taken = *in_flight > 0;
    *in_flight -= taken;
    return taken;
}

/* Requests have no ids here: an end ends one that was begun under its name, or whose name one of the two did not tell.
 * An end without a name, of a request begun under one, is taken off all alone: whose it is nobody knows. */
static void match_locked(struct traffic_book *book, struct traffic *row)
{
    bool matches = take_one(&row->in_flight);
    if (!matches) {
        struct traffic *unnamed = table_find(&book->names, "");
        matches = row == unnamed || (unnamed && take_one(&unnamed->in_flight));
    }
    book->unmatched += !(matches && take_one(&book->all.in_flight));
}

static void count_end(struct traffic *traffic, bool fails, const tbus_traffic_end_t *end)
{
    traffic->responses++;
    traffic->errors += fails;
    if (end->prompt_tokens > 0)
        traffic->prompt_tokens = sum_up_to_max(traffic->prompt_tokens, (uint64_t)end->prompt_tokens);
    if (end->completion_tokens > 0)
        traffic->completion_tokens = sum_up_to_max(traffic->completion_tokens, (uint64_t)end->completion_tokens);
}

int64_t traffic_end_locked(struct traffic_book *book, struct traffic *row, const tbus_traffic_end_t *end,
                           bool with_start)
{
    struct addition addition = {.starts = with_start, .ends = true};
    addition.fails = end->failed || end->status_code >= 500;
    addition.has_latency = duration_of_ms(end->duration_ms, &addition.latency_ns, &book->negative_durations);
    if (with_start) {
        count_start(&book->all);
        count_start(row);
    }
    match_locked(book, row);
    count_end(&book->all, addition.fails, end);
    count_end(row, addition.fails, end);
    addition.tokens = sum_up_to_max(end->prompt_tokens > 0 ? (uint64_t)end->prompt_tokens : 0,
                                    end->completion_tokens > 0 ? (uint64_t)end->completion_tokens : 0);
    return add_locked(book, row, end->time_ns, &addition);
}

/* --- Snapshots --- */

static double rate_of(const struct window_sum *sum, int64_t now_ns)
{
    return (double)window_sum_at(sum, now_ns) / ((double)window_span_ns(&sum->window, now_ns) / 1e9);
}

static tbus_traffic_t copy_of(const struct traffic *traffic, const char *name, int64_t now_ns)
{
    return (tbus_traffic_t){.name = name,
                            .requests = traffic->requests,
                            .responses = traffic->responses,
                            .errors = traffic->errors,
                            .prompt_tokens = traffic->prompt_tokens,
                            .completion_tokens = traffic->completion_tokens,
                            .in_flight = traffic->in_flight,
                            .requests_per_second = rate_of(&traffic->recent_requests, now_ns),
                            .responses_per_second = rate_of(&traffic->recent_responses, now_ns),
                            .errors_per_second = rate_of(&traffic->recent_errors, now_ns),
                            .tokens_per_second = rate_of(&traffic->recent_tokens, now_ns)};
}

/* What is worked on outside the lock. */
struct work {
    struct snapshot_block block;
    struct traffic_copy copy;
    uint32_t *cells; /* of the rows */
    int64_t now_ns;
    uint64_t resets;
    struct histogram histogram;
};

static void copy_counts_locked(struct traffic_book *book, const struct traffic_view *view, struct work *work)
{
    struct snapshot_block *block = &work->block;
    const uint32_t names = book->names.count;
    work->resets = book->resets;
    work->copy.head = snapshot_take(block, view->head_bytes);
    work->copy.rows = snapshot_take(block, names * view->row_bytes);
    work->cells = snapshot_take(block, names * sizeof *work->cells);
    for (uint32_t cell = 0; cell < book->names.used && !block->overflowed; cell++) {
        const struct traffic *row = table_at(&book->names, cell);
        uint32_t length;
        if (!row || !view->is_used(row))
            continue;
        const char *key = table_key(&book->names, row, &length);
        void *copy = (char *)work->copy.rows + work->copy.count * view->row_bytes;
        *(tbus_traffic_t *)copy = copy_of(row, snapshot_text(block, key, length), work->now_ns);
        view->copy_row_locked(book, row, copy);
        work->cells[work->copy.count++] = cell;
    }
    if (block->overflowed)
        return;
    work->copy.all = copy_of(&book->all, "", work->now_ns);
    view->copy_head_locked(book, work->copy.head, work->now_ns);
}

/* The latency of a row, or of all of them for `cell` TABLE_NONE. The lock is held for one at a time. Returns false when
 * the cells have new names. */
static bool work_out_latency(struct traffic_book *book, struct work *work, uint32_t cell, tbus_distribution_t *ret)
{
    histogram_clear(&work->histogram);
    uv_mutex_lock(&book->mu);
    bool holds = book->resets == work->resets;
    if (holds) {
        const struct traffic *row = cell == TABLE_NONE ? &book->all : table_at(&book->names, cell);
        histogram_window_add_to(row->latency, work->now_ns, &work->histogram);
    }
    uv_mutex_unlock(&book->mu);
    *ret = histogram_distribution_ms(&work->histogram);
    return holds;
}

static bool work_out_latencies(struct traffic_book *book, const struct traffic_view *view, struct work *work)
{
    bool holds = work_out_latency(book, work, TABLE_NONE, &work->copy.all.latency_ms);
    for (size_t i = 0; holds && i < work->copy.count; i++) {
        tbus_traffic_t *row = (void *)((char *)work->copy.rows + i * view->row_bytes);
        holds = work_out_latency(book, work, work->cells[i], &row->latency_ms);
    }
    return holds;
}

static size_t bytes_locked(const struct traffic_book *book, const struct traffic_view *view)
{
    enum { NEW_NAMES = 16 /* that may come before the next look */ };
    const size_t one = view->row_bytes + sizeof(uint32_t) + snapshot_rounded(TRAFFIC_NAME_MAX + 1);
    return snapshot_rounded(view->head_bytes) + (book->names.count + NEW_NAMES) * one + 2 * snapshot_rounded(1);
}

int traffic_snapshot(struct traffic_book *book, const struct traffic_view *view, int64_t now_ns,
                     struct traffic_copy *ret)
{
    struct work *work = tbus_mem_alloc(sizeof *work);
    if (!work)
        return UV_ENOMEM;
    for (;;) { /* until what is there fits into what was measured, and nothing was reset meanwhile */
        *work = (struct work){.now_ns = moment_of(now_ns)};
        uv_mutex_lock(&book->mu);
        if (now_ns == 0)
            work->now_ns = ahead_latest(&book->ahead);
        size_t bytes = bytes_locked(book, view);
        uv_mutex_unlock(&book->mu);
        if (snapshot_block_open(&work->block, bytes) != 0) {
            tbus_mem_free(work);
            return UV_ENOMEM;
        }
        uv_mutex_lock(&book->mu);
        copy_counts_locked(book, view, work);
        uv_mutex_unlock(&book->mu);
        if (!work->block.overflowed && work_out_latencies(book, view, work))
            break;
        tbus_mem_free(work->block.memory);
    }
    *ret = work->copy;
    tbus_mem_free(work);
    return 0;
}

int traffic_by_responses(const void *left, const void *right)
{
    const tbus_traffic_t *a = left, *b = right;
    if (a->responses != b->responses)
        return a->responses < b->responses ? 1 : -1;
    if (a->requests != b->requests)
        return a->requests < b->requests ? 1 : -1;
    return strcmp(a->name, b->name);
}
