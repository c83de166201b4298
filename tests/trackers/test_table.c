#include "trackers/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/check.h"
#include "tests/oom.h"

enum { KEY_MAX = 40 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static uint64_t *add(struct table *table, const char *key, int expected)
{
    int error;
    uint64_t *value = table_add(table, key, NULL, &error);
    cr_assert_eq(error, expected, "%s: %d", key ? key : "(null)", error);
    return value;
}

Test(table, a_random_history_agrees_with_a_plain_array)
{
    enum { NAMES = 300, STEPS = 200000 };
    uint64_t seed = uv_hrtime(), model[NAMES] = {0};
    struct table table;
    uint32_t count = 0;
    printf("seed %llu\n", (unsigned long long)seed);
    table_init(&table, sizeof(uint64_t), KEY_MAX, 200);
    for (uint64_t step = 1; step <= STEPS; step++) {
        char key[24];
        uint32_t name = (uint32_t)(next_random(&seed) % NAMES);
        snprintf(key, sizeof key, "name-%u", name);
        uint64_t *value = table_find(&table, key);
        cr_assert_eq(value ? *value : 0, model[name], "step %d", (int)step);
        if (value && next_random(&seed) % 2) {
            table_remove(&table, value);
            model[name] = 0;
            count--;
        } else if (!value && count < 200) {
            *add(&table, key, 0) = step;
            model[name] = step;
            count++;
        } else if (!value) {
            cr_assert_null(add(&table, key, UV_ENOSPC));
        }
        cr_assert_eq(table.count, count);
    }
    table_clear(&table);
}

Test(table, cells_are_walked_and_keep_their_numbers)
{
    struct table table;
    table_init(&table, sizeof(uint64_t), KEY_MAX, 1000);
    for (uint64_t i = 0; i < 500; i++) {
        char key[24];
        snprintf(key, sizeof key, "%d", (int)i);
        uint64_t *value = add(&table, key, 0);
        *value = i;
        cr_assert_eq(table_cell_of(&table, value), (uint32_t)i);
    }
    for (uint32_t i = 0; i < 500; i += 2)
        table_remove(&table, table_at(&table, i));
    uint32_t seen = 0;
    for (uint32_t i = 0; i < table.used; i++) {
        uint64_t *value = table_at(&table, i);
        cr_assert_eq(value != NULL, i % 2 == 1);
        if (!value)
            continue;
        uint32_t length;
        cr_assert_eq(*value, i);
        cr_assert_eq((uint64_t)atoi(table_key(&table, value, &length)), *value);
        cr_assert_eq(length, (uint32_t)strlen(table_key(&table, value, NULL)));
        seen++;
    }
    cr_assert_eq(seen, table.count);
    table_clear(&table);
}

Test(table, a_new_value_is_zeroed_even_in_a_cell_used_before)
{
    struct table table;
    table_init(&table, sizeof(uint64_t), KEY_MAX, 10);
    uint64_t *value = add(&table, "a", 0);
    *value = 77;
    table_remove(&table, value);
    cr_assert_eq(*add(&table, "b", 0), 0u);
    table_clear(&table);
}

Test(table, null_and_empty_are_one_key)
{
    struct table table;
    table_init(&table, sizeof(uint64_t), KEY_MAX, 10);
    cr_assert_eq(add(&table, NULL, 0), add(&table, "", 0));
    cr_assert_eq(table.count, 1u);
    table_clear(&table);
}

Test(table, long_keys_stay_distinct_and_bounded)
{
    struct table table;
    size_t length = 10 << 20;
    char *text = malloc(length + 1);
    cr_assert_not_null(text);
    table_init(&table, sizeof(uint64_t), KEY_MAX, 10);
    memset(text, 'k', length);
    text[length] = '\0';
    *add(&table, text, 0) = 1;
    text[length - 1] = 'x'; /* differs at the very end */
    *add(&table, text, 0) = 2;
    cr_assert_eq(table.count, 2u);
    cr_assert_eq(*(uint64_t *)table_find(&table, text), 2u);
    text[length - 1] = 'k';
    cr_assert_eq(*(uint64_t *)table_find(&table, text), 1u);
    cr_assert_eq(strlen(table_key(&table, table_find(&table, text), NULL)), (size_t)KEY_MAX);
    text[KEY_MAX] = '\0'; /* the longest that is kept whole */
    cr_assert_null(table_find(&table, text));
    add(&table, text, 0);
    cr_assert_str_eq(table_key(&table, table_find(&table, text), NULL), text);
    table_clear(&table);
    free(text);
}

Test(table, a_long_key_is_cut_between_code_points_and_its_short_form_is_the_same_key)
{
    struct table table;
    char text[KEY_MAX + 10], kept[KEY_MAX + 1];
    table_init(&table, sizeof(uint64_t), KEY_MAX, 10);
    memset(text, 'k', sizeof text);
    text[sizeof text - 1] = '\0';
    memcpy(text + KEY_MAX - 17 - 2, "\xE2\x82\xAC", 3); /* the cut would fall behind its second byte */
    uint64_t *value = add(&table, text, 0);
    snprintf(kept, sizeof kept, "%s", table_key(&table, value, NULL));
    cr_assert_eq(strlen(kept), (size_t)KEY_MAX - 2);
    cr_assert_eq(kept[KEY_MAX - 17 - 2], '~');
    cr_assert_eq(table_find(&table, kept), value, "no two keys look the same");
    table_clear(&table);
}

Test(table, a_key_fitted_before_serves_as_well)
{
    struct table table;
    struct table_name name;
    bool is_new;
    int error;
    char text[] = "a key";
    table_init(&table, sizeof(uint64_t), KEY_MAX, 1);
    table_fit(&table, text, &name);
    cr_assert_null(table_find_name(&table, &name));
    uint64_t *value = table_add_name(&table, &name, &is_new, &error);
    cr_assert(value && is_new);
    cr_assert_eq(table_find_name(&table, &name), value);
    cr_assert_eq(table_find(&table, "a key"), value);
    cr_assert_eq(table_add_name(&table, &name, &is_new, &error), value);
    cr_assert_not(is_new);
    table_fit(&table, "another", &name);
    cr_assert_null(table_add_name(&table, &name, &is_new, &error));
    cr_assert_eq(error, UV_ENOSPC);
    table_clear(&table);
}

Test(table, a_hot_value_has_its_cache_line_alone_however_memory_moves)
{
    enum { NAMES = 1500 };
    struct oom oom = {.fail_at = -1};
    struct table table;
    oom_install(&oom); /* its blocks are not aligned to lines, and each resize moves them */
    table_init_hot(&table, sizeof(uint64_t), sizeof(uint64_t), KEY_MAX, NAMES);
    for (uint64_t i = 0; i < NAMES; i++) {
        char key[24];
        snprintf(key, sizeof key, "name-%d", (int)i);
        uint64_t *value = add(&table, key, 0);
        cr_assert_eq(*value, 0u);
        cr_assert_eq(*(uint64_t *)table_tail(&table, value), 0u);
        *value = i;
        *(uint64_t *)table_tail(&table, value) = i * 3;
        if (i % 5 == 4)
            table_remove(&table, value);
    }
    for (uint64_t i = 0; i < NAMES; i++) {
        char key[24];
        snprintf(key, sizeof key, "name-%d", (int)i);
        uint64_t *value = table_find(&table, key);
        cr_assert_eq(value == NULL, i % 5 == 4);
        if (!value)
            continue;
        cr_assert_eq(((uintptr_t)value - sizeof(struct table_head)) % 64, 0u);
        cr_assert_eq((uintptr_t)table_key(&table, value, NULL) % 64, 0u);
        cr_assert_eq(*value, i);
        cr_assert_eq(*(uint64_t *)table_tail(&table, value), i * 3);
        cr_assert_str_eq(table_key(&table, value, NULL), key);
    }
    table_clear(&table);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(table, names_past_the_cap_share_other)
{
    struct table table;
    int error;
    table_init(&table, sizeof(uint64_t), KEY_MAX, 3);
    cr_assert_eq(table_open_other(&table), 0);
    uint64_t *first = table_add_or_other(&table, "a", &error);
    *first = 5;
    (void)table_add_or_other(&table, "b", &error);
    uint64_t *third = table_add_or_other(&table, "c", &error);
    cr_assert_eq(error, 0, "to fold is no error");
    cr_assert_eq(third, table_find(&table, TABLE_OTHER));
    cr_assert_eq(table_add_or_other(&table, "d", &error), third);
    cr_assert_eq(*(uint64_t *)table_add_or_other(&table, "a", &error), 5u, "known names stay themselves");
    cr_assert_eq(table.count, 3u);
    table_clear(&table);
}

Test(table, without_memory_it_stays_as_it_was)
{
    struct oom oom = {.fail_at = -1};
    struct table table;
    oom_install(&oom);
    table_init(&table, sizeof(uint64_t), KEY_MAX, 1000);
    cr_assert_eq(table_open_other(&table), 0);
    for (int i = 0; i < 300; i++) {
        char key[24];
        int error;
        snprintf(key, sizeof key, "%d", i);
        oom.fail_at = atomic_load(&oom.calls);
        oom.keep_failing = true;
        uint64_t *value = table_add(&table, key, NULL, &error);
        if (!value) {
            cr_assert_eq(error, UV_ENOMEM);
            value = table_add_or_other(&table, key, &error);
            cr_assert_eq(error, UV_ENOMEM);
            cr_assert_eq(value, table_find(&table, TABLE_OTHER));
            oom.fail_at = -1;
            value = add(&table, key, 0);
        }
        oom.fail_at = -1;
        *value = (uint64_t)i + 1;
        for (int j = 0; j <= i; j++) {
            snprintf(key, sizeof key, "%d", j);
            cr_assert_eq(*(uint64_t *)table_find(&table, key), (uint64_t)j + 1);
        }
    }
    table_clear(&table);
    cr_assert_eq(atomic_load(&oom.live), 0);
    oom_remove();
}

Test(table, hashes_spread)
{
    enum { KEYS = 100000, BUCKETS = 1024 };
    static uint32_t low[BUCKETS], high[BUCKETS];
    const struct table_secret secret = {0x123456789abcdef1, 0xfedcba9876543211};
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[40];
        int length = snprintf(key, sizeof key, "8f14e45f-ceea-467f-a0e6-3f1c2b%06u", i);
        uint64_t hash = table_hash(key, (size_t)length, &secret);
        low[hash % BUCKETS]++;
        high[hash >> 54]++;
    }
    for (int i = 0; i < BUCKETS; i++) { /* expected 98 a bucket, standard deviation 10 */
        cr_assert(low[i] > 38 && low[i] < 158, "%u", low[i]);
        cr_assert(high[i] > 38 && high[i] < 158, "%u", high[i]);
    }
}

Test(table, a_hash_depends_on_length_secret_and_every_byte)
{
    unsigned char bytes[64] = {0};
    const struct table_secret one = {0x123456789abcdef1, 0xfedcba9876543211},
                              two = {0x123456789abcdef3, 0xfedcba9876543211};
    for (size_t length = 0; length <= sizeof bytes; length++) {
        uint64_t hash = table_hash(bytes, length, &one);
        cr_assert_neq(hash, table_hash(bytes, length, &two));
        if (length < sizeof bytes)
            cr_assert_neq(hash, table_hash(bytes, length + 1, &one), "%zu", length);
        for (size_t i = 0; i < length; i++) {
            bytes[i] ^= 1;
            cr_assert_neq(hash, table_hash(bytes, length, &one), "byte %zu of %zu", i, length);
            bytes[i] ^= 1;
        }
    }
}

/* Keys made of the words that hashes like this one multiply by: were such a word in the code, its keys would all
 * collide. */
Test(table, keys_made_of_the_hashs_own_constants_do_not_collide)
{
    static const uint64_t constants[] = {0x9e3779b97f4a7c15u, 0xd1b54a32d192ed03u, 0xa0761d6478bd642fu,
                                         0xe7037ed1a0b428dbu, 0};
    enum { CONSTANTS = sizeof constants / sizeof constants[0], KEYS = 200 };
    for (int which = 0; which < CONSTANTS; which++) {
        struct table_secret secret = table_secret_open();
        uint64_t hashes[KEYS];
        for (uint64_t i = 0; i < KEYS; i++) {
            uint64_t key[4] = {constants[which], i, constants[which], i * i};
            hashes[i] = table_hash(key, i % 2 ? 16 : 32, &secret);
            for (uint64_t j = 0; j < i; j++)
                cr_assert_neq(hashes[i], hashes[j], "keys %d and %d", (int)i, (int)j);
        }
    }
}
