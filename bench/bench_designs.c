/* What other queues would make of publishing, and what bounds it: the same event, measured and laid out by the bus's own
 * code (record_plain.h), put into
 *   design.granules_cas  the bus's ring: runs of granules, claimed by compare-and-swap
 *   design.granules_faa  the same claimed by fetch-and-add; it looks at the room before, so it could overrun the ring
 *   design.slots_cas     slots of 192 bytes with a sequence number each; longer events would need another home
 *   design.slots_faa     the same claimed by fetch-and-add; a full queue can only be waited for, not refused
 *   design.blocks        blocks of 64 granules that a thread claims at a time: no atomic operation for an event, but no
 *                        order between threads either, unless a block were taken from its thread for each switch
 *   design.copy          nothing: only measured and laid out, into memory that is in the nearest cache
 * One thread, bursts that fit, drained between them; the loop and the call count in each. */
#include <stdlib.h>

#include "bench/bare_ring.h"
#include "bench/cores.h"
#include "bench/events.h"
#include "bench/harness.h"
#include "bus/record_plain.h"
#include "bus/ring.h"

enum {
    BURST = 8192,
    RING_BYTES = 4 << 20,
    SLOT_BYTES = sizeof(struct flat_event),
    BLOCK = 64,
    SCRATCH = 256,
    SCRATCHES = 8
};

struct design {
    struct ring ring;
    struct bare_ring *slots;
    uint64_t block, block_end; /* granules of the thread's block that are left */
    uint64_t turn;
    unsigned char *scratch;
    struct event_source source;
};

static const uint32_t strings[] = {offsetof(tbus_stream_token_generated_t, stream_id),
                                   offsetof(tbus_stream_token_generated_t, token),
                                   offsetof(tbus_stream_token_generated_t, kind)};
static const struct plain_shape shape = {sizeof(tbus_stream_token_generated_t), sizeof strings / sizeof strings[0],
                                         strings};

/* --- Ways to put one event. Each is given the event measured; false = there was no room. --- */

struct measured {
    const tbus_event_t *event;
    struct plain_strings strings;
    uint32_t granules;
};

PLAIN_INLINE void lay_out(const struct measured *measured, unsigned char *at)
{
    plain_write(&measured->strings, &shape, measured->event, TBUS_STREAM_TOKEN_GENERATED, at);
}

PLAIN_INLINE bool fill(const struct measured *measured, unsigned char *record)
{
    lay_out(measured, record + RING_HEADER_BYTES);
    ring_commit(record, RING_EVENT, measured->granules);
    return true;
}

PLAIN_INLINE bool put_granules_cas(struct design *design, const struct measured *measured)
{
    unsigned char *record;
    return ring_claim(&design->ring, measured->granules, design->ring.size, &record) == 0 && fill(measured, record);
}

PLAIN_INLINE bool put_granules_faa(struct design *design, const struct measured *measured)
{
    struct ring *ring = &design->ring;
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed), granules = measured->granules;
    uint64_t used = ring_distance(ring_position_of(tail) + granules, atomic_load(&ring->head_seen));
    if (used > ring->size || (ring_position_of(tail) & ring->mask) + granules > ring->size ||
        ring_events_of(tail + 2) == 0)
        return put_granules_cas(design, measured);
    tail = atomic_fetch_add(&ring->tail, (granules << 24) + 2);
    uint64_t at = ring_position_of(tail) & ring->mask;
    ring_fetch_ahead(ring, at);
    return fill(measured, ring->granules + at * RING_GRANULE);
}

PLAIN_INLINE bool fill_slot(const struct measured *measured, _Atomic uint64_t *slot, uint64_t position)
{
    lay_out(measured, (unsigned char *)(slot + 1));
    atomic_store_explicit(slot, position + 1, memory_order_release);
    return true;
}

PLAIN_INLINE bool put_slots_cas(struct design *design, const struct measured *measured)
{
    uint64_t position = atomic_load_explicit(&design->slots->tail, memory_order_relaxed);
    _Atomic uint64_t *slot = bare_ring_slot(design->slots, position, SLOT_BYTES);
    return atomic_load_explicit(slot, memory_order_acquire) == position &&
           atomic_compare_exchange_strong(&design->slots->tail, &position, position + 1) &&
           fill_slot(measured, slot, position);
}

PLAIN_INLINE bool put_slots_faa(struct design *design, const struct measured *measured)
{
    uint64_t position = atomic_fetch_add(&design->slots->tail, 1);
    _Atomic uint64_t *slot = bare_ring_slot(design->slots, position, SLOT_BYTES);
    return atomic_load_explicit(slot, memory_order_acquire) == position && fill_slot(measured, slot, position);
}

