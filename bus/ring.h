/* The queue: one bounded ring of variable-length records, many producers, one consumer, one total order.
 *
 * The ring is an array of 64-byte granules, a power of two of them. A record is a run of granules that does not wrap;
 * its first 8 bytes are its header: 0 while it is not readable, then its kind and its length. The next 8 are a stamp,
 * the monotonic time at which its publisher wrote it, but only of one event in RING_STAMP_EVERY: both sides count events and so know
 * which. It is how the wait in the queue gets known.
 *
 * States of the granules of a record, and who moves them on
 *   free       The first word of each is 0. A producer claims them by moving `tail` over them (compare-and-swap).
 *   claimed    The header is 0. Only the producer that claimed them may write. It stores the header.
 *   committed  The header says kind and length. Only the consumer may touch them. It clears the first word of each and
 *              then moves `head` over them: free.
 *   reserved   The header says RESERVED and length; its owner still writes. The owner makes it committed or aborted, or
 *              the consumer, which has waited too long, overdue: by compare-and-swap, so that one of the two wins.
 *   overdue    Passed over by the consumer; its owner may still write. The owner stores RESOLVED.
 *   resolved   Nobody writes any more. The consumer frees it when it comes by again.
 * A producer whose record does not fit before the end of the array claims the rest of the array with it, and commits
 * that rest as padding.
 *
 * Why a stale word is never taken for a header: a header can only stand at the start of a granule, and the consumer
 * clears the first word of every granule before it frees it. That costs one store to a line it has just read, and makes
 * the ring proof against payloads that look like headers.
 *
 * Quarantine. The granules of an overdue reservation can not be handed out while its owner may still write to them, and
 * nobody knows how long that will be. So the consumer notes the run in a short list before it moves `head` past it, and
 * claims of later laps go around it as they go around the end of the array: they pad up to the run and start behind it.
 * The consumer skips a run that it finds in the list; once it finds it resolved, it clears it and takes it off the
 * list. A claim must load `head` before it reads the list: whoever sees the room behind a run also sees the run.
 *
 * Why each memory order suffices
 *   tail    Claimed by compare-and-swap, sequentially consistent: it is also one half of the wake-up handshake
 *           (bus/bus.h). A claim needs no acquire: what it is about to overwrite was freed by `head`.
 *   head    Stored with release after the clearing and after the last handler has returned; loaded with acquire by a
 *           producer that needs the room. `head_seen` hands such a loaded value on to other producers: release and
 *           acquire again.
 *   header  Stored with release after the payload, loaded with acquire by the consumer before it reads the payload.
 *
 * The tail word carries more than a position, so that one compare-and-swap decides all of it:
 *   bits 63..24  position in granules, modulo 2^40
 *   bits 23..1   events claimed so far, modulo 2^23 (more than a ring can hold): the count of queued events is exact
 *   bit  0       closed: no claim but the consumer's own succeeds any more, so nothing can slip in behind it as it drains */
#ifndef BUS_RING_H
#define BUS_RING_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <tallybus/base.h>

#define RING_GRANULE 64u
#define RING_HEADER_BYTES 16u /* the header word, and the stamp */
#define RING_POSITION_BITS 40
#define RING_POSITION_MASK ((UINT64_C(1) << RING_POSITION_BITS) - 1)
#define RING_EVENTS_MASK ((UINT32_C(1) << 23) - 1)

enum ring_kind { RING_EVENT = 1, RING_PADDING, RING_RESERVED, RING_ABORTED, RING_OVERDUE, RING_RESOLVED };

#define RING_STAMP_EVERY 256

#define RING_QUARANTINE_MAX                                                                                            \
    8 /* overdue reservations at a time, with a quarter of the granules in all; what is more blocks the
                                 ring until it is resolved */

struct ring {
    /* Producers write these: one line for both, since who needs the one needs the other. */
    _Alignas(64) _Atomic uint64_t tail;
    _Atomic uint64_t head_seen;   /* a position that `head` has reached; never ahead of it */
    _Atomic uint32_t quarantined; /* runs in `quarantine`; the consumer writes it, seldom */
    /* The consumer writes these. */
    _Alignas(64) _Atomic uint64_t head; /* granules before it are free */
    uint32_t quarantined_granules;      /* [loop thread] in all runs */
    uint64_t read;                      /* [loop thread] next record; granules from `head` to here are cleared */
    uint32_t runs; /* [loop thread] == quarantined: to look there is to fight for the tail's line */
    /* [const after open] */
    _Alignas(64) unsigned char *granules;
    uint64_t mask; /* granules - 1 */
    uint32_t size; /* granules */
    void *allocation;
    /* Runs of granules: start << 32 | length, 0 = free place. Written by the consumer. */
    _Atomic uint64_t quarantine[RING_QUARANTINE_MAX];
};

