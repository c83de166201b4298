/* Feeds the ledger from a bus.
 *
 * Two threads: the subscription's own (TBUS_ISOLATED) puts records into the ledger's memory and never waits for a disk,
 * so that its queue has to last for no longer than that takes; the writer's commits them, some time after the first of
 * them came, tries again when that has failed, and sees to what comes of it. `mu` covers what the two share, and is not
 * held while the ledger or the bus is called. */
#include <tallybus/subscribers.h>

#if TBUS_WITH_LEDGER

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "bus/thread.h"
#include "trackers/ledger_feed.h"

#define NS_PER_MS UINT64_C(1000000)
#define PRUNE_EVERY_NS INT64_C(60000000000)

enum {
    LEDGER_PRIORITY = 5,
    QUEUE_BYTES = 4 << 20,
    ROWS_SOON = 16384, /* so many are not kept waiting for the time to come */
    MESSAGE_BYTES = 256
};

struct feed {
    tbus_ledger_t *ledger;                /* [const after open] */
    tbus_t *bus;                          /* [const after open] */
    const tbus_ledger_options_t *options; /* [const after open] the ledger's */
    atomic_llong subscription;            /* set once; the first events may come before */
    atomic_int users; /* the subscription, and who attaches until that is noted: the last one frees it */

    uv_mutex_t mu;
    uv_cond_t changed;   /* with `mu`: `waiting`, `soon` or `stopping` has become true */
    bool waiting;        /* [lock: mu] records wait to be committed */
    bool soon;           /* [lock: mu] and they are many */
    bool stopping;       /* [lock: mu] */
    uint64_t trouble_ns; /* [lock: mu] when it began: a commit failed, or a record was lost; 0 = all is well */
    bool loss_told;      /* [lock: mu] since then */
    uint64_t dropped;    /* [lock: mu] by the subscription's queue, and counted */

    uint64_t next_ns;  /* [writer's thread] the next commit is due then; monotonic */
    uint64_t retry_ms; /* [writer's thread] 0 = the latest commit went well */
    int64_t pruned_ns; /* [writer's thread] by the bus's clock; INT64_MIN = there is more to delete */
    uv_thread_t writer;
};

/* --- Telling --- */

static void tell_error(struct feed *feed, const char *type, const char *message)
{
    (void)tbus_publish_error_occurred(feed->bus,
                                      &(tbus_error_occurred_t){.error_type = type, .error_message = message});
}

static void tell_failure(struct feed *feed, int error)
{
    char message[MESSAGE_BYTES];
    tbus_ledger_stats_t stats;
    (void)tbus_ledger_stats(feed->ledger, &stats);
    snprintf(message, sizeof message, "the ledger can not be written: %s%s%s%s; %" PRIu64 " records wait in memory",
             uv_strerror(error), *stats.why ? " (" : "", stats.why, *stats.why ? ")" : "", stats.pending);
    tell_error(feed, "ledger_write_failed", message);
}

static void tell_loss(struct feed *feed)
{
    char message[MESSAGE_BYTES];
    tbus_ledger_stats_t stats;
    (void)tbus_ledger_stats(feed->ledger, &stats);
    snprintf(message, sizeof message, "the ledger has no room for more records: %" PRIu64 " lost so far", stats.lost);
    tell_error(feed, "ledger_records_lost", message);
}

static void tell_recovery(struct feed *feed, uint64_t took_ns)
{
    (void)tbus_publish_recovery_succeeded(
        feed->bus, &(tbus_recovery_succeeded_t){.time_to_recovery_ms = (double)took_ns / (double)NS_PER_MS});
}

/* --- What comes of a commit --- */

static void begin_trouble_locked(struct feed *feed)
{
    if (feed->trouble_ns == 0)
        feed->trouble_ns = uv_hrtime();
}

