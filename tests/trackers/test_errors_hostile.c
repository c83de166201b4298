/* The error tracker under input and circumstances that mean no good: long and broken strings,
 * numbers at their ends, many threads. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/errors_fixture.h"

/* --- Strings --- */

Test(errors_hostile, strings_may_be_null)
{
    char fingerprint[TBUS_FINGERPRINT_BYTES];
    tbus_errors_t *errors;

    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){0}), 0);
    cr_assert_eq(tbus_errors_record_response(errors, NULL, NULL, 500, 0), 0);
    cr_assert_eq(tbus_errors_record_response(errors, NULL, NULL, 200, 0), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->patterns_count, 2);
    cr_assert_str_eq(snapshot->patterns[0].type, "");
    cr_assert_str_eq(snapshot->patterns[0].endpoint, "");
    cr_assert_str_eq(snapshot->patterns[0].normalized, "");
    cr_assert_eq(tbus_error_fingerprint(NULL, NULL, NULL, fingerprint), 0);
    cr_assert_str_eq(snapshot->patterns[0].fingerprint, fingerprint);
    cr_assert_str_eq(snapshot->by_model[0].name, "");
    cr_assert_eq(snapshot->by_model[0].errors, 2);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* Two endpoints of 10 MB that differ in their last byte are two, and so are their patterns. */
Test(errors_hostile, ten_megabytes_in_every_string)
{
    enum { BYTES = 10 * 1000 * 1000 };
    char *text = malloc(BYTES + 1), fingerprint[2][TBUS_FINGERPRINT_BYTES];
    struct oom oom = {.fail_at = -1};
    tbus_errors_t *errors;

    cr_assert_not_null(text);
    memset(text, 'y', BYTES);
    text[BYTES] = '\0';
    oom_install(&oom);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    for (int i = 0; i < 4; i++) {
        text[BYTES - 1] = (char)('a' + i % 2);
        tbus_error_t error = {.type = "t", .message = text, .endpoint = text, .model = text};
        cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
        cr_assert_eq(tbus_error_fingerprint("t", text, text, fingerprint[i % 2]), 0);
    }
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_lt(oom.bytes_peak, 800000, "%zu", (size_t)oom.bytes_peak); /* of it 500 recent errors: 500 KiB */
    cr_assert_eq(snapshot->by_endpoint_count, 2);
    cr_assert_eq(snapshot->by_model_count, 2);
    cr_assert_eq(snapshot->patterns_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const tbus_error_pattern_t *pattern = &snapshot->patterns[i];
        cr_assert_eq(snapshot->by_endpoint[i].errors, 2);
        cr_assert_eq(strlen(snapshot->by_endpoint[i].name), 191);
        cr_assert_eq(pattern->count, 2);
        cr_assert_eq(strlen(pattern->endpoint), 191);
        cr_assert_eq(strlen(pattern->normalized), 200);
        cr_assert(strcmp(pattern->fingerprint, fingerprint[0]) == 0 ||
                  strcmp(pattern->fingerprint, fingerprint[1]) == 0);
    }
    cr_assert_str_neq(snapshot->patterns[0].fingerprint, snapshot->patterns[1].fingerprint);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
    oom_remove();
    cr_assert_eq(oom.live, 0);
    free(text);
}

/* A name is kept whole up to 191 bytes; a longer one is cut between code points wherever the cut falls. */
Test(errors_hostile, long_names_are_cut_between_code_points)
{
    tbus_errors_t *errors;

    for (size_t lead = 0; lead < 4; lead++) {
        char name[512] = "";
        memset(name, 'z', lead);
        while (strlen(name) < 400)
            strcat(name, "\xf0\x9f\x98\x80");
        cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.endpoint = name}), 0);
        tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
        const char *kept = snapshot->by_endpoint[0].name;
        size_t whole = strlen(kept) - 17;
        cr_assert_eq((whole - lead) % 4, 0);
        cr_assert(whole > 174 - 4 && whole <= 174, "%zu", whole);
        cr_assert_eq(kept[whole], '~');
        cr_assert_arr_eq(kept, name, whole);
        cr_assert_str_eq(snapshot->patterns[0].endpoint, kept);
        tbus_errors_snapshot_free(snapshot);

        memset(name + 191 - (191 - lead) % 4, 'y', (191 - lead) % 4); /* up to which the last character is whole */
        name[191] = '\0';
        cr_assert_eq(tbus_errors_record_error(errors, &(tbus_error_t){.model = name}), 0);
        snapshot = snapshot_of(errors);
        cr_assert_str_eq(snapshot->by_model[1].name, name, "191 bytes are not too long");
        tbus_errors_snapshot_free(snapshot);
        tbus_errors_close(errors);
    }
}

