#include <stdio.h>
#include <string.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/errors_fixture.h"

static tbus_recent_errors_t *recent_of(tbus_errors_t *errors, tbus_recent_filter_t filter)
{
    tbus_recent_errors_t *list = NULL;

    cr_assert_eq(tbus_errors_recent(errors, &filter, &list), 0);
    return list;
}

/* The messages, newest first. */
static const char *text_of(tbus_recent_errors_t *list)
{
    static char text[512];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s ", list->errors[i].message);
    tbus_mem_free(list);
    return text;
}

Test(errors_recent, an_error_is_kept_with_all_that_is_known_of_it)
{
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    const tbus_error_t error = {.type = "timeout",
                                .message = "after 30 s",
                                .endpoint = "/chat",
                                .model = "gpt-4o",
                                .request_id = "req-1",
                                .user_id = "amina",
                                .status_code = 504,
                                .time_ns = 12345};

    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    tbus_recent_errors_t *list = recent_of(errors, (tbus_recent_filter_t){0});
    cr_assert_eq(list->count, 1);
    const tbus_recent_error_t *recent = list->errors;
    cr_assert_str_eq(recent->type, "timeout");
    cr_assert_str_eq(recent->message, "after 30 s");
    cr_assert_str_eq(recent->endpoint, "/chat");
    cr_assert_str_eq(recent->model, "gpt-4o");
    cr_assert_str_eq(recent->request_id, "req-1");
    cr_assert_str_eq(recent->user_id, "amina");
    cr_assert_eq(recent->status_code, 504);
    cr_assert_eq(recent->time_ns, 12345);
    cr_assert_eq(tbus_error_fingerprint("timeout", "/chat", "after 30 s", fingerprint), 0);
    cr_assert_str_eq(recent->fingerprint, fingerprint);
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

Test(errors_recent, the_newest_come_first_and_the_oldest_go)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.recent_max = 3});

    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){0})), "");
    for (int i = 0; i < 5; i++) {
        char message[8];
        snprintf(message, sizeof message, "m%d", i);
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = message}), 0);
        cr_assert_eq(tbus_errors_record_response(errors, "e", "m", 200, 1), 0);
        cr_assert_eq(tbus_errors_record_response(errors, "e", "m", 499, 1), 0);
    }
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){0})), "m4 m3 m2 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.limit = 2})), "m4 m3 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.limit = 9})), "m4 m3 m2 ");
    tbus_errors_reset(errors);
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){0})), "");
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = "m5"}), 0);
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){0})), "m5 ");
    tbus_errors_close(errors);
}

Test(errors_recent, filters_by_endpoint_and_type)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    char longer[2][400];

    for (int i = 0; i < 2; i++) {
        memset(longer[i], 'y', sizeof longer[i]);
        longer[i][399] = '\0';
        longer[i][398] = (char)('0' + i);
    }
    const char *const endpoints[] = {"/a", "/b", NULL, longer[0], longer[1], "/v1?key=sk-abc", "/a"};
    for (int i = 0; i < 7; i++) {
        char message[8];
        snprintf(message, sizeof message, "m%d", i);
        tbus_error_t error = {.type = i % 2 ? "odd" : "even", .message = message, .endpoint = endpoints[i]};
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    }
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = "/a"})), "m6 m0 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.type = "odd"})), "m5 m3 m1 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.type = "odd", .endpoint = "/b"})), "m1 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.limit = 1, .type = "even"})), "m6 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = ""})), "m2 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = longer[0]})), "m3 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = longer[1]})), "m4 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = "/v1?key=sk-abc"})), "m5 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = "/v1?key=sk-*"})), "m5 ");
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){.endpoint = "/c"})), "");
    tbus_errors_close(errors);
}

Test(errors_recent, none_are_kept_when_none_are_wanted)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.recent_max = UINT32_MAX});

    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = "m"}), 0);
    cr_assert_str_eq(text_of(recent_of(errors, (tbus_recent_filter_t){0})), "");
    tbus_errors_close(errors);
}

Test(errors_recent, texts_are_cut_between_code_points_and_shown_without_keys)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    char message[1024] = "xy";

    while (strlen(message) < 600)
        strcat(message, "\xf0\x9f\x98\x80");
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = message}), 0);
    tbus_recent_errors_t *list = recent_of(errors, (tbus_recent_filter_t){0});
    cr_assert_eq(strlen(list->errors->message), 254, "2 and 63 * 4");
    cr_assert_arr_eq(list->errors->message, message, 254);
    tbus_mem_free(list);

    const tbus_error_t error = {.type = "sk-a1",
                                .message = "key sk-ant-b2 and api_key=\"Abcdefg3h\"",
                                .endpoint = "/v1?token=abcdefgh1234",
                                .model = "ghp_c4",
                                .request_id = "Bearer d5",
                                .user_id = "xoxb-e6"};
    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    list = recent_of(errors, (tbus_recent_filter_t){0});
    cr_assert_str_eq(list->errors->type, "sk-*");
    cr_assert_str_eq(list->errors->message, "key sk-* and api_key=\"*\"");
    cr_assert_str_eq(list->errors->endpoint, "/v1?token=*");
    cr_assert_str_eq(list->errors->model, "ghp_*");
    cr_assert_str_eq(list->errors->request_id, "Bearer *");
    cr_assert_str_eq(list->errors->user_id, "xoxb-*");
    tbus_mem_free(list);

    /* cut in the middle of what is too short by then to look like a key */
    memset(message, 'z', sizeof message);
    memcpy(message + 245, " token=aB3aB3aB3aB3", 20);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = message}), 0);
    list = recent_of(errors, (tbus_recent_filter_t){0});
    cr_assert_str_eq(list->errors->message + 245, " token=*");
    tbus_mem_free(list);
    tbus_errors_close(errors);
}

