#include <tallybus/requests.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/trackers/meanwhile.h"
#include "tests/trackers/statistics.h"

static const int64_t second = 1000000000, begin = 1767258000000000000;

static tbus_requests_snapshot_t *snapshot_at(tbus_requests_t *requests, int64_t now_ns)
{
    tbus_requests_snapshot_t *snapshot;
    cr_assert_eq(tbus_requests_snapshot(requests, now_ns, &snapshot), 0);
    return snapshot;
}

static const tbus_traffic_t *endpoint_of(const tbus_requests_snapshot_t *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->endpoints_count; i++)
        if (strcmp(snapshot->endpoints[i].name, name) == 0)
            return &snapshot->endpoints[i];
    cr_assert_fail("no endpoint %s", name);
    return NULL;
}

/* Everything within one window, so that Python's statistics of all durations are those of the tracker. */
/* semantics: requests.counts requests.latency requests.rates */
Test(requests, equal_counts_over_a_list_and_pythons_percentiles)
{
    enum { EVENTS = 3000, NAMES = 3 };
    static const char *const names[NAMES] = {"/a", "/b", ""};
    static double all[EVENTS], one[NAMES][EVENTS];
    size_t count = 0, counts[NAMES] = {0};
    uint64_t errors = 0, tokens = 0, seed = oracle_seed("requests");
    tbus_requests_t *requests;
    struct oracle oracle;
    oracle_open(&oracle);
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (int i = 0; i < EVENTS; i++) {
        unsigned name = (unsigned)(oracle_random(&seed) % NAMES);
        tbus_traffic_end_t end = {.failed = oracle_random(&seed) % 10 == 0,
                                  .status_code = oracle_random(&seed) % 20 == 0 ? 500 : 499,
                                  .duration_ms = floor(exp((double)(oracle_random(&seed) % 12000) / 1000) * 1e3) / 1e6,
                                  .prompt_tokens = (int64_t)(oracle_random(&seed) % 100),
                                  .completion_tokens = (int64_t)(oracle_random(&seed) % 100),
                                  .time_ns = begin + i * INT64_C(10000000)};
        cr_assert_eq(tbus_requests_record_start(requests, names[name], end.time_ns), 0);
        cr_assert_eq(tbus_requests_record_end(requests, names[name], &end), 0);
        all[count++] = one[name][counts[name]] = end.duration_ms;
        counts[name]++;
        errors += end.failed || end.status_code == 500;
        tokens += (uint64_t)(end.prompt_tokens + end.completion_tokens);
    }
    const int64_t now = begin + 30 * second;
    tbus_requests_snapshot_t *s = snapshot_at(requests, now);
    /* the window is cut into slices of 2 s: it covers 60 s and what has gone by of the newest */
    const double span_s = 60 + (double)(now % (2 * second)) / 1e9;
    cr_assert(s->all.requests == EVENTS && s->all.responses == EVENTS && s->all.in_flight == 0);
    cr_assert(s->all.errors == errors && s->all.prompt_tokens + s->all.completion_tokens == tokens);
    cr_assert_float_eq(s->all.requests_per_second, EVENTS / span_s, 1e-9);
    cr_assert_float_eq(s->all.errors_per_second, (double)errors / span_s, 1e-9);
    cr_assert_float_eq(s->all.tokens_per_second, (double)tokens / span_s, 1e-6);
    oracle_distribution(&oracle, 0.005, &s->all.latency_ms, all, count);
    for (int i = 0; i < NAMES; i++) {
        cr_assert_eq(endpoint_of(s, names[i])->responses, counts[i]);
        oracle_distribution(&oracle, 0.005, &endpoint_of(s, names[i])->latency_ms, one[i], counts[i]);
    }
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
    oracle_check(&oracle, "tests/trackers/statistics_oracle.py", "");
}

