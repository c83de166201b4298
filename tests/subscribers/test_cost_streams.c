/* Streams that are cut off: billed for what they used, until the real figures come. */
#include <stdio.h>
#include <string.h>

#include <tallybus/subscribers.h>

#include "subscribers/cost_streams.h"
#include "tests/check.h"
#include "tests/oom.h"
#include "tests/trackers/cost_fixture.h"

enum { TOLD_MAX = 16 };

struct gateway {
    tbus_t *bus;
    tbus_cost_t *cost;
    int told_count;
    tbus_usage_record_t told[TOLD_MAX]; /* of its strings only the user's name is kept */
    char users[TOLD_MAX][32];
    char keys[TOLD_MAX][32];
};

static int on_priced(const tbus_event_t *event, void *user)
{
    struct gateway *gateway = user;
    int i = gateway->told_count++;
    if (i >= TOLD_MAX || tbus_usage_of_event(gateway->bus, event, &gateway->told[i]) != 0)
        return UV_EINVAL;
    snprintf(gateway->users[i], sizeof gateway->users[i], "%s", gateway->told[i].user_id);
    snprintf(gateway->keys[i], sizeof gateway->keys[i], "%s", event->api_key ? event->api_key : "");
    return 0;
}

static void gateway_open_with(struct gateway *gateway, int64_t (*attach)(tbus_cost_t *, tbus_t *))
{
    memset(gateway, 0, sizeof *gateway);
    cr_assert_eq(tbus_open(NULL, &gateway->bus), 0);
    gateway->cost = opened(NULL);
    cr_assert_gt(attach(gateway->cost, gateway->bus), 0);
    cr_assert_eq(tbus_usage_events_enable(gateway->bus, NULL), 0);
    cr_assert_gt(tbus_subscribe(gateway->bus, TBUS_USAGE_PRICED, 0, on_priced, gateway), 0);
}

static void gateway_open(struct gateway *gateway)
{
    gateway_open_with(gateway, tbus_cost_attach);
}

static int ignore(const tbus_event_t *event, void *user)
{
    (void)event, (void)user;
    return 0;
}

/* Until everything published, by handlers too, has been handled: a subscription ends behind it. */
static void settle(struct gateway *gateway)
{
    for (int hop = 0; hop < 2; hop++) {
        int64_t subscription = tbus_subscribe(gateway->bus, "request.queued", 0, ignore, NULL);
        cr_assert_gt(subscription, 0);
        cr_assert_eq(tbus_unsubscribe_wait(gateway->bus, subscription), 0);
    }
}

static tbus_cost_snapshot_t *look(struct gateway *gateway)
{
    settle(gateway);
    return snapshot_of(gateway->cost);
}

static void gateway_close(struct gateway *gateway)
{
    cr_assert_eq(tbus_free(gateway->bus), 0);
    tbus_cost_close(gateway->cost);
}

static void start(struct gateway *gateway, const char *stream_id, const char *request_id)
{
    cr_assert_eq(tbus_publish_stream_started(gateway->bus, &(tbus_stream_started_t){.base = {.time_ns = 100,
                                                                                             .request_id = request_id,
                                                                                             .api_key = "sk-proj-0123",
                                                                                             .user_id = "ann"},
                                                                                    .stream_id = stream_id,
                                                                                    .model = "gpt-4o",
                                                                                    .endpoint = "/v1/chat",
                                                                                    .input_tokens = 1000}),
                 0);
}

static void send_tokens(struct gateway *gateway, const char *stream_id, int events, int64_t each, const char *kind)
{
    for (int i = 0; i < events; i++)
        cr_assert_eq(
            tbus_publish_stream_token_generated(
                gateway->bus, &(tbus_stream_token_generated_t){.stream_id = stream_id, .tokens = each, .kind = kind}),
            0);
}

static void cancel(struct gateway *gateway, const char *stream_id, int64_t tokens)
{
    cr_assert_eq(tbus_publish_stream_cancelled(gateway->bus, &(tbus_stream_cancelled_t){.base = {.time_ns = 200},
                                                                                        .stream_id = stream_id,
                                                                                        .token_count = tokens}),
                 0);
}

static void disconnect(struct gateway *gateway, const char *stream_id, int64_t tokens)
{
    cr_assert_eq(tbus_publish_client_disconnected(gateway->bus, &(tbus_client_disconnected_t){.base = {.time_ns = 200},
                                                                                              .stream_id = stream_id,
                                                                                              .tokens_sent = tokens}),
                 0);
}

