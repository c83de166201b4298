/* Models beside each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/models.h>

#include "trackers/int128.h"

const char *tbus_model_figure_name(tbus_model_figure_t figure)
{
    static const char *const names[TBUS_MODEL_FIGURES] = {
        [TBUS_MODEL_REQUESTS] = "requests",
        [TBUS_MODEL_ERRORS] = "errors",
        [TBUS_MODEL_ERROR_RATE] = "error_rate",
        [TBUS_MODEL_PROMPT_TOKENS] = "prompt_tokens",
        [TBUS_MODEL_COMPLETION_TOKENS] = "completion_tokens",
        [TBUS_MODEL_TOTAL_TOKENS] = "total_tokens",
        [TBUS_MODEL_LATENCY_AVG] = "latency_avg_ms",
        [TBUS_MODEL_LATENCY_P50] = "latency_p50_ms",
        [TBUS_MODEL_LATENCY_P90] = "latency_p90_ms",
        [TBUS_MODEL_LATENCY_P95] = "latency_p95_ms",
        [TBUS_MODEL_LATENCY_P99] = "latency_p99_ms",
        [TBUS_MODEL_COST] = "cost_usd",
        [TBUS_MODEL_ENDPOINTS] = "endpoints",
        [TBUS_MODEL_USERS] = "users",
        [TBUS_MODEL_FIRST_USE] = "first_ns",
        [TBUS_MODEL_LAST_USE] = "last_ns",
    };
    return (unsigned)figure < TBUS_MODEL_FIGURES ? names[figure] : NULL;
}

/* Counts and moments, which a double may not hold. */
static bool is_whole(const tbus_model_t *model, tbus_model_figure_t figure, int128_t *ret)
{
    switch (figure) {
    case TBUS_MODEL_REQUESTS:
        *ret = model->traffic.requests;
        return true;
    case TBUS_MODEL_ERRORS:
        *ret = model->traffic.errors;
        return true;
    case TBUS_MODEL_PROMPT_TOKENS:
        *ret = model->traffic.prompt_tokens;
        return true;
    case TBUS_MODEL_COMPLETION_TOKENS:
        *ret = model->traffic.completion_tokens;
        return true;
    case TBUS_MODEL_TOTAL_TOKENS:
        *ret = model->total_tokens;
        return true;
    case TBUS_MODEL_ENDPOINTS:
        *ret = model->endpoints;
        return true;
    case TBUS_MODEL_USERS:
        *ret = model->users;
        return true;
    case TBUS_MODEL_FIRST_USE:
        *ret = model->first_ns;
        return model->first_ns != 0;
    case TBUS_MODEL_LAST_USE:
        *ret = model->last_ns;
        return model->last_ns != 0;
    default:
        return false;
    }
}

/* Of a number, or the difference of two, that 64 bits hold without the sign. */
static double double_of(int128_t whole)
{
    return whole < 0 ? -(double)(uint64_t)-whole : (double)(uint64_t)whole;
}

double tbus_model_figure(const tbus_model_t *model, tbus_model_figure_t figure)
{
    int128_t whole;
    if (!model)
        return NAN;
    if (is_whole(model, figure, &whole))
        return double_of(whole);
    switch (figure) {
    case TBUS_MODEL_ERROR_RATE:
        return model->error_rate;
    case TBUS_MODEL_LATENCY_AVG:
        return model->traffic.latency_ms.avg;
    case TBUS_MODEL_LATENCY_P50:
        return model->traffic.latency_ms.p50;
    case TBUS_MODEL_LATENCY_P90:
        return model->traffic.latency_ms.p90;
    case TBUS_MODEL_LATENCY_P95:
        return model->traffic.latency_ms.p95;
    case TBUS_MODEL_LATENCY_P99:
        return model->traffic.latency_ms.p99;
    case TBUS_MODEL_COST:
        return tbus_money_to_usd(model->cost);
    default:
        return NAN;
    }
}

int tbus_models_compare(const tbus_model_t *a, const tbus_model_t *b, tbus_models_comparison_t *ret)
{
    tbus_models_comparison_t comparison;
    if (!a || !b || !ret)
        return UV_EINVAL;
    int error = tbus_money_subtract(b->cost, a->cost, &comparison.cost_delta);
    if (error)
        return error;
    for (int i = 0; i < TBUS_MODEL_FIGURES; i++) {
        int128_t before, after;
        tbus_model_difference_t *figure = &comparison.figures[i];
        figure->a = tbus_model_figure(a, (tbus_model_figure_t)i);
        figure->b = tbus_model_figure(b, (tbus_model_figure_t)i);
        figure->delta = i == TBUS_MODEL_COST ? tbus_money_to_usd(comparison.cost_delta) : figure->b - figure->a;
        if (is_whole(a, (tbus_model_figure_t)i, &before) && is_whole(b, (tbus_model_figure_t)i, &after))
            figure->delta = double_of(after - before);
        figure->per_cent = figure->a != 0 ? figure->delta / figure->a * 100 : (double)NAN;
    }
    *ret = comparison;
    return 0;
}

const tbus_model_t *tbus_models_find(const tbus_models_snapshot_t *snapshot, const char *model)
{
    for (size_t i = 0; snapshot && i < snapshot->models_count; i++)
        if (strcmp(snapshot->models[i].traffic.name, model ? model : "") == 0)
            return &snapshot->models[i];
    return NULL;
}

/* Whether a model comes before another. Counts, moments and money are compared as the integers that they are. */
static int order(const tbus_model_t *a, const tbus_model_t *b, tbus_model_figure_t by)
{
    const double left = tbus_model_figure(a, by), right = tbus_model_figure(b, by);
    int128_t left_whole, right_whole;
    int falling = (left < right) - (left > right);
    if (isnan(left) || isnan(right))
        falling = isnan(left) - isnan(right);
    else if (by == TBUS_MODEL_COST)
        falling = tbus_money_compare(b->cost, a->cost);
    else if (is_whole(a, by, &left_whole) && is_whole(b, by, &right_whole))
        falling = (left_whole < right_whole) - (left_whole > right_whole);
    return falling ? falling : strcmp(a->traffic.name, b->traffic.name);
}

/* One at a time into its place: models are some hundred at most, and qsort() passes no figure to its order. */
int tbus_models_rank(const tbus_models_snapshot_t *snapshot, tbus_model_figure_t by, const tbus_model_t **list)
{
    if (!snapshot || !list || (unsigned)by >= TBUS_MODEL_FIGURES)
        return UV_EINVAL;
    for (size_t i = 0; i < snapshot->models_count; i++) {
        const tbus_model_t *model = &snapshot->models[i];
        size_t place = i;
        for (; place > 0 && order(model, list[place - 1], by) < 0; place--)
            list[place] = list[place - 1];
        list[place] = model;
    }
    return 0;
}
