#include <stdlib.h>

#include "trackers/cost.h"
#include "trackers/snapshot.h"

enum { NEW_NAMES = 64 /* that may come between the two looks at a table, before a third one is needed */ };

/* No more than what a copy of the tables takes. From the counts alone: looking at each row would hold the lock as long
 * as the copy does. */
static size_t bytes_locked(const tbus_cost_t *cost)
{
    size_t bytes = snapshot_rounded(sizeof(tbus_cost_snapshot_t));
    for (int group = 0; group < COST_GROUPS; group++) {
        const struct table *table = &cost->tables[group];
        size_t name = group == COST_BY_KEY ? TBUS_REDACTED_BYTES : table->key_max + 1;
        size_t rows = (size_t)table->count + NEW_NAMES + 1 /* the unnamed */;
        bytes += rows * (sizeof(tbus_cost_sum_t) + snapshot_rounded(name));
    }
    return bytes;
}

static tbus_cost_sum_t sum_of(const struct cost_row *row, const char *name)
{
    return (tbus_cost_sum_t){.name = name,
                             .usd = row->usd,
                             .requests = row->requests,
                             .prompt_tokens = row->prompt_tokens,
                             .completion_tokens = row->completion_tokens,
                             .cached_tokens = row->cached_tokens,
                             .unpriced_requests = row->unpriced_requests};
}

static const char *copy_name(struct snapshot_block *block, const struct table *table, enum cost_group group,
                             const struct cost_row *row)
{
    uint32_t length;
    if (group == COST_BY_KEY) {
        const char *redacted = ((const struct cost_key_row *)row)->redacted;
        return snapshot_text(block, redacted, strlen(redacted));
    }
    const char *name = table_key(table, row, &length);
    return snapshot_text(block, name, length);
}

static const tbus_cost_sum_t *copy_rows_locked(const tbus_cost_t *cost, enum cost_group group,
                                               struct snapshot_block *block, size_t *ret_count)
{
    const struct table *table = &cost->tables[group];
    tbus_cost_sum_t *sums = snapshot_take(block, ((size_t)table->count + 1) * sizeof *sums);
    size_t count = 0;

    if (sums && cost->unnamed[group].row.requests > 0)
        sums[count++] = sum_of(&cost->unnamed[group].row, "");
    for (uint32_t cell = 0; cell < table->used && !block->overflowed; cell++) {
        const struct cost_row *row = table_at(table, cell);
        if (row && row->requests > 0)
            sums[count++] = sum_of(row, copy_name(block, table, group, row));
    }
    *ret_count = count;
    return sums;
}

static tbus_cost_snapshot_t *fill_locked(const tbus_cost_t *cost, struct snapshot_block *block)
{
    tbus_cost_snapshot_t *snapshot = snapshot_take(block, sizeof *snapshot);
    if (!snapshot)
        return NULL;
    snapshot->time_ns = cost->time_ns == INT64_MIN ? 0 : cost->time_ns;
    snapshot->total = sum_of(&cost->total, "");
    snapshot->cache_savings = cost->cache_savings;
    snapshot->batch_savings = cost->batch_savings;
    snapshot->estimated_requests = cost->estimated_requests;
    snapshot->refused_usages = cost->refused_usages;
    snapshot->cut_cached_tokens = cost->cut_cached_tokens;
    snapshot->by_key = copy_rows_locked(cost, COST_BY_KEY, block, &snapshot->by_key_count);
    snapshot->by_user = copy_rows_locked(cost, COST_BY_USER, block, &snapshot->by_user_count);
    snapshot->by_project = copy_rows_locked(cost, COST_BY_PROJECT, block, &snapshot->by_project_count);
    snapshot->by_model = copy_rows_locked(cost, COST_BY_MODEL, block, &snapshot->by_model_count);
    snapshot->by_endpoint = copy_rows_locked(cost, COST_BY_ENDPOINT, block, &snapshot->by_endpoint_count);
    return block->overflowed ? NULL : snapshot;
}

static int by_falling_cost(const void *left, const void *right)
{
    const tbus_cost_sum_t *a = left, *b = right;
    int order = tbus_money_compare(b->usd, a->usd);
    return order ? order : strcmp(a->name, b->name);
}

static void sort_rows(const tbus_cost_sum_t *sums, size_t count)
{
    qsort((void *)(uintptr_t)sums, count, sizeof *sums, by_falling_cost); /* our own block: const is for the reader */
}

int tbus_cost_snapshot(tbus_cost_t *cost, tbus_cost_snapshot_t **ret)
{
    struct snapshot_block block;
    tbus_cost_snapshot_t *snapshot;

    if (!cost || !ret)
        return UV_EINVAL;
    for (;;) {
        uv_mutex_lock(&cost->mu);
        size_t bytes = bytes_locked(cost);
        uv_mutex_unlock(&cost->mu);
        int error = snapshot_block_open(&block, bytes);
        if (error)
            return error;
        uv_mutex_lock(&cost->mu);
        snapshot = fill_locked(cost, &block);
        uv_mutex_unlock(&cost->mu);
        if (snapshot)
            break;
        tbus_mem_free(block.memory);
    }
    sort_rows(snapshot->by_key, snapshot->by_key_count);
    sort_rows(snapshot->by_user, snapshot->by_user_count);
    sort_rows(snapshot->by_project, snapshot->by_project_count);
    sort_rows(snapshot->by_model, snapshot->by_model_count);
    sort_rows(snapshot->by_endpoint, snapshot->by_endpoint_count);
    *ret = snapshot;
    return 0;
}

void tbus_cost_snapshot_free(tbus_cost_snapshot_t *snapshot)
{
    tbus_mem_free(snapshot);
}
