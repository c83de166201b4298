/* What a journal is for: played back, it brings trackers to the states that the events themselves brought them to. */
#define _GNU_SOURCE 1 /* mkdtemp(), open_memstream() */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tallybus.h>

#include "tests/check.h"
#include "tests/scratch.h"

/* --- A bus with three trackers --- */

struct station {
    tbus_t *bus;
    tbus_streaming_t *streaming;
    tbus_errors_t *errors;
    tbus_cost_t *cost;
    uint32_t custom; /* the type that the test registers */
    int64_t custom_sum;
    uint64_t custom_events;
};

struct custom {
    tbus_event_t base;
    const char *label;
    int64_t weight;
    double share;
    bool good;
    const char *const *parts;
    int64_t parts_count;
};

static int on_custom(const tbus_event_t *event, void *user)
{
    struct station *station = user;
    const struct custom *custom = (const struct custom *)event;
    station->custom_events++;
    station->custom_sum += custom->weight + (isnan(custom->share) ? 1 : (int64_t)(custom->share * 1024)) +
                           (custom->good ? 7 : 0) + (int64_t)strlen(custom->label ? custom->label : "none");
    for (int64_t i = 0; i < custom->parts_count; i++)
        station->custom_sum += (i + 1) * (int64_t)strlen(custom->parts[i]);
    return 0;
}

static void station_open(struct station *station)
{
    static const tbus_field_t fields[] = {
        {"label", TBUS_KIND_STRING, offsetof(struct custom, label), 0},
        {"weight", TBUS_KIND_INT, offsetof(struct custom, weight), 0},
        {"share", TBUS_KIND_DOUBLE, offsetof(struct custom, share), 0},
        {"good", TBUS_KIND_BOOL, offsetof(struct custom, good), 0},
        {"parts", TBUS_KIND_LIST, offsetof(struct custom, parts), offsetof(struct custom, parts_count)}};
    static const tbus_type_t type = {"test.custom", TBUS_CLASS_VITAL, sizeof(struct custom), 5, fields};
    *station = (struct station){.bus = NULL};
    cr_assert_eq(tbus_open(NULL, &station->bus), 0);
    cr_assert_eq(tbus_streaming_open(NULL, &station->streaming), 0);
    /* what is found out live stands in the journal: to play that must not publish it once more */
    cr_assert_eq(tbus_errors_open(&(tbus_errors_options_t){.findings_off = true}, &station->errors), 0);
    cr_assert_eq(tbus_cost_open(NULL, &station->cost), 0);
    cr_assert_gt(tbus_streaming_attach(station->streaming, station->bus), 0);
    cr_assert_gt(tbus_errors_attach(station->errors, station->bus), 0);
    cr_assert_gt(tbus_cost_attach(station->cost, station->bus), 0);
    cr_assert_eq(tbus_type_register(station->bus, &type, &station->custom), 0);
    cr_assert_gt(tbus_subscribe(station->bus, "test.custom", 0, on_custom, station), 0);
}

/* Delivers what is queued. */
static void station_drain(struct station *station)
{
    cr_assert_eq(tbus_free(station->bus), 0);
    station->bus = NULL;
}

static void station_close(struct station *station)
{
    tbus_streaming_close(station->streaming);
    tbus_errors_close(station->errors);
    tbus_cost_close(station->cost);
}

/* --- All figures as text --- */

static void tell_distribution(FILE *to, const char *name, const tbus_distribution_t *d)
{
    fprintf(to, "%s %llu %a %a %a %a %a %a\n", name, (unsigned long long)d->count, d->avg, d->min, d->max, d->p50,
            d->p95, d->p99);
}

static void tell_streaming(FILE *to, tbus_streaming_t *streaming)
{
    tbus_streaming_snapshot_t *s;
    cr_assert_eq(tbus_streaming_snapshot(streaming, 0, &s), 0);
    const uint64_t counts[] = {(uint64_t)s->time_ns,   s->total_streams,     s->completed_streams, s->failed_streams,
                               s->cancelled_streams,   s->abandoned_streams, s->total_tokens,      s->shed_tokens,
                               s->backpressure_events, s->duplicate_starts,  s->refused_starts,    s->orphan_events,
                               s->negative_intervals,  s->active_streams};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        fprintf(to, "streaming %zu %llu\n", i, (unsigned long long)counts[i]);
    fprintf(to, "success %a\n", s->success_rate);
    tell_distribution(to, "ttft", &s->ttft_ms);
    tell_distribution(to, "tpot", &s->tpot_ms);
    tell_distribution(to, "tps", &s->tokens_per_second);
    tell_distribution(to, "duration", &s->duration_ms);
    tell_distribution(to, "itl", &s->itl_ms);
    tell_distribution(to, "icl", &s->icl_ms);
    for (size_t i = 0; i < s->models_count; i++)
        fprintf(to, "model '%s' %llu %llu\n", s->models[i].model, (unsigned long long)s->models[i].streams,
                (unsigned long long)s->models[i].tokens);
    tbus_streaming_snapshot_free(s);
}

