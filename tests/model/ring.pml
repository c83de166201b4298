/* The ring of bus/ring.[ch] and its consumer of bus/dispatch.c: many producers, one consumer, one total order.
 *
 * Each access to memory that is shared is one step, and the steps of all threads interleave in every possible order:
 * sequential consistency. That covers every pause of a thread between two accesses, every value that was right when it
 * was read and is not any more, every failure of a compare-and-swap. What it does not cover is that a processor or a
 * compiler lets one thread's accesses pass each other; for that the memory orders in C must see to it that
 *   - the payload is written before the header that announces it, and read after it (header: release, acquire);
 *   - a granule is read and cleared before it counts as free, and overwritten after (head: release, acquire; and the
 *     same again through `head_seen`, which is stored only by someone who has acquired that value of `head`).
 * `tail` carries no payload: a relaxed read of it gives some earlier value, which is a pause to this model.
 *
 * Checked
 *   no loss, no duplicate, one order   what is delivered is always the oldest event claimed and not yet delivered
 *   nobody writes what is not his      each write is by the owner of the granule; a claim gets free ones only
 *   no stale word is a header          granules are clean when they are claimed, and GARBAGE is never read as a header
 *   a refusal is true                  when the ring was looked at, there was no room
 *   counts                             events claimed - delivered = events queued
 *   no deadlock                        every run ends with all producers done, and the ring empty and all free
 *
 * Options: SIZE, PRODUCERS, EVENTS (of each), LENGTH_MAX; LIMIT (of the last producer; the others may fill the ring);
 * GIVE_UP (a refused event may be dropped; else its producer waits for room); CLOSER (someone shuts the ring).
 * BROKEN_CLEAR (only the header is cleared), BROKEN_RELEASE (head moves before the clearing), BROKEN_COMMIT (header
 * before payload) and BROKEN_SHUT (the closed bit is set in a step of its own) show that the checks can fail; so does
 * WITNESS, which claims that the array is never gone through twice. */
#include "granules.pml"

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef LENGTH_MAX
#define LENGTH_MAX 2
#endif
#ifndef LIMIT
#define LIMIT (SIZE - 1)
#endif

byte producers_done;
#ifdef WITNESS
byte claimed;
#endif

/* What ring_claim() works out from the tail it has read. */
#define padding_of(position) ((place(position) + length > SIZE) -> SIZE - place(position) : 0)
#define start_of(position) (place(position) + length > SIZE -> 0 : place(position))
#define end_of(position) sum(position, padding_of(position) + length)
#define fits(position, head)                                                                                           \
    (distance(end_of(position), head) <= SIZE && distance(sum(position, length), head) <= limit)

inline load_tail()
{
    d_step {
        position = tail;
        events = tail_events;
        shut = tail_shut
    }
}

