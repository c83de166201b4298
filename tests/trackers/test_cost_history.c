/* Sums by hour, and the last records. */
#include <stdlib.h>

#include "tests/oom.h"
#include "tests/trackers/cost_model.h"
#include "trackers/cost_history.h"

#define NOW INT64_C(1767258000000000000) /* not the beginning of an hour */

static tbus_usage_t usage_at(int64_t time_ns, const char *user, int64_t tokens)
{
    return (tbus_usage_t){.model = "gpt-4", .user_id = user, .prompt_tokens = tokens, .time_ns = time_ns};
}

static tbus_cost_period_t *period_of(tbus_cost_t *cost, int64_t from_ns, int64_t to_ns)
{
    tbus_cost_period_t *period;
    cr_assert_eq(tbus_cost_period(cost, from_ns, to_ns, &period), 0);
    return period;
}

static uint64_t requests_within(tbus_cost_t *cost, int64_t from_ns, int64_t to_ns)
{
    tbus_cost_period_t *period = period_of(cost, from_ns, to_ns);
    uint64_t requests = period->total.requests;
    tbus_cost_period_free(period);
    return requests;
}

Test(cost_history, hours_have_numbers_that_lead_back_to_their_beginning)
{
    static const int64_t times[] = {0,
                                    1,
                                    -1,
                                    MODEL_HOUR_NS,
                                    -MODEL_HOUR_NS,
                                    NOW,
                                    INT64_MAX,
                                    INT64_MIN,
                                    -MODEL_HOUR_NS - 1,
                                    NOW + 1,
                                    MODEL_HOUR_NS - 1};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        uint32_t hour = cost_hour_of(times[i]);
        cr_assert_gt(hour, 0);
        if (times[i] > INT64_MIN / 4 && times[i] < INT64_MAX / 4) {
            cr_assert_leq(cost_hour_begin(hour), times[i]);
            cr_assert_lt(times[i] - cost_hour_begin(hour), COST_HOUR_NS);
        }
        cr_assert_eq(cost_hour_of(cost_hour_begin(hour)), hour);
    }
    cr_assert_eq(cost_hour_begin(cost_hour_of(0)), 0);
}

Test(cost_history, a_period_is_all_hours_that_it_touches)
{
    tbus_cost_t *cost = opened(NULL);
    const int64_t hour = NOW / MODEL_HOUR_NS * MODEL_HOUR_NS;

    recorded(cost, usage_at(hour - 1, "a", 1));
    recorded(cost, usage_at(hour, "a", 10));
    recorded(cost, usage_at(hour + MODEL_HOUR_NS - 1, "a", 100));
    recorded(cost, usage_at(hour + MODEL_HOUR_NS, "b", 1000));
    tbus_cost_period_t *period = period_of(cost, hour, hour + 1);
    cr_assert_eq(period->from_ns, hour);
    cr_assert_eq(period->to_ns, hour + MODEL_HOUR_NS);
    cr_assert_eq(period->total.prompt_tokens, 110);
    cr_assert_eq(period->by_user_count, 1);
    cr_assert_str_eq(period->by_user[0].name, "a");
    cr_assert_eq(period->by_model_count, 1);
    cr_assert_eq(period->by_endpoint_count, 1);
    cr_assert_eq(period->by_key_count, 1);
    cr_assert_eq(period->by_project_count, 1);
    cr_assert(period->is_whole);
    tbus_cost_period_free(period);
    cr_assert_eq(requests_within(cost, hour - 1, hour + 1), 3);
    cr_assert_eq(requests_within(cost, hour - MODEL_HOUR_NS, hour), 1);
    cr_assert_eq(requests_within(cost, hour + MODEL_HOUR_NS, hour + 2 * MODEL_HOUR_NS), 1);
    cr_assert_eq(requests_within(cost, hour + 2 * MODEL_HOUR_NS, INT64_MAX), 0);
    cr_assert_eq(requests_within(cost, INT64_MIN, INT64_MAX), 4);
    period = period_of(cost, INT64_MIN, INT64_MAX);
    cr_assert(period->is_whole, "there was nothing before the history");
    tbus_cost_period_free(period);
    tbus_cost_close(cost);
}

