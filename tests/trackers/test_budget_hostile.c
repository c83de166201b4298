/* Budgets and what is thrown at them: floods of names, endless ids, no memory. */
#include "tests/trackers/budget_fixture.h"

#include <stdlib.h>

#include "tests/oom.h"
#include "tests/oracle.h"
#include "trackers/budget_index.h"

enum { BIG = 10 * 1024 * 1024 };

static char *big_text(char letter)
{
    char *text = malloc(BIG + 1);
    cr_assert_not_null(text);
    memset(text, letter, BIG);
    text[BIG] = '\0';
    return text;
}

Test(budget_hostile, a_million_keys_take_no_more_memory_than_the_cap)
{
    enum { KEYS = 1000000, CAP = 1000, ROOM = 1500 * 1000 + 2 * 1000 * 1000 };
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_budgets_t *budgets =
        opened(&(tbus_budgets_options_t){.defaulted_max = CAP, .reservations_max = 1000, .settled_max = 1000});
    set(budgets,
        (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .each = true, .limit = usd("0.01"), .kind = TBUS_BUDGET_HARD});
    uint64_t admitted = 0;
    for (int i = 0; i < KEYS; i++) {
        char key[40], id[24];
        snprintf(key, sizeof key, "sk-flood-%024d", i);
        snprintf(id, sizeof id, "r%d", i);
        const tbus_budget_request_t request = {
            .request_id = id, .api_key = key, .amount = usd("0.001"), .time_ns = MONDAY + i};
        if (tbus_budget_reserve(budgets, &request, NULL) != 0)
            continue;
        admitted++;
        cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
    }
    cr_assert_eq(admitted, CAP + 10, "each of the first, and what they share");
    cr_assert_lt(atomic_load(&oom.bytes_peak), ROOM);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY + KEYS);
    cr_assert_eq(snapshot->rows_count, CAP + 1);
    cr_assert_eq(snapshot->denied, KEYS - CAP - 10);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

Test(budget_hostile, names_and_ids_of_any_length_are_told_apart)
{
    char *text[3] = {big_text('x'), big_text('x'), big_text('x')};
    tbus_budgets_t *budgets = opened(NULL);
    text[1][BIG - 1] = 'y';
    text[2][BIG - 1] = 'z';
    for (int i = 0; i < 2; i++) {
        set(budgets, (tbus_budget_t){
                         .scope = TBUS_BUDGET_USER, .subject = text[i], .limit = usd("1"), .kind = TBUS_BUDGET_HARD});
        set(budgets,
            (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .subject = text[i], .limit = usd("1"), .kind = TBUS_BUDGET_HARD});
    }
    for (int i = 0; i < 3; i++) {
        tbus_budget_request_t request = {.request_id = text[i],
                                         .api_key = text[i],
                                         .user_id = text[i],
                                         .project_id = text[i],
                                         .amount = usd("1"),
                                         .time_ns = MONDAY};
        cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), 0);
        cr_assert_eq(tbus_budget_reserve(budgets, &request, NULL), UV_EEXIST);
        cr_assert_eq(tbus_budget_settle(budgets, &request), 0);
        cr_assert_eq(tbus_budget_settle(budgets, &request), UV_EALREADY);
        cr_assert_eq(tbus_budget_release(budgets, text[i], MONDAY), UV_ENOENT);
    }
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->rows_count, 4);
    for (size_t i = 0; i < snapshot->rows_count; i++) {
        cr_assert(is_usd(snapshot->rows[i].status.used, "1"));
        cr_assert_lt(strlen(snapshot->rows[i].subject), TBUS_BUDGET_SUBJECT_BYTES);
    }
    cr_assert_str_neq(snapshot->rows[2].subject, snapshot->rows[3].subject);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
    for (int i = 0; i < 3; i++)
        free(text[i]);
}

