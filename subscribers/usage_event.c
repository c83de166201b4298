#include "subscribers/usage_event.h"

#include <string.h>

#define TEXT(name)                                                                                                     \
    {                                                                                                                  \
#name, TBUS_KIND_STRING, offsetof(tbus_usage_priced_t, name), 0                                                \
    }
#define NUMBER(name)                                                                                                   \
    {                                                                                                                  \
#name, TBUS_KIND_INT, offsetof(tbus_usage_priced_t, name), 0                                                   \
    }
#define FLAG(name)                                                                                                     \
    {                                                                                                                  \
#name, TBUS_KIND_BOOL, offsetof(tbus_usage_priced_t, name), 0                                                  \
    }
#define WORD(name, i)                                                                                                  \
    {                                                                                                                  \
#name "_" #i, TBUS_KIND_INT, offsetof(tbus_usage_priced_t, name) + 8 * (i), 0                                  \
    }
/* The low half has no sign; as an integer of JSON its bits are read with one. */
#define MONEY(name)                                                                                                    \
    {#name "_high", TBUS_KIND_INT, offsetof(tbus_usage_priced_t, name.high), 0},                                       \
    {                                                                                                                  \
#name "_low", TBUS_KIND_INT, offsetof(tbus_usage_priced_t, name.low), 0                                        \
    }

static const tbus_field_t fields[] = {NUMBER(event_id),
                                      TEXT(model),
                                      TEXT(endpoint),
                                      TEXT(key_redacted),
                                      WORD(key_sha256, 0),
                                      WORD(key_sha256, 1),
                                      WORD(key_sha256, 2),
                                      WORD(key_sha256, 3),
                                      NUMBER(input_tokens),
                                      NUMBER(cache_read_tokens),
                                      NUMBER(cache_write_tokens),
                                      NUMBER(output_tokens),
                                      NUMBER(reasoning_tokens),
                                      NUMBER(images),
                                      NUMBER(characters),
                                      MONEY(cost),
                                      MONEY(cache_savings),
                                      MONEY(batch_savings),
                                      FLAG(batch),
                                      FLAG(estimated),
                                      FLAG(unpriced),
                                      FLAG(retracted)};

static const tbus_type_t usage_priced = {.topic = TBUS_USAGE_PRICED,
                                         .delivery = TBUS_CLASS_VITAL,
                                         .size_bytes = sizeof(tbus_usage_priced_t),
                                         .fields_count = sizeof fields / sizeof *fields,
                                         .fields = fields};

static bool is_ours(const tbus_type_t *type)
{
    if (strcmp(type->topic, usage_priced.topic) != 0 || type->delivery != usage_priced.delivery ||
        type->size_bytes != usage_priced.size_bytes || type->fields_count != usage_priced.fields_count)
        return false;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (strcmp(type->fields[i].name, fields[i].name) != 0 || type->fields[i].kind != fields[i].kind ||
            type->fields[i].offset != fields[i].offset)
            return false;
    }
    return true;
}

int tbus_usage_events_enable(tbus_t *bus, uint32_t *ret_type)
{
    uint32_t number = TBUS_TYPE_NONE;

    if (!bus)
        return UV_EINVAL;
    int error = tbus_type_register(bus, &usage_priced, &number);
    if (error == UV_EEXIST) {
        number = tbus_type_number(bus, usage_priced.topic);
        error = is_ours(tbus_type_of(bus, number)) ? 0 : UV_EEXIST;
    }
    if (!error && ret_type)
        *ret_type = number;
    return error;
}

/* --- From the event --- */

static const char *or_none(const char *text)
{
    return text ? text : "";
}

static void bytes_of_words(const int64_t words[4], unsigned char digest[TBUS_KEY_DIGEST_BYTES])
{
    for (int i = 0; i < TBUS_KEY_DIGEST_BYTES; i++)
        digest[i] = (unsigned char)((uint64_t)words[i / 8] >> (56 - 8 * (i % 8)));
}

