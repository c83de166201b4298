#include <stdlib.h>
#include <string.h>

#include <tallybus/base.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *tbus_version(void)
{
    return TEXT(TBUS_VERSION_MAJOR) "." TEXT(TBUS_VERSION_MINOR) "." TEXT(TBUS_VERSION_PATCH);
}

static void *default_alloc(size_t bytes, void *user)
{
    (void)user;
    return malloc(bytes);
}

static void *default_resize(void *memory, size_t bytes, void *user)
{
    (void)user;
    return realloc(memory, bytes);
}

static void default_release(void *memory, void *user)
{
    (void)user;
    free(memory);
}

static const tbus_allocator_t default_allocator = {default_alloc, default_resize, default_release, NULL};

static tbus_allocator_t allocator = {default_alloc, default_resize, default_release, NULL}; /* [const while in use] */

int tbus_set_allocator(const tbus_allocator_t *wanted)
{
    if (!wanted)
        wanted = &default_allocator;
    if (!wanted->alloc || !wanted->resize || !wanted->release)
        return UV_EINVAL;
    allocator = *wanted;
    return 0;
}

void *tbus_mem_alloc(size_t bytes)
{
    void *memory = allocator.alloc(bytes ? bytes : 1, allocator.user);
    if (memory)
        memset(memory, 0, bytes ? bytes : 1);
    return memory;
}

void *tbus_mem_resize(void *memory, size_t bytes)
{
    return allocator.resize(memory, bytes ? bytes : 1, allocator.user);
}

void tbus_mem_free(void *memory)
{
    if (memory)
        allocator.release(memory, allocator.user);
}