Test(budget_hostile, a_long_name_is_cut_between_code_points)
{
    char name[400];
    tbus_budgets_t *budgets = opened(NULL);
    for (size_t at = 0; at < 4; at++) {
        memset(name, 'a', at);
        for (size_t i = at; i + 4 < sizeof name; i += 4)
            memcpy(name + i, "\xf0\x9f\x98\x80", 5);
        set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = name, .limit = usd("1")});
    }
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_eq(snapshot->rows_count, 4);
    for (size_t i = 0; i < 4; i++) {
        const char *shown = snapshot->rows[i].subject, *tilde = strchr(shown, '~');
        const size_t letters = strspn(shown, "a");
        cr_assert_not_null(tilde);
        cr_assert_eq((size_t)(tilde - shown - (ptrdiff_t)letters) % 4, 0, "%s", shown);
        cr_assert_eq(strlen(tilde), 9);
    }
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_hostile, no_output_holds_a_whole_key)
{
    static const char key[] = "sk-live-0123456789abcdefghijklmnop";
    tbus_budget_refusal_t refusal;
    tbus_budget_finding_t finding;
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_KEY, .subject = key, .kind = TBUS_BUDGET_HARD});
    const tbus_budget_request_t request = {.request_id = "r", .api_key = key, .amount = usd("1"), .time_ns = MONDAY};
    cr_assert_eq(tbus_budget_reserve(budgets, &request, &refusal), UV_EACCES);
    cr_assert_null(strstr(refusal.subject, "live-0"));
    cr_assert_eq(tbus_budgets_take_finding(budgets, &finding), 1);
    cr_assert_str_eq(finding.subject, refusal.subject);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert_str_eq(snapshot->rows[0].subject, refusal.subject);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_hostile, the_caps_on_what_is_set_and_reserved_hold)
{
    tbus_budgets_t *budgets =
        opened(&(tbus_budgets_options_t){.budgets_max = 2, .reservations_max = 2, .settled_max = 2});
    const tbus_budget_t third = {.scope = TBUS_BUDGET_USER, .subject = "cy", .limit = usd("1")};
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "ann", .limit = usd("1")});
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "bob", .limit = usd("1")});
    cr_assert_eq(tbus_budget_set(budgets, &third), UV_ENOSPC);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .subject = "bob", .limit = usd("2")});
    cr_assert_eq(tbus_budget_remove(budgets, &(tbus_budget_name_t){.scope = TBUS_BUDGET_USER, .subject = "bob"}), 0);
    cr_assert_eq(tbus_budget_set(budgets, &third), 0);

    cr_assert_eq(reserve(budgets, "a", "ann", "0", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "b", "ann", "0", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "c", "ann", "0", MONDAY), UV_ENOBUFS);
    cr_assert_eq(settle(budgets, "a", "ann", "0.1", MONDAY), 0);
    cr_assert_eq(reserve(budgets, "c", "ann", "0", MONDAY), 0);
    cr_assert_eq(settle(budgets, "b", "ann", "0.1", MONDAY), 0);
    cr_assert_eq(settle(budgets, "a", "ann", "0.1", MONDAY), UV_EALREADY);
    cr_assert_eq(settle(budgets, "c", "ann", "0.1", MONDAY), 0);
    cr_assert_eq(settle(budgets, "b", "ann", "0.1", MONDAY), UV_EALREADY);
    cr_assert_eq(settle(budgets, "a", "ann", "0.1", MONDAY), 0, "two others were settled since: it is forgotten");
    cr_assert(stands(budgets, TBUS_BUDGET_USER, "ann", MONDAY, "0.4", "0"));
    tbus_budgets_close(budgets);
}