Test(errors_hostile, the_longest_signature_fits)
{
    char name[192], message[801];
    tbus_errors_t *errors;

    memset(name, '\xff', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < 200; i++)
        memcpy(message + 4 * i, "\xf0\x9f\x98\x80", 5);
    cr_assert_eq(tbus_errors_open(NULL, &errors), 0);
    tbus_error_t error = {.type = name, .message = message, .endpoint = name, .model = name};
    cr_assert_eq(tbus_errors_record_error(errors, &error), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_str_eq(snapshot->patterns[0].type, name);
    cr_assert_str_eq(snapshot->patterns[0].endpoint, name);
    cr_assert_str_eq(snapshot->patterns[0].normalized, message);
    tbus_errors_snapshot_free(snapshot);
    tbus_errors_close(errors);
}

/* Any bytes but NUL, any numbers: whatever comes is counted, and what is shown is NUL-terminated and bounded. */
Test(errors_hostile, any_bytes_and_numbers)
{
    static const int64_t numbers[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 499, 500, 599, INT64_MAX - 1, INT64_MAX};
    enum { RECORDS = 20000, NUMBERS = sizeof numbers / sizeof *numbers };
    uint64_t random = oracle_seed("errors_hostile"), excluded = 0;
    tbus_errors_t *errors;
    tbus_recent_errors_t *recent;

    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.finer_patterns = true, .rolling = true}, &errors), 0);
    for (int i = 0; i < RECORDS; i++) {
        char text[6][300];
        for (int t = 0; t < 6; t++) {
            size_t length = oracle_random(&random) % (i % 8 ? 12 : sizeof text[t]);
            for (size_t at = 0; at < length; at++)
                text[t][at] = (char)(1 + oracle_random(&random) % 255);
            text[t][length] = '\0';
        }
        tbus_error_t error = {text[0],
                              text[1],
                              text[2],
                              text[3],
                              text[4],
                              text[5],
                              numbers[oracle_random(&random) % NUMBERS],
                              numbers[oracle_random(&random) % NUMBERS]};
        excluded += error.status_code == 499;
        cr_assert_eq(i % 2 ? tbus_errors_record_error(errors, &error) : tbus_errors_record_request(errors, &error), 0);
        if (i % 512 == 0) {
            cr_assert_eq(tbus_errors_evaluate(errors, numbers[oracle_random(&random) % NUMBERS]), 0);
            tbus_errors_forget_patterns(errors, numbers[oracle_random(&random) % NUMBERS]);
        }
    }
    tbus_errors_snapshot_t *snapshot = snapshot_of(errors);
    cr_assert_eq(snapshot->requests + snapshot->excluded, RECORDS);
    cr_assert_eq(snapshot->excluded, excluded);
    tbus_errors_snapshot_free(snapshot);
    cr_assert_eq(tbus_errors_recent(errors, NULL, &recent), 0);
    cr_assert_eq(recent->count, 500);
    for (size_t i = 0; i < recent->count; i++) {
        cr_assert_lt(strlen(recent->errors[i].message), TBUS_ERROR_TEXT_BYTES);
        cr_assert_lt(strlen(recent->errors[i].endpoint), TBUS_ERROR_NAME_BYTES);
        cr_assert_lt(strlen(recent->errors[i].user_id), TBUS_ERROR_ID_BYTES);
    }
    tbus_mem_free(recent);
    tbus_errors_close(errors);
}

/* --- Threads --- */

struct crowd {
    tbus_errors_t *errors;
    atomic_uint next;
    atomic_uint told; /* patterns */
};

enum { CROWD_THREADS = 4, CROWD_RECORDS = 5000 };

/* All that reads. */
static void crowd_look(struct crowd *crowd, int64_t now_ns)
{
    tbus_recent_errors_t *recent;
    tbus_error_patterns_t *patterns;
    tbus_finding_t finding;

    cr_assert_eq(tbus_errors_recent(crowd->errors, &(tbus_recent_filter_t){.type = "odd"}, &recent), 0);
    cr_assert_leq(recent->count, 500);
    tbus_mem_free(recent);
    cr_assert_eq(tbus_errors_patterns(crowd->errors, &(tbus_pattern_filter_t){.count_min = 3}, &patterns), 0);
    cr_assert_leq(patterns->count, 128);
    tbus_mem_free(patterns);
    cr_assert_eq(tbus_errors_evaluate(crowd->errors, now_ns), 0);
    while (tbus_errors_take_finding(crowd->errors, &finding) > 0) {
        if (finding.kind == TBUS_FINDING_PATTERN)
            atomic_fetch_add(&crowd->told, 1);
    }
}

