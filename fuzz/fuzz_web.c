/* Fuzz target: what a client sends - path, parameters, Accept, Accept-Encoding, one a line - through the server's own
 * reading, and what is understood through the writers of its documents. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "exporters/web_routes.h"

static const char *const choices[] = {"a", "bc", NULL};
static const struct web_parameter parameters[] = {
    {.name = "i", .kind = WEB_INTEGER, .min = -10, .max = 1000},
    {.name = "c", .kind = WEB_CHOICE, .choices = choices},
    {.name = "t", .kind = WEB_TEXT, .min = 1, .max = 16},
    {.name = NULL},
};

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_values(const struct web_value *values)
{
    demand(values[0].number >= -10 && values[0].number <= 1000);
    demand(values[1].number >= 0 && values[1].number <= 1);
    demand(!values[2].is_given || (strlen(values[2].text) >= 1 && strlen(values[2].text) <= 16));
}

/* --- What is shown --- */

static const char hostile[] = "\"<script>\n\x01\xFF\xC3";

/* A tracker of each kind that has seen a name of harm, made once. */
static const struct web_sources *sources_of_all(void)
{
    static struct web_sources sources;
    static tbus_t *bus;
    static tbus_telemetry_t *set; /* both for as long as the process */
    if (sources.bus)
        return &sources;
    demand(tbus_open(NULL, &bus) == 0 && tbus_telemetry_open(bus, NULL, &set) == 0);
    const tbus_traffic_end_t end = {.duration_ms = 5, .time_ns = 1};
    const tbus_usage_t usage = {.api_key = "sk-0123456789abcdef", .model = hostile, .endpoint = hostile, .time_ns = 1};
    const tbus_stream_start_t start = {.model = hostile, .time_ns = 1};
    sources = (struct web_sources){.bus = bus,
                                   .errors = tbus_telemetry_errors(set),
                                   .requests = tbus_telemetry_requests(set),
                                   .inference = tbus_telemetry_inference(set),
                                   .streaming = tbus_telemetry_streaming(set),
                                   .cost = tbus_telemetry_cost(set),
                                   .budgets = tbus_telemetry_budgets(set),
                                   .models = tbus_telemetry_models(set),
                                   .kvcache = tbus_telemetry_kvcache(set)};
    demand(tbus_errors_record_response(sources.errors, hostile, hostile, 500, 1) == 0 &&
           tbus_requests_record_end(sources.requests, hostile, &end) == 0 &&
           tbus_inference_record_start(sources.inference, "r", hostile, 1, 1) == 0 &&
           tbus_streaming_record_start(sources.streaming, "s", &start) == 0 &&
           tbus_cost_record_usage(sources.cost, &usage, NULL) == 0 &&
           tbus_models_record_end(sources.models, hostile, hostile, hostile, &end) == 0 &&
           tbus_models_record_end(sources.models, "m", hostile, hostile, &end) == 0 &&
           tbus_kvcache_record_lookup(sources.kvcache, hostile, 2, 1) == 0);
    return &sources;
}

/* Brackets that match outside of strings, and no byte that a string of JSON can not have. */
static void check_json(const char *at, size_t length)
{
    int depth = 0;
    bool in_string = false;
    for (const char *end = at + length; at < end; at++) {
        demand((unsigned char)*at >= 0x20);
        if (in_string && *at == '\\')
            at++;
        else if (*at == '"')
            in_string = !in_string;
        else if (!in_string)
            depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
        demand(depth >= 0);
    }
    demand(depth == 0 && !in_string);
}

static void write_document(const struct web_route *route, int form, struct web_request *request)
{
    struct text text = {0};
    char *document;
    request->sources = sources_of_all();
    const int error = route->forms[form].write(request, &text);
    demand(error == 0 || error == UV_ENOENT);
    demand(text_take(&text, &document) == 0);
    if (error == 0 && *document == '{')
        check_json(document, strlen(document));
    demand(!strstr(document, "0123456789abcdef")); /* a key */
    tbus_mem_free(document);
}

/* --- What is sent --- */

/* The path of a document, with its own parameters. */
static void ask(char *path, char *query, const char *accept)
{
    struct web_fault fault = {0};
    struct web_request request = {.segment = NULL};
    const struct web_route *route = web_routes_find(web_documents, path, &request.segment, &fault);
    demand(route ? fault.status == 0 : fault.status == 400 || fault.status == 404);
    if (!route)
        return;
    if (web_query_read(query, route->parameters, request.values, &fault) != 0) {
        demand(fault.status == 400 && *fault.message);
        return;
    }
    const int form = web_routes_choose(route, request.values, accept, &fault);
    demand(form >= 0 || fault.status == 406);
    if (form >= 0)
        write_document(route, form, &request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines[4], *all = malloc(size + 1), *query = NULL;
    demand(all != NULL);
    if (size)
        memcpy(all, data, size);
    all[size] = '\0';
    char *rest = all;
    for (int i = 0; i < 4; i++) {
        lines[i] = rest;
        rest += strcspn(rest, "\n");
        if (*rest)
            *rest++ = '\0';
    }
    struct web_fault fault = {0};
    struct web_value values[WEB_PARAMETERS_MAX];
    query = strdup(lines[1]);
    demand(query != NULL);
    if (web_query_read(query, parameters, values, &fault) == 0)
        check_values(values);
    else
        demand(fault.status == 400 && *fault.message);
    ask(lines[0], lines[1], lines[2]);
    struct web_codings codings = web_accept_codings(lines[3]);
    demand(codings.identity >= 0 && codings.identity <= 1000 && codings.gzip >= 0 && codings.gzip <= 1000);
    free(query);
    free(all);
    return 0;
}
