#include "trackers/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <tallybus/base.h>

#include "trackers/int128.h"
#include "trackers/utf8_cut.h"

enum { FIRST_CELLS = 16, HASH_TAIL = 17 /* '~' and 16 hex digits */, WORD_BYTES = 8, LINE_BYTES = 64 };

static_assert(sizeof(struct table_head) + TABLE_HOT_BYTES == LINE_BYTES, "a hot value fills its line");

/* Two words mixed through the 128-bit product: every bit of the result depends on every bit of both. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint128_t product = (uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load64(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The last 1 to 7 bytes as a word, without reading past either end. */
static uint64_t load_short(const unsigned char *at, size_t length)
{
    if (length >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + length - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    return length == 0 ? 0 : (uint64_t)at[0] << 16 | (uint64_t)at[length >> 1] << 8 | at[length - 1];
}

/* Each word of the key meets a word that nobody outside knows before it is multiplied: with a known factor there, a key
 * could be chosen that makes the product 0 whatever came before. */
uint64_t table_hash(const void *bytes, size_t length, const struct table_secret *secret)
{
    const unsigned char *at = bytes;
    uint64_t state = secret->b ^ length;
    size_t left = length;

    for (; left > 16; left -= 16, at += 16)
        state = mix(load64(at) ^ secret->a, load64(at + 8) ^ state);
    if (left >= 8)
        state = mix(load64(at) ^ secret->a, load64(at + left - 8) ^ state);
    else
        state = mix(load_short(at, left) ^ secret->a, state);
    return mix(state ^ secret->a, secret->b ^ length);
}

struct table_secret table_secret_open(void)
{
    struct table_secret secret;
    if (uv_random(NULL, NULL, &secret, sizeof secret, 0, NULL) !=
        0) { /* no source of randomness: not the same twice at least */
        secret.a = mix(uv_hrtime() ^ 0x9e3779b97f4a7c15u, (uint64_t)(uintptr_t)&secret ^ 0xd1b54a32d192ed03u);
        secret.b = mix(secret.a ^ 0xa0761d6478bd642fu, uv_hrtime() ^ 0xe7037ed1a0b428dbu);
    }
    secret.a |= 1; /* neither is 0 */
    secret.b |= 1;
    return secret;
}

static struct table_head *head_of(const void *value)
{
    return (struct table_head *)(uintptr_t)value - 1;
}

static void *value_at(const struct table *table, uint32_t cell)
{
    return table->cells + (size_t)cell * table->cell_bytes + sizeof(struct table_head);
}

static char *key_at(const struct table *table, const void *value)
{
    return (char *)(uintptr_t)value + table->value_bytes;
}

static uint32_t round_up(size_t bytes, uint32_t to)
{
    return (uint32_t)((bytes + to - 1) / to * to);
}

static void init(struct table *table, uint32_t value_bytes, uint32_t tail_bytes, uint32_t key_max, uint32_t max,
                 uint32_t align)
{
    assert(key_max >= 2 * HASH_TAIL && max < TABLE_NONE / 4);
    *table = (struct table){.max = max, .free = TABLE_NONE, .key_max = key_max, .align = align};
    table->value_bytes = round_up(value_bytes, WORD_BYTES);
    table->tail_at = round_up((size_t)table->value_bytes + key_max + 1, WORD_BYTES);
    table->cell_bytes = round_up(sizeof(struct table_head) + table->tail_at + tail_bytes, align);
    table->secret = table_secret_open();
}

void table_init(struct table *table, uint32_t value_bytes, uint32_t key_max, uint32_t max)
{
    init(table, value_bytes, 0, key_max, max, WORD_BYTES);
}

void table_init_hot(struct table *table, uint32_t value_bytes, uint32_t tail_bytes, uint32_t key_max, uint32_t max)
{
    assert(value_bytes <= TABLE_HOT_BYTES);
    (void)value_bytes; /* looked at by the assertion alone */
    init(table, TABLE_HOT_BYTES, tail_bytes, key_max, max, LINE_BYTES);
}

void table_clear(struct table *table)
{
    tbus_mem_free(table->index);
    tbus_mem_free(table->memory);
    table->index = NULL;
    table->memory = table->cells = NULL;
    table->index_mask = table->capacity = table->used = table->count = 0;
    table->free = TABLE_NONE;
}

static uint64_t shorten(const struct table *table, struct table_name *name, size_t length, uint64_t hash)
{
    size_t max = table->key_max < TABLE_SHORT_MAX ? table->key_max : TABLE_SHORT_MAX;
    size_t kept = utf8_cut(name->text, length, max - HASH_TAIL);
    memcpy(name->room, name->text, kept);
    snprintf(name->room + kept, sizeof name->room - kept, "~%016llx", (unsigned long long)hash);
    name->text = name->room;
    name->length = (uint32_t)kept + HASH_TAIL;
    return table_hash(name->text, name->length, &table->secret); /* as if it had been given so */
}

void table_fit(const struct table *table, const char *key, struct table_name *name)
{
    name->text = key ? key : "";
    size_t length = strlen(name->text);
    uint64_t hash = table_hash(name->text, length, &table->secret);
    name->length = (uint32_t)length;
    if (length > table->key_max)
        hash = shorten(table, name, length, hash);
    name->hash = (uint32_t)(hash >> 32);
}

void table_fit_bytes(const struct table *table, const void *bytes, uint32_t length, struct table_name *name)
{
    assert(length <= table->key_max);
    name->text = bytes;
    name->length = length;
    name->hash = (uint32_t)(table_hash(bytes, length, &table->secret) >> 32);
}

static bool same_key(const struct table *table, const void *value, const struct table_name *name)
{
    return head_of(value)->length == name->length && memcmp(key_at(table, value), name->text, name->length) == 0;
}

void *table_find_name(const struct table *table, const struct table_name *name)
{
    if (!table->index)
        return NULL;
    for (uint32_t slot = name->hash & table->index_mask;; slot = (slot + 1) & table->index_mask) {
        uint64_t entry = table->index[slot];
        if (entry == 0)
            return NULL;
        if (entry >> 32 == name->hash) {
            void *value = value_at(table, (uint32_t)entry - 1);
            if (same_key(table, value, name))
                return value;
        }
    }
}

void *table_find(const struct table *table, const char *key)
{
    struct table_name name;
    table_fit(table, key, &name);
    return table_find_name(table, &name);
}

static void put_in_index(uint64_t *index, uint32_t mask, uint32_t hash, uint32_t cell)
{
    uint32_t slot = hash & mask;
    while (index[slot] != 0)
        slot = (slot + 1) & mask;
    index[slot] = (uint64_t)hash << 32 | (cell + 1);
}

/* Makes room for `capacity` cells, each at its alignment, which what resize() gives need not have. */
static int move_cells(struct table *table, uint32_t capacity)
{
    size_t before = table->memory ? (size_t)(table->cells - (unsigned char *)table->memory) : 0;
    void *memory = tbus_mem_resize(table->memory, (size_t)capacity * table->cell_bytes + table->align - WORD_BYTES);
    if (!memory)
        return UV_ENOMEM;
    size_t after = (table->align - (uintptr_t)memory % table->align) % table->align;
    if (after != before)
        memmove((char *)memory + after, (char *)memory + before, (size_t)table->used * table->cell_bytes);
    table->memory = memory;
    table->cells = (unsigned char *)memory + after;
    table->capacity = capacity;
    return 0;
}

/* Doubles the slab and the index (kept at most half full). On failure the table is as before. */
static int grow(struct table *table)
{
    uint64_t wanted = table->capacity ? (uint64_t)table->capacity * 2 : FIRST_CELLS;
    uint32_t capacity = wanted > table->max ? table->max : (uint32_t)wanted;
    uint32_t slots = 2 * FIRST_CELLS;
    while (slots < 2 * capacity)
        slots *= 2;

    uint64_t *index = tbus_mem_alloc((size_t)slots * sizeof *index);
    if (!index)
        return UV_ENOMEM;
    if (move_cells(table, capacity) != 0) {
        tbus_mem_free(index);
        return UV_ENOMEM;
    }
    for (uint32_t cell = 0; cell < table->used; cell++) {
        const struct table_head *head = head_of(value_at(table, cell));
        if (head->length != TABLE_NONE)
            put_in_index(index, slots - 1, head->hash, cell);
    }
    tbus_mem_free(table->index);
    table->index = index;
    table->index_mask = slots - 1;
    return 0;
}

static int take_cell(struct table *table, uint32_t *ret_cell)
{
    if (table->count >= table->max)
        return UV_ENOSPC;
    if (table->free != TABLE_NONE) {
        *ret_cell = table->free;
        table->free = head_of(value_at(table, table->free))->hash;
        return 0;
    }
    if (table->used == table->capacity) {
        int error = grow(table);
        if (error)
            return error;
    }
    *ret_cell = table->used++;
    return 0;
}

void *table_add_name(struct table *table, const struct table_name *name, bool *ret_new, int *ret_error)
{
    void *value = table_find_name(table, name);
    uint32_t cell;

    if (ret_new)
        *ret_new = !value;
    *ret_error = 0;
    if (value)
        return value;
    *ret_error = take_cell(table, &cell);
    if (*ret_error)
        return NULL;
    value = value_at(table, cell);
    memset(head_of(value), 0, table->cell_bytes);
    *head_of(value) = (struct table_head){name->hash, name->length};
    memcpy(key_at(table, value), name->text, name->length); /* its NUL is there */
    put_in_index(table->index, table->index_mask, name->hash, cell);
    table->count++;
    return value;
}

void *table_add(struct table *table, const char *key, bool *ret_new, int *ret_error)
{
    struct table_name name;
    table_fit(table, key, &name);
    return table_add_name(table, &name, ret_new, ret_error);
}

int table_open_other(struct table *table)
{
    int error;
    table_add(table, TABLE_OTHER, NULL, &error);
    return error;
}

void *table_add_name_or_other(struct table *table, const struct table_name *name, int *ret_error)
{
    void *value = table_add_name(table, name, NULL, ret_error);
    if (value)
        return value;
    if (*ret_error == UV_ENOSPC)
        *ret_error = 0;
    return table_find(table, TABLE_OTHER);
}

void *table_add_or_other(struct table *table, const char *key, int *ret_error)
{
    struct table_name name;
    table_fit(table, key, &name);
    return table_add_name_or_other(table, &name, ret_error);
}

/* Takes a slot out of the index and closes the gap: entries behind it that would no longer be found move up. */
static void remove_from_index(struct table *table, uint32_t slot)
{
    uint32_t mask = table->index_mask, gap = slot;
    for (;;) {
        slot = (slot + 1) & mask;
        uint64_t entry = table->index[slot];
        if (entry == 0)
            break;
        uint32_t home = (uint32_t)(entry >> 32) & mask;
        if (((slot - home) & mask) >= ((slot - gap) & mask)) {
            table->index[gap] = entry;
            gap = slot;
        }
    }
    table->index[gap] = 0;
}

/* The slot of the index that leads to a cell in use. */
static uint32_t slot_of(const struct table *table, uint32_t cell, uint32_t hash)
{
    uint64_t entry = (uint64_t)hash << 32 | (cell + 1);
    uint32_t slot = hash & table->index_mask;
    while (table->index[slot] != entry)
        slot = (slot + 1) & table->index_mask;
    return slot;
}

void table_rename(struct table *table, void *value, const struct table_name *name)
{
    uint32_t cell = table_cell_of(table, value);
    struct table_head *head = head_of(value);
    assert(head->length != TABLE_NONE && !table_find_name(table, name));

    remove_from_index(table, slot_of(table, cell, head->hash));
    *head = (struct table_head){name->hash, name->length};
    memset(key_at(table, value), 0, table->key_max + 1u);
    memcpy(key_at(table, value), name->text, name->length);
    put_in_index(table->index, table->index_mask, name->hash, cell);
}

void table_remove(struct table *table, void *value)
{
    uint32_t cell = table_cell_of(table, value);
    struct table_head *head = head_of(value);
    assert(head->length != TABLE_NONE);

    remove_from_index(table, slot_of(table, cell, head->hash));
    *head = (struct table_head){.hash = table->free, .length = TABLE_NONE};
    table->free = cell;
    table->count--;
}

void table_empty_but_other(struct table *table)
{
    void *other = table_find(table, TABLE_OTHER);
    for (uint32_t cell = 0; cell < table->used; cell++) {
        void *value = table_at(table, cell);
        if (value && value != other)
            table_remove(table, value);
    }
    assert(other);
    memset(other, 0, table->value_bytes);
}

uint32_t table_cell_of(const struct table *table, const void *value)
{
    return (uint32_t)(((size_t)((const unsigned char *)value - table->cells)) / table->cell_bytes);
}

const char *table_key(const struct table *table, const void *value, uint32_t *ret_length)
{
    if (ret_length)
        *ret_length = head_of(value)->length;
    return key_at(table, value);
}