static void complete(struct gateway *gateway, const char *request_id)
{
    cr_assert_eq(
        tbus_publish_request_completed(
            gateway->bus,
            &(tbus_request_completed_t){
                .base = {.time_ns = 300, .request_id = request_id, .api_key = "sk-proj-0123", .user_id = "bob"},
                .model = "gpt-4o",
                .endpoint = "/v1/chat",
                .input_tokens = 900,
                .output_tokens = 70}),
        0);
}

Test(cost_streams, one_that_is_cut_off_is_billed_as_an_estimate)
{
    struct gateway gateway;
    gateway_open(&gateway);
    start(&gateway, "s1", "r1");
    cancel(&gateway, "s1", 40);
    start(&gateway, "s2", "r2");
    disconnect(&gateway, "s2", 60);
    tbus_cost_snapshot_t *snapshot = look(&gateway);
    cr_assert_eq(snapshot->total.requests, 2);
    cr_assert_eq(snapshot->estimated_requests, 2);
    cr_assert_eq(snapshot->total.prompt_tokens, 2000);
    cr_assert_eq(snapshot->total.completion_tokens, 100);
    cr_assert(is_usd(snapshot->total.usd, "0.0115")); /* 2000 * 5 + 100 * 15 per million */
    cr_assert_str_eq(snapshot->by_user[0].name, "ann");
    cr_assert_str_eq(snapshot->by_model[0].name, "gpt-4o");
    cr_assert_str_eq(snapshot->by_endpoint[0].name, "/v1/chat");
    tbus_cost_snapshot_free(snapshot);
    cr_assert_eq(gateway.told_count, 2);
    cr_assert(gateway.told[0].estimated && !gateway.told[0].retracted);
    cr_assert_eq(gateway.told[0].time_ns, 200);
    cr_assert_eq(gateway.told[0].output_tokens, 40);
    cr_assert_str_eq(gateway.users[0], "ann");
    gateway_close(&gateway);
}

Test(cost_streams, the_most_that_is_known_of_the_tokens_counts)
{
    static const struct {
        int events;
        int64_t each, progress, told;
        const char *kind;
        uint64_t billed; /* where tokens are counted; else the same without them */
    } cases[] = {
        {0, 0, 0, 0, NULL, 0},   {7, 0, 0, 0, NULL, 7},      {7, 3, 0, 0, "reasoning", 21}, {7, 3, 30, 0, NULL, 30},
        {7, 3, 10, 0, NULL, 21}, {7, 3, 30, 44, NULL, 44},   {7, 1, 0, 5, "content", 7},    {7, 1, 0, 9, "role", 9},
        {7, 1, 0, 0, "role", 0}, {3, -5, -7, -9, "tool", 3},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const bool counting = i % 2 == 0;
        const int64_t progress = cases[i / 2].progress, told = cases[i / 2].told;
        const int64_t uncounted = progress > told ? progress : told;
        struct gateway gateway;
        gateway_open_with(&gateway, counting ? tbus_cost_attach_counting : tbus_cost_attach);
        start(&gateway, "s", NULL);
        send_tokens(&gateway, "s", cases[i / 2].events, cases[i / 2].each, cases[i / 2].kind);
        send_tokens(&gateway, "another", 3, 100, NULL);
        cr_assert_eq(tbus_publish_stream_progress(
                         gateway.bus, &(tbus_stream_progress_t){.stream_id = "s", .tokens_generated = progress}),
                     0);
        cancel(&gateway, "s", told);
        tbus_cost_snapshot_t *snapshot = look(&gateway);
        cr_assert_eq(snapshot->total.requests, 1);
        cr_assert_eq(snapshot->total.completion_tokens,
                     counting ? cases[i / 2].billed : (uint64_t)(uncounted > 0 ? uncounted : 0), "case %zu: %llu", i,
                     (unsigned long long)snapshot->total.completion_tokens);
        tbus_cost_snapshot_free(snapshot);
        gateway_close(&gateway);
    }
}

