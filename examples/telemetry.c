/* Everything with two calls: a telemetry set - all trackers, subscribed in their order - and a web server that shows it:
 * Prometheus on /metrics, JSON below it, a dashboard on /. */
#include <stdio.h>
#include <string.h>
#include <tallybus.h>

static void on_closed(tbus_t *bus, const tbus_close_report_t *report, void *user)
{
    (void)bus;
    (void)report; /* what was delivered, and what remained where the time was over */
    uv_sem_post(user);
}

int main(void)
{
    tbus_t *bus;
    tbus_telemetry_t *telemetry;
    tbus_web_t *web = NULL;
    char *page;
    uv_sem_t closed;
    if (uv_sem_init(&closed, 0) != 0)
        return 1;
    if (tbus_open(NULL, &bus) != 0 || tbus_telemetry_open(bus, NULL, &telemetry) != 0)
        return 1;
    int error = tbus_web_open(&(tbus_web_options_t){.bus = bus, .telemetry = telemetry}, &web); /* a free port */
    if (error && error != UV_ENOTSUP) { /* built without HTTP: go on without it */
        fprintf(stderr, "no web server: %s\n", uv_strerror(error));
        return 1;
    }
    if (web)
        fprintf(stderr, "http://127.0.0.1:%u/\n", tbus_web_port(web));

    const tbus_event_t base = {.request_id = "req-1", .api_key = "sk-live-8f31c2"};
    tbus_publish_request_started(
        bus, &(tbus_request_started_t){.base = base, .endpoint = "/v1/chat/completions", .model = "gpt-4o"});
    tbus_publish_request_completed(bus, &(tbus_request_completed_t){.base = base,
                                                                    .endpoint = "/v1/chat/completions",
                                                                    .model = "gpt-4o",
                                                                    .status_code = 200,
                                                                    .duration_ms = 840,
                                                                    .input_tokens = 1200,
                                                                    .output_tokens = 300});

    /* A host would run here. In the end: nothing new is taken, and what is queued is delivered. */
    if (tbus_close(bus, 5000, on_closed, &closed) == 0)
        uv_sem_wait(&closed);
    tbus_web_close(web);

    error = tbus_telemetry_prometheus(telemetry, 0, &page);
    if (error == 0) {
        for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n"))
            if (strncmp(line, "request_total ", 14) == 0 || strncmp(line, "request_completion_tokens_total ", 32) == 0)
                puts(line);
        tbus_mem_free(page);
    }
    tbus_telemetry_close(telemetry); /* before the bus is freed */
    uv_sem_destroy(&closed);
    return tbus_free(bus) != 0 || error != 0;
}
