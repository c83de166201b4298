#include "bus/routing.h"

#include <assert.h>
#include <string.h>

#include "bus/topic.h"

enum { ROUTES_MAX = 256 };

static bool has_type(const struct route *route, uint32_t type)
{
    return route->types[type / 64] >> (type % 64) & 1;
}

/* Marks the types that a pattern matches; says how many. */
static uint32_t match_types(struct route *route, const char *pattern)
{
    uint32_t matched = 0;
    for (uint32_t type = TBUS_TYPE_NONE + 1; type < TBUS_TYPE_BUILTIN_END; type++) {
        if (topic_matches(pattern, tbus_builtin_type(type)->topic)) {
            route->types[type / 64] |= UINT64_C(1) << (type % 64);
            matched++;
        }
    }
    return matched;
}

static int add_routes(struct subscription *subscription, const tbus_subscriber_t *subscriber)
{
    for (uint32_t i = 0; i < subscriber->routes_count; i++) {
        const tbus_route_t *wanted = &subscriber->routes[i];
        struct route *route = &subscription->routes[i];
        if (!wanted->handler || !topic_pattern_valid(wanted->pattern))
            return UV_EINVAL;
        route->subscription = subscription;
        route->handler = wanted->handler;
        route->priority = wanted->priority;
        uint32_t matched = match_types(route, wanted->pattern);
        if (matched == 0 && !topic_pattern_is_wild(wanted->pattern))
            return UV_ENOENT;
        subscription->entries += matched;
    }
    return 0;
}

int subscription_open(const tbus_subscriber_t *subscriber, struct subscription **ret)
{
    if (!subscriber || !subscriber->routes || subscriber->routes_count < 1 || subscriber->routes_count > ROUTES_MAX)
        return UV_EINVAL;
    const char *name = subscriber->name ? subscriber->name : "";
    size_t routes_bytes = subscriber->routes_count * sizeof(struct route), name_bytes = strnlen(name, TOPIC_MAX);
    struct subscription *subscription = tbus_mem_alloc(sizeof *subscription + routes_bytes + name_bytes + 1);
    if (!subscription)
        return UV_ENOMEM;
    subscription->owner = subscriber->owner;
    subscription->user = subscriber->user;
    subscription->on_batch_end = subscriber->on_batch_end;
    subscription->on_close = subscriber->on_close;
    subscription->routes_count = subscriber->routes_count;
    subscription->name = (char *)subscription + sizeof *subscription + routes_bytes;
    memcpy(subscription->name, name, name_bytes);
    int error = add_routes(subscription, subscriber);
    if (error) {
        subscription_close(subscription);
        return error;
    }
    *ret = subscription;
    return 0;
}

void subscription_close(struct subscription *subscription)
{
    tbus_mem_free(subscription);
}

struct routing *routing_alloc(uint32_t capacity)
{
    struct routing *routing = tbus_mem_alloc(sizeof *routing + capacity * sizeof routing->entries[0]);
    if (!routing)
        return NULL;
    routing->types = TBUS_TYPE_BUILTIN_END;
    routing->capacity = capacity;
    return routing;
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

void routing_rebuild(struct routing *routing, const struct route *list)
{
    uint32_t used = 0;
    for (uint32_t type = 0; type < routing->types; type++) {
        routing->start[type] = used;
        for (const struct route *route = list; route; route = route->next) {
            if (!has_type(route, type))
                continue;
            assert(used < routing->capacity);
            routing->entries[used++] =
                (struct routing_entry){route->handler, route->subscription->user, route->subscription};
        }
    }
    routing->start[routing->types] = used;
}
