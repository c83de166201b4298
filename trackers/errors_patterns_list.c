/* Lists of patterns: copied under the lock, sorted and masked outside it. */
#include <stdlib.h>
#include <string.h>

#include "trackers/errors.h"
#include "trackers/redact.h"

static bool matches(const struct pattern *pattern, const tbus_pattern_filter_t *filter)
{
    return pattern->count >= filter->count_min &&
           (filter->seen_after_ns == 0 || pattern->last_seen_ns > filter->seen_after_ns);
}

static size_t bytes_of_locked(const tbus_errors_t *errors, const struct pattern *pattern)
{
    struct pattern_texts texts = pattern_texts_of(&errors->patterns, pattern);
    size_t bytes = sizeof(tbus_error_pattern_t) + snapshot_rounded(texts.type_length + 1) +
                   snapshot_rounded(texts.endpoint_length + 1) + snapshot_rounded(texts.normalized_length + 1);

    for (unsigned i = 0; i < pattern->models_count; i++) {
        uint32_t length;
        table_key(&errors->by_model, table_at(&errors->by_model, pattern->models[i]), &length);
        bytes += sizeof(char *) + snapshot_rounded(length + 1);
    }
    for (unsigned i = 0; i < pattern->ids_count; i++)
        bytes += sizeof(char *) + snapshot_rounded(strlen(pattern->ids[i]) + 1);
    return bytes;
}

size_t errors_patterns_bytes_locked(const tbus_errors_t *errors, const tbus_pattern_filter_t *filter)
{
    const struct table *table = &errors->patterns.table;
    size_t bytes = 0;

    for (uint32_t cell = 0; cell < table->used; cell++) {
        const struct pattern *pattern = table_at(table, cell);
        if (pattern && matches(pattern, filter))
            bytes += bytes_of_locked(errors, pattern);
    }
    return bytes;
}

static const char *const *copy_models_locked(struct snapshot_block *block, const tbus_errors_t *errors,
                                             const struct pattern *pattern)
{
    const char **models = snapshot_take(block, pattern->models_count * sizeof *models);

    for (unsigned i = 0; models && i < pattern->models_count; i++) {
        uint32_t length;
        const char *model = table_key(&errors->by_model, table_at(&errors->by_model, pattern->models[i]), &length);
        models[i] = snapshot_text(block, model, length);
    }
    return models;
}

static const char *const *copy_ids(struct snapshot_block *block, const struct pattern *pattern)
{
    const char **ids = snapshot_take(block, pattern->ids_count * sizeof *ids);

    for (unsigned i = 0; ids && i < pattern->ids_count; i++) {
        const char *id = pattern->ids[(pattern->ids_next + PATTERN_IDS_MAX - 1 - i) % PATTERN_IDS_MAX];
        ids[i] = snapshot_text(block, id, strlen(id));
    }
    return ids;
}

static tbus_error_pattern_t copy_locked(struct snapshot_block *block, const tbus_errors_t *errors,
                                        const struct pattern *pattern)
{
    struct pattern_texts texts = pattern_texts_of(&errors->patterns, pattern);
    tbus_error_pattern_t copy = {.type = snapshot_text(block, texts.type, texts.type_length),
                                 .endpoint = snapshot_text(block, texts.endpoint, texts.endpoint_length),
                                 .normalized = snapshot_text(block, texts.normalized, texts.normalized_length),
                                 .count = pattern->count,
                                 .first_seen_ns = pattern->first_seen_ns,
                                 .last_seen_ns = pattern->last_seen_ns,
                                 .models_count = pattern->models_count,
                                 .models = copy_models_locked(block, errors, pattern),
                                 .users = pattern->users_count,
                                 .has_more_models = pattern->has_more_models,
                                 .has_more_users = pattern->has_more_users,
                                 .request_ids_count = pattern->ids_count,
                                 .request_ids = copy_ids(block, pattern)};

    memcpy(copy.fingerprint, pattern->fingerprint, sizeof copy.fingerprint);
    return copy;
}

