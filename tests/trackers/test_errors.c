#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/trackers/errors_fixture.h"

static void fail(tbus_errors_t *errors, const char *type, const char *message, const char *endpoint, int64_t time_ns)
{
    tbus_error_t error = {.type = type, .message = message, .endpoint = endpoint, .model = "m", .time_ns = time_ns};

    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
}

static void respond(tbus_errors_t *errors, int64_t status_code)
{
    cr_assert_eq(tbus_errors_record_response(errors, "/v1", "m", status_code, 1), 0);
}

static void check_count(const tbus_error_count_t *count, const char *name, uint64_t errors)
{
    cr_assert_str_eq(count->name, name, "%s", count->name);
    cr_assert_eq(count->errors, errors);
}

/* "message count message count ..." of the patterns. */
static const char *patterns_text(const tbus_errors_snapshot_t *snapshot)
{
    static char text[1024];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < snapshot->patterns_count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s %llu ", snapshot->patterns[i].normalized,
                                   (unsigned long long)snapshot->patterns[i].count);
    return text;
}

/* --- Opening --- */

Test(errors, bad_arguments)
{
    tbus_errors_t *errors = NULL;
    tbus_errors_snapshot_t *snapshot = NULL;

    cr_assert_eq(tbus_errors_open(NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.slo_target_ppm = 1000001}, &errors), UV_EINVAL);
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.names_max = (1 << 24) + 1}, &errors), UV_EINVAL);
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.patterns_max = (1 << 24) + 1}, &errors), UV_EINVAL);
    static const tbus_endpoint_slo_t good = {"/a", 1}, bad[] = {{"/a", 0}, {"/a", 1000001}};
    const tbus_errors_options_t out_of_range[] = {
        {.recent_max = (1 << 24) + 1},
        {.endpoints_max = (1 << 24) + 1},
        {.compliance_s = 3599},
        {.compliance_s = 366 * 86400 + 1},
        {.endpoint_slos_count = 1},
        {.endpoint_slos = bad, .endpoint_slos_count = 1},
        {.endpoint_slos = bad + 1, .endpoint_slos_count = 1},
        {.endpoint_slos = &good, .endpoint_slos_count = 101},
        {.endpoint_slos = &good, .endpoint_slos_count = 3, .endpoints_max = 2},
    };
    for (size_t i = 0; i < sizeof out_of_range / sizeof *out_of_range; i++)
        cr_assert_eq(tbus_errors_open(&out_of_range[i], &errors), UV_EINVAL, "%zu", i);
    cr_assert_null(errors, "untouched");
    cr_assert_eq(tbus_errors_evaluate(NULL, 0), UV_EINVAL);
    cr_assert_eq(tbus_errors_take_finding(NULL, &(tbus_finding_t){0}), UV_EINVAL);
    cr_assert_eq(tbus_errors_record_request(NULL, &(tbus_error_t){0}), UV_EINVAL);
    cr_assert_eq(tbus_errors_record_response(NULL, "", "", 200, 0), UV_EINVAL);
    cr_assert_eq(tbus_errors_record_error(NULL, &(tbus_error_t){0}), UV_EINVAL);
    cr_assert_eq(tbus_errors_snapshot(NULL, 0, &snapshot), UV_EINVAL);
    tbus_errors_close(NULL);
    tbus_errors_reset(NULL);
    tbus_errors_snapshot_free(NULL);

    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_eq(tbus_errors_record_error(errors, NULL), UV_EINVAL);
    cr_assert_eq(tbus_errors_record_request(errors, NULL), UV_EINVAL);
    cr_assert_eq(tbus_errors_take_finding(errors, NULL), UV_EINVAL);
    cr_assert_eq(tbus_errors_snapshot(errors, 0, NULL), UV_EINVAL);
    tbus_errors_close(errors);
}

Test(errors, the_limits_of_the_options_are_allowed)
{
    tbus_errors_options_t options = {.slo_target_ppm = 1000000, .names_max = 1 << 24, .patterns_max = 1 << 24};
    tbus_errors_t *errors = open_with(options);

    fail(errors, "t", "m", "e", 1);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo.target_ppm, 1000000);
    cr_assert(snapshot->slo.violated);
    cr_assert(isinf(snapshot->slo.burn_rate));
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, a_new_tracker_is_empty)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);

    cr_assert_eq(snapshot->time_ns, 0);
    cr_assert_eq(snapshot->slo.target_ppm, 999000);
    cr_assert_eq(snapshot->slo.total_requests, 0);
    cr_assert_eq(snapshot->slo.success_rate, 1);
    cr_assert_eq(snapshot->by_endpoint_count, 0, "not even other");
    cr_assert_eq(snapshot->by_type_count, 0);
    cr_assert_eq(snapshot->by_model_count, 0);
    cr_assert_eq(snapshot->by_status_count, 0);
    cr_assert_eq(snapshot->patterns_count, 0);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* --- What counts as an error --- */

