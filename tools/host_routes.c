/* What a request wants: its path, key and body, looked at one after another; the first thing that is wrong is told. */
#include <jansson.h>
#include <string.h>

#include "tools/host_call.h"

enum { INPUTS_MAX = 2048, INPUT_TOKENS_MAX = 300000 }; /* of one request for embeddings */
enum { MESSAGE_TOKENS = 4, REPLY_TOKENS = 3, IMAGE_TOKENS = 85 };

static const struct host_failure bad_request = {400, "invalid_request_error", "invalid_request"};
static const struct host_failure no_key = {401, "invalid_request_error", "invalid_api_key"};
static const struct host_failure no_path = {404, "invalid_request_error", "unknown_url"};
static const struct host_failure no_model = {404, "invalid_request_error", "model_not_found"};
static const struct host_failure wrong_method = {405, "invalid_request_error", "method_not_allowed"};
static const struct host_failure too_large = {413, "invalid_request_error", "request_too_large"};
static const struct host_failure too_long = {400, "invalid_request_error", "context_length_exceeded"};
static const struct host_failure over_budget = {429, "insufficient_quota", "insufficient_quota"};
static const struct host_failure trouble = {500, "server_error", "internal_error"};
static const struct host_failure overloaded = {503, "server_error", "overloaded"};
static const struct host_failure closing = {503, "server_error", "shutting_down"};

static const char no_memory[] = "there is no memory for the request";

/* Refuses, on the bus and to the client. */
static bool refuse(struct host_call *call, const struct host_failure *failure, const char *message)
{
    if (call->endpoint) {
        if (!call->is_told)
            host_tell_started(call);
        if (failure->status < 500)
            host_tell_refused(call, failure);
        else
            host_tell_failed(call, failure, message);
    }
    host_reply_error(call, failure, message);
    return false;
}

/* --- The body --- */

/* A whole number of a key, `otherwise` where it is absent or null; false where it is something else. */
static bool read_whole(const json_t *body, const char *key, json_int_t min, json_int_t max, json_int_t otherwise,
                       json_int_t *ret)
{
    const json_t *value = json_object_get(body, key);
    *ret = value && !json_is_null(value) ? json_integer_value(value) : otherwise;
    return !value || json_is_null(value) || (json_is_integer(value) && *ret >= min && *ret <= max);
}

static void add_text(struct host_call *call, const json_t *text)
{
    call->hash = host_hash(call->hash, json_string_value(text), json_string_length(text));
    call->prompt_tokens += host_tokens_of(json_string_length(text));
}

/* A message's content: a text, or a list of parts. */
static bool add_content(struct host_call *call, const json_t *content)
{
    size_t i;
    json_t *part;
    if (json_is_string(content))
        add_text(call, content);
    if (json_is_string(content) || json_is_null(content))
        return true;
    if (!json_is_array(content))
        return false;
    json_array_foreach(content, i, part)
    {
        const json_t *text = json_object_get(part, "text");
        if (json_is_string(text))
            add_text(call, text);
        else if (json_is_object(part))
            call->prompt_tokens += IMAGE_TOKENS;
        else
            return false;
    }
    return true;
}

static const char *read_messages(struct host_call *call, const json_t *messages)
{
    size_t i;
    json_t *message;
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return "'messages' must be a list with at least one message";
    json_array_foreach(messages, i, message)
    {
        if (!json_is_string(json_object_get(message, "role")))
            return "each message must have a 'role'";
        const json_t *content = json_object_get(message, "content");
        if (content && !add_content(call, content))
            return "the 'content' of a message must be a text or a list of parts";
        call->prompt_tokens += MESSAGE_TOKENS;
        if (i == 0)
            call->prefix_tokens = call->prompt_tokens;
    }
    call->prompt_tokens += REPLY_TOKENS;
    return NULL;
}

