#include <tallybus/models.h>

#include <math.h>
#include <string.h>
#include <time.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/trackers/statistics.h"

static const int64_t begin = 1767258000000000000;

static tbus_models_snapshot_t *snapshot_of(tbus_models_t *models)
{
    tbus_models_snapshot_t *snapshot;
    cr_assert_eq(tbus_models_snapshot(models, 0, &snapshot), 0);
    return snapshot;
}

/* semantics: models.figures */
Test(models, equal_counts_over_a_list_and_pythons_percentiles)
{
    enum { EVENTS = 2000, NAMES = 2, USERS = 40, PLACES = 5 };
    static const char *const names[NAMES] = {"gpt-4o", "o1"};
    static double durations[NAMES][EVENTS];
    bool users[NAMES][USERS] = {{0}}, places[NAMES][PLACES] = {{0}};
    uint64_t counts[NAMES] = {0}, errors[NAMES] = {0}, seed = oracle_seed("models");
    int64_t units[NAMES] = {0};
    tbus_models_t *models;
    struct oracle oracle;
    oracle_open(&oracle);
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    for (int i = 0; i < EVENTS; i++) {
        unsigned at = (unsigned)(oracle_random(&seed) % NAMES), user = (unsigned)(oracle_random(&seed) % USERS),
                 place = (unsigned)(oracle_random(&seed) % PLACES);
        char user_id[16], endpoint[16];
        int64_t cost = (int64_t)(oracle_random(&seed) % 1000000000) - 1000;
        tbus_traffic_end_t end = {.failed = oracle_random(&seed) % 8 == 0,
                                  .duration_ms = (double)(1 + oracle_random(&seed) % 5000),
                                  .prompt_tokens = 3,
                                  .completion_tokens = 2,
                                  .time_ns = begin + i};
        snprintf(user_id, sizeof user_id, "u%u", user);
        snprintf(endpoint, sizeof endpoint, "/%u", place);
        cr_assert_eq(tbus_models_record_end(models, names[at], endpoint, user_id, &end), 0);
        cr_assert_eq(tbus_models_record_cost(models, names[at], tbus_money_units(cost)), 0);
        durations[at][counts[at]++] = end.duration_ms;
        errors[at] += end.failed;
        units[at] += cost;
        users[at][user] = places[at][place] = true;
    }
    tbus_models_snapshot_t *s = snapshot_of(models);
    for (int at = 0; at < NAMES; at++) {
        const tbus_model_t *model = tbus_models_find(s, names[at]);
        uint64_t distinct = 0, seen = 0;
        for (int i = 0; i < USERS; i++)
            distinct += users[at][i];
        for (int i = 0; i < PLACES; i++)
            seen += places[at][i];
        cr_assert_not_null(model);
        cr_assert(model->traffic.requests == counts[at] && model->traffic.errors == errors[at]);
        cr_assert_float_eq(model->error_rate, (double)errors[at] / (double)counts[at], 1e-12);
        cr_assert_eq(model->total_tokens, 5 * counts[at]);
        cr_assert_eq(tbus_money_compare(model->cost, tbus_money_units(units[at])), 0);
        cr_assert(model->users == distinct && model->endpoints == seen);
        cr_assert(model->first_ns >= begin && model->last_ns < begin + EVENTS && model->first_ns < model->last_ns);
        oracle_distribution(&oracle, 0.005, &model->traffic.latency_ms, durations[at], counts[at]);
    }
    cr_assert(!s->users_full && !s->endpoints_full);
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
    oracle_check(&oracle, "tests/trackers/statistics_oracle.py", "");
}