static void on_lost(struct feed *feed)
{
    uv_mutex_lock(&feed->mu);
    begin_trouble_locked(feed);
    bool told = feed->loss_told;
    feed->loss_told = feed->waiting = true; /* a commit that goes well ends it, even one of nothing */
    uv_cond_signal(&feed->changed);
    uv_mutex_unlock(&feed->mu);
    if (!told)
        tell_loss(feed);
}

static void on_failed(struct feed *feed, int error)
{
    bool first = feed->retry_ms == 0;
    feed->retry_ms = first ? feed->options->retry_min_ms : 2 * feed->retry_ms;
    if (feed->retry_ms > feed->options->retry_max_ms)
        feed->retry_ms = feed->options->retry_max_ms;
    feed->next_ns = uv_hrtime() + feed->retry_ms * NS_PER_MS;
    uv_mutex_lock(&feed->mu);
    begin_trouble_locked(feed);
    feed->waiting = true;
    uv_mutex_unlock(&feed->mu);
    if (first)
        tell_failure(feed, error);
}

static void on_went_well(struct feed *feed)
{
    uint64_t now_ns = uv_hrtime();
    feed->retry_ms = 0;
    feed->next_ns = now_ns + feed->options->commit_ms * NS_PER_MS;
    uv_mutex_lock(&feed->mu);
    uint64_t trouble_ns = feed->trouble_ns;
    feed->trouble_ns = 0;
    feed->loss_told = false;
    uv_mutex_unlock(&feed->mu);
    if (trouble_ns)
        tell_recovery(feed, now_ns - trouble_ns);
}

/* What found the subscription's own queue full never came here. */
static void count_dropped(struct feed *feed)
{
    tbus_subscriber_stats_t stats;
    if (tbus_stats_of_subscription(feed->bus, atomic_load(&feed->subscription), &stats) != 0)
        return;
    uv_mutex_lock(&feed->mu);
    uint64_t more = stats.dropped > feed->dropped ? stats.dropped - feed->dropped : 0;
    feed->dropped += more;
    uv_mutex_unlock(&feed->mu);
    if (more == 0)
        return;
    ledger_count_lost(feed->ledger, more);
    on_lost(feed);
}

/* Deletes what is too old, now and then, and goes on with that after each commit for as long as there is more. */
static void prune(struct feed *feed)
{
    int64_t now_ns = tbus_now(feed->bus);
    uint64_t deleted = 0;
    if (feed->pruned_ns != INT64_MIN && now_ns - feed->pruned_ns < PRUNE_EVERY_NS)
        return;
    int error = tbus_ledger_prune(feed->ledger, now_ns, &deleted);
    feed->pruned_ns = !error && deleted > 0 ? INT64_MIN : now_ns;
}

static void commit(struct feed *feed)
{
    int error = tbus_ledger_commit(feed->ledger);
    if (error)
        on_failed(feed, error);
    else
        on_went_well(feed);
    count_dropped(feed);
    if (!error)
        prune(feed);
}

/* --- The writer's thread --- */

/* Waits until it is time to commit; false when it is time to end. */
static bool wait_until_due(struct feed *feed)
{
    uv_mutex_lock(&feed->mu);
    for (;;) {
        uint64_t now_ns = uv_hrtime();
        bool due = now_ns >= feed->next_ns || (feed->soon && feed->retry_ms == 0);
        if (feed->stopping || (feed->waiting && due))
            break;
        if (feed->waiting)
            (void)uv_cond_timedwait(&feed->changed, &feed->mu, feed->next_ns - now_ns);
        else
            uv_cond_wait(&feed->changed, &feed->mu);
    }
    feed->waiting = feed->soon = false;
    bool goes_on = !feed->stopping;
    uv_mutex_unlock(&feed->mu);
    return goes_on;
}

static void run_writer(void *user)
{
    struct feed *feed = user;
    while (wait_until_due(feed))
        commit(feed);
    int error = tbus_ledger_commit(feed->ledger);
    (void)error; /* then the records wait for tbus_ledger_close() */
}

