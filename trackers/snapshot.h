/* A snapshot in one block of memory: the struct, then its arrays and strings, each taken from the block in turn.
 *
 *     do: lock; bytes = what it takes now; unlock; snapshot_block_open(block, bytes + some); lock; fill; unlock
 *     until it fitted
 *
 * A take past the end returns NULL and marks the block as overflowed, so that a fill need check only once, at its end.
 */
#ifndef TRACKERS_SNAPSHOT_H
#define TRACKERS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <tallybus/base.h>

struct snapshot_block {
    char *memory;
    size_t bytes, used;
    bool overflowed;
};

/* Room for `bytes`, zeroed. Errors: UV_ENOMEM. */
static inline int snapshot_block_open(struct snapshot_block *block, size_t bytes)
{
    *block = (struct snapshot_block){.memory = tbus_mem_alloc(bytes), .bytes = bytes};
    return block->memory ? 0 : UV_ENOMEM;
}

/* What `bytes` take in a block. */
static inline size_t snapshot_rounded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

static inline void *snapshot_take(struct snapshot_block *block, size_t bytes)
{
    bytes = snapshot_rounded(bytes);
    if (bytes > block->bytes - block->used) {
        block->overflowed = true;
        return NULL;
    }
    void *taken = block->memory + block->used;
    block->used += bytes;
    return taken;
}

/* A copy of `length` bytes and a NUL. */
static inline const char *snapshot_text(struct snapshot_block *block, const char *text, size_t length)
{
    char *copy = snapshot_take(block, length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

#endif