/* semantics: models.compare */
Test(models, two_models_are_compared_by_each_figure_and_ranked_by_any)
{
    tbus_models_t *models;
    tbus_models_comparison_t c;
    const tbus_model_t *list[3];
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    static const char *const names[] = {"a", "b"};
    for (int i = 0; i < 6; i++) /* a: 2, b: 4 */
        cr_assert_eq(tbus_models_record_end(
                         models, names[i > 1], NULL, NULL,
                         &(tbus_traffic_end_t){.duration_ms = i > 1 ? 10 : 40, .prompt_tokens = 7, .time_ns = begin}),
                     0);
    cr_assert_eq(tbus_models_record_cost(models, "a", tbus_money_units(INT64_MAX)), 0);
    cr_assert_eq(tbus_models_record_cost(models, "b", tbus_money_units(INT64_MAX - 1)), 0);
    cr_assert_eq(tbus_models_record_cost(models, "only priced", tbus_money_units(1)), 0);
    tbus_models_snapshot_t *s = snapshot_of(models);
    cr_assert_eq(tbus_models_compare(tbus_models_find(s, "a"), tbus_models_find(s, "b"), &c), 0);
    cr_assert(c.figures[TBUS_MODEL_REQUESTS].delta == 2 && c.figures[TBUS_MODEL_REQUESTS].per_cent == 100);
    cr_assert(c.figures[TBUS_MODEL_LATENCY_AVG].delta == -30 && c.figures[TBUS_MODEL_LATENCY_AVG].per_cent == -75);
    cr_assert(c.figures[TBUS_MODEL_TOTAL_TOKENS].a == 14 && c.figures[TBUS_MODEL_TOTAL_TOKENS].b == 28);
    cr_assert(c.figures[TBUS_MODEL_ERRORS].delta == 0 && isnan(c.figures[TBUS_MODEL_ERRORS].per_cent));
    cr_assert_eq(tbus_money_compare(c.cost_delta, tbus_money_units(-1)), 0, "exact where doubles are equal");
    cr_assert_eq(tbus_models_rank(s, TBUS_MODEL_COST, list), 0);
    cr_assert_str_eq(list[0]->traffic.name, "a");
    cr_assert_eq(tbus_models_rank(s, TBUS_MODEL_REQUESTS, list), 0);
    cr_assert_str_eq(list[0]->traffic.name, "b");
    cr_assert_eq(tbus_models_rank(s, TBUS_MODEL_LATENCY_P99, list), 0);
    cr_assert(strcmp(list[0]->traffic.name, "a") == 0 && strcmp(list[2]->traffic.name, "only priced") == 0);
    cr_assert_eq(tbus_models_rank(s, TBUS_MODEL_FIGURES, list), UV_EINVAL);
    for (int i = 0; i < TBUS_MODEL_FIGURES; i++)
        cr_assert_not_null(tbus_model_figure_name((tbus_model_figure_t)i));
    cr_assert_null(tbus_model_figure_name(TBUS_MODEL_FIGURES));
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
}

Test(models, names_past_their_limits_are_one_more_and_a_cost_that_does_not_fit_is_refused)
{
    tbus_models_t *models;
    const tbus_models_options_t options = {.models_max = 1, .endpoints_max = 2, .users_max = 3};
    const tbus_money_t most = {UINT64_MAX, INT64_MAX};
    cr_assert_eq(tbus_models_open(&options, &models), 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            char name[16];
            snprintf(name, sizeof name, "n%d", i);
            cr_assert_eq(tbus_models_record_end(models, "m", name, name, &(tbus_traffic_end_t){.time_ns = begin}), 0);
        }
        cr_assert_eq(tbus_models_record_end(models, "n", NULL, "n1", &(tbus_traffic_end_t){.time_ns = INT64_MAX}), 0);
        cr_assert_eq(tbus_models_record_cost(models, "m", most), 0);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(tbus_models_record_cost(models, "m", most), UV_EOVERFLOW);
        cr_assert_eq(tbus_models_record_cost(models, "m", tbus_money_units(0)), 0);
        tbus_models_snapshot_t *s = snapshot_of(models);
        const tbus_model_t *model = tbus_models_find(s, "m"), *other = tbus_models_find(s, "other");
        cr_assert(model && other && model->endpoints == 3 && model->users == 4 && other->users == 1);
        cr_assert(s->endpoints_full && s->users_full && s->refused_costs == 2 && s->models_count == 2);
        cr_assert_eq(tbus_money_compare(model->cost, most), 0);
        tbus_models_snapshot_free(s);
        tbus_models_reset(models);
    }
    tbus_models_close(models);
}

