/* Everything at once, for a bounded time: publishers of events of all sizes and classes, subscribers that come and go, on
 * threads of their own or not, and a close at some moment. What has been accepted is delivered once, in order, to everyone who
 * should see it. TBUS_STRESS_SECONDS in the environment makes it last longer, RANDOM_SEED repeats a run's choices. */
#include "tests/bus/fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "tests/oracle.h"

enum { PUBLISHERS = 3, CHURNERS = 2, SEQUENCE_BITS = 40, TEXT_MAX = 3000 };

static char text[TEXT_MAX + 1];

struct round {
    tbus_t *bus;
    uint64_t seed;
    uint32_t custom; /* a type of the test's own, for reservations */
    /* [loop thread] the one who sees everything */
    uint64_t seen[PUBLISHERS], seen_sum[PUBLISHERS], last[PUBLISHERS];
    bool in_order;
    uint64_t close_after; /* events */
    uint64_t all;
};

struct party {
    struct round *round;
    uv_thread_t thread;
    uint64_t seed, number;
    uint64_t accepted, accepted_sum, refused;
};

/* model.selected of a churner: only the churner itself looks at it. */
static int64_t mark(uint64_t churner, uint64_t number)
{
    return -(int64_t)(churner << SEQUENCE_BITS | number);
}

static int see_all(const tbus_event_t *event, void *user)
{
    struct round *round = user;
    int64_t number = number_of(event);
    if (++round->all == round->close_after)
        (void)tbus_close(round->bus, 60000, NULL, NULL);
    if (event->type == round->custom)
        memcpy(&number, event + 1, sizeof number);
    if (number < 0)
        return 0;
    uint64_t publisher = (uint64_t)number >> SEQUENCE_BITS;
    cr_assert_lt(publisher, (uint64_t)PUBLISHERS);
    round->in_order = round->in_order && (uint64_t)number > round->last[publisher];
    round->last[publisher] = (uint64_t)number;
    round->seen[publisher]++;
    round->seen_sum[publisher] += (uint64_t)number;
    return 0;
}

static int publish_one(struct party *party, int64_t number, uint64_t random)
{
    tbus_t *bus = party->round->bus;
    const char *name = text + TEXT_MAX - (random >> 8) % (random & 0x80 ? TEXT_MAX : 60);
    tbus_event_t *event;
    switch (random % 4) {
    case 0:
        return tbus_publish_queue_depth_changed(bus,
                                                &(tbus_queue_depth_changed_t){.depth = number, .queue_name = name});
    case 1:
    case 2:
        return tbus_publish_model_selected(bus, &(tbus_model_selected_t){.context_window = number, .model_id = name});
    default:
        break;
    }
    int error = tbus_reserve(bus, party->round->custom, (random >> 8) % TEXT_MAX, &event, NULL);
    if (error)
        return error;
    if (random & 0x40) {
        cr_assert_eq(tbus_abort(bus, event), 0);
        return UV_ECANCELED;
    }
    memcpy(event + 1, &number, sizeof number);
    cr_assert_eq(tbus_commit(bus, event), 0);
    return 0;
}

static void publish_until_closed(void *argument)
{
    struct party *party = argument;
    for (uint64_t i = 1;; i++) {
        int64_t number = (int64_t)(party->number << SEQUENCE_BITS | i);
        int error = publish_one(party, number, oracle_random(&party->seed));
        if (error == UV_ESHUTDOWN)
            return;
        cr_assert(error == 0 || error == UV_ENOBUFS || error == UV_ECANCELED, "%d", error);
        party->refused += error != 0;
        party->accepted += error == 0;
        party->accepted_sum += error == 0 ? (uint64_t)number : 0;
    }
}

/* What a churner's own subscriber has seen of its own marks. */
struct marks {
    uint64_t churner, next;
    bool wrong;
    atomic_int closed;
};

static int see_marks(const tbus_event_t *event, void *user)
{
    struct marks *marks = user;
    int64_t number = number_of(event);
    if (number >= 0 || (uint64_t)-number >> SEQUENCE_BITS != marks->churner)
        return 0;
    marks->wrong = marks->wrong || number != mark(marks->churner, marks->next);
    marks->next++;
    return 0;
}

static void count_close(void *user)
{
    atomic_fetch_add(&((struct marks *)user)->closed, 1);
}

