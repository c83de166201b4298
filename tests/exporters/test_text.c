#include "exporters/text.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "trackers/utf8.h"

static const char *taken(struct text *text)
{
    static char *last;
    tbus_mem_free(last);
    last = NULL;
    cr_assert_eq(text_take(text, &last), 0);
    return last;
}

Test(text, an_untouched_text_is_empty)
{
    struct text text = {0};
    cr_assert_str_eq(taken(&text), "");
}

Test(text, doubles_are_the_shortest_that_read_back)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0, "0"},           {0.1, "0.1"},
                 {-2.5, "-2.5"},     {1.0 / 3, "0.3333333333333333"},
                 {1e300, "1e+300"},  {123456789012345680.0, "1.2345678901234568e+17"},
                 {NAN, "NaN"},       {INFINITY, "+Inf"},
                 {-INFINITY, "-Inf"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text text = {0};
        text_add_double(&text, cases[i].number);
        cr_assert_str_eq(taken(&text), cases[i].text);
    }
    struct text text = {0};
    text_add_double(&text, DBL_MAX);
    cr_assert(strtod(taken(&text), NULL) == DBL_MAX);
}

Test(text, doubles_have_a_point_in_every_locale)
{
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8", "de_DE"};
    bool any = false;
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        if (!setlocale(LC_ALL, locales[i]))
            continue;
        struct text text = {0};
        any = true;
        text_add_double(&text, -1234.5);
        cr_assert_str_eq(taken(&text), "-1234.5", "%s", locales[i]);
    }
    if (!any)
        cr_skip_test("no locale with a decimal comma is installed");
}

Test(text, integers_of_all_sizes)
{
    struct text text = {0};
    text_add_uint(&text, UINT64_MAX);
    text_add(&text, " ");
    text_add_int(&text, INT64_MIN);
    cr_assert_str_eq(taken(&text), "18446744073709551615 -9223372036854775808");
}

Test(text, labels_are_escaped_and_made_utf8)
{
    static const struct {
        const char *value, *label;
    } cases[] = {{NULL, ""},
                 {"", ""},
                 {"a\\b\"c\nd", "a\\\\b\\\"c\\nd"},
                 {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"},
                 {"\xC3", UTF8_REPLACEMENT},
                 {"\xFF\xFEx", UTF8_REPLACEMENT UTF8_REPLACEMENT "x"},
                 {"\xED\xA0\x80", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT},
                 {"\xC0\xAF", UTF8_REPLACEMENT UTF8_REPLACEMENT},
                 {"\xF4\x90\x80\x80", UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT UTF8_REPLACEMENT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text text = {0};
        text_add_label(&text, cases[i].value);
        cr_assert_str_eq(taken(&text), cases[i].label, "case %zu", i);
    }
}

Test(text, grows_and_without_memory_says_so_once_at_the_end)
{
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        struct text text = {0};
        char *result = NULL;
        oom_install(&oom);
        for (int i = 0; i < 1000; i++)
            text_add(&text, "0123456789");
        int error = text_take(&text, &result);
        if (error == 0) {
            cr_assert_eq(strlen(result), 10000u);
            tbus_mem_free(result);
        }
        cr_assert_eq(atomic_load(&oom.live), 0);
        bool failed = atomic_load(&oom.failed) > 0;
        oom_remove();
        cr_assert_eq(error, failed ? UV_ENOMEM : 0);
        if (!failed)
            break;
    }
}