static void stop_writer(struct feed *feed)
{
    uv_mutex_lock(&feed->mu);
    feed->stopping = true;
    uv_cond_signal(&feed->changed);
    uv_mutex_unlock(&feed->mu);
    uv_thread_join(&feed->writer);
}

/* --- What the bus calls --- */

static int on_priced(const tbus_event_t *event, void *user)
{
    struct feed *feed = user;
    tbus_usage_record_t record;
    int error = tbus_usage_of_event(feed->bus, event, &record);
    if (error)
        return error;
    if (record.event_id == 0)
        record.event_id = event->id;
    error = tbus_ledger_append(feed->ledger, &record);
    if (error == UV_ENOBUFS || error == UV_ENOMEM)
        on_lost(feed);
    return error;
}

static void on_batch_end(void *user)
{
    struct feed *feed = user;
    tbus_ledger_stats_t stats;
    (void)tbus_ledger_stats(feed->ledger, &stats);
    uv_mutex_lock(&feed->mu);
    bool soon = stats.pending >= ROWS_SOON;
    bool changes = !feed->waiting || soon > feed->soon;
    feed->waiting = true;
    feed->soon = soon;
    if (changes)
        uv_cond_signal(&feed->changed);
    uv_mutex_unlock(&feed->mu);
}

static void release(struct feed *feed)
{
    if (atomic_fetch_sub(&feed->users, 1) != 1)
        return;
    uv_cond_destroy(&feed->changed);
    uv_mutex_destroy(&feed->mu);
    tbus_mem_free(feed);
}

static void on_close(void *user)
{
    struct feed *feed = user;
    stop_writer(feed);
    count_dropped(feed);
    release(feed);
}

/* --- Attaching --- */

static int open_feed(tbus_ledger_t *ledger, tbus_t *bus, struct feed **ret)
{
    struct feed *feed = tbus_mem_alloc(sizeof *feed);
    if (!feed)
        return UV_ENOMEM;
    *feed = (struct feed){
        .ledger = ledger, .bus = bus, .options = ledger_options(ledger), .users = 2, .pruned_ns = INT64_MIN};
    int error = uv_mutex_init(&feed->mu);
    if (error)
        goto no_mutex;
    error = uv_cond_init(&feed->changed);
    if (error)
        goto no_cond;
    error = thread_create(&feed->writer, run_writer, feed);
    if (error)
        goto no_thread;
    *ret = feed;
    return 0;

no_thread:
    uv_cond_destroy(&feed->changed);
no_cond:
    uv_mutex_destroy(&feed->mu);
no_mutex:
    tbus_mem_free(feed);
    return error;
}

int64_t tbus_ledger_attach(tbus_ledger_t *ledger, tbus_t *bus)
{
    static const tbus_route_t route = {TBUS_USAGE_PRICED, LEDGER_PRIORITY, on_priced};
    struct feed *feed = NULL;

    if (!ledger || !bus)
        return UV_EINVAL;
    int error = tbus_usage_events_enable(bus, NULL);
    if (!error)
        error = open_feed(ledger, bus, &feed);
    if (error)
        return error;
    int64_t id = tbus_subscriber_add(bus, &(tbus_subscriber_t){.name = "ledger",
                                                               .routes = &route,
                                                               .routes_count = 1,
                                                               .user = feed,
                                                               .mode = TBUS_ISOLATED,
                                                               .isolated_queue_bytes = QUEUE_BYTES,
                                                               /* It tries again by itself, and counts what it loses. */
                                                               .breaker_errors = UINT32_MAX,
                                                               .on_batch_end = on_batch_end,
                                                               .on_close = on_close});
    if (id < 0) {
        stop_writer(feed);
        release(feed);
    } else {
        atomic_store(&feed->subscription, id);
    }
    release(feed);
    return id;
}

#else

int64_t tbus_ledger_attach(tbus_ledger_t *ledger, tbus_t *bus)
{
    (void)ledger;
    (void)bus;
    return UV_ENOTSUP;
}

#endif
