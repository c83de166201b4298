/* Feeds the error tracker from a bus, and publishes what it finds out. */
#include <tallybus/subscribers.h>

#include "trackers/errors.h"

enum { PRIORITY = 10 };

/* What a subscription needs: handlers are given one pointer. Freed when it ends. */
struct attached {
    tbus_errors_t *errors;
    tbus_t *bus;
};

/* A name that could not be kept for want of memory has been counted all the same: no handler here fails. */

static int on_request_completed(const tbus_event_t *event, void *user)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    const struct attached *attached = user;

    (void)tbus_errors_record_request(attached->errors, &(tbus_error_t){.endpoint = completed->endpoint,
                                                                       .model = completed->model,
                                                                       .request_id = event->request_id,
                                                                       .user_id = event->user_id,
                                                                       .status_code = completed->status_code,
                                                                       .time_ns = event->time_ns});
    return 0;
}

/* An error with what the base of its event says of it. */
static int record_error(const struct attached *attached, const tbus_event_t *event, tbus_error_t error)
{
    error.request_id = event->request_id;
    error.user_id = event->user_id;
    error.time_ns = event->time_ns;
    (void)tbus_errors_record_error(attached->errors, &error);
    return 0;
}

static int on_request_failed(const tbus_event_t *event, void *user)
{
    const tbus_request_failed_t *failed = tbus_as_request_failed(event);

    return record_error(user, event,
                        (tbus_error_t){.type = failed->error_type,
                                       .message = failed->error_message,
                                       .endpoint = failed->endpoint,
                                       .model = failed->model,
                                       .status_code = failed->status_code});
}

static int on_error_occurred(const tbus_event_t *event, void *user)
{
    const tbus_error_occurred_t *occurred = tbus_as_error_occurred(event);

    return record_error(user, event,
                        (tbus_error_t){.type = occurred->error_type,
                                       .message = occurred->error_message,
                                       .endpoint = occurred->endpoint,
                                       .model = occurred->model,
                                       .status_code = occurred->status_code});
}

/* --- What it finds out --- */

static int publish_pattern(tbus_t *bus, const tbus_finding_t *finding)
{
    const char *const endpoints[] = {finding->endpoint};

    return tbus_publish_error_pattern_detected(bus,
                                               &(tbus_error_pattern_detected_t){.base = {.time_ns = finding->time_ns},
                                                                                .error_signature = finding->fingerprint,
                                                                                .error_type = finding->type,
                                                                                .count = (int64_t)finding->count,
                                                                                .affected_endpoints = endpoints,
                                                                                .affected_endpoints_count = 1});
}

static int publish_alert(tbus_t *bus, const tbus_finding_t *finding)
{
    const char *endpoint = finding->all_endpoints ? NULL : finding->endpoint;
    const tbus_alert_rule_t rule = tbus_alert_rule(finding->alert, 0); /* its factor scales, its windows do not */
    const char *window = tbus_burn_window_name(rule.long_window);

    if (finding->kind == TBUS_FINDING_ALERT_LEFT)
        return tbus_publish_slo_recovered(bus, &(tbus_slo_recovered_t){.base = {.time_ns = finding->time_ns},
                                                                       .endpoint = endpoint,
                                                                       .slo_type = "burn_rate",
                                                                       .window = window});
    return tbus_publish_slo_violation(bus, &(tbus_slo_violation_t){.base = {.time_ns = finding->time_ns},
                                                                   .endpoint = endpoint,
                                                                   .slo_type = "burn_rate",
                                                                   .threshold_value = finding->factor,
                                                                   .actual_value = finding->burn_rate,
                                                                   .severity = rule.severity,
                                                                   .window = window});
}

/* One that the bus does not take goes back to the tracker. */
static int publish_findings(tbus_errors_t *errors, tbus_t *bus)
{
    tbus_finding_t finding;

    for (bool first = true; errors_take_to_publish(errors, first, &finding); first = false) {
        int error =
            finding.kind == TBUS_FINDING_PATTERN ? publish_pattern(bus, &finding) : publish_alert(bus, &finding);
        if (error) {
            errors_return_unpublished(errors, &finding);
            return error;
        }
    }
    return 0;
}

int tbus_errors_publish_findings(tbus_errors_t *errors, tbus_t *bus, int64_t now_ns)
{
    if (!errors || !bus)
        return UV_EINVAL;
    tbus_errors_evaluate(errors, now_ns);
    return publish_findings(errors, bus);
}

static void on_batch_end(void *user)
{
    const struct attached *attached = user;

    (void)publish_findings(attached->errors, attached->bus); /* what is not taken is offered again at the next end */
}

int64_t tbus_errors_attach(tbus_errors_t *errors, tbus_t *bus)
{
    static const tbus_route_t routes[] = {{"request.completed", PRIORITY, on_request_completed},
                                          {"request.failed", PRIORITY, on_request_failed},
                                          {"error.occurred", PRIORITY, on_error_occurred}};

    if (!errors || !bus)
        return UV_EINVAL;
    struct attached *attached = tbus_mem_alloc(sizeof *attached);
    if (!attached)
        return UV_ENOMEM;
    *attached = (struct attached){errors, bus};
    int64_t subscription = tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "errors",
                                                                         .routes = routes,
                                                                         .routes_count = sizeof routes / sizeof *routes,
                                                                         .user = attached,
                                                                         .on_batch_end = on_batch_end,
                                                                         .on_close = tbus_mem_free});
    if (subscription < 0)
        tbus_mem_free(attached);
    return subscription;
}
