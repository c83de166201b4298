/* A callback in a host that has a libuv loop: the bus lives on that loop, and the callback runs there, too.
 *
 * Prints what fails, and ends when the bus has delivered everything. */
#include <stdio.h>
#include <tallybus.h>

static int on_failed(const tbus_event_t *event, void *user)
{
    const tbus_request_failed_t *failed = tbus_as_request_failed(event);
    int *count = user;
    ++*count;
    /* The event and its strings are the bus's, and gone when this returns: copy what is to be kept. */
    printf("%s failed with %lld: %s\n", event->request_id, (long long)failed->status_code, failed->error_message);
    return 0; /* a negative libuv error would be counted, and trip the circuit breaker after ten in a row */
}

static void on_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    (void)user;
    printf("delivered %llu events\n", (unsigned long long)report->delivered);
    tbus_free(bus); /* here at the earliest, for a bus on a host's loop */
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    tbus_t *bus;
    int count = 0;
    int error = tbus_open(&(tbus_options_t){.loop = loop}, &bus);
    if (error) {
        fprintf(stderr, "no bus: %s\n", uv_strerror(error));
        return 1;
    }
    const int64_t subscription = tbus_subscribe(bus, "request.failed", 10, on_failed, &count);
    if (subscription < 0)
        fprintf(stderr, "not subscribed: %s\n", uv_strerror((int)subscription));
    for (int i = 0; i < 3 && error == 0; i++)
        error = tbus_publish_request_failed(bus, &(tbus_request_failed_t){.base = {.request_id = i == 0   ? "req-1"
                                                                                                 : i == 1 ? "req-2"
                                                                                                          : "req-3"},
                                                                          .model = "gpt-4o",
                                                                          .error_message = "upstream timed out",
                                                                          .status_code = 504});
    if (error)
        fprintf(stderr, "not published: %s\n", uv_strerror(error));

    /* A real host would close from its signal handler. Draining may take 5 s here at most. */
    tbus_close(bus, 5000, on_closed, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    return count == 3 ? 0 : 1;
}
