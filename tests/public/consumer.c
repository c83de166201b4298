/* A host: all that it knows of the library is its public header. */
#include <stdio.h>
#include <string.h>

#include <tallybus.h>

static int count_stream(const tbus_event_t *event, void *user)
{
    const tbus_stream_started_t *started = tbus_as_stream_started(event);
    int *count = user;
    if (started && strcmp(started->stream_id, "s-1") == 0 && strcmp(started->model, "gpt-4o") == 0)
        ++*count;
    return 0;
}

static int failed(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, error < 0 ? uv_strerror(error) : "an unexpected result");
    return 1;
}

int main(void)
{
    tbus_t *bus;
    int count = 0;
    int error = tbus_open(NULL, &bus);
    if (error)
        return failed("tbus_open", error);
    if (tbus_subscribe(bus, "stream.*", 0, count_stream, &count) <= 0)
        return failed("tbus_subscribe", 0);
    error = tbus_publish_stream_started(bus, &(tbus_stream_started_t){.stream_id = "s-1", .model = "gpt-4o"});
    if (error)
        return failed("tbus_publish_stream_started", error);
    error = tbus_free(bus); /* waits until the event has been delivered */
    if (error)
        return failed("tbus_free", error);
    if (count != 1)
        return failed("events seen", 0);

    char text[TBUS_MONEY_TEXT_MAX];
    if (strcmp(tbus_money_format(tbus_money_units(TBUS_MONEY_PER_USD / 4), -1, text), "0.25") != 0)
        return failed("tbus_money_format", 0);
    return strcmp(tbus_version(), "") == 0;
}
