#include "bus/ring.h"

#include <assert.h>
#include <string.h>

static_assert(2 * sizeof(_Atomic uint64_t) == RING_HEADER_BYTES, "a lock-free word and a stamp");
static_assert(RING_GRANULE % 64 == 0, "granules start on cache lines");

int ring_open(struct ring *ring, uint64_t bytes)
{
    assert(bytes >= RING_GRANULE && (bytes & (bytes - 1)) == 0);
    assert(bytes / RING_GRANULE <= RING_EVENTS_MASK / 2 + 1);
    memset(ring, 0, sizeof *ring);
    ring->allocation = tbus_mem_alloc(bytes + (1 + RING_AHEAD_GRANULES) * RING_GRANULE);
    if (!ring->allocation)
        return UV_ENOMEM;
    uintptr_t start = ((uintptr_t)ring->allocation + RING_GRANULE - 1) & ~(uintptr_t)(RING_GRANULE - 1);
    ring->granules = (unsigned char *)start;
    ring->size = (uint32_t)(bytes / RING_GRANULE);
    ring->mask = ring->size - 1;
    return 0;
}

void ring_close(struct ring *ring)
{
    tbus_mem_free(ring->allocation);
    ring->allocation = NULL;
}

/* --- Quarantine --- */

static uint32_t run_start(uint64_t run)
{
    return (uint32_t)(run >> 32);
}

static uint32_t run_end(uint64_t run)
{
    return (uint32_t)(run >> 32) + (uint32_t)run;
}

/* The first quarantined run that touches the granules from `start` up to `end`; 0 = none. */
static uint64_t run_within(struct ring *ring, uint32_t start, uint32_t end)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < RING_QUARANTINE_MAX; i++) {
        uint64_t run = atomic_load_explicit(&ring->quarantine[i], memory_order_acquire);
        if (run && run_start(run) < end && run_end(run) > start && (!first || run_start(run) < run_start(first)))
            first = run;
    }
    return first;
}

/* What a claim leaves out before its record: up to the end of the array, up to the end of quarantined runs. `plain` are
 * the stretches of it that are not quarantined. They are noted before the claim and not looked for after it: by then
 * the consumer may have come by a run, have found it resolved and freed it. */
struct padding {
    uint32_t granules, stretches;
    struct stretch {
        uint32_t at, granules;
    } plain[RING_QUARANTINE_MAX + 2];
};

static void leave_out(struct padding *padding, uint32_t at, uint32_t granules)
{
    if (granules == 0)
        return;
    assert(padding->stretches < sizeof padding->plain / sizeof padding->plain[0]);
    padding->plain[padding->stretches++] = (struct stretch){at, granules};
    padding->granules += granules;
}

/* Works out what to leave out for a record when the tail stands at granule `at`. False when it fits nowhere. */
static bool padding_before(struct ring *ring, uint32_t at, uint32_t granules, struct padding *padding)
{
    bool any = atomic_load_explicit(&ring->quarantined, memory_order_acquire) > 0;
    padding->granules = padding->stretches = 0;
    while (padding->granules + granules <= ring->size) {
        uint32_t end = at + granules < ring->size ? at + granules : ring->size;
        uint64_t run = any ? run_within(ring, at, end) : 0;
        if (run) {
            leave_out(padding, at, run_start(run) - at);
            padding->granules += (uint32_t)run;
            at = run_end(run) & (uint32_t)ring->mask;
        } else if (at + granules > ring->size) {
            leave_out(padding, at, ring->size - at);
            at = 0;
        } else {
            return true;
        }
    }
    return false;
}

static void pad(struct ring *ring, const struct padding *padding)
{
    for (uint32_t i = 0; i < padding->stretches; i++)
        ring_commit(ring->granules + (size_t)padding->plain[i].at * RING_GRANULE, RING_PADDING,
                    padding->plain[i].granules);
}

