/* The registry of subscriptions, and how they begin and end. What a change needs (the subscription, its aside, the
 * memory for the next table) is allocated here, by the caller and under the registry's lock, so that its turn on the
 * loop thread can not fail. An aside is added under the same lock: the tables of later asides must have room for all
 * earlier ones. */
#include "bus/bus.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bus/topic.h"

static struct aside_item *item_open(tbus_t *bus, enum aside_kind kind, uint32_t more_entries)
{
    struct aside_item *item = tbus_mem_alloc(sizeof *item);
    if (!item)
        return NULL;
    item->kind = kind;
    item->routing = routing_alloc(bus->entries + more_entries);
    if (item->routing)
        return item;
    tbus_mem_free(item);
    return NULL;
}

static int reserve_place_locked(tbus_t *bus)
{
    if (bus->subscriptions_count < bus->subscriptions_room)
        return 0;
    uint32_t room = bus->subscriptions_room ? 2 * bus->subscriptions_room : 16;
    struct subscription **grown = tbus_mem_resize(bus->subscriptions, room * sizeof *grown);
    if (!grown)
        return UV_ENOMEM;
    bus->subscriptions = grown;
    bus->subscriptions_room = room;
    return 0;
}

/* Where the subscription with this number stands, or would stand. */
static uint32_t place_of_locked(const tbus_t *bus, int64_t id)
{
    uint32_t low = 0, high = bus->subscriptions_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (bus->subscriptions[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct subscription *find_locked(const tbus_t *bus, int64_t id)
{
    uint32_t place = place_of_locked(bus, id);
    return place < bus->subscriptions_count && bus->subscriptions[place]->id == id ? bus->subscriptions[place] : NULL;
}

/* An item's turn comes at once on the loop thread, unless it ends what has not begun yet; else behind the events
 * published so far. */
static void submit_locked(tbus_t *bus, struct aside_item *item, bool at_once)
{
    item->by_loop_thread = at_once;
    if (at_once) {
        subscribe_apply(bus, item);
        return;
    }
    aside_add(&bus->aside, &bus->ring, item);
}

/* What must happen outside the lock once an item has been submitted. */
static void submitted(tbus_t *bus, bool on_loop_thread)
{
    if (!on_loop_thread)
        bus_wake(bus);
    else if (!bus->in_batch)
        dispatch_settle(bus);
}

static int64_t add_locked(tbus_t *bus, struct subscription *subscription, bool on_loop_thread)
{
    if (bus_state(bus) != BUS_OPEN)
        return UV_ESHUTDOWN;
    int error = subscription_match(subscription, &bus->types);
    if (error == 0)
        error = reserve_place_locked(bus);
    if (error)
        return error;
    struct aside_item *item = item_open(bus, ASIDE_BEGIN, subscription->entries);
    if (!item)
        return UV_ENOMEM;
    /* What is still to come was sized without this one, which takes effect before it. */
    if (on_loop_thread && aside_make_room(&bus->aside, subscription->entries) != 0) {
        tbus_mem_free(item->routing);
        tbus_mem_free(item);
        return UV_ENOMEM;
    }
    item->subscriptions = subscription;
    subscription->id = ++bus->last_subscription;
    bus->subscriptions[bus->subscriptions_count++] = subscription;
    bus->entries += subscription->entries;
    submit_locked(bus, item, on_loop_thread);
    return bus->last_subscription;
}

int64_t tbus_subscriber_add(tbus_t *bus, const tbus_subscriber_t *subscriber)
{
    struct subscription *subscription;
    if (!bus)
        return UV_EINVAL;
    int error = subscription_open(subscriber, &subscription);
    if (error)
        return error;
    guard_open(&subscription->guard, subscriber, bus->slow_handler_ns);
    if (subscriber->mode == TBUS_ISOLATED)
        error = isolated_open(bus, subscription, subscriber->isolated_queue_bytes, &subscription->isolated);
    if (error) {
        subscription_close(subscription);
        return error;
    }
    bool on_loop_thread = bus_on_loop_thread(bus);
    uv_mutex_lock(&bus->registry);
    int64_t id = add_locked(bus, subscription, on_loop_thread);
    uv_mutex_unlock(&bus->registry);
    if (id < 0) {
        subscription_close(subscription);
        return id;
    }
    /* On the loop thread it has begun; its handlers must not be called under the lock. */
    if (on_loop_thread && subscription->wants_last) {
        bool in_batch = bus->in_batch;
        bus->in_batch = true; /* a handler that ends its subscription must not have it freed under its feet */
        dispatch_last(bus, subscription);
        bus->in_batch = in_batch;
    }
    submitted(bus, on_loop_thread);
    return id;
}

int64_t tbus_subscribe(tbus_t *bus, const char *pattern, int32_t priority, tbus_handler handler, void *user)
{
    tbus_route_t route = {pattern, priority, handler};
    tbus_subscriber_t subscriber = {.name = pattern, .routes = &route, .routes_count = 1, .user = user};
    return tbus_subscriber_add(bus, &subscriber);
}

/* Whether there is anything to end. */
static bool any_locked(const tbus_t *bus, int64_t id, const void *owner)
{
    if (!owner)
        return find_locked(bus, id) != NULL;
    for (uint32_t i = 0; i < bus->subscriptions_count; i++)
        if (bus->subscriptions[i]->owner == owner)
            return true;
    return false;
}

/* Ends those of the registry that are meant: by number, or by owner where that is not NULL. Returns how many. */
static int end_locked(tbus_t *bus, int64_t id, const void *owner, bool on_loop_thread)
{
    struct subscription *chain = NULL;
    bool all_live = true;
    int count = 0;

    if (bus_state(bus) != BUS_OPEN)
        return UV_ESHUTDOWN;
    if (!any_locked(bus, id, owner))
        return 0;
    struct aside_item *item = item_open(bus, ASIDE_END, 0);
    if (!item)
        return UV_ENOMEM;
    for (uint32_t i = owner ? 0 : place_of_locked(bus, id); i < bus->subscriptions_count; i++) {
        struct subscription *subscription = bus->subscriptions[i];
        if (!owner && subscription->id != id)
            break;
        if (owner && subscription->owner != owner)
            continue;
        if (on_loop_thread)
            subscription->ended = true; /* at once, even where another thread is ending it already */
        if (subscription->ending)
            continue;
        subscription->ending = true;
        subscription->next_ending = chain;
        chain = subscription;
        count++;
        all_live = all_live && (!on_loop_thread || subscription->live);
    }
    item->subscriptions = chain;
    if (count == 0) { /* all of them are ending already */
        tbus_mem_free(item->routing);
        tbus_mem_free(item);
        return 0;
    }
    submit_locked(bus, item, on_loop_thread && all_live);
    return count;
}

static int end(tbus_t *bus, int64_t id, const void *owner)
{
    bool on_loop_thread = bus_on_loop_thread(bus);
    uv_mutex_lock(&bus->registry);
    int count = end_locked(bus, id, owner, on_loop_thread);
    uv_mutex_unlock(&bus->registry);
    if (count > 0)
        submitted(bus, on_loop_thread);
    return count;
}

int tbus_unsubscribe(tbus_t *bus, int64_t subscription)
{
    if (!bus)
        return UV_EINVAL;
    int count = end(bus, subscription, NULL);
    return count > 0 ? 0 : count == 0 ? UV_ENOENT : count;
}

bool subscribe_is_own_thread(tbus_t *bus)
{
    bool own = false;
    uv_mutex_lock(&bus->registry);
    for (uint32_t i = 0; i < bus->subscriptions_count && !own; i++)
        own = isolated_is_self(bus->subscriptions[i]->isolated);
    uv_mutex_unlock(&bus->registry);
    return own;
}

int tbus_unsubscribe_wait(tbus_t *bus, int64_t subscription)
{
    if (!bus)
        return UV_EINVAL;
    if (bus_on_loop_thread(bus) || subscribe_is_own_thread(bus))
        return UV_EBUSY;
    int error = tbus_unsubscribe(bus, subscription);
    if (error == UV_ENOMEM)
        return error;
    uv_mutex_lock(&bus->registry);
    while (find_locked(bus, subscription))
        uv_cond_wait(&bus->registry_changed, &bus->registry);
    uv_mutex_unlock(&bus->registry);
    return error;
}

int tbus_unsubscribe_owner(tbus_t *bus, const void *owner)
{
    return !bus || !owner ? UV_EINVAL : end(bus, 0, owner);
}

int tbus_keep_last(tbus_t *bus, const char *pattern)
{
    int count = 0;
    if (!bus || !topic_pattern_valid(pattern))
        return UV_EINVAL;
    struct bus_type *type;
    for (uint32_t number = TBUS_TYPE_NONE + 1; (type = typetable_get(&bus->types, number)); number++) {
        if (topic_matches(pattern, type->description.topic)) {
            atomic_store_explicit(&type->keeps_last, 1, memory_order_relaxed);
            count++;
        }
    }
    return count ? count : UV_ENOENT;
}

/* --- Types --- */

static int register_locked(tbus_t *bus, struct bus_type *type, bool on_loop_thread, uint32_t *ret_number)
{
    const char *topic = type->description.topic;
    uint32_t more = 0;

    if (bus_state(bus) != BUS_OPEN)
        return UV_ESHUTDOWN;
    if (tbus_type_number(bus, topic) != TBUS_TYPE_NONE)
        return UV_EEXIST;
    if (bus->types.count == TBUS_TYPES_MAX)
        return UV_ENOSPC;
    for (uint32_t i = 0; i < bus->subscriptions_count; i++)
        more += subscription_matches(bus->subscriptions[i], topic);
    struct aside_item *item = item_open(bus, ASIDE_TYPE, more);
    if (!item)
        return UV_ENOMEM;
    for (uint32_t i = 0; i < bus->subscriptions_count; i++)
        bus->subscriptions[i]->entries += subscription_matches(bus->subscriptions[i], topic);
    bus->entries += more;
    *ret_number = item->type = typetable_add(&bus->types, type);
    /* In its turn even on the loop thread: a subscription that is still to begin was matched without this type. */
    submit_locked(bus, item, on_loop_thread && atomic_load(&bus->aside.due) == ASIDE_NONE);
    return 0;
}

int tbus_type_register(tbus_t *bus, const tbus_type_t *description, uint32_t *ret_number)
{
    struct bus_type *type;
    if (!bus || !ret_number)
        return UV_EINVAL;
    int error = typetable_copy(description, &type);
    if (error)
        return error;
    bool on_loop_thread = bus_on_loop_thread(bus);
    uv_mutex_lock(&bus->registry);
    error = register_locked(bus, type, on_loop_thread, ret_number);
    uv_mutex_unlock(&bus->registry);
    if (error)
        tbus_mem_free(type);
    else
        submitted(bus, on_loop_thread);
    return error;
}

const tbus_type_t *tbus_type_of(const tbus_t *bus, uint32_t number)
{
    if (!bus)
        return tbus_builtin_type(number);
    const struct bus_type *type = typetable_get(&bus->types, number);
    return type ? &type->description : NULL;
}

uint32_t tbus_type_number(const tbus_t *bus, const char *topic)
{
    const struct bus_type *type;
    if (!bus || !topic)
        return tbus_builtin_type_number(topic);
    for (uint32_t number = TBUS_TYPE_NONE + 1; (type = typetable_get(&bus->types, number)); number++)
        if (strcmp(type->description.topic, topic) == 0)
            return number;
    return TBUS_TYPE_NONE;
}

/* --- On the loop thread --- */

static void apply_end(tbus_t *bus, struct subscription *chain)
{
    while (chain) {
        struct subscription *subscription = chain;
        chain = subscription->next_ending;
        subscription->ended = true;
        routing_unlink(&bus->routes, subscription);
        bus_add_ending(bus, subscription);
    }
}

void subscribe_apply(tbus_t *bus, struct aside_item *item)
{
    switch (item->kind) {
    case ASIDE_BEGIN:
        routing_link(&bus->routes, item->subscriptions);
        break;
    case ASIDE_END:
        apply_end(bus, item->subscriptions);
        break;
    case ASIDE_TYPE:
        bus->types_routed = item->type + 1;
        routing_add_type(bus->routes, item->type, typetable_get(&bus->types, item->type)->description.topic);
        break;
    case ASIDE_EVENT:
        assert(!"events are not subscriptions");
        break;
    }
    if (item->routing) { /* else one with the same position comes next, and has the table for both */
        routing_rebuild(item->routing, bus->routes, bus->types_routed);
        dispatch_set_routing(bus, item->routing);
    }
    if (item->kind == ASIDE_BEGIN && item->subscriptions->wants_last && !item->by_loop_thread)
        dispatch_last(bus, item->subscriptions);
    tbus_mem_free(item);
}

void subscribe_finish(tbus_t *bus, struct subscription *subscription)
{
    assert(!bus->in_batch);
    if (subscription->on_close)
        subscription->on_close(subscription->user);
    uv_mutex_lock(&bus->registry);
    uint32_t place = place_of_locked(bus, subscription->id);
    assert(bus->subscriptions[place] == subscription);
    bus->subscriptions_count--;
    memmove(&bus->subscriptions[place], &bus->subscriptions[place + 1],
            (bus->subscriptions_count - place) * sizeof(bus->subscriptions[0]));
    bus->entries -= subscription->entries;
    uv_cond_broadcast(&bus->registry_changed);
    uv_mutex_unlock(&bus->registry);
    subscription_close(subscription);
}

void subscribe_end_all(tbus_t *bus)
{
    struct aside_item *item;
    while ((item = aside_take(&bus->aside))) {
        bus->report.remained += item->kind == ASIDE_EVENT;
        tbus_mem_free(item->routing);
        tbus_mem_free(item);
    }
    /* What was not on its way out already goes now, the oldest first. */
    uv_mutex_lock(&bus->registry);
    for (uint32_t i = bus->subscriptions_count; i > 0; i--) {
        struct subscription *subscription = bus->subscriptions[i - 1];
        if (!subscription->in_ending) {
            subscription->ended = true;
            bus_add_ending(bus, subscription);
        }
    }
    uv_mutex_unlock(&bus->registry);
}

static tbus_subscriber_stats_t stats_locked(const struct subscription *subscription)
{
    tbus_subscriber_stats_t stats = {.subscription = subscription->id};
    snprintf(stats.name, sizeof stats.name, "%s", subscription->name);
    guard_stats(&subscription->guard, &stats);
    if (subscription->isolated) {
        stats.mode = TBUS_ISOLATED;
        isolated_stats(subscription->isolated, &stats);
    }
    return stats;
}

int tbus_stats_of_subscribers(const tbus_t *bus, tbus_subscriber_stats_t *list, size_t room, size_t *ret_count)
{
    if (!bus || !ret_count || (!list && room > 0))
        return UV_EINVAL;
    uv_mutex_lock((uv_mutex_t *)(uintptr_t)&bus->registry);
    *ret_count = bus->subscriptions_count;
    for (size_t i = 0; i < bus->subscriptions_count && i < room; i++)
        list[i] = stats_locked(bus->subscriptions[i]);
    uv_mutex_unlock((uv_mutex_t *)(uintptr_t)&bus->registry);
    return 0;
}

int tbus_stats_of_subscription(const tbus_t *bus, int64_t subscription, tbus_subscriber_stats_t *ret_stats)
{
    if (!bus || !ret_stats)
        return UV_EINVAL;
    uv_mutex_lock((uv_mutex_t *)(uintptr_t)&bus->registry);
    const struct subscription *found = find_locked(bus, subscription);
    if (found)
        *ret_stats = stats_locked(found);
    uv_mutex_unlock((uv_mutex_t *)(uintptr_t)&bus->registry);
    return found ? 0 : UV_ENOENT;
}
