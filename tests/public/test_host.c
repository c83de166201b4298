/* What a host gets: headers, exported symbols, the program of the README, an installation. Each check is a script of
 * this directory, which says on stderr what is wrong and exits with 0 when nothing is. */
#include <stdio.h>
#include <stdlib.h>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static int run_script(const char *script, const char *arguments)
{
    char command[4096];
    const int length = snprintf(command, sizeof command, "sh '%s/tests/public/%s.sh' '%s' '%s' %s </dev/null 1>&2",
                                TBUS_SOURCE_DIR, script, TBUS_SOURCE_DIR, TBUS_BUILD_DIR, arguments);
    cr_assert(length > 0 && (size_t)length < sizeof command);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(host, each_header_compiles_alone_as_c11)
{
    cr_assert_eq(run_script("headers", "'" TBUS_CC "' c gnu11"), 0);
}

Test(host, each_header_compiles_alone_as_cxx17)
{
    if (system("command -v c++ >/dev/null 2>&1") != 0)
        cr_skip_test("there is no C++ compiler");
    cr_assert_eq(run_script("headers", "c++ c++ gnu++17"), 0);
}

Test(host, the_umbrella_header_includes_every_header)
{
    cr_assert_eq(run_script("umbrella", ""), 0);
}

Test(host, the_shared_library_exports_what_the_headers_declare_and_nothing_else)
{
    cr_assert_eq(run_script("symbols", "'" TBUS_CC "'"), 0);
}

Test(host, the_version_is_the_same_everywhere)
{
    cr_assert_eq(run_script("version", ""), 0);
}

Test(host, each_figure_is_defined_and_each_definition_is_tested)
{
    cr_assert_eq(run_script("semantics", ""), 0);
}

Test(host, the_examples_for_contributors_compile_and_run)
{
    cr_assert_eq(run_script("contributing", "'" TBUS_CC "'"), 0);
}

Test(host, the_page_of_the_manual_tells_the_commands_and_options_that_there_are)
{
    if (access(TBUS_TOOL, X_OK) != 0)
        cr_skip_test("the command was not built");
    cr_assert_eq(run_script("manual", ""), 0);
}

Test(host, a_meson_project_can_have_the_library_as_a_subproject)
{
    cr_assert_eq(run_script("subproject", "'" TBUS_CC "'"), 0);
}

Test(host, the_program_in_the_readme_compiles_and_runs)
{
    cr_assert_eq(run_script("readme", "'" TBUS_CC "'"), 0);
}

Test(host, the_program_in_the_guide_compiles_and_prints_what_the_guide_says)
{
    cr_assert_eq(run_script("guide", "'" TBUS_CC "'"), 0);
}

Test(host, an_installation_serves_a_program_that_knows_only_pkg_config)
{
    cr_assert_eq(run_script("install", "'" TBUS_CC "'"), 0);
}

Test(host, a_python_program_uses_it_through_ctypes)
{
    if (!TBUS_WITH_JSON)
        cr_skip_test("built without JSON");
    if (system("command -v python3 >/dev/null 2>&1") != 0)
        cr_skip_test("there is no python3");
    cr_assert_eq(run_script("python", ""), 0);
}
