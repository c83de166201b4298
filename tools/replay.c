/* tallybus replay: a trace or a file of events, through the bus, into a report. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tools/event_clock.h"
#include "tools/lines.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/tool.h"
#include "tools/trace.h"

static const char usage[] =
    "Usage: tallybus replay [OPTIONS] FILE\n"
    "\n"
    "Plays FILE through the bus and reports. FILE is a trace (CSV with the columns\n" TRACE_HEADER
    ", times in UTC), or events as JSON lines; - is standard\n"
    "input. Each row of a trace becomes a request: its first token comes 20 ms + 0.25 ms per token of\n"
    "context after the start, each further token 15 ms after the one before. Figures are from the\n"
    "times of the trace, so they are the same at every run.\n"
    "\n"
    "  --threads N                 threads that publish a trace, 1 to 64 (default 2)\n"
    "  --speed max|FACTOR          as fast as possible (default), or FACTOR times real time\n"
    "  --model NAME                the model of a trace's requests (default gpt-4o)\n"
    "  --prices FILE               prices over the built-in ones (JSON by model name)\n"
    "  --slo PPM                   share of requests that must succeed, per million (default 999000)\n"
    "  --prefill-ms-per-token X    instead of 0.25\n"
    "  --itl-ms X                  instead of 15\n"
    "  --json                      the report as JSON\n"
    "  --prometheus                the report as Prometheus text\n"
    "\n"
    "Exit codes: 0 good, 1 a whole report but for lines that could not be used, 2 the command line is\n"
    "wrong, 3 no report.\n";

#define BROKEN_SHOWN 20

/* Lines that could not be used: the first ones are named, the rest counted. */
struct broken {
    const char *file;
    const struct progress *progress; /* may be NULL */
    uint64_t count;
};

static void broken_add(struct broken *broken, uint64_t line, char *why)
{
    if (broken->count++ >= BROKEN_SHOWN)
        return;
    if (broken->progress)
        progress_clear(broken->progress);
    fprintf(stderr, "%s:%llu: %s\n", broken->file, (unsigned long long)line, tool_tame(why));
}

static void broken_end(const struct broken *broken)
{
    if (broken->count > BROKEN_SHOWN)
        fprintf(stderr, "... and %llu more broken line%s\n", (unsigned long long)(broken->count - BROKEN_SHOWN),
                broken->count == BROKEN_SHOWN + 1 ? "" : "s");
}

struct replay {
    struct options options;
    const char *file; /* as shown */
    struct lines lines;
    struct broken broken;
    struct rig rig;
    uint64_t lost;
};

/* The next line that is not empty; too long ones are named and left out. Returns 0, UV_EOF, or what reading met. */
static int next_line(struct replay *replay, const char **ret_line, size_t *ret_length)
{
    char why[] = "the line is longer than 1 MiB, expected a row or an event";
    for (;;) {
        int error = 0;
        switch (lines_next(&replay->lines, ret_line, ret_length, &error)) {
        case LINES_LINE:
            if (*ret_length == 0)
                continue;
            return 0;
        case LINES_TOO_LONG:
            broken_add(&replay->broken, replay->lines.number, why);
            continue;
        case LINES_END:
            return UV_EOF;
        case LINES_FAILED:
            tool_say("%s: can not be read beyond line %llu: %s", replay->file, (unsigned long long)replay->lines.number,
                     uv_strerror(error));
            return error;
        }
    }
}

/* Writes the report. Returns how the command ends. */
static int finish(struct replay *replay, const char *format, uint64_t rows, uint32_t streams_max)
{
    const struct report_input input = {.file = replay->file,
                                       .format = format,
                                       .lines = replay->lines.number,
                                       .rows = rows,
                                       .streams_max = streams_max,
                                       .broken_lines = replay->broken.count};
    broken_end(&replay->broken);
    int code = report_write(&input, &replay->rig, replay->lost, replay->options.output);
    if (code)
        return code;
    return replay->broken.count > 0 ? TOOL_BROKEN_LINES : TOOL_GOOD;
}

/* --- A trace --- */

struct rows {
    struct request *requests;
    uint32_t count, room;
};

