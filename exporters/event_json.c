/* Events as JSON, both ways. There is no code for a type here: both directions (the one to JSON is json_line.c) walk
 * the field descriptors, so that a line added to the catalogue is told in JSON from then on.
 *
 * A few types have a field of the same name as one of the base (user_id of usage.recorded). In JSON that is one key: it
 * is read into both. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/json.h>

#if TBUS_WITH_JSON

#include <jansson.h>

#include "exporters/json_line.h"
#include "trackers/utf8.h"

/* --- Event to JSON --- */

int tbus_event_to_json(const tbus_t *bus, const tbus_event_t *event, char **ret_text)
{
    const tbus_type_t *type = event ? tbus_type_of(bus, event->type) : NULL;
    if (!type || !ret_text)
        return UV_EINVAL;
    size_t length = json_line(type, event, JSON_SECRETS_SHOWN, NULL, 0);
    char *text = tbus_mem_alloc(length + 1);
    if (!text)
        return UV_ENOMEM;
    json_line(type, event, JSON_SECRETS_SHOWN, text, length);
    *ret_text = text;
    return 0;
}

/* --- JSON to event --- */

struct decoder {
    const json_t *object;
    const tbus_type_t *type;
    tbus_event_t *event; /* `type->size_bytes` of memory */
    char *why;           /* may be NULL */
    size_t why_bytes;
};

/* Says why, and returns UV_EINVAL. What does not fit is cut between two characters; what a terminal might obey is
 * shown as '?', for the sentence may quote the text. */
__attribute__((format(printf, 2, 3))) static int refuse(struct decoder *decoder, const char *format, ...)
{
    char *why = decoder->why;
    if (!why || decoder->why_bytes == 0)
        return UV_EINVAL;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(why, decoder->why_bytes, format, args);
    va_end(args);
    size_t end = strlen(why);
    if (wanted > 0 && (size_t)wanted > end) {
        while (end > 0 && ((unsigned char)why[end - 1] & 0xC0) == 0x80)
            end--;
        if (end > 0 && (unsigned char)why[end - 1] >= 0xC0)
            end--;
        why[end] = '\0';
    }
    unsigned length;
    for (char *s = why; *s; s += length) {
        length = utf8_length(s);
        if (length == 0 || (unsigned char)*s < 0x20 || *s == 0x7F) {
            *s = '?';
            length = 1;
        }
    }
    return UV_EINVAL;
}

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int refuse_kind(struct decoder *decoder, const char *name, const char *wanted, const json_t *got)
{
    return refuse(decoder, "field '%s' wants %s, got %s", name, wanted, kind_of(got));
}

static int read_int(struct decoder *decoder, const char *name, const json_t *value, int64_t *ret)
{
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return 0;
    }
    if (!json_is_real(value))
        return refuse_kind(decoder, name, "a number", value);
    double number = json_real_value(value);
    if (number != floor(number))
        return refuse(decoder, "field '%s' wants a whole number, got %.17g", name, number);
    if (number < -0x1p63 || number >= 0x1p63)
        return refuse(decoder, "field '%s' wants a number that fits into 64 bits, got %.17g", name, number);
    *ret = (int64_t)number;
    return 0;
}

static int read_list(struct decoder *decoder, const tbus_field_t *field, const json_t *value)
{
    if (!json_is_array(value))
        return refuse_kind(decoder, field->name, "a list of strings", value);
    size_t count = json_array_size(value);
    if (count == 0)
        return 0;
    const char **strings = tbus_mem_alloc(count * sizeof *strings);
    if (!strings)
        return UV_ENOMEM;
    /* The event owns the list from here on: see decoder_close(). */
    *(const char ***)((char *)decoder->event + field->offset) = strings;
    *(int64_t *)((char *)decoder->event + field->count_offset) = (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(value, i);
        if (!json_is_string(entry))
            return refuse(decoder, "field '%s' wants a list of strings, got %s in it", field->name, kind_of(entry));
        strings[i] = json_string_value(entry);
    }
    return 0;
}

static int read_field(struct decoder *decoder, const tbus_field_t *field)
{
    void *at = (char *)decoder->event + field->offset;
    const json_t *value = json_object_get(decoder->object, field->name);
    if (!value || json_is_null(value)) {
        if (field->kind == TBUS_KIND_DOUBLE)
            *(double *)at = NAN;
        return 0;
    }
    switch (field->kind) {
    case TBUS_KIND_STRING:
        if (!json_is_string(value))
            return refuse_kind(decoder, field->name, "a string", value);
        *(const char **)at = json_string_value(value);
        return 0;
    case TBUS_KIND_INT:
        return read_int(decoder, field->name, value, at);
    case TBUS_KIND_DOUBLE:
        if (!json_is_number(value))
            return refuse_kind(decoder, field->name, "a number", value);
        *(double *)at = json_number_value(value);
        return 0;
    case TBUS_KIND_BOOL:
        if (!json_is_boolean(value))
            return refuse_kind(decoder, field->name, "true or false", value);
        *(bool *)at = json_is_true(value);
        return 0;
    case TBUS_KIND_LIST:
        return read_list(decoder, field, value);
    }
    return 0;
}

