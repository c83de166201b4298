#include "bus/ring.h"

#include <string.h>

#include "tests/check.h"

enum { SMALL = 64 * RING_GRANULE };

static unsigned char *claim(struct ring *ring, uint32_t granules)
{
    unsigned char *record = NULL;
    return ring_claim(ring, granules, ring->size, &record) == 0 ? record : NULL;
}

/* The next event; padding is passed. */
static unsigned char *next_event(struct ring *ring, uint32_t *ret_granules)
{
    enum ring_kind kind;
    unsigned char *record;
    while ((record = ring_peek(ring, &kind, ret_granules)) && kind == RING_PADDING)
        ring_pass(ring, record, *ret_granules);
    return record;
}

Test(ring, records_come_out_in_the_order_of_their_claims_not_of_their_commits)
{
    struct ring ring;
    uint32_t granules = 0;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    unsigned char *first = claim(&ring, 2), *second = claim(&ring, 3);
    ring_commit(second, RING_EVENT, 3);
    cr_assert_null(next_event(&ring, &granules), "the first is not committed yet");
    ring_commit(first, RING_EVENT, 2);
    cr_assert_eq(next_event(&ring, &granules), first);
    cr_assert_eq(granules, 2u);
    ring_pass(&ring, first, 2);
    cr_assert_eq(next_event(&ring, &granules), second);
    cr_assert_eq(granules, 3u);
    ring_close(&ring);
}

Test(ring, a_full_ring_refuses_until_the_consumer_releases)
{
    struct ring ring;
    uint32_t granules = 0;
    unsigned char *record;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int i = 0; i < 16; i++)
        ring_commit(claim(&ring, 4), RING_EVENT, 4);
    cr_assert_eq(ring_claim(&ring, 1, ring.size, &record), UV_ENOBUFS);
    record = next_event(&ring, &granules);
    ring_pass(&ring, record, granules);
    cr_assert_eq(ring_claim(&ring, 1, ring.size, &record), UV_ENOBUFS, "passed, but not released");
    ring_release(&ring);
    cr_assert_eq(ring_claim(&ring, 5, ring.size, &record), UV_ENOBUFS);
    cr_assert_eq(ring_claim(&ring, 4, ring.size, &record), 0);
    ring_close(&ring);
}

Test(ring, a_limit_leaves_the_rest_to_others)
{
    struct ring ring;
    unsigned char *record;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    cr_assert_eq(ring_claim(&ring, 56, 56, &record), 0);
    cr_assert_eq(ring_claim(&ring, 1, 56, &record), UV_ENOBUFS);
    cr_assert_eq(ring_claim(&ring, 8, 64, &record), 0);
    ring_close(&ring);
}

Test(ring, a_record_that_does_not_fit_before_the_end_starts_at_the_beginning)
{
    struct ring ring;
    uint32_t granules = 0;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int i = 0; i < 6; i++) {
        ring_commit(claim(&ring, 10), RING_EVENT, 10);
        ring_pass(&ring, next_event(&ring, &granules), 10);
    }
    ring_release(&ring);
    unsigned char *record = claim(&ring, 10); /* 4 granules are left before the end */
    cr_assert_eq(record, ring.granules);
    ring_commit(record, RING_EVENT, 10);
    cr_assert_eq(next_event(&ring, &granules), record);
    cr_assert_eq(ring_position_of(ring.tail), 74u);
    cr_assert_eq(ring_events_of(ring.tail), 7u, "padding is not an event");
    ring_close(&ring);
}

Test(ring, a_payload_that_looks_like_a_header_is_none)
{
    struct ring ring;
    uint32_t granules = 0;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int lap = 0; lap < 40; lap++) {
        uint32_t size = 1 + (uint32_t)lap % 5;
        unsigned char *record = claim(&ring, size);
        for (uint32_t i = RING_HEADER_BYTES; i < size * RING_GRANULE; i += 8)
            memcpy(record + i, &(uint64_t){(uint64_t)RING_EVENT << 32 | 1}, 8);
        ring_commit(record, RING_EVENT, size);
        record = next_event(&ring, &granules);
        ring_pass(&ring, record, granules);
        ring_release(&ring);
        cr_assert_null(next_event(&ring, &granules), "lap %d", lap);
    }
    ring_close(&ring);
}

