/* Ends of streams: what is kept of a finished one. */
#include <math.h>
#include <string.h>

#include "trackers/redact.h"
#include "trackers/streaming_window.h"
#include "trackers/utf8_cut.h"

/* Whether a figure is within its limit; one that is not known is not, unless there was nothing to measure. */
static bool is_within(double figure, double limit, bool nothing_to_measure)
{
    return limit <= 0 || figure <= limit || (isnan(figure) && nothing_to_measure);
}

static struct finished figures_of(tbus_streaming_t *streaming, const struct stream *stream)
{
    const tbus_streaming_options_t *options = &streaming->options;
    const struct stream_life *life = life_of(streaming, stream);
    uint64_t *negatives = &streaming->counters.negative_intervals;
    int64_t duration = moment_interval(life->start_ns, life->end_ns, negatives);
    struct finished figures = {life->end_ns, NAN, NAN, NAN, (double)duration / NS_PER_MS, false};

    if (stream->has_first)
        figures.ttft_ms = life->ttft_ms;
    if (stream->has_first && stream->tokens > 1) {
        int64_t decode = moment_interval(life->first_token_ns, life->end_ns, negatives);
        figures.tpot_ms = (double)decode / (double)(stream->tokens - 1) / NS_PER_MS;
    }
    if (duration > 0)
        figures.tokens_per_second = (double)stream->tokens / ((double)duration / NS_PER_S);
    figures.good = is_within(figures.ttft_ms, options->ttft_max_ms, false) &&
                   is_within(figures.tpot_ms, options->tpot_max_ms, stream->tokens <= 1) &&
                   is_within(figures.duration_ms, options->duration_max_ms, false);
    return figures;
}

/* The oldest one goes when there is no room left. */
static void keep_figures_locked(tbus_streaming_t *streaming, const struct finished *figures)
{
    streaming->finished[streaming->finished_next++] = *figures;
    streaming->finished_next %= streaming->options.finished_max;
    if (streaming->finished_count < streaming->options.finished_max)
        streaming->finished_count++;
}

/* Keeps the stream in its cell, for the look-up; the one that has been kept longest gives up its own. */
static void keep_findable_locked(tbus_streaming_t *streaming, struct stream *stream, const char *reason)
{
    struct ended *ended = &streaming->ended[streaming->ended_next];
    if (streaming->ended_count == streaming->options.findable_max && ended->cell != TABLE_NONE)
        table_remove(&streaming->streams, table_at(&streaming->streams, ended->cell));
    ended->cell = table_cell_of(&streaming->streams, stream);
    strcpy(ended->reason, reason);
    life_of(streaming, stream)->ended = streaming->ended_next++;
    streaming->ended_next %= streaming->options.findable_max;
    if (streaming->ended_count < streaming->options.findable_max)
        streaming->ended_count++;
}

void streaming_forget_ended_locked(tbus_streaming_t *streaming, const struct stream *stream)
{
    streaming->ended[life_of(streaming, stream)->ended].cell = TABLE_NONE;
}

static void add_to_histograms_locked(tbus_streaming_t *streaming, const struct stream *stream, tbus_outcome_t outcome,
                                     const struct finished *figures)
{
    const struct model *model = table_at(&streaming->models, stream->model);
    const struct stream_life *life = life_of(streaming, stream);
    const struct buckets_bounds *bounds = streaming->bounds;
    assert(model);
    if (outcome == TBUS_STREAM_OUTCOME_COMPLETED) {
        buckets_add(histogram_of(streaming, model, MODEL_TTFT), &bounds[BOUNDS_TTFT], figures->ttft_ms / 1e3);
        buckets_add(histogram_of(streaming, model, MODEL_TPOT), &bounds[BOUNDS_TPOT], figures->tpot_ms / 1e3);
    }
    buckets_add(histogram_of(streaming, model, MODEL_DURATION), &bounds[BOUNDS_DURATION], figures->duration_ms / 1e3);
    if (life->input_tokens > 0)
        buckets_add(histogram_of(streaming, model, MODEL_INPUT), &bounds[BOUNDS_USAGE], (double)life->input_tokens);
    if (stream->tokens > 0)
        buckets_add(histogram_of(streaming, model, MODEL_OUTPUT), &bounds[BOUNDS_USAGE], (double)stream->tokens);
}

void streaming_end_locked(tbus_streaming_t *streaming, struct stream *stream, tbus_outcome_t outcome,
                          const char *reason, int64_t end_ns)
{
    static const tbus_stream_status_t statuses[] = {[TBUS_STREAM_OUTCOME_COMPLETED] = TBUS_STREAM_STATUS_COMPLETED,
                                                    [TBUS_STREAM_OUTCOME_FAILED] = TBUS_STREAM_STATUS_FAILED,
                                                    [TBUS_STREAM_OUTCOME_CANCELLED] = TBUS_STREAM_STATUS_CANCELLED};
    struct streaming_counters *counters = &streaming->counters;
    life_of(streaming, stream)->end_ns = end_ns;
    struct finished figures = figures_of(streaming, stream);

    counters->completed += outcome == TBUS_STREAM_OUTCOME_COMPLETED;
    counters->failed += outcome == TBUS_STREAM_OUTCOME_FAILED;
    counters->cancelled += outcome == TBUS_STREAM_OUTCOME_CANCELLED;
    add_to_histograms_locked(streaming, stream, outcome, &figures);
    keep_figures_locked(streaming, &figures);
    stream->status = (uint8_t)statuses[outcome];
    streaming->active_count--;
    keep_findable_locked(streaming, stream, reason);
}

static void reconcile_locked(tbus_streaming_t *streaming, struct stream *stream, int64_t token_count, int64_t time_ns)
{
    if (token_count <= 0 || (uint64_t)token_count <= stream->tokens)
        return;
    uint64_t shed = (uint64_t)token_count - stream->tokens;
    streaming->counters.shed_tokens = sum_up_to_max(streaming->counters.shed_tokens, shed);
    streaming_count_tokens_locked(streaming, stream, shed);
    streaming_add_locked(streaming, &(struct addition){.time_ns = time_ns, .model = stream->model, .tokens = shed});
}

/* A reason as it is kept: an error message may quote a key, and the cut may lie within it. */
static void fit_reason(char kept[TBUS_STREAM_REASON_BYTES], const char *reason)
{
    const char *text = reason ? reason : "";
    size_t length = strnlen(text, TBUS_STREAM_REASON_BYTES);
    size_t fits = utf8_cut(text, length, TBUS_STREAM_REASON_BYTES - 1);
    memcpy(kept, text, fits);
    kept[fits] = '\0';
    if (fits < length)
        redact_secrets_of_cut(kept);
    else
        redact_secrets(kept);
}

int tbus_streaming_record_end(tbus_streaming_t *streaming, const char *stream_id, const tbus_stream_end_t *end)
{
    struct table_name id;
    char reason[TBUS_STREAM_REASON_BYTES];
    if (!streaming || !end || (unsigned)end->outcome > TBUS_STREAM_OUTCOME_CANCELLED)
        return UV_EINVAL;
    int64_t time_ns = moment_of(end->time_ns);
    table_fit(&streaming->streams, stream_id, &id);
    fit_reason(reason, end->reason);
    uv_mutex_lock(&streaming->mu);
    struct stream *stream = streaming_active_locked(streaming, &id, &time_ns);
    if (stream) {
        reconcile_locked(streaming, stream, end->token_count, time_ns);
        streaming_end_locked(streaming, stream, end->outcome, reason, time_ns);
    }
    uv_mutex_unlock(&streaming->mu);
    return stream ? 0 : UV_ENOENT;
}