Test(cost_streams, real_figures_replace_the_estimate_and_both_are_told)
{
    struct gateway gateway;
    gateway_open(&gateway);
    start(&gateway, "s1", "r1");
    cancel(&gateway, "s1", 40);
    complete(&gateway, "r1");
    tbus_cost_snapshot_t *snapshot = look(&gateway);
    cr_assert_eq(snapshot->total.requests, 1);
    cr_assert_eq(snapshot->estimated_requests, 0);
    cr_assert_eq(snapshot->retracted_estimates, 1);
    cr_assert_eq(snapshot->total.prompt_tokens, 900);
    cr_assert_eq(snapshot->by_user_count, 1);
    cr_assert_str_eq(snapshot->by_user[0].name, "bob");
    tbus_cost_snapshot_free(snapshot);

    cr_assert_eq(gateway.told_count, 3);
    const tbus_usage_record_t *estimate = &gateway.told[0], *taken_back = &gateway.told[1], *real = &gateway.told[2];
    cr_assert(estimate->estimated && !estimate->retracted);
    cr_assert(taken_back->estimated && taken_back->retracted);
    cr_assert_not(real->estimated || real->retracted);
    cr_assert_eq(taken_back->event_id, estimate->event_id);
    cr_assert_eq(taken_back->time_ns, estimate->time_ns);
    cr_assert_eq(tbus_money_compare(taken_back->cost, estimate->cost), 0);
    cr_assert_eq(taken_back->input_tokens, estimate->input_tokens);
    cr_assert_eq(taken_back->output_tokens, estimate->output_tokens);
    cr_assert_arr_eq(taken_back->key_digest, estimate->key_digest, TBUS_KEY_DIGEST_BYTES);
    cr_assert_str_eq(gateway.users[1], "ann");
    cr_assert_str_eq(gateway.keys[1], "sk-proj-0123");
    cr_assert_str_eq(gateway.users[2], "bob");
    cr_assert_neq(real->event_id, estimate->event_id);
    gateway_close(&gateway);
}

Test(cost_streams, one_is_billed_once_however_its_end_is_told)
{
    struct gateway gateway;
    gateway_open(&gateway);
    start(&gateway, "s1", "r1");
    cancel(&gateway, "s1", 40);
    disconnect(&gateway, "s1", 50);
    start(&gateway, "s2", "r2"); /* complete: no estimate */
    cr_assert_eq(tbus_publish_stream_completed(gateway.bus, &(tbus_stream_completed_t){.stream_id = "s2"}), 0);
    disconnect(&gateway, "s2", 50);
    complete(&gateway, "r2");
    disconnect(&gateway, "s2", 50);
    start(&gateway, "s3", "r3"); /* real figures first */
    complete(&gateway, "r3");
    cancel(&gateway, "s3", 50);
    start(&gateway, "s4", "r4"); /* failed */
    cr_assert_eq(tbus_publish_stream_failed(gateway.bus, &(tbus_stream_failed_t){.stream_id = "s4"}), 0);
    cancel(&gateway, "s4", 50);
    cancel(&gateway, "never started", 50);
    cancel(&gateway, NULL, 50);
    disconnect(&gateway, NULL, 0);
    tbus_cost_snapshot_t *snapshot = look(&gateway);
    cr_assert_eq(snapshot->total.requests, 3);
    cr_assert_eq(snapshot->estimated_requests, 1);
    cr_assert_eq(snapshot->total.completion_tokens, 40 + 70 + 70);
    cr_assert_eq(snapshot->untracked_streams, 0);
    tbus_cost_snapshot_free(snapshot);
    gateway_close(&gateway);
}

Test(cost_streams, a_stream_without_a_request_id_goes_by_its_own)
{
    struct gateway gateway;
    gateway_open(&gateway);
    start(&gateway, "s1", NULL);
    cancel(&gateway, "s1", 40);
    complete(&gateway, "s1");
    start(&gateway, "s1", ""); /* the id again, when the first one is over */
    cancel(&gateway, "s1", 30);
    tbus_cost_snapshot_t *snapshot = look(&gateway);
    cr_assert_eq(snapshot->total.requests, 2);
    cr_assert_eq(snapshot->total.completion_tokens, 70 + 30);
    tbus_cost_snapshot_free(snapshot);
    gateway_close(&gateway);
}

