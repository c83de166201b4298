#include "trackers/streaming_window.h"

#include <math.h>
#include <string.h>

#include "trackers/options.h"
#include "trackers/utf8_cut.h"

enum {
    DEFAULT_ACTIVE = 10000,
    DEFAULT_FINISHED = 1000,
    DEFAULT_MODELS = 200,
    LIMIT_MAX = 1 << 24,
    SWEEPS_PER_IDLE_LIMIT = 64
};

#define SECONDS(count) (INT64_C(count) * 1000000000)

/* --- Options --- */

static bool is_limit(double limit)
{
    return limit >= 0 && isfinite(limit);
}

static bool is_usable(const tbus_streaming_options_t *options)
{
    return are_zero(options->reserved, sizeof options->reserved) && options->active_max <= LIMIT_MAX &&
           options->finished_max <= LIMIT_MAX && options->findable_max <= LIMIT_MAX &&
           options->models_max <= LIMIT_MAX && (unsigned)options->first_token <= TBUS_FIRST_TOKEN_ANY &&
           (unsigned)options->numbering <= TBUS_NUMBERING_LAST_TOKEN && is_limit(options->ttft_max_ms) &&
           is_limit(options->tpot_max_ms) && is_limit(options->duration_max_ms);
}

static void fill_in_defaults(tbus_streaming_options_t *own)
{
    own->active_max = or_default(own->active_max, DEFAULT_ACTIVE);
    own->finished_max = or_default(own->finished_max, DEFAULT_FINISHED);
    if (own->findable_max == 0 || own->findable_max > own->finished_max)
        own->findable_max = own->finished_max;
    own->models_max = or_default(own->models_max, DEFAULT_MODELS);
    own->window_ns = own->window_ns ? own->window_ns : SECONDS(300);
    own->idle_ns = own->idle_ns ? own->idle_ns : SECONDS(600);
    own->cache_ns = own->cache_ns ? own->cache_ns : SECONDS(10);
}

static void copy_label(char label[LABEL_BYTES], const char *given, const char *otherwise)
{
    const char *text = given ? given : otherwise;
    size_t kept = utf8_cut(text, strlen(text), LABEL_BYTES - 1);
    memcpy(label, text, kept);
    label[kept] = '\0';
}

static int set_bounds(tbus_streaming_t *streaming)
{
    const tbus_streaming_options_t *options = &streaming->options;
    const struct {
        const tbus_bounds_t *given;
        tbus_bounds_preset_t preset;
    } lists[BOUNDS_LISTS] = {
        [BOUNDS_TTFT] = {options->ttft_bounds, TBUS_BOUNDS_TIME_TO_FIRST_TOKEN},
        [BOUNDS_TPOT] = {options->tpot_bounds, TBUS_BOUNDS_TIME_PER_OUTPUT_TOKEN},
        [BOUNDS_DURATION] = {options->duration_bounds, TBUS_BOUNDS_REQUEST_DURATION},
        [BOUNDS_USAGE] = {options->usage_bounds, TBUS_BOUNDS_TOKEN_USAGE},
    };
    for (int i = 0; i < BOUNDS_LISTS; i++)
        if (buckets_set_bounds(&streaming->bounds[i], lists[i].given, lists[i].preset) != 0)
            return UV_EINVAL;
    return 0;
}

/* Copies everything that the options point to. Errors: UV_EINVAL. */
static int take_options(tbus_streaming_t *streaming, const tbus_streaming_options_t *options)
{
    static const tbus_streaming_options_t defaults;
    tbus_streaming_options_t *own = &streaming->options;

    *own = options ? *options : defaults;
    if (!is_usable(own) || set_bounds(streaming) != 0)
        return UV_EINVAL;
    fill_in_defaults(own);
    copy_label(streaming->operation_name, own->operation_name, "chat");
    copy_label(streaming->provider_name, own->provider_name, "");
    own->operation_name = streaming->operation_name;
    own->provider_name = streaming->provider_name;
    own->ttft_bounds = own->tpot_bounds = own->duration_bounds = own->usage_bounds = NULL;
    return 0;
}

/* --- Open, close, reset --- */

/* The latest time is given up (ahead.h): windows and idle limits go on from the one that is now. What lies behind it in
 * time may be of the clock that is right, and stays. */
static void go_back_locked(void *tracker, int64_t now_ns, int64_t span_ns)
{
    tbus_streaming_t *streaming = tracker;
    const int64_t before_ns = streaming->ahead.latest_ns;
    streaming_go_back_in_windows_locked(streaming, span_ns);
    for (uint32_t i = 0; i < streaming->streams.used; i++) {
        struct stream *stream = table_at(&streaming->streams, i);
        if (!stream || stream->status != TBUS_STREAM_STATUS_ACTIVE || stream->last_event_ns <= now_ns)
            continue;
        if (streaming_is_idle(streaming, stream, before_ns))
            streaming_abandon_locked(streaming, stream);
        else
            stream->last_event_ns = moment_before(stream->last_event_ns, span_ns);
    }
    for (uint32_t i = 0; i < streaming->finished_count; i++)
        if (streaming->finished[i].end_ns > now_ns)
            streaming->finished[i].end_ns = moment_before(streaming->finished[i].end_ns, span_ns);
    streaming->idle_from_ns = streaming->next_sweep_ns = MOMENT_MIN;
}

