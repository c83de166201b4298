/* The cost tracker's sums in the slow and simple way: a list of all usages that count, gone through for each question.
 */
#ifndef TESTS_TRACKERS_COST_MODEL_H
#define TESTS_TRACKERS_COST_MODEL_H

#include "tests/oracle.h"
#include "tests/trackers/cost_fixture.h"

#define MODEL_HOUR_NS (INT64_C(3600) * 1000000000)

enum { MODEL_MAX = 100000, MODEL_HOURS = 744 };

struct model_usage {
    int64_t time_ns;
    int user, project; /* numbers of names; -1 = none */
    int128_t usd;
    uint64_t prompt, completion, cached;
    bool gone; /* an estimate that was replaced */
    bool unpriced;
};

struct model {
    struct model_usage *usages;
    size_t count;
    int64_t newest_hour;
};

static inline int64_t model_hour(int64_t time_ns)
{
    int64_t hour = time_ns / MODEL_HOUR_NS;
    return hour - (time_ns % MODEL_HOUR_NS < 0);
}

static inline void model_open(struct model *model)
{
    *model = (struct model){.usages = calloc(MODEL_MAX, sizeof *model->usages), .newest_hour = INT64_MIN};
    cr_assert_not_null(model->usages);
}

static inline size_t model_add(struct model *model, struct model_usage usage)
{
    cr_assert_lt(model->count, MODEL_MAX);
    int64_t hour = model_hour(usage.time_ns);
    if (hour > model->newest_hour)
        model->newest_hour = hour;
    model->usages[model->count] = usage;
    return model->count++;
}

struct model_sum {
    int128_t usd;
    uint64_t requests, prompt, completion, cached, unpriced;
};

/* What counts of a user, or of a project (the other -2 = any), in the hours `from` .. `to` that are still told. */
static inline struct model_sum model_sum_of(const struct model *model, int user, int project, int64_t from, int64_t to)
{
    struct model_sum sum = {0};
    for (size_t i = 0; i < model->count; i++) {
        const struct model_usage *usage = &model->usages[i];
        int64_t hour = model_hour(usage->time_ns);
        if (usage->gone || hour < from || hour > to || (user != -2 && usage->user != user) ||
            (project != -2 && usage->project != project))
            continue;
        sum.usd += usage->usd;
        sum.requests++;
        sum.prompt += usage->prompt;
        sum.completion += usage->completion;
        sum.cached += usage->cached;
        sum.unpriced += usage->unpriced;
    }
    return sum;
}

static inline void model_check_sum(const struct model_sum *expected, const tbus_cost_sum_t *sum, const char *what)
{
    cr_assert(money_value(sum->usd) == expected->usd, "%s", what);
    cr_assert_eq(sum->requests, expected->requests, "%s: %llu instead of %llu", what, (unsigned long long)sum->requests,
                 (unsigned long long)expected->requests);
    cr_assert_eq(sum->prompt_tokens, expected->prompt, "%s", what);
    cr_assert_eq(sum->completion_tokens, expected->completion, "%s", what);
    cr_assert_eq(sum->cached_tokens, expected->cached, "%s", what);
    cr_assert_eq(sum->unpriced_requests, expected->unpriced, "%s", what);
}

/* A list of sums against the model, for `names` names and the unnamed. */
static inline void model_check_list(const struct model *model, const tbus_cost_sum_t *list, size_t count, bool users,
                                    int names, int64_t from, int64_t to)
{
    size_t expected_count = 0;
    for (int name = -1; name < names; name++) {
        struct model_sum expected = model_sum_of(model, users ? name : -2, users ? -2 : name, from, to);
        char text[32] = "";
        if (expected.requests == 0)
            continue;
        if (name >= 0)
            snprintf(text, sizeof text, "%s-%d", users ? "user" : "project", name);
        const tbus_cost_sum_t *sum = row_of(list, count, text);
        cr_assert_not_null(sum, "%s", text);
        model_check_sum(&expected, sum, text);
        expected_count++;
    }
    cr_assert_eq(count, expected_count);
    for (size_t i = 1; i < count; i++)
        cr_assert_geq(tbus_money_compare(list[i - 1].usd, list[i].usd), 0);
}

/* The hours `from` .. `to`, by the tracker and by the model. */
static inline void model_check_period(const struct model *model, tbus_cost_t *cost, int users, int projects,
                                      int64_t from, int64_t to)
{
    tbus_cost_period_t *period;
    int64_t first = model->newest_hour - MODEL_HOURS + 1;
    cr_assert_eq(tbus_cost_period(cost, from * MODEL_HOUR_NS + 5, (to + 1) * MODEL_HOUR_NS, &period), 0);
    cr_assert_eq(period->from_ns, from * MODEL_HOUR_NS);
    cr_assert_eq(period->to_ns, (to + 1) * MODEL_HOUR_NS);
    first = from > first ? from : first;
    struct model_sum expected = model_sum_of(model, -2, -2, first, to);
    model_check_sum(&expected, &period->total, "total");
    model_check_list(model, period->by_user, period->by_user_count, true, users, first, to);
    model_check_list(model, period->by_project, period->by_project_count, false, projects, first, to);
    tbus_cost_period_free(period);
}

/* Spans of so many hours each, the last of which has the newest hour in it; of the hours from `first` on. */
static inline void model_check_spans(const struct model *model, const tbus_cost_span_t *spans, size_t count, int user,
                                     int64_t hours, int64_t first)
{
    const int64_t last = model->newest_hour;
    size_t told = 0;
    int64_t begin = first - first % hours - (first % hours < 0 ? hours : 0);
    for (; begin <= last; begin += hours) {
        const int64_t from = begin > first ? begin : first;
        struct model_sum expected = model_sum_of(model, user, -2, from, begin + hours - 1);
        if (expected.requests == 0)
            continue;
        cr_assert_lt(told, count);
        cr_assert_eq(spans[told].from_ns, begin * MODEL_HOUR_NS);
        model_check_sum(&expected, &spans[told].sum, "span");
        told++;
    }
    cr_assert_eq(told, count);
}

/* -2 = everybody's. */
static inline void model_check_course(const struct model *model, const tbus_cost_course_t *course, int user)
{
    model_check_spans(model, course->hours, course->hours_count, user, 1, model->newest_hour - 23);
    model_check_spans(model, course->days, course->days_count, user, 24, model->newest_hour - MODEL_HOURS + 1);
}

#endif