static int end_much(struct oom *oom)
{
    tbus_models_t *models = NULL;
    tbus_models_snapshot_t *s = NULL;
    oom_arm(oom);
    int error = tbus_models_open(NULL, &models);
    for (int i = 0; i < 20 && models; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        int recorded = tbus_models_record_end(models, name, name, name, &(tbus_traffic_end_t){.time_ns = begin});
        error = error ? error : recorded;
    }
    for (int i = 20; i < 30 && models; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        int recorded = tbus_models_record_cost(models, name, tbus_money_units(1));
        error = error ? error : recorded;
    }
    int taken = models ? tbus_models_snapshot(models, 0, &s) : 0;
    error = error ? error : taken;
    uint64_t sum = 0;
    for (size_t i = 0; s && i < s->models_count; i++)
        sum += s->models[i].traffic.requests;
    cr_assert(!s || sum == 20);
    tbus_money_t cost = tbus_money_units(0);
    for (size_t i = 0; s && i < s->models_count; i++)
        cr_assert_eq(tbus_money_add(cost, s->models[i].cost, &cost), 0);
    cr_assert(!s || tbus_money_compare(cost, tbus_money_units(10)) == 0);
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
    return error;
}

Test(models, without_memory_all_is_counted_under_other)
{
    cr_assert_gt(oom_try_each(end_much), 8);
}

/* semantics: models.figures */
Test(models, a_user_who_found_no_memory_counts_once_and_fills_nothing)
{
    enum { NAMES = 15 }; /* with "other", what the tables hold before they grow */
    for (int is_user = 0; is_user < 2; is_user++) {
        struct oom oom = {.fail_at = -1};
        tbus_models_t *models;
        oom_install(&oom);
        cr_assert_eq(tbus_models_open(NULL, &models), 0);
        for (int i = 0; i < NAMES + 2; i++) { /* the last is told twice, and finds memory the second time */
            char name[8];
            const tbus_traffic_end_t end = {.time_ns = begin};
            snprintf(name, sizeof name, "%d", i < NAMES ? i : NAMES);
            oom.fail_at = i == NAMES ? oom.calls : -1;
            cr_assert_eq(tbus_models_record_end(models, "m", is_user ? NULL : name, is_user ? name : NULL, &end),
                         i == NAMES ? UV_ENOMEM : 0);
            oom.fail_at = -1;
            tbus_models_snapshot_t *s = snapshot_of(models);
            const uint64_t seen = (uint64_t)(i < NAMES ? i + 1 : i);
            cr_assert_eq(is_user ? s->models[0].users : s->models[0].endpoints, seen);
            cr_assert(!s->users_full && !s->endpoints_full && s->models[0].traffic.responses == (uint64_t)i + 1);
            tbus_models_snapshot_free(s);
        }
        tbus_models_close(models);
        oom_remove();
        cr_assert_eq(oom.live, 0);
    }
}

Test(models, a_model_is_used_from_the_earliest_of_its_times_to_the_latest)
{
    static const int64_t times[] = {5, 9, 2, 7};
    tbus_models_t *models;
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        cr_assert_eq(
            tbus_models_record_end(models, "m", NULL, NULL, &(tbus_traffic_end_t){.time_ns = begin + times[i]}), 0);
    tbus_models_snapshot_t *s = snapshot_of(models);
    cr_assert(s->models[0].first_ns == begin + 2 && s->models[0].last_ns == begin + 9);
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
}

