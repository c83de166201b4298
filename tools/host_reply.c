/* Answers in OpenAI's form. Names and tokens of ours are plain ASCII and go into JSON as they stand; what a client sent
 * is escaped by jansson. */
#include <jansson.h>
#include <string.h>

#include "tools/host_call.h"

enum { ERROR_BYTES = 4096 };

/* The error alone, as one line of JSON; not by json_dumps(), which leaves out keys where memory is short. */
static void put_error(struct host_call *call, const struct host_failure *failure, const char *message)
{
    json_t *error = json_pack("{s:{s:s, s:s, s:n, s:s?}}", "error", "message", message, "type", failure->type, "param",
                              "code", failure->code);
    char text[ERROR_BYTES];
    size_t length = error ? json_dumpb(error, text, sizeof text, JSON_COMPACT) : 0;
    if (length > 0 && length <= sizeof text)
        host_text_add(&call->out, text, length);
    else /* no memory, or a message that is no UTF-8 */
        host_text_print(&call->out,
                        "{\"error\":{\"message\":\"no details\",\"type\":\"%s\",\"param\":null,\"code\":null}}",
                        failure->type);
    json_decref(error);
}

void host_reply_error(struct host_call *call, const struct host_failure *failure, const char *message)
{
    call->status = failure->status;
    if (call->out.room > ERROR_BYTES) /* what was set aside for it is not the call's any more */
        host_text_free(&call->out);
    call->out.length = 0;
    call->out.failed = false; /* there may be memory for a short one, or its room already */
    host_call_give_back(call);
    put_error(call, failure, message);
}

static void put_usage(struct host_call *call)
{
    host_text_print(&call->out,
                    "{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%u,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":%u}}",
                    call->prompt_tokens, call->told, call->prompt_tokens + call->told, call->cached_tokens);
}

/* The Unix time of OpenAI's answers. */
static long long created_s(const struct host_call *call)
{
    return (long long)(call->arrived_ns / 1000000000);
}

static const char *finish_reason(const struct host_call *call)
{
    return call->is_cut ? "length" : "stop";
}

void host_reply_chat(struct host_call *call)
{
    host_text_print(&call->out,
                    "{\"id\":\"%s\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":\"%s\",\"choices\":[{"
                    "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"",
                    call->id, created_s(call), call->model->name);
    for (uint32_t i = 0; i < call->told; i++) {
        const char *token = host_token(call->hash, i);
        host_text_add(&call->out, token, strlen(token));
    }
    host_text_print(&call->out, "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":",
                    finish_reason(call));
    put_usage(call);
    host_text_add(&call->out, "}", 1);
}

static void open_chunk(struct host_call *call)
{
    host_text_print(&call->out,
                    "data: {\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":\"%s\","
                    "\"choices\":[",
                    call->id, created_s(call), call->model->name);
}

static void close_chunk(struct host_call *call)
{
    host_text_print(&call->out, "]%s}\n\n", call->tells_usage ? ",\"usage\":null" : "");
}

void host_reply_chunk(struct host_call *call)
{
    open_chunk(call);
    host_text_print(&call->out,
                    "{\"index\":0,\"delta\":{%s\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":null}",
                    call->told == 1 ? "\"role\":\"assistant\"," : "", host_token(call->hash, call->told - 1));
    close_chunk(call);
}

void host_reply_end(struct host_call *call)
{
    open_chunk(call);
    host_text_print(&call->out, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"%s\"}",
                    finish_reason(call));
    close_chunk(call);
    if (call->tells_usage) {
        open_chunk(call);
        host_text_print(&call->out, "],\"usage\":");
        put_usage(call);
        host_text_print(&call->out, "}\n\n");
    }
    host_text_print(&call->out, "data: [DONE]\n\n");
}

void host_reply_broken(struct host_call *call, const struct host_failure *failure, const char *message)
{
    host_text_print(&call->out, "data: ");
    put_error(call, failure, message);
    host_text_print(&call->out, "\n\n");
}

/* --- Embeddings --- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static unsigned char byte_of(uint64_t hash, uint32_t at)
{
    float component = host_component(hash, at / 4);
    uint32_t bits;
    memcpy(&bits, &component, sizeof bits);
    return (unsigned char)(bits >> at % 4 * 8); /* little-endian, whatever the machine */
}

static void put_base64(struct host_text *out, uint64_t hash, uint32_t bytes)
{
    for (uint32_t at = 0; at < bytes; at += 3) {
        uint32_t left = bytes - at, group = (uint32_t)byte_of(hash, at) << 16;
        group |= left > 1 ? (uint32_t)byte_of(hash, at + 1) << 8 : 0;
        group |= left > 2 ? byte_of(hash, at + 2) : 0;
        const char four[] = {base64_digits[group >> 18], base64_digits[group >> 12 & 63],
                             left > 1 ? base64_digits[group >> 6 & 63] : '=',
                             left > 2 ? base64_digits[group & 63] : '='};
        host_text_add(out, four, sizeof four);
    }
}

static void put_floats(struct host_text *out, uint64_t hash, uint32_t dimensions)
{
    for (uint32_t i = 0; i < dimensions; i++)
        host_text_print(out, "%s%.9g", i ? "," : "", (double)host_component(hash, i));
}

void host_reply_embedding(struct host_call *call)
{
    const uint32_t i = call->embedded++;
    host_text_print(&call->out, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":%s",
                    i ? "," : "{\"object\":\"list\",\"data\":[", i, call->is_base64 ? "\"" : "[");
    if (call->is_base64)
        put_base64(&call->out, call->input_hashes[i], call->dimensions * 4);
    else
        put_floats(&call->out, call->input_hashes[i], call->dimensions);
    host_text_print(&call->out, "%s}", call->is_base64 ? "\"" : "]");
}

void host_reply_embeddings_end(struct host_call *call)
{
    host_text_print(&call->out, "],\"model\":\"%s\",\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}}",
                    call->model->name, call->prompt_tokens, call->prompt_tokens);
}

void host_reply_model(struct host_call *call, const struct host_model *model)
{
    host_text_print(&call->out, "{\"id\":\"%s\",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"tallybus\"}",
                    model->name, created_s(call));
}

void host_reply_models(struct host_call *call)
{
    const struct host_model *models = call->host->models;
    host_text_print(&call->out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < HOST_MODELS_MAX && models[i].name; i++) {
        host_text_print(&call->out, "%s", i ? "," : "");
        host_reply_model(call, &models[i]);
    }
    host_text_print(&call->out, "]}");
}
