/* Snapshots of the error tracker: measured and copied under the lock, sorted and redacted outside it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "trackers/errors.h"
#include "trackers/redact.h"
#include "trackers/snapshot.h"

enum { SPARE_BYTES = 4096 /* for what comes in between measuring and copying; more makes another round */ };

static size_t names_bytes_locked(const struct table *table)
{
    size_t bytes = snapshot_rounded(table->count * sizeof(tbus_error_count_t));

    for (uint32_t cell = 0; cell < table->used; cell++) {
        const uint64_t *count = table_at(table, cell);
        uint32_t length;
        if (!count)
            continue;
        table_key(table, count, &length);
        bytes += snapshot_rounded(length + 1);
    }
    return bytes;
}

static size_t patterns_bytes_locked(const struct table *table)
{
    size_t bytes = snapshot_rounded(table->count * sizeof(tbus_error_pattern_t));

    for (uint32_t cell = 0; cell < table->used; cell++) {
        const struct pattern *pattern = table_at(table, cell);
        uint32_t length;
        if (!pattern)
            continue;
        table_key(table, pattern, &length);
        bytes += length + 3 * snapshot_rounded(1); /* three texts, each rounded up */
    }
    return bytes;
}

static size_t bytes_locked(const tbus_errors_t *errors)
{
    return snapshot_rounded(sizeof(tbus_errors_snapshot_t)) + names_bytes_locked(&errors->by_endpoint) +
           names_bytes_locked(&errors->by_type) + names_bytes_locked(&errors->by_model) +
           STATUS_SLOTS * sizeof(tbus_error_status_count_t) + patterns_bytes_locked(&errors->patterns.table);
}

/* Names without an error are left out: "other" before it is needed. */
static void copy_names_locked(struct snapshot_block *block, const struct table *table,
                              const tbus_error_count_t **ret_list, size_t *ret_count)
{
    tbus_error_count_t *list = snapshot_take(block, table->count * sizeof *list);
    size_t count = 0;

    for (uint32_t cell = 0; list && cell < table->used; cell++) {
        const uint64_t *errors = table_at(table, cell);
        uint32_t length;
        if (!errors || *errors == 0)
            continue;
        const char *key = table_key(table, errors, &length);
        list[count++] = (tbus_error_count_t){snapshot_text(block, key, length), *errors};
    }
    *ret_list = list;
    *ret_count = count;
}

static void copy_statuses_locked(struct snapshot_block *block, const tbus_errors_t *errors,
                                 tbus_errors_snapshot_t *snapshot)
{
    tbus_error_status_count_t *list = snapshot_take(block, STATUS_SLOTS * sizeof *list);

    for (int slot = 0; list && slot < STATUS_SLOTS; slot++) {
        int64_t code = slot == 0 ? 0 : slot == STATUS_OTHER ? -1 : slot - 1 + STATUS_FIRST;
        if (errors->by_status[slot] > 0)
            list[snapshot->by_status_count++] = (tbus_error_status_count_t){code, errors->by_status[slot]};
    }
    snapshot->by_status = list;
}

static tbus_error_pattern_t copy_pattern_locked(struct snapshot_block *block, const struct table *table,
                                                const struct pattern *pattern)
{
    tbus_error_pattern_t copy = {
        .count = pattern->count, .first_seen_ns = pattern->first_seen_ns, .last_seen_ns = pattern->last_seen_ns};
    uint32_t length;
    const char *type = table_key(table, pattern, &length);
    const char *endpoint = type + pattern->type_length + 1;
    const char *normalized = endpoint + pattern->endpoint_length + 1;

    assert(normalized <= type + length);
    memcpy(copy.fingerprint, pattern->fingerprint, sizeof copy.fingerprint);
    copy.type = snapshot_text(block, type, pattern->type_length);
    copy.endpoint = snapshot_text(block, endpoint, pattern->endpoint_length);
    copy.normalized = snapshot_text(block, normalized, (size_t)(type + length - normalized));
    return copy;
}

