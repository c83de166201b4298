/* What happens to requests on their way. */
#include <math.h>

#include "trackers/duration.h"
#include "trackers/inference_internal.h"
#include "trackers/saturate.h"
#include "trackers/shown.h"

/* --- Requests in the table --- */

/* The request with this id that is active at the latest time, or NULL. */
static struct request *find_active_locked(tbus_inference_t *inference, const struct table_name *id)
{
    struct request *request = table_find_name(&inference->requests, id);
    const int64_t idle_ns = inference->options.idle_ns;
    if (!request || idle_ns < 0 || inference->ahead.latest_ns <= moment_after(request->last_event_ns, idle_ns))
        return request;
    inference_abandon_locked(inference, request);
    return NULL;
}

static void touch(struct request *request, int64_t time_ns)
{
    if (time_ns > request->last_event_ns)
        request->last_event_ns = time_ns;
}

/* The request that an event is about, as of its time, which becomes the moment that it counts at; NULL counts as an
 * orphan. */
static struct request *request_locked(tbus_inference_t *inference, const struct table_name *id, int64_t *time_ns)
{
    *time_ns = inference_advance_locked(inference, *time_ns);
    struct request *request = find_active_locked(inference, id);
    if (request)
        touch(request, *time_ns);
    else
        inference->counters.orphans++;
    return request;
}

/* --- Starts --- */

static bool has_room_locked(tbus_inference_t *inference)
{
    if (inference->requests.count < inference->options.active_max)
        return true;
    inference_sweep_locked(inference);
    return inference->requests.count < inference->options.active_max;
}

static int start_locked(tbus_inference_t *inference, const struct table_name *id, const struct table_name *model,
                        int64_t input_tokens, int64_t time_ns)
{
    int error = UV_ENOSPC;
    time_ns = inference_advance_locked(inference, time_ns);
    if (find_active_locked(inference, id)) {
        inference->counters.duplicate_starts++;
        return UV_EEXIST;
    }
    struct request *request =
        has_room_locked(inference) ? table_add_name(&inference->requests, id, NULL, &error) : NULL;
    if (!request) {
        inference->counters.refused_starts++;
        return error;
    }
    struct inference_row *row = inference_model_locked(inference, model);
    row->started++;
    inference->all.started++;
    *request = (struct request){.start_ns = time_ns,
                                .last_event_ns = time_ns,
                                .input_tokens = input_tokens > 0 ? (uint64_t)input_tokens : 0,
                                .model = table_cell_of(&inference->models, row),
                                .worker = TABLE_NONE};
    if (inference->options.idle_ns >= 0) {
        int64_t limit = moment_after(request->last_event_ns, inference->options.idle_ns);
        inference->idle_from_ns = limit < inference->idle_from_ns ? limit : inference->idle_from_ns;
    }
    return 0;
}

int tbus_inference_record_start(tbus_inference_t *inference, const char *request_id, const char *model,
                                int64_t input_tokens, int64_t time_ns)
{
    struct table_name id;
    struct shown_name model_name;
    if (!inference)
        return UV_EINVAL;
    table_fit(&inference->requests, request_id, &id);
    shown_fit(&inference->models, model, &model_name);
    uv_mutex_lock(&inference->mu);
    int error = start_locked(inference, &id, &model_name.fitted, input_tokens, time_ns);
    uv_mutex_unlock(&inference->mu);
    return error;
}

/* --- Steps --- */

/* A figure of a request, the first time that it is told. */
static void know(struct request *request, struct inference_addition *addition, enum phase phase, int64_t took_ns)
{
    if (request->known & 1u << phase)
        return;
    request->known |= 1u << phase;
    addition->phases |= 1u << phase;
    addition->took_ns[phase] = took_ns;
}

/* The same for one that its event tells, or that is the time since `began_ns` where that is known. */
static void know_told_or_since(tbus_inference_t *inference, struct request *request,
                               struct inference_addition *addition, enum phase phase, double told_ms,
                               const int64_t *began_ns, int64_t time_ns)
{
    int64_t took_ns;
    if (request->known & 1u << phase)
        return;
    if (told_ms >= 0 && duration_of_ms(told_ms, &took_ns, &inference->counters.negative_intervals))
        know(request, addition, phase, took_ns);
    else if (began_ns)
        know(request, addition, phase, moment_interval(*began_ns, time_ns, &inference->counters.negative_intervals));
}

static void know_itl(struct request *request, struct inference_addition *addition)
{
    if ((request->known & 1u << PHASE_DECODE) && request->output_tokens > 1)
        know(request, addition, PHASE_ITL, request->decode_took_ns / (int64_t)(request->output_tokens - 1));
}

