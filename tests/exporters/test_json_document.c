/* The writer of documents: strings in parts, brackets and commas. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/json_document.h"
#include "exporters/json_line.h"
#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"

/* --- Strings --- */

static char *document_of_text(const char *string)
{
    struct text text = {0};
    struct json json;
    char *document;
    json_begin(&json, &text);
    json_put_text(&json, NULL, string);
    cr_assert_eq(json_take(&json, &document), 0);
    return document;
}

/* As it is written in one piece. */
static void expect_as_in_one_piece(const char *string)
{
    struct span measured = {.bytes = NULL, .room = 0};
    json_add_string(&measured, string);
    char *expected = calloc(1, measured.length + 1), *document = document_of_text(string);
    struct span to = {.bytes = expected, .room = measured.length};
    json_add_string(&to, string);
    cr_assert_str_eq(document, expected);
    tbus_mem_free(document);
    free(expected);
}

Test(json_document, strings_are_taken_apart_between_characters)
{
    static const char *const patterns[] = {"\xE2\x82\xAC",
                                           "\xF0\x9F\x98\x80",
                                           "\xC3\xA4",
                                           "\xFF",
                                           "\x80\x80\x80\x80\x80",
                                           "\xF0\x9F\x98",
                                           "\"",
                                           "\n",
                                           "\x01",
                                           "a\xE2\x82",
                                           "\xF0\x9F\x98\x80\141"};
    char string[6000];
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        for (size_t before = 505; before <= 516; before++) {
            memset(string, 'x', before);
            size_t length = before;
            while (length + strlen(patterns[i]) < sizeof string) {
                strcpy(string + length, patterns[i]);
                length += strlen(patterns[i]);
            }
            expect_as_in_one_piece(string);
        }
    }
}

Test(json_document, random_bytes_are_written_as_in_one_piece)
{
    uint64_t seed = oracle_seed("strings");
    char string[3000];
    for (int round = 0; round < 2000; round++) {
        const size_t length = oracle_random(&seed) % sizeof string;
        for (size_t i = 0; i < length; i++) {
            const char byte = (char)(oracle_random(&seed) >> (round % 4 ? 0 : 1));
            string[i] = byte ? byte : 'n';
        }
        string[length] = '\0';
        expect_as_in_one_piece(string);
    }
}

/* --- Form --- */

Test(json_document, commas_stand_between_values_and_nowhere_else)
{
    struct text text = {0};
    struct json json;
    char *document;
    json_begin(&json, &text);
    json_open_object(&json, NULL);
    json_open_array(&json, "a");
    json_close_array(&json);
    json_open_object(&json, "o");
    json_put_key(&json, "\"k\xFF");
    json_put_null(&json, NULL);
    json_put_bool(&json, "b", true);
    json_close_object(&json);
    json_open_array(&json, "l");
    json_put_uint(&json, NULL, UINT64_MAX);
    json_put_int(&json, NULL, INT64_MIN);
    json_put_double(&json, NULL, NAN);
    json_put_double(&json, NULL, -INFINITY);
    json_put_double(&json, NULL, 2);
    json_put_double(&json, NULL, -0.0);
    json_put_double(&json, NULL, 1e300);
    json_put_money(&json, NULL, (tbus_money_t){.low = 0, .high = INT64_MIN});
    json_put_text(&json, NULL, NULL);
    json_put_bool(&json, NULL, false);
    json_close_array(&json);
    json_close_object(&json);
    cr_assert_eq(json_take(&json, &document), 0);
    cr_assert_str_eq(document, "{\"a\":[],\"o\":{\"\\\"k\xEF\xBF\xBD\":null,\"b\":true},\"l\":[9223372036854775807,"
                               "-9223372036854775808,null,null,2.0,-0.0,1e+300,"
                               "\"-170141183460469231731687303.715884105728\",null,false]}");
    tbus_mem_free(document);
}

/* Pieces end anywhere: behind brackets, keys, strings of any length. */
Test(json_document, a_document_of_any_length_is_whole)
{
    uint64_t seed = oracle_seed("pieces");
    for (int round = 0; round < 300; round++) {
        struct text text = {0};
        struct json json;
        char *document, string[64];
        const size_t levels = oracle_random(&seed) % 4500;
        size_t expected = 0;
        json_begin(&json, &text);
        for (size_t i = 0; i < levels; i++) {
            json_open_array(&json, NULL);
            const size_t length = oracle_random(&seed) % sizeof string;
            memset(string, 's', length);
            string[length] = '\0';
            json_put_text(&json, NULL, string);
            expected += length + 3 + (i > 0);
        }
        for (size_t i = 0; i < levels; i++)
            json_close_array(&json);
        cr_assert_eq(json_take(&json, &document), 0);
        cr_assert_eq(strlen(document), expected + levels);
        cr_assert_eq(strspn(document + expected, "]"), levels);
        tbus_mem_free(document);
    }
}

Test(json_document, rows_are_chosen_by_name_and_number)
{
    static const struct row {
        const char *name;
        uint64_t number;
    } rows[] = {{"a", 1}, {NULL, 2}, {"b", 3}, {"a", 4}, {"", 5}};
    static const struct json_field row_fields[] = {JSON_FIELD(struct row, name), JSON_FIELD(struct row, number)};
    static const struct {
        const char *only;
        size_t limit;
        const char *numbers;
    } cases[] = {{NULL, 0, "12345"}, {NULL, 2, "12"}, {"a", 0, "14"},    {"a", 1, "1"},
                 {"", 0, "25"},      {"c", 3, ""},    {NULL, 9, "12345"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text = {0};
        struct json json;
        char *document, numbers[8] = "";
        json_begin(&json, &text);
        json_put_list(
            &json, NULL,
            &(struct json_list){JSON_ROWS(rows, 5, row_fields), .only = cases[i].only, .limit = cases[i].limit});
        cr_assert_eq(json_take(&json, &document), 0);
        for (const char *at = document; (at = strstr(at, "\"number\":")); at++)
            strncat(numbers, at + 9, 1);
        cr_assert_str_eq(numbers, cases[i].numbers, "%s", document);
        tbus_mem_free(document);
    }
    cr_assert(row_fields[0].kind == JSON_STRING && row_fields[1].kind == JSON_UINT64);
}

Test(json_document, without_memory_nothing_is_given_out)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    for (long at = 0;; at++) {
        struct text text = {0};
        struct json json;
        char *document = NULL;
        oom.fail_at = oom.calls + at;
        json_begin(&json, &text);
        json_open_array(&json, NULL);
        for (int i = 0; i < 5000; i++)
            json_put_text(&json, NULL, "of some length");
        json_close_array(&json);
        const int error = json_take(&json, &document);
        const bool failed = oom.fail_at < oom.calls;
        oom.fail_at = -1;
        cr_assert_eq(error, failed ? UV_ENOMEM : 0);
        cr_assert_eq(document != NULL, !failed);
        tbus_mem_free(document);
        cr_assert_eq(oom.live, 0);
        if (!failed) {
            cr_assert_gt(at, 5);
            break;
        }
    }
    oom_remove();
}