static bool rows_add(struct rows *rows, const struct request *row)
{
    if (rows->count == rows->room) {
        uint32_t room = rows->room ? rows->room * 2 : 4096;
        struct request *grown = tbus_mem_resize(rows->requests, room * sizeof *grown);
        if (!grown)
            return false;
        rows->requests = grown;
        rows->room = room;
    }
    rows->requests[rows->count++] = *row;
    return true;
}

/* Reads the rows behind the header. Returns how the command would end. */
static int load_rows(struct replay *replay, struct rows *rows)
{
    const char *line;
    size_t length;
    int error;
    while ((error = next_line(replay, &line, &length)) == 0) {
        struct request row;
        char why[TOOL_WHY_BYTES];
        if (!trace_read_row(line, length, &replay->options.timing, &row, why, sizeof why)) {
            broken_add(&replay->broken, replay->lines.number, why);
        } else if (rows->count == WORKLOAD_REQUESTS_MAX) {
            tool_say("%s: more than %u rows; split the file", replay->file, WORKLOAD_REQUESTS_MAX);
            return TOOL_UNUSABLE;
        } else if (!rows_add(rows, &row)) {
            tool_say("%s: not enough memory for its rows; split the file", replay->file);
            return TOOL_UNUSABLE;
        }
    }
    return error == UV_EOF ? 0 : TOOL_UNUSABLE;
}

static int publish_rows(struct replay *replay, const struct rows *rows)
{
    static const char *const nobody[] = {NULL};
    const char *const models[] = {replay->options.model};
    const struct cast cast = {.models = models, .keys = nobody, .users = nobody};
    const struct workload load = {.requests = rows->requests,
                                  .count = rows->count,
                                  .timing = replay->options.timing,
                                  .cast = &cast,
                                  .speed = replay->options.speed};
    int code = rig_open(&replay->rig, replay->options.prices, replay->options.slo_ppm, rows->count);
    if (code)
        return code;
    struct progress progress;
    progress_start(&progress, replay->rig.bus, workload_events(&load));
    int error = workload_publish(&load, replay->rig.bus, replay->options.threads, &replay->lost);
    progress_stop(&progress);
    code = rig_drain(&replay->rig);
    if (!error || code)
        return code;
    tool_say("%s: could not be played to its end: %s", replay->file, uv_strerror(error));
    return TOOL_UNUSABLE;
}

static int replay_trace(struct replay *replay)
{
    const char *line = "";
    size_t length = 0;
    int error = 0;
    enum lines_result result = lines_next(&replay->lines, &line, &length, &error);
    if (result != LINES_LINE || length != strlen(TRACE_HEADER) || memcmp(line, TRACE_HEADER, length) != 0) {
        tool_say("%s: neither a trace nor events: it should begin with the line " TRACE_HEADER
                 " or with JSON lines ({\"type\": ...}), but begins with '%.*s'",
                 replay->file,
                 result != LINES_LINE ? 0
                 : length > 60        ? 60
                                      : (int)length,
                 line);
        return TOOL_UNUSABLE;
    }
    struct rows rows = {.requests = NULL};
    int code = load_rows(replay, &rows);
    if (!code)
        code = publish_rows(replay, &rows);
    if (!code)
        code = finish(replay, "csv", rows.count, rows.count);
    tbus_mem_free(rows.requests);
    return code;
}

/* --- Events --- */

#define STREAMS_UNKNOWN (UINT32_C(1) << 20) /* kept where it can not be known how many there will be */

/* Streams that the report is to cover: no more than half the lines, since a stream begins and ends. */
static uint32_t streams_in(const struct lines *lines)
{
    uint64_t count = lines_count(lines);
    if (count == 0)
        return STREAMS_UNKNOWN;
    return count / 2 + 1 < WORKLOAD_REQUESTS_MAX ? (uint32_t)(count / 2 + 1) : WORKLOAD_REQUESTS_MAX;
}

/* Publishes the event of a line, in the end: what the bus has no room for is offered again. Returns 0, or a libuv error
 * code with what is wrong with the line in `why`, which is empty where the line is not to blame. */
static int publish_line(tbus_t *bus, const char *line, size_t length, char *why, size_t why_bytes)
{
    int error;
    why[0] = '\0';
    while ((error = tbus_publish_json(bus, line, length, why, why_bytes)) == UV_ENOBUFS)
        uv_sleep(1);
    if (error == UV_EMSGSIZE)
        snprintf(why, why_bytes, "the event is larger than the bus takes, expected less than 1 MiB of text");
    return error;
}

