#include <tallybus/telemetry.h>

#include <tallybus/subscribers.h>

#include "trackers/options.h"

/* The trackers, in the order in which they are subscribed, and in which their subscriptions end: cost before those that
 * hear of it by usage.priced, so that what it publishes until then still comes to them. All subscriptions have ended
 * before the first tracker is closed. */
#define TRACKERS(X)                                                                                                    \
    X(errors, ERRORS)                                                                                                  \
    X(requests, REQUESTS)                                                                                              \
    X(inference, INFERENCE)                                                                                            \
    X(streaming, STREAMING)                                                                                            \
    X(cost, COST)                                                                                                      \
    X(budgets, BUDGETS)                                                                                                \
    X(models, MODELS)                                                                                                  \
    X(kvcache, KVCACHE)

struct part {
    int64_t subscription; /* 0 = none */
    bool is_own;          /* made here, to be closed here */
};

struct tbus_telemetry {
    tbus_t *bus;
#define MEMBER(name, NAME)                                                                                             \
    tbus_##name##_t *name;                                                                                             \
    struct part name##_part;
    TRACKERS(MEMBER)
#undef MEMBER
};

/* Ends a subscription. On the loop thread it ends at once, and nothing of it can be running. */
static int end_subscription(tbus_t *bus, struct part *part)
{
    if (part->subscription <= 0)
        return 0;
    int error = tbus_unsubscribe_wait(bus, part->subscription);
    if (error == UV_EBUSY)
        error = tbus_unsubscribe(bus, part->subscription);
    if (error == UV_ENOMEM)
        return error;
    part->subscription = 0; /* otherwise it has ended before, with the bus */
    return 0;
}

