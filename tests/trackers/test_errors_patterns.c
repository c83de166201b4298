/* What patterns have met, when they are told of, and how they are listed. */
#include <stdio.h>
#include <string.h>

#include "tests/trackers/errors_fixture.h"

static tbus_error_patterns_t *list_of(tbus_errors_t *errors, tbus_pattern_filter_t filter)
{
    tbus_error_patterns_t *list = NULL;

    cr_assert_eq(tbus_errors_patterns(errors, &filter, &list), 0);
    return list;
}

static void fail(tbus_errors_t *errors, const char *message, int times, int64_t time_ns)
{
    for (int i = 0; i < times; i++)
        cr_assert_eq(
            tbus_errors_record_error(
                errors,
                &(tbus_error_t){.type = "t", .message = message, .endpoint = "/v1", .model = "m", .time_ns = time_ns}),
            0);
}

/* --- Met --- */

/* semantics: errors.pattern */
Test(errors_patterns, models_are_listed_in_the_order_they_were_met)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    static const char *const models[] = {"gpt-4o", "o1", NULL, "gpt-4o", "o1", "gpt-4o"};

    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.model = models[i]}), 0);
    tbus_error_patterns_t *list = list_of(errors, (tbus_pattern_filter_t){0});
    cr_assert_eq(list->count, 1);
    cr_assert_eq(list->patterns->models_count, 3);
    cr_assert_str_eq(list->patterns->models[0], "gpt-4o");
    cr_assert_str_eq(list->patterns->models[1], "o1");
    cr_assert_str_eq(list->patterns->models[2], "");
    cr_assert_not(list->patterns->has_more_models);
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

/* semantics: errors.pattern */
Test(errors_patterns, models_and_users_are_bounded)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (int i = 1; i <= 70; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        for (int again = 0; again < 2; again++)
            cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.model = name, .user_id = name}), 0);
        tbus_error_patterns_t *list = list_of(errors, (tbus_pattern_filter_t){0});
        const tbus_error_pattern_t *pattern = list->patterns;
        cr_assert_eq(pattern->models_count, (size_t)(i < 16 ? i : 16));
        cr_assert_eq(pattern->has_more_models, i > 16);
        cr_assert_eq(pattern->users, (uint32_t)(i < 64 ? i : 64));
        cr_assert_eq(pattern->has_more_users, i > 64);
        cr_assert_str_eq(pattern->models[0], "n1");
        tbus_mem_free(list);
    }
    tbus_errors_close(errors);
}

Test(errors_patterns, errors_without_a_user_affect_nobody)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (int i = 0; i < 6; i++)
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.user_id = i % 3 == 0   ? NULL
                                                                                 : i % 3 == 1 ? ""
                                                                                              : "amina"}),
                     0);
    tbus_error_patterns_t *list = list_of(errors, (tbus_pattern_filter_t){0});
    cr_assert_eq(list->patterns->users, 1);
    cr_assert_eq(list->patterns->request_ids_count, 0);
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

/* semantics: errors.pattern */
Test(errors_patterns, the_latest_ten_requests_are_kept_each_once)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (int i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "req-%d", i / 3);
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.request_id = id}), 0);
    }
    tbus_error_patterns_t *list = list_of(errors, (tbus_pattern_filter_t){0});
    cr_assert_eq(list->patterns->request_ids_count, 10);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "req-%d", 13 - i);
        cr_assert_str_eq(list->patterns->request_ids[i], id);
    }
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

Test(errors_patterns, long_ids_are_cut_between_code_points_and_masked)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    char id[400] = "x";

    while (strlen(id) < 300)
        strcat(id, "\xe2\x82\xac");
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.request_id = id}), 0);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.request_id = "sk-abc"}), 0);
    tbus_error_patterns_t *list = list_of(errors, (tbus_pattern_filter_t){0});
    cr_assert_str_eq(list->patterns->request_ids[0], "sk-*");
    cr_assert_eq(strlen(list->patterns->request_ids[1]), 61, "1 and 20 * 3");
    cr_assert_arr_eq(list->patterns->request_ids[1], id, 61);
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

/* --- Told of --- */

Test(errors_patterns, crossing_the_threshold_is_told_once)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    tbus_finding_t finding;

    fail(errors, "after 1 s", 2, 7);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 0);
    fail(errors, "after 2 s", 1, 9);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 1);
    cr_assert_eq(finding.kind, TBUS_FINDING_PATTERN);
    cr_assert_eq(finding.time_ns, 9);
    cr_assert_eq(finding.count, 3);
    cr_assert_str_eq(finding.type, "t");
    cr_assert_str_eq(finding.endpoint, "/v1");
    cr_assert_eq(tbus_error_fingerprint("t", "/v1", "after <NUM> s", fingerprint), 0);
    cr_assert_str_eq(finding.fingerprint, fingerprint);
    fail(errors, "after 2 s", 20, 10);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 0);
    tbus_errors_close(errors);
}

