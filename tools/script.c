#include <math.h>
#include <stdio.h>

#ifndef _WIN32
#include <sched.h>
#endif

#include "tools/script.h"

#define MESSAGE_BYTES 256

static const char hex[] = "0123456789abcdef";

/* A well-mixed number from any number: the finishing steps of a splitmix generator. */
static uint64_t mixed(uint64_t number)
{
    number += UINT64_C(0x9E3779B97F4A7C15);
    number = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94D049BB133111EB);
    return number ^ (number >> 31);
}

static char *put_hex(char *to, uint64_t value, int digits)
{
    for (int i = digits - 1; i >= 0; i--)
        *to++ = hex[value >> (4 * i) & 15];
    return to;
}

/* Writes an id with the looks of a random UUID. Its last 12 digits are the number, so no two numbers share one. */
static char *put_uuid(char *to, uint32_t number, uint64_t salt)
{
    uint64_t random = mixed(number ^ salt << 32);
    to = put_hex(to, random >> 32, 8);
    *to++ = '-';
    to = put_hex(to, random >> 16, 4);
    *to++ = '-';
    *to++ = '4';
    to = put_hex(to, random >> 4, 3);
    *to++ = '-';
    *to++ = '8';
    to = put_hex(to, random >> 20, 3);
    *to++ = '-';
    to = put_hex(to, number, 12);
    *to = '\0';
    return to;
}

/* Writes a failure's message with numbers and ids that follow from the request's number. */
static void put_message(char *message, const char *pattern, uint32_t number)
{
    char *to = message;
    uint64_t random = mixed(number);
    for (; *pattern && to < message + MESSAGE_BYTES - SCRIPT_ID_BYTES - 4; pattern++, random = mixed(random)) {
        if (*pattern == '#')
            to += snprintf(to, 12, "%u", (unsigned)(random % 100000));
        else if (*pattern == '@')
            to += snprintf(to, 20, "0x%llx", (unsigned long long)(random >> 16));
        else if (*pattern == '$')
            to = put_uuid(to, number, 3);
        else if (*pattern == '&')
            to += snprintf(to, 20, "req-%llx", (unsigned long long)(random >> 32));
        else
            *to++ = *pattern;
    }
    *to = '\0';
}

void script_open(struct script *script, const struct workload *load, tbus_t *bus)
{
    static const char *const endpoint = "/v1/chat/completions";
    *script = (struct script){
        .bus = bus,
        .load = load,
        .request_started = {.base.type = TBUS_REQUEST_STARTED,
                            .endpoint = endpoint,
                            .method = "POST",
                            .streaming = true},
        .stream_started = {.base.type = TBUS_STREAM_STARTED, .endpoint = endpoint, .temperature = NAN},
        .first_token = {.base.type = TBUS_STREAM_FIRST_TOKEN},
        .token = {.base.type = TBUS_STREAM_TOKEN_GENERATED, .token = " word", .chunk_size_bytes = 5, .tokens = 1},
        .stream_completed = {.base.type = TBUS_STREAM_COMPLETED, .endpoint = endpoint, .finish_reason = "stop"},
        .request_completed = {.base.type = TBUS_REQUEST_COMPLETED,
                              .endpoint = endpoint,
                              .status_code = 200,
                              .finish_reason = "stop"},
        .stream_failed = {.base.type = TBUS_STREAM_FAILED, .endpoint = endpoint},
        .request_failed = {.base.type = TBUS_REQUEST_FAILED, .endpoint = endpoint},
    };
}

/* Lets the bus's thread run, which has to make room. A short wait costs the least, but where a core is all that there
 * is, or the bus waits for something itself, spinning would only be in its way. */
static void give_way(unsigned attempt)
{
#ifndef _WIN32
    if (attempt < 1000) {
        sched_yield();
        return;
    }
#endif
    (void)attempt;
    uv_sleep(1);
}

/* Publishes, and offers the event again for as long as the bus has no room. */
static void publish(struct script *script, const tbus_event_t *event)
{
    int error;
    for (unsigned attempt = 0; (error = tbus_publish(script->bus, event)) == UV_ENOBUFS; attempt++)
        give_way(attempt);
    if (error) {
        script->lost++;
        script->error = script->error ? script->error : error;
    }
}

/* What all events of a request but its tokens carry. */
static void fill_base(const struct script *script, const struct stream *stream, tbus_event_t *base, int64_t now_ns)
{
    const struct cast *cast = script->load->cast;
    base->time_ns = now_ns;
    base->request_id = stream->request_id;
    base->api_key = cast->keys[stream->request->key];
    base->user_id = cast->users[stream->request->user];
}

static int64_t first_token_ns(const struct timing *timing, const struct request *request)
{
    return timing->first_ns + timing->prefill_ns * request->context_tokens;
}

