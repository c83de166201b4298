/* Random lives of streams: every figure of the tracker beside a plain and slow model of it and Python's statistics. */
#include "tests/oracle.h"
#include "tests/trackers/statistics.h"
#include "tests/trackers/streaming_fixture.h"
#include "tests/trackers/streaming_model.h"

enum { STEPS = 12000, IDS = 60, LOOKS = 6 };

static const char *const model_names[] = {"gpt-4o", "gpt-4o-mini", "", "llama", "mistral"};

static uint64_t below(uint64_t *seed, uint64_t limit)
{
    return oracle_random(seed) % limit;
}

/* --- Comparing --- */

static bool close_to(double own, double expected)
{
    return (isnan(own) && isnan(expected)) || fabs(own - expected) <= 1e-9 * fmax(fabs(own), fabs(expected));
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* By the definition, where i/q is 1/2, 19/20 or 99/100; `*ret_above` is the higher of the two samples it lies between. */
static double quantile(const double *sorted, size_t n, size_t i, size_t q, double *ret_above)
{
    *ret_above = sorted[n - 1];
    if (n == 1 || (q != 2 && n < 20))
        return sorted[n - 1];
    size_t m = n + 1, j = i * m / q;
    j = j < 1 ? 1 : j > n - 1 ? n - 1 : j;
    *ret_above = sorted[j];
    double d = (double)(i * m) - (double)(j * q);
    return (sorted[j - 1] * ((double)q - d) + sorted[j] * d) / (double)q;
}

/* `own` beside the samples in p->list, which it sorts; min and max of samples that are rounded to whole nanoseconds may
 * differ by one. */
static void compare(struct plain *p, struct oracle *oracle, const char *name, const tbus_distribution_t *own,
                    size_t count, double relative)
{
    double sum = 0;
    cr_assert_eq(own->count, count, "%s: %zu, not %zu", name, (size_t)own->count, count);
    tbus_distribution_t told = *own;
    qsort(p->list, count, sizeof *p->list, by_value);
    for (size_t i = 0; i < count; i++)
        sum += p->list[i];
    if (count > 0) {
        const double slack = relative > 0 ? 1e-6 : 0;
        cr_assert(close_to(own->avg, sum / (double)count), "%s: avg %.17g", name, own->avg);
        cr_assert(fabs(own->min - p->list[0]) <= slack + 1e-9 * p->list[0], "%s: min", name);
        cr_assert(fabs(own->max - p->list[count - 1]) <= slack + 1e-9 * p->list[count - 1], "%s: max", name);
        told.min = p->list[0];
        told.max = p->list[count - 1];
        const double bucket_ms = 8e-6;
        static const size_t cuts[][2] = {{1, 2}, {9, 10}, {19, 20}, {99, 100}};
        double *const found[] = {&told.p50, &told.p90, &told.p95, &told.p99};
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            double above, expected = quantile(p->list, count, cuts[i][0], cuts[i][1], &above);
            if (relative > 0 && (above > HOUR / 1e6 || fabs(*found[i] - expected) <= bucket_ms))
                *found[i] = expected; /* where the histogram promises no ratio: above an hour, and around 0 */
            cr_assert(fabs(*found[i] - expected) <= fmax(relative, 1e-9) * expected + 1e-12,
                      "%s of %zu: %.17g, not %.17g", name, count, *found[i], expected);
        }
    } else {
        cr_assert(isnan(own->avg) && isnan(own->min) && isnan(own->max) && isnan(own->p50) && isnan(own->p90) &&
                  isnan(own->p95) && isnan(own->p99));
    }
    if (oracle)
        oracle_distribution(oracle, relative, &told, p->list, count);
}

static double tps_at_end(const struct plain_stream *s)
{
    return plain_tps(s, s->end);
}

static double duration_at_end(const struct plain_stream *s)
{
    return plain_duration_ms(s, s->end);
}

static void compare_column(struct plain *p, struct oracle *oracle, const char *name, const tbus_distribution_t *own,
                           double (*figure)(const struct plain_stream *s))
{
    size_t count = 0;
    for (long i = 0; i < p->count; i++)
        if (plain_is_kept(p, &p->streams[i]) && !isnan(figure(&p->streams[i])))
            p->list[count++] = figure(&p->streams[i]);
    compare(p, oracle, name, own, count, 0);
}

