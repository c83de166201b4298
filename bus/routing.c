#include "bus/routing.h"

#include <assert.h>
#include <string.h>

#include "bus/isolated.h"
#include "bus/topic.h"

enum { ROUTES_MAX = 256 };

static void add_type(struct route *route, uint32_t type)
{
    route->types[type / 64] |= UINT64_C(1) << (type % 64);
}

static size_t patterns_bytes(const tbus_subscriber_t *subscriber)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < subscriber->routes_count; i++)
        bytes += strlen(subscriber->routes[i].pattern) + 1;
    return bytes;
}

static bool valid(const tbus_subscriber_t *subscriber)
{
    if (!subscriber || !subscriber->routes || subscriber->routes_count < 1 || subscriber->routes_count > ROUTES_MAX)
        return false;
    if (subscriber->mode > TBUS_ISOLATED)
        return false;
    for (size_t i = 0; i < sizeof subscriber->reserved / sizeof subscriber->reserved[0]; i++)
        if (subscriber->reserved[i] != 0)
            return false;
    for (uint32_t i = 0; i < subscriber->routes_count; i++)
        if (!subscriber->routes[i].handler || !topic_pattern_valid(subscriber->routes[i].pattern))
            return false;
    return true;
}

int subscription_open(const tbus_subscriber_t *subscriber, struct subscription **ret)
{
    if (!valid(subscriber))
        return UV_EINVAL;
    const char *name = subscriber->name ? subscriber->name : "";
    size_t routes_bytes = subscriber->routes_count * sizeof(struct route), name_bytes = strnlen(name, TOPIC_MAX);
    struct subscription *subscription =
        tbus_mem_alloc(sizeof *subscription + routes_bytes + name_bytes + 1 + patterns_bytes(subscriber));
    if (!subscription)
        return UV_ENOMEM;
    subscription->owner = subscriber->owner;
    subscription->user = subscriber->user;
    subscription->on_batch_end = subscriber->on_batch_end;
    subscription->on_close = subscriber->on_close;
    subscription->routes_count = subscriber->routes_count;
    subscription->wants_last = subscriber->wants_last;
    subscription->name = (char *)subscription + sizeof *subscription + routes_bytes;
    memcpy(subscription->name, name, name_bytes);
    char *text = subscription->name + name_bytes + 1;
    for (uint32_t i = 0; i < subscriber->routes_count; i++) {
        struct route *route = &subscription->routes[i];
        route->subscription = subscription;
        route->handler = subscriber->routes[i].handler;
        route->priority = subscriber->routes[i].priority;
        route->pattern = strcpy(text, subscriber->routes[i].pattern);
        text += strlen(text) + 1;
    }
    *ret = subscription;
    return 0;
}

int subscription_match(struct subscription *subscription, const struct typetable *types)
{
    for (uint32_t i = 0; i < subscription->routes_count; i++) {
        struct route *route = &subscription->routes[i];
        uint32_t before = subscription->entries;
        if (strcmp(route->pattern, TBUS_UNDELIVERED) == 0) {
            add_type(route, TBUS_TYPE_NONE); /* its entries stand where those of "no type" would */
            subscription->entries++;
        }
        for (uint32_t type = TBUS_TYPE_NONE + 1; type < types->count; type++) {
            if (topic_matches(route->pattern, typetable_get(types, type)->description.topic)) {
                add_type(route, type);
                subscription->entries++;
            }
        }
        if (subscription->entries == before && !topic_pattern_is_wild(route->pattern))
            return UV_ENOENT;
    }
    return 0;
}

uint32_t subscription_matches(const struct subscription *subscription, const char *topic)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < subscription->routes_count; i++)
        count += topic_matches(subscription->routes[i].pattern, topic);
    return count;
}

void subscription_close(struct subscription *subscription)
{
    isolated_close(subscription->isolated);
    tbus_mem_free(subscription);
}

struct routing *routing_alloc(uint32_t capacity)
{
    struct routing *routing = tbus_mem_alloc(sizeof *routing + capacity * sizeof routing->entries[0]);
    if (!routing)
        return NULL;
    routing->capacity = capacity;
    return routing;
}

int routing_grow(struct routing **routing, uint32_t more)
{
    uint32_t capacity = (*routing)->capacity + more;
    struct routing *grown = tbus_mem_resize(*routing, sizeof *grown + capacity * sizeof grown->entries[0]);
    if (!grown)
        return UV_ENOMEM;
    grown->capacity = capacity;
    *routing = grown;
    return 0;
}

void routing_link(struct route **list, struct subscription *subscription)
{
    for (uint32_t i = 0; i < subscription->routes_count; i++) {
        struct route *route = &subscription->routes[i], **at = list;
        while (*at && (*at)->priority >= route->priority)
            at = &(*at)->next;
        route->next = *at;
        *at = route;
    }
    subscription->live = true;
}

void routing_unlink(struct route **list, struct subscription *subscription)
{
    for (struct route **at = list; *at;) {
        if ((*at)->subscription == subscription)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
    subscription->live = false;
}

void routing_add_type(struct route *list, uint32_t number, const char *topic)
{
    for (struct route *route = list; route; route = route->next)
        if (topic_matches(route->pattern, topic))
            add_type(route, number);
}

void routing_rebuild(struct routing *routing, const struct route *list, uint32_t types)
{
    uint32_t used = 0;
    routing->types = types;
    for (uint32_t type = 0; type < routing->types; type++) {
        routing->start[type] = used;
        for (const struct route *route = list; route; route = route->next) {
            if (!routing_has_type(route, type))
                continue;
            assert(used < routing->capacity);
            routing->entries[used++] = (struct routing_entry){route->handler, route->subscription};
        }
    }
    routing->start[routing->types] = used;
}
