#include "trackers/ledger.h"

#include <string.h>

#include "trackers/ledger_feed.h"
#include "trackers/moment.h"
#include "trackers/options.h"

enum {
    DAYS_MAX = 36500,
    HOURS_DAYS_MIN = 32,
    HOURS_DAYS_DEFAULT = 93,
    BUSY_DEFAULT_MS = 1000,
    BUSY_MAX_MS = 60000,
    COMMIT_DEFAULT_MS = 200,
    RETRY_MIN_DEFAULT_MS = 100,
    RETRY_MAX_DEFAULT_MS = 10000,
    TRANSACTION_CHUNKS = 8, /* at most in one: so many bytes of rows share one wait for the disk */
};

#define MIB (UINT64_C(1) << 20)
#define DAY_NS (24 * LEDGER_HOUR_S * LEDGER_NS_PER_S)

/* --- Opening and closing --- */

static bool lies_within(uint64_t value, uint64_t low, uint64_t high)
{
    return value == 0 || (value >= low && value <= high);
}

static bool are_sound(const tbus_ledger_options_t *options)
{
    return options && options->path && *options->path &&
           (options->survives == TBUS_LEDGER_POWER_LOSS || options->survives == TBUS_LEDGER_DEATH_OF_PROCESS) &&
           lies_within(options->pending_bytes, 2 * MIB, 16384 * MIB) && options->keep_days <= DAYS_MAX &&
           lies_within(options->keep_hours_days, HOURS_DAYS_MIN, DAYS_MAX) &&
           (options->busy_ms <= BUSY_MAX_MS || options->busy_ms == UINT32_MAX) &&
           are_zero(options->reserved, sizeof options->reserved);
}

static void fill_in(tbus_ledger_t *ledger, const tbus_ledger_options_t *options)
{
    tbus_ledger_options_t *own = &ledger->options;
    *own = *options;
    own->path = NULL;
    own->pending_bytes = own->pending_bytes ? own->pending_bytes : 64 * MIB;
    own->keep_hours_days = or_default(own->keep_hours_days, HOURS_DAYS_DEFAULT);
    own->busy_ms = or_default(own->busy_ms, BUSY_DEFAULT_MS);
    own->commit_ms = or_default(own->commit_ms, COMMIT_DEFAULT_MS);
    own->retry_min_ms = or_default(own->retry_min_ms, RETRY_MIN_DEFAULT_MS);
    own->retry_max_ms = or_default(own->retry_max_ms, RETRY_MAX_DEFAULT_MS);
    if (own->retry_max_ms < own->retry_min_ms)
        own->retry_max_ms = own->retry_min_ms;
    ledger->queue.chunks_max = own->pending_bytes / sizeof(struct ledger_chunk);
    ledger_sums_init(&ledger->sums);
}

