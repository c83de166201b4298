/* What stands between the bus and a subscription's handlers: counting, the circuit breaker, and an eye on the time that
 * they take. One thread calls the handlers of a subscription (the loop's, or its own); any thread may read. */
#ifndef BUS_GUARD_H
#define BUS_GUARD_H

#include <stdatomic.h>

#include <tallybus/bus.h>

enum { GUARD_TIMED_EVERY = 256, GUARD_WATCHED_CALLS = 4096 };

struct guard {
    /* [const after open] */
    uint32_t errors_max; /* 0 = no breaker */
    uint64_t cooldown_ns, slow_ns;
    /* [the calling thread] */
    uint32_t errors_in_a_row;
    bool attention;           /* not closed, errors in a row, or watched: no call is a plain one */
    uint32_t watched;         /* calls still to be timed, each */
    uint64_t open_until_ns;   /* monotonic */
    _Atomic uint32_t breaker; /* tbus_breaker_t */
    /* [the calling thread writes, any reads] */
    _Atomic uint64_t calls, errors, stops, skipped, opened, slow, timed, timed_ns, worst_ns;
};

void guard_open(struct guard *guard, const tbus_subscriber_t *subscriber, uint64_t slow_ns);

/* Whether the next event may be handled: not while the breaker is open. Counts it as skipped if not. */
bool guard_lets_pass(struct guard *guard);

/* Notes how a call went. Returns the sentence that the log should be told, or NULL. */
const char *guard_note_error(struct guard *guard);
const char *guard_note_success(struct guard *guard);
const char *guard_note_time(struct guard *guard, uint64_t took_ns);

/* Has every call timed for a while: events have been taking long. */
void guard_watch(struct guard *guard);

struct subscription;

/* Calls a handler that needs attention, or whose turn it is to be timed. Returns 0, TBUS_STOP or a negative code. */
int guard_call_carefully(tbus_t *bus, struct subscription *subscription, tbus_handler handler,
                         const tbus_event_t *event);

/* Notes what a call that was not 0 returned; gives it back. */
int guard_note_result(tbus_t *bus, struct subscription *subscription, int result);

/* Fills in what the guard knows. */
void guard_stats(const struct guard *guard, tbus_subscriber_stats_t *stats);

#endif
