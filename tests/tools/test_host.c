/* The demonstration host, asked by real clients: host_oracle.py compares what they saw with what its trackers counted. */
#define _GNU_SOURCE 1 /* mkdtemp(), setenv() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/tools/tool.h"

static int run(const char *command)
{
    int status = system(command);
    cr_assert(WIFEXITED(status), "%s", command);
    return WEXITSTATUS(status);
}

static void need(const char *what, const char *test)
{
    if (run(test) != 0)
        cr_skip_test("%s is not there", what);
}

static void need_host(void)
{
    if (!TBUS_WITH_HTTP || !TBUS_WITH_JSON)
        cr_skip_test("built without HTTP or JSON");
    need("python3", "/usr/bin/python3 -c 0");
}

static void expect_all_good(const char *arguments)
{
    char command[512];
    snprintf(command, sizeof command, "/usr/bin/python3 \"$S/tests/tools/host_oracle.py\" %s 2>&1", arguments);
    cr_assert_eq(run(command), 0, "%s", arguments);
}

Test(host, counts_what_the_openai_sdk_sees)
{
    prepare();
    need_host();
    need("node", "command -v node >/dev/null");
    need("the OpenAI SDK", "test -n \"$TBUS_NPM\" -a -e \"$TBUS_NPM/node_modules/openai/index.mjs\"");
    expect_all_good("sdk \"$T\" \"$D\" \"$TBUS_NPM\"");
}

Test(host, counts_what_curl_sees_and_who_hangs_up)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("plain \"$T\" \"$D\"");
}

Test(host, tells_who_it_refuses_why_and_for_how_long)
{
    prepare();
    need_host();
    expect_all_good("keys \"$T\" \"$D\"");
}

Test(host, embeds_whatever_openai_does)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("inputs \"$T\" \"$D\"");
}

Test(host, tells_how_long_each_phase_took)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("phases \"$T\" \"$D\"");
}

Test(host, is_harmed_by_nothing_that_is_no_request)
{
    prepare();
    need_host();
    expect_all_good("hostile \"$T\" \"$D\"");
}

Test(host, tells_clients_and_trackers_of_each_failure_that_it_plays)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("faults \"$T\" \"$D\"");
}

Test(host, shows_how_it_is_doing_on_a_terminal_and_elsewhere)
{
    prepare();
    need_host();
    expect_all_good("live \"$T\" \"$D\"");
}

Test(host, answers_though_a_body_is_not_taken)
{
    prepare();
    need_host();
    expect_all_good("unwanted \"$T\" \"$D\"");
}

Test(host, bills_what_was_made_for_who_went_away)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("away \"$T\" \"$D\"");
}

Test(host, waits_for_a_client_that_does_not_read)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("slow \"$T\" \"$D\"");
}

Test(host, has_room_for_others_whatever_many_clients_do)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    expect_all_good("many \"$T\" \"$D\"");
}

Test(host, does_not_share_an_address_with_another)
{
    prepare();
    need_host();
    expect_all_good("taken \"$T\" \"$D\"");
}

Test(host, tells_a_prometheus_what_its_trackers_found)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    need("prometheus", "command -v prometheus >/dev/null");
    expect_all_good("scraped \"$T\" \"$D\"");
}

Test(host, fails_requests_and_nothing_else_without_memory)
{
    prepare();
    need_host();
    need("curl", "command -v curl >/dev/null");
    if (TBUS_WITH_SANITIZER)
        cr_skip_test("a sanitizer has an allocator of its own");
    cr_assert_eq(run(TBUS_CC " -shared -fPIC -o \"$D/failing_malloc.so\" \"$S/tests/tools/failing_malloc.c\""), 0);
    expect_all_good("memory \"$T\" \"$D\" \"$D/failing_malloc.so\"");
}

Test(host, drains_what_it_has_when_it_is_interrupted)
{
    prepare();
    need_host();
    expect_all_good("end \"$T\" \"$D\" SIGINT");
}

Test(host, turns_away_who_comes_while_it_drains)
{
    prepare();
    need_host();
    expect_all_good("closing \"$T\" \"$D\"");
}

Test(host, cuts_off_what_it_has_when_it_is_interrupted_twice)
{
    prepare();
    need_host();
    expect_all_good("hurry \"$T\" \"$D\"");
}

Test(host, drains_what_it_has_when_it_is_terminated)
{
    prepare();
    need_host();
    expect_all_good("end \"$T\" \"$D\" SIGTERM");
}

Test(host, says_what_was_left_out_of_the_build)
{
    prepare();
    if (TBUS_WITH_HTTP && TBUS_WITH_JSON)
        cr_skip_test("built with HTTP and JSON");
    cr_assert_eq(run("\"$T\" demo 2>\"$D/err\""), 3);
    cr_assert_eq(run("grep -q 'built without' \"$D/err\""), 0);
}

