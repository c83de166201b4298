/* Documents against the schemas in docs/, by python3-jsonschema. */
#ifndef TESTS_EXPORTERS_SCHEMA_H
#define TESTS_EXPORTERS_SCHEMA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

/* Skips the test where there is nothing to check with. */
static inline void schema_need(void)
{
    if (system("/usr/bin/python3 -c 'import jsonschema' 2>/dev/null") != 0)
        cr_skip_test("python3's jsonschema is not installed");
}

/* `arguments`: of schema_check.py, before the directory. */
static inline void schema_run(const char *arguments, const char *name, const char *document)
{
    char command[2048];
    snprintf(command, sizeof command, "/usr/bin/python3 '%s/tests/exporters/schema_check.py' %s '%s/docs' '%.*s'",
             TBUS_SOURCE_DIR, arguments, TBUS_SOURCE_DIR, (int)strcspn(name, "."), name);
    FILE *checker = popen(command, "w");
    cr_assert_not_null(checker);
    fputs(document, checker);
    cr_assert_eq(pclose(checker), 0, "%s: %.2000s", name, document);
}

/* `name`: of the file in docs/, with or without what stands behind its first dot. */
static inline void schema_check(const char *name, const char *document)
{
    schema_run("", name, document);
}

/* And that the schema refuses each thing that could be wrong with this document. */
static inline void schema_check_harm(const char *name, const char *document)
{
    schema_run("--harm", name, document);
}

#endif
