/* The bus: publish from any thread, have each event handed to its subscribers in priority order on one loop thread.
 *
 * Two homes
 * - the host's own loop: set `loop` in the options; open the bus, and run the loop, on that loop's thread: the thread
 *   that opens is taken for the loop's. The open bus keeps the loop alive.
 * - a loop and thread of the bus's own: leave `loop` NULL. All signals are blocked there: they stay the host's. The
 * thread that runs the loop is "the loop thread". Handlers, `on_batch_end` and `on_close` run there, one at a time;
 * those of an isolated subscriber, but for `on_close`, on a thread of its own.
 *
 * One order: an event published after another (in the happens-before sense, whatever the threads) is delivered after
 * it. Nothing is lost without a counter that says so and a return code that tells the publisher.
 *
 * Life: tbus_open() ... tbus_close() ... tbus_free(). No thread may be inside, or later make, a call on the bus, or
 * hold a reservation, once tbus_free() has begun.
 *
 * fork(): the parent's bus goes on as if nothing had happened. The child has no loop thread: it must neither use nor
 * free a bus of its parent (to leave it alone and exit, or exec, is fine), but may open one of its own. Signals: no
 * function here may be called from a signal handler. Exceptions and longjmp(): a handler must return; it may not leave
 * through the bus. */
#ifndef TALLYBUS_BUS_H
#define TALLYBUS_BUS_H

#include <tallybus/events.h>

TBUS_BEGIN_DECLS

typedef enum tbus_log_level { TBUS_LOG_ERROR = 1, TBUS_LOG_WARNING, TBUS_LOG_INFO } tbus_log_level_t;

typedef struct tbus_options {
    uv_loop_t *loop;             /* the host's loop (borrowed until tbus_free()); NULL = a loop and thread of its own */
    uint64_t ring_bytes;         /* size of the queue: a power of two, 64 KiB .. 256 MiB; default 4 MiB */
    uint32_t sheddable_permille; /* sheddable events may fill this much of the queue: 250 .. 1000; default 875 (7/8),
                                    and nothing while a vital event waits for room */
    uint32_t string_max_bytes; /* longer strings are cut at a UTF-8 boundary and counted; 16 .. 1 Mi; default 16,384 */
    uint32_t batch_max_events; /* events delivered before the loop's other handles get a turn; default 4,096 */
    uint32_t batch_max_us;     /* the same in microseconds, looked at every 64 events; default 2,000 */
    uint32_t linger_us; /* how long the loop thread keeps looking at an empty queue before it sleeps, so that a steady
                           stream of events does not pay a wake-up for each; default 20; UINT32_MAX = not at all */
    uint32_t
        vital_wait_ms; /* how long a publisher of a vital event waits for room; default 100; UINT32_MAX = not at all */
    uint32_t reserve_max_ms; /* a reservation that is not committed by then is passed over; default 1,000 */
    uint32_t overflow_max;   /* vital events that the loop thread publishes into a full queue and that are kept beside
                                it, in their place in the order; default 1,024 */
    uint32_t close_wait_ms;  /* time limit for draining where tbus_free() has to close the bus; default 5,000 */
    uint32_t
        slow_handler_ms; /* a handler that takes this long is counted and logged as slow; default 10. Calls are timed
                                 one in 256, and all of them for a while after events have taken long */
    /* Told what goes wrong, in a sentence without a newline, at most 10 times a second, on the loop thread or an
     * isolated subscriber's. `level` is a tbus_log_level_t. NULL = nobody is told. */
    void (*log)(int level, const char *message, void *user);
    void *log_user;
    /* Stamps events [any thread]; default: wall clock at open + monotonic clock, so that a step of the wall clock later
     * on is not seen. It is called in the middle of publishing: it may neither block nor call the bus. */
    int64_t (*clock)(void *user);
    void *clock_user;
    uint64_t reserved[8];
} tbus_options_t;

/* Opens a bus. `options` (copied) may be NULL.
 * Errors: UV_EINVAL (an option out of its range, or `ret_bus` NULL), UV_ENOMEM, or what libuv says of the loop or
 * thread. [loop thread] with a host's loop, else [any thread] */
TBUS_API TBUS_CHECKED int tbus_open(const tbus_options_t *options, tbus_t **ret_bus);

