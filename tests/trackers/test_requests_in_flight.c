/* What is in flight: requests have no ids in the request tracker, so which end belongs to which start is a rule. */
#include <tallybus/requests.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oracle.h"

static const int64_t begin = 1767258000000000000;

static tbus_requests_snapshot_t *snapshot_of(tbus_requests_t *requests)
{
    tbus_requests_snapshot_t *snapshot;
    cr_assert_eq(tbus_requests_snapshot(requests, 0, &snapshot), 0);
    return snapshot;
}

static uint64_t in_flight_at(const tbus_requests_snapshot_t *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->endpoints_count; i++)
        if (strcmp(snapshot->endpoints[i].name, name) == 0)
            return snapshot->endpoints[i].in_flight;
    cr_assert_fail("no endpoint %s", name);
    return 0;
}

static void record(tbus_requests_t *requests, const char *endpoint, int starts, int ends)
{
    for (int i = 0; i < starts; i++)
        cr_assert_eq(tbus_requests_record_start(requests, endpoint, begin), 0);
    for (int i = 0; i < ends; i++)
        cr_assert_eq(
            tbus_requests_record_end(requests, endpoint, &(tbus_traffic_end_t){.duration_ms = NAN, .time_ns = begin}),
            0);
}

/* semantics: requests.in_flight */
Test(requests_in_flight, an_end_that_never_began_takes_nothing_off_another_name)
{
    tbus_requests_t *requests;
    cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
    record(requests, "/chat", 10, 0);
    record(requests, "/login", 0, 10);
    tbus_requests_snapshot_t *s = snapshot_of(requests);
    cr_assert(s->all.in_flight == 10 && in_flight_at(s, "/chat") == 10 && s->unmatched_responses == 10);
    cr_assert_eq(in_flight_at(s, "/login"), 0u);
    tbus_requests_snapshot_free(s);
    tbus_requests_close(requests);
}

/* semantics: requests.in_flight */
Test(requests_in_flight, where_one_side_tells_no_name_nothing_is_left_in_flight_in_all)
{
    static const char *const names[][2] = {{NULL, "/chat"}, {"/chat", NULL}, {"/chat", "/chat"}};
    for (int i = 0; i < 3; i++) {
        tbus_requests_t *requests;
        cr_assert_eq(tbus_requests_open(NULL, &requests), 0);
        record(requests, names[i][0], 5, 0);
        record(requests, names[i][1], 0, 6);
        tbus_requests_snapshot_t *s = snapshot_of(requests);
        cr_assert(s->all.in_flight == 0 && s->unmatched_responses == 1);
        cr_assert_eq(in_flight_at(s, "/chat"), i == 1 ? 5u : 0u, "whose an end without a name is");
        tbus_requests_snapshot_free(s);
        tbus_requests_close(requests);
    }
}

/* Requests one by one, as the definition tells it: slow and plain. */
struct begun {
    int name;     /* 0 = none */
    bool is_over; /* ended by one that told no name: still in its row */
};

struct begun_list {
    struct begun of[2000];
    int count;
    uint64_t unmatched;
};

static int find_begun(const struct begun_list *list, int name)
{
    for (int over = 0; over < 2; over++)
        for (int i = 0; i < list->count; i++)
            if (list->of[i].name == name && list->of[i].is_over == (over == 1))
                return i;
    return -1;
}

/* One of any name, not over. */
static int find_going_on(const struct begun_list *list)
{
    for (int i = 0; i < list->count; i++)
        if (!list->of[i].is_over)
            return i;
    return -1;
}

/* Which of the requests of one name, or of several, is over is not known, nor told: that of another counts as well. */
static void end_one(struct begun_list *list, int name)
{
    const int own = find_begun(list, name), unnamed = find_begun(list, 0), any = find_going_on(list);
    const int at = own >= 0 ? own : unnamed;
    list->unmatched += any < 0 || (at < 0 && name != 0);
    if (at < 0 && name == 0 && any >= 0)
        list->of[any].is_over = true;
    if (at < 0)
        return;
    if (list->of[at].is_over && any >= 0) /* it was another that ended without a name */
        list->of[any].is_over = true;
    list->of[at] = list->of[--list->count];
}

static void check_against_a_list(uint32_t endpoints_max)
{
    enum { NAMES = 4, EVENTS = 4000 };
    static const char *const names[NAMES] = {"", "/a", "/b", "/c"};
    const char *const rows[NAMES] = {"", "/a", endpoints_max == 1 ? "other" : "/b", "/c"};
    static struct begun_list list;
    uint64_t seed = oracle_seed("in flight");
    tbus_requests_t *requests;
    list = (struct begun_list){.count = 0};
    cr_assert_eq(tbus_requests_open(&(tbus_requests_options_t){.endpoints_max = endpoints_max}, &requests), 0);
    record(requests, "/a", 1, 1);
    for (int i = 0; i < EVENTS; i++) {
        const int given = (int)(oracle_random(&seed) % NAMES), name = given == 3 && endpoints_max == 1 ? 2 : given;
        const bool starts = list.count < 2000 && oracle_random(&seed) % 100 < (i / 500 % 2 ? 30 : 70);
        record(requests, names[given], starts, !starts);
        if (starts)
            list.of[list.count++] = (struct begun){.name = name};
        else
            end_one(&list, name);
        tbus_requests_snapshot_t *s = snapshot_of(requests);
        uint64_t going_on = 0, in_rows[NAMES] = {0};
        for (int k = 0; k < list.count; k++) {
            going_on += !list.of[k].is_over;
            in_rows[list.of[k].name]++;
        }
        cr_assert(s->all.in_flight == going_on && s->unmatched_responses == list.unmatched, "event %d", i);
        for (size_t k = 0; k < s->endpoints_count; k++)
            for (int n = 0; n < NAMES; n++)
                if (strcmp(s->endpoints[k].name, rows[n]) == 0)
                    cr_assert_eq(s->endpoints[k].in_flight, in_rows[n], "event %d", i);
        cr_assert_eq(s->all.requests + s->unmatched_responses, s->all.responses + s->all.in_flight);
        tbus_requests_snapshot_free(s);
    }
    tbus_requests_close(requests);
}

/* semantics: requests.in_flight requests.counts */
Test(requests_in_flight, what_is_in_flight_is_what_a_list_of_requests_has)
{
    check_against_a_list(0);
}

/* Where the empty name comes after the last that is told apart, it has a place all the same. */
Test(requests_in_flight, past_the_limit_of_names_too)
{
    check_against_a_list(1);
}