/* semantics: errors.error errors.excluded */
Test(errors, a_status_of_500_and_more_is_an_error)
{
    static const int64_t statuses[] = {200, 0, 301, 404, 429, 500, 500, 503, 599, 600, INT64_MAX, -1, INT64_MIN, 499};
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        respond(errors, statuses[i]);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->excluded, 1);
    cr_assert_eq(snapshot->slo.total_requests, 13);
    cr_assert_eq(snapshot->slo.errors, 6);
    cr_assert_eq(snapshot->by_type_count, 5);
    check_count(&snapshot->by_type[0], "http_500", 2);
    check_count(&snapshot->by_type[1], "http_503", 1);
    check_count(&snapshot->by_type[2], "http_599", 1);
    check_count(&snapshot->by_type[3], "http_600", 1);
    check_count(&snapshot->by_type[4], "http_9223372036854775807", 1);
    cr_assert_eq(snapshot->by_status_count, 4);
    static const int64_t codes[] = {-1, 500, 503, 599}; /* by falling count, then by code */
    static const uint64_t counts[] = {2, 2, 1, 1};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(snapshot->by_status[i].status_code, codes[i]);
        cr_assert_eq(snapshot->by_status[i].errors, counts[i]);
    }
    cr_assert_eq(snapshot->patterns_count, 5);
    cr_assert_str_eq(snapshot->patterns[0].type, "http_500");
    cr_assert_str_eq(snapshot->patterns[0].endpoint, "/v1");
    cr_assert_str_eq(snapshot->patterns[0].normalized, "");
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, client_errors_count_when_asked_for)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.client_errors_count = true});

    respond(errors, 399);
    respond(errors, 400);
    respond(errors, 498);
    respond(errors, 499);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo.errors, 2);
    cr_assert_eq(snapshot->slo.total_requests, 3);
    cr_assert_eq(snapshot->excluded, 1);
    check_count(&snapshot->by_type[0], "http_400", 1);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* semantics: errors.excluded */
Test(errors, the_excluded_status_can_be_chosen)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.excluded_status = 503});
    tbus_errors_t *none = open_with((tbus_errors_options_t){.excluded_status = -1, .client_errors_count = true});

    respond(errors, 503);
    respond(errors, 499);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.type = "t", .status_code = 503}), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->excluded, 2);
    cr_assert_eq(snapshot->slo.total_requests, 1);
    cr_assert_eq(snapshot->patterns_count, 0);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);

    respond(none, 499);
    respond(none, -1);
    snapshot = snapshot_of(none);
    cr_assert_eq(snapshot->excluded, 0);
    cr_assert_eq(snapshot->slo.errors, 1);
    cr_assert_eq(snapshot->slo.total_requests, 2);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(none);
}

/* An error as such is one whatever its status, but for the excluded one. */
Test(errors, a_recorded_error_needs_no_status)
{
    static const int64_t statuses[] = {0, 0, 0, 404, 404, 200, 99, -7};
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.status_code = statuses[i]}), 0);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.status_code = 499}), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->slo.errors, 8);
    cr_assert_eq(snapshot->excluded, 1);
    cr_assert_eq(snapshot->by_status_count, 4);
    cr_assert_eq(snapshot->by_status[0].status_code, 0);
    cr_assert_eq(snapshot->by_status[0].errors, 3);
    cr_assert_eq(snapshot->by_status[1].status_code, -1);
    cr_assert_eq(snapshot->by_status[1].errors, 2);
    cr_assert_eq(snapshot->by_status[2].status_code, 404);
    cr_assert_eq(snapshot->by_status[3].status_code, 200);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, the_slo_is_of_all_requests)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (int i = 0; i < 999; i++)
        respond(errors, 200);
    respond(errors, 500);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_not(snapshot->slo.violated);
    cr_assert_eq(snapshot->slo.burn_rate, 1);
    tbus_errors_snapshot_free(snapshot);

    respond(errors, 500);
    snapshot = snapshot_of(errors);
    cr_assert(snapshot->slo.violated);
    cr_assert_eq(snapshot->slo.total_requests, 1001);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* --- Lists and patterns --- */

