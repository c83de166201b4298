/* One name's cost, and what was used when. That courses are right is tested with the history, against a plain list. */
#include "tests/oom.h"
#include "tests/trackers/cost_fixture.h"

#define NOW INT64_C(1767258000000000000)
#define KEY "sk-house-0123456789abcdef"

static tbus_cost_t *used(void)
{
    tbus_cost_t *cost = opened(NULL);
    recorded(cost, (tbus_usage_t){.api_key = KEY, .model = "gpt-4", .prompt_tokens = 7, .time_ns = NOW});
    recorded(cost, (tbus_usage_t){.user_id = "ann", .model = "gpt-4", .prompt_tokens = 5, .time_ns = NOW});
    return cost;
}

static uint64_t tokens_of(tbus_cost_t *cost, tbus_cost_group_t group, const char *name)
{
    tbus_cost_name_t *found;
    cr_assert_eq(tbus_cost_find(cost, group, name, &found), 0);
    const uint64_t tokens = found->sum.prompt_tokens;
    cr_assert_str_eq(found->sum.name, name && group != TBUS_COST_ALL ? name : "");
    cr_assert(found->course.hours_count == 1 && found->course.hours[0].sum.prompt_tokens == tokens);
    cr_assert(found->course.days_count == 1 && found->course.days[0].sum.prompt_tokens == tokens);
    tbus_cost_name_free(found);
    return tokens;
}

Test(cost_course, a_name_is_found_as_it_is_shown)
{
    tbus_cost_t *cost = used();
    tbus_cost_name_t *found = NULL;
    char shown[TBUS_REDACTED_BYTES];
    cr_assert_eq(tokens_of(cost, TBUS_COST_KEY, tbus_redact_key(KEY, shown)), 7);
    cr_assert_eq(tokens_of(cost, TBUS_COST_KEY, ""), 5);
    cr_assert_eq(tokens_of(cost, TBUS_COST_USER, "ann"), 5);
    cr_assert_eq(tokens_of(cost, TBUS_COST_USER, NULL), 7);
    cr_assert_eq(tokens_of(cost, TBUS_COST_MODEL, "gpt-4"), 12);
    cr_assert_eq(tokens_of(cost, TBUS_COST_ALL, "whatever"), 12);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_KEY, KEY, &found), UV_ENOENT, "a whole key is no name");
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_MODEL, "", &found), UV_ENOENT);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, "an", &found), UV_ENOENT);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, "anna", &found), UV_ENOENT);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, "other", &found), UV_ENOENT, "nothing has been folded into it");
    cr_assert_eq(tbus_cost_find(cost, (tbus_cost_group_t)6, "ann", &found), UV_EINVAL);
    cr_assert_eq(tbus_cost_find(NULL, TBUS_COST_USER, "ann", &found), UV_EINVAL);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, "ann", NULL), UV_EINVAL);
    cr_assert_null(found);
    tbus_cost_name_free(NULL);
    tbus_cost_close(cost);
}

Test(cost_course, of_nothing_is_empty)
{
    tbus_cost_t *cost = opened(NULL);
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    tbus_cost_name_t *found;
    cr_assert(snapshot->course.hours_count == 0 && snapshot->course.days_count == 0);
    cr_assert_eq(snapshot->observed_ns, 0);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_ALL, NULL, &found), 0);
    cr_assert(found->sum.requests == 0 && found->course.hours_count == 0);
    tbus_cost_name_free(found);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_course, before_1970_days_begin_at_midnight_too)
{
    tbus_cost_t *cost = opened(NULL);
    const int64_t hour = INT64_C(3600000000000);
    recorded(cost, (tbus_usage_t){.model = "gpt-4", .prompt_tokens = 1, .time_ns = -25 * hour});
    recorded(cost, (tbus_usage_t){.model = "gpt-4", .prompt_tokens = 1, .time_ns = -1});
    tbus_cost_snapshot_t *snapshot = snapshot_of(cost);
    cr_assert_eq(snapshot->course.days_count, 2u);
    cr_assert_eq(snapshot->course.days[0].from_ns, -48 * hour);
    cr_assert_eq(snapshot->course.days[1].from_ns, -24 * hour);
    cr_assert_eq(snapshot->course.hours_count, 1u);
    tbus_cost_snapshot_free(snapshot);
    tbus_cost_close(cost);
}

Test(cost_course, without_memory_there_is_none)
{
    tbus_cost_t *cost = used();
    struct oom oom = {.fail_at = 0};
    tbus_cost_name_t *found = NULL;
    oom_install(&oom);
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, "ann", &found), UV_ENOMEM);
    cr_assert_null(found);
    oom.fail_at = -1;
    cr_assert_eq(tbus_cost_find(cost, TBUS_COST_USER, "bob", &found), UV_ENOENT);
    cr_assert_eq(oom.live, 0, "nothing is left behind");
    oom_remove();
    tbus_cost_close(cost);
}
