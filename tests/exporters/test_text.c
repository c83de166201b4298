#include "exporters/text.h"

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

Test(text, help_keeps_its_quotes)
{
    struct text text = {0};
    text_add_help(&text, "\"a\\b\"\nc\xFF\"");
    cr_assert_str_eq(taken(&text), "\"a\\\\b\"\\nc" UTF8_REPLACEMENT "\"");
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
