/* The streaming tracker once more, plain and slow: every stream and every sample in a list, nothing kept ready, written
 * from the definitions. */
#ifndef TESTS_TRACKERS_STREAMING_MODEL_H
#define TESTS_TRACKERS_STREAMING_MODEL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/streaming.h>

enum { MODEL_STREAMS = 8000, MODEL_SAMPLES = 60000, MODEL_SLICES = 30, MODEL_NAMES = 8 };

struct plain_stream {
    char id[16], reason[32];
    int model, status;
    bool has_first, has_token, has_event, jumped;
    int64_t start, end, last_event, last_token, first, next;
    double ttft_ms;
    uint64_t tokens, input, pressure;
    double itl_sum_ns;
    uint64_t itl_count;
    long ended_as;  /* how many had ended before it */
    int64_t leaves; /* its end, as the window has it */
};

/* What an event adds to the window. */
struct plain_sample {
    int64_t time, gap;
    uint64_t tokens;
    int model;
    bool has_gap, starts;
    int64_t slice; /* that it lies in, as the window has it */
};

struct plain {
    tbus_streaming_options_t options; /* nothing left to its default */
    struct plain_stream streams[MODEL_STREAMS];
    long count, ended;
    struct plain_sample samples[MODEL_SAMPLES];
    size_t samples_count;
    int64_t clock;   /* options.clock_user points to it */
    int64_t allowed; /* by the clock, when it was looked at last; once has_now */
    int64_t now;     /* once there was an event */
    bool has_now;
    bool doubted; /* since `now` there was a time, the doubter, that agreed with the clock against it */
    int64_t doubter;
    uint64_t backs;
    char models[MODEL_NAMES][16];
    int models_count;
    struct {
        uint64_t streams, tokens;
    } by_model[MODEL_NAMES];
    uint64_t outcomes[3], abandoned, tokens, shed, pressure, duplicates, refused, orphans, negatives, jumps, oversized,
        ahead;
    double list[MODEL_SAMPLES * 4]; /* for one column at a time */
};

static inline int64_t plain_interval(struct plain *p, int64_t from, int64_t to)
{
    p->negatives += to < from;
    return to < from ? 0 : to - from;
}

static inline uint64_t plain_active_count(const struct plain *p)
{
    uint64_t count = 0;
    for (long i = 0; i < p->count; i++)
        count += p->streams[i].status == TBUS_STREAM_STATUS_ACTIVE;
    return count;
}

static inline void plain_end(struct plain *p, struct plain_stream *s, int outcome, const char *reason, int64_t time)
{
    s->end = s->leaves = time;
    s->status = outcome + 1;
    s->ended_as = p->ended++;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    p->outcomes[outcome]++;
    (void)plain_interval(p, s->start, time);
    if (s->has_first && s->tokens > 1)
        (void)plain_interval(p, s->first, time);
}

static inline void plain_abandon_if_idle(struct plain *p, struct plain_stream *s, int64_t now)
{
    const int64_t idle = p->options.idle_ns;
    if (idle < 0 || s->status != TBUS_STREAM_STATUS_ACTIVE || now - s->last_event <= idle)
        return;
    p->abandoned++;
    plain_end(p, s, TBUS_STREAM_OUTCOME_FAILED, "abandoned", s->last_event + idle);
}

static inline void plain_abandon_idle(struct plain *p, int64_t now)
{
    for (long i = 0; i < p->count; i++)
        plain_abandon_if_idle(p, &p->streams[i], now);
}

static inline int64_t plain_slice(const struct plain *p, int64_t time)
{
    int64_t slice = (p->options.window_ns + MODEL_SLICES - 1) / MODEL_SLICES;
    return time >= 0 ? time / slice : (time + 1) / slice - 1;
}

/* Now is earlier by a span: what is in the window, and what streams had last, stays as long ago as it was. What is told
 * to lie behind now, or behind the clock, stays as it is. */
static inline void plain_go_back(struct plain *p, int64_t span)
{
    const int64_t slice = (p->options.window_ns + MODEL_SLICES - 1) / MODEL_SLICES, before = p->now;
    p->now -= span;
    const int64_t right = p->now > p->clock ? p->now : p->clock;
    for (long i = 0; i < p->count; i++) {
        struct plain_stream *s = &p->streams[i];
        if (s->status == TBUS_STREAM_STATUS_ACTIVE && s->last_event > right) {
            plain_abandon_if_idle(p, s, before);
            s->last_event -= span;
        }
        if (s->leaves > right)
            s->leaves -= span;
    }
    for (size_t i = 0; p->options.window_ns >= 0 && i < p->samples_count; i++)
        p->samples[i].slice -= (span + slice - 1) / slice;
    p->doubted = false;
    p->allowed = p->clock + p->options.ahead_max_ns;
    p->backs++;
}

/* Whether a late time and the clock agree against now. */
static inline bool plain_is_against(const struct plain *p, int64_t time)
{
    const int64_t most = p->options.ahead_max_ns;
    return most >= 0 && p->has_now && p->now - time > most && p->now > p->clock + most &&
           llabs(time - p->clock) <= most;
}