/* `bytes`: a power of two. Errors: UV_ENOMEM. */
int ring_open(struct ring *ring, uint64_t bytes);
void ring_close(struct ring *ring);

/* Claims room for a record of `granules` if then at most `limit` granules are in use (padding not counted). Gives the
 * record's start; its header is written by ring_commit(). Errors: UV_ENOBUFS, UV_ESHUTDOWN (the ring is shut).
 * [any thread] */
static inline int ring_claim(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record);

/* The same where nothing stands in the way, in a few instructions and no call. False otherwise. Whether the record must
 * get its stamp is left to the caller. [any thread] */
static inline bool ring_claim_plainly(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record,
                                      bool *ret_stamped);

/* The same for every case: the end of the array, quarantine, too little room as far as is known, contention. */
int ring_claim_slowly(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record);

/* The same for what a consumer that drains a ring which has been shut publishes itself: nobody else can claim any more,
 * so nothing slips in behind it. Errors: UV_ENOBUFS. [loop thread] */
int ring_claim_even_if_shut(struct ring *ring, uint32_t granules, unsigned char **ret_record);

/* Room for a reservation: claimed as above, zeroed; its header says RESERVED and `type`. [any thread] */
int ring_reserve(struct ring *ring, uint32_t granules, uint32_t limit, uint32_t type, unsigned char **ret_record);

/* Ends a reservation as RING_EVENT or RING_ABORTED. Errors: UV_ETIMEDOUT (the consumer has passed over it; nobody will
 * see it). [its owner] */
int ring_resolve(unsigned char *record, enum ring_kind kind);

/* Passes over a reservation at the front that has taken too long. False when its owner was faster, or when the
 * quarantine is full. [loop thread] */
bool ring_pass_over(struct ring *ring, unsigned char *record, uint32_t granules);

/* Brings the consumer to a run that has been resolved when there is nothing to read and so nothing that takes it there:
 * claims the way to it, and the run, as padding. So a quarantine ends without traffic, and resolved runs between short
 * stretches of free granules can not keep long records out for ever. True when it has. [loop thread] */
bool ring_step_over(struct ring *ring);

/* Whether there is one to be brought to. [loop thread] */
bool ring_has_resolved(struct ring *ring);

/* Skips quarantined runs at the front. Called by ring_peek() where there are any. [loop thread] */
void ring_skip_quarantined(struct ring *ring);

/* From now on no claim succeeds. False when it was shut before. [any thread] */
bool ring_shut(struct ring *ring);

/* Whether the event with this number, the first claimed being 1, carries a stamp. */
static inline bool ring_is_stamped(uint64_t event)
{
    return event % RING_STAMP_EVERY == 0;
}

static inline void ring_stamp(unsigned char *record, uint64_t stamp)
{
    memcpy(record + sizeof(uint64_t), &stamp, sizeof stamp);
}

static inline uint64_t ring_stamp_of(const unsigned char *record)
{
    uint64_t stamp;
    memcpy(&stamp, record + sizeof(uint64_t), sizeof stamp);
    return stamp;
}

static inline uint32_t ring_granules_for(uint64_t payload_bytes)
{
    return (uint32_t)((payload_bytes + RING_HEADER_BYTES + RING_GRANULE - 1) / RING_GRANULE);
}

static inline _Atomic uint64_t *ring_header_at(unsigned char *granule)
{
    return (_Atomic uint64_t *)(void *)granule;
}

/* A header: length in bits 0..31, kind in 32..39, and for a reservation its type in 40..63, which must be known without
 * a look at what its owner is still writing. */
static inline uint64_t ring_header(enum ring_kind kind, uint32_t granules, uint32_t type)
{
    return (uint64_t)type << 40 | (uint64_t)kind << 32 | granules;
}

static inline enum ring_kind ring_kind_of(uint64_t header)
{
    return (enum ring_kind)(header >> 32 & 0xFF);
}

/* The type of a reservation. */
static inline uint32_t ring_type_of(const unsigned char *record)
{
    return (uint32_t)(atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)record, memory_order_relaxed) >> 40);
}

/* Whether a record is still its owner's. */
static inline bool ring_is_reserved(unsigned char *record)
{
    enum ring_kind kind = ring_kind_of(atomic_load_explicit(ring_header_at(record), memory_order_relaxed));
    return kind == RING_RESERVED || kind == RING_OVERDUE;
}