static void tell_counts(FILE *to, const char *what, const tbus_error_count_t *counts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(to, "errors by %s '%s' %llu\n", what, counts[i].name, (unsigned long long)counts[i].errors);
}

static void tell_errors(FILE *to, tbus_errors_t *errors)
{
    tbus_errors_snapshot_t *s;
    cr_assert_eq(tbus_errors_snapshot(errors, 0, &s), 0);
    fprintf(to, "errors %lld %llu %llu %llu %a %llu\n", (long long)s->time_ns, (unsigned long long)s->excluded,
            (unsigned long long)s->slo.total_requests, (unsigned long long)s->slo.errors, s->slo.burn_rate,
            (unsigned long long)s->patterns_dropped);
    tell_counts(to, "endpoint", s->by_endpoint, s->by_endpoint_count);
    tell_counts(to, "type", s->by_type, s->by_type_count);
    tell_counts(to, "model", s->by_model, s->by_model_count);
    for (size_t i = 0; i < s->by_status_count; i++)
        fprintf(to, "status %lld %llu\n", (long long)s->by_status[i].status_code,
                (unsigned long long)s->by_status[i].errors);
    for (size_t i = 0; i < s->patterns_count; i++) {
        const tbus_error_pattern_t *p = &s->patterns[i];
        fprintf(to, "pattern %s '%s' '%s' '%s' %llu %lld %lld\n", p->fingerprint, p->type, p->endpoint, p->normalized,
                (unsigned long long)p->count, (long long)p->first_seen_ns, (long long)p->last_seen_ns);
    }
    tbus_errors_snapshot_free(s);
}

static void tell_sums(FILE *to, const char *what, const tbus_cost_sum_t *sums, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char usd[TBUS_MONEY_TEXT_MAX];
        fprintf(to, "cost by %s '%s' %s %llu %llu %llu %llu %llu\n", what, sums[i].name,
                tbus_money_format(sums[i].usd, 12, usd), (unsigned long long)sums[i].requests,
                (unsigned long long)sums[i].prompt_tokens, (unsigned long long)sums[i].completion_tokens,
                (unsigned long long)sums[i].cached_tokens, (unsigned long long)sums[i].unpriced_requests);
    }
}

static void tell_cost(FILE *to, tbus_cost_t *cost)
{
    char usd[2][TBUS_MONEY_TEXT_MAX];
    tbus_cost_snapshot_t *s;
    cr_assert_eq(tbus_cost_snapshot(cost, &s), 0);
    fprintf(to, "cost %lld %s %s %llu %llu %llu\n", (long long)s->time_ns,
            tbus_money_format(s->cache_savings, 12, usd[0]), tbus_money_format(s->batch_savings, 12, usd[1]),
            (unsigned long long)s->estimated_requests, (unsigned long long)s->refused_usages,
            (unsigned long long)s->cut_cached_tokens);
    tell_sums(to, "all", &s->total, 1);
    tell_sums(to, "key", s->by_key, s->by_key_count);
    tell_sums(to, "user", s->by_user, s->by_user_count);
    tell_sums(to, "project", s->by_project, s->by_project_count);
    tell_sums(to, "model", s->by_model, s->by_model_count);
    tell_sums(to, "endpoint", s->by_endpoint, s->by_endpoint_count);
    tbus_cost_snapshot_free(s);
}

static char *told(struct station *station)
{
    char *text;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    cr_assert_not_null(to);
    tell_streaming(to, station->streaming);
    tell_errors(to, station->errors);
    tell_cost(to, station->cost);
    fprintf(to, "custom %llu %lld\n", (unsigned long long)station->custom_events, (long long)station->custom_sum);
    cr_assert_eq(fclose(to), 0);
    return text;
}

