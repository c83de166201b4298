/* A host without libuv: the bus has a loop and a thread of its own, and handlers run on that thread.
 *
 * What a handler shares with the rest of the host is the host's to protect: here a counter that is atomic. */
#include <stdatomic.h>
#include <stdio.h>
#include <tallybus.h>

static int on_completed(const tbus_event_t *event, void *user)
{
    const tbus_request_completed_t *completed = tbus_as_request_completed(event);
    atomic_fetch_add((_Atomic long *)user, (long)completed->output_tokens);
    return 0;
}

int main(void)
{
    static _Atomic long tokens;
    tbus_t *bus;
    int error = tbus_open(NULL, &bus);
    if (error) {
        fprintf(stderr, "no bus: %s\n", uv_strerror(error));
        return 1;
    }
    if (tbus_subscribe(bus, "request.completed", 0, on_completed, &tokens) < 0)
        return 1;
    for (int i = 1; i <= 100; i++) {
        error = tbus_publish_request_completed(
            bus, &(tbus_request_completed_t){.model = "gpt-4o", .status_code = 200, .output_tokens = i});
        if (error) /* a vital event waits for room first: what still fails is counted by type and reason */
            fprintf(stderr, "not published: %s\n", uv_strerror(error));
    }
    tbus_free(bus); /* delivers what is queued, then ends the thread: no handler runs from here on */
    printf("%ld tokens\n", atomic_load(&tokens));
    return 0;
}