Test(cost_history, bad_arguments_are_refused)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_cost_period_t *period;
    tbus_cost_records_t *records;
    cr_assert_eq(tbus_cost_period(NULL, 0, 1, &period), UV_EINVAL);
    cr_assert_eq(tbus_cost_period(cost, 0, 1, NULL), UV_EINVAL);
    cr_assert_eq(tbus_cost_period(cost, 1, 1, &period), UV_EINVAL);
    cr_assert_eq(tbus_cost_period(cost, 1, 0, &period), UV_EINVAL);
    cr_assert_eq(tbus_cost_records(NULL, 0, &records), UV_EINVAL);
    cr_assert_eq(tbus_cost_records(cost, 0, NULL), UV_EINVAL);
    cr_assert_eq(requests_within(cost, 0, 1), 0);
    tbus_cost_period_free(NULL);
    tbus_cost_records_free(NULL);
    tbus_cost_close(cost);
}

/* Times wander over more than the 31 days, back and forth; names come and go. */
/* semantics: cost.history */
Test(cost_history, periods_equal_those_of_a_plain_list)
{
    enum { ROUNDS = 20, USAGES = 3000, USERS = 12, PROJECTS = 4, DAYS = 50 };
    static const char *const models[] = {"gpt-4", "gpt-4o", "o1", "no such model"};
    uint64_t seed = oracle_seed("cost history");

    for (int round = 0; round < ROUNDS; round++) {
        tbus_cost_t *cost = opened(NULL);
        struct model model;
        int64_t now = NOW;
        model_open(&model);
        for (int i = 0; i < USAGES; i++) {
            char user[32], project[32];
            struct model_usage counted = {.user = (int)(oracle_random(&seed) % (USERS + 1)) - 1,
                                          .project = (int)(oracle_random(&seed) % (PROJECTS + 1)) - 1};
            snprintf(user, sizeof user, "user-%d", counted.user);
            snprintf(project, sizeof project, "project-%d", counted.project);
            now += (int64_t)(oracle_random(&seed) % (2 * DAYS * 24)) * MODEL_HOUR_NS / USAGES;
            counted.time_ns = now;
            if (oracle_random(&seed) % 4 == 0) /* late, mostly by a little */
                counted.time_ns -= (int64_t)(oracle_random(&seed) >> 1 >> (11 + oracle_random(&seed) % 20));
            const tbus_usage_t usage = {.user_id = counted.user < 0 ? NULL : user,
                                        .project_id = counted.project < 0 ? "" : project,
                                        .api_key = user,
                                        .model = models[oracle_random(&seed) % 4],
                                        .prompt_tokens = (int64_t)(oracle_random(&seed) % 10000),
                                        .completion_tokens = (int64_t)(oracle_random(&seed) % 1000),
                                        .cached_tokens = (int64_t)(oracle_random(&seed) % 12000),
                                        .time_ns = counted.time_ns};
            tbus_charge_t charge = recorded(cost, usage);
            counted.usd = money_value(charge.total);
            counted.prompt = (uint64_t)usage.prompt_tokens;
            counted.completion = (uint64_t)usage.completion_tokens;
            counted.cached = (uint64_t)charge.cache_read_tokens;
            counted.unpriced = charge.unknown_model;
            model_add(&model, counted);
            if (oracle_random(&seed) % 150 == 0) {
                int64_t from = model.newest_hour - (int64_t)(oracle_random(&seed) % 900);
                int64_t to = from + (int64_t)(oracle_random(&seed) % 900);
                model_check_period(&model, cost, USERS, PROJECTS, from, to);
                model_check_period(&model, cost, USERS, PROJECTS, model.newest_hour - 23, model.newest_hour);
                model_check_period(&model, cost, USERS, PROJECTS, model.newest_hour - 10000, model.newest_hour + 5);
            }
        }
        tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
        struct model_sum all = model_sum_of(&model, -2, -2, INT64_MIN, INT64_MAX);
        model_check_sum(&all, &snapshot->total, "for ever");
        model_check_list(&model, snapshot->by_user, snapshot->by_user_count, true, USERS, INT64_MIN, INT64_MAX);
        model_check_course(&model, &snapshot->course, -2);
        for (int user = -1; user < USERS; user++) {
            char name[32];
            tbus_cost_name_t *found;
            snprintf(name, sizeof name, "user-%d", user);
            cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, user < 0 ? NULL : name, &found), 0);
            struct model_sum of_user = model_sum_of(&model, user, -2, INT64_MIN, INT64_MAX);
            model_check_sum(&of_user, &found->sum, name);
            model_check_course(&model, &found->course, user);
            tbus_cost_name_free(found);
        }
        cr_assert_eq(snapshot->dropped_sums, 0);
        cr_assert_eq(snapshot->history_from_ns, (model.newest_hour - MODEL_HOURS + 1) * MODEL_HOUR_NS);
        tbus_cost_snapshot_free(snapshot);
        free(model.usages);
        tbus_cost_close(cost);
    }
}

