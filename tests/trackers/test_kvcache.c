#include <tallybus/kvcache.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"
#include "tests/trackers/meanwhile.h"
#include "trackers/ahead.h"

static tbus_kvcache_snapshot_t *snapshot_of(tbus_kvcache_t *kvcache)
{
    tbus_kvcache_snapshot_t *snapshot;
    cr_assert_eq(tbus_kvcache_snapshot(kvcache, &snapshot), 0);
    return snapshot;
}

/* semantics: kvcache.hits kvcache.reuse kvcache.speedup */
Test(kvcache, equals_sums_over_a_list)
{
    enum { EVENTS = 2000, NAMES = 3 };
    static const char *const names[NAMES] = {"/chat", "/embed", ""};
    struct sums {
        double base, actual, ratio, gain;
        uint64_t count;
    } sums[NAMES + 1] = {{0}}; /* the last: of all */
    uint64_t lookups[NAMES] = {0}, hits[NAMES] = {0}, tokens[NAMES] = {0}, reused[NAMES] = {0}, cut = 0;
    uint64_t seed = oracle_seed("kvcache");
    tbus_kvcache_t *kvcache;
    cr_assert_eq(tbus_kvcache_open(NULL, &kvcache), 0);
    for (int i = 0; i < EVENTS; i++) {
        unsigned at = (unsigned)(oracle_random(&seed) % NAMES);
        int64_t total = (int64_t)(oracle_random(&seed) % 1000), matched = (int64_t)(oracle_random(&seed) % 1100);
        matched = oracle_random(&seed) % 3 ? matched : 0;
        cr_assert_eq(tbus_kvcache_record_lookup(kvcache, names[at], total, matched), 0);
        cut += matched > total;
        matched = matched > total ? total : matched;
        lookups[at]++;
        hits[at] += matched > 0;
        tokens[at] += (uint64_t)total;
        reused[at] += (uint64_t)matched;
        double slow = 1 + (double)(oracle_random(&seed) % 10000), fast = 1 + (double)(oracle_random(&seed) % 5000);
        at = (unsigned)(oracle_random(&seed) % NAMES);
        cr_assert_eq(tbus_kvcache_record_speedup(kvcache, names[at], slow, fast), 0);
        for (unsigned of = at;; of = NAMES) {
            sums[of].base += slow;
            sums[of].actual += fast;
            sums[of].ratio += slow / fast;
            sums[of].gain += 100 * (1 - fast / slow);
            sums[of].count++;
            if (of == NAMES)
                break;
        }
    }
    tbus_kvcache_snapshot_t *s = snapshot_of(kvcache);
    cr_assert_eq(s->cut_matches, cut);
    cr_assert_eq(s->endpoints_count, (size_t)NAMES);
    for (size_t i = 0; i < NAMES; i++)
        for (size_t at = 0; at < NAMES; at++)
            if (strcmp(s->endpoints[i].endpoint, names[at]) == 0) {
                const tbus_kvcache_figures_t *f = &s->endpoints[i];
                cr_assert(f->lookups == lookups[at] && f->hits == hits[at] && f->tokens == tokens[at] &&
                          f->reused == reused[at]);
                cr_assert_float_eq(f->hit_rate, 100.0 * (double)hits[at] / (double)lookups[at], 1e-9);
                cr_assert_float_eq(f->token_reuse_rate, 100.0 * (double)reused[at] / (double)tokens[at], 1e-9);
            }
    for (size_t i = 0; i <= s->endpoints_count; i++) {
        const tbus_kvcache_figures_t *f = i < s->endpoints_count ? &s->endpoints[i] : &s->all;
        size_t of = 0;
        while (of < NAMES && (f == &s->all || strcmp(f->endpoint, names[of]) != 0))
            of++;
        const double count = (double)sums[of].count;
        cr_assert_eq(f->speedups, sums[of].count);
        cr_assert_float_eq(f->baseline_ttft_ms, sums[of].base / count, 1e-6);
        cr_assert_float_eq(f->actual_ttft_ms, sums[of].actual / count, 1e-6);
        cr_assert_float_eq(f->speedup_ratio, sums[of].ratio / count, 1e-6);
        cr_assert_float_eq(f->improvement, sums[of].gain / count, 1e-6);
    }
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_reset(kvcache);
    s = snapshot_of(kvcache);
    cr_assert(s->endpoints_count == 0 && s->all.lookups == 0 && isnan(s->all.hit_rate));
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_close(kvcache);
}