/* The moment that an event counts at. */
static inline int64_t plain_see(struct plain *p, int64_t time)
{
    const int64_t most = p->options.ahead_max_ns;
    if (most >= 0 && (!p->has_now || (time > p->now && time > p->allowed))) {
        p->allowed = p->clock + most;
        if (time > p->allowed && !(p->has_now && time <= p->now + most)) {
            p->ahead++;
            time = p->has_now ? p->now : p->clock;
        }
    }
    if (plain_is_against(p, time)) {
        if (p->doubted) {
            const bool first_is_later = p->doubter > time && p->doubter <= p->clock + most;
            plain_go_back(p, p->now - (first_is_later ? p->doubter : time));
        } else {
            p->doubted = true;
            p->doubter = time;
        }
    }
    if (!p->has_now || time > p->now) {
        p->now = time;
        p->doubted = false;
        plain_abandon_idle(p, p->now);
    }
    p->has_now = true;
    return time;
}

/* The stream with this id that is active now. One that began long ago may be idle from its start. */
static inline struct plain_stream *plain_active(struct plain *p, const char *id)
{
    for (long i = p->count - 1; i >= 0; i--) {
        struct plain_stream *s = &p->streams[i];
        if (strcmp(s->id, id) != 0)
            continue;
        plain_abandon_if_idle(p, s, p->now);
        if (s->status == TBUS_STREAM_STATUS_ACTIVE)
            return s;
    }
    return NULL;
}

/* The same before the event's time is seen, which may go back and let one live that is idle by now: nothing changes. */
static inline const struct plain_stream *plain_peek(const struct plain *p, const char *id)
{
    for (long i = p->count - 1; i >= 0; i--)
        if (strcmp(p->streams[i].id, id) == 0 && p->streams[i].status == TBUS_STREAM_STATUS_ACTIVE)
            return &p->streams[i];
    return NULL;
}

/* The event's part in the window. */
static inline void plain_add(struct plain *p, const struct plain_stream *s, struct plain_sample sample)
{
    sample.model = s->model;
    sample.slice = p->options.window_ns < 0 ? 0 : plain_slice(p, sample.time);
    p->samples[p->samples_count++] = sample;
}

static inline int plain_model_of(struct plain *p, const char *name)
{
    int told_apart = (int)p->options.models_max;
    for (int i = 0; i < p->models_count; i++)
        if (strcmp(p->models[i], name) == 0)
            return i;
    if (p->models_count < told_apart) {
        strcpy(p->models[p->models_count], name);
        return p->models_count++;
    }
    strcpy(p->models[told_apart], "other");
    return told_apart;
}

static inline int plain_start(struct plain *p, const char *id, const char *model, int64_t input, int64_t time)
{
    time = plain_see(p, time);
    if (plain_active(p, id)) {
        p->duplicates++;
        return UV_EEXIST;
    }
    if (plain_active_count(p) >= p->options.active_max)
        plain_abandon_idle(p, p->now);
    if (plain_active_count(p) >= p->options.active_max) {
        p->refused++;
        return UV_ENOSPC;
    }
    struct plain_stream *s = &p->streams[p->count++];
    *s = (struct plain_stream){.start = time, .last_event = time, .input = input > 0 ? (uint64_t)input : 0};
    strcpy(s->id, id);
    s->model = plain_model_of(p, model);
    s->next = p->options.numbering == TBUS_NUMBERING_LAST_TOKEN ? 0 : 1;
    p->by_model[s->model].streams++;
    plain_add(p, s, (struct plain_sample){.time = time, .starts = true});
    return 0;
}

/* The stream that an event is about; its time becomes the moment that it counts at. */
static inline struct plain_stream *plain_event(struct plain *p, const char *id, int64_t *time)
{
    *time = plain_see(p, *time);
    struct plain_stream *s = plain_active(p, id);
    p->orphans += !s;
    if (s && *time > s->last_event)
        s->last_event = *time;
    return s;
}

static inline void plain_first(struct plain *p, struct plain_stream *s, double ttft_ms, int64_t time)
{
    if (s->has_first)
        return;
    s->has_first = true;
    s->first = time;
    s->ttft_ms = ttft_ms;
    if (isnan(ttft_ms))
        s->ttft_ms = (double)plain_interval(p, s->start, time) / 1e6;
    else
        s->first = s->start + llround(ttft_ms * 1e6);
}

/* An event of n tokens takes the numbers begin .. begin + n, or one number. A role frame without a number tells nothing
 * where tokens are numbered. */
static inline void plain_follow(struct plain *p, struct plain_stream *s, int64_t number, int64_t tokens)
{
    int64_t step = p->options.numbering == TBUS_NUMBERING_EVENTS ? 1 : tokens, begin = number;
    if (p->options.numbering == TBUS_NUMBERING_LAST_TOKEN)
        begin = number - tokens;
    if (number <= 0 && step == 0)
        return;
    if (number > 0) {
        if (begin > s->next) {
            s->jumped = true;
            p->jumps++;
        }
        s->next = begin + step > s->next ? begin + step : s->next;
    } else if (s->has_event) {
        s->next += step;
    } else {
        s->next = p->options.numbering == TBUS_NUMBERING_LAST_TOKEN ? 0 : step;
    }
    s->has_event = true;
}

