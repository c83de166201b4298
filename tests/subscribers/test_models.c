/* The model tracker on a bus: what the cost tracker prices counts for the model, to the last unit. */
#include <tallybus/subscribers.h>

#include "tests/bus/fixture.h"
#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"

struct office {
    struct hosted hosted;
    tbus_cost_t *cost;
    tbus_models_t *models;
};

static void office_open(struct office *office)
{
    hosted_open(&office->hosted, NULL);
    cr_assert_eq(tbus_cost_open(NULL, &office->cost), 0);
    cr_assert_eq(tbus_models_open(NULL, &office->models), 0);
    cr_assert_gt(tbus_models_attach(office->models, office->hosted.bus), 0);
    cr_assert_gt(tbus_cost_attach(office->cost, office->hosted.bus), 0);
}

static void office_close(struct office *office)
{
    hosted_close(&office->hosted);
    tbus_models_close(office->models);
    tbus_cost_close(office->cost);
}

static tbus_models_snapshot_t *snapshot_of(struct office *office)
{
    tbus_models_snapshot_t *snapshot;
    hosted_deliver(&office->hosted);
    cr_assert_eq(tbus_models_snapshot(office->models, 0, &snapshot), 0);
    return snapshot;
}

/* Of a model; "none" = it has no row. */
static void expect_cost(struct office *office, const char *model, const char *usd)
{
    char text[TBUS_MONEY_TEXT_MAX];
    tbus_models_snapshot_t *s = snapshot_of(office);
    const tbus_model_t *found = tbus_models_find(s, model);
    cr_assert_str_eq(found ? tbus_money_format(found->cost, -1, text) : "none", usd);
    tbus_models_snapshot_free(s);
}

static void complete(struct office *office, const char *request_id, const char *model, int64_t input, int64_t output,
                     int64_t cached)
{
    cr_assert_eq(tbus_publish_request_completed(
                     office->hosted.bus, &(tbus_request_completed_t){.base = {.time_ns = 70, .request_id = request_id},
                                                                     .model = model,
                                                                     .input_tokens = input,
                                                                     .output_tokens = output,
                                                                     .cached_tokens = cached}),
                 0);
}

static void publish_priced(struct office *office, const char *model, tbus_money_t cost, bool retracted)
{
    cr_assert_eq(
        tbus_publish(office->hosted.bus,
                     &(tbus_usage_priced_t){.base = {.type = tbus_type_number(office->hosted.bus, TBUS_USAGE_PRICED)},
                                            .model = model,
                                            .cost = cost,
                                            .retracted = retracted}
                          .base),
        0);
}

Test(models_subscriber, a_request_costs_its_model_what_its_tokens_cost)
{
    struct office office;
    office_open(&office);
    complete(&office, "a", "gpt-4o", 1000, 200, 400); /* 600 * 5 + 400 * 2.50 + 200 * 15, by the million */
    expect_cost(&office, "gpt-4o", "0.007");
    complete(&office, "b", "gpt-4o-mini", 1, 0, 0);
    expect_cost(&office, "gpt-4o-mini", "0.00000015");
    complete(&office, "c", "gpt-4o", 0, 1, 0);
    expect_cost(&office, "gpt-4o", "0.007015");
    tbus_models_snapshot_t *s = snapshot_of(&office);
    cr_assert(s->models_count == 2 && tbus_models_find(s, "gpt-4o")->traffic.requests == 2);
    tbus_models_snapshot_free(s);
    office_close(&office);
}

Test(models_subscriber, an_estimate_is_taken_back_when_the_real_usage_comes)
{
    struct office office;
    office_open(&office);
    tbus_t *bus = office.hosted.bus;
    const tbus_event_t base = {.time_ns = 60, .request_id = "r"};
    cr_assert_eq(
        tbus_publish_stream_started(
            bus, &(tbus_stream_started_t){.base = base, .stream_id = "s", .model = "gpt-4o", .input_tokens = 100}),
        0);
    cr_assert_eq(tbus_publish_stream_cancelled(
                     bus, &(tbus_stream_cancelled_t){.base = base, .stream_id = "s", .token_count = 10}),
                 0);
    expect_cost(&office, "gpt-4o", "0.00065"); /* 100 * 5 + 10 * 15 */
    complete(&office, "r", "gpt-4o", 100, 12, 0);
    expect_cost(&office, "gpt-4o", "0.00068");
    office_close(&office);
}