void ring_skip_quarantined(struct ring *ring)
{
    for (;;) {
        uint32_t at = (uint32_t)(ring->read & ring->mask), place = 0;
        uint64_t run = 0;
        for (; place < RING_QUARANTINE_MAX; place++) {
            run = atomic_load_explicit(&ring->quarantine[place], memory_order_relaxed);
            if (run && run_start(run) == at)
                break;
        }
        uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        if (place == RING_QUARANTINE_MAX || ring_position_of(tail) == ring->read)
            return; /* no run here, or no claim has gone around it yet */
        unsigned char *record = ring->granules + (size_t)at * RING_GRANULE;
        uint64_t header = atomic_load_explicit(ring_header_at(record), memory_order_acquire);
        if (ring_kind_of(header) == RING_RESOLVED) {
            atomic_store_explicit(&ring->quarantine[place], 0, memory_order_release);
            ring->runs--;
            atomic_fetch_sub_explicit(&ring->quarantined, 1, memory_order_release);
            ring->quarantined_granules -= (uint32_t)run;
            ring_pass(ring, record, (uint32_t)run);
        } else {
            ring->read = (ring->read + (uint32_t)run) & RING_POSITION_MASK;
        }
    }
}

bool ring_pass_over(struct ring *ring, unsigned char *record, uint32_t granules)
{
    uint32_t at = (uint32_t)((size_t)(record - ring->granules) / RING_GRANULE), place = 0;
    uint64_t found = atomic_load_explicit(ring_header_at(record), memory_order_relaxed);
    while (place < RING_QUARANTINE_MAX && atomic_load_explicit(&ring->quarantine[place], memory_order_relaxed))
        place++;
    if (place == RING_QUARANTINE_MAX || ring->quarantined_granules + granules > ring->size / 4 ||
        ring_kind_of(found) != RING_RESERVED ||
        !atomic_compare_exchange_strong_explicit(ring_header_at(record), &found, ring_header(RING_OVERDUE, granules, 0),
                                                 memory_order_acq_rel, memory_order_relaxed))
        return false;
    atomic_store_explicit(&ring->quarantine[place], (uint64_t)at << 32 | granules, memory_order_release);
    ring->runs++;
    atomic_fetch_add_explicit(&ring->quarantined, 1, memory_order_release);
    ring->quarantined_granules += granules;
    ring->read = (ring->read + granules) & RING_POSITION_MASK;
    return true;
}

/* How far it is from the front to the end of the nearest resolved run; 0 = there is none. */
static uint32_t way_over_resolved(struct ring *ring, uint32_t at)
{
    uint32_t nearest = 0;
    for (uint32_t i = 0; i < RING_QUARANTINE_MAX; i++) {
        uint64_t run = atomic_load_explicit(&ring->quarantine[i], memory_order_relaxed);
        if (!run)
            continue;
        _Atomic uint64_t *header = ring_header_at(ring->granules + (size_t)run_start(run) * RING_GRANULE);
        if (ring_kind_of(atomic_load_explicit(header, memory_order_acquire)) != RING_RESOLVED)
            continue;
        uint32_t way = ((run_start(run) - at) & (uint32_t)ring->mask) + (uint32_t)run;
        if (!nearest || way < nearest)
            nearest = way;
    }
    return nearest;
}

bool ring_has_resolved(struct ring *ring)
{
    return ring->runs > 0 && way_over_resolved(ring, (uint32_t)(ring->read & ring->mask)) > 0;
}

bool ring_step_over(struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t at = (uint32_t)(ring->read & ring->mask), left = way_over_resolved(ring, at);
    struct padding padding = {0};
    if (left == 0 || tail & 1 || ring_position_of(tail) != ring->read ||
        ring->read != atomic_load_explicit(&ring->head, memory_order_relaxed))
        return false;
    uint64_t end = (ring->read + left) & RING_POSITION_MASK;
    while (left > 0) {
        uint32_t stop = at + left < ring->size ? at + left : ring->size;
        uint64_t run = run_within(ring, at, stop);
        uint32_t plain = (run ? run_start(run) : stop) - at, done = run ? run_end(run) - at : plain;
        leave_out(&padding, at, plain);
        left -= done;
        at = (at + done) & (uint32_t)ring->mask;
    }
    if (!atomic_compare_exchange_strong_explicit(&ring->tail, &tail, end << 24 | (uint64_t)ring_events_of(tail) << 1,
                                                 memory_order_seq_cst, memory_order_relaxed))
        return false; /* somebody publishes: there is something to read, and it may lead there */
    pad(ring, &padding);
    return true;
}

