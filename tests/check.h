/* What tests are written with: Criterion, or the plain runner beside this file, which has the few of Criterion's words
 * that our tests use. The sanitizer builds take the plain runner: Criterion's sandbox can not start under
 * ThreadSanitizer and passes tests in which LeakSanitizer found a leak. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#ifndef TBUS_PLAIN_RUNNER

#include <criterion/criterion.h>

#else

#include <math.h>
#include <stdio.h>
#include <string.h>

struct plain_test {
    const char *suite, *name;
    void (*run)(void);
    struct plain_test *next;
};

void plain_test_add(struct plain_test *test);
void plain_test_fail(const char *file, int line, const char *what, const char *format, ...)
    __attribute__((format(printf, 4, 5), noreturn));
void plain_test_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define Test(suite_, name_, ...)                                                                                       \
    static void suite_##_##name_##_body(void);                                                                         \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)                                              \
    {                                                                                                                  \
        static struct plain_test test = {.suite = #suite_, .name = #name_, .run = suite_##_##name_##_body};            \
        plain_test_add(&test);                                                                                         \
    }                                                                                                                  \
    static void suite_##_##name_##_body(void)

#define plain_check(condition, what, ...)                                                                              \
    ((condition) ? (void)0 : plain_test_fail(__FILE__, __LINE__, what, " " __VA_ARGS__))

#define cr_assert(condition, ...) plain_check(condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) plain_check(!(condition), "not " #condition, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) plain_check((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) plain_check((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) plain_check((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) plain_check((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) plain_check((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) plain_check((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...) plain_check((a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) plain_check((a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) plain_check(strcmp(a, b) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) plain_check(strcmp(a, b) != 0, #a " differs from " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, bytes, ...) plain_check(memcmp(a, b, bytes) == 0, #a " equals " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, slack, ...) plain_check(fabs((a) - (b)) <= (slack), #a " is about " #b, __VA_ARGS__)
#define cr_assert_fail(...) plain_test_fail(__FILE__, __LINE__, "fail", " " __VA_ARGS__)
#define cr_skip_test(...) plain_test_skip(" " __VA_ARGS__)

#endif

#endif
