/* A subscriber with several routes: a struct of patterns, priorities and handlers that share one state.
 *
 * This one keeps the number of requests in flight, and writes once for each batch instead of once for each event. */
#include <stdio.h>
#include <stdlib.h>
#include <tallybus.h>

struct gauge {
    long in_flight, most, failed;
    long unsent; /* changes since the last packet */
};

static int on_started(const tbus_event_t *event, void *user)
{
    struct gauge *gauge = user;
    (void)event;
    gauge->in_flight++;
    gauge->unsent++;
    gauge->most = gauge->in_flight > gauge->most ? gauge->in_flight : gauge->most;
    return 0;
}

static int on_ended(const tbus_event_t *event, void *user)
{
    struct gauge *gauge = user;
    gauge->in_flight--;
    gauge->unsent++;
    gauge->failed += event->type == TBUS_REQUEST_FAILED;
    return 0;
}

/* After each batch in which it was called: here a host flushes, commits, sends one packet for many events. */
static void on_batch_end(void *user)
{
    struct gauge *gauge = user;
    gauge->unsent = 0;
}

static void on_close(void *user)
{
    struct gauge *gauge = user; /* nothing of the subscriber runs any more: what it owns may go */
    printf("in flight %ld, at most %ld, failed %ld\n", gauge->in_flight, gauge->most, gauge->failed);
    free(gauge);
}

int main(void)
{
    static const tbus_route_t routes[] = {
        {"request.started", 10, on_started},
        {"request.completed", 10, on_ended},
        {"request.failed", 10, on_ended},
    };
    tbus_t *bus;
    struct gauge *gauge = calloc(1, sizeof *gauge);
    if (!gauge || tbus_open(NULL, &bus) != 0)
        return 1;
    const int64_t subscription = tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "in-flight gauge",
                                                                               .routes = routes,
                                                                               .routes_count = 3,
                                                                               .user = gauge,
                                                                               .on_batch_end = on_batch_end,
                                                                               .on_close = on_close});
    if (subscription < 0) {
        fprintf(stderr, "not subscribed: %s\n", uv_strerror((int)subscription));
        free(gauge); /* on an error the struct was not taken, and on_close will not be called */
        tbus_free(bus);
        return 1;
    }
    for (int i = 0; i < 3; i++)
        tbus_publish_request_started(bus, &(tbus_request_started_t){.endpoint = "/v1/chat/completions"});
    tbus_publish_request_completed(bus, &(tbus_request_completed_t){.status_code = 200});
    tbus_publish_request_failed(bus, &(tbus_request_failed_t){.status_code = 502, .error_message = "no backend"});

    /* Ends after what was published before; waits until on_close has returned. */
    tbus_unsubscribe_wait(bus, subscription);
    return tbus_free(bus) != 0;
}