static inline void plain_tokens(struct plain *p, struct plain_stream *s, uint64_t tokens)
{
    s->tokens += tokens;
    p->tokens += tokens;
    p->by_model[s->model].tokens += tokens;
}

static inline int plain_token(struct plain *p, const char *id, int64_t tokens, int64_t number, tbus_token_kind_t kind,
                              int64_t time)
{
    struct plain_stream *s = plain_event(p, id, &time);
    bool role = kind == TBUS_TOKEN_ROLE;
    struct plain_sample sample = {.time = time};
    if (!s)
        return UV_ENOENT;
    if (p->options.first_token == TBUS_FIRST_TOKEN_ANY ||
        (p->options.first_token == TBUS_FIRST_TOKEN_OUTPUT && !role) || kind == TBUS_TOKEN_CONTENT)
        plain_first(p, s, NAN, time);
    plain_follow(p, s, number, role ? 0 : tokens);
    if (!role) {
        if (s->has_token && !s->jumped) {
            sample.has_gap = true;
            sample.gap = plain_interval(p, s->last_token, time);
            if (tokens <= TBUS_EVENT_TOKENS_MAX) {
                s->itl_sum_ns += (double)sample.gap;
                s->itl_count += (uint64_t)tokens;
            }
        }
        p->oversized += tokens > TBUS_EVENT_TOKENS_MAX;
        s->has_token = true;
        s->jumped = false;
        s->last_token = time;
        sample.tokens = (uint64_t)tokens;
        plain_tokens(p, s, (uint64_t)tokens);
    }
    plain_add(p, s, sample);
    return 0;
}

static inline int plain_told_first(struct plain *p, const char *id, double ttft_ms, int64_t time)
{
    struct plain_stream *s = plain_event(p, id, &time);
    if (!s)
        return UV_ENOENT;
    plain_first(p, s, ttft_ms, time);
    return 0;
}

static inline int plain_progress(struct plain *p, const char *id, int64_t time)
{
    return plain_event(p, id, &time) ? 0 : UV_ENOENT;
}

static inline int plain_pressure(struct plain *p, const char *id, int64_t time)
{
    struct plain_stream *s = plain_event(p, id, &time);
    p->pressure++;
    if (!s)
        return UV_ENOENT;
    s->pressure++;
    return 0;
}

static inline int plain_finish(struct plain *p, const char *id, int outcome, int64_t token_count, const char *reason,
                               int64_t time)
{
    struct plain_stream *s = plain_event(p, id, &time);
    struct plain_sample sample = {.time = time};
    if (!s)
        return UV_ENOENT;
    if (token_count > (int64_t)s->tokens) {
        sample.tokens = (uint64_t)token_count - s->tokens;
        p->shed += sample.tokens;
        plain_tokens(p, s, sample.tokens);
    }
    plain_add(p, s, sample);
    plain_end(p, s, outcome, reason, time);
    return 0;
}

/* --- What the figures should be --- */

static inline double plain_duration_ms(const struct plain_stream *s, int64_t end)
{
    return end < s->start ? 0 : (double)(end - s->start) / 1e6;
}

static inline double plain_ttft_ms(const struct plain_stream *s)
{
    return s->has_first ? s->ttft_ms : (double)NAN;
}

static inline double plain_tpot_ms(const struct plain_stream *s)
{
    if (!s->has_first || s->tokens < 2)
        return NAN;
    return s->end < s->first ? 0 : (double)(s->end - s->first) / 1e6 / (double)(s->tokens - 1);
}

static inline double plain_tps(const struct plain_stream *s, int64_t end)
{
    return end > s->start ? (double)s->tokens * 1e9 / (double)(end - s->start) : (double)NAN;
}

/* Whether a finished stream is one of those that the percentiles are over. */
static inline bool plain_is_kept(const struct plain *p, const struct plain_stream *s)
{
    const int64_t window = p->options.window_ns;
    return s->status != TBUS_STREAM_STATUS_ACTIVE && p->ended - s->ended_as <= (long)p->options.finished_max &&
           (window < 0 || (s->leaves <= p->now && p->now - s->leaves < window));
}

static inline bool plain_is_good(const struct plain *p, const struct plain_stream *s)
{
    const tbus_streaming_options_t *o = &p->options;
    bool ttft = o->ttft_max_ms <= 0 || plain_ttft_ms(s) <= o->ttft_max_ms;
    bool tpot = o->tpot_max_ms <= 0 || s->tokens < 2 || plain_tpot_ms(s) <= o->tpot_max_ms;
    return ttft && tpot && (o->duration_max_ms <= 0 || plain_duration_ms(s, s->end) <= o->duration_max_ms);
}

/* What is kept by slices leaves with its slice. */
static inline bool plain_in_slices(const struct plain *p, const struct plain_sample *sample)
{
    return p->options.window_ns < 0 || plain_slice(p, p->now) - sample->slice <= MODEL_SLICES;
}

#endif