/* semantics: requests.rates requests.counts */
Test(requests, what_leaves_the_window_leaves_rates_and_latency_but_not_the_counts)
{
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    cr_assert_eq(tbus_requests_record_end(requests, "/a", &(tbus_traffic_end_t){.duration_ms = 5, .time_ns = begin}),
                 0);
    tbus_requests_snapshot_t *s = snapshot_at(requests, begin + 60 * second);
    cr_assert(s->all.responses_per_second > 0 && s->endpoints[0].latency_ms.count == 1);
    cr_assert_eq(s->unmatched_responses, 1u);
    tbus_requests_snapshot_free(s);
    s = snapshot_at(requests, begin + 80 * second);
    cr_assert(s->all.responses_per_second == 0 && s->endpoints[0].latency_ms.count == 0 && s->all.responses == 1);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

Test(requests, a_time_far_ahead_empties_no_window_and_a_pause_delays_nothing)
{
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(tbus_requests_record_start(requests, "/a", begin + i), 0);
    cr_assert_eq(tbus_requests_record_start(requests, "/a", INT64_MAX), 0);
    cr_assert_eq(tbus_requests_record_start(requests, "/a", begin + 20), 0);
    tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
    cr_assert_eq(s->time_ns, begin + 20);
    cr_assert_eq(s->ahead, 1u);
    cr_assert(s->all.requests == 22 && s->all.requests_per_second > 0);
    cr_assert_float_eq(endpoint_of(s, "/a")->requests_per_second, s->all.requests_per_second, 1e-12);
    tbus_requests_snapshot_free(s);
    cr_assert_eq(tbus_requests_record_start(requests, "/a", begin + 3600 * second), 0);
    s = snapshot_at(requests, 0);
    cr_assert_eq(s->time_ns, begin + 3600 * second);
    cr_assert_float_eq(s->all.requests_per_second, 1 / (60 + (double)(s->time_ns % (2 * second)) / 1e9), 1e-9);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

Test(requests, a_flood_of_names_and_any_number_are_bounded_and_counted)
{
    static char longest[10000000];
    static const double durations[] = {-1, 1e300, INFINITY, -INFINITY, NAN, 0};
    tbus_requests_t *requests;
    memset(longest, 'x', sizeof longest - 1);
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.endpoints_max = 2}, &requests), 0);
    cr_assert_eq(tbus_requests_record_start(requests, longest, begin), 0);
    cr_assert_eq(tbus_requests_record_start(requests, NULL, begin), 0);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "/%d", i);
        tbus_traffic_end_t end = {.duration_ms = durations[i % 6],
                                  .prompt_tokens = i % 2 ? INT64_MAX : INT64_MIN,
                                  .completion_tokens = INT64_MAX,
                                  .time_ns = i % 3 ? INT64_MIN : begin};
        cr_assert_eq(tbus_requests_record_end(requests, name, &end), 0);
    }
    tbus_requests_snapshot_t *s = snapshot_at(requests, begin);
    cr_assert_eq(s->endpoints_count, 4u, "two, the empty one, and other");
    cr_assert_eq(endpoint_of(s, "other")->responses, 999u);
    cr_assert_eq(s->all.completion_tokens, UINT64_MAX);
    cr_assert_eq(s->negative_durations, 1000 / 6 * 2 + 2u);
    cr_assert(s->all.in_flight == 1 && endpoint_of(s, "other")->in_flight == 0, "the one that has a name goes on");
    cr_assert_eq(s->unmatched_responses, 999u);
    tbus_requests_snapshot_free(s);
    tbus_requests_reset(requests);
    s = snapshot_at(requests, 0);
    cr_assert(s->endpoints_count == 0 && s->all.responses == 0 && s->time_ns == 0);
    cr_assert(s->unmatched_responses == 0 && s->negative_durations == 0 && s->ahead == 0);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
    tbus_requests_t *refused;
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.window_ns = -1}, &refused), UV_EINVAL);
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.reserved = {1}}, &refused), UV_EINVAL);
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.endpoints_max = 1 << 17}, &refused), UV_EINVAL);
    cr_assert_eq(tbus_requests_record_end(NULL, NULL, NULL), UV_EINVAL);
}

static int start_much(struct oom *oom)
{
    tbus_requests_t *requests = NULL;
    tbus_requests_snapshot_t *s = NULL;
    oom_arm(oom);
    int error = tbus_requests_open(NULL, &requests);
    for (int i = 0; i < 20 && requests; i++) {
        char name[8];
        snprintf(name, sizeof name, "/%d", i);
        int recorded = tbus_requests_record_start(requests, name, begin);
        error = error ? error : recorded;
    }
    int taken = requests ? tbus_requests_snapshot(requests, 0, &s) : 0;
    error = error ? error : taken;
    if (s) {
        uint64_t sum = 0;
        for (size_t i = 0; i < s->endpoints_count; i++)
            sum += s->endpoints[i].requests;
        cr_assert(sum == 20 && s->all.requests == 20);
    }
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
    return error;
}

