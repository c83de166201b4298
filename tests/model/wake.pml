/* How the loop thread falls asleep and is woken: bus_wake() of bus/bus.h, bus/home.c, bus/dispatch.c, bus/aside.c.
 *
 * The ring is here a plain array of records that is not used up; what it is itself is ring.pml's matter. libuv's part
 * is as it writes it: uv_async_send() does nothing when the handle is marked pending, else marks it and writes to a
 * file descriptor; the loop reads that empty, then takes the mark and calls back if it was set. So several sends before
 * that make one call. An idle handle that is active is called in every turn, a timer at some time after it was started.
 *
 * One thing goes beyond sequential consistency: the commit is a release store and may become visible to the loop after
 * the publisher's next read, that of `asleep` (a store buffer does that). The handshake covers the claim, whose
 * compare-and-swap is sequentially consistent as `asleep` and `due` are; the 1 ms timer is the net for the commit. So a
 * publisher's commit takes effect here before or after its read of `asleep`, at will, and without the timer
 * (BROKEN_NET) events are lost. Nothing else may be reordered, because
 *   - claim, `due`, `asleep` are sequentially consistent on both sides: publisher writes one and reads the other, the
 *     loop the reverse, and at least one of the two sees what the other wrote;
 *   - the loop reads headers after a sequentially consistent read of `tail`, which is an acquire.
 *
 * Checked
 *   no lost wake-up     when all publishers have returned and the loop blocks, everything is delivered: any other end
 *                       is an invalid one; and with LIVENESS, under weak fairness, everything is delivered at last
 *   one send a sleep    publishers send no more often than `asleep` was set
 *   asides keep place   an event published after a subscription was made finds it in effect; one before it does not
 *   close drains        the handles are closed when all that was claimed is delivered
 *
 * Options: PUBLISHERS, EVENTS (of each); ASIDE (one more thread: publishes, adds an aside, publishes); CLOSE.
 * BROKEN_ORDER (`asleep` is set after the last look), BROKEN_NET (no timer), BROKEN_PUBLISHER (looks at `asleep` before
 * it claims), BROKEN_EXCHANGE (reads `asleep` and sets it to 0, two steps), BROKEN_ASIDE (looks for a due aside
 * before it looks at the record), BROKEN_CLOSE (tells the loop of the closing before it shuts the ring). */
#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef EVENTS
#define EVENTS 1
#endif
#ifdef ASIDE
#define HAS_ASIDE 1
#else
#define HAS_ASIDE 0
#endif
#ifdef CLOSE
#define HAS_CLOSE 1
#else
#define HAS_CLOSE 0
#endif
#define THREADS (PUBLISHERS + HAS_ASIDE + HAS_CLOSE)
#define RECORDS (PUBLISHERS * EVENTS + 2 * HAS_ASIDE)
#define NONE 255

byte tail, read; /* `read` is the loop thread's */
bool shut;
bool committed[RECORDS];
byte due = NONE; /* the aside's position */
bool asleep = true;
bool closing;

/* libuv */
bool pending, readable, again, net;

byte threads_done;

/* Known to the checker alone. */
bool sent;            /* someone has taken it on himself to send since `asleep` was set */
bool applied, closed; /* the aside; the handles */
byte before_aside = NONE, after_aside = NONE; /* two events of the thread that adds the aside */

inline async_send()
{
    if
    :: pending
    :: else ->
        if
        :: d_step { !pending -> pending = true }
            readable = true
        :: pending
        fi
    fi
}

/* bus_wake() */
inline wake()
{
    if
    :: asleep ->
#ifdef BROKEN_EXCHANGE
        d_step { asleep = false; assert(!sent); sent = true }
        async_send()
#else
        if
        :: d_step { asleep -> asleep = false; assert(!sent); sent = true }
            async_send()
        :: !asleep
        fi
#endif
    :: else
    fi
}

/* The compare-and-swap of ring_claim(); `at` is NONE when the ring is shut. */
inline claim()
{
    atomic {
        if
        :: shut -> at = NONE
        :: else -> at = tail; tail++
        fi
    }
}