Test(models, a_wrong_time_does_not_make_a_model_used_in_the_future)
{
    tbus_models_t *models;
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    const int64_t times[] = {INT64_MAX, begin, begin + 7, INT64_MAX, begin + 3};
    int64_t now_ns = (int64_t)time(NULL) * INT64_C(1000000000);
    for (int i = 0; i < 5; i++) {
        const tbus_traffic_end_t end = {.duration_ms = 1, .time_ns = times[i]};
        cr_assert_eq(tbus_models_record_end(models, "m", "/a", "u", &end), 0);
        if (i == 0)
            tbus_models_reset(models); /* a first one counts as now, which the others lie behind */
    }
    tbus_models_snapshot_t *s;
    cr_assert_eq(tbus_models_snapshot(models, 0, &s), 0);
    cr_assert(s->models[0].first_ns == begin && s->models[0].last_ns == begin + 7 && s->ahead == 1);
    tbus_models_snapshot_free(s);
    const tbus_traffic_end_t end = {.duration_ms = 1, .time_ns = INT64_MAX};
    tbus_models_reset(models);
    cr_assert_eq(tbus_models_record_end(models, "m", "/a", "u", &end), 0);
    cr_assert_eq(tbus_models_snapshot(models, 0, &s), 0);
    cr_assert(s->models[0].last_ns >= now_ns && s->models[0].last_ns - now_ns < INT64_C(3600000000000));
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
}

/* --- Comparing --- */

/* What the figures of a model are, one by one. */
static void figures_of(const tbus_model_t *model, double figures[TBUS_MODEL_FIGURES])
{
    const double own[] = {(double)model->traffic.requests,
                          (double)model->traffic.errors,
                          model->error_rate,
                          (double)model->traffic.prompt_tokens,
                          (double)model->traffic.completion_tokens,
                          (double)model->total_tokens,
                          model->traffic.latency_ms.avg,
                          model->traffic.latency_ms.p50,
                          model->traffic.latency_ms.p90,
                          model->traffic.latency_ms.p95,
                          model->traffic.latency_ms.p99,
                          tbus_money_to_usd(model->cost),
                          (double)model->endpoints,
                          (double)model->users,
                          model->first_ns ? (double)model->first_ns : (double)NAN,
                          model->last_ns ? (double)model->last_ns : (double)NAN};
    memcpy(figures, own, sizeof own);
}

static bool is_same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static tbus_models_t *open_with_some(uint64_t *seed)
{
    tbus_models_t *models;
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    for (int i = 0; i < 400; i++) {
        const char model[] = {(char)('a' + oracle_random(seed) % 8), '\0'};
        char user[8], place[8];
        const tbus_traffic_end_t end = {
            .failed = oracle_random(seed) % 9 == 0,
            .duration_ms = model[0] > 'a' && oracle_random(seed) % 5 ? (double)(oracle_random(seed) % 999) : NAN,
            .prompt_tokens = (int64_t)(oracle_random(seed) % 50),
            .completion_tokens = (int64_t)(oracle_random(seed) % 70),
            .time_ns = begin + ((int64_t)(oracle_random(seed) % 90) << 20)};
        snprintf(user, sizeof user, "u%d", (int)(oracle_random(seed) % 30));
        snprintf(place, sizeof place, "p%d", (int)(oracle_random(seed) % 20));
        if (model[0] < 'f')
            cr_assert_eq(tbus_models_record_end(models, model, place, user, &end), 0);
        cr_assert_eq(tbus_models_record_cost(models, model, tbus_money_units((int64_t)(oracle_random(seed) % 900))), 0);
    }
    return models;
}

