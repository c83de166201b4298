#include <tallybus/journal.h>

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "exporters/json_line.h"
#include "subscribers/journal_file.h"
#include "trackers/options.h"

#define KIB ((uint32_t)1024)

enum { DEFAULT_KEEP = 5, KEEP_MAX = 1000, DEFAULT_QUEUE_BYTES = 4 << 20 };

/* The handler's thread is the one that the bus runs it on; when the subscription has ended, the one that closes takes
 * over from it. Figures are read by any thread at any time: each is written by the handler's thread alone, and nothing
 * is concluded from one about another, so relaxed order is enough. */
struct tbus_journal {
    tbus_t *bus;               /* [const after open] */
    atomic_llong subscription; /* set once; the loop thread may close the bus meanwhile */
    enum json_secrets mask;    /* [const after open] */
    struct journal_file file;  /* [handler's thread] */
    char *buffer;              /* [handler's thread] whole lines, but for what the file's `mid_line` says */
    size_t length, room;       /* [handler's thread] */
    bool gave_up;      /* [handler's thread] writing has failed in this batch: not tried again for every event of it */
    atomic_bool ended; /* released when the subscription has ended, acquired by who closes: the rest is theirs then */
    atomic_uint_fast64_t events, bytes, buffered, refused, torn, dropped, write_errors,
        rotations;         /* [relaxed, as above] */
    atomic_int last_error; /* [relaxed, as above] */
};

