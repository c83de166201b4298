/* usage.priced: what the cost tracker recorded arrives, to the last unit, at whoever asked for it. */
#include <stdio.h>
#include <string.h>

#include <tallybus/json.h>
#include <tallybus/subscribers.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "trackers/digest.h"

static const char key[] = "sk-proj-0123456789";

struct office {
    tbus_t *bus;
    tbus_cost_t *cost;
    int seen, malformed;
    tbus_usage_record_t last; /* its strings are copied below */
    char request_id[64], user[64], project[64], model[64], endpoint[64], shown[64], whole_key[64];
    char json[4096];
};

static void keep(char to[64], const char **text)
{
    snprintf(to, 64, "%s", *text);
    *text = to;
}

static int on_priced(const tbus_event_t *event, void *user)
{
    struct office *office = user;
    char *text = NULL;
    if (tbus_usage_of_event(office->bus, event, &office->last) != 0) {
        office->malformed++;
        return 0;
    }
    office->seen++;
    keep(office->request_id, &office->last.request_id);
    keep(office->user, &office->last.user_id);
    keep(office->project, &office->last.project_id);
    keep(office->model, &office->last.model);
    keep(office->endpoint, &office->last.endpoint);
    keep(office->shown, &office->last.api_key);
    snprintf(office->whole_key, sizeof office->whole_key, "%s", event->api_key ? event->api_key : "");
    if (tbus_event_to_json(office->bus, event, &text) == 0)
        snprintf(office->json, sizeof office->json, "%s", text);
    tbus_mem_free(text);
    return 0;
}

static void office_open(struct office *office)
{
    memset(office, 0, sizeof *office);
    cr_assert_eq(tbus_open(NULL, &office->bus), 0);
    cr_assert_eq(tbus_cost_open(NULL, &office->cost), 0);
    cr_assert_gt(tbus_cost_attach(office->cost, office->bus), 0);
}

static void office_listen(struct office *office)
{
    uint32_t type = TBUS_TYPE_NONE;
    cr_assert_eq(tbus_usage_events_enable(office->bus, &type), 0);
    cr_assert_eq(type, tbus_type_number(office->bus, TBUS_USAGE_PRICED));
    cr_assert_gt(tbus_subscribe(office->bus, TBUS_USAGE_PRICED, 0, on_priced, office), 0);
}

/* Delivers all that was published, what handlers publish too. */
static void office_settle(struct office *office)
{
    int64_t subscription = tbus_subscribe(office->bus, "request.queued", 0, on_priced, office);
    for (int hop = 0; hop < 2; hop++) {
        cr_assert_eq(tbus_unsubscribe_wait(office->bus, subscription), 0);
        subscription = tbus_subscribe(office->bus, "request.queued", 0, on_priced, office);
    }
}

static void office_close(struct office *office)
{
    cr_assert_eq(tbus_free(office->bus), 0);
    tbus_cost_close(office->cost);
}

static void publish(struct office *office, tbus_request_completed_t completed)
{
    cr_assert_eq(tbus_publish_request_completed(office->bus, &completed), 0);
}

static const tbus_request_completed_t chat = {
    .base = {.time_ns = 70, .request_id = "req-1", .api_key = key, .user_id = "ann", .project_id = "red"},
    .endpoint = "/v1/chat",
    .model = "gpt-4o",
    .input_tokens = 1000,
    .output_tokens = 200,
    .cached_tokens = 400,
    .reasoning_tokens = 50};

