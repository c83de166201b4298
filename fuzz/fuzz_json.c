/* Events from arbitrary text. What the library takes must come out as JSON that it takes again, strictly too, and the
 * same JSON then: nothing may be lost or changed by a round trip. What it takes strictly it takes tolerantly; what a
 * subscriber is told is what the event is as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus.h>

static tbus_t *bus;
static uv_sem_t told;
static char *last; /* the event handed over last, as JSON, its id as 0 */

static void demand(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "fuzz_json: %s\n", what);
    abort();
}

static char *heard; /* the same event, as a subscriber was told it */

static int hear(const char *topic, const char *text, size_t length, void *user)
{
    (void)user;
    demand(tbus_builtin_type_number(topic) != TBUS_TYPE_NONE, "a topic that is none");
    demand(strlen(text) == length, "the length is not that of the text");
    heard = strdup(text);
    return 0;
}

/* What has just been told is the event. */
static void check_heard(const tbus_event_t *event)
{
    char *text = NULL;
    demand(heard != NULL && tbus_event_to_json(NULL, event, &text) == 0, "an event that was taken can not be told");
    demand(strcmp(heard, text) == 0, "a subscriber was told something else");
    tbus_mem_free(text);
    free(heard);
    heard = NULL;
}

static int tell(const tbus_event_t *event, void *user)
{
    (void)user;
    check_heard(event);
    size_t bytes = tbus_builtin_type(event->type)->size_bytes;
    tbus_event_t *copy = tbus_mem_alloc(bytes);
    demand(copy != NULL, "no memory");
    memcpy(copy, event, bytes);
    copy->id = 0; /* the only thing that differs from one publish to the next */
    demand(tbus_event_to_json(NULL, copy, &last) == 0, "an event that was taken can not be told");
    tbus_mem_free(copy);
    uv_sem_post(&told);
    return 0;
}

static int64_t fixed_clock(void *user)
{
    (void)user;
    return INT64_C(1700000000000000000);
}

static void open_bus(void)
{
    const tbus_options_t options = {.clock = fixed_clock};
    demand(uv_sem_init(&told, 0) == 0, "no semaphore");
    demand(tbus_open(&options, &bus) == 0, "no bus");
    demand(tbus_subscribe(bus, ">", 0, tell, NULL) > 0, "no subscription");
    demand(tbus_subscribe_json(bus, ">", 1, hear, NULL, NULL) > 0, "no subscription for texts");
}

typedef int (*publisher)(tbus_t *bus, const char *text, size_t length, char *why, size_t why_bytes);

/* Publishes a text; returns the event as JSON, or NULL when it was refused. */
static char *round_trip(publisher publish, const char *text, size_t length)
{
    char why[128];
    memset(why, '#', sizeof why);
    int error = publish(bus, text, length, why, sizeof why - 1);
    demand(why[sizeof why - 1] == '#', "the reason is longer than its room");
    if (error) {
        demand(error != UV_EINVAL || strlen(why) > 0, "refused without a reason");
        return NULL;
    }
    uv_sem_wait(&told);
    return last;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!bus)
        open_bus();
    char *strict = round_trip(tbus_publish_json_strict, (const char *)data, size);
    char *first = round_trip(tbus_publish_json, (const char *)data, size);
    demand(!strict || (first && strcmp(strict, first) == 0), "what is taken strictly is not taken tolerantly");
    tbus_mem_free(strict);
    if (!first)
        return 0;
    char *second = round_trip(tbus_publish_json_strict, first, strlen(first));
    demand(second != NULL, "what the library wrote it does not read");
    demand(strcmp(first, second) == 0, "a round trip changed the event");
    tbus_mem_free(first);
    tbus_mem_free(second);
    return 0;
}
