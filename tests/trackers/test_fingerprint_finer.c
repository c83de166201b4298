#include <tallybus/fingerprint.h>

#include "tests/trackers/messages.h"

static void check(const char *message, const char *expected)
{
    char normalized[TBUS_NORMALIZED_BYTES];
    size_t length = tbus_error_normalize_finer(message, normalized);

    cr_assert_str_eq(normalized, expected, "%s", normalized);
    cr_assert_eq(length, strlen(expected));
}

Test(fingerprint_finer, the_plain_rules_hold_as_well)
{
    check(NULL, "");
    check("", "");
    check("worker 7: req-8f3k2 (3f2504e0-4f89-11d3-9a0c-0305e82c3301) at 0x7fe3",
          "worker <NUM>: <REQUEST_ID> (<UUID>) at <ADDR>");
    check("nothing to see", "nothing to see");
    check("abc123", "abc<NUM>");
    cr_assert_eq(tbus_error_normalize_finer("x", NULL), 0);
}

Test(fingerprint_finer, emails)
{
    check("user amina.o+x@mail.example.org is unknown", "user <EMAIL> is unknown");
    check("<a@b.c>, d_1@e-f.gh.", "<<EMAIL>>, <EMAIL>.");
    check("@b.c a@ a@b a@.c", "@b.c a@ a@b a@.c");
    check("x@y@z.org", "x@<EMAIL>");
}

Test(fingerprint_finer, urls)
{
    check("GET https://api.example.org/v1?a=1&b=2#c failed", "GET <URL> failed");
    check("see (http://x.y/z).", "see (<URL>).");
    check("redis://h:6379/0, s3+zip://b/k!", "<URL>, <URL>!");
    check("://x a://x http:// http://.", "://x a://x http:// http://.");
}

Test(fingerprint_finer, ip_addresses)
{
    check("10.0.0.7:8080 and 192.168.1.255.", "<IP>:<NUM> and <IP>.");
    check("[fe80::1]:443, 2001:db8:0:0:1:0:0:1, ::1", "[<IP>]:<NUM>, <IP>, <IP>");
    check("::ffff:10.0.0.7: refused", "<IP>: refused");
    check("1.2.3 1.2.3.4.5 1234.1.1.1 std::string a :: b", "<NUM>.<NUM>.<NUM> <NUM>.<NUM>.<NUM>.<NUM>.<NUM> "
                                                           "<NUM>.<NUM>.<NUM>.<NUM> std::string a :: b");
    check("aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff");
}

Test(fingerprint_finer, dates_and_times)
{
    check("at 2026-01-31", "at <DATE>");
    check("2026-01-31T23:59:59.123456Z x", "<DATE> x");
    check("2026-01-31 23:59:59,5+02:00|2026-01-31T23:59-0130", "<DATE>|<DATE>");
    check("12:34:56.789 and 12:34:56", "<TIME> and <TIME>");
    check("2026-01-3 12026-01-31 12:34", "<NUM>-<NUM>-<NUM> <NUM>-<NUM>-<NUM> <NUM>:<NUM>");
}

Test(fingerprint_finer, durations)
{
    check("after 30 s, 1.5s, 200ms, 7 \xc2\xb5s", "after <DURATION>, <DURATION>, <DURATION>, <DURATION>");
    check("1h2m3.5s, 2 minutes, 1 day, 3 hrs", "<DURATION>, <DURATION>, <DURATION>, <DURATION>");
    check("3 users, 5x, 30 sx, a5s, 1h2x", "<NUM> users, <NUM>x, <NUM> sx, a<NUM>s, <NUM>h<NUM>x");
}

Test(fingerprint_finer, hashes)
{
    check("d41d8cd98f00b204e9800998ecf8427e", "<HASH>");
    check("commit da39a3ee5e6b4b0d3255bfef95601890afd80709, da39a3ee", "commit <HASH>, da<NUM>a<NUM>ee");
    check("span 0123456789abcdef 1234567890123456 xd41d8cd98f00b204e",
          "span <HASH> <NUM> xd<NUM>d<NUM>cd<NUM>f<NUM>b<NUM>e");
}