static void come_and_go(void *argument)
{
    struct party *party = argument;
    tbus_t *bus = party->round->bus;
    uint64_t first = 1;
    for (;;) {
        uint64_t random = oracle_random(&party->seed), count = random % 30;
        struct marks marks = {.churner = party->number, .next = first};
        tbus_route_t route = {random & 0x100 ? "model.*" : "model.selected", (int32_t)(random >> 40), see_marks};
        int64_t id = tbus_subscriber_add(
            bus, &(tbus_subscriber_t){.routes = &route,
                                      .routes_count = 1,
                                      .user = &marks,
                                      .mode = random & 0x200 ? TBUS_ISOLATED : TBUS_INLINE,
                                      .isolated_queue_bytes = 16 << 20, /* large enough: its drops would be its own */
                                      .on_close = count_close});
        if (id == UV_ESHUTDOWN)
            return;
        cr_assert_gt(id, 0);
        uint64_t expected = first;
        for (uint64_t i = 0; i < count; i++) {
            tbus_model_selected_t event = {.context_window = mark(party->number, expected)};
            int error = tbus_publish_model_selected(bus, &event);
            if (error == 0)
                expected++;
            cr_assert(error == 0 || error == UV_ENOBUFS || error == UV_ESHUTDOWN, "%d", error);
        }
        int error = tbus_unsubscribe_wait(bus, id);
        cr_assert(error == 0 || error == UV_ESHUTDOWN, "%d", error);
        cr_assert_eq(atomic_load(&marks.closed), 1);
        cr_assert_not(marks.wrong);
        cr_assert_eq(marks.next, expected, "churner saw %d of %d", (int)(marks.next - first), (int)(expected - first));
        first = expected + 1; /* one that nobody should see */
        (void)tbus_publish_model_selected(bus,
                                          &(tbus_model_selected_t){.context_window = mark(party->number, expected)});
    }
}

static void open_round(struct round *round, uint64_t *seed)
{
    static const tbus_field_t field = {"number", TBUS_KIND_INT, sizeof(tbus_event_t), 0};
    tbus_type_t type = {"stress.own", TBUS_CLASS_VITAL, sizeof(tbus_event_t) + 8, 1, &field};
    uint64_t random = oracle_random(seed);
    *round = (struct round){.in_order = true, .close_after = 1000 + random % 30000};
    cr_assert_eq(tbus_open(&(tbus_options_t){.ring_bytes = UINT64_C(64) << (10 + random % 3),
                                             .batch_max_events = random & 0x100 ? 1 + random % 50 : 0,
                                             .linger_us = random & 0x200 ? UINT32_MAX : 0,
                                             .reserve_max_ms = 60000},
                           &round->bus),
                 0);
    cr_assert_eq(tbus_type_register(round->bus, &type, &round->custom), 0);
    cr_assert_gt(tbus_subscribe(round->bus, ">", INT32_MAX, see_all, round), 0);
}

static void play(uint64_t *seed, uint64_t *events)
{
    struct round round;
    struct party parties[PUBLISHERS + CHURNERS];
    open_round(&round, seed);
    for (uint64_t i = 0; i < PUBLISHERS + CHURNERS; i++) {
        parties[i] = (struct party){.round = &round, .number = i, .seed = oracle_random(seed)};
        cr_assert_eq(
            uv_thread_create(&parties[i].thread, i < PUBLISHERS ? publish_until_closed : come_and_go, &parties[i]), 0);
    }
    for (int i = 0; i < PUBLISHERS + CHURNERS; i++)
        uv_thread_join(&parties[i].thread);
    cr_assert_eq(tbus_free(round.bus), 0);
    cr_assert(round.in_order);
    for (int i = 0; i < PUBLISHERS; i++) {
        cr_assert_eq(round.seen[i], parties[i].accepted, "publisher %d", i);
        cr_assert_eq(round.seen_sum[i], parties[i].accepted_sum, "publisher %d", i);
        *events += round.seen[i];
    }
}

Test(stress, everything_at_once)
{
    const char *seconds = getenv("TBUS_STRESS_SECONDS");
    uint64_t seed = oracle_seed("stress"), events = 0;
    uint64_t until = uv_hrtime() + (seconds ? strtoull(seconds, NULL, 10) : 3) * UINT64_C(1000000000);
    int rounds = 0;
    memset(text, 's', TEXT_MAX);
    do {
        play(&seed, &events);
        rounds++;
    } while (uv_hrtime() < until);
    fprintf(stderr, "stress: %d rounds, %llu events\n", rounds, (unsigned long long)events);
    cr_assert_gt(events, 0u);
}
