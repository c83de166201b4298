/* Differential tests: the test writes its cases and its own results to a file, one a line, and a Python script (the
 * standard library only) works each out again. The script's last line must be "checked <lines>, wrong 0". */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <uv.h>

#include "tests/check.h"

struct oracle {
    FILE *cases;
    long lines;
    char path[64];
};

static inline void oracle_open(struct oracle *oracle)
{
    if (system("command -v python3 >/dev/null 2>&1") != 0)
        cr_skip_test("python3 is not installed");
    *oracle = (struct oracle){.path = "/tmp/tallybus-oracle-XXXXXX"};
    int file = mkstemp(oracle->path);
    cr_assert_geq(file, 0);
    oracle->cases = fdopen(file, "w");
    cr_assert_not_null(oracle->cases);
}

/* `arguments` go to the script behind the file's name; may be "". */
static inline void oracle_check(struct oracle *oracle, const char *script, const char *arguments)
{
    char command[4096], expected[64], last[512] = "";

    cr_assert_eq(fclose(oracle->cases), 0);
    snprintf(command, sizeof command, "python3 '%s/%s' '%s' %s", TBUS_SOURCE_DIR, script, oracle->path, arguments);
    FILE *answer = popen(command, "r");
    cr_assert_not_null(answer);
    for (char line[512]; fgets(line, sizeof line, answer);) {
        line[strcspn(line, "\n")] = '\0';
        snprintf(last, sizeof last, "%s", line);
        fprintf(stderr, "%s\n", line);
    }
    pclose(answer);
    unlink(oracle->path);
    snprintf(expected, sizeof expected, "checked %ld, wrong 0", oracle->lines);
    cr_assert_str_eq(last, expected);
}

/* Random numbers whose seed is printed: RANDOM_SEED in the environment repeats a run. */
static inline uint64_t oracle_seed(const char *test)
{
    const char *wanted = getenv("RANDOM_SEED");
    uint64_t seed = wanted ? strtoull(wanted, NULL, 0) : uv_hrtime() | 1;
    fprintf(stderr, "%s: RANDOM_SEED=%llu\n", test, (unsigned long long)seed);
    return seed ? seed : 1;
}

static inline uint64_t oracle_random(uint64_t *state)
{
    uint64_t word = (*state += 0x9e3779b97f4a7c15u);
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

#endif
