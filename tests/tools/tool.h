/* What a test needs to run the tallybus command by lines for the shell. */
#ifndef TESTS_TOOLS_TOOL_H
#define TESTS_TOOLS_TOOL_H

#include <stdlib.h>

#include "tests/scratch.h"

/* In a line $T is the command, $S the source tree and $D a directory of the test's own. */
static inline void prepare(void)
{
    scratch_open();
    setenv("T", TBUS_TOOL, 1);
    setenv("S", TBUS_SOURCE_DIR, 1);
    setenv("D", scratch_directory, 1);
}

#endif
