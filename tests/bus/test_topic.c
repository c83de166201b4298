#include "bus/topic.h"

#include <string.h>

#include "tests/check.h"
#include "trackers/utf8.h"

Test(topic, patterns_match_by_the_rules_of_nats)
{
    static const struct {
        const char *pattern, *topic;
        bool matches;
    } cases[] = {
        {"stream.started", "stream.started", true},
        {"stream.started", "stream.starte", false},
        {"stream.started", "stream.started2", false},
        {"stream.*", "stream.started", true},
        {"stream.*", "stream", false},
        {"stream.*", "stream.a.b", false},
        {"*.started", "stream.started", true},
        {"*.started", "request.started", true},
        {"*", "stream", true},
        {"*", "stream.started", false},
        {"*.*", "stream.started", true},
        {">", "stream.started", true},
        {">", "x", true},
        {"stream.>", "stream.started", true},
        {"stream.>", "stream.a.b.c", true},
        {"stream.>", "stream", false},
        {"a.*.c", "a.b.c", true},
        {"a.*.c", "a.b.d", false},
        {"a.*.>", "a.b.c.d", true},
        {"a.*.>", "a.b", false},
        {"stream", "stream.started", false},
        {"s.started", "stream.started", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert(topic_pattern_valid(cases[i].pattern), "%s", cases[i].pattern);
        cr_assert_eq(topic_matches(cases[i].pattern, cases[i].topic), cases[i].matches, "%s against %s",
                     cases[i].pattern, cases[i].topic);
    }
}

Test(topic, malformed_patterns_are_refused)
{
    static const char *const malformed[] = {"",   ".",  "a.",   ".a", "a..b",  ">.a",
                                            "a>", "*a", "a.b*", "**", "a.>.b", ">>"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        cr_assert_not(topic_pattern_valid(malformed[i]), "'%s'", malformed[i]);
    cr_assert_not(topic_pattern_valid(NULL));
}

Test(topic, a_pattern_may_have_255_bytes_and_no_more)
{
    char pattern[258];
    memset(pattern, 'a', sizeof pattern);
    pattern[255] = '\0';
    cr_assert(topic_pattern_valid(pattern));
    pattern[255] = 'a';
    pattern[256] = '\0';
    cr_assert_not(topic_pattern_valid(pattern));
}

Test(topic, wildcards_are_seen)
{
    cr_assert(topic_pattern_is_wild("a.*"));
    cr_assert(topic_pattern_is_wild(">"));
    cr_assert_not(topic_pattern_is_wild("a.b"));
}

/* Against the trackers' own decoder: all texts of three bytes, and those of four with each lead and second byte. */
Test(topic, utf8_is_what_it_is_everywhere)
{
    static const unsigned char ends[] = {0, 'a', 0x7F, 0x80, 0xBF, 0xC0, 0xFF};
    char text[5] = "";
    long whole = 0;
    for (uint32_t bytes = 0; bytes < 1u << 24; bytes++) {
        text[0] = (char)(bytes >> 16), text[1] = (char)(bytes >> 8), text[2] = (char)bytes;
        cr_assert_eq(topic_is_utf8(text), utf8_is_whole(text), "%06x", bytes);
        whole += utf8_is_whole(text);
    }
    cr_assert_gt(whole, 1 << 20);
    for (uint32_t bytes = 0; bytes < 1u << 16; bytes++)
        for (size_t end = 0; end < sizeof ends * sizeof ends; end++) {
            text[0] = (char)(bytes >> 8), text[1] = (char)bytes;
            text[2] = (char)ends[end / sizeof ends], text[3] = (char)ends[end % sizeof ends];
            cr_assert_eq(topic_is_utf8(text), utf8_is_whole(text), "%04x, %zu", bytes, end);
        }
}
