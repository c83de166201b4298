#include "trackers/errors_patterns.h"

#include <assert.h>
#include <string.h>

#include "trackers/redact.h"

void patterns_init(struct patterns *patterns, uint32_t max, uint32_t threshold)
{
    assert(max > 0);
    *patterns = (struct patterns){.threshold = threshold};
    table_order_init(&patterns->order);
    table_init(&patterns->table, sizeof(struct pattern), SIGNATURE_BYTES - 1, max);
}

void patterns_clear(struct patterns *patterns)
{
    table_clear(&patterns->table);
    table_order_init(&patterns->order);
}

static void drop(struct patterns *patterns, struct pattern *pattern)
{
    table_order_remove(&patterns->order, &patterns->table, &pattern->link);
    table_remove(&patterns->table, pattern);
}

static void drop_oldest(struct patterns *patterns)
{
    drop(patterns, table_at(&patterns->table, patterns->order.oldest));
}

void patterns_empty(struct patterns *patterns)
{
    while (patterns->order.count > 0)
        drop_oldest(patterns);
    assert(patterns->table.count == 0);
    patterns->dropped = 0;
}

uint32_t patterns_forget(struct patterns *patterns, int64_t seen_before_ns)
{
    uint32_t before = patterns->table.count;

    for (uint32_t cell = 0; cell < patterns->table.used; cell++) {
        struct pattern *pattern = table_at(&patterns->table, cell);
        if (pattern && pattern->last_seen_ns < seen_before_ns)
            drop(patterns, pattern);
    }
    return before - patterns->table.count;
}

struct pattern *patterns_find(const struct patterns *patterns, const struct signature *signature)
{
    return table_find_name(&patterns->table, &signature->name);
}

struct pattern_texts pattern_texts_of(const struct patterns *patterns, const struct pattern *pattern)
{
    uint32_t length;
    struct pattern_texts texts = {.type = table_key(&patterns->table, pattern, &length),
                                  .type_length = pattern->type_length,
                                  .endpoint_length = pattern->endpoint_length};

    texts.endpoint = texts.type + texts.type_length + 1;
    texts.normalized = texts.endpoint + texts.endpoint_length + 1;
    assert(texts.normalized <= texts.type + length);
    texts.normalized_length = (size_t)(texts.type + length - texts.normalized);
    return texts;
}

/* --- What it has met --- */

static void see_model(struct pattern *pattern, uint32_t model)
{
    for (unsigned i = 0; i < pattern->models_count; i++) {
        if (pattern->models[i] == model)
            return;
    }
    if (pattern->models_count < PATTERN_MODELS_MAX)
        pattern->models[pattern->models_count++] = model;
    else
        pattern->has_more_models = true;
}

static void see_user(struct pattern *pattern, uint64_t user)
{
    if (user == 0 || pattern->has_more_users)
        return;
    unsigned place = user % PATTERN_USERS_MAX;
    for (unsigned looked = 0; looked < PATTERN_USERS_MAX; looked++, place = (place + 1) % PATTERN_USERS_MAX) {
        if (pattern->users[place] == user)
            return;
        if (pattern->users[place] == 0) {
            pattern->users[place] = user;
            pattern->users_count++;
            return;
        }
    }
    pattern->has_more_users = true;
}

static void see_request(struct pattern *pattern, uint64_t request, const char *id)
{
    if (request == 0)
        return;
    for (unsigned i = 0; i < pattern->ids_count; i++) {
        if (pattern->id_hashes[i] == request)
            return;
    }
    pattern->id_hashes[pattern->ids_next] = request;
    memcpy(pattern->ids[pattern->ids_next], id, strlen(id) + 1);
    pattern->ids_next = (uint8_t)((pattern->ids_next + 1) % PATTERN_IDS_MAX);
    if (pattern->ids_count < PATTERN_IDS_MAX)
        pattern->ids_count++;
}

/* --- Telling --- */

static void put_text(char *to, const char *text, size_t length)
{
    memcpy(to, text, length);
    to[length] = '\0';
    redact_secrets(to);
}

static void tell(const struct patterns *patterns, struct pattern *pattern, int64_t time_ns, struct findings *findings)
{
    struct pattern_texts texts = pattern_texts_of(patterns, pattern);
    tbus_finding_t *finding = findings_add(findings);

    if (!finding)
        return;
    pattern->told = true;
    finding->kind = TBUS_FINDING_PATTERN;
    finding->time_ns = time_ns;
    finding->count = pattern->count;
    memcpy(finding->fingerprint, pattern->fingerprint, sizeof finding->fingerprint);
    put_text(finding->type, texts.type, texts.type_length);
    put_text(finding->endpoint, texts.endpoint, texts.endpoint_length);
}

void patterns_tell(struct patterns *patterns, struct findings *findings)
{
    for (uint32_t cell = 0; cell < patterns->table.used; cell++) {
        struct pattern *pattern = table_at(&patterns->table, cell);
        if (pattern && !pattern->told && pattern->count >= patterns->threshold)
            tell(patterns, pattern, pattern->last_seen_ns, findings);
    }
}

/* There may be two with one fingerprint, of 32 bits: both are then told again, rather than neither. */
void patterns_untell(struct patterns *patterns, const tbus_finding_t *finding)
{
    for (uint32_t cell = 0; cell < patterns->table.used; cell++) {
        struct pattern *pattern = table_at(&patterns->table, cell);
        if (pattern && strcmp(pattern->fingerprint, finding->fingerprint) == 0)
            pattern->told = false;
    }
}

void patterns_see(struct patterns *patterns, struct pattern *pattern, const struct sighting *sighting,
                  struct findings *findings)
{
    pattern->count++;
    if (sighting->time_ns < pattern->first_seen_ns || pattern->count == 1)
        pattern->first_seen_ns = sighting->time_ns;
    if (sighting->time_ns > pattern->last_seen_ns || pattern->count == 1)
        pattern->last_seen_ns = sighting->time_ns;
    see_model(pattern, sighting->model);
    see_user(pattern, sighting->user);
    see_request(pattern, sighting->request, sighting->request_id);
    if (pattern->link.newer != TABLE_NONE) {
        table_order_remove(&patterns->order, &patterns->table, &pattern->link);
        table_order_append(&patterns->order, &patterns->table, &pattern->link);
    }
    if (pattern->count == patterns->threshold)
        tell(patterns, pattern, sighting->time_ns, findings);
}

struct pattern *patterns_add(struct patterns *patterns, const struct signature *signature, const char *fingerprint)
{
    bool is_new;
    int error;

    if (patterns->table.count == patterns->table.max) {
        drop_oldest(patterns);
        patterns->dropped++;
    }
    struct pattern *pattern = table_add_name(&patterns->table, &signature->name, &is_new, &error);
    if (!pattern)
        return NULL;
    assert(is_new);
    pattern->type_length = signature->type_length;
    pattern->endpoint_length = signature->endpoint_length;
    memcpy(pattern->fingerprint, fingerprint, sizeof pattern->fingerprint);
    table_order_append(&patterns->order, &patterns->table, &pattern->link);
    return pattern;
}