/* semantics: models.compare */
Test(models, each_figure_is_what_it_is_called_and_any_two_models_are_compared_by_all)
{
    static const char *const names[TBUS_MODEL_FIGURES] = {
        "requests",       "errors",         "error_rate",     "prompt_tokens",  "completion_tokens", "total_tokens",
        "latency_avg_ms", "latency_p50_ms", "latency_p90_ms", "latency_p95_ms", "latency_p99_ms",    "cost_usd",
        "endpoints",      "users",          "first_ns",       "last_ns"};
    uint64_t seed = oracle_seed("models");
    tbus_models_t *models = open_with_some(&seed);
    tbus_models_snapshot_t *s = snapshot_of(models);
    cr_assert_eq(s->models_count, 8u);
    for (int i = 0; i < TBUS_MODEL_FIGURES; i++)
        cr_assert_str_eq(tbus_model_figure_name((tbus_model_figure_t)i), names[i]);
    for (size_t left = 0; left < s->models_count; left++)
        for (size_t right = 0; right < s->models_count; right++) {
            double a[TBUS_MODEL_FIGURES], b[TBUS_MODEL_FIGURES];
            tbus_models_comparison_t c;
            tbus_money_t delta;
            figures_of(&s->models[left], a);
            figures_of(&s->models[right], b);
            cr_assert_eq(tbus_models_compare(&s->models[left], &s->models[right], &c), 0);
            for (int i = 0; i < TBUS_MODEL_FIGURES; i++) {
                cr_assert(is_same(tbus_model_figure(&s->models[left], (tbus_model_figure_t)i), a[i]), "%s", names[i]);
                cr_assert(is_same(c.figures[i].a, a[i]) && is_same(c.figures[i].b, b[i]), "%s", names[i]);
                cr_assert(is_same(c.figures[i].delta, b[i] - a[i]) || i == TBUS_MODEL_COST, "%s", names[i]);
                cr_assert(is_same(c.figures[i].per_cent, a[i] == 0 ? (double)NAN : c.figures[i].delta / a[i] * 100),
                          "%s", names[i]);
            }
            cr_assert_eq(tbus_money_subtract(s->models[right].cost, s->models[left].cost, &delta), 0);
            cr_assert(c.figures[TBUS_MODEL_COST].delta == tbus_money_to_usd(delta));
            cr_assert_eq(tbus_money_compare(c.cost_delta, delta), 0);
        }
    cr_assert(isnan(tbus_model_figure(NULL, TBUS_MODEL_COST)));
    cr_assert(isnan(tbus_model_figure(&s->models[0], TBUS_MODEL_FIGURES)));
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
}

Test(models, a_rank_has_the_highest_first_equal_ones_by_name_and_those_not_known_last)
{
    uint64_t seed = oracle_seed("models");
    for (int round = 0; round < 20; round++) {
        tbus_models_t *models = open_with_some(&seed);
        tbus_models_snapshot_t *s = snapshot_of(models);
        const tbus_model_t *list[8];
        for (int i = 0; i < TBUS_MODEL_FIGURES; i++) {
            bool listed[8] = {false};
            cr_assert_eq(tbus_models_rank(s, (tbus_model_figure_t)i, list), 0);
            for (size_t at = 0; at < s->models_count; at++) {
                const double own = tbus_model_figure(list[at], (tbus_model_figure_t)i);
                cr_assert_not(listed[list[at] - s->models]);
                listed[list[at] - s->models] = true;
                if (at == 0)
                    continue;
                const double before = tbus_model_figure(list[at - 1], (tbus_model_figure_t)i);
                cr_assert(before > own || (!isnan(before) && isnan(own)) ||
                              (is_same(before, own) && strcmp(list[at - 1]->traffic.name, list[at]->traffic.name) < 0),
                          "figure %d", i);
            }
        }
        tbus_models_snapshot_free(s);
        tbus_models_close(models);
    }
}

