/* Paging: the error tracker watches how fast the error budget burns, and says so on the bus - once when an alert begins,
 * once when it is over. A host subscribes, and sends what its pager wants. */
#include <stdio.h>
#include <tallybus.h>

static int on_alert(const tbus_event_t *event, void *user)
{
    const tbus_slo_violation_t *violation = tbus_as_slo_violation(event);
    const tbus_slo_recovered_t *recovered = tbus_as_slo_recovered(event);
    /* Without an endpoint it is about all requests together. */
    if (violation)
        printf("%s: burn rate %.0f over %s, above %.1f (%s)\n", violation->severity, violation->actual_value,
               violation->window, violation->threshold_value, violation->endpoint ? violation->endpoint : "all");
    if (recovered)
        printf("over: %s (%s)\n", recovered->window, recovered->endpoint ? recovered->endpoint : "all");
    uv_sem_post(user);
    return 0;
}

static void wait_for(uv_sem_t *alerts, int count)
{
    while (count-- > 0)
        uv_sem_wait(alerts);
}

int main(void)
{
    const int64_t second = 1000000000, begin = 1700000000 * second;
    tbus_errors_t *errors;
    tbus_t *bus;
    uv_sem_t alerts;
    if (uv_sem_init(&alerts, 0) != 0 || tbus_open(NULL, &bus) != 0)
        return 1;
    /* 99.9 % over 30 days, the default; say another as `slo_target_ppm`. */
    if (tbus_errors_open(NULL, &errors) != 0 || tbus_errors_attach(errors, bus) < 0)
        return 1;
    if (tbus_subscribe(bus, "slo.*", 0, on_alert, &alerts) < 0)
        return 1;

    /* An outage: half of the requests fail. (A live host leaves time_ns 0, and the bus reads its clock.) */
    for (int i = 0; i < 400; i++) {
        const tbus_event_t base = {.time_ns = begin + i * second / 10};
        if (i % 2)
            tbus_publish_request_failed(
                bus, &(tbus_request_failed_t){.base = base, .endpoint = "/v1/chat", .status_code = 503});
        else
            tbus_publish_request_completed(
                bus, &(tbus_request_completed_t){.base = base, .endpoint = "/v1/chat", .status_code = 200});
    }
    wait_for(&alerts, 8); /* each of the four rules, of all requests and of the endpoint */

    /* When traffic stops, alerts end only if somebody looks: from a timer, each 10 s or so, with tbus_now(). */
    const int error = tbus_errors_publish_findings(errors, bus, begin + 4 * 86400 * second);
    if (error)
        fprintf(stderr, "alerts: %s\n", uv_strerror(error));
    else
        wait_for(&alerts, 8);
    tbus_free(bus);
    tbus_errors_close(errors); /* after the bus: its subscriber borrows it */
    uv_sem_destroy(&alerts);
    return error != 0;
}