/* semantics: kvcache.refused */
Test(kvcache, hostile_input_is_refused_and_counted)
{
    static const double wrong[] = {0,        -1,     NAN,
                                   INFINITY, 1e-300, 1e300}; /* the last two would make infinite quotients */
    tbus_kvcache_t *kvcache;
    cr_assert_eq(tbus_kvcache_open(&(tbus_kvcache_options_t){.endpoints_max = 1}, &kvcache), 0);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(tbus_kvcache_record_speedup(kvcache, NULL, wrong[i], 1), UV_EINVAL);
        cr_assert_eq(tbus_kvcache_record_speedup(kvcache, NULL, 1, wrong[i]), UV_EINVAL);
    }
    cr_assert_eq(tbus_kvcache_record_lookup(kvcache, NULL, -1, 0), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_record_lookup(kvcache, NULL, 5, INT64_MIN), UV_EINVAL);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_kvcache_record_lookup(kvcache, i ? i > 1 ? "b" : "\xff" : NULL, INT64_MAX, INT64_MAX), 0);
    tbus_kvcache_snapshot_t *s = snapshot_of(kvcache);
    cr_assert(s->refused_speedups == 12 && s->refused_lookups == 2);
    cr_assert_eq(s->all.tokens, UINT64_MAX, "the count stays at its end");
    cr_assert_eq(s->endpoints_count, 2u);
    cr_assert(strcmp(s->endpoints[0].endpoint, "other") == 0 && s->endpoints[0].lookups == 2);
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_close(kvcache);
    cr_assert_eq(tbus_kvcache_open(NULL, NULL), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_record_lookup(NULL, NULL, 1, 1), UV_EINVAL);
}

static int look_up_much(struct oom *oom)
{
    tbus_kvcache_t *kvcache = NULL;
    tbus_kvcache_snapshot_t *s = NULL;
    oom_arm(oom);
    int error = tbus_kvcache_open(NULL, &kvcache);
    for (int i = 0; i < 40 && kvcache; i++) {
        char name[8];
        snprintf(name, sizeof name, "e%d", i);
        int recorded = tbus_kvcache_record_lookup(kvcache, name, 2, 1);
        error = error ? error : recorded;
    }
    if (kvcache) {
        int taken = tbus_kvcache_snapshot(kvcache, &s);
        error = error ? error : taken;
    }
    if (s)
        cr_assert_eq(s->all.lookups, 40u);
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_close(kvcache);
    return error;
}

Test(kvcache, without_memory_nothing_is_lost_but_names)
{
    cr_assert_gt(oom_try_each(look_up_much), 4);
}

static void record(tbus_kvcache_t *kvcache, const char *endpoint, int lookups, int speedups)
{
    for (int i = 0; i < lookups; i++)
        cr_assert_eq(tbus_kvcache_record_lookup(kvcache, endpoint, 10, endpoint[0] == 'a' ? 10 : 0), 0);
    for (int i = 0; i < speedups; i++)
        cr_assert_eq(tbus_kvcache_record_speedup(kvcache, endpoint, 2, 1), 0);
}

Test(kvcache, endpoints_are_by_falling_look_ups_then_speed_ups_then_by_name)
{
    static const char *const expected[] = {"c", "b", "d", "a", "f", "e", "g"};
    tbus_kvcache_t *kvcache;
    cr_assert_eq(tbus_kvcache_open(NULL, &kvcache), 0);
    record(kvcache, "g", 0, 3);
    record(kvcache, "e", 0, 5);
    record(kvcache, "d", 2, 1);
    record(kvcache, "a", 2, 0); /* and the most hits */
    record(kvcache, "f", 1, 1);
    record(kvcache, "c", 3, 0);
    record(kvcache, "b", 2, 1);
    tbus_kvcache_snapshot_t *s = snapshot_of(kvcache);
    cr_assert_eq(s->endpoints_count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < s->endpoints_count; i++)
        cr_assert_str_eq(s->endpoints[i].endpoint, expected[i]);
    const tbus_kvcache_figures_t *a = &s->endpoints[3];
    cr_assert(a->hits == 2 && a->speedups == 0 && isnan(a->baseline_ttft_ms) && isnan(a->actual_ttft_ms));
    cr_assert(isnan(a->speedup_ratio) && isnan(a->improvement), "not measured is not 0");
    cr_assert(isnan(s->endpoints[5].hit_rate) && isnan(s->endpoints[5].token_reuse_rate));
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_close(kvcache);
}