/* What became of the events of a bus that has been closed. */
typedef struct tbus_close_report {
    uint64_t delivered; /* over the bus's whole life */
    uint64_t remained;  /* still queued when the time limit was over: not delivered */
} tbus_close_report_t;

typedef void (*tbus_closed_cb)(tbus_t *bus, const tbus_close_report_t *report, void *user);

/* Begins to close: from now on publishing and subscribing return UV_ESHUTDOWN. The loop thread delivers what is queued,
 * for at most `timeout_ms`, ends every subscription (`on_close`), and calls `closed` (may be NULL) last. Does not wait.
 * Vital events that an inline handler, or on_batch_end, publishes while the bus drains still belong to what is drained
 * (a usage priced, an alert): they are taken, in their place, within the time limit; all others are refused.
 * Errors: UV_EINVAL (bus NULL), UV_EALREADY (closing before). [any thread, handlers too] */
TBUS_API int tbus_close(tbus_t *bus, uint32_t timeout_ms, tbus_closed_cb closed, void *user);

/* Frees a bus; NULL is allowed. With a thread of its own: closes it first where nobody has (waiting `close_wait_ms` of
 * the options at most for the queue to drain), waits for the thread to end. With a host's loop: call it from the
 * `closed` callback of tbus_close() or later, on the loop thread. Errors: UV_EBUSY (a host's loop, and the bus is not
 * closed yet; or called on the bus's own thread, which would wait for itself, or on that of an isolated subscriber).
 * The bus then stays as it is. [any thread] with a thread of its own, else [loop thread] */
TBUS_API int tbus_free(tbus_t *bus);

/* The bus's clock: what an event published now with `time_ns` 0 would get. Never runs backwards. [any thread] */
TBUS_API int64_t tbus_now(const tbus_t *bus);

/* --- Publishing --- */

/* Publishes an event whose `type` is set and whose struct is that type's: the typed functions of events.h by number.
 * Copies; never allocates; wakes the loop when it sleeps.
 * A sheddable event is refused at once when the queue is past its watermark. A vital event waits for room, at most
 * `vital_wait_ms`; on the loop thread, where nobody else could make room, it is kept in a list beside the queue
 * (`overflow_max`), in its place in the order.
 * Errors: UV_EINVAL (bus or event NULL, no such type); counted by type: UV_ENOBUFS (sheddable: queue past the
 * watermark; vital: queue full and waiting did not help), UV_EMSGSIZE (larger than a quarter of the queue after its
 * strings were cut), UV_ESHUTDOWN (the bus is closing). [any thread] */
TBUS_API int tbus_publish(tbus_t *bus, const tbus_event_t *event);

/* --- Types of the host's own --- */

#define TBUS_TYPES_MAX 1024 /* numbers of types in a bus, the built-in ones included */
#define TBUS_FIELDS_MAX 64  /* fields of a type */

/* Adds a type of event to this bus (copies the description) and gives its number. The struct must begin with a
 * tbus_event_t, be at most 16 KiB, and have its fields behind that, aligned as their C types. Subscriptions whose
 * patterns match get the type from now on; JSON, journals and logs show it by its fields. Errors: UV_EINVAL (the topic
 * is no plain dotted name of UTF-8; a field outside the struct, misaligned, over another one, without a name, with one
 * that is not UTF-8 or longer than 255 bytes, named twice or as the base's are), UV_EEXIST (the topic is known), UV_ENOSPC (too many types), UV_ENOMEM, UV_ESHUTDOWN. [any thread,
 * handlers too] */
TBUS_API int tbus_type_register(tbus_t *bus, const tbus_type_t *type, uint32_t *ret_number);

/* The description of a type that this bus knows, built-in or registered, until the bus is freed; NULL for other
 * numbers. `bus` NULL: built-in ones only. [any thread] */
TBUS_API const tbus_type_t *tbus_type_of(const tbus_t *bus, uint32_t number);

/* The number of the type with this topic, or TBUS_TYPE_NONE. `bus` NULL: built-in ones only. [any thread] */
TBUS_API uint32_t tbus_type_number(const tbus_t *bus, const char *topic);