Test(host, says_why_it_can_not_listen)
{
    prepare();
    need_host();
    cr_assert_eq(run("\"$T\" demo --listen 192.0.2.1:0 --web 0 2>\"$D/err\""), 3);
    cr_assert_eq(run("grep -q 'can not serve the API at 192.0.2.1, port 0: ' \"$D/err\""), 0);
    cr_assert_eq(run("\"$T\" demo --listen 0 --web 192.0.2.1:0 2>\"$D/err\""), 3);
    cr_assert_eq(run("grep -q 'can not serve the metrics at 192.0.2.1, port 0: address not available' \"$D/err\""), 0);
    cr_assert_eq(run("\"$T\" demo --listen localhost:0 2>\"$D/err\""), 3);
}

Test(soak, finds_all_counts_in_agreement_under_faults)
{
    prepare();
    need_host();
    cr_assert_eq(run("\"$T\" soak 0.1 --check-every 0.05 >\"$D/out\" || { cat \"$D/out\" >&2; exit 1; }"), 0);
    cr_assert_eq(run("tail -n 1 \"$D/out\" | grep -qx '3 passed, 0 failed'"), 0);
}

Test(host, keeps_itself_busy_wherever_it_listens)
{
    prepare();
    need_host();
    need("IPv6", "grep -q ' lo$' /proc/net/if_inet6 2>/dev/null");
    static const char *const places[] = {"0.0.0.0:0", "[::]:0", "[::1]:0"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        setenv("PLACE", places[i], 1);
        cr_assert_eq(
            run("for s in 1 5 25; do\n" /* a machine may be too busy for one request in a second */
                "\"$T\" demo --listen \"$PLACE\" --web 0 --load 200 --duration $s >\"$D/out\" 2>\"$D/err\" || exit 1\n"
                "! grep -q '^tallybus: demo, [1-9][0-9]* requests' \"$D/out\" || exit 0\n"
                "done; exit 1"),
            0, "%s", places[i]);
    }
}

Test(host, does_not_repeat_a_key_that_it_refuses)
{
    prepare();
    need_host();
    cr_assert_eq(run("\"$T\" demo --key sk-secret=x 2>\"$D/err\""), 2);
    cr_assert_eq(run("\"$T\" demo --key=sk-secret=1e 2>>\"$D/err\""), 2);
    cr_assert_eq(run("grep -c -- '--key wants KEY or KEY=USD' \"$D/err\" | grep -qx 2"), 0);
    cr_assert_neq(run("grep -q secret \"$D/err\""), 0);
}

static const struct {
    const char *arguments;
    const char *said;
} wrong_lines[] = {
    {"demo a", "too many arguments"},
    {"demo --rows 5", "there is no option"},
    {"demo --listen :80", "--listen wants [ADDRESS:]PORT"},
    {"demo --load -1", "--load wants requests each second"},
    {"demo --load 10001", "--load wants"},
    {"demo --pace 0", "--pace wants a factor"},
    {"demo --duration 0", "--duration wants seconds above 0"},
    {"demo --faults 1001", "--faults wants requests that fail"},
    {"demo --key ''", "--key wants KEY or KEY=USD"},
    {"demo --key a=b", "--key wants"},
    {"demo --key a=-1", "--key wants"},
    {"demo --key =1", "--key wants"},
    {"soak", "MINUTES wants minutes above 0"},
    {"soak 0", "MINUTES wants"},
    {"soak x", "MINUTES wants"},
    {"soak 1 2", "too many arguments"},
    {"soak --check-every 0 1", "--check-every wants"},
    {"soak --listen 80 1", "there is no option"},
};

Test(host, says_how_it_is_used)
{
    char command[512];
    prepare();
    need_host();
    for (size_t i = 0; i < sizeof wrong_lines / sizeof *wrong_lines; i++) {
        snprintf(command, sizeof command, "\"$T\" %s >\"$D/out\" 2>\"$D/err\"", wrong_lines[i].arguments);
        cr_assert_eq(run(command), 2, "%s", wrong_lines[i].arguments);
        snprintf(command, sizeof command, "grep -qF -- '%s' \"$D/err\"", wrong_lines[i].said);
        cr_assert_eq(run(command), 0, "%s", wrong_lines[i].arguments);
    }
    cr_assert_eq(run("\"$T\" demo --help | grep -q 'Usage: tallybus demo'"), 0);
    cr_assert_eq(run("\"$T\" soak -h | grep -q 'Usage: tallybus soak'"), 0);
}
