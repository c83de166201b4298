/* tallybus demo: the host, under load. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/host_call.h"
#include "tools/host_load.h"
#include "tools/host_server.h"
#include "tools/host_status.h"
#include "tools/report.h"
#include "tools/tool.h"

static const char usage[] =
    "Usage: tallybus demo [OPTIONS]\n"
    "\n"
    "Serves OpenAI's protocol - /v1/chat/completions with and without streaming, /v1/embeddings, /v1/models - with a\n"
    "model that is made up: what an inference server is like whose worker threads publish on a bus. Budgets are\n"
    "enforced, all metrics are served on a second port, and clients of its own keep it busy. Ends after --duration, "
    "or\n"
    "with Ctrl-C: then what is under way is finished (a second Ctrl-C cuts it off), the bus is drained, and the\n"
    "report is written. Meanwhile standard error tells how it is doing: on a terminal one line, renewed five times a\n"
    "second, elsewhere a line every two seconds.\n"
    "\n"
    "  --listen [ADDRESS:]PORT\n"
    "                    where the API is (default 127.0.0.1:8080); port 0 = a free one\n"
    "  --web [ADDRESS:]PORT\n"
    "                    where the metrics are (default 127.0.0.1:9464)\n"
    "  --load RPS        requests that it sends itself each second, over HTTP (default 20; 0 = none)\n"
    "  --duration S      seconds to run (default: until Ctrl-C)\n"
    "  --pace F          models F times faster than they are (default 1)\n"
    "  --faults N        of 1000 requests so many fail, some of them midway (default 10)\n"
    "  --threads N       threads that generate and publish, 1 to 64 (default 2)\n"
    "  --key KEY[=USD]   one more API key, with a HARD budget of so much a day; may be given 27 times\n"
    "  --prices FILE     prices over the built-in ones (JSON by model name)\n"
    "  --slo PPM         share of requests that must succeed, per million (default 999000)\n"
    "  --json            the report as JSON\n"
    "  --prometheus      the report as Prometheus text\n"
    "\n"
    "API keys: sk-demo-search-5f1c9e7a2b, sk-demo-support-81d03c44ee, sk-demo-batch-0b7de9f21c and\n"
    "sk-demo-mobile-c2a6f0819d for 1,000 USD a day, sk-demo-intern-77e4b1a05f for 5 cents. A request with the header\n"
    "\"X-Demo-Fault: before\" or \"midway\" fails, one with \"none\" does not.\n"
    "\n"
    "Exit codes: 0 good, 2 the command line is wrong, 3 no report.\n";

#define URL_BYTES 96
#define GRACE_MS 10000 /* for what is under way at the end */
#define TICK_NS INT64_C(200000000)

/* Signals that end it are taken here and nowhere else: no other thread ever runs a handler. */
static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
    pthread_sigmask(SIG_BLOCK, ret, NULL);
}

/* Waits for a signal or the end of the time; shows how things are meanwhile. */
static void run(struct host *host, struct host_load *load, const sigset_t *signals)
{
    const struct timespec tick = {.tv_nsec = TICK_NS};
    uint64_t end = host->options->duration_ns ? uv_hrtime() + (uint64_t)host->options->duration_ns : UINT64_MAX;
    struct host_status status;
    host_status_begin(&status, host, load);
    while (uv_hrtime() < end && sigtimedwait(signals, NULL, &tick) < 0)
        host_status_show(&status);
    host_status_end(&status);
}

/* "http://ADDRESS:PORT" */
static const char *url_of(const struct place *place, uint16_t port, char text[static URL_BYTES])
{
    const char *address = place->address[0] ? place->address : "127.0.0.1";
    const bool is_ipv6 = strchr(address, ':') != NULL;
    snprintf(text, URL_BYTES, "http://%s%s%s:%u", is_ipv6 ? "[" : "", address, is_ipv6 ? "]" : "", port);
    return text;
}

static void tell_addresses(const struct host *host)
{
    const struct options *options = host->options;
    char api[URL_BYTES], web[URL_BYTES];
    url_of(&options->listen, host_server_port(host->server), api);
    url_of(&options->web, tbus_web_port(host->web), web);
    tool_say("serving the API at %s/v1", api);
    tool_say("serving the metrics at %s/metrics, the dashboard at %s/", web, web);
    tool_say("try: curl -H 'Authorization: Bearer %s' %s/v1/models", host->keys.list[0].key, api);
}

static int play(const struct options *options)
{
    struct host host;
    struct host_load *load = NULL;
    sigset_t signals;
    block_signals(&signals);
    int code = host_open(&host, options, NULL, NULL);
    if (code)
        return code;
    tell_addresses(&host);
    int error = options->load > 0 ? host_load_open(&host, &(struct host_load_options){.rps = options->load}, &load) : 0;
    if (error)
        tool_say("can not make load: %s", uv_strerror(error));
    else
        run(&host, load, &signals);
    uint64_t asked_hr = uv_hrtime(); /* before it is said how to hurry */
    host_load_stop(load);
    uint64_t left = host_engine_active(host.engine);
    if (left > 0)
        tool_say("finishing what is under way: %llu requests, for %d s at most; Ctrl-C cuts them off",
                 (unsigned long long)left, GRACE_MS / 1000);
    code = host_drain(&host, asked_hr, GRACE_MS, &signals);
    host_load_close(load);
    if (!code && !error)
        code = host_report(&host, options->output);
    host_close(&host);
    return error ? TOOL_UNUSABLE : code;
}

int demo_main(int argc, char **argv)
{
    struct options options;
    if (!options_read(&options, OPTIONS_DEMO, argc, argv))
        return TOOL_USAGE;
    if (options.help) {
        fputs(usage, stdout);
        return fflush(stdout) ? TOOL_UNUSABLE : TOOL_GOOD;
    }
    return report_can_write(options.output) ? play(&options) : TOOL_USAGE;
}