static bool next_block(struct design *design)
{
    unsigned char *record;
    if (design->block_end > design->block)
        ring_commit(design->ring.granules + design->block * RING_GRANULE, RING_PADDING,
                    (uint32_t)(design->block_end - design->block));
    design->block = design->block_end = 0;
    if (ring_claim(&design->ring, BLOCK, design->ring.size, &record) != 0)
        return false;
    design->block = (uint64_t)(record - design->ring.granules) / RING_GRANULE;
    design->block_end = design->block + BLOCK;
    return true;
}

PLAIN_INLINE bool put_blocks(struct design *design, const struct measured *measured)
{
    if (design->block + measured->granules > design->block_end && !next_block(design))
        return false;
    uint64_t at = design->block;
    design->block += measured->granules;
    ring_fetch_ahead(&design->ring, at);
    return fill(measured, design->ring.granules + at * RING_GRANULE);
}

PLAIN_INLINE bool put_copy(struct design *design, const struct measured *measured)
{
    lay_out(measured, design->scratch + design->turn++ % SCRATCHES * SCRATCH);
    return true;
}

/* --- Runs --- */

static void drain(struct design *design)
{
    unsigned char payload[SLOT_BYTES], *record;
    enum ring_kind kind;
    uint32_t granules;
    if (design->block_end > design->block)
        ring_commit(design->ring.granules + design->block * RING_GRANULE, RING_PADDING,
                    (uint32_t)(design->block_end - design->block));
    design->block = design->block_end = 0;
    while ((record = ring_peek(&design->ring, &kind, &granules)))
        ring_pass(&design->ring, record, granules);
    ring_release(&design->ring);
    while (bare_ring_take(design->slots, payload, sizeof payload))
        __asm__ volatile("" : : "r"(payload) : "memory");
}

/* A publish function of the bus's is called, not inlined; so are these. */
#define DESIGN(name)                                                                                                   \
    static __attribute__((noinline)) bool publish_##name(struct design *design, const tbus_event_t *event)             \
    {                                                                                                                  \
        struct measured measured = {.event = event};                                                                   \
        uint32_t bytes;                                                                                                \
        if (event->request_id || !plain_is_bare(event) || !plain_measure(&measured.strings, &shape, event, &bytes))    \
            return false;                                                                                              \
        measured.granules = ring_granules_for(shape.size_bytes + bytes);                                               \
        return put_##name(design, &measured);                                                                          \
    }                                                                                                                  \
    static double run_##name(void *state, uint64_t operations)                                                         \
    {                                                                                                                  \
        struct design *design = state;                                                                                 \
        uint64_t spent_ns = 0, bursts = operations / BURST + 1;                                                        \
        cores_pin(0, 1);                                                                                               \
        for (uint64_t burst = 0; burst < bursts; burst++) {                                                            \
            const uint64_t begin_ns = uv_hrtime();                                                                     \
            int failures = 0;                                                                                          \
            for (int i = 0; i < BURST; i++) {                                                                          \
                failures += !publish_##name(design, &event_source_get(&design->source)->token.base);                   \
                event_source_advance(&design->source);                                                                 \
            }                                                                                                          \
            spent_ns += uv_hrtime() - begin_ns;                                                                        \
            bench_require(failures == 0, "a burst that fits");                                                         \
            drain(design);                                                                                             \
        }                                                                                                              \
        cores_unpin();                                                                                                 \
        return (double)spent_ns / (double)(bursts * BURST);                                                            \
    }

DESIGN(granules_cas)
DESIGN(granules_faa)
DESIGN(slots_cas)
DESIGN(slots_faa)
DESIGN(blocks)
DESIGN(copy)

static void *open_design(void)
{
    struct design *design = aligned_alloc(64, (sizeof *design + 63) / 64 * 64);
    bench_require(design != NULL, "aligned_alloc");
    memset(design, 0, sizeof *design);
    bench_require(ring_open(&design->ring, RING_BYTES) == 0, "ring_open");
    design->slots = aligned_alloc(128, bare_ring_bytes(SLOT_BYTES));
    design->scratch = calloc(SCRATCHES, SCRATCH);
    bench_require(design->slots && design->scratch, "aligned_alloc");
    bare_ring_init(design->slots, SLOT_BYTES);
    events_init();
    event_source_init(&design->source, true);
    return design;
}

static void close_design(void *state)
{
    struct design *design = state;
    ring_close(&design->ring);
    free(design->slots);
    free(design->scratch);
    free(design);
}

static const struct bench benches[] = {
    {"design.granules_cas", "ns", 400000, open_design, run_granules_cas, close_design},
    {"design.granules_faa", "ns", 400000, open_design, run_granules_faa, close_design},
    {"design.slots_cas", "ns", 400000, open_design, run_slots_cas, close_design},
    {"design.slots_faa", "ns", 400000, open_design, run_slots_faa, close_design},
    {"design.blocks", "ns", 400000, open_design, run_blocks, close_design},
    {"design.copy", "ns", 400000, open_design, run_copy, close_design},
};

const struct bench_list design_benches = {benches, sizeof benches / sizeof *benches, .takes_turns = true};