/* --- Claims --- */

/* Whether a claim that ends at `end` fits into the ring, and leaves at most `limit` granules in use up to `used`, as
 * far as `head` is known; if not, looks again at the real head. */
static bool fits(struct ring *ring, uint64_t end, uint64_t used, uint32_t limit, uint64_t *head)
{
    if (ring_distance(end, *head) <= ring->size && ring_distance(used, *head) <= limit)
        return true;
    uint64_t newest = atomic_load_explicit(&ring->head, memory_order_acquire);
    if (newest != *head)
        atomic_store_explicit(&ring->head_seen, newest, memory_order_release);
    *head = newest;
    return false;
}

static int claim(struct ring *ring, uint32_t granules, uint32_t limit, bool even_if_shut, unsigned char **ret_record)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head_seen, memory_order_acquire);
    for (;;) {
        if (tail & 1 && !even_if_shut)
            return UV_ESHUTDOWN;
        struct padding padding;
        uint64_t position = ring_position_of(tail), based_on = head;
        uint32_t at = (uint32_t)(position & ring->mask);
        bool any = padding_before(ring, at, granules, &padding);
        uint64_t end = (position + padding.granules + granules) & RING_POSITION_MASK;

        if (!any || !fits(ring, end, (position + granules) & RING_POSITION_MASK, limit, &head)) {
            /* A tail that is behind the head looks like a full ring: only the newest of both may say so. */
            uint64_t newest = atomic_load_explicit(&ring->tail, memory_order_relaxed);
            if (newest == tail && head == based_on)
                return UV_ENOBUFS;
            tail = newest;
            continue;
        }
        uint64_t events = (ring_events_of(tail) + 1) & RING_EVENTS_MASK;
        if (!atomic_compare_exchange_weak_explicit(&ring->tail, &tail, end << 24 | events << 1 | (tail & 1),
                                                   memory_order_seq_cst, memory_order_relaxed))
            continue;
        pad(ring, &padding);
        *ret_record = ring->granules + ((position + padding.granules) & ring->mask) * RING_GRANULE;
        if (ring_is_stamped(events))
            ring_stamp(*ret_record, uv_hrtime());
        return 0;
    }
}

int ring_claim_slowly(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record)
{
    return claim(ring, granules, limit, false, ret_record);
}

int ring_claim_even_if_shut(struct ring *ring, uint32_t granules, unsigned char **ret_record)
{
    return claim(ring, granules, ring->size, true, ret_record);
}

int ring_reserve(struct ring *ring, uint32_t granules, uint32_t limit, uint32_t type, unsigned char **ret_record)
{
    int error = ring_claim(ring, granules, limit, ret_record);
    if (error)
        return error;
    memset(*ret_record + RING_HEADER_BYTES, 0, (size_t)granules * RING_GRANULE - RING_HEADER_BYTES);
    atomic_store_explicit(ring_header_at(*ret_record), ring_header(RING_RESERVED, granules, type),
                          memory_order_release);
    return 0;
}

int ring_resolve(unsigned char *record, enum ring_kind kind)
{
    _Atomic uint64_t *header = ring_header_at(record);
    uint64_t found = atomic_load_explicit(header, memory_order_relaxed);
    uint32_t granules = (uint32_t)found;
    if (ring_kind_of(found) == RING_RESERVED &&
        atomic_compare_exchange_strong_explicit(header, &found, ring_header(kind, granules, ring_type_of(record)),
                                                memory_order_acq_rel, memory_order_acquire))
        return 0;
    assert(ring_kind_of(found) == RING_OVERDUE);
    atomic_store_explicit(header, ring_header(RING_RESOLVED, granules, 0), memory_order_release);
    return UV_ETIMEDOUT;
}

bool ring_shut(struct ring *ring)
{
    return (atomic_fetch_or_explicit(&ring->tail, 1, memory_order_seq_cst) & 1) == 0;
}