static size_t count_locked(const struct table *table, const tbus_pattern_filter_t *filter)
{
    size_t count = 0;

    for (uint32_t cell = 0; cell < table->used; cell++) {
        const struct pattern *pattern = table_at(table, cell);
        count += pattern && matches(pattern, filter);
    }
    return count;
}

const tbus_error_pattern_t *errors_patterns_copy_locked(struct snapshot_block *block, const tbus_errors_t *errors,
                                                        const tbus_pattern_filter_t *filter, size_t *ret_count)
{
    const struct table *table = &errors->patterns.table;
    size_t count = 0;
    tbus_error_pattern_t *list = snapshot_take(block, count_locked(table, filter) * sizeof *list);

    for (uint32_t cell = 0; list && cell < table->used; cell++) {
        const struct pattern *pattern = table_at(table, cell);
        if (pattern && matches(pattern, filter))
            list[count++] = copy_locked(block, errors, pattern);
    }
    *ret_count = count;
    return list;
}

static int compare(const void *a, const void *b)
{
    const tbus_error_pattern_t *left = a, *right = b;
    int order = (left->count < right->count) - (left->count > right->count);

    if (!order)
        order = strcmp(left->type, right->type);
    if (!order)
        order = strcmp(left->endpoint, right->endpoint);
    if (!order)
        order = strcmp(left->normalized, right->normalized);
    return order;
}

void errors_redact(const char *text, size_t most)
{
    char *own = (char *)(uintptr_t)text;

    if (strlen(text) >= most)
        redact_secrets_of_cut(own);
    else
        redact_secrets(own);
}

static void redact_one(const tbus_error_pattern_t *pattern)
{
    errors_redact(pattern->type, SIZE_MAX);
    errors_redact(pattern->endpoint, SIZE_MAX);
    errors_redact(pattern->normalized, 200);
    for (size_t i = 0; i < pattern->request_ids_count; i++)
        errors_redact(pattern->request_ids[i], TBUS_ERROR_ID_BYTES - 4);
}

void errors_patterns_finish(const tbus_error_pattern_t *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        redact_one(&patterns[i]);
    if (count > 1) /* by what is shown */
        qsort((void *)(uintptr_t)patterns, count, sizeof *patterns, compare);
}

/* --- The public list --- */

static size_t list_bytes_locked(tbus_errors_t *errors, const void *filter)
{
    return snapshot_rounded(sizeof(tbus_error_patterns_t)) + errors_patterns_bytes_locked(errors, filter);
}

static void list_copy_locked(struct snapshot_block *block, tbus_errors_t *errors, const void *filter)
{
    tbus_error_patterns_t *list = snapshot_take(block, sizeof *list);
    list->patterns = errors_patterns_copy_locked(block, errors, filter, &list->count);
}

int tbus_errors_patterns(tbus_errors_t *errors, const tbus_pattern_filter_t *filter, tbus_error_patterns_t **ret)
{
    static const tbus_pattern_filter_t all;
    struct snapshot_block block;

    if (!errors || !ret)
        return UV_EINVAL;
    filter = filter ? filter : &all;
    int error = errors_copy_out(errors, filter, list_bytes_locked, list_copy_locked, &block);
    if (error)
        return error;
    tbus_error_patterns_t *list = (tbus_error_patterns_t *)(void *)block.memory;
    errors_patterns_finish(list->patterns, list->count);
    if (filter->limit > 0 && list->count > filter->limit)
        list->count = filter->limit;
    *ret = list;
    return 0;
}

int64_t tbus_errors_forget_patterns(tbus_errors_t *errors, int64_t seen_before_ns)
{
    if (!errors)
        return UV_EINVAL;
    uv_mutex_lock(&errors->mu);
    uint32_t count = patterns_forget(&errors->patterns, seen_before_ns);
    uv_mutex_unlock(&errors->mu);
    return count;
}