/* Makes a record readable. [the thread that claimed it] */
static inline void ring_commit(unsigned char *record, enum ring_kind kind, uint32_t granules)
{
    atomic_store_explicit(ring_header_at(record), ring_header(kind, granules, 0), memory_order_release);
}

/* Asks for a few granules some way ahead, to be written: a line that the other side has written last is then under way
 * while this one works. Both sides write to every granule, so that reading it first would be a second trip. As many for
 * every record, in one row that may go past the end of the array: a loop and a look at the end would cost more than
 * they bring. */
#define RING_AHEAD 12u
#define RING_AHEAD_GRANULES 3u /* what most records take */
static inline void ring_fetch_ahead(const struct ring *ring, uint64_t position)
{
    unsigned char *granule = ring->granules + ((position + RING_AHEAD) & ring->mask) * RING_GRANULE;
#if defined(__x86_64__)
    /* The built-in gives an instruction that only reads, unless told of the very processor; this one is known, or
     * does nothing, on all of them. */
    __asm__ volatile("prefetchw %0\n\tprefetchw %1\n\tprefetchw %2"
                     :
                     : "m"(granule[0]), "m"(granule[RING_GRANULE]), "m"(granule[2 * RING_GRANULE]));
#elif defined(__GNUC__)
    for (uint32_t i = 0; i < RING_AHEAD_GRANULES; i++)
        __builtin_prefetch(granule + i * RING_GRANULE, 1);
#else
    (void)granule;
#endif
}

/* How far `later` is ahead of `earlier`. */
static inline uint64_t ring_distance(uint64_t later, uint64_t earlier)
{
    return (later - earlier) & RING_POSITION_MASK;
}

static inline uint64_t ring_position_of(uint64_t tail)
{
    return tail >> 24;
}

static inline uint32_t ring_events_of(uint64_t tail)
{
    return (uint32_t)(tail >> 1) & RING_EVENTS_MASK;
}

static inline bool ring_claim_plainly(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record,
                                      bool *ret_stamped)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head_seen, memory_order_acquire);
    uint32_t at = (uint32_t)(ring_position_of(tail) & ring->mask);
    uint64_t used = ring_distance(ring_position_of(tail) + granules, head);
    uint64_t next = tail + ((uint64_t)granules << 24) + 2;
    assert(limit <= ring->size);
    /* The last condition: one event more does not carry into the position. */
    if (used > limit || at + granules > ring->size || (tail & 1) ||
        atomic_load_explicit(&ring->quarantined, memory_order_acquire) > 0 || ring_events_of(next) == 0 ||
        !atomic_compare_exchange_strong_explicit(&ring->tail, &tail, next, memory_order_seq_cst, memory_order_relaxed))
        return false;
    ring_fetch_ahead(ring, at);
    *ret_record = ring->granules + (size_t)at * RING_GRANULE;
    *ret_stamped = ring_is_stamped(ring_events_of(next));
    return true;
}

static inline int ring_claim(struct ring *ring, uint32_t granules, uint32_t limit, unsigned char **ret_record)
{
    bool stamped;
    if (!ring_claim_plainly(ring, granules, limit, ret_record, &stamped))
        return ring_claim_slowly(ring, granules, limit, ret_record);
    if (stamped)
        ring_stamp(*ret_record, uv_hrtime());
    return 0;
}

/* The next record and its kind, RING_RESERVED too; NULL when there is none. [loop thread] */
static inline unsigned char *ring_peek(struct ring *ring, enum ring_kind *ret_kind, uint32_t *ret_granules)
{
    if (ring->runs)
        ring_skip_quarantined(ring);
    unsigned char *record = ring->granules + (ring->read & ring->mask) * RING_GRANULE;
    uint64_t header = atomic_load_explicit(ring_header_at(record), memory_order_acquire);
    enum ring_kind kind = ring_kind_of(header);
    if (header == 0 || kind >= RING_OVERDUE) /* an overdue run that no claim has gone around yet is no record */
        return NULL;
    *ret_kind = kind;
    *ret_granules = (uint32_t)header;
    return record;
}

/* Clears a record that has been read and goes on to the next. Its room is not free before ring_release(). [loop thread]
 */
static inline void ring_pass(struct ring *ring, unsigned char *record, uint32_t granules)
{
    for (uint32_t i = 0; i < granules; i++)
        atomic_store_explicit(ring_header_at(record + i * RING_GRANULE), 0, memory_order_relaxed);
    ring->read = (ring->read + granules) & RING_POSITION_MASK;
}

/* Frees the room of all records passed. [loop thread] */
static inline void ring_release(struct ring *ring)
{
    atomic_store_explicit(&ring->head, ring->read, memory_order_release);
}

#endif