Test(models_subscriber, costs_are_the_sum_of_what_was_told_and_not_taken_back)
{
    enum { EVENTS = 3000, NAMES = 3 };
    static const char *const names[NAMES] = {"a", "b", "\xff broken"};
    int64_t units[NAMES] = {0};
    uint64_t seed = oracle_seed("models on a bus");
    struct office office;
    office_open(&office);
    for (int i = 0; i < EVENTS; i++) {
        const unsigned at = (unsigned)(oracle_random(&seed) % NAMES);
        const int64_t cost = (int64_t)(oracle_random(&seed) % 1000000000000);
        const bool retracted = oracle_random(&seed) % 3 == 0;
        publish_priced(&office, names[at], tbus_money_units(cost), retracted);
        units[at] += retracted ? -cost : cost;
        if (i % 100 == 0)
            hosted_deliver(&office.hosted);
    }
    tbus_models_snapshot_t *s = snapshot_of(&office);
    cr_assert_eq(s->models_count, (size_t)NAMES);
    for (unsigned at = 0; at < NAMES; at++) {
        const tbus_model_t *model = tbus_models_find(s, at == 2 ? "\xef\xbf\xbd broken" : names[at]);
        cr_assert_not_null(model, "%s", names[at]);
        cr_assert_eq(tbus_money_compare(model->cost, tbus_money_units(units[at])), 0);
        cr_assert_eq(model->traffic.requests, 0u, "a price is no request");
    }
    tbus_models_snapshot_free(s);
    office_close(&office);
}

Test(models_subscriber, an_amount_below_zero_or_past_what_fits_counts_nothing)
{
    const tbus_money_t most = {.low = UINT64_MAX, .high = INT64_MAX};
    struct office office;
    office_open(&office);
    publish_priced(&office, "m", tbus_money_units(-1), false);
    expect_cost(&office, "m", "none");
    publish_priced(&office, "m", most, false);
    publish_priced(&office, "m", tbus_money_units(1), false);
    tbus_models_snapshot_t *s = snapshot_of(&office);
    cr_assert_eq(s->refused_costs, 1u);
    cr_assert_eq(tbus_money_compare(tbus_models_find(s, "m")->cost, most), 0);
    tbus_models_snapshot_free(s);
    publish_priced(&office, "m", most, true);
    expect_cost(&office, "m", "0");
    office_close(&office);
}

Test(models_subscriber, a_host_with_a_type_of_its_own_by_that_name_is_told_so)
{
    static const tbus_type_t own = {
        .topic = TBUS_USAGE_PRICED, .delivery = TBUS_CLASS_VITAL, .size_bytes = sizeof(tbus_event_t)};
    struct hosted hosted;
    tbus_models_t *models;
    uint32_t number;
    hosted_open(&hosted, NULL);
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    cr_assert_eq(tbus_models_attach(NULL, hosted.bus), UV_EINVAL);
    cr_assert_eq(tbus_models_attach(models, NULL), UV_EINVAL);
    cr_assert_eq(tbus_type_register(hosted.bus, &own, &number), 0);
    cr_assert_eq(tbus_models_attach(models, hosted.bus), UV_EEXIST);
    hosted_close(&hosted);
    tbus_models_close(models);
}

static int attach_to_a_bus(struct oom *oom)
{
    tbus_models_t *models;
    struct hosted hosted;
    cr_assert_eq(tbus_models_open(NULL, &models), 0);
    hosted_open(&hosted, NULL);
    oom_arm(oom);
    const int64_t attached = tbus_models_attach(models, hosted.bus);
    oom_disarm(oom);
    hosted_close(&hosted);
    tbus_models_close(models);
    return attached > 0 ? 0 : (int)attached;
}

Test(models_subscriber, without_memory_it_is_not_attached_and_nothing_stays)
{
    cr_assert_gt(oom_try_each(attach_to_a_bus), 0);
}