/* Publishes all lines, in the order of the file: one thread, since a file has one order. */
static int publish_events(struct replay *replay, uint64_t *ret_rows)
{
    const char *line;
    size_t length;
    int error;
    struct event_clock clock = {.speed = replay->options.speed};
    while ((error = next_line(replay, &line, &length)) == 0) {
        char why[TOOL_WHY_BYTES];
        event_clock_wait(&clock, line, length);
        error = publish_line(replay->rig.bus, line, length, why, sizeof why);
        if (!error) {
            ++*ret_rows;
        } else if (why[0] && error != UV_ENOTSUP) {
            broken_add(&replay->broken, replay->lines.number, why);
        } else {
            tool_say("%s: line %llu can not be published: %s", replay->file, (unsigned long long)replay->lines.number,
                     why[0] ? why : uv_strerror(error));
            return TOOL_UNUSABLE;
        }
    }
    return error == UV_EOF ? 0 : TOOL_UNUSABLE;
}

static int replay_events(struct replay *replay)
{
    uint32_t streams_max = streams_in(&replay->lines);
    int code = rig_open(&replay->rig, replay->options.prices, replay->options.slo_ppm, streams_max);
    if (code)
        return code;
    struct progress progress;
    progress_start(&progress, replay->rig.bus, 0);
    replay->broken.progress = &progress;
    uint64_t rows = 0;
    code = publish_events(replay, &rows);
    progress_stop(&progress);
    replay->broken.progress = NULL;
    int drain_code = rig_drain(&replay->rig);
    code = code ? code : drain_code;
    return code ? code : finish(replay, "events", rows, streams_max);
}

/* --- The command --- */

enum input_kind { INPUT_UNUSABLE, INPUT_TRACE, INPUT_EVENTS };

/* What the file is, by its first block; says why it can not be used. */
static enum input_kind kind_of(struct replay *replay)
{
    const char *text;
    size_t length;
    int error = lines_peek(&replay->lines, &text, &length);
    if (error) {
        tool_say("%s: can not be read: %s", replay->file, uv_strerror(error));
        return INPUT_UNUSABLE;
    }
    if (length == 0) {
        tool_say("%s: the file is empty; expected a trace (" TRACE_HEADER ") or events as JSON lines", replay->file);
        return INPUT_UNUSABLE;
    }
    if (memchr(text, '\0', length)) {
        tool_say("%s: this is no text; expected a trace (CSV) or JSON lines. If it is compressed or UTF-16, make plain "
                 "UTF-8 of it first",
                 replay->file);
        return INPUT_UNUSABLE;
    }
    size_t at = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    while (at < length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
        at++;
    return at < length && text[at] == '{' ? INPUT_EVENTS : INPUT_TRACE;
}

static int replay_file(struct replay *replay)
{
    switch (kind_of(replay)) {
    case INPUT_TRACE:
        return replay_trace(replay);
    case INPUT_EVENTS:
        return replay_events(replay);
    case INPUT_UNUSABLE:
        break;
    }
    return TOOL_UNUSABLE;
}

static const char *advice_for(int error)
{
    switch (error) {
    case UV_ENOENT:
        return "there is no such file; check its name";
    case UV_EACCES:
    case UV_EPERM:
        return "no permission to read it; check its mode and owner";
    case UV_EISDIR:
        return "this is a directory; name a file in it";
    default:
        return uv_strerror(error);
    }
}

int replay_main(int argc, char **argv)
{
    struct replay replay = {.lost = 0};
    if (!options_read(&replay.options, OPTIONS_REPLAY, argc, argv))
        return TOOL_USAGE;
    if (replay.options.help) {
        fputs(usage, stdout);
        return fflush(stdout) ? TOOL_UNUSABLE : TOOL_GOOD;
    }
    if (!report_can_write(replay.options.output))
        return TOOL_USAGE;
    replay.file = strcmp(replay.options.file, "-") == 0 ? "standard input" : replay.options.file;
    replay.broken.file = replay.file;
    int error = lines_open(&replay.lines, replay.options.file);
    if (error) {
        tool_say("%s: %s", replay.file, advice_for(error));
        return TOOL_UNUSABLE;
    }
    int code = replay_file(&replay);
    rig_close(&replay.rig);
    lines_close(&replay.lines);
    return code;
}