/* --- Bounds --- */

/* semantics: cost.history */
Test(cost_history, past_its_cap_it_gives_up_the_oldest_hours_and_says_so)
{
    enum { NAMES = 50, HOURS = 100, CAP = 1000 };
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.history_max = CAP});
    size_t before = oom.bytes_live, most = 0;
    char name[32];

    for (int hour = 0; hour < HOURS; hour++) {
        for (int i = 0; i < NAMES; i++) {
            snprintf(name, sizeof name, "name-%d", i);
            recorded(cost, usage_at(NOW + hour * MODEL_HOUR_NS, name, 1));
        }
        if (hour == 0)
            before = oom.bytes_live;
        most = oom.bytes_live > most ? oom.bytes_live : most;
    }
    cr_assert_leq(most - before, CAP * sizeof(struct cost_cell) + 100000);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, NAMES * HOURS, "what is for ever stays");
    cr_assert_gt(snapshot->dropped_sums, 0);
    cr_assert_gt(snapshot->history_from_ns, NOW);
    const int64_t last = NOW + (HOURS - 1) * MODEL_HOUR_NS, from = snapshot->history_from_ns;
    tbus_cost_period_t *period = period_of(cost, from, last + 1);
    cr_assert(period->is_whole);
    cr_assert_eq(period->total.requests, (uint64_t)(last - from + MODEL_HOUR_NS) / (uint64_t)MODEL_HOUR_NS * NAMES);
    tbus_cost_period_free(period);
    period = period_of(cost, from - 1, last + 1);
    cr_assert_not(period->is_whole);
    tbus_cost_period_free(period);
    uint64_t within = requests_within(cost, INT64_MIN, INT64_MAX);
    recorded(cost, usage_at(from - 1, "name-0", 1));
    cr_assert_eq(requests_within(cost, INT64_MIN, INT64_MAX), within, "an hour that was given up does not come back");
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

/* Hours that are over for 31 days still have their memory when a later one wants it. */
Test(cost_history, what_has_left_the_31_days_by_itself_is_not_counted_as_dropped)
{
    enum { NAMES = 20 };
    static const int hours[] = {0, 1, 2, 800, 801, 802, 803};
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.history_max = 150});
    size_t most = 0;
    for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
        for (int name = 0; name < NAMES; name++) {
            char text[32];
            snprintf(text, sizeof text, "name-%d", name);
            recorded(cost, usage_at(NOW + hours[i] * MODEL_HOUR_NS, text, 1));
        }
        most = i == 0 ? oom.bytes_live : most;
    }
    cr_assert_leq(oom.bytes_live - most, 150 * sizeof(struct cost_cell));
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->dropped_sums, 0);
    cr_assert_eq(snapshot->history_from_ns, NOW + (803 - 743) * MODEL_HOUR_NS);
    tbus_cost_snapshot_free(snapshot);
    cr_assert_eq(requests_within(cost, NOW + 800 * MODEL_HOUR_NS, INT64_MAX), 4 * NAMES);
    tbus_cost_close(cost);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

Test(cost_history, it_takes_no_memory_for_hours_without_usage)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_cost_t *cost = opened(NULL);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "name-%d", i);
        recorded(cost, usage_at(NOW, name, 1));
    }
    size_t before = oom.bytes_live;
    for (int64_t hour = 1; hour < 744; hour++)
        recorded(cost, usage_at(NOW + hour * MODEL_HOUR_NS, "name-0", 1));
    /* of each hour: its total, and the one user, and the unnamed key, project and endpoint, and the model */
    cr_assert_leq(oom.bytes_live - before,
                  744 * 16 * sizeof(struct cost_cell) + 1000 * sizeof(struct cost_cell) * 3 / 2);
    tbus_cost_close(cost);
    oom_remove();
}

Test(cost_history, hostile_times_overflow_nothing)
{
    static const int64_t times[] = {0, INT64_MIN, INT64_MAX, -1, NOW, INT64_MIN + 1, INT64_MAX - 1, NOW};
    tbus_cost_t *cost = opened(NULL);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        recorded(cost, usage_at(times[i], "a", 1));
        for (size_t j = 0; j < sizeof times / sizeof *times; j++) {
            tbus_cost_period_t *period;
            if (tbus_cost_period(cost, times[j], INT64_MAX, &period) == 0)
                tbus_cost_period_free(period);
        }
    }
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->total.requests, 8);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