Test(ring, a_shut_ring_refuses_and_gives_out_what_it_holds)
{
    struct ring ring;
    unsigned char *record;
    uint32_t granules = 0;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    ring_commit(claim(&ring, 1), RING_EVENT, 1);
    cr_assert(ring_shut(&ring));
    cr_assert_not(ring_shut(&ring), "the second time it was shut before");
    cr_assert_eq(ring_claim(&ring, 1, ring.size, &record), UV_ESHUTDOWN);
    cr_assert_not_null(next_event(&ring, &granules));
    ring_close(&ring);
}

Test(ring, positions_wrap_at_40_bits_and_counts_at_23)
{
    struct ring ring;
    uint32_t granules = 0;
    uint64_t start = RING_POSITION_MASK - 20, seen = 0;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    ring.read = start;
    ring.head = ring.head_seen = start;
    ring.tail = start << 24 | (uint64_t)(RING_EVENTS_MASK - 3) << 1;
    for (uint64_t i = 0; i < 200; i++) {
        unsigned char *record = claim(&ring, 3);
        cr_assert_not_null(record, "event %d", (int)i);
        memcpy(record + RING_HEADER_BYTES, &i, sizeof i);
        ring_commit(record, RING_EVENT, 3);
        if (i % 4 != 3)
            continue;
        while ((record = next_event(&ring, &granules))) {
            uint64_t number;
            memcpy(&number, record + RING_HEADER_BYTES, sizeof number);
            cr_assert_eq(number, seen++);
            ring_pass(&ring, record, granules);
        }
        ring_release(&ring);
    }
    cr_assert_eq(seen, 200u);
    cr_assert_eq(ring_events_of(ring.tail), 196u, "modulo 2^23");
    ring_close(&ring);
}

/* --- Reservations --- */

static unsigned char *reserve(struct ring *ring, uint32_t granules)
{
    unsigned char *record = NULL;
    cr_assert_eq(ring_reserve(ring, granules, ring->size, 7, &record), 0);
    return record;
}

static enum ring_kind front(struct ring *ring)
{
    enum ring_kind kind;
    uint32_t granules;
    return ring_peek(ring, &kind, &granules) ? kind : 0;
}

Test(ring, a_reservation_ends_as_an_event_or_as_none)
{
    struct ring ring;
    uint32_t granules;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    unsigned char *first = reserve(&ring, 2), *second = reserve(&ring, 1);
    cr_assert_eq(front(&ring), RING_RESERVED);
    cr_assert_eq(ring_resolve(second, RING_EVENT), 0);
    cr_assert_eq(front(&ring), RING_RESERVED, "the first still stands before it");
    cr_assert_eq(ring_resolve(first, RING_ABORTED), 0);
    cr_assert_eq(front(&ring), RING_ABORTED);
    ring_pass(&ring, first, 2);
    cr_assert_eq(next_event(&ring, &granules), second);
    ring_close(&ring);
}

Test(ring, a_reservation_gets_zeroed_memory)
{
    struct ring ring;
    uint32_t granules;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int lap = 0; lap < 3; lap++) {
        unsigned char *record = reserve(&ring, 32);
        for (uint32_t i = RING_HEADER_BYTES + sizeof(uint32_t); i < 32 * RING_GRANULE; i++)
            cr_assert_eq(record[i], 0);
        memset(record + RING_HEADER_BYTES, 0xEE, 32 * RING_GRANULE - RING_HEADER_BYTES);
        cr_assert_eq(ring_resolve(record, RING_EVENT), 0);
        record = next_event(&ring, &granules);
        ring_pass(&ring, record, granules);
        ring_release(&ring);
    }
    ring_close(&ring);
}