/* --- Reserving: an event is written where it will be read, without a copy ---
 *
 *     struct my_event *event;
 *     if (tbus_reserve(bus, my_type, 64, (tbus_event_t **)&event, &room) == 0) {
 *         event->name = strcpy(room, "...");
 *         error = tbus_commit(bus, &event->base);
 *     }
 *
 * Everything published later waits behind a reservation: commit or abort it soon, and always. One that takes longer
 * than `reserve_max_ms` is passed over: it is counted, the log is told, its commit fails, later events are delivered,
 * and its memory stays its owner's until it commits or aborts. At most 8 can be passed over at a time, with a quarter
 * of the queue in all; one more holds everything up until one of them ends (see `stalled_ns` in the statistics). */

/* Room in the queue for an event of a type (any type), and for `room_bytes` more for what its pointers point to. The
 * struct and the room are zeroed, the type is set. Strings must point into the room, or to memory that lives until the
 * event has been delivered; they are not cut. An isolated subscriber and tbus_keep_last() copy what the type's fields
 * describe, and nothing else of the room. Never waits. Errors, counted by type: UV_EINVAL, UV_ENOBUFS (no room;
 * past the watermark for a sheddable type), UV_EMSGSIZE, UV_ESHUTDOWN. `ret_room` may be NULL. [any thread, handlers
 * too] */
TBUS_API TBUS_CHECKED int tbus_reserve(tbus_t *bus, uint32_t type, size_t room_bytes, tbus_event_t **ret_event,
                                       void **ret_room);

/* Publishes it; stamps it where `time_ns` is 0. Not to be touched from then on. Errors: UV_EINVAL (it is no
 * reservation, or not any more), UV_ETIMEDOUT (it has been passed over: it is not delivered). [any thread] */
TBUS_API int tbus_commit(tbus_t *bus, tbus_event_t *event);

/* Gives it up. Errors: as tbus_commit(). [any thread] */
TBUS_API int tbus_abort(tbus_t *bus, tbus_event_t *event);

/* --- Subscribing ---
 *
 * Patterns are dot-separated tokens: `*` stands for exactly one token, `>` (only at the end) for one or more.
 * "stream.*" matches stream.started; ">" matches everything. Longest pattern: 255 bytes. An event goes to its
 * subscribers by falling priority, and in the order in which they took effect where that is equal. Routes of one
 * subscriber that match the same event are each called. */

/* Handles one event; event and strings are valid until it returns. Returns 0, TBUS_STOP, or a negative libuv error
 * code, which is counted and changes nothing for the others; other positive values count as 0. [loop thread] */
typedef int (*tbus_handler)(const tbus_event_t *event, void *user);

#define TBUS_STOP 1 /* from a handler: no subscriber of lower priority sees this event */

typedef struct tbus_route {
    const char *pattern;
    int32_t priority; /* higher is called first */
    tbus_handler handler;
} tbus_route_t;

enum { TBUS_INLINE = 0, TBUS_ISOLATED };

typedef struct tbus_subscriber {
    const char *name; /* shown in statistics, up to 255 bytes; NULL = "" */
    const tbus_route_t *routes;
    uint32_t routes_count; /* 1 .. 256 */
    const void *owner;     /* for tbus_unsubscribe_owner(); may be NULL */
    void *user;            /* handed to each function below */
    /* After each batch (the events that the loop thread delivers before it looks at anything else) in which a handler
     * of this subscriber was called, unless the subscription has ended meanwhile; may be NULL. */
    void (*on_batch_end)(void *user);
    /* Once, when the subscription has ended and nothing of it runs any more: `user` may be freed there, work put off
     * for on_batch_end be finished; may be NULL. On the loop thread, outside of a handler, inside tbus_unsubscribe()
     * itself. */
    void (*on_close)(void *user);
    /* How it gets its events. TBUS_INLINE (default): on the loop thread. TBUS_ISOLATED, for handlers that block: on a
     * thread of its own, from a queue of its own; its handlers and on_batch_end run there, one at a time, in the order
     * of the events. It delays nobody: an event that finds its queue full, or is larger than half of it, is dropped and
     * counted. Its TBUS_STOP stops nothing. on_close runs on the loop thread, when that thread has ended. */
    uint32_t mode;
    uint32_t isolated_queue_bytes; /* a power of two, 64 KiB .. 256 MiB; default 1 MiB */
    /* Its circuit breaker: after so many errors in a row it is skipped for the cool-down, then tried with one event,
     * and so on until one succeeds. Defaults 10 and 1,000; UINT32_MAX errors: never. */
    uint32_t breaker_errors;
    uint32_t breaker_cooldown_ms;
    /* Begins with the last event of each type that its patterns match and the bus keeps: see tbus_keep_last(). */
    bool wants_last;
    uint64_t reserved[4];
} tbus_subscriber_t;

