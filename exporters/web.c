/* Opening and closing the server. */
#include <string.h>
#include <unistd.h>

#include "exporters/web_server.h"
#include "trackers/options.h"

enum {
    DEFAULT_CONNECTIONS = 64,
    CONNECTIONS_MAX = 4096,
    DEFAULT_WAIT_MS = 10000,
    WAIT_MIN_MS = 10,
    WAIT_MAX_MS = 600000
};

static bool is_token(const char *token)
{
    size_t length = strnlen(token, TBUS_WEB_TOKEN_MAX + 1);
    if (length == 0 || length > TBUS_WEB_TOKEN_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (token[i] <= ' ' || token[i] >= 0x7F)
            return false;
    return true;
}

static int check_options(const tbus_web_options_t *options)
{
    if (!are_zero(options->reserved, sizeof options->reserved))
        return UV_EINVAL;
    if (options->connections_max > CONNECTIONS_MAX || options->connections_per_address_max > CONNECTIONS_MAX)
        return UV_EINVAL;
    if (options->wait_max_ms && (options->wait_max_ms < WAIT_MIN_MS || options->wait_max_ms > WAIT_MAX_MS))
        return UV_EINVAL;
    return options->token && !is_token(options->token) ? UV_EINVAL : 0;
}

static void set_up(tbus_web_t *web, const tbus_web_options_t *options)
{
    const tbus_telemetry_t *set = options->telemetry;
#define SOURCE(name) .name = options->name ? options->name : tbus_telemetry_##name(set)
    web->sources = (struct web_sources){SOURCE(streaming),
                                        SOURCE(errors),
                                        SOURCE(cost),
                                        SOURCE(requests),
                                        SOURCE(models),
                                        SOURCE(inference),
                                        SOURCE(kvcache),
                                        SOURCE(budgets),
                                        .bus = options->bus,
                                        .clock = options->clock,
                                        .clock_user = options->clock_user};
#undef SOURCE
    web->wait_max_ns = (options->wait_max_ms ? options->wait_max_ms : DEFAULT_WAIT_MS) * UINT64_C(1000000);
    web->clients_max = options->connections_max ? options->connections_max : DEFAULT_CONNECTIONS;
    web->clients_per_address_max =
        options->connections_per_address_max ? options->connections_per_address_max : (web->clients_max + 1) / 2;
    if (options->token) {
        web->token_length = strlen(options->token);
        memcpy(web->token, options->token, web->token_length);
    }
}

/* A token is not left behind in memory that others get. */
static void release(tbus_web_t *web)
{
    volatile char *token = web->token;
    for (size_t i = 0; i < sizeof web->token; i++)
        token[i] = '\0';
    tbus_mem_free(web->clients);
    tbus_mem_free(web);
}

static int start(tbus_web_t *web, const tbus_web_options_t *options)
{
    bool is_loopback;
    web->clients = tbus_mem_alloc(web->clients_max * sizeof *web->clients);
    if (!web->clients)
        return UV_ENOMEM;
    for (uint32_t i = 0; i < web->clients_max; i++) {
        web->clients[i].after = web->free_clients;
        web->free_clients = &web->clients[i];
    }
    int error = web_listen(options->address ? options->address : "127.0.0.1", options->port, &web->listener_socket,
                           &web->port, &is_loopback);
    if (error)
        return error;
    web->checks_host = is_loopback && !web->token_length && !options->any_host;
    return web_loop_open(web);
}

int web_open(const tbus_web_options_t *options, const struct web_route *routes, tbus_web_t **ret_web)
{
    int error = options && ret_web ? check_options(options) : UV_EINVAL;
    if (error)
        return error;
    tbus_web_t *web = tbus_mem_alloc(sizeof *web);
    if (!web)
        return UV_ENOMEM;
    web->routes = routes;
    set_up(web, options);
    error = start(web, options);
    if (error)
        release(web);
    else
        *ret_web = web;
    return error;
}

int tbus_web_open(const tbus_web_options_t *options, tbus_web_t **ret_web)
{
    return web_open(options, web_documents, ret_web);
}

uint16_t tbus_web_port(const tbus_web_t *web)
{
    return web ? web->port : 0;
}

void tbus_web_close(tbus_web_t *web)
{
    if (!web)
        return;
    web_loop_close(web);
    release(web);
}
