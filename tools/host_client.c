#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/host_client.h"
#include "tools/host_model.h"

/* --- The answer --- */

static uint64_t number_behind(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static void read_usage(struct host_answer *answer)
{
    const char *usage = strstr(answer->line, "\"usage\":{");
    if (!usage)
        return;
    answer->prompt_tokens = number_behind(usage, "\"prompt_tokens\":");
    answer->completion_tokens = number_behind(usage, "\"completion_tokens\":");
}

static void end_body_line(struct host_answer *answer)
{
    answer->line[answer->length] = '\0';
    answer->length = 0;
    if (!answer->is_stream || strncmp(answer->line, "data: ", 6) != 0)
        return;
    answer->has_ended |= strcmp(answer->line, "data: [DONE]") == 0;
    answer->has_error |= strncmp(answer->line, "data: {\"error\"", 14) == 0;
    answer->pieces += strstr(answer->line, "\"content\":\"") != NULL;
    read_usage(answer);
}

/* Of a line that is too long its end is kept: usage stands there. */
static void read_body(struct host_answer *answer, const char *bytes, size_t length)
{
    const size_t half = sizeof answer->line / 2;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            end_body_line(answer);
            continue;
        }
        if (answer->length == sizeof answer->line - 1) {
            memmove(answer->line, answer->line + answer->length - half, half);
            answer->length = half;
        }
        answer->line[answer->length++] = bytes[i];
    }
}

static void end_body(struct host_answer *answer)
{
    answer->is_whole = true;
    answer->line[answer->length] = '\0';
    if (!answer->is_stream)
        read_usage(answer);
}

static bool read_head_line(struct host_answer *answer, const char *line)
{
    if (answer->status == 0)
        return sscanf(line, "HTTP/1.%*d %d", &answer->status) == 1;
    if (strncasecmp(line, "content-length:", 15) == 0)
        answer->left = strtoull(line + 15, NULL, 10);
    else if (strncasecmp(line, "transfer-encoding: chunked", 26) == 0)
        answer->is_chunked = true;
    else if (strncasecmp(line, "content-type: text/event-stream", 31) == 0)
        answer->is_stream = true;
    else if (*line == '\0') {
        answer->is_in_body = true;
        if (!answer->is_chunked && answer->left == 0)
            end_body(answer);
    }
    return true;
}

/* The line with a chunk's size, or the empty one behind a chunk. */
static bool read_size_line(struct host_answer *answer, const char *line)
{
    char *end;
    if (*line == '\0')
        return true;
    answer->left = strtoull(line, &end, 16);
    answer->is_in_chunk = answer->left > 0;
    if (end != line && answer->left == 0)
        end_body(answer);
    return end != line;
}

/* A byte of what is around the body. */
static bool read_frame(struct host_answer *answer, char byte)
{
    if (byte != '\n') {
        if (byte != '\r' && answer->framing < sizeof answer->frame - 1)
            answer->frame[answer->framing++] = byte;
        return true;
    }
    answer->frame[answer->framing] = '\0';
    answer->framing = 0;
    return answer->is_in_body ? read_size_line(answer, answer->frame) : read_head_line(answer, answer->frame);
}

bool host_answer_read(struct host_answer *answer, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && !answer->is_whole;) {
        if (!answer->is_in_body || (answer->is_chunked && !answer->is_in_chunk)) {
            if (!read_frame(answer, bytes[i++]))
                return false;
            continue;
        }
        size_t here = length - i < answer->left ? length - i : (size_t)answer->left;
        read_body(answer, bytes + i, here);
        i += here;
        answer->left -= here;
        answer->is_in_chunk = answer->left > 0;
        if (!answer->is_chunked && answer->left == 0)
            end_body(answer);
    }
    return true;
}

/* --- The request --- */

/* About 150 tokens, so that prompts have a beginning in common. */
#define RULES                                                                                                          \
    "You answer questions of people who run inference servers. Be exact: where a figure is known, tell it with its "   \
    "unit; where it is not known, say so, and say how it could be measured. Do not repeat the question. Use plain "    \
    "words and short sentences. When a question has several parts, answer them in their order. Never make up names "   \
    "of options or functions. When somebody reports an error, ask for the version, the command line and the last "     \
    "lines of the log before you guess. Prefer measurements to opinions, and say on what machine they were made."

static const char *const models[] = {"gpt-4o", "gpt-4o-mini", "gpt-4o-mini", "gpt-3.5-turbo", "gpt-4-turbo", "o1-mini"};

static size_t chat_body(char *to, size_t room, const char *model, bool streams, uint64_t dice)
{
    return (size_t)snprintf(to, room,
                            "{\"model\":\"%s\",\"stream\":%s,%s\"max_tokens\":%u,\"messages\":["
                            "{\"role\":\"system\",\"content\":\"%s\"},"
                            "{\"role\":\"user\",\"content\":\"Question %llu: %.*s?\"}]}",
                            model, streams ? "true" : "false",
                            streams ? "\"stream_options\":{\"include_usage\":true}," : "", 10 + (unsigned)(dice % 150),
                            dice % 3 ? RULES : "Be brief.", (unsigned long long)(dice % 1000003), (int)(dice % 300),
                            RULES);
}

static size_t embeddings_body(char *to, size_t room, const char *model, uint64_t dice)
{
    return (size_t)snprintf(to, room,
                            "{\"model\":\"%s\",\"encoding_format\":\"base64\",\"dimensions\":%u,"
                            "\"input\":[\"passage %llu\",\"%.*s\"]}",
                            model, 64 + (unsigned)(dice % 192), (unsigned long long)(dice % 1000003), (int)(dice % 300),
                            RULES);
}

/* The last of the built-in keys, whose budget is small, is used by few. */
static const char *pick_key(const struct host_keys *keys, uint64_t dice)
{
    return keys->list[dice % 20 == 0 ? 4 : dice % 4].key;
}

size_t host_client_request(char text[HOST_CLIENT_REQUEST_BYTES], const struct host_keys *keys,
                           enum host_client_fault fault, uint64_t dice)
{
    char body[HOST_CLIENT_REQUEST_BYTES / 2];
    uint64_t kind = host_mix(dice) % 100, number = host_mix(dice + 1);
    bool is_strange_model = fault == HOST_CLIENT_STRANGER && dice % 2;
    bool embeds = kind >= 85 && fault == HOST_CLIENT_GOOD;
    const char *model = is_strange_model ? "gpt-17" : embeds ? "text-embedding-3-small" : models[number % 6];
    const char *key = fault == HOST_CLIENT_STRANGER && !is_strange_model ? "sk-nobody" : pick_key(keys, number >> 8);
    size_t length = embeds ? embeddings_body(body, sizeof body, model, number)
                           : chat_body(body, sizeof body, model, kind < 60 || fault == HOST_CLIENT_HANGS_UP, number);
    length -= fault == HOST_CLIENT_BROKEN; /* its last bracket is missing */
    return (size_t)snprintf(text, HOST_CLIENT_REQUEST_BYTES,
                            "POST /v1/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
                            embeds ? "embeddings" : "chat/completions", key, length, (int)length, body);
}
