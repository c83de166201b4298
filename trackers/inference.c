#include "trackers/inference_internal.h"

#include <tallybus/base.h>

#include "trackers/options.h"

enum {
    DEFAULT_ACTIVE = 10000,
    DEFAULT_MODELS = 50,
    DEFAULT_WORKERS = 500,
    DEFAULT_QUEUES = 100,
    LIMIT_MAX = 1 << 24,
    MODELS_LIMIT = 1 << 12,
    SWEEPS_PER_IDLE_LIMIT = 64
};

#define SECONDS(count) (INT64_C(count) * 1000000000)

/* --- Windows --- */

static void add_to_row(struct inference_row *row, int64_t time_ns, const struct inference_addition *addition)
{
    for (int phase = 0; phase < PHASES; phase++)
        if (addition->phases & 1u << phase)
            histogram_window_record(row->phases[phase], time_ns, addition->took_ns[phase], 1, addition->took_ns[phase]);
    if (!addition->completes)
        return;
    window_sum_add(&row->recent_completed, time_ns, 1);
    window_sum_add(&row->recent_input, time_ns, addition->input_tokens);
    window_sum_add(&row->recent_output, time_ns, addition->output_tokens);
}

void inference_add_locked(tbus_inference_t *inference, uint32_t model, int64_t time_ns,
                          const struct inference_addition *addition)
{
    add_to_row(&inference->all, time_ns, addition);
    add_to_row(table_at(&inference->models, model), time_ns, addition);
}

static void reset_windows(struct inference_row *row)
{
    window_sum_reset(&row->recent_completed);
    window_sum_reset(&row->recent_input);
    window_sum_reset(&row->recent_output);
    for (int phase = 0; phase < PHASES; phase++)
        histogram_window_reset(row->phases[phase]);
}

static void go_back_in_windows(struct inference_row *row, int64_t now_ns, int64_t span_ns)
{
    window_sum_go_back(&row->recent_completed, now_ns, span_ns);
    window_sum_go_back(&row->recent_input, now_ns, span_ns);
    window_sum_go_back(&row->recent_output, now_ns, span_ns);
    for (int phase = 0; phase < PHASES; phase++)
        histogram_window_go_back(row->phases[phase], now_ns, span_ns);
}

/* --- Time --- */

/* The latest time is given up (ahead.h): windows, levels and idle limits go on from the one that is now. What lies behind
 * it in time may be of the clock that is right, and stays. */
static void go_back_locked(void *tracker, int64_t now_ns, int64_t span_ns)
{
    tbus_inference_t *inference = tracker;
    go_back_in_windows(&inference->all, now_ns, span_ns);
    for (uint32_t i = 0; i < inference->models.used; i++) {
        struct inference_row *row = table_at(&inference->models, i);
        if (row)
            go_back_in_windows(row, now_ns, span_ns);
    }
    level_go_back(&inference->depth, now_ns, span_ns);
    level_go_back(&inference->batch, now_ns, span_ns);
    for (uint32_t i = 0; i < inference->requests.used; i++) {
        struct request *request = table_at(&inference->requests, i);
        if (request && request->last_event_ns > now_ns)
            request->last_event_ns = moment_before(request->last_event_ns, span_ns);
    }
    inference->idle_from_ns = inference->next_sweep_ns = MOMENT_MIN;
}

void inference_abandon_locked(tbus_inference_t *inference, struct request *request)
{
    inference->counters.abandoned++;
    table_remove(&inference->requests, request);
}

void inference_sweep_locked(tbus_inference_t *inference)
{
    const int64_t idle_ns = inference->options.idle_ns, now_ns = ahead_latest(&inference->ahead);
    if (idle_ns < 0 || now_ns <= inference->idle_from_ns)
        return;
    inference->idle_from_ns = MOMENT_MAX;
    for (uint32_t i = 0; i < inference->requests.used; i++) {
        struct request *request = table_at(&inference->requests, i);
        if (!request)
            continue;
        int64_t limit = moment_after(request->last_event_ns, idle_ns);
        if (now_ns > limit)
            inference_abandon_locked(inference, request);
        else if (limit < inference->idle_from_ns)
            inference->idle_from_ns = limit;
    }
}

int64_t inference_advance_locked(tbus_inference_t *inference, int64_t time_ns)
{
    const int64_t idle_ns = inference->options.idle_ns;
    time_ns = ahead_believe(&inference->ahead, moment_of(time_ns));
    if (idle_ns >= 0 && inference->ahead.latest_ns > inference->next_sweep_ns) {
        inference_sweep_locked(inference);
        inference->next_sweep_ns = moment_after(inference->ahead.latest_ns, idle_ns / SWEEPS_PER_IDLE_LIMIT);
    }
    return time_ns;
}

/* --- Rows --- */

static void close_row(struct inference_row *row)
{
    for (int phase = 0; phase < PHASES; phase++)
        histogram_window_close(row->phases[phase]);
}

/* On an error the row is to be closed all the same. */
static int open_row(struct inference_row *row, int64_t window_ns, uint32_t slices)
{
    int error = 0;
    window_sum_init(&row->recent_completed, window_ns);
    window_sum_init(&row->recent_input, window_ns);
    window_sum_init(&row->recent_output, window_ns);
    for (int phase = 0; phase < PHASES && !error; phase++)
        error = histogram_window_open(window_ns, slices, &row->phases[phase]);
    return error;
}