static void compare_gaps(struct plain *p, struct oracle *oracle, const tbus_streaming_snapshot_t *s)
{
    size_t itl = 0, icl = 0;
    for (size_t i = 0; i < p->samples_count; i++) {
        const struct plain_sample *sample = &p->samples[i];
        if (!sample->has_gap || !plain_in_slices(p, sample) || sample->tokens > TBUS_EVENT_TOKENS_MAX)
            continue;
        for (uint64_t n = 0; n < sample->tokens; n++, itl++) {
            cr_assert_lt(itl, sizeof p->list / sizeof *p->list);
            p->list[itl] = (double)sample->gap / 1e6 / (double)sample->tokens;
        }
    }
    compare(p, oracle, "ITL", &s->itl_ms, itl, 0.005);
    for (size_t i = 0; i < p->samples_count; i++)
        if (p->samples[i].has_gap && plain_in_slices(p, &p->samples[i]))
            p->list[icl++] = (double)p->samples[i].gap / 1e6;
    compare(p, oracle, "ICL", &s->icl_ms, icl, 0.005);
}

static void compare_counters(const struct plain *p, const tbus_streaming_snapshot_t *s)
{
    uint64_t started = (uint64_t)p->count, kept = 0, good = 0;
    cr_assert_eq(s->time_ns, p->now);
    cr_assert_eq(s->total_streams, started);
    cr_assert_eq(s->completed_streams, p->outcomes[0]);
    cr_assert_eq(s->failed_streams, p->outcomes[1]);
    cr_assert_eq(s->cancelled_streams, p->outcomes[2]);
    cr_assert_eq(s->abandoned_streams, p->abandoned);
    cr_assert_eq(s->total_tokens, p->tokens);
    cr_assert_eq(s->shed_tokens, p->shed);
    cr_assert_eq(s->backpressure_events, p->pressure);
    cr_assert_eq(s->duplicate_starts, p->duplicates);
    cr_assert_eq(s->refused_starts, p->refused);
    cr_assert_eq(s->orphan_events, p->orphans);
    cr_assert_eq(s->negative_intervals, p->negatives);
    cr_assert_eq(s->sequence_jumps, p->jumps);
    cr_assert_eq(s->oversized_events, p->oversized);
    cr_assert_eq(s->ahead, p->ahead);
    cr_assert_eq(s->active_streams, plain_active_count(p));
    cr_assert(close_to(s->success_rate, started ? (double)p->outcomes[0] / (double)started : (double)NAN));
    for (long i = 0; i < p->count; i++) {
        kept += plain_is_kept(p, &p->streams[i]);
        good += plain_is_kept(p, &p->streams[i]) && plain_is_good(p, &p->streams[i]);
    }
    bool limits = p->options.ttft_max_ms > 0 || p->options.tpot_max_ms > 0 || p->options.duration_max_ms > 0;
    cr_assert(close_to(s->goodput, limits && kept ? (double)good / (double)kept : (double)NAN));
}

/* --- Models and their histograms --- */

struct sampled {
    double values[MODEL_STREAMS];
    size_t count;
};

static void compare_histogram(const tbus_buckets_t *own, const struct sampled *sampled)
{
    double sum = 0;
    uint64_t counts[TBUS_BOUNDS_MAX + 1] = {0};
    for (size_t i = 0; i < sampled->count; i++) {
        size_t bucket = 0;
        while (bucket < own->bounds->count && sampled->values[i] > own->bounds->values[bucket])
            bucket++;
        counts[bucket]++;
        sum += sampled->values[i];
    }
    cr_assert_eq(own->count, sampled->count);
    cr_assert(close_to(own->sum, sum));
    for (size_t i = 0; i <= own->bounds->count; i++)
        cr_assert_eq(own->counts[i], counts[i]);
}

static void put(struct sampled *sampled, bool told, double value)
{
    if (told && !isnan(value))
        sampled->values[sampled->count++] = value;
}