static void copy_patterns_locked(struct snapshot_block *block, const struct patterns *patterns,
                                 tbus_errors_snapshot_t *snapshot)
{
    const struct table *table = &patterns->table;
    tbus_error_pattern_t *list = snapshot_take(block, table->count * sizeof *list);

    for (uint32_t cell = 0; list && cell < table->used; cell++) {
        const struct pattern *pattern = table_at(table, cell);
        if (pattern)
            list[snapshot->patterns_count++] = copy_pattern_locked(block, table, pattern);
    }
    snapshot->patterns = list;
    snapshot->patterns_dropped = patterns->dropped;
}

/* The block overflows where it is too small; what it holds is then of no use. */
static void copy_locked(struct snapshot_block *block, const tbus_errors_t *errors)
{
    tbus_errors_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);

    assert(snapshot);
    snapshot->time_ns = errors->latest_ns == INT64_MIN ? 0 : errors->latest_ns;
    snapshot->excluded = errors->excluded;
    snapshot->slo.total_requests = errors->requests;
    snapshot->slo.errors = errors->failed;
    copy_names_locked(block, &errors->by_endpoint, &snapshot->by_endpoint, &snapshot->by_endpoint_count);
    copy_names_locked(block, &errors->by_type, &snapshot->by_type, &snapshot->by_type_count);
    copy_names_locked(block, &errors->by_model, &snapshot->by_model, &snapshot->by_model_count);
    copy_statuses_locked(block, errors, snapshot);
    copy_patterns_locked(block, &errors->patterns, snapshot);
}

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

static int compare_patterns(const void *a, const void *b)
{
    const tbus_error_pattern_t *left = a, *right = b;
    int order = by_falling_count(left->count, right->count);

    if (!order)
        order = strcmp(left->type, right->type);
    if (!order)
        order = strcmp(left->endpoint, right->endpoint);
    if (!order)
        order = strcmp(left->normalized, right->normalized);
    return order;
}

/* The lists lie in the block, which is ours to write: that the struct shows them as const is for its reader. */
static void sort(const void *list, size_t count, size_t bytes, int (*compare)(const void *, const void *))
{
    if (count > 1)
        qsort((void *)(uintptr_t)list, count, bytes, compare);
}

static void finish(tbus_errors_snapshot_t *snapshot, uint32_t target_ppm)
{
    snapshot->slo = tbus_slo_status(snapshot->slo.total_requests, snapshot->slo.errors, target_ppm);
    sort(snapshot->by_endpoint, snapshot->by_endpoint_count, sizeof *snapshot->by_endpoint, compare_names);
    sort(snapshot->by_type, snapshot->by_type_count, sizeof *snapshot->by_type, compare_names);
    sort(snapshot->by_model, snapshot->by_model_count, sizeof *snapshot->by_model, compare_names);
    sort(snapshot->by_status, snapshot->by_status_count, sizeof *snapshot->by_status, compare_statuses);
    sort(snapshot->patterns, snapshot->patterns_count, sizeof *snapshot->patterns, compare_patterns);
    for (size_t i = 0; i < snapshot->patterns_count; i++)
        redact_secrets((char *)(uintptr_t)snapshot->patterns[i].normalized);
}

int tbus_errors_snapshot(tbus_errors_t *errors, tbus_errors_snapshot_t **ret)
{
    struct snapshot_block block = {.memory = NULL};

    if (!errors || !ret)
        return UV_EINVAL;
    do {
        tbus_mem_free(block.memory);
        uv_mutex_lock(&errors->mu);
        size_t bytes = bytes_locked(errors);
        uv_mutex_unlock(&errors->mu);
        int error = snapshot_block_open(&block, bytes + SPARE_BYTES);
        if (error)
            return error;
        uv_mutex_lock(&errors->mu);
        copy_locked(&block, errors);
        uv_mutex_unlock(&errors->mu);
    } while (block.overflowed);

    tbus_errors_snapshot_t *snapshot = (tbus_errors_snapshot_t *)(void *)block.memory;
    finish(snapshot, errors->slo_target_ppm);
    *ret = snapshot;
    return 0;
}

void tbus_errors_snapshot_free(tbus_errors_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
