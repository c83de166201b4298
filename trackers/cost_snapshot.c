#include "trackers/cost_lists.h"
#include "trackers/moment.h"

static tbus_cost_snapshot_t *fill_locked(const tbus_cost_t *cost, int64_t now_ns, struct snapshot_block *block,
                                         struct cost_lists *ret_lists)
{
    tbus_cost_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    if (!snapshot)
        return NULL;
    const int64_t time_ns = now_ns ? moment_of(now_ns) : ahead_latest(&cost->ahead);
    const tbus_cost_forecast_t forecast = cost_forecast_locked(cost, time_ns);
    *snapshot = (tbus_cost_snapshot_t){.time_ns = time_ns,
                                       .since_ns = cost->ahead.since_ns,
                                       .total = cost_sum_of(&cost->total.sums, ""),
                                       .cache_savings = cost->cache_savings,
                                       .batch_savings = cost->batch_savings,
                                       .projected_monthly = forecast.projected_monthly,
                                       .observed_ns = forecast.observed_ns,
                                       .observed = forecast.observed,
                                       .estimated_requests = cost->estimated_requests,
                                       .retracted_estimates = cost->retracted_estimates,
                                       .forgotten_estimates = cost->estimates.forgotten,
                                       .untracked_streams = cost->untracked_streams,
                                       .ahead_usages = cost->ahead.count,
                                       .refused_usages = cost->refused_usages,
                                       .absurd_usages = cost->absurd_usages,
                                       .cut_cached_tokens = cost->cut_cached_tokens,
                                       .dropped_sums = cost->history.dropped,
                                       .history_from_ns = cost_history_from(&cost->history)};
    cost_course_fill_locked(cost, &cost->total, block, &snapshot->course);
    cost_lists_fill_locked(cost, NULL, block, ret_lists);
    return block->overflowed ? NULL : snapshot;
}

int tbus_cost_snapshot(tbus_cost_t *cost, tbus_cost_snapshot_t **ret)
{
    return tbus_cost_snapshot_at(cost, 0, ret);
}

int tbus_cost_snapshot_at(tbus_cost_t *cost, int64_t now_ns, tbus_cost_snapshot_t **ret)
{
    struct snapshot_block block;
    struct cost_lists lists;
    tbus_cost_snapshot_t *snapshot;

    if (!cost || !ret)
        return UV_EINVAL;
    for (;;) {
        uv_mutex_lock(&cost->mu);
        size_t bytes = snapshot_rounded(sizeof *snapshot) + COST_COURSE_BYTES + cost_lists_bytes_locked(cost);
        uv_mutex_unlock(&cost->mu);
        int error = snapshot_block_open(&block, bytes);
        if (error)
            return error;
        uv_mutex_lock(&cost->mu);
        snapshot = fill_locked(cost, now_ns, &block, &lists);
        uv_mutex_unlock(&cost->mu);
        if (snapshot)
            break;
        tbus_mem_free(block.memory);
    }
    cost_lists_sort(&lists);
    COST_LISTS_PLACE(snapshot, &lists);
    *ret = snapshot;
    return 0;
}

void tbus_cost_snapshot_free(tbus_cost_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}

/* --- Records --- */

static size_t record_bytes(const tbus_cost_t *cost)
{
    size_t bytes = sizeof(tbus_usage_record_t) + snapshot_rounded(COST_REQUEST_ID_BYTES);
    for (int group = 0; group < COST_GROUPS_SHOWN; group++)
        bytes += snapshot_rounded(group == COST_BY_KEY ? TBUS_REDACTED_BYTES : cost->tables[group].key_max + 1);
    return bytes;
}

static const char *copy_name(const tbus_cost_t *cost, const struct cost_record *record, enum cost_group group,
                             struct snapshot_block *block)
{
    size_t length;
    const char *name = cost_name_shown(cost, cost_row_at(cost, COST_NAME(group, record->places[group])), &length);
    return length ? snapshot_text(block, name, length) : "";
}

static tbus_usage_record_t copy_record(const tbus_cost_t *cost, const struct cost_record *record,
                                       struct snapshot_block *block)
{
    const struct cost_row *key = cost_row_at(cost, COST_NAME(COST_BY_KEY, record->places[COST_BY_KEY]));
    tbus_usage_record_t copy = record->usage;
    copy.request_id = snapshot_text(block, record->request_id, strlen(record->request_id));
    copy.user_id = copy_name(cost, record, COST_BY_USER, block);
    copy.project_id = copy_name(cost, record, COST_BY_PROJECT, block);
    copy.model = copy_name(cost, record, COST_BY_MODEL, block);
    copy.endpoint = copy_name(cost, record, COST_BY_ENDPOINT, block);
    copy.api_key = copy_name(cost, record, COST_BY_KEY, block);
    memcpy(copy.key_digest, ((const struct cost_key_row *)key)->id.digest, sizeof copy.key_digest);
    return copy;
}

static void fill_records_locked(const tbus_cost_t *cost, size_t limit, struct snapshot_block *block,
                                tbus_cost_records_t *ret)
{
    tbus_usage_record_t *list = snapshot_take(block, limit * sizeof *list);
    const struct cost_record *record;
    for (uint64_t number = cost->records.taken;
         number > 0 && ret->count < limit && (record = cost_records_find(&cost->records, number - 1)); number--) {
        if (!record->usage.retracted)
            list[ret->count++] = copy_record(cost, record, block);
    }
    ret->records = list;
}

int tbus_cost_records(tbus_cost_t *cost, size_t limit, tbus_cost_records_t **ret)
{
    struct snapshot_block block;
    if (!cost || !ret)
        return UV_EINVAL;
    if (limit == 0 || limit > cost->records.room)
        limit = cost->records.room; /* that, and the tables' key_max, are const after open */
    int error = snapshot_block_open(&block, snapshot_rounded(sizeof **ret) + limit * record_bytes(cost));
    if (error)
        return error;
    tbus_cost_records_t *records = snapshot_take(&block, sizeof *records);
    uv_mutex_lock(&cost->mu);
    fill_records_locked(cost, limit, &block, records);
    uv_mutex_unlock(&cost->mu);
    *ret = records;
    return 0;
}

void tbus_cost_records_free(tbus_cost_records_t *records)
{
    tbus_mem_free(records);
}