static void first_token(tbus_inference_t *inference, struct request *request, struct inference_addition *addition,
                        double told_ms, int64_t time_ns)
{
    if (request->has_first_token)
        return;
    request->has_first_token = true;
    know_told_or_since(inference, request, addition, PHASE_TTFT, told_ms, &request->start_ns, time_ns);
    request->first_token_ns = told_ms >= 0 ? moment_after(request->start_ns, addition->took_ns[PHASE_TTFT]) : time_ns;
}

static void decode_completed(tbus_inference_t *inference, struct request *request, struct inference_addition *addition,
                             double told_ms, int64_t tokens, int64_t time_ns)
{
    if (tokens > 0 && request->output_tokens == 0)
        request->output_tokens = (uint64_t)tokens;
    know_told_or_since(inference, request, addition, PHASE_DECODE, told_ms,
                       request->has_decode ? &request->decode_ns : NULL, time_ns);
    if (addition->phases & 1u << PHASE_DECODE)
        request->decode_took_ns = addition->took_ns[PHASE_DECODE];
    know_itl(request, addition);
}

static void step_locked(tbus_inference_t *inference, struct request *request, tbus_inference_step_t step,
                        double told_ms, int64_t tokens, int64_t time_ns)
{
    struct inference_addition addition = {0};
    switch (step) {
    case TBUS_STEP_DEQUEUED:
        know_told_or_since(inference, request, &addition, PHASE_QUEUE, told_ms, NULL, time_ns);
        break;
    case TBUS_STEP_PREFILL_STARTED:
        if (tokens > 0 && request->input_tokens == 0)
            request->input_tokens = (uint64_t)tokens;
        if (!request->has_prefill)
            request->prefill_ns = time_ns;
        request->has_prefill = true;
        know_told_or_since(inference, request, &addition, PHASE_QUEUE, NAN, &request->start_ns, time_ns);
        break;
    case TBUS_STEP_PREFILL_COMPLETED:
        know_told_or_since(inference, request, &addition, PHASE_PREFILL, told_ms,
                           request->has_prefill ? &request->prefill_ns : NULL, time_ns);
        break;
    case TBUS_STEP_FIRST_TOKEN:
        first_token(inference, request, &addition, told_ms, time_ns);
        break;
    case TBUS_STEP_DECODE_STARTED:
        if (!request->has_decode)
            request->decode_ns = time_ns;
        request->has_decode = true;
        break;
    case TBUS_STEP_DECODE_COMPLETED:
        decode_completed(inference, request, &addition, told_ms, tokens, time_ns);
        break;
    }
    inference_add_locked(inference, request->model, time_ns, &addition);
}

int tbus_inference_record_step(tbus_inference_t *inference, const char *request_id, tbus_inference_step_t step,
                               double duration_ms, int64_t tokens, int64_t time_ns)
{
    struct table_name id;
    if (!inference || (unsigned)step > TBUS_STEP_DECODE_COMPLETED)
        return UV_EINVAL;
    table_fit(&inference->requests, request_id, &id);
    uv_mutex_lock(&inference->mu);
    struct request *request = request_locked(inference, &id, &time_ns);
    if (request)
        step_locked(inference, request, step, duration_ms, tokens, time_ns);
    uv_mutex_unlock(&inference->mu);
    return request ? 0 : UV_ENOENT;
}

/* --- Ends --- */

static void count_end(struct inference_row *row, uint64_t input, uint64_t output, uint64_t cached)
{
    row->completed++;
    row->input_tokens = sum_up_to_max(row->input_tokens, input);
    row->output_tokens = sum_up_to_max(row->output_tokens, output);
    row->cached_tokens = sum_up_to_max(row->cached_tokens, cached);
}

static void count_worker_end(tbus_inference_t *inference, const struct request *request, int64_t total_ns)
{
    if (request->worker == TABLE_NONE)
        return;
    struct worker *worker = table_at(&inference->workers, request->worker);
    worker->tokens = sum_up_to_max(worker->tokens, request->output_tokens);
    if (request->worker_told)
        return;
    worker->done++;
    worker->latency_ns += (double)total_ns;
}

static void completed_locked(tbus_inference_t *inference, struct request *request, const tbus_inference_end_t *end,
                             struct inference_addition *addition, int64_t time_ns)
{
    uint64_t *negatives = &inference->counters.negative_intervals;
    if (end->input_tokens > 0)
        request->input_tokens = (uint64_t)end->input_tokens;
    if (end->output_tokens > 0)
        request->output_tokens = (uint64_t)end->output_tokens;
    uint64_t cached = end->cached_tokens > 0 ? (uint64_t)end->cached_tokens : 0;
    cached = cached < request->input_tokens ? cached : request->input_tokens;
    know(request, addition, PHASE_TOTAL, moment_interval(request->start_ns, time_ns, negatives));
    know_itl(request, addition);
    if (request->has_first_token && request->output_tokens > 1)
        know(request, addition, PHASE_TPOT,
             moment_interval(request->first_token_ns, time_ns, negatives) / (int64_t)(request->output_tokens - 1));
    addition->completes = true;
    addition->input_tokens = request->input_tokens;
    addition->output_tokens = request->output_tokens;
    count_end(&inference->all, request->input_tokens, request->output_tokens, cached);
    count_end(table_at(&inference->models, request->model), request->input_tokens, request->output_tokens, cached);
    count_worker_end(inference, request, addition->took_ns[PHASE_TOTAL]);
}

