#include "bus/aside.h"

#include "bus/ring.h"
#include "bus/routing.h"

int aside_open(struct aside *aside)
{
    aside->first = aside->last = NULL;
    atomic_init(&aside->due, ASIDE_NONE);
    return uv_mutex_init(&aside->lock);
}

void aside_close(struct aside *aside)
{
    uv_mutex_destroy(&aside->lock);
}

void aside_add(struct aside *aside, const struct ring *ring, struct aside_item *item)
{
    uv_mutex_lock(&aside->lock);
    item->next = NULL;
    item->position = ring_position_of(atomic_load_explicit(&ring->tail, memory_order_seq_cst));
    if (aside->last && item->routing && aside->last->position == item->position) {
        tbus_mem_free(aside->last->routing);
        aside->last->routing = NULL;
    }
    if (aside->last)
        aside->last->next = item;
    else
        aside->first = item;
    aside->last = item;
    atomic_store_explicit(&aside->due, aside->first->position, memory_order_seq_cst);
    uv_mutex_unlock(&aside->lock);
}

int aside_make_room(struct aside *aside, uint32_t more)
{
    int error = 0;
    uv_mutex_lock(&aside->lock);
    for (struct aside_item *item = aside->first; item && error == 0; item = item->next)
        if (item->routing)
            error = routing_grow(&item->routing, more);
    uv_mutex_unlock(&aside->lock);
    return error;
}

bool aside_is_due(struct aside *aside, uint64_t position)
{
    uint64_t due = atomic_load_explicit(&aside->due, memory_order_seq_cst);
    return due != ASIDE_NONE && ring_distance(position, due) <= RING_POSITION_MASK / 2;
}

bool aside_first_is_event(struct aside *aside)
{
    uv_mutex_lock(&aside->lock);
    bool is = aside->first && aside->first->kind == ASIDE_EVENT;
    uv_mutex_unlock(&aside->lock);
    return is;
}

struct aside_item *aside_take(struct aside *aside)
{
    uv_mutex_lock(&aside->lock);
    struct aside_item *item = aside->first;
    if (item) {
        aside->first = item->next;
        if (!aside->first)
            aside->last = NULL;
        atomic_store_explicit(&aside->due, aside->first ? aside->first->position : ASIDE_NONE, memory_order_seq_cst);
    }
    uv_mutex_unlock(&aside->lock);
    return item;
}