static void compare_histograms(const struct plain *p, int model, const tbus_streaming_model_t *own)
{
    static struct sampled ttft, tpot, duration, input, output;
    ttft.count = tpot.count = duration.count = input.count = output.count = 0;
    for (long i = 0; i < p->count; i++) {
        const struct plain_stream *s = &p->streams[i];
        if (s->model != model || s->status == TBUS_STREAM_STATUS_ACTIVE)
            continue;
        put(&ttft, s->status == TBUS_STREAM_STATUS_COMPLETED, plain_ttft_ms(s) / 1e3);
        put(&tpot, s->status == TBUS_STREAM_STATUS_COMPLETED, plain_tpot_ms(s) / 1e3);
        put(&duration, true, plain_duration_ms(s, s->end) / 1e3);
        put(&input, s->input > 0, (double)s->input);
        put(&output, s->tokens > 0, (double)s->tokens);
    }
    compare_histogram(&own->ttft_s, &ttft);
    compare_histogram(&own->tpot_s, &tpot);
    compare_histogram(&own->duration_s, &duration);
    compare_histogram(&own->input_tokens, &input);
    compare_histogram(&own->output_tokens, &output);
}

static void compare_models(const struct plain *p, const tbus_streaming_snapshot_t *s)
{
    size_t listed = 0;
    for (int model = 0; model < MODEL_NAMES; model++) {
        if (p->by_model[model].streams == 0)
            continue;
        uint64_t streams = 0, tokens = 0;
        const tbus_streaming_model_t *own = NULL;
        for (size_t i = 0; i < s->models_count; i++)
            own = strcmp(s->models[i].model, p->models[model]) == 0 ? &s->models[i] : own;
        cr_assert_not_null(own, "%s", p->models[model]);
        listed++;
        for (size_t i = 0; i < p->samples_count; i++) {
            const struct plain_sample *sample = &p->samples[i];
            if (sample->model != model || !plain_in_slices(p, sample))
                continue;
            streams += sample->starts;
            tokens += sample->tokens;
        }
        cr_assert_eq(own->streams, p->by_model[model].streams);
        cr_assert_eq(own->tokens, p->by_model[model].tokens);
        cr_assert_eq(own->recent_streams, streams, "%s: %d, not %d", own->model, (int)own->recent_streams,
                     (int)streams);
        cr_assert_eq(own->recent_tokens, tokens);
        compare_histograms(p, model, own);
    }
    cr_assert_eq(s->models_count, listed);
    for (size_t i = 1; i < listed; i++)
        cr_assert_geq(s->models[i - 1].streams, s->models[i].streams);
}

/* --- Looking streams up --- */

static void compare_info(const struct plain *p, const struct plain_stream *s, const tbus_stream_info_t *info)
{
    const bool active = s->status == TBUS_STREAM_STATUS_ACTIVE;
    const int64_t end = active ? p->now : s->end;
    cr_assert_eq((int)info->status, s->status);
    cr_assert_str_eq(info->model, p->models[s->model]);
    cr_assert_str_eq(info->reason, active ? "" : s->reason);
    cr_assert_eq(info->start_ns, s->start);
    cr_assert_eq(info->end_ns, end);
    cr_assert_eq(info->tokens, s->tokens);
    cr_assert_eq(info->input_tokens, s->input);
    cr_assert_eq(info->backpressure_events, s->pressure);
    cr_assert(close_to(info->ttft_ms, plain_ttft_ms(s)));
    cr_assert(close_to(info->duration_ms, plain_duration_ms(s, end)));
    cr_assert(close_to(info->tokens_per_second, plain_tps(s, end)));
    cr_assert(close_to(info->itl_avg_ms, s->itl_count ? s->itl_sum_ns / (double)s->itl_count / 1e6 : (double)NAN));
}

static void compare_look_ups(const struct plain *p, tbus_streaming_t *streaming)
{
    for (int number = 0; number < IDS; number++) {
        char id[16];
        const struct plain_stream *latest = NULL;
        tbus_stream_info_t info;
        snprintf(id, sizeof id, "id-%d", number);
        for (long i = 0; i < p->count; i++)
            latest = strcmp(p->streams[i].id, id) == 0 ? &p->streams[i] : latest;
        if (latest && latest->status != TBUS_STREAM_STATUS_ACTIVE &&
            p->ended - latest->ended_as > (long)p->options.findable_max)
            latest = NULL;
        cr_assert_eq(tbus_streaming_find(streaming, id, &info), latest ? 0 : UV_ENOENT, "%s", id);
        if (latest)
            compare_info(p, latest, &info);
    }
}