Test(cost_streams, streamed_requests_are_known_for_it)
{
    struct gateway gateway;
    tbus_suggestions_t *list;
    gateway_open(&gateway);
    for (int streamed = 1; streamed >= 0; streamed--) {
        for (int i = 0; i < 60; i++) {
            char id[32];
            snprintf(id, sizeof id, "r-%d-%d", streamed, i);
            if (streamed) {
                start(&gateway, id, id);
                cr_assert_eq(tbus_publish_stream_completed(gateway.bus, &(tbus_stream_completed_t){.stream_id = id}),
                             0);
            }
            cr_assert_eq(tbus_publish_request_completed(
                             gateway.bus, &(tbus_request_completed_t){.base = {.request_id = id, .time_ns = 5},
                                                                      .model = "gpt-4",
                                                                      .endpoint = "/v1/completions",
                                                                      .input_tokens = 10}),
                         0);
        }
        settle(&gateway);
        cr_assert_eq(tbus_cost_suggestions(gateway.cost, 0, &list), 0);
        size_t batches = 0;
        for (size_t i = 0; i < list->count; i++)
            batches += list->suggestions[i].kind == TBUS_SUGGEST_BATCH;
        cr_assert_eq(batches, streamed ? 0 : 1);
        tbus_suggestions_free(list);
    }
    gateway_close(&gateway);
}

/* --- The table of streams --- */

static void enter(struct cost_streams *streams, int number, bool expected)
{
    char id[32];
    snprintf(id, sizeof id, "s%d", number);
    cr_assert_eq(cost_streams_start(streams, &(tbus_stream_started_t){.stream_id = id, .model = "m"}), expected, "%d",
                 number);
}

static struct cost_stream_place *found(struct cost_streams *streams, int number)
{
    char id[32];
    snprintf(id, sizeof id, "s%d", number);
    return cost_streams_find(streams, id);
}

Test(cost_streams, those_that_are_over_make_way_before_open_ones)
{
    struct cost_streams streams;
    cost_streams_init(&streams, 4);
    for (int i = 0; i < 4; i++)
        enter(&streams, i, true);
    cost_streams_end(&streams, found(&streams, 2)->stream);
    cost_streams_end(&streams, found(&streams, 1)->stream);
    enter(&streams, 4, true);
    cr_assert_null(found(&streams, 2));
    enter(&streams, 5, true);
    cr_assert_null(found(&streams, 1));
    enter(&streams, 6, false);
    cr_assert_null(found(&streams, 0), "the oldest open one is lost, and told");
    cr_assert_not_null(found(&streams, 3));
    cr_assert(cost_streams_complete(&streams, "s3"));
    cr_assert_not(cost_streams_complete(&streams, "s3"));
    enter(&streams, 7, true);
    cost_streams_clear(&streams);
}

Test(cost_streams, hostile_ids_and_missing_memory_lose_a_stream_and_nothing_else)
{
    static char id[2000];
    memset(id, 'i', sizeof id - 1);
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        struct cost_streams streams;
        oom_install(&oom);
        cost_streams_init(&streams, 100);
        cr_assert_not(cost_streams_start(&streams, &(tbus_stream_started_t){.stream_id = id}));
        cr_assert_not(
            cost_streams_start(&streams, &(tbus_stream_started_t){.base = {.request_id = id}, .stream_id = "x"}));
        for (int i = 0; i < 40; i++) {
            char name[16];
            snprintf(name, sizeof name, "s%d", i);
            bool known = cost_streams_start(&streams, &(tbus_stream_started_t){.stream_id = name});
            cr_assert(known || oom.failed);
            cr_assert_eq(known, found(&streams, i) != NULL);
        }
        cost_streams_clear(&streams);
        oom_remove();
        cr_assert_eq(oom.live, 0);
        if (!oom.failed)
            break;
    }
}

Test(cost_streams, a_second_start_changes_nothing_and_a_reused_id_leaves_other_streams_alone)
{
    struct gateway gateway;
    gateway_open(&gateway);
    start(&gateway, "s0", "r0");
    cr_assert_eq(
        tbus_publish_stream_progress(gateway.bus, &(tbus_stream_progress_t){.stream_id = "s0", .tokens_generated = 50}),
        0);
    settle(&gateway);
    start(&gateway, "s0", "r0");
    cancel(&gateway, "s0", 0);
    tbus_cost_snapshot_t *snapshot = look(&gateway);
    cr_assert_eq(snapshot->total.completion_tokens, 50);
    tbus_cost_snapshot_free(snapshot);

    start(&gateway, "s1", "r");
    start(&gateway, "s2", "r");
    cancel(&gateway, "s1", 1);
    start(&gateway, "s1", "r1"); /* the old s1 is forgotten, and r is still s2's */
    complete(&gateway, "r");
    disconnect(&gateway, "s2", 1);
    snapshot = look(&gateway);
    cr_assert_eq(snapshot->total.requests, 2);
    cr_assert_eq(snapshot->estimated_requests, 1);
    tbus_cost_snapshot_free(snapshot);
    gateway_close(&gateway);
}
