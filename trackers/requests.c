#include <tallybus/requests.h>

#include <stdlib.h>

#include "trackers/options.h"
#include "trackers/shown.h"
#include "trackers/traffic.h"

enum { DEFAULT_ENDPOINTS = 100 };

#define DEFAULT_WINDOW_NS INT64_C(60000000000)

struct tbus_requests {
    struct traffic_book book;
};

int tbus_requests_open(const tbus_requests_options_t *options, tbus_requests_t **ret)
{
    static const tbus_requests_options_t defaults;
    const tbus_requests_options_t *given = options ? options : &defaults;
    if (!ret || !are_zero(given->reserved, sizeof given->reserved))
        return UV_EINVAL;
    tbus_requests_t *requests = tbus_mem_alloc(sizeof *requests);
    if (!requests)
        return UV_ENOMEM;
    int error = traffic_open(
        &requests->book, &(struct traffic_options){.row_bytes = sizeof(struct traffic),
                                                   .names_max = or_default(given->endpoints_max, DEFAULT_ENDPOINTS),
                                                   .window_ns = given->window_ns ? given->window_ns : DEFAULT_WINDOW_NS,
                                                   .ahead_max_ns = given->ahead_max_ns,
                                                   .clock = given->clock,
                                                   .clock_user = given->clock_user});
    if (error) {
        tbus_mem_free(requests);
        return error;
    }
    *ret = requests;
    return 0;
}

void tbus_requests_close(tbus_requests_t *requests)
{
    if (!requests)
        return;
    traffic_close(&requests->book);
    tbus_mem_free(requests);
}

void tbus_requests_reset(tbus_requests_t *requests)
{
    if (!requests)
        return;
    uv_mutex_lock(&requests->book.mu);
    traffic_reset_locked(&requests->book);
    uv_mutex_unlock(&requests->book.mu);
}

int tbus_requests_record_start(tbus_requests_t *requests, const char *endpoint, int64_t time_ns)
{
    struct shown_name name;
    int error;
    if (!requests)
        return UV_EINVAL;
    shown_fit(&requests->book.names, endpoint, &name);
    uv_mutex_lock(&requests->book.mu);
    (void)traffic_start_locked(&requests->book, traffic_row_locked(&requests->book, &name.fitted, &error), time_ns);
    uv_mutex_unlock(&requests->book.mu);
    return error;
}

int tbus_requests_record_end(tbus_requests_t *requests, const char *endpoint, const tbus_traffic_end_t *end)
{
    struct shown_name name;
    int error;
    if (!requests || !end)
        return UV_EINVAL;
    shown_fit(&requests->book.names, endpoint, &name);
    uv_mutex_lock(&requests->book.mu);
    (void)traffic_end_locked(&requests->book, traffic_row_locked(&requests->book, &name.fitted, &error), end, false);
    uv_mutex_unlock(&requests->book.mu);
    return error;
}

static bool is_used(const struct traffic *row)
{
    return row->requests + row->responses > 0;
}

static void copy_row_locked(const struct traffic_book *book, const struct traffic *row, void *copy)
{
    (void)book; /* the traffic is all there is */
    (void)row;
    (void)copy;
}

static void copy_head_locked(const struct traffic_book *book, void *head, int64_t now_ns)
{
    tbus_requests_snapshot_t *snapshot = head;
    snapshot->time_ns = now_ns;
    snapshot->unmatched_responses = book->unmatched;
    snapshot->negative_durations = book->negative_durations;
    snapshot->ahead = book->ahead.count;
    snapshot->since_ns = book->ahead.since_ns;
}

int tbus_requests_snapshot(tbus_requests_t *requests, int64_t now_ns, tbus_requests_snapshot_t **ret)
{
    static const struct traffic_view view = {.head_bytes = sizeof(tbus_requests_snapshot_t),
                                             .row_bytes = sizeof(tbus_traffic_t),
                                             .is_used = is_used,
                                             .copy_row_locked = copy_row_locked,
                                             .copy_head_locked = copy_head_locked};
    struct traffic_copy copy;
    if (!requests || !ret)
        return UV_EINVAL;
    int error = traffic_snapshot(&requests->book, &view, now_ns, &copy);
    if (error)
        return error;
    tbus_requests_snapshot_t *snapshot = copy.head;
    snapshot->all = copy.all;
    snapshot->endpoints = copy.rows;
    snapshot->endpoints_count = copy.count;
    qsort(copy.rows, copy.count, sizeof(tbus_traffic_t), traffic_by_responses);
    *ret = snapshot;
    return 0;
}

void tbus_requests_snapshot_free(tbus_requests_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