static void compare_all(struct plain *p, struct oracle *oracle, tbus_streaming_t *streaming)
{
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    plain_abandon_idle(p, p->now); /* one that started long ago only now */
    compare_counters(p, s);
    compare_column(p, oracle, "TTFT", &s->ttft_ms, plain_ttft_ms);
    compare_column(p, oracle, "TPOT", &s->tpot_ms, plain_tpot_ms);
    compare_column(p, oracle, "TPS", &s->tokens_per_second, tps_at_end);
    compare_column(p, oracle, "duration", &s->duration_ms, duration_at_end);
    compare_gaps(p, oracle, s);
    compare_models(p, s);
    compare_look_ups(p, streaming);
    tbus_streaming_snapshot_free(s);
}

/* --- Living --- */

/* Up to 40 bounds, so that each list has a length of its own. */
static const tbus_bounds_t *random_bounds(uint64_t *seed, int list, double most)
{
    static double values[4][40];
    static tbus_bounds_t bounds[4];
    double last = 0;
    bounds[list] = (tbus_bounds_t){1 + (size_t)below(seed, 40), values[list]};
    for (size_t i = 0; i < bounds[list].count; i++)
        values[list][i] = last += most * (double)(1 + below(seed, 100)) / 1000;
    return &bounds[list];
}

/* Where nothing is idle ever the few latest finished streams are kept. Where streams are ended for idleness it is not
 * defined which of two idle ones ends first, so all finished ones are kept. */
static tbus_streaming_options_t random_options(uint64_t *seed)
{
    const bool idle = below(seed, 2);
    const uint32_t kept = idle ? MODEL_STREAMS : 20 + (uint32_t)below(seed, 200);
    const bool bounded = below(seed, 2);
    return (tbus_streaming_options_t){
        .ttft_bounds = bounded ? random_bounds(seed, 0, 1) : NULL,
        .tpot_bounds = bounded ? random_bounds(seed, 1, 1) : NULL,
        .duration_bounds = bounded ? random_bounds(seed, 2, 10) : NULL,
        .usage_bounds = bounded ? random_bounds(seed, 3, 1000) : NULL,
        .active_max = 5 + (uint32_t)below(seed, 40),
        .finished_max = kept,
        .findable_max = idle ? kept : 1 + (uint32_t)below(seed, 20),
        .models_max = 1 + (uint32_t)below(seed, 5),
        .first_token = (tbus_first_token_t)below(seed, 3),
        .numbering = (tbus_numbering_t)below(seed, 3),
        .window_ns = below(seed, 4) ? (int64_t)(20 + below(seed, 100)) * SECOND + (int64_t)below(seed, 100) : -1,
        .idle_ns = idle ? (int64_t)(1 + below(seed, 60)) * SECOND : -1,
        .ahead_max_ns = below(seed, 4) ? (int64_t)(5 + below(seed, 600)) * SECOND : -1,
        .cache_ns = TBUS_STREAMING_NO_CACHE,
        .ttft_max_ms = below(seed, 2) ? 1 + (double)below(seed, 500) : 0,
        .tpot_max_ms = below(seed, 2) ? 1 + (double)below(seed, 300) : 0,
        .duration_max_ms = below(seed, 2) ? 1 + (double)below(seed, 8000) : 0};
}

struct life {
    tbus_streaming_t *streaming;
    struct plain *plain;
    uint64_t seed;
    int64_t clock;
    bool set_back; /* the tracker's clock stands */
};

static int64_t read_clock(void *clock)
{
    return *(const int64_t *)clock;
}

/* Time mostly goes on by milliseconds; now and then by hours, and the clock is set back by some; some events come late,
 * some tell a wild time. */