Test(requests, without_memory_a_name_counts_as_other)
{
    cr_assert_gt(oom_try_each(start_much), 6);
}

Test(requests, a_name_that_found_no_memory_takes_no_place)
{
    for (long fail = 0;; fail++) {
        struct oom oom = {.fail_at = -1};
        tbus_requests_t *requests;
        oom_install(&oom);
        cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.endpoints_max = 2}, &requests), 0);
        oom.fail_at = oom.calls + fail;
        const int error = tbus_requests_record_start(requests, "a", begin);
        const bool failed = oom.failed > 0;
        oom.fail_at = -1;
        cr_assert_eq(error, failed ? UV_ENOMEM : 0);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(tbus_requests_record_start(requests, i ? "c" : "b", begin), 0);
        tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
        cr_assert_eq(endpoint_of(s, failed ? "c" : "a")->requests, 1u);
        cr_assert_eq(endpoint_of(s, "b")->requests, 1u);
        cr_assert_eq(endpoint_of(s, "other")->requests, 1u);
        tbus_requests_snapshot_free(s);
        tbus_requests_close(requests);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        if (!failed)
            break;
    }
}

static void record_many(void *user)
{
    for (int i = 0; i < 20000; i++) {
        tbus_traffic_end_t end = {.duration_ms = i % 100, .time_ns = begin + i * INT64_C(1000000)};
        (void)tbus_requests_record_start(user, i % 2 ? "/a" : "/b", end.time_ns);
        (void)tbus_requests_record_end(user, i % 2 ? "/a" : "/b", &end);
    }
}

Test(requests, snapshots_while_others_record_are_of_one_moment)
{
    tbus_requests_t *requests;
    uv_thread_t thread;
    uint64_t seen = 0;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    cr_assert_eq(uv_thread_create(&thread, record_many, requests), 0);
    while (seen < 20000) {
        uint64_t sum = 0;
        tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
        for (size_t i = 0; i < s->endpoints_count; i++)
            sum += s->endpoints[i].responses;
        cr_assert_eq(sum, s->all.responses);
        cr_assert_geq(s->all.responses, seen);
        seen = s->all.responses;
        tbus_requests_snapshot_free(s);
    }
    uv_thread_join(&thread);
    tbus_requests_close(requests);
}

static void reset_often(void *user)
{
    for (int i = 0; i < 4000; i++) {
        char name[] = {(char)('a' + i % 8), '\0'};
        (void)tbus_requests_record_start(user, name, begin + i);
        if (i % 16 == 15)
            tbus_requests_reset(user);
    }
    (void)tbus_requests_record_start(user, "last", begin);
}

Test(requests, snapshots_while_another_thread_resets_are_of_one_moment)
{
    tbus_requests_t *requests;
    uv_thread_t thread;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    cr_assert_eq(uv_thread_create(&thread, reset_often, requests), 0);
    for (bool ended = false; !ended;) {
        uint64_t sum = 0;
        tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
        for (size_t i = 0; i < s->endpoints_count; i++) {
            sum += s->endpoints[i].requests;
            ended |= strcmp(s->endpoints[i].name, "last") == 0;
        }
        cr_assert_eq(sum, s->all.requests);
        tbus_requests_snapshot_free(s);
    }
    uv_thread_join(&thread);
    tbus_requests_close(requests);
}

Test(requests, on_a_quiet_server_each_request_counts_at_once)
{
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (int i = 0; i < 40; i++) {
        const int64_t now = begin + i * 90 * second;
        cr_assert_eq(tbus_requests_record_start(requests, "/a", now), 0);
        cr_assert_eq(
            tbus_requests_record_end(requests, "/a", &(tbus_traffic_end_t){.duration_ms = i, .time_ns = now + second}),
            0);
        tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
        cr_assert_eq(s->time_ns, now + second);
        cr_assert(s->all.requests_per_second > 0 && s->all.responses_per_second > 0);
        cr_assert_eq(s->all.latency_ms.count, 1u);
        cr_assert_float_eq(s->all.latency_ms.max, i, 1e-9);
        tbus_requests_snapshot_free(s);
    }
    tbus_requests_close(requests);
}

