#include "bus/record.h"

#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

enum { STRING_MAX = 64 };

/* An event copied through a record, in memory of exactly the measured size so that a byte too many is found. */
struct copied {
    unsigned char *memory;
    const tbus_event_t *event;
    uint32_t cuts;
};

static struct copied copy_event(uint32_t type, tbus_event_t *event)
{
    struct record_layout layout;
    struct record_plan plan;
    record_layout_of(&layout, tbus_builtin_type(type));
    event->type = type;
    record_measure(&plan, &layout, event, STRING_MAX);
    unsigned char *memory = malloc(plan.bytes);
    cr_assert_not_null(memory);
    return (struct copied){memory, record_write(&plan, memory), plan.cuts};
}

Test(record, numbers_strings_and_absent_strings_are_copied)
{
    char id[] = "8f14e45f-ceea-467f-a0e6-3f1c2b7d9e10";
    tbus_stream_token_generated_t token = {
        .base = {.request_id = "r", .time_ns = 42}, .stream_id = id, .sequence_number = 7, .kind = ""};
    struct copied copied = copy_event(TBUS_STREAM_TOKEN_GENERATED, &token.base);
    memset(id, 'x', sizeof id - 1); /* the copy is its own */
    const tbus_stream_token_generated_t *copy = tbus_as_stream_token_generated(copied.event);
    cr_assert_str_eq(copy->stream_id, "8f14e45f-ceea-467f-a0e6-3f1c2b7d9e10");
    cr_assert_str_eq(copy->base.request_id, "r");
    cr_assert_str_eq(copy->kind, "");
    cr_assert_null(copy->token);
    cr_assert_null(copy->base.api_key);
    cr_assert_eq(copy->sequence_number, 7);
    cr_assert_eq(copy->base.time_ns, 42);
    cr_assert_eq(copied.cuts, 0u);
    free(copied.memory);
}