static void failed_locked(tbus_inference_t *inference, const struct request *request)
{
    struct inference_row *row = table_at(&inference->models, request->model);
    row->failed++;
    inference->all.failed++;
}

int tbus_inference_record_end(tbus_inference_t *inference, const char *request_id, const tbus_inference_end_t *end)
{
    struct table_name id;
    if (!inference || !end)
        return UV_EINVAL;
    int64_t time_ns = end->time_ns;
    table_fit(&inference->requests, request_id, &id);
    uv_mutex_lock(&inference->mu);
    struct request *request = request_locked(inference, &id, &time_ns);
    if (request) {
        struct inference_addition addition = {0};
        if (end->failed)
            failed_locked(inference, request);
        else
            completed_locked(inference, request, end, &addition, time_ns);
        inference_add_locked(inference, request->model, time_ns, &addition);
        table_remove(&inference->requests, request);
    }
    uv_mutex_unlock(&inference->mu);
    return request ? 0 : UV_ENOENT;
}

/* --- Workers --- */

/* Whether a worker is the one that a request went to last. */
static bool is_workers(const struct request *request, uint32_t cell, const struct shown_name *name)
{
    return request->worker == cell && request->worker_hash == name->fitted.hash;
}

int tbus_inference_record_worker(tbus_inference_t *inference, const char *request_id, const char *worker_id,
                                 int64_t time_ns)
{
    struct table_name id;
    struct shown_name name;
    int error = UV_ENOENT;
    if (!inference)
        return UV_EINVAL;
    table_fit(&inference->requests, request_id, &id);
    shown_fit(&inference->workers, worker_id, &name);
    uv_mutex_lock(&inference->mu);
    struct request *request = request_locked(inference, &id, &time_ns);
    if (request) {
        struct worker *worker = table_add_name_or_other(&inference->workers, &name.fitted, &error);
        const uint32_t cell = table_cell_of(&inference->workers, worker);
        const bool is_told_twice = is_workers(request, cell, &name);
        worker->requests += !is_told_twice;
        request->worker_told = request->worker_told && is_told_twice;
        request->worker = cell;
        request->worker_hash = name.fitted.hash;
    }
    uv_mutex_unlock(&inference->mu);
    return error;
}

int tbus_inference_record_worker_done(tbus_inference_t *inference, const char *request_id, const char *worker_id,
                                      double duration_ms, int64_t time_ns)
{
    struct table_name id;
    struct shown_name name;
    int64_t took_ns;
    int error;
    if (!inference)
        return UV_EINVAL;
    table_fit(&inference->requests, request_id, &id);
    shown_fit(&inference->workers, worker_id, &name);
    uv_mutex_lock(&inference->mu);
    time_ns = inference_advance_locked(inference, time_ns);
    struct worker *worker = table_add_name_or_other(&inference->workers, &name.fitted, &error);
    struct request *request = find_active_locked(inference, &id);
    if (duration_ms >= 0 && duration_of_ms(duration_ms, &took_ns, &inference->counters.negative_intervals)) {
        worker->done++;
        worker->latency_ns += (double)took_ns;
        if (request && is_workers(request, table_cell_of(&inference->workers, worker), &name))
            request->worker_told = true;
    }
    if (request)
        touch(request, time_ns);
    uv_mutex_unlock(&inference->mu);
    return error;
}

/* --- Gauges --- */

int tbus_inference_record_queue_depth(tbus_inference_t *inference, const char *queue, int64_t depth, int64_t time_ns)
{
    struct table_name name;
    int error;
    if (!inference)
        return UV_EINVAL;
    depth = depth < 0 ? 0 : depth;
    table_fit(&inference->queues, queue, &name);
    uv_mutex_lock(&inference->mu);
    int64_t *kept = table_add_name_or_other(&inference->queues, &name, &error);
    inference->queued += depth - (int128_t)*kept;
    *kept = depth;
    level_set(&inference->depth, inference_advance_locked(inference, time_ns),
              inference->queued < INT64_MAX ? (int64_t)inference->queued : INT64_MAX);
    uv_mutex_unlock(&inference->mu);
    return error;
}

int tbus_inference_record_batch_size(tbus_inference_t *inference, int64_t size, int64_t time_ns)
{
    if (!inference)
        return UV_EINVAL;
    uv_mutex_lock(&inference->mu);
    level_set(&inference->batch, inference_advance_locked(inference, time_ns), size < 0 ? 0 : size);
    uv_mutex_unlock(&inference->mu);
    return 0;
}
