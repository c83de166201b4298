#include "bus/typetable.h"

#include <assert.h>
#include <string.h>

#include "bus/topic.h"

enum { STRUCT_MAX = 16384 };

int typetable_open(struct typetable *table)
{
    table->builtin = tbus_mem_alloc(TBUS_TYPE_BUILTIN_END * sizeof *table->builtin);
    if (!table->builtin)
        return UV_ENOMEM;
    for (uint32_t number = TBUS_TYPE_NONE + 1; number < TBUS_TYPE_BUILTIN_END; number++) {
        struct bus_type *type = &table->builtin[number];
        type->description = *tbus_builtin_type(number);
        record_layout_of(&type->layout, &type->description);
        atomic_init(&table->types[number], type);
    }
    table->count = TBUS_TYPE_BUILTIN_END;
    return 0;
}

void typetable_close(struct typetable *table)
{
    for (uint32_t number = TBUS_TYPE_NONE + 1; number < table->count; number++) {
        struct bus_type *type = typetable_get(table, number);
        tbus_mem_free(type->last);
        if (number >= TBUS_TYPE_BUILTIN_END)
            tbus_mem_free(type);
    }
    tbus_mem_free(table->builtin);
}

/* --- Descriptions from a host --- */

static uint32_t size_of_kind(tbus_kind_t kind)
{
    switch (kind) {
    case TBUS_KIND_STRING:
    case TBUS_KIND_LIST:
        return sizeof(char *);
    case TBUS_KIND_INT:
    case TBUS_KIND_DOUBLE:
        return 8;
    case TBUS_KIND_BOOL:
        return sizeof(bool);
    }
    return 0;
}

/* As structs align what has this many bytes: on 32-bit x86, 8 bytes stand at multiples of 4. */
static uint32_t alignment_of(uint32_t size)
{
    static_assert(_Alignof(int64_t) == _Alignof(double), "one answer for both");
    return size == 8 ? _Alignof(int64_t) : size;
}

static bool lies_within(const tbus_type_t *type, uint32_t offset, uint32_t size)
{
    return size > 0 && offset >= sizeof(tbus_event_t) && offset % alignment_of(size) == 0 &&
           offset <= type->size_bytes - size;
}

/* Whether two fields share a byte: a list's length written over a pointer would be followed. */
static bool overlap(const tbus_field_t *one, const tbus_field_t *other)
{
    const uint32_t parts_one = one->kind == TBUS_KIND_LIST ? 2 : 1, parts_other = other->kind == TBUS_KIND_LIST ? 2 : 1;
    for (uint32_t i = 0; i < parts_one; i++)
        for (uint32_t j = one == other ? i + 1 : 0; j < parts_other; j++) {
            uint32_t a = i ? one->count_offset : one->offset, a_end = a + (i ? 8 : size_of_kind(one->kind));
            uint32_t b = j ? other->count_offset : other->offset, b_end = b + (j ? 8 : size_of_kind(other->kind));
            if (a < b_end && b < a_end)
                return true;
        }
    return false;
}

static bool name_taken(const tbus_type_t *type, uint32_t index)
{
    static const char *const other[] = {"type", "id", "metadata"};
    const char *name = type->fields[index].name;
    uint32_t count;
    const tbus_field_t *base = tbus_base_fields(&count);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (strcmp(name, other[i]) == 0)
            return true;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(name, base[i].name) == 0)
            return true;
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(name, type->fields[i].name) == 0)
            return true;
    return false;
}

/* Names are UTF-8: two that are not could look the same where they are mended to be shown, as keys and labels. */
static bool valid(const tbus_type_t *type)
{
    if (!type || !topic_pattern_valid(type->topic) || topic_pattern_is_wild(type->topic) ||
        !topic_is_utf8(type->topic) || strcmp(type->topic, TBUS_UNDELIVERED) == 0 ||
        (type->delivery != TBUS_CLASS_VITAL && type->delivery != TBUS_CLASS_SHEDDABLE) ||
        type->size_bytes < sizeof(tbus_event_t) || type->size_bytes > STRUCT_MAX ||
        type->fields_count > TBUS_FIELDS_MAX || (type->fields_count && !type->fields))
        return false;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const tbus_field_t *field = &type->fields[i];
        if (!field->name || !*field->name || strnlen(field->name, TOPIC_MAX + 1) > TOPIC_MAX ||
            !topic_is_utf8(field->name) || name_taken(type, i) ||
            !lies_within(type, field->offset, size_of_kind(field->kind)) ||
            (field->kind == TBUS_KIND_LIST && !lies_within(type, field->count_offset, 8)))
            return false;
        for (uint32_t j = 0; j <= i; j++)
            if (overlap(&type->fields[j], field))
                return false;
    }
    return true;
}

int typetable_copy(const tbus_type_t *type, struct bus_type **ret)
{
    if (!valid(type))
        return UV_EINVAL;
    size_t fields_bytes = type->fields_count * sizeof(tbus_field_t), text_bytes = strlen(type->topic) + 1;
    for (uint32_t i = 0; i < type->fields_count; i++)
        text_bytes += strlen(type->fields[i].name) + 1;
    struct bus_type *copy = tbus_mem_alloc(sizeof *copy + fields_bytes + text_bytes);
    if (!copy)
        return UV_ENOMEM;
    tbus_field_t *fields = (tbus_field_t *)(void *)(copy + 1);
    char *text = (char *)fields + fields_bytes;
    copy->description = *type;
    copy->description.topic = strcpy(text, type->topic);
    copy->description.fields = fields;
    text += strlen(text) + 1;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        fields[i] = type->fields[i];
        fields[i].name = strcpy(text, type->fields[i].name);
        text += strlen(text) + 1;
    }
    record_layout_of(&copy->layout, &copy->description);
    *ret = copy;
    return 0;
}

void typetable_keep(struct bus_type *type, const tbus_event_t *event)
{
    struct record_plan plan;
    record_measure(&plan, &type->layout, event, UINT32_MAX - 1);
    if (plan.bytes > type->last_room) {
        tbus_mem_free(type->last);
        type->last = tbus_mem_alloc(plan.bytes);
        type->last_room = type->last ? plan.bytes : 0;
    }
    if (type->last)
        (void)record_write(&plan, (unsigned char *)type->last);
}

uint32_t typetable_add(struct typetable *table, struct bus_type *type)
{
    uint32_t number = table->count++;
    atomic_store_explicit(&table->types[number], type, memory_order_release);
    return number;
}
