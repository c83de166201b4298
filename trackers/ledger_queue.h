/* Records that wait to be written: packed one behind the other into chunks, in order, under a bound. Not locked: the
 * ledger's lock covers it. */
#ifndef TRACKERS_LEDGER_QUEUE_H
#define TRACKERS_LEDGER_QUEUE_H

#include <tallybus/ledger.h>

enum ledger_text {
    LEDGER_REQUEST_ID,
    LEDGER_API_KEY, /* redacted */
    LEDGER_USER_ID,
    LEDGER_PROJECT_ID,
    LEDGER_MODEL,
    LEDGER_ENDPOINT,
    LEDGER_TEXTS
};

enum { LEDGER_CHUNK_BYTES = 1 << 20, LEDGER_TOKEN_KINDS = 7, LEDGER_AMOUNTS = 3 };

/* A record as it waits; its strings follow, each with its NUL. A retracted one holds what it tells, without a sign. */
struct ledger_row {
    int64_t event, time_ns;
    int64_t counts[LEDGER_TOKEN_KINDS]; /* tokens, images, characters: in the order of tbus_usage_record_t */
    int64_t amounts[LEDGER_AMOUNTS];    /* cost, cache savings, batch savings; 1e-12 USD */
    unsigned char key_digest[TBUS_KEY_DIGEST_BYTES];
    uint8_t lengths[LEDGER_TEXTS];
    bool batch, estimated, unpriced, retracted;
    uint32_t bytes; /* of it and its strings, rounded up to a multiple of 8 */
};

enum { LEDGER_ROW_MAX = sizeof(struct ledger_row) + LEDGER_TEXTS * (TBUS_LEDGER_TEXT_MAX + 1) + 8 };

/* A row and the room that its strings may take. */
union ledger_row_room {
    struct ledger_row row;
    unsigned char bytes[LEDGER_ROW_MAX];
};

/* Packs a record. Errors: UV_EINVAL, UV_EOVERFLOW, as tbus_ledger_append(). */
int ledger_row_pack(const tbus_usage_record_t *record, union ledger_row_room *ret);

/* Finds the strings of a row. */
void ledger_row_texts(const struct ledger_row *row, const char *texts[LEDGER_TEXTS]);

struct ledger_chunk {
    struct ledger_chunk *next;
    uint32_t rows, used;
    _Alignas(8) unsigned char bytes[LEDGER_CHUNK_BYTES - 16];
};

/* The rows of a chunk: for (row = ledger_first(chunk); row; row = ledger_next(chunk, row)) */
static inline const struct ledger_row *ledger_row_at(const struct ledger_chunk *chunk, size_t at)
{
    return at < chunk->used ? (const struct ledger_row *)(const void *)(chunk->bytes + at) : NULL;
}

static inline const struct ledger_row *ledger_first(const struct ledger_chunk *chunk)
{
    return ledger_row_at(chunk, 0);
}

static inline const struct ledger_row *ledger_next(const struct ledger_chunk *chunk, const struct ledger_row *row)
{
    return ledger_row_at(chunk, (size_t)((const unsigned char *)row - chunk->bytes) + row->bytes);
}

struct ledger_queue {
    struct ledger_chunk *first, *last;
    struct ledger_chunk *spare;  /* an empty one, kept for the next time; may be NULL */
    uint64_t chunks, chunks_max; /* in the list or taken */
    uint64_t rows;               /* in these */
};

/* Adds a row (copies). Errors: UV_ENOBUFS (the bound is reached), UV_ENOMEM. */
int ledger_queue_put(struct ledger_queue *queue, const struct ledger_row *row);

/* Takes the oldest chunks, at most `chunks_max` (> 0) of them, out of the list; NULL where nothing waits. They still
 * count: all of them are given back, or released. */
struct ledger_chunk *ledger_queue_take(struct ledger_queue *queue, uint32_t chunks_max);
void ledger_queue_give_back(struct ledger_queue *queue, struct ledger_chunk *chunks);
void ledger_queue_release(struct ledger_queue *queue, struct ledger_chunk *chunks);

/* Frees all. */
void ledger_queue_clear(struct ledger_queue *queue);

#endif