/* semantics: errors.counts */
Test(errors, lists_go_by_falling_count_then_by_name)
{
    static const char *const endpoints[] = {"b", "c", "a", "c", "", NULL};
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        fail(errors, "t", "m", endpoints[i], 1);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->by_endpoint_count, 4);
    check_count(&snapshot->by_endpoint[0], "", 2);
    check_count(&snapshot->by_endpoint[1], "c", 2);
    check_count(&snapshot->by_endpoint[2], "a", 1);
    check_count(&snapshot->by_endpoint[3], "b", 1);
    cr_assert_eq(snapshot->by_model_count, 1);
    check_count(&snapshot->by_model[0], "m", 6);
    cr_assert_eq(snapshot->patterns_count, 4);
    cr_assert_str_eq(snapshot->patterns[0].endpoint, "");
    cr_assert_str_eq(snapshot->patterns[3].endpoint, "b");
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* semantics: errors.pattern */
Test(errors, alike_messages_make_one_pattern)
{
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    fail(errors, "timeout", "after 30 s", "/chat", 50);
    fail(errors, "timeout", "after 60 s", "/chat", 20);
    fail(errors, "timeout", "after 5 s", "/chat", 90);
    fail(errors, "timeout", "after 5 s", "/embed", -3);
    fail(errors, "limit", "after 5 s", "/chat", 7);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->time_ns, 90, "the latest, not the last");
    cr_assert_eq(snapshot->patterns_count, 3);
    const tbus_error_pattern_t *pattern = snapshot->patterns;
    cr_assert_str_eq(pattern->type, "timeout");
    cr_assert_str_eq(pattern->endpoint, "/chat");
    cr_assert_str_eq(pattern->normalized, "after <NUM> s");
    cr_assert_eq(pattern->count, 3);
    cr_assert_eq(pattern->first_seen_ns, 20);
    cr_assert_eq(pattern->last_seen_ns, 90);
    cr_assert_eq(tbus_error_fingerprint("timeout", "/chat", "after 1 s", fingerprint), 0);
    cr_assert_str_eq(pattern->fingerprint, fingerprint);
    cr_assert_str_eq(pattern[1].type, "limit", "by type where the count is the same");
    cr_assert_eq(pattern[2].first_seen_ns, -3);
    cr_assert_eq(pattern[2].last_seen_ns, -3);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* semantics: errors.pattern */
Test(errors, the_pattern_seen_longest_ago_goes)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.patterns_max = 3});

    fail(errors, "t", "a", "e", 1);
    fail(errors, "t", "b", "e", 2);
    fail(errors, "t", "c", "e", 3);
    fail(errors, "t", "a", "e", 4);
    fail(errors, "t", "d", "e", 5); /* b goes */
    fail(errors, "t", "c", "e", 6);
    fail(errors, "t", "c", "e", 7);
    fail(errors, "t", "e", "e", 0); /* a goes: time may run backwards, the order of recording counts */
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_str_eq(patterns_text(snapshot), "c 3 d 1 e 1 ");
    cr_assert_eq(snapshot->patterns_dropped, 2);
    tbus_errors_snapshot_free(snapshot);

    fail(errors, "t", "b", "e", 9); /* d goes, and b begins anew */
    snapshot = snapshot_of(errors);
    cr_assert_str_eq(patterns_text(snapshot), "c 3 b 1 e 1 ");
    cr_assert_eq(snapshot->patterns[1].first_seen_ns, 9);
    cr_assert_eq(snapshot->slo.errors, 9, "what goes stays counted");
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, a_single_pattern_is_enough)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.patterns_max = 1, .names_max = 1});

    for (int i = 0; i < 10; i++)
        fail(errors, "t", i % 3 ? "a" : "b", "e", i);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_str_eq(patterns_text(snapshot), "b 1 ");
    cr_assert_eq(snapshot->patterns_dropped, 6);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, names_past_the_cap_fold_into_other)
{
    static const char *const types[] = {"a", "b", "c", "d", "a", "other", "c"};
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.names_max = 2});

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        fail(errors, types[i], "m", "e", 1);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->by_type_count, 3);
    check_count(&snapshot->by_type[0], "other", 4);
    check_count(&snapshot->by_type[1], "a", 2);
    check_count(&snapshot->by_type[2], "b", 1);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, secrets_are_not_shown)
{
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    const char *message = "Incorrect API key provided: sk-proj-abCD1234. Sent as Bearer eyJhbGci.x-y";
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    fail(errors, "auth", message, "/v1", 1);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_str_eq(snapshot->patterns[0].normalized, "Incorrect API key provided: sk-* Sent as Bearer *");
    cr_assert_eq(tbus_error_fingerprint("auth", "/v1", message, fingerprint), 0);
    cr_assert_str_eq(snapshot->patterns[0].fingerprint, fingerprint, "masking regroups nothing");
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* Two names that differ in a key alone are one: else a page of metrics had two series of one name. */
Test(errors, names_are_counted_without_their_keys)
{
    char fingerprints[2][TBUS_FINGERPRINT_BYTES];
    static const char *const endpoints[] = {"/v1?api_key=abcdefgh1", "/v1?api_key=ijklmnop2"};
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.names_max = 2});

    for (int i = 0; i < 10; i++) {
        tbus_error_t error = {.type = "Bearer x", .endpoint = endpoints[i % 2], .model = i % 2 ? "ft:sk-a" : "ft:sk-b"};
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
        cr_assert_eq(tbus_errors_record_response(errors, endpoints[i % 2], "m", 200, 0), 0);
    }
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->by_endpoint_count, 1);
    check_count(&snapshot->by_endpoint[0], "/v1?api_key=*", 10);
    check_count(&snapshot->by_type[0], "Bearer *", 10);
    check_count(&snapshot->by_model[0], "ft:sk-*", 10);
    cr_assert_eq(snapshot->slos_count, 1);
    cr_assert_str_eq(snapshot->slos[0].endpoint, "/v1?api_key=*");
    cr_assert_eq(snapshot->slos[0].status.total_requests, 20);
    cr_assert_eq(snapshot->patterns_count, 2, "fingerprints are over what was given");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tbus_error_fingerprint("Bearer x", endpoints[i], NULL, fingerprints[i]), 0);
        cr_assert_str_eq(snapshot->patterns[i].endpoint, "/v1?api_key=*");
        cr_assert_str_eq(snapshot->patterns[i].type, "Bearer *");
        cr_assert_eq(snapshot->patterns[i].models_count, 1);
        cr_assert_str_eq(snapshot->patterns[i].models[0], "ft:sk-*");
    }
    cr_assert(strcmp(snapshot->patterns[0].fingerprint, fingerprints[0]) == 0 ||
              strcmp(snapshot->patterns[0].fingerprint, fingerprints[1]) == 0);
    cr_assert_str_neq(snapshot->patterns[0].fingerprint, snapshot->patterns[1].fingerprint);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