/* --- A workload --- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

#define ONE_OF(list) (list[random_below(sizeof(list) / sizeof *(list))])

static const char *const models[] = {"gpt-4o", "gpt-4", "claude \"x\"\n", "none-such", NULL, "\xc3\xa9t\xc3\xa9"};
static const char *const endpoints[] = {"/v1/chat", "/v1/\tim\\ages", "", NULL};
static const char *const keys[] = {"sk-proj-0123456789", "sk-proj-other-key", "short", "\x01 odd \xff key", "", NULL};
static const char *const users[] = {"ann", "b\nob", "\x7f", NULL};
static const char *const messages[] = {"timeout after 30 s", "{\"error\": \"quota\nline\"}", "req-81f3a failed", "",
                                       NULL};

/* A sheddable event may be refused where the queue is full: then nobody has seen it. */
static void publish(tbus_t *bus, tbus_event_t *event)
{
    int error = tbus_publish(bus, event);
    cr_assert(error == 0 || error == UV_ENOBUFS, "%d", error);
}

static tbus_event_t base_of(uint32_t type, int64_t time_ns)
{
    static const tbus_pair_t pairs[] = {{"region", "eu\n"}, {"\"", "\\"}};
    return (tbus_event_t){.type = type,
                          .time_ns = time_ns,
                          .request_id = "r\r\n1",
                          .api_key = ONE_OF(keys),
                          .user_id = ONE_OF(users),
                          .project_id = ONE_OF(users),
                          .metadata = pairs,
                          .metadata_count = (uint32_t)random_below(3)};
}

static void publish_request(tbus_t *bus, int64_t time_ns)
{
    static const int64_t statuses[] = {200, 200, 200, 429, 499, 500, 503, 0, -7};
    tbus_request_completed_t completed = {.base = base_of(TBUS_REQUEST_COMPLETED, time_ns),
                                          .endpoint = ONE_OF(endpoints),
                                          .model = ONE_OF(models),
                                          .duration_ms = random_below(2) ? NAN : (double)random_below(1000) / 7,
                                          .status_code = ONE_OF(statuses),
                                          .input_tokens = (int64_t)random_below(5000) - 5,
                                          .output_tokens = (int64_t)random_below(900),
                                          .cached_tokens = (int64_t)random_below(3000),
                                          .batch = random_below(4) == 0,
                                          .estimated = random_below(4) == 0};
    publish(bus, &completed.base);
}

static void publish_error(tbus_t *bus, int64_t time_ns)
{
    tbus_request_failed_t failed_request = {.base = base_of(TBUS_REQUEST_FAILED, time_ns),
                                            .endpoint = ONE_OF(endpoints),
                                            .model = ONE_OF(models),
                                            .error_type = ONE_OF(messages),
                                            .error_message = ONE_OF(messages),
                                            .status_code = (int64_t)random_below(700)};
    publish(bus, &failed_request.base);
}

static void publish_stream_event(tbus_t *bus, int64_t time_ns)
{
    static const char *const kinds[] = {"role", "tool", "reasoning", "content", NULL};
    char id[16];
    snprintf(id, sizeof id, "s\"%d\n", (int)random_below(40));
    tbus_stream_started_t started = {
        .base = base_of(TBUS_STREAM_STARTED, time_ns), .stream_id = id, .model = ONE_OF(models)};
    tbus_stream_token_generated_t token = {.base = base_of(TBUS_STREAM_TOKEN_GENERATED, time_ns),
                                           .stream_id = id,
                                           .token = ONE_OF(messages),
                                           .tokens = (int64_t)random_below(3),
                                           .kind = ONE_OF(kinds)};
    tbus_stream_first_token_t first = {.base = base_of(TBUS_STREAM_FIRST_TOKEN, time_ns),
                                       .stream_id = id,
                                       .ttft_ms = random_below(2) ? NAN : (double)random_below(100000) / 997};
    tbus_stream_completed_t completed = {.base = base_of(TBUS_STREAM_COMPLETED, time_ns),
                                         .stream_id = id,
                                         .duration_ms = 0.1,
                                         .token_count = (int64_t)random_below(60)};
    tbus_stream_failed_t failed_stream = {.base = base_of(TBUS_STREAM_FAILED, time_ns), .stream_id = id};
    tbus_client_disconnected_t gone = {.base = base_of(TBUS_CLIENT_DISCONNECTED, time_ns), .stream_id = id};
    tbus_network_backpressure_t pressure = {.base = base_of(TBUS_NETWORK_BACKPRESSURE, time_ns), .stream_id = id};
    tbus_event_t *const events[] = {&started.base, &token.base,     &token.base,         &token.base, &token.base,
                                    &first.base,   &completed.base, &failed_stream.base, &gone.base,  &pressure.base};
    publish(bus, ONE_OF(events));
}