struct stream *script_begin(struct script *script, uint32_t number, int64_t *ret_due_ns)
{
    struct stream *stream = script->spare;
    if (stream)
        script->spare = stream->next;
    else
        stream = tbus_mem_alloc(sizeof *stream);
    if (!stream)
        return NULL;
    const struct request *request = &script->load->requests[number];
    *stream = (struct stream){.request = request, .number = number, .random = mixed(number)};
    put_uuid(stream->stream_id, number, 1);
    put_uuid(stream->request_id, number, 2);

    const char *model = script->load->cast->models[request->model];
    tbus_request_started_t *asked = &script->request_started;
    fill_base(script, stream, &asked->base, request->start_ns);
    asked->model = model;
    asked->input_tokens = request->context_tokens;
    publish(script, &asked->base);

    tbus_stream_started_t *started = &script->stream_started;
    fill_base(script, stream, &started->base, request->start_ns);
    started->stream_id = stream->stream_id;
    started->model = model;
    started->input_tokens = request->context_tokens;
    publish(script, &started->base);

    *ret_due_ns = request->start_ns + first_token_ns(&script->load->timing, request);
    return stream;
}

static void tell_success(struct script *script, const struct stream *stream, int64_t now_ns, double duration_ms)
{
    const struct request *request = stream->request;
    tbus_stream_completed_t *streamed = &script->stream_completed;
    fill_base(script, stream, &streamed->base, now_ns);
    streamed->stream_id = stream->stream_id;
    streamed->duration_ms = duration_ms;
    streamed->token_count = request->generated_tokens;
    publish(script, &streamed->base);

    tbus_request_completed_t *completed = &script->request_completed;
    fill_base(script, stream, &completed->base, now_ns);
    completed->model = script->load->cast->models[request->model];
    completed->duration_ms = duration_ms;
    completed->input_tokens = request->context_tokens;
    completed->output_tokens = request->generated_tokens;
    completed->cached_tokens = request->cached_tokens;
    publish(script, &completed->base);
}

static void tell_failure(struct script *script, const struct stream *stream, int64_t now_ns, double duration_ms)
{
    const struct request *request = stream->request;
    const struct failure *failure = &script->load->cast->failures[request->failure - 1];
    char message[MESSAGE_BYTES];
    put_message(message, failure->message, stream->number);

    tbus_stream_failed_t *streamed = &script->stream_failed;
    fill_base(script, stream, &streamed->base, now_ns);
    streamed->stream_id = stream->stream_id;
    streamed->duration_ms = duration_ms;
    streamed->error_message = message;
    streamed->token_count = request->generated_tokens;
    publish(script, &streamed->base);

    tbus_request_failed_t *failed = &script->request_failed;
    fill_base(script, stream, &failed->base, now_ns);
    failed->model = script->load->cast->models[request->model];
    failed->duration_ms = duration_ms;
    failed->error_type = failure->type;
    failed->error_message = message;
    failed->status_code = failure->status_code;
    publish(script, &failed->base);
}

static void tell_token(struct script *script, struct stream *stream, int64_t now_ns)
{
    if (stream->tokens++ == 0) {
        tbus_stream_first_token_t *first = &script->first_token;
        fill_base(script, stream, &first->base, now_ns);
        first->stream_id = stream->stream_id;
        first->ttft_ms = (double)(now_ns - stream->request->start_ns) / 1e6;
        publish(script, &first->base);
    }
    tbus_stream_token_generated_t *token = &script->token;
    token->base.time_ns = now_ns;
    token->stream_id = stream->stream_id;
    token->sequence_number = stream->tokens;
    publish(script, &token->base);
}

static int64_t token_gap_ns(const struct timing *timing, struct stream *stream)
{
    if (!timing->jitter)
        return timing->itl_ns;
    stream->random = stream->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    int64_t part = (int64_t)(stream->random >> 44); /* of 2^20 */
    return timing->itl_ns / 4 + timing->itl_ns * 3 / 2 * part / (1 << 20);
}

bool script_step(struct script *script, struct stream *stream, int64_t now_ns, int64_t *ret_due_ns)
{
    const struct request *request = stream->request;
    if (stream->tokens < request->generated_tokens)
        tell_token(script, stream, now_ns);
    if (stream->tokens < request->generated_tokens) {
        *ret_due_ns = now_ns + token_gap_ns(&script->load->timing, stream);
        return true;
    }
    double duration_ms = (double)(now_ns - request->start_ns) / 1e6;
    if (request->failure)
        tell_failure(script, stream, now_ns, duration_ms);
    else
        tell_success(script, stream, now_ns, duration_ms);
    stream->next = script->spare;
    script->spare = stream;
    return false;
}

void script_close(struct script *script)
{
    while (script->spare) {
        struct stream *stream = script->spare;
        script->spare = stream->next;
        tbus_mem_free(stream);
    }
}
