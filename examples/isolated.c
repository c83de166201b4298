/* A subscriber whose handler blocks - it writes to a slow disk, asks a database - has a thread and a queue of its own:
 * it delays nobody, and what its queue can not hold is dropped and counted. */
#include <stdio.h>
#include <tallybus.h>

struct audit {
    uv_sem_t disk; /* stands for something slow: each record waits until there is one */
    long written;
};

static int write_record(const tbus_event_t *event, void *user)
{
    struct audit *audit = user;
    (void)event;
    uv_sem_wait(&audit->disk); /* blocks this thread alone */
    audit->written++;
    return 0;
}

static int count(const tbus_event_t *event, void *user)
{
    (void)event;
    if (++*(long *)user == 100) /* all were delivered inline while the audit is stuck at its first */
        printf("the others have seen 100 events\n");
    return 0;
}

static void on_close(void *user)
{
    struct audit *audit = user; /* on the loop thread, after the subscriber's own has ended */
    printf("the audit has written %ld\n", audit->written);
    uv_sem_destroy(&audit->disk);
}

int main(void)
{
    const tbus_route_t route = {"request.*", 0, write_record};
    struct audit audit = {.written = 0};
    tbus_t *bus;
    long seen = 0;
    if (uv_sem_init(&audit.disk, 0) != 0 || tbus_open(NULL, &bus) != 0)
        return 1;
    const int64_t subscription = tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "audit",
                                                                               .routes = &route,
                                                                               .routes_count = 1,
                                                                               .user = &audit,
                                                                               .on_close = on_close,
                                                                               .mode = TBUS_ISOLATED});
    const int64_t counting = tbus_subscribe(bus, "request.*", 0, count, &seen);
    if (subscription < 0 || counting < 0)
        return 1;
    for (int i = 0; i < 100; i++)
        tbus_publish_request_started(bus, &(tbus_request_started_t){.endpoint = "/v1/embeddings"});
    tbus_unsubscribe_wait(bus, counting); /* so: everything published before has been delivered */
    for (int i = 0; i < 100; i++)
        uv_sem_post(&audit.disk); /* the disk is there again */
    return tbus_free(bus) != 0;   /* what is in the subscriber's own queue is handled first */
}
