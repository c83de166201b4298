/* The demonstration host, asked by real clients: host_oracle.py compares what they saw with what its trackers counted. */
#define _GNU_SOURCE 1 /* mkdtemp(), setenv() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static char directory[64];

static void remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", directory);
}

static void prepare(void)
{
    snprintf(directory, sizeof directory, "/tmp/tallybus-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    setenv("T", TBUS_TOOL, 1);
    setenv("S", TBUS_SOURCE_DIR, 1);
    setenv("D", directory, 1);
    atexit(remove_directory);
}

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

Test(host, drains_what_it_has_when_it_is_interrupted)
{
    prepare();
    need_host();
    expect_all_good("end \"$T\" \"$D\" SIGINT");
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
