/* Documents against the schemas in docs/, by python3-jsonschema. */
#ifndef TESTS_EXPORTERS_SCHEMA_H
#define TESTS_EXPORTERS_SCHEMA_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/check.h"

/* Skips the test where there is nothing to check with. */
static inline void schema_need(void)
{
    if (system("/usr/bin/python3 -c 'import jsonschema' 2>/dev/null") != 0)
        cr_skip_test("python3's jsonschema is not installed");
}

/* `name`: of the file in docs/. */
static inline void schema_check(const char *name, const char *document)
{
    char command[2048];
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import json, jsonschema, sys\n"
             "def refuse(word): raise ValueError(word)\n" /* NaN and Infinity, which Python takes for numbers */
             "jsonschema.validate(json.load(sys.stdin, parse_constant=refuse), json.load(open(sys.argv[1])))' "
             "'%s/docs/%s'",
             TBUS_SOURCE_DIR, name);
    FILE *checker = popen(command, "w");
    cr_assert_not_null(checker);
    fputs(document, checker);
    cr_assert_eq(pclose(checker), 0, "%s: %s", name, document);
}

#endif
