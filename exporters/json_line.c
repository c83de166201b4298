#include "exporters/json_line.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include <tallybus/cost.h>

#include "exporters/digits.h"
#include "exporters/span.h"
#include "trackers/redact.h"
#include "trackers/utf8.h"

/* --- Values --- */

static void add_escape(struct span *to, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *letter = byte ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", byte) : NULL;
    char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    if (letter)
        escape[1] = letter[1];
    span_add(to, escape, letter ? 2 : sizeof escape);
}

void json_add_escaped(struct span *to, const char *text, const char *end)
{
    const char *plain = text; /* what has been looked at and not yet added */
    while (text < end) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
            text++;
            continue;
        }
        unsigned length = byte < 0x80 ? 0 : utf8_length(text);
        if (length == 0) {
            span_add(to, plain, (size_t)(text - plain));
            if (byte < 0x80)
                add_escape(to, byte);
            else
                span_add(to, UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT - 1);
            plain = text + 1;
        }
        text += length ? length : 1;
    }
    assert(text == end);
    span_add(to, plain, (size_t)(end - plain));
}

void json_add_string(struct span *to, const char *text)
{
    span_add_char(to, '"');
    json_add_escaped(to, text, text + strlen(text));
    span_add_char(to, '"');
}

/* Secrets begin behind and end before ASCII, so no character is taken apart. */
static void add_masked(struct span *to, const char *text)
{
    const char *begin, *end;
    span_add_char(to, '"');
    while (redact_find(text, &begin, &end)) {
        json_add_escaped(to, text, begin);
        span_add_char(to, '*');
        text = end;
    }
    json_add_escaped(to, text, text + strlen(text));
    span_add_char(to, '"');
}

/* With a point or an exponent, so that whoever reads it knows it for a double. */
static void add_double(struct span *to, double number)
{
    char digits[DIGITS_BYTES];
    size_t length = digits_of_double(number, digits);
    span_add(to, digits, length);
    if (!memchr(digits, '.', length) && !memchr(digits, 'e', length))
        span_add(to, ".0", 2);
}

static void add_list(struct span *to, const char *const *strings, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        span_add_char(to, i == 0 ? '[' : ',');
        json_add_string(to, strings[i] ? strings[i] : "");
    }
    span_add_char(to, ']');
}

/* --- Fields --- */

static int64_t count_of(const tbus_event_t *event, const tbus_field_t *field)
{
    return *(const int64_t *)((const char *)event + field->count_offset);
}

static bool is_present(const tbus_event_t *event, const tbus_field_t *field)
{
    const void *at = (const char *)event + field->offset;
    switch (field->kind) {
    case TBUS_KIND_STRING:
        return *(const char *const *)at != NULL;
    case TBUS_KIND_DOUBLE:
        return isfinite(*(const double *)at);
    case TBUS_KIND_LIST:
        return *(const char *const *const *)at && count_of(event, field) > 0;
    case TBUS_KIND_INT:
    case TBUS_KIND_BOOL:
        break;
    }
    return true;
}

/* Texts that people wrote and that may quote a key. Names that things are told apart by are left alone, for what is
 * read back must keep them apart. */
static bool may_quote_secrets(const char *name)
{
    return strcmp(name, "error_message") == 0 || strcmp(name, "stack_trace") == 0 ||
           strcmp(name, "error_signature") == 0;
}

static void add_name(struct span *to, const char *name)
{
    span_add_char(to, ',');
    json_add_string(to, name);
    span_add_char(to, ':');
}

static void add_field(struct span *to, const tbus_event_t *event, const tbus_field_t *field, enum json_secrets secrets)
{
    const void *at = (const char *)event + field->offset;
    if (!is_present(event, field))
        return;
    add_name(to, field->name);
    switch (field->kind) {
    case TBUS_KIND_STRING: {
        const char *text = *(const char *const *)at;
        if (secrets == JSON_SECRETS_MASKED && may_quote_secrets(field->name))
            add_masked(to, text);
        else
            json_add_string(to, text);
        break;
    }
    case TBUS_KIND_INT:
        span_add_int(to, *(const int64_t *)at);
        break;
    case TBUS_KIND_DOUBLE:
        add_double(to, *(const double *)at);
        break;
    case TBUS_KIND_BOOL:
        span_add_text(to, *(const bool *)at ? "true" : "false");
        break;
    case TBUS_KIND_LIST:
        add_list(to, *(const char *const *const *)at, count_of(event, field));
        break;
    }
}

/* Whether the type has a field of the same name (user_id of usage.recorded) that is told instead of the base's. */
static bool is_hidden(const tbus_type_t *type, const tbus_event_t *event, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        if (type->fields[i].name[0] == name[0] && strcmp(type->fields[i].name, name) == 0)
            return is_present(event, &type->fields[i]);
    }
    return false;
}

static void add_base(struct span *to, const tbus_type_t *type, const tbus_event_t *event, enum json_secrets secrets)
{
    uint32_t count;
    const tbus_field_t *fields = tbus_base_fields(&count);
    for (uint32_t i = 0; i < count; i++) {
        const tbus_field_t *field = &fields[i];
        if (!is_present(event, field))
            continue;
        if (field->offset == offsetof(tbus_event_t, api_key) && secrets != JSON_SECRETS_SHOWN) {
            char redacted[TBUS_REDACTED_BYTES];
            add_name(to, field->name);
            json_add_string(to, tbus_redact_key(event->api_key, redacted));
        } else if (!is_hidden(type, event, field->name)) {
            add_field(to, event, field, secrets);
        }
    }
}

static bool is_pair(const tbus_pair_t *pair)
{
    return pair->key && pair->value;
}

/* Of several pairs with one key the last one is told. */
static bool comes_again(const tbus_event_t *event, uint32_t at)
{
    for (uint32_t i = at + 1; i < event->metadata_count; i++) {
        if (is_pair(&event->metadata[i]) && strcmp(event->metadata[i].key, event->metadata[at].key) == 0)
            return true;
    }
    return false;
}

static void add_metadata(struct span *to, const tbus_event_t *event, enum json_secrets secrets)
{
    bool is_open = false;
    for (uint32_t i = 0; event->metadata && i < event->metadata_count; i++) {
        const tbus_pair_t *pair = &event->metadata[i];
        if (!is_pair(pair) || comes_again(event, i))
            continue;
        span_add_text(to, is_open ? "," : ",\"metadata\":{");
        is_open = true;
        json_add_string(to, pair->key);
        span_add_char(to, ':');
        if (secrets == JSON_SECRETS_MASKED)
            add_masked(to, pair->value);
        else
            json_add_string(to, pair->value);
    }
    if (is_open)
        span_add_char(to, '}');
}

size_t json_line(const tbus_type_t *type, const tbus_event_t *event, enum json_secrets secrets, char *line, size_t room)
{
    struct span to = {.bytes = line, .room = room};
    span_add_text(&to, "{\"type\":");
    json_add_string(&to, type->topic);
    if (event->id <= INT64_MAX) { /* no bus gives a larger one, and JSON integers end there */
        add_name(&to, "id");
        span_add_int(&to, (int64_t)event->id);
    }
    add_base(&to, type, event, secrets);
    for (uint32_t i = 0; i < type->fields_count; i++)
        add_field(&to, event, &type->fields[i], secrets);
    add_metadata(&to, event, secrets);
    span_add_char(&to, '}');
    return to.length;
}