static int64_t next_time(struct life *life)
{
    life->clock += (int64_t)below(&life->seed, 40000000);
    if (below(&life->seed, 1500) == 0)
        life->clock += (int64_t)(1 + below(&life->seed, 5)) * HOUR;
    if (below(&life->seed, 4000) == 0)
        life->clock -= (int64_t)below(&life->seed, 20) * HOUR / 4;
    if (!life->set_back)
        life->plain->clock = life->clock;
    if (below(&life->seed, 40) == 0)
        return life->clock - (int64_t)below(&life->seed, 3000000000);
    if (below(&life->seed, 300) == 0)
        return life->clock + (int64_t)below(&life->seed, 4000) * 10 * SECOND;
    return life->clock;
}

static void live_token(struct life *life, const char *id, int64_t time)
{
    static const int kinds[] = {TBUS_TOKEN_CONTENT,   TBUS_TOKEN_CONTENT, TBUS_TOKEN_CONTENT,
                                TBUS_TOKEN_REASONING, TBUS_TOKEN_TOOL,    TBUS_TOKEN_ROLE};
    const struct plain_stream *s = plain_peek(life->plain, id);
    tbus_token_kind_t kind = (tbus_token_kind_t)kinds[below(&life->seed, 6)];
    int64_t tokens = below(&life->seed, 3) ? 1 : 1 + (int64_t)below(&life->seed, 6);
    if (below(&life->seed, 500) == 0)
        tokens = TBUS_EVENT_TOKENS_MAX + 1 + (int64_t)below(&life->seed, 1000);
    int64_t number = s ? s->next : 1;
    if (life->plain->options.numbering == TBUS_NUMBERING_LAST_TOKEN && kind != TBUS_TOKEN_ROLE)
        number += tokens;
    number += below(&life->seed, 12) == 0 ? (int64_t)below(&life->seed, 6) - 2 : 0;
    number = below(&life->seed, 20) == 0 ? 0 : number;
    int expected = plain_token(life->plain, id, tokens, number, kind, time);
    cr_assert_eq(tbus_streaming_record_token(life->streaming, id, tokens, number, kind, time), expected);
}

static void live_end(struct life *life, const char *id, int64_t time)
{
    char reason[16];
    const tbus_stream_end_t end = {.outcome = (tbus_outcome_t)below(&life->seed, 3),
                                   .token_count = (int64_t)below(&life->seed, 60) - 5,
                                   .reason = reason,
                                   .time_ns = time};
    snprintf(reason, sizeof reason, "reason %d", (int)below(&life->seed, 1000));
    int expected = plain_finish(life->plain, id, (int)end.outcome, end.token_count, reason, time);
    cr_assert_eq(tbus_streaming_record_end(life->streaming, id, &end), expected);
}

static void live_step(struct life *life)
{
    char id[16];
    const uint64_t what = below(&life->seed, 41);
    const int64_t time = next_time(life);
    snprintf(id, sizeof id, "id-%d", (int)below(&life->seed, IDS));
    if (what < 9) {
        const tbus_stream_start_t begin = {.model = model_names[below(&life->seed, 5)],
                                           .input_tokens = (int64_t)below(&life->seed, 5000) - 100,
                                           .time_ns = time};
        int expected = plain_start(life->plain, id, begin.model, begin.input_tokens, time);
        cr_assert_eq(tbus_streaming_record_start(life->streaming, id, &begin), expected);
    } else if (what < 34) {
        live_token(life, id, time);
    } else if (what == 34) {
        double ttft_ms = below(&life->seed, 3) ? (double)below(&life->seed, 1000) / 8 : (double)NAN;
        int expected = plain_told_first(life->plain, id, ttft_ms, time);
        cr_assert_eq(tbus_streaming_record_first_token(life->streaming, id, ttft_ms, time), expected);
    } else if (what == 35) {
        int expected = plain_progress(life->plain, id, time);
        cr_assert_eq(tbus_streaming_record_progress(life->streaming, id, time), expected);
    } else if (what == 36) {
        int expected = plain_pressure(life->plain, id, time);
        cr_assert_eq(tbus_streaming_record_backpressure(life->streaming, id, time), expected);
    } else {
        live_end(life, id, time);
    }
}

