/* Events as JSON to a function of the host's: the text is written into memory that the subscription keeps. */
#include <string.h>

#include <tallybus/json.h>

#include "exporters/json_line.h"

#if TBUS_WITH_JSON

enum { ROOM_BYTES = 4096 };

/* The buffer belongs to the thread that the bus calls its handler on; on_close comes when nothing runs there any more.
 */
struct json_subscription {
    tbus_t *bus;
    tbus_json_handler handler;
    void *user;
    void (*on_batch_end)(void *user);
    void (*on_close)(void *user);
    char *buffer;
    size_t room;
};

/* Room for so many bytes. It doubles, so that events that grow bit by bit do not ask for memory each time. */
static int make_room(struct json_subscription *json, size_t bytes)
{
    size_t room = ROOM_BYTES;
    while (room < bytes)
        room *= 2;
    tbus_mem_free(json->buffer); /* what is in it has been handled */
    json->buffer = tbus_mem_alloc(room);
    json->room = json->buffer ? room : 0;
    return json->buffer ? 0 : UV_ENOMEM;
}

static int on_event(const tbus_event_t *event, void *user)
{
    struct json_subscription *json = user;
    const tbus_type_t *type = tbus_type_of(json->bus, event->type);
    size_t length = json_line(type, event, JSON_SECRETS_SHOWN, json->buffer, json->room);
    if (length >= json->room) {
        int error = make_room(json, length + 1);
        if (error)
            return error;
        json_line(type, event, JSON_SECRETS_SHOWN, json->buffer, json->room);
    }
    json->buffer[length] = '\0';
    return json->handler(type->topic, json->buffer, length, json->user);
}

static void on_batch_end(void *user)
{
    struct json_subscription *json = user;
    json->on_batch_end(json->user);
}

static void release(struct json_subscription *json)
{
    tbus_mem_free(json->buffer);
    tbus_mem_free(json);
}

static void on_close(void *user)
{
    struct json_subscription *json = user;
    if (json->on_close)
        json->on_close(json->user);
    release(json);
}

static int64_t subscribe(struct json_subscription *json, const tbus_route_t *route, const tbus_subscriber_t *options)
{
    tbus_subscriber_t subscriber = options ? *options : (tbus_subscriber_t){.name = NULL};
    json->on_batch_end = subscriber.on_batch_end;
    json->on_close = subscriber.on_close;
    subscriber.routes = route;
    subscriber.routes_count = 1;
    subscriber.user = json;
    subscriber.on_batch_end = json->on_batch_end ? on_batch_end : NULL;
    subscriber.on_close = on_close;
    int error = make_room(json, ROOM_BYTES);
    return error ? error : tbus_subscriber_add(json->bus, &subscriber);
}

int64_t tbus_subscribe_json(tbus_t *bus, const char *pattern, int32_t priority, tbus_json_handler handler, void *user,
                            const tbus_subscriber_t *options)
{
    if (!bus || !handler || (options && (options->routes || options->routes_count || options->user)))
        return UV_EINVAL;
    struct json_subscription *json = tbus_mem_alloc(sizeof *json);
    if (!json)
        return UV_ENOMEM;
    *json = (struct json_subscription){.bus = bus, .handler = handler, .user = user};
    const tbus_route_t route = {pattern, priority, on_event};
    int64_t subscription = subscribe(json, &route, options);
    if (subscription < 0)
        release(json);
    return subscription;
}

#else

int64_t tbus_subscribe_json(tbus_t *bus, const char *pattern, int32_t priority, tbus_json_handler handler, void *user,
                            const tbus_subscriber_t *options)
{
    (void)bus;
    (void)pattern;
    (void)priority;
    (void)handler;
    (void)user;
    (void)options;
    return UV_ENOTSUP;
}

#endif
