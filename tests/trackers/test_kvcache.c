#include <tallybus/kvcache.h>

#include <math.h>
#include <string.h>

#include "tests/check.h"
#include "tests/oom.h"
#include "tests/oracle.h"

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
    double base = 0, actual = 0, ratio = 0, gain = 0;
    uint64_t lookups[NAMES] = {0}, hits[NAMES] = {0}, tokens[NAMES] = {0}, reused[NAMES] = {0}, speedups = 0, cut = 0;
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
        cr_assert_eq(tbus_kvcache_record_speedup(kvcache, names[0], slow, fast), 0);
        speedups++;
        base += slow;
        actual += fast;
        ratio += slow / fast;
        gain += 100 * (1 - fast / slow);
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
    cr_assert_eq(s->all.speedups, speedups);
    cr_assert_float_eq(s->all.baseline_ttft_ms, base / EVENTS, 1e-6);
    cr_assert_float_eq(s->all.actual_ttft_ms, actual / EVENTS, 1e-6);
    cr_assert_float_eq(s->all.speedup_ratio, ratio / EVENTS, 1e-6);
    cr_assert_float_eq(s->all.improvement, gain / EVENTS, 1e-6);
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
