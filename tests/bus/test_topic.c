#include "bus/topic.h"

#include <string.h>

#include "tests/check.h"

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