static const char *read_chat(struct host_call *call, const json_t *body)
{
    json_int_t max_tokens, count;
    const json_t *stream = json_object_get(body, "stream");
    call->streams = json_is_true(stream);
    call->tells_usage =
        json_is_true(json_object_get(json_object_get(body, "stream_options"), "include_usage")) && call->streams;
    const char *wrong = read_messages(call, json_object_get(body, "messages"));
    if (wrong)
        return wrong;
    if (stream && !json_is_boolean(stream) && !json_is_null(stream))
        return "'stream' must be true or false";
    if (!read_whole(body, "n", 1, 1, 1, &count))
        return "'n' must be 1 here";
    if (!read_whole(body, "max_completion_tokens", 1, 1000000, 0, &max_tokens))
        return "'max_completion_tokens' must be a whole number from 1 to 1000000";
    if (max_tokens == 0 && !read_whole(body, "max_tokens", 1, 1000000, 0, &max_tokens))
        return "'max_tokens' must be a whole number from 1 to 1000000";
    call->answer_tokens = host_answer_tokens(call->hash);
    call->is_cut = max_tokens > 0 && max_tokens < call->answer_tokens;
    if (call->is_cut)
        call->answer_tokens = (uint32_t)max_tokens;
    return NULL;
}

/* One input of embeddings: a text or a list of tokens; false where it is empty, or something else. */
static bool add_input(struct host_call *call, const json_t *input)
{
    size_t i;
    json_t *token;
    uint64_t hash = host_hash(0, json_string_value(input), json_string_length(input));
    const uint32_t before = call->prompt_tokens;
    if (json_is_string(input))
        add_text(call, input);
    json_array_foreach(input, i, token)
    {
        if (!json_is_integer(token) || json_integer_value(token) < 0)
            return false;
        hash = host_mix(hash ^ (uint64_t)json_integer_value(token));
        call->prompt_tokens++;
    }
    const uint32_t tokens = call->prompt_tokens - before;
    call->hash = host_mix(call->hash ^ hash);
    call->input_hashes[call->inputs++] = hash;
    call->longest_input = tokens > call->longest_input ? tokens : call->longest_input;
    return tokens > 0;
}

static const char *read_inputs(struct host_call *call, const json_t *input)
{
    static const char expected[] =
        "'input' must be a text, a list of tokens, or a list of 1 to 2048 texts or of 1 to 2048 "
        "lists of tokens; none may be empty";
    const json_t *first = json_array_get(input, 0);
    const bool is_list = json_is_array(input) && !json_is_integer(first);
    size_t count = is_list ? json_array_size(input) : 1;
    if (count == 0 || count > INPUTS_MAX)
        return expected;
    call->input_hashes = tbus_mem_alloc(count * sizeof *call->input_hashes);
    if (!call->input_hashes)
        return no_memory;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = is_list ? json_array_get(input, i) : input;
        if ((is_list && json_typeof(one) != json_typeof(first)) || !add_input(call, one))
            return expected;
    }
    return call->prompt_tokens > INPUT_TOKENS_MAX ? "the inputs have more than 300000 tokens together" : NULL;
}

static const char *read_embeddings(struct host_call *call, const json_t *body)
{
    const json_t *format = json_object_get(body, "encoding_format");
    json_int_t dimensions;
    const char *wrong = read_inputs(call, json_object_get(body, "input"));
    if (wrong)
        return wrong;
    const char *format_name = !format || json_is_null(format) ? "float" : json_string_value(format);
    if (!format_name || (strcmp(format_name, "float") != 0 && strcmp(format_name, "base64") != 0))
        return "'encoding_format' must be \"float\" or \"base64\"";
    if (!read_whole(body, "dimensions", 1, call->model->dimensions, call->model->dimensions, &dimensions))
        return "'dimensions' must be a whole number from 1, at most what the model has";
    call->dimensions = (uint32_t)dimensions;
    call->is_base64 = strcmp(format_name, "base64") == 0;
    return NULL;
}

/* --- Admission --- */