inline publish()
{
#ifdef BROKEN_PUBLISHER
    sleeper = asleep;
    claim();
    if
    :: at == NONE
    :: at != NONE && !sleeper -> committed[at] = true
    :: at != NONE && sleeper -> committed[at] = true; wake()
    fi;
    sleeper = false
#else
    claim();
    if
    :: at == NONE
    :: at != NONE -> committed[at] = true; wake()
    :: at != NONE -> run late_commit(at); wake()
    fi
#endif
}

/* A commit that lingers in a store buffer. */
proctype late_commit(byte at)
{
    committed[at] = true
}

proctype publisher()
{
    byte left = EVENTS, at;
    bool sleeper;
    do
    :: left > 0 -> publish(); at = 0; left--
    :: left == 0 -> break
    od;
    threads_done++
}

/* A thread that publishes, subscribes, publishes. */
proctype subscriber()
{
    byte at;
    bool sleeper;
    publish();
    before_aside = at;
    at = tail; /* aside_add(); its lock is of no matter to the one thread that adds */
    due = at;
    wake();
    after_aside = tail; /* or later */
    publish();
    threads_done++
}

proctype closer()
{
#ifdef BROKEN_CLOSE
    closing = true;
    shut = true;
#else
    shut = true;
    closing = true;
#endif
    async_send();
    threads_done++
}

#define readable_record (read < RECORDS && committed[read])
#define aside_due (due != NONE && due <= read)

inline apply_aside()
{
    d_step {
        assert(before_aside == NONE || before_aside < read);
        due = NONE;
        applied = true
    }
}

inline deliver()
{
    d_step {
        assert(readable_record);
        assert(after_aside == NONE || read < after_aside || applied);
        read++
    }
}

/* dispatch_batch(); `more` when it stopped early, for which it must have delivered something. */
inline dispatch()
{
#ifdef BROKEN_ASIDE
    do
    :: aside_due -> apply_aside()
    :: !aside_due ->
        if
        :: readable_record -> deliver()
        :: !readable_record -> break
        fi
    od
#else
    do
    :: found = readable_record;
        if
        :: aside_due -> apply_aside()
        :: !aside_due && !found -> break
        :: !aside_due && found -> deliver()
        :: !aside_due && found && some -> more = true; break
        fi;
        some = some || found
    od;
    found = false;
    some = false
#endif
}

inline go_on()
{
    d_step { net = false; again = true }
}

inline go_to_sleep()
{
#ifndef BROKEN_ORDER
    d_step { asleep = true; sent = false }
#endif
    claimed = tail != read;
    more = readable_record;
    if
    :: more
    :: !more -> more = aside_due
    fi;
#ifdef BROKEN_ORDER
    d_step { asleep = true; sent = false }
#endif
    if
    :: more ->
        asleep = false;
        more = false;
        go_on()
    :: !more ->
        d_step {
            again = false;
#ifndef BROKEN_NET
            net = claimed
#endif
        }
    fi;
    claimed = false
}

proctype loop()
{
    bool found, some, more, claimed;
wait:
    do
    :: again -> goto turn
    :: net -> net = false; goto turn
    :: readable -> readable = false;
        if
        :: d_step { pending -> pending = false } goto turn
        :: !pending
        fi
    :: threads_done == THREADS && !closing && read == tail && due == NONE && applied == HAS_ASIDE -> break
    od;
    goto done;
turn:
    asleep = false;
    dispatch();
    if
    :: more
    :: !more -> more = readable_record;
        if
        :: more
        :: !more -> more = aside_due
        fi
    fi;
    if
    :: closing && tail == read -> closed = true; goto done
    :: !(closing && tail == read)
    fi;
    if
    :: more -> more = false; go_on()
    :: !more -> go_to_sleep()
    fi;
    goto wait;
done:
    assert(read == tail)
}

init
{
    byte i;
    atomic {
        do
        :: i < PUBLISHERS -> run publisher(); i++
        :: else -> break
        od;
        i = 0;
#ifdef ASIDE
        run subscriber();
#endif
#ifdef CLOSE
        run closer();
#endif
        run loop()
    }
}

#ifdef LIVENESS
#ifdef CLOSE
ltl at_last { <> closed }
#else
ltl at_last { <> (threads_done == THREADS && read == RECORDS && due == NONE && applied == HAS_ASIDE) }
#endif
#endif