struct inference_row *inference_model_locked(tbus_inference_t *inference, const struct table_name *name)
{
    int error; /* without memory it counts as "other" */
    struct inference_row *row = table_add_name_or_other(&inference->models, name, &error);
    if (row->phases[0] || open_row(row, inference->options.window_ns, HISTOGRAM_SLICES_OF_A_NAME) == 0)
        return row;
    close_row(row);
    table_remove(&inference->models, row);
    return table_find(&inference->models, TABLE_OTHER);
}

static void close_models(tbus_inference_t *inference, const struct inference_row *but)
{
    for (uint32_t i = 0; i < inference->models.used; i++) {
        struct inference_row *row = table_at(&inference->models, i);
        if (!row || row == but)
            continue;
        close_row(row);
        table_remove(&inference->models, row);
    }
}

/* --- Open, close, reset --- */

static bool take_options(tbus_inference_options_t *own, const tbus_inference_options_t *options)
{
    static const tbus_inference_options_t defaults;
    *own = options ? *options : defaults;
    if (!are_zero(own->reserved, sizeof own->reserved))
        return false;
    own->active_max = or_default(own->active_max, DEFAULT_ACTIVE);
    own->models_max = or_default(own->models_max, DEFAULT_MODELS);
    own->workers_max = or_default(own->workers_max, DEFAULT_WORKERS);
    own->queues_max = or_default(own->queues_max, DEFAULT_QUEUES);
    own->window_ns = own->window_ns ? own->window_ns : SECONDS(300);
    own->idle_ns = own->idle_ns ? own->idle_ns : SECONDS(600);
    return own->active_max <= LIMIT_MAX && own->models_max <= MODELS_LIMIT && own->workers_max <= LIMIT_MAX &&
           own->queues_max <= LIMIT_MAX && own->window_ns > 0 && own->window_ns <= MOMENT_MAX;
}

static void init_time(tbus_inference_t *inference)
{
    ahead_init(&inference->ahead, inference->options.ahead_max_ns, inference->options.clock,
               inference->options.clock_user);
    ahead_on_going_back(&inference->ahead, go_back_locked, inference);
    inference->idle_from_ns = MOMENT_MAX;
    inference->next_sweep_ns = MOMENT_MIN;
}

static int open_parts(tbus_inference_t *inference)
{
    const tbus_inference_options_t *options = &inference->options;
    init_time(inference);
    level_init(&inference->depth, options->window_ns);
    level_init(&inference->batch, options->window_ns);
    table_init(&inference->requests, sizeof(struct request), INFERENCE_NAME_MAX, options->active_max);
    table_init(&inference->models, sizeof(struct inference_row), INFERENCE_NAME_MAX, options->models_max + 1);
    table_init(&inference->workers, sizeof(struct worker), INFERENCE_NAME_MAX, options->workers_max + 1);
    table_init(&inference->queues, sizeof(int64_t), INFERENCE_NAME_MAX, options->queues_max + 1);
    int error = open_row(&inference->all, options->window_ns, HISTOGRAM_SLICES);
    if (!error)
        error = table_open_other(&inference->models);
    if (!error)
        error = open_row(table_find(&inference->models, TABLE_OTHER), options->window_ns, HISTOGRAM_SLICES_OF_A_NAME);
    if (!error)
        error = table_open_other(&inference->workers);
    if (!error)
        error = table_open_other(&inference->queues);
    return error ? error : uv_mutex_init(&inference->mu);
}

static void free_parts(tbus_inference_t *inference)
{
    close_models(inference, NULL);
    close_row(&inference->all);
    table_clear(&inference->requests);
    table_clear(&inference->models);
    table_clear(&inference->workers);
    table_clear(&inference->queues);
    tbus_mem_free(inference);
}

int tbus_inference_open(const tbus_inference_options_t *options, tbus_inference_t **ret)
{
    if (!ret)
        return UV_EINVAL;
    tbus_inference_t *inference = tbus_mem_alloc(sizeof *inference);
    if (!inference)
        return UV_ENOMEM;
    int error = take_options(&inference->options, options) ? open_parts(inference) : UV_EINVAL;
    if (error) {
        free_parts(inference);
        return error;
    }
    *ret = inference;
    return 0;
}

void tbus_inference_close(tbus_inference_t *inference)
{
    if (!inference)
        return;
    uv_mutex_destroy(&inference->mu);
    free_parts(inference);
}

static void reset_row(struct inference_row *row)
{
    reset_windows(row);
    row->started = row->completed = row->failed = 0;
    row->input_tokens = row->output_tokens = row->cached_tokens = 0;
}

void tbus_inference_reset(tbus_inference_t *inference)
{
    if (!inference)
        return;
    uv_mutex_lock(&inference->mu);
    struct inference_row *other = table_find(&inference->models, TABLE_OTHER);
    close_models(inference, other);
    reset_row(other);
    reset_row(&inference->all);
    table_clear(&inference->requests);
    table_empty_but_other(&inference->workers);
    table_empty_but_other(&inference->queues);
    inference->queued = 0;
    level_init(&inference->depth, inference->options.window_ns);
    level_init(&inference->batch, inference->options.window_ns);
    inference->counters = (struct inference_counters){0};
    init_time(inference);
    inference->resets++;
    uv_mutex_unlock(&inference->mu);
}
