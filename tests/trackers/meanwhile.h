/* Something that happens while a snapshot is taken: between the look that measures and the one that copies it allocates,
 * with no lock held. Counts live blocks, too. */
#ifndef TESTS_TRACKERS_MEANWHILE_H
#define TESTS_TRACKERS_MEANWHILE_H

#include <stdlib.h>

#include <tallybus/base.h>

struct meanwhile {
    void (*happens)(void *tracker);
    void *tracker;
    int times;    /* it happens at so many allocations from now on */
    int happened; /* so often */
    long live;
    bool within;
};

static inline void *meanwhile_resize(void *memory, size_t bytes, void *user)
{
    struct meanwhile *meanwhile = user;
    if (!meanwhile->within && meanwhile->times > 0) {
        meanwhile->within = true;
        meanwhile->times--;
        meanwhile->happened++;
        meanwhile->happens(meanwhile->tracker);
        meanwhile->within = false;
    }
    void *resized = realloc(memory, bytes);
    meanwhile->live += resized && !memory;
    return resized;
}

static inline void *meanwhile_alloc(size_t bytes, void *user)
{
    return meanwhile_resize(NULL, bytes, user);
}

static inline void meanwhile_free(void *memory, void *user)
{
    struct meanwhile *meanwhile = user;
    meanwhile->live -= memory != NULL;
    free(memory);
}

/* Before the tracker is opened, with `times` 0. */
static inline void meanwhile_install(struct meanwhile *meanwhile)
{
    const tbus_allocator_t allocator = {meanwhile_alloc, meanwhile_resize, meanwhile_free, meanwhile};
    if (tbus_set_allocator(&allocator) != 0)
        abort();
}

/* After it is closed. */
static inline void meanwhile_remove(void)
{
    if (tbus_set_allocator(NULL) != 0)
        abort();
}

#endif