Test(budget_hostile, budgets_that_come_and_go_take_no_more_memory)
{
    struct oom oom = {.fail_at = -1};
    oom_install(&oom);
    tbus_budgets_t *budgets = opened(&(tbus_budgets_options_t){.budgets_max = 10});
    size_t early = 0;
    for (int i = 0; i < 20000; i++) {
        char user[16];
        snprintf(user, sizeof user, "user-%d", i);
        const tbus_budget_name_t name = {.scope = TBUS_BUDGET_USER, .subject = user};
        set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER,
                                     .subject = user,
                                     .limit = usd("1"),
                                     .period = TBUS_BUDGET_DAILY,
                                     .rolling = i % 2});
        cr_assert_eq(settle(budgets, NULL, user, "0.9", MONDAY), 0);
        cr_assert(stands(budgets, TBUS_BUDGET_USER, user, MONDAY, "0.9", "0"));
        tbus_budget_finding_t finding; /* one in three is removed with its finding */
        if (i % 3 > 0) {
            cr_assert_eq(tbus_budgets_take_finding(budgets, &finding), 1);
            cr_assert_str_eq(finding.subject, user);
        }
        cr_assert_eq(tbus_budget_remove(budgets, &name), 0);
        if (i == 1000)
            early = atomic_load(&oom.bytes_live);
    }
    cr_assert_leq(atomic_load(&oom.bytes_live), early + 64);
    tbus_budgets_close(budgets);
    oom_remove();
    cr_assert_eq(oom.live, 0);
}

static int use_everything(void)
{
    static const unsigned char digest[TBUS_KEY_DIGEST_BYTES] = {7};
    tbus_budgets_t *budgets;
    tbus_budgets_snapshot_t *snapshot = NULL;
    int error = tbus_budgets_open(&(tbus_budgets_options_t){.defaulted_max = 2, .ahead_max_ns = -1}, &budgets);
    if (error)
        return error;
    const tbus_budget_t terms[] = {
        {.scope = TBUS_BUDGET_ALL, .limit = usd("100"), .period = TBUS_BUDGET_DAILY},
        {.scope = TBUS_BUDGET_KEY, .key_digest = digest, .limit = usd("100"), .kind = TBUS_BUDGET_HARD},
        {.scope = TBUS_BUDGET_USER, .each = true, .limit = usd("100"), .period = TBUS_BUDGET_WEEKLY, .rolling = true},
        {.scope = TBUS_BUDGET_ALL, .limit = usd("50"), .period = TBUS_BUDGET_DAILY, .rolling = true},
    };
    for (size_t i = 0; !error && i < sizeof terms / sizeof *terms; i++)
        error = tbus_budget_set(budgets, &terms[i]);
    for (int i = 0; !error && i < 40; i++) {
        char id[8], user[8];
        snprintf(id, sizeof id, "r%d", i);
        snprintf(user, sizeof user, "u%d", i);
        const tbus_budget_request_t request = {
            .request_id = id, .api_key = "sk-no-budget", .user_id = user, .amount = usd("1"), .time_ns = MONDAY};
        error = tbus_budget_reserve(budgets, &request, NULL);
        if (!error)
            error = tbus_budget_settle(budgets, &request);
    }
    if (!error)
        error = tbus_budgets_snapshot(budgets, MONDAY, &snapshot);
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
    return error;
}

Test(budget_hostile, any_allocation_may_fail)
{
    int told = 0;
    for (long at = 0;; at++) {
        struct oom oom = {.fail_at = at};
        oom_install(&oom);
        const int error = use_everything();
        oom_remove();
        cr_assert_eq(oom.live, 0, "allocation %ld", at);
        if (!oom.failed) {
            cr_assert_eq(error, 0);
            break;
        }
        cr_assert(error == UV_ENOMEM || error == 0, "allocation %ld: %d", at, error);
        told += error == UV_ENOMEM;
    }
    cr_assert_gt(told, 5);
}

