#include <tallybus/events.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

Test(types, every_type_is_found_by_its_topic_and_its_fields_lie_within_its_struct)
{
    static const uint32_t bytes_of[] = {[TBUS_KIND_STRING] = sizeof(char *),
                                        [TBUS_KIND_INT] = 8,
                                        [TBUS_KIND_DOUBLE] = 8,
                                        [TBUS_KIND_BOOL] = 1,
                                        [TBUS_KIND_LIST] = sizeof(char *)};
    for (uint32_t number = TBUS_TYPE_NONE + 1; number < TBUS_TYPE_BUILTIN_END; number++) {
        const tbus_type_t *type = tbus_builtin_type(number);
        cr_assert_not_null(type);
        cr_assert_eq(tbus_builtin_type_number(type->topic), number, "%s", type->topic);
        uint32_t end = sizeof(tbus_event_t);
        for (uint32_t i = 0; i < type->fields_count; i++) {
            cr_assert_geq(type->fields[i].offset, end, "%s.%s", type->topic, type->fields[i].name);
            end = type->fields[i].offset + bytes_of[type->fields[i].kind];
            if (type->fields[i].kind == TBUS_KIND_LIST)
                end = type->fields[i].count_offset + 8;
        }
        cr_assert_leq(end, type->size_bytes, "%s", type->topic);
    }
}

Test(types, what_is_no_type_is_not_found)
{
    cr_assert_null(tbus_builtin_type(TBUS_TYPE_NONE));
    cr_assert_null(tbus_builtin_type(TBUS_TYPE_BUILTIN_END));
    cr_assert_null(tbus_builtin_type(UINT32_MAX));
    cr_assert_eq(tbus_builtin_type_number(NULL), (uint32_t)TBUS_TYPE_NONE);
    cr_assert_eq(tbus_builtin_type_number(""), (uint32_t)TBUS_TYPE_NONE);
    cr_assert_eq(tbus_builtin_type_number("stream.startd"), (uint32_t)TBUS_TYPE_NONE);
}

Test(types, an_event_is_seen_as_its_own_struct_only)
{
    tbus_stream_started_t started = {.base = {.type = TBUS_STREAM_STARTED}, .model = "m"};
    cr_assert_eq(tbus_as_stream_started(&started.base), &started);
    cr_assert_null(tbus_as_stream_completed(&started.base));
    cr_assert_null(tbus_as_stream_started(NULL));
}

Test(types, the_base_has_its_fields)
{
    uint32_t count;
    const tbus_field_t *fields = tbus_base_fields(&count);
    cr_assert_eq(count, 5u);
    cr_assert_str_eq(fields[0].name, "time_ns");
    cr_assert_str_eq(fields[4].name, "project_id");
    cr_assert_eq(fields[4].offset, offsetof(tbus_event_t, project_id));
}

/* A field of the catalogue's text: "name kind", kind being s, i, f, b or s[]. */
static void check_field(const tbus_type_t *type, uint32_t index, char *text)
{
    static const struct {
        const char *text;
        tbus_kind_t kind;
    } kinds[] = {{"s", TBUS_KIND_STRING},
                 {"i", TBUS_KIND_INT},
                 {"f", TBUS_KIND_DOUBLE},
                 {"b", TBUS_KIND_BOOL},
                 {"s[]", TBUS_KIND_LIST}};
    char name[64], kind[16];
    cr_assert_eq(sscanf(text, " %63s %15s", name, kind), 2, "%s: '%s'", type->topic, text);
    cr_assert_lt(index, type->fields_count, "%s", type->topic);
    cr_assert_str_eq(type->fields[index].name, name, "%s", type->topic);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].text, kind) == 0) {
            cr_assert_eq(type->fields[index].kind, kinds[i].kind, "%s.%s", type->topic, name);
            return;
        }
    cr_assert_fail("%s.%s: what kind is '%s'?", type->topic, name, kind);
}

/* "tokens i (0 = 1), kind s (content, reasoning)": remarks may hold commas. */
static void drop_remarks(char *text)
{
    int depth = 0;
    char *kept = text;
    for (const char *at = text; *at; at++) {
        depth += *at == '(';
        if (depth == 0)
            *kept++ = *at;
        depth -= *at == ')';
    }
    *kept = '\0';
}

Test(types, the_listing_is_the_catalogue_of_the_design)
{
    FILE *file = fopen(TBUS_SOURCE_DIR "/../shared/design/catalogue.md", "r");
    char line[1024], topic[64], class[8], fields[900];
    uint32_t number = TBUS_TYPE_NONE;
    if (!file)
        cr_skip_test("the design's catalogue is not here");
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "| %63[a-z_.] | %1[VS] | %899[^|\n]", topic, class, fields) != 3)
            continue;
        number++;
        const tbus_type_t *type = tbus_builtin_type(number);
        cr_assert_not_null(type, "%s", topic);
        cr_assert_str_eq(type->topic, topic);
        cr_assert_eq(type->delivery, *class == 'V' ? TBUS_CLASS_VITAL : TBUS_CLASS_SHEDDABLE, "%s", topic);
        drop_remarks(fields);
        uint32_t index = 0;
        for (char *field = strtok(fields, ","); field; field = strtok(NULL, ","))
            if (strcspn(field, "-") == strlen(field))
                check_field(type, index++, field);
        cr_assert_eq(index, type->fields_count, "%s", topic);
    }
    fclose(file);
    cr_assert_eq(number + 1, (uint32_t)TBUS_TYPE_BUILTIN_END);
}
