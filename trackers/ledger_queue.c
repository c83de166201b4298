#include "trackers/ledger_queue.h"

#include <assert.h>
#include <string.h>

#include <tallybus/cost.h>

#include "trackers/digest.h"
#include "trackers/moment.h"
#include "trackers/money.h"
#include "trackers/utf8.h"

enum { CUT_TAIL = DIGEST_HEX8_BYTES /* '~' and 8 hex digits */, TEXT_KEPT = TBUS_LEDGER_TEXT_MAX - CUT_TAIL };

/* --- Strings --- */

/* Puts a string and its NUL; of one that is too long its beginning, and a digest of all of it, so that two of them stay
 * two. Returns its length. */
static uint8_t put_text(const char *text, char to[TBUS_LEDGER_TEXT_MAX + 1])
{
    bool whole;
    text = text ? text : "";
    size_t length = utf8_copy(text, to, TBUS_LEDGER_TEXT_MAX, &whole);
    if (!whole) {
        char digest[DIGEST_HEX8_BYTES];
        digest_hex8(text, strlen(text), digest);
        length = utf8_copy(text, to, TEXT_KEPT, &whole);
        to[length++] = '~';
        memcpy(to + length, digest, sizeof digest - 1);
        length += sizeof digest - 1;
    }
    assert(length <= TBUS_LEDGER_TEXT_MAX);
    to[length] = '\0';
    return (uint8_t)length;
}

static void put_texts(const tbus_usage_record_t *record, union ledger_row_room *room)
{
    char redacted[TBUS_REDACTED_BYTES];
    const char *const texts[LEDGER_TEXTS] = {
        [LEDGER_REQUEST_ID] = record->request_id, [LEDGER_API_KEY] = tbus_redact_key(record->api_key, redacted),
        [LEDGER_USER_ID] = record->user_id,       [LEDGER_PROJECT_ID] = record->project_id,
        [LEDGER_MODEL] = record->model,           [LEDGER_ENDPOINT] = record->endpoint};
    size_t at = sizeof(struct ledger_row);
    for (int i = 0; i < LEDGER_TEXTS; i++) {
        room->row.lengths[i] = put_text(texts[i], (char *)room->bytes + at);
        at += room->row.lengths[i] + 1u;
    }
    room->row.bytes = (uint32_t)((at + 7) & ~(size_t)7);
    memset(room->bytes + at, 0, room->row.bytes - at);
}

void ledger_row_texts(const struct ledger_row *row, const char *texts[LEDGER_TEXTS])
{
    const char *at = (const char *)(row + 1);
    for (int i = 0; i < LEDGER_TEXTS; i++) {
        texts[i] = at;
        at += row->lengths[i] + 1;
    }
}

/* --- Rows --- */

static bool fits(tbus_money_t amount)
{
    return money_value(amount) >= -(int128_t)INT64_MAX && money_value(amount) <= INT64_MAX;
}

int ledger_row_pack(const tbus_usage_record_t *record, union ledger_row_room *ret)
{
    if (record->event_id == 0 || record->event_id > INT64_MAX || record->cost.high < 0)
        return UV_EINVAL;
    ret->row = (struct ledger_row){
        .event = (int64_t)record->event_id,
        .time_ns = moment_of(record->time_ns),
        .counts = {record->input_tokens, record->cache_read_tokens, record->cache_write_tokens, record->output_tokens,
                   record->reasoning_tokens, record->images, record->characters},
        .amounts = {(int64_t)record->cost.low, (int64_t)record->cache_savings.low, (int64_t)record->batch_savings.low},
        .batch = record->batch,
        .estimated = record->estimated,
        .unpriced = record->unpriced,
        .retracted = record->retracted};
    for (int i = 0; i < LEDGER_TOKEN_KINDS; i++) {
        if (ret->row.counts[i] < 0)
            return UV_EINVAL;
    }
    if (!fits(record->cost) || !fits(record->cache_savings) || !fits(record->batch_savings))
        return UV_EOVERFLOW;
    memcpy(ret->row.key_digest, record->key_digest, sizeof ret->row.key_digest);
    put_texts(record, ret);
    return 0;
}

/* --- The queue --- */

static int add_chunk(struct ledger_queue *queue)
{
    struct ledger_chunk *chunk = queue->spare;
    if (queue->chunks >= queue->chunks_max)
        return UV_ENOBUFS;
    if (!chunk)
        chunk = tbus_mem_alloc(sizeof *chunk);
    if (!chunk)
        return UV_ENOMEM;
    queue->spare = NULL;
    chunk->next = NULL;
    chunk->rows = chunk->used = 0;
    if (queue->last)
        queue->last->next = chunk;
    else
        queue->first = chunk;
    queue->last = chunk;
    queue->chunks++;
    return 0;
}

int ledger_queue_put(struct ledger_queue *queue, const struct ledger_row *row)
{
    struct ledger_chunk *chunk = queue->last;
    if (!chunk || row->bytes > sizeof chunk->bytes - chunk->used) {
        int error = add_chunk(queue);
        if (error)
            return error;
        chunk = queue->last;
    }
    memcpy(chunk->bytes + chunk->used, row, row->bytes);
    chunk->used += row->bytes;
    chunk->rows++;
    queue->rows++;
    return 0;
}

struct ledger_chunk *ledger_queue_take(struct ledger_queue *queue, uint32_t chunks_max)
{
    struct ledger_chunk *first = queue->first, *last = first;
    if (!first)
        return NULL;
    while (--chunks_max > 0 && last->next)
        last = last->next;
    queue->first = last->next;
    if (!queue->first)
        queue->last = NULL;
    last->next = NULL;
    return first;
}

void ledger_queue_give_back(struct ledger_queue *queue, struct ledger_chunk *chunks)
{
    struct ledger_chunk *last = chunks;
    while (last->next)
        last = last->next;
    last->next = queue->first;
    queue->first = chunks;
    if (!queue->last)
        queue->last = last;
}

void ledger_queue_release(struct ledger_queue *queue, struct ledger_chunk *chunks)
{
    while (chunks) {
        struct ledger_chunk *chunk = chunks;
        chunks = chunk->next;
        queue->chunks--;
        queue->rows -= chunk->rows;
        if (queue->spare)
            tbus_mem_free(chunk);
        else
            queue->spare = chunk;
    }
}

void ledger_queue_clear(struct ledger_queue *queue)
{
    struct ledger_chunk *chunks = ledger_queue_take(queue, UINT32_MAX);
    if (chunks)
        ledger_queue_release(queue, chunks);
    tbus_mem_free(queue->spare);
    queue->spare = NULL;
}
