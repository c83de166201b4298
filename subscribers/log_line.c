#include "subscribers/log_line.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include <tallybus/cost.h>

#include "exporters/digits.h"
#include "exporters/span.h"
#include "trackers/redact.h"
#include "trackers/utf8.h"

enum { LIST_SHOWN = 8 };

/* --- Time --- */

static void put_digits(char *at, int64_t number, int count)
{
    for (int i = count - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
}

/* Years are counted from March, so that the day that comes and goes is the last one; 400 years have 146,097 days. The
 * day 0 of the epoch is the day 719,468 of that count. */
static void put_date(char *at, int64_t days)
{
    int64_t count = days + 719468, era = count / 146097, day_of_era = count % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    assert(count > 0); /* 64 bits of nanoseconds begin in 1677 */
    put_digits(at, era * 400 + year_of_era + (month <= 2), 4);
    put_digits(at + 5, month, 2);
    put_digits(at + 8, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

void log_line_time(int64_t time_ns, char text[LOG_LINE_TIME_BYTES])
{
    const int64_t ms_of_day = INT64_C(24) * 60 * 60 * 1000;
    int64_t ms = time_ns / 1000000 - (time_ns % 1000000 < 0);
    int64_t days = ms / ms_of_day - (ms % ms_of_day < 0), rest = ms - days * ms_of_day;
    memcpy(text, "0000-00-00T00:00:00.000Z", LOG_LINE_TIME_BYTES);
    put_date(text, days);
    put_digits(text + 11, rest / 3600000, 2);
    put_digits(text + 14, rest / 60000 % 60, 2);
    put_digits(text + 17, rest / 1000 % 60, 2);
    put_digits(text + 20, rest % 1000, 3);
}

/* --- Strings --- */

static uint32_t point_of(const char *at, unsigned length)
{
    const unsigned char *byte = (const unsigned char *)at;
    uint32_t point = length == 1 ? byte[0] : byte[0] & (0xFFu >> (length + 1));
    for (unsigned i = 1; i < length; i++)
        point = point << 6 | (byte[i] & 0x3F);
    return point;
}

/* Controls of the upper half, marks that turn the direction of a text, separators of lines, and what has no width. */
static bool is_treacherous(uint32_t point)
{
    return (point >= 0x80 && point <= 0xA0) || point == 0xAD || point == 0x61C || point == 0x180E ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF || (point >= 0xFFF9 && point <= 0xFFFB) ||
           point >= 0xE0000;
}

/* Whether it can stand without quotes. */
static bool is_bare(const char *text)
{
    if (!*text)
        return false;
    for (unsigned length; *text; text += length) {
        length = utf8_length(text);
        if (length == 0 || *text == '\x7F' || (*text > 0 && *text <= ' ') || strchr("\"\\=,[]", *text) ||
            is_treacherous(point_of(text, length)))
            return false;
    }
    return true;
}

static void add_hex(struct span *to, const char *kind, uint32_t number, int digits)
{
    span_add_text(to, kind);
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        span_add_char(to, "0123456789abcdef"[number >> shift & 15]);
}

static void add_ascii(struct span *to, char byte)
{
    switch (byte) {
    case '"':
    case '\\':
        span_add_char(to, '\\');
        span_add_char(to, byte);
        break;
    case '\n':
        span_add_text(to, "\\n");
        break;
    case '\r':
        span_add_text(to, "\\r");
        break;
    case '\t':
        span_add_text(to, "\\t");
        break;
    default:
        if ((unsigned char)byte < 0x20 || byte == 0x7F)
            add_hex(to, "\\x", (unsigned char)byte, 2);
        else
            span_add_char(to, byte);
    }
}

static void add_quoted(struct span *to, const char *text)
{
    for (unsigned length; *text; text += length ? length : 1) {
        length = utf8_length(text);
        uint32_t point = length > 1 ? point_of(text, length) : 0;
        if (length == 0)
            add_hex(to, "\\x", (unsigned char)*text, 2);
        else if (length == 1)
            add_ascii(to, *text);
        else if (is_treacherous(point))
            add_hex(to, point > 0xFFFF ? "\\U" : "\\u", point, point > 0xFFFF ? 8 : 4);
        else
            span_add(to, text, length);
    }
}

/* Where to cut so that no character is taken apart. */
static size_t cut_before(const char *text, size_t length)
{
    size_t at = length;
    while (at > 0 && length - at < 3 && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    return utf8_length(text + at) > length - at ? at : length;
}

/* A text, and how many bytes of it are not there. */
static void add_cut(struct span *to, const char *text, size_t left_out)
{
    if (left_out == 0 && is_bare(text)) {
        span_add_text(to, text);
        return;
    }
    span_add_char(to, '"');
    add_quoted(to, text);
    if (left_out > 0) {
        span_add_text(to, "...+");
        span_add_int(to, (int64_t)left_out);
    }
    span_add_char(to, '"');
}

/* Cut first, masked then: of a secret that is cut its beginning is there, by which it is known. */
static void add_string(const struct log_line *line, struct span *to, const char *text)
{
    size_t length = strnlen(text, line->string_max + 1), left_out = 0;
    if (length > line->string_max) {
        size_t kept = cut_before(text, line->string_max);
        left_out = length - kept + strlen(text + length);
        length = kept;
    }
    memcpy(line->scratch, text, length);
    line->scratch[length] = '\0';
    redact_secrets(line->scratch);
    add_cut(to, line->scratch, left_out);
}

/* --- Fields --- */

static void add_name(struct span *to, const char *name)
{
    span_add_char(to, ' ');
    add_cut(to, name, 0); /* a host may call its fields what it likes */
    span_add_char(to, '=');
}

static void add_list(const struct log_line *line, struct span *to, const char *const *strings, int64_t count)
{
    span_add_char(to, '[');
    for (int64_t i = 0; i < count && i < LIST_SHOWN; i++) {
        if (i > 0)
            span_add_char(to, ',');
        add_string(line, to, strings[i] ? strings[i] : "");
    }
    if (count > LIST_SHOWN) {
        span_add_text(to, ",...+");
        span_add_int(to, count - LIST_SHOWN);
    }
    span_add_char(to, ']');
}

static void add_string_field(const struct log_line *line, struct span *to, const char *name, const char *text)
{
    if (!text)
        return;
    add_name(to, name);
    add_string(line, to, text);
}

static void add_number_field(struct span *to, const char *name, double number)
{
    char digits[DIGITS_BYTES];
    if (isnan(number))
        return;
    add_name(to, name);
    span_add(to, digits, digits_of_double(number, digits));
}

static void add_field(const struct log_line *line, struct span *to, const tbus_event_t *event,
                      const tbus_field_t *field)
{
    const void *at = (const char *)event + field->offset;
    switch (field->kind) {
    case TBUS_KIND_STRING:
        add_string_field(line, to, field->name, *(const char *const *)at);
        break;
    case TBUS_KIND_INT:
        if (*(const int64_t *)at != 0) {
            add_name(to, field->name);
            span_add_int(to, *(const int64_t *)at);
        }
        break;
    case TBUS_KIND_DOUBLE:
        add_number_field(to, field->name, *(const double *)at);
        break;
    case TBUS_KIND_BOOL:
        if (*(const bool *)at) {
            add_name(to, field->name);
            span_add_text(to, "true");
        }
        break;
    case TBUS_KIND_LIST: {
        const char *const *strings = *(const char *const *const *)at;
        int64_t count = *(const int64_t *)((const char *)event + field->count_offset);
        if (strings && count > 0) {
            add_name(to, field->name);
            add_list(line, to, strings, count);
        }
        break;
    }
    }
}

/* The struct's own field of this name, where it is a string that is there, is shown instead of the base's. */
static bool is_hidden(const tbus_type_t *type, const tbus_event_t *event, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const tbus_field_t *field = &type->fields[i];
        if (field->kind == TBUS_KIND_STRING && strcmp(field->name, name) == 0)
            return *(const char *const *)(const void *)((const char *)event + field->offset) != NULL;
    }
    return false;
}

static void add_base(const struct log_line *line, struct span *to, const tbus_type_t *type, const tbus_event_t *event)
{
    uint32_t count;
    const tbus_field_t *fields = tbus_base_fields(&count);
    for (uint32_t i = 0; i < count; i++) {
        const tbus_field_t *field = &fields[i];
        if (field->offset == offsetof(tbus_event_t, api_key)) {
            char redacted[TBUS_REDACTED_BYTES];
            if (event->api_key) {
                add_name(to, field->name);
                add_cut(to, tbus_redact_key(event->api_key, redacted), 0);
            }
        } else if (field->kind == TBUS_KIND_STRING && !is_hidden(type, event, field->name)) {
            add_field(line, to, event, field);
        }
    }
}

static void add_metadata(const struct log_line *line, struct span *to, const tbus_event_t *event)
{
    for (uint32_t i = 0; event->metadata && i < event->metadata_count; i++) {
        const tbus_pair_t *pair = &event->metadata[i];
        if (!pair->key || !pair->value)
            continue;
        span_add_text(to, " metadata.");
        add_string(line, to, pair->key);
        span_add_char(to, '=');
        add_string(line, to, pair->value);
    }
}

/* Ends the text, cut where it is too long. */
static size_t finish(const struct log_line *line, const struct span *to)
{
    static const char mark[] = "...";
    size_t length = to->length;
    if (length > to->room) {
        line->text[line->room] = '\0';
        length = cut_before(line->text, line->room - (sizeof mark - 1));
        memcpy(line->text + length, mark, sizeof mark - 1);
        length += sizeof mark - 1;
    }
    line->text[length] = '\0';
    return length;
}

size_t log_line_format(struct log_line *line, const tbus_type_t *type, const tbus_event_t *event)
{
    struct span to = {.bytes = line->text, .room = line->room};
    char time[LOG_LINE_TIME_BYTES];
    log_line_time(event->time_ns, time);
    span_add(&to, time, sizeof time);
    span_add_char(&to, ' ');
    span_add_text(&to, type->topic);
    for (uint32_t i = 0; i < type->fields_count; i++)
        add_field(line, &to, event, &type->fields[i]);
    add_base(line, &to, type, event);
    add_metadata(line, &to, event);
    return finish(line, &to);
}
