/* Snapshots of the error tracker: measured and copied under the lock, sorted and masked outside it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/errors.h"
#include "trackers/moment.h"

enum { SPARE_BYTES = 4096 /* for what comes in between measuring and copying; more makes another round */ };

int errors_copy_out(tbus_errors_t *errors, const void *arguments, errors_bytes_fn bytes, errors_copy_fn copy,
                    struct snapshot_block *ret_block)
{
    struct snapshot_block block = {.memory = NULL};
    size_t spare = SPARE_BYTES;

    do {
        tbus_mem_free(block.memory);
        uv_mutex_lock(&errors->mu);
        size_t wanted = bytes(errors, arguments);
        uv_mutex_unlock(&errors->mu);
        int error = snapshot_block_open(&block, wanted + spare);
        if (error)
            return error;
        uv_mutex_lock(&errors->mu);
        copy(&block, errors, arguments);
        uv_mutex_unlock(&errors->mu);
        spare *= 2; /* others may add faster than we come round */
    } while (block.overflowed);
    *ret_block = block;
    return 0;
}

/* --- Measuring --- */

/* `each` is what an entry of the list takes beside its name. */
static size_t names_bytes_locked(const struct table *table, size_t each)
{
    size_t bytes = snapshot_rounded(table->count * each);

    for (uint32_t cell = 0; cell < table->used; cell++) {
        const void *value = table_at(table, cell);
        uint32_t length;
        if (!value)
            continue;
        table_key(table, value, &length);
        bytes += snapshot_rounded(length + 1);
    }
    return bytes;
}

static const tbus_pattern_filter_t all_patterns;

static size_t bytes_locked(tbus_errors_t *errors, const void *arguments)
{
    (void)arguments;
    return snapshot_rounded(sizeof(tbus_errors_snapshot_t)) +
           names_bytes_locked(&errors->by_endpoint, sizeof(tbus_error_count_t)) +
           names_bytes_locked(&errors->by_type, sizeof(tbus_error_count_t)) +
           names_bytes_locked(&errors->by_model, sizeof(tbus_error_count_t)) +
           errors->by_status.count * sizeof(tbus_error_status_count_t) +
           names_bytes_locked(&errors->slos.endpoints, sizeof(tbus_slo_t)) +
           errors_patterns_bytes_locked(errors, &all_patterns);
}

/* --- Copying --- */

/* Names without an error are left out: "other" before it is needed. */
static void copy_counts_locked(struct snapshot_block *block, const struct table *table, const struct covered *covered,
                               const tbus_error_count_t **ret_list, size_t *ret_count)
{
    tbus_error_count_t *list = snapshot_take(block, table->count * sizeof *list);
    size_t count = 0;

    for (uint32_t cell = 0; list && cell < table->used; cell++) {
        const struct count *errors = table_at(table, cell);
        uint32_t length;
        if (!errors || errors->ever == 0)
            continue;
        const char *key = table_key(table, errors, &length);
        list[count++] =
            (tbus_error_count_t){snapshot_text(block, key, length), errors->ever, counts_within(errors, covered)};
    }
    *ret_list = list;
    *ret_count = count;
}

static int64_t code_of(const char *name)
{
    if (strcmp(name, STATUS_NONE) == 0)
        return 0;
    return strcmp(name, TABLE_OTHER) == 0 ? -1 : (int64_t)strtol(name, NULL, 10);
}

static void copy_statuses_locked(struct snapshot_block *block, const struct table *table, const struct covered *covered,
                                 tbus_errors_snapshot_t *snapshot)
{
    tbus_error_status_count_t *list = snapshot_take(block, table->count * sizeof *list);

    for (uint32_t cell = 0; list && cell < table->used; cell++) {
        const struct count *errors = table_at(table, cell);
        if (!errors || errors->ever == 0)
            continue;
        list[snapshot->by_status_count++] = (tbus_error_status_count_t){code_of(table_key(table, errors, NULL)),
                                                                        errors->ever, counts_within(errors, covered)};
    }
    snapshot->by_status = list;
}

/* Endpoints that had no request and have no target of their own are left out. */
static void copy_slos_locked(struct snapshot_block *block, const struct slos *slos, int64_t now,
                             tbus_errors_snapshot_t *snapshot)
{
    const struct table *table = &slos->endpoints;
    tbus_slo_t *list = snapshot_take(block, table->count * sizeof *list);

    slos_show(slos, slos->all, now, &snapshot->slo_of_all);
    for (uint32_t cell = 0; list && cell < table->used; cell++) {
        struct watch *const *watch = table_at(table, cell);
        uint32_t length;
        if (!watch || (!(*watch)->is_reserved && series_ever(&(*watch)->series).requests == 0))
            continue;
        tbus_slo_t *slo = &list[snapshot->slos_count++];
        const char *endpoint = table_key(table, watch, &length);
        slo->endpoint = snapshot_text(block, endpoint, length);
        slos_show(slos, *watch, now, slo);
    }
    snapshot->slos = list;
}