/* Returns how often the tracker's time went back. */
static uint64_t live(uint64_t seed, struct oracle *oracle)
{
    struct plain *plain = calloc(1, sizeof *plain);
    cr_assert_not_null(plain);
    struct life life = {.plain = plain, .seed = seed, .clock = 1700000000 * SECOND};
    plain->options = random_options(&life.seed);
    life.set_back = below(&life.seed, 5) == 0;
    plain->clock = life.clock;
    plain->options.clock = read_clock;
    plain->options.clock_user = &plain->clock;
    life.streaming = open_with(&plain->options);
    for (int step = 1; step <= STEPS; step++) {
        live_step(&life);
        if (step % (STEPS / LOOKS) == 0 || below(&life.seed, STEPS) == 0)
            compare_all(plain, oracle, life.streaming);
    }
    tbus_streaming_close(life.streaming);
    const uint64_t backs = plain->backs;
    free(plain);
    return backs;
}

/* semantics: streaming.outcomes streaming.tpot */
Test(streaming_random, lives_agree_with_a_plain_model)
{
    enum { LIVES = 60 };
    uint64_t seed = oracle_seed("streaming_random"), backs = 0;
    for (int i = 0; i < LIVES; i++) {
        uint64_t of_life = i == 0 ? seed : oracle_random(&seed);
        fprintf(stderr, "life %d: RANDOM_SEED=%llu\n", i, (unsigned long long)of_life);
        backs += live(of_life, NULL);
    }
    cr_assert_gt(backs, 0u, "clocks that were set back are among them");
}

/* semantics: streaming.duration */
Test(streaming_random, lives_agree_with_pythons_statistics)
{
    enum { LIVES = 6 };
    uint64_t seed = oracle_seed("streaming_random");
    struct oracle oracle;
    oracle_open(&oracle);
    for (int i = 0; i < LIVES; i++)
        (void)live(oracle_random(&seed), &oracle);
    oracle_check(&oracle, "tests/trackers/statistics_oracle.py", "");
}

/* Streams far apart, on a server that hardly anybody uses, some event times far ahead of its clock between them. */
static void live_quietly(uint64_t seed)
{
    int64_t now = 1700000000 * SECOND;
    uint64_t streams = 0, tokens = 0, strays = 0, in_window = 0;
    int64_t starts[200];
    tbus_streaming_t *streaming = open_with(
        &(tbus_streaming_options_t){.clock = read_clock, .clock_user = &now, .cache_ns = TBUS_STREAMING_NO_CACHE});
    for (int i = 0; i < 200; i++) {
        now += (int64_t)(1 + below(&seed, below(&seed, 2) ? 100 : 86400)) * SECOND;
        starts[streams++] = now;
        cr_assert_eq(start(streaming, "s", now), 0);
        for (uint64_t more = below(&seed, 4); more > 0; more--, tokens++)
            cr_assert_eq(token(streaming, "s", now += MS), 0);
        cr_assert_eq(complete(streaming, "s", now), 0);
        if (below(&seed, 3) == 0) {
            strays++;
            cr_assert_eq(token(streaming, "nobody", now + (int64_t)(301 + below(&seed, 1000000)) * SECOND), UV_ENOENT);
        }
    }
    tbus_streaming_snapshot_t *s = snapshot_at(streaming, 0);
    const int64_t slice = 10 * SECOND, oldest = (now / slice - 30) * slice;
    for (uint64_t i = 0; i < streams; i++)
        in_window += starts[i] >= oldest;
    cr_assert_eq(s->time_ns, now);
    cr_assert_eq(s->ahead, strays);
    cr_assert_eq(s->completed_streams, streams);
    cr_assert_eq(s->total_tokens, tokens);
    cr_assert_eq(s->models[0].recent_streams, in_window);
    cr_assert_eq(s->negative_intervals, 0u);
    tbus_streaming_snapshot_free(s);
    tbus_streaming_close(streaming);
}

Test(streaming_random, a_quiet_server_counts_each_event_at_once_and_no_stray_time_at_all)
{
    uint64_t seed = oracle_seed("streaming_random");
    for (int round = 0; round < 200; round++)
        live_quietly(oracle_random(&seed));
}
