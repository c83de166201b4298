/* The ring with reservations: a producer may claim room, take its time to fill it, and then commit it or give it up. A
 * consumer that has waited long enough reads on behind it, and its granules are in quarantine until it is done.
 *
 *   header of the record       who moves it on
 *   0          claimed         its producer, by a store
 *   RESERVED                   its producer, by compare-and-swap to EVENT or PADDING: the usual end;
 *                              the consumer, by compare-and-swap to OVERDUE, at any time (no clock here)
 *   OVERDUE    in quarantine   its producer, late, by storing RESOLVED: its last access
 *   RESOLVED                   the consumer, when it comes by in a later lap: clears it, takes it off the list
 *
 * The list of runs in quarantine is a few words, one for each run; the consumer alone writes them, producers read them
 * one by one. A claim goes round a run as it goes round the end of the array: what is too short before it is padding.
 *
 * Rules without which it does not work; each has a variant that breaks it:
 *   - the consumer notes a run before it moves `head` past it, and takes it off before it moves `head` past it again
 *     (BROKEN_NOTE);
 *   - a producer reads the list after the value of `head` (or `head_seen`) that makes its claim fit, not before
 *     (BROKEN_LIST). Then what it reads of the runs on its way is what the consumer will find when it comes there: the
 *     note of a run changes only when the consumer passes it, `head` has passed it once, and can not again before
 *     `tail` has, which the compare-and-swap would see;
 *   - a producer that has claimed pads by what it read of the list before: now the consumer may come by the run at any
 *     moment and take it off (BROKEN_PAD);
 *   - a consumer that stands before a run in quarantine goes past it only when `tail` has (BROKEN_EAGER).
 * BROKEN_COMMIT (a reservation is committed by a store) and BROKEN_EARLY (a resolved run is taken off the list
 * before the consumer comes to it) show why the rest is as it is.
 *
 * A limit: a resolved run goes when a claim has passed over it, and a claim passes over it with an event. Where runs
 * have left no gap that is long enough for the events to come, these are refused for ever, though the ring is empty and
 * the runs are resolved: FRAGMENTED (a publisher all of whose events are of 2 granules) ends in a deadlock. With
 * STEP_OVER a consumer that has nothing to read while a run is resolved claims the way to it and over it, as padding:
 * that has no deadlock, and quarantine ends without traffic as well.
 *
 * Checked, beside what ring.pml checks: a late producer writes to granules of its own only; an event is delivered if
 * and only if its commit succeeded; at the end, and after a lap of traffic (STEP_OVER: without), the list is empty and
 * all is free.
 *
 * What the C memory orders must add to those of ring.pml: the compare-and-swaps from RESERVED and the store of RESOLVED
 * are releases (the payload before them); the consumer reads RESOLVED with acquire (its clearing after the late
 * payload); the list is written before a release of `head`, and read after an acquire of it or of `head_seen`.
 *
 * Options: SIZE; EVENTS of the publisher; RESERVERS, RESERVATIONS of each; RUNS in the list (1 or 2). */
#include "granules.pml"

#ifndef EVENTS
#define EVENTS 2
#endif
#ifndef RESERVERS
#define RESERVERS 1
#endif
#ifndef RESERVATIONS
#define RESERVATIONS 2
#endif
#ifndef RUNS
#define RUNS 1
#endif
#ifdef FRAGMENTED
#define SHORTEST 2
#else
#define SHORTEST 1
#endif

/* Granules in quarantine at a time: without a bound, there may be no room left for anyone, and so no traffic to end it
 * (BROKEN_BOUND). */
#ifdef BROKEN_BOUND
#define QUARANTINE_MAX SIZE
#else
#define QUARANTINE_MAX (SIZE - 1)
#endif

#define RESOLVED_OWNER 8 /* nobody writes there any more, but it is not free: the late producer has let go of it */

byte list[RUNS];    /* place and length of a run in quarantine, or 0; place * 8 + length in one word */
bool aborted[SIZE]; /* known to the checker alone: the padding that starts here was to be an event */
byte quarantined;   /* [consumer] granules */
byte reservers_done;
bool publisher_done;
#ifdef WITNESS
byte quarantines; /* how many there have been */
#endif