Test(usage_event, it_tells_what_was_recorded_exactly)
{
    struct office office;
    char redacted[TBUS_REDACTED_BYTES];
    unsigned char digest[DIGEST_BYTES];

    office_open(&office);
    office_listen(&office);
    publish(&office, chat);
    office_settle(&office);
    const tbus_usage_record_t *record = &office.last;
    cr_assert_eq(office.seen, 1);
    cr_assert_gt(record->event_id, 0);
    cr_assert_eq(record->time_ns, 70);
    cr_assert_str_eq(record->request_id, "req-1");
    cr_assert_str_eq(record->user_id, "ann");
    cr_assert_str_eq(record->project_id, "red");
    cr_assert_str_eq(record->model, "gpt-4o");
    cr_assert_str_eq(record->endpoint, "/v1/chat");
    cr_assert_str_eq(record->api_key, tbus_redact_key(key, redacted));
    cr_assert_str_eq(office.whole_key, key);
    digest_bytes(key, sizeof key - 1, digest);
    cr_assert_arr_eq(record->key_digest, digest, sizeof digest);
    cr_assert_eq(record->input_tokens, 600);
    cr_assert_eq(record->cache_read_tokens, 400);
    cr_assert_eq(record->cache_write_tokens, 0);
    cr_assert_eq(record->output_tokens, 200);
    cr_assert_eq(record->reasoning_tokens, 50);
    cr_assert_eq(tbus_money_compare(record->cost, tbus_money_units(INT64_C(7000000000))), 0);
    cr_assert_eq(tbus_money_compare(record->cache_savings, tbus_money_units(INT64_C(1000000000))), 0);
    cr_assert_eq(tbus_money_compare(record->batch_savings, tbus_money_units(0)), 0);
    cr_assert_not(record->batch || record->estimated || record->unpriced || record->retracted);
    office_close(&office);
}

Test(usage_event, what_is_absent_is_empty_and_flags_pass)
{
    struct office office;
    static const unsigned char none[TBUS_KEY_DIGEST_BYTES];

    office_open(&office);
    office_listen(&office);
    publish(&office, (tbus_request_completed_t){.model = "no-such-model",
                                                .images = 2,
                                                .characters = 3,
                                                .input_tokens = 9,
                                                .cached_tokens = 20,
                                                .cache_write_tokens = 4,
                                                .reasoning_tokens = 5,
                                                .batch = true,
                                                .estimated = true});
    office_settle(&office);
    const tbus_usage_record_t *record = &office.last;
    cr_assert_eq(office.seen, 1);
    cr_assert_str_eq(record->request_id, "");
    cr_assert_str_eq(record->user_id, "");
    cr_assert_str_eq(record->project_id, "");
    cr_assert_str_eq(record->endpoint, "");
    cr_assert_str_eq(record->api_key, "");
    cr_assert_arr_eq(record->key_digest, none, sizeof none);
    cr_assert_eq(record->images, 2);
    cr_assert_eq(record->characters, 3);
    cr_assert_eq(record->input_tokens, 0);
    cr_assert_eq(record->cache_read_tokens, 9);
    cr_assert_eq(record->cache_write_tokens, 0);
    cr_assert_eq(record->reasoning_tokens, 0, "reasoning is a part of the output");
    cr_assert(record->batch && record->estimated && record->unpriced && !record->retracted);
    office_close(&office);
}

Test(usage_event, nothing_is_published_where_nobody_asked_for_it)
{
    struct office office;
    tbus_stats_t stats;

    office_open(&office);
    publish(&office, chat);
    office_settle(&office);
    cr_assert_eq(tbus_stats(office.bus, &stats), 0);
    cr_assert_eq(stats.published, 1);
    office_listen(&office);
    publish(&office, chat);
    publish(&office, (tbus_request_completed_t){.model = "gpt-4o", .input_tokens = -1}); /* refused: not recorded */
    office_settle(&office);
    cr_assert_eq(tbus_stats(office.bus, &stats), 0);
    cr_assert_eq(stats.published, 4);
    cr_assert_eq(office.seen, 1);
    office_close(&office);
}

Test(usage_event, enabling_again_finds_the_type)
{
    struct office office;
    uint32_t first, again = 0;

    office_open(&office);
    cr_assert_eq(tbus_usage_events_enable(office.bus, &first), 0);
    cr_assert_eq(tbus_usage_events_enable(office.bus, &again), 0);
    cr_assert_eq(again, first);
    cr_assert_eq(tbus_usage_events_enable(office.bus, NULL), 0);
    cr_assert_eq(tbus_usage_events_enable(NULL, &again), UV_EINVAL);
    office_close(&office);
}