Test(fingerprint_finer, quoted_text)
{
    check("model \"gpt-4o\" has no 'tools', `x` and \"\"", "model <QUOTED> has no <QUOTED>, <QUOTED> and <QUOTED>");
    check("can't open 'a b'; it's gone", "can't open <QUOTED>; it's gone");
    check("\"open 1", "\"open <NUM>");
    check("\"a\nb\"", "\"a\nb\"");
}

/* --- Against regular expressions --- */

static const char *const pieces[] = {"\"",
                                     "'",
                                     "`",
                                     "\n",
                                     " ",
                                     " ",
                                     ".",
                                     ":",
                                     "::",
                                     "-",
                                     "@",
                                     "/",
                                     "://",
                                     "_",
                                     "+",
                                     ",",
                                     "Z",
                                     "T",
                                     "http",
                                     "s3",
                                     "a@b.c",
                                     "x.org",
                                     "1",
                                     "12",
                                     "123",
                                     "2026",
                                     "2026-01-31",
                                     "23:59",
                                     "23:59:59",
                                     ":59",
                                     ".5",
                                     "+02:00",
                                     "10.0.0.7",
                                     "fe80",
                                     "::1",
                                     "ffff",
                                     "1:2:3:4:5:6:7:8",
                                     "0123456789abcdef",
                                     "d41d8cd98f00b204",
                                     "deadbeef",
                                     "0x",
                                     "req-",
                                     "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
                                     "h",
                                     "m",
                                     "s",
                                     "ms",
                                     "us",
                                     "\xc2\xb5s",
                                     "\xce\xbcs",
                                     "ns",
                                     "d",
                                     "days",
                                     "hour",
                                     "sec",
                                     "seconds",
                                     "e",
                                     "x",
                                     "zebra",
                                     "<NUM>",
                                     ")",
                                     "%",
                                     "\xc3\xa4",
                                     "\x80",
                                     "\xff",
                                     "!"};

Test(fingerprint_finer, one_pass_equals_regular_expressions)
{
    enum { MESSAGES = 100000 };
    uint64_t random = oracle_seed("fingerprint_finer");
    struct oracle oracle;

    oracle_open(&oracle);
    for (int i = 0; i < MESSAGES; i++) {
        char message[1024], normalized[TBUS_NORMALIZED_BYTES];
        message_of_pieces(&random, pieces, sizeof pieces / sizeof *pieces, message, sizeof message);
        cr_assert_eq(tbus_error_normalize_finer(message, normalized), strlen(normalized));
        message_put_hex(oracle.cases, message);
        fputc(' ', oracle.cases);
        message_put_hex(oracle.cases, normalized);
        fputc('\n', oracle.cases);
        oracle.lines++;
    }
    oracle_check(&oracle, "tests/trackers/finer_oracle.py", "");
}

/* --- Time --- */

/* 10 MB of what might be looked at again and again, at most so long that once is all that there is time for: were it
 * quadratic, one of these would take hours. */
Test(fingerprint_finer, ten_megabytes_take_linear_time)
{
    static const char *const fillers[] = {"a",    "1",       "f",  ".",   ":",    "-",     "'",        "\"",
                                          "`",    "1.",      "1h", "a:",  "a.",   "a@",    "@a.",      "://",
                                          "a://", "http://", "1:", "f:",  "req-", "0x",    " '",       "1 ",
                                          "%",    "\x80",    "'a", "x\"", "12:",  "2026-", "https://."};
    char *text = message_huge_open(), normalized[TBUS_NORMALIZED_BYTES];

    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        message_huge_fill(text, fillers[i]);
        tbus_error_normalize_finer(text, normalized);
        cr_assert_geq(strlen(normalized), 5, "%s", fillers[i]);
        text[0] = '"';
        tbus_error_normalize_finer(text, normalized);
        cr_assert_geq(strlen(normalized), 5, "%s", fillers[i]);
    }
    free(text);
}