Test(record, long_strings_are_cut_where_a_character_starts)
{
    static const struct {
        const char *last; /* what stands across the limit */
        size_t kept;
    } cases[] = {{"a", STRING_MAX},
                 {"\xC3\xA4", STRING_MAX - 1},
                 {"\xE2\x82\xAC", STRING_MAX - 1},
                 {"\xF0\x9F\x98\x80", STRING_MAX - 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[STRING_MAX + 16] = {0};
        memset(text, 'a', STRING_MAX - 1);
        strcpy(text + STRING_MAX - 1, cases[i].last);
        strcat(text, "zz");
        tbus_model_selected_t event = {.model_id = text};
        struct copied copied = copy_event(TBUS_MODEL_SELECTED, &event.base);
        const char *copy = tbus_as_model_selected(copied.event)->model_id;
        cr_assert_eq(strlen(copy), cases[i].kept, "case %zu", i);
        cr_assert_eq(memcmp(copy, text, cases[i].kept), 0);
        cr_assert_eq(copied.cuts, 1u);
        free(copied.memory);
    }
}

Test(record, a_string_of_continuation_bytes_and_one_of_10_mb_are_cut_at_the_limit)
{
    size_t length = 10 << 20;
    char *text = malloc(length + 1);
    cr_assert_not_null(text);
    memset(text, '\x80', length);
    text[length] = '\0';
    tbus_model_selected_t event = {.model_id = text};
    struct copied copied = copy_event(TBUS_MODEL_SELECTED, &event.base);
    cr_assert_eq(strlen(tbus_as_model_selected(copied.event)->model_id), (size_t)STRING_MAX);
    free(copied.memory);
    free(text);
}

Test(record, lists_and_metadata_are_copied_deeply)
{
    const char *endpoints[] = {"/v1/a", NULL, "/v1/ccc"};
    tbus_pair_t pairs[] = {{"k1", "v1"}, {NULL, "dropped"}, {"k2", NULL}};
    tbus_error_pattern_detected_t event = {.base = {.metadata = pairs, .metadata_count = 3},
                                           .error_signature = "sig",
                                           .affected_endpoints = endpoints,
                                           .affected_endpoints_count = 3};
    struct copied copied = copy_event(TBUS_ERROR_PATTERN_DETECTED, &event.base);
    const tbus_error_pattern_detected_t *copy = tbus_as_error_pattern_detected(copied.event);
    cr_assert_eq(copy->affected_endpoints_count, 3);
    cr_assert_str_eq(copy->affected_endpoints[0], "/v1/a");
    cr_assert_null(copy->affected_endpoints[1]);
    cr_assert_str_eq(copy->affected_endpoints[2], "/v1/ccc");
    cr_assert_str_eq(copy->error_signature, "sig");
    cr_assert_eq(copy->base.metadata_count, 2u);
    cr_assert_str_eq(copy->base.metadata[0].key, "k1");
    cr_assert_str_eq(copy->base.metadata[0].value, "v1");
    cr_assert_str_eq(copy->base.metadata[1].key, "k2");
    cr_assert_null(copy->base.metadata[1].value);
    free(copied.memory);
}

Test(record, hostile_counts_are_bounded)
{
    static const char *many[TBUS_LIST_MAX + 5];
    static tbus_pair_t pairs[TBUS_METADATA_MAX + 5];
    for (size_t i = 0; i < TBUS_LIST_MAX + 5; i++)
        many[i] = "t";
    for (size_t i = 0; i < TBUS_METADATA_MAX + 5; i++)
        pairs[i] = (tbus_pair_t){"k", "v"};
    tbus_tokens_batch_generated_t event = {.base = {.metadata = pairs, .metadata_count = TBUS_METADATA_MAX + 5},
                                           .tokens = many,
                                           .tokens_count = TBUS_LIST_MAX + 5};
    struct copied copied = copy_event(TBUS_TOKENS_BATCH_GENERATED, &event.base);
    cr_assert_eq(tbus_as_tokens_batch_generated(copied.event)->tokens_count, TBUS_LIST_MAX);
    cr_assert_eq(copied.event->metadata_count, (uint32_t)TBUS_METADATA_MAX);
    cr_assert_eq(copied.cuts, 2u);
    free(copied.memory);

    event.tokens_count = INT64_MIN;
    event.base.metadata = NULL; /* with a count that lies */
    copied = copy_event(TBUS_TOKENS_BATCH_GENERATED, &event.base);
    cr_assert_eq(tbus_as_tokens_batch_generated(copied.event)->tokens_count, 0);
    cr_assert_null(tbus_as_tokens_batch_generated(copied.event)->tokens);
    cr_assert_eq(copied.event->metadata_count, 0u);
    free(copied.memory);

    event.tokens = NULL;
    event.tokens_count = 3;
    copied = copy_event(TBUS_TOKENS_BATCH_GENERATED, &event.base);
    cr_assert_eq(tbus_as_tokens_batch_generated(copied.event)->tokens_count, 0);
    free(copied.memory);
}

static void set_string(void *event, uint32_t offset, const char *string)
{
    memcpy((char *)event + offset, &string, sizeof string);
}

/* Every type, with every string set, then with every other one: what comes out is what went in. */
Test(record, every_type_survives_the_copy)
{
    static const char *const list[] = {"one", "two", ""};
    char value[RECORD_FIELDS_MAX][24];
    for (uint32_t type = TBUS_TYPE_NONE + 1; type < TBUS_TYPE_BUILTIN_END; type++) {
        const tbus_type_t *description = tbus_builtin_type(type);
        for (uint32_t step = 1; step <= 2; step++) {
            _Alignas(8) unsigned char memory[1024] = {0};
            cr_assert_leq(description->size_bytes, sizeof memory);
            for (uint32_t i = 0; i < description->fields_count; i++) {
                const tbus_field_t *field = &description->fields[i];
                snprintf(value[i], sizeof value[i], "%s-%u", description->topic, i);
                if (i % step != 0)
                    continue;
                if (field->kind == TBUS_KIND_STRING)
                    set_string(memory, field->offset, value[i]);
                if (field->kind == TBUS_KIND_INT)
                    memcpy(memory + field->offset, &(int64_t){(int64_t)i * 1000}, 8);
                if (field->kind == TBUS_KIND_LIST) {
                    set_string(memory, field->offset, (const char *)(const void *)list);
                    memcpy(memory + field->count_offset, &(int64_t){3}, 8);
                }
            }
            struct copied copied = copy_event(type, (tbus_event_t *)(void *)memory);
            for (uint32_t i = 0; i < description->fields_count; i++) {
                const tbus_field_t *field = &description->fields[i];
                const unsigned char *at = (const unsigned char *)copied.event + field->offset;
                const char *string;
                int64_t number;
                memcpy(&string, at, sizeof string);
                memcpy(&number, at, sizeof number);
                bool set = i % step == 0;
                if (field->kind == TBUS_KIND_STRING && set)
                    cr_assert_str_eq(string, value[i]);
                if (field->kind == TBUS_KIND_STRING && !set)
                    cr_assert_null(string);
                if (field->kind == TBUS_KIND_INT)
                    cr_assert_eq(number, set ? (int64_t)i * 1000 : 0);
                if (field->kind == TBUS_KIND_LIST && set)
                    cr_assert_str_eq(((const char *const *)(const void *)string)[1], "two");
            }
            free(copied.memory);
        }
    }
}