static int64_t clock_of(void *now_ns)
{
    return *(int64_t *)now_ns;
}

/* semantics: cost.history */
Test(cost_history, a_time_far_ahead_of_the_clock_counts_in_the_latest_hour_and_is_counted)
{
    int64_t now = NOW;
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.clock = clock_of, .clock_user = &now, .ahead_max_ns = 1000});

    recorded(cost, usage_at(NOW + 2 * MODEL_HOUR_NS, "a", 1)); /* before any other: counts as now */
    cr_assert_eq(requests_within(cost, NOW, NOW + 1), 1);
    recorded(cost, usage_at(NOW - 5 * MODEL_HOUR_NS, "a", 1));
    recorded(cost, usage_at(INT64_MAX, "a", 1));
    cr_assert_eq(requests_within(cost, NOW, NOW + 1), 2);
    cr_assert_eq(requests_within(cost, INT64_MIN, INT64_MAX), 3);
    now += 3 * MODEL_HOUR_NS;
    recorded(cost, usage_at(now + 1001, "a", 1));
    cr_assert_eq(requests_within(cost, NOW, NOW + 1), 3, "the latest hour that was, not the clock's");
    recorded(cost, usage_at(now + 1000, "a", 1));
    cr_assert_eq(requests_within(cost, now, now + 1), 1);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->ahead_usages, 3);
    cr_assert_eq(snapshot->time_ns, now + 1000);
    cr_assert_eq(snapshot->total.requests, 5);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_records_t *records;
    cr_assert_eq(tbus_cost_records(cost, 0, &records), 0);
    cr_assert_eq(records->records[1].time_ns, now + 1001, "a record tells what it was told");
    tbus_cost_records_free(records);
    tbus_cost_close(cost);
}

Test(cost_history, a_reset_forgets_it)
{
    tbus_cost_t *cost = opened(NULL);
    for (int hour = 0; hour < 5; hour++)
        recorded(cost, usage_at(NOW + hour * MODEL_HOUR_NS, "a", 1));
    tbus_cost_reset(cost);
    cr_assert_eq(requests_within(cost, INT64_MIN, INT64_MAX), 0);
    recorded(cost, usage_at(NOW - 1000 * MODEL_HOUR_NS, "a", 1));
    cr_assert_eq(requests_within(cost, INT64_MIN, INT64_MAX), 1);
    tbus_cost_close(cost);
}

/* Without memory an hour's sums may be missing; nothing else may be. */
static int end_hours_and_read(struct oom *oom)
{
    tbus_cost_period_t *period = NULL;
    tbus_cost_records_t *records = NULL;
    tbus_suggestions_t *suggestions = NULL;
    tbus_cost_t *cost = opened(NULL);
    for (int i = 0; i < 30; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        recorded(cost, usage_at(NOW, name, 1));
    }
    oom_arm(oom);
    for (int hour = 1; hour < 4; hour++)
        cr_assert_eq(
            tbus_cost_record_usage(cost, &(tbus_usage_t){.user_id = "n3", .time_ns = NOW + hour * MODEL_HOUR_NS}, NULL),
            0, "an hour that ends is no business of the usage that ends it");
    tbus_cost_snapshot_t *snapshot;
    int error = tbus_cost_period(cost, INT64_MIN, INT64_MAX, &period);
    if (!error)
        error = tbus_cost_records(cost, 0, &records);
    if (!error)
        error = tbus_cost_suggestions(cost, 0, &suggestions);
    oom_disarm(oom);
    cr_assert_eq(tbus_cost_snapshot(cost, &snapshot), 0);
    cr_assert_eq(snapshot->total.requests, 33);
    const bool has_gap = snapshot->dropped_sums > 0;
    cr_assert_eq(has_gap, snapshot->history_from_ns > NOW - MODEL_HOUR_NS, "a gap is told");
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_period_free(period);
    tbus_cost_records_free(records);
    tbus_suggestions_free(suggestions);
    tbus_cost_close(cost);
    return !error && has_gap ? UV_ENOMEM : error;
}

Test(cost_history, every_allocation_may_fail)
{
    cr_assert_gt(oom_try_each(end_hours_and_read), 4);
}

/* --- Records --- */

static tbus_cost_records_t *records_of(tbus_cost_t *cost, size_t limit)
{
    tbus_cost_records_t *records;
    cr_assert_eq(tbus_cost_records(cost, limit, &records), 0);
    return records;
}