Test(errors_patterns, the_threshold_can_be_chosen)
{
    tbus_finding_t finding;
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.pattern_threshold = 1});

    fail(errors, "a", 1, 1);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 1);
    tbus_errors_close(errors);
    errors = open_with((tbus_errors_options_t){.pattern_threshold = UINT32_MAX});
    fail(errors, "a", 1000, 1);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 0);
    tbus_errors_close(errors);
}

Test(errors_patterns, more_than_find_room_are_told_later)
{
    enum { PATTERNS = 300 };
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    tbus_finding_t finding;
    int told = 0;

    for (int i = 0; i < PATTERNS; i++) {
        char message[8];
        snprintf(message, sizeof message, "%c%c%c", 'g' + i / 100, 'g' + i / 10 % 10, 'g' + i % 10);
        fail(errors, message, 4, i);
    }
    while (tbus_errors_take_finding(errors, &finding) > 0)
        told++;
    cr_assert_eq(told, PATTERNS);
    fail(errors, "ggg", 9, 1);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 0);
    tbus_errors_close(errors);
}

Test(errors_patterns, findings_show_no_key)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.pattern_threshold = 1});
    tbus_finding_t finding;

    tbus_error_t error = {.type = "Bearer abcdef", .endpoint = "/v1?key=AIzaSyA1234567890", .message = "m"};
    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 1);
    cr_assert_str_eq(finding.type, "Bearer *");
    cr_assert_str_eq(finding.endpoint, "/v1?key=AIza*");
    tbus_errors_close(errors);
}

/* --- Listed and forgotten --- */

/* "message count " of a list. */
static const char *text_of(tbus_error_patterns_t *list)
{
    static char text[512];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s %llu ", list->patterns[i].normalized,
                                   (unsigned long long)list->patterns[i].count);
    tbus_mem_free(list);
    return text;
}

Test(errors_patterns, lists_go_by_count_and_can_be_filtered)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    tbus_error_patterns_t *list;

    cr_assert_eq(tbus_errors_patterns(NULL, NULL, &list), UV_EINVAL);
    cr_assert_eq(tbus_errors_patterns(errors, NULL, NULL), UV_EINVAL);
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){0})), "");
    fail(errors, "one", 1, 400);
    fail(errors, "five", 5, 100);
    fail(errors, "three", 3, 300);
    fail(errors, "four", 4, 200);
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){0})), "five 5 four 4 three 3 one 1 ");
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){.limit = 2})), "five 5 four 4 ");
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){.count_min = 3})), "five 5 four 4 three 3 ");
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){.seen_after_ns = 200})), "three 3 one 1 ");
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){1, 2, 200})), "three 3 ");
    cr_assert_eq(tbus_errors_patterns(errors, NULL, &list), 0);
    cr_assert_eq(list->count, 4);
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

Test(errors_patterns, old_ones_can_be_forgotten)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    tbus_finding_t finding;

    cr_assert_eq(tbus_errors_forget_patterns(NULL, 0), UV_EINVAL);
    fail(errors, "old", 4, 100);
    fail(errors, "new", 1, 300);
    fail(errors, "middle", 1, 200);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 1);
    cr_assert_eq(tbus_errors_forget_patterns(errors, 100), 0);
    cr_assert_eq(tbus_errors_forget_patterns(errors, 201), 2);
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){0})), "new 1 ");
    fail(errors, "old", 3, 400);
    cr_assert_eq(tbus_errors_take_finding(errors, &finding), 1, "it is a new one");
    fail(errors, "another", 1, 400);
    cr_assert_str_eq(text_of(list_of(errors, (tbus_pattern_filter_t){0})), "old 3 another 1 new 1 ");
    tbus_errors_close(errors);
}

Test(errors_patterns, finer_ones_are_an_option)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.finer_patterns = true});
    char fingerprint[TBUS_FINGERPRINT_BYTES];

    fail(errors, "10.0.0.7 refused amina@example.org after 1.5s", 1, 1);
    fail(errors, "fe80::1 refused bo@example.com after 200 ms", 1, 1);
    tbus_error_patterns_t *list = list_of(errors, (tbus_pattern_filter_t){0});
    cr_assert_eq(list->count, 1);
    cr_assert_str_eq(list->patterns->normalized, "<IP> refused <EMAIL> after <DURATION>");
    cr_assert_eq(tbus_error_fingerprint("t", "/v1", list->patterns->normalized, fingerprint), 0);
    cr_assert_str_eq(list->patterns->fingerprint, fingerprint);
    tbus_mem_free(list);
    tbus_errors_close(errors);
}
