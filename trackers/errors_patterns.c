#include "trackers/errors_patterns.h"

#include <assert.h>
#include <string.h>

void patterns_init(struct patterns *patterns, uint32_t max)
{
    assert(max > 0);
    *patterns = (struct patterns){.newest = TABLE_NONE, .oldest = TABLE_NONE};
    table_init(&patterns->table, sizeof(struct pattern), SIGNATURE_BYTES - 1, max);
}

void patterns_clear(struct patterns *patterns)
{
    table_clear(&patterns->table);
    patterns->newest = patterns->oldest = TABLE_NONE;
}

static void unlink_pattern(struct patterns *patterns, struct pattern *pattern)
{
    struct table *table = &patterns->table;

    if (pattern->newer != TABLE_NONE)
        ((struct pattern *)table_at(table, pattern->newer))->older = pattern->older;
    else
        patterns->newest = pattern->older;
    if (pattern->older != TABLE_NONE)
        ((struct pattern *)table_at(table, pattern->older))->newer = pattern->newer;
    else
        patterns->oldest = pattern->newer;
}

static void link_newest(struct patterns *patterns, struct pattern *pattern)
{
    uint32_t cell = table_cell_of(&patterns->table, pattern);

    pattern->newer = TABLE_NONE;
    pattern->older = patterns->newest;
    if (patterns->newest != TABLE_NONE)
        ((struct pattern *)table_at(&patterns->table, patterns->newest))->newer = cell;
    else
        patterns->oldest = cell;
    patterns->newest = cell;
}

static void drop_oldest(struct patterns *patterns)
{
    struct pattern *pattern = table_at(&patterns->table, patterns->oldest);

    unlink_pattern(patterns, pattern);
    table_remove(&patterns->table, pattern);
}

void patterns_empty(struct patterns *patterns)
{
    while (patterns->oldest != TABLE_NONE)
        drop_oldest(patterns);
    assert(patterns->table.count == 0);
    patterns->dropped = 0;
}

struct pattern *patterns_find(const struct patterns *patterns, const struct signature *signature)
{
    return table_find(&patterns->table, signature->text);
}

void patterns_see(struct patterns *patterns, struct pattern *pattern, int64_t time_ns)
{
    pattern->count++;
    if (time_ns < pattern->first_seen_ns)
        pattern->first_seen_ns = time_ns;
    if (time_ns > pattern->last_seen_ns)
        pattern->last_seen_ns = time_ns;
    if (pattern->newer != TABLE_NONE) {
        unlink_pattern(patterns, pattern);
        link_newest(patterns, pattern);
    }
}

int patterns_add(struct patterns *patterns, const struct signature *signature, const char *fingerprint, int64_t time_ns)
{
    bool is_new;
    int error;

    if (patterns->table.count == patterns->table.max) {
        drop_oldest(patterns);
        patterns->dropped++;
    }
    struct pattern *pattern = table_add(&patterns->table, signature->text, &is_new, &error);
    if (!pattern)
        return error;
    assert(is_new);
    *pattern = (struct pattern){.count = 1,
                                .first_seen_ns = time_ns,
                                .last_seen_ns = time_ns,
                                .type_length = signature->type_length,
                                .endpoint_length = signature->endpoint_length};
    memcpy(pattern->fingerprint, fingerprint, sizeof pattern->fingerprint);
    link_newest(patterns, pattern);
    return 0;
}
