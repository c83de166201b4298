/* An allocator for tests: counts what is live, and lets one allocation of the library fail; each in turn with
 * oom_try_each().
 *
 * fail_at -1 only counts. Everything allocated while it is installed must be freed before it is removed. Any thread may
 * allocate meanwhile. */
#ifndef TESTS_OOM_H
#define TESTS_OOM_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <tallybus/base.h>

#include "tests/check.h"

struct oom {
    long fail_at;      /* the allocation that fails: 0 = the first; -1 = none */
    long nth;          /* the same, from oom_arm() on */
    bool keep_failing; /* and all after it */
    atomic_long calls; /* allocations and resizes asked for */
    atomic_long failed;
    atomic_long live; /* blocks not freed yet */
    atomic_size_t bytes_live, bytes_peak;
};

/* In front of each block: its size, as large as the strictest alignment. */
union oom_head {
    size_t bytes;
    max_align_t align;
};

static inline bool oom_refuses(struct oom *oom)
{
    long call = atomic_fetch_add(&oom->calls, 1);
    if (oom->fail_at < 0 || call < oom->fail_at || (call > oom->fail_at && !oom->keep_failing))
        return false;
    atomic_fetch_add(&oom->failed, 1);
    return true;
}

static inline void oom_grew(struct oom *oom, size_t bytes)
{
    size_t live = atomic_fetch_add(&oom->bytes_live, bytes) + bytes, peak = atomic_load(&oom->bytes_peak);
    while (live > peak && !atomic_compare_exchange_weak(&oom->bytes_peak, &peak, live))
        ;
}

/* Always a new block, so that a pointer kept across a resize is caught; the old bytes stay live until copied, as in the
 * worst case of realloc(). */
static inline void *oom_resize(void *memory, size_t bytes, void *user)
{
    struct oom *oom = user;
    union oom_head *old = memory ? (union oom_head *)memory - 1 : NULL, *head = NULL;

    if (oom_refuses(oom) || bytes > SIZE_MAX - sizeof *head || !(head = malloc(sizeof *head + bytes)))
        return NULL;
    head->bytes = bytes;
    oom_grew(oom, bytes);
    if (!old) {
        memset(head + 1, 0xa5, bytes);
        atomic_fetch_add(&oom->live, 1);
        return head + 1;
    }
    memcpy(head + 1, old + 1, old->bytes < bytes ? old->bytes : bytes);
    atomic_fetch_sub(&oom->bytes_live, old->bytes);
    free(old);
    return head + 1;
}

static inline void *oom_alloc(size_t bytes, void *user)
{
    return oom_resize(NULL, bytes, user);
}

static inline void oom_release(void *memory, void *user)
{
    struct oom *oom = user;
    if (!memory)
        return;
    union oom_head *head = (union oom_head *)memory - 1;
    atomic_fetch_sub(&oom->bytes_live, head->bytes);
    atomic_fetch_sub(&oom->live, 1);
    free(head);
}

static inline void oom_install(struct oom *oom)
{
    tbus_allocator_t allocator = {oom_alloc, oom_resize, oom_release, oom};
    if (tbus_set_allocator(&allocator) != 0)
        abort();
}

static inline void oom_remove(void)
{
    if (tbus_set_allocator(NULL) != 0)
        abort();
}

static inline void oom_arm(struct oom *oom)
{
    oom->fail_at = atomic_load(&oom->calls) + oom->nth;
}

static inline void oom_disarm(struct oom *oom)
{
    oom->fail_at = -1;
}

/* Does the same again and again, each time with another allocation that fails of those between oom_arm() and
 * oom_disarm() or the end: it must say UV_ENOMEM and free whatever it has allocated, and 0 when none is left to fail.
 * Returns how many there are. */
static inline long oom_try_each(int (*tried)(struct oom *oom))
{
    for (long nth = 0;; nth++) {
        struct oom oom = {.fail_at = -1, .nth = nth};
        oom_install(&oom);
        int error = tried(&oom);
        oom_remove();
        cr_assert_eq(oom.live, 0, "allocation %ld", nth);
        cr_assert_eq(error, oom.failed ? UV_ENOMEM : 0, "allocation %ld: %d", nth, error);
        if (!oom.failed)
            return nth;
    }
}

#endif