static void publish_custom(struct station *station, int64_t time_ns)
{
    static const char *const parts[] = {"a", "\n", "", "\xe2\x82\xac"};
    struct custom custom = {.base = base_of(station->custom, time_ns),
                            .label = ONE_OF(messages),
                            .weight = (int64_t)random_below(2000) - 1000,
                            .share = random_below(3) ? (double)random_below(1000) / 1024 : NAN,
                            .good = random_below(2),
                            .parts = parts,
                            .parts_count = (int64_t)random_below(5)};
    publish(station->bus, &custom.base);
}

static void publish_workload(struct station *station, int events, bool with_custom)
{
    int64_t time_ns = INT64_C(1700000000000000000);
    for (int i = 0; i < events; i++) {
        time_ns += (int64_t)random_below(200000000);
        int64_t at_ns = random_below(20) ? time_ns : time_ns - (int64_t)random_below(900000000);
        uint64_t what = random_below(10);
        if (what < 6)
            publish_stream_event(station->bus, at_ns);
        else if (what < 8)
            publish_request(station->bus, at_ns);
        else if (what < 9 || !with_custom)
            publish_error(station->bus, at_ns);
        else
            publish_custom(station, at_ns);
    }
}

/* --- Files --- */

static char path[80];

static void prepare(void)
{
    scratch_open();
    snprintf(path, sizeof path, "%s/events.jsonl", scratch_directory);
    tbus_type_t const *type = tbus_builtin_type(TBUS_DECODE_STARTED);
    tbus_event_t event = {.type = TBUS_DECODE_STARTED};
    char *text = NULL;
    cr_assert_not_null(type);
    int error = tbus_event_to_json(NULL, &event, &text);
    tbus_mem_free(text);
    if (error == UV_ENOTSUP)
        cr_skip_test("built without JSON: nothing can be read back");
    random_state = (uint64_t)getpid() * 0x9E3779B97F4A7C15u | 1;
    printf("seed %llu\n", (unsigned long long)random_state);
}

/* Publishes each line of a file; returns how many there were. */
static uint64_t play(struct station *station, const char *file)
{
    char *line = NULL, why[256];
    size_t room = 0;
    ssize_t length;
    uint64_t lines = 0;
    FILE *from = fopen(file, "r");
    cr_assert_not_null(from, "%s", file);
    while ((length = getline(&line, &room, from)) > 0) {
        int error;
        cr_assert_eq(line[length - 1], '\n');
        while ((error = tbus_publish_json(station->bus, line, (size_t)length - 1, why, sizeof why)) == UV_ENOBUFS)
            uv_sleep(1);
        cr_assert_eq(error, 0, "line %llu: %s: %s", (unsigned long long)lines, why, line);
        lines++;
    }
    fclose(from);
    free(line);
    return lines;
}

/* --- Tests --- */

static void record(struct station *station, int events, bool with_custom, tbus_journal_options_t options,
                   tbus_journal_stats_t *ret_stats)
{
    tbus_journal_t *journal;
    options.path = path;
    options.on_loop_thread = true;
    cr_assert_eq(tbus_journal_open(station->bus, &options, &journal), 0);
    publish_workload(station, events, with_custom);
    station_drain(station);
    cr_assert_eq(tbus_journal_close(journal, ret_stats), 0);
    cr_assert_eq(ret_stats->lost_events, 0);
    cr_assert_eq(ret_stats->buffered_events, 0);
    cr_assert_eq(ret_stats->last_error, 0);
}

static void expect_equal(struct station *live, struct station *played)
{
    char *expected = told(live), *got = told(played);
    cr_assert_gt(strlen(expected), 2000, "the workload should have figures to tell: %s", expected);
    cr_assert_str_eq(got, expected, "played back:\n%s\nlive:\n%s", got, expected);
    free(expected);
    free(got);
}

Test(journal_replay, trackers_come_to_the_same_states)
{
    struct station live, played;
    tbus_journal_stats_t stats;
    prepare();
    station_open(&live);
    record(&live, 20000, true, (tbus_journal_options_t){0}, &stats);
    station_open(&played);
    cr_assert_eq(play(&played, path), stats.events);
    station_drain(&played);
    expect_equal(&live, &played);
    cr_assert_gt(live.custom_events, 1000);
    station_close(&live);
    station_close(&played);
}