#define note_of(place, length) ((place) * 8 + (length))
#define run_place(note) ((note) / 8)
#define run_length(note) ((note) % 8)

/* What lies at `at`, by what has been read of the list: a run of `across` granules, or else `room` granules. */
inline look()
{
    room = SIZE - place(at);
    across = 0;
    step = 0;
    do
    :: step < RUNS ->
        if
        :: noted[step] != 0 && run_place(noted[step]) == place(at) -> across = run_length(noted[step])
        :: noted[step] != 0 && run_place(noted[step]) > place(at) && run_place(noted[step]) - place(at) < room ->
            room = run_place(noted[step]) - place(at)
        :: else
        fi;
        step++
    :: else -> break
    od;
    step = 0
}

/* Sets `at` to where the event will start; beyond any room if there is no gap for it. */
inline plan()
{
    d_step {
        at = position;
        do
        :: distance(at, position) > SIZE -> break
        :: else ->
            look();
            if
            :: across > 0 -> at = sum(at, across)
            :: across == 0 && length <= room -> break
            :: across == 0 && length > room -> at = sum(at, room)
            fi
        od;
        room = 0;
        across = 0
    }
}

inline read_list()
{
    slot = 0;
    do
    :: d_step { slot < RUNS -> noted[slot] = list[slot]; slot++ }
    :: slot == RUNS -> break
    od;
    slot = 0
}

inline load_tail()
{
    d_step {
        position = tail;
        events = tail_events
    }
}

#define fits (distance(sum(at, length), seen) <= SIZE)

proctype producer(byte me; bool reserves; byte left)
{
    byte length, position, events, seen, at, room, across, step, slot;
    byte noted[RUNS];
    bool sweeping;

next_event:
    if
    :: left == 0 -> goto all_done
    :: left > 0 && (reserves || SHORTEST == 1) -> length = 1
    :: left > 0 && (reserves || SHORTEST == 2) -> length = 2
    fi;

    load_tail();
again:
#ifdef BROKEN_LIST
    read_list();
    seen = head_seen;
#else
    seen = head_seen;
    read_list();
#endif
    plan();
    if
    :: fits -> goto swap
    :: else
    fi;
#ifdef BROKEN_LIST
    seen = head;
#else
    seen = head;
    read_list();
    plan();
#endif
    if
    :: fits
    :: else ->
        if
        :: d_step {
            tail == position && tail_events == events ->
            position = 0;
            events = 0;
            at = 0;
            slot = 0;
            do
            :: slot < RUNS -> noted[slot] = 0; slot++
            :: else -> break
            od;
            slot = 0
        }
            if
            :: seen != head
            :: reserves -> seen = 0; left--; goto next_event
            fi
        :: tail != position || tail_events != events
        fi;
        load_tail();
        goto again
    fi;
    head_seen = seen;
swap:
    seen = 0;
    if
    :: d_step {
        tail == position && tail_events == events ->
        tail = sum(at, length);
        tail_events = (events + 1) % EVENT_NUMBERS;
        order ! me * 8 + left;
        /* What is claimed, but for what is in quarantine. */
        slot = at;
        at = position;
        do
        :: at == slot -> break
        :: else ->
            look();
            if
            :: across > 0 -> at = sum(at, across)
            :: else -> events = room; take(at, events, me); at = sum(at, events)
            fi
        od;
        take(at, length, me);
        events = 0;
        slot = 0;
        room = 0;
        across = 0
    }
    :: tail != position || tail_events != events -> load_tail(); goto again
    fi;

    do
    :: d_step {
        position != at -> /* a store for each padding; `at` stays the start of the event */
        slot = at;
        at = position;
#ifdef BROKEN_PAD
        noted[0] = list[0];
        noted[RUNS - 1] = list[RUNS - 1];
#endif
        look();
        if
        :: across > 0 -> position = sum(position, across)
        :: else ->
            events = (room < distance(slot, at) -> room : distance(slot, at));
            hand_over(position, events, me, CONSUMER);
            word[place(position)] = header(PADDING, events);
            position = sum(position, events)
        fi;
        at = slot;
        events = 0;
        slot = 0;
        room = 0;
        across = 0
    }
    :: d_step {
        position == at ->
        position = place(at);
        at = 0;
        slot = 0;
        do
        :: slot < RUNS -> noted[slot] = 0; slot++
        :: else -> break
        od;
        slot = 0
    } break
    od;

    if
    :: d_step {
        reserves ->
        assert(owner[position] == me && word[position] == 0);
        word[position] = header(RESERVED, length)
    }
    :: !reserves
    fi;

    slot = length;
    do
    :: d_step {
        slot > 0 ->
        slot--;
        assert(owner[position + slot] == me);
        payload[position + slot] = me * 8 + left;
        if
        :: slot > 0 -> word[position + slot] = GARBAGE
        :: else
        fi
    }
    :: slot == 0 -> break
    od;
    slot = 0;

    if
    :: d_step {
        !reserves ->
        hand_over(position, length, me, CONSUMER);
        word[position] = header(EVENT, length)
    }
#ifdef BROKEN_COMMIT
    :: d_step {
        reserves && word[position] == header(RESERVED, length) -> slot = 1
    }
        d_step { slot = 0; word[position] = header(EVENT, length); hand_over(position, length, me, CONSUMER) }
#else
    :: d_step {
        reserves && word[position] == header(RESERVED, length) ->
        word[position] = header(EVENT, length);
        hand_over(position, length, me, CONSUMER)
    }
#endif
    :: d_step {
        reserves && word[position] == header(RESERVED, length) ->
        word[position] = header(PADDING, length);
        aborted[position] = true;
        hand_over(position, length, me, CONSUMER)
    }
    :: reserves && word[position] != header(RESERVED, length) ->
        assert(word[position] == header(OVERDUE, length));
        d_step {
            word[position] = header(RESOLVED, length);
            hand_over(position, length, me, RESOLVED_OWNER)
        }
    fi;
    left--;
    position = 0;
    length = 0;
    goto next_event;

all_done:
    if
    :: reserves -> reservers_done++
    :: !reserves && !sweeping ->
        /* Once more round the ring when all reservations have ended. */
        reservers_done == RESERVERS;
        atomic {
            sweeping = true;
#ifndef STEP_OVER
            left = SIZE
#endif
        }
        goto next_event
    :: !reserves && sweeping -> publisher_done = true
    fi
}