/* The topic to subscribe to for events that no subscriber matched: its handlers get such an event itself. `>` and `*.*`
 * do not match it. */
#define TBUS_UNDELIVERED "bus.undelivered"

/* From now on the bus keeps the last event of every type known now that the pattern matches (queue.depth_changed,
 * model.selected, ...), for subscribers that want it when they begin. Costs a copy for each such event. Returns how
 * many types, or UV_EINVAL (a malformed pattern), UV_ENOENT (matches no type). [any thread, handlers too] */
TBUS_API int tbus_keep_last(tbus_t *bus, const char *pattern);

/* Adds a subscriber (copies the struct, its routes and strings). From another thread it takes effect in the order of
 * the events: it sees exactly those published after the call. On the loop thread it takes effect at once: from the next
 * event on, queued ones too. Returns the subscription's number (> 0, never used twice) or an error: UV_EINVAL (a
 * malformed pattern, no route, a NULL handler, a wrong mode or queue size), UV_ENOENT (a pattern without wildcards that
 * names no known type: most likely misspelt), UV_ENOMEM, UV_ESHUTDOWN. [any thread, handlers too] */
TBUS_API TBUS_CHECKED int64_t tbus_subscriber_add(tbus_t *bus, const tbus_subscriber_t *subscriber);

/* The same with one route and nothing else. [any thread, handlers too] */
TBUS_API int64_t tbus_subscribe(tbus_t *bus, const char *pattern, int32_t priority, tbus_handler handler, void *user);

/* Ends a subscription. On the loop thread (in any handler, its own too) it ends at once: not even the event at hand is
 * handed to it; an isolated one still handles what is in its queue. From another thread it takes effect in the order of
 * the events: what was published before the call is still delivered to it.
 * Errors: UV_EINVAL (bus NULL), UV_ENOENT (no such subscription, or it has ended or is being ended), UV_ENOMEM (then it
 * stays), UV_ESHUTDOWN. [any thread, handlers too] */
TBUS_API int tbus_unsubscribe(tbus_t *bus, int64_t subscription);

/* The same, and returns only when no call into the subscriber is running or will come, `on_close` included: `user` may
 * be freed. Waits for as long as that takes: a host's loop must be running, and a closing bus drains first. Errors: as
 * above (having waited all the same, but for UV_ENOMEM), and UV_EBUSY on the loop thread or an isolated one, which
 * would wait for itself. [any thread but the loop's] */
TBUS_API int tbus_unsubscribe_wait(tbus_t *bus, int64_t subscription);

/* Ends all subscriptions with this owner (not NULL). Returns how many, or an error as tbus_unsubscribe().
 * [any thread, handlers too] */
TBUS_API int tbus_unsubscribe_owner(tbus_t *bus, const void *owner);

/* --- Statistics --- */

/* Why events were not delivered. */
typedef enum tbus_reason {
    TBUS_REASON_SHED = 0,  /* sheddable, and the queue was past its watermark */
    TBUS_REASON_FULL,      /* vital, and there was no room within the wait */
    TBUS_REASON_OVERSIZED, /* larger than a quarter of the queue */
    TBUS_REASON_CLOSING,   /* the bus was closing */
    TBUS_REASON_ABORTED,   /* reserved, then given up */
    TBUS_REASON_OVERDUE,   /* reserved, and passed over */
    TBUS_REASONS
} tbus_reason_t;

/* "shed", "full", ...; static memory; NULL for a number that is none. [any thread] */
TBUS_API const char *tbus_reason_name(tbus_reason_t reason);