static int64_t read_clock(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

/* semantics: times.back */
Test(requests, those_of_the_right_clock_stay_recent_though_they_are_later_than_the_two_that_agree_with_it)
{
    int64_t now = begin + 6 * second;
    tbus_requests_t *requests;
    const tbus_requests_options_t options = {.clock = read_clock, .clock_user = &now};
    cr_assert_eq(tbus_requests_open(&options, &requests), 0);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(tbus_requests_record_start(requests, "/a", begin + 5 * second), 0);
    static const int wrong_and_late[] = {304, 603, 2, 3};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(tbus_requests_record_start(requests, "/b", begin + wrong_and_late[i] * second), 0);
    tbus_requests_snapshot_t *s = snapshot_at(requests, now);
    const double span_s = 60 + (double)(s->time_ns % (2 * second)) / 1e9;
    cr_assert_float_eq(endpoint_of(s, "/a")->requests_per_second, 10 / span_s, 1e-9);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

/* semantics: times.back */
Test(requests, when_a_clock_that_was_ahead_is_right_again_requests_count_at_once)
{
    int64_t now = begin + 86400 * second;
    tbus_requests_t *requests;
    const tbus_requests_options_t options = {.endpoints_max = 1, .clock = read_clock, .clock_user = &now};
    cr_assert_eq(tbus_requests_open(&options, &requests), 0);
    /* Twenty by each clock; the first by the right one is late, as far as anybody knows. */
    for (int i = 0; i < 40; i++) {
        const char *const name = i % 2 ? "/a" : "/b"; /* the first to come is told apart */
        const tbus_traffic_end_t end = {
            .failed = i % 4 == 0, .duration_ms = i, .prompt_tokens = 3, .time_ns = now += second};
        cr_assert_eq(tbus_requests_record_start(requests, name, now), 0);
        cr_assert_eq(tbus_requests_record_end(requests, name, &end), 0);
        if (i == 19)
            now = begin;
    }
    tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
    cr_assert(s->time_ns == begin + 20 * second && s->all.requests == 40 && s->ahead == 0);
    const double span_s = 60 + (double)(s->time_ns % (2 * second)) / 1e9;
    const tbus_traffic_t *const traffics[] = {&s->all, endpoint_of(s, "other"), endpoint_of(s, "/b")};
    for (int i = 0; i < 3; i++) { /* the one that was late, of /b, is in no window; its end has set the time back */
        const double all = i ? 20 : 40, started = all - (i != 1), failed = (double[]){10, 0, 10}[i];
        cr_assert_float_eq(traffics[i]->requests_per_second, started / span_s, 1e-9);
        cr_assert_float_eq(traffics[i]->responses_per_second, all / span_s, 1e-9);
        cr_assert_float_eq(traffics[i]->errors_per_second, failed / span_s, 1e-9);
        cr_assert_float_eq(traffics[i]->tokens_per_second, all * 3 / span_s, 1e-9);
        cr_assert_eq(traffics[i]->latency_ms.count, (uint64_t)all);
    }
    tbus_requests_snapshot_free(s);
    s = snapshot_at(requests, begin + 40 * second);
    cr_assert_eq(s->all.latency_ms.count, 40u, "what was recent is recent still");
    tbus_requests_snapshot_free(s);
    s = snapshot_at(requests, begin + 61 * second);
    cr_assert_eq(s->all.latency_ms.count, 21u, "and leaves in time, all but the last that was before");
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

static void record(tbus_requests_t *requests, const char *endpoint, int starts, int ends)
{
    for (int i = 0; i < starts; i++)
        cr_assert_eq(tbus_requests_record_start(requests, endpoint, begin), 0);
    for (int i = 0; i < ends; i++)
        cr_assert_eq(
            tbus_requests_record_end(
                requests, endpoint,
                &(tbus_traffic_end_t){
                    .failed = i % 2, .duration_ms = NAN, .prompt_tokens = 3, .completion_tokens = 5, .time_ns = begin}),
            0);
}

static void expect_order(bool forwards)
{
    static const struct {
        const char *name;
        uint64_t requests, responses;
    } expected[] = {{"c", 0, 3}, {"b", 4, 2}, {"d", 4, 2}, {"a", 2, 2}, {"e", 5, 0}, {"f", 1, 0}, {"g", 1, 0}};
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (size_t i = 0; i < 7; i++) { /* they come in their order, or the other way round */
        const size_t at = forwards ? i : 6 - i;
        record(requests, expected[at].name, (int)expected[at].requests, (int)expected[at].responses);
    }
    tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
    cr_assert_eq(s->endpoints_count, 7u);
    for (size_t i = 0; i < 7; i++) {
        const tbus_traffic_t *own = &s->endpoints[i];
        const uint64_t responses = expected[i].responses, requests_begun = expected[i].requests;
        cr_assert_str_eq(own->name, expected[i].name);
        cr_assert(own->requests == requests_begun && own->responses == responses && own->errors == responses / 2);
        cr_assert_eq(own->in_flight, requests_begun > responses ? requests_begun - responses : 0);
        cr_assert(own->prompt_tokens == 3 * responses && own->completion_tokens == 5 * responses);
        cr_assert(own->latency_ms.count == 0 && isnan(own->latency_ms.avg), "not told is not 0");
    }
    cr_assert(s->all.requests == 17 && s->all.responses == 9 && s->all.errors == 4 && s->unmatched_responses == 3);
    cr_assert(s->all.prompt_tokens == 27 && s->all.completion_tokens == 45 && s->all.in_flight == 11);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

/* semantics: requests.counts */
Test(requests, endpoints_are_by_falling_responses_then_requests_then_by_name)
{
    expect_order(true);
    expect_order(false);
}

Test(requests, it_counts_since_it_was_opened_or_reset_by_its_clock)
{
    int64_t now = begin;
    tbus_requests_t *requests;
    const tbus_requests_options_t options = {
        .clock = read_clock, .clock_user = &now, .ahead_max_ns = 10 * second, .window_ns = 30 * second};
    cr_assert_eq(tbus_requests_open(&options, &requests), 0);
    for (int reset = 0; reset < 2; reset++) {
        record(requests, "a", 3, 1);
        cr_assert_eq(tbus_requests_record_start(requests, "a", now + 10 * second), 0);
        cr_assert_eq(tbus_requests_record_start(requests, "a", now + 20 * second + 1), 0);
        now += 10 * second;
        tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
        cr_assert(s->since_ns == now - 10 * second && s->ahead == 1 && s->time_ns == now && s->all.requests == 5);
        cr_assert_eq(s->all.latency_ms.count, 0u);
        cr_assert_float_eq(s->all.requests_per_second, 5 / (30 + (double)(now % second) / 1e9), 1e-9);
        tbus_requests_snapshot_free(s);
        tbus_requests_reset(requests);
    }
    tbus_requests_close(requests);
}

Test(requests, a_status_of_500_is_an_error_and_one_of_499_is_none)
{
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (int status = 498; status <= 501; status++)
        cr_assert_eq(tbus_requests_record_end(requests, "a", &(tbus_traffic_end_t){.status_code = status}), 0);
    tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
    cr_assert(s->all.errors == 2 && s->endpoints[0].errors == 2 && s->unmatched_responses == 4);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

Test(requests, it_takes_as_many_endpoints_as_it_says_and_no_wrong_options)
{
    tbus_requests_t *requests;
    tbus_requests_snapshot_t *s;
    for (int i = 0; i < 8; i++) {
        tbus_requests_options_t options = {0};
        options.reserved[i] = 1;
        cr_assert_eq(tbus_requests_open(&options, &requests), UV_EINVAL);
    }
    cr_assert_eq(tbus_requests_open(NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.endpoints_max = (1 << 16) + 1}, &requests), UV_EINVAL);
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.window_ns = INT64_MAX}, &requests), UV_EINVAL);
    const tbus_requests_options_t most = {.endpoints_max = 1 << 16, .window_ns = INT64_C(1) << 62};
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.window_ns = 1}, &requests), 0);
    tbus_requests_close(requests);
    cr_assert_eq(tbus_requests_open(&most, &requests), 0);
    record(requests, "a", 1, 1);
    s = snapshot_at(requests, 0);
    cr_assert(s->all.requests == 1 && s->all.requests_per_second > 0);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    for (int i = 0; i < 102; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        record(requests, name, 1, 1);
    }
    s = snapshot_at(requests, 0);
    cr_assert(s->endpoints_count == 101 && endpoint_of(s, "other")->requests == 2);
    tbus_requests_snapshot_free(s);
    cr_assert_eq(tbus_requests_snapshot(NULL, 0, &s), UV_EINVAL);
    cr_assert_eq(tbus_requests_snapshot(requests, 0, NULL), UV_EINVAL);
    cr_assert_eq(tbus_requests_record_start(NULL, "a", 0), UV_EINVAL);
    cr_assert_eq(tbus_requests_record_end(requests, "a", NULL), UV_EINVAL);
    cr_assert_eq(tbus_requests_record_end(NULL, "a", &(tbus_traffic_end_t){.failed = true}), UV_EINVAL);
    tbus_requests_close(requests);
    tbus_requests_close(NULL);
    tbus_requests_reset(NULL);
    tbus_requests_snapshot_free(NULL);
}