/* Where a subject's own budget can not be made for want of memory it shares "other": nothing is lost. */
Test(budget_hostile, without_memory_amounts_are_counted_all_the_same)
{
    tbus_budgets_t *budgets = opened(NULL);
    set(budgets, (tbus_budget_t){.scope = TBUS_BUDGET_USER, .each = true, .limit = usd("10")});
    cr_assert_eq(settle(budgets, "a", "ann", "1", MONDAY), 0); /* so that there is a table of requests */
    struct oom oom = {.fail_at = 0, .keep_failing = true};
    tbus_budget_status_t status;
    tbus_budget_request_t request = {.request_id = "b", .user_id = "bob", .amount = usd("2"), .time_ns = MONDAY};
    oom_install(&oom);
    const int settled = tbus_budget_settle(budgets, &request);
    const int error = tbus_budget_check(budgets, TBUS_BUDGET_USER, "ann", MONDAY, &status);
    oom_remove();
    cr_assert_eq(settled, 0);
    cr_assert_eq(error, 0);
    tbus_budgets_snapshot_t *snapshot = snapshot_of(budgets, MONDAY);
    cr_assert(is_usd(row_of(snapshot, TBUS_BUDGET_USER, "other")->status.used, "2"));
    cr_assert(is_usd(snapshot->settled, "3"));
    tbus_budgets_snapshot_free(snapshot);
    tbus_budgets_close(budgets);
}

Test(budget_hostile, bad_arguments_are_refused)
{
    tbus_budgets_t *budgets;
    tbus_budgets_snapshot_t *snapshot;
    tbus_budget_status_t status;
    tbus_budget_finding_t finding;
    cr_assert_eq(tbus_budgets_open(NULL, NULL), UV_EINVAL);
    const tbus_budgets_options_t large[] = {{.budgets_max = (1 << 22) + 1},
                                            {.defaulted_max = UINT32_MAX},
                                            {.reservations_max = UINT32_MAX},
                                            {.settled_max = UINT32_MAX}};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        cr_assert_eq(tbus_budgets_open(&large[i], &budgets), UV_EINVAL);
    budgets = opened(NULL);
    cr_assert_eq(tbus_budget_check(NULL, TBUS_BUDGET_ALL, NULL, 0, &status), UV_EINVAL);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_ALL, NULL, 0, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_SCOPES, NULL, 0, &status), UV_EINVAL);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_USER, NULL, 0, &status), UV_ENOENT);
    cr_assert_eq(tbus_budget_check(budgets, TBUS_BUDGET_USER, "", 0, &status), UV_ENOENT);
    cr_assert_eq(tbus_budget_remove(budgets, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budget_restart(budgets, NULL, 0), UV_EINVAL);
    cr_assert_eq(tbus_budget_restore(budgets, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budgets_snapshot(NULL, 0, &snapshot), UV_EINVAL);
    cr_assert_eq(tbus_budgets_snapshot(budgets, 0, NULL), UV_EINVAL);
    cr_assert_eq(tbus_budgets_take_finding(NULL, &finding), UV_EINVAL);
    cr_assert_eq(tbus_budgets_take_finding(budgets, NULL), UV_EINVAL);
    tbus_budgets_advance(NULL, 0);
    tbus_budgets_snapshot_free(NULL);
    tbus_budgets_close(NULL);
    tbus_budgets_close(budgets);
}

/* --- The index --- */

Test(budget_hostile, the_index_finds_what_is_in_it_and_nothing_else)
{
    enum { NAMES = 3000, STEPS = 60000 };
    static struct budget_index index;
    static bool present[NAMES];
    uint64_t random = oracle_seed("budget_index");
    for (int i = 0; i < STEPS; i++) {
        const uint32_t number = (uint32_t)(oracle_random(&random) % NAMES);
        const struct budget_id id = {1 + number % 97, number}; /* many at the same place */
        cr_assert_eq(budget_index_find(&index, id), present[number] ? number : BUDGET_INDEX_NONE);
        const uint64_t version = budget_index_version(&index);
        if (present[number]) {
            budget_index_remove(&index, id);
            cr_assert_not(budget_index_holds(&index, version));
        } else {
            cr_assert_eq(budget_index_make_room(&index), 0);
            budget_index_add(&index, id, number);
            cr_assert(budget_index_holds(&index, version));
        }
        present[number] = !present[number];
    }
    budget_index_clear(&index);
    cr_assert_eq(budget_index_find(&index, (struct budget_id){1, 0}), BUDGET_INDEX_NONE);
}