Test(errors, a_request_is_told_with_all_that_is_known_of_it)
{
    tbus_recent_errors_t *recent;
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});
    tbus_error_t request = {.type = "not looked at",
                            .message = "neither",
                            .endpoint = "/v1",
                            .model = "m",
                            .request_id = "req-1",
                            .user_id = "amina",
                            .status_code = 200,
                            .time_ns = 5};

    cr_assert_eq(tbus_errors_record_request(errors, &request), 0);
    request.status_code = 499;
    cr_assert_eq(tbus_errors_record_request(errors, &request), 0);
    request.status_code = 502;
    cr_assert_eq(tbus_errors_record_request(errors, &request), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->requests, 2);
    cr_assert_eq(snapshot->failed, 1);
    cr_assert_eq(snapshot->excluded, 1);
    check_count(&snapshot->by_type[0], "http_502", 1);
    cr_assert_eq(snapshot->patterns[0].users, 1);
    cr_assert_str_eq(snapshot->patterns[0].request_ids[0], "req-1");
    cr_assert_str_eq(snapshot->patterns[0].normalized, "");
    tbus_errors_snapshot_free(snapshot);
    cr_assert_eq(tbus_errors_recent(errors, NULL, &recent), 0);
    cr_assert_str_eq(recent->errors[0].type, "http_502");
    cr_assert_str_eq(recent->errors[0].message, "");
    cr_assert_str_eq(recent->errors[0].user_id, "amina");
    tbus_mem_free(recent);
    tbus_errors_close(errors);
}

Test(errors, reset_starts_anew)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){.names_max = 2, .patterns_max = 2});

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            fail(errors, (const char *[]){"a", "b", "c", "d", "e"}[i], "m", "e", 100 - round);
        respond(errors, 499);
        tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
        cr_assert_eq(snapshot->slo.errors, 5);
        cr_assert_eq(snapshot->excluded, 1);
        cr_assert_eq(snapshot->time_ns, 100 - round);
        check_count(&snapshot->by_type[0], "other", 3);
        cr_assert_eq(snapshot->patterns_count, 2);
        cr_assert_eq(snapshot->patterns_dropped, 3);
        tbus_errors_snapshot_free(snapshot);

        tbus_errors_reset(errors);
        snapshot = snapshot_of(errors);
        cr_assert_eq(snapshot->slo.total_requests + snapshot->excluded + snapshot->by_type_count, 0);
        cr_assert_eq(snapshot->patterns_count + snapshot->patterns_dropped + snapshot->by_status_count, 0);
        cr_assert_eq(snapshot->time_ns, 0);
        tbus_errors_snapshot_free(snapshot);
    }
    tbus_errors_close(errors);
}

Test(errors, a_snapshot_outlives_its_tracker)
{
    tbus_errors_t *errors = open_with((tbus_errors_options_t){0});

    fail(errors, "t", "message", "e", 1);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    tbus_errors_close(errors);
    cr_assert_str_eq(snapshot->patterns[0].normalized, "message");
    check_count(&snapshot->by_endpoint[0], "e", 1);
    tbus_errors_snapshot_free(snapshot);
}