/* semantics: requests.rates */
Test(requests, after_a_reset_windows_hold_only_what_came_since)
{
    static const char *const names[] = {"a", "b"};
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.endpoints_max = 1}, &requests), 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2; i++) { /* the second counts as "other", whose row stays */
            cr_assert_eq(tbus_requests_record_start(requests, names[i], begin), 0);
            cr_assert_eq(tbus_requests_record_end(requests, names[i],
                                                  &(tbus_traffic_end_t){.failed = true,
                                                                        .duration_ms = 5,
                                                                        .prompt_tokens = 3,
                                                                        .completion_tokens = 4,
                                                                        .time_ns = begin}),
                         0);
        }
        tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
        const double span_s = 60 + (double)(begin % (2 * second)) / 1e9;
        const tbus_traffic_t *const traffics[] = {&s->all, endpoint_of(s, "a"), endpoint_of(s, "other")};
        for (int i = 0; i < 3; i++) {
            const double all = i ? 1 : 2;
            cr_assert_float_eq(traffics[i]->requests_per_second, all / span_s, 1e-9);
            cr_assert_float_eq(traffics[i]->responses_per_second, all / span_s, 1e-9);
            cr_assert_float_eq(traffics[i]->errors_per_second, all / span_s, 1e-9);
            cr_assert_float_eq(traffics[i]->tokens_per_second, all * 7 / span_s, 1e-9);
            cr_assert(traffics[i]->latency_ms.count == (uint64_t)all && traffics[i]->requests == (uint64_t)all);
            cr_assert(traffics[i]->responses == (uint64_t)all && traffics[i]->errors == (uint64_t)all);
            cr_assert(traffics[i]->prompt_tokens == 3 * (uint64_t)all && traffics[i]->in_flight == 0);
            cr_assert_eq(traffics[i]->completion_tokens, 4 * (uint64_t)all);
        }
        tbus_requests_snapshot_free(s);
        record(requests, "a", 1, 0); /* nothing is in flight after a reset either */
        record(requests, "b", 1, 0);
        tbus_requests_reset(requests);
    }
    tbus_requests_close(requests);
}

static void add_endpoints(void *requests)
{
    static int number;
    for (int i = 0; i < 30; i++) {
        char name[192]; /* as long as any: they take the room that was measured */
        snprintf(name, sizeof name, "%0191d", number++);
        (void)tbus_requests_record_start(requests, name, begin);
    }
}

Test(requests, endpoints_that_come_while_a_snapshot_is_taken_are_in_it)
{
    struct meanwhile meanwhile = {.happens = add_endpoints};
    tbus_requests_t *requests;
    meanwhile_install(&meanwhile);
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    meanwhile.tracker = requests;
    meanwhile.times = 3;
    tbus_requests_snapshot_t *s = snapshot_at(requests, 0);
    cr_assert(meanwhile.happened == 3 && s->all.requests == 90 && s->endpoints_count == 90);
    tbus_requests_snapshot_free(s);
    tbus_requests_reset(requests);
    tbus_requests_close(requests);
    cr_assert_eq(meanwhile.live, 0);
    meanwhile_remove();
}