/* Two starts with one id would take each other's records for their own: without randomness there is no ledger. */
static int name_start(tbus_ledger_t *ledger, const unsigned char given[TBUS_LEDGER_START_BYTES])
{
    static const unsigned char none[TBUS_LEDGER_START_BYTES];
    unsigned char id[TBUS_LEDGER_START_BYTES];
    memcpy(id, given, sizeof id);
    if (memcmp(id, none, sizeof id) == 0) {
        int error = uv_random(NULL, NULL, id, sizeof id, 0, NULL);
        if (error)
            return error;
    }
    for (size_t i = 0; i < sizeof id; i++) {
        ledger->start_id[2 * i] = "0123456789abcdef"[id[i] >> 4];
        ledger->start_id[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    return 0;
}

static void release(tbus_ledger_t *ledger)
{
    ledger_writer_close(ledger);
    ledger_sums_clear(&ledger->sums);
    ledger_queue_clear(&ledger->queue);
    uv_mutex_destroy(&ledger->io);
    uv_mutex_destroy(&ledger->mu);
    tbus_mem_free(ledger->path);
    tbus_mem_free(ledger);
}

static int open_locks(tbus_ledger_t *ledger)
{
    int error = uv_mutex_init(&ledger->mu);
    if (error)
        return error;
    error = uv_mutex_init(&ledger->io);
    if (error)
        uv_mutex_destroy(&ledger->mu);
    return error;
}

static int open_file(tbus_ledger_t *ledger, const tbus_ledger_options_t *options, struct ledger_why *why)
{
    int error = name_start(ledger, options->start_id);
    if (!error)
        error = ledger_path(options->path, &ledger->path);
    return error ? error : ledger_writer_open(ledger, why);
}

static void tell(const struct ledger_why *told, char *why, size_t why_bytes)
{
    if (!why || why_bytes == 0)
        return;
    size_t length = strnlen(told->text, why_bytes - 1);
    memcpy(why, told->text, length);
    why[length] = '\0';
}

int tbus_ledger_open(const tbus_ledger_options_t *options, char *why, size_t why_bytes, tbus_ledger_t **ret_ledger)
{
    struct ledger_why told = {.text = ""};
    if (!ret_ledger || !are_sound(options))
        return UV_EINVAL;
    tbus_ledger_t *ledger = tbus_mem_alloc(sizeof *ledger);
    if (!ledger)
        return UV_ENOMEM;
    fill_in(ledger, options);
    int error = open_locks(ledger);
    if (error) {
        tbus_mem_free(ledger);
        return error;
    }
    error = open_file(ledger, options, &told);
    if (error) {
        tell(&told, why, why_bytes);
        release(ledger);
    } else {
        *ret_ledger = ledger;
    }
    return error;
}

int tbus_ledger_close(tbus_ledger_t *ledger, tbus_ledger_stats_t *ret_stats)
{
    tbus_ledger_stats_t stats;
    if (!ledger)
        return 0;
    int error = tbus_ledger_commit(ledger);
    (void)tbus_ledger_stats(ledger, &stats);
    stats.lost += stats.pending;
    stats.pending = 0;
    release(ledger);
    if (ret_stats)
        *ret_stats = stats;
    return error ? UV_EIO : 0;
}

/* --- Records --- */

int tbus_ledger_append(tbus_ledger_t *ledger, const tbus_usage_record_t *record)
{
    union ledger_row_room room;
    if (!ledger)
        return UV_EINVAL;
    int error = record ? ledger_row_pack(record, &room) : UV_EINVAL;
    bool refused = error != 0;
    uv_mutex_lock(&ledger->mu);
    if (!error)
        error = ledger_queue_put(&ledger->queue, &room.row);
    ledger->figures.appended += !refused;
    ledger->figures.refused += refused;
    ledger->figures.lost += error && !refused;
    uv_mutex_unlock(&ledger->mu);
    return error;
}

/* Writes what waits longest. [lock: io] */
static int commit_some(tbus_ledger_t *ledger, uint64_t *ret_rows)
{
    struct ledger_why why = {.text = ""};
    struct ledger_written written;
    tbus_ledger_stats_t *figures = &ledger->figures;

    uv_mutex_lock(&ledger->mu);
    struct ledger_chunk *chunks = ledger_queue_take(&ledger->queue, TRANSACTION_CHUNKS);
    uv_mutex_unlock(&ledger->mu);
    *ret_rows = 0;
    if (!chunks)
        return 0;
    int error = ledger_write(ledger, chunks, &written, &why);
    uv_mutex_lock(&ledger->mu);
    if (error) {
        ledger_queue_give_back(&ledger->queue, chunks);
        figures->failures++;
    } else {
        ledger_queue_release(&ledger->queue, chunks);
        *ret_rows = written.committed + written.duplicates + written.orphans;
        figures->committed += written.committed;
        figures->duplicates += written.duplicates;
        figures->orphans += written.orphans;
        figures->commits++;
    }
    figures->last_error = error;
    memcpy(figures->why, why.text, sizeof figures->why);
    uv_mutex_unlock(&ledger->mu);
    return error;
}

int tbus_ledger_commit(tbus_ledger_t *ledger)
{
    uint64_t left, rows;
    if (!ledger)
        return UV_EINVAL;
    uv_mutex_lock(&ledger->io);
    uv_mutex_lock(&ledger->mu);
    left = ledger->queue.rows;
    uv_mutex_unlock(&ledger->mu);
    int error = 0;
    while (!error && left > 0) {
        error = commit_some(ledger, &rows);
        left -= rows < left ? rows : left;
    }
    uv_mutex_unlock(&ledger->io);
    return error;
}

static int64_t days_before(int64_t now_ns, uint32_t days)
{
    return moment_of(moment_of(now_ns) - (int64_t)days * DAY_NS);
}

int tbus_ledger_prune(tbus_ledger_t *ledger, int64_t now_ns, uint64_t *ret_deleted)
{
    struct ledger_why why = {.text = ""};
    uint64_t rows = 0, hours = 0;
    if (!ledger)
        return UV_EINVAL;
    int64_t hours_before_ns = days_before(now_ns, ledger->options.keep_hours_days);
    int64_t rows_before_ns = ledger->options.keep_days ? days_before(now_ns, ledger->options.keep_days) : INT64_MIN;
    uv_mutex_lock(&ledger->io);
    int error = ledger_delete(ledger, rows_before_ns, hours_before_ns, &rows, &hours, &why);
    uv_mutex_unlock(&ledger->io);
    if (error)
        return error;
    uv_mutex_lock(&ledger->mu);
    ledger->figures.deleted += rows;
    uv_mutex_unlock(&ledger->mu);
    if (ret_deleted)
        *ret_deleted = rows + hours;
    return 0;
}

int tbus_ledger_stats(tbus_ledger_t *ledger, tbus_ledger_stats_t *ret_stats)
{
    if (!ledger || !ret_stats)
        return UV_EINVAL;
    uv_mutex_lock(&ledger->mu);
    *ret_stats = ledger->figures;
    ret_stats->pending = ledger->queue.rows;
    uv_mutex_unlock(&ledger->mu);
    return 0;
}

const char *tbus_ledger_kind_name(tbus_ledger_kind_t kind)
{
    static const char *const names[TBUS_LEDGER_KINDS] = {"all", "key", "user", "project", "model", "endpoint"};
    return (unsigned)kind < TBUS_LEDGER_KINDS ? names[kind] : NULL;
}

/* --- For the subscriber --- */

const tbus_ledger_options_t *ledger_options(const tbus_ledger_t *ledger)
{
    return &ledger->options;
}

void ledger_count_lost(tbus_ledger_t *ledger, uint64_t records)
{
    uv_mutex_lock(&ledger->mu);
    ledger->figures.appended += records;
    ledger->figures.lost += records;
    uv_mutex_unlock(&ledger->mu);
}
