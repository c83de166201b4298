/* Isolated delivery: a thread and a bounded queue for one subscription.
 *
 * The queue is a ring like the bus's own, with the loop thread as its only publisher; each record holds the handler and
 * then the event. The thread sleeps on a semaphore; `asleep` keeps it from being posted for every event, by the same
 * handshake as the bus's (bus.h).
 *
 * Its end: the loop thread takes the subscription out of the tables and shuts the ring; the thread handles what is
 * left, until the time limit where the bus is closing, says `done` and wakes the loop, which joins it and calls
 * on_close. */
#ifndef BUS_ISOLATED_H
#define BUS_ISOLATED_H

#include <stdatomic.h>

#include <tallybus/bus.h>

struct isolated;
struct bus_type;
struct subscription;

/* Makes queue and thread. Errors: UV_EINVAL (queue size), UV_ENOMEM, libuv's. */
int isolated_open(tbus_t *bus, struct subscription *subscription, uint64_t queue_bytes, struct isolated **ret);

/* Puts an event into the queue, or drops and counts it. [loop thread] */
void isolated_push(struct isolated *isolated, tbus_handler handler, const tbus_event_t *event,
                   const struct bus_type *type);

/* Whether the calling thread is this one's. */
bool isolated_is_self(const struct isolated *isolated);

/* Begins the end; the bus is woken when it is done. What is not handled by `deadline_ns` (monotonic; UINT64_MAX = no
 * limit) is dropped and counted. [loop thread] */
void isolated_stop(struct isolated *isolated, uint64_t deadline_ns);

/* Whether the thread has nothing to do any more. [loop thread] */
bool isolated_is_done(const struct isolated *isolated);

/* Waits for the thread, frees all. One that never got an event is stopped here. */
void isolated_close(struct isolated *isolated);

/* Fills in what is known of the queue. [any thread] */
void isolated_stats(const struct isolated *isolated, tbus_subscriber_stats_t *stats);

#endif