static void crowd_run(void *user)
{
    struct crowd *crowd = user;
    unsigned self = atomic_fetch_add(&crowd->next, 1);

    for (int i = 0; i < CROWD_RECORDS; i++) {
        char message[16];
        snprintf(message, sizeof message, "%c%c", 'g' + i % 16, 'g' + i / 16 % 4);
        tbus_error_t error = {.type = self % 2 ? "odd" : "even", .message = message, .time_ns = i};
        cr_assert_eq(tbus_errors_record_error(crowd->errors, &error), 0);
        cr_assert_eq(tbus_errors_record_response(crowd->errors, "e", "m", 200, i), 0);
        if (i % 1000 == 0) {
            tbus_errors_snapshot_t *snapshot = snapshot_of(crowd->errors);
            cr_assert_leq(snapshot->patterns_count, 128);
            tbus_errors_snapshot_free(snapshot);
        }
        if (i % 1000 == 500)
            crowd_look(crowd, i);
    }
}

/* The same new patterns from all threads at once: each is added once, and nothing is counted twice. */
Test(errors_hostile, many_threads_count_exactly)
{
    struct crowd crowd = {.errors = NULL};
    uv_thread_t threads[CROWD_THREADS];
    uint64_t in_patterns = 0;

    cr_assert_eq(tbus_errors_open(NULL, &crowd.errors), 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        cr_assert_eq(uv_thread_create(&threads[i], crowd_run, &crowd), 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        cr_assert_eq(uv_thread_join(&threads[i]), 0);
    tbus_errors_snapshot_t *snapshot = snapshot_of(crowd.errors);
    cr_assert_eq(snapshot->slo.errors, CROWD_THREADS * CROWD_RECORDS);
    cr_assert_eq(snapshot->slo.total_requests, 2 * CROWD_THREADS * CROWD_RECORDS);
    cr_assert_eq(snapshot->patterns_count, 128);
    for (size_t i = 0; i < snapshot->patterns_count; i++)
        in_patterns += snapshot->patterns[i].count;
    cr_assert_eq(in_patterns, CROWD_THREADS * CROWD_RECORDS);
    tbus_errors_snapshot_free(snapshot);
    crowd_look(&crowd, 0);
    cr_assert_eq(atomic_load(&crowd.told), 128, "each pattern once, by whomever");
    tbus_errors_close(crowd.errors);
}

struct chorus {
    tbus_errors_t *errors;
    uv_barrier_t start;
    char type[100001];
};

static void chorus_run(void *user)
{
    struct chorus *chorus = user;

    uv_barrier_wait(&chorus->start);
    cr_assert_eq(tbus_errors_record_error(chorus->errors, &(tbus_error_t){.type = chorus->type}), 0);
}

/* To hash a long type takes a while, in which the other threads miss the same pattern. */
Test(errors_hostile, threads_that_find_the_same_new_pattern_share_it)
{
    static struct chorus chorus;

    memset(chorus.type, 'y', sizeof chorus.type - 1);
    for (int round = 0; round < 20; round++) {
        uv_thread_t threads[CROWD_THREADS];
        cr_assert_eq(tbus_errors_open(NULL, &chorus.errors), 0);
        cr_assert_eq(uv_barrier_init(&chorus.start, CROWD_THREADS), 0);
        for (int i = 0; i < CROWD_THREADS; i++)
            cr_assert_eq(uv_thread_create(&threads[i], chorus_run, &chorus), 0);
        for (int i = 0; i < CROWD_THREADS; i++)
            cr_assert_eq(uv_thread_join(&threads[i]), 0);
        uv_barrier_destroy(&chorus.start);
        tbus_errors_snapshot_t *snapshot = snapshot_of(chorus.errors);
        cr_assert_eq(snapshot->patterns_count, 1);
        cr_assert_eq(snapshot->patterns[0].count, CROWD_THREADS);
        tbus_errors_snapshot_free(snapshot);
        tbus_errors_close(chorus.errors);
    }
}