/* Fills the ring's free room with events of one granule, and reads them all. Says how many. */
static uint32_t go_round(struct ring *ring, const unsigned char *keep_off, uint32_t length)
{
    uint32_t count = 0, granules;
    unsigned char *record;
    while (ring_claim(ring, 1, ring->size, &record) == 0) {
        cr_assert(record < keep_off || record >= keep_off + length * RING_GRANULE, "handed out while in quarantine");
        memset(record + RING_HEADER_BYTES, 0xAA, RING_GRANULE - RING_HEADER_BYTES);
        ring_commit(record, RING_EVENT, 1);
        count++;
    }
    for (uint32_t i = 0; i < count; i++) {
        record = next_event(ring, &granules);
        cr_assert_not_null(record, "event %u of %u", i, count);
        ring_pass(ring, record, granules);
    }
    cr_assert_null(next_event(ring, &granules));
    ring_release(ring);
    return count;
}

Test(ring, an_overdue_reservation_keeps_its_granules_until_it_is_resolved)
{
    for (uint32_t before = 0; before < 64; before++) {
        struct ring ring;
        uint32_t granules;
        cr_assert_eq(ring_open(&ring, SMALL), 0);
        for (uint32_t i = 0; i < before; i++) {
            ring_commit(claim(&ring, 1), RING_EVENT, 1);
            ring_pass(&ring, next_event(&ring, &granules), 1);
        }
        ring_release(&ring);
        unsigned char *late = reserve(&ring, 5);
        cr_assert_eq(next_event(&ring, &granules), late); /* passes the padding before it */
        cr_assert(ring_pass_over(&ring, late, 5));
        ring_release(&ring);
        for (int lap = 0; lap < 3; lap++) {
            uint32_t count = go_round(&ring, late, 5);
            cr_assert_geq(count, 59u - 5, "at %u: %u", before, count); /* a lap's start may lie behind the run */
            memset(late + RING_HEADER_BYTES, 0xBB, 5 * RING_GRANULE - RING_HEADER_BYTES);
        }
        cr_assert_eq(ring_resolve(late, RING_EVENT), UV_ETIMEDOUT);
        go_round(&ring, NULL, 0);
        go_round(&ring, NULL, 0);
        cr_assert_eq(ring.quarantined, 0u, "at %u", before);
        cr_assert_eq(go_round(&ring, NULL, 0), 64u, "everything can be used again");
        ring_close(&ring);
    }
}

Test(ring, an_owner_that_was_faster_is_not_passed_over)
{
    struct ring ring;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    unsigned char *record = reserve(&ring, 1);
    cr_assert_eq(ring_resolve(record, RING_EVENT), 0);
    cr_assert_not(ring_pass_over(&ring, record, 1));
    cr_assert_eq(front(&ring), RING_EVENT);
    ring_close(&ring);
}

Test(ring, no_more_are_passed_over_than_the_quarantine_holds)
{
    struct ring ring;
    unsigned char *records[RING_QUARANTINE_MAX + 1];
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int i = 0; i <= RING_QUARANTINE_MAX; i++)
        records[i] = reserve(&ring, 2);
    for (int i = 0; i < RING_QUARANTINE_MAX; i++)
        cr_assert(ring_pass_over(&ring, records[i], 2));
    cr_assert_not(ring_pass_over(&ring, records[RING_QUARANTINE_MAX], 2));
    ring_release(&ring);
    unsigned char *big;
    cr_assert_eq(ring_claim(&ring, 48, ring.size, &big), UV_ENOBUFS, "46 in a row are left");
    cr_assert_eq(ring_claim(&ring, 40, ring.size, &big), 0);
    ring_close(&ring);
}

Test(ring, no_more_than_a_quarter_of_it_goes_into_quarantine)
{
    struct ring ring;
    unsigned char *records[4];
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int i = 0; i < 4; i++)
        records[i] = reserve(&ring, 12);
    cr_assert(ring_pass_over(&ring, records[0], 12));
    cr_assert_not(ring_pass_over(&ring, records[1], 12), "24 of 64 would be too many");
    cr_assert_eq(ring_resolve(records[1], RING_EVENT), 0, "so its owner can still commit it");
    cr_assert_eq(front(&ring), RING_EVENT);
    ring_close(&ring);
}