Test(cost_history, the_last_records_are_kept_whole)
{
    tbus_cost_t *cost = opened(NULL);
    char redacted[TBUS_REDACTED_BYTES], id[32];
    const char *key = "sk-proj-0123456789";
    unsigned char first_of_digest = 0x88; /* of the SHA-256 that the redacted form shows the beginning of */

    for (int i = 0; i < 1500; i++) {
        snprintf(id, sizeof id, "req-%d", i);
        recorded(cost, (tbus_usage_t){.api_key = key,
                                      .user_id = "ann",
                                      .project_id = "red",
                                      .model = "gpt-4o",
                                      .endpoint = "/v1/chat",
                                      .request_id = id,
                                      .event_id = (uint64_t)i + 7,
                                      .prompt_tokens = 1000 + i,
                                      .cached_tokens = 400,
                                      .completion_tokens = 200,
                                      .reasoning_tokens = 50,
                                      .batch = i % 2 == 1,
                                      .time_ns = NOW + i});
    }
    tbus_cost_records_t *records = records_of(cost, 0);
    cr_assert_eq(records->count, 1000);
    for (int i = 0; i < 1000; i++) {
        const tbus_usage_record_t *record = &records->records[i];
        snprintf(id, sizeof id, "req-%d", 1499 - i);
        cr_assert_str_eq(record->request_id, id);
        cr_assert_eq(record->event_id, (uint64_t)(1499 - i) + 7);
        cr_assert_eq(record->time_ns, NOW + 1499 - i);
        cr_assert_eq(record->input_tokens, 600 + 1499 - i);
        cr_assert_eq(record->cache_read_tokens, 400);
        cr_assert_eq(record->output_tokens, 200);
        cr_assert_eq(record->reasoning_tokens, 50);
        cr_assert_str_eq(record->user_id, "ann");
        cr_assert_str_eq(record->project_id, "red");
        cr_assert_str_eq(record->model, "gpt-4o");
        cr_assert_str_eq(record->endpoint, "/v1/chat");
        cr_assert_str_eq(record->api_key, tbus_redact_key(key, redacted));
        cr_assert_eq(record->key_digest[0], first_of_digest);
        cr_assert_eq(record->batch, (1499 - i) % 2 == 1);
        cr_assert_not(record->estimated || record->unpriced || record->retracted);
    }
    tbus_cost_records_free(records);
    records = records_of(cost, 3);
    cr_assert_eq(records->count, 3);
    cr_assert_str_eq(records->records[2].request_id, "req-1497");
    tbus_cost_records_free(records);
    tbus_cost_reset(cost);
    records = records_of(cost, 0);
    cr_assert_eq(records->count, 0);
    tbus_cost_records_free(records);
    tbus_cost_close(cost);
}

Test(cost_history, records_have_what_was_absent_as_empty_and_long_ids_cut)
{
    tbus_cost_t *cost = opened(&(tbus_cost_options_t){.records_max = 4, .keys_max = 1});
    char id[5000];
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];

    memset(id, 'i', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    recorded(cost, (tbus_usage_t){.request_id = id, .images = 3, .characters = 4});
    recorded(cost, (tbus_usage_t){.api_key = "first key of all"});
    recorded(cost, (tbus_usage_t){.api_key = "second key, past the cap"});
    tbus_cost_records_t *records = records_of(cost, 100);
    cr_assert_eq(records->count, 3);
    cr_assert_str_eq(records->records[0].api_key, "other");
    cr_assert_arr_eq(records->records[0].key_digest, none, sizeof none);
    cr_assert_eq(strlen(records->records[2].request_id), 63);
    cr_assert_str_eq(records->records[2].api_key, "");
    cr_assert_str_eq(records->records[2].model, "");
    cr_assert_arr_eq(records->records[2].key_digest, none, sizeof none);
    cr_assert_eq(records->records[2].images, 3);
    cr_assert_eq(records->records[2].characters, 4);
    cr_assert(records->records[2].unpriced);
    tbus_cost_records_free(records);
    tbus_cost_close(cost);

    cost = opened(&(tbus_cost_options_t){.records_max = UINT32_MAX});
    recorded(cost, (tbus_usage_t){.model = "gpt-4"});
    records = records_of(cost, 0);
    cr_assert_eq(records->count, 0);
    tbus_cost_records_free(records);
    tbus_cost_close(cost);
}
