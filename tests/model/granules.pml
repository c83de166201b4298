/* The array of the ring, and what a checker who sees everything knows about it. Shared by ring.pml and reservation.pml.
 *
 * What is modelled of a granule is its first word, for that is where a header can stand, and one payload byte. Payload
 * that lands in a first word is one abstract value, GARBAGE. It stands for every word a payload may hold, header-like
 * ones included: nobody may ever read it as a header, whatever it is, and that is what is asserted. */
#ifndef SIZE
#define SIZE 4 /* granules */
#endif
#ifndef LAPS
#define LAPS 8
#endif
#define POSITIONS (SIZE * LAPS) /* positions are counted modulo this */
#ifndef FIRST
#define FIRST (POSITIONS - SIZE + 2) /* not aligned, and positions pass through 0 in every run */
#endif
#define EVENT_NUMBERS 8 /* events are counted modulo this: fewer than are claimed in a run, more than the ring holds */

#define distance(later, earlier) (((later) + POSITIONS - (earlier)) % POSITIONS)
#define sum(position, more) (((position) + (more)) % POSITIONS)
#define place(position) ((position) % SIZE)

/* Header words: kind and length. */
#define EVENT 1
#define PADDING 2
#define RESERVED 3
#define OVERDUE 4
#define RESOLVED 5
#define header(kind, length) ((kind) * 8 + (length))
#define kind_of(word) ((word) / 8)
#define length_of(word) ((word) % 8)
#define GARBAGE 255

byte word[SIZE];    /* the first word of each granule */
byte payload[SIZE]; /* which event's payload is in it */

/* One word of memory in C, hence always read and written in one step here. */
byte tail = FIRST;
byte tail_events = EVENT_NUMBERS - 2;
bool tail_shut;

byte head_seen = FIRST;
byte head = FIRST;
byte read = FIRST; /* [consumer] */

/* Known to the checker alone: who may touch a granule, which events are claimed and in what order. */
#define FREE 0
#define CONSUMER 9
byte owner[SIZE];
chan order = [SIZE] of { byte };
byte delivered = EVENT_NUMBERS - 2; /* modulo EVENT_NUMBERS */

/* Without the clearing, what is looked for is not the unclean word but what comes of it. */
#ifdef BROKEN_CLEAR
#define clean(word) true
#else
#define clean(word) ((word) == 0)
#endif

/* In the step that claims: granules from `start` on go to `who`. They must be free and clean. */
inline take(start, count, who)
{
    step = 0;
    do
    :: step < count ->
        assert(owner[place(start + step)] == FREE);
        assert(clean(word[place(start + step)]));
        owner[place(start + step)] = who;
        step++
    :: else -> break
    od;
    step = 0
}

/* Granules from `start` on go from `from` to `to`. */
inline hand_over(start, count, from, to)
{
    step = 0;
    do
    :: step < count ->
        assert(owner[place(start + step)] == from);
        owner[place(start + step)] = to;
        step++
    :: else -> break
    od;
    step = 0
}

/* The consumer reads a whole event: it is the oldest one claimed, and untorn. */
inline deliver(count)
{
    step = 0;
    assert(nempty(order));
    order ? number;
    do
    :: step < count ->
        assert(owner[place(read + step)] == CONSUMER);
        assert(payload[place(read + step)] == number);
        step++
    :: else -> break
    od;
    delivered = (delivered + 1) % EVENT_NUMBERS;
    step = 0;
    number = 0
}
