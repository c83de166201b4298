/* A directory for the files of a test, gone when its process ends. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"

static char scratch_directory[64];

static inline void scratch_remove(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch_directory);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", scratch_directory);
}

static inline void scratch_open(void)
{
    snprintf(scratch_directory, sizeof scratch_directory, "/tmp/tallybus-test-XXXXXX");
    cr_assert_not_null(mkdtemp(scratch_directory));
    atexit(scratch_remove);
}

#endif
