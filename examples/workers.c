/* Publishing from worker threads: each event is copied into the bus, without a lock or an allocation, and all of them are
 * delivered in one order, by priority. An event published after another, on whatever thread, comes after it. */
#include <stdio.h>
#include <tallybus.h>

enum { WORKERS = 4, STREAMS = 25, TOKENS = 40 };

struct worker {
    tbus_t *bus;
    int number;
    uv_thread_t thread;
    long shed; /* tokens that the bus refused: they may be lost, and the publisher is told */
};

static void work(void *argument)
{
    struct worker *worker = argument;
    char id[32];
    for (int stream = 0; stream < STREAMS; stream++) {
        snprintf(id, sizeof id, "stream-%d-%d", worker->number, stream);
        /* Vital: waits for room where the queue is full. */
        tbus_publish_stream_started(worker->bus, &(tbus_stream_started_t){.stream_id = id, .model = "gpt-4o"});
        for (int token = 1; token <= TOKENS; token++)
            /* Sheddable: refused at once when the queue is nearly full, so that a flood holds nobody up. */
            worker->shed +=
                tbus_publish_stream_token_generated(
                    worker->bus,
                    &(tbus_stream_token_generated_t){.stream_id = id, .sequence_number = token, .tokens = 1}) != 0;
        /* The end tells how many there were: the tracker counts those that were shed, too. */
        tbus_publish_stream_completed(worker->bus, &(tbus_stream_completed_t){.stream_id = id, .token_count = TOKENS});
    }
}

int main(void)
{
    struct worker workers[WORKERS];
    tbus_streaming_t *streaming;
    tbus_streaming_snapshot_t *snapshot;
    tbus_t *bus;
    long shed = 0;
    if (tbus_open(NULL, &bus) != 0 || tbus_streaming_open(NULL, &streaming) != 0)
        return 1;
    if (tbus_streaming_attach(streaming, bus) < 0)
        return 1;
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.bus = bus, .number = i};
        if (uv_thread_create(&workers[i].thread, work, &workers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < WORKERS; i++) {
        uv_thread_join(&workers[i].thread);
        shed += workers[i].shed;
    }
    tbus_free(bus); /* drains; the tracker is read afterwards, and closed last */
    if (tbus_streaming_snapshot(streaming, 0, &snapshot) != 0)
        return 1;
    printf("%llu streams completed, %llu tokens; shed and found again: %s\n",
           (unsigned long long)snapshot->completed_streams, (unsigned long long)snapshot->total_tokens,
           snapshot->shed_tokens == (uint64_t)shed ? "the same" : "not the same");
    tbus_streaming_snapshot_free(snapshot);
    tbus_streaming_close(streaming);
    return 0;
}
