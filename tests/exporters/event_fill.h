/* Events with a value in every field. */
#ifndef TESTS_EXPORTERS_EVENT_FILL_H
#define TESTS_EXPORTERS_EVENT_FILL_H

#include <stdlib.h>

#include <tallybus.h>

#include "tests/check.h"

/* What a field is given: the member of its kind. */
struct field_value {
    const char *string;
    int64_t number;
    double real;
    bool truth;
    const char *const *list;
    int64_t entries;
};

/* The value of a field: the `nth` of the base, or of the type. */
typedef struct field_value (*field_value_fn)(const tbus_field_t *field, uint32_t nth, void *user);

static inline void event_set(tbus_event_t *event, const tbus_field_t *field, const struct field_value *value)
{
    void *at = (char *)event + field->offset;
    switch (field->kind) {
    case TBUS_KIND_STRING:
        *(const char **)at = value->string;
        break;
    case TBUS_KIND_INT:
        *(int64_t *)at = value->number;
        break;
    case TBUS_KIND_DOUBLE:
        *(double *)at = value->real;
        break;
    case TBUS_KIND_BOOL:
        *(bool *)at = value->truth;
        break;
    case TBUS_KIND_LIST:
        *(const char *const **)at = value->list;
        *(int64_t *)(void *)((char *)event + field->count_offset) = value->entries;
        break;
    }
}

/* An event of a type of the catalogue; to be freed. Its strings and lists stay the caller's. */
static inline tbus_event_t *event_filled(uint32_t number, field_value_fn value_of, void *user)
{
    const tbus_type_t *type = tbus_builtin_type(number);
    uint32_t base_count;
    const tbus_field_t *base = tbus_base_fields(&base_count);
    tbus_event_t *event = calloc(1, type->size_bytes);
    cr_assert_not_null(event);
    event->type = number;
    for (uint32_t i = 0; i < base_count + type->fields_count; i++) {
        const uint32_t nth = i < base_count ? i : i - base_count;
        const tbus_field_t *field = i < base_count ? &base[nth] : &type->fields[nth];
        const struct field_value value = value_of(field, nth, user);
        event_set(event, field, &value);
    }
    return event;
}

#endif