/* Which failure is to be played: what a test's header asks for, or what the dice say. */
static void roll_fault(struct host_call *call)
{
    const char *asked = MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "X-Demo-Fault");
    uint64_t dice = host_mix(call->arrived_hr ^ (uint64_t)(uintptr_t)call);
    if (asked)
        call->fault = strcmp(asked, "midway") == 0   ? HOST_FAULT_MIDWAY
                      : strcmp(asked, "before") == 0 ? HOST_FAULT_INTERNAL
                                                     : HOST_FAULT_NONE;
    else if (dice % 1000 < call->host->options->faults_permille)
        call->fault = (enum host_fault)(1 + (dice >> 32) % 3);
    if (call->fault == HOST_FAULT_MIDWAY && call->model->embeds)
        call->fault = HOST_FAULT_INTERNAL;
}

/* What the beginning of a prompt has in common with earlier ones, in blocks of 128 tokens, is in the model's cache. */
static void look_up_prefix(struct host_call *call, const json_t *body)
{
    const json_t *first = json_array_get(json_object_get(body, "messages"), 0);
    const json_t *content = json_object_get(first, "content");
    if (!json_is_string(content) || call->prefix_tokens < 128) {
        call->prefix_tokens = 0;
        return;
    }
    uint64_t hash = host_hash(0, json_string_value(content), json_string_length(content));
    _Atomic uint64_t *place = &call->host->prefixes[hash % HOST_PREFIXES];
    if (atomic_exchange(place, hash) == hash)
        call->cached_tokens = call->prefix_tokens / 128 * 128;
}

/* The most that it can cost is set aside, or the request is refused. */
static bool admit(struct host_call *call)
{
    tbus_charge_t charge;
    tbus_budget_refusal_t refusal;
    char message[512], limit[TBUS_MONEY_TEXT_MAX], used[TBUS_MONEY_TEXT_MAX];
    int error = tbus_cost_price(tbus_telemetry_cost(call->host->telemetry),
                                &(tbus_usage_t){.model = call->model->name,
                                                .prompt_tokens = call->prompt_tokens,
                                                .completion_tokens = call->answer_tokens},
                                &charge);
    if (!error)
        error = tbus_budget_reserve(tbus_telemetry_budgets(call->host->telemetry),
                                    &(tbus_budget_request_t){.request_id = call->id,
                                                             .api_key = call->key->key,
                                                             .user_id = call->key->user,
                                                             .project_id = call->key->project,
                                                             .amount = charge.total},
                                    &refusal);
    if (!error)
        return true;
    if (error != UV_EACCES)
        return refuse(call, &trouble, uv_strerror(error));
    int64_t left_ns = refusal.period_end_ns == INT64_MAX ? 0 : refusal.period_end_ns - tbus_now(call->host->bus);
    call->retry_after_s = left_ns > 0 ? (int)(left_ns / 1000000000) + 1 : 0;
    atomic_fetch_add(&call->host->counts.over_budget, 1);
    snprintf(message, sizeof message,
             "You exceeded your current quota: of the budget of %s %s, %s USD, there are %s USD used",
             tbus_budget_scope_name(refusal.scope), refusal.subject, tbus_money_format(refusal.limit, -1, limit),
             tbus_money_format(refusal.used, -1, used));
    return refuse(call, &over_budget, message);
}

/* How long an answer with embeddings will be, at most. */
static uint64_t embeddings_bytes(const struct host_call *call)
{
    const uint64_t component = call->is_base64 ? HOST_COMPONENT_BASE64_BYTES : HOST_COMPONENT_BYTES;
    return call->inputs * (HOST_EMBEDDING_BYTES + call->dimensions * component);
}

/* --- Routes --- */

static const char there_is_no_model[] = "there is no such model here: see /v1/models";

