/* The examples print what they should, and end with 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/check.h"

enum { OUTPUT_BYTES = 4096 };

static void read_all(FILE *from, char text[OUTPUT_BYTES])
{
    const size_t length = fread(text, 1, OUTPUT_BYTES - 1, from);
    text[length] = '\0';
}

static void run(const char *name)
{
    char path[512], command[640], output[OUTPUT_BYTES], expected[OUTPUT_BYTES];
    snprintf(path, sizeof path, "%s/tests/public/examples/%s.txt", TBUS_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    read_all(file, expected);
    fclose(file);
    cr_assert_gt(strlen(expected), 0);
    snprintf(path, sizeof path, "%s/examples/example-%s", TBUS_BUILD_DIR, name);
    if (access(path, X_OK) != 0)
        cr_skip_test("%s was not built", path);
    snprintf(command, sizeof command, "timeout 120 '%s'", path);
    FILE *program = popen(command, "r");
    cr_assert_not_null(program);
    read_all(program, output);
    cr_assert_eq(pclose(program), 0, "%s printed:\n%s", name, output);
    cr_assert_str_eq(output, expected);
}

#define EXAMPLE(name)                                                                                                  \
    Test(examples, name)                                                                                               \
    {                                                                                                                  \
        run(#name);                                                                                                    \
    }

EXAMPLE(alerts)
EXAMPLE(budgets)
EXAMPLE(callback)
EXAMPLE(custom_type)
EXAMPLE(host)
EXAMPLE(isolated)
EXAMPLE(own_thread)
EXAMPLE(subscriber)
EXAMPLE(telemetry)
EXAMPLE(trackers_alone)
EXAMPLE(workers)