/* Each number is one more than the one before, and as a double it is the same. */
Test(models, what_is_counted_and_when_is_ranked_and_subtracted_as_the_integers_that_they_are)
{
    enum { MODELS = 3 };
    static const char *const names[MODELS] = {"a", "b", "c"};
    static const tbus_model_figure_t whole[] = {
        TBUS_MODEL_REQUESTS,     TBUS_MODEL_ERRORS,    TBUS_MODEL_PROMPT_TOKENS, TBUS_MODEL_COMPLETION_TOKENS,
        TBUS_MODEL_TOTAL_TOKENS, TBUS_MODEL_ENDPOINTS, TBUS_MODEL_USERS,         TBUS_MODEL_FIRST_USE,
        TBUS_MODEL_LAST_USE};
    tbus_model_t models[MODELS];
    for (int i = 0; i < MODELS; i++) {
        const int64_t large = (INT64_C(1) << 60) + i;
        const uint64_t count = (uint64_t)large;
        models[i] = (tbus_model_t){.traffic = {.name = names[i],
                                               .requests = count,
                                               .errors = count,
                                               .prompt_tokens = count,
                                               .completion_tokens = count},
                                   .total_tokens = count,
                                   .first_ns = large,
                                   .last_ns = large,
                                   .endpoints = count,
                                   .users = count};
    }
    const tbus_models_snapshot_t snapshot = {.models = models, .models_count = MODELS};
    tbus_models_comparison_t rise, fall;
    cr_assert_eq(tbus_models_compare(&models[0], &models[1], &rise), 0);
    cr_assert_eq(tbus_models_compare(&models[2], &models[0], &fall), 0);
    for (size_t figure = 0; figure < sizeof whole / sizeof *whole; figure++) {
        const tbus_model_t *list[MODELS];
        cr_assert_eq(tbus_models_rank(&snapshot, whole[figure], list), 0);
        for (int i = 0; i < MODELS; i++)
            cr_assert_eq(list[i], &models[MODELS - 1 - i], "%s", tbus_model_figure_name(whole[figure]));
        cr_assert_eq(rise.figures[whole[figure]].delta, 1, "%s", tbus_model_figure_name(whole[figure]));
        cr_assert_eq(fall.figures[whole[figure]].delta, -2, "%s", tbus_model_figure_name(whole[figure]));
    }
}

Test(models, a_use_before_1970_is_before_one_after_it)
{
    static const tbus_model_t models[] = {{.traffic.name = "then", .first_ns = INT64_MIN, .last_ns = -1},
                                          {.traffic.name = "now", .first_ns = INT64_MAX, .last_ns = 1},
                                          {.traffic.name = "a mere price"}};
    const tbus_models_snapshot_t snapshot = {.models = models, .models_count = 3};
    tbus_models_comparison_t c;
    const tbus_model_t *list[3];
    cr_assert_eq(tbus_models_compare(&models[0], &models[1], &c), 0);
    cr_assert_eq(c.figures[TBUS_MODEL_FIRST_USE].a, -0x1p63);
    cr_assert_eq(c.figures[TBUS_MODEL_FIRST_USE].delta, 0x1p64);
    cr_assert_eq(c.figures[TBUS_MODEL_LAST_USE].delta, 2);
    cr_assert_eq(tbus_models_compare(&models[0], &models[2], &c), 0);
    cr_assert(isnan(c.figures[TBUS_MODEL_FIRST_USE].delta) && isnan(c.figures[TBUS_MODEL_FIRST_USE].b));
    for (int by = TBUS_MODEL_FIRST_USE; by <= TBUS_MODEL_LAST_USE; by++) {
        cr_assert_eq(tbus_models_rank(&snapshot, (tbus_model_figure_t)by, list), 0);
        cr_assert(list[0] == &models[1] && list[1] == &models[0] && list[2] == &models[2]);
    }
}

Test(models, what_can_not_be_compared_is_refused)
{
    const tbus_money_t most = {UINT64_MAX, INT64_MAX};
    tbus_models_t *models;
    tbus_models_comparison_t c;
    const tbus_model_t *list[3];
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    cr_assert_eq(tbus_models_record_cost(models, "dear", most), 0);
    cr_assert_eq(tbus_models_record_cost(models, "cheap", tbus_money_units(-1)), 0);
    cr_assert_eq(tbus_models_record_cost(NULL, "m", most), UV_EINVAL);
    tbus_models_snapshot_t *s = snapshot_of(models);
    const tbus_model_t *dear = tbus_models_find(s, "dear"), *cheap = tbus_models_find(s, "cheap");
    cr_assert_eq(tbus_models_compare(cheap, dear, &c), UV_EOVERFLOW);
    cr_assert_eq(tbus_models_compare(NULL, dear, &c), UV_EINVAL);
    cr_assert_eq(tbus_models_compare(dear, NULL, &c), UV_EINVAL);
    cr_assert_eq(tbus_models_compare(dear, cheap, NULL), UV_EINVAL);
    cr_assert_eq(tbus_models_rank(NULL, TBUS_MODEL_COST, list), UV_EINVAL);
    cr_assert_eq(tbus_models_rank(s, TBUS_MODEL_COST, NULL), UV_EINVAL);
    cr_assert(!tbus_models_find(NULL, "dear") && !tbus_models_find(s, NULL) && !tbus_models_find(s, "m"));
    cr_assert(isnan(dear->error_rate) && dear->first_ns == 0 && dear->last_ns == 0, "only a cost is known");
    tbus_models_snapshot_free(s);
    tbus_models_close(models);
}

