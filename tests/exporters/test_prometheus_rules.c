/* The rules for Prometheus in docs/: well-formed, doing what their tests say, and asking for what is exported. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/scratch.h"

#define DOCS TBUS_SOURCE_DIR "/docs/prometheus"

static void run(const char *command)
{
    cr_assert_eq(system(command), 0, "%s", command);
}

static void need_promtool(void)
{
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        cr_skip_test("promtool is not installed");
}

Test(prometheus_rules, they_are_well_formed)
{
    need_promtool();
    run("promtool check rules '" DOCS "/rules.yml' >&2");
}

Test(prometheus_rules, they_alert_when_they_should_and_only_then)
{
    need_promtool();
    run("cd '" DOCS "' && promtool test rules rules.test.yml burn_rates.test.yml >&2");
}

Test(prometheus_rules, their_tests_find_each_mistake)
{
    char command[512];
    if (TBUS_WITH_SANITIZER || !TBUS_WITH_JSON)
        cr_skip_test("nothing of it is built: the plain build tries it");
    need_promtool();
    if (system("command -v python3 >/dev/null 2>&1") != 0)
        cr_skip_test("python3 is not installed");
    scratch_open();
    snprintf(command, sizeof command,
             "python3 '" TBUS_SOURCE_DIR "/tests/exporters/rules_mutants.py' '" DOCS "' '%s' >&2", scratch_directory);
    run(command);
}

Test(prometheus_rules, they_ask_for_what_is_exported)
{
    run("sh '" TBUS_SOURCE_DIR "/tests/exporters/rules_names.sh' '" TBUS_SOURCE_DIR "' '" DOCS "/rules.yml' >&2");
}
