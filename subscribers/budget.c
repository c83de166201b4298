/* Feeds budgets from a bus, and tells the bus what they find out. */
#include <tallybus/subscribers.h>

enum { BUDGET_PRIORITY = 6 };

struct budget_subscriber {
    tbus_budgets_t *budgets;
    tbus_t *bus;
    /* [loop thread] */
    tbus_budget_finding_t finding; /* taken, and not published yet */
    bool has_finding;
};

/* --- Telling --- */

static int publish_alert(tbus_t *bus, const tbus_budget_finding_t *finding)
{
    return tbus_publish_budget_alert(bus, &(tbus_budget_alert_t){.base = {.time_ns = finding->time_ns},
                                                                 .scope = tbus_budget_scope_name(finding->scope),
                                                                 .subject = finding->subject,
                                                                 .threshold = finding->threshold,
                                                                 .used_usd = tbus_money_to_usd(finding->used),
                                                                 .limit_usd = tbus_money_to_usd(finding->limit)});
}

static int publish_exceeded(tbus_t *bus, const tbus_budget_finding_t *finding)
{
    return tbus_publish_budget_exceeded(
        bus, &(tbus_budget_exceeded_t){.base = {.time_ns = finding->time_ns},
                                       .scope = tbus_budget_scope_name(finding->scope),
                                       .subject = finding->subject,
                                       .limit_type = finding->kind == TBUS_BUDGET_HARD ? "hard" : "soft",
                                       .used_usd = tbus_money_to_usd(finding->used),
                                       .limit_usd = tbus_money_to_usd(finding->limit)});
}

static int publish_reset(tbus_t *bus, const tbus_budget_finding_t *finding)
{
    return tbus_publish_budget_reset(bus, &(tbus_budget_reset_t){.base = {.time_ns = finding->time_ns},
                                                                 .scope = tbus_budget_scope_name(finding->scope),
                                                                 .subject = finding->subject,
                                                                 .used_usd = tbus_money_to_usd(finding->used)});
}

static int publish(tbus_t *bus, const tbus_budget_finding_t *finding)
{
    switch (finding->what) {
    case TBUS_BUDGET_FOUND_ALERT:
        return publish_alert(bus, finding);
    case TBUS_BUDGET_FOUND_EXCEEDED:
        return publish_exceeded(bus, finding);
    default:
        return publish_reset(bus, finding);
    }
}

/* A finding that the bus does not take is held, and those behind it wait in the tracker. */
static void tell(struct budget_subscriber *subscriber)
{
    while (subscriber->has_finding || tbus_budgets_take_finding(subscriber->budgets, &subscriber->finding) == 1) {
        subscriber->has_finding = publish(subscriber->bus, &subscriber->finding) != 0;
        if (subscriber->has_finding)
            return;
    }
}

/* --- Being told --- */

/* What the tracker refuses it counts itself: for the bus every event here has been handled. */
static int on_priced(const tbus_event_t *event, void *user)
{
    struct budget_subscriber *subscriber = user;
    tbus_usage_record_t record;
    const int error = tbus_usage_of_event(subscriber->bus, event, &record);
    if (error)
        return error;
    const tbus_budget_request_t request = {.request_id = record.request_id,
                                           .api_key = record.api_key,
                                           .key_digest = record.key_digest,
                                           .user_id = record.user_id,
                                           .project_id = record.project_id,
                                           .amount = record.cost,
                                           .time_ns = record.time_ns,
                                           .unpriced = record.unpriced};
    if (record.retracted)
        (void)tbus_budget_retract(subscriber->budgets, &request);
    else
        (void)tbus_budget_settle(subscriber->budgets, &request);
    tell(subscriber);
    return 0;
}

static int on_failed(const tbus_event_t *event, void *user)
{
    struct budget_subscriber *subscriber = user;
    (void)tbus_budget_release(subscriber->budgets, event->request_id, event->time_ns);
    tell(subscriber);
    return 0;
}

static int on_passing(const tbus_event_t *event, void *user)
{
    struct budget_subscriber *subscriber = user;
    tbus_budgets_advance(subscriber->budgets, event->time_ns);
    tell(subscriber);
    return 0;
}

static void on_batch_end(void *user)
{
    tell(user);
}

int64_t tbus_budgets_attach(tbus_budgets_t *budgets, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{TBUS_USAGE_PRICED, BUDGET_PRIORITY, on_priced},
                                          {"request.failed", BUDGET_PRIORITY, on_failed},
                                          {"request.started", BUDGET_PRIORITY, on_passing},
                                          {"request.completed", BUDGET_PRIORITY, on_passing}};
    if (!budgets || !bus)
        return UV_EINVAL;
    const int error = tbus_usage_events_enable(bus, NULL);
    if (error)
        return error;
    struct budget_subscriber *subscriber = tbus_mem_alloc(sizeof *subscriber);
    if (!subscriber)
        return UV_ENOMEM;
    subscriber->budgets = budgets;
    subscriber->bus = bus;
    const int64_t subscription =
        tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "budgets",
                                                      .routes = routes,
                                                      .routes_count = sizeof routes / sizeof *routes,
                                                      .user = subscriber,
                                                      .on_batch_end = on_batch_end,
                                                      .on_close = tbus_mem_free});
    if (subscription < 0)
        tbus_mem_free(subscriber);
    return subscription;
}