proctype producer(byte me; byte limit)
{
    byte left = EVENTS; /* also tells this producer's events apart */
    byte length, position, events, seen, step, padding;
    bool shut, no_room;

next_event:
    if
    :: left == 0 -> goto done
    :: left > 0 -> length = 1
    :: left > 0 && LENGTH_MAX >= 2 -> length = 2
    :: left > 0 && LENGTH_MAX >= 3 -> length = 3
    fi;

    load_tail();
    seen = head_seen;
again:
    if
    :: shut -> goto done
#ifdef GIVE_UP
    :: !shut && padding_of(position) + length > SIZE -> goto refused
#endif
    :: !shut && fits(position, seen) -> goto swap
    :: else
    fi;
    d_step {
        padding = seen;
        seen = head;
        no_room = !fits(tail, head)
    }
    if
    :: seen != padding -> head_seen = seen
    :: seen == padding
    fi;
    if
    :: d_step {
        seen == padding && tail == position && tail_events == events && tail_shut == shut ->
        assert(no_room);
        no_room = false;
        padding = 0;
        position = 0;
        events = 0
    }
        if
        :: seen != head || tail_shut -> load_tail(); seen = head_seen; goto again
#ifdef GIVE_UP
        :: true -> goto refused
#endif
        fi
    :: d_step {
        !(seen == padding && tail == position && tail_events == events && tail_shut == shut) ->
        position = tail;
        events = tail_events;
        shut = tail_shut;
        no_room = false;
        padding = 0
    } goto again
    fi;
swap:
    if
    :: d_step {
        tail == position && tail_events == events && tail_shut == shut ->
        seen = 0;
        padding = padding_of(position);
        take(position, padding + length, me);
        order ! me * 8 + left;
        tail = end_of(position);
        tail_events = (events + 1) % EVENT_NUMBERS;
#ifdef WITNESS
        claimed = claimed + padding + length;
        assert(claimed <= 2 * SIZE);
#endif
        /* From here on `position` is the place of the event, `events` that of its padding. */
        events = place(position);
        position = start_of(position)
    }
    :: d_step { /* it may fail without a reason, too */
        position = tail;
        events = tail_events;
        shut = tail_shut
    } goto again
    fi;

    if
    :: padding -> d_step {
        hand_over(events, padding, me, CONSUMER);
        word[events] = header(PADDING, padding);
        padding = 0
    }
    :: else
    fi;
    events = 0;
#ifdef BROKEN_COMMIT
    d_step {
        hand_over(position, length, me, CONSUMER);
        word[position] = header(EVENT, length)
    }
#endif
    padding = length;
    do
    :: d_step {
        padding > 0 ->
        padding--;
        assert(owner[position + padding] == me);
        payload[position + padding] = me * 8 + left;
        if
        :: padding > 0 -> word[position + padding] = GARBAGE
        :: else
        fi
    }
    :: d_step {
        padding == 0 ->
#ifndef BROKEN_COMMIT
        hand_over(position, length, me, CONSUMER);
        word[position] = header(EVENT, length);
#endif
        position = 0;
        length = 0;
        left--
    } break
    od;
    goto next_event;

#ifdef GIVE_UP
refused:
    atomic {
        position = 0;
        events = 0;
        seen = 0;
        left--
    }
    goto next_event;
#endif

done:
    atomic {
        seen = 0;
        left = 0;
        length = 0;
        position = 0;
        events = 0;
        producers_done++
    }
}

inline release()
{
    d_step {
        hand_over(head, distance(read, head), CONSUMER, FREE);
        head = read
    }
}

proctype consumer()
{
    byte found, number, step, cleared;
    do
    :: d_step { word[place(read)] != 0 -> found = word[place(read)] }
        assert(found != GARBAGE);
        assert(owner[place(read)] == CONSUMER);
        assert(kind_of(found) == EVENT || kind_of(found) == PADDING);
        if
        :: d_step { kind_of(found) == EVENT -> deliver(length_of(found)) }
        :: kind_of(found) != EVENT
        fi;
#ifdef BROKEN_RELEASE
        read = sum(read, length_of(found));
        release();
        read = sum(read, POSITIONS - length_of(found));
#endif
        do
        :: d_step {
            cleared < length_of(found) ->
#ifdef BROKEN_CLEAR
            if
            :: cleared == 0 -> word[place(read)] = 0
            :: else
            fi;
#else
            word[place(read + cleared)] = 0;
#endif
            cleared++
        }
        :: d_step {
            cleared == length_of(found) ->
            cleared = 0;
            read = sum(read, length_of(found));
            found = 0
        } break
        od;
        /* Room is given back after some events, and at the end of a batch; a batch may end anywhere. */
        if
        :: head != read -> release()
        :: true
        fi
    :: word[place(read)] == 0 && head != read -> release()
    :: word[place(read)] == 0 && head == read && tail == read && (tail_shut || producers_done == PRODUCERS) -> break
    od;

    /* Drained, as the consumer sees it. With a ring that is shut, producers may still be about to find that out. */
    atomic {
        assert(empty(order));
        assert(tail_events == delivered);
        step = 0;
        do
        :: step < SIZE -> assert(owner[step] == FREE && clean(word[step])); step++
        :: else -> break
        od
    }
    producers_done == PRODUCERS;
    assert(tail == read)
}

#ifdef CLOSER
proctype closer()
{
#ifdef BROKEN_SHUT
    /* As a load and a store would do it. A claim that came between is lost from the tail. */
    byte position, events;
    d_step { position = tail; events = tail_events }
    d_step { tail = position; tail_events = events; tail_shut = true }
#else
    tail_shut = true
#endif
}
#endif

init
{
    byte i;
    atomic {
        do
        :: i < PRODUCERS -> run producer(i + 1, (i == PRODUCERS - 1 -> LIMIT : SIZE)); i++
        :: else -> break
        od;
        i = 0;
        run consumer();
#ifdef CLOSER
        run closer()
#endif
    }
}
