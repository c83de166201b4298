/* Events as JSON, on a loop of the bench's own: what a publish costs its caller as a text and as a struct, and what the
 * loop thread spends on an event that is told as a text, and as a struct. The event is a request.completed of some 300
 * bytes of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

#include "bench/harness.h"

enum { BURST = 1000 }; /* fits the queue */

typedef int (*publisher)(tbus_t *bus);

struct json_bench {
    uv_loop_t loop;
    tbus_t *bus;
    uint64_t handled;
};

static const char text[] =
    "{\"type\":\"request.completed\",\"time_ns\":1767258000000000000,\"request_id\":\"0b7e7ff2-3b0f-4be5-9d7b-"
    "2a9d4f3f6a10\",\"user_id\":\"user-17\",\"endpoint\":\"/v1/chat/completions\",\"model\":\"gpt-4o\","
    "\"duration_ms\":1234.5,\"status_code\":200,\"input_tokens\":1200,\"output_tokens\":340,\"cached_tokens\":1024,"
    "\"finish_reason\":\"stop\"}";

static const tbus_request_completed_t completed = {
    .base = {.time_ns = INT64_C(1767258000000000000),
             .request_id = "0b7e7ff2-3b0f-4be5-9d7b-2a9d4f3f6a10",
             .user_id = "user-17"},
    .endpoint = "/v1/chat/completions",
    .model = "gpt-4o",
    .duration_ms = 1234.5,
    .status_code = 200,
    .input_tokens = 1200,
    .output_tokens = 340,
    .cached_tokens = 1024,
    .finish_reason = "stop",
};

static int publish_text(tbus_t *bus)
{
    return tbus_publish_json(bus, text, sizeof text - 1, NULL, 0);
}

static int publish_strictly(tbus_t *bus)
{
    return tbus_publish_json_strict(bus, text, sizeof text - 1, NULL, 0);
}

static int publish_struct(tbus_t *bus)
{
    return tbus_publish_request_completed(bus, &completed);
}

static int take_text(const char *topic, const char *json, size_t length, void *user)
{
    (void)topic;
    (void)json;
    (void)length;
    ((struct json_bench *)user)->handled++;
    return 0;
}

static int take_struct(const tbus_event_t *event, void *user)
{
    (void)event;
    ((struct json_bench *)user)->handled++;
    return 0;
}

static struct json_bench *open_bus(void)
{
    struct json_bench *bench = calloc(1, sizeof *bench);
    bench_require(bench != NULL, "calloc");
    bench_require(uv_loop_init(&bench->loop) == 0, "uv_loop_init");
    const tbus_options_t options = {.loop = &bench->loop, .linger_us = UINT32_MAX};
    bench_require(tbus_open(&options, &bench->bus) == 0, "tbus_open");
    return bench;
}

static void *open_text(void)
{
    struct json_bench *bench = open_bus();
    bench_require(tbus_subscribe_json(bench->bus, ">", 0, take_text, bench, NULL) > 0, "tbus_subscribe_json");
    return bench;
}

static void *open_struct(void)
{
    struct json_bench *bench = open_bus();
    bench_require(tbus_subscribe(bench->bus, ">", 0, take_struct, bench) > 0, "tbus_subscribe");
    return bench;
}

static void close_bus(void *state)
{
    struct json_bench *bench = state;
    bench_require(tbus_close(bench->bus, 1000, NULL, NULL) == 0, "tbus_close");
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    bench_require(tbus_free(bench->bus) == 0, "tbus_free");
    bench_require(uv_loop_close(&bench->loop) == 0, "uv_loop_close");
    free(bench);
}

/* Time spent in publishing and in delivering, in turns. */
struct spent {
    uint64_t publishing_ns, delivering_ns, events;
};

static struct spent run_bursts(struct json_bench *bench, publisher publish, uint64_t operations)
{
    struct spent spent = {.events = 0};
    while (spent.events < operations) {
        const uint64_t begin_ns = uv_hrtime(), target = bench->handled + BURST;
        for (int i = 0; i < BURST; i++)
            bench_require(publish(bench->bus) == 0, "publishing");
        const uint64_t middle_ns = uv_hrtime();
        while (bench->handled < target)
            uv_run(&bench->loop, UV_RUN_NOWAIT);
        spent.publishing_ns += middle_ns - begin_ns;
        spent.delivering_ns += uv_hrtime() - middle_ns;
        spent.events += BURST;
    }
    return spent;
}

static double publishing_ns(void *state, publisher publish, uint64_t operations)
{
    const struct spent spent = run_bursts(state, publish, operations);
    return (double)spent.publishing_ns / (double)spent.events;
}

static double run_publish(void *state, uint64_t operations)
{
    return publishing_ns(state, publish_text, operations);
}

static double run_publish_strict(void *state, uint64_t operations)
{
    return publishing_ns(state, publish_strictly, operations);
}

static double run_publish_struct(void *state, uint64_t operations)
{
    return publishing_ns(state, publish_struct, operations);
}

static double run_deliver(void *state, uint64_t operations)
{
    const struct spent spent = run_bursts(state, publish_struct, operations);
    return (double)spent.delivering_ns / (double)spent.events;
}

static const struct bench benches[] = {
    {"json.publish", "ns", 100000, open_struct, run_publish, close_bus},
    {"json.publish_strict", "ns", 100000, open_struct, run_publish_strict, close_bus},
    {"json.publish_struct", "ns", 100000, open_struct, run_publish_struct, close_bus},
    {"json.subscribe", "ns", 100000, open_text, run_deliver, close_bus},
    {"json.subscribe_struct", "ns", 100000, open_struct, run_deliver, close_bus},
};

const struct bench_list json_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = false};