/* Resolved runs with short stretches between them, and an empty ring: nothing but a long record wants to go by. */
Test(ring, resolved_runs_are_stepped_over_when_there_is_nothing_to_read)
{
    struct ring ring;
    unsigned char *late[8], *record;
    uint32_t granules = 0;
    cr_assert_eq(ring_open(&ring, SMALL), 0);
    for (int i = 0; i < 8; i++) {
        ring_commit(claim(&ring, 7), RING_EVENT, 7);
        late[i] = reserve(&ring, 1);
        record = next_event(&ring, &granules);
        ring_pass(&ring, record, granules);
        cr_assert_eq(next_event(&ring, &granules), late[i]);
        cr_assert(ring_pass_over(&ring, late[i], 1));
    }
    ring_release(&ring);
    cr_assert_eq(ring_claim(&ring, 8, ring.size, &record), UV_ENOBUFS, "nowhere are 8 in a row");
    cr_assert_not(ring_step_over(&ring), "none is resolved yet");
    for (int i = 0; i < 8; i++)
        cr_assert_eq(ring_resolve(late[i], RING_ABORTED), UV_ETIMEDOUT);
    for (int i = 0; i < 8; i++) {
        cr_assert(ring_step_over(&ring), "run %d", i);
        cr_assert_null(next_event(&ring, &granules)); /* passes the padding and the run */
        ring_release(&ring);
    }
    cr_assert_not(ring_step_over(&ring));
    cr_assert_eq(ring.quarantined, 0u);
    cr_assert_eq(ring.quarantined_granules, 0u);
    cr_assert_eq(ring_claim(&ring, 16, ring.size, &record), 0);
    ring_close(&ring);
}

/* --- Many producers --- */

enum { PRODUCERS = 4, EVENTS_EACH = 50000 };

struct producer {
    struct ring *ring;
    uint32_t number, seed;
    uv_thread_t thread;
};

static uint32_t random_of(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void produce(void *argument)
{
    struct producer *producer = argument;
    for (uint32_t i = 0; i < EVENTS_EACH; i++) {
        uint32_t granules = 1 + random_of(&producer->seed) % 7;
        unsigned char *record;
        while (ring_claim(producer->ring, granules, producer->ring->size, &record) == UV_ENOBUFS)
            uv_sleep(0);
        uint32_t head[2] = {producer->number, i};
        memcpy(record + RING_HEADER_BYTES, head, sizeof head);
        memset(record + RING_HEADER_BYTES + sizeof head, (int)(i & 0xFF),
               granules * RING_GRANULE - RING_HEADER_BYTES - sizeof head);
        ring_commit(record, RING_EVENT, granules);
    }
}

Test(ring, many_producers_lose_nothing_and_keep_each_ones_order)
{
    struct ring ring;
    struct producer producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0}, left = PRODUCERS * EVENTS_EACH, granules;
    uint64_t seed = uv_hrtime();

    cr_assert_eq(ring_open(&ring, SMALL), 0);
    printf("seed %llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&ring, i, (uint32_t)seed + i * 7919 + 1, 0};
        cr_assert_eq(uv_thread_create(&producers[i].thread, produce, &producers[i]), 0);
    }
    while (left > 0) {
        unsigned char *record = next_event(&ring, &granules);
        ring_release(&ring);
        if (!record) {
            uv_sleep(0);
            continue;
        }
        uint32_t head[2];
        memcpy(head, record + RING_HEADER_BYTES, sizeof head);
        cr_assert_lt(head[0], (uint32_t)PRODUCERS);
        cr_assert_eq(head[1], next[head[0]], "producer %u", head[0]);
        for (uint32_t i = RING_HEADER_BYTES + sizeof head; i < granules * RING_GRANULE; i++)
            cr_assert_eq(record[i], (unsigned char)head[1]);
        next[head[0]]++;
        ring_pass(&ring, record, granules);
        left--;
    }
    for (uint32_t i = 0; i < PRODUCERS; i++)
        uv_thread_join(&producers[i].thread);
    cr_assert_eq(ring_events_of(ring.tail), (uint32_t)(PRODUCERS * EVENTS_EACH));
    ring_close(&ring);
}