inline release()
{
    d_step {
        do
        :: head != read ->
            if
            :: owner[place(head)] == CONSUMER -> owner[place(head)] = FREE
            :: else
            fi;
            head = sum(head, 1)
        :: else -> break
        od;
        step = 0
    }
}

/* An event that will not be delivered leaves the order. */
inline forget()
{
    assert(nempty(order));
    order ? number;
    delivered = (delivered + 1) % EVENT_NUMBERS;
    number = 0
}

inline clear()
{
    do
    :: d_step { step < length_of(found) -> word[place(read + step)] = 0; step++ }
    :: d_step { step == length_of(found) -> step = 0 } break
    od
}

/* The slot that holds `note`. */
inline find(note)
{
    d_step {
        slot = 0;
        do
        :: slot < RUNS && list[slot] != note -> slot++
        :: else -> break
        od;
        step = 0
    }
}

#define is_resolved(note) ((note) != 0 && kind_of(word[run_place(note)]) == RESOLVED)
#if RUNS == 1
#define any_resolved is_resolved(list[0])
#else
#define any_resolved (is_resolved(list[0]) || is_resolved(list[1]))
#endif
#ifdef STEP_OVER
#define at_rest (!any_resolved)
#else
#define at_rest true
#endif

proctype consumer()
{
    byte found, number, step, slot;
#ifdef STEP_OVER
    byte at, room, across, noted[RUNS];
#endif
    do
    :: d_step { word[place(read)] != 0 && word[place(read)] != header(OVERDUE, length_of(word[place(read)])) &&
                word[place(read)] != header(RESOLVED, length_of(word[place(read)])) -> found = word[place(read)] }
        assert(found != GARBAGE);
        if
        :: kind_of(found) == RESERVED ->
            find(0);
            if
            :: word[place(read)] != found -> slot = 0; found = 0
            :: d_step {
                word[place(read)] == found && slot < RUNS && quarantined + length_of(found) <= QUARANTINE_MAX ->
                /* it has waited too long */
                quarantined = quarantined + length_of(found);
                word[place(read)] = header(OVERDUE, length_of(found));
                forget()
            }
#ifdef WITNESS
                quarantines++;
                assert(quarantines < 2);
#endif
#ifdef BROKEN_NOTE
                read = sum(read, length_of(found));
                release();
                list[slot] = note_of(place(read + POSITIONS - length_of(found)), length_of(found));
#else
                list[slot] = note_of(place(read), length_of(found));
                read = sum(read, length_of(found));
#endif
                d_step { slot = 0; found = 0 }
            fi
        :: else ->
            d_step {
                assert(owner[place(read)] == CONSUMER);
                assert(kind_of(found) == EVENT || kind_of(found) == PADDING);
                if
                :: kind_of(found) == EVENT -> deliver(length_of(found))
                :: kind_of(found) == PADDING && aborted[place(read)] -> aborted[place(read)] = false; forget()
                :: else
                fi
            }
            clear();
            atomic { read = sum(read, length_of(found)); found = 0 }
        fi;
        if
        :: head != read -> release()
        :: true
        fi
#ifdef BROKEN_EAGER
    :: d_step { (kind_of(word[place(read)]) == OVERDUE || kind_of(word[place(read)]) == RESOLVED) ->
                found = word[place(read)] }
#else
    :: d_step { (kind_of(word[place(read)]) == OVERDUE || kind_of(word[place(read)]) == RESOLVED) && tail != read ->
                found = word[place(read)] }
#endif
        find(note_of(place(read), length_of(found)));
        assert(slot < RUNS);
        if
        :: kind_of(found) == RESOLVED ->
            d_step { hand_over(read, length_of(found), RESOLVED_OWNER, CONSUMER) }
            clear();
            quarantined = quarantined - length_of(found);
            list[slot] = 0;
            read = sum(read, length_of(found))
        :: else -> read = sum(read, length_of(found))
        fi;
        d_step { slot = 0; found = 0 }
        if
        :: head != read -> release()
        :: true
        fi
#ifdef BROKEN_EARLY
    :: d_step { list[0] != 0 && kind_of(word[run_place(list[0])]) == RESOLVED -> found = list[0] }
        d_step {
            step = 0;
            do
            :: step < run_length(found) ->
                word[run_place(found) + step] = 0;
                owner[run_place(found) + step] = FREE;
                step++
            :: else -> break
            od;
            step = 0
        }
        list[0] = 0;
        quarantined = 0;
        found = 0
#endif
#ifdef STEP_OVER
    :: head == read && tail == read && any_resolved ->
        d_step {
            noted[0] = list[0];
            noted[RUNS - 1] = list[RUNS - 1];
            at = read;
            look();
            at = 0;
            noted[0] = 0;
            noted[RUNS - 1] = 0
        }
        if
        :: d_step { tail == read && across > 0 -> tail = sum(read, across); room = 0 }
        :: d_step { tail == read && across == 0 -> take(read, room, CONSUMER); tail = sum(read, room) }
            word[place(read)] = header(PADDING, room)
        :: tail != read
        fi;
        atomic { room = 0; across = 0 }
#endif
    :: head != read && (word[place(read)] == 0 || tail == read) -> release()
    :: head == read && tail == read && publisher_done && at_rest -> break
    od;

    atomic {
        assert(empty(order));
        assert(tail_events == delivered);
        step = 0;
        do
        :: step < SIZE -> assert(owner[step] == FREE && word[step] == 0); step++
        :: else -> break
        od;
        step = 0;
        do
        :: step < RUNS -> assert(list[step] == 0); step++
        :: else -> break
        od
    }
}

init
{
    byte i;
    atomic {
        do
        :: i < RESERVERS -> run producer(i + 1, true, RESERVATIONS); i++
        :: else -> break
        od;
        run producer(i + 1, false, EVENTS);
        i = 0;
        run consumer()
    }
}