typedef struct tbus_stats {
    /* Events that had a place in the queue: accepted, or reserved, whatever became of the reservation. It never falls,
     * and = delivered + queued_events + undelivered[TBUS_REASON_ABORTED] + undelivered[TBUS_REASON_OVERDUE]. */
    uint64_t published;
    uint64_t delivered;                 /* events handed to every subscriber they match */
    uint64_t unclaimed;                 /* of these: matched by no subscriber */
    uint64_t undelivered[TBUS_REASONS]; /* events that were not, by tbus_reason_t */
    uint64_t cut_strings; /* strings, list entries and metadata pairs shortened or left out for their limits */
    uint64_t handler_calls;
    uint64_t handler_errors;   /* handlers that returned a negative code */
    uint64_t stops;            /* handlers that returned TBUS_STOP */
    uint64_t queued_events;    /* accepted or reserved, and not yet delivered */
    uint64_t queued_bytes;     /* of the ring in use */
    uint64_t queued_bytes_max; /* the most the loop found in use when it began a batch */
    uint64_t ring_bytes;
    uint64_t overflow_events; /* of the queued events: in the list beside the ring */
    uint64_t batches;
    uint64_t wakeups;         /* times that a publisher had to wake the loop */
    uint64_t loop_cpu_ns;     /* CPU time of the bus's own loop thread; 0 = the loop is the host's, or it has ended */
    uint64_t latency_samples; /* publish to dispatch, of one event in 256: the latest 1,024 samples at most; in ns */
    uint64_t latency_p50_ns, latency_p95_ns, latency_p99_ns, latency_max_ns;
    uint64_t stalled_ns; /* how long the reservation has been waited for that holds everything up now; 0 = none does */
    uint32_t stalled_type; /* its type */
    int64_t since_ns;      /* when the bus was opened, by its clock */
    uint64_t reserved[7];
} tbus_stats_t;

/* Reads the statistics. Each figure is exact; figures are read one after another, so that a sum over them is exact only
 * when nothing is published at the time. Errors: UV_EINVAL. [any thread] */
TBUS_API int tbus_stats(const tbus_t *bus, tbus_stats_t *ret_stats);

typedef struct tbus_type_stats {
    uint64_t delivered;
    uint64_t undelivered[TBUS_REASONS]; /* by tbus_reason_t */
} tbus_type_stats_t;

/* The same for one type. Errors: UV_EINVAL (no such type). [any thread] */
TBUS_API int tbus_stats_of_type(const tbus_t *bus, uint32_t type, tbus_type_stats_t *ret_stats);

typedef enum tbus_breaker {
    TBUS_BREAKER_CLOSED = 0, /* it gets its events */
    TBUS_BREAKER_OPEN,       /* it is skipped */
    TBUS_BREAKER_HALF_OPEN   /* the next event is its trial */
} tbus_breaker_t;

typedef struct tbus_subscriber_stats {
    int64_t subscription;
    char name[64]; /* cut */
    uint32_t mode; /* TBUS_INLINE or TBUS_ISOLATED */
    tbus_breaker_t breaker;
    uint64_t calls, errors, stops;
    uint64_t skipped;        /* calls not made while the breaker was open */
    uint64_t breaker_opened; /* times */
    uint64_t dropped;        /* isolated: events that found its queue full, or were left in it at close */
    uint64_t queued_events;  /* isolated: in its queue */
    uint64_t slow;           /* timed calls of slow_handler_ms or more */
    uint64_t timed;          /* calls that were timed */
    uint64_t timed_ns;       /* what these took together */
    uint64_t worst_ns;       /* what the slowest of them took */
} tbus_subscriber_stats_t;

/* Reads the statistics of all subscriptions, by number, into a list of `room` places (may be NULL with 0). Gives how
 * many subscriptions there are, which may be more. Errors: UV_EINVAL. [any thread, handlers too] */
TBUS_API int tbus_stats_of_subscribers(const tbus_t *bus, tbus_subscriber_stats_t *list, size_t room,
                                       size_t *ret_count);

/* The same of one subscription. Errors: UV_EINVAL, UV_ENOENT. [any thread, handlers and on_close too] */
TBUS_API int tbus_stats_of_subscription(const tbus_t *bus, int64_t subscription, tbus_subscriber_stats_t *ret_stats);

TBUS_END_DECLS

#endif