Test(journal_replay, a_journal_of_a_played_journal_says_the_same)
{
    struct station live, played, again;
    tbus_journal_stats_t stats;
    tbus_journal_t *journal;
    char second[96];
    prepare();
    snprintf(second, sizeof second, "%s/second.jsonl", scratch_directory);
    station_open(&live);
    record(&live, 2000, true, (tbus_journal_options_t){0}, &stats);
    station_open(&played);
    cr_assert_eq(
        tbus_journal_open(played.bus, &(tbus_journal_options_t){.path = second, .on_loop_thread = true}, &journal), 0);
    cr_assert_eq(play(&played, path), stats.events);
    station_drain(&played);
    cr_assert_eq(tbus_journal_close(journal, NULL), 0);
    station_open(&again);
    cr_assert_eq(play(&again, second), stats.events);
    station_drain(&again);
    expect_equal(&live, &again);
    station_close(&live);
    station_close(&played);
    station_close(&again);
}

Test(journal_replay, rotated_files_make_the_whole_in_order)
{
    struct station live, played;
    tbus_journal_stats_t stats;
    uint64_t lines = 0;
    prepare();
    station_open(&live);
    record(&live, 5000, true, (tbus_journal_options_t){.rotate_bytes = 50000, .keep = 1000}, &stats);
    cr_assert_gt(stats.rotations, 10);
    station_open(&played);
    for (uint64_t number = stats.rotations; number > 0; number--) {
        char rotated[96];
        snprintf(rotated, sizeof rotated, "%s.%d", path, (int)number);
        lines += play(&played, rotated);
    }
    lines += play(&played, path);
    cr_assert_eq(lines, stats.events);
    station_drain(&played);
    expect_equal(&live, &played);
    station_close(&live);
    station_close(&played);
}

/* A number of the report that `tallybus replay --json` wrote. */
static const char *figure(const char *report, const char *section, const char *key)
{
    static char value[64];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\n  \"%s\": {", section);
    const char *at = strstr(report, wanted);
    cr_assert_not_null(at, "%s is not in the report: %s", section, report);
    snprintf(wanted, sizeof wanted, "\n    \"%s\": ", key);
    at = strstr(at, wanted);
    cr_assert_not_null(at, "%s.%s is not in the report: %s", section, key, report);
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, ",\n"), at);
    return value;
}

static void expect_count(const char *report, const char *section, const char *key, uint64_t expected)
{
    const char *value = figure(report, section, key);
    cr_assert_eq(strtoull(value, NULL, 10), expected, "%s.%s is %s, not %llu", section, key, value,
                 (unsigned long long)expected);
}

Test(journal_replay, the_command_reports_the_same_totals)
{
    struct station live;
    tbus_journal_stats_t stats;
    static char report[1 << 20];
    char command[512], usd[TBUS_MONEY_TEXT_MAX + 2];
    prepare();
    if (access(TBUS_TOOL, X_OK) != 0)
        cr_skip_test("built without the command");
    station_open(&live);
    record(&live, 3000, false, (tbus_journal_options_t){0}, &stats);
    snprintf(command, sizeof command, "'%s' replay --json '%s'", TBUS_TOOL, path);
    FILE *from = popen(command, "r");
    cr_assert_not_null(from);
    report[fread(report, 1, sizeof report - 1, from)] = '\0';
    cr_assert_eq(pclose(from), 0, "%s", report);

    tbus_streaming_snapshot_t *streaming;
    tbus_errors_snapshot_t *errors;
    tbus_cost_snapshot_t *cost;
    cr_assert_eq(tbus_streaming_snapshot(live.streaming, 0, &streaming), 0);
    cr_assert_eq(tbus_errors_snapshot(live.errors, 0, &errors), 0);
    cr_assert_eq(tbus_cost_snapshot(live.cost, &cost), 0);
    expect_count(report, "input", "rows", stats.events);
    expect_count(report, "streaming", "total_streams", streaming->total_streams);
    expect_count(report, "streaming", "total_tokens", streaming->total_tokens);
    expect_count(report, "streaming", "completed_streams", streaming->completed_streams);
    expect_count(report, "errors", "total_requests", errors->slo.total_requests);
    expect_count(report, "errors", "total_errors", errors->slo.errors);
    expect_count(report, "cost", "requests", cost->total.requests);
    usd[0] = '"';
    tbus_money_format(cost->total.usd, -1, usd + 1);
    const char *value = figure(report, "cost", "total_usd");
    cr_assert_eq(strncmp(value, usd, strlen(usd)), 0, "cost.total_usd is %s, not %s", value, usd + 1);
    for (size_t i = 0; i < cost->by_key_count; i++)
        cr_assert_not_null(strstr(report, cost->by_key[i].name), "%s", cost->by_key[i].name);
    cr_assert_null(strstr(report, "0123456789"));
    tbus_streaming_snapshot_free(streaming);
    tbus_errors_snapshot_free(errors);
    tbus_cost_snapshot_free(cost);
    station_close(&live);
}