/* Against a list of everything, newest last. */
Test(errors_recent, random_filters_against_a_list)
{
    enum { ERRORS = 600, MAX = 50 };
    static const char *const names[] = {"", "a", "b", "c"};
    static struct {
        const char *type, *endpoint;
        int64_t time_ns; /* in no order: what comes last need not have happened last */
    } all[ERRORS];
    uint64_t random = oracle_seed("errors_recent");
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.recent_max = MAX});

    for (int i = 0; i < ERRORS; i++) {
        all[i].type = names[oracle_random(&random) % 4];
        all[i].endpoint = names[oracle_random(&random) % 4];
        all[i].time_ns = (int64_t)(oracle_random(&random) % 100) - 50;
        tbus_error_t error = {.type = all[i].type, .endpoint = all[i].endpoint, .time_ns = all[i].time_ns};
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
        tbus_recent_filter_t filter = {
            .after_ns = oracle_random(&random) % 2 ? (int64_t)(oracle_random(&random) % 100) - 50 : 0,
            .limit = oracle_random(&random) % 20,
            .type = oracle_random(&random) % 2 ? names[oracle_random(&random) % 4] : NULL,
            .endpoint = oracle_random(&random) % 2 ? names[oracle_random(&random) % 4] : NULL};
        tbus_recent_errors_t *list = recent_of(errors, filter);
        size_t found = 0;
        for (int j = i; j >= 0 && j > i - MAX && (filter.limit == 0 || found < filter.limit); j--) {
            if (filter.after_ns != 0 && all[j].time_ns <= filter.after_ns)
                continue;
            if ((filter.type && filter.type != all[j].type) || (filter.endpoint && filter.endpoint != all[j].endpoint))
                continue;
            cr_assert_lt(found, list->count);
            cr_assert_eq(list->errors[found++].time_ns, all[j].time_ns);
        }
        cr_assert_eq(found, list->count);
        tbus_mem_free(list);
    }
    tbus_errors_close(errors);
}

Test(errors_recent, bad_arguments_and_missing_memory)
{
    struct oom oom = {.fail_at = -1};
    tbus_recent_errors_t *list = NULL;
    tbus_error_patterns_t *patterns = NULL;

    oom_install(&oom);
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.message = "m"}), 0);
    cr_assert_eq(tbus_errors_recent(NULL, NULL, &list), UV_EINVAL);
    cr_assert_eq(tbus_errors_recent(errors, NULL, NULL), UV_EINVAL);
    oom.fail_at = atomic_load(&oom.calls);
    oom.keep_failing = true;
    cr_assert_eq(tbus_errors_recent(errors, NULL, &list), UV_ENOMEM);
    cr_assert_eq(tbus_errors_patterns(errors, NULL, &patterns), UV_ENOMEM);
    cr_assert(!list && !patterns);
    oom.fail_at = -1;
    cr_assert_eq(tbus_errors_recent(errors, NULL, &list), 0);
    cr_assert_eq(list->count, 1);
    tbus_mem_free(list);
    tbus_errors_close(errors);
    oom_remove();
    cr_assert_eq(atomic_load(&oom.live), 0);
}

/* --- Memory --- */

static void *alloc_up_to_a_gib(size_t bytes, void *user)
{
    (void)user;
    return bytes > (size_t)1 << 30 ? NULL : malloc(bytes);
}

static void *resize_any(void *memory, size_t bytes, void *user)
{
    (void)user;
    return realloc(memory, bytes);
}

static void release_any(void *memory, void *user)
{
    (void)user;
    free(memory);
}

/* The bytes of the most that may be asked for do not fit 32 bits, which may be all that a size has. */
Test(errors_recent, more_than_there_is_memory_for_is_refused_whatever_a_size_can_hold)
{
    const tbus_allocator_t allocator = {alloc_up_to_a_gib, resize_any, release_any, NULL};
    cr_assert_eq(tbus_set_allocator(&allocator), 0);
    for (uint32_t max = 1 << 24; max > 1 << 21; max -= 99991) {
        tbus_errors_t *errors = NULL;
        cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.recent_max = max}, &errors), UV_ENOMEM, "%u", max);
        cr_assert_null(errors);
    }
    cr_assert_eq(tbus_set_allocator(NULL), 0);
}