static void init_time(tbus_streaming_t *streaming)
{
    ahead_init(&streaming->ahead, streaming->options.ahead_max_ns, streaming->options.clock,
               streaming->options.clock_user);
    ahead_on_going_back(&streaming->ahead, go_back_locked, streaming);
    streaming->idle_from_ns = MOMENT_MAX;
    streaming->next_sweep_ns = MOMENT_MIN;
}

static void init_tables(tbus_streaming_t *streaming)
{
    static const int bounds_of[MODEL_HISTOGRAMS] = {[MODEL_TTFT] = BOUNDS_TTFT,
                                                    [MODEL_TPOT] = BOUNDS_TPOT,
                                                    [MODEL_DURATION] = BOUNDS_DURATION,
                                                    [MODEL_INPUT] = BOUNDS_USAGE,
                                                    [MODEL_OUTPUT] = BOUNDS_USAGE};
    size_t bytes = sizeof(struct model);
    for (int i = 0; i < MODEL_HISTOGRAMS; i++) {
        streaming->histograms_at[i] = (uint32_t)bytes;
        bytes += buckets_bytes(&streaming->bounds[bounds_of[i]]);
    }
    table_init(&streaming->models, (uint32_t)bytes, TBUS_STREAM_MODEL_BYTES - 1,
               streaming->options.models_max + 1 /* and "other" */);
    table_init_hot(&streaming->streams, sizeof(struct stream), sizeof(struct stream_life), STREAM_ID_MAX,
                   streaming->options.active_max + streaming->options.findable_max);
}

static void free_parts(tbus_streaming_t *streaming)
{
    table_clear(&streaming->streams);
    table_clear(&streaming->models);
    tbus_mem_free(streaming->finished);
    tbus_mem_free(streaming->ended);
    streaming_close_windows(streaming);
    tbus_mem_free(streaming);
}

static int open_parts(tbus_streaming_t *streaming)
{
    const tbus_streaming_options_t *options = &streaming->options;
    init_time(streaming);
    init_tables(streaming);
    streaming->finished = tbus_mem_alloc(options->finished_max * sizeof *streaming->finished);
    streaming->ended = tbus_mem_alloc(options->findable_max * sizeof *streaming->ended);
    if (!streaming->finished || !streaming->ended)
        return UV_ENOMEM;
    int error = table_open_other(&streaming->models);
    if (!error)
        error = streaming_open_windows(streaming);
    return error ? error : uv_mutex_init(&streaming->mu);
}

int tbus_streaming_open(const tbus_streaming_options_t *options, tbus_streaming_t **ret)
{
    if (!ret)
        return UV_EINVAL;
    tbus_streaming_t *streaming = tbus_mem_alloc(sizeof *streaming);
    if (!streaming)
        return UV_ENOMEM;
    int error = take_options(streaming, options);
    if (!error)
        error = open_parts(streaming);
    if (error) {
        free_parts(streaming);
        return error;
    }
    *ret = streaming;
    return 0;
}

void tbus_streaming_close(tbus_streaming_t *streaming)
{
    if (!streaming)
        return;
    uv_mutex_destroy(&streaming->mu);
    free_parts(streaming);
}

void tbus_streaming_reset(tbus_streaming_t *streaming)
{
    if (!streaming)
        return;
    uv_mutex_lock(&streaming->mu);
    table_clear(&streaming->streams);
    table_empty_but_other(&streaming->models);
    streaming->counters = (struct streaming_counters){0};
    streaming->active_count = 0;
    streaming->finished_count = streaming->finished_next = 0;
    streaming->ended_count = streaming->ended_next = 0;
    streaming_reset_windows_locked(streaming);
    init_time(streaming);
    uv_mutex_unlock(&streaming->mu);
}

/* --- Time --- */

void streaming_abandon_locked(tbus_streaming_t *streaming, struct stream *stream)
{
    streaming->counters.abandoned++;
    streaming_end_locked(streaming, stream, TBUS_STREAM_OUTCOME_FAILED, "abandoned",
                         moment_after(stream->last_event_ns, streaming->options.idle_ns));
}

void streaming_sweep_locked(tbus_streaming_t *streaming, int64_t now_ns)
{
    if (streaming->options.idle_ns < 0 || now_ns <= streaming->idle_from_ns)
        return;
    streaming->idle_from_ns = MOMENT_MAX;
    for (uint32_t i = 0; i < streaming->streams.used; i++) {
        struct stream *stream = table_at(&streaming->streams, i);
        if (!stream || stream->status != TBUS_STREAM_STATUS_ACTIVE)
            continue;
        int64_t limit = moment_after(stream->last_event_ns, streaming->options.idle_ns);
        if (now_ns > limit)
            streaming_abandon_locked(streaming, stream);
        else if (limit < streaming->idle_from_ns)
            streaming->idle_from_ns = limit;
    }
}

void streaming_sweep_when_due_locked(tbus_streaming_t *streaming)
{
    const int64_t now_ns = streaming->ahead.latest_ns, idle_ns = streaming->options.idle_ns;
    streaming_sweep_locked(streaming, now_ns);
    streaming->next_sweep_ns = idle_ns < 0 ? MOMENT_MAX : moment_after(now_ns, idle_ns / SWEEPS_PER_IDLE_LIMIT);
}