static void words_of_bytes(const unsigned char digest[TBUS_KEY_DIGEST_BYTES], int64_t words[4])
{
    uint64_t word = 0;
    for (int i = 0; i < TBUS_KEY_DIGEST_BYTES; i++) {
        word = word << 8 | digest[i];
        if (i % 8 == 7)
            words[i / 8] = (int64_t)word;
    }
}

/* Events come from journals and hosts too. Savings may be below 0: a cache can cost more than it saves. */
static bool is_sound(const tbus_usage_priced_t *priced)
{
    return (priced->event_id | priced->input_tokens | priced->cache_read_tokens | priced->cache_write_tokens |
            priced->output_tokens | priced->reasoning_tokens | priced->images | priced->characters |
            priced->cost.high) >= 0;
}

int tbus_usage_of_event(const tbus_t *bus, const tbus_event_t *event, tbus_usage_record_t *ret_record)
{
    const tbus_usage_priced_t *priced = (const tbus_usage_priced_t *)(const void *)event;
    const tbus_type_t *type = bus && event && ret_record ? tbus_type_of(bus, event->type) : NULL;

    if (!type || !is_ours(type) || !is_sound(priced))
        return UV_EINVAL;
    *ret_record = (tbus_usage_record_t){.event_id = (uint64_t)priced->event_id,
                                        .time_ns = event->time_ns,
                                        .request_id = or_none(event->request_id),
                                        .user_id = or_none(event->user_id),
                                        .project_id = or_none(event->project_id),
                                        .model = or_none(priced->model),
                                        .endpoint = or_none(priced->endpoint),
                                        .api_key = or_none(priced->key_redacted),
                                        .input_tokens = priced->input_tokens,
                                        .cache_read_tokens = priced->cache_read_tokens,
                                        .cache_write_tokens = priced->cache_write_tokens,
                                        .output_tokens = priced->output_tokens,
                                        .reasoning_tokens = priced->reasoning_tokens,
                                        .images = priced->images,
                                        .characters = priced->characters,
                                        .cost = priced->cost,
                                        .cache_savings = priced->cache_savings,
                                        .batch_savings = priced->batch_savings,
                                        .batch = priced->batch,
                                        .estimated = priced->estimated,
                                        .unpriced = priced->unpriced,
                                        .retracted = priced->retracted};
    bytes_of_words(priced->key_sha256, ret_record->key_digest);
    return 0;
}

/* --- To the event --- */

bool usage_event_is_wanted(struct usage_event *event)
{
    const tbus_type_t *type;
    while (event->type == TBUS_TYPE_NONE && (type = tbus_type_of(event->bus, event->next_type))) {
        if (is_ours(type))
            event->type = event->next_type;
        event->next_type++;
    }
    return event->type != TBUS_TYPE_NONE;
}

int usage_event_publish(const struct usage_event *event, const tbus_usage_record_t *record, const char *api_key)
{
    tbus_usage_priced_t priced = {.base = {.type = event->type,
                                           .time_ns = record->time_ns,
                                           .request_id = record->request_id,
                                           .api_key = api_key,
                                           .user_id = record->user_id,
                                           .project_id = record->project_id},
                                  .event_id = (int64_t)record->event_id,
                                  .model = record->model,
                                  .endpoint = record->endpoint,
                                  .key_redacted = record->api_key,
                                  .input_tokens = record->input_tokens,
                                  .cache_read_tokens = record->cache_read_tokens,
                                  .cache_write_tokens = record->cache_write_tokens,
                                  .output_tokens = record->output_tokens,
                                  .reasoning_tokens = record->reasoning_tokens,
                                  .images = record->images,
                                  .characters = record->characters,
                                  .cost = record->cost,
                                  .cache_savings = record->cache_savings,
                                  .batch_savings = record->batch_savings,
                                  .batch = record->batch,
                                  .estimated = record->estimated,
                                  .unpriced = record->unpriced,
                                  .retracted = record->retracted};
    words_of_bytes(record->key_digest, priced.key_sha256);
    return tbus_publish(event->bus, &priced.base);
}