static int read_metadata(struct decoder *decoder)
{
    json_t *pairs = json_object_get(decoder->object, "metadata");
    if (!pairs || json_is_null(pairs))
        return 0;
    if (!json_is_object(pairs))
        return refuse_kind(decoder, "metadata", "an object of strings", pairs);
    tbus_pair_t *kept = tbus_mem_alloc(json_object_size(pairs) * sizeof *kept);
    if (!kept)
        return UV_ENOMEM;
    decoder->event->metadata = kept;
    const char *key;
    json_t *value;
    json_object_foreach(pairs, key, value)
    {
        if (!json_is_string(value))
            return refuse(decoder, "metadata '%s' wants a string, got %s", key, kind_of(value));
        kept[decoder->event->metadata_count++] = (tbus_pair_t){.key = key, .value = json_string_value(value)};
    }
    return 0;
}

/* Finds the type and makes its struct. */
static int decoder_open(struct decoder *decoder, const tbus_t *bus)
{
    if (!json_is_object(decoder->object))
        return refuse(decoder, "an event is an object, got %s", kind_of(decoder->object));
    const json_t *topic = json_object_get(decoder->object, "type");
    if (!topic)
        return refuse(decoder, "the object has no 'type'");
    if (!json_is_string(topic))
        return refuse_kind(decoder, "type", "a string", topic);
    uint32_t type = tbus_type_number(bus, json_string_value(topic));
    if (type == TBUS_TYPE_NONE)
        return refuse(decoder, "there is no event type '%s'", json_string_value(topic));
    decoder->type = tbus_type_of(bus, type);
    decoder->event = tbus_mem_alloc(decoder->type->size_bytes);
    if (!decoder->event)
        return UV_ENOMEM;
    decoder->event->type = type;
    return 0;
}

static bool is_among(const char *name, const tbus_field_t *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Refuses a name that the type does not have. */
static int check_names(struct decoder *decoder)
{
    const tbus_type_t *type = decoder->type;
    uint32_t base_count;
    const tbus_field_t *base = tbus_base_fields(&base_count);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)decoder->object, name, value)
    {
        bool is_known = strcmp(name, "type") == 0 || strcmp(name, "id") == 0 || strcmp(name, "metadata") == 0 ||
                        is_among(name, type->fields, type->fields_count) || is_among(name, base, base_count);
        if (!is_known)
            return refuse(decoder, "event type '%s' has no field '%s'", type->topic, name);
    }
    return 0;
}

static int decoder_read(struct decoder *decoder)
{
    uint32_t base_count;
    const tbus_field_t *base = tbus_base_fields(&base_count);
    int error = 0;
    for (uint32_t i = 0; i < base_count && !error; i++)
        error = read_field(decoder, &base[i]);
    for (uint32_t i = 0; i < decoder->type->fields_count && !error; i++)
        error = read_field(decoder, &decoder->type->fields[i]);
    return error ? error : read_metadata(decoder);
}

static void decoder_close(struct decoder *decoder)
{
    if (!decoder->event)
        return;
    for (uint32_t i = 0; i < decoder->type->fields_count; i++) {
        const tbus_field_t *field = &decoder->type->fields[i];
        if (field->kind == TBUS_KIND_LIST)
            tbus_mem_free(*(void **)((char *)decoder->event + field->offset));
    }
    tbus_mem_free((void *)decoder->event->metadata);
    tbus_mem_free(decoder->event);
}

static int refuse_text(struct decoder *decoder, const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_out_of_memory:
        return UV_ENOMEM;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return refuse(decoder, "not an event: a string with \\u0000 in it, which no string of an event can hold");
    case json_error_stack_overflow:
        return refuse(decoder, "not an event: nested too deeply");
    default:
        return refuse(decoder, "not JSON: %s (byte %d)", error->text, error->position);
    }
}

static int publish_json(tbus_t *bus, const char *text, size_t length, bool strict, char *why, size_t why_bytes)
{
    struct decoder decoder = {.why = why, .why_bytes = why_bytes};
    if (!bus || !text)
        return refuse(&decoder, "no %s given", bus ? "text" : "bus");
    if (length == 0)
        return refuse(&decoder, "not JSON: the text is empty");
    json_error_t syntax;
    json_t *object = json_loadb(text, length, strict ? JSON_REJECT_DUPLICATES : 0, &syntax);
    if (!object)
        return refuse_text(&decoder, &syntax);
    decoder.object = object;
    int error = decoder_open(&decoder, bus);
    if (!error && strict)
        error = check_names(&decoder);
    if (!error)
        error = decoder_read(&decoder);
    if (!error)
        error = tbus_publish(bus, decoder.event);
    decoder_close(&decoder);
    json_decref(object);
    return error;
}

int tbus_publish_json(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes)
{
    return publish_json(bus, text, length, false, why, why_bytes);
}

int tbus_publish_json_strict(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes)
{
    return publish_json(bus, text, length, true, why, why_bytes);
}

#else

int tbus_event_to_json(const tbus_t *bus, const tbus_event_t *event, char **ret_text)
{
    (void)bus;
    (void)event;
    (void)ret_text;
    return UV_ENOTSUP;
}

int tbus_publish_json(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes)
{
    (void)bus;
    (void)text;
    (void)length;
    if (why && why_bytes > 0)
        snprintf(why, why_bytes, "this tallybus was built without JSON");
    return UV_ENOTSUP;
}

int tbus_publish_json_strict(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes)
{
    return tbus_publish_json(bus, text, length, why, why_bytes);
}

#endif