static uint64_t figure(const atomic_uint_fast64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

/* There is one writer: no need for a locked instruction. */
static void add(atomic_uint_fast64_t *to, uint64_t amount)
{
    atomic_store_explicit(to, figure(to) + amount, memory_order_relaxed);
}

/* --- Writing --- */

static uint64_t lines_in(const char *bytes, size_t length)
{
    uint64_t count = 0;
    const char *end = bytes + length;
    while ((bytes = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        count++;
        bytes++;
    }
    return count;
}

/* Takes what the file has taken out of the buffer. */
static void drop_taken(tbus_journal_t *journal, size_t taken, uint64_t torn)
{
    uint64_t lines = taken == journal->length ? figure(&journal->buffered) : lines_in(journal->buffer, taken);
    add(&journal->bytes, taken);
    add(&journal->events, lines - torn);
    add(&journal->torn, torn);
    atomic_store_explicit(&journal->buffered, figure(&journal->buffered) - lines, memory_order_relaxed);
    journal->length -= taken;
    memmove(journal->buffer, journal->buffer + taken, journal->length);
}

/* Writes the buffer, as far as that goes. */
static int flush(tbus_journal_t *journal)
{
    size_t taken;
    uint64_t torn = journal->file.torn_lines, rotations = journal->file.rotations;
    if (journal->length == 0)
        return 0;
    int error = journal_file_append(&journal->file, journal->buffer, journal->length, &taken);
    drop_taken(journal, taken, journal->file.torn_lines - torn);
    add(&journal->rotations, journal->file.rotations - rotations);
    add(&journal->write_errors, error != 0);
    atomic_store_explicit(&journal->last_error, error, memory_order_relaxed);
    return error;
}

/* Makes room in the buffer for a line of this length. */
static int make_room(tbus_journal_t *journal, size_t length)
{
    int error = 0;
    if (journal->room - journal->length < length && !journal->gave_up) {
        error = flush(journal);
        journal->gave_up = journal->length > 0;
    }
    if (journal->room - journal->length >= length)
        return 0;
    if (journal->length > 0)
        return error ? error : atomic_load_explicit(&journal->last_error, memory_order_relaxed);
    char *buffer = tbus_mem_resize(journal->buffer, length);
    if (!buffer)
        return UV_ENOMEM;
    journal->buffer = buffer;
    journal->room = length;
    return 0;
}

/* --- What the bus calls --- */

/* Adds the event's line where there is room for it. Returns its length, newline included. */
static size_t put_line(tbus_journal_t *journal, const tbus_event_t *event)
{
    char *line = journal->buffer + journal->length;
    size_t room = journal->room - journal->length;
    size_t length = json_line(tbus_type_of(journal->bus, event->type), event, journal->mask, line, room) + 1;
    if (length <= room) {
        line[length - 1] = '\n';
        journal->length += length;
        add(&journal->buffered, 1);
    }
    return length;
}

static int on_event(const tbus_event_t *event, void *user)
{
    tbus_journal_t *journal = user;
    size_t room = journal->room - journal->length, length = put_line(journal, event);
    if (length <= room)
        return 0;
    int error = length > TBUS_JOURNAL_LINE_MAX ? UV_EMSGSIZE : make_room(journal, length);
    if (error) {
        add(&journal->refused, 1);
        return error;
    }
    length = put_line(journal, event);
    assert(journal->length >= length);
    return 0;
}

static void on_batch_end(void *user)
{
    tbus_journal_t *journal = user;
    (void)flush(journal);
    journal->gave_up = false;
}

/* What found the subscription's own queue full. */
static uint64_t dropped_by_queue(const tbus_journal_t *journal)
{
    tbus_subscriber_stats_t stats;
    return tbus_stats_of_subscription(journal->bus, atomic_load(&journal->subscription), &stats) == 0 ? stats.dropped
                                                                                                      : 0;
}

static void on_close(void *user)
{
    tbus_journal_t *journal = user;
    (void)flush(journal);
    atomic_store_explicit(&journal->dropped, dropped_by_queue(journal), memory_order_relaxed);
    atomic_store_explicit(&journal->ended, true, memory_order_release);
}

/* --- Open and close --- */

static int check_options(const tbus_journal_options_t *options)
{
    if (!options || !options->path || !*options->path || options->keep > KEEP_MAX ||
        !are_zero(options->reserved, sizeof options->reserved))
        return UV_EINVAL;
    if (options->buffer_bytes && (options->buffer_bytes < 4 * KIB || options->buffer_bytes > 64 * KIB * KIB))
        return UV_EINVAL;
    return 0;
}

static int release(tbus_journal_t *journal)
{
    int error = journal_file_fini(&journal->file);
    tbus_mem_free(journal->buffer);
    tbus_mem_free(journal);
    return error;
}

static int open_journal(tbus_journal_t *journal, const tbus_journal_options_t *options)
{
    journal->room = options->buffer_bytes ? options->buffer_bytes : 256 * KIB;
    journal->mask = options->keep_messages ? JSON_SECRETS_KEYS : JSON_SECRETS_MASKED;
    journal->buffer = tbus_mem_alloc(journal->room);
    if (!journal->buffer)
        return UV_ENOMEM;
    int error = journal_file_init(&journal->file, options->path, options->rotate_bytes,
                                  options->keep ? options->keep : DEFAULT_KEEP, options->sync);
    if (error)
        return error;
    const tbus_route_t route = {options->pattern ? options->pattern : ">", options->priority, on_event};
    int64_t id = tbus_subscriber_add(
        journal->bus,
        &(tbus_subscriber_t){.name = "journal",
                             .routes = &route,
                             .routes_count = 1,
                             .user = journal,
                             .mode = options->on_loop_thread ? TBUS_INLINE : TBUS_ISOLATED,
                             .isolated_queue_bytes = options->queue_bytes ? options->queue_bytes : DEFAULT_QUEUE_BYTES,
                             /* It tries again by itself, and counts what it loses. */
                             .breaker_errors = UINT32_MAX,
                             .on_batch_end = on_batch_end,
                             .on_close = on_close});
    if (id < 0)
        return (int)id;
    atomic_store(&journal->subscription, id);
    return 0;
}

int tbus_journal_open(tbus_t *bus, const tbus_journal_options_t *options, tbus_journal_t **ret_journal)
{
    int error = bus && ret_journal ? check_options(options) : UV_EINVAL;
    if (error)
        return error;
    tbus_journal_t *journal = tbus_mem_alloc(sizeof *journal);
    if (!journal)
        return UV_ENOMEM;
    journal->bus = bus;
    journal->file.file = -1;
    error = open_journal(journal, options);
    if (error)
        (void)release(journal);
    else
        *ret_journal = journal;
    return error;
}

static bool has_ended(const tbus_journal_t *journal)
{
    return atomic_load_explicit(&journal->ended, memory_order_acquire);
}

int tbus_journal_stats(const tbus_journal_t *journal, tbus_journal_stats_t *ret_stats)
{
    if (!journal || !ret_stats)
        return UV_EINVAL;
    uint64_t dropped = has_ended(journal) ? figure(&journal->dropped) : dropped_by_queue(journal);
    *ret_stats = (tbus_journal_stats_t){.events = figure(&journal->events),
                                        .bytes = figure(&journal->bytes),
                                        .buffered_events = figure(&journal->buffered),
                                        .lost_events = figure(&journal->refused) + figure(&journal->torn) + dropped,
                                        .write_errors = figure(&journal->write_errors),
                                        .rotations = figure(&journal->rotations),
                                        .last_error = atomic_load_explicit(&journal->last_error, memory_order_relaxed)};
    return 0;
}

/* Ends the subscription. On the loop's own thread nobody can be waited for, but there it ends at once, unless this is
 * inside of a handler. */
static int end_subscription(tbus_journal_t *journal)
{
    if (has_ended(journal))
        return 0;
    int error = tbus_unsubscribe_wait(journal->bus, atomic_load(&journal->subscription));
    if (error == UV_EBUSY)
        error = tbus_unsubscribe(journal->bus, atomic_load(&journal->subscription));
    if (has_ended(journal))
        return 0;
    return error == UV_ENOMEM ? UV_ENOMEM : UV_EBUSY;
}

int tbus_journal_close(tbus_journal_t *journal, tbus_journal_stats_t *ret_stats)
{
    tbus_journal_stats_t stats;
    if (!journal)
        return 0;
    int error = end_subscription(journal);
    if (error)
        return error;
    error = flush(journal);
    (void)tbus_journal_stats(journal, &stats);
    int close_error = release(journal);
    stats.lost_events += stats.buffered_events;
    stats.buffered_events = 0;
    stats.last_error = error ? error : close_error ? close_error : stats.last_error;
    if (ret_stats)
        *ret_stats = stats;
    return error || close_error ? UV_EIO : 0;
}
