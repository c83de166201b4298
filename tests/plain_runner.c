/* The plain runner: runs what check.h registers, each test in a process of its own.
 *
 * A test passes when its process says that the body was left at its end (or with cr_skip_test()) and then goes through
 * exit() with 0. Both are needed: exit() is where LeakSanitizer looks and where ThreadSanitizer turns a race into an
 * exit code, and a body that leaves by an exit(0) of its own has not been run to its end. */
#define _GNU_SOURCE 1 /* sigtimedwait(), MAP_ANONYMOUS */

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "tests/check.h"

enum { TEST_SECONDS_MAX = 300, EXIT_FAILED = 101 };

enum { LEFT_EARLY = 0, LEFT_AT_END, LEFT_SKIPPED, LEFT_FAILED };

enum verdict { PASSED, SKIPPED, FAILED, CRASHED };

static struct plain_test *first_test, **test_link = &first_test;

/* Shared between the runner and the test that runs. */
static struct {
    volatile sig_atomic_t how_left;
    char why_skipped[256];
} * ending;

void plain_test_add(struct plain_test *test)
{
    *test_link = test;
    test_link = &test->next;
}

void plain_test_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "[----] %s:%d: failed: %s:", file, line, what);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    ending->how_left = LEFT_FAILED;
    _exit(EXIT_FAILED); /* not exit(): what a test that failed half-way leaves behind is no leak */
}

void plain_test_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ending->why_skipped, sizeof ending->why_skipped, format, arguments);
    va_end(arguments);
    ending->how_left = LEFT_SKIPPED;
    exit(0);
}

static void run_child(const struct plain_test *test, const sigset_t *mask)
{
    setpgid(0, 0);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* its own group hears no Ctrl-C: it must not outlive the runner */
#endif
    sigprocmask(SIG_SETMASK, mask, NULL);
    test->run();
    ending->how_left = LEFT_AT_END;
    exit(0);
}

/* Waits for the child to end, and kills it when its time is over. Returns whether it was in time. */
static bool wait_for(pid_t child, const sigset_t *child_ended, int *ret_status)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const time_t deadline_s = now.tv_sec + TEST_SECONDS_MAX;
    while (waitpid(child, ret_status, WNOHANG) == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= deadline_s) {
            kill(child, SIGKILL);
            waitpid(child, ret_status, 0);
            return false;
        }
        const struct timespec left = {.tv_sec = deadline_s - now.tv_sec};
        if (sigtimedwait(child_ended, NULL, &left) < 0 && errno != EAGAIN && errno != EINTR)
            break;
    }
    return true;
}

static enum verdict judge(const struct plain_test *test, int status, bool in_time)
{
    const char *suite = test->suite, *name = test->name;
    if (!in_time) {
        fprintf(stderr, "[FAIL] %s::%s: still running after %d s\n", suite, name, TEST_SECONDS_MAX);
        return FAILED;
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "[FAIL] %s::%s: CRASH! (signal %d)\n", suite, name, WTERMSIG(status));
        return CRASHED;
    }
    if (ending->how_left == LEFT_FAILED) {
        fprintf(stderr, "[FAIL] %s::%s\n", suite, name);
        return FAILED;
    }
    if (WEXITSTATUS(status) != 0) {
        fprintf(stderr, "[FAIL] %s::%s: exit code %d (a sanitizer's?)\n", suite, name, WEXITSTATUS(status));
        return FAILED;
    }
    if (ending->how_left == LEFT_EARLY) {
        fprintf(stderr, "[FAIL] %s::%s: left by an exit() of its own\n", suite, name);
        return FAILED;
    }
    if (ending->how_left == LEFT_SKIPPED) {
        fprintf(stderr, "[SKIP] %s::%s:%s\n", suite, name, ending->why_skipped);
        return SKIPPED;
    }
    return PASSED;
}

static enum verdict run_test(const struct plain_test *test)
{
    sigset_t child_ended, before;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ended, &before);
    ending->how_left = LEFT_EARLY;
    fflush(NULL);

    const pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0)
        run_child(test, &before);
    setpgid(child, child); /* the child does the same: whoever comes first, the group exists before it is killed */

    int status = 0;
    const bool in_time = wait_for(child, &child_ended, &status);
    kill(-child, SIGKILL); /* whatever the test started and left running */
    return judge(test, status, in_time);
}

static bool is_wanted(const struct plain_test *test, const char *filter)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
    return !filter || fnmatch(filter, name, 0) == 0;
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--list] [--filter SUITE/NAME]   (`*` and `?` in the filter are wildcards)\n", program);
    return 2;
}

int main(int argc, char **argv)
{
    const char *filter = NULL;
    bool list = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            list = true;
        else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
            filter = argv[++i];
        else
            return usage(argv[0]);
    }

    ending = mmap(NULL, sizeof *ending, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ending == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    unsigned count[CRASHED + 1] = {0};
    for (const struct plain_test *test = first_test; test; test = test->next) {
        if (!is_wanted(test, filter))
            continue;
        if (list)
            printf("%s/%s\n", test->suite, test->name);
        else
            count[run_test(test)]++;
    }
    if (list)
        return 0;

    /* Criterion's closing line: a crash counts among the failing, a skip among none. */
    const unsigned failing = count[FAILED] + count[CRASHED];
    fprintf(stderr, "[====] Synthesis: Tested: %u | Passing: %u | Failing: %u | Crashing: %u\n",
            count[PASSED] + failing, count[PASSED], failing, count[CRASHED]);
    return failing ? 1 : 0;
}
