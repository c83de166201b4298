#include "bus/record.h"

#include <assert.h>
#include <string.h>

void record_layout_of(struct record_layout *layout, const tbus_type_t *type)
{
    static const uint32_t base[] = {offsetof(tbus_event_t, request_id), offsetof(tbus_event_t, api_key),
                                    offsetof(tbus_event_t, user_id), offsetof(tbus_event_t, project_id)};
    assert(type->fields_count <= RECORD_FIELDS_MAX);
    memset(layout, 0, sizeof *layout);
    layout->size_bytes = type->size_bytes;
    layout->delivery = type->delivery;
    for (size_t i = 0; i < sizeof base / sizeof base[0]; i++)
        layout->strings[layout->strings_count++] = base[i];
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const tbus_field_t *field = &type->fields[i];
        if (field->kind == TBUS_KIND_STRING)
            layout->strings[layout->strings_count++] = field->offset;
        else if (field->kind == TBUS_KIND_LIST)
            layout->lists[layout->lists_count++] = field;
    }
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

uint32_t record_cut(const char *string, uint32_t max, uint32_t *cuts)
{
    (*cuts)++;
    for (uint32_t back = 0; back < 4 && back <= max; back++)
        if (!is_continuation(string[max - back]))
            return max - back;
    return max;
}

static uint32_t list_length(const tbus_event_t *event, const tbus_field_t *field)
{
    int64_t count;
    memcpy(&count, (const unsigned char *)event + field->count_offset, sizeof count);
    return !record_string_at(event, field->offset) || count < 0 ? 0
           : count > TBUS_LIST_MAX                              ? TBUS_LIST_MAX
                                                                : (uint32_t)count;
}

static uint32_t pairs_length(const tbus_event_t *event)
{
    uint32_t count = event->metadata ? event->metadata_count : 0;
    return count > TBUS_METADATA_MAX ? TBUS_METADATA_MAX : count;
}

static uint64_t measured(const char *string, struct record_plan *plan)
{
    return string ? (uint64_t)record_fitted_length(string, plan->string_max, &plan->cuts) + 1 : 0;
}

static void measure_lists(struct record_plan *plan)
{
    for (uint32_t i = 0; i < plan->layout->lists_count; i++) {
        const tbus_field_t *field = plan->layout->lists[i];
        const char *const *list = (const char *const *)(const void *)record_string_at(plan->event, field->offset);
        uint32_t count = list_length(plan->event, field);
        int64_t given;
        memcpy(&given, (const unsigned char *)plan->event + field->count_offset, sizeof given);
        if (list && given > count)
            plan->cuts++;
        plan->bytes += count * sizeof(char *);
        for (uint32_t entry = 0; entry < count; entry++)
            plan->bytes += measured(list[entry], plan);
    }
}

static void measure_metadata(struct record_plan *plan)
{
    uint32_t count = pairs_length(plan->event);
    if (plan->event->metadata && plan->event->metadata_count > count)
        plan->cuts++;
    plan->bytes += count * sizeof(tbus_pair_t);
    for (uint32_t i = 0; i < count; i++)
        plan->bytes += measured(plan->event->metadata[i].key, plan) + measured(plan->event->metadata[i].value, plan);
}

void record_measure_more(struct record_plan *plan)
{
    if (plan->layout->lists_count)
        measure_lists(plan);
    if (plan->event->metadata)
        measure_metadata(plan);
}

/* For strings that were measured but whose length was not noted. Should the publisher change them meanwhile, they still
 * stay within the record. */
static unsigned char *write_again(unsigned char *at, const unsigned char *end, const char *string, uint32_t max,
                                  const char **ret_copy)
{
    uint32_t cuts = 0;
    *ret_copy = NULL;
    if (!string || at >= end)
        return at;
    size_t room = (size_t)(end - at) - 1;
    *ret_copy = (const char *)at;
    return record_write_string(at, string, record_fitted_length(string, room < max ? (uint32_t)room : max, &cuts));
}

static unsigned char *write_lists(const struct record_plan *plan, tbus_event_t *copy, unsigned char *arrays,
                                  unsigned char *at, const unsigned char *end)
{
    for (uint32_t i = 0; i < plan->layout->lists_count; i++) {
        const tbus_field_t *field = plan->layout->lists[i];
        const char *const *list = (const char *const *)(const void *)record_string_at(plan->event, field->offset);
        const char **entries = (const char **)(void *)arrays;
        int64_t count = list_length(plan->event, field);
        for (int64_t entry = 0; entry < count; entry++)
            at = write_again(at, end, list[entry], plan->string_max, &entries[entry]);
        record_set_pointer(copy, field->offset, count ? entries : NULL);
        memcpy((unsigned char *)copy + field->count_offset, &count, sizeof count);
        arrays += (size_t)count * sizeof *entries;
    }
    return at;
}

static void write_metadata(const struct record_plan *plan, tbus_event_t *copy, unsigned char *arrays, unsigned char *at,
                           const unsigned char *end)
{
    tbus_pair_t *pairs = (tbus_pair_t *)(void *)arrays;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pairs_length(plan->event); i++) {
        const tbus_pair_t *pair = &plan->event->metadata[i];
        if (!pair->key)
            continue;
        at = write_again(at, end, pair->key, plan->string_max, &pairs[kept].key);
        at = write_again(at, end, pair->value, plan->string_max, &pairs[kept].value);
        kept++;
    }
    copy->metadata = kept ? pairs : NULL;
    copy->metadata_count = kept;
}

unsigned char *record_texts(const struct record_plan *plan, unsigned char *arrays)
{
    for (uint32_t i = 0; i < plan->layout->lists_count; i++)
        arrays += list_length(plan->event, plan->layout->lists[i]) * sizeof(char *);
    if (plan->event->metadata)
        arrays += pairs_length(plan->event) * sizeof(tbus_pair_t);
    return arrays;
}

void record_write_more(const struct record_plan *plan, tbus_event_t *copy, unsigned char *texts)
{
    const struct record_layout *layout = plan->layout;
    unsigned char *arrays = (unsigned char *)copy + record_struct_bytes(layout->size_bytes);
    const unsigned char *end = (unsigned char *)copy + plan->bytes;
    if (layout->lists_count)
        texts = write_lists(plan, copy, arrays, texts, end);
    if (plan->event->metadata) {
        for (uint32_t i = 0; i < layout->lists_count; i++)
            arrays += list_length(plan->event, layout->lists[i]) * sizeof(char *);
        write_metadata(plan, copy, arrays, texts, end);
    }
}