static void copy_totals_locked(const tbus_errors_t *errors, const struct covered *covered,
                               tbus_errors_snapshot_t *snapshot)
{
    struct tally ever = series_ever(&errors->slos.all->series);

    snapshot->time_ns = ahead_latest(&errors->ahead);
    snapshot->requests = ever.requests;
    snapshot->failed = ever.errors;
    snapshot->excluded = errors->excluded;
    snapshot->ahead = errors->ahead.count;
    snapshot->since_ns = errors->ahead.since_ns;
    for (uint32_t slot = 0; slot < COUNT_SLOTS; slot++) {
        snapshot->requests_in_window += covered->slots[slot] ? errors->within[slot].requests : 0;
        snapshot->failed_in_window += covered->slots[slot] ? errors->within[slot].errors : 0;
    }
    snapshot->patterns_dropped = errors->patterns.dropped;
    snapshot->findings_waiting = errors->findings.count;
    snapshot->findings_delayed = errors->findings.delayed;
}

/* The block overflows where it is too small; what it holds is then of no use. */
static void copy_locked(struct snapshot_block *block, tbus_errors_t *errors, const void *arguments)
{
    tbus_errors_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    int64_t latest = ahead_latest(&errors->ahead), now = moment_of(*(const int64_t *)arguments);

    assert(snapshot);
    now = now != 0 && now > latest ? now : latest;
    const struct covered covered = counts_covered(&errors->window, now);
    copy_totals_locked(errors, &covered, snapshot);
    copy_counts_locked(block, &errors->by_endpoint, &covered, &snapshot->by_endpoint, &snapshot->by_endpoint_count);
    copy_counts_locked(block, &errors->by_type, &covered, &snapshot->by_type, &snapshot->by_type_count);
    copy_counts_locked(block, &errors->by_model, &covered, &snapshot->by_model, &snapshot->by_model_count);
    copy_statuses_locked(block, &errors->by_status, &covered, snapshot);
    copy_slos_locked(block, &errors->slos, now, snapshot);
    snapshot->patterns = errors_patterns_copy_locked(block, errors, &all_patterns, &snapshot->patterns_count);
}

/* --- Outside the lock --- */

static int by_falling_count(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b);
}

static int compare_names(const void *a, const void *b)
{
    const tbus_error_count_t *left = a, *right = b;
    int order = by_falling_count(left->errors, right->errors);

    return order ? order : strcmp(left->name, right->name);
}

static int compare_statuses(const void *a, const void *b)
{
    const tbus_error_status_count_t *left = a, *right = b;
    int order = by_falling_count(left->errors, right->errors);

    return order ? order : (left->status_code > right->status_code) - (left->status_code < right->status_code);
}

static int compare_slos(const void *a, const void *b)
{
    const tbus_slo_t *left = a, *right = b;

    return strcmp(left->endpoint, right->endpoint);
}

/* The lists lie in the block, which is ours to write: that the struct shows them as const is for its reader. */
static void sort(const void *list, size_t count, size_t bytes, int (*compare)(const void *, const void *))
{
    if (count > 1)
        qsort((void *)(uintptr_t)list, count, bytes, compare);
}

static void finish(tbus_errors_snapshot_t *snapshot)
{
    snapshot->slo = snapshot->slo_of_all.status;
    if (snapshot->requests_in_window > 0)
        snapshot->error_rate_in_window = (double)snapshot->failed_in_window / (double)snapshot->requests_in_window;
    sort(snapshot->by_endpoint, snapshot->by_endpoint_count, sizeof *snapshot->by_endpoint, compare_names);
    sort(snapshot->by_type, snapshot->by_type_count, sizeof *snapshot->by_type, compare_names);
    sort(snapshot->by_model, snapshot->by_model_count, sizeof *snapshot->by_model, compare_names);
    sort(snapshot->by_status, snapshot->by_status_count, sizeof *snapshot->by_status, compare_statuses);
    sort(snapshot->slos, snapshot->slos_count, sizeof *snapshot->slos, compare_slos);
    errors_patterns_finish(snapshot->patterns, snapshot->patterns_count);
}

int tbus_errors_snapshot(tbus_errors_t *errors, int64_t now_ns, tbus_errors_snapshot_t **ret)
{
    struct snapshot_block block;

    if (!errors || !ret)
        return UV_EINVAL;
    int error = errors_copy_out(errors, &now_ns, bytes_locked, copy_locked, &block);
    if (error)
        return error;
    tbus_errors_snapshot_t *snapshot = (tbus_errors_snapshot_t *)(void *)block.memory;
    finish(snapshot);
    *ret = snapshot;
    return 0;
}

void tbus_errors_snapshot_free(tbus_errors_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