static bool generate(struct host_call *call, const json_t *body, bool embeds)
{
    const char *name = json_string_value(json_object_get(body, "model"));
    if (!json_is_object(body))
        return refuse(call, &bad_request, "the body must be an object of JSON");
    if (!name)
        return refuse(call, &bad_request, "'model' must be a text");
    call->model = host_models_find(call->host->models, name);
    if (!call->model || call->model->embeds != embeds) {
        call->model = NULL;
        return refuse(call, &no_model, there_is_no_model);
    }
    const char *wrong = embeds ? read_embeddings(call, body) : read_chat(call, body);
    if (wrong)
        return refuse(call, wrong == no_memory ? &trouble : &bad_request, wrong);
    if ((embeds ? call->longest_input : call->prompt_tokens + call->answer_tokens) > call->model->context_tokens)
        return refuse(call, &too_long,
                      embeds ? "an input is longer than the model's context"
                             : "prompt and answer are longer than the model's context");
    if (!host_call_set_aside(call, embeddings_bytes(call))) /* other answers are short */
        return refuse(call, &overloaded, "too many answers wait for their clients");
    if (!embeds)
        look_up_prefix(call, body);
    roll_fault(call);
    host_tell_started(call);
    return admit(call);
}

/* What is not read of a body, though some of it is JSON. */
static const char *trouble_with(const json_error_t *why)
{
    switch (json_error_code(why)) {
    case json_error_numeric_overflow:
        return "a number in the body is too large";
    case json_error_stack_overflow:
        return "the body is nested too deeply";
    case json_error_duplicate_key:
        return "a name comes twice in an object of the body";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "a text of the body has a NUL in it";
    default:
        return "the body is not JSON";
    }
}

static bool read_and_generate(struct host_call *call, bool embeds)
{
    json_error_t why;
    char message[128];
    if (call->is_too_large)
        return refuse(call, &too_large, "the body is larger than 1 MiB");
    if (call->has_no_room)
        return refuse(call, &overloaded, "too many requests are being read");
    if (call->body.failed)
        return refuse(call, &trouble, no_memory);
    json_t *body =
        json_loadb(call->body.bytes ? call->body.bytes : "", call->body.length, JSON_REJECT_DUPLICATES, &why);
    /* jansson does not always say so: but what is wrong with a body is in some place of it. */
    if (!body && (json_error_code(&why) == json_error_out_of_memory || why.line < 0))
        return refuse(call, &trouble, no_memory);
    if (!body) {
        snprintf(message, sizeof message, "%s: line %d, column %d", trouble_with(&why), why.line, why.column);
        return refuse(call, &bad_request, message);
    }
    bool is_admitted = generate(call, body, embeds);
    json_decref(body);
    return is_admitted;
}

bool host_route(struct host_call *call, const char *method, const char *path)
{
    static const char chat[] = "/v1/chat/completions", embeddings[] = "/v1/embeddings", models[] = "/v1/models";
    bool is_model = strncmp(path, models, sizeof models - 1) == 0 && path[sizeof models - 1] == '/';
    bool is_models = strcmp(path, models) == 0 || is_model,
         is_get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    call->endpoint = strcmp(path, chat) == 0 ? chat : strcmp(path, embeddings) == 0 ? embeddings : NULL;
    if (call->endpoint)
        atomic_fetch_add(&call->host->counts.requests, 1);
    if (!call->endpoint && !is_models)
        return refuse(call, &no_path,
                      "there is no such path here: POST /v1/chat/completions or /v1/embeddings, or GET /v1/models");
    if (is_models != is_get || (!is_get && strcmp(method, "POST") != 0))
        return refuse(call, &wrong_method, "the path does not take this method");
    if (atomic_load(&call->host->is_closing))
        return refuse(call, &closing, "the server is shutting down");
    if (!call->key) {
        atomic_fetch_add(&call->host->counts.unknown_key, call->endpoint != NULL);
        return refuse(call, &no_key, "Incorrect API key provided");
    }
    if (call->endpoint)
        return read_and_generate(call, call->endpoint == embeddings);
    call->status = MHD_HTTP_OK;
    if (!is_model) {
        host_reply_models(call);
        return false;
    }
    call->model = host_models_find(call->host->models, path + sizeof models);
    if (!call->model)
        return refuse(call, &no_model, there_is_no_model);
    host_reply_model(call, call->model);
    return false;
}
