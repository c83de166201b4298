/* Events as JSON, both ways. There is no code for a type here: both directions walk the field descriptors, so that a
 * line added to the catalogue is told in JSON from then on.
 *
 * A few types have a field of the same name as one of the base (user_id of usage.recorded). In JSON that is one key: it
 * is written once, from the struct's field where that is present, and read into both. */
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/json.h>

#if TBUS_WITH_JSON

#include <jansson.h>

#include "exporters/utf8.h"

/* --- Text --- */

/* A copy in which each byte that is not UTF-8 is U+FFFD; NULL without memory. */
static char *mended(const char *text)
{
    const size_t replacement_bytes = sizeof UTF8_REPLACEMENT - 1;
    size_t bytes = 1;
    for (const char *s = text; *s;) {
        unsigned length = utf8_length(s);
        s += length ? length : 1;
        bytes += length ? length : replacement_bytes;
    }
    char *copy = tbus_mem_alloc(bytes), *to = copy;
    for (const char *s = text; copy && *s;) {
        unsigned length = utf8_length(s);
        size_t taken = length ? length : replacement_bytes;
        memcpy(to, length ? s : UTF8_REPLACEMENT, taken);
        s += length ? length : 1;
        to += taken;
    }
    assert(!copy || to + 1 == copy + bytes);
    return copy;
}

/* A JSON string; NULL without memory. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text); /* refuses what is not UTF-8 */
    if (value)
        return value;
    char *copy = mended(text);
    if (copy)
        value = json_string(copy);
    tbus_mem_free(copy);
    return value;
}

/* --- Event to JSON --- */

/* Sets a key; takes `value`, whose being NULL means that there was no memory for it. */
static int put(json_t *object, const char *key, json_t *value)
{
    if (!value)
        return UV_ENOMEM;
    json_incref(value);
    int error = json_object_set_new(object, key, value); /* refuses a key that is not UTF-8 */
    if (error) {
        char *copy = mended(key);
        error = copy ? json_object_set(object, copy, value) : -1;
        tbus_mem_free(copy);
    }
    json_decref(value);
    return error ? UV_ENOMEM : 0;
}

static int put_list(json_t *object, const char *key, const char *const *strings, int64_t count)
{
    if (!strings || count <= 0)
        return 0;
    json_t *list = json_array();
    if (!list)
        return UV_ENOMEM;
    for (int64_t i = 0; i < count; i++) {
        if (json_array_append_new(list, text_value(strings[i] ? strings[i] : ""))) {
            json_decref(list);
            return UV_ENOMEM;
        }
    }
    return put(object, key, list);
}

static int put_field(json_t *object, const tbus_event_t *event, const tbus_field_t *field)
{
    const void *at = (const char *)event + field->offset;
    switch (field->kind) {
    case TBUS_KIND_STRING: {
        const char *text = *(const char *const *)at;
        return text ? put(object, field->name, text_value(text)) : 0;
    }
    case TBUS_KIND_INT:
        return put(object, field->name, json_integer(*(const int64_t *)at));
    case TBUS_KIND_DOUBLE: {
        double number = *(const double *)at;
        return isfinite(number) ? put(object, field->name, json_real(number)) : 0;
    }
    case TBUS_KIND_BOOL:
        return put(object, field->name, json_boolean(*(const bool *)at));
    case TBUS_KIND_LIST:
        return put_list(object, field->name, *(const char *const *const *)at,
                        *(const int64_t *)((const char *)event + field->count_offset));
    }
    return 0;
}

static int put_metadata(json_t *object, const tbus_event_t *event)
{
    if (!event->metadata || event->metadata_count == 0)
        return 0;
    json_t *pairs = json_object();
    int error = pairs ? 0 : UV_ENOMEM;
    for (uint32_t i = 0; i < event->metadata_count && !error; i++) {
        const tbus_pair_t *pair = &event->metadata[i];
        if (pair->key && pair->value)
            error = put(pairs, pair->key, text_value(pair->value));
    }
    if (error || json_object_size(pairs) == 0) {
        json_decref(pairs);
        return error;
    }
    return put(object, "metadata", pairs);
}

static int put_event(json_t *object, const tbus_event_t *event, const tbus_type_t *type)
{
    int error = put(object, "type", text_value(type->topic));
    if (!error && event->id <= INT64_MAX) /* no bus gives a larger one, and JSON integers end there */
        error = put(object, "id", json_integer((json_int_t)event->id));
    uint32_t base_count;
    const tbus_field_t *base = tbus_base_fields(&base_count);
    for (uint32_t i = 0; i < base_count && !error; i++)
        error = put_field(object, event, &base[i]);
    for (uint32_t i = 0; i < type->fields_count && !error; i++)
        error = put_field(object, event, &type->fields[i]);
    return error ? error : put_metadata(object, event);
}

/* Text that grows in the library's own memory: what jansson's own json_dumps() returns is from jansson's allocator. */
struct text {
    char *bytes;
    size_t length, room;
};

static int text_append(const char *bytes, size_t length, void *user)
{
    struct text *text = user;
    if (length >= text->room - text->length) {
        size_t room = text->room * 2 + length + 256;
        char *grown = tbus_mem_resize(text->bytes, room);
        if (!grown)
            return -1;
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
    return 0;
}

int tbus_event_to_json(const tbus_t *bus, const tbus_event_t *event, char **ret_text)
{
    const tbus_type_t *type = event ? tbus_type_of(bus, event->type) : NULL;
    if (!type || !ret_text)
        return UV_EINVAL;
    json_t *object = json_object();
    if (!object)
        return UV_ENOMEM;
    struct text text = {0};
    int error = put_event(object, event, type);
    if (!error && json_dump_callback(object, text_append, &text, JSON_COMPACT | JSON_REAL_PRECISION(17)))
        error = UV_ENOMEM;
    json_decref(object);
    if (error) {
        tbus_mem_free(text.bytes);
        return error;
    }
    *ret_text = text.bytes;
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

int tbus_publish_json(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes)
{
    struct decoder decoder = {.why = why, .why_bytes = why_bytes};
    if (!bus || !text)
        return refuse(&decoder, "no %s given", bus ? "text" : "bus");
    if (length == 0)
        return refuse(&decoder, "not JSON: the text is empty");
    json_error_t syntax;
    json_t *object = json_loadb(text, length, 0, &syntax);
    if (!object)
        return refuse_text(&decoder, &syntax);
    decoder.object = object;
    int error = decoder_open(&decoder, bus);
    if (!error)
        error = decoder_read(&decoder);
    if (!error)
        error = tbus_publish(bus, decoder.event);
    decoder_close(&decoder);
    json_decref(object);
    return error;
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

#endif