Test(kvcache, figures_at_the_limits_count_and_those_past_them_do_not)
{
    const double least = 1e-6, most = 1e12;
    tbus_kvcache_t *kvcache;
    cr_assert_eq(tbus_kvcache_open(NULL, &kvcache), 0);
    cr_assert_eq(tbus_kvcache_record_speedup(kvcache, "a", least, most), 0);
    cr_assert_eq(tbus_kvcache_record_speedup(kvcache, "a", most, least), 0);
    cr_assert_eq(tbus_kvcache_record_speedup(kvcache, "a", nextafter(least, 0), 1), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_record_speedup(kvcache, "a", 1, nextafter(most, INFINITY)), UV_EINVAL);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tbus_kvcache_record_lookup(kvcache, "a", INT64_MAX, INT64_MAX), 0);
    cr_assert_eq(tbus_kvcache_record_lookup(kvcache, "a", 0, 0), 0, "nothing looked up is a look-up");
    tbus_kvcache_snapshot_t *s = snapshot_of(kvcache);
    cr_assert(s->all.speedups == 2 && s->refused_speedups == 2 && s->all.lookups == 4 && s->all.hits == 3);
    cr_assert(s->all.tokens == UINT64_MAX && s->all.reused == UINT64_MAX && s->endpoints[0].reused == UINT64_MAX);
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_close(kvcache);
}

Test(kvcache, it_takes_as_many_endpoints_as_it_says_and_no_wrong_options)
{
    tbus_kvcache_t *kvcache;
    tbus_kvcache_snapshot_t *s;
    for (int i = 0; i < 8; i++) {
        tbus_kvcache_options_t options = {0};
        options.reserved[i] = 1;
        cr_assert_eq(tbus_kvcache_open(&options, &kvcache), UV_EINVAL);
    }
    cr_assert_eq(tbus_kvcache_open(&(tbus_kvcache_options_t){.endpoints_max = (1 << 24) + 1}, &kvcache), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_open(&(tbus_kvcache_options_t){.endpoints_max = 1 << 24}, &kvcache), 0);
    tbus_kvcache_close(kvcache);
    cr_assert_eq(tbus_kvcache_open(NULL, &kvcache), 0);
    for (int i = 0; i < 502; i++) {
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        record(kvcache, name, 1, 0);
    }
    s = snapshot_of(kvcache);
    cr_assert_eq(s->endpoints_count, 501u);
    cr_assert(strcmp(s->endpoints[0].endpoint, "other") == 0 && s->endpoints[0].lookups == 2);
    tbus_kvcache_snapshot_free(s);
    cr_assert_eq(tbus_kvcache_snapshot(NULL, &s), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_snapshot(kvcache, NULL), UV_EINVAL);
    cr_assert_eq(tbus_kvcache_record_speedup(NULL, NULL, 1, 1), UV_EINVAL);
    tbus_kvcache_close(kvcache);
    tbus_kvcache_close(NULL);
    tbus_kvcache_reset(NULL);
    tbus_kvcache_snapshot_free(NULL);
}

Test(kvcache, it_counts_since_it_was_opened_or_reset)
{
    tbus_kvcache_t *kvcache;
    int64_t before = ahead_system_clock();
    cr_assert_eq(tbus_kvcache_open(NULL, &kvcache), 0);
    for (int reset = 0; reset < 2; reset++) {
        int64_t after = ahead_system_clock();
        record(kvcache, "a", 2, 1);
        (void)tbus_kvcache_record_lookup(kvcache, "a", 1, 2);
        for (int i = 0; i < 3; i++)
            (void)tbus_kvcache_record_lookup(kvcache, "a", 1, -1);
        for (int i = 0; i < 5; i++)
            (void)tbus_kvcache_record_speedup(kvcache, "a", 1, -1);
        tbus_kvcache_snapshot_t *s = snapshot_of(kvcache);
        cr_assert(s->since_ns >= before && s->since_ns <= after);
        cr_assert(s->all.lookups == 3 && s->all.speedups == 1 && s->cut_matches == 1);
        cr_assert(s->refused_lookups == 3 && s->refused_speedups == 5 && s->endpoints_count == 1);
        tbus_kvcache_snapshot_free(s);
        before = ahead_system_clock();
        tbus_kvcache_reset(kvcache);
    }
    tbus_kvcache_close(kvcache);
}

static void add_endpoints(void *kvcache)
{
    static int number;
    for (int i = 0; i < 100; i++) {
        char name[192]; /* as long as any: they take the room that was measured */
        snprintf(name, sizeof name, "%0191d", number++);
        (void)tbus_kvcache_record_lookup(kvcache, name, 1, 1);
    }
}

Test(kvcache, endpoints_that_come_while_a_snapshot_is_taken_are_in_it)
{
    struct meanwhile meanwhile = {.happens = add_endpoints};
    tbus_kvcache_t *kvcache;
    meanwhile_install(&meanwhile);
    cr_assert_eq(tbus_kvcache_open(NULL, &kvcache), 0);
    meanwhile.tracker = kvcache;
    meanwhile.times = 3;
    tbus_kvcache_snapshot_t *s = snapshot_of(kvcache);
    cr_assert(meanwhile.happened == 3 && s->all.lookups == 300 && s->endpoints_count == 300);
    tbus_kvcache_snapshot_free(s);
    tbus_kvcache_close(kvcache);
    cr_assert_eq(meanwhile.live, 0);
    meanwhile_remove();
}