/* --- Limits --- */

static int64_t read_clock(void *now_ns)
{
    return *(const int64_t *)now_ns;
}

Test(models, it_takes_as_many_names_as_it_says_and_no_wrong_options)
{
    tbus_models_t *models;
    tbus_models_snapshot_t *s;
    const tbus_models_options_t wrong[] = {{.models_max = (1 << 16) + 1},
                                           {.endpoints_max = (1 << 16) + 1},
                                           {.users_max = (1 << 24) + 1},
                                           {.window_ns = -1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(tbus_models_open(&wrong[i], &models), UV_EINVAL, "options %zu", i);
    for (int i = 0; i < 8; i++) {
        tbus_models_options_t options = {0};
        options.reserved[i] = 1;
        cr_assert_eq(tbus_models_open(&options, &models), UV_EINVAL);
    }
    cr_assert_eq(tbus_models_open(NULL, NULL), UV_EINVAL);
    const tbus_models_options_t most = {.models_max = 1 << 16, .endpoints_max = 1 << 16, .users_max = 1 << 24};
    cr_assert_eq(tbus_models_open(&most, &models), 0);
    tbus_models_close(models);
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    for (int i = 0; i < 10000; i++) { /* by default 100 models and endpoints, and 10,000 users */
        char name[8], user[16];
        snprintf(name, sizeof name, "%d", i % 100);
        snprintf(user, sizeof user, "user %d", i);
        cr_assert_eq(tbus_models_record_end(models, i ? "m" : name, name, user, &(tbus_traffic_end_t){.failed = true}),
                     0);
    }
    for (int i = 0; i < 98; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i + 1);
        cr_assert_eq(tbus_models_record_cost(models, name, tbus_money_units(1)), 0);
    }
    cr_assert_eq(tbus_models_record_end(models, "m", "other", "other", &(tbus_traffic_end_t){.failed = true}), 0);
    s = snapshot_of(models);
    cr_assert(s->models_count == 100 && !s->endpoints_full && !s->users_full, "\"other\" may be a name");
    cr_assert(tbus_models_find(s, "m")->users == 9999 + 1 && tbus_models_find(s, "m")->endpoints == 100 + 1);
    tbus_models_snapshot_free(s);
    cr_assert_eq(tbus_models_record_end(models, "n", "100", NULL, &(tbus_traffic_end_t){.failed = true}), 0);
    s = snapshot_of(models);
    cr_assert(s->endpoints_full && !s->users_full && tbus_models_find(s, "other"));
    tbus_models_snapshot_free(s);
    cr_assert_eq(tbus_models_record_end(models, "m", NULL, "one more", &(tbus_traffic_end_t){.failed = true}), 0);
    s = snapshot_of(models);
    cr_assert(s->users_full && tbus_models_find(s, "m")->users == 10000, "it was seen there");
    tbus_models_snapshot_free(s);
    cr_assert_eq(tbus_models_snapshot(NULL, 0, &s), UV_EINVAL);
    cr_assert_eq(tbus_models_snapshot(models, 0, NULL), UV_EINVAL);
    cr_assert_eq(tbus_models_record_end(NULL, "m", NULL, NULL, &(tbus_traffic_end_t){.failed = true}), UV_EINVAL);
    cr_assert_eq(tbus_models_record_end(models, "m", NULL, NULL, NULL), UV_EINVAL);
    tbus_models_close(models);
    tbus_models_close(NULL);
    tbus_models_reset(NULL);
    tbus_models_snapshot_free(NULL);
}

Test(models, after_a_reset_nothing_of_before_is_left_in_any_row)
{
    int64_t now = begin;
    tbus_models_t *models;
    const tbus_models_options_t options = {.models_max = 1, .clock = read_clock, .clock_user = &now};
    cr_assert_eq(tbus_models_open(&options, &models), 0);
    for (int round = 0; round < 3; round++) {
        static const char *const names[] = {"m", "n"};
        for (int i = 0; i < 2; i++) { /* the second counts as "other", whose row stays */
            cr_assert_eq(tbus_models_record_end(models, names[i], "/a", "u",
                                                &(tbus_traffic_end_t){.duration_ms = -1, .time_ns = now + i}),
                         0);
            cr_assert_eq(tbus_models_record_cost(models, names[i], tbus_money_units(7)), 0);
        }
        cr_assert_eq(tbus_models_record_end(models, "m", "/a", "u", &(tbus_traffic_end_t){.time_ns = INT64_MAX}), 0);
        tbus_models_snapshot_t *s = snapshot_of(models);
        cr_assert(s->since_ns == now && s->time_ns == now + 1 && s->ahead == 1 && s->negative_durations == 2);
        cr_assert_eq(s->models_count, 2u);
        for (int i = 0; i < 2; i++) {
            const tbus_model_t *model = &s->models[i];
            cr_assert_str_eq(model->traffic.name, i ? "other" : "m");
            cr_assert(model->users == 1 && model->endpoints == 1 &&
                      model->traffic.latency_ms.count == 2u - (unsigned)i);
            cr_assert(model->first_ns == now + i && model->last_ns == now + 1);
            cr_assert_eq(tbus_money_compare(model->cost, tbus_money_units(7)), 0);
        }
        tbus_models_snapshot_free(s);
        now += 1000;
        tbus_models_reset(models);
        s = snapshot_of(models);
        cr_assert(s->models_count == 0 && s->since_ns == now);
        tbus_models_snapshot_free(s);
    }
    tbus_models_close(models);
}

/* A row has a bit for each name; the last of them lies before the model's own name. */
Test(models, each_name_up_to_the_limits_is_told_apart_whatever_they_are)
{
    static const struct {
        uint32_t endpoints, users;
    } limits[] = {{31, 32}, {32, 31}, {31, 31}, {63, 64}, {100, 3}, {3, 100}, {1, 1}, {127, 127}, {62, 1}, {1, 62}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const uint32_t most = limits[i].endpoints > limits[i].users ? limits[i].endpoints : limits[i].users;
        tbus_models_t *models;
        const tbus_models_options_t options = {.endpoints_max = limits[i].endpoints, .users_max = limits[i].users};
        cr_assert_eq(tbus_models_open(&options, &models), 0);
        for (uint32_t name = 0; name <= most; name++) { /* one more than there is room for */
            char text[8];
            snprintf(text, sizeof text, "%d", (int)name);
            cr_assert_eq(
                tbus_models_record_end(models, "@@@@@@@@", text, text, &(tbus_traffic_end_t){.time_ns = begin}),
                0); /* an "@" has one bit set */
            tbus_models_snapshot_t *s = snapshot_of(models);
            cr_assert_eq(s->models_count, 1u);
            cr_assert_str_eq(s->models[0].traffic.name, "@@@@@@@@");
            cr_assert_eq(s->models[0].endpoints, name < limits[i].endpoints ? name + 1 : limits[i].endpoints + 1);
            cr_assert_eq(s->models[0].users, name < limits[i].users ? name + 1 : limits[i].users + 1);
            tbus_models_snapshot_free(s);
        }
        tbus_models_close(models);
    }
}