Test(usage_event, a_type_of_the_hosts_with_that_topic_is_not_taken_for_ours)
{
    struct office office;
    uint32_t type;
    tbus_usage_record_t record;
    tbus_event_t event = {0};
    const tbus_type_t other = {
        .topic = TBUS_USAGE_PRICED, .delivery = TBUS_CLASS_VITAL, .size_bytes = sizeof(tbus_event_t)};

    office_open(&office);
    cr_assert_eq(tbus_type_register(office.bus, &other, &event.type), 0);
    cr_assert_eq(tbus_usage_events_enable(office.bus, &type), UV_EEXIST);
    cr_assert_eq(tbus_usage_of_event(office.bus, &event, &record), UV_EINVAL);
    publish(&office, chat); /* published as that type it would be read past its end */
    office_settle(&office);
    tbus_stats_t stats;
    cr_assert_eq(tbus_stats(office.bus, &stats), 0);
    cr_assert_eq(stats.published, 1);
    office_close(&office);
}

Test(usage_event, what_no_usage_can_be_is_refused)
{
    struct office office;
    tbus_usage_record_t record;
    tbus_usage_priced_t priced = {0};

    office_open(&office);
    cr_assert_eq(tbus_usage_events_enable(office.bus, &priced.base.type), 0);
    cr_assert_eq(tbus_usage_of_event(office.bus, &priced.base, &record), 0);
    cr_assert_eq(tbus_usage_of_event(NULL, &priced.base, &record), UV_EINVAL);
    cr_assert_eq(tbus_usage_of_event(office.bus, NULL, &record), UV_EINVAL);
    cr_assert_eq(tbus_usage_of_event(office.bus, &priced.base, NULL), UV_EINVAL);
    const tbus_event_t other = {.type = TBUS_REQUEST_COMPLETED};
    cr_assert_eq(tbus_usage_of_event(office.bus, &other, &record), UV_EINVAL);
    int64_t *const counts[] = {&priced.event_id,
                               &priced.input_tokens,
                               &priced.cache_read_tokens,
                               &priced.cache_write_tokens,
                               &priced.output_tokens,
                               &priced.reasoning_tokens,
                               &priced.images,
                               &priced.characters,
                               &priced.cost.high};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        *counts[i] = -1;
        cr_assert_eq(tbus_usage_of_event(office.bus, &priced.base, &record), UV_EINVAL, "count %zu", i);
        *counts[i] = 0;
    }
    priced.cache_savings.high = -1;
    cr_assert_eq(tbus_usage_of_event(office.bus, &priced.base, &record), 0, "a cache may cost more than it saves");
    office_close(&office);
}

Test(usage_event, its_json_tells_all_of_it_and_is_read_back)
{
    struct office office;
    tbus_usage_record_t told;
    char why[256] = "", text[4096];

    office_open(&office);
    office_listen(&office);
    publish(&office, chat);
    office_settle(&office);
    if (office.json[0] == '\0')
        cr_skip_test("built without JSON");
    told = office.last;
    cr_assert_not_null(strstr(office.json, "\"cost_high\":0,\"cost_low\":7000000000,"));
    cr_assert_not_null(strstr(office.json, "\"key_redacted\":\"sk-p..88fd2d4d\""));
    snprintf(text, sizeof text, "%s", office.json);
    memset(&office.last, 0, sizeof office.last);
    cr_assert_eq(tbus_publish_json(office.bus, text, strlen(text), why, sizeof why), 0, "%s", why);
    office_settle(&office);
    cr_assert_eq(office.seen, 2);
    cr_assert_eq(memcmp(&told, &office.last, offsetof(tbus_usage_record_t, retracted) + 1), 0,
                 "the strings are in the same places too");
    office_close(&office);
}

static int attach_and_enable(struct oom *oom)
{
    tbus_t *bus;
    tbus_cost_t *cost;
    cr_assert_eq(tbus_open(NULL, &bus), 0);
    cr_assert_eq(tbus_cost_open(NULL, &cost), 0);
    oom_arm(oom);
    int64_t subscription = tbus_cost_attach(cost, bus);
    int error = subscription < 0 ? (int)subscription : tbus_usage_events_enable(bus, NULL);
    oom_disarm(oom);
    cr_assert_eq(tbus_free(bus), 0);
    tbus_cost_close(cost);
    return error;
}

Test(usage_event, without_memory_nothing_is_attached_or_enabled)
{
    cr_assert_gt(oom_try_each(attach_and_enable), 1);
}