#define DEFINE(name, NAME)                                                                                             \
    static int open_##name(tbus_telemetry_t *telemetry, const tbus_telemetry_options_t *options)                       \
    {                                                                                                                  \
        telemetry->name = options->name;                                                                               \
        if (options->name || (options->trackers && !(options->trackers & TBUS_TELEMETRY_##NAME)))                      \
            return 0;                                                                                                  \
        int error = tbus_##name##_open(options->name##_options, &telemetry->name);                                     \
        telemetry->name##_part.is_own = !error;                                                                        \
        return error;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    static int attach_##name(tbus_telemetry_t *telemetry)                                                              \
    {                                                                                                                  \
        if (!telemetry->name)                                                                                          \
            return 0;                                                                                                  \
        telemetry->name##_part.subscription = tbus_##name##_attach(telemetry->name, telemetry->bus);                   \
        return telemetry->name##_part.subscription < 0 ? (int)telemetry->name##_part.subscription : 0;                 \
    }                                                                                                                  \
                                                                                                                       \
    static void close_##name(tbus_telemetry_t *telemetry)                                                              \
    {                                                                                                                  \
        if (telemetry->name##_part.is_own && telemetry->name##_part.subscription <= 0)                                 \
            tbus_##name##_close(telemetry->name);                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    tbus_##name##_t *tbus_telemetry_##name(const tbus_telemetry_t *telemetry)                                          \
    {                                                                                                                  \
        return telemetry ? telemetry->name : NULL;                                                                     \
    }
TRACKERS(DEFINE)
#undef DEFINE

/* All of them end, even where one can not. */
static int end_subscriptions(tbus_telemetry_t *telemetry)
{
    int error = 0;
#define END(name, NAME) error = end_subscription(telemetry->bus, &telemetry->name##_part) ? UV_ENOMEM : error;
    TRACKERS(END)
#undef END
    return error;
}

/* A tracker that is still subscribed stays. */
static void close_trackers(tbus_telemetry_t *telemetry)
{
#define CLOSE(name, NAME) close_##name(telemetry);
    TRACKERS(CLOSE)
#undef CLOSE
    tbus_mem_free(telemetry);
}

static int open_trackers(tbus_telemetry_t *telemetry, const tbus_telemetry_options_t *options)
{
    int error = 0;
#define OPEN(name, NAME) error = error ? error : open_##name(telemetry, options);
    TRACKERS(OPEN)
#undef OPEN
#define ATTACH(name, NAME) error = error ? error : attach_##name(telemetry);
    TRACKERS(ATTACH)
#undef ATTACH
    return error;
}

int tbus_telemetry_open(tbus_t *bus, const tbus_telemetry_options_t *options, tbus_telemetry_t **ret)
{
    static const tbus_telemetry_options_t defaults;
    if (!options)
        options = &defaults;
    if (!bus || !ret || (options->trackers & ~(uint32_t)TBUS_TELEMETRY_ALL) ||
        !are_zero(options->reserved, sizeof options->reserved))
        return UV_EINVAL;
    tbus_telemetry_t *telemetry = tbus_mem_alloc(sizeof *telemetry);
    if (!telemetry)
        return UV_ENOMEM;
    telemetry->bus = bus;
    int error = open_trackers(telemetry, options);
    if (error) {
        (void)end_subscriptions(telemetry);
        close_trackers(telemetry);
        return error;
    }
    *ret = telemetry;
    return 0;
}

int tbus_telemetry_close(tbus_telemetry_t *telemetry)
{
    if (!telemetry)
        return 0;
    int error = end_subscriptions(telemetry);
    if (!error)
        close_trackers(telemetry);
    return error;
}

/* --- Snapshots --- */

/* `budgets_now_ns`: 0 = their own clock's. */
static int take_snapshots(tbus_telemetry_t *telemetry, int64_t budgets_now_ns, tbus_telemetry_snapshot_t *snapshot)
{
    const int64_t now_ns = snapshot->time_ns;
    int error = 0;
    if (telemetry->errors)
        error = tbus_errors_snapshot(telemetry->errors, now_ns, &snapshot->errors);
    if (telemetry->requests && !error)
        error = tbus_requests_snapshot(telemetry->requests, now_ns, &snapshot->requests);
    if (telemetry->inference && !error)
        error = tbus_inference_snapshot(telemetry->inference, now_ns, &snapshot->inference);
    if (telemetry->streaming && !error)
        error = tbus_streaming_snapshot(telemetry->streaming, now_ns, &snapshot->streaming);
    if (telemetry->cost && !error)
        error = tbus_cost_snapshot_at(telemetry->cost, now_ns, &snapshot->cost);
    if (telemetry->budgets && !error)
        error = tbus_budgets_snapshot(telemetry->budgets, budgets_now_ns, &snapshot->budgets);
    if (telemetry->models && !error)
        error = tbus_models_snapshot(telemetry->models, now_ns, &snapshot->models);
    if (telemetry->kvcache && !error)
        error = tbus_kvcache_snapshot(telemetry->kvcache, &snapshot->kvcache);
    return error;
}

int tbus_telemetry_snapshot(tbus_telemetry_t *telemetry, int64_t now_ns, tbus_telemetry_snapshot_t **ret)
{
    if (!telemetry || !ret)
        return UV_EINVAL;
    tbus_telemetry_snapshot_t *snapshot = tbus_mem_alloc(sizeof *snapshot);
    if (!snapshot)
        return UV_ENOMEM;
    snapshot->time_ns = now_ns ? now_ns : tbus_now(telemetry->bus);
    int error = take_snapshots(telemetry, now_ns, snapshot);
    if (error) {
        tbus_telemetry_snapshot_free(snapshot);
        return error;
    }
    *ret = snapshot;
    return 0;
}

void tbus_telemetry_snapshot_free(tbus_telemetry_snapshot_t *snapshot)
{
    if (!snapshot)
        return;
#define FREE(name, NAME) tbus_##name##_snapshot_free(snapshot->name);
    TRACKERS(FREE)
#undef FREE
    tbus_mem_free(snapshot);
}
